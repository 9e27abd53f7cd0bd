//! Which STATEs may be passed on: those whose records are committed, in their order. Pure; knows no table.

use std::collections::VecDeque;

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

/// STATE lines that wait for commits.
#[derive(Debug)]
pub struct Acknowledgements {
    streams: Vec<VecDeque<Waiting<u64>>>,
    everything: VecDeque<Waiting<Vec<u64>>>,
}

#[derive(Debug)]
struct Waiting<T> {
    /// The records that were received before it.
    records: T,
    line: Vec<u8>,
}

impl Acknowledgements {
    pub fn new(streams: usize) -> Self {
        Self { streams: (0..streams).map(|_| VecDeque::new()).collect(), everything: VecDeque::new() }
    }

    /// A STATE of one stream, of which `records` had been received.
    pub fn push(&mut self, stream: usize, records: u64, line: Vec<u8>) {
        self.streams[stream].push_back(Waiting { records, line });
    }

    /// A STATE that speaks for all streams.
    pub fn push_for_everything(&mut self, records: Vec<u64>, line: Vec<u8>) {
        self.everything.push_back(Waiting { records, line });
    }

    pub fn is_waiting(&self, stream: usize) -> bool {
        !self.streams[stream].is_empty() || !self.everything.is_empty()
    }

    /// Takes out the lines that may be passed on now.
    pub fn ready(&mut self, progress: &[Progress]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for (waiting, progress) in self.streams.iter_mut().zip(progress) {
            while let Some(first) = waiting.pop_front_if(|first| progress.covers(first.records)) {
                lines.push(first.line);
            }
        }
        while let Some(first) = self.everything.pop_front_if(|first| {
            first.records.iter().zip(progress).all(|(records, progress)| progress.covers(*records))
        }) {
            lines.push(first.line);
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Progress::{Committed, Unpublished};

    #[test]
    fn a_state_waits_for_its_own_records_and_keeps_its_place() {
        let mut waiting = Acknowledgements::new(2);
        waiting.push(0, 5, b"a".to_vec());
        waiting.push(0, 8, b"b".to_vec());
        waiting.push(1, 0, b"c".to_vec());
        assert_eq!(waiting.ready(&[Committed(4), Committed(0)]), [b"c"]);
        assert_eq!(waiting.ready(&[Committed(7), Committed(0)]), [b"a"]);
        assert!(waiting.is_waiting(0) && !waiting.is_waiting(1));
        assert_eq!(waiting.ready(&[Committed(8), Committed(0)]), [b"b"]);
    }

    #[test]
    fn a_state_for_everything_waits_for_every_stream() {
        let mut waiting = Acknowledgements::new(2);
        waiting.push_for_everything(vec![1, 2], b"g".to_vec());
        assert!(waiting.ready(&[Committed(1), Committed(1)]).is_empty());
        assert_eq!(waiting.ready(&[Committed(1), Committed(2)]), [b"g"]);
    }

    #[test]
    fn nothing_of_an_unpublished_refresh_goes_out() {
        let mut waiting = Acknowledgements::new(1);
        waiting.push(0, 0, b"a".to_vec());
        assert!(waiting.ready(&[Unpublished]).is_empty());
        assert_eq!(waiting.ready(&[Committed(0)]), [b"a"]);
    }
}
