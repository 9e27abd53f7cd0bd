//! The walk itself: which listing is next, what its rows lead to, when a stream is through. Knows no particular
//! stream, no protocol JSON, no status codes and no token.
//!
//! One task owns all state; the requests run side by side, and each page is taken by that task, so nothing is
//! locked. Depth first: what a listing showed is visited before the next listing of the level above, so that
//! slices end soon after they begin and little waits in memory.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem::take;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use crate::asana::{self, Client, Fault, Notice, Page};
use crate::config::Settings;
use crate::emit::Event;
use crate::error::Failure;
use crate::gid::Gid;
use crate::moment::Moment;
use crate::plan::{Plan, StreamId};
use crate::read::absence::{self, Absence, Confirmation, Listed};
use crate::read::checkpoint::Progress;
use crate::read::coverage::Coverage;
use crate::read::deletions::{FeedVisit, Heard};
use crate::read::jobs::{Job, Jobs};
use crate::read::open::minds_start_date;
use crate::read::slices::{Outstanding, SliceId, Slices, StreamSet};
use crate::read::sweep::Found;
use crate::read::type_check::TypeCheck;
use crate::read::vanished::Doubt;
use crate::read::visit::{self, Rows, Visit};
use crate::state::StreamState;
use crate::window::{self, Window};

const TICK: Duration = Duration::from_secs(1);

type Fetch<'a> = Pin<Box<dyn Future<Output = Fetched> + 'a>>;

/// What is to be asked for next.
#[derive(Debug)]
pub(super) enum Ready {
    Listing(Visit),
    Feed(FeedVisit),
    Confirmation(Confirmation),
    Doubt(Box<Doubt>),
}

/// What came of asking.
enum Fetched {
    Rows(Box<(Visit, Rows)>, Result<Option<Page>, Fault>),
    Feed(FeedVisit, Result<Vec<Heard>, Fault>),
    Confirmation(Confirmation, Result<String, Fault>),
    Doubt(Box<Doubt>, Result<String, Fault>),
}

/// How a read ended.
#[derive(Debug)]
pub struct Outcome {
    pub failures: Vec<Failure>,
}
pub struct Walk<'a> {
    pub(super) plan: &'a Plan,
    pub(super) settings: &'a Settings,
    pub(super) client: Client,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) clock: fn() -> Moment,
    /// Jobs wait here and are taken from the end: depth first.
    pub(super) jobs: Jobs,
    /// Listings of the job at hand.
    pub(super) ready: Vec<Ready>,
    /// Listings that have more pages. They go on before others begin.
    pub(super) begun: VecDeque<(Visit, Rows)>,
    pub(super) outbox: VecDeque<Event>,
    pub(super) slices: Slices,
    pub(super) outstanding: Outstanding,
    /// For each stream, the streams whose records can lead to a listing of it.
    pub(super) above: Vec<StreamSet>,
    pub(super) below: Vec<StreamSet>,
    pub(super) coverage: Coverage,
    pub(super) progress: Vec<Progress>,
    /// Which streams met each slice, so that what was not met is forgotten.
    pub(super) met: HashMap<Rc<str>, StreamSet>,
    /// Jobs that wait for the sweep in this slice.
    pub(super) held: HashMap<SliceId, Job>,
    /// The sweeps that found everything: their workspace, and how far back they went for each stream.
    pub(super) sweeps: HashMap<Gid, Vec<Window>>,
    /// Records that were told as deleted.
    pub(super) deleted: HashSet<(StreamId, Gid)>,
    /// Listings whose missing records are being asked for.
    pub(super) absences: HashMap<absence::Place, Absence>,
    /// How many records have no events.
    pub(super) without_events: u64,
    pub(super) probes: Vec<Vec<&'static str>>,
    pub(super) type_check: TypeCheck,
    pub(super) workspaces: Vec<Gid>,
    /// What every slice is read after, at the earliest: the cursors of all of them follow from it.
    pub(super) began: Moment,
    /// The date before which the user wants nothing of each stream.
    pub(super) starts: Vec<Option<Moment>>,
    /// What a slice reads of each stream that has never been read.
    pub(super) broadest: Vec<Window>,
    pub(super) started: Instant,
    pub(super) last_progress: Instant,
    pub(super) stopped: Option<Failure>,
}

