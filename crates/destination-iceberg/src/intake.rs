//! Protocol lines to batches and events, on a thread of its own. Knows the streams' shapes, no table and no
//! catalog.

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::Arc;

use airbyte_protocol::incoming::{Incoming, IncomingRecord, StateScope};
use airbyte_protocol::message::{StreamDescriptor, StreamStatus};
use tokio::sync::mpsc::Sender;

use crate::batch::{Batch, BatchBuilder, RowIds, Shape};
use crate::failure::{Failure, Result};
use crate::raw_rows::{Added, Lines, RawRows};

/// A batch is handed on when it has so many rows, or so many bytes of JSON.
const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 2 << 20;
/// A line buffer that grew beyond this for one record is given back.
const LINE_BUFFER_TO_KEEP: usize = 1 << 20;

/// What the input says, in its order: the rows before a STATE come before it, or are among the raw rows.
pub enum Event {
    Rows {
        stream: usize,
        batch: Batch,
    },
    /// A STATE's whole line, and the records received before it, of its stream or of all.
    State {
        scope: Scope,
        line: Vec<u8>,
    },
    Status {
        stream: usize,
        status: StreamStatus,
    },
    Warning(String),
    End(Result<()>),
}

pub enum Scope {
    Stream { stream: usize, records: u64 },
    Everything { records: Vec<u64> },
}

/// The receiver is gone, which has its own failure to tell.
struct Unheard;

enum Stop {
    Failed(Failure),
    Unheard,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Unheard> for Stop {
    fn from(_: Unheard) -> Self {
        Self::Unheard
    }
}

/// Reads the input to its end, or to its first line that cannot be passed over, and sends what it says.
pub fn read(
    input: impl BufRead,
    streams: Vec<(StreamDescriptor, Arc<Shape>)>,
    raw_rows: &RawRows,
    events: &Sender<Event>,
) {
    let mut intake = Intake::new(streams, raw_rows, events);
    let outcome = match intake.read(input) {
        Ok(()) | Err(Stop::Unheard) => Ok(()),
        Err(Stop::Failed(failure)) => {
            // What came before the bad line is good.
            let _ = intake.flush_all();
            Err(failure)
        }
    };
    // Nobody listens any more: then nobody wants to know.
    let _ = events.blocking_send(Event::End(outcome));
}

fn is_full(builder: &BatchBuilder) -> bool {
    builder.rows() >= BATCH_ROWS || builder.bytes() >= BATCH_BYTES
}

/// The batches of a stream's raw rows.
pub struct Batches<'a> {
    raw_rows: &'a RawRows,
    lines: Lines,
    /// Lines that were read, and how many bytes of them are done.
    open: Vec<u8>,
    done: usize,
}

impl<'a> Batches<'a> {
    pub fn new(raw_rows: &'a RawRows, lines: Lines) -> Self {
        Self { raw_rows, lines, open: Vec::new(), done: 0 }
    }

    /// The next batch; nothing when no record is left.
    pub fn next(&mut self, builder: &mut BatchBuilder) -> Result<Option<Batch>> {
        loop {
            while let Some(end) = self.open[self.done..].iter().position(|byte| *byte == b'\n') {
                let line = &self.open[self.done..self.done + end];
                self.done += end + 1;
                let incoming: Incoming<'_> = serde_json::from_slice(line)
                    .map_err(|error| Failure::system(format!("a record cannot be read again: {error}")))?;
                if let Some(record) = &incoming.record {
                    builder.push(record);
                }
                if is_full(builder) {
                    return builder.finish().map(Some);
                }
            }
            match self.raw_rows.next(&mut self.lines)? {
                Some(lines) => (self.open, self.done) = (lines, 0),
                None if builder.rows() > 0 => return builder.finish().map(Some),
                None => return Ok(None),
            }
        }
    }
}

struct Intake<'a> {
    index_of: HashMap<StreamDescriptor, usize>,
    names: Vec<StreamDescriptor>,
    shapes: Vec<Arc<Shape>>,
    /// Of the streams that are encoded as they come.
    builders: Vec<Option<BatchBuilder>>,
    /// Records received, by stream.
    records: Vec<u64>,
    complete: Vec<bool>,
    raw_rows: &'a RawRows,
    events: &'a Sender<Event>,
}

impl<'a> Intake<'a> {
    fn new(
        streams: Vec<(StreamDescriptor, Arc<Shape>)>,
        raw_rows: &'a RawRows,
        events: &'a Sender<Event>,
    ) -> Self {
        let (names, shapes): (Vec<StreamDescriptor>, Vec<Arc<Shape>>) = streams.into_iter().unzip();
        Self {
            index_of: names.iter().cloned().enumerate().map(|(index, name)| (name, index)).collect(),
            builders: shapes.iter().map(|_| None).collect(),
            records: vec![0; shapes.len()],
            complete: vec![false; shapes.len()],
            names,
            shapes,
            raw_rows,
            events,
        }
    }

    fn read(&mut self, mut input: impl BufRead) -> std::result::Result<(), Stop> {
        let mut line = Vec::new();
        loop {
            line.clear();
            line.shrink_to(LINE_BUFFER_TO_KEEP);
            let length = input
                .read_until(b'\n', &mut line)
                .map_err(|error| Failure::system(format!("stdin cannot be read: {error}")))?;
            if length == 0 {
                break;
            }
            self.take_line(&line)?;
        }
        self.flush_all()
    }

