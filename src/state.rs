//! A stream's cursors, one for each slice: parsed, advanced, written. Pure: knows no clock, no HTTP and no
//! stdout.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::moment::Moment;

/// The form that this version writes. Older ones must parse for ever.
const VERSION: u64 = 1;

/// How far one stream has been read. A slice that is missing has never been read whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamState {
    cursors: BTreeMap<String, Moment>,
    /// Whether the last pass over the stream came to its end.
    is_complete: bool,
}

/// The state as JSON: slices are grouped by cursor, because most share one, and the rest is nineteen bytes each.
#[derive(Serialize, Deserialize)]
struct Written {
    version: u64,
    /// `true` at the end of a pass: a full refresh starts over, an incremental sync goes on from the cursors.
    complete: bool,
    /// From cursor to the slices that have it: gids, `workspace/user` for a user's own tasks.
    slices: BTreeMap<String, Vec<String>>,
    /// When this was written; it also makes any two states differ.
    written_at: String,
}

/// Why a state that a platform handed back cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// Another connector's, or a placeholder that a platform put there: read the stream from its beginning.
    Foreign,
    /// A later version wrote it, and reading on might lose records.
    Newer(u64),
    /// It says it is ours and is not.
    Broken(String),
}

impl fmt::Display for Unusable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => formatter.write_str("was not written by this connector"),
            Self::Newer(version) => {
                write!(
                    formatter,
                    "has version {version}, and this connector knows {VERSION}: use the newer connector or reset the stream"
                )
            }
            Self::Broken(why) => write!(formatter, "cannot be read ({why}): reset the stream"),
        }
    }
}

impl StreamState {
    pub fn parse(value: &Value) -> Result<Self, Unusable> {
        let Some(version) = value.get("version").and_then(Value::as_u64) else {
            return Err(Unusable::Foreign);
        };
        if version > VERSION {
            return Err(Unusable::Newer(version));
        }
        let written = Written::deserialize(value).map_err(|error| Unusable::Broken(error.to_string()))?;
        let mut cursors = BTreeMap::new();
        for (cursor, slices) in written.slices {
            let moment = Moment::parse(&cursor)
                .ok_or_else(|| Unusable::Broken("a cursor is not a time".to_owned()))?;
            cursors.extend(slices.into_iter().map(|slice| (slice, moment)));
        }
        Ok(Self { cursors, is_complete: written.complete })
    }

    pub fn to_json(&self, now: Moment) -> Value {
        let mut slices: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (slice, cursor) in &self.cursors {
            slices.entry(cursor.to_string()).or_default().push(slice.clone());
        }
        let written =
            Written { version: VERSION, complete: self.is_complete, slices, written_at: now.to_string() };
        serde_json::to_value(written).expect("a state is plain data")
    }

    pub fn cursor(&self, slice: &str) -> Option<Moment> {
        self.cursors.get(slice).copied()
    }

    /// The cursor that the last pass gave to the slices that it read.
    pub fn latest_cursor(&self) -> Option<Moment> {
        self.cursors.values().max().copied()
    }

    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Whether nothing of the stream was ever read.
    pub fn is_empty(&self) -> bool {
        self.cursors.is_empty()
    }

    /// A new pass begins; what the last one left stays until it is overtaken.
    pub fn begin(&mut self) {
        self.is_complete = false;
    }

    /// The slice was read whole, and what changes after `cursor` is still to be read.
    pub fn advance(&mut self, slice: &str, cursor: Moment) {
        self.cursors.insert(slice.to_owned(), cursor);
    }

    /// The pass came to its end. Slices that it did not meet are forgotten, so that one which comes back is
    /// read whole.
    pub fn complete(&mut self, was_met: impl Fn(&str) -> bool) {
        self.cursors.retain(|slice, _| was_met(slice));
        self.is_complete = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn at(milliseconds: u64) -> Moment {
        Moment::from_unix_milliseconds(milliseconds)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            cursors in proptest::collection::btree_map("[0-9]{1,19}(/[0-9]{1,19})?", 0_u64..4_000_000_000_000, 0..40),
            is_complete: bool,
        ) {
            let cursors = cursors.into_iter().map(|(slice, milliseconds)| (slice, at(milliseconds))).collect();
            let state = StreamState { cursors, is_complete };
            prop_assert_eq!(StreamState::parse(&state.to_json(at(5))).unwrap(), state);
        }

        #[test]
        fn the_order_in_which_slices_end_does_not_matter(
            slices in proptest::collection::btree_map("[0-9]{1,5}", 0_u64..1000, 0..20), seed: u64,
        ) {
            let slices: Vec<_> = slices.into_iter().collect();
            let mut forwards = StreamState::default();
            slices.iter().for_each(|(slice, cursor)| forwards.advance(slice, at(*cursor)));
            let mut turned = slices.clone();
            turned.rotate_left(if slices.is_empty() { 0 } else { seed as usize % slices.len() });
            let mut otherwise = StreamState::default();
            turned.iter().for_each(|(slice, cursor)| otherwise.advance(slice, at(*cursor)));
            prop_assert_eq!(forwards, otherwise);
        }
    }

    #[test]
    fn version_one_looks_like_this_for_ever() {
        let mut state = StreamState::default();
        state.advance("1201", at(1_767_225_600_000));
        state.advance("1202/1301", at(1_767_225_600_000));
        assert_eq!(
            state.to_json(at(1_767_225_660_000)),
            json!({"version": 1, "complete": false,
                "slices": {"2026-01-01T00:00:00.000Z": ["1201", "1202/1301"]},
                "written_at": "2026-01-01T00:01:00.000Z"})
        );
    }

    #[test]
    fn other_connectors_states_and_placeholders_are_foreign() {
        for foreign in [
            json!({}),
            json!({"__ab_no_cursor_state_message": true}),
            json!({"__ab_full_refresh_sync_complete": true}),
            json!({"modified_at": "2024-01-01T00:00:00Z"}),
            json!(null),
            json!([1]),
        ] {
            assert_eq!(StreamState::parse(&foreign), Err(Unusable::Foreign), "{foreign}");
        }
    }

    #[test]
    fn a_newer_or_broken_state_is_not_read_as_none() {
        assert_eq!(StreamState::parse(&json!({"version": 2, "anything": 1})), Err(Unusable::Newer(2)));
        for broken in [
            json!({"version": 1}),
            json!({"version": 1, "complete": true, "slices": {"soon": ["1"]}, "written_at": ""}),
        ] {
            assert!(matches!(StreamState::parse(&broken), Err(Unusable::Broken(_))), "{broken}");
        }
    }

    #[test]
    fn ten_thousand_projects_stay_well_under_a_megabyte() {
        let mut state = StreamState::default();
        for project in 0..10_000_u64 {
            // A sync of half an hour, each project at its own second.
            state.advance(&format!("{}", 1_201_234_567_890_123 + project), at(project / 5 * 1000));
        }
        let size = state.to_json(at(0)).to_string().len();
        assert!(size < 400_000, "{size} bytes");
    }

    #[test]
    fn a_slice_that_a_pass_did_not_meet_is_forgotten() {
        let mut state = StreamState::default();
        state.advance("1", at(1));
        state.advance("2", at(1));
        state.complete(|slice| slice == "1");
        assert_eq!((state.cursor("1"), state.cursor("2"), state.is_complete()), (Some(at(1)), None, true));
    }
}
