//! Text from a server, which may repeat a secret, and text without secrets. [`ServerText::redact`] is the only way from the
//! first to the second.

use std::fmt;
use std::ops::Deref;

use crate::secrets::Secrets;

/// Maximum number of bytes of a server's text that are searched. Messages show far fewer.
const SEARCHED: usize = 64 * 1024;
/// More than any secret takes in its longest escaped form. The end of a text that was cut may be part of a secret.
const LONGER_THAN_A_SECRET: usize = 4 * 1024;

/// Text that a server sent, or that quotes what it sent. It cannot be printed:
///
/// ```compile_fail
/// let text = airbyte_connector::ServerText::new("the token is 1/42:abc");
/// println!("{text}");
/// ```
///
/// and its debug output says nothing of it:
///
/// ```
/// let text = airbyte_connector::ServerText::new("the token is 1/42:abc");
/// assert_eq!(format!("{text:?}"), "ServerText(21 bytes)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ServerText {
    bytes: Vec<u8>,
    is_cut: bool,
}

/// Text without secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Redacted(String);

impl ServerText {
    pub fn new(text: impl AsRef<[u8]>) -> Self {
        let bytes = text.as_ref();
        Self { bytes: bytes[..bytes.len().min(SEARCHED)].to_vec(), is_cut: bytes.len() > SEARCHED }
    }

    /// The text without secrets.
    pub fn redact(&self, secrets: &Secrets) -> Redacted {
        let mut text = secrets.redact(&String::from_utf8_lossy(&self.bytes));
        if self.is_cut {
            // The cut may have gone through a secret.
            text.truncate(text.floor_char_boundary(text.len().saturating_sub(LONGER_THAN_A_SECRET)));
        }
        Redacted(text)
    }
}

impl Redacted {
    /// Our own words, which quote no server.
    pub fn own(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Puts our own words before the text.
    pub fn after(self, words: &str) -> Self {
        Self(format!("{words}{}", self.0))
    }

    /// The first characters of the text, on one line and without control characters.
    pub fn beginning(&self, characters: usize) -> Self {
        let words = self.0.split(|c: char| c.is_whitespace() || c.is_control());
        let line: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        Self(line.join(" ")).shortened(characters)
    }

    /// The first characters of the text.
    pub fn shortened(mut self, characters: usize) -> Self {
        if let Some((end, _)) = self.0.char_indices().nth(characters) {
            self.0.truncate(end);
            self.0.push('…');
        }
        self
    }
}

impl From<&'static str> for Redacted {
    fn from(words: &'static str) -> Self {
        Self::own(words)
    }
}

impl Deref for Redacted {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Redacted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Redacted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.0)
    }
}

impl fmt::Debug for ServerText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ServerText({} bytes)", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Secret;

    #[test]
    fn no_part_of_a_secret_is_left_where_a_long_text_is_cut() {
        let secrets = Secrets::default();
        let secret = "1/42:0123456789abcdef0123456789abcdef";
        secrets.learn(&Secret::new(secret));
        for before in SEARCHED - 40..SEARCHED + 2 {
            let text = format!("{}{secret}", "x".repeat(before));
            let shown = ServerText::new(&text).redact(&secrets);
            // Where nothing was cut, the whole secret is redacted.
            let rest = shown.strip_suffix("[redacted]").unwrap_or(&shown);
            assert!(rest.bytes().all(|byte| byte == b'x'), "{before}");
            assert!(shown.len() > SEARCHED / 2);
        }
    }
}
