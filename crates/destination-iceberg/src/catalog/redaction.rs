//! Text that a server sent, which can be printed only without the secrets that were sent to it. Knows no protocol.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// What stands in place of a secret.
const REDACTED: &str = "…";
/// Shorter ones are no secrets, and would blot out words.
const SHORTEST_SECRET: usize = 4;

/// The secrets of one client: those of the config, and every token since.
#[derive(Default)]
pub struct Secrets(Mutex<Vec<String>>);

/// What a server said. It is made by `Secrets::redact` alone, so it holds none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerText(String);

impl fmt::Display for ServerText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl ServerText {
    /// The text with a sentence of ours behind it.
    pub fn followed_by(self, sentence: &str) -> Self {
        Self(format!("{}. {sentence}", self.0.trim_end_matches('.')))
    }
}

impl Secrets {
    /// Remembers a secret in each spelling in which a server could repeat it.
    pub fn add(&self, secret: &str) {
        if secret.len() < SHORTEST_SECRET {
            return;
        }
        let json = serde_json::Value::from(secret).to_string();
        let form: String = reqwest::Url::parse_with_params("http://h/", [("k", secret)]).map_or_else(
            |_| String::new(),
            |url| url.query().and_then(|query| query.strip_prefix("k=")).unwrap_or_default().to_owned(),
        );
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for spelled in [secret.to_owned(), json.trim_matches('"').to_owned(), form] {
            if !spelled.is_empty() && !known.contains(&spelled) {
                known.push(spelled);
            }
        }
        // A secret that is part of another must not leave the rest of it.
        known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// The beginning of a server's text without the secrets.
    pub fn redact(&self, text: &str) -> ServerText {
        const ENOUGH: usize = 500;
        let mut text = text.to_owned();
        for secret in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            text = text.replace(secret.as_str(), REDACTED);
        }
        ServerText(text.chars().take(ENOUGH).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_secret_is_redacted_before_the_text_is_cut() {
        let secrets = Secrets::default();
        secrets.add(r#"pa"ss word"#);
        secrets.add("token-123");
        let said = r#"raw pa"ss word, JSON pa\"ss word, form pa%22ss+word, Bearer token-123."#;
        assert_eq!(secrets.redact(said).to_string(), "raw …, JSON …, form …, Bearer ….");
        let long = format!("{}token-123", "x".repeat(495));
        assert!(!secrets.redact(&long).to_string().contains("token"));
    }
}
