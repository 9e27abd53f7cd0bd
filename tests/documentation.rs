//! Checks the documentation against the program: messages, configs, links.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails right there")]

use std::fs;
use std::path::{Path, PathBuf};

use source_asana::config::Settings;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found
}

/// The pages for people.
fn pages() -> Vec<(PathBuf, String)> {
    let mut paths = files(&root().join("docs"), "md");
    paths.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name)));
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The code of the connector and of the crates it stands on, without comments. Texts of several lines are one line.
fn code() -> String {
    let mut code = String::new();
    for folder in ["src", "crates/airbyte-connector/src", "crates/airbyte-protocol/src"] {
        for path in files(&root().join(folder), "rs") {
            let text = fs::read_to_string(path).unwrap();
            let mut continues = false;
            let lines = text.split("#[cfg(test)]").next().unwrap().lines();
            for line in lines.filter(|line| !line.trim_start().starts_with("//")) {
                code.push_str(if continues { line.trim_start() } else { line });
                continues = line.ends_with('\\');
                if continues {
                    code.pop();
                } else {
                    code.push('\n');
                }
            }
        }
    }
    code
}

/// The texts between backticks in the first column of the page's tables of messages.
fn kernels() -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/TROUBLESHOOTING.md")).unwrap();
    let messages = page.split("## No message").next().unwrap();
    let rows = messages.lines().filter_map(|line| line.strip_prefix("| `")?.split('|').next());
    let kernels: Vec<String> = rows
        .flat_map(|cell| cell.split('`').step_by(2))
        .map(str::to_owned)
        .filter(|kernel| !kernel.trim().is_empty())
        .collect();
    assert!(kernels.len() > 40, "{kernels:?}");
    kernels
}

#[test]
fn each_message_that_the_table_explains_is_one_of_the_programs() {
    let code = code();
    for kernel in kernels() {
        // One message is for all three files.
        let words = kernel.strip_suffix(" file").map_or(kernel.as_str(), |_| "file {} cannot be read");
        assert!(code.contains(words), "no message says `{kernel}`");
    }
}

/// The literal of each failure, and each sentence of advice.
fn failure_texts(code: &str) -> Vec<String> {
    let literal = |after: &str| {
        let start = after.trim_start().trim_start_matches("format!(").trim_start();
        let text = start.strip_prefix('"')?;
        let end = text.char_indices().find(|(at, c)| *c == '"' && !text[..*at].ends_with('\\'))?.0;
        Some(text[..end].to_owned())
    };
    let makers = ["Failure::configuration(", "Failure::transient(", "Failure::system("];
    let mut found: Vec<String> =
        makers.iter().flat_map(|maker| code.split(maker).skip(1).filter_map(literal)).collect();
    let advice = code.split("pub fn advice").nth(1).unwrap().split("fn reason").next().unwrap();
    found.extend(advice.split("Kind::").skip(1).filter_map(|arm| {
        let text = arm.split_once("=>")?.1.trim_start().trim_start_matches('{');
        literal(text)
    }));
    assert!(found.len() > 30, "{found:#?}");
    found
}

#[test]
fn each_failure_of_the_program_is_explained_in_the_table() {
    let kernels = kernels();
    for text in failure_texts(&code()) {
        // Messages that need no action say so themselves, and composed messages have no text of their own.
        let says_something = text.split(['{', '}']).any(|part| part.trim().len() > 12);
        if !says_something || text.starts_with("Nothing needs to be done") {
            continue;
        }
        let is_explained = kernels.iter().any(|kernel| text.contains(kernel.as_str()));
        assert!(is_explained, "docs/TROUBLESHOOTING.md does not explain: {text}");
    }
}

/// The page's fenced blocks in a language.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let opening = format!("```{language}\n");
    page.split(opening.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn each_config_in_the_pages_is_one_that_the_program_takes() {
    let mut tried = 0;
    for (path, page) in pages() {
        for block in blocks(&page, "json") {
            let value: serde_json::Value = serde_json::from_str(block)
                .unwrap_or_else(|error| panic!("{}: {error}: {block}", path.display()));
            // Catalogs, states, and the configs of the destination.
            let is_another = ["streams", "version", "catalog"].iter().any(|key| value.get(key).is_some());
            if value.is_array() || is_another {
                continue;
            }
            tried += 1;
            Settings::parse(block).unwrap_or_else(|failure| panic!("{}: {failure}: {block}", path.display()));
        }
    }
    assert!(tried >= 4, "only {tried} configs were found");
}

#[test]
fn each_link_between_the_pages_leads_somewhere() {
    let anchor = |heading: &str| -> String {
        let kept = heading.trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    let mut followed = 0;
    for (path, page) in pages() {
        for link in page.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.contains("://") {
                continue;
            }
            followed += 1;
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: there is no {link}", path.display());
            if !place.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                let headings = text.lines().filter(|line| line.starts_with('#'));
                let is_there =
                    headings.map(|line| anchor(line.trim_start_matches('#'))).any(|heading| heading == place);
                assert!(is_there, "{}: no heading for {link}", path.display());
            }
        }
    }
    assert!(followed > 10, "only {followed} links were found");
}
