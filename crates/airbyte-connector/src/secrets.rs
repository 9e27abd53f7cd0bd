//! Secrets: a type that cannot be printed, and the redaction of texts.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";
/// A run of letters and digits of this length does not occur by chance.
const TELLING_WORD: usize = 16;
/// Shorter pieces of base64 occur by chance.
const TELLING_BASE64: usize = 12;
/// A shorter secret, such as a client ID of three digits, is redacted only where it is a word of its own. Otherwise it would
/// make every other text unreadable.
const SHORT: usize = 8;
/// A text that was cut in the middle of a secret ends in its beginning. A shorter beginning reveals nothing.
const TELLING_BEGINNING: usize = 4;
/// A secret with fewer letters and digits is found as it is, but not where it is escaped.
const FEWEST_LETTERS: usize = 4;
/// Bytes that one character takes in any escape of URLs, forms, JSON or HTML, once or twice: `&#x00000022;`.
const LONGEST_ESCAPE: usize = 12;

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
    pub fn redact(&self, text: &str) -> String {
        let longest = words(&self.0).max_by_key(|word| word.len());
        let word = longest.filter(|word| word.len() >= TELLING_WORD).map(str::to_owned);
        let forms: Vec<String> = word.into_iter().chain(base64_forms(&self.0)).collect();
        let mut clean = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let before = text[..text.len() - rest.len()].chars().next_back();
            let form =
                || forms.iter().map(|form| same(form, rest)).max().filter(|length| *length >= TELLING_BASE64);
            let length = self.plain(rest, before).or_else(|| self.escaped(rest)).or_else(form);
            match length {
                Some(_) => clean.push_str(REDACTED),
                None => clean.push(c),
            }
            rest = &rest[length.unwrap_or(c.len_utf8())..];
        }
        clean
    }

    /// The length of the secret at the beginning of `rest`. `before` is the character before it.
    fn plain(&self, rest: &str, before: Option<char>) -> Option<usize> {
        let length = Some(same(&self.0, rest)).filter(|length| *length == self.0.len() && *length > 0)?;
        let joins = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let is_word = !joins(before) && !joins(rest[length..].chars().next());
        (!self.is_short() || is_word).then_some(length)
    }

    /// The length of the secret at the beginning of `rest`, or of a beginning of it that is too long to occur by chance.
    ///
    /// No escape changes letters and digits. So the words of the secret are searched in their order, with as much between
    /// them as an escape can take.
    fn escaped(&self, rest: &str) -> Option<usize> {
        if self.is_short() {
            return None;
        }
        // `plain` finds special characters before the first word.
        let secret = self.0.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let (mut position, mut ends, mut longest) = (0, vec![0], (0, 0));
        for word in words(secret) {
            let start = position + secret[position..].find(word)?;
            let special = &secret[position..start];
            if !special.is_empty() {
                let literal = ends.iter().map(|end| (same(special, &rest[*end..]), *end));
                let literal = literal.map(|(length, end)| (position + length, end + length));
                longest = literal.max().unwrap_or(longest);
                ends = after_escapes(special, rest, &ends);
            }
            let begun = ends.iter().map(|end| (same(word, &rest[*end..]), *end));
            let begun: Vec<(usize, usize)> = begun.filter(|(length, _)| *length > 0).collect();
            let partly = begun.iter().map(|(length, end)| (start + length, end + length));
            longest = partly.max().unwrap_or(longest);
            let whole = begun.iter().filter(|(length, _)| *length == word.len());
            ends = whole.map(|(length, end)| length + end).collect();
            if ends.is_empty() {
                let (matched, end) = longest;
                let needed = if end == rest.len() { TELLING_BEGINNING } else { TELLING_WORD };
                return (matched >= needed).then_some(end);
            }
            position = start + word.len();
        }
        let end = ends.into_iter().max()?;
        Some(end + same(&secret[position..], &rest[end..]))
    }

    /// Whether the secret has too few letters and digits to be searched in its escaped form.
    fn is_short(&self) -> bool {
        self.0.len() < SHORT || words(&self.0).map(str::len).sum::<usize>() < FEWEST_LETTERS
    }
}

/// The runs of ASCII letters and digits.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

/// The length of what both texts begin with, in any case.
fn same(expected: &str, text: &str) -> usize {
    let pairs = expected.chars().zip(text.chars()).take_while(|(a, b)| a.eq_ignore_ascii_case(b));
    pairs.map(|(a, _)| a.len_utf8()).sum()
}

