//! The task search followed to its end: it has no pages, so time itself is paged.
//!
//! Asana's page on task search: at most 100 rows and no offset, an order that is not stable, and an index that
//! learns of changes 10 to 60 seconds late, longer in incidents; callers step through time themselves.

use std::time::Duration;

use serde::Deserialize;

use super::client::{Client, Request, Tries};
use super::fault::{Fault, Kind};
use super::limiter::Quota;
use super::page::{FRUITLESS_ANSWERS, Page, Seen};
use crate::moment::Moment;

/// The fields by which time is paged; a search has to ask for them.
pub const SEARCH_FIELDS: [&str; 2] = ["modified_at", "created_at"];

/// The most rows of one answer.
const MOST_ROWS: usize = 100;

/// The resolution of Asana's times. Whether the bounds include their own instant is not documented: the lower one
/// is sent a step early, so that it does not matter.
const STEP: Duration = Duration::from_millis(1);

/// Everything that a search finds changed since a time, oldest change first.
///
/// What changes while it is read moves to the end of the order and is met there again; in the opposite order it
/// would be lost.
#[derive(Debug)]
pub struct Search {
    client: Client,
    request: Request,
    place: Option<Place>,
    /// The index knows all changes before this time.
    indexed_until: Moment,
    /// The instant that was last taken apart by creation.
    taken_apart: Option<Moment>,
    seen: Seen,
    fruitless_answers: u32,
}

/// Where the next answer begins.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Behind this time of change.
    After(Moment),
    /// Among the rows of one time of change, behind this time of creation.
    Within { changed_at: Moment, created_after: Moment },
}

/// What a row says of itself.
#[derive(Debug, Clone, Copy)]
struct Times {
    changed_at: Moment,
    created_at: Moment,
}

impl Search {
    /// Finds what has changed at or after `since`; what changed after `indexed_until` may be found or not.
    /// `request` names the filters, and its fields hold [`SEARCH_FIELDS`].
    pub fn new(client: Client, request: Request, since: Moment, indexed_until: Moment) -> Self {
        Self {
            client,
            request: request.quota(Quota::Search),
            place: Some(Place::After(since.minus(STEP))),
            indexed_until,
            taken_apart: None,
            seen: Seen::default(),
            fruitless_answers: 0,
        }
    }

    /// The next rows that were not yet given out, or `None` when there are no more.
    ///
    /// # Errors
    ///
    /// Whatever keeps rows from coming, among it more of them with one time than can be told apart.
    pub async fn next(&mut self) -> Result<Option<Page>, Fault> {
        while let Some(place) = self.place {
            let request = self.request_at(place);
            let mut page = self.client.fetch(&request, Tries::All, |body| Page::read(body, None)).await?;
            self.place = if page.len() < MOST_ROWS {
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
                    "expected new records or the end of the search, got neither from many answers in a row";
                return Err(Fault::new(Kind::DistrustAnswer, Some(200), message, &self.request.asked()));
            }
        }
        Ok(None)
    }

    fn request_at(&self, place: Place) -> Request {
        let request =
            self.request.clone().query("limit", MOST_ROWS.to_string()).query("sort_ascending", "true");
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

    /// Where to go on behind a full answer, or `None` if there is no way on.
    fn following(&mut self, place: Place, times: &[Times]) -> Option<Place> {
        match place {
            Place::After(after) => {
                // The order is the index's; a row that changed after the index last looked shows a later time
                // than the one it was put in order by, and would carry the next answer past rows not seen. Such
                // rows are young. Among the young ones only, skipping does no harm: whoever calls reads that
                // time again at the next sync.
                let settled = times.iter().filter(|times| times.changed_at < self.indexed_until);
                let reached = settled.map(|times| times.changed_at).max();
                let reached = reached.or_else(|| times.iter().map(|times| times.changed_at).max())?;
                let next = reached.minus(STEP);
                if next > after {
                    return Some(Place::After(next));
                }
                // A full answer of one instant, as after a bulk edit: creation tells its rows apart.
                if self.taken_apart == Some(reached) {
                    return None;
                }
                self.taken_apart = Some(reached);
                let created_after = Moment::from_unix_milliseconds(0);
                Some(Place::Within { changed_at: reached, created_after })
            }
            Place::Within { changed_at, created_after } => {
                let next = times.iter().map(|times| times.created_at).max()?.minus(STEP);
                (next > created_after).then_some(Place::Within { changed_at, created_after: next })
            }
        }
    }

    fn stuck(&self) -> Fault {
        let message = "more records were changed and made at one instant than a search returns";
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
