//! Reads one listing from its first page to its last: rows become records and child listings.
//!
//! A listing is read to its end before its children are, because Asana's offsets expire after fifteen minutes.

use std::collections::BTreeMap;
use std::sync::Arc;

use airbyte_protocol::message::Level;

use crate::asana::{Client, Fault, Page, Pages, Request, Search, Turn};
use crate::emit::{Batch, Event};
use crate::gid::Gid;
use crate::listed::{ELSEWHERE, Gids};
use crate::moment::Moment;
use crate::plan::{Level as StreamLevel, ListingId};
use crate::schema::UPDATED_AT;
use crate::stream::{Cursor, Listing as StreamListing, Paging};
use crate::stream_set::{StreamId, StreamSet};
use crate::sync::children::{PendingListings, RECENT};
use crate::sync::context::Sync;
use crate::sync::cursors;
use crate::sync::deletions::deleted_parent;
use crate::sync::deletions::missing::{self, Extent};
use crate::sync::deletions::sighting;
use crate::sync::deletions::tombstones;
use crate::sync::deletions::unseen::SeenAs;
use crate::sync::failures::{Cause, Stop};
use crate::sync::gate::Slot;
use crate::sync::refusals;
use crate::sync::requests;
use crate::sync::row::{self, Probe};
use crate::sync::slices::Slice;
use crate::window::{self, Window};

/// One listing for one parent.
#[derive(Debug, Clone)]
pub struct Target<'s> {
    pub listing: ListingId,
    pub parent: Gid,
    pub slice: &'s Slice,
}

/// The result of a listing.
#[derive(Debug)]
pub struct Listed {
    pub children: PendingListings,
    pub extent: Extent,
    /// Whether a row is so old that the search for parents has to know it, if there is such a search.
    pub has_settled_rows: bool,
}

/// The results of a listing so far.
#[derive(Debug, Default)]
struct Found {
    pages: u64,
    children: PendingListings,
    /// The gids of its rows, if the state stores them.
    gids: Gids,
    /// The gids of rows that the state stores below a different parent.
    elsewhere: BTreeMap<(StreamId, Gid), Gids>,
    has_settled_rows: bool,
    /// When the records of the current page are emitted.
    updated_at: String,
}

/// The source of a listing's rows.
#[derive(Debug)]
pub enum Rows {
    Pages(Pages),
    Search(Search),
}

/// Records of a page by stream. A page of tasks can contain subtasks too.
type Batches = Vec<(StreamId, Batch)>;

/// Whether the types of a row are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    Types,
    Nothing,
}

/// Reads a listing that was announced to the progress. After a fault that does not stop the sync, the fault is reported
/// and the listing is incomplete.
///
/// # Errors
///
/// If the sync must stop.
pub async fn read(sync: &Sync<'_>, target: Target<'_>, slot: Slot) -> Result<Listed, Stop> {
    let stream = sync.plan().listing(target.listing).stream;
    let mut found = Found::default();
    let extent = if refusals::is_given_up(sync, stream) {
        refusals::fail(sync, target.slice, stream, &Cause::GivenUp);
        Extent::InPart
    } else {
        match rows_of(sync, &target) {
            Some(rows) => {
                let extent = read_rows(sync, &target, rows, &mut found).await?;
                drop(slot);
                let Target { listing, parent, slice } = &target;
                let gids = std::mem::take(&mut found.gids);
                missing::compare(sync, slice, *listing, parent, gids, extent).await?;
                sync.progress().stream(stream).account.listings_done += 1;
                extent
            }
            None => Extent::ToTheEnd,
        }
    };
    sync.progress().listing_done(stream);
    found.children.shrink();
    Ok(Listed { children: found.children, extent, has_settled_rows: found.has_settled_rows })
}

