//! Where the secret comes from, and how it stays one: a type that cannot be printed, and the removal of what it
//! holds from any text. Knows no request but its own.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::encoded;
use super::fault::Fault;
use super::oauth::{Exchange, OAuth};

/// What stands where a secret stood.
const REDACTED: &str = "[redacted]";
/// A run of letters and digits of this length does not occur by chance. Asana's tokens end in one of 32.
const TELLING: usize = 16;
/// A secret shorter than this may be part of a gid or a time by chance.
const SHORT: usize = 8;
/// `&#x00000022;` is longer than what anybody writes.
const LONGEST_HTML_ESCAPE: usize = 12;

/// A secret text. It cannot be printed:
///
/// ```compile_fail
/// let secret = source_asana::asana::Secret::new("1/42:abc");
/// println!("{secret}");
/// ```
///
/// nor written into JSON:
///
/// ```compile_fail
/// let secret = source_asana::asana::Secret::new("1/42:abc");
/// let text = serde_json::to_string(&secret);
/// ```
///
/// and its debug output is the same for all:
///
/// ```
/// let secret = source_asana::asana::Secret::new("1/42:abc");
/// assert_eq!(format!("{secret:?}"), "Secret([redacted])");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Space around the text is dropped: it comes from copying, no token has any.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The secret itself, for the one place that sends it.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// The secret itself, for the platform that keeps it in the config.
    pub fn for_the_platform(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `text` without the secret: plain, escaped as URLs, forms, JSON or HTML do, once or several times, or in base64.
    pub fn redact(&self, text: &str) -> String {
        let mut forms = encoded::forms(&self.0);
        // No escape touches letters and digits, so the longest word covers the escapes not thought of.
        forms.extend(self.longest_word().filter(|word| word.len() >= TELLING).map(str::to_owned));
        let forms: Vec<&[u8]> = std::iter::once(&self.0).chain(&forms).map(String::as_bytes).collect();
        let mut clean = String::with_capacity(text.len());
        let mut place = 0;
        while let Some(next) = text[place..].chars().next() {
            let length = forms.iter().find_map(|form| found(text, place, form));
            match length {
                Some(_) => clean.push_str(REDACTED),
                None => clean.push(next),
            }
            place += length.unwrap_or(next.len_utf8());
            place = text.ceil_char_boundary(place);
        }
        clean
    }

    fn longest_word(&self) -> Option<&str> {
        self.0.split(|c: char| !c.is_ascii_alphanumeric()).max_by_key(|word| word.len())
    }
}

/// How long the secret is that stands at this place of `text`, or a beginning of it that is too long to occur by chance.
/// A short secret has to be a word of its own, or it would be found in gids and times.
fn found(text: &str, place: usize, secret: &[u8]) -> Option<usize> {
    let (before, text) = text.as_bytes().split_at(place);
    let mut length = 0;
    for (index, byte) in secret.iter().enumerate() {
        match escaped(&text[length..], *byte) {
            Some(more) => length += more,
            // The first of several backslashes has matched all of them.
            None if *byte == b'\\' && index > 0 && secret[index - 1] == b'\\' => {}
            None => return (index >= TELLING).then_some(length),
        }
    }
    let is_letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let is_word = !is_letter(before.last()) && !is_letter(text.get(length));
    (!secret.is_empty() && (secret.len() >= SHORT || is_word)).then_some(length)
}

/// How much of the beginning of `text` stands for this byte, plain or escaped.
fn escaped(text: &[u8], byte: u8) -> Option<usize> {
    if byte.is_ascii_alphanumeric() {
        return text.first()?.eq_ignore_ascii_case(&byte).then_some(1);
    }
    // JSON escapes with a backslash, JSON inside JSON with several.
    let slashes = text.iter().take_while(|byte| **byte == b'\\').count();
    let text = &text[slashes..];
    let length = match text {
        [b'u', digits @ ..] if slashes > 0 && number(digits.get(..4), 16) == Some(u32::from(byte)) => 5,
        [b'%', rest @ ..] if percent_encoded(rest, byte).is_some() => 1 + percent_encoded(rest, byte)?,
        [b'&', rest @ ..] if html_escaped(rest, byte).is_some() => 1 + html_escaped(rest, byte)?,
        [first, ..] if *first == byte => 1,
        [b'+', ..] if byte == b' ' => 1,
        _ if slashes > 0 && byte == b'\\' => 0,
        _ => return None,
    };
    Some(slashes + length)
}

