//! Asana's identifiers, kept small, and marks beside them. Knows no stream.

use std::collections::HashMap;
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

    /// The number that it is, if it is one.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) => None,
        }
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

/// What has been done about each gid: a bit for each kind of thing. A gid takes about twenty bytes.
#[derive(Debug, Default)]
pub struct GidMarks {
    numbers: HashMap<u64, u64>,
    texts: HashMap<Box<str>, u64>,
}

impl GidMarks {
    /// The bits that are set for a gid.
    pub fn of(&self, gid: &Gid) -> u64 {
        let marks = match gid {
            Gid::Number(number) => self.numbers.get(number),
            Gid::Text(text) => self.texts.get(text),
        };
        marks.copied().unwrap_or_default()
    }

    /// Sets bits for a gid.
    pub fn set(&mut self, gid: &Gid, bits: u64) {
        let marks = match gid {
            Gid::Number(number) => self.numbers.entry(*number).or_default(),
            Gid::Text(text) => self.texts.entry(text.clone()).or_default(),
        };
        *marks |= bits;
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
        let mut marks = GidMarks::default();
        for (index, text) in texts.into_iter().enumerate() {
            let gid = Gid::new(text);
            assert_eq!(gid.to_string(), text);
            assert_eq!(marks.of(&gid), 0, "{text}");
            marks.set(&gid, 1 << index);
            marks.set(&gid, 1 << 63);
            assert_eq!(marks.of(&gid), 1 << index | 1 << 63, "{text}");
        }
    }
}