async fn read_rows(
    sync: &Sync<'_>,
    target: &Target<'_>,
    mut rows: Rows,
    found: &mut Found,
) -> Result<Extent, Stop> {
    let Target { listing, parent, slice } = target;
    let stream = sync.plan().listing(*listing).stream;
    loop {
        sync.output.room().await;
        let page = rows.next().await;
        if page.is_ok() {
            sync.progress().stream(stream).refusals.failing = 0;
        }
        match page {
            Ok(Some(page)) => {
                found.pages += 1;
                let taken = take_page(sync, target, page, found);
                sync.gate.admit();
                if let Err(cause) = taken {
                    refusals::fail(sync, slice, stream, &cause);
                    return Ok(Extent::InPart);
                }
            }
            Ok(None) => {
                sync.progress().stream(stream).refusals.tries.entry(*listing).or_default().read += 1;
                return Ok(Extent::ToTheEnd);
            }
            // The children found so far are still read, because their parents were emitted.
            Err(fault) => {
                if let Some(fault) = deleted_parent::unless_deleted(sync, *listing, parent, fault).await? {
                    refusals::judge(sync, slice, *listing, &fault)?;
                }
                return Ok(Extent::InPart);
            }
        }
    }
}

/// The source of a listing's rows, or `None` if no stream needs them.
fn rows_of(sync: &Sync<'_>, target: &Target<'_>) -> Option<Rows> {
    let Target { listing, parent, slice } = target;
    let since = match cursors::reach(sync, slice).of_listing(*listing) {
        Window::Since(since) => Some(since),
        Window::Whole => None,
        Window::Done => return None,
    };
    let listing = sync.plan().listing(*listing);
    let archived = sync.facts.settings.archived_projects;
    let request = requests::of_listing(listing, parent, &slice.workspace, archived, since);
    let mut progress = sync.progress();
    progress.start(listing.stream, &sync.output);
    progress.stream(listing.stream).account.listings += 1;
    let indexed_until = window::next_cursor(sync.facts.began());
    Some(Rows::of(sync.facts.client.clone(), request, listing.paging, since, indexed_until))
}

impl Rows {
    /// The rows of `request`. A search returns changes since `since`, and all of them up to `indexed_until`.
    pub fn of(
        client: Client,
        request: Request,
        paging: Paging,
        since: Option<Moment>,
        indexed_until: Moment,
    ) -> Self {
        match paging {
            Paging::ByTime => Self::Search(Search::new(client, request, since, indexed_until)),
            Paging::Offset | Paging::UntilEmpty | Paging::Whole => {
                Self::Pages(Pages::new(client, request, paging))
            }
        }
    }

    pub async fn next(&mut self) -> Result<Option<Page>, Fault> {
        match self {
            Self::Pages(pages) => pages.next().await,
            Self::Search(search) => search.next().await,
        }
    }

    /// Whether the last answer was the last one.
    pub fn is_at_end(&self) -> bool {
        match self {
            Self::Pages(pages) => pages.is_at_end(),
            Self::Search(search) => search.is_at_end(),
        }
    }
}

/// Emits the records of a page, up to the first malformed row.
fn take_page(
    sync: &Sync<'_>,
    target: &Target<'_>,
    page: Page,
    found: &mut Found,
) -> Result<(), Cause<'static>> {
    let mut batches = Batches::new();
    found.updated_at = sync.facts.version().to_string();
    let checked = found.pages % page.len().max(1) as u64;
    let taken = page.rows().enumerate().try_for_each(|(index, row)| {
        let check = if index as u64 == checked { Check::Types } else { Check::Nothing };
        take_row(sync, target, row, check, found, &mut batches, page.turn())
    });
    for ((id, parent), gids) in std::mem::take(&mut found.elsewhere) {
        missing::store_too(sync, id, &parent, gids);
    }
    let turn = page.into_turn().map(Arc::new);
    for (id, mut batch) in batches {
        batch.turn.clone_from(&turn);
        let mut progress = sync.progress();
        progress.start(id, &sync.output);
        progress.count(id, batch.ends.len() as u64, batch.text.len() as u64, sync.facts.version());
        sync.output.push(Event::Records(batch));
    }
    if let Err(error) = sync.dedup.borrow_mut().stay_small() {
        let text = format!(
            "a temporary file cannot be written ({error}), so the gids of emitted records stay in memory, at about \
             seven bytes each: make room in the folder for temporary files, or set TMPDIR to another one"
        );
        sync.output.log(Level::Warn, text);
    }
    taken
}

