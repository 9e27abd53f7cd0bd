//! What was already read of records that several slices show, such as a task in two projects. Pure bookkeeping: knows
//! no HTTP, no clock and no protocol.
//!
//! Slices differ in what they still lack, stream by stream, so that a record was seen does not tell that everything
//! below it is read: the slice that showed it first may have wanted no more of it than what has changed.

use std::io;

use crate::gid::Gid;
use crate::gid_marks::GidMarks;
use crate::plan::StreamId;
use crate::read::slices::StreamSet;
use crate::window::Window;

/// The mark of a record that was emitted. The bits below it are two sets of streams: those that were read below the
/// record in their broadest window, and those that were in their common one.
const EMITTED: u64 = 1 << 63;

/// Where the second set begins.
const COMMON: u32 = 31;

/// For each record, how much of each stream below it is being read.
#[derive(Debug)]
pub struct Coverage {
    /// What a slice reads of each stream that has never been read.
    broadest: Vec<Window>,
    /// What most slices read of each stream.
    common: Vec<Window>,
    /// By the records' stream.
    marks: Vec<GidMarks>,
}

impl Coverage {
    /// The windows of each stream: the broadest that there can be, and the one that most slices have. Others may
    /// come too; what they share with another slice may be read twice. `most_in_memory` is for each stream.
    pub fn new(broadest: Vec<Window>, common: Vec<Window>, most_in_memory: usize) -> Self {
        assert!(broadest.len() <= COMMON as usize, "a mark has a bit for each stream");
        let marks = broadest.iter().map(|_| GidMarks::new(most_in_memory)).collect();
        Self { broadest, common, marks }
    }

    /// Whether the record was not emitted yet; from now on it was.
    ///
    /// # Errors
    ///
    /// When a temporary file cannot be read, as with the others.
    pub fn emit(&mut self, stream: StreamId, gid: &Gid) -> io::Result<bool> {
        Ok(self.marks[stream.0].set(gid, EMITTED)? & EMITTED == 0)
    }

    /// Those of the streams below a record for which no slice has read as much as `windows` ask for.
    pub fn lacking(
        &self,
        stream: StreamId,
        gid: &Gid,
        below: StreamSet,
        windows: &[Window],
    ) -> io::Result<StreamSet> {
        let marks = self.marks[stream.0].of(gid)?;
        let is_read = |id: StreamId| {
            marks & (1 << id.0) != 0 && self.broadest[id.0].holds(windows[id.0])
                || marks & (1 << (COMMON as usize + id.0)) != 0 && self.common[id.0].holds(windows[id.0])
        };
        Ok(below.iter().filter(|id| windows[id.0] != Window::Done && !is_read(*id)).collect())
    }

    /// Notes that streams below a record are read as far as `windows` ask for.
    pub fn cover(
        &mut self,
        stream: StreamId,
        gid: &Gid,
        streams: StreamSet,
        windows: &[Window],
    ) -> io::Result<()> {
        let marks = streams.iter().fold(0, |marks, id| {
            let window = windows[id.0];
            marks
                | u64::from(window.holds(self.broadest[id.0])) << id.0
                | u64::from(window.holds(self.common[id.0])) << (COMMON as usize + id.0)
        });
        if marks != 0 {
            self.marks[stream.0].set(gid, marks)?;
        }
        Ok(())
    }

    /// Keeps the memory that it takes within bounds.
    ///
    /// # Errors
    ///
    /// When a temporary file cannot be written, each time one is tried for the first time. Everything is in memory then.
    pub fn stay_small(&mut self) -> io::Result<()> {
        self.marks.iter_mut().try_for_each(GidMarks::stay_small)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::moment::Moment;

    const RECORDS: StreamId = StreamId(0);
    const STREAMS: usize = 3;

    fn since(time: u64) -> Window {
        Window::Since(Moment::from_unix_milliseconds(time))
    }

    fn window() -> impl Strategy<Value = Window> {
        prop_oneof![Just(Window::Done), Just(Window::Whole), (1..4_u64).prop_map(since)]
    }

    fn windows() -> impl Strategy<Value = Vec<Window>> {
        proptest::collection::vec(window(), STREAMS)
    }

    #[test]
    fn a_record_is_emitted_once() {
        let mut coverage = Coverage::new(vec![Window::Whole], vec![Window::Whole], 9);
        let gid = Gid::new("7");
        assert!(coverage.emit(RECORDS, &gid).unwrap());
        assert!(!coverage.emit(RECORDS, &gid).unwrap());
    }

    #[test]
    fn slices_with_the_common_window_read_what_they_share_once() {
        let mut coverage = Coverage::new(vec![Window::Whole], vec![since(3)], 9);
        let (gid, all) = (Gid::new("7"), [RECORDS].into_iter().collect());
        coverage.cover(RECORDS, &gid, all, &[since(3)]).unwrap();
        assert_eq!(coverage.lacking(RECORDS, &gid, all, &[since(3)]).unwrap(), StreamSet::default());
        assert_eq!(coverage.lacking(RECORDS, &gid, all, &[since(2)]).unwrap(), all);
        assert_eq!(coverage.lacking(RECORDS, &gid, all, &[Window::Whole]).unwrap(), all);
        coverage.cover(RECORDS, &gid, all, &[Window::Whole]).unwrap();
        assert_eq!(coverage.lacking(RECORDS, &gid, all, &[Window::Whole]).unwrap(), StreamSet::default());
    }

    proptest! {
        /// Whatever slices show a record, and in whatever order: nothing that one of them asks for is left out.
        #[test]
        fn what_is_asked_for_is_read(
            common in windows(),
            slices in proptest::collection::vec(windows(), 1..6),
        ) {
            let mut coverage = Coverage::new(vec![Window::Whole; STREAMS], common, 9);
            let gid = Gid::new("7");
            let all: StreamSet = (0..STREAMS).map(StreamId).collect();
            let mut read = [Window::Done; STREAMS];
            for windows in &slices {
                let lacking = coverage.lacking(RECORDS, &gid, all, windows).unwrap();
                coverage.cover(RECORDS, &gid, lacking, windows).unwrap();
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
