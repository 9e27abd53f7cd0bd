//! Secrets: a type that cannot be printed, text from outside that cannot be printed before it is redacted, and the
//! redaction.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";
/// A run of letters and digits of this length does not occur by chance, so it is redacted on its own too. No escape changes
/// letters and digits: this covers every escape that [`escapes`] does not know.
const TELLING_WORD: usize = 16;
/// Shorter pieces of base64 occur by chance.
const TELLING_BASE64: usize = 12;
/// A shorter secret, such as a client ID of three digits, is redacted only where it is a word of its own. Otherwise it would
/// make every other text unreadable.
const SHORT: usize = 8;
/// A text that was cut in the middle of a secret ends in its beginning. A shorter beginning reveals nothing.
const TELLING_BEGINNING: usize = 4;

/// A secret text. It cannot be printed:
///
/// ```compile_fail
/// let secret = airbyte_connector::Secret::new("1/42:abc");
/// println!("{secret}");
/// ```
///
/// nor written as JSON:
///
/// ```compile_fail
/// let secret = airbyte_connector::Secret::new("1/42:abc");
/// let text = serde_json::to_string(&secret);
/// ```
///
/// and its debug output is the same for every secret:
///
/// ```
/// let secret = airbyte_connector::Secret::new("1/42:abc");
/// assert_eq!(format!("{secret:?}"), "Secret([redacted])");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// White space around the text is dropped: it comes from copying, and no token has any.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The secret itself, for the request that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `text` without the secret, however it is escaped, and without its base64.
    fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut clean = Cow::Borrowed(text);
        replace(&mut clean, |rest, before| self.match_escaped(rest, before));
        let longest = self.0.split(|c: char| !c.is_ascii_alphanumeric()).max_by_key(|word| word.len());
        let word = longest.filter(|word| word.len() >= TELLING_WORD).map(str::to_owned);
        for form in word.into_iter().chain(base64_forms(&self.0)) {
            replace(&mut clean, |rest, _| rest.starts_with(&form).then_some(form.len()));
        }
        clean
    }

    /// The length of the secret at the beginning of `rest`, escaped or not. `before` is the character before it.
    fn match_escaped(&self, rest: &str, before: Option<char>) -> Option<usize> {
        let is_short = self.0.chars().count() < SHORT;
        let joins = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        if is_short && joins(before) {
            return None;
        }
        // One text can be read in several ways: `%25` is a percent sign, and is what a secret with `%25` in it looks like.
        let mut lengths = vec![0];
        for (matched, expected) in self.0.chars().enumerate() {
            let cut = lengths.iter().copied().find(|length| rest.len() == *length);
            if let Some(length) = cut.filter(|_| matched >= TELLING_BEGINNING && !is_short) {
                return Some(length);
            }
            let mut next: Vec<usize> = Vec::new();
            for length in lengths {
                next.extend(escapes(&rest[length..], expected).map(|consumed| length + consumed));
            }
            next.sort_unstable();
            next.dedup();
            lengths = next;
        }
        let is_word = |length: &usize| !(is_short && joins(rest[*length..].chars().next()));
        lengths.into_iter().rev().find(is_word).filter(|length| *length > 0)
    }
}

/// The lengths that `expected` can have at the beginning of `text`: plain, or as a URL, a form, JSON (once or twice) or HTML
/// escapes it.
fn escapes(text: &str, expected: char) -> impl Iterator<Item = usize> {
    let plain = text.starts_with(expected).then_some(expected.len_utf8());
    let escaped = if expected.is_ascii_alphanumeric() { Vec::new() } else { escaped_forms(expected) };
    let matches = |escape: &String| {
        let is_there = text.get(..escape.len()).is_some_and(|start| start.eq_ignore_ascii_case(escape));
        is_there.then_some(escape.len())
    };
    plain.into_iter().chain(escaped.iter().filter_map(matches).collect::<Vec<_>>())
}

