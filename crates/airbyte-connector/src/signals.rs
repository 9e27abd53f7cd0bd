//! SIGTERM and SIGINT. A verb that can stop in an orderly way has one second for it; any other dies at once.
//!
//! The process dies of the signal instead of exiting with a number, because that is how the sender tells a stop from a
//! failure. The first process of a container cannot: the kernel ignores a signal's default action there. It exits with the
//! number that a shell reports for a process that died of the signal.

use std::io;
use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals as SignalIterator;
use signal_hook::low_level::emulate_default_handler;
use tokio::sync::watch;

use crate::failure::Failure;

/// How long an orderly stop may take. Platforms kill a process about ten seconds after they asked it to end, and the reader
/// of stdout may be gone without having closed it.
const GRACE: Duration = Duration::from_secs(1);

/// A shell adds this to a signal's number to make the exit code of a process that died of it.
const DIED_OF_SIGNAL: i32 = 128;

/// Receives the signals of this process.
#[derive(Debug)]
pub struct Signals(Arc<watch::Sender<Option<i32>>>);

/// Waits for a signal. While at least one exists, a signal does not end the process for one second.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Option<i32>>);

impl Signals {
    /// Receives signals from now on, on a thread of its own.
    ///
    /// # Errors
    ///
    /// If the operating system does not grant a thread or a handler. Signals keep their default action then.
    pub fn watch() -> io::Result<Self> {
        let mut signals = SignalIterator::new([SIGTERM, SIGINT])?;
        let sender = Arc::new(watch::Sender::new(None));
        let received = Arc::clone(&sender);
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                let is_second = received.send_replace(Some(signal)).is_some();
                if is_second || received.receiver_count() == 0 {
                    die_of(signal);
                }
                thread::spawn(move || {
                    thread::sleep(GRACE);
                    die_of(signal);
                });
            }
        })?;
        Ok(Self(sender))
    }

    pub fn stop(&self) -> Stop {
        Stop(self.0.subscribe())
    }

    /// Dies of the signal that was received, if one was. Called when an orderly stop is complete.
    pub fn obey(&self) {
        let signal = *self.0.borrow();
        if let Some(signal) = signal {
            die_of(signal);
        }
    }
}

impl Stop {
    /// Waits for a signal and returns the failure that the sync reports for it.
    pub async fn failure(mut self) -> Failure {
        // An error means that the sender is gone, which happens only when the process ends.
        let signal = self.0.wait_for(Option::is_some).await.ok().and_then(|signal| *signal);
        let name = if signal == Some(SIGINT) { "SIGINT" } else { "SIGTERM" };
        Failure::transient(format!(
            "the sync was stopped by {name}. Run it again: it resumes from the last state that it printed"
        ))
    }
}

fn die_of(signal: i32) -> ! {
    if process::id() != 1 {
        // It returns only if it failed; exiting is the next best.
        drop(emulate_default_handler(signal));
    }
    process::exit(DIED_OF_SIGNAL + signal)
}
