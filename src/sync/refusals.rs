//! What happens on a 403, or on any other fault that is not retried any more? `consequence.rs` decides, and this file does
//! it for listings and searches: it skips the listing and says so, fails its stream, lists instead of searching, or stops
//! the sync.
//!
//! A refusal costs what it refuses: it is logged, and the cursors of the stream and of everything below stay where they
//! are. It fails the stream in three cases: the refused listing is that of the workspaces; the last sync could read it, so
//! access was revoked; or every listing of its kind is refused (`access.rs`).

use airbyte_protocol::message::Level;

use airbyte_connector::FailureKind;

use crate::asana::{self, Fault, Reason};
use crate::plan::{Level as StreamLevel, ListingId, PlannedListing};
use crate::stream::{self, Paging};
use crate::stream_set::StreamId;
use crate::sync::consequence::{Consequence, EarlierAccess, Place, consequence};
use crate::sync::context::Sync;
use crate::sync::cursors;
use crate::sync::failures::{Cause, Stop};
use crate::sync::slices::{Purpose, Slice};

/// After this many listings in a row that could not be read, each retried for minutes, a stream is given up. It is no
/// less than may be requested at once, so that the requests of one bad moment do not decide alone.
const GIVEN_UP_AFTER: u64 = asana::MOST_IN_FLIGHT as u64;

/// How many skips of a stream for one reason are logged one by one; the summary counts all.
const SKIPS_LOGGED: u64 = 5;

/// Does what follows from a fault of a listing or a search.
///
/// # Errors
///
/// When nothing else can be read either.
pub fn judge(sync: &Sync<'_>, slice: &Slice, listing: ListingId, fault: &Fault) -> Result<(), Stop> {
    let stream = sync.plan().listing(listing).stream;
    let place = place_of(sync, slice, listing);
    match consequence(fault, place) {
        Consequence::Skip(reason) => match place {
            Place::Unlisted(_) => leave_out_unlisted(sync, slice, stream, fault, reason),
            _ => {
                count_refusal(sync, listing, fault, reason);
                skip(sync, slice, stream, place, fault, reason);
            }
        },
        Consequence::Fail(reason) => {
            count_outage(sync, stream, fault);
            fail(sync, slice, stream, &Cause::Request { fault, reason });
        }
        Consequence::Revoked => fail(sync, slice, stream, &Cause::RefusedNow { fault }),
        Consequence::FindOtherwise(reason) => list_instead(sync, slice, stream, fault, reason),
        Consequence::Stop(reason) => return Err(Stop(Cause::Request { fault, reason }.failure())),
    }
    Ok(())
}

fn place_of(sync: &Sync<'_>, slice: &Slice, listing: ListingId) -> Place {
    let PlannedListing { stream, parent, paging, .. } = *sync.plan().listing(listing);
    let earlier_access = || match cursors::could_read_before(sync, slice, stream) {
        true => EarlierAccess::Yes,
        false => EarlierAccess::Unknown,
    };
    if paging == Paging::ByTime {
        return match slice.purpose {
            Purpose::FindChanges => Place::Changes,
            _ => Place::Unlisted(earlier_access()),
        };
    }
    match sync.plan().stream(stream).level {
        StreamLevel::Workspace => Place::Workspaces,
        StreamLevel::SliceRoot => Place::InWorkspace(earlier_access()),
        StreamLevel::InSlice => {
            match parent.is_some_and(|parent| sync.plan().stream(parent).level == StreamLevel::InSlice) {
                true => Place::BelowRecord,
                false => Place::BelowSlice(earlier_access()),
            }
        }
    }
}

/// Counts a refused listing, for the question whether anything of its kind can be read.
fn count_refusal(sync: &Sync<'_>, listing: ListingId, fault: &Fault, reason: Reason) {
    let stream = sync.plan().listing(listing).stream;
    let needs_plan = sync.plan().stream(stream).stream.plan;
    let is_revealing = reason.is_disappearance() && needs_plan != stream::Plan::ServiceAccount;
    if is_revealing || needs_plan == stream::Plan::Any {
        let mut progress = sync.progress();
        progress.stream(stream).refusals.tries.entry(listing).or_default().refuse(fault, reason);
    }
}

