//! The log of requests that a simulator answered.

use std::collections::HashSet;
use std::sync::Arc;

use crate::time::Timestamp;

/// One request and how it was answered.
#[derive(Clone, Debug)]
pub struct RequestRecord {
    /// Counts up from 0 in the order of arrival, never reset.
    pub sequence: u64,
    pub method: Arc<str>,
    /// The path below `/api/1.0`, without the query.
    pub path: String,
    /// The path's template, such as `/tasks/{gid}/stories`; empty for an unknown path.
    pub endpoint: &'static str,
    /// Decoded parameters in the order they were sent.
    pub query: Vec<(Arc<str>, Arc<str>)>,
    /// 0 when the connection was broken before a status was sent.
    pub status: u16,
    /// The bearer token, empty when none was sent.
    pub token: Arc<str>,
    pub user_agent: Arc<str>,
    /// Virtual time of arrival.
    pub at: Timestamp,
    /// Rows in the answer; 1 for a single record, 0 for errors.
    pub rows: usize,
    /// The fault that was applied, as its rule's label.
    pub fault: Option<Arc<str>>,
}

impl RequestRecord {
    /// The first value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| &**key == name).map(|(_, value)| &**value)
    }
}

/// The log itself. Texts that repeat, such as long `opt_fields`, are kept once.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub records: Vec<RequestRecord>,
    pub next_sequence: u64,
    texts: HashSet<Arc<str>>,
}

impl Log {
    pub(crate) fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let text: Arc<str> = text.into();
        // Values that are mostly unique, such as offsets, are not worth keeping.
        if self.texts.len() < 10_000 {
            self.texts.insert(text.clone());
        }
        text
    }
}