/// Where the escapes of these special characters can end, if they begin at one of `starts`.
fn after_escapes(special: &str, rest: &str, starts: &[usize]) -> Vec<usize> {
    let has_space = special.contains(char::is_whitespace);
    let mut ends: Vec<usize> = Vec::new();
    for start in starts {
        let escaped = rest[*start..].char_indices();
        let escaped = escaped.take_while(|(index, c)| {
            *index < LONGEST_ESCAPE * special.len() && (has_space || !c.is_whitespace())
        });
        ends.extend(escaped.map(|(index, c)| start + index + c.len_utf8()));
    }
    ends.sort_unstable();
    ends.dedup();
    ends
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
        known.iter().fold(text.to_owned(), |text, secret| secret.redact(&text))
    }

    /// Whether a secret is in the text. Unlike [`Self::redact`], it does not take the text for one that was cut: it may
    /// end, by chance, in the characters with which a secret begins.
    pub fn occur_in(&self, text: &str) -> bool {
        let ended = format!("{text} ");
        self.redact(&ended) != ended
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secrets({REDACTED})")
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    const ASANA_TOKEN: &str = r#"2/1204/567:ab"c\d e+f|0123456789abcdef0123456789abcdef"#;
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
        assert_eq!(redact("ab \"cd\" & <e>", "x ab+%22cd\\\" &amp; &lt;e&gt; y"), "x [redacted]&gt; y");
    }

    #[test]
    fn a_text_that_was_cut_in_the_middle_of_a_secret_does_not_show_its_beginning() {
        assert_eq!(redact(TOKEN, "token=2/1204/567:0123456789abcde"), "token=[redacted]");
        assert_eq!(redact(TOKEN, "token=2%2F1204%2F5"), "token=[redacted]");
        assert_eq!(redact(TOKEN, "page 2"), "page 2");
    }

    #[test]
    fn a_text_that_ends_by_chance_like_a_secret_begins_has_no_secret_in_it() {
        let secrets = Secrets::default();
        secrets.learn(&Secret::new(TOKEN));
        let sync_token = "de4774f6915eae04714ca93b2f5e1204";
        assert_ne!(secrets.redact(sync_token), sync_token, "what may be cut is redacted");
        assert!(!secrets.occur_in(sync_token));
        for secret in [TOKEN, "sync=2%2F1204%2f567%3A0123456789abcdef", "0123456789abcdef"] {
            assert!(secrets.occur_in(secret), "{secret}");
        }
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
    fn every_form_of_an_asana_token_is_removed() {
        let url = "2%2F1204%2F567%3Aab%22c%5Cd%20e%2Bf%7C0123456789abcdef0123456789abcdef";
        let forms = [
            ASANA_TOKEN.to_owned(),
            url.to_owned(),
            url.to_lowercase(),
            url.replace("%2F", "/"),
            url.replace("%3A", ":"),
            url.replace("%20", "+"),
            url.replace('%', "%25"),
            serde_json::json!(ASANA_TOKEN).to_string().trim_matches('"').to_owned(),
            r#"2\/1204\/567:ab\"c\\d e+f|0123456789abcdef0123456789abcdef"#.to_owned(),
            r"2\u002f1204\u002f567\u003aab\u0022c\u005cd\u0020e\u002bf\u007c0123456789abcdef0123456789abcdef"
                .to_owned(),
            "2&#x2F;1204&#x2F;567:ab&quot;c\\d e+f|0123456789abcdef0123456789abcdef".to_owned(),
            format!("{ASANA_TOKEN:?}"),
            ASANA_TOKEN.to_uppercase(),
        ];
        let secret = Secret::new(ASANA_TOKEN);
        for before in ["", ":", "Bearer ", "user:"] {
            let bytes = format!("{before}{ASANA_TOKEN}!");
            for encoded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
                let clean = secret.redact(&encoded);
                assert!(clean.len() < before.len() * 2 + 16, "{encoded}: {clean}");
                assert!(clean.contains("[redacted]"), "{encoded}: {clean}");
            }
        }
        for form in &forms {
            let clean = secret.redact(&format!("before {form} between {form} after"));
            assert!(!clean.to_lowercase().contains("0123456789abcdef"), "{clean}");
            assert!(clean.starts_with("before ") && clean.contains(" between ") && clean.ends_with(" after"));
        }
        for form in &forms[..10] {
            assert_eq!(secret.redact(form), "[redacted]", "all of {form}");
        }
    }

    #[test]
    fn what_is_not_the_token_stays() {
        let secret = Secret::new(ASANA_TOKEN);
        let text = "GET /projects/1204/sections answered 403: Größe \"x\" %2F";
        assert_eq!(secret.redact(text), text);
        assert_eq!(Secret::new("").redact(text), text);
    }

    #[test]
    fn space_around_a_token_is_not_part_of_it() {
        assert!(Secret::new(" \n").is_empty());
        assert_eq!(Secret::new(" secret\n").redact("a secret is kept"), "a [redacted] is kept");
    }

    /// A server may quote a request only in part.
    #[test]
    fn the_beginning_of_a_long_secret_is_removed_too() {
        let secret = Secret::new(ASANA_TOKEN);
        for length in 16..ASANA_TOKEN.len() {
            assert_eq!(secret.redact(&format!("a {}… b", &ASANA_TOKEN[..length])), "a [redacted]… b");
        }
    }

    #[test]
    fn a_short_secret_is_removed_only_where_it_is_a_word() {
        let secret = Secret::new("1204");
        assert_eq!(secret.redact("project 12045, 91204 and 1204"), "project 12045, 91204 and [redacted]");
        assert_eq!(secret.redact("1204"), "[redacted]");
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
        fn a_secret_is_found_as_others_encode_it(secret in "[!-~]{0,12}[0-9A-Za-z]{4}[!-~]{4,24}", around in "[a-z ]{0,9}") {
            let json = serde_json::to_string(&secret).unwrap();
            let twice = serde_json::to_string(&json).unwrap();
            let percent = utf8_percent_encode(&secret, NON_ALPHANUMERIC).to_string();
            for encoded in [&secret, &json[1..json.len() - 1], &twice, &percent] {
                let clean = redact(&secret, &format!("{around} {encoded} {around}"));
                prop_assert!(clean.contains(REDACTED) && !clean.contains(secret.as_str()), "{clean}");
            }
        }

        #[test]
        fn no_escape_of_a_token_survives(
            head in "[0-9]/[0-9]{1,16}(/[0-9]{1,16})?:",
            tail in "[0-9a-f]{32}",
            before in ".{0,20}",
            after in ".{0,20}",
            escape in 0..4,
        ) {
            let token = format!("{head}{tail}");
            let form = match escape {
                0 => token.clone(),
                1 => token.replace('/', "%2F").replace(':', "%3a"),
                2 => token.replace('/', "\\/"),
                _ => serde_json::json!(token).to_string(),
            };
            let clean = Secret::new(&token).redact(&format!("{before}{form}{after}"));
            prop_assert!(!clean.contains(&tail), "{}", clean);
        }
    }
}