impl<'a> Walk<'a> {
    pub fn new(
        plan: &'a Plan,
        settings: &'a Settings,
        client: Client,
        states: Vec<StreamState>,
        events: mpsc::Sender<Event>,
        clock: fn() -> Moment,
    ) -> Self {
        let ids = || (0..plan.streams.len()).map(StreamId);
        let below: Vec<StreamSet> = ids().map(|id| plan.below(id).into_iter().collect()).collect();
        let above: Vec<StreamSet> =
            ids().map(|id| ids().filter(|other| below[other.0].contains(id)).collect()).collect();
        let progress: Vec<_> =
            plan.streams.iter().zip(states).map(|(planned, state)| Progress::new(planned, state)).collect();
        let starts: Vec<_> =
            above.iter().map(|above| settings.start.filter(|_| minds_start_date(plan, *above))).collect();
        let window = |id: StreamId, cursor| match &plan.stream(id).selection {
            Some(selection) => Window::of(selection.mode, cursor, starts[id.0]),
            None => Window::Done,
        };
        let broadest: Vec<_> = ids().map(|id| window(id, None)).collect();
        let common = ids().map(|id| window(id, progress[id.0].state.latest_cursor())).collect();
        let coverage = Coverage::new(broadest.clone(), common, settings.most_marks_in_memory);
        let probes = plan.listings.iter().map(|listing| plan.probed_fields(listing).into_iter().collect());
        Self {
            plan,
            settings,
            client,
            events,
            clock,
            jobs: Jobs::default(),
            ready: Vec::new(),
            begun: VecDeque::new(),
            outbox: VecDeque::new(),
            slices: Slices::default(),
            outstanding: Outstanding::new(plan.streams.len()),
            above,
            below,
            coverage,
            progress,
            starts,
            met: HashMap::new(),
            held: HashMap::new(),
            sweeps: HashMap::new(),
            deleted: HashSet::new(),
            absences: HashMap::new(),
            without_events: 0,
            probes: probes.collect(),
            type_check: TypeCheck::default(),
            workspaces: settings.workspaces.iter().map(|gid| Gid::new(gid)).collect(),
            began: clock(),
            broadest,
            started: Instant::now(),
            last_progress: Instant::now(),
            stopped: None,
        }
    }

    /// Reads everything. Events go out as they come; the outcome says what failed.
    pub async fn run(
        mut self,
        mut notices: mpsc::UnboundedReceiver<Notice>,
        stop: impl Future<Output = Failure>,
    ) -> Outcome {
        let mut stop = pin!(stop);
        let mut fetches: FuturesUnordered<Fetch<'_>> = FuturesUnordered::new();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let events = self.events.clone();
        self.begin();
        loop {
            // While stdout is blocked nothing new is asked for, but what was asked for is still taken.
            while self.outbox.is_empty() && self.stopped.is_none() && self.has_room(fetches.len()) {
                let begun = self.begun.pop_front().map(|(visit, rows)| fetch(visit, rows));
                let Some(fetch) = begun.or_else(|| self.next_fetch()) else { break };
                fetches.push(fetch);
            }
            if self.stopped.is_some() {
                fetches.clear();
            }
            if fetches.is_empty() && self.outbox.is_empty() {
                break;
            }
            tokio::select! {
                permit = events.reserve(), if !self.outbox.is_empty() => {
                    let Ok(permit) = permit else { break };
                    if let Some(event) = self.outbox.pop_front() {
                        permit.send(event);
                    }
                }
                Some(fetched) = fetches.next(), if !fetches.is_empty() => self.take_fetched(fetched),
                failure = &mut stop, if self.stopped.is_none() => self.stopped = Some(failure),
                Some(notice) = notices.recv() => self.notice(notice),
                _ = tick.tick() => self.tick(),
            }
        }
        drop(fetches);
        while let Ok(notice) = notices.try_recv() {
            self.notice(notice);
        }
        self.finish().await
    }

    /// Whether another listing may be under way: as many as the limits allow, while their answers are taken as fast as
    /// they come; and always one, since nothing but a listing under way wakes the walk when there is room again.
    fn has_room(&self, under_way: usize) -> bool {
        under_way == 0 || (under_way < self.settings.limits.in_flight && self.client.keeps_up())
    }

    fn begin(&mut self) {
        // A plan that no stream was selected for has no listing either.
        if self.plan.selected().next().is_none() {
            return;
        }
        let root = self.plan.root;
        let stream = self.plan.listing(root).stream;
        let key: Rc<str> = "".into();
        let nobody = Gid::new("");
        let slice = self.start_slice(&key, &nobody, [stream].into_iter().collect());
        self.begin_listing(root, &nobody, slice);
    }

