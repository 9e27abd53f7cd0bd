//! What listings held and do not show any more: kept in mind, missed, asked for, and told as deleted if Asana knows it no
//! longer. Knows no HTTP, no status codes and no particular stream.

use airbyte_protocol::message::Level;

use crate::asana::{self, Consequence, Fault, Reason, Request};
use crate::gid::Gid;
use crate::listed::Gids;
use crate::moment::Moment;
use crate::plan::{StreamId, told_of};
use crate::read::checkpoint::Progress;
use crate::read::judge::failure_of;
use crate::read::report::grouped;
use crate::read::slices::SliceId;
use crate::read::visit::{self, Visit};
use crate::read::walk::{Ready, Walk};
use crate::stream::Deletions;
use crate::window::Window;

/// So many records may be missing from a listing at once, whatever their share.
const FEW_MISSING: usize = 10;

/// Beyond a few, a larger share than one in this many is no sum of deletions but something that went wrong.
const MISSING_SHARE: usize = 10;

/// Of what was in something that is deleted, so many records are asked for and no more: each takes a request.
const MOST_FOLLOWED: usize = 600;

/// How much of a listing was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// As far as it was asked for, without a fault.
    ToTheEnd,
    InPart,
}

/// A record that its listing does not show any more, asked for by itself.
#[derive(Debug)]
pub struct Confirmation {
    pub stream: StreamId,
    pub gid: Gid,
    /// Below which it was listed.
    pub parent: Gid,
    pub slice: SliceId,
}

/// Below which record of which stream's something was listed.
pub type Place = (StreamId, Gid);

/// What a listing showed, until it is known what became of the records that it did not show. Until then the state keeps
/// what it had, so that a sync that goes on after a break asks again.
#[derive(Debug)]
pub struct Absence {
    listed: Gids,
    /// Records that are still to be asked for, and places that wait for what was in them.
    left: usize,
    /// The place that this one was found in, if it was followed from there.
    of: Option<Place>,
}