fn escaped_forms(expected: char) -> Vec<String> {
    let (mut units, mut bytes) = ([0; 2], [0; 4]);
    let utf16 = expected.encode_utf16(&mut units);
    let utf8 = expected.encode_utf8(&mut bytes).as_bytes();
    let code = u32::from(expected);
    let named = match expected {
        '"' => Some("&quot;"),
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '\'' => Some("&apos;"),
        ' ' => Some("+"),
        _ => None,
    };
    let mut forms = vec![
        utf8.iter().map(|byte| format!("%{byte:02x}")).collect(),
        utf8.iter().map(|byte| format!("%25{byte:02x}")).collect(),
        utf16.iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        utf16.iter().map(|unit| format!("\\\\u{unit:04x}")).collect(),
        format!("&#x{code:x};"),
        format!("&#x{code:02x};"),
        format!("&#{code};"),
        format!("&#{code:03};"),
        format!("\\{expected}"),
        // JSON inside JSON: quotes get three backslashes, a backslash becomes four, a slash gets two.
        format!("\\\\{expected}"),
        format!("\\\\\\{expected}"),
    ];
    forms.extend(named.map(str::to_owned));
    forms
}

/// What is the same of `secret` in base64, whatever stands around it. Three bytes make four letters, so there are three ways
/// to cut it.
fn base64_forms(secret: &str) -> impl Iterator<Item = String> {
    let cuts = (0..3).flat_map(|before| {
        let bytes = [&[0; 2][..before], secret.as_bytes()].concat();
        // A letter that shares a bit with what stands around the secret is not the secret's alone.
        let first = (before * 8).div_ceil(6);
        let end = bytes.len() * 8 / 6;
        [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)]
            .map(|text| text.get(first..end).unwrap_or_default().to_owned())
    });
    cuts.filter(|form| form.len() >= TELLING_BASE64)
}

/// Replaces each match. `matched` gets the rest of the text and the character before it, and returns a match's length.
fn replace(text: &mut Cow<'_, str>, matched: impl Fn(&str, Option<char>) -> Option<usize>) {
    let mut clean = String::new();
    let (mut copied, mut position, mut before) = (0, 0, None);
    while let Some(c) = text[position..].chars().next() {
        match matched(&text[position..], before) {
            Some(length) => {
                clean.push_str(&text[copied..position]);
                clean.push_str(REDACTED);
                position += length;
                copied = position;
            }
            None => position += c.len_utf8(),
        }
        before = Some(c);
    }
    if copied > 0 {
        clean.push_str(&text[copied..]);
        *text = Cow::Owned(clean);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secret({REDACTED})")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(&String::deserialize(deserializer)?))
    }
}

/// Text, which Airbyte's form hides and its platform stores as a secret.
impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "airbyte_secret": true})
    }
}

/// All secrets of a run. Clones share them: a secret that is learned in the middle of a sync is redacted from then on,
/// wherever a text comes from.
#[derive(Clone, Default)]
pub struct Secrets(Arc<RwLock<Vec<Secret>>>);

impl Secrets {
    pub fn learn(&self, secret: &Secret) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !secret.is_empty() && !known.contains(secret) {
            known.push(secret.clone());
            // One secret can be a part of another.
            known.sort_by_key(|secret| std::cmp::Reverse(secret.0.len()));
        }
    }

    /// `text` without any of the secrets.
    pub fn redact(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().fold(text.to_owned(), |text, secret| secret.redact(&text).into_owned())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secrets({REDACTED})")
    }
}

/// Text that somebody else wrote, such as the body of an error. It may repeat a secret of the request, so it cannot be
/// printed, and it cannot be cut before it is redacted: a cut through a secret would leave a part that nothing recognises.
///
/// ```compile_fail
/// let text = airbyte_connector::ForeignText::new("<html>…".to_owned());
/// println!("{text}");
/// ```
pub struct ForeignText(String);

impl ForeignText {
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text on one line and without secrets, cut to at most `most` characters.
    pub fn redacted(&self, secrets: &Secrets, most: usize) -> String {
        let clean = secrets.redact(&self.0);
        let one_line = clean.split_whitespace().collect::<Vec<_>>().join(" ");
        match one_line.char_indices().nth(most) {
            Some((end, _)) => format!("{}…", &one_line[..end]),
            None => one_line,
        }
    }

