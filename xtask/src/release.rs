//! `cargo xtask release VERSION`: changes the version in every file that names it, and the changelog's heading. It
//! publishes nothing.

use std::fs;

use crate::shell::{command, root, say, succeeds};

/// A place that names the version: the file, and the text around the version.
struct Place {
    file: &'static str,
    before: &'static str,
    after: &'static str,
}

const fn place(file: &'static str, before: &'static str, after: &'static str) -> Place {
    Place { file, before, after }
}

const MANIFEST: Place = place("Cargo.toml", "\nversion = \"", "\"");

const PLACES: &[Place] = &[
    MANIFEST,
    place("metadata.yaml", "dockerImageTag: ", "\n"),
    place("crates/destination-iceberg/metadata.yaml", "dockerImageTag: ", "\n"),
    place("acceptance-test-config.yml", "connector_image: source-asana:", "\n"),
    place("Dockerfile", "--tag source-asana:", " "),
    place("Dockerfile", "--tag destination-iceberg:", " "),
    place("Dockerfile", "LABEL io.airbyte.version=", "\n"),
    place("Dockerfile", "LABEL org.opencontainers.image.version=", "\n"),
    place("acceptance-tests/suites/platform_suite.py", "\"source-asana:", "\""),
    place("dbt/dbt_project.yml", "\nversion: ", "\n"),
    place("dbt/example/dbt_project.yml", "\nversion: ", "\n"),
    place("README.md", "source-asana:", " "),
    place("crates/destination-iceberg/README.md", "destination-iceberg:", " "),
    place("docs/DBT.md", "source-asana:", " "),
    place("docs/EXAMPLES.md", "source-asana:", " "),
    place("docs/EXAMPLES.md", "docker_image=\"source-asana:", "\""),
    place("docs/EXAMPLES.md", "tag `", "`"),
    place("docs/EXAMPLES.md", "\"dockerImageTag\": \"", "\""),
];

const CHANGELOG: &str = "CHANGELOG.md";
const UNRELEASED: &str = "## Unreleased\n";

/// Changes the version everywhere. Review what it writes, then commit it.
///
/// # Errors
///
/// If the version is not of the form 1.2.3 or not higher, if a place does not name the version, or if a file cannot be
/// read or written. Then it has written nothing, unless the message is about writing.
pub fn run(new: &str) -> Result<(), String> {
    let old = current()?;
    let (from, to) = (numbers(&old)?, numbers(new)?);
    if to <= from {
        return Err(format!("{new} is not higher than {old}, the version in Cargo.toml."));
    }
    let mut files: Vec<(&str, String)> = Vec::new();
    for place in PLACES {
        let known = files.iter().position(|(file, _)| *file == place.file);
        let text = match known {
            Some(index) => files.swap_remove(index).1,
            None => read(place.file)?,
        };
        files.push((place.file, place.moved(&text, &old, new)?));
    }
    files.push((CHANGELOG, released(&read(CHANGELOG)?, new, &today()?)?));
    for (file, text) in &files {
        fs::write(root().join(file), text).map_err(|error| format!("{file} cannot be written: {error}"))?;
        say(file);
    }
    if !succeeds(command(&["cargo", "update", "--workspace", "--quiet"])) {
        return Err("Cargo.lock cannot be updated; run `cargo check`.".to_owned());
    }
    say(&format!("\nVersion {old} is now {new}. docs/RELEASING.md says how to go on."));
    Ok(())
}

impl Place {
    /// The text with the new version in every such place.
    fn moved(&self, text: &str, old: &str, new: &str) -> Result<String, String> {
        let written = |version: &str| format!("{}{version}{}", self.before, self.after);
        if !text.contains(&written(old)) {
            return Err(format!("{} does not say {:?}.", self.file, written(old)));
        }
        Ok(text.replace(&written(old), &written(new)))
    }
}

/// The changelog whose unreleased changes are those of the new version.
fn released(changelog: &str, new: &str, date: &str) -> Result<String, String> {
    let Some((before, changes)) = changelog.split_once(UNRELEASED) else {
        return Err(format!("{CHANGELOG} has no heading {UNRELEASED:?}."));
    };
    let own = changes.split("\n## ").next().unwrap_or_default();
    if !own.contains("\n- ") {
        return Err(format!(
            "{CHANGELOG} names no change under {UNRELEASED:?}: there is nothing to release."
        ));
    }
    Ok(format!("{before}{UNRELEASED}\n## {new} ({date})\n{changes}"))
}

/// The version in Cargo.toml.
fn current() -> Result<String, String> {
    let manifest = read(MANIFEST.file)?;
    let version = manifest.split_once(MANIFEST.before).and_then(|(_, rest)| rest.split_once(MANIFEST.after));
    version.map(|(version, _)| version.to_owned()).ok_or_else(|| "Cargo.toml names no version.".to_owned())
}

fn numbers(version: &str) -> Result<[u32; 3], String> {
    let parts: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    parts
        .and_then(|parts| <[u32; 3]>::try_from(parts).ok())
        .ok_or_else(|| format!("{version} is not a version like 1.2.3."))
}

fn today() -> Result<String, String> {
    let output = command(&["date", "--utc", "+%F"]).output();
    let output = output.map_err(|error| format!("`date` cannot be started: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn read(file: &str) -> Result<String, String> {
    fs::read_to_string(root().join(file)).map_err(|error| format!("{file} cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_names_the_version_of_the_manifest() {
        let version = current().expect("a version");
        let wrong: Vec<_> = PLACES
            .iter()
            .filter_map(|place| place.moved(&read(place.file).expect("a file"), &version, "9.9.9").err())
            .collect();
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn a_place_that_names_another_version_is_an_error() {
        let place = place("metadata.yaml", "dockerImageTag: ", "\n");
        assert_eq!(
            place.moved("  dockerImageTag: 0.1.0\n", "0.1.0", "0.2.0").as_deref(),
            Ok("  dockerImageTag: 0.2.0\n")
        );
        assert!(place.moved("  dockerImageTag: 0.1.1\n", "0.1.0", "0.2.0").is_err());
    }

    #[test]
    fn the_unreleased_changes_become_those_of_the_version() {
        let before = "# Changelog\n\n## Unreleased\n\n- A change.\n\n## 0.1.0 (2026-01-01)\n\n- First.\n";
        let after = "# Changelog\n\n## Unreleased\n\n## 0.2.0 (2026-12-01)\n\n- A change.\n\n## 0.1.0 (2026-01-01)\n\n- First.\n";
        assert_eq!(released(before, "0.2.0", "2026-12-01").as_deref(), Ok(after));
        assert!(released(after, "0.3.0", "2026-12-02").is_err());
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert!(numbers("0.10.0").expect("a version") > numbers("0.9.9").expect("a version"));
        assert!(numbers("1.0").is_err() && numbers("1.0.0-rc1").is_err());
    }
}
