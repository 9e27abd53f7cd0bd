//! What a person and a platform hear while a sync runs and at its end. Knows no HTTP and no particular stream.

use std::collections::BTreeSet;
use std::time::Duration;

use airbyte_protocol::message::Level;
use tokio::time::Instant;

use crate::asana::Notice;
use crate::emit::Event;
use crate::error::Failure;
use crate::plan::{PlannedStream, StreamId};
use crate::read::report::{Estimate, Standing};
use crate::read::walk::{Outcome, Walk};

/// The longest time between records and a checkpoint that counts them, even where no slice was settled.
const CHECKPOINT_AT_LEAST_EVERY: Duration = Duration::from_secs(30);

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
            Notice::RefreshTokenReplaced { refresh_token } => {
                self.outbox.push_back(Event::RefreshTokenReplaced(refresh_token));
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
            let is_due = (progress.is_dirty && since >= self.settings.checkpoint_every)
                || (progress.has_emitted && since >= CHECKPOINT_AT_LEAST_EVERY)
                || since >= SIGN_OF_LIFE_EVERY;
            // One that waits for stdout is as good as another.
            if is_due && !self.has_checkpoint_in_outbox(id) {
                self.checkpoint(id);
            }
        }
        if self.last_progress.elapsed() >= PROGRESS_EVERY {
            self.last_progress = Instant::now();
            let text = self.progress_line();
            self.outbox.push_back(Event::Log { level: Level::Info, text });
            let estimates = self.estimates();
            self.outbox.extend(estimates);
        }
    }

    fn has_checkpoint_in_outbox(&self, id: StreamId) -> bool {
        let name = self.plan.stream(id).stream.name;
        let is_it = |event: &Event| matches!(event, Event::Checkpoint { stream, .. } if *stream == name);
        self.outbox.iter().any(is_it)
    }

    pub(super) fn progress_line(&self) -> String {
        let requests = self.client.counts().values().map(|counts| counts.requests).sum();
        let standing = Standing {
            streams: self.plan.selected().count(),
            streams_done: self.progress.iter().filter(|progress| progress.is_finished).count(),
            requests,
            listings_left: self.outstanding.total() as u64,
            elapsed: self.started.elapsed(),
            pause: self.client.pause(),
        };
        standing.line()
    }

    /// Estimates for the streams whose listings are all known, since what will still be found cannot be told.
    fn estimates(&self) -> Vec<Event> {
        let open = self.outstanding.open();
        let estimate = |(id, planned): (StreamId, &PlannedStream)| {
            let progress = &self.progress[id.0];
            let mut above = self.above[id.0];
            above.remove(id);
            let finds_itself = planned.children.iter().any(|child| self.plan.listing(*child).stream == id);
            if !progress.is_started || progress.is_finished || open.meets(above) || finds_itself {
                return None;
            }
            let Estimate { records, bytes } = progress.account.estimate(self.outstanding.of(id) as u64)?;
            Some(Event::Estimate { stream: planned.stream.name, records, bytes })
        };
        self.plan.selected().filter_map(estimate).collect()
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
        let of_streams = self.plan.selected().flat_map(|(id, _)| &self.progress[id.0].account.failures);
        let mut failures: Vec<Failure> = Vec::new();
        for failure in self.stopped.iter().chain(of_streams) {
            // Workspaces share paths, and so what is said of them.
            if !failures.contains(failure) {
                failures.push(failure.clone());
            }
        }
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

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use airbyte_protocol::catalog::ConfiguredCatalog;
    use serde_json::json;
    use tokio::sync::mpsc;
    use tokio::time::advance;

    use super::*;
    use crate::asana::{self, Client, Patience, Secret, Timeouts, TokenSource};
    use crate::config::Settings;
    use crate::moment::Moment;
    use crate::plan::Plan;
    use crate::state::StreamState;

    const NOON: &str = "2024-01-01T12:00:00.000Z";

    /// Does what is told with a walk over two streams of which the first has started.
    fn with_walk(look: impl FnOnce(&mut Walk<'_>, StreamId)) {
        let entry = |stream: &crate::stream::Stream| {
            json!({"stream": {"name": stream.name, "json_schema": {}}, "sync_mode": "incremental",
                "destination_sync_mode": "append"})
        };
        let streams: Vec<_> = crate::streams::ALL.iter().take(2).map(|stream| entry(stream)).collect();
        let catalog: ConfiguredCatalog = serde_json::from_value(json!({"streams": streams})).unwrap();
        let (plan, _) = Plan::new(&catalog);
        let settings = Settings::parse(r#"{"token": "x"}"#).unwrap();
        let client = Client::new(asana::Settings {
            base_url: "http://127.0.0.1:9".to_owned(),
            token: TokenSource::Static(Secret::new("x")),
            secrets: settings.secrets.clone(),
            limits: settings.limits,
            patience: Patience::default(),
            timeouts: Timeouts::default(),
            notices: mpsc::unbounded_channel().0,
        });
        let states = plan.streams.iter().map(|_| StreamState::default()).collect();
        let clock = || Moment::parse(NOON).unwrap();
        let events = mpsc::channel(1).0;
        let mut walk = Walk::new(&plan, &settings, client.unwrap(), states, events, clock);
        let (id, _) = plan.selected().next().unwrap();
        walk.start_stream(id);
        assert_eq!(told(&mut walk), ["started"]);
        look(&mut walk, id);
    }

    /// What waits for the writer, by its kind, with what matters of it.
    fn told(walk: &mut Walk<'_>) -> Vec<String> {
        let tell = |event| match event {
            Event::Started { .. } => "started".to_owned(),
            Event::Checkpoint { .. } => "state".to_owned(),
            Event::RateLimited { until, .. } => format!("limited until {until}"),
            Event::Estimate { records, bytes, .. } => format!("{records} records, {bytes} bytes"),
            Event::Log { text, .. } => text,
            other => panic!("{other:?}"),
        };
        walk.outbox.drain(..).map(tell).collect()
    }

    fn limited(seconds: u64) -> Notice {
        Notice::RateLimited { wait: Duration::from_secs(seconds), until: SystemTime::UNIX_EPOCH }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_is_told_with_its_end_for_what_has_begun() {
        with_walk(|walk, id| {
            walk.notice(limited(600));
            let until = "2024-01-01T12:10:00.000Z";
            assert_eq!(
                told(walk),
                [format!("limited until {until}"), format!("Asana's quota is used up: going on at {until}")]
            );
            walk.notice(limited(4));
            assert_eq!(told(walk), [""; 0], "that is pacing");
            walk.progress[id.0].is_finished = true;
            walk.notice(limited(600));
            assert_eq!(told(walk).len(), 1, "nothing for a stream behind its end");
        });
    }

    /// Only records and states tell a platform that a source is alive, and a wait has neither.
    #[tokio::test(start_paused = true)]
    async fn states_go_on_in_a_wait() {
        with_walk(|walk, _| {
            for _ in 0..3 {
                futures_util::FutureExt::now_or_never(advance(SIGN_OF_LIFE_EVERY));
                walk.last_progress = Instant::now();
                walk.tick();
                assert_eq!(told(walk), ["state"]);
                walk.tick();
                assert_eq!(told(walk), [""; 0]);
            }
        });
    }

    #[tokio::test(start_paused = true)]
    async fn a_person_hears_how_far_it_is_and_a_platform_what_to_expect() {
        with_walk(|walk, id| {
            walk.progress[id.0].account.listings_done = 20;
            walk.progress[id.0].account.records = 100;
            walk.progress[id.0].account.bytes = 5000;
            (0..20).for_each(|_| walk.outstanding.add(id));
            walk.tick();
            assert_eq!(told(walk), [""; 0], "not all the time");
            futures_util::FutureExt::now_or_never(advance(PROGRESS_EVERY));
            walk.tick();
            let line = "0 of 2 streams done; 0 requests made, 0 a minute; at least 20 more, about 20 minutes, and more \
                        as listings are found";
            assert_eq!(told(walk), [line, "200 records, 10000 bytes"]);
        });
    }

    /// While the first stream's records still lead to listings of the second, its size is a guess.
    #[tokio::test(start_paused = true)]
    async fn nothing_is_expected_of_a_stream_whose_listings_are_not_all_known() {
        with_walk(|walk, first| {
            let (second, _) = walk.plan.selected().nth(1).unwrap();
            walk.start_stream(second);
            told(walk);
            walk.progress[second.0].account.listings_done = 20;
            walk.progress[second.0].account.records = 100;
            walk.outstanding.add(first);
            assert!(walk.estimates().is_empty());
            walk.outstanding.remove(first);
            assert_eq!(walk.estimates().len(), 1);
        });
    }
}
