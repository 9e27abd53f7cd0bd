//! How far each stream is: its state, when it is checkpointed, what a person and the platform are told meanwhile, and
//! the end of each stream.
//!
//! A stream has ended when no slice is open for it and no listing is left that could lead to one of its records.
//!
//! The code is shorter than 400 lines; its tests are the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use airbyte_protocol::message::Level;
use tokio::time::Instant;

use crate::asana::{Counts, Notice};
use crate::emit::Event;
use crate::moment::Moment;
use crate::plan::{ListingId, Mode, Plan, PlannedStream};
use crate::slice_key::SliceKey;
use crate::state::StreamState;
use crate::stream_set::{StreamId, StreamSet};
use crate::sync::access::{self, Tries};
use crate::sync::graph::Graph;
use crate::sync::output::Output;
use crate::sync::report::{Account, Estimate, Standing, grouped};
use crate::sync::terminal::{self, View};

/// The longest time between records and a checkpoint that counts them, even where no slice was settled.
const CHECKPOINT_AT_LEAST_EVERY: Duration = Duration::from_secs(30);

/// The longest time without a checkpoint: only records and checkpoints tell a platform that a sync is alive.
const SIGN_OF_LIFE_EVERY: Duration = Duration::from_secs(5 * 60);

/// How often a person is told how far the sync is.
const PROGRESS_EVERY: Duration = Duration::from_secs(30);

/// Shorter pauses are normal pacing and are not reported to the platform.
const SHORT_WAIT: Duration = Duration::from_secs(5);

/// The progress of all streams.
#[derive(Debug)]
pub struct Progress<'a> {
    plan: &'a Plan,
    graph: &'a Graph,
    streams: Vec<StreamProgress>,
    checkpoint_every: Duration,
    state_limit_bytes: usize,
    clock: fn() -> Moment,
    started: Instant,
    last_line: Instant,
}

/// The progress of one stream.
#[derive(Debug)]
pub struct StreamProgress {
    pub state: StreamState,
    /// The state that the last sync left: what could be read then.
    pub previous: StreamState,
    pub account: Account,
    pub refusals: Refusals,
    phase: Phase,
    checkpoint: Checkpoint,
    left: Remaining,
}

/// What could not be read of a stream.
#[derive(Debug, Default)]
pub struct Refusals {
    /// How the listings of each kind went.
    pub tries: BTreeMap<ListingId, Tries>,
    /// Listings in a row that failed for reasons that may pass.
    pub failing: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Waiting,
    Started,
    Finished,
}

/// What happened since a stream's last checkpoint.
#[derive(Debug, Default)]
struct Checkpoint {
    /// Whether the state has advanced.
    is_dirty: bool,
    /// Whether anything was emitted.
    has_emitted: bool,
    at: Option<Instant>,
}

/// What is known to be left of a stream.
#[derive(Debug, Default)]
struct Remaining {
    listings: u64,
    slices: u64,
}

impl<'a> Progress<'a> {
    pub fn new(
        plan: &'a Plan,
        graph: &'a Graph,
        states: Vec<StreamState>,
        checkpoint_every: Duration,
        state_limit_bytes: usize,
        clock: fn() -> Moment,
    ) -> Self {
        let streams =
            plan.streams.iter().zip(states).map(|(planned, state)| StreamProgress::new(planned, state));
        let streams = streams.collect();
        let (started, last_line) = (Instant::now(), Instant::now());
        Self { plan, graph, streams, checkpoint_every, state_limit_bytes, clock, started, last_line }
    }

    pub fn stream(&mut self, id: StreamId) -> &mut StreamProgress {
        &mut self.streams[id.0]
    }

    pub fn advance(&mut self, id: StreamId, key: &SliceKey, cursor: Moment) {
        let stream = self.stream(id);
        stream.state.advance(key, cursor);
        stream.checkpoint.is_dirty = true;
    }

    /// Makes the next checkpoint worth emitting.
    pub fn touch(&mut self, id: StreamId) {
        self.stream(id).checkpoint.is_dirty = true;
    }

