//! A request's target, split into path segments and decoded query parameters.

use std::borrow::Cow;

use crate::refusal::Refusal;
use crate::time::Timestamp;

/// The path below `/api/1.0` and the query of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pub pairs: Vec<(String, String)>,
}

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        Self { pairs: form_urlencoded::parse(text.as_bytes()).into_owned().collect() }
    }

    /// The first value of a parameter; an empty value counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn require(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::missing(name))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// An instant; `now` means the current time.
    pub(crate) fn time(&self, name: &str, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some("now") => Ok(Some(now)),
            Some(text) => match Timestamp::parse(text) {
                Some(time) => Ok(Some(time)),
                None => Err(Refusal::new(400, format!("{name}: Not a valid datetime: {text}"))),
            },
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(text) => Err(Refusal::new(400, format!("{name}: Not a valid boolean: {text}"))),
        }
    }

    /// The page size, if it was sent.
    pub(crate) fn limit(&self) -> Result<Option<usize>, Refusal> {
        match self.get("limit") {
            None => Ok(None),
            Some(text) => match text.parse() {
                Ok(limit @ 1..=100) => Ok(Some(limit)),
                _ => Err(Refusal::new(400, format!("limit: Must be between 1 and 100: {text}"))),
            },
        }
    }

    /// The query string of the next page: everything except the offset is unchanged.
    pub(crate) fn with_offset(&self, offset: &str) -> String {
        let mut serializer = form_urlencoded::Serializer::new(String::new());
        for (name, value) in self.pairs.iter().filter(|(name, _)| name != "offset") {
            serializer.append_pair(name, value);
        }
        serializer.append_pair("offset", offset);
        serializer.finish()
    }

    /// Every filter that bounds a listing, as text: an offset is only valid for its listing.
    pub(crate) fn scope(&self) -> Cow<'_, str> {
        let mut scope = String::new();
        for (name, value) in &self.pairs {
            if !matches!(name.as_str(), "offset" | "limit" | "opt_fields" | "opt_pretty") {
                scope.push_str(name);
                scope.push('=');
                scope.push_str(value);
                scope.push('&');
            }
        }
        Cow::Owned(scope)
    }
}
