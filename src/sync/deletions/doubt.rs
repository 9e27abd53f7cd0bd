//! Is the parent of a listing deleted? Asana answers the same for a listing below a deleted record as for one that the
//! token may not see, so the record itself is asked for.

use crate::asana::{self, Consequence, Fault, Place, Reason};
use crate::gid::Gid;
use crate::plan::{Level, ListingId};
use crate::stream::Deletions;
use crate::sync::context::Sync;
use crate::sync::failures::{Cause, Stop};
use crate::sync::requests;

/// Whether a listing failed because its parent was deleted during the sync. Then nothing is lacking: otherwise one
/// deletion per sync would keep a large project from ever being complete.
///
/// # Errors
///
/// When the answer shows that nothing else can be read either.
pub async fn parent_is_deleted(
    sync: &Sync<'_>,
    listing: ListingId,
    parent: &Gid,
    fault: &Fault,
) -> Result<bool, Stop> {
    let is_unknown = asana::consequence(fault, Place::Slice) == Consequence::SkipSlice(Reason::NotFound);
    let Some(path) = parent_path(sync, listing).filter(|_| is_unknown) else { return Ok(false) };
    let request = requests::of_existence(path, parent);
    match asana::get_one(&sync.facts.client, &request).await {
        Ok(_) => Ok(false),
        Err(fault) => match asana::consequence(&fault, Place::Detail) {
            Consequence::SkipSlice(Reason::NotFound) => Ok(true),
            Consequence::FailSync(reason) => Err(Stop(Cause::Request { fault: &fault, reason }.of_sync())),
            Consequence::SkipSlice(_)
            | Consequence::SkipStream(_)
            | Consequence::FailSlice(_)
            | Consequence::FailStream(_) => Ok(false),
        },
    }
}

/// Where the parent of a listing can be asked for, if it is one of many in its slice. A parent that is a slice of its own
/// is not seen again, and then its slice is forgotten.
fn parent_path(sync: &Sync<'_>, listing: ListingId) -> Option<&'static str> {
    let parent = sync.plan().stream(sync.plan().listing(listing).parent?);
    (parent.level == Level::InSlice).then_some(parent.stream.deletions).and_then(Deletions::path)
}
