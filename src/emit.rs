//! The only writer of stdout: events in, protocol lines out, in their order. Knows nothing of where events
//! come from.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use airbyte_protocol::Message;
use airbyte_protocol::message::{Level, RateLimited, StatusReason, StreamStatus};
use airbyte_protocol::record::{self, Envelope};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::asana::{Secret, Turn};
use crate::error::Failure;
use crate::moment::Moment;

/// Something that a read has to tell, in the order in which it is told: a checkpoint comes after the records
/// that it covers.
#[derive(Debug)]
pub enum Event {
    Started {
        stream: &'static str,
    },
    Records(Batch),
    Checkpoint {
        stream: &'static str,
        state: Value,
    },
    /// Everything of the stream was read; nothing follows for it.
    Complete {
        stream: &'static str,
    },
    /// Not everything of the stream was read; nothing follows for it.
    Incomplete {
        stream: &'static str,
    },
    /// The stream waits for Asana's quota until then.
    RateLimited {
        stream: &'static str,
        until: Moment,
    },
    Failed(Failure),
    Log {
        level: Level,
        text: String,
    },
}

/// Records of one stream as JSON text, one behind the other.
#[derive(Debug)]
pub struct Batch {
    pub stream: &'static str,
    pub text: Vec<u8>,
    /// Where each record ends in `text`.
    pub ends: Vec<usize>,
    /// Of the page that the records are from. It is given back when they are written.
    pub turn: Option<Arc<Turn>>,
}

/// How many events may wait for stdout.
pub const QUEUE: usize = 8;

/// As much as is written at once; more saves nothing.
const WRITE: usize = 64 * 1024;

/// Writes events to `output` until there are no more.
///
/// # Errors
///
/// When it cannot be written, as when the reader has gone.
pub fn run(events: mpsc::Receiver<Event>, token: &Secret, output: impl Write) -> io::Result<()> {
    Emitter { output, buffer: Vec::with_capacity(2 * WRITE), counts: Vec::new(), token }.drain(events)
}

/// stdout without the buffer that the standard library puts before it, which would write every line by itself.
///
/// # Errors
///
/// When stdout is closed.
pub fn stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Writes one message, such as the answer to `spec`.
///
/// # Errors
///
/// When stdout cannot be written.
pub fn one(message: &Message, token: Option<&Secret>) -> io::Result<()> {
    let line = message.to_line();
    let line = token.map_or_else(|| line.clone(), |token| token.redact(&line));
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    stdout.flush()
}

struct Emitter<'a, Output> {
    output: Output,
    buffer: Vec<u8>,
    /// Records since the stream's last STATE, and the stream's line head.
    counts: Vec<(&'static str, u64, Envelope)>,
    token: &'a Secret,
}

impl<Output: Write> Emitter<'_, Output> {
    fn drain(mut self, mut events: mpsc::Receiver<Event>) -> io::Result<()> {
        while let Some(event) = events.blocking_recv() {
            self.take(event, now());
            // What is buffered goes out when there is enough of it, and when nothing else is to be done.
            if self.buffer.len() >= WRITE || events.is_empty() {
                self.output.write_all(&self.buffer)?;
                self.buffer.clear();
            }
        }
        self.output.write_all(&self.buffer)?;
        self.output.flush()
    }

    fn take(&mut self, event: Event, now: u64) {
        match event {
            Event::Started { stream } => {
                self.status(stream, StreamStatus::Started, Vec::new(), now);
                self.status(stream, StreamStatus::Running, Vec::new(), now);
            }
            Event::Records(batch) => {
                let (_, count, envelope) = stream_entry(&mut self.counts, batch.stream);
                let mut start = 0;
                for end in batch.ends {
                    record::write_line(&mut self.buffer, envelope, &batch.text[start..end], now);
                    start = end;
                    *count += 1;
                }
            }
            Event::Checkpoint { stream, state } => {
                let (_, count, _) = stream_entry(&mut self.counts, stream);
                let message = Message::stream_state(stream, state, std::mem::take(count));
                // Gids and times only: there is nothing to redact.
                self.buffer.extend_from_slice(message.to_line().as_bytes());
            }
            Event::Complete { stream } => self.status(stream, StreamStatus::Complete, Vec::new(), now),
            Event::Incomplete { stream } => self.status(stream, StreamStatus::Incomplete, Vec::new(), now),
            Event::RateLimited { stream, until } => {
                let rate_limited = RateLimited { quota_reset: until.unix_milliseconds() };
                self.status(
                    stream,
                    StreamStatus::Running,
                    vec![StatusReason::RateLimited { rate_limited }],
                    now,
                );
            }
            Event::Failed(failure) => self.line(&Message::error(failure.trace(), now)),
            Event::Log { level, text } => self.line(&Message::log(level, text)),
        }
    }

    fn status(&mut self, stream: &str, status: StreamStatus, reasons: Vec<StatusReason>, now: u64) {
        self.line(&Message::stream_status(stream, status, reasons, now));
    }

    fn line(&mut self, message: &Message) {
        self.buffer.extend_from_slice(self.token.redact(&message.to_line()).as_bytes());
    }
}

fn stream_entry<'a>(
    counts: &'a mut Vec<(&'static str, u64, Envelope)>,
    stream: &'static str,
) -> &'a mut (&'static str, u64, Envelope) {
    let index = counts.iter().position(|(name, ..)| *name == stream).unwrap_or_else(|| {
        counts.push((stream, 0, Envelope::new(stream)));
        counts.len() - 1
    });
    &mut counts[index]
}

/// Milliseconds since 1970.
pub fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