    /// A listing of the stream was found and will be read.
    pub fn expect_listing(&mut self, id: StreamId) {
        self.stream(id).left.listings += 1;
    }

    /// A listing of the stream was read, or will not be.
    pub fn listing_done(&mut self, id: StreamId) {
        self.stream(id).left.listings -= 1;
    }

    /// A slice was begun for these streams.
    pub fn open(&mut self, streams: StreamSet) {
        streams.iter().for_each(|id| self.stream(id).left.slices += 1);
    }

    /// A slice was settled for these streams.
    pub fn close(&mut self, streams: StreamSet) {
        streams.iter().for_each(|id| self.stream(id).left.slices -= 1);
    }

    /// Emits STARTED before anything else of the stream.
    pub fn start(&mut self, id: StreamId, output: &Output) {
        let planned = self.plan.stream(id);
        let stream = self.stream(id);
        if planned.selection.is_some() && stream.phase == Phase::Waiting {
            stream.phase = Phase::Started;
            stream.checkpoint.at = Some(Instant::now());
            output.push(Event::Started { stream: planned.stream.name });
        }
    }

    /// Counts records that are emitted.
    pub fn count(&mut self, id: StreamId, records: u64, bytes: u64, version: Moment) {
        let stream = self.stream(id);
        stream.state.emit_until(version);
        stream.account.records += records;
        stream.account.bytes += bytes;
        stream.checkpoint.has_emitted = true;
    }

    /// Emits checkpoints where they are due. Returns the streams that nothing can be listed for any more.
    pub fn checkpoint_open_streams(&mut self, output: &Output) -> Vec<StreamId> {
        let open = self.open_streams();
        let mut ended = Vec::new();
        for id in self.ids() {
            let stream = &self.streams[id.0];
            if self.plan.stream(id).selection.is_none() || stream.phase == Phase::Finished {
                continue;
            }
            if !open.meets(self.graph.above[id.0]) {
                ended.push(id);
            } else if stream.checkpoint.is_dirty && stream.checkpoint.age() >= self.checkpoint_every {
                self.checkpoint(id, output);
            }
        }
        ended
    }

    /// Fails the stream if Asana refused every listing of one kind. Returns whether the stream has a failure.
    pub fn fail_if_refused(&mut self, id: StreamId) -> bool {
        if !self.streams[id.0].account.is_incomplete() {
            let tries = |above: StreamId| &self.streams[above.0].refusals.tries;
            if let Some(cause) = access::none_readable(self.plan, self.graph, id, tries) {
                self.stream(id).account.fail(cause.failure());
            }
        }
        self.streams[id.0].account.is_incomplete()
    }

    /// Emits what was reached of a stream whose failures are reported at the end of the sync.
    pub fn leave_incomplete(&mut self, id: StreamId, output: &Output) {
        self.start(id, output);
        if self.streams[id.0].checkpoint.is_dirty {
            self.checkpoint(id, output);
        }
    }

    /// Emits the last checkpoint and COMPLETE. The stream has no failure. Some of its listings may have been skipped: then
    /// the state keeps slices that this sync did not see.
    pub fn complete(&mut self, id: StreamId, was_seen: impl Fn(&SliceKey) -> bool, output: &Output) {
        self.start(id, output);
        let name = self.plan.stream(id).stream.name;
        let is_gapless = self.graph.above[id.0].iter().all(|above| {
            let account = &self.streams[above.0].account;
            !account.is_incomplete() && account.skips() == 0
        });
        let stream = self.stream(id);
        stream.state.complete(|slice| !is_gapless || was_seen(slice));
        stream.phase = Phase::Finished;
        let forgotten = stream.state.forgotten();
        if forgotten > 0 {
            let text = format!(
                "{name}: the state is full: children of the {} oldest parents are no longer tracked for deletion",
                grouped(forgotten)
            );
            output.log(Level::Info, text);
        }
        self.checkpoint(id, output);
        output.push(Event::Complete { stream: name });
    }