/// How much of what follows a percent sign belongs to the escape of this byte; the percent sign may be escaped again.
fn percent_encoded(text: &[u8], byte: u8) -> Option<usize> {
    let again = text.chunks(2).take_while(|pair| *pair == b"25").count() * 2;
    match byte {
        b'%' if again > 0 => Some(again),
        _ => (number(text.get(again..again + 2), 16)? == u32::from(byte)).then_some(again + 2),
    }
}

/// How much of what follows an ampersand belongs to the escape of this byte.
fn html_escaped(text: &[u8], byte: u8) -> Option<usize> {
    let length = text.iter().take(LONGEST_HTML_ESCAPE).position(|byte| *byte == b';')?;
    let stands_for = match &text[..length] {
        b"quot" => u32::from(b'"'),
        b"amp" => u32::from(b'&'),
        b"lt" => u32::from(b'<'),
        b"gt" => u32::from(b'>'),
        b"apos" => u32::from(b'\''),
        [b'#', b'x' | b'X', digits @ ..] => number(Some(digits), 16)?,
        [b'#', digits @ ..] => number(Some(digits), 10)?,
        _ => return None,
    };
    (stands_for == u32::from(byte)).then_some(length + 1)
}

fn number(digits: Option<&[u8]>, radix: u32) -> Option<u32> {
    let digits = std::str::from_utf8(digits?).ok()?;
    u32::from_str_radix(digits, radix).ok()
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secret({REDACTED})")
    }
}

/// All secrets of a run, for their removal from any text. Clones share them, so that one which is learned in the
/// middle of a sync is kept from then on, wherever it might be told.
#[derive(Clone, Default)]
pub struct Secrets(Arc<RwLock<Vec<Secret>>>);

impl Secrets {
    pub fn learn(&self, secret: &Secret) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !secret.is_empty() && !known.contains(secret) {
            known.push(secret.clone());
        }
    }

    /// `text` without any of the secrets.
    pub fn redact(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().fold(text.to_owned(), |text, secret| secret.redact(&text))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secrets({REDACTED})")
    }
}

/// Where the token of a request comes from.
#[derive(Debug)]
pub enum TokenSource {
    /// A personal access token or that of a service account: it stays until it is revoked.
    Static(Secret),
    /// An app that a person allowed in.
    OAuth(OAuth),
}

/// What came of asking for another token after one was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// There is another token now.
    Renewed,
    /// This kind of token cannot be had again.
    NotPossible,
}

impl TokenSource {
    /// The token to send now.
    pub(super) async fn current(&self, exchange: Exchange<'_>) -> Result<Secret, Fault> {
        match self {
            Self::Static(token) => Ok(token.clone()),
            Self::OAuth(oauth) => oauth.current(exchange).await,
        }
    }

    /// Gets another token in place of one that Asana refused.
    pub(super) async fn renew(&self, refused: &Secret, exchange: Exchange<'_>) -> Result<Renewal, Fault> {
        match self {
            Self::Static(_) => Ok(Renewal::NotPossible),
            Self::OAuth(oauth) => oauth.renew(refused, exchange).await,
        }
    }

    /// Tells the secrets that this source begins with.
    pub(super) fn learn_by(&self, secrets: &Secrets) {
        match self {
            Self::Static(token) => secrets.learn(token),
            Self::OAuth(oauth) => oauth.learn_by(secrets),
        }
    }
}
