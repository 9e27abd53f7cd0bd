//! What follows from a fault that is not retried any more. Knows no status codes and no particular stream.

use airbyte_protocol::message::Level;

use crate::asana::{self, Consequence, Fault, Place};
use crate::error::Failure;
use crate::gid::Gid;
use crate::plan::StreamId;
use crate::read::slices::SliceId;
use crate::read::visit::Visit;
use crate::read::walk::Walk;
use crate::stream;

/// So many skips of a stream for one reason are told one by one; the summary counts all.
const SKIPS_TOLD: u64 = 5;

impl Walk<'_> {
    /// Decides what follows from a fault that is not retried any more.
    pub(super) fn judge(&mut self, visit: &Visit, fault: &Fault) {
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
    pub(super) fn could_read_before(&self, stream: StreamId, slice: SliceId) -> bool {
        let key = &self.slices.get(slice).key;
        self.below[stream.0].iter().any(|below| self.progress[below.0].previous.cursor(key).is_some())
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
        let listed: Vec<&Gid> = visit.children.iter().map(|job| &job.parent).collect();
        let is_only_stream = self.plan.stream(self.plan.listing(visit.listing).stream).children.is_empty();
        let missing = self.workspaces.iter().find(|gid| !listed.contains(gid) && !is_only_stream)?;
        Some(Failure::config(format!(
            "the token does not see workspace {missing}, which the config names under `workspaces`: correct the gid, \
             or give the token's user access to that workspace"
        )))
    }
}

fn failure_of(fault: &Fault, reason: &str) -> Failure {
    let failure = Failure::of(fault);
    Failure { message: format!("{reason}. {}", failure.message), ..failure }
}