    fn take_line(&mut self, line: &[u8]) -> std::result::Result<(), Stop> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let incoming = match serde_json::from_slice::<Incoming<'_>>(line) {
            Ok(incoming) => incoming,
            Err(error) => return self.not_a_message(line, &error),
        };
        match (incoming.kind.as_str(), &incoming.record) {
            ("RECORD", Some(record)) => self.take_record(record, line),
            ("STATE", _) => self.take_state(&incoming, line),
            ("TRACE", _) => match incoming.stream_status() {
                Some((name, status)) => self.take_status(&name, status),
                None => Ok(()),
            },
            ("RECORD", None) => Err(Failure::system("a RECORD line has no record").into()),
            // Logs and control messages are the platform's business.
            _ => Ok(()),
        }
    }

    /// A line that is no message is somebody's log, unless it was to be a record or a state: such a loss must not
    /// go unseen. Only the end of the input may cut one off, and what was cut off is read again by the next sync.
    fn not_a_message(&mut self, line: &[u8], error: &serde_json::Error) -> std::result::Result<(), Stop> {
        let head = String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned();
        if !line.ends_with(b"\n") {
            self.send(Event::Warning("the input ends within a line, which is passed over".to_owned()))?;
            return Ok(());
        }
        let compact: String = head.chars().filter(|letter| !letter.is_whitespace()).collect();
        if compact.contains(r#""type":"RECORD""#) || compact.contains(r#""type":"STATE""#) {
            let column = error.column();
            let text = format!("a line cannot be read as a message, which would lose it (column {column})");
            return Err(Failure::system(text).into());
        }
        self.send(Event::Warning(format!("not a message: {}", head.trim_end())))?;
        Ok(())
    }

    fn take_record(&mut self, record: &IncomingRecord<'_>, line: &[u8]) -> std::result::Result<(), Stop> {
        // Nearly all streams have no namespace, and then nothing is copied but the name.
        let name = StreamDescriptor { name: record.stream.clone(), namespace: record.namespace.clone() };
        let Some(&stream) = self.index_of.get(&name) else {
            return Err(Failure::system(format!(
                "a record of stream {:?}, which is not in the catalog",
                name.name
            ))
            .into());
        };
        if self.complete[stream] {
            let failure = Failure::system("a record came after its stream was complete");
            return Err(failure.of_stream(self.names[stream].clone()).into());
        }
        self.records[stream] += 1;
        match &mut self.builders[stream] {
            Some(builder) => {
                builder.push(record);
                if is_full(builder) { self.flush(stream) } else { Ok(()) }
            }
            None => match self.raw_rows.add(stream, line)? {
                Added::Kept => Ok(()),
                Added::Direct(lines) => self.encode_from_now_on(stream, lines),
            },
        }
    }

    fn encode_from_now_on(&mut self, stream: usize, lines: Lines) -> std::result::Result<(), Stop> {
        let mut builder = BatchBuilder::new(self.shapes[stream].clone(), RowIds::new())?;
        let mut batches = Batches::new(self.raw_rows, lines);
        while let Some(batch) = batches.next(&mut builder)? {
            self.send(Event::Rows { stream, batch })?;
        }
        self.builders[stream] = Some(builder);
        Ok(())
    }

    fn take_state(&mut self, incoming: &Incoming<'_>, line: &[u8]) -> std::result::Result<(), Stop> {
        let Some(scope) = incoming.state_scope() else {
            return Err(Failure::system("a STATE line has no state").into());
        };
        let scope = match scope {
            StateScope::Stream(name) => match self.index_of.get(&name) {
                Some(&stream) => {
                    self.flush(stream)?;
                    Scope::Stream { stream, records: self.records[stream] }
                }
                None => {
                    let text = format!("a STATE of stream {:?}, which is not in the catalog", name.name);
                    return Err(Failure::system(text).into());
                }
            },
            StateScope::Everything => {
                self.flush_all()?;
                Scope::Everything { records: self.records.clone() }
            }
        };
        let mut line = line.to_vec();
        if !line.ends_with(b"\n") {
            line.push(b'\n');
        }
        Ok(self.send(Event::State { scope, line })?)
    }

    fn take_status(
        &mut self,
        name: &StreamDescriptor,
        status: StreamStatus,
    ) -> std::result::Result<(), Stop> {
        let Some(&stream) = self.index_of.get(name) else { return Ok(()) };
        self.flush(stream)?;
        if status == StreamStatus::Complete {
            self.complete[stream] = true;
            self.builders[stream] = None;
        }
        Ok(self.send(Event::Status { stream, status })?)
    }

    fn flush(&mut self, stream: usize) -> std::result::Result<(), Stop> {
        let Some(builder) = &mut self.builders[stream] else { return Ok(()) };
        self.raw_rows.count_unknown_fields(stream, builder.take_unknown_fields());
        if builder.rows() == 0 {
            return Ok(());
        }
        let batch = builder.finish()?;
        Ok(self.send(Event::Rows { stream, batch })?)
    }

    fn flush_all(&mut self) -> std::result::Result<(), Stop> {
        (0..self.builders.len()).try_for_each(|stream| self.flush(stream))
    }

    fn send(&self, event: Event) -> std::result::Result<(), Unheard> {
        self.events.blocking_send(event).map_err(|_| Unheard)
    }
}
