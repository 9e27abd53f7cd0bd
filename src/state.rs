//! A stream's cursors, one for each slice: parsed, advanced, written. Pure: knows no clock, no HTTP and no
//! stdout.
//!
//! The code is shorter than 400 lines; its tests are the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::gid::Gid;
use crate::listed::Listed;
use crate::moment::Moment;
use crate::slice_key::SliceKey;

/// The form that this version writes. Older ones must parse for ever.
const VERSION: u64 = 3;

/// What a slice's cursor takes of that, and its token, as a rule.
const CURSOR_BYTES: usize = 22;
const TOKEN_BYTES: usize = 58;

/// What the count of dropped listings takes at most.
const COUNT_BYTES: usize = 35;

/// How far one stream has been read. A slice that is missing has never been read whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamState {
    cursors: BTreeMap<SliceKey, Moment>,
    /// Whether the last pass over the stream came to its end.
    is_complete: bool,
    /// From slice to where its events go on, and to nothing where its events could not be read.
    tokens: BTreeMap<SliceKey, Option<String>>,
    /// What each parent's last listing held, for streams that tell of deletions.
    listed: Listed,
    /// Slices that an earlier pass could read and this one has not reached: if they are refused now, that is news.
    before: BTreeSet<SliceKey>,
    /// How many parents' listings were dropped for lack of room, in all syncs since the stream was reset.
    forgotten: u64,
    /// When the records that the state knows were last compared with what exists; `None` after a gap in the events.
    compared: Option<Moment>,
    /// Records, or parents of records, that exist and that no listing shows.
    out_of_sight: BTreeSet<u64>,
    /// The latest version of a record that was emitted.
    emitted_until: Option<Moment>,
}

/// The state as JSON: slices are grouped by cursor, because most share one, and the rest is nineteen bytes each.
#[derive(Serialize)]
struct Written<'a> {
    version: u64,
    /// `true` at the end of a pass: a full refresh starts over, an incremental sync goes on from the cursors.
    complete: bool,
    /// From cursor to the slices that have it: gids, `workspace/user` for a user's own tasks.
    slices: BTreeMap<String, Vec<&'a SliceKey>>,
    /// From slice to its sync token of Asana's events.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tokens: BTreeMap<&'a SliceKey, &'a str>,
    /// Slices whose events could never be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    without_events: Vec<&'a SliceKey>,
    /// From parent to the gids that its listing held.
    #[serde(skip_serializing_if = "Listed::is_empty")]
    listed: &'a Listed,
    /// Slices that an earlier pass could read and this one has not reached.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    before: &'a BTreeSet<SliceKey>,
    /// How many parents' listings were dropped for lack of room.
    #[serde(skip_serializing_if = "is_zero")]
    forgotten: u64,
    /// When what is listed was last compared with what exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<String>,
    /// What exists and no listing shows.
    #[serde(skip_serializing_if = "Listed::is_empty")]
    out_of_sight: Listed,
    /// The latest version of a record that was emitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    emitted_until: Option<String>,
    /// When this was written; it also makes any two states differ.
    written_at: String,
}