impl Walk<'_> {
    /// Whether a record was not listed at the last sync: one that became visible may have none but old times.
    pub(super) fn is_new(&self, id: StreamId, parent: &Gid, gid: &Gid) -> bool {
        matches!(self.plan.stream(id).stream.deletions, Deletions::Absence { .. })
            && self.progress[id.0].state.listed().holds(parent, gid) == Some(false)
    }

    /// Keeps what a listing showed. Of what an earlier one showed and this one, read to its end, does not, Asana is
    /// asked whether it is gone.
    pub(super) fn keep_listed(&mut self, visit: &mut Visit, read: Listed) {
        let listing = self.plan.listing(visit.listing);
        let is_always_whole =
            matches!(self.plan.stream(listing.stream).stream.deletions, Deletions::Absence { .. });
        if !listing.is_kept || !(is_always_whole || self.tells_deletions(listing.stream)) {
            return;
        }
        let (id, parent) = (listing.stream, visit.parent.clone());
        let mut listed = std::mem::take(&mut visit.listed);
        let is_whole =
            listing.since.is_none() || self.listing_window(visit.slice, visit.listing) == Window::Whole;
        let before = self.progress[id.0].state.listed();
        let count = before.count(&parent).unwrap_or_default();
        let mut missing = before.missing(&parent, &listed);
        if read == Listed::InPart || !is_whole {
            listed.extend(missing);
            self.keep(id, &parent, listed);
            return;
        }
        if !self.tells_deletions(id) {
            missing.clear();
        }
        missing.retain(|gid| !self.was_told_deleted(id, gid));
        if missing.len() > FEW_MISSING && missing.len() * MISSING_SHARE > count {
            let text = format!(
                "{}: {} of {} records in {parent} are not listed any more. That is too many to be taken for \
                 deletions, so none of them is told as deleted; if they are, reset the stream",
                self.plan.stream(id).stream.name,
                grouped(missing.len() as u64),
                grouped(count as u64)
            );
            self.log(Level::Warn, text);
            listed.extend(missing.drain(..));
        }
        let absence = Absence { listed, left: 0, of: None };
        self.ask_for((id, parent), visit.slice, missing, absence);
    }

    /// Asks for records that were listed in a place and are not any more.
    fn ask_for(&mut self, place: Place, slice: SliceId, missing: Vec<Gid>, absence: Absence) {
        let (stream, parent) = place.clone();
        if self.absences.contains_key(&place) {
            // Its records are being asked for.
            return;
        }
        if missing.is_empty() {
            self.keep(stream, &parent, absence.listed);
            return;
        }
        if let Some(of) = &absence.of {
            self.wait_for_one(&of.clone(), slice);
        }
        self.absences.insert(place.clone(), absence);
        for gid in missing {
            self.wait_for_one(&place, slice);
            self.ready.push(Ready::Confirmation(Confirmation { stream, gid, parent: parent.clone(), slice }));
        }
    }

    fn wait_for_one(&mut self, place: &Place, slice: SliceId) {
        if let Some(absence) = self.absences.get_mut(place) {
            absence.left += 1;
            self.expect_one(place.0, slice);
        }
    }

    /// One of those that a place waits for is through; with the last of them the place is, and so on upwards.
    fn end_one(&mut self, place: Place, slice: SliceId) {
        let mut next = Some(place);
        while let Some(place) = next.take()
            && let Some(absence) = self.absences.get_mut(&place)
        {
            absence.left -= 1;
            self.outstanding.remove(place.0);
            self.slices.get_mut(slice).remove(place.0);
            if absence.left == 0
                && let Some(absence) = self.absences.remove(&place)
            {
                self.keep(place.0, &place.1, absence.listed);
                next = absence.of;
            }
        }
        self.settle(slice);
    }

    /// Keeps what is listed below a parent. What is always read whole is kept whole, since absence is all that tells of
    /// it; of the rest the state takes what it has room for, and nothing of parents that have nothing.
    fn keep(&mut self, id: StreamId, parent: &Gid, listed: Gids) {
        let Progress { state, forgotten, .. } = &mut self.progress[id.0];
        match self.plan.stream(id).stream.deletions {
            Deletions::Events { .. } if listed.is_empty() => drop(state.listed_mut().take(parent)),
            Deletions::Events { .. } => {
                state.listed_mut().set(parent, listed);
                *forgotten += state.stay_small();
            }
            Deletions::Absence { .. } | Deletions::Untold => state.listed_mut().set(parent, listed),
        }
    }

    /// The request for a missing record.
    pub(super) fn confirmation_request(&self, confirmation: &Confirmation) -> Request {
        let path = self.plan.stream(confirmation.stream).stream.deletions.path();
        let path = path.unwrap_or_else(|| unreachable!("only what tells of deletions is confirmed"));
        visit::request_of_one(path, &confirmation.gid).query("opt_fields", "gid")
    }

    /// A missing record is gone only if Asana says that there is none. One that may not be seen any more, or that
    /// is there and not listed, is not, and is not looked for again.
    pub(super) fn take_confirmation(&mut self, confirmation: Confirmation, result: Result<String, Fault>) {
        let Confirmation { stream, gid, parent, slice } = confirmation;
        let place = (stream, parent);
        let mut is_unknown = false;
        if let Err(fault) = &result {
            match asana::consequence(fault, asana::Place::Detail) {
                Consequence::SkipSlice(Reason::NotFound) => {
                    let now = (self.clock)();
                    self.tell_deleted(stream, &gid, now);
                    self.follow(&place, &gid, now, slice);
                }
                Consequence::SkipSlice(Reason::StorageFailing) => is_unknown = true,
                Consequence::SkipSlice(_) => {}
                Consequence::FailSync(reason) => {
                    self.stopped = Some(failure_of(fault, reason.text()));
                    // Nothing is settled by a sync that stops: the next one asks again.
                    return;
                }
                Consequence::SkipStream(_) | Consequence::FailSlice(_) | Consequence::FailStream(_) => {
                    is_unknown = true;
                }
            }
        }
        if let Some(absence) = self.absences.get_mut(&place).filter(|_| is_unknown) {
            // The next sync asks again.
            absence.listed.push(&gid);
        }
        self.end_one(place, slice);
    }

    /// No events tell what went with a record that was found to be gone by asking for it: what hung on it is gone too,
    /// and what may also be elsewhere is asked for.
    fn follow(&mut self, of: &Place, gid: &Gid, at: Moment, slice: SliceId) {
        let plan = self.plan;
        let stream = plan.stream(of.0);
        let told = plan.feeds.iter().find_map(|feed| told_of(stream.stream, feed.path));
        for listing in stream.children.iter().map(|child| plan.listing(*child)) {
            let below = listing.stream;
            if !listing.is_kept || !self.tells_deletions(below) {
                continue;
            }
            let mut above = plan.feeds.iter().flat_map(|feed| &feed.told).filter(|told| told.stream == below);
            if above.any(|planned| planned.above.iter().any(|above| Some(*above) == told)) {
                self.tell_deleted_below(below, gid, at);
                continue;
            }
            let mut held = self.progress[below.0].state.listed().missing(gid, &Gids::default());
            held.retain(|gid| !self.was_told_deleted(below, gid));
            if held.len() > MOST_FOLLOWED {
                let text = format!(
                    "{}: {} records were in {gid}, which is deleted. That is too many to ask whether each of them is gone \
                     too, so none of them is told as deleted; if they are, reset the stream",
                    plan.stream(below).stream.name,
                    grouped(held.len() as u64)
                );
                self.log(Level::Warn, text);
                held.clear();
            }
            let absence = Absence { listed: Gids::default(), left: 0, of: Some(of.clone()) };
            self.ask_for((below, gid.clone()), slice, held, absence);
        }
    }
}
