//! What a sync is made of: the facts that do not change while it runs, and the owners of what does.

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

/// The precision of the header that tells Asana's time.
const DATE_PRECISION: Duration = Duration::from_secs(1);

/// The precision of a moment.
const STEP: Duration = Duration::from_millis(1);

/// What does not change during a sync.
#[derive(Debug)]
pub struct Facts<'a> {
    pub plan: &'a Plan,
    pub settings: &'a Settings,
    pub client: Client,
    pub graph: &'a Graph,
    /// When the sync began by this machine's clock.
    pub began_here: Moment,
    pub clock: fn() -> Moment,
    /// The latest version that an earlier sync has emitted.
    pub emitted_before: Option<Moment>,
    /// The workspaces that the config names; none for all.
    pub workspaces: Vec<crate::gid::Gid>,
}

impl Facts<'_> {
    /// When the sync began in Asana's time: the cursors of all slices follow from it.
    pub fn began(&self) -> Moment {
        self.client.began(self.began_here)
    }

    /// What time it is at Asana, rounded up: a tombstone must not be older than the row that it deletes, whatever this
    /// machine's clock shows. Asana's answers give whole seconds, cut off.
    pub fn now(&self) -> Moment {
        let here = (self.clock)().unix_milliseconds();
        let elapsed = here.saturating_sub(self.began_here.unix_milliseconds());
        self.began().plus(Duration::from_millis(elapsed) + DATE_PRECISION)
    }

    /// The time that orders what is emitted now: later than everything that an earlier sync has emitted, even if Asana's
    /// seconds or a clock say otherwise.
    pub fn version(&self) -> Moment {
        let earliest = self.emitted_before.map(|before| before.plus(STEP));
        earliest.map_or(self.now(), |earliest| earliest.max(self.now()))
    }
}

/// One sync. Its parts are borrowed for the length of a statement and never across an `await`.
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