/// Processes a row: emits its record if the stream is selected and the record is new, and adds the child listings that
/// are needed.
fn take_row(
    sync: &Sync<'_>,
    target: &Target<'_>,
    row: &str,
    check: Check,
    found: &mut Found,
    batches: &mut Batches,
    turn: Option<&Turn>,
) -> Result<(), Cause<'static>> {
    let slice = target.slice;
    let listing = sync.plan().listing(target.listing);
    let malformed = || Cause::MalformedRow { path: listing.path };
    let probe = Probe::read(row, &sync.graph().probes[target.listing.0]).map_err(|_| malformed())?;
    let gid = probe.gid.clone().ok_or_else(malformed)?;
    let field = |name: &str| sync.graph().probe(target.listing, name).and_then(|index| probe.field(index));
    let node_parent =
        listing.tree.and_then(|tree| row::reference(field(tree.parent)).map(|gid| (tree.stream, gid)));
    // The search's index is behind: a row without a parent is no subtask any more. Another listing shows it.
    let is_change_search = sync.plan().changes.contains(&target.listing);
    let is_own = || !is_change_search && listing.rows.holds(listing.rows.field().and_then(field));
    let is_in_tree = listing.tree.is_some()
        || sync.plan().unlisted.contains(&target.listing)
        || matches!(sync.plan().stream(listing.stream).stream.listing, StreamListing::Tree(_));
    if node_parent.is_none() && !is_own() {
        if is_in_tree && !is_change_search {
            sync.deleted.borrow_mut().unseen.see(&gid, SeenAs::Root);
        }
        return Ok(());
    }
    let (stream, parent) = match node_parent {
        Some((stream, parent)) => (stream, parent),
        None => (listing.stream, target.parent.clone()),
    };
    // Deletion events are newer than the listing.
    if sync.deleted.borrow().is_reported(stream, &gid) {
        return Ok(());
    }
    let planned = sync.plan().stream(stream);
    let workspaces = &sync.facts.workspaces;
    if planned.level == StreamLevel::Workspace && !workspaces.is_empty() && !workspaces.contains(&gid) {
        return Ok(());
    }
    let time = match planned.stream.cursor {
        Cursor::Moves { field: name, .. } | Cursor::Fixed { field: name, .. } => row::moment(field(name)),
        Cursor::None | Cursor::Parents { .. } => None,
    };
    if is_in_tree {
        let is_node = matches!(planned.stream.listing, StreamListing::Tree(_));
        let seen_as = if is_node { SeenAs::Node } else { SeenAs::Root };
        sighting::note(sync, stream, &gid, seen_as, time);
        let is_stored_below = listing.is_kept && stream == listing.stream;
        if !is_stored_below && tombstones::are_wanted(sync, stream) {
            let above = if is_node { parent.clone() } else { ELSEWHERE };
            found.elsewhere.entry((stream, above)).or_default().push(&gid);
        }
    }
    if let Some(selection) = &planned.selection
        && (slice.window(stream).admits(time) || missing::is_new(sync, stream, &target.parent, &gid))
        && (!planned.repeats() || sync.dedup.borrow_mut().emit(stream, &gid).map_err(Cause::Spill)?)
    {
        if check == Check::Types {
            for text in sync.type_check.borrow_mut().look(stream, planned.stream, row)? {
                sync.output.log(Level::Warn, text);
            }
        }
        let is_exact = listing.asked.as_ref().is_some_and(|asked| asked.is_subset(&selection.columns));
        let chosen = (!is_exact).then_some(&selection.columns);
        let parent_gid = planned.parent_column.as_ref().map(|_| parent.to_string()).unwrap_or_default();
        let parent_column = planned.parent_column.as_deref().map(|column| (column, parent_gid.as_str()));
        let updated_at =
            selection.columns.get(UPDATED_AT).map(|column| (column.as_str(), found.updated_at.as_str()));
        let added: Vec<(&str, &str)> = parent_column.into_iter().chain(updated_at).collect();
        let batch = batch_of(batches, stream, planned.stream.name, turn);
        row::shape(row, chosen, &added, &mut batch.text).map_err(|_| malformed())?;
        batch.ends.push(batch.text.len());
    }
    if listing.is_kept && stream == listing.stream {
        found.gids.push(&gid);
    }
    if listing.parents_search.is_some() {
        let created = planned.stream.cursor.field().and_then(|name| row::moment(field(name)));
        found.has_settled_rows |= !is_recent(sync, created);
    }
    let (children, unread) = children_below(sync, slice, stream, &gid, time, &field).map_err(Cause::Spill)?;
    if planned.repeats() {
        let reach = cursors::reach(sync, slice);
        let windows = reach.windows_below(planned.level);
        sync.dedup.borrow_mut().cover(stream, &gid, unread, windows).map_err(Cause::Spill)?;
    }
    if children != 0 {
        for child in crate::sync::children::listings(sync.plan(), stream, children) {
            sync.progress().expect_listing(sync.plan().listing(child).stream);
        }
        found.children.push(stream, gid, children);
    }
    Ok(())
}

