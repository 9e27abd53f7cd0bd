//! Does an object still exist? The question about a single object: only "not found" means that it is deleted.

use crate::asana::{self, Consequence, Place, Reason, Request};
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
    match asana::consequence(&fault, Place::Detail) {
        Consequence::SkipSlice(Reason::NotFound) => Ok(Existence::Deleted),
        Consequence::SkipSlice(Reason::StorageFailing) => Ok(Existence::Unknown),
        Consequence::SkipSlice(_) => Ok(Existence::Forbidden),
        Consequence::FailSync(reason) => Err(Stop(Cause::Request { fault: &fault, reason }.failure())),
        Consequence::SkipStream(_) | Consequence::FailSlice(_) | Consequence::FailStream(_) => {
            Ok(Existence::Unknown)
        }
    }
}
