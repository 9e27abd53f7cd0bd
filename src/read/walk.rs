//! The walk itself: which listing is next, what its rows lead to, when a stream is through. Knows no particular
//! stream, no protocol JSON, no status codes and no token.
//!
//! One task owns all state; the requests run side by side, and each page is taken by that task, so nothing is
//! locked. Depth first: what a listing showed is visited before the next listing of the level above, so that
//! slices end soon after they begin and little waits in memory.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use airbyte_protocol::message::Level;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use crate::asana::{self, Client, Consequence, Fault, Notice, Page, Pages, Place, Reason};
use crate::config::Settings;
use crate::emit::{Batch, Event};
use crate::error::Failure;
use crate::gid::{Gid, GidSet};
use crate::moment::Moment;
use crate::plan::{ListingId, Mode, Plan, StreamId};
use crate::read::report::{Account, grouped};
use crate::read::row::{self, Probe};
use crate::read::slices::{Outstanding, SliceId, Slices, StreamSet};
use crate::read::type_check::TypeCheck;
use crate::read::visit::{self, Job, Visit};
use crate::state::StreamState;
use crate::stream::{self, Cursor, News};
use crate::window::{self, Window};

/// The least time between two checkpoints of a stream, which is how often Airbyte's platform stores one.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);

/// The longest time without a checkpoint: only records and checkpoints tell a platform that a sync is alive.
const SIGN_OF_LIFE_EVERY: Duration = Duration::from_secs(5 * 60);

/// How often a person is told how far the sync is.
const PROGRESS_EVERY: Duration = Duration::from_secs(30);

/// So many skips of a stream for one reason are told one by one; the summary counts all.
const SKIPS_TOLD: u64 = 5;

/// So many bytes of pages may be under way, which bounds memory: a page is there up to three times, as it comes in,
/// as it is read and as it waits for stdout.
const MOST_BYTES_IN_FLIGHT: usize = 16 * 1024 * 1024;

/// What pages are taken for before any has come: a hundred full tasks.
const LARGE_PAGE: usize = 512 * 1024;

/// So many listings may be under way however large their pages are.
const LEAST_IN_FLIGHT: usize = 6;

/// Shorter pauses than this are pacing, not worth a word to the platform.
const SHORT_WAIT: Duration = Duration::from_secs(5);

const TICK: Duration = Duration::from_secs(1);

/// A stream fails as a whole when more than this share of its listings was refused for want of access: then it
/// is not a few private objects, but a right that was lost.
const MOST_REFUSED: f64 = 0.5;

type Fetch<'a> = Pin<Box<dyn Future<Output = (Visit, Pages, Result<Option<Page>, Fault>)> + 'a>>;

/// How a read ended.
#[derive(Debug)]
pub struct Outcome {
    pub failures: Vec<Failure>,
}

/// What is told of one stream while it is read.
struct Progress {
    state: StreamState,
    /// The state that the last sync left: it tells what could be read then.
    previous: StreamState,
    account: Account,
    is_started: bool,
    is_finished: bool,
    /// Whether the state has advanced since the last checkpoint.
    is_dirty: bool,
    last_checkpoint: Option<Instant>,
    /// Listings that were refused for want of access.
    refused: u64,
}

