//! Which records were emitted, and what was already read below them. Several slices can show the same record, such as a
//! task in two projects.
//!
//! Slices differ in what they still lack, stream by stream. That a record was seen does not mean that everything below
//! it was read: the slice that showed it first may have wanted only what changed.

use std::io;

use crate::gid::Gid;
use crate::gid_marks::GidMarks;
use crate::stream_set::{StreamId, StreamSet};
use crate::window::Window;

/// The mark of a record that was emitted. The bits below it are two sets of streams: those that were read below the
/// record in their broadest window, and those that were in their common one.
const EMITTED: u64 = 1 << 63;

/// How many streams a mark has room for, and where the second set begins.
const STREAMS: usize = 31;

/// For each record, whether it was emitted and how much of each stream below it is being read.
#[derive(Debug)]
pub struct Dedup {
    /// What a slice reads of each stream that has never been read.
    broadest: Vec<Window>,
    /// What most slices read of each stream.
    common: Vec<Window>,
    /// For each stream, those below it: a mark has a bit for each of them.
    below: Vec<Vec<StreamId>>,
    /// By the records' stream; more than one table where a mark has no room for all streams below.
    marks: Vec<Vec<GidMarks>>,
}

impl Dedup {
    /// The windows of each stream: the broadest that there can be, and the one that most slices have. Slices may have
    /// others; what they share with another slice may be read twice. `most_in_memory` is per stream.
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

    /// Whether the record was not emitted yet; from now on it was.
    ///
    /// # Errors
    ///
    /// When a temporary file cannot be read, as with the others.
    pub fn emit(&mut self, stream: StreamId, gid: &Gid) -> io::Result<bool> {
        match self.marks[stream.0].first_mut() {
            Some(marks) => Ok(marks.set(gid, EMITTED)? & EMITTED == 0),
            None => Ok(true),
        }
    }

    /// Those of `streams` for which no slice has read as much below the record as `windows` ask for.
    pub fn lacking(
        &self,
        stream: StreamId,
        gid: &Gid,
        streams: StreamSet,
        windows: &[Window],
    ) -> io::Result<StreamSet> {
        let mut lacking = StreamSet::default();
        for (below, marks) in self.below[stream.0].chunks(STREAMS).zip(&self.marks[stream.0]) {
            let marks = marks.of(gid)?;
            for (bit, id) in below.iter().enumerate().filter(|(_, id)| streams.contains(**id)) {
                let (broadest, common) = (self.broadest[id.0], self.common[id.0]);
                let window = windows[id.0];
                let is_read = marks & (1 << bit) != 0 && broadest.holds(window)
                    || marks & (1 << (STREAMS + bit)) != 0 && common.holds(window);
                if window != Window::Done && !is_read {
                    lacking.insert(*id);
                }
            }
        }
        Ok(lacking)
    }

    /// Notes that streams below a record are read as far as `windows` ask for.
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

    /// Spills to a temporary file what would take too much memory.
    ///
    /// # Errors
    ///
    /// When a temporary file cannot be written, each time one is tried for the first time. Everything stays in memory
    /// then.
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
    /// More than one mark has room for.
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
    fn slices_with_the_common_window_read_what_they_share_once() {
        let mut marks = dedup(vec![Window::Whole], vec![since(3)]);
        let (gid, all) = (Gid::new("7"), [RECORDS].into_iter().collect());
        marks.cover(RECORDS, &gid, all, &[since(3)]).unwrap();
        assert_eq!(marks.lacking(RECORDS, &gid, all, &[since(3)]).unwrap(), StreamSet::default());
        assert_eq!(marks.lacking(RECORDS, &gid, all, &[since(2)]).unwrap(), all);
        assert_eq!(marks.lacking(RECORDS, &gid, all, &[Window::Whole]).unwrap(), all);
        marks.cover(RECORDS, &gid, all, &[Window::Whole]).unwrap();
        assert_eq!(marks.lacking(RECORDS, &gid, all, &[Window::Whole]).unwrap(), StreamSet::default());
    }

    proptest! {
        /// Whatever slices show a record, and in whatever order: nothing that one of them asks for is left out.
        #[test]
        fn what_is_asked_for_is_read(
            common in windows(),
            slices in proptest::collection::vec(windows(), 1..6),
        ) {
            let mut marks = dedup(vec![Window::Whole; COUNT], common);
            let gid = Gid::new("7");
            let all: StreamSet = (0..COUNT).map(StreamId).collect();
            let mut read = [Window::Done; COUNT];
            for windows in &slices {
                let lacking = marks.lacking(RECORDS, &gid, all, windows).unwrap();
                marks.cover(RECORDS, &gid, lacking, windows).unwrap();
                for id in lacking.iter() {
                    read[id.0] = read[id.0].union(windows[id.0]);
                }
                for (read, window) in read.iter().zip(windows) {
                    prop_assert!(read.holds(*window), "{windows:?} after {slices:?}");
                }
            }
        }
    }
}
