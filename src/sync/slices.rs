//! The slices of a sync: what each is while it is read, and which ones were seen.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::gid::Gid;
use crate::slice_key::SliceKey;
use crate::stream_set::{StreamId, StreamSet};
use crate::window::Window;

/// What a slice is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// For the records below one of another stream.
    Listings,
    /// To find what changed in a workspace, and what is below that.
    Search,
}

/// One slice while it is read.
#[derive(Debug)]
pub struct Slice {
    pub key: SliceKey,
    pub workspace: Gid,
    pub purpose: Purpose,
    /// What each stream reads of it.
    pub windows: Rc<[Window]>,
    /// The streams that are read in it.
    pub streams: StreamSet,
    /// Streams for which the workspace's search finds what changed since their cursor.
    pub searched: StreamSet,
    /// The streams of which something could not be read: their cursor stays.
    lacking: Cell<StreamSet>,
}

impl Slice {
    pub fn window(&self, stream: StreamId) -> Window {
        self.windows[stream.0]
    }

    /// The streams of which something could not be read.
    pub fn lacking(&self) -> StreamSet {
        self.lacking.get()
    }

    /// Something of these streams could not be read, so their cursors stay.
    pub fn lacks(&self, streams: StreamSet) {
        self.lacking.set(self.lacking.get().union(streams));
    }
}

/// What a slice begins with; see the fields of [`Slice`].
#[derive(Debug)]
pub struct Start {
    pub key: SliceKey,
    pub workspace: Gid,
    pub purpose: Purpose,
    pub windows: Vec<Window>,
    pub streams: StreamSet,
    pub searched: StreamSet,
}

/// Which slices were seen, and which cursors wait for the end of their stream.
#[derive(Debug, Default)]
pub struct Slices {
    /// The streams for which each slice was seen; what was not seen is forgotten.
    seen: HashMap<SliceKey, StreamSet>,
    /// Searches that were read whole.
    searched: Vec<(StreamId, SliceKey)>,
    /// The windows of the last slice. Most slices share theirs.
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

    /// The search `key` was read whole for the stream; its cursor moves when the stream ends.
    pub fn searched(&mut self, stream: StreamId, key: SliceKey) {
        self.searched.push((stream, key));
    }

    /// The searches that were read whole for the stream.
    pub fn take_searched(&mut self, stream: StreamId) -> Vec<SliceKey> {
        self.searched.extract_if(.., |(of, _)| *of == stream).map(|(_, key)| key).collect()
    }

    /// A slice that is about to be read.
    pub fn begin(&mut self, start: Start) -> Slice {
        let Start { key, workspace, purpose, windows, streams, searched } = start;
        self.see(&key, streams);
        let windows = self.share(windows);
        Slice { key, workspace, purpose, windows, streams, searched, lacking: Cell::default() }
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
