//! Everything that can go wrong in a sync, as a type, and the only place where its text is written.

use std::io;

use crate::asana::{Fault, Reason};
use crate::gid::Gid;
use crate::sync::report::grouped;
use airbyte_connector::{Failure, FailureKind};

/// Why a listing, a stream or the sync failed.
#[derive(Debug)]
pub enum Cause<'a> {
    /// A request failed, and is not made again in this sync.
    Request { fault: &'a Fault, reason: Reason },
    /// Asana refuses what the last sync could read.
    RefusedNow { fault: &'a Fault },
    /// The stream was given up before this listing.
    GivenUp,
    /// A row without a gid.
    MalformedRow { path: &'static str },
    /// The temporary file with the gids that were emitted cannot be read.
    Spill(io::Error),
    /// A declared schema is not a JSON schema.
    BrokenSchema { stream: &'static str, why: String },
    /// Asana refused every listing of one kind.
    NoneReadable { path: &'static str, listings: u64, reasons: Vec<Reason>, first: String },
    /// The config names a workspace that the token does not see.
    MissingWorkspace { gid: &'a Gid },
}

/// What ends a sync at once: nothing else can succeed either.
#[derive(Debug)]
pub struct Stop(pub Failure);

impl Cause<'_> {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Request { fault, .. } | Self::RefusedNow { fault } => fault.failure_kind(),
            Self::GivenUp | Self::MalformedRow { .. } | Self::Spill(_) => FailureKind::Transient,
            Self::BrokenSchema { .. } => FailureKind::System,
            // A deleted parent is in no listing of the next sync.
            Self::NoneReadable { reasons, .. }
                if reasons.iter().all(|reason| *reason == Reason::NotFound) =>
            {
                FailureKind::Transient
            }
            Self::NoneReadable { .. } | Self::MissingWorkspace { .. } => FailureKind::Configuration,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Request { fault, reason } => format!("{}. {fault}", reason.text()),
            Self::RefusedNow { fault } => {
                format!("it could be read at the last sync, so it is not taken for empty. {fault}")
            }
            Self::GivenUp => "not read, because too many listings before it failed".to_owned(),
            Self::MalformedRow { path } => format!(
                "GET {path} answered a row without a gid, which Asana's records always have; try again later, and \
                 report this if it stays"
            ),
            Self::Spill(error) => format!(
                "the temporary file that lists the emitted records cannot be read: {error}. Run the sync again; if \
                 that does not help, check the disk for temporary files"
            ),
            Self::BrokenSchema { stream, why } => format!("the schema of {stream} is broken: {why}"),
            Self::NoneReadable { path, listings, reasons, first } => {
                let mut reasons: Vec<&str> = reasons.iter().map(|reason| reason.text()).collect();
                reasons.sort_unstable();
                let (count, noun) = match listings {
                    1 => ("the only".to_owned(), "listing"),
                    _ => (format!("all {}", grouped(*listings)), "listings"),
                };
                format!(
                    "Asana refused {count} {noun} {path} ({}). The destination keeps its rows. Give the token's user \
                     access, or deselect the stream. First refusal: {first}",
                    reasons.join("; ")
                )
            }
            Self::MissingWorkspace { gid } => format!(
                "the token does not see workspace {gid}, which the config names under `workspaces`: correct the gid, \
                 or give the token's user access to that workspace"
            ),
        }
    }

    /// The failure, without the streams that it concerns.
    pub fn failure(&self) -> Failure {
        Failure::new(self.kind(), self.text())
    }
}