    fn checkpoint(&mut self, id: StreamId, output: &Output) {
        self.start(id, output);
        let now = (self.clock)();
        let stream = &mut self.streams[id.0];
        stream.checkpoint = Checkpoint { is_dirty: false, has_emitted: false, at: Some(Instant::now()) };
        let state = stream.state.to_json_within(self.state_limit_bytes, now);
        output.push(Event::Checkpoint { stream: self.plan.stream(id).stream.name, state });
    }

    /// Emits what is due as time passes: checkpoints, the progress line and estimates.
    pub fn tick(&mut self, counts: &BTreeMap<String, Counts>, pause: Duration, output: &Output) {
        for id in self.ids() {
            let StreamProgress { phase, checkpoint, .. } = &self.streams[id.0];
            if self.plan.stream(id).selection.is_none() || *phase != Phase::Started {
                continue;
            }
            let age = checkpoint.age();
            let is_due = (checkpoint.is_dirty && age >= self.checkpoint_every)
                || (checkpoint.has_emitted && age >= CHECKPOINT_AT_LEAST_EVERY)
                || age >= SIGN_OF_LIFE_EVERY;
            // One that waits for stdout is as good as another.
            if is_due && !output.has_checkpoint(self.plan.stream(id).stream.name) {
                self.checkpoint(id, output);
            }
        }
        if self.last_line.elapsed() >= PROGRESS_EVERY {
            self.last_line = Instant::now();
            output.log(Level::Info, self.standing(counts, pause).line());
            self.estimates().into_iter().for_each(|estimate| output.push(estimate));
        }
    }

    /// How far the sync is.
    pub fn standing(&self, counts: &BTreeMap<String, Counts>, pause: Duration) -> Standing {
        Standing {
            streams: self.plan.selected().count(),
            streams_done: self.streams.iter().filter(|stream| stream.phase == Phase::Finished).count(),
            requests: counts.values().map(|counts| counts.requests).sum(),
            listings_left: self.streams.iter().map(|stream| stream.left.listings).sum(),
            elapsed: self.started.elapsed(),
            pause,
        }
    }

    /// What a terminal shows of a phase.
    pub fn view(&self, phase: terminal::Phase, counts: &BTreeMap<String, Counts>, pause: Duration) -> View {
        let is_in_phase =
            |id: &StreamId| self.graph.deferred.contains(*id) == (phase == terminal::Phase::PerTask);
        let of_phase = || self.ids().filter(is_in_phase).map(|id| &self.streams[id.0]);
        View {
            phase,
            done: of_phase().map(|stream| stream.account.listings_done).sum(),
            left: of_phase().map(|stream| stream.left.listings).sum(),
            records: self.streams.iter().map(|stream| stream.account.records).sum(),
            standing: self.standing(counts, pause),
        }
    }

    /// Estimates for the streams whose listings are all known: what will still be found cannot be estimated.
    fn estimates(&self) -> Vec<Event> {
        let open = self.open_streams();
        let estimate = |(id, planned): (StreamId, &PlannedStream)| {
            let StreamProgress { account, phase, left, .. } = &self.streams[id.0];
            let mut above = self.graph.above[id.0];
            above.remove(id);
            let finds_itself = planned.children.iter().any(|child| self.plan.listing(*child).stream == id);
            if *phase != Phase::Started || open.meets(above) || finds_itself {
                return None;
            }
            let Estimate { records, bytes } = account.estimate(left.listings)?;
            Some(Event::Estimate { stream: planned.stream.name, records, bytes })
        };
        self.plan.selected().filter_map(estimate).collect()
    }

