//! When does a cursor move? `settle` moves it when the stream has no listing left in the slice, and only if nothing of it
//! was refused or failed. `end_streams` moves a search's cursor when its stream ends, because slices that were not reached
//! may still rely on the old one. A stream that is complete drops the cursors of slices that this sync did not see
//! (`Progress::complete`), and an undeleted record drops its slice's (`deletions/events.rs`).
//!
//! The file also says how far back each stream reads a slice: its window. `reach.rs` says what follows for its listings.

use crate::gid::Gid;
use crate::moment::Moment;
use crate::plan::Level;
use crate::slice_key::SliceKey;
use crate::stream_set::{StreamId, StreamSet};
use crate::sync::context::Sync;
use crate::sync::reach::{self, Reach};
use crate::sync::slices::{Purpose, Slice, Start};
use crate::window::{self, Window};

/// Begins the slice `key` for `streams`, which stay open until the slice is settled for them. `searched` is how far back
/// the searches of the workspace read.
pub fn begin(
    sync: &Sync<'_>,
    key: SliceKey,
    workspace: &Gid,
    streams: StreamSet,
    searched: &[Window],
) -> Slice {
    let windows: Vec<Window> =
        (0..sync.plan().streams.len()).map(StreamId).map(|id| window_of(sync, id, &key, streams)).collect();
    let covered_by_search = reach::covered_by(searched, &windows);
    let workspace = workspace.clone();
    open(sync, Start { key, workspace, purpose: Purpose::Read, windows, streams, covered_by_search })
}

/// Begins a slice, whose streams stay open until it is settled for them.
pub fn open(sync: &Sync<'_>, start: Start) -> Slice {
    sync.progress().open(start.streams);
    sync.slices.borrow_mut().begin(start)
}

/// Marks the access keys of these streams, and of those below them, as seen, so that the state keeps them.
pub fn see_access(sync: &Sync<'_>, workspace: &Gid, streams: StreamSet) {
    for stream in streams.iter() {
        let key = SliceKey::access(workspace, sync.plan().stream(stream).stream.name);
        sync.slices.borrow_mut().see(&key, sync.graph().below[stream.0]);
    }
}

/// These streams have no listing left in the slice. Their cursors move, unless something could not be read.
pub fn settle(sync: &Sync<'_>, slice: &Slice, streams: StreamSet) {
    let cursor = window::next_cursor(sync.facts.began());
    let incomplete = slice.incomplete();
    {
        let mut progress = sync.progress();
        for stream in streams.iter().filter(|stream| !incomplete.contains(*stream)) {
            if slice.window(stream) != Window::Done {
                match slice.purpose {
                    Purpose::Read => progress.advance(stream, &slice.key, cursor),
                    Purpose::FindChanges => {
                        sync.slices.borrow_mut().record_finished_search(stream, slice.key.clone());
                    }
                }
            }
            let planned = sync.plan().stream(stream);
            if planned.level == Level::SliceRoot {
                // What is below a listing of a workspace remembers that it could be read.
                let access = SliceKey::access(&slice.workspace, planned.stream.name);
                for below in sync.graph().below[stream.0].iter().filter(|below| *below != stream) {
                    progress.stream(below).state.advance(&access, cursor);
                }
            }
        }
        progress.close(streams);
    }
    end_streams(sync);
}

/// Emits the checkpoints that are due, and ends the streams that nothing can be listed for any more.
pub fn end_streams(sync: &Sync<'_>) {
    let ended = sync.progress().checkpoint_open_streams(&sync.output);
    let cursor = window::next_cursor(sync.facts.began());
    for id in ended {
        let mut progress = sync.progress();
        if progress.fail_if_refused(id) {
            progress.leave_incomplete(id, &sync.output);
            continue;
        }
        let mut slices = sync.slices.borrow_mut();
        for key in slices.take_finished_searches(id) {
            progress.advance(id, &key, cursor);
        }
        progress.complete(id, |key| slices.is_seen(key, id), &sync.output);
    }
}

/// What a stream reads of a slice. A stream that nobody selected reads nothing for itself.
fn window_of(sync: &Sync<'_>, id: StreamId, key: &SliceKey, streams: StreamSet) -> Window {
    match &sync.plan().stream(id).selection {
        Some(selection) if streams.contains(id) => {
            let cursor = sync.progress().stream(id).state.cursor(key);
            Window::of(selection.mode, cursor, sync.graph().starts[id.0])
        }
        Some(_) | None => Window::Done,
    }
}

/// What a slice reads.
pub fn reach<'s>(sync: &'s Sync<'_>, slice: &'s Slice) -> Reach<'s> {
    Reach {
        plan: sync.plan(),
        graph: sync.graph(),
        purpose: slice.purpose,
        windows: &slice.windows,
        covered_by_search: slice.covered_by_search,
    }
}

/// Whether the last sync could read the stream's listings in this slice, or what is below them.
pub fn could_read_before(sync: &Sync<'_>, slice: &Slice, stream: StreamId) -> bool {
    let planned = sync.plan().stream(stream);
    let access =
        (planned.level == Level::SliceRoot).then(|| SliceKey::access(&slice.workspace, planned.stream.name));
    sync.graph().below[stream.0].iter().any(|below| {
        let key = access.as_ref().filter(|_| below != stream).unwrap_or(&slice.key);
        sync.progress().stream(below).previous.was_read(key)
    })
}

/// The search's cursor. If it has none yet, the stream's oldest cursor becomes its first.
pub fn ensure_search_cursor(sync: &Sync<'_>, id: StreamId, key: &SliceKey) -> Option<Moment> {
    let mut progress = sync.progress();
    let state = &mut progress.stream(id).state;
    if let (None, Some(oldest)) = (state.cursor(key), state.oldest()) {
        state.advance(key, oldest);
    }
    state.cursor(key)
}
