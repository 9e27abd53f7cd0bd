//! Which STATEs may be passed on: those whose records are committed, in their order. Knows no table.

use std::collections::VecDeque;

use crate::failure::Result;
use crate::spill::{Segment, Spill};
use airbyte_connector::verbs;

/// How far a stream's records are committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many of its records are in the table.
    Committed(u64),
    /// A refresh that readers do not see yet: no STATE of it may go out, not even one without records.
    Unpublished,
}

impl Progress {
    fn covers(self, records: u64) -> bool {
        match self {
            Self::Committed(committed) => committed >= records,
            Self::Unpublished => false,
        }
    }
}

/// The memory for lines that wait; the others wait in a temporary file.
const MEMORY_BYTES: usize = 16 << 20;

/// STATE lines that wait for commits.
#[derive(Debug)]
pub struct Acknowledgements {
    streams: Vec<VecDeque<Waiting<u64>>>,
    everything: VecDeque<Waiting<Vec<u64>>>,
    lines: WaitingLines,
}

#[derive(Debug, Default)]
struct WaitingLines {
    held_bytes: usize,
    spill: Spill,
}

#[derive(Debug)]
enum Line {
    Held(Vec<u8>),
    Spilled(Segment),
}

impl WaitingLines {
    fn keep(&mut self, line: Vec<u8>) -> Result<Line> {
        if self.held_bytes + line.len() > MEMORY_BYTES {
            return Ok(Line::Spilled(self.spill.write(&line)?));
        }
        self.held_bytes += line.len();
        Ok(Line::Held(line))
    }

    fn take(&mut self, line: Line) -> Result<Vec<u8>> {
        match line {
            Line::Held(line) => {
                self.held_bytes -= line.len();
                Ok(line)
            }
            Line::Spilled(segment) => self.spill.read(&segment),
        }
    }
}

#[derive(Debug)]
struct Waiting<T> {
    /// The records that were received before it.
    records: T,
    line: Line,
}

impl Acknowledgements {
    pub fn new(streams: usize) -> Self {
        Self {
            streams: (0..streams).map(|_| VecDeque::new()).collect(),
            everything: VecDeque::new(),
            lines: WaitingLines::default(),
        }
    }

    /// A STATE of one stream, of which `records` had been received.
    pub fn push(&mut self, stream: usize, records: u64, line: Vec<u8>) -> Result<()> {
        let line = self.lines.keep(line)?;
        self.streams[stream].push_back(Waiting { records, line });
        Ok(())
    }

    /// A STATE that speaks for all streams.
    pub fn push_for_everything(&mut self, records: Vec<u64>, line: Vec<u8>) -> Result<()> {
        let line = self.lines.keep(line)?;
        self.everything.push_back(Waiting { records, line });
        Ok(())
    }

    pub fn is_waiting(&self, stream: usize) -> bool {
        !self.streams[stream].is_empty() || !self.everything.is_empty()
    }

    /// Takes out the lines that may be passed on now, one by one.
    pub fn ready(
        &mut self,
        progress: &[Progress],
        mut pass_on: impl FnMut(&[u8]) -> verbs::Result<()>,
    ) -> verbs::Result<()> {
        for (waiting, progress) in self.streams.iter_mut().zip(progress) {
            while let Some(first) = waiting.pop_front_if(|first| progress.covers(first.records)) {
                pass_on(&self.lines.take(first.line)?)?;
            }
        }
        while let Some(first) = self.everything.pop_front_if(|first| {
            first.records.iter().zip(progress).all(|(records, progress)| progress.covers(*records))
        }) {
            pass_on(&self.lines.take(first.line)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Progress::{Committed, Unpublished};

    fn ready(waiting: &mut Acknowledgements, progress: &[Progress]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        let pass_on = |line: &[u8]| {
            lines.push(line.to_vec());
            Ok(())
        };
        waiting.ready(progress, pass_on).unwrap();
        lines
    }

    #[test]
    fn lines_beyond_the_memory_for_them_wait_on_disk_and_keep_their_order() {
        let mut waiting = Acknowledgements::new(1);
        let line = |number: u8| vec![number; 1 << 20];
        for number in 0..40 {
            waiting.push(0, u64::from(number), line(number)).unwrap();
            assert!(waiting.lines.held_bytes <= MEMORY_BYTES);
        }
        assert_eq!(ready(&mut waiting, &[Committed(19)]), (0..20).map(line).collect::<Vec<_>>());
        waiting.push(0, 40, line(40)).unwrap();
        assert_eq!(ready(&mut waiting, &[Committed(40)]), (20..41).map(line).collect::<Vec<_>>());
        assert_eq!(waiting.lines.held_bytes, 0);
    }

    #[test]
    fn a_state_waits_for_its_own_records_and_keeps_its_place() {
        let mut waiting = Acknowledgements::new(2);
        waiting.push(0, 5, b"a".to_vec()).unwrap();
        waiting.push(0, 8, b"b".to_vec()).unwrap();
        waiting.push(1, 0, b"c".to_vec()).unwrap();
        assert_eq!(ready(&mut waiting, &[Committed(4), Committed(0)]), [b"c"]);
        assert_eq!(ready(&mut waiting, &[Committed(7), Committed(0)]), [b"a"]);
        assert!(waiting.is_waiting(0) && !waiting.is_waiting(1));
        assert_eq!(ready(&mut waiting, &[Committed(8), Committed(0)]), [b"b"]);
    }

    #[test]
    fn a_state_for_everything_waits_for_every_stream() {
        let mut waiting = Acknowledgements::new(2);
        waiting.push_for_everything(vec![1, 2], b"g".to_vec()).unwrap();
        assert!(ready(&mut waiting, &[Committed(1), Committed(1)]).is_empty());
        assert_eq!(ready(&mut waiting, &[Committed(1), Committed(2)]), [b"g"]);
    }

    #[test]
    fn nothing_of_an_unpublished_refresh_goes_out() {
        let mut waiting = Acknowledgements::new(1);
        waiting.push(0, 0, b"a".to_vec()).unwrap();
        assert!(ready(&mut waiting, &[Unpublished]).is_empty());
        assert_eq!(ready(&mut waiting, &[Committed(0)]), [b"a"]);
    }
}
