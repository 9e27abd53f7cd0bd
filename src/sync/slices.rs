//! The slices of a sync: the data of each while it is read, and which ones were seen.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::gid::Gid;
use crate::slice_key::SliceKey;
use crate::stream_set::{StreamId, StreamSet};
use crate::window::Window;

/// Why a slice is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To read records: the listings below an object, or the search for records that no listing shows.
    Read,
    /// To search a workspace for changed records, and to read what is below them. Its cursor moves when the stream ends.
    FindChanges,
}

/// One slice while it is read.
#[derive(Debug)]
pub struct Slice {
    pub key: SliceKey,
    pub workspace: Gid,
    pub purpose: Purpose,
    /// The window of each stream.
    pub windows: Rc<[Window]>,
    /// The streams that are read in it.
    pub streams: StreamSet,
    /// Streams whose changes since their cursor are found by the workspace's search.
    pub covered_by_search: StreamSet,
    /// Streams that could not be read completely. Their cursors do not move.
    incomplete: Cell<StreamSet>,
}

impl Slice {
    pub fn window(&self, stream: StreamId) -> Window {
        self.windows[stream.0]
    }

    /// The streams that could not be read completely.
    pub fn incomplete(&self) -> StreamSet {
        self.incomplete.get()
    }

    /// Marks streams as incomplete, so that their cursors do not move.
    pub fn mark_incomplete(&self, streams: StreamSet) {
        self.incomplete.set(self.incomplete.get().union(streams));
    }
}

/// The initial data of a slice; see the fields of [`Slice`].
#[derive(Debug)]
pub struct Start {
    pub key: SliceKey,
    pub workspace: Gid,
    pub purpose: Purpose,
    pub windows: Vec<Window>,
    pub streams: StreamSet,
    pub covered_by_search: StreamSet,
}

/// Which slices were seen, and which cursors move when their stream ends.
#[derive(Debug, Default)]
pub struct Slices {
    /// The streams for which each slice was seen. The state drops slices that were not seen.
    seen: HashMap<SliceKey, StreamSet>,
    /// Searches that were read completely.
    finished_searches: Vec<(StreamId, SliceKey)>,
    /// The windows of the last slice. Most slices have the same, and share them.
    windows: Option<Rc<[Window]>>,
}

impl Slices {
    pub fn see(&mut self, key: &SliceKey, streams: StreamSet) {
        let seen = self.seen.entry(key.clone()).or_default();
        *seen = seen.union(streams);
    }

    /// Whether the slice was seen for the stream.
    pub fn is_seen(&self, key: &SliceKey, stream: StreamId) -> bool {
        self.seen.get(key).is_some_and(|streams| streams.contains(stream))
    }

    /// The slices that were seen for the stream.
    pub fn seen_for(&self, stream: StreamId) -> impl Iterator<Item = &SliceKey> {
        self.seen.iter().filter(move |(_, streams)| streams.contains(stream)).map(|(key, _)| key)
    }

    /// Notes that the search `key` was read completely for the stream. Its cursor moves when the stream ends.
    pub fn record_finished_search(&mut self, stream: StreamId, key: SliceKey) {
        self.finished_searches.push((stream, key));
    }

    /// Removes and returns the searches that were read completely for the stream.
    pub fn take_finished_searches(&mut self, stream: StreamId) -> Vec<SliceKey> {
        self.finished_searches.extract_if(.., |(of, _)| *of == stream).map(|(_, key)| key).collect()
    }

    /// Starts a slice.
    pub fn begin(&mut self, start: Start) -> Slice {
        let Start { key, workspace, purpose, windows, streams, covered_by_search } = start;
        self.see(&key, streams);
        let windows = self.share(windows);
        Slice { key, workspace, purpose, windows, streams, covered_by_search, incomplete: Cell::default() }
    }

    fn share(&mut self, windows: Vec<Window>) -> Rc<[Window]> {
        match &self.windows {
            Some(shared) if **shared == *windows => Rc::clone(shared),
            Some(_) | None => {
                let windows: Rc<[Window]> = windows.into();
                self.windows = Some(Rc::clone(&windows));
                windows
            }
        }
    }
}
