//! Reads a task search to its end. A search has no pages, so the requests step through time.
//!
//! From Asana's page on task search: an answer has at most 100 rows and no offset, the order is not stable, and the
//! index is 10 to 60 seconds late, more during incidents.

use std::time::Duration;

use serde::Deserialize;

use super::client::{Client, Request, Tries};
use super::fault::{Fault, Kind};
use super::limiter::Quota;
use super::page::{FRUITLESS_ANSWERS, Page, Seen};
use crate::moment::Moment;

/// The fields that a search needs to step through time. The request must ask for them.
pub const SEARCH_FIELDS: [&str; 2] = ["modified_at", "created_at"];

/// Maximum number of rows in one answer.
const MAX_ROWS: usize = 100;

/// The resolution of Asana's times. Asana does not document whether bounds are inclusive, so the lower bound is sent
/// one step early.
const STEP: Duration = Duration::from_millis(1);

/// The start of 2008, in milliseconds since 1970. Asana was founded in that year, so no record is older, and a search may
/// refuse earlier times.
const EARLIEST: u64 = 1_199_145_600_000;

/// All records that changed since a time, oldest change first.
///
/// A record that changes during the search moves to the end and is returned again. In the opposite order it would be
/// lost.
#[derive(Debug)]
pub struct Search {
    client: Client,
    request: Request,
    place: Option<Place>,
    /// The index has all changes before this time.
    indexed_until: Moment,
    /// The last time of change whose rows were paged by time of creation.
    split_by_creation: Option<Moment>,
    seen: Seen,
    fruitless_answers: u32,
}

/// Where the next answer starts.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// After this time of change.
    After(Moment),
    /// Within the rows of one time of change, after this time of creation.
    Within { changed_at: Moment, created_after: Moment },
}

/// What a row says of itself.
#[derive(Debug, Clone, Copy)]
struct Times {
    changed_at: Moment,
    created_at: Moment,
}

fn earliest() -> Moment {
    Moment::from_unix_milliseconds(EARLIEST)
}

impl Search {
    /// Finds records that changed at or after `since`, or all of them without it. Changes after `indexed_until` may be missing. `request` has the
    /// filters, and its fields include [`SEARCH_FIELDS`].
    pub fn new(client: Client, request: Request, since: Option<Moment>, indexed_until: Moment) -> Self {
        let after = since.map_or_else(earliest, |since| since.minus(STEP));
        Self {
            client,
            request: request.quota(Quota::Search),
            place: Some(Place::After(after)),
            indexed_until,
            split_by_creation: None,
            seen: Seen::default(),
            fruitless_answers: 0,
        }
    }

    /// The next rows that were not returned before, or `None` at the end.
    ///
    /// # Errors
    ///
    /// The fault of a request. Also if more rows have the same times of change and creation than one answer returns.
    pub async fn next(&mut self) -> Result<Option<Page>, Fault> {
        while let Some(place) = self.place {
            let request = self.request_at(place);
            let mut page = self.client.fetch(&request, Tries::All, |body| Page::read(body, None)).await?;
            self.place = if page.len() < MAX_ROWS {
                match place {
                    Place::After(_) => None,
                    Place::Within { changed_at, .. } => Some(Place::After(changed_at)),
                }
            } else {
                let times: Option<Vec<Times>> = page.rows().map(Times::read).collect();
                let next = times.and_then(|times| self.following(place, &times));
                Some(next.ok_or_else(|| self.stuck())?)
            };
            page.keep_new(&mut self.seen);
            if !page.is_empty() {
                self.fruitless_answers = 0;
                return Ok(Some(page));
            }
            self.fruitless_answers += 1;
            if self.place.is_some() && self.fruitless_answers >= FRUITLESS_ANSWERS {
                let message =
                    "expected new records or the end of the search, but many answers in a row had neither";
                return Err(Fault::new(Kind::DistrustAnswer, Some(200), message, &self.request.asked()));
            }
        }
        Ok(None)
    }

    /// Whether the last answer was the last one.
    pub fn is_at_end(&self) -> bool {
        self.place.is_none()
    }

    fn request_at(&self, place: Place) -> Request {
        let request =
            self.request.clone().query("limit", MAX_ROWS.to_string()).query("sort_ascending", "true");
        match place {
            Place::After(after) => {
                request.query("sort_by", "modified_at").query("modified_at.after", after.to_string())
            }
            Place::Within { changed_at, created_after } => request
                .query("sort_by", "created_at")
                .query("modified_at.after", changed_at.minus(STEP).to_string())
                .query("modified_at.before", changed_at.plus(STEP).to_string())
                .query("created_at.after", created_after.to_string()),
        }
    }

    /// Where to continue after a full answer, or `None` if that is impossible.
    fn following(&mut self, place: Place, times: &[Times]) -> Option<Place> {
        match place {
            Place::After(after) => {
                // The index sorts by the times that it knows. A row that changed since shows a later time, and
                // continuing from that would skip rows. So only rows from before `indexed_until` count. If there are
                // none, skipping is harmless, because the next sync reads that time again.
                let settled = times.iter().filter(|times| times.changed_at < self.indexed_until);
                let reached = settled.map(|times| times.changed_at).max();
                let reached = reached.or_else(|| times.iter().map(|times| times.changed_at).max())?;
                let next = reached.minus(STEP);
                if next > after {
                    return Some(Place::After(next));
                }
                // All rows changed at the same time, as after a bulk edit: page them by creation.
                if self.split_by_creation == Some(reached) {
                    return None;
                }
                self.split_by_creation = Some(reached);
                Some(Place::Within { changed_at: reached, created_after: earliest() })
            }
            Place::Within { changed_at, created_after } => {
                let next = times.iter().map(|times| times.created_at).max()?.minus(STEP);
                (next > created_after).then_some(Place::Within { changed_at, created_after: next })
            }
        }
    }

    fn stuck(&self) -> Fault {
        let message = "more records have the same times of change and creation than a search returns";
        Fault::new(Kind::SplitListing, Some(200), message, &self.request.asked())
    }
}

impl Times {
    fn read(row: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Texts<'a> {
            #[serde(borrow)]
            modified_at: &'a str,
            #[serde(borrow)]
            created_at: &'a str,
        }
        let texts: Texts<'_> = serde_json::from_str(row).ok()?;
        Some(Self {
            changed_at: Moment::parse(texts.modified_at)?,
            created_at: Moment::parse(texts.created_at)?,
        })
    }
}
