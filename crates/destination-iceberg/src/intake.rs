//! Protocol lines to batches and events, on a thread of its own. Knows the streams' shapes, no file and no
//! catalog.

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::Arc;

use airbyte_protocol::incoming::{Incoming, IncomingRecord, StateScope};
use airbyte_protocol::message::{StreamDescriptor, StreamStatus};
use tokio::sync::mpsc::Sender;

use crate::batch::{Batch, BatchBuilder, RowIds, Shape};
use crate::failure::{Failure, Result};

/// A batch is handed on when it has so many rows, or so many bytes of JSON.
const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 4 << 20;
/// All batches together may grow to so many bytes of JSON before they are all handed on.
const ALL_BATCHES_BYTES: usize = 16 << 20;
/// A line buffer that grew beyond this for one record is given back.
const LINE_BUFFER_TO_KEEP: usize = 1 << 20;

/// What the input says, in its order: the rows before a STATE come before it.
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
pub fn read(input: impl BufRead, streams: Vec<(StreamDescriptor, Arc<Shape>)>, events: &Sender<Event>) {
    let outcome = Intake::new(streams, events).and_then(|mut intake| match intake.read(input) {
        Ok(()) | Err(Stop::Unheard) => Ok(()),
        Err(Stop::Failed(failure)) => {
            // What came before the bad line is good.
            let _ = intake.flush_all();
            Err(failure)
        }
    });
    // Nobody listens any more: then nobody wants to know.
    let _ = events.blocking_send(Event::End(outcome));
}

struct Intake<'a> {
    index_of: HashMap<StreamDescriptor, usize>,
    names: Vec<StreamDescriptor>,
    builders: Vec<BatchBuilder>,
    /// Records received, by stream.
    records: Vec<u64>,
    events: &'a Sender<Event>,
    held_bytes: usize,
}

impl<'a> Intake<'a> {
    fn new(streams: Vec<(StreamDescriptor, Arc<Shape>)>, events: &'a Sender<Event>) -> Result<Self> {
        let mut builders = Vec::with_capacity(streams.len());
        for (_, shape) in &streams {
            builders.push(BatchBuilder::new(shape.clone(), RowIds::new())?);
        }
        let names: Vec<StreamDescriptor> = streams.into_iter().map(|(name, _)| name).collect();
        Ok(Self {
            index_of: names.iter().cloned().enumerate().map(|(index, name)| (name, index)).collect(),
            records: vec![0; builders.len()],
            names,
            builders,
            events,
            held_bytes: 0,
        })
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
        self.flush_all()?;
        for (builder, name) in self.builders.iter().zip(&self.names) {
            let unknown = builder.unknown_fields();
            if unknown > 0 {
                let text = format!(
                    "stream {}: {unknown} values of fields not in the catalog were passed over",
                    name.name
                );
                self.send(Event::Warning(text))?;
            }
        }
        Ok(())
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
            ("RECORD", Some(record)) => self.take_record(record),
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

    fn take_record(&mut self, record: &IncomingRecord<'_>) -> std::result::Result<(), Stop> {
        // Nearly all streams have no namespace, and then nothing is copied but the name.
        let name = StreamDescriptor { name: record.stream.clone(), namespace: record.namespace.clone() };
        let Some(&stream) = self.index_of.get(&name) else {
            return Err(Failure::system(format!(
                "a record of stream {:?}, which is not in the catalog",
                name.name
            ))
            .into());
        };
        let builder = &mut self.builders[stream];
        let before = builder.bytes();
        builder.push(record);
        self.records[stream] += 1;
        self.held_bytes += builder.bytes() - before;
        if builder.rows() >= BATCH_ROWS || builder.bytes() >= BATCH_BYTES {
            self.flush(stream)?;
        } else if self.held_bytes >= ALL_BATCHES_BYTES {
            self.flush_all()?;
        }
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
        Ok(self.send(Event::Status { stream, status })?)
    }

    fn flush(&mut self, stream: usize) -> std::result::Result<(), Stop> {
        let builder = &mut self.builders[stream];
        if builder.rows() == 0 {
            return Ok(());
        }
        self.held_bytes -= builder.bytes();
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
