//! Which records were emitted, and which of their children were read. Several slices can return the same record, such
//! as a task in two projects.
//!
//! Slices have different cursors. If one slice has returned a record, its children may still be needed: that slice may
//! have read only changed children.

use std::io;

use crate::gid::Gid;
use crate::gid_marks::GidMarks;
use crate::stream_set::{StreamId, StreamSet};
use crate::window::Window;

/// The bit of an emitted record. The bits below it are two sets of streams: those that were read below the record in
/// their broadest window, and those that were read in their common one.
const EMITTED: u64 = 1 << 63;

/// Number of streams in one set, and so the first bit of the second set.
const STREAMS: usize = 31;

/// For each record, whether it was emitted, and in which window each stream below it was read.
#[derive(Debug)]
pub struct Dedup {
    /// The window of a slice that has never been read, for each stream.
    broadest: Vec<Window>,
    /// The window of most slices, for each stream.
    common: Vec<Window>,
    /// For each stream, the streams below it. Each has a bit in both sets.
    below: Vec<Vec<StreamId>>,
    /// By the records' stream. There are several maps if one has too few bits for all streams below.
    marks: Vec<Vec<GidMarks>>,
}

impl Dedup {
    /// `broadest` is the broadest possible window of each stream, and `common` the one of most slices. Slices with
    /// other windows may read children twice. `most_in_memory` is per stream.
    pub fn new(
        broadest: Vec<Window>,
        common: Vec<Window>,
        below: &[StreamSet],
        most_in_memory: usize,
    ) -> Self {
        let below: Vec<Vec<StreamId>> = below.iter().map(|below| below.iter().collect()).collect();
        let tables = |below: &Vec<StreamId>| below.len().div_ceil(STREAMS).max(1);
        let marks =
            below.iter().map(|below| (0..tables(below)).map(|_| GidMarks::new(most_in_memory)).collect());
        Self { broadest, common, marks: marks.collect(), below }
    }

    /// Marks a record as emitted. Returns whether it was not emitted before.
    ///
    /// # Errors
    ///
    /// If a temporary file cannot be read. The same holds for the other methods.
    pub fn emit(&mut self, stream: StreamId, gid: &Gid) -> io::Result<bool> {
        match self.marks[stream.0].first_mut() {
            Some(marks) => Ok(marks.set(gid, EMITTED)? & EMITTED == 0),
            None => Ok(true),
        }
    }

    /// Those of `streams` that no slice has read below the record in at least the window in `windows`.
    pub fn unread(
        &self,
        stream: StreamId,
        gid: &Gid,
        streams: StreamSet,
        windows: &[Window],
    ) -> io::Result<StreamSet> {
        let mut unread = StreamSet::default();
        for (below, marks) in self.below[stream.0].chunks(STREAMS).zip(&self.marks[stream.0]) {
            let marks = marks.of(gid)?;
            for (bit, id) in below.iter().enumerate().filter(|(_, id)| streams.contains(**id)) {
                let (broadest, common) = (self.broadest[id.0], self.common[id.0]);
                let window = windows[id.0];
                let is_read = marks & (1 << bit) != 0 && broadest.holds(window)
                    || marks & (1 << (STREAMS + bit)) != 0 && common.holds(window);
                if window != Window::Done && !is_read {
                    unread.insert(*id);
                }
            }
        }
        Ok(unread)
    }

    /// Notes that `streams` are read below a record in these windows.
    pub fn cover(
        &mut self,
        stream: StreamId,
        gid: &Gid,
        streams: StreamSet,
        windows: &[Window],
    ) -> io::Result<()> {
        for (below, table) in self.below[stream.0].chunks(STREAMS).zip(&mut self.marks[stream.0]) {
            let mut marks = 0;
            for (bit, id) in below.iter().enumerate().filter(|(_, id)| streams.contains(**id)) {
                let window = windows[id.0];
                marks |= u64::from(window.holds(self.broadest[id.0])) << bit;
                marks |= u64::from(window.holds(self.common[id.0])) << (STREAMS + bit);
            }
            if marks != 0 {
                table.set(gid, marks)?;
            }
        }
        Ok(())
    }

    /// Spills to temporary files what would take too much memory.
    ///
    /// # Errors
    ///
    /// If a temporary file cannot be written, once for each file. The data then stays in memory.
    pub fn stay_small(&mut self) -> io::Result<()> {
        self.marks.iter_mut().flatten().try_for_each(GidMarks::stay_small)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::moment::Moment;

    const RECORDS: StreamId = StreamId(0);
    /// More than one map has bits for.
    const COUNT: usize = 70;

    fn dedup(broadest: Vec<Window>, common: Vec<Window>) -> Dedup {
        let all = (0..broadest.len()).map(StreamId).collect();
        let below = vec![all; broadest.len()];
        Dedup::new(broadest, common, &below, 9)
    }

    fn since(time: u64) -> Window {
        Window::Since(Moment::from_unix_milliseconds(time))
    }

    fn window() -> impl Strategy<Value = Window> {
        prop_oneof![Just(Window::Done), Just(Window::Whole), (1..4_u64).prop_map(since)]
    }

    fn windows() -> impl Strategy<Value = Vec<Window>> {
        proptest::collection::vec(window(), COUNT)
    }

    #[test]
    fn a_record_is_emitted_once() {
        let mut marks = dedup(vec![Window::Whole], vec![Window::Whole]);
        let gid = Gid::new("7");
        assert!(marks.emit(RECORDS, &gid).unwrap());
        assert!(!marks.emit(RECORDS, &gid).unwrap());
    }

    #[test]
    fn slices_with_the_common_window_read_shared_children_once() {
        let mut marks = dedup(vec![Window::Whole], vec![since(3)]);
        let (gid, all) = (Gid::new("7"), [RECORDS].into_iter().collect());
        marks.cover(RECORDS, &gid, all, &[since(3)]).unwrap();
        assert_eq!(marks.unread(RECORDS, &gid, all, &[since(3)]).unwrap(), StreamSet::default());
        assert_eq!(marks.unread(RECORDS, &gid, all, &[since(2)]).unwrap(), all);
        assert_eq!(marks.unread(RECORDS, &gid, all, &[Window::Whole]).unwrap(), all);
        marks.cover(RECORDS, &gid, all, &[Window::Whole]).unwrap();
        assert_eq!(marks.unread(RECORDS, &gid, all, &[Window::Whole]).unwrap(), StreamSet::default());
    }

    proptest! {
        /// Whichever slices return a record, and in any order: everything that one of them needs is read.
        #[test]
        fn everything_needed_is_read(
            common in windows(),
            slices in proptest::collection::vec(windows(), 1..6),
        ) {
            let mut marks = dedup(vec![Window::Whole; COUNT], common);
            let gid = Gid::new("7");
            let all: StreamSet = (0..COUNT).map(StreamId).collect();
            let mut read = [Window::Done; COUNT];
            for windows in &slices {
                let unread = marks.unread(RECORDS, &gid, all, windows).unwrap();
                marks.cover(RECORDS, &gid, unread, windows).unwrap();
                for id in unread.iter() {
                    read[id.0] = read[id.0].union(windows[id.0]);
                }
                for (read, window) in read.iter().zip(windows) {
                    prop_assert!(read.holds(*window), "{windows:?} after {slices:?}");
                }
            }
        }
    }
}
