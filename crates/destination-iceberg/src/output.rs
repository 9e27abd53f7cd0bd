//! The only writer of stdout: logs, traces, answers, and STATE lines passed on as they came. Knows no table.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use airbyte_protocol::Message;
use airbyte_protocol::message::Level;

use crate::failure::{Failure, Result};

/// Where protocol lines go: the process's stdout, or a buffer in tests.
pub struct Output {
    sink: Box<dyn Write + Send>,
}

impl Output {
    pub fn stdout() -> Self {
        Self::to(Box::new(std::io::stdout()))
    }

    pub fn to(sink: Box<dyn Write + Send>) -> Self {
        Self { sink }
    }

    /// Writes one line, which ends in its newline, and flushes: what a destination says is rare and urgent.
    pub fn line(&mut self, line: &[u8]) -> Result<()> {
        self.sink
            .write_all(line)
            .and_then(|()| self.sink.flush())
            .map_err(|error| Failure::system(format!("stdout cannot be written: {error}")))
    }

    pub fn message(&mut self, message: &Message) -> Result<()> {
        self.line(message.to_line().as_bytes())
    }

    pub fn log(&mut self, level: Level, text: impl Into<String>) -> Result<()> {
        self.message(&Message::log(level, text))
    }

    pub fn failure(&mut self, failure: &Failure) -> Result<()> {
        self.message(&Message::error(failure.to_trace(), now_in_milliseconds()))
    }
}

/// Milliseconds since 1970.
pub fn now_in_milliseconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
