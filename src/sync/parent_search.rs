//! Which parents have an empty listing, so that it is not requested? Where the plan includes Asana's search, a search per
//! workspace shows the parents whose listing has rows. It runs while the other listings per task are read.
//!
//! A parent that the search does not show is skipped, unless it changed so late that the search may not know it. The search
//! is checked before anything is skipped: a sample of the parents that it does not show is asked, and so is every one that
//! had rows at the last sync. If one of them has a row that the search must know, every parent of the workspace is asked.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use airbyte_protocol::message::Level;

use crate::asana;
use crate::config::SearchParents;
use crate::gid::Gid;
use crate::gid_marks::GidMarks;
use crate::plan::ListingId;
use crate::stream::Paging;
use crate::sync::children::{PendingListing, PendingListings};
use crate::sync::consequence::{Consequence, Place, consequence};
use crate::sync::context::Sync;
use crate::sync::cursors;
use crate::sync::failures::{Cause, Stop};
use crate::sync::gate::Depth;
use crate::sync::listing::{Listed, Rows};
use crate::sync::report::grouped;
use crate::sync::requests;
use crate::sync::row::Probe;
use crate::sync::slices::Slice;
use crate::window::{self, Window};

/// A search starts before every listing.
const FIRST: Depth = Depth::MAX;

/// With fewer listings waiting, no search is made. One answer of a search shows as many parents.
const FEWEST: u64 = 100;

/// A search may take one answer for this many listings that wait. More would take longer than the listings: Asana allows
/// 60 searches a minute, and 1,500 other requests.
const FOR_ONE_ANSWER: u64 = 50;

/// Of the parents that the search does not show, one in this many is asked, and about this many at least.
const ONE_ASKED_IN: u64 = 100;
const FEWEST_ASKED: u64 = 10;

/// Whether a search can save requests if so many listings wait for it.
pub fn is_worthwhile(waiting: u64) -> bool {
    waiting >= FEWEST
}

/// Maximum number of a search's answers if so many listings wait for it.
pub fn most_answers(waiting: u64) -> u64 {
    waiting / FOR_ONE_ANSWER
}

/// One in how many of the parents that the search does not show is asked.
pub fn one_asked_in(not_shown: u64) -> u64 {
    (not_shown / FEWEST_ASKED).clamp(1, ONE_ASKED_IN)
}

/// The searches of a sync.
#[derive(Debug)]
pub struct ParentSearches {
    searches: Vec<ParentSearch>,
    /// Whether the listings that depend on a search are still being collected.
    is_collecting: Cell<bool>,
}

/// The search of one workspace.
#[derive(Debug)]
struct ParentSearch {
    workspace: Gid,
    path: &'static str,
    waiting: Waiting,
    /// The parents that it shows; `None` if it is not relied on.
    shown: RefCell<Option<GidMarks>>,
    one_asked_in: Cell<u64>,
}

/// The listings that wait for a search when it begins.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    count: u64,
    /// The parents changed in this time.
    window: Window,
    /// One of the listings.
    listing: ListingId,
}

