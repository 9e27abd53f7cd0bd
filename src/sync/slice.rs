//! Reads one slice from top to bottom: everything below one project, user, team, portfolio or goal.
//!
//! The listings per task are a second step, after the first step of every other slice, so that streams whose cost does
//! not grow with the number of tasks are complete first.

use std::cell::RefCell;

use crate::gid::Gid;
use crate::plan::ListingId;
use crate::slice_key::SliceKey;
use crate::stream_set::{StreamId, StreamSet};
use crate::sync::children::{self, PendingListings};
use crate::sync::context::Sync;
use crate::sync::cursors;
use crate::sync::deletions::events;
use crate::sync::failures::Stop;
use crate::sync::gate::{Depth, Slot};
use crate::sync::listing::{self, Target};
use crate::sync::parent_search::ParentSearches;
use crate::sync::slices::Slice;
use crate::window::Window;

/// A slice that will be read: its root record, and which of its listings are needed.
#[derive(Debug)]
pub struct Planned {
    pub stream: StreamId,
    pub root: Gid,
    pub listings: u32,
}

/// A slice whose listings per task are still to be read.
#[derive(Debug)]
pub struct Waiting {
    pub slice: Slice,
    pub children: PendingListings,
    /// The streams whose cursors have not moved yet.
    pub streams: StreamSet,
}

/// Reads a slice without its listings per task, which are returned.
///
/// # Errors
///
/// If the sync must stop.
pub async fn read(
    sync: &Sync<'_>,
    planned: Planned,
    workspace: &Gid,
    searched: &[Window],
    depth: Depth,
    slot: Slot,
) -> Result<Option<Waiting>, Stop> {
    let Planned { stream, root, listings } = planned;
    // Deletion events come first. They are newer than the listings read after them.
    events::read(sync, stream, &root).await?;
    let listings: Vec<ListingId> = children::listings(sync.plan(), stream, listings).collect();
    let slice = begin(sync, stream, &root, workspace, &listings, searched);
    // At the end of each listing, rows that are missing since the last sync are checked for deletion.
    let children = read_listings(sync, &slice, &root, listings, depth, slot).await?;
    Ok(settle(sync, slice, children))
}

fn begin(
    sync: &Sync<'_>,
    stream: StreamId,
    root: &Gid,
    workspace: &Gid,
    listings: &[ListingId],
    searched: &[Window],
) -> Slice {
    let key = if sync.plan().stream(stream).repeats() {
        SliceKey::in_workspace(workspace, root)
    } else {
        SliceKey::Object(root.clone())
    };
    let streams = listings.iter().fold(StreamSet::default(), |set, listing| {
        set.union(sync.graph().below[sync.plan().listing(*listing).stream.0])
    });
    cursors::begin(sync, key, workspace, streams, searched)
}

/// Reads the listings of a slice, and returns the child listings of their records.
///
/// # Errors
///
/// If the sync must stop.
pub async fn read_listings(
    sync: &Sync<'_>,
    slice: &Slice,
    parent: &Gid,
    listings: Vec<ListingId>,
    depth: Depth,
    slot: Slot,
) -> Result<PendingListings, Stop> {
    let children = RefCell::new(PendingListings::default());
    sync.gate
        .for_each(depth + 1, Some(slot), listings, |listing, slot| {
            let children = &children;
            async move {
                let target = Target { listing, parent: parent.clone(), slice };
                let listed = listing::read(sync, target, slot).await?;
                children.borrow_mut().append(listed.children);
                Ok(())
            }
        })
        .await?;
    Ok(children.into_inner())
}

/// Moves the cursors of the streams that are complete for the slice. The others wait for the listings per task.
pub fn settle(sync: &Sync<'_>, slice: Slice, children: PendingListings) -> Option<Waiting> {
    if children.is_empty() {
        cursors::settle(sync, &slice, slice.streams);
        return None;
    }
    let streams = slice.streams.intersection(sync.graph().deferred);
    cursors::settle(sync, &slice, slice.streams.without(streams));
    Some(Waiting { slice, children, streams })
}

/// Reads the listings per task of a slice, and moves the remaining cursors. Returns the listings that wait for a search.
///
/// # Errors
///
/// If the sync must stop.
pub async fn read_children(
    sync: &Sync<'_>,
    searches: &ParentSearches,
    waiting: Waiting,
    depth: Depth,
    slot: Slot,
) -> Result<Option<Waiting>, Stop> {
    let Waiting { slice, children, streams } = waiting;
    let held = RefCell::new(PendingListings::default());
    read_below(sync, (searches, &held), &slice, children, depth, Some(slot)).await?;
    let held = held.into_inner();
    let of_held = held.streams(sync.plan()).intersection(streams);
    cursors::settle(sync, &slice, streams.without(of_held));
    Ok((!held.is_empty()).then_some(Waiting { slice, children: held, streams: of_held }))
}

/// Reads child listings and their children, to any depth. Those that wait for a search are added to the held ones.
///
/// # Errors
///
/// If the sync must stop.
pub async fn read_below(
    sync: &Sync<'_>,
    (searches, held): (&ParentSearches, &RefCell<PendingListings>),
    slice: &Slice,
    children: PendingListings,
    depth: Depth,
    slot: Option<Slot>,
) -> Result<(), Stop> {
    let (waiting, children) = children.split(sync.plan(), |pending| searches.holds(sync, slice, pending));
    held.borrow_mut().append(waiting);
    sync.gate
        .for_each(depth + 1, slot, children.into_listings(sync.plan()), |pending, slot| async move {
            let target = Target { listing: pending.listing, parent: pending.parent.clone(), slice };
            let listed = listing::read(sync, target, slot).await?;
            searches.check(sync, slice, &pending, &listed);
            if !listed.children.is_empty() {
                let below = read_below(sync, (searches, held), slice, listed.children, depth + 1, None);
                Box::pin(below).await?;
            }
            Ok(())
        })
        .await
}
