//! How is a changed subtask found? A change of a subtask moves no time of its parent, so without help every parent's
//! subtasks have to be listed again. Where the plan includes Asana's search, one search per workspace finds what changed,
//! before the workspace's slices begin.
//!
//! Each stream has a cursor for the search. If a slice's cursor is at least as new, the search finds all its changes, and
//! unchanged parents are not listed. If a slice's cursor is older, because the slice failed or was refused, its parents are
//! listed. The search's cursor moves only when the stream ends: after an interruption, some slices still have old cursors.
//!
//! Tasks that no listing shows are found by another search, and only by it.

use crate::config::ArchivedProjects;
use crate::gid::Gid;
use crate::plan::{ListingId, Mode};
use crate::slice_key::SliceKey;
use crate::stream_set::{StreamId, StreamSet};
use crate::sync::children::PendingListings;
use crate::sync::context::Sync;
use crate::sync::cursors;
use crate::sync::deletions::missing::Extent;
use crate::sync::failures::Stop;
use crate::sync::gate::Depth;
use crate::sync::listing::{self, Listed, Target};
use crate::sync::slices::{Purpose, Slice, Start};
use crate::window::Window;

/// A search that was made, and the listings below what it found.
#[derive(Debug)]
pub struct SearchResult {
    pub slice: Slice,
    pub children: PendingListings,
}

/// Searches a workspace for what changed in each tree. Returns how far back each stream was searched, where everything
/// was found, and what was found.
///
/// # Errors
///
/// When nothing else can be read either.
pub async fn changed(
    sync: &Sync<'_>,
    workspace: &Gid,
    depth: Depth,
) -> Result<(Vec<Window>, Vec<SearchResult>), Stop> {
    let mut reach = vec![Window::Done; sync.plan().streams.len()];
    let mut results = Vec::new();
    for (nth, listing) in sync.plan().changes.iter().enumerate() {
        let Some(slice) = begin(sync, workspace, nth, *listing) else { continue };
        let Listed { children, extent, .. } = make(sync, &slice, *listing, depth).await?;
        if extent == Extent::ToTheEnd {
            for (reach, window) in reach.iter_mut().zip(slice.windows.iter()) {
                *reach = reach.union(*window);
            }
        }
        results.push(SearchResult { slice, children });
    }
    Ok((reach, results))
}

/// The slice of a search for what changed, if there is anything to search for.
fn begin(sync: &Sync<'_>, workspace: &Gid, nth: usize, listing: ListingId) -> Option<Slice> {
    // The search also returns subtasks in archived projects. If the config leaves those out, nothing is searched.
    if sync.facts.settings.archived_projects != ArchivedProjects::Included {
        return None;
    }
    let streams = sync.graph().below[sync.plan().listing(listing).stream.0];
    let key = SliceKey::Search { workspace: workspace.clone(), nth };
    let windows: Vec<Window> = (0..sync.plan().streams.len())
        .map(StreamId)
        .map(|id| match sync.plan().stream(id).is_incremental() && streams.contains(id) {
            // A search that was never made begins at the oldest slice. The slices' cursors move while it is under way: if
            // the sync is interrupted, the next one has to begin here too.
            true => cursors::ensure_search_cursor(sync, id, &key).map_or(Window::Done, |cursor| {
                Window::of(Mode::Incremental, Some(cursor), sync.graph().starts[id.0])
            }),
            false => Window::Done,
        })
        .collect();
    if windows.iter().all(|window| *window == Window::Done) {
        return None;
    }
    let (workspace, covered_by_search) = (workspace.clone(), StreamSet::default());
    let purpose = Purpose::FindChanges;
    Some(cursors::open(sync, Start { key, workspace, purpose, windows, streams, covered_by_search }))
}

/// Begins the slices of what no listing of a workspace shows. `searched` is how far back the search for changes went.
pub fn begin_unlisted(sync: &Sync<'_>, workspace: &Gid, searched: &[Window]) -> Vec<(ListingId, Slice)> {
    let slice = |listing: &ListingId| {
        let streams = sync.graph().below[sync.plan().listing(*listing).stream.0];
        let key = SliceKey::Unlisted { workspace: workspace.clone() };
        (*listing, cursors::begin(sync, key, workspace, streams, searched))
    };
    sync.plan().unlisted.iter().map(slice).collect()
}

/// Makes one search.
///
/// # Errors
///
/// When nothing else can be read either.
pub async fn make(sync: &Sync<'_>, slice: &Slice, listing: ListingId, depth: Depth) -> Result<Listed, Stop> {
    sync.progress().expect_listing(sync.plan().listing(listing).stream);
    let slot = sync.gate.enter(depth).await;
    listing::read(sync, Target { listing, parent: slice.workspace.clone(), slice }, slot).await
}
