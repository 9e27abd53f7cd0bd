//! The read path: workspaces, phases and concurrency.
//!
//! A sync has three phases: everything whose cost does not grow with the number of tasks, and the task listings themselves;
//! then what is read per task; then the daily comparison of stored records with what exists. Everything runs as local futures on one thread: a listing waits for the gate,
//! a request for room in the output and for the limiter's permit. Nothing is locked, and dropping the future stops
//! everything below it.
//!
//! | question | file |
//! |---|---|
//! | What happens to a project, from top to bottom? | `slice.rs` |
//! | How is a changed subtask found? | `search.rs` |
//! | Which tasks are not asked for attachments? | `parent_search.rs` |
//! | When is a row reported as deleted? | `deletions/events.rs` (Asana reports it), `missing.rs` (a listing no longer shows it), `reconcile.rs` (the daily comparison), `sighting.rs` (it moved to another stream) |
//! | When does a cursor move? | `cursors.rs` |
//! | What happens on a 403? | `consequence.rs` decides; `refusals.rs` does it for listings and searches, `deletions/events.rs` for events, `deletions/existence.rs` for single objects |

mod access;
mod children;
mod consequence;
mod context;
mod cursors;
mod dedup;
mod deletions;
mod failures;
mod gate;
pub mod graph;
mod listing;
mod output;
pub mod parent_search;
mod progress;
pub mod reach;
mod refusals;
pub mod report;
pub mod requests;
pub mod row;
mod search;
mod slice;
pub mod slices;
mod summary;
mod terminal;
mod type_check;

pub use consequence::{Consequence, EarlierAccess, Place, consequence};
pub use deletions::out_of_sight::is_due as is_comparison_due;
pub use deletions::unseen::Unseen;
pub use listing::Rows;
pub use summary::Outcome;

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::pin;
use std::thread;
use std::time::Duration;

use airbyte_connector::{Failure, unix_milliseconds};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::MissedTickBehavior;

use crate::asana::{Client, Notice};
use crate::config::{ReportDeletions, Settings};
use crate::emit;
use crate::gid::Gid;
use crate::moment::Moment;
use crate::plan::{ListingId, Plan};
use crate::slice_key::SliceKey;
use crate::state::StreamState;
use crate::stream_set::{StreamId, StreamSet};
use crate::sync::children::PendingListings;
use crate::sync::context::{Facts, Sync};
use crate::sync::dedup::Dedup;
use crate::sync::deletions::conversions::Conversions;
use crate::sync::deletions::deleted::Deleted;
use crate::sync::deletions::missing::Extent;
use crate::sync::deletions::reconcile;
use crate::sync::failures::{Cause, Stop};
use crate::sync::gate::{Depth, Gate, Slot};
use crate::sync::graph::Graph;
use crate::sync::listing::Target;
use crate::sync::output::Output;
use crate::sync::parent_search::ParentSearches;
use crate::sync::progress::Progress;
use crate::sync::slice::{Planned, Waiting};
use crate::sync::slices::Slices;
use crate::sync::terminal::{Phase, Terminal};
use crate::sync::type_check::TypeCheck;
use crate::window::Window;

const TICK: Duration = Duration::from_secs(1);

/// Steps below the root listing, by which the gate puts listings in order.
const WORKSPACES: Depth = 0;
const SLICES: Depth = 2;

/// Reads what the plan asks for and writes it to `output`, from a thread of its own, so that an output that
/// blocks does not hold up the requests under way. `states` has one state for each of the plan's streams. When `stop`
/// returns a failure, nothing more is requested: what was read is written, then a state of each stream.
///
/// Returns what failed, and how the writing went.
pub async fn sync(
    plan: &Plan,
    settings: &Settings,
    client: Client,
    notices: UnboundedReceiver<Notice>,
    states: Vec<StreamState>,
    stop: impl Future<Output = Failure>,
    output: airbyte_connector::Output,
) -> (Outcome, thread::Result<io::Result<()>>) {
    let (sender, receiver) = mpsc::channel(emit::QUEUE);
    let config = settings.file.clone();
    let writer = thread::spawn(move || emit::run(receiver, &config, output));
    let clock = || Moment::from_unix_milliseconds(unix_milliseconds());
    let graph = Graph::new(plan, settings);
    let sync = new(plan, settings, &graph, client, states, Output::new(sender), clock);
    let outcome = run(&sync, notices, stop).await;
    drop(sync);
    (outcome, writer.join())
}

