//! When is a row reported as deleted that its listing no longer shows? The state knows what each listing held. A record
//! that a listing, read to its end, does not show any more is asked for by itself, and it is deleted only if Asana does not
//! know it: one that the token may not see any more looks the same in a listing.

use std::cell::RefCell;

use airbyte_protocol::message::Level;

use crate::asana::{self, Consequence, Place as At, Reason};
use crate::gid::Gid;
use crate::listed::Gids;
use crate::moment::Moment;
use crate::plan::{ListingId, told_of};
use crate::stream::Deletions;
use crate::stream_set::StreamId;
use crate::sync::context::Sync;
use crate::sync::cursors;
use crate::sync::deletions::deleted::Place;
use crate::sync::deletions::tombstones;
use crate::sync::failures::{Cause, Stop};
use crate::sync::gate::Depth;
use crate::sync::progress::StreamProgress;
use crate::sync::report::grouped;
use crate::sync::requests;
use crate::sync::slices::Slice;
use crate::window::Window;

/// This many records may be missing from a listing at once, whatever their share.
const FEW_MISSING: usize = 10;

/// Beyond a few, a larger share than one in this many means that something went wrong.
const MISSING_SHARE: usize = 10;

/// How many records below a deleted one are asked for at most: each takes a request.
const MOST_FOLLOWED: usize = 600;

/// Questions about single records come before every listing.
const FIRST: Depth = Depth::MAX;

/// How much of a listing was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// As far as it was asked for, without a fault.
    ToTheEnd,
    InPart,
}

/// Whether the last sync did not list a record. A record that became visible may have only old times.
pub fn is_new(sync: &Sync<'_>, id: StreamId, parent: &Gid, gid: &Gid) -> bool {
    matches!(sync.plan().stream(id).stream.deletions, Deletions::Absence { .. })
        && sync.progress().stream(id).state.listed().holds(parent, gid) == Some(false)
}

/// Stores what a listing held. Of what an earlier one held and this one, read to its end, does not, Asana is asked whether
/// it is deleted.
///
/// # Errors
///
/// When an answer shows that nothing else can be read either.
pub async fn compare(
    sync: &Sync<'_>,
    slice: &Slice,
    listing: ListingId,
    parent: &Gid,
    mut listed: Gids,
    extent: Extent,
) -> Result<(), Stop> {
    let planned = sync.plan().listing(listing);
    let id = planned.stream;
    let stream = sync.plan().stream(id).stream;
    let is_always_whole = matches!(stream.deletions, Deletions::Absence { .. });
    if !planned.is_kept || !(is_always_whole || tombstones::are_wanted(sync, id)) {
        return Ok(());
    }
    let is_whole = planned.since.is_none() || cursors::listing_window(sync, slice, listing) == Window::Whole;
    let (count, mut missing) = {
        let mut progress = sync.progress();
        let before = progress.stream(id).state.listed();
        (before.count(parent).unwrap_or_default(), before.missing(parent, &listed))
    };
    if extent == Extent::InPart || !is_whole {
        listed.extend(missing);
        store(sync, id, parent, listed);
        return Ok(());
    }
    if !tombstones::are_wanted(sync, id) {
        missing.clear();
    }
    missing.retain(|gid| !sync.deleted.borrow().is_reported(id, gid));
    if missing.len() > FEW_MISSING && missing.len() * MISSING_SHARE > count {
        let text = format!(
            "{}: {} of {} records in {parent} are missing, which is too many to be real deletions; none is reported as \
             deleted. If they are deleted, reset the stream",
            stream.name,
            grouped(missing.len() as u64),
            grouped(count as u64)
        );
        sync.output.log(Level::Warn, text);
        listed.extend(missing.drain(..));
    }
    confirm(sync, (id, parent.clone()), missing, listed).await
}

