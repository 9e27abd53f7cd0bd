//! Asana's identifiers, kept small, and sets of them. Knows no stream.

use std::collections::{HashMap, HashSet};
use std::fmt;

/// A gid. Asana's are strings of digits, nearly all of which fit eight bytes; the others are kept as text, so
/// that no two gids are ever taken for one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Gid {
    Number(u64),
    Text(Box<str>),
}

impl Gid {
    pub fn new(text: &str) -> Self {
        let is_canonical =
            text.len() <= 19 && !text.is_empty() && (text.len() == 1 || !text.starts_with('0'));
        if is_canonical
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(number) = text.parse()
        {
            return Self::Number(number);
        }
        Self::Text(text.into())
    }
}

impl fmt::Display for Gid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(formatter, "{number}"),
            Self::Text(text) => formatter.write_str(text),
        }
    }
}

/// A set of gids at about ten bytes each.
#[derive(Debug, Default)]
pub struct GidSet {
    numbers: HashSet<u64>,
    texts: HashSet<Box<str>>,
}

impl GidSet {
    /// Whether the gid was not there yet.
    pub fn insert(&mut self, gid: &Gid) -> bool {
        match gid {
            Gid::Number(number) => self.numbers.insert(*number),
            Gid::Text(text) => self.texts.insert(text.clone()),
        }
    }

    pub fn contains(&self, gid: &Gid) -> bool {
        match gid {
            Gid::Number(number) => self.numbers.contains(number),
            Gid::Text(text) => self.texts.contains(text),
        }
    }
}

/// Sets of small numbers for gids, a bit each: what was already done with an object.
#[derive(Debug)]
pub struct GidMarks {
    all: u32,
    /// Those with every bit, which is what most have in the end.
    full: GidSet,
    some: HashMap<Gid, u32>,
}

impl GidMarks {
    /// For so many bits.
    pub fn new(bits: usize) -> Self {
        Self { all: (1 << bits) - 1, full: GidSet::default(), some: HashMap::new() }
    }

    /// Those of `bits` that the gid did not have yet; from now on it has them.
    pub fn claim(&mut self, gid: &Gid, bits: u32) -> u32 {
        if bits == 0 || self.full.contains(gid) {
            return 0;
        }
        let marks = self.some.get(gid).copied().unwrap_or_default();
        if marks | bits == self.all {
            self.some.remove(gid);
            self.full.insert(gid);
        } else {
            self.some.insert(gid.clone(), marks | bits);
        }
        bits & !marks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_and_no_two_are_one() {
        let texts = [
            "0",
            "7",
            "07",
            "1201234567890123",
            "18446744073709551615",
            "99999999999999999999999",
            "external:a",
            "",
        ];
        let mut set = GidSet::default();
        for text in texts {
            let gid = Gid::new(text);
            assert_eq!(gid.to_string(), text);
            assert!(set.insert(&gid), "{text}");
            assert!(!set.insert(&gid), "{text}");
            assert!(set.contains(&gid));
        }
    }

    #[test]
    fn each_bit_of_a_gid_is_claimed_once() {
        let mut marks = GidMarks::new(3);
        for gid in ["7", "external:a"].map(Gid::new) {
            assert_eq!(marks.claim(&gid, 0b011), 0b011);
            assert_eq!(marks.claim(&gid, 0b110), 0b100);
            assert_eq!(marks.claim(&gid, 0b111), 0);
        }
    }
}
