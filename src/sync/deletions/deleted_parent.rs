//! Is the parent of a failed listing deleted? Asana answers the same for a listing below a deleted record as for one that
//! the token may not see, so the record itself is asked for.

use crate::asana::{self, Fault, Kind, Reason};
use crate::gid::Gid;
use crate::plan::{Level, ListingId};
use crate::stream::Deletions;
use crate::sync::consequence::{Consequence, Place, consequence};
use crate::sync::context::Sync;
use crate::sync::failures::{Cause, Stop};
use crate::sync::requests;

/// Asks for the parent of a failed listing. Returns nothing if the parent was deleted during the sync: the listing then
/// counts as complete, or one deletion per sync would keep a large project from ever being complete. Otherwise returns the
/// fault that is to be judged.
///
/// Asana answers 404 for a listing below a deleted record, or 400 with "Not a recognized ID".
///
/// # Errors
///
/// When the answer shows that nothing else can be read either.
pub async fn unless_deleted(
    sync: &Sync<'_>,
    listing: ListingId,
    parent: &Gid,
    fault: Fault,
) -> Result<Option<Fault>, Stop> {
    let Some((level, path)) = path_of_parent(sync, listing) else { return Ok(Some(fault)) };
    // A parent that is a slice of its own is in no listing of the next sync, and then its slice is forgotten.
    let may_be_deleted = match level {
        Level::InSlice => matches!(fault.kind, Kind::LeaveOut | Kind::CorrectRequest),
        Level::SliceRoot => fault.kind == Kind::CorrectRequest,
        Level::Workspace => false,
    };
    if !may_be_deleted {
        return Ok(Some(fault));
    }
    let request = requests::of_existence(path, parent);
    let answer = match asana::get_one(&sync.facts.client, &request).await {
        Ok(_) => return Ok(Some(fault)),
        Err(answer) => answer,
    };
    match consequence(&answer, Place::Object) {
        Consequence::Skip(Reason::NotFound) if level == Level::InSlice => Ok(None),
        Consequence::Skip(Reason::NotFound) => Ok(Some(answer)),
        Consequence::Stop(reason) => Err(Stop(Cause::Request { fault: &answer, reason }.failure())),
        Consequence::Skip(_)
        | Consequence::Fail(_)
        | Consequence::Revoked
        | Consequence::FindOtherwise(_) => Ok(Some(fault)),
    }
}

/// The level of a listing's parent, and where a single one can be requested.
fn path_of_parent(sync: &Sync<'_>, listing: ListingId) -> Option<(Level, &'static str)> {
    let parent = sync.plan().stream(sync.plan().listing(listing).parent?);
    Some((parent.level, Deletions::path(parent.stream.deletions)?))
}
