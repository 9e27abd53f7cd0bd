//! When is a row reported as deleted that its listing no longer shows? The state knows what each listing held. A record
//! that a listing, read to its end, does not show any more is asked for by itself, and it is deleted only if Asana does not
//! know it: one that the token may not see any more looks the same in a listing.

use std::cell::RefCell;

use airbyte_protocol::message::Level;

use crate::gid::Gid;
use crate::listed::{ELSEWHERE, Gids};
use crate::moment::Moment;
use crate::plan::{ListingId, deletion_events_of};
use crate::stream::{Deletions, Repeats};
use crate::stream_set::StreamId;
use crate::sync::context::Sync;
use crate::sync::cursors;
use crate::sync::deletions::deleted::ListedPlace;
use crate::sync::deletions::existence::{self, Existence};
use crate::sync::deletions::out_of_sight;
use crate::sync::deletions::tombstones;
use crate::sync::deletions::tree::{self, trees};
use crate::sync::failures::Stop;
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
    is_always_whole(sync, id) && sync.progress().stream(id).state.listed().holds(parent, gid) == Some(false)
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
    let is_always_whole = is_always_whole(sync, id);
    if !planned.is_kept || !(is_always_whole || tombstones::are_wanted(sync, id)) {
        return Ok(());
    }
    let is_whole =
        planned.since.is_none() || cursors::reach(sync, slice).of_listing(listing) == Window::Whole;
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
    if is_always_whole && missing.len() > FEW_MISSING && missing.len() * MISSING_SHARE > count {
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
    if sync.plan().stream(id).is_keyed_by_parent() {
        // The row is gone, whether or not its record exists.
        let now = sync.facts.now();
        missing.drain(..).for_each(|gid| tombstones::emit_row(sync, id, parent, &gid, now));
    } else if is_always_whole && tombstones::are_wanted(sync, id) {
        missing.extend(out_of_sight_again(sync, id, &listed));
    }
    confirm(sync, (id, parent.clone()), missing, listed).await
}

/// Whether the stream's listings are always read whole, so that absence alone shows a deletion.
fn is_always_whole(sync: &Sync<'_>, id: StreamId) -> bool {
    matches!(sync.plan().stream(id).stream.deletions, Deletions::Absence { .. })
}

/// The records of such a stream that are out of sight and have to be asked for again. What is listed is in sight.
fn out_of_sight_again(sync: &Sync<'_>, id: StreamId, listed: &Gids) -> Vec<Gid> {
    let (mut progress, began) = (sync.progress(), sync.facts.began());
    let state = &mut progress.stream(id).state;
    for gid in listed.numbers() {
        state.out_of_sight_mut().remove(&gid);
    }
    if state.out_of_sight().is_empty() || !out_of_sight::is_due(state.compared(), began) {
        return Vec::new();
    }
    state.set_compared(Some(began));
    out_of_sight::turn(state.out_of_sight(), began).into_iter().map(Gid::Number).collect()
}

/// Asks for records that were listed in a place and are not any more. Until all answers are in, the state keeps what it
/// had, so that a sync that goes on after an interruption asks again.
async fn confirm(
    sync: &Sync<'_>,
    place: ListedPlace,
    missing: Vec<Gid>,
    mut listed: Gids,
) -> Result<(), Stop> {
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
    let elsewhere = RefCell::new(Gids::default());
    let may_move = sync.plan().stream(*id).stream.repeats == Repeats::AcrossListings;
    sync.gate
        .for_each(FIRST, None, missing, |gid, slot| {
            let (unknown, elsewhere) = (&unknown, &elsewhere);
            async move {
                let existence = ask(sync, *id, &gid).await?;
                drop(slot);
                match existence {
                    Existence::Deleted => {
                        let now = sync.facts.now();
                        tombstones::emit(sync, *id, &gid, now);
                        let number = gid.number();
                        sync.progress().stream(*id).state.out_of_sight_mut().retain(|it| Some(*it) != number);
                        follow(sync, *id, &gid, now);
                    }
                    Existence::Unknown => unknown.borrow_mut().push(&gid),
                    Existence::There(_) | Existence::Forbidden if may_move => {
                        elsewhere.borrow_mut().push(&gid);
                    }
                    Existence::There(_) | Existence::Forbidden if is_always_whole(sync, *id) => {
                        let mut progress = sync.progress();
                        let state = &mut progress.stream(*id).state;
                        state.out_of_sight_mut().extend(gid.number());
                        let compared = state.compared().unwrap_or_else(|| sync.facts.began());
                        state.set_compared(Some(compared));
                    }
                    // A record that stays where it is and is not listed is not asked for again.
                    Existence::There(_) | Existence::Forbidden => {}
                }
                sync.progress().listing_done(*id);
                Ok(())
            }
        })
        .await?;
    // The next sync asks again.
    listed.append(unknown.into_inner());
    store(sync, *id, parent, listed);
    let elsewhere = elsewhere.into_inner();
    if !elsewhere.is_empty() {
        store_too(sync, *id, &ELSEWHERE, elsewhere);
    }
    sync.deleted.borrow_mut().end_asking(&place);
    Ok(())
}

/// Asks for a record by itself. One of the tree may be in the tree's other stream by now.
async fn ask(sync: &Sync<'_>, id: StreamId, gid: &Gid) -> Result<Existence, Stop> {
    if let Some(tree) = trees(sync).into_iter().find(|tree| [tree.roots, tree.nodes].contains(&id)) {
        let existence = existence::ask(sync, &requests::of_gids(tree.path, gid, gid, &[tree.parent])).await?;
        if let Existence::There(record) = &existence {
            tree::note(sync, tree, record);
        }
        return Ok(existence);
    }
    let path = sync.plan().stream(id).stream.deletions.path();
    let path = path.unwrap_or_else(|| unreachable!("only streams that report deletions are asked for"));
    existence::ask(sync, &requests::of_existence(path, gid)).await
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
        Deletions::Absence { .. } | Deletions::Unreported => state.listed_mut().set(parent, listed),
    }
}

/// These are below the parent too.
pub fn store_too(sync: &Sync<'_>, id: StreamId, parent: &Gid, gids: Gids) {
    let mut progress = sync.progress();
    let state = &mut progress.stream(id).state;
    state.listed_mut().add(parent, gids);
    state.stay_small(sync.facts.settings.state_limit_bytes);
}

/// No events report what was deleted with a record that was found to be deleted by asking for it: what belongs to it is
/// deleted too, and what may also be elsewhere is asked for at the end of the sync, unless it is seen.
fn follow(sync: &Sync<'_>, id: StreamId, gid: &Gid, at: Moment) {
    let plan = sync.plan();
    let stream = plan.stream(id);
    let events = plan.feeds.iter().find_map(|feed| deletion_events_of(stream.stream, feed.path));
    for listing in stream.children.iter().map(|child| plan.listing(*child)) {
        let below = listing.stream;
        if !listing.is_kept || !tombstones::are_wanted(sync, below) {
            continue;
        }
        let mut above =
            plan.feeds.iter().flat_map(|feed| &feed.streams).filter(|planned| planned.stream == below);
        if above.any(|planned| planned.above.iter().any(|above| Some(*above) == events)) {
            tombstones::emit_below(sync, below, gid, at);
            continue;
        }
        let held = sync.progress().stream(below).state.listed().missing(gid, &Gids::default());
        held.iter().for_each(|gid| sync.deleted.borrow_mut().unseen.must_check(gid));
    }
}
