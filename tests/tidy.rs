//! Checks on the source text that each file contains only what the architecture allows.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails right there")]

use std::fs;
use std::path::{Path, PathBuf};

use source_asana::streams::ALL;

/// Every Rust file of the workspace, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("target") && !path.ends_with(".venv") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {folder}");
    found
}

/// The code before the file's own tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap()
}

/// Lines of code, without comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    code(text).lines().map(str::trim).filter(|line| !line.starts_with("//"))
}

#[test]
fn every_file_says_first_what_it_is_for() {
    for folder in ["src", "crates", "xtask", "tests", "benches"] {
        if !Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).exists() {
            continue;
        }
        for (path, text) in sources(folder) {
            assert!(
                text.starts_with("//! "),
                "{} does not open with a sentence on what it is for",
                path.display()
            );
        }
    }
}

#[test]
fn no_file_outside_the_streams_names_a_stream() {
    for (path, text) in sources("src") {
        if path.starts_with("src/streams") {
            continue;
        }
        for line in lines(&text) {
            for stream in ALL {
                // The config's field has the same name.
                let is_config = path.starts_with("src/config") || path.starts_with("src/command");
                if is_config && stream.name == "workspaces" {
                    continue;
                }
                assert!(
                    !line.contains(&format!("\"{}\"", stream.name))
                        && !line.contains(&format!("streams::{}", stream.name)),
                    "{} names the stream {}: {line}",
                    path.display(),
                    stream.name
                );
            }
        }
    }
}

#[test]
fn only_asana_names_status_codes_and_no_file_writes_stdout_itself() {
    for (path, text) in sources("src") {
        for line in lines(&text) {
            if !path.starts_with("src/asana") {
                for status in ["400", "401", "402", "403", "404", "412", "429", "500", "503"] {
                    let is_named =
                        line.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| word == status);
                    assert!(!is_named, "{} names status {status}: {line}", path.display());
                }
            }
            assert!(!line.contains("io::stdout"), "{} writes stdout: {line}", path.display());
        }
    }
}

#[test]
fn the_pure_core_reads_no_clock_and_does_no_input_or_output() {
    let pure = [
        "state.rs",
        "window.rs",
        "opt_fields.rs",
        "plan.rs",
        "schema.rs",
        "stream.rs",
        "slice_key.rs",
        "stream_set.rs",
        "sync/children.rs",
        "sync/graph.rs",
        "sync/report.rs",
        "sync/requests.rs",
        "sync/row.rs",
        "sync/slices.rs",
        "asana/fault.rs",
        "moment.rs",
        "gid.rs",
    ];
    let sources = sources("src");
    for pure in pure {
        let path = Path::new("src").join(pure);
        let (_, text) =
            sources.iter().find(|(other, _)| *other == path).unwrap_or_else(|| panic!("no {pure}"));
        for line in lines(text) {
            for impure in ["::now()", "std::fs", "std::net", "tokio::", "reqwest", "std::env", "std::thread"]
            {
                assert!(!line.contains(impure), "{} is not pure: {line}", path.display());
            }
        }
    }
}

#[test]
fn the_simulator_and_the_connector_share_no_code_but_the_protocols() {
    let manifest = |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let simulator = manifest("crates/asana-simulator/Cargo.toml");
    assert!(!simulator.contains("source-asana"), "the simulator depends on the connector");
    let connector = manifest("Cargo.toml");
    let dependencies = connector.split("\n[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    assert!(!dependencies.contains("asana-simulator"), "the connector depends on the simulator");
}

/// The versions that the files which install tools of cargo name, by tool. `None` where a file names no version.
fn installed(tool: &str) -> Vec<(&'static str, Option<String>)> {
    const INSTALLERS: [&str; 4] =
        [".ci/run", ".github/workflows/release.yml", "Dockerfile", "xtask/src/suites.rs"];
    let mut found = Vec::new();
    for file in INSTALLERS {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        for (_, words) in text.lines().filter_map(|line| line.split_once("install ")) {
            for word in
                words.split(|character: char| character.is_whitespace() || "`\"()".contains(character))
            {
                let (name, version) =
                    word.split_once('@').map_or((word, None), |(name, version)| (name, Some(version)));
                if name == tool {
                    found.push((file, version.map(str::to_owned)));
                }
            }
        }
    }
    found
}

#[test]
fn tools_are_pinned_to_one_version() {
    for tool in ["cargo-auditable", "cargo-deny"] {
        let found = installed(tool);
        assert!(found.len() > 1, "{tool} is installed in {found:?} only");
        for (file, version) in &found {
            assert!(version.is_some(), "{file} installs any version of {tool}");
            assert_eq!(*version, found[0].1, "{file} installs another version of {tool} than {}", found[0].0);
        }
    }
}
