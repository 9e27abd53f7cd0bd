//! What follows from a fault that is not retried any more. Knows no status codes and no particular stream.

use airbyte_protocol::message::Level;

use crate::asana::{self, Consequence, Fault, Place};
use crate::error::Failure;
use crate::gid::Gid;
use crate::plan::StreamId;
use crate::read::checkpoint::access_key;
use crate::read::slices::SliceId;
use crate::read::visit::Visit;
use crate::read::walk::Walk;
use crate::stream::{self, Paging};

/// After so many listings in a row that could not be read, each tried for minutes, a stream is given up. It is no
/// less than may be under way at once, so that what was asked for in a bad moment does not decide alone.
const GIVEN_UP_AFTER: u64 = asana::MOST_IN_FLIGHT as u64;

/// So many skips of a stream for one reason are told one by one; the summary counts all.
const SKIPS_TOLD: u64 = 5;

impl Walk<'_> {
    /// Decides what follows from a fault that is not retried any more.
    pub(super) fn judge(&mut self, visit: &Visit, fault: &Fault) {
        if self.take_search_fault(visit, fault) {
            return;
        }
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
                self.fail_for_now(listing.stream, fault);
                self.fail(visit, failure_of(fault, reason.text()));
            }
            Consequence::FailSync(reason) => {
                self.stopped = Some(failure_of(fault, reason.text()));
            }
        }
    }

    /// A search is a help where the plan includes it: without one, the listings have to do. Whether the fault was
    /// dealt with.
    fn take_search_fault(&mut self, visit: &Visit, fault: &Fault) -> bool {
        let listing = self.plan.listing(visit.listing);
        if listing.paging != Paging::ByTime {
            return false;
        }
        let stream = listing.stream;
        match asana::consequence(fault, Place::Detail) {
            Consequence::FailSync(reason) => self.stopped = Some(failure_of(fault, reason.text())),
            _ if self.held.contains_key(&visit.slice) => self.give_up_sweep(visit, fault),
            Consequence::SkipSlice(_) | Consequence::SkipStream(_)
                if self.could_read_before(stream, visit.slice) =>
            {
                let why = "it could be read at the last sync, so it is not taken for empty";
                self.fail(visit, failure_of(fault, why));
            }
            Consequence::SkipSlice(reason) | Consequence::SkipStream(reason) => {
                self.slices.get_mut(visit.slice).lacks(self.below[stream.0]);
                let text = format!(
                    "{}: those that no listing shows are left out, because {}. {fault}",
                    self.plan.stream(stream).stream.name,
                    reason.text()
                );
                self.log(Level::Warn, text);
            }
            Consequence::FailSlice(reason) | Consequence::FailStream(reason) => {
                self.fail(visit, failure_of(fault, reason.text()));
            }
        }
        true
    }

    /// Notes that a listing of the stream could not be read for a reason that time may heal, and says so when the
    /// stream is given up for it.
    fn fail_for_now(&mut self, stream: StreamId, fault: &Fault) {
        if fault.class() != asana::Class::Transient {
            return;
        }
        self.progress[stream.0].failing += 1;
        if self.progress[stream.0].failing == GIVEN_UP_AFTER {
            let name = self.plan.stream(stream).stream.name;
            let text = format!(
                "{name}: {GIVEN_UP_AFTER} listings in a row failed; the others are left for the next sync"
            );
            self.log(Level::Warn, text);
        }
    }

    /// Whether nothing more is asked for of the stream. An outage is not met with a request for each of its listings,
    /// of which there may be tens of thousands.
    pub(super) fn is_given_up(&self, stream: StreamId) -> bool {
        self.progress[stream.0].failing >= GIVEN_UP_AFTER
    }

    /// Leaves a listing of a stream that was given up.
    pub(super) fn leave(&mut self, visit: &Visit) {
        self.fail(visit, Failure::transient("not read, because too many listings before it failed"));
    }

    /// Whether the last sync could read the stream's listings in this slice, or what hangs below them.
    pub(super) fn could_read_before(&self, stream: StreamId, slice: SliceId) -> bool {
        let key = &self.slices.get(slice).key;
        let planned = self.plan.stream(stream);
        let access = (planned.depth == 1).then(|| access_key(key, planned.stream.name));
        self.below[stream.0].iter().any(|below| {
            let key = access.as_deref().filter(|_| below != stream).unwrap_or(key);
            self.progress[below.0].previous.was_read(key)
        })
    }

    /// What only service accounts may read is refused to everybody else: that is the plan's doing, no lost right.
    /// And nothing at all can be read without the root.
    pub(super) fn lenient(&self, stream: StreamId, consequence: Consequence) -> Consequence {
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
    pub(super) fn skip(&mut self, visit: &Visit, fault: &Fault, reason: &str) {
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
    pub(super) fn fail(&mut self, visit: &Visit, failure: Failure) {
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
    pub(super) fn missing_workspace(&self, visit: &Visit) -> Option<Failure> {
        if visit.listing != self.plan.root {
            return None;
        }
        let listed: Vec<&Gid> = visit.children.parents().collect();
        let is_only_stream = self.plan.stream(self.plan.listing(visit.listing).stream).children.is_empty();
        let missing = self.workspaces.iter().find(|gid| !listed.contains(gid) && !is_only_stream)?;
        Some(Failure::config(format!(
            "the token does not see workspace {missing}, which the config names under `workspaces`: correct the gid, \
             or give the token's user access to that workspace"
        )))
    }
}

/// The failure that a fault is, with the reason for what follows from it.
pub(super) fn failure_of(fault: &Fault, reason: &str) -> Failure {
    let failure = Failure::of(fault);
    Failure { message: format!("{reason}. {}", failure.message), ..failure }
}