pub struct Walk<'a> {
    plan: &'a Plan,
    settings: &'a Settings,
    client: Client,
    events: mpsc::Sender<Event>,
    clock: fn() -> Moment,
    /// Jobs wait here and are taken from the end: depth first.
    jobs: Vec<Job>,
    /// Listings of the job at hand.
    ready: Vec<Visit>,
    outbox: VecDeque<Event>,
    slices: Slices,
    outstanding: Outstanding,
    /// For each stream, the streams whose records can lead to a listing of it.
    above: Vec<StreamSet>,
    below: Vec<StreamSet>,
    seen: Vec<GidSet>,
    progress: Vec<Progress>,
    /// Which streams met each slice, so that what was not met is forgotten.
    met: HashMap<Rc<str>, StreamSet>,
    probes: Vec<Vec<&'static str>>,
    type_check: TypeCheck,
    workspaces: Vec<Gid>,
    /// How large pages are at present.
    page_bytes: usize,
    started: Instant,
    last_progress: Instant,
    stopped: Option<Failure>,
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
        let above = ids().map(|id| ids().filter(|other| below[other.0].contains(id)).collect()).collect();
        let progress = plan.streams.iter().zip(states).map(|(planned, state)| Progress::new(planned, state));
        let probes = plan.listings.iter().map(|listing| plan.probed_fields(listing).into_iter().collect());
        Self {
            plan,
            settings,
            client,
            events,
            clock,
            jobs: Vec::new(),
            ready: Vec::new(),
            outbox: VecDeque::new(),
            slices: Slices::default(),
            outstanding: Outstanding::new(plan.streams.len()),
            above,
            below,
            seen: ids().map(|_| GidSet::default()).collect(),
            progress: progress.collect(),
            met: HashMap::new(),
            probes: probes.collect(),
            type_check: TypeCheck::default(),
            workspaces: settings.workspaces.iter().map(|gid| Gid::new(gid)).collect(),
            page_bytes: LARGE_PAGE,
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
            while self.outbox.is_empty() && self.stopped.is_none() && fetches.len() < self.in_flight() {
                let Some((visit, pages)) = self.next_visit() else { break };
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
                    if let Some((visit, pages)) = self.take(visit, pages, result) {
                        fetches.push(fetch(visit, pages));
                    }
                }
                Some(notice) = notices.recv() => self.notice(notice),
                _ = tick.tick() => self.tick(),
            }
        }
        drop(fetches);
        self.finish().await
    }

    /// How many listings may be under way: as many as the limits allow, and fewer while pages are large.
    fn in_flight(&self) -> usize {
        let fit = MOST_BYTES_IN_FLIGHT / self.page_bytes.max(1);
        self.settings.limits.in_flight.min(fit.max(LEAST_IN_FLIGHT))
    }

    fn begin(&mut self) {
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

    /// Turns a job into its listings.
    fn open(&mut self, job: Job) {
        let planned = self.plan.stream(job.stream);
        let listings: Vec<ListingId> = planned
            .children
            .iter()
            .enumerate()
            .filter(|(index, _)| job.children & (1 << index) != 0)
            .map(|(_, listing)| *listing)
            .collect();
        let slice = match job.slice {
            Some(slice) => slice,
            None => self.open_slice(&job, &listings),
        };
        for listing in listings {
            let stream = self.plan.listing(listing).stream;
            if job.slice.is_none() {
                self.slices.get_mut(slice).add(stream);
            }
            self.ready.push(Visit {
                listing,
                parent: job.parent.clone(),
                workspace: job.workspace.clone(),
                slice,
                pages: 0,
                children: Vec::new(),
            });
        }
    }

    fn open_slice(&mut self, job: &Job, listings: &[ListingId]) -> SliceId {
        let planned = self.plan.stream(job.stream);
        let key: Rc<str> = if planned.repeats() {
            format!("{}/{}", job.workspace, job.parent).into()
        } else {
            job.parent.to_string().into()
        };
        let streams = listings.iter().map(|listing| self.plan.listing(*listing).stream);
        let streams = if planned.depth == 0 {
            let streams: StreamSet = streams.collect();
            let below = streams.iter().fold(streams, |set, stream| set.union(self.below[stream.0]));
            self.met.insert(Rc::clone(&key), below);
            streams
        } else {
            streams.fold(StreamSet::default(), |set, stream| set.union(self.below[stream.0]))
        };
        self.start_slice(&key, streams)
    }

    fn start_slice(&mut self, key: &Rc<str>, streams: StreamSet) -> SliceId {
        let windows =
            (0..self.plan.streams.len()).map(StreamId).map(|id| self.window(id, key, streams)).collect();
        let met = self.met.entry(Rc::clone(key)).or_default();
        *met = met.union(streams);
        self.slices.start(Rc::clone(key), (self.clock)(), windows, streams)
    }

    /// What a stream reads of a slice. A stream that no one selected wants nothing for itself.
    fn window(&self, id: StreamId, key: &str, streams: StreamSet) -> Window {
        match &self.plan.stream(id).selection {
            Some(selection) if streams.contains(id) => {
                let start = self.settings.start.filter(|_| self.minds_start_date(id));
                Window::of(selection.mode, &self.progress[id.0].state, key, start)
            }
            Some(_) | None => Window::Done,
        }
    }

    /// The start date concerns what Asana can filter by time, and what hangs below that.
    fn minds_start_date(&self, id: StreamId) -> bool {
        self.above[id.0].iter().any(|above| {
            matches!(
                self.plan.stream(above).stream.cursor,
                Cursor::Moves { parameter: Some(_), .. } | Cursor::Fixed { parameter: Some(_), .. }
            )
        })
    }

    /// How far back a listing has to be read for everyone who needs it in this slice.
    fn listing_window(&self, slice: SliceId, listing: ListingId) -> Window {
        let stream = self.plan.listing(listing).stream;
        let planned = self.plan.stream(stream);
        let own = self.slices.get(slice).windows[stream.0];
        if planned.children.is_empty() {
            return own;
        }
        if planned.depth <= 1 {
            // Its records are slices of their own, each with its own cursor.
            return Window::Whole;
        }
        planned.children.iter().fold(own, |window, child| window.union(self.child_window(slice, *child)))
    }

    /// How far back the parents of a listing have to be read.
    fn child_window(&self, slice: SliceId, child: ListingId) -> Window {
        let listing = self.plan.listing(child);
        let slice = self.slices.get(slice);
        let wanted = self.below[listing.stream.0]
            .iter()
            .map(|id| slice.windows[id.0])
            .fold(Window::Done, Window::union);
        match (listing.news, wanted) {
            (_, Window::Done) => Window::Done,
            (News::MovesParent, window) => window,
            (News::Untold, _) => Window::Whole,
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
                // The average of the last few pages.
                self.page_bytes = (3 * self.page_bytes + page.bytes()) / 4;
                if let Err(failure) = self.take_page(&mut visit, &page) {
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

    fn take_page(&mut self, visit: &mut Visit, page: &Page) -> Result<(), Failure> {
        let listing = self.plan.listing(visit.listing);
        let mut batches: Vec<(StreamId, Batch)> = Vec::new();
        for (index, row) in page.rows().enumerate() {
            let probe =
                Probe::read(row, &self.probes[visit.listing.0]).map_err(|_| nonsense(listing.path))?;
            let gid = probe.gid.clone().ok_or_else(|| nonsense(listing.path))?;
            let field = |name: &str| {
                let index = self.probes[visit.listing.0].iter().position(|probed| *probed == name);
                index.and_then(|index| probe.field(index))
            };
            let node_parent = listing
                .tree
                .and_then(|tree| row::reference(field(tree.parent)).map(|gid| (tree.stream, gid)));
            if node_parent.is_none() && !listing.rows.holds(listing.rows.field().and_then(field)) {
                continue;
            }
            let (stream, parent) = match node_parent {
                Some((stream, parent)) => (stream, parent),
                None => (listing.stream, visit.parent.clone()),
            };
            let planned = self.plan.stream(stream);
            if planned.depth == 0 && !self.workspaces.is_empty() && !self.workspaces.contains(&gid) {
                continue;
            }
            let is_first = !planned.repeats() || self.seen[stream.0].insert(&gid);
            let time = match planned.stream.cursor {
                Cursor::Moves { field: name, .. } | Cursor::Fixed { field: name, .. } => {
                    row::moment(field(name))
                }
                Cursor::None | Cursor::Parents { .. } => None,
            };
            if is_first
                && let Some(selection) = &planned.selection
                && self.slices.get(visit.slice).windows[stream.0].admits(time)
            {
                if index as u64 == visit.pages % page.len().max(1) as u64 {
                    for text in self.type_check.look(stream, planned.stream, row)? {
                        self.outbox.push_back(Event::Log { level: Level::Warn, text });
                    }
                }
                let at = batches.iter().position(|(id, _)| *id == stream).unwrap_or_else(|| {
                    let batch = Batch { stream: planned.stream.name, text: Vec::new(), ends: Vec::new() };
                    batches.push((stream, batch));
                    batches.len() - 1
                });
                let batch = &mut batches[at].1;
                let is_exact =
                    listing.asked.as_ref().is_some_and(|asked| asked.is_subset(&selection.columns));
                let chosen = (!is_exact).then_some(&selection.columns);
                let added = planned.parent_column.as_deref().map(|column| (column, &parent));
                row::shape(row, chosen, added, &mut batch.text).map_err(|_| nonsense(listing.path))?;
                batch.ends.push(batch.text.len());
            }
            let children = self.children_below(visit.slice, stream, time, is_first, &field);
            if children != 0 {
                self.add_job(visit, stream, gid, children);
            }
        }
        for (id, batch) in batches {
            self.start_stream(id);
            self.progress[id.0].account.records += batch.ends.len() as u64;
            self.outbox.push_back(Event::Records(batch));
        }
        Ok(())
    }

    /// Which listings below a record are worth a request: a bit for each child listing of its stream.
    fn children_below<'row>(
        &self,
        slice: SliceId,
        stream: StreamId,
        time: Option<Moment>,
        is_first: bool,
        field: &impl Fn(&str) -> Option<&'row str>,
    ) -> u32 {
        let planned = self.plan.stream(stream);
        let mut bits = 0;
        for (index, child) in planned.children.iter().enumerate() {
            let listing = self.plan.listing(*child);
            let is_due = is_first || listing.is_per_workspace();
            if !is_due || !listing.when.holds(listing.when.field().and_then(field)) {
                continue;
            }
            if planned.depth >= 2 {
                let window = self.child_window(slice, *child);
                let has_news = match listing.news {
                    News::MovesParent => window.admits(time),
                    News::Untold => window != Window::Done,
                };
                if !has_news {
                    continue;
                }
            }
            bits |= 1 << index;
        }
        bits
    }

    fn add_job(&mut self, visit: &mut Visit, stream: StreamId, gid: Gid, children: u32) {
        let planned = self.plan.stream(stream);
        let slice = (planned.depth >= 2).then_some(visit.slice);
        for (index, child) in planned.children.iter().enumerate() {
            if children & (1 << index) != 0 {
                let child = self.plan.listing(*child).stream;
                self.outstanding.add(child);
                if let Some(slice) = slice {
                    self.slices.get_mut(slice).add(child);
                }
            }
        }
        let workspace = if planned.depth == 0 { gid.clone() } else { visit.workspace.clone() };
        visit.children.push(Job { stream, parent: gid, workspace, slice, children });
    }

    /// A listing is through, one way or another: whatever can be settled is.
    fn close(&mut self, visit: &Visit) {
        let stream = self.plan.listing(visit.listing).stream;
        self.outstanding.remove(stream);
        self.slices.get_mut(visit.slice).remove(stream);
        self.settle(visit.slice);
    }

    fn settle(&mut self, id: SliceId) {
        let slice = self.slices.get_mut(id);
        let (key, cursor) = (Rc::clone(&slice.key), window::next_cursor(slice.started));
        let windows = slice.windows.clone();
        for (stream, is_whole) in slice.settle(&self.above) {
            let progress = &mut self.progress[stream.0];
            if is_whole && windows[stream.0] != Window::Done {
                progress.state.advance(&key, cursor);
                progress.is_dirty = true;
            }
            if is_whole && self.plan.stream(stream).depth == 1 {
                // What hangs below a listing of a workspace remembers that it could be read.
                for below in self.below[stream.0].iter() {
                    self.progress[below.0].state.advance(&key, cursor);
                }
            }
        }
        self.slices.drop_if_settled(id);
        self.checkpoint_and_complete();
    }

    /// Emits the checkpoints that are due, and completes the streams that nothing can be listed for any more.
    fn checkpoint_and_complete(&mut self) {
        let open = self.outstanding.open();
        for index in 0..self.progress.len() {
            let id = StreamId(index);
            let progress = &self.progress[index];
            if self.plan.stream(id).selection.is_none() || progress.is_finished {
                continue;
            }
            if !open.meets(self.above[index]) {
                self.end_stream(id);
            } else if progress.is_dirty && progress.since_checkpoint() >= CHECKPOINT_EVERY {
                self.checkpoint(id);
            }
        }
    }

    fn checkpoint(&mut self, id: StreamId) {
        self.start_stream(id);
        let progress = &mut self.progress[id.0];
        progress.is_dirty = false;
        progress.last_checkpoint = Some(Instant::now());
        let state = progress.state.to_json((self.clock)());
        self.outbox.push_back(Event::Checkpoint { stream: self.plan.stream(id).stream.name, state });
    }

    fn start_stream(&mut self, id: StreamId) {
        let planned = self.plan.stream(id);
        let progress = &mut self.progress[id.0];
        if planned.selection.is_some() && !progress.is_started {
            progress.is_started = true;
            progress.last_checkpoint = Some(Instant::now());
            self.outbox.push_back(Event::Started { stream: planned.stream.name });
        }
    }

    /// The stream's last checkpoint, and COMPLETE if it has everything. A stream that has not waits for the end
    /// of the sync, when its failures are told.
    fn end_stream(&mut self, id: StreamId) {
        self.start_stream(id);
        let name = self.plan.stream(id).stream.name;
        if !self.progress[id.0].account.is_incomplete() && self.has_lost_access(id) {
            let account = &mut self.progress[id.0].account;
            let reasons: Vec<_> = account.skipped.keys().cloned().collect();
            let is_gone = reasons.iter().all(|reason| reason == Reason::NotFound.text());
            let message = format!(
                "{name}: Asana refused most of its listings ({}). Give the token's user access again, or deselect \
                 the stream; what the destination holds is left as it is.",
                reasons.join("; ")
            );
            // What is gone is mostly gone by the next listing of its parents too.
            let failure = if is_gone { Failure::transient(message) } else { Failure::config(message) };
            account.fail(failure.of_stream(name));
        }
        if self.progress[id.0].account.is_incomplete() {
            if self.progress[id.0].is_dirty {
                self.checkpoint(id);
            }
            return;
        }
        let above = self.above[id.0];
        let is_gapless = above.iter().all(|above| {
            let account = &self.progress[above.0].account;
            !account.is_incomplete() && account.skips() == 0
        });
        let met = &self.met;
        let progress = &mut self.progress[id.0];
        progress
            .state
            .complete(|slice| !is_gapless || met.get(slice).is_some_and(|streams| streams.contains(id)));
        progress.is_finished = true;
        self.checkpoint(id);
        self.outbox.push_back(Event::Complete { stream: name });
    }

    /// Whether most listings of the stream, or of one that leads to it, were refused.
    fn has_lost_access(&self, id: StreamId) -> bool {
        self.above[id.0].iter().any(|above| {
            let progress = &self.progress[above.0];
            progress.refused > 0 && progress.refused as f64 > MOST_REFUSED * progress.account.listings as f64
        })
    }

    /// Decides what follows from a fault that is not retried any more.
    fn judge(&mut self, visit: &Visit, fault: &Fault) {
        let listing = self.plan.listing(visit.listing);
        let depth = self.plan.stream(listing.stream).depth;
        let place = if depth <= 1 { Place::Root } else { Place::Slice };
        match self.lenient(listing.stream, asana::consequence(fault, place)) {
            Consequence::SkipSlice(reason) => {
                let was_readable = self.could_read_before(listing.stream, visit.slice);
                self.progress[listing.stream.0].refused +=
                    u64::from(reason.is_disappearance() || was_readable);
                self.skip(visit, fault, reason.text());
            }
            Consequence::SkipStream(_) if self.could_read_before(listing.stream, visit.slice) => {
                let why = "it could be read at the last sync, so it is not taken for empty";
                self.fail(visit, failure_of(fault, why));
            }
            Consequence::SkipStream(reason) => self.skip(visit, fault, reason.text()),
            Consequence::FailSlice(reason) | Consequence::FailStream(reason) => {
                self.fail(visit, failure_of(fault, reason.text()));
            }
            Consequence::FailSync(reason) => {
                self.stopped = Some(failure_of(fault, reason.text()));
            }
        }
    }

    /// Whether the last sync could read the stream's listings in this slice, or what hangs below them.
    fn could_read_before(&self, stream: StreamId, slice: SliceId) -> bool {
        let key = &self.slices.get(slice).key;
        self.below[stream.0].iter().any(|below| self.progress[below.0].previous.cursor(key).is_some())
    }

    /// What only service accounts may read is refused to everybody else: that is the plan's doing, no lost right.
    /// And nothing at all can be read without the root.
    fn lenient(&self, stream: StreamId, consequence: Consequence) -> Consequence {
        match consequence {
            Consequence::FailStream(reason)
                if reason.is_lack_of_access()
                    && self.plan.stream(stream).stream.plan == stream::Plan::ServiceAccount =>
            {
                Consequence::SkipStream(reason)
            }
            Consequence::SkipStream(reason) if self.plan.stream(stream).depth == 0 => {
                Consequence::FailStream(reason)
            }
            other => other,
        }
    }

    /// Passes a listing over, and says so. What hangs below it keeps its cursor.
    fn skip(&mut self, visit: &Visit, fault: &Fault, reason: &str) {
        let stream = self.plan.listing(visit.listing).stream;
        let mut names = Vec::new();
        for below in self.below[stream.0].iter() {
            let planned = self.plan.stream(below);
            if planned.selection.is_some() || below == stream {
                self.progress[below.0].account.skip(reason.to_owned());
                names.extend(planned.selection.is_some().then_some(planned.stream.name));
            }
        }
        self.slices.get_mut(visit.slice).lacks(self.below[stream.0]);
        let told = self.progress[stream.0].account.skipped.get(reason).copied().unwrap_or_default();
        if told <= SKIPS_TOLD {
            self.log(Level::Warn, format!("{}: skipped, because {reason}. {fault}", names.join(", ")));
        }
    }

    /// Marks the listing's stream, and all that hang below it, as incomplete.
    fn fail(&mut self, visit: &Visit, failure: Failure) {
        let stream = self.plan.listing(visit.listing).stream;
        let below = self.below[stream.0];
        self.slices.get_mut(visit.slice).lacks(below);
        for id in below.iter() {
            let planned = self.plan.stream(id);
            if planned.selection.is_some() || id == stream {
                let name = planned.stream.name;
                let message = format!("{name}: {}", failure.message);
                let failure = Failure { class: failure.class, message, stream: None }.of_stream(name);
                self.progress[id.0].account.fail(failure);
            }
        }
    }

    /// Workspaces that the config names must be among those that the token sees.
    fn missing_workspace(&self, visit: &Visit) -> Option<Failure> {
        if visit.listing != self.plan.root {
            return None;
        }
        let listed: Vec<&Gid> = visit.children.iter().map(|job| &job.parent).collect();
        let is_only_stream = self.plan.stream(self.plan.listing(visit.listing).stream).children.is_empty();
        let missing = self.workspaces.iter().find(|gid| !listed.contains(gid) && !is_only_stream)?;
        Some(Failure::config(format!(
            "the token does not see workspace {missing}, which the config names under `workspaces`: correct the gid, \
             or give the token's user access to that workspace"
        )))
    }

    fn notice(&mut self, notice: Notice) {
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

    fn log(&mut self, level: Level, text: String) {
        self.outbox.push_back(Event::Log { level, text });
    }

    fn tick(&mut self) {
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

    fn progress_line(&self) -> String {
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
    fn requests(&self, id: StreamId) -> u64 {
        let of_stream = self.plan.listings.iter().filter(|listing| listing.stream == id);
        let endpoints: BTreeSet<&str> = of_stream.map(|listing| listing.endpoint()).collect();
        let counts = self.client.counts();
        endpoints.iter().filter_map(|endpoint| counts.get(*endpoint)).map(|counts| counts.requests).sum()
    }

    /// Tells what failed, the failures that time may heal first, and what came of each stream.
    async fn finish(mut self) -> Outcome {
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

impl Progress {
    fn new(planned: &crate::plan::PlannedStream, state: StreamState) -> Self {
        let previous = state.clone();
        let mut state = state;
        match planned.selection.as_ref().map(|selection| selection.mode) {
            // A pass that came to its end is not gone on with: a full refresh starts over.
            Some(Mode::FullRefresh) if state.is_complete() => state = StreamState::default(),
            Some(Mode::FullRefresh | Mode::Incremental) | None => state.begin(),
        }
        Self {
            state,
            previous,
            account: Account::default(),
            is_started: false,
            is_finished: false,
            is_dirty: false,
            last_checkpoint: None,
            refused: 0,
        }
    }

    fn since_checkpoint(&self) -> Duration {
        self.last_checkpoint.map_or(Duration::ZERO, |last| last.elapsed())
    }
}

fn fetch<'a>(visit: Visit, mut pages: Pages) -> Fetch<'a> {
    Box::pin(async move {
        let result = pages.next().await;
        (visit, pages, result)
    })
}

fn nonsense(path: &str) -> Failure {
    Failure::transient(format!(
        "GET {path} answered a row that is no record with a gid, as Asana's are; try again later, and report this if \
         it stays"
    ))
}

fn failure_of(fault: &Fault, reason: &str) -> Failure {
    let failure = Failure::of(fault);
    Failure { message: format!("{reason}. {}", failure.message), ..failure }
}
