//! Records that are gone by the time that something is listed below them, as happens in syncs of hours. Knows no HTTP, no
//! status codes and no particular stream.

use crate::asana::{self, Consequence, Fault, Place, Reason, Request};
use crate::read::visit::{self, Visit};
use crate::read::walk::{Ready, Walk};
use crate::stream::Deletions;

/// A listing that Asana does not know. Its parent is asked for, since a right that was lost looks the same.
#[derive(Debug)]
pub struct Doubt {
    visit: Visit,
    fault: Fault,
}

impl Walk<'_> {
    /// A listing could not be read, and will not be.
    pub(super) fn take_fault(&mut self, visit: Visit, fault: Fault) {
        let is_unknown = asana::consequence(&fault, Place::Slice) == Consequence::SkipSlice(Reason::NotFound);
        if is_unknown && self.parent_path(&visit).is_some() {
            self.ready.push(Ready::Doubt(Box::new(Doubt { visit, fault })));
        } else {
            self.judge_and_close(&visit, &fault);
        }
    }

    pub(super) fn doubt_request(&self, Doubt { visit, .. }: &Doubt) -> Request {
        let path = self.parent_path(visit).unwrap_or_else(|| unreachable!("only such parents are doubted"));
        visit::request_of_one(path, &visit.parent).query("opt_fields", "gid")
    }

    /// Below a record that is gone there is nothing to be read, so nothing is lacking: if there were, one deletion a
    /// sync would keep a large project from ever being through.
    pub(super) fn take_doubt(&mut self, Doubt { visit, fault }: Doubt, result: Result<String, Fault>) {
        match result.map_err(|fault| (asana::consequence(&fault, Place::Detail), fault)) {
            Err((Consequence::SkipSlice(Reason::NotFound), _)) => self.close(&visit),
            Err((Consequence::FailSync(_), fault)) => self.judge_and_close(&visit, &fault),
            Ok(_) | Err(_) => self.judge_and_close(&visit, &fault),
        }
    }

    fn judge_and_close(&mut self, visit: &Visit, fault: &Fault) {
        self.judge(visit, fault);
        // Nothing is settled by a sync that stops: what this listing would have shown is not known.
        if self.stopped.is_none() {
            self.close(visit);
        }
    }

    /// Where the record that a listing is below can be asked for, if it is one of many in its slice. One that is a slice
    /// of its own is not met again, and then its slice is forgotten.
    fn parent_path(&self, visit: &Visit) -> Option<&'static str> {
        let parent = self.plan.stream(self.plan.listing(visit.listing).parent?);
        (parent.depth >= 2).then_some(parent.stream.deletions).and_then(Deletions::path)
    }
}
