//! Which stored records has this sync not seen yet? Whatever listing or search shows one proves that it exists; the others
//! may be deleted. What only a search or a user's own list shows counts like everything else.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::gid::Gid;
use crate::plan::{Plan, PlannedListing};
use crate::slice_key::SliceKey;
use crate::state::StreamState;
use crate::stream::{Deletions, Listing};
use crate::stream_set::{StreamId, StreamSet};

/// Which records of the tree decide whether the stored records of a stream exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// They are the records of the tree that have no parent.
    TopLevel,
    /// They are the records of the tree that have one.
    Nested,
    /// They are on such records, and are deleted with them.
    Attached,
}

/// What a record of the tree was seen as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenAs {
    Root,
    Node,
}

/// The stored records of all streams that report deletions by events.
#[derive(Debug, Default)]
pub struct Unseen {
    streams: Vec<Stored>,
    /// Records that left a parent: they are asked for unless they are seen elsewhere.
    to_check: HashSet<u64>,
}

#[derive(Debug)]
struct Stored {
    stream: StreamId,
    role: Role,
    /// The records that decide, and whether each was seen.
    records: HashMap<u64, bool>,
}

impl Unseen {
    /// `states` has the state of each of the plan's streams.
    pub fn new(plan: &Plan, states: &[StreamState]) -> Self {
        let ids = (0..plan.streams.len()).map(StreamId);
        let stored = |stream: StreamId| {
            let (planned, state) = (plan.stream(stream), &states[stream.0]);
            let is_by_events = matches!(planned.stream.deletions, Deletions::Events { .. });
            let is_stored = planned.reports_deletions && is_by_events && !state.listed().is_empty();
            is_stored.then(|| Stored::new(plan, stream, state))
        };
        let streams = ids.filter_map(stored);
        Self { streams: streams.collect(), to_check: HashSet::new() }
    }

    /// The streams with stored records.
    pub fn streams(&self) -> StreamSet {
        self.streams.iter().map(|stored| stored.stream).collect()
    }

    pub fn see(&mut self, gid: &Gid, seen_as: SeenAs) {
        let Some(number) = gid.number() else { return };
        for stored in &mut self.streams {
            let counts = match stored.role {
                Role::TopLevel => seen_as == SeenAs::Root,
                Role::Nested => seen_as == SeenAs::Node,
                Role::Attached => true,
            };
            if counts && let Some(is_seen) = stored.records.get_mut(&number) {
                *is_seen = true;
            }
        }
    }

    /// Marks a record that left its parent, or whose parent was deleted. It is asked for, unless this sync sees it.
    pub fn must_check(&mut self, gid: &Gid) {
        self.to_check.extend(gid.number());
    }

    /// The records of these streams that were not seen.
    pub fn of(&self, streams: StreamSet) -> BTreeSet<u64> {
        let stored = self.streams.iter().filter(|stored| streams.contains(stored.stream));
        stored
            .flat_map(|stored| &stored.records)
            .filter(|(_, is_seen)| !**is_seen)
            .map(|(gid, _)| *gid)
            .collect()
    }

    /// The records that left a parent and were not seen elsewhere.
    pub fn to_check(&self) -> BTreeSet<u64> {
        let is_unseen = |gid: &u64| self.streams.iter().any(|stored| stored.records.get(gid) == Some(&false));
        self.to_check.iter().copied().filter(is_unseen).collect()
    }

    /// The streams for which the record decides, and how.
    pub fn streams_of(&self, gid: u64) -> Vec<(StreamId, Role)> {
        let stored = self.streams.iter().filter(|stored| stored.records.contains_key(&gid));
        stored.map(|stored| (stored.stream, stored.role)).collect()
    }

    /// What each stream's records are in the tree.
    pub fn roles(&self) -> Vec<(StreamId, Role)> {
        self.streams.iter().map(|stored| (stored.stream, stored.role)).collect()
    }

    /// Whether no stream still waits to see the record. Also true if no stream stores it.
    pub fn is_not_awaited(&self, gid: u64) -> bool {
        self.streams.iter().all(|stored| stored.records.get(&gid) != Some(&false))
    }
}

impl Stored {
    fn new(plan: &Plan, stream: StreamId, state: &StreamState) -> Self {
        let role = role(plan, stream);
        let listed = state.listed();
        // What is listed below a slice's own record is not decided by a record of the tree.
        let is_in_tree = |parent: &u64| !state.has_events(&SliceKey::Object(Gid::Number(*parent)));
        let records: HashMap<u64, bool> = match role {
            Role::TopLevel | Role::Nested => listed.numbers().map(|gid| (gid, false)).collect(),
            Role::Attached => listed.parents().filter(is_in_tree).map(|gid| (gid, false)).collect(),
        };
        Self { stream, role, records }
    }
}

fn role(plan: &Plan, stream: StreamId) -> Role {
    let is_root_of = |listing: &PlannedListing| {
        listing.stream == stream && listing.tree.is_some_and(|tree| tree.stream != stream)
    };
    match plan.stream(stream).stream.listing {
        Listing::Tree(_) => Role::Nested,
        Listing::Root(_) | Listing::Each(_) if plan.listings.iter().any(is_root_of) => Role::TopLevel,
        Listing::Root(_) | Listing::Each(_) => Role::Attached,
    }
}
