//! The requests of an estimate, within a budget.

use std::cell::Cell;

use airbyte_connector::Failure;
use serde_json::Value;

use crate::asana::{self, Client, Fault, Request};
use crate::sync::{Consequence, Place, Rows, consequence};

/// Sends requests, and counts those that are not one per slice.
#[derive(Debug)]
pub struct Asker {
    pub client: Client,
    left: Cell<usize>,
}

/// Rows of a listing.
#[derive(Debug, Default)]
pub struct Found {
    pub rows: Vec<String>,
    /// Requests that it took.
    pub requests: usize,
    /// The listing has more rows.
    pub has_more: bool,
    /// Why Asana does not let the token read it.
    pub refusal: Option<Failure>,
}

impl Asker {
    pub fn new(client: Client, budget: usize) -> Self {
        Self { client, left: Cell::new(budget) }
    }

    /// Requests that may still be sent.
    pub fn left(&self) -> usize {
        self.left.get()
    }

    /// Allows more requests.
    pub fn allow(&self, requests: usize) {
        self.left.set(self.left.get() + requests);
    }

    /// Keeps requests for later; `allow` releases them.
    pub fn reserve(&self, requests: usize) {
        self.left.set(self.left().saturating_sub(requests));
    }

    /// All requests so far.
    pub fn sent(&self) -> usize {
        usize::try_from(self.client.counts().values().map(|counts| counts.requests).sum::<u64>()).unwrap_or(0)
    }

    /// At most so many pages of a listing, and no more than the budget has left.
    ///
    /// # Errors
    ///
    /// If nothing else can be read either.
    pub async fn pages(&self, rows: Rows, most: usize) -> Result<Found, Failure> {
        let before = self.sent();
        let mut found = read(rows, most.min(self.left()), || self.sent() - before).await?;
        found.requests = self.sent() - before;
        self.left.set(self.left().saturating_sub(found.requests));
        Ok(found)
    }

    /// The first page of a listing. It is not counted: there is one for each slice.
    ///
    /// # Errors
    ///
    /// If nothing else can be read either.
    pub async fn page_of_slice(&self, rows: Rows) -> Result<Found, Failure> {
        let pages = Cell::new(0);
        let one = || pages.replace(pages.get() + 1);
        read(rows, 1, one).await
    }

    /// The number in a field of one object; `None` if Asana does not let the token read it.
    ///
    /// # Errors
    ///
    /// If nothing else can be read either.
    pub async fn number(&self, request: &Request, field: &str) -> Result<Option<f64>, Failure> {
        match asana::get_one(&self.client, request).await {
            Ok(object) => {
                let number =
                    serde_json::from_str(&object).ok().and_then(|object: Value| object[field].as_f64());
                let fault =
                    || Failure::transient(format!("`{field}` of {} is not what it documents", request.path));
                number.ok_or_else(fault).map(Some)
            }
            Err(fault) => refused(&fault).map(|()| None),
        }
    }
}

/// Reads until `sent` says that so many requests were sent.
async fn read(mut rows: Rows, most: usize, sent: impl Fn() -> usize) -> Result<Found, Failure> {
    let mut found = Found::default();
    while sent() < most {
        match rows.next().await {
            Ok(Some(page)) => found.rows.extend(page.rows().map(str::to_owned)),
            Ok(None) => return Ok(found),
            Err(fault) => {
                refused(&fault)?;
                return Ok(Found { refusal: Some(Failure::from(&fault)), ..found });
            }
        }
    }
    found.has_more = !rows.is_at_end();
    Ok(found)
}

/// Whether the fault only concerns what was asked for.
fn refused(fault: &Fault) -> Result<(), Failure> {
    match consequence(fault, Place::BelowRecord) {
        Consequence::Skip(_) => Ok(()),
        Consequence::Fail(_)
        | Consequence::Revoked
        | Consequence::FindOtherwise(_)
        | Consequence::Stop(_) => Err(Failure::from(fault)),
    }
}
