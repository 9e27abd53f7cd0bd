//! From a record to the listings below it: the slice they are read in, and how far back each is read. Knows no
//! HTTP and no particular stream.

use std::rc::Rc;

use crate::gid::Gid;
use crate::plan::{ListingId, Plan, StreamId};
use crate::read::checkpoint::access_key;
use crate::read::jobs::{Job, Preparation};
use crate::read::slices::{Purpose, SliceId, Slices, Start, StreamSet};
use crate::read::visit::Visit;
use crate::read::walk::{Ready, Walk};
use crate::stream::{Cursor, News};
use crate::window::Window;

impl Walk<'_> {
    /// Asks for what a job's listings depend on, or opens it if that is nothing.
    pub(super) fn prepare(&mut self, job: Job) {
        let job = match job.preparation {
            Preparation::Due => self.begin_sweep(job).and_then(|job| self.begin_feed(job)),
            Preparation::Done => Some(job),
        };
        if let Some(job) = job {
            self.open(job);
        }
    }

    /// Turns a job into its listings.
    fn open(&mut self, job: Job) {
        let planned = self.plan.stream(job.stream);
        let listings: Vec<ListingId> = planned
            .children
            .iter()
            .enumerate()
            .filter(|(index, _)| job.children & (1 << index) != 0)
            .map(|(_, listing)| *listing)
            .collect();
        let slice = match job.slice {
            Some(slice) => slice,
            None => self.open_slice(&job, &listings),
        };
        for listing in listings {
            let stream = self.plan.listing(listing).stream;
            if job.slice.is_none() {
                self.slices.get_mut(slice).add(stream);
            }
            let visit = Visit::new(listing, job.parent.clone(), job.workspace.clone(), slice);
            self.ready.push(Ready::Listing(visit));
        }
        if self.plan.stream(job.stream).depth == 0 {
            self.open_unlisted(&job.parent);
        }
    }

    /// Searches a workspace for what none of its listings shows; it is a slice by itself.
    fn open_unlisted(&mut self, workspace: &Gid) {
        let plan = self.plan;
        for listing in plan.unlisted.iter().copied() {
            let stream = plan.listing(listing).stream;
            let key: Rc<str> = format!("{workspace}/unlisted").into();
            let slice = self.start_slice(&key, workspace, self.below[stream.0]);
            self.begin_listing(listing, workspace, slice);
        }
    }

    /// Begins a listing that no record led to, of a workspace or of everything.
    pub(super) fn begin_listing(&mut self, listing: ListingId, workspace: &Gid, slice: SliceId) {
        self.expect_one(self.plan.listing(listing).stream, slice);
        let visit = Visit::new(listing, workspace.clone(), workspace.clone(), slice);
        self.ready.push(Ready::Listing(visit));
    }

    /// Something of the stream is to be read in the slice, which is not settled before.
    pub(super) fn expect_one(&mut self, stream: StreamId, slice: SliceId) {
        self.outstanding.add(stream);
        self.slices.get_mut(slice).add(stream);
    }

    pub(super) fn open_slice(&mut self, job: &Job, listings: &[ListingId]) -> SliceId {
        let planned = self.plan.stream(job.stream);
        let key: Rc<str> = if planned.repeats() {
            format!("{}/{}", job.workspace, job.parent).into()
        } else {
            job.parent.to_string().into()
        };
        let streams = listings.iter().map(|listing| self.plan.listing(*listing).stream);
        let streams = if planned.depth == 0 {
            let streams: StreamSet = streams.collect();
            for stream in streams.iter() {
                let access = access_key(&key, self.plan.stream(stream).stream.name);
                self.meet(&access.into(), self.below[stream.0]);
            }
            streams
        } else {
            streams.fold(StreamSet::default(), |set, stream| set.union(self.below[stream.0]))
        };
        self.start_slice(&key, &job.workspace, streams)
    }

    pub(super) fn start_slice(&mut self, key: &Rc<str>, workspace: &Gid, streams: StreamSet) -> SliceId {
        let windows: Vec<Window> =
            (0..self.plan.streams.len()).map(StreamId).map(|id| self.window(id, key, streams)).collect();
        self.meet(key, streams);
        let swept = self.swept(workspace, &windows);
        let start = Start { key: Rc::clone(key), windows, purpose: Purpose::Listings, swept };
        self.slices.start(start, streams)
    }

    /// Notes that a slice is still there for these streams.
    pub(super) fn meet(&mut self, key: &Rc<str>, streams: StreamSet) {
        let met = self.met.entry(Rc::clone(key)).or_default();
        *met = met.union(streams);
    }

    /// What a stream reads of a slice. A stream that no one selected wants nothing for itself.
    pub(super) fn window(&self, id: StreamId, key: &str, streams: StreamSet) -> Window {
        match &self.plan.stream(id).selection {
            Some(selection) if streams.contains(id) => {
                Window::of(selection.mode, self.progress[id.0].state.cursor(key), self.starts[id.0])
            }
            Some(_) | None => Window::Done,
        }
    }

    /// How far back a listing has to be read for everyone who needs it in this slice.
    pub(super) fn listing_window(&self, slice: SliceId, listing: ListingId) -> Window {
        let stream = self.plan.listing(listing).stream;
        let planned = self.plan.stream(stream);
        let own = self.slices.get(slice).windows[stream.0];
        if planned.children.is_empty() {
            return own;
        }
        if planned.depth <= 1 {
            // Its records are slices of their own, each with its own cursor.
            return Window::Whole;
        }
        planned.children.iter().fold(own, |window, child| window.union(self.child_window(slice, *child)))
    }

    /// How far back the parents of a listing have to be read.
    pub(super) fn child_window(&self, slice: SliceId, child: ListingId) -> Window {
        let listing = self.plan.listing(child);
        let left_to_sweep = self.left_to_sweep(slice, child);
        let slice = self.slices.get(slice);
        let wanted = self.below[listing.stream.0]
            .iter()
            .filter(|id| !left_to_sweep.contains(*id))
            .map(|id| slice.windows[id.0])
            .fold(Window::Done, Window::union);
        match (listing.news, wanted) {
            (_, Window::Done) => Window::Done,
            (News::MovesParent, window) => window,
            (News::Untold, _) => Window::Whole,
        }
    }
}

/// What is asked for below a record of a slice. One that is a slice of its own has its own windows, which are looked
/// at when its turn comes.
pub(super) fn windows_below<'a>(
    depth: usize,
    broadest: &'a [Window],
    slices: &'a Slices,
    slice: SliceId,
) -> &'a [Window] {
    match depth {
        0 | 1 => broadest,
        _ => &slices.get(slice).windows,
    }
}

/// The start date concerns what Asana can filter by time, and what hangs below that.
pub(super) fn minds_start_date(plan: &Plan, above: StreamSet) -> bool {
    above.iter().any(|above| {
        matches!(
            plan.stream(above).stream.cursor,
            Cursor::Moves { parameter: Some(_), .. } | Cursor::Fixed { parameter: Some(_), .. }
        )
    })
}