/// The same, as any version wrote it.
#[derive(Deserialize)]
struct Found {
    complete: bool,
    slices: BTreeMap<String, Vec<SliceKey>>,
    #[serde(default)]
    tokens: BTreeMap<SliceKey, String>,
    #[serde(default)]
    without_events: Vec<SliceKey>,
    #[serde(default)]
    listed: Listed,
    /// `listed` in the words of version 1.
    #[serde(default)]
    known: BTreeMap<String, BTreeSet<String>>,
    #[serde(default)]
    before: BTreeSet<SliceKey>,
    #[serde(default)]
    forgotten: u64,
    #[serde(default)]
    compared: Option<String>,
    #[serde(default)]
    out_of_sight: Listed,
    #[serde(default)]
    emitted_until: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
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
        let found = Found::deserialize(value).map_err(|error| Unusable::Broken(error.to_string()))?;
        let mut cursors = BTreeMap::new();
        for (cursor, slices) in found.slices {
            let moment = Moment::parse(&cursor)
                .ok_or_else(|| Unusable::Broken("a cursor is not a time".to_owned()))?;
            cursors.extend(slices.into_iter().map(|slice| (slice, moment)));
        }
        let moment = |text: String| {
            Moment::parse(&text).ok_or_else(|| Unusable::Broken(format!("{text} is not a time")))
        };
        let mut listed = found.listed;
        for (parent, gids) in found.known {
            listed.set(&Gid::new(&parent), gids.iter().map(|gid| Gid::new(gid)).collect());
        }
        let with_tokens = found.tokens.into_iter().map(|(slice, token)| (slice, Some(token)));
        let without = found.without_events.into_iter().map(|slice| (slice, None));
        Ok(Self {
            cursors,
            is_complete: found.complete,
            tokens: with_tokens.chain(without).collect(),
            listed,
            before: found.before,
            forgotten: found.forgotten,
            compared: found.compared.map(moment).transpose()?,
            out_of_sight: found.out_of_sight.numbers().collect(),
            emitted_until: found.emitted_until.map(moment).transpose()?,
        })
    }

    /// The state as JSON text on one line of at most so many bytes, as far as dropping what listings held can make it so.
    pub fn to_json_within(&mut self, most_bytes: usize, now: Moment) -> Box<RawValue> {
        loop {
            let text = self.to_json(now);
            let excess = text.get().len().saturating_sub(most_bytes);
            if excess == 0 || self.listed.is_empty() {
                return text;
            }
            // The count of what was dropped may take more digits than before.
            self.forgotten += self.listed.drop_bytes(excess + COUNT_BYTES);
        }
    }

    /// The state as JSON text on one line.
    pub fn to_json(&self, now: Moment) -> Box<RawValue> {
        let mut slices: BTreeMap<String, Vec<&SliceKey>> = BTreeMap::new();
        for (slice, cursor) in &self.cursors {
            slices.entry(cursor.to_string()).or_default().push(slice);
        }
        let mut out_of_sight = Listed::default();
        if !self.out_of_sight.is_empty() {
            out_of_sight
                .set(&Gid::Number(0), self.out_of_sight.iter().map(|gid| Gid::Number(*gid)).collect());
        }
        let without = self.tokens.iter().filter(|(_, token)| token.is_none());
        let written = Written {
            version: VERSION,
            complete: self.is_complete,
            slices,
            tokens: self
                .tokens
                .iter()
                .filter_map(|(slice, token)| Some((slice, token.as_deref()?)))
                .collect(),
            without_events: without.map(|(slice, _)| slice).collect(),
            listed: &self.listed,
            before: &self.before,
            forgotten: self.forgotten,
            compared: self.compared.map(|at| at.to_string()),
            out_of_sight,
            emitted_until: self.emitted_until.map(|at| at.to_string()),
            written_at: now.to_string(),
        };
        to_raw_value(&written).expect("a state is plain data")
    }

    pub fn cursor(&self, slice: &SliceKey) -> Option<Moment> {
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

    /// Whether the slice was read whole, in this pass or an earlier one.
    pub fn was_read(&self, slice: &SliceKey) -> bool {
        self.cursors.contains_key(slice) || self.before.contains(slice)
    }

    /// The oldest cursor of all slices.
    pub fn oldest(&self) -> Option<Moment> {
        self.cursors.values().min().copied()
    }

    /// Makes the slice be read whole again.
    pub fn forget(&mut self, slice: &SliceKey) {
        self.cursors.remove(slice);
    }

    /// Where the slice's events go on.
    pub fn token(&self, slice: &SliceKey) -> Option<&str> {
        self.tokens.get(slice)?.as_deref()
    }

    pub fn set_token(&mut self, slice: &SliceKey, token: String) {
        self.tokens.insert(slice.clone(), Some(token));
    }

    /// The slice has events that cannot be read now. A token stays.
    pub fn lack_events(&mut self, slice: &SliceKey) {
        self.tokens.entry(slice.clone()).or_default();
    }

    /// Whether the slice is an object that has events, whether or not they could be read.
    pub fn has_events(&self, slice: &SliceKey) -> bool {
        self.tokens.contains_key(slice)
    }

    /// What each parent's last listing held, as far as it was not found to be deleted.
    pub fn listed(&self) -> &Listed {
        &self.listed
    }

    pub fn listed_mut(&mut self) -> &mut Listed {
        &mut self.listed
    }

    /// Drops what the listings of the oldest parents held, as far as the state would be larger than so many bytes with it.
    pub fn stay_small(&mut self, most_bytes: usize) {
        let others = self.cursors.len() * CURSOR_BYTES + self.tokens.len() * TOKEN_BYTES;
        self.forgotten += self.listed.trim(most_bytes.saturating_sub(others));
    }

    /// How many parents' listings were dropped for lack of room, in all syncs since the stream was reset.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The same without what the listings held.
    pub fn without_listed(&self) -> Self {
        Self {
            cursors: self.cursors.clone(),
            is_complete: self.is_complete,
            tokens: self.tokens.clone(),
            listed: Listed::default(),
            before: self.before.clone(),
            forgotten: self.forgotten,
            compared: self.compared,
            out_of_sight: BTreeSet::new(),
            emitted_until: self.emitted_until,
        }
    }

    /// The latest version of a record that was emitted.
    pub fn emitted_until(&self) -> Option<Moment> {
        self.emitted_until
    }

    pub fn emit_until(&mut self, version: Moment) {
        self.emitted_until = self.emitted_until.max(Some(version));
    }

    /// When the records that the state knows were last compared with what exists; `None` after a gap in the events.
    pub fn compared(&self) -> Option<Moment> {
        self.compared
    }

    /// The records that the state knows are compared with what exists, or have to be for want of events.
    pub fn set_compared(&mut self, at: Option<Moment>) {
        self.compared = at;
    }

    /// Records, or parents of records, that exist and that no listing shows.
    pub fn out_of_sight(&self) -> &BTreeSet<u64> {
        &self.out_of_sight
    }

    pub fn out_of_sight_mut(&mut self) -> &mut BTreeSet<u64> {
        &mut self.out_of_sight
    }

    /// Objects that have events, whether or not they could be read.
    pub fn objects_with_events(&self) -> impl Iterator<Item = &Gid> {
        self.tokens.keys().filter_map(|key| match key {
            SliceKey::Object(object) => Some(object),
            SliceKey::Root
            | SliceKey::InWorkspace { .. }
            | SliceKey::Search { .. }
            | SliceKey::Unlisted { .. }
            | SliceKey::Access { .. } => None,
        })
    }

    /// The object has no events any more.
    pub fn drop_token(&mut self, slice: &SliceKey) {
        self.tokens.remove(slice);
    }

    /// A new pass begins; what the last one left stays until it is overtaken.
    pub fn begin(&mut self) {
        self.is_complete = false;
    }

    /// A new pass begins from nothing, and remembers only what could be read before.
    pub fn start_over(&mut self) {
        let mut before = std::mem::take(&mut self.before);
        before.extend(std::mem::take(&mut self.cursors).into_keys());
        *self = Self { before, emitted_until: self.emitted_until, ..Self::default() };
    }

    /// The slice was read whole, and what changes after `cursor` is still to be read.
    pub fn advance(&mut self, slice: &SliceKey, cursor: Moment) {
        self.cursors.insert(slice.clone(), cursor);
        self.before.remove(slice);
    }

    /// The pass came to its end. Slices that it did not meet are forgotten, so that one which comes back is
    /// read whole; what their listings held is not, so that it is then known what went meanwhile.
    pub fn complete(&mut self, was_met: impl Fn(&SliceKey) -> bool) {
        self.cursors.retain(|slice, _| was_met(slice));
        // It tells that what is listed below an object was in a slice.
        let listed = &self.listed;
        let is_listed =
            |slice: &SliceKey| matches!(slice, SliceKey::Object(object) if listed.count(object).is_some());
        self.tokens.retain(|slice, _| was_met(slice) || is_listed(slice));
        self.before.retain(|slice| was_met(slice));
        self.is_complete = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const STATE_LIMIT_BYTES: usize = 900_000;

    fn as_json(state: &StreamState, now: u64) -> Value {
        serde_json::from_str(state.to_json(at(now)).get()).unwrap()
    }

    fn key(text: &str) -> SliceKey {
        SliceKey::parse(text)
    }

    fn at(milliseconds: u64) -> Moment {
        Moment::from_unix_milliseconds(milliseconds)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            cursors in proptest::collection::btree_map("[0-9]{1,19}(/[0-9]{1,19})?", 0_u64..4_000_000_000_000, 0..40),
            is_complete: bool,
            tokens in proptest::collection::btree_map("[0-9]{1,19}", proptest::option::of("[0-9a-f]{32}"), 0..10),
            known in proptest::collection::btree_map(
                0..1_u64 << 63, proptest::collection::btree_set(0..1_u64 << 63, 0..5), 0..5),
            before in proptest::collection::btree_set("[0-9]{1,19}", 0..5),
            forgotten: u64,
            compared in proptest::option::of(0_u64..4_000_000_000_000),
            emitted_until in proptest::option::of(0_u64..4_000_000_000_000),
            out_of_sight in proptest::collection::btree_set(0..1_u64 << 63, 0..5),
        ) {
            let cursors =
                cursors.into_iter().map(|(slice, milliseconds)| (key(&slice), at(milliseconds))).collect();
            let tokens = tokens.into_iter().map(|(slice, token)| (key(&slice), token)).collect();
            let before = before.iter().map(|slice| key(slice)).collect();
            let mut listed = Listed::default();
            for (parent, gids) in known {
                listed.set(&Gid::Number(parent), gids.into_iter().map(Gid::Number).collect());
            }
            let (compared, emitted_until) = (compared.map(at), emitted_until.map(at));
            let state =
                StreamState { cursors, is_complete, tokens, listed, before, forgotten, compared, out_of_sight, emitted_until };
            prop_assert_eq!(StreamState::parse(&as_json(&state, 5)).unwrap(), state);
        }

        #[test]
        fn the_order_in_which_slices_end_does_not_matter(
            slices in proptest::collection::btree_map("[0-9]{1,5}", 0_u64..1000, 0..20), seed: u64,
        ) {
            let slices: Vec<_> = slices.into_iter().collect();
            let mut forwards = StreamState::default();
            slices.iter().for_each(|(slice, cursor)| forwards.advance(&key(slice), at(*cursor)));
            let mut turned = slices.clone();
            turned.rotate_left(if slices.is_empty() { 0 } else { seed as usize % slices.len() });
            let mut otherwise = StreamState::default();
            turned.iter().for_each(|(slice, cursor)| otherwise.advance(&key(slice), at(*cursor)));
            prop_assert_eq!(forwards, otherwise);
        }
    }

    #[test]
    fn version_three_looks_like_this_for_ever() {
        let mut state = StreamState::default();
        state.advance(&key("1201"), at(1_767_225_600_000));
        state.advance(&key("1202/1301"), at(1_767_225_600_000));
        state.set_token(&key("1201"), "0123".to_owned());
        state.listed_mut().set(&Gid::new("1201"), [Gid::new("1300")].into_iter().collect());
        state.set_compared(Some(at(1_767_225_600_000)));
        state.out_of_sight_mut().insert(1201);
        state.emit_until(at(1_767_225_600_000));
        assert_eq!(
            as_json(&state, 1_767_225_660_000),
            json!({"version": 3, "complete": false,
                "slices": {"2026-01-01T00:00:00.000Z": ["1201", "1202/1301"]},
                "tokens": {"1201": "0123"}, "listed": "sQkBxgE", "compared": "2026-01-01T00:00:00.000Z", "out_of_sight": "AAHiEg",
                "emitted_until": "2026-01-01T00:00:00.000Z",
                "written_at": "2026-01-01T00:01:00.000Z"})
        );
    }

    #[test]
    fn slices_without_events_look_like_this_for_ever() {
        let mut state = StreamState::default();
        state.set_token(&key("1201"), "0123".to_owned());
        state.lack_events(&key("1201"));
        state.lack_events(&key("1202"));
        let json = as_json(&state, 0);
        assert_eq!((&json["tokens"], &json["without_events"]), (&json!({"1201": "0123"}), &json!(["1202"])));
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
        assert_eq!(StreamState::parse(&json!({"version": 4, "anything": 1})), Err(Unusable::Newer(4)));
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
            state.advance(
                &SliceKey::Object(Gid::Number(1_201_234_567_890_123 + project)),
                at(project / 5 * 1000),
            );
            state.set_token(
                &SliceKey::Object(Gid::Number(1_201_234_567_890_123 + project)),
                "0123456789abcdef".repeat(2),
            );
        }
        let size = state.to_json(at(0)).get().len();
        assert!(size < 800_000, "{size} bytes");
        // And whatever hangs on their tasks: what does not fit is forgotten, the oldest first.
        let gid = |number: u64| Gid::Number(1_211_234_567_890_123 + number * 987_654_321);
        for task in 0..20_000 {
            state.listed_mut().set(&gid(20 * task), (20 * task + 1..20 * task + 7).map(gid).collect());
            state.stay_small(STATE_LIMIT_BYTES);
        }
        let before = state.forgotten();
        assert!(before > 0);
        let size = state.to_json_within(STATE_LIMIT_BYTES, at(0)).get().len();
        assert!((850_000..=STATE_LIMIT_BYTES).contains(&size), "{size} bytes");
        let size = state.to_json_within(850_000, at(0)).get().len();
        assert!(size <= 850_000, "{size} bytes");
        assert!(state.forgotten() > before);
        assert_eq!(state.listed().count(&gid(0)), None);
        assert_eq!(state.listed().count(&gid(20 * 19_999)), Some(6));
    }

    #[test]
    fn what_a_listing_held_is_also_read_as_version_one_has_it() {
        let state = json!({"version": 1, "complete": true, "slices": {}, "written_at": "",
            "known": {"1201": ["1301", "1302"]}});
        let state = StreamState::parse(&state).unwrap();
        assert_eq!(state.listed().count(&Gid::new("1201")), Some(2));
        assert_eq!(state.listed().holds(&Gid::new("1201"), &Gid::new("1302")), Some(true));
    }

    #[test]
    fn a_pass_from_nothing_remembers_what_could_be_read() {
        let mut state = StreamState::default();
        state.advance(&key("1"), at(1));
        state.advance(&key("2"), at(1));
        for _ in 0..2 {
            state.start_over();
            assert_eq!(state.cursor(&key("1")), None);
            assert!(state.was_read(&key("1")) && state.was_read(&key("2")) && !state.was_read(&key("3")));
            state.advance(&key("2"), at(2));
            state = StreamState::parse(&as_json(&state, 3)).unwrap();
        }
        state.complete(|slice| *slice == key("2"));
        assert!(state.was_read(&key("2")) && !state.was_read(&key("1")));
    }

    #[test]
    fn a_slice_that_a_pass_did_not_meet_is_forgotten() {
        let mut state = StreamState::default();
        state.advance(&key("1"), at(1));
        state.advance(&key("2"), at(1));
        state.complete(|slice| *slice == key("1"));
        assert_eq!(
            (state.cursor(&key("1")), state.cursor(&key("2")), state.is_complete()),
            (Some(at(1)), None, true)
        );
    }
}
