//! The slices that are being read, and when a stream is through with one. Pure bookkeeping: knows no HTTP, no
//! clock and no protocol.

use std::collections::HashMap;
use std::rc::Rc;

use crate::plan::StreamId;
use crate::window::Window;

/// A set of streams, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamSet(u64);

impl StreamSet {
    pub fn insert(&mut self, stream: StreamId) {
        self.0 |= 1 << stream.0;
    }

    pub fn remove(&mut self, stream: StreamId) {
        self.0 &= !(1 << stream.0);
    }

    pub fn contains(self, stream: StreamId) -> bool {
        self.0 & (1 << stream.0) != 0
    }

    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn iter(self) -> impl Iterator<Item = StreamId> {
        (0..64).map(StreamId).filter(move |stream| self.contains(*stream))
    }
}

impl FromIterator<StreamId> for StreamSet {
    fn from_iter<I: IntoIterator<Item = StreamId>>(streams: I) -> Self {
        let mut set = Self::default();
        streams.into_iter().for_each(|stream| set.insert(stream));
        set
    }
}

/// How many listings of each stream are still to be read.
#[derive(Debug)]
pub struct Outstanding {
    counts: Vec<usize>,
    open: StreamSet,
}

impl Outstanding {
    pub fn new(streams: usize) -> Self {
        Self { counts: vec![0; streams], open: StreamSet::default() }
    }

    pub fn add(&mut self, stream: StreamId) {
        self.counts[stream.0] += 1;
        self.open.insert(stream);
    }

    pub fn remove(&mut self, stream: StreamId) {
        self.counts[stream.0] -= 1;
        if self.counts[stream.0] == 0 {
            self.open.remove(stream);
        }
    }

    /// The streams with at least one.
    pub fn open(&self) -> StreamSet {
        self.open
    }

    pub fn total(&self) -> usize {
        self.counts.iter().sum()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SliceId(u32);

/// One slice while it is read. It is settled stream by stream.
#[derive(Debug)]
pub struct Slice {
    pub key: Rc<str>,
    /// What each stream reads of it.
    pub windows: Vec<Window>,
    outstanding: Outstanding,
    /// The streams that are read in it and not settled yet.
    unsettled: StreamSet,
    /// The streams of which something could not be read: their cursor stays.
    lacking: StreamSet,
}

impl Slice {
    /// Streams that cannot get any further listing in this slice, each told once, and whether all was read.
    ///
    /// `above` gives the streams whose records can lead to a listing of a stream, itself among them.
    pub fn settle(&mut self, above: &[StreamSet]) -> Vec<(StreamId, bool)> {
        let open = self.outstanding.open();
        let settled: Vec<_> = self.unsettled.iter().filter(|stream| !open.meets(above[stream.0])).collect();
        settled
            .into_iter()
            .map(|stream| {
                self.unsettled.remove(stream);
                (stream, !self.lacking.contains(stream))
            })
            .collect()
    }

    pub fn add(&mut self, stream: StreamId) {
        self.outstanding.add(stream);
    }

    pub fn remove(&mut self, stream: StreamId) {
        self.outstanding.remove(stream);
    }

    pub fn lacks(&mut self, streams: StreamSet) {
        self.lacking = self.lacking.union(streams);
    }
}

/// The slices that are not settled yet; there are about as many as requests in flight.
#[derive(Debug, Default)]
pub struct Slices {
    live: HashMap<SliceId, Slice>,
    next: u32,
}

impl Slices {
    pub fn start(&mut self, key: Rc<str>, windows: Vec<Window>, streams: StreamSet) -> SliceId {
        let id = SliceId(self.next);
        self.next += 1;
        let outstanding = Outstanding::new(windows.len());
        let lacking = StreamSet::default();
        self.live.insert(id, Slice { key, windows, outstanding, unsettled: streams, lacking });
        id
    }

    pub fn get(&self, id: SliceId) -> &Slice {
        &self.live[&id]
    }

    pub fn get_mut(&mut self, id: SliceId) -> &mut Slice {
        self.live.get_mut(&id).expect("a slice lives until its last listing is read")
    }

    /// Drops the slice if nothing of it is left to read.
    pub fn drop_if_settled(&mut self, id: SliceId) {
        if self
            .live
            .get(&id)
            .is_some_and(|slice| slice.unsettled == StreamSet::default() && slice.outstanding.total() == 0)
        {
            self.live.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: StreamId = StreamId(0);
    const CHILD: StreamId = StreamId(1);
    const OTHER: StreamId = StreamId(2);

    fn above() -> Vec<StreamSet> {
        vec![
            [PARENT].into_iter().collect(),
            [PARENT, CHILD].into_iter().collect(),
            [OTHER].into_iter().collect(),
        ]
    }

    fn slice() -> (Slices, SliceId) {
        let mut slices = Slices::default();
        let all = [PARENT, CHILD, OTHER].into_iter().collect();
        let id = slices.start("1".into(), vec![Window::Whole; 3], all);
        (slices, id)
    }

    #[test]
    fn a_child_is_settled_when_neither_it_nor_its_parent_has_a_listing_left() {
        let (mut slices, id) = slice();
        let slice = slices.get_mut(id);
        slice.add(PARENT);
        slice.add(OTHER);
        assert_eq!(slice.settle(&above()), []);
        slice.add(CHILD);
        slice.remove(PARENT);
        assert_eq!(slice.settle(&above()), [(PARENT, true)]);
        slice.lacks([CHILD].into_iter().collect());
        slice.remove(CHILD);
        assert_eq!(slice.settle(&above()), [(CHILD, false)], "what is lacking keeps its cursor");
        assert_eq!(slice.settle(&above()), [], "told once");
        slices.drop_if_settled(id);
        slices.get_mut(id).remove(OTHER);
        assert_eq!(slices.get_mut(id).settle(&above()), [(OTHER, true)]);
        slices.drop_if_settled(id);
        assert!(slices.live.is_empty());
    }
}