impl ParentSearches {
    /// The searches that can save requests, for slices with these listings.
    pub fn new<'s>(sync: &Sync<'_>, slices: impl Iterator<Item = (&'s Slice, &'s PendingListings)>) -> Self {
        let mut found: BTreeMap<(Gid, &'static str), Waiting> = BTreeMap::new();
        let is_wanted = sync.facts.settings.search_parents == SearchParents::Yes;
        for (slice, children) in slices.filter(|_| is_wanted) {
            let reach = cursors::reach(sync, slice);
            for PendingListing { listing, is_recent, .. } in children.clone().into_listings(sync.plan()) {
                let Some(path) = sync.plan().listing(listing).parents_search.filter(|_| !is_recent) else {
                    continue;
                };
                let none = Waiting { count: 0, window: Window::Done, listing };
                let waiting = found.entry((slice.workspace.clone(), path)).or_insert(none);
                waiting.count += 1;
                waiting.window = waiting.window.union(reach.of_parents(listing));
            }
        }
        let most = sync.facts.settings.most_marks_in_memory;
        let searches = found.into_iter().filter(|(_, waiting)| is_worthwhile(waiting.count));
        let searches = searches.map(|((workspace, path), waiting)| ParentSearch {
            workspace,
            path,
            waiting,
            shown: RefCell::new(Some(GidMarks::new(most))),
            one_asked_in: Cell::new(1),
        });
        Self { searches: searches.collect(), is_collecting: Cell::new(true) }
    }

    /// Makes the searches.
    ///
    /// # Errors
    ///
    /// If the sync must stop.
    pub async fn run(&self, sync: &Sync<'_>) -> Result<(), Stop> {
        sync.gate
            .for_each(FIRST, None, &self.searches, |search, slot| async move {
                search.run(sync).await?;
                drop(slot);
                Ok(())
            })
            .await
    }

    /// Whether a listing waits for a search.
    pub fn holds(&self, sync: &Sync<'_>, slice: &Slice, pending: &PendingListing) -> bool {
        self.is_collecting.get() && self.of(sync, slice, pending).is_some()
    }

    /// Begins the check. These are all listings that depend on a search.
    pub fn begin_check<'s>(
        &self,
        sync: &Sync<'_>,
        slices: impl Iterator<Item = (&'s Slice, &'s PendingListings)>,
    ) {
        self.is_collecting.set(false);
        let mut not_shown: BTreeMap<&Gid, u64> = BTreeMap::new();
        for (slice, children) in slices {
            let pending = children.clone().into_listings(sync.plan());
            let count = pending.filter(|pending| self.lacks(sync, slice, pending)).count();
            *not_shown.entry(&slice.workspace).or_default() += count as u64;
        }
        for search in &self.searches {
            let count = not_shown.get(&search.workspace).copied().unwrap_or_default();
            search.one_asked_in.set(one_asked_in(count));
        }
    }

    /// The listings that show whether the search is right, and the others.
    pub fn doubted(
        &self,
        sync: &Sync<'_>,
        slice: &Slice,
        children: PendingListings,
    ) -> (PendingListings, PendingListings) {
        children.split(sync.plan(), |pending| {
            let stream = sync.plan().listing(pending.listing).stream;
            let had_rows = || {
                let count = sync.progress().stream(stream).state.listed().count(&pending.parent);
                count.is_some_and(|count| count > 0)
            };
            let is_sampled = || {
                let mut hasher = DefaultHasher::new();
                // Each sync asks others.
                (&pending.parent, sync.facts.began().unix_milliseconds()).hash(&mut hasher);
                let one_in = self.of(sync, slice, pending).map_or(1, |search| search.one_asked_in.get());
                hasher.finish().is_multiple_of(one_in)
            };
            self.lacks(sync, slice, pending) && (is_sampled() || had_rows())
        })
    }

    /// Compares a listing with what the search shows. If it has a row that the search must know, the search is not relied
    /// on.
    pub fn check(&self, sync: &Sync<'_>, slice: &Slice, pending: &PendingListing, listed: &Listed) {
        if !listed.has_settled_rows || !self.lacks(sync, slice, pending) {
            return;
        }
        if let Some(search) = self.of(sync, slice, pending) {
            let why = format!("it does not show {}, which has some", pending.parent);
            search.distrust(sync, Level::Warn, &why);
        }
    }

    /// The listings that are still to be read: all, unless the search is relied on.
    pub fn needed(&self, sync: &Sync<'_>, slice: &Slice, children: PendingListings) -> PendingListings {
        let (skipped, needed) = children.split(sync.plan(), |pending| self.lacks(sync, slice, pending));
        for pending in skipped.into_listings(sync.plan()) {
            sync.progress().listing_done(sync.plan().listing(pending.listing).stream);
        }
        needed
    }

    /// The search that says whether a listing has rows, if it is relied on.
    fn of(&self, sync: &Sync<'_>, slice: &Slice, pending: &PendingListing) -> Option<&ParentSearch> {
        let path = sync.plan().listing(pending.listing).parents_search.filter(|_| !pending.is_recent)?;
        let mut searches = self.searches.iter();
        searches.find(|search| {
            search.path == path && search.workspace == slice.workspace && search.shown.borrow().is_some()
        })
    }

    /// Whether a search that is relied on does not show the parent.
    fn lacks(&self, sync: &Sync<'_>, slice: &Slice, pending: &PendingListing) -> bool {
        self.of(sync, slice, pending).is_some_and(|search| {
            let shown = search.shown.borrow();
            // A parent that cannot be looked up is asked.
            shown.as_ref().is_some_and(|shown| shown.of(&pending.parent).is_ok_and(|bits| bits == 0))
        })
    }
}

