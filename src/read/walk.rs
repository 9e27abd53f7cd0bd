//! The walk itself: which listing is next, what its rows lead to, when a stream is through. Knows no particular
//! stream, no protocol JSON, no status codes and no token.
//!
//! One task owns all state; the requests run side by side, and each page is taken by that task, so nothing is
//! locked. Depth first: what a listing showed is visited before the next listing of the level above, so that
//! slices end soon after they begin and little waits in memory.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use crate::asana::{Client, Fault, Notice, Page, Pages};
use crate::config::Settings;
use crate::emit::Event;
use crate::error::Failure;
use crate::gid::Gid;
use crate::moment::Moment;
use crate::plan::{Plan, StreamId};
use crate::read::checkpoint::Progress;
use crate::read::coverage::Coverage;
use crate::read::open::minds_start_date;
use crate::read::slices::{Outstanding, Slices, StreamSet};
use crate::read::type_check::TypeCheck;
use crate::read::visit::{self, Job, Visit};
use crate::state::StreamState;
use crate::window::Window;

const TICK: Duration = Duration::from_secs(1);

type Fetch<'a> = Pin<Box<dyn Future<Output = (Visit, Pages, Result<Option<Page>, Fault>)> + 'a>>;

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
    pub(super) jobs: Vec<Job>,
    /// Listings of the job at hand.
    pub(super) ready: Vec<Visit>,
    /// Listings that have more pages. They go on before others begin.
    pub(super) begun: VecDeque<(Visit, Pages)>,
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
        let coverage = Coverage::new(broadest.clone(), common);
        let probes = plan.listings.iter().map(|listing| plan.probed_fields(listing).into_iter().collect());
        Self {
            plan,
            settings,
            client,
            events,
            clock,
            jobs: Vec::new(),
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
    pub async fn run(mut self, mut notices: mpsc::UnboundedReceiver<Notice>) -> Outcome {
        let mut fetches: FuturesUnordered<Fetch<'_>> = FuturesUnordered::new();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let events = self.events.clone();
        self.begin();
        loop {
            // While stdout is blocked nothing new is asked for, but what was asked for is still taken.
            while self.outbox.is_empty() && self.stopped.is_none() && self.has_room(fetches.len()) {
                let Some((visit, pages)) = self.begun.pop_front().or_else(|| self.next_visit()) else {
                    break;
                };
                fetches.push(fetch(visit, pages));
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
                Some((visit, pages, result)) = fetches.next(), if !fetches.is_empty() => {
                    let unfinished = self.take(visit, pages, result);
                    self.begun.extend(unfinished);
                }
                Some(notice) = notices.recv() => self.notice(notice),
                _ = tick.tick() => self.tick(),
            }
        }
        drop(fetches);
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
        let slice = self.start_slice(&key, [stream].into_iter().collect());
        self.outstanding.add(stream);
        self.slices.get_mut(slice).add(stream);
        let nobody = Gid::new("");
        self.ready.push(Visit {
            listing: root,
            parent: nobody.clone(),
            workspace: nobody,
            slice,
            pages: 0,
            children: Vec::new(),
        });
    }

    /// The next listing to read, with its pages.
    fn next_visit(&mut self) -> Option<(Visit, Pages)> {
        loop {
            if let Some(visit) = self.ready.pop() {
                let window = self.listing_window(visit.slice, visit.listing);
                let since = match window {
                    Window::Since(since) => Some(since),
                    Window::Whole => None,
                    Window::Done => {
                        self.close(&visit);
                        continue;
                    }
                };
                let listing = self.plan.listing(visit.listing);
                let request = visit::request(
                    listing,
                    &visit.parent,
                    &visit.workspace,
                    self.settings.archived_projects,
                    since,
                );
                self.start_stream(listing.stream);
                self.progress[listing.stream.0].account.listings += 1;
                let pages = Pages::new(self.client.clone(), request, listing.paging);
                return Some((visit, pages));
            }
            let job = self.jobs.pop()?;
            self.open(job);
        }
    }
    /// Takes a page or a fault; gives the listing back if it has more pages.
    fn take(
        &mut self,
        mut visit: Visit,
        pages: Pages,
        result: Result<Option<Page>, Fault>,
    ) -> Option<(Visit, Pages)> {
        match result {
            Ok(Some(page)) => {
                visit.pages += 1;
                if let Err(failure) = self.take_page(&mut visit, page) {
                    self.jobs.extend(visit.children.drain(..).rev());
                    self.fail(&visit, failure);
                    self.close(&visit);
                    return None;
                }
                return Some((visit, pages));
            }
            Ok(None) => {
                if let Some(missing) = self.missing_workspace(&visit) {
                    self.stopped = Some(missing);
                    return None;
                }
                // The last child is visited first; turned, they come in the order of the listing.
                self.jobs.extend(visit.children.drain(..).rev());
            }
            Err(fault) => {
                // Children that were met are still read: their records were emitted.
                self.jobs.extend(visit.children.drain(..).rev());
                self.judge(&visit, &fault);
                if self.stopped.is_some() {
                    // Nothing is settled by a sync that stops: what this listing would have shown is not known.
                    return None;
                }
            }
        }
        self.close(&visit);
        None
    }
}

fn fetch<'a>(visit: Visit, mut pages: Pages) -> Fetch<'a> {
    Box::pin(async move {
        let result = pages.next().await;
        (visit, pages, result)
    })
}