fn new<'a>(
    plan: &'a Plan,
    settings: &'a Settings,
    graph: &'a Graph,
    client: Client,
    states: Vec<StreamState>,
    output: Output,
    clock: fn() -> Moment,
) -> Sync<'a> {
    let conversions = Conversions::new(plan, &states);
    let emitted_before = states.iter().filter_map(StreamState::emitted_until).max();
    let unseen = match settings.deletions {
        ReportDeletions::Yes => Unseen::new(plan, &states),
        ReportDeletions::No => Unseen::default(),
    };
    let progress = RefCell::new(Progress::new(
        plan,
        graph,
        states,
        settings.checkpoint_every,
        settings.state_limit_bytes,
        clock,
    ));
    let common = |id: StreamId| match &plan.stream(id).selection {
        Some(selection) => {
            let latest = progress.borrow_mut().stream(id).state.latest_cursor();
            Window::of(selection.mode, latest, graph.starts[id.0])
        }
        None => Window::Done,
    };
    let common = (0..plan.streams.len()).map(StreamId).map(common).collect();
    let dedup = Dedup::new(graph.broadest.clone(), common, &graph.below, settings.most_marks_in_memory);
    let workspaces = settings.workspaces.iter().map(|gid| Gid::new(gid)).collect();
    Sync {
        gate: Gate::new(client.clone(), settings.limits.in_flight),
        facts: Facts {
            plan,
            settings,
            client,
            graph,
            began_here: clock(),
            clock,
            emitted_before,
            workspaces,
        },
        output,
        progress,
        slices: RefCell::new(Slices::default()),
        dedup: RefCell::new(dedup),
        deleted: RefCell::new(Deleted::new(conversions, unseen)),
        type_check: RefCell::new(TypeCheck::default()),
    }
}

/// Reads everything, passes on what the client reports, and ends with the summary.
async fn run(
    sync: &Sync<'_>,
    mut notices: UnboundedReceiver<Notice>,
    stop: impl Future<Output = Failure>,
) -> Outcome {
    let terminal = Terminal::new();
    let phase = Cell::new(Phase::Listings);
    let show = || {
        if terminal.is_watched() {
            let client = &sync.facts.client;
            terminal.draw(&sync.progress().view(phase.get(), &client.counts(), client.pause()));
        }
    };
    let begin = |next| {
        show();
        phase.set(next);
        show();
    };
    let stopped = {
        let mut reading = pin!(read_everything(sync, begin));
        let mut pump = pin!(sync.output.pump(|| sync.gate.admit()));
        let mut stop = pin!(stop);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                read = &mut reading => break read.err().map(|Stop(failure)| failure),
                _ = &mut pump => break None,
                failure = &mut stop => break Some(failure),
                Some(notice) = notices.recv() => sync.progress().notice(notice, &sync.output),
                _ = tick.tick() => {
                    let client = &sync.facts.client;
                    sync.progress().tick(&client.counts(), client.pause(), &sync.output);
                    sync.gate.admit();
                    show();
                }
            }
        }
    };
    while let Ok(notice) = notices.try_recv() {
        sync.progress().notice(notice, &sync.output);
    }
    show();
    summary::finish(sync, stopped, &terminal).await
}

/// Reads everything. `begin` is called before each phase but the first.
async fn read_everything(sync: &Sync<'_>, begin: impl Fn(Phase)) -> Result<(), Stop> {
    // A plan without a selected stream has no listing either.
    if sync.plan().selected().next().is_none() {
        return Ok(());
    }
    let workspaces = read_root(sync).await?;
    reconcile::hold(sync);
    let deferred = RefCell::new(Deferred::default());
    sync.gate
        .for_each(WORKSPACES, None, workspaces.into_records(), |(_, gid, listings), slot| {
            let deferred = &deferred;
            async move { read_workspace(sync, &gid, listings, deferred, slot).await }
        })
        .await?;
    // What is read per task comes after everything else.
    let deferred = deferred.into_inner();
    if !deferred.waiting.is_empty() {
        begin(Phase::PerTask);
    }
    read_per_task(sync, deferred).await?;
    reconcile::run(sync).await
}

/// What is left for the listings per task.
#[derive(Debug, Default)]
struct Deferred {
    waiting: Vec<Waiting>,
    /// The workspaces in which Asana answered a search.
    searchable: Vec<Gid>,
}