    /// Passes on what the client reports about itself.
    pub fn notice(&self, notice: Notice, output: &Output) {
        let text = match notice {
            Notice::RateLimited { wait, .. } if wait < SHORT_WAIT => return,
            Notice::RateLimited { wait, .. } => {
                let until = (self.clock)().plus(wait);
                for (id, planned) in self.plan.selected() {
                    if self.streams[id.0].phase == Phase::Started {
                        output.push(Event::RateLimited { stream: planned.stream.name, until });
                    }
                }
                format!("Asana's quota is used up: going on at {until}")
            }
            Notice::Retrying { endpoint, attempt, wait, why } => {
                let wait = wait.as_secs_f64();
                format!("{endpoint}: attempt {attempt} failed ({why}); trying again in {wait:.1} s")
            }
            Notice::RefreshTokenReplaced { refresh_token } => {
                output.push(Event::RefreshTokenReplaced(refresh_token));
                return;
            }
            Notice::ChangeAnnounced { text } => format!("Asana announces a change of its API: {text}"),
            Notice::SmallerPages { endpoint, limit } => {
                format!("{endpoint}: its pages keep failing, so {limit} records are asked for at once")
            }
            Notice::ListingRestarted { endpoint } => {
                format!(
                    "{endpoint}: an offset expired, so the listing begins again; nothing is emitted twice"
                )
            }
        };
        output.log(Level::Info, text);
    }

    /// Emits the last checkpoint of each stream that has not everything, and INCOMPLETE.
    pub fn finish(&mut self, output: &Output) {
        let plan = self.plan;
        for (id, planned) in plan.selected() {
            if self.streams[id.0].phase != Phase::Finished {
                self.checkpoint(id, output);
                output.push(Event::Incomplete { stream: planned.stream.name });
            }
        }
    }

    /// Whether the stream was read to its end.
    pub fn is_finished(&self, id: StreamId) -> bool {
        self.streams[id.0].phase == Phase::Finished
    }

    fn ids(&self) -> impl Iterator<Item = StreamId> + use<> {
        (0..self.streams.len()).map(StreamId)
    }

    /// The streams that have a slice or a listing left.
    fn open_streams(&self) -> StreamSet {
        let is_open = |id: &StreamId| self.streams[id.0].left.listings + self.streams[id.0].left.slices > 0;
        self.ids().filter(is_open).collect()
    }
}

impl StreamProgress {
    fn new(planned: &PlannedStream, state: StreamState) -> Self {
        let previous = state.without_listed();
        let mut state = state;
        match planned.selection.as_ref().map(|selection| selection.mode) {
            // A full refresh that came to its end starts over.
            Some(Mode::FullRefresh) if state.is_complete() => state.start_over(),
            Some(Mode::FullRefresh | Mode::Incremental) | None => state.begin(),
        }
        Self {
            state,
            previous,
            account: Account::default(),
            refusals: Refusals::default(),
            phase: Phase::default(),
            checkpoint: Checkpoint::default(),
            left: Remaining::default(),
        }
    }
}

impl Checkpoint {
    fn age(&self) -> Duration {
        self.at.map_or(Duration::ZERO, |at| at.elapsed())
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
    use crate::config::Settings;

    const NOON: &str = "2024-01-01T12:00:00.000Z";
    const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);

