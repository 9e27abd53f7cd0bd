//! Where the secret comes from, and how it stays one: a type that cannot be printed, and the removal of what it
//! holds from any text. Knows no request but its own.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::encoded;
use super::fault::Fault;
use super::oauth::{Exchange, OAuth};

/// What stands where a secret stood.
const REDACTED: &str = "[redacted]";
/// A run of letters and digits of this length does not occur by chance. Asana's tokens end in one of 32.
const TELLING: usize = 16;

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

    /// `text` without the secret, plain, escaped as URLs, forms, JSON or HTML do, or in base64.
    pub fn redact(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for form in self.forms().iter().filter(|form| !form.is_empty()) {
            clean = without(&clean, form);
        }
        clean
    }

    /// The longest first, since one form can be a part of another.
    fn forms(&self) -> Vec<String> {
        let escapes: [fn(char) -> String; 11] = [
            |c| c.to_string(),
            percent_encoded,
            |c| percent_encoded(c).replace('%', "%25"),
            |c| if c == ' ' { "+".to_owned() } else { percent_encoded(c) },
            |c| if c == '/' { c.to_string() } else { percent_encoded(c) },
            |c| if c == ':' { c.to_string() } else { percent_encoded(c) },
            |c| if matches!(c, '"' | '\\') { format!("\\{c}") } else { c.to_string() },
            |c| if matches!(c, '/' | '"' | '\\') { format!("\\{c}") } else { c.to_string() },
            // JSON inside JSON.
            |c| match c {
                '"' => r#"\\\""#.to_owned(),
                '\\' => r"\\\\".to_owned(),
                c => c.to_string(),
            },
            |c| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
            |c| format!("&#x{:x};", u32::from(c)),
        ];
        let mut forms: Vec<String> = escapes
            .iter()
            .map(|escape| {
                let each = self.0.chars().map(|c| match c.is_ascii_alphanumeric() {
                    true => c.to_string(),
                    false => escape(c),
                });
                each.collect()
            })
            .collect();
        // No escape touches letters and digits, so this covers the ones not thought of.
        forms.extend(self.longest_word().filter(|word| word.len() >= TELLING).map(str::to_owned));
        forms.extend(encoded::forms(&self.0));
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.dedup();
        forms
    }

    fn longest_word(&self) -> Option<&str> {
        self.0.split(|c: char| !c.is_ascii_alphanumeric()).max_by_key(|word| word.len())
    }
}

fn percent_encoded(c: char) -> String {
    utf8_percent_encode(c.encode_utf8(&mut [0; 4]), NON_ALPHANUMERIC).to_string()
}

/// Removes each occurrence, whatever the case of its letters: escapes are written `%2F` and `%2f`.
fn without(text: &str, secret: &str) -> String {
    let (haystack, needle) = (text.to_ascii_lowercase(), secret.to_ascii_lowercase());
    let mut clean = String::with_capacity(text.len());
    let mut end = 0;
    for (start, found) in haystack.match_indices(&needle) {
        clean.push_str(&text[end..start]);
        clean.push_str(REDACTED);
        end = start + found.len();
    }
    clean.push_str(&text[end..]);
    clean
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
