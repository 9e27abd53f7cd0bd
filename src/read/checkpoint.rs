//! When a slice is settled, a checkpoint due, and a stream through. Knows no HTTP and no particular stream.

use std::rc::Rc;
use std::time::Duration;

use airbyte_protocol::message::Level;
use tokio::time::Instant;

use crate::asana::Reason;
use crate::emit::Event;
use crate::error::Failure;
use crate::plan::{Mode, PlannedStream, StreamId};
use crate::read::report::{Account, grouped};
use crate::read::slices::{Purpose, SliceId};
use crate::read::visit::Visit;
use crate::read::walk::Walk;
use crate::state::StreamState;
use crate::window::{self, Window};

/// A stream fails as a whole when more than this share of its listings was refused for want of access: then it
/// is not a few private objects, but a right that was lost.
const MOST_REFUSED: f64 = 0.5;

/// What is told of one stream while it is read.
pub(super) struct Progress {
    pub(super) state: StreamState,
    /// The state that the last sync left: it tells what could be read then.
    pub(super) previous: StreamState,
    pub(super) account: Account,
    pub(super) is_started: bool,
    pub(super) is_finished: bool,
    /// Whether the state has advanced since the last checkpoint.
    pub(super) is_dirty: bool,
    pub(super) last_checkpoint: Option<Instant>,
    /// Listings that were refused for want of access.
    pub(super) refused: u64,
    /// The slices of sweeps that were read whole. Their cursors move when the stream's pass ends.
    pub(super) swept: Vec<Rc<str>>,
    /// Whether anything was emitted since the last checkpoint.
    pub(super) has_emitted: bool,
    /// Listings in a row that could not be read, for reasons that time may heal.
    pub(super) failing: u64,
    /// Parents of which the state could not keep what their listing held.
    pub(super) forgotten: u64,
}