    /// For a decision that depends on what was said. It is not for messages.
    pub fn says(&self, phrase: &str) -> bool {
        self.0.to_ascii_lowercase().contains(&phrase.to_ascii_lowercase())
    }
}

impl fmt::Debug for ForeignText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ForeignText({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "2/1204/567:0123456789abcdef";

    fn redact(secret: &str, text: &str) -> String {
        let secrets = Secrets::default();
        secrets.learn(&Secret::new(secret));
        secrets.redact(text)
    }

    #[test]
    fn each_escape_of_a_secret_is_found() {
        for form in [
            TOKEN,
            "2%2F1204%2f567%3A0123456789abcdef",
            "2%252F1204%252F567%253A0123456789abcdef",
            r"2\/1204\/567:0123456789abcdef",
            r"2\\\/1204\\\/567:0123456789abcdef",
            r"2\u002f1204\u002F567\u003a0123456789abcdef",
            "2&#x2F;1204&#47;567&#58;0123456789abcdef",
            "2/1204%2F567\\u003a0123456789abcdef",
        ] {
            assert_eq!(redact(TOKEN, &format!("a={form}&b")), "a=[redacted]&b", "{form}");
        }
        assert_eq!(redact("a \"b\" & <c>", "x a+%22b\\\" &amp; &lt;c&gt; y"), "x [redacted] y");
        assert_eq!(redact("пароль-пароль", "%D0%BF\u{430}роль-пароль!"), "[redacted]!");
    }

    #[test]
    fn a_text_that_was_cut_in_the_middle_of_a_secret_does_not_show_its_beginning() {
        assert_eq!(redact(TOKEN, "token=2/1204/567:0123456789abcde"), "token=[redacted]");
        assert_eq!(redact(TOKEN, "token=2%2F1204%2F5"), "token=[redacted]");
        assert_eq!(redact(TOKEN, "page 2"), "page 2");
    }

    #[test]
    fn a_short_secret_is_redacted_as_a_word_and_mangles_no_other() {
        assert_eq!(
            redact("12", "client 12 waits 120 s, gid 1200012"),
            "client [redacted] waits 120 s, gid 1200012"
        );
        assert_eq!(redact("t", "status of t"), "status of [redacted]");
    }

    #[test]
    fn foreign_text_is_redacted_before_it_is_cut() {
        let secrets = Secrets::default();
        secrets.learn(&Secret::new(TOKEN));
        let text = ForeignText::new(format!("<html>\n  refresh_token={TOKEN} is wrong"));
        assert_eq!(text.redacted(&secrets, 1000), "<html> refresh_token=[redacted] is wrong");
        for most in 0..50 {
            let shown = text.redacted(&secrets, most);
            assert!(!shown.contains("2/1204") && shown.chars().count() <= most + 1, "{shown}");
        }
    }

    proptest! {
        #[test]
        fn base64_is_found_whatever_stands_around_the_secret(
            before in ".{0,9}", secret in "[ -~]{16,50}", after in ".{0,9}",
        ) {
            prop_assume!(secret.trim().len() >= 16);
            let whole = format!("{before}{}{after}", secret.trim());
            for encoded in [STANDARD_NO_PAD.encode(&whole), URL_SAFE_NO_PAD.encode(&whole)] {
                let clean = redact(&secret, &encoded);
                prop_assert!(clean.contains(REDACTED), "{clean}");
            }
        }

        #[test]
        fn a_secret_is_found_as_others_encode_it(secret in "[!-~]{8,40}", around in "[a-z ]{0,9}") {
            let json = serde_json::to_string(&secret).unwrap();
            let twice = serde_json::to_string(&json).unwrap();
            let percent = utf8_percent_encode(&secret, NON_ALPHANUMERIC).to_string();
            for encoded in [&secret, &json[1..json.len() - 1], &twice, &percent] {
                let clean = redact(&secret, &format!("{around} {encoded} {around}"));
                prop_assert!(clean.contains(REDACTED) && !clean.contains(secret.as_str()), "{clean}");
            }
        }
    }
}