    /// What to ask for next.
    fn next_fetch<'fetch>(&mut self) -> Option<Fetch<'fetch>> {
        loop {
            match self.ready.pop() {
                Some(Ready::Listing(visit)) if self.is_given_up(self.plan.listing(visit.listing).stream) => {
                    self.leave(&visit);
                    self.end_sweep(visit.slice, Found::Not);
                    self.close(&visit);
                }
                Some(Ready::Listing(visit)) => {
                    let Some(rows) = self.rows_of(&visit) else {
                        self.close(&visit);
                        continue;
                    };
                    return Some(fetch(visit, rows));
                }
                Some(Ready::Feed(visit)) => {
                    let (client, request) = (self.client.clone(), self.feed_request(&visit));
                    return Some(Box::pin(async move {
                        let result = visit.hear(&client, &request).await;
                        Fetched::Feed(visit, result)
                    }));
                }
                Some(Ready::Confirmation(confirmation)) => {
                    let (client, request) = (self.client.clone(), self.confirmation_request(&confirmation));
                    return Some(Box::pin(async move {
                        let result = asana::get_one(&client, &request).await;
                        Fetched::Confirmation(confirmation, result)
                    }));
                }
                Some(Ready::Doubt(doubt)) => {
                    let (client, request) = (self.client.clone(), self.doubt_request(&doubt));
                    return Some(Box::pin(async move {
                        let result = asana::get_one(&client, &request).await;
                        Fetched::Doubt(doubt, result)
                    }));
                }
                None => {
                    let job = self.jobs.pop()?;
                    self.prepare(job);
                }
            }
        }
    }

    /// Where a listing's rows come from, or `None` if no one wants any of them.
    fn rows_of(&mut self, visit: &Visit) -> Option<Rows> {
        let since = match self.listing_window(visit.slice, visit.listing) {
            Window::Since(since) => Some(since),
            Window::Whole => None,
            Window::Done => return None,
        };
        let listing = self.plan.listing(visit.listing);
        let archived = self.settings.archived_projects;
        let request = visit::request(listing, &visit.parent, &visit.workspace, archived, since);
        self.start_stream(listing.stream);
        self.progress[listing.stream.0].account.listings += 1;
        let indexed_until = window::next_cursor(self.began);
        Some(Rows::of(self.client.clone(), request, listing.paging, since, indexed_until))
    }

    fn take_fetched(&mut self, fetched: Fetched) {
        match fetched {
            Fetched::Rows(listing, result) => {
                let (visit, rows) = *listing;
                let unfinished = self.take(visit, rows, result);
                self.begun.extend(unfinished);
            }
            Fetched::Feed(visit, result) => self.take_feed(visit, result),
            Fetched::Confirmation(confirmation, result) => self.take_confirmation(confirmation, result),
            Fetched::Doubt(doubt, result) => self.take_doubt(*doubt, result),
        }
    }

    /// Takes a page or a fault; gives the listing back if it has more pages.
    fn take(
        &mut self,
        mut visit: Visit,
        rows: Rows,
        result: Result<Option<Page>, Fault>,
    ) -> Option<(Visit, Rows)> {
        if result.is_ok() {
            self.progress[self.plan.listing(visit.listing).stream.0].failing = 0;
        }
        match result {
            Ok(Some(page)) => {
                visit.pages += 1;
                if let Err(failure) = self.take_page(&mut visit, page) {
                    self.keep_listed(&mut visit, Listed::InPart);
                    self.jobs.push_in_order(take(&mut visit.children));
                    self.fail(&visit, failure);
                    self.end_sweep(visit.slice, Found::Not);
                    self.close(&visit);
                    return None;
                }
                return Some((visit, rows));
            }
            Ok(None) => {
                if let Some(missing) = self.missing_workspace(&visit) {
                    self.stopped = Some(missing);
                    return None;
                }
                self.keep_listed(&mut visit, Listed::ToTheEnd);
                // The last child is visited first; turned, they come in the order of the listing.
                self.jobs.push_in_order(take(&mut visit.children));
                self.end_sweep(visit.slice, Found::Everything);
            }
            Err(fault) => {
                // Children that were met are still read: their records were emitted.
                self.keep_listed(&mut visit, Listed::InPart);
                self.jobs.push_in_order(take(&mut visit.children));
                self.take_fault(visit, fault);
                return None;
            }
        }
        self.close(&visit);
        None
    }
}

fn fetch<'a>(visit: Visit, mut rows: Rows) -> Fetch<'a> {
    Box::pin(async move {
        let result = rows.next().await;
        Fetched::Rows(Box::new((visit, rows)), result)
    })
}
