//! The only writer of stdout. Lines leave in the order in which they were pushed, and texts leave redacted.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use airbyte_protocol::Message;
use airbyte_protocol::message::Level;
use airbyte_protocol::record::{self, Envelope};

use crate::clock::unix_milliseconds;
use crate::failure::Failure;
use crate::secrets::Secrets;

/// Bytes that are written at once. More saves nothing.
const WRITE: usize = 64 * 1024;
/// Capacity of the buffer: one write, and the line that goes beyond it.
const CAPACITY: usize = 2 * WRITE;

/// Where protocol lines go: the stdout of the process, or any other writer in tests.
///
/// `push_…` buffers a line, and writes when 64 KiB are buffered; [`Output::flush`] writes what is left. The other methods
/// do both.
pub struct Output {
    sink: Box<dyn Write + Send>,
    buffer: Vec<u8>,
    secrets: Secrets,
}

impl Output {
    /// Whether a person sees the messages themselves, because stdout is a terminal.
    pub fn stdout_is_terminal() -> bool {
        io::stdout().is_terminal()
    }

    pub fn stdout() -> Self {
        Self::to(Box::new(Unbuffered))
    }

    pub fn to(sink: Box<dyn Write + Send>) -> Self {
        Self { sink, buffer: Vec::with_capacity(CAPACITY), secrets: Secrets::default() }
    }

    /// From now on, these secrets are redacted in every text. Secrets that are learned later count too.
    pub fn hide(&mut self, secrets: &Secrets) {
        self.secrets = secrets.clone();
    }

    /// Buffers a message. What it says to people is redacted; names, states and configs are not.
    ///
    /// # Errors
    ///
    /// If stdout cannot be written.
    pub fn push(&mut self, message: Message) -> io::Result<()> {
        message.with_texts(|text| self.secrets.redact(text)).write_line(&mut self.buffer);
        self.write_if_full()
    }

    /// Buffers a RECORD. `data` is the record as JSON text on one line.
    ///
    /// # Errors
    ///
    /// If stdout cannot be written.
    pub fn push_record(&mut self, envelope: &Envelope, data: &[u8], emitted_at: u64) -> io::Result<()> {
        record::write_line(&mut self.buffer, envelope, data, emitted_at);
        self.write_if_full()
    }

    /// Buffers a line as it is, such as a STATE that a destination passes on. `line` ends in a newline.
    ///
    /// # Errors
    ///
    /// If stdout cannot be written.
    pub fn push_line(&mut self, line: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(line);
        self.write_if_full()
    }

    /// # Errors
    ///
    /// If stdout cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.write()?;
        self.sink.flush()
    }

    /// Writes a message at once.
    ///
    /// # Errors
    ///
    /// If stdout cannot be written.
    pub fn message(&mut self, message: Message) -> io::Result<()> {
        self.push(message)?;
        self.flush()
    }

    /// Writes a LOG at once.
    ///
    /// # Errors
    ///
    /// If stdout cannot be written.
    pub fn log(&mut self, level: Level, text: impl Into<String>) -> io::Result<()> {
        self.message(Message::log(level, text))
    }

    /// Writes a failure as an ERROR trace at once.
    ///
    /// # Errors
    ///
    /// If stdout cannot be written.
    pub fn failure(&mut self, failure: &Failure) -> io::Result<()> {
        self.message(Message::error(failure.to_trace(), unix_milliseconds()))
    }

    /// Writes a line as it is, at once.
    ///
    /// # Errors
    ///
    /// If stdout cannot be written.
    pub fn line(&mut self, line: &[u8]) -> io::Result<()> {
        self.push_line(line)?;
        self.flush()
    }

    fn write_if_full(&mut self) -> io::Result<()> {
        if self.buffer.len() >= WRITE { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> io::Result<()> {
        self.sink.write_all(&self.buffer)?;
        self.buffer.clear();
        // One huge line must not hold its memory for the rest of the sync.
        self.buffer.shrink_to(CAPACITY);
        Ok(())
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Output").field("buffered", &self.buffer.len()).finish_non_exhaustive()
    }
}

/// stdout without the buffer of the standard library, which would write each line by itself.
struct Unbuffered;

impl Write for Unbuffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().lock().flush()
    }
}