/// Which listings below a record are needed: a bit for each child listing of its stream. Listings that another slice
/// reads are not needed again. Also returns the streams below that no slice reads yet.
fn children_below<'row>(
    sync: &Sync<'_>,
    slice: &Slice,
    stream: StreamId,
    gid: &Gid,
    time: Option<Moment>,
    field: &impl Fn(&str) -> Option<&'row str>,
) -> std::io::Result<(u32, StreamSet)> {
    let plan = sync.plan();
    let planned = plan.stream(stream);
    if planned.children.is_empty() {
        return Ok((0, StreamSet::default()));
    }
    let reach = cursors::reach(sync, slice);
    let windows = reach.windows_below(planned.level);
    let below_of = |child: &ListingId| sync.graph().below[plan.listing(*child).stream.0];
    let below =
        planned.children.iter().fold(StreamSet::default(), |below, child| below.union(below_of(child)));
    let unread =
        if planned.repeats() { sync.dedup.borrow().unread(stream, gid, below, windows)? } else { below };
    let mut bits = 0;
    for (index, child) in planned.children.iter().enumerate() {
        let listing = plan.listing(*child);
        let wanted = if listing.is_per_workspace() { below } else { unread };
        // If the listing had rows at the last sync, it is read once more, to find those that were deleted.
        let count_before = || sync.progress().stream(listing.stream).state.listed().count(gid);
        let is_needed = || {
            listing.when.holds(listing.when.field().and_then(field))
                || (listing.is_kept && count_before().is_some_and(|count| count > 0))
        };
        if reach.is_due(*child, planned.level, time, wanted) && is_needed() {
            bits |= 1 << index;
            if listing.parents_search.is_some() && is_recent(sync, time) {
                bits |= RECENT;
            }
        }
    }
    Ok((bits, unread))
}

/// Whether Asana's search may not know what happened at this time yet.
fn is_recent(sync: &Sync<'_>, time: Option<Moment>) -> bool {
    time.is_none_or(|time| time >= window::next_cursor(sync.facts.began()))
}

fn batch_of<'a>(
    batches: &'a mut Batches,
    id: StreamId,
    stream: &'static str,
    turn: Option<&Turn>,
) -> &'a mut Batch {
    let at = batches.iter().position(|(other, _)| *other == id).unwrap_or_else(|| {
        let text = turn.map(Turn::buffer).unwrap_or_default();
        batches.push((id, Batch { stream, text, ends: Vec::new(), turn: None }));
        batches.len() - 1
    });
    &mut batches[at].1
}
