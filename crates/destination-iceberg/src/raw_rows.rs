//! Records as the lines that they came in, until their stream's turn comes to be written. Knows no column and no table.
//!
//! To encode a stream takes megabytes for its columns and its open file, whatever its size. So only a few streams are
//! encoded while they come; of all others, the lines are kept, in one budget of memory and beyond it in a temporary file,
//! until a commit needs them. Memory is bounded for any number of streams, and each stream makes one file.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::failure::Result;
use crate::spill::{Segment, Spill};

/// The memory for lines of all streams together.
const MEMORY_BYTES: usize = 16 << 20;
/// A stream with so many bytes is encoded as it comes, if it is among the first.
const STREAM_BYTES: usize = 4 << 20;
/// How many streams are encoded as they come.
const DIRECT_STREAMS: usize = 2;

/// The lines of all streams, shared by the thread that reads and the one that writes.
#[derive(Debug)]
pub struct RawRows(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    streams: Vec<Stream>,
    held_bytes: usize,
    direct: usize,
    spill: Spill,
}

#[derive(Debug, Default)]
struct Stream {
    spilled: VecDeque<Segment>,
    /// Behind what is spilled.
    lines: Vec<u8>,
    records: u64,
    is_direct: bool,
    unknown_fields: u64,
}

/// The lines of a stream, in their order.
#[derive(Debug, Default)]
pub struct Lines {
    spilled: VecDeque<Segment>,
    lines: Vec<u8>,
}

/// What became of a line.
pub enum Added {
    Kept,
    /// The stream is encoded from now on as it comes; these are all its lines so far, with this one.
    Direct(Lines),
}

impl RawRows {
    pub fn new(streams: usize) -> Self {
        let streams = (0..streams).map(|_| Stream::default()).collect();
        Self(Mutex::new(Inner { streams, held_bytes: 0, direct: 0, spill: Spill::default() }))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the line of a record, which ends in a newline or with the input.
    pub fn add(&self, stream: usize, line: &[u8]) -> Result<Added> {
        let mut inner = self.inner();
        let inner = &mut *inner;
        let kept = &mut inner.streams[stream];
        let before = kept.lines.len();
        kept.lines.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            kept.lines.push(b'\n');
        }
        kept.records += 1;
        inner.held_bytes += kept.lines.len() - before;
        if kept.lines.len() >= STREAM_BYTES {
            if inner.direct < DIRECT_STREAMS {
                inner.direct += 1;
                kept.is_direct = true;
                return Ok(Added::Direct(inner.take(stream)));
            }
            inner.spill(stream)?;
        }
        // The largest first, so that what is written at a time is worth it.
        while inner.held_bytes > MEMORY_BYTES {
            let sizes = inner.streams.iter().map(|stream| stream.lines.len()).enumerate();
            let Some((largest, _)) = sizes.max_by_key(|(_, size)| *size) else { break };
            inner.spill(largest)?;
        }
        Ok(Added::Kept)
    }

    /// Takes out the lines of a stream.
    pub fn take(&self, stream: usize) -> Lines {
        self.inner().take(stream)
    }

    /// The records that are kept of a stream.
    pub fn records(&self, stream: usize) -> u64 {
        self.inner().streams[stream].records
    }

    /// The next lines, some megabytes of them; nothing behind the last.
    pub fn next(&self, lines: &mut Lines) -> Result<Option<Vec<u8>>> {
        if let Some(segment) = lines.spilled.pop_front() {
            return Ok(Some(self.inner().spill.read(&segment)?));
        }
        let last = std::mem::take(&mut lines.lines);
        Ok((!last.is_empty()).then_some(last))
    }

    /// The stream is over: another one may be encoded as it comes.
    pub fn end(&self, stream: usize) {
        let mut inner = self.inner();
        if std::mem::take(&mut inner.streams[stream].is_direct) {
            inner.direct -= 1;
        }
    }

    pub fn count_unknown_fields(&self, stream: usize, count: u64) {
        self.inner().streams[stream].unknown_fields += count;
    }

    pub fn unknown_fields(&self, stream: usize) -> u64 {
        self.inner().streams[stream].unknown_fields
    }
}

impl Inner {
    fn take(&mut self, stream: usize) -> Lines {
        let kept = &mut self.streams[stream];
        kept.records = 0;
        self.held_bytes -= kept.lines.len();
        Lines { spilled: std::mem::take(&mut kept.spilled), lines: std::mem::take(&mut kept.lines) }
    }

    fn spill(&mut self, stream: usize) -> Result<()> {
        let kept = &mut self.streams[stream];
        let segment = self.spill.write(&kept.lines)?;
        kept.spilled.push_back(segment);
        self.held_bytes -= kept.lines.len();
        kept.lines = Vec::new();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(rows: &RawRows, mut lines: Lines) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(some) = rows.next(&mut lines).unwrap() {
            all.extend(some);
        }
        all
    }

    #[test]
    fn lines_come_back_in_their_order_from_memory_and_disk() {
        let rows = RawRows::new(40);
        let line = |stream: usize, number: usize| format!("{stream} {number} {}\n", "x".repeat(1000));
        for number in 0..1000 {
            for stream in 0..40 {
                assert!(matches!(rows.add(stream, line(stream, number).as_bytes()).unwrap(), Added::Kept));
            }
            assert!(rows.inner().held_bytes <= MEMORY_BYTES);
        }
        let mut spilled = 0;
        for stream in 0..40 {
            assert_eq!(rows.records(stream), 1000);
            let lines = rows.take(stream);
            spilled += lines.spilled.len();
            let expected: String = (0..1000).map(|number| line(stream, number)).collect();
            assert_eq!(all(&rows, lines), expected.into_bytes());
            assert_eq!(rows.records(stream), 0);
        }
        assert!(spilled > 10, "{spilled}");
    }

    #[test]
    fn the_first_large_streams_are_encoded_as_they_come() {
        let rows = RawRows::new(3);
        let line = [vec![b'x'; STREAM_BYTES - 1], vec![b'\n']].concat();
        for stream in [0, 1] {
            let Added::Direct(lines) = rows.add(stream, &line).unwrap() else { panic!("{stream} is kept") };
            assert_eq!(all(&rows, lines), line);
        }
        assert!(matches!(rows.add(2, &line).unwrap(), Added::Kept));
        rows.end(0);
        let Added::Direct(lines) = rows.add(2, &line).unwrap() else { panic!("it is kept") };
        assert_eq!(all(&rows, lines).len(), 2 * line.len());
    }
}
