//! Does an object still exist? The question about a single object: only "not found" means that it is deleted.

use crate::asana::{self, Reason, Request};
use crate::sync::consequence::{Consequence, Place, consequence};
use crate::sync::context::Sync;
use crate::sync::failures::{Cause, Stop};

/// What Asana says about an object.
#[derive(Debug)]
pub enum Existence {
    Deleted,
    /// It exists, and this is its record.
    There(String),
    /// The token may not see it.
    Forbidden,
    /// There was no answer that decides.
    Unknown,
}

/// Requests one object.
///
/// # Errors
///
/// When the answer shows that nothing else can be read either.
pub async fn ask(sync: &Sync<'_>, request: &Request) -> Result<Existence, Stop> {
    sync.output.room().await;
    let fault = match asana::get_one(&sync.facts.client, request).await {
        Ok(record) => return Ok(Existence::There(record)),
        Err(fault) => fault,
    };
    match consequence(&fault, Place::Object) {
        Consequence::Skip(Reason::NotFound) => Ok(Existence::Deleted),
        Consequence::Skip(_) => Ok(Existence::Forbidden),
        Consequence::Fail(_) | Consequence::Revoked | Consequence::FindOtherwise(_) => Ok(Existence::Unknown),
        Consequence::Stop(reason) => Err(Stop(Cause::Request { fault: &fault, reason }.failure())),
    }
}