/// Asks for records that were listed in a place and are not any more. Until all answers are in, the state keeps what it
/// had, so that a sync that goes on after an interruption asks again.
async fn confirm(sync: &Sync<'_>, place: Place, missing: Vec<Gid>, mut listed: Gids) -> Result<(), Stop> {
    let (id, parent) = &place;
    if sync.deleted.borrow().is_asking(&place) {
        return Ok(());
    }
    if missing.is_empty() {
        store(sync, *id, parent, listed);
        return Ok(());
    }
    sync.deleted.borrow_mut().begin_asking(&place);
    missing.iter().for_each(|_| sync.progress().expect_listing(*id));
    let unknown = RefCell::new(Gids::default());
    sync.gate
        .for_each(FIRST, None, missing, |gid, slot| {
            let unknown = &unknown;
            async move {
                let existence = existence(sync, *id, &gid).await?;
                drop(slot);
                match existence {
                    Existence::Deleted => {
                        let now = sync.facts.now();
                        tombstones::emit(sync, *id, &gid, now);
                        follow(sync, *id, &gid, now).await?;
                    }
                    Existence::Unknown => unknown.borrow_mut().push(&gid),
                    Existence::OutOfSight => {}
                }
                sync.progress().listing_done(*id);
                Ok(())
            }
        })
        .await?;
    // The next sync asks again.
    listed.append(unknown.into_inner());
    store(sync, *id, parent, listed);
    sync.deleted.borrow_mut().end_asking(&place);
    Ok(())
}

enum Existence {
    Deleted,
    /// It exists, or the token may not see it: it is not asked for again.
    OutOfSight,
    /// There was no answer.
    Unknown,
}

async fn existence(sync: &Sync<'_>, id: StreamId, gid: &Gid) -> Result<Existence, Stop> {
    let path = sync.plan().stream(id).stream.deletions.path();
    let path = path.unwrap_or_else(|| unreachable!("only streams that report deletions are asked for"));
    sync.output.room().await;
    let Err(fault) = asana::get_one(&sync.facts.client, &requests::of_existence(path, gid)).await else {
        return Ok(Existence::OutOfSight);
    };
    match asana::consequence(&fault, At::Detail) {
        Consequence::SkipSlice(Reason::NotFound) => Ok(Existence::Deleted),
        Consequence::SkipSlice(Reason::StorageFailing) => Ok(Existence::Unknown),
        Consequence::SkipSlice(_) => Ok(Existence::OutOfSight),
        Consequence::FailSync(reason) => Err(Stop(Cause::Request { fault: &fault, reason }.failure())),
        Consequence::SkipStream(_) | Consequence::FailSlice(_) | Consequence::FailStream(_) => {
            Ok(Existence::Unknown)
        }
    }
}

/// Stores what is listed below a parent. What is always read whole is stored whole, since only absence reports its
/// deletions; of the rest the state stores what it has room for, and nothing of parents that have nothing.
fn store(sync: &Sync<'_>, id: StreamId, parent: &Gid, listed: Gids) {
    let mut progress = sync.progress();
    let StreamProgress { state, .. } = progress.stream(id);
    match sync.plan().stream(id).stream.deletions {
        Deletions::Events { .. } if listed.is_empty() => drop(state.listed_mut().take(parent)),
        Deletions::Events { .. } => {
            state.listed_mut().set(parent, listed);
            state.stay_small(sync.facts.settings.state_limit_bytes);
        }
        Deletions::Absence { .. } | Deletions::Untold => state.listed_mut().set(parent, listed),
    }
}

/// No events report what was deleted with a record that was found to be deleted by asking for it: what belongs to it is
/// deleted too, and what may also be elsewhere is asked for.
async fn follow(sync: &Sync<'_>, id: StreamId, gid: &Gid, at: Moment) -> Result<(), Stop> {
    let plan = sync.plan();
    let stream = plan.stream(id);
    let told = plan.feeds.iter().find_map(|feed| told_of(stream.stream, feed.path));
    for listing in stream.children.iter().map(|child| plan.listing(*child)) {
        let below = listing.stream;
        if !listing.is_kept || !tombstones::are_wanted(sync, below) {
            continue;
        }
        let mut above = plan.feeds.iter().flat_map(|feed| &feed.told).filter(|told| told.stream == below);
        if above.any(|planned| planned.above.iter().any(|above| Some(*above) == told)) {
            tombstones::emit_below(sync, below, gid, at);
            continue;
        }
        let mut held = sync.progress().stream(below).state.listed().missing(gid, &Gids::default());
        held.retain(|gid| !sync.deleted.borrow().is_reported(below, gid));
        if held.len() > MOST_FOLLOWED {
            let text = format!(
                "{}: {} records were in {gid}, which is deleted. That is too many to ask for one by one, so none of \
                 them is reported as deleted; if they are deleted, reset the stream",
                plan.stream(below).stream.name,
                grouped(held.len() as u64)
            );
            sync.output.log(Level::Warn, text);
            held.clear();
        }
        Box::pin(confirm(sync, (below, gid.clone()), held, Gids::default())).await?;
    }
    Ok(())
}
