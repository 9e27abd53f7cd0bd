//! The search that finds what changed in a tree of a workspace, before the workspace's listings are opened: where
//! it succeeds, they need not list every parent again. Knows no HTTP, no status codes and no particular stream.
//!
//! A sweep reads since a cursor of its own, one for each stream. It replaces the listing of unmoved parents in
//! those slices whose cursor is no older than that; a slice that failed or was denied has an older one, and is
//! read by its parents until it has caught up. The sweep's cursor moves at the end of the stream's pass and not
//! before: a sync that goes on after a break finds slices that the broken one did not reach, whose cursors are
//! as old as the sweep's.

use std::rc::Rc;

use airbyte_protocol::message::Level;

use crate::asana::{self, Consequence, Fault, Place};
use crate::config::ArchivedProjects;
use crate::gid::Gid;
use crate::plan::{ListingId, Mode, StreamId};
use crate::read::jobs::{Job, Preparation};
use crate::read::slices::{Purpose, SliceId, Start, StreamSet};
use crate::read::visit::Visit;
use crate::read::walk::Walk;
use crate::window::Window;

/// What a sweep's search came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Everything,
    Not,
}

impl Walk<'_> {
    /// Begins the sweep of the workspace whose listings the job opens, and keeps the job until it is through.
    /// Gives the job back if there is nothing to sweep.
    pub(super) fn begin_sweep(&mut self, job: Job) -> Option<Job> {
        let Some(listing) = self.plan.sweep else { return Some(job) };
        // A search cannot leave out what hangs below tasks of archived projects.
        let is_wanted = self.plan.stream(job.stream).depth == 0
            && self.settings.archived_projects == ArchivedProjects::Included;
        if !is_wanted {
            return Some(job);
        }
        let tree = self.plan.listing(listing).stream;
        let streams = self.below[tree.0];
        let key: Rc<str> = format!("{}/search", job.parent).into();
        self.anchor_sweep(&key, streams);
        let ids = (0..self.plan.streams.len()).map(StreamId);
        let windows: Vec<Window> = ids.map(|id| self.sweep_window(id, &key, streams)).collect();
        if windows.iter().all(|window| *window == Window::Done) {
            return Some(job);
        }
        let swept = StreamSet::default();
        let start = Start { key: Rc::clone(&key), windows, purpose: Purpose::Sweep, swept };
        let slice = self.slices.start(start, streams);
        self.meet(&key, streams);
        self.begin_listing(listing, &job.parent, slice);
        self.held.insert(slice, job);
        None
    }

    /// Gives a sweep that was never made the cursor of the oldest slice. The slices' own cursors move while it is under
    /// way: if it is cut off, it is this one that the next sync has to begin at.
    fn anchor_sweep(&mut self, key: &str, streams: StreamSet) {
        for id in streams.iter().filter(|id| self.plan.stream(*id).is_incremental()) {
            let state = &mut self.progress[id.0].state;
            if let (None, Some(oldest)) = (state.cursor(key), state.oldest()) {
                state.advance(key, oldest);
            }
        }
    }

    /// How far back a sweep reads for a stream.
    fn sweep_window(&self, id: StreamId, key: &str, streams: StreamSet) -> Window {
        let is_wanted = self.plan.stream(id).is_incremental() && streams.contains(id);
        match self.progress[id.0].state.cursor(key).filter(|_| is_wanted) {
            Some(cursor) => Window::of(Mode::Incremental, Some(cursor), self.starts[id.0]),
            None => Window::Done,
        }
    }

    /// The slice's search is through: if it was a sweep's, the workspace's listings are opened.
    pub(super) fn end_sweep(&mut self, id: SliceId, found: Found) {
        let Some(job) = self.held.remove(&id) else { return };
        if found == Found::Everything {
            self.sweeps.insert(job.parent.clone(), self.slices.get(id).windows.clone());
        }
        self.jobs.push(Job { preparation: Preparation::Done, ..job });
    }

    /// The search did not find everything, so what it was to find is found by listing every parent.
    pub(super) fn give_up_sweep(&mut self, visit: &Visit, fault: &Fault) {
        let Some(job) = self.held.remove(&visit.slice) else { return };
        let tree = self.plan.listing(visit.listing).stream;
        self.slices.get_mut(visit.slice).lacks(self.below[tree.0]);
        let name = self.plan.stream(tree).stream.name;
        let (level, why) = match asana::consequence(fault, Place::Detail) {
            Consequence::SkipSlice(reason) => (Level::Info, reason.text().to_owned()),
            _ => (Level::Warn, fault.to_string()),
        };
        let text = format!(
            "{name}: the search for what changed in workspace {} gave no answer that can be relied on ({why}), so \
             they are listed for every parent that has any",
            visit.parent
        );
        self.log(level, text);
        self.jobs.push(Job { preparation: Preparation::Done, ..job });
    }

    /// The streams that a slice with these windows can leave to the workspace's sweep.
    pub(super) fn swept(&self, workspace: &Gid, windows: &[Window]) -> StreamSet {
        let Some(sweep) = self.sweeps.get(workspace) else { return StreamSet::default() };
        let reaches = |(own, swept): (&Window, &Window)| match own {
            Window::Since(_) => swept.holds(*own),
            Window::Whole | Window::Done => false,
        };
        let streams = windows.iter().zip(sweep).enumerate();
        streams.filter(|(_, both)| reaches(*both)).map(|(index, _)| StreamId(index)).collect()
    }

    /// The streams for whose sake a listing need not be read in a slice, because the sweep finds what they lack.
    pub(super) fn left_to_sweep(&self, slice: SliceId, listing: ListingId) -> StreamSet {
        let stream = self.plan.listing(listing).stream;
        if self.plan.sweep.map(|sweep| self.plan.listing(sweep).stream) != Some(stream) {
            return StreamSet::default();
        }
        let slice = self.slices.get(slice);
        match slice.purpose {
            Purpose::Sweep => self.below[stream.0],
            Purpose::Listings => slice.swept,
        }
    }
}
