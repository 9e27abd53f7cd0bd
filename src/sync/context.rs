//! The data of a sync: facts that do not change while it runs, and the owners of mutable state.

use std::cell::{RefCell, RefMut};
use std::time::Duration;

use crate::asana::Client;
use crate::config::Settings;
use crate::moment::Moment;
use crate::plan::Plan;
use crate::sync::dedup::Dedup;
use crate::sync::deletions::deleted::Deleted;
use crate::sync::gate::Gate;
use crate::sync::graph::Graph;
use crate::sync::output::Output;
use crate::sync::progress::Progress;
use crate::sync::slices::Slices;
use crate::sync::type_check::TypeCheck;

/// The precision of the HTTP header with Asana's time.
const DATE_PRECISION: Duration = Duration::from_secs(1);

/// The resolution of [`Moment`].
const STEP: Duration = Duration::from_millis(1);

/// Facts that do not change during a sync.
#[derive(Debug)]
pub struct Facts<'a> {
    pub plan: &'a Plan,
    pub settings: &'a Settings,
    pub client: Client,
    pub graph: &'a Graph,
    /// When the sync began by this machine's clock.
    pub began_here: Moment,
    pub clock: fn() -> Moment,
    /// The latest version that an earlier sync emitted.
    pub emitted_before: Option<Moment>,
    /// The workspaces in the config; empty for all.
    pub workspaces: Vec<crate::gid::Gid>,
}

impl Facts<'_> {
    /// When the sync began, by Asana's clock. The new cursors of all slices are derived from it.
    pub fn began(&self) -> Moment {
        self.client.began(self.began_here)
    }

    /// The current time by Asana's clock, rounded up, because Asana's header is truncated to seconds. A tombstone must
    /// not be older than the row that it deletes, whatever this machine's clock shows.
    pub fn now(&self) -> Moment {
        let here = (self.clock)().unix_milliseconds();
        let elapsed = here.saturating_sub(self.began_here.unix_milliseconds());
        self.began().plus(Duration::from_millis(elapsed) + DATE_PRECISION)
    }

    /// The version of records that are emitted now. It is later than every version of earlier syncs, even if a clock
    /// went back.
    pub fn version(&self) -> Moment {
        let earliest = self.emitted_before.map(|before| before.plus(STEP));
        earliest.map_or(self.now(), |earliest| earliest.max(self.now()))
    }
}

/// One sync. Its cells are borrowed for one statement at a time, and never across an `await`.
#[derive(Debug)]
pub struct Sync<'a> {
    pub facts: Facts<'a>,
    pub gate: Gate,
    pub output: Output,
    pub progress: RefCell<Progress<'a>>,
    pub slices: RefCell<Slices>,
    pub dedup: RefCell<Dedup>,
    pub deleted: RefCell<Deleted>,
    pub type_check: RefCell<TypeCheck>,
}

impl<'a> Sync<'a> {
    pub fn plan(&self) -> &'a Plan {
        self.facts.plan
    }

    pub fn graph(&self) -> &'a Graph {
        self.facts.graph
    }

    pub fn progress(&self) -> RefMut<'_, Progress<'a>> {
        self.progress.borrow_mut()
    }
}
