//! Names of tables, columns and folders. Pure; knows no catalog.

use std::collections::HashSet;

use crate::config::IdentifierCase;

/// The longest name that every engine takes, in characters: Snowflake's and Hive's limit.
pub const LONGEST_NAME: usize = 255;

/// Spells one name in the wanted case, cut to the longest that engines take. Every character stays, as Iceberg allows
/// them all; only an empty name becomes `_`, and `.` and `..`, which no address can hold, become `_` and `__`.
pub fn identifier(name: &str, case: IdentifierCase) -> String {
    let spelled = match case {
        IdentifierCase::Preserve => name.to_owned(),
        IdentifierCase::Lower => name.to_lowercase(),
        IdentifierCase::Upper => name.to_uppercase(),
    };
    // In an address, these two are the folder itself and the one above.
    if matches!(spelled.as_str(), "" | "." | "..") {
        "_".repeat(spelled.len().max(1))
    } else {
        cut(&spelled, LONGEST_NAME).to_owned()
    }
}

/// The name with a number behind it, no longer than a name may be.
pub fn numbered(name: &str, number: usize) -> String {
    let suffix = format!("_{number}");
    format!("{}{suffix}", cut(name, LONGEST_NAME - suffix.len()))
}

fn cut(name: &str, characters: usize) -> &str {
    name.char_indices().nth(characters).map_or(name, |(end, _)| &name[..end])
}

/// Hands out names of which no two differ only in case, since most engines take such for one.
///
/// Names are paths: Iceberg finds a field by its path, so a column `a.b` and a field `b` of a column `a` are one name
/// to it.
#[derive(Debug, Clone, Default)]
pub struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// Marks a path as taken.
    pub fn reserve(&mut self, path: &str) {
        self.taken.insert(path.to_lowercase());
    }

    /// A name under the path `parent`, in the wanted case; a number follows it if it is taken: `Name`, then `name_2`.
    pub fn claim(&mut self, parent: &str, name: &str, case: IdentifierCase) -> String {
        let wanted = identifier(name, case);
        let mut candidate = wanted.clone();
        let mut number = 2;
        while !self.taken.insert(path(parent, &candidate).to_lowercase()) {
            candidate = numbered(&wanted, number);
            number += 1;
        }
        candidate
    }
}

/// The path of a field under that of its parent, which is empty for a column.
pub fn path(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
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
            .map(|name| names.claim("", name, IdentifierCase::Preserve))
            .collect();
        assert_eq!(
            [".", "..", "..."].map(|name| identifier(name, IdentifierCase::Preserve)),
            ["_", "__", "..."]
        );
        assert_eq!(claimed, ["Name", "name_2", "NAME_3", "_", "😀 x"]);
        assert_eq!(Names::default().claim("", "straße", IdentifierCase::Upper), "STRASSE");
        assert_eq!(Names::default().claim("", "ÀB", IdentifierCase::Lower), "àb");
    }

    #[test]
    fn a_field_and_a_column_do_not_share_their_path() {
        let mut names = Names::default();
        assert_eq!(names.claim("", "a.b", IdentifierCase::Preserve), "a.b");
        assert_eq!(names.claim("a", "b", IdentifierCase::Preserve), "b_2");
        assert_eq!(names.claim("c", "b", IdentifierCase::Preserve), "b");
    }

    #[test]
    fn a_name_is_cut_to_255_characters_with_its_number() {
        let long = "ß".repeat(300);
        let mut names = Names::default();
        let first = names.claim("", &long, IdentifierCase::Preserve);
        let second = names.claim("", &format!("{long}x"), IdentifierCase::Preserve);
        assert_eq!((first.chars().count(), second.chars().count()), (255, 255));
        assert!(second.ends_with("ß_2"), "{second}");
        assert_eq!(identifier(&long, IdentifierCase::Upper).chars().count(), 255);
    }

    #[test]
    fn a_folder_is_plain_ascii() {
        assert_eq!(folder("a b/😀.c"), "a_b___c");
        assert_eq!(folder(""), "_");
        assert_eq!(folder(&"x".repeat(99)).len(), 60);
    }
}
