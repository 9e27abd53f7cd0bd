//! Shared dependencies have the same features in every build of the workspace, so that each is compiled once. Knows no
//! behaviour.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails right there")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The features of each package, in a build with these kinds of dependencies.
fn features(edges: &str) -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(std::env::var("CARGO").unwrap())
        .args([
            "tree",
            "--offline",
            "--workspace",
            "--prefix",
            "none",
            "--format",
            "{p}|{f}",
            "--edges",
            edges,
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut features: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let Some((package, list)) = line.trim_end_matches(" (*)").split_once('|') else { continue };
        features.entry(package.to_owned()).or_default().extend(list.split(',').map(str::to_owned));
    }
    features
}

#[test]
fn programs_are_built_from_the_same_dependencies_as_tests() {
    let programs = features("normal,build");
    let tests = features("normal,build,dev");
    assert!(programs.len() > 100, "the check sees what it looks for");
    let missing: Vec<_> = programs
        .iter()
        .filter_map(|(package, features)| {
            let missing: Vec<_> = tests[package].difference(features).collect();
            (!missing.is_empty()).then(|| format!("{package}: {missing:?}"))
        })
        .collect();
    assert!(missing.is_empty(), "crates/demo/Cargo.toml has to name these features: {missing:#?}");
}