/// Reads the listings per task. Those whose parents a search finds come last, when all of them are known: first the
/// listings that show whether the search is right, then those that it calls for.
async fn read_per_task(sync: &Sync<'_>, deferred: Deferred) -> Result<(), Stop> {
    let Deferred { waiting, searchable } = deferred;
    let searches = ParentSearches::new(
        sync,
        waiting
            .iter()
            .filter(|waiting| searchable.contains(&waiting.slice.workspace))
            .map(|waiting| (&waiting.slice, &waiting.children)),
    );
    let held = RefCell::new(Vec::new());
    let reading = sync.gate.for_each(SLICES, None, waiting, |waiting, slot| {
        let (searches, held) = (&searches, &held);
        async move {
            let waiting = slice::read_children(sync, searches, waiting, SLICES, slot).await?;
            held.borrow_mut().extend(waiting);
            Ok(())
        }
    });
    tokio::try_join!(searches.run(sync), reading)?;
    let held = held.into_inner();
    searches.begin_check(sync, held.iter().map(|waiting| (&waiting.slice, &waiting.children)));
    let checked = RefCell::new(Vec::new());
    sync.gate
        .for_each(SLICES, None, held, |waiting, slot| {
            let (searches, checked) = (&searches, &checked);
            async move {
                let Waiting { slice, children, streams } = waiting;
                let (doubted, children) = searches.doubted(sync, &slice, children);
                let none = RefCell::default();
                slice::read_below(sync, (searches, &none), &slice, doubted, SLICES, Some(slot)).await?;
                checked.borrow_mut().push(Waiting { slice, children, streams });
                Ok(())
            }
        })
        .await?;
    sync.gate
        .for_each(SLICES, None, checked.into_inner(), |waiting, slot| {
            let searches = &searches;
            async move {
                let children = searches.needed(sync, &waiting.slice, waiting.children);
                slice::read_children(sync, searches, Waiting { children, ..waiting }, SLICES, slot).await?;
                Ok(())
            }
        })
        .await
}

/// Lists the workspaces, and returns the listings below them.
async fn read_root(sync: &Sync<'_>) -> Result<PendingListings, Stop> {
    let root = sync.plan().root;
    let stream = sync.plan().listing(root).stream;
    let nobody = Gid::new("");
    let slice = cursors::begin(sync, SliceKey::Root, &nobody, StreamSet::from_iter([stream]), &[]);
    sync.progress().expect_listing(stream);
    let slot = sync.gate.enter(WORKSPACES).await;
    let target = Target { listing: root, parent: nobody, slice: &slice };
    let listed = listing::read(sync, target, slot).await?;
    if listed.extent == Extent::ToTheEnd {
        check_workspaces(sync, root, &listed.children)?;
    }
    cursors::settle(sync, &slice, slice.streams);
    Ok(listed.children)
}

/// Workspaces that the config names must be among those that the token sees.
fn check_workspaces(sync: &Sync<'_>, root: ListingId, children: &PendingListings) -> Result<(), Stop> {
    // If only workspaces are read, nothing below them is known.
    let is_only_stream = sync.plan().stream(sync.plan().listing(root).stream).children.is_empty();
    let listed = children.gids();
    match sync.facts.workspaces.iter().find(|gid| !listed.contains(gid)) {
        Some(gid) if !is_only_stream => Err(Stop(Cause::MissingWorkspace { gid }.failure())),
        Some(_) | None => Ok(()),
    }
}

/// Reads a workspace but for its listings per task, which are added to `deferred`.
async fn read_workspace(
    sync: &Sync<'_>,
    workspace: &Gid,
    listings: u32,
    deferred: &RefCell<Deferred>,
    slot: Slot,
) -> Result<(), Stop> {
    drop(slot);
    let wait = |found: Option<Waiting>| deferred.borrow_mut().waiting.extend(found);
    let (searched, found) = search::changed(sync, workspace, SLICES).await?;
    for search::SearchResult { slice, children } in found {
        wait(slice::settle(sync, slice, children));
    }
    let unlisted = search::begin_unlisted(sync, workspace, &searched);
    let roots = read_slice_roots(sync, workspace, listings).await?;
    let searching = async {
        for (listing, slice) in unlisted {
            let listed = search::make(sync, &slice, listing, SLICES).await?;
            if listed.extent == Extent::ToTheEnd {
                deferred.borrow_mut().searchable.push(workspace.clone());
            }
            wait(slice::settle(sync, slice, listed.children));
        }
        Ok(())
    };
    let reading = sync.gate.for_each(SLICES, None, roots.into_records(), |(stream, root, listings), slot| {
        let planned = Planned { stream, root, listings };
        let (searched, wait) = (&searched, &wait);
        async move {
            wait(slice::read(sync, planned, workspace, searched, SLICES, slot).await?);
            Ok(())
        }
    });
    tokio::try_join!(searching, reading)?;
    Ok(())
}

/// Reads the listings of a workspace. What they list are slices, which are returned.
async fn read_slice_roots(sync: &Sync<'_>, workspace: &Gid, listings: u32) -> Result<PendingListings, Stop> {
    let plan = sync.plan();
    let listings: Vec<ListingId> =
        children::listings(plan, plan.listing(plan.root).stream, listings).collect();
    let streams = listings.iter().map(|listing| plan.listing(*listing).stream).collect();
    cursors::see_access(sync, workspace, streams);
    let slice = cursors::begin(sync, SliceKey::Object(workspace.clone()), workspace, streams, &[]);
    let slot = sync.gate.enter(WORKSPACES).await;
    let roots = slice::read_listings(sync, &slice, workspace, listings, WORKSPACES, slot).await?;
    cursors::settle(sync, &slice, streams);
    Ok(roots)
}
