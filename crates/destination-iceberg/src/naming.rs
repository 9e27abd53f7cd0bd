//! Names of tables, columns and folders. Pure; knows no catalog.

use std::collections::HashSet;

use crate::config::IdentifierCase;

/// Spells one name in the wanted case. Every character stays, as Iceberg allows them all; only an empty name
/// becomes `_`.
pub fn identifier(name: &str, case: IdentifierCase) -> String {
    let spelled = match case {
        IdentifierCase::Preserve => name.to_owned(),
        IdentifierCase::Lower => name.to_lowercase(),
        IdentifierCase::Upper => name.to_uppercase(),
    };
    if spelled.is_empty() { "_".to_owned() } else { spelled }
}

/// Hands out names of which no two differ only in case, since most engines take such for one.
#[derive(Debug, Default)]
pub struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// The name in the wanted case; a number follows it if it is taken: `Name`, then `name_2`.
    pub fn claim(&mut self, name: &str, case: IdentifierCase) -> String {
        let wanted = identifier(name, case);
        let mut candidate = wanted.clone();
        let mut number = 2;
        while !self.taken.insert(candidate.to_lowercase()) {
            candidate = format!("{wanted}_{number}");
            number += 1;
        }
        candidate
    }
}

/// A folder name out of any name: ASCII letters, digits, `-` and `_` stay, anything else becomes `_`. Not unique.
pub fn folder(name: &str) -> String {
    const LONGEST: usize = 60;
    let kept = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    let folder: String =
        name.chars().take(LONGEST).map(|letter| if kept(letter) { letter } else { '_' }).collect();
    if folder.is_empty() { "_".to_owned() } else { folder }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_alone_are_told_apart() {
        let mut names = Names::default();
        let claimed: Vec<String> = ["Name", "name", "NAME", "", "😀 x"]
            .iter()
            .map(|name| names.claim(name, IdentifierCase::Preserve))
            .collect();
        assert_eq!(claimed, ["Name", "name_2", "NAME_3", "_", "😀 x"]);
        assert_eq!(Names::default().claim("straße", IdentifierCase::Upper), "STRASSE");
        assert_eq!(Names::default().claim("ÀB", IdentifierCase::Lower), "àb");
    }

    #[test]
    fn a_folder_is_plain_ascii() {
        assert_eq!(folder("a b/😀.c"), "a_b___c");
        assert_eq!(folder(""), "_");
        assert_eq!(folder(&"x".repeat(99)).len(), 60);
    }
}
