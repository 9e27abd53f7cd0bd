//! A read inside the test's own process, for faults that the connector retries: the same code as in the binary, with
//! short waits.

use std::future::pending;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use airbyte_connector::{Output, Secret};
use airbyte_protocol::catalog::ConfiguredCatalog;
use airbyte_protocol::state as state_file;
use serde_json::{Value, json};
use source_asana::asana::{self, Client, MOST_IN_FLIGHT, Patience, Timeouts, TokenSource};
use source_asana::config::Settings;
use source_asana::plan::Plan;
use source_asana::state::StreamState;
use source_asana::stream::Stream;
use source_asana::streams::ALL;
use source_asana::sync;
use tokio::sync::mpsc;

use crate::harness::{Run, TOKEN};

/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The settings of a read inside the process.
pub struct InProcess {
    base_url: String,
    pub patience: Patience,
    pub timeouts: Timeouts,
    pub requests_per_minute: u32,
    /// Requests under way at once.
    pub in_flight: usize,
    /// The minimum time between two checkpoints of a stream.
    pub checkpoint_every: Option<Duration>,
    /// The table of streams.
    pub table: &'static [&'static Stream],
    /// Maximum number of emitted gids kept in memory per stream.
    pub most_marks_in_memory: Option<usize>,
}

impl InProcess {
    /// A read from the Asana at `base_url` that tries as often as the binary does.
    pub fn new(base_url: &str) -> Self {
        let attempts = Patience::default().attempts;
        let patience = Patience {
            first_wait: Duration::from_millis(1),
            longest_wait: Duration::from_millis(2),
            attempts,
            failing_for: FOR_EVER,
            rejected_for: Duration::from_secs(60 * 60),
        };
        let timeouts = Timeouts { connect: FOR_EVER, idle: FOR_EVER, body: FOR_EVER };
        Self {
            base_url: base_url.to_owned(),
            patience,
            timeouts,
            requests_per_minute: 1_000_000,
            in_flight: MOST_IN_FLIGHT,
            checkpoint_every: None,
            most_marks_in_memory: None,
            table: ALL,
        }
    }

    pub fn read(&self, catalog: &Value, state: Option<&Value>) -> Run {
        let output = Collected::default();
        let exit_code = self.read_into(catalog, state, output.clone());
        Run::parse(output.take(), Some(exit_code))
    }

    /// The same, with a reader of the output that takes a few bytes at a time.
    pub fn read_slowly(&self, catalog: &Value) -> Run {
        let output = Collected::default();
        let exit_code = self.read_into(catalog, None, Sips(output.clone()));
        Run::parse(output.take(), Some(exit_code))
    }

    /// The same, and what is written is also shown to `watch`, piece by piece, before the read goes on.
    pub fn read_watched(
        &self,
        catalog: &Value,
        state: Option<&Value>,
        watch: impl FnMut(&[u8]) + Send + 'static,
    ) -> Run {
        let output = Collected::default();
        let exit_code = self.read_into(catalog, state, Watched(output.clone(), watch));
        Run::parse(output.take(), Some(exit_code))
    }

    /// Reads into `output` and returns the exit code of the binary.
    fn read_into(&self, catalog: &Value, state: Option<&Value>, output: impl Write + Send + 'static) -> i32 {
        let config = json!({"token": TOKEN,
            "rate_limit": {"mode": "fixed", "requests_per_minute": self.requests_per_minute}});
        let mut settings = Settings::parse(&config.to_string()).unwrap();
        settings.limits.in_flight = self.in_flight;
        settings.limits.search_per_minute = self.requests_per_minute;
        settings.checkpoint_every = self.checkpoint_every.unwrap_or(settings.checkpoint_every);
        settings.most_marks_in_memory = self.most_marks_in_memory.unwrap_or(settings.most_marks_in_memory);
        let catalog: ConfiguredCatalog = serde_json::from_value(catalog.clone()).unwrap();
        let (plan, unknown) = Plan::of(self.table, &catalog);
        assert!(unknown.is_empty(), "{unknown:?}");
        let given = state.map(|state| state_file::parse_file(&state.to_string()).unwrap().streams);
        let given = given.unwrap_or_default();
        let states = plan.streams.iter().map(|planned| {
            given
                .get(planned.stream.name)
                .map_or_else(StreamState::default, |state| StreamState::parse(state).unwrap())
        });
        let states = states.collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (outcome, written) = runtime.block_on(async {
            let (notices, receiver) = mpsc::unbounded_channel();
            let client = Client::new(asana::Settings {
                base_url: self.base_url.clone(),
                token: TokenSource::Static(Secret::new(TOKEN)),
                secrets: settings.secrets.clone(),
                limits: settings.limits,
                patience: self.patience.clone(),
                timeouts: self.timeouts,
                notices,
            });
            let mut output = Output::to(Box::new(output));
            output.hide(&settings.secrets);
            sync::sync(&plan, &settings, client.unwrap(), receiver, states, pending(), output).await
        });
        written.expect("the writer does not panic").unwrap();
        if outcome.failures.is_empty() { 0 } else { 1 }
    }
}

/// The output, for the test.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<u8>>>);

impl Collected {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Write for Collected {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An output with an observer.
struct Watched<Watch>(Collected, Watch);

impl<Watch: FnMut(&[u8])> Write for Watched<Watch> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1(bytes);
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A slow output: few bytes at a time, and other threads run first.
struct Sips(Collected);

impl Write for Sips {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sip = &bytes[..bytes.len().min(4)];
        // Not at each sip: on a busy machine every yield waits for the slices of all others.
        if sip.contains(&b'\n') {
            thread::yield_now();
        }
        self.0.write(sip)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
