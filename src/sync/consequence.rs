//! What follows from a fault that is not retried any more: one table from the kind of a fault and the place of its request
//! to a consequence. `docs/FAULTS.md` is written from it.

use crate::asana::{Fault, Kind, Reason};

/// The request that failed, as far as its consequence depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `GET /workspaces`. Nothing can be read without it.
    Workspaces,
    /// A stream's listing in a workspace, such as `GET /projects?workspace=`.
    InWorkspace(EarlierAccess),
    /// A listing below a project, user, team, portfolio or goal, such as `GET /tasks?project=`.
    BelowSlice(EarlierAccess),
    /// A listing below one record of these, such as `GET /tasks/{gid}/stories`.
    BelowRecord,
    /// The search for records that no listing shows.
    Unlisted(EarlierAccess),
    /// The search for what changed. Listing every parent finds the same.
    Changes,
    /// The search for parents whose listing has rows. Listing every parent finds the same.
    Parents,
    /// Asana's events on a record. The daily comparison finds the same deletions.
    Events,
    /// One object, to see whether it was deleted.
    Object,
}

/// Whether the last sync could read the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlierAccess {
    /// It could not, or the state does not say so.
    Unknown,
    Yes,
}

/// What follows from a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// It is left out, with a warning. The cursor stays where it is.
    Skip(Reason),
    /// The stream is incomplete. Its other listings are read.
    Fail(Reason),
    /// The same, because Asana refuses what the last sync could read.
    Revoked,
    /// The stream is complete: listings find the same now, or a later sync finds it.
    FindOtherwise(Reason),
    /// The sync ends, because no other request can succeed either.
    Stop(Reason),
}

/// What follows from a fault at a place.
pub fn consequence(fault: &Fault, place: Place) -> Consequence {
    let reason = fault.reason();
    match fault.kind {
        Kind::GiveToken
        | Kind::SignInAgain
        | Kind::AskFromElsewhere
        | Kind::RunAgainLater { .. }
        | Kind::TrustServer
        | Kind::SatisfyProxy => Consequence::Stop(reason),
        Kind::UpgradePlan | Kind::GrantAccess => match place {
            Place::Workspaces => Consequence::Fail(reason),
            Place::InWorkspace(EarlierAccess::Yes)
            | Place::BelowSlice(EarlierAccess::Yes)
            | Place::Unlisted(EarlierAccess::Yes) => Consequence::Revoked,
            Place::InWorkspace(EarlierAccess::Unknown)
            | Place::BelowSlice(EarlierAccess::Unknown)
            | Place::BelowRecord
            | Place::Unlisted(EarlierAccess::Unknown)
            | Place::Object => Consequence::Skip(reason),
            Place::Changes | Place::Parents | Place::Events => Consequence::FindOtherwise(reason),
        },
        Kind::LeaveOut => match place {
            Place::Workspaces | Place::InWorkspace(_) => Consequence::Fail(reason),
            Place::Unlisted(EarlierAccess::Yes) => Consequence::Revoked,
            Place::BelowSlice(_)
            | Place::BelowRecord
            | Place::Unlisted(EarlierAccess::Unknown)
            | Place::Object => Consequence::Skip(reason),
            Place::Changes | Place::Parents | Place::Events => Consequence::FindOtherwise(reason),
        },
        Kind::RestartListing
        | Kind::SplitListing
        | Kind::AskForLess
        | Kind::CorrectRequest
        | Kind::AskDifferently
        | Kind::StartAgain { .. }
        | Kind::SlowDown { .. }
        | Kind::TryAgain
        | Kind::TryStorageAgain
        | Kind::Reconnect
        | Kind::DistrustAnswer => match place {
            Place::Workspaces
            | Place::InWorkspace(_)
            | Place::BelowSlice(_)
            | Place::BelowRecord
            | Place::Unlisted(_) => Consequence::Fail(reason),
            Place::Changes | Place::Parents | Place::Events | Place::Object => {
                Consequence::FindOtherwise(reason)
            }
        },
    }
}