    /// Runs `look` with the progress of two streams, of which the first has started.
    fn with_progress(look: impl FnOnce(&mut Progress<'_>, &Output, StreamId)) {
        let entry = |stream: &crate::stream::Stream| {
            json!({"stream": {"name": stream.name, "json_schema": {}}, "sync_mode": "incremental",
                "destination_sync_mode": "append"})
        };
        let streams: Vec<_> = crate::streams::ALL.iter().take(2).map(|stream| entry(stream)).collect();
        let catalog: ConfiguredCatalog = serde_json::from_value(json!({"streams": streams})).unwrap();
        let (plan, _) = Plan::new(&catalog);
        let settings = Settings::parse(r#"{"token": "x"}"#).unwrap();
        let graph = Graph::new(&plan, &settings);
        let states = plan.streams.iter().map(|_| StreamState::default()).collect();
        let clock = || Moment::parse(NOON).unwrap();
        let output = Output::new(mpsc::channel(1).0);
        let mut progress = Progress::new(&plan, &graph, states, CHECKPOINT_EVERY, 900_000, clock);
        let (id, _) = plan.selected().next().unwrap();
        progress.start(id, &output);
        assert_eq!(pushed(&output), ["started"]);
        look(&mut progress, &output, id);
    }

    /// What waits for the writer, by its kind, with what matters of it.
    fn pushed(output: &Output) -> Vec<String> {
        let describe = |event| match event {
            Event::Started { .. } => "started".to_owned(),
            Event::Checkpoint { .. } => "state".to_owned(),
            Event::RateLimited { until, .. } => format!("limited until {until}"),
            Event::Estimate { records, bytes, .. } => format!("{records} records, {bytes} bytes"),
            Event::Log { text, .. } => text,
            other => panic!("{other:?}"),
        };
        output.take().into_iter().map(describe).collect()
    }

    fn tick(progress: &mut Progress<'_>, output: &Output) {
        progress.tick(&BTreeMap::new(), Duration::ZERO, output);
    }

    fn limited(seconds: u64) -> Notice {
        Notice::RateLimited { wait: Duration::from_secs(seconds), until: SystemTime::UNIX_EPOCH }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_is_reported_with_its_end_for_what_has_started() {
        with_progress(|progress, output, id| {
            progress.notice(limited(600), output);
            let until = "2024-01-01T12:10:00.000Z";
            assert_eq!(
                pushed(output),
                [format!("limited until {until}"), format!("Asana's quota is used up: going on at {until}")]
            );
            progress.notice(limited(4), output);
            assert_eq!(pushed(output), [""; 0], "that is pacing");
            progress.complete(id, |_| true, output);
            pushed_last(output);
            progress.notice(limited(600), output);
            assert_eq!(pushed(output).len(), 1, "nothing for a stream behind its end");
        });
    }

    fn pushed_last(output: &Output) {
        let events = output.take();
        assert!(matches!(events.last(), Some(Event::Complete { .. })), "{events:?}");
    }

    /// Only records and states tell a platform that a source is alive, and a wait has neither.
    #[tokio::test(start_paused = true)]
    async fn states_go_on_in_a_wait() {
        with_progress(|progress, output, _| {
            for _ in 0..3 {
                futures_util::FutureExt::now_or_never(advance(SIGN_OF_LIFE_EVERY));
                progress.last_line = Instant::now();
                tick(progress, output);
                assert_eq!(pushed(output), ["state"]);
                tick(progress, output);
                assert_eq!(pushed(output), [""; 0]);
            }
        });
    }

    #[tokio::test(start_paused = true)]
    async fn a_person_reads_how_far_it_is_and_a_platform_what_to_expect() {
        with_progress(|progress, output, id| {
            let account = &mut progress.stream(id).account;
            account.listings_done = 20;
            account.records = 100;
            account.bytes = 5000;
            (0..20).for_each(|_| progress.expect_listing(id));
            tick(progress, output);
            assert_eq!(pushed(output), [""; 0], "not all the time");
            futures_util::FutureExt::now_or_never(advance(PROGRESS_EVERY));
            tick(progress, output);
            let line = "0 of 2 streams done; 0 requests made, 0 a minute; at least 20 more, about 20 minutes, and more \
                        as listings are found";
            assert_eq!(pushed(output), [line, "200 records, 10000 bytes"]);
        });
    }

    /// While the first stream's records still lead to listings of the second, its size is a guess.
    #[tokio::test(start_paused = true)]
    async fn nothing_is_expected_of_a_stream_whose_listings_are_not_all_known() {
        with_progress(|progress, output, first| {
            let (second, _) = progress.plan.selected().nth(1).unwrap();
            progress.start(second, output);
            progress.stream(second).account.listings_done = 20;
            progress.stream(second).account.records = 100;
            progress.expect_listing(first);
            assert!(progress.estimates().is_empty());
            progress.listing_done(first);
            assert_eq!(progress.estimates().len(), 1);
        });
    }
}
