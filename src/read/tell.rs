//! What a person and a platform hear while a sync runs and at its end. Knows no HTTP and no particular stream.

use std::collections::BTreeSet;
use std::time::Duration;

use airbyte_protocol::message::Level;
use tokio::time::Instant;

use crate::asana::Notice;
use crate::emit::Event;
use crate::error::Failure;
use crate::plan::StreamId;
use crate::read::checkpoint::CHECKPOINT_EVERY;
use crate::read::report::grouped;
use crate::read::walk::{Outcome, Walk};

/// The longest time without a checkpoint: only records and checkpoints tell a platform that a sync is alive.
const SIGN_OF_LIFE_EVERY: Duration = Duration::from_secs(5 * 60);

/// How often a person is told how far the sync is.
const PROGRESS_EVERY: Duration = Duration::from_secs(30);

/// Shorter pauses than this are pacing, not worth a word to the platform.
const SHORT_WAIT: Duration = Duration::from_secs(5);

impl Walk<'_> {
    pub(super) fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::RateLimited { wait, .. } if wait < SHORT_WAIT => {}
            Notice::RateLimited { wait, .. } => {
                let until = (self.clock)().plus(wait);
                for (index, progress) in self.progress.iter().enumerate() {
                    let planned = self.plan.stream(StreamId(index));
                    if planned.selection.is_some() && progress.is_started && !progress.is_finished {
                        self.outbox.push_back(Event::RateLimited { stream: planned.stream.name, until });
                    }
                }
                self.log(Level::Info, format!("Asana's quota is used up: going on at {until}"));
            }
            Notice::Retrying { endpoint, attempt, wait, why } => {
                let wait = wait.as_secs_f64();
                let text =
                    format!("{endpoint}: attempt {attempt} failed ({why}); trying again in {wait:.1} s");
                self.log(Level::Info, text);
            }
            Notice::ChangeAnnounced { text } => {
                self.log(Level::Info, format!("Asana announces a change of its API: {text}"));
            }
            Notice::SmallerPages { endpoint, limit } => {
                self.log(
                    Level::Info,
                    format!("{endpoint}: its pages keep failing, so {limit} records are asked for at once"),
                );
            }
            Notice::ListingRestarted { endpoint } => {
                self.log(
                    Level::Info,
                    format!(
                        "{endpoint}: an offset expired, so the listing begins again; nothing is emitted twice"
                    ),
                );
            }
        }
    }

    pub(super) fn log(&mut self, level: Level, text: String) {
        self.outbox.push_back(Event::Log { level, text });
    }

    pub(super) fn tick(&mut self) {
        for index in 0..self.progress.len() {
            let id = StreamId(index);
            let progress = &self.progress[index];
            if self.plan.stream(id).selection.is_none() || !progress.is_started || progress.is_finished {
                continue;
            }
            let since = progress.since_checkpoint();
            if (progress.is_dirty && since >= CHECKPOINT_EVERY) || since >= SIGN_OF_LIFE_EVERY {
                self.checkpoint(id);
            }
        }
        if self.last_progress.elapsed() >= PROGRESS_EVERY {
            self.last_progress = Instant::now();
            let text = self.progress_line();
            self.outbox.push_back(Event::Log { level: Level::Info, text });
        }
    }

    pub(super) fn progress_line(&self) -> String {
        let selected = self.plan.selected().count();
        let finished = self.progress.iter().filter(|progress| progress.is_finished).count();
        let sent = self.client.counts().values().map(|counts| counts.requests).sum();
        let known = self.outstanding.total() as u64;
        let minutes = self.started.elapsed().as_secs_f64() / 60.0;
        let rate = sent as f64 / minutes.max(f64::MIN_POSITIVE);
        let left = (known as f64 / rate.max(1.0)).ceil();
        format!(
            "{finished} of {selected} streams done; {} requests at {rate:.0} a minute; {} listings known to be left, \
             about {left:.0} minutes, and more as they are found",
            grouped(sent),
            grouped(known)
        )
    }

    /// Requests sent for a stream's listings, retries included.
    pub(super) fn requests(&self, id: StreamId) -> u64 {
        let of_stream = self.plan.listings.iter().filter(|listing| listing.stream == id);
        let endpoints: BTreeSet<&str> = of_stream.map(|listing| listing.endpoint()).collect();
        let counts = self.client.counts();
        endpoints.iter().filter_map(|endpoint| counts.get(*endpoint)).map(|counts| counts.requests).sum()
    }

    /// Tells what failed, the failures that time may heal first, and what came of each stream.
    pub(super) async fn finish(mut self) -> Outcome {
        if let Some(stopped) = &self.stopped {
            for (id, planned) in self.plan.selected() {
                let progress = &mut self.progress[id.0];
                if !progress.is_finished && !progress.account.is_incomplete() {
                    let name = planned.stream.name;
                    let message =
                        format!("{name}: not read to its end, because the sync stopped: {}", stopped.message);
                    progress.account.fail(Failure {
                        class: stopped.class,
                        message,
                        stream: Some(name.to_owned()),
                    });
                }
            }
        }
        let mut failures: Vec<Failure> = self.stopped.take().into_iter().collect();
        failures
            .extend(self.plan.selected().flat_map(|(id, _)| self.progress[id.0].account.failures.clone()));
        failures.sort_by_key(|failure| failure.class);
        self.outbox.extend(failures.iter().cloned().map(Event::Failed));
        for (id, planned) in self.plan.selected() {
            if !self.progress[id.0].is_finished {
                self.start_stream(id);
                self.checkpoint(id);
                self.outbox.push_back(Event::Incomplete { stream: planned.stream.name });
            }
        }
        for (id, planned) in self.plan.selected() {
            self.progress[id.0].account.requests = self.requests(id);
            let account = &self.progress[id.0].account;
            let level =
                if account.is_incomplete() || account.skips() > 0 { Level::Warn } else { Level::Info };
            self.outbox.push_back(Event::Log { level, text: account.line(planned.stream.name) });
        }
        for event in std::mem::take(&mut self.outbox) {
            if self.events.send(event).await.is_err() {
                break;
            }
        }
        Outcome { failures }
    }
}
