//! The only writer of stdout: events in, protocol lines out, in their order. Knows nothing of where events
//! come from.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use airbyte_protocol::Message;
use airbyte_protocol::message::{Estimate, EstimateKind, Level, RateLimited, StatusReason, StreamStatus};
use airbyte_protocol::record::{self, Envelope};
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::asana::{Secret, Secrets, Turn};
use crate::config::ConfigFile;
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
        state: Box<RawValue>,
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
    /// What the stream is expected to come to.
    Estimate {
        stream: &'static str,
        records: u64,
        /// As JSON text.
        bytes: u64,
    },
    Failed(Failure),
    /// Asana replaced the config's refresh token; the platform has to keep the new one.
    RefreshTokenReplaced(Secret),
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
    /// Of the page that the records are from. It is given back when they are written, and `text` with it.
    pub turn: Option<Arc<Turn>>,
}

/// How many events may wait for stdout.
pub const QUEUE: usize = 8;

/// As much as is written at once; more saves nothing.
const WRITE: usize = 64 * 1024;
/// Room for that and for the line that goes beyond it.
const ROOM: usize = 2 * WRITE;

/// Writes events to `output` until there are no more.
///
/// # Errors
///
/// When it cannot be written, as when the reader has gone.
pub fn run(
    events: mpsc::Receiver<Event>,
    secrets: &Secrets,
    config: &ConfigFile,
    output: impl Write,
) -> io::Result<()> {
    let buffer = Vec::with_capacity(ROOM);
    Emitter { output, buffer, counts: Vec::new(), secrets, config }.drain(events)
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
pub fn one(message: Message, secrets: Option<&Secrets>) -> io::Result<()> {
    let message = match secrets {
        Some(secrets) => message.with_texts(|text| secrets.redact(text)),
        None => message,
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(message.to_line().as_bytes())?;
    stdout.flush()
}

struct Emitter<'a, Output> {
    output: Output,
    buffer: Vec<u8>,
    /// Records since the stream's last STATE, and the stream's line head.
    counts: Vec<(&'static str, u64, Envelope)>,
    secrets: &'a Secrets,
    config: &'a ConfigFile,
}

impl<Output: Write> Emitter<'_, Output> {
    fn drain(mut self, mut events: mpsc::Receiver<Event>) -> io::Result<()> {
        while let Some(event) = events.blocking_recv() {
            self.take(event, now())?;
            // What is buffered goes out when there is enough of it, and when nothing else is to be done.
            if self.buffer.len() >= WRITE || events.is_empty() {
                write(&mut self.output, &mut self.buffer)?;
            }
        }
        write(&mut self.output, &mut self.buffer)?;
        self.output.flush()
    }

    fn take(&mut self, event: Event, now: u64) -> io::Result<()> {
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
                    if self.buffer.len() >= WRITE {
                        write(&mut self.output, &mut self.buffer)?;
                    }
                }
                if let Some(turn) = batch.turn {
                    turn.give_back(batch.text);
                }
            }
            Event::Checkpoint { stream, state } => {
                let (_, count, _) = stream_entry(&mut self.counts, stream);
                let message = Message::stream_state(stream, state, std::mem::take(count));
                // Gids and times only: there is nothing to redact.
                message.write_line(&mut self.buffer);
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
            Event::Estimate { stream, records, bytes } => {
                let estimate = Estimate {
                    name: stream.to_owned(),
                    kind: EstimateKind::Stream,
                    row_estimate: records,
                    byte_estimate: bytes,
                };
                self.line(Message::estimate(estimate, now));
            }
            Event::Failed(failure) => self.line(Message::error(failure.trace(), now)),
            Event::RefreshTokenReplaced(refresh_token) => {
                let config = self.config.with_refresh_token(&refresh_token);
                // The platform keeps what is in it, so this is the one message that has secrets.
                Message::new_config(config, now).write_line(&mut self.buffer);
            }
            Event::Log { level, text } => self.line(Message::log(level, text)),
        }
        Ok(())
    }

    fn status(&mut self, stream: &str, status: StreamStatus, reasons: Vec<StatusReason>, now: u64) {
        self.line(Message::stream_status(stream, status, reasons, now));
    }

    /// Texts may quote what somebody else said, the token among it.
    fn line(&mut self, message: Message) {
        message.with_texts(|text| self.secrets.redact(text)).write_line(&mut self.buffer);
    }
}

/// Writes what is buffered. The room that something large took is given back.
fn write(output: &mut impl Write, buffer: &mut Vec<u8>) -> io::Result<()> {
    output.write_all(buffer)?;
    buffer.clear();
    buffer.shrink_to(ROOM);
    Ok(())
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Settings;

    /// The lines that these events become, at the time 7.
    fn lines(events: impl IntoIterator<Item = Event>) -> Vec<Value> {
        lines_with("2/1204/567:0123456789abcdef", events)
    }

    fn lines_with(token: &str, events: impl IntoIterator<Item = Event>) -> Vec<Value> {
        let settings = Settings::parse(&json!({"token": token}).to_string()).unwrap();
        let mut emitter = Emitter {
            output: io::sink(),
            buffer: Vec::new(),
            counts: Vec::new(),
            secrets: &settings.secrets,
            config: &settings.file,
        };
        events.into_iter().for_each(|event| emitter.take(event, 7).unwrap());
        let text = String::from_utf8(emitter.buffer).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_wait_is_running_with_one_reason_and_its_end() {
        let until = Moment::from_unix_milliseconds(1_704_110_400_000);
        let status = &lines([Event::RateLimited { stream: "tags", until }])[0]["trace"]["stream_status"];
        assert_eq!(
            *status,
            json!({"stream_descriptor": {"name": "tags"}, "status": "RUNNING", "reasons":
                [{"type": "RATE_LIMITED", "rate_limited": {"quota_reset": 1_704_110_400_000_u64}}]})
        );
    }

    #[test]
    fn an_estimate_has_both_numbers_and_is_of_a_stream() {
        assert_eq!(
            lines([Event::Estimate { stream: "tags", records: 3, bytes: 40 }]),
            [json!({"type": "TRACE", "trace": {"type": "ESTIMATE", "emitted_at": 7, "estimate":
                {"name": "tags", "type": "STREAM", "row_estimate": 3, "byte_estimate": 40}}})]
        );
    }

    /// As somebody may type into a form.
    #[test]
    fn a_token_that_is_a_common_word_does_not_break_the_protocol() {
        for token in ["t", "type", "status", ":", "\"", "tags"] {
            let events = [
                Event::Started { stream: "tags" },
                Event::Log { level: Level::Info, text: "tags: \"type\" of status".to_owned() },
            ];
            let lines = lines_with(token, events);
            assert_eq!(lines[0]["trace"]["stream_status"]["status"], "STARTED", "{token}");
            assert_eq!(lines[0]["trace"]["stream_status"]["stream_descriptor"]["name"], "tags", "{token}");
            let log = lines.last().unwrap()["log"]["message"].as_str().unwrap();
            // A secret as short as these is redacted where it is a word of its own.
            let mut words = log.split(|c: char| !c.is_alphanumeric());
            assert!(words.all(|word| word != token), "{token}: {log}");
        }
    }

    #[test]
    fn no_message_has_the_token() {
        let text = "GET / with 2%2F1204%2F567%3A0123456789abcdef".to_owned();
        let events =
            [Event::Log { level: Level::Warn, text: text.clone() }, Event::Failed(Failure::transient(text))];
        for line in lines(events) {
            let line = line.to_string();
            assert!(line.contains("[redacted]") && !line.contains("0123456789"), "{line}");
        }
    }
}
