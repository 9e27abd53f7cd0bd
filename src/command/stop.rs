//! SIGTERM and SIGINT: who can stop in an orderly way is told, and a moment later the process dies of the signal,
//! whatever stdout does. Knows not what is being done.
//!
//! The process dies of the signal and does not exit with a number, because that is how whoever sent it tells a stop
//! from a failure. The first process of a container cannot: the kernel keeps a signal's default action from it.

use std::process;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tokio::sync::watch;

use crate::error::Failure;

/// How long what was told to stop may take. Platforms kill a process that does not end about ten seconds after they
/// asked it to, and stdout may be full, with nobody reading.
const GRACE: Duration = Duration::from_secs(1);

/// What a shell adds to a signal's number for the exit code of a process that died of it.
const DIED_OF: i32 = 128;

/// The signal that was received, if one was.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Option<i32>>);

impl Stop {
    /// Receives signals from now on, on a thread of its own: no other may be free to. Where nobody waits for
    /// [`Self::failure`] any more, and after a second one, the process dies at once.
    ///
    /// # Errors
    ///
    /// When the operating system does not give a thread or a handler; signals keep their default action then.
    pub fn watch() -> std::io::Result<Self> {
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        let (sender, receiver) = watch::channel(None);
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                let is_second = sender.send_replace(Some(signal)).is_some();
                if is_second || sender.receiver_count() == 0 {
                    die_of(signal);
                }
                thread::spawn(move || {
                    thread::sleep(GRACE);
                    die_of(signal);
                });
            }
        })?;
        Ok(Self(receiver))
    }

    /// Waits for a signal, and gives what it means to a sync.
    pub async fn failure(mut self) -> Failure {
        // The sender lives as long as the process.
        let signal = self.0.wait_for(Option::is_some).await.ok().and_then(|signal| *signal);
        let name = if signal == Some(SIGINT) { "SIGINT" } else { "SIGTERM" };
        Failure::transient(format!(
            "the sync was stopped by {name}. Run it again: it goes on from the state that it has printed"
        ))
    }

    /// Dies of the signal that was received, if one was: the end of whatever stopped in an orderly way.
    pub fn obey(&self) {
        let signal = *self.0.borrow();
        if let Some(signal) = signal {
            die_of(signal);
        }
    }
}

fn die_of(signal: i32) -> ! {
    if process::id() != 1 {
        // It does not come back; if it does, what follows is as good.
        drop(emulate_default_handler(signal));
    }
    process::exit(DIED_OF + signal)
}
