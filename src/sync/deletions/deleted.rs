//! What a sync has found out about deletions so far.

use std::collections::HashSet;

use crate::gid::Gid;
use crate::stream_set::StreamId;
use crate::sync::deletions::conversions::Conversions;
use crate::sync::deletions::unseen::Unseen;

/// A stream, and the record below which its records were listed.
pub type ListedPlace = (StreamId, Gid);

/// Records that were reported as deleted, and places whose missing records are being asked for.
#[derive(Debug, Default)]
pub struct Deleted {
    pub unseen: Unseen,
    conversions: Conversions,
    reported: HashSet<(StreamId, Gid)>,
    asking: HashSet<ListedPlace>,
    without_events: u64,
}

impl Deleted {
    pub fn new(conversions: Conversions, unseen: Unseen) -> Self {
        Self { conversions, unseen, ..Self::default() }
    }

    /// The stream that a record has left, if it is now listed in another one, and nothing when asked once more.
    pub fn take_former_stream(&mut self, stream: StreamId, gid: &Gid) -> Option<StreamId> {
        self.conversions.take_former_stream(stream, gid)
    }

    /// Whether this sync has reported that a record is deleted. What a listing still shows of it is older than that.
    pub fn is_reported(&self, stream: StreamId, gid: &Gid) -> bool {
        !self.reported.is_empty() && self.reported.contains(&(stream, gid.clone()))
    }

    /// Notes a report. Returns whether it is the first.
    pub fn report(&mut self, stream: StreamId, gid: &Gid) -> bool {
        self.reported.insert((stream, gid.clone()))
    }

    /// The records of a stream that were reported.
    pub fn reported(&self, stream: StreamId) -> HashSet<u64> {
        let of_stream = self.reported.iter().filter(|(of, _)| *of == stream);
        of_stream.filter_map(|(_, gid)| gid.number()).collect()
    }

    pub fn is_asking(&self, place: &ListedPlace) -> bool {
        self.asking.contains(place)
    }

    pub fn begin_asking(&mut self, place: &ListedPlace) {
        self.asking.insert(place.clone());
    }

    pub fn end_asking(&mut self, place: &ListedPlace) {
        self.asking.remove(place);
    }

    /// Counts a record without events. Returns how many there are now.
    pub fn lack_events(&mut self) -> u64 {
        self.without_events += 1;
        self.without_events
    }
}
