//! Asana's identifiers in a compact form.

use std::fmt;

/// A gid. Asana's gids are strings of digits, and nearly all fit in eight bytes. Others are stored as text, so that no
/// two gids are confused.
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

    /// The gid as a number, if it is one.
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