impl ParentSearch {
    async fn run(&self, sync: &Sync<'_>) -> Result<(), Stop> {
        let request = requests::of_gids(self.path, &self.workspace, &self.workspace, &asana::SEARCH_FIELDS);
        let since = match self.waiting.window {
            Window::Since(since) => Some(since),
            Window::Whole | Window::Done => None,
        };
        let indexed_until = window::next_cursor(sync.facts.began());
        let client = sync.facts.client.clone();
        let mut rows = Rows::of(client, request, Paging::ByTime, since, indexed_until);
        let mut shown = 0;
        for _ in 0..most_answers(self.waiting.count) {
            sync.output.room().await;
            match rows.next().await {
                Ok(Some(page)) => {
                    shown += page.len() as u64;
                    if let Err(why) = self.add(page.rows()) {
                        self.distrust(sync, Level::Warn, why);
                        return Ok(());
                    }
                }
                Ok(None) => {}
                Err(fault) => {
                    match consequence(&fault, Place::Parents) {
                        Consequence::Stop(reason) => {
                            return Err(Stop(Cause::Request { fault: &fault, reason }.failure()));
                        }
                        _ if fault.reason().is_refusal() => {
                            self.distrust(sync, Level::Info, fault.reason().text());
                        }
                        _ => self.distrust(sync, Level::Warn, &fault.to_string()),
                    }
                    return Ok(());
                }
            }
            if rows.is_at_end() {
                let text = format!(
                    "{}: the search in workspace {} shows {} parents that have any; of the others, only those are asked \
                     that changed in the last minutes or had some at the last sync, and a sample",
                    self.stream(sync),
                    self.workspace,
                    grouped(shown)
                );
                sync.output.log(Level::Info, text);
                return Ok(());
            }
        }
        self.distrust(sync, Level::Info, "it shows so many parents that it takes more time than it saves");
        Ok(())
    }

    fn add<'row>(&self, rows: impl Iterator<Item = &'row str>) -> Result<(), &'static str> {
        let mut shown = self.shown.borrow_mut();
        let Some(shown) = shown.as_mut() else { return Ok(()) };
        for row in rows {
            let gid = Probe::read(row, &[]).ok().and_then(|probe| probe.gid).ok_or("a row has no gid")?;
            shown.set(&gid, 1).map_err(|_| "a temporary file cannot be read")?;
        }
        shown.stay_small().map_err(|_| "a temporary file cannot be written")
    }

    /// From now on, every parent is asked.
    fn distrust(&self, sync: &Sync<'_>, level: Level, why: &str) {
        *self.shown.borrow_mut() = None;
        let text = format!(
            "{}: the search for their parents in workspace {} is not relied on ({why}), so they are listed for every \
             parent",
            self.stream(sync),
            self.workspace
        );
        sync.output.log(level, text);
    }

    fn stream(&self, sync: &Sync<'_>) -> &'static str {
        let listing = sync.plan().listing(self.waiting.listing);
        sync.plan().stream(listing.stream).stream.name
    }
}
