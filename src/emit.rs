//! What a read reports, as protocol lines in the order of the events.

use std::io;
use std::sync::Arc;

use airbyte_connector::{Failure, Output, Secret, unix_milliseconds};
use airbyte_protocol::Message;
use airbyte_protocol::message::{Estimate, EstimateKind, Level, RateLimited, StatusReason, StreamStatus};
use airbyte_protocol::record::Envelope;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::asana::Turn;
use crate::config::ConfigFile;
use crate::moment::Moment;

/// Something that a read reports. A checkpoint comes after the records that it covers.
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
    /// The expected size of the stream.
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
    /// Of the page that the records are from. It gets `text` back when they are written.
    pub turn: Option<Arc<Turn>>,
}

/// How many events may wait for stdout.
pub const QUEUE: usize = 8;

/// Writes events to `output` until there are no more.
///
/// # Errors
///
/// If the output cannot be written, as when its reader is gone.
pub fn run(mut events: mpsc::Receiver<Event>, config: &ConfigFile, mut output: Output) -> io::Result<()> {
    let mut emitter = Emitter { output: &mut output, counts: Vec::new(), config };
    while let Some(event) = events.blocking_recv() {
        emitter.emit(event, unix_milliseconds())?;
        if events.is_empty() {
            emitter.output.flush()?;
        }
    }
    output.flush()
}

struct Emitter<'a> {
    output: &'a mut Output,
    /// Each stream's records since its last STATE, and the beginning of its RECORD lines.
    counts: Vec<(&'static str, u64, Envelope)>,
    config: &'a ConfigFile,
}

impl Emitter<'_> {
    fn emit(&mut self, event: Event, now: u64) -> io::Result<()> {
        match event {
            Event::Started { stream } => {
                self.status(stream, StreamStatus::Started, Vec::new(), now)?;
                self.status(stream, StreamStatus::Running, Vec::new(), now)?;
            }
            Event::Records(batch) => {
                let (_, count, envelope) = stream_entry(&mut self.counts, batch.stream);
                let mut start = 0;
                for end in batch.ends {
                    self.output.push_record(envelope, &batch.text[start..end], now)?;
                    start = end;
                    *count += 1;
                }
                if let Some(turn) = batch.turn {
                    turn.give_back(batch.text);
                }
            }
            Event::Checkpoint { stream, state } => {
                let (_, count, _) = stream_entry(&mut self.counts, stream);
                self.output.push(Message::stream_state(stream, state, std::mem::take(count)))?;
            }
            Event::Complete { stream } => self.status(stream, StreamStatus::Complete, Vec::new(), now)?,
            Event::Incomplete { stream } => {
                self.status(stream, StreamStatus::Incomplete, Vec::new(), now)?;
            }
            Event::RateLimited { stream, until } => {
                let rate_limited = RateLimited { quota_reset: until.unix_milliseconds() };
                self.status(
                    stream,
                    StreamStatus::Running,
                    vec![StatusReason::RateLimited { rate_limited }],
                    now,
                )?;
            }
            Event::Estimate { stream, records, bytes } => {
                let estimate = Estimate {
                    name: stream.to_owned(),
                    kind: EstimateKind::Stream,
                    row_estimate: records,
                    byte_estimate: bytes,
                };
                self.output.push(Message::estimate(estimate, now))?;
            }
            Event::Failed(failure) => self.output.push(Message::error(failure.to_trace(), now))?,
            Event::RefreshTokenReplaced(refresh_token) => {
                let config = self.config.with_refresh_token(&refresh_token);
                self.output.push(Message::new_config(config, now))?;
            }
            Event::Log { level, text } => self.output.push(Message::log(level, text))?,
        }
        Ok(())
    }

    fn status(
        &mut self,
        stream: &str,
        status: StreamStatus,
        reasons: Vec<StatusReason>,
        now: u64,
    ) -> io::Result<()> {
        self.output.push(Message::stream_status(stream, status, reasons, now))
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use serde_json::{Value, json};

    use super::*;
    use crate::config::Settings;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that these events become, at the time 7.
    fn lines(events: impl IntoIterator<Item = Event>) -> Vec<Value> {
        lines_with("2/1204/567:0123456789abcdef", events)
    }

    fn lines_with(token: &str, events: impl IntoIterator<Item = Event>) -> Vec<Value> {
        let settings = Settings::parse(&json!({"token": token}).to_string()).unwrap();
        let written = Written::default();
        let mut output = Output::to(Box::new(written.clone()));
        output.hide(&settings.secrets);
        let mut emitter = Emitter { output: &mut output, counts: Vec::new(), config: &settings.file };
        events.into_iter().for_each(|event| emitter.emit(event, 7).unwrap());
        output.flush().unwrap();
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
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