impl Walk<'_> {
    /// A listing is through, one way or another: whatever can be settled is.
    pub(super) fn close(&mut self, visit: &Visit) {
        let stream = self.plan.listing(visit.listing).stream;
        self.outstanding.remove(stream);
        self.progress[stream.0].account.listings_done += 1;
        self.slices.get_mut(visit.slice).remove(stream);
        self.settle(visit.slice);
    }

    pub(super) fn settle(&mut self, id: SliceId) {
        let slice = self.slices.get_mut(id);
        let (key, cursor) = (Rc::clone(&slice.key), window::next_cursor(self.began));
        for (stream, is_whole) in slice.settle(&self.above) {
            let progress = &mut self.progress[stream.0];
            if is_whole && slice.windows[stream.0] != Window::Done {
                match slice.purpose {
                    Purpose::Listings => {
                        progress.state.advance(&key, cursor);
                        progress.is_dirty = true;
                    }
                    // Slices that this pass has not reached may still rely on the old one.
                    Purpose::Sweep => progress.swept.push(Rc::clone(&key)),
                }
            }
            if is_whole && self.plan.stream(stream).depth == 1 {
                // What hangs below a listing of a workspace remembers that it could be read.
                let access = access_key(&key, self.plan.stream(stream).stream.name);
                for below in self.below[stream.0].iter().filter(|below| *below != stream) {
                    self.progress[below.0].state.advance(&access, cursor);
                }
            }
        }
        self.slices.drop_if_settled(id);
        self.checkpoint_and_complete();
    }

    /// Emits the checkpoints that are due, and completes the streams that nothing can be listed for any more.
    pub(super) fn checkpoint_and_complete(&mut self) {
        let open = self.outstanding.open();
        for index in 0..self.progress.len() {
            let id = StreamId(index);
            let progress = &self.progress[index];
            if self.plan.stream(id).selection.is_none() || progress.is_finished {
                continue;
            }
            if !open.meets(self.above[index]) {
                self.end_stream(id);
            } else if progress.is_dirty && progress.since_checkpoint() >= self.settings.checkpoint_every {
                self.checkpoint(id);
            }
        }
    }

    pub(super) fn checkpoint(&mut self, id: StreamId) {
        self.start_stream(id);
        let progress = &mut self.progress[id.0];
        progress.is_dirty = false;
        progress.has_emitted = false;
        progress.last_checkpoint = Some(Instant::now());
        let state = progress.state.to_json((self.clock)());
        self.outbox.push_back(Event::Checkpoint { stream: self.plan.stream(id).stream.name, state });
    }

    pub(super) fn start_stream(&mut self, id: StreamId) {
        let planned = self.plan.stream(id);
        let progress = &mut self.progress[id.0];
        if planned.selection.is_some() && !progress.is_started {
            progress.is_started = true;
            progress.last_checkpoint = Some(Instant::now());
            self.outbox.push_back(Event::Started { stream: planned.stream.name });
        }
    }

    /// The stream's last checkpoint, and COMPLETE if it has everything. A stream that has not waits for the end
    /// of the sync, when its failures are told.
    pub(super) fn end_stream(&mut self, id: StreamId) {
        self.start_stream(id);
        let name = self.plan.stream(id).stream.name;
        if !self.progress[id.0].account.is_incomplete() && self.has_lost_access(id) {
            let account = &mut self.progress[id.0].account;
            let reasons: Vec<_> = account.skipped.keys().cloned().collect();
            let is_gone = reasons.iter().all(|reason| reason == Reason::NotFound.text());
            let message = format!(
                "{name}: Asana refused most of its listings ({}). Give the token's user access again, or deselect \
                 the stream; what the destination holds is left as it is.",
                reasons.join("; ")
            );
            // What is gone is mostly gone by the next listing of its parents too.
            let failure = if is_gone { Failure::transient(message) } else { Failure::config(message) };
            account.fail(failure.of_stream(name));
        }
        if self.progress[id.0].account.is_incomplete() {
            if self.progress[id.0].is_dirty {
                self.checkpoint(id);
            }
            return;
        }
        let above = self.above[id.0];
        let is_gapless = above.iter().all(|above| {
            let account = &self.progress[above.0].account;
            !account.is_incomplete() && account.skips() == 0
        });
        let met = &self.met;
        let progress = &mut self.progress[id.0];
        for key in progress.swept.drain(..) {
            progress.state.advance(&key, window::next_cursor(self.began));
        }
        progress
            .state
            .complete(|slice| !is_gapless || met.get(slice).is_some_and(|streams| streams.contains(id)));
        progress.is_finished = true;
        let forgotten = std::mem::take(&mut progress.forgotten);
        if forgotten > 0 {
            let text = format!(
                "{name}: the state has no room for what is on the {} oldest of their parents. If one of those is \
                 deleted, what was on it is not told as deleted",
                grouped(forgotten)
            );
            self.log(Level::Info, text);
        }
        self.checkpoint(id);
        self.outbox.push_back(Event::Complete { stream: name });
    }

    /// Whether most listings of the stream, or of one that leads to it, were refused.
    pub(super) fn has_lost_access(&self, id: StreamId) -> bool {
        self.above[id.0].iter().any(|above| {
            let progress = &self.progress[above.0];
            progress.refused > 0 && progress.refused as f64 > MOST_REFUSED * progress.account.listings as f64
        })
    }
}

/// Under which a stream's state remembers that a listing of another stream, which leads to it, could be read in a
/// workspace.
pub(super) fn access_key(workspace: &str, stream: &str) -> String {
    format!("{workspace}/{stream}")
}

impl Progress {
    pub(super) fn new(planned: &PlannedStream, state: StreamState) -> Self {
        let previous = state.without_listed();
        let mut state = state;
        match planned.selection.as_ref().map(|selection| selection.mode) {
            // A pass that came to its end is not gone on with: a full refresh starts over.
            Some(Mode::FullRefresh) if state.is_complete() => state.start_over(),
            Some(Mode::FullRefresh | Mode::Incremental) | None => state.begin(),
        }
        Self {
            state,
            previous,
            account: Account::default(),
            is_started: false,
            is_finished: false,
            is_dirty: false,
            last_checkpoint: None,
            refused: 0,
            swept: Vec::new(),
            has_emitted: false,
            failing: 0,
            forgotten: 0,
        }
    }

    pub(super) fn since_checkpoint(&self) -> Duration {
        self.last_checkpoint.map_or(Duration::ZERO, |last| last.elapsed())
    }
}