/// Says that what only the search shows is left out.
fn leave_out_unlisted(sync: &Sync<'_>, slice: &Slice, stream: StreamId, fault: &Fault, reason: Reason) {
    slice.mark_incomplete(sync.graph().below[stream.0]);
    let text = format!(
        "{}: those that no listing shows are left out, because {}. {fault}",
        sync.plan().stream(stream).stream.name,
        reason.text()
    );
    sync.output.log(Level::Warn, text);
}

/// The search did not find everything, so what it should find is found by listing every parent.
fn list_instead(sync: &Sync<'_>, slice: &Slice, stream: StreamId, fault: &Fault, reason: Reason) {
    slice.mark_incomplete(sync.graph().below[stream.0]);
    let (level, why) = match reason.is_refusal() {
        true => (Level::Info, reason.text().to_owned()),
        false => (Level::Warn, fault.to_string()),
    };
    let text = format!(
        "{}: the search for what changed in workspace {} gave no answer that can be relied on ({why}), so \
         they are listed for every parent that has any",
        sync.plan().stream(stream).stream.name,
        slice.workspace
    );
    sync.output.log(level, text);
}

/// Skips a listing and says so. What is below it keeps its cursor.
fn skip(sync: &Sync<'_>, slice: &Slice, stream: StreamId, place: Place, fault: &Fault, reason: Reason) {
    let below = sync.graph().below[stream.0];
    slice.mark_incomplete(below);
    let mut names = Vec::new();
    let mut skips = 0;
    for id in below.iter() {
        let planned = sync.plan().stream(id);
        if planned.selection.is_some() || id == stream {
            let count = sync.progress().stream(id).account.skip(reason);
            skips = if id == stream { count } else { skips };
            names.extend(planned.selection.is_some().then_some(planned.stream.name));
        }
    }
    if skips <= SKIPS_LOGGED {
        let mut text = format!("{}: skipped, because {}. {fault}", names.join(", "), reason.text());
        if matches!(place, Place::InWorkspace(_)) {
            text.push_str(
                " If this sync overwrites the table, the table has no rows of this workspace afterwards.",
            );
        }
        sync.output.log(Level::Warn, text);
    }
}

/// Marks a stream, and everything below it, as incomplete.
pub fn fail(sync: &Sync<'_>, slice: &Slice, stream: StreamId, cause: &Cause<'_>) {
    let below = sync.graph().below[stream.0];
    slice.mark_incomplete(below);
    for id in below.iter() {
        let planned = sync.plan().stream(id);
        if planned.selection.is_some() || id == stream {
            sync.progress().stream(id).account.fail(cause.failure());
        }
    }
}

/// Counts a listing that could not be read for a reason that may pass, and says so when the stream is given up for it.
fn count_outage(sync: &Sync<'_>, stream: StreamId, fault: &Fault) {
    if fault.failure_kind() != FailureKind::Transient {
        return;
    }
    let failing = {
        let mut progress = sync.progress();
        let refusals = &mut progress.stream(stream).refusals;
        refusals.failing += 1;
        refusals.failing
    };
    if failing == GIVEN_UP_AFTER {
        let name = sync.plan().stream(stream).stream.name;
        let text = format!(
            "{name}: {GIVEN_UP_AFTER} listings in a row failed; the others are left for the next sync"
        );
        sync.output.log(Level::Warn, text);
    }
}

/// Whether nothing more of the stream is requested. An outage must not cost a request for each of tens of thousands of
/// listings.
pub fn is_given_up(sync: &Sync<'_>, stream: StreamId) -> bool {
    sync.progress().stream(stream).refusals.failing >= GIVEN_UP_AFTER
}
