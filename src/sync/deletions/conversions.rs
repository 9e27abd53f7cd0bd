//! When does a record leave its stream without being deleted? A task that becomes a subtask is in another stream from then
//! on, and the other way round. Its row in the stream that it left gets a tombstone, or it would be in both for ever.

use std::collections::{BTreeSet, HashSet};

use crate::gid::Gid;
use crate::plan::{Plan, PlannedListing};
use crate::state::StreamState;
use crate::stream_set::StreamId;

/// Records that listings held before this sync, of streams whose records can move to one another.
#[derive(Debug, Default)]
pub struct Conversions {
    /// A stream, and what its listings held.
    held: Vec<(StreamId, HashSet<u64>)>,
    /// Streams that exchange records.
    pairs: Vec<(StreamId, StreamId)>,
}

impl Conversions {
    /// `states` has the state of each of the plan's streams.
    pub fn new(plan: &Plan, states: &[StreamState]) -> Self {
        let pair = |listing: &PlannedListing| {
            let tree = listing.tree.filter(|tree| tree.stream != listing.stream)?;
            Some((listing.stream, tree.stream))
        };
        let pairs: BTreeSet<_> = plan.listings.iter().filter_map(pair).collect();
        let pairs: Vec<_> = pairs.into_iter().collect();
        let both: BTreeSet<_> = pairs.iter().flat_map(|(roots, nodes)| [*roots, *nodes]).collect();
        let reported = both.into_iter().filter(|id| plan.stream(*id).reports_deletions);
        let held = reported.map(|id| (id, states[id.0].listed().numbers().collect()));
        Self { held: held.collect(), pairs }
    }

    /// The stream that a record was in before it was listed in `stream`, and nothing when asked once more.
    pub fn take_former_stream(&mut self, stream: StreamId, gid: &Gid) -> Option<StreamId> {
        let number = gid.number()?;
        let other = self.pairs.iter().find_map(|(roots, nodes)| match stream {
            stream if stream == *roots => Some(*nodes),
            stream if stream == *nodes => Some(*roots),
            _ => None,
        })?;
        let (_, held) = self.held.iter_mut().find(|(id, _)| *id == other)?;
        held.remove(&number).then_some(other)
    }
}
