//! A deterministic Asana for tests and demonstrations.
//!
//! A [`World`] has all data of an account, generated from a seed and a [`Scale`]; a [`Simulator`] serves it as Asana's
//! REST API over HTTP on loopback.
//!
//! ```
//! use asana_simulator::{Fault, FaultRule, Kind, Options, Scale, Simulator, World};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let world = World::generate(1, &Scale::tiny());
//! let simulator = Simulator::start_blocking(world, Options::default())?;
//! let fault = Fault::Status { status: 503, retry_after: Some(1) };
//! simulator.faults().add(FaultRule::new("/tasks/{gid}/stories", fault).nth(2));
//! let task = simulator.world(|world| world.gids(Kind::Task).next()).ok_or("a world has tasks")?;
//! simulator.edit(|edit| edit.rename_task(task, "another name"))?;
//! // ... read from simulator.base_url(), then look at simulator.requests() and simulator.world(...)
//! simulator.shutdown();
//! # Ok(())
//! # }
//! ```
//!
//! What is proven where: `tests/it` asks over HTTP; `facts/fields.json` holds the fields that Asana's OpenAPI
//! documents, which every rendered record is held against; `checks/official_client.py` reads everything with
//! Asana's own Python client and compares it with the world (run it with `python3`; it needs PyPI).

mod answer;
mod control;
mod edit;
mod event_log;
mod events;
mod fault;
mod floor;
mod generate;
mod gid;
mod json;
mod limiter;
mod line;
mod listing;
mod model;
mod oauth;
mod opt_fields;
mod options;
mod page;
mod query;
mod random;
mod record;
mod refusal;
mod relations;
mod render;
mod reply;
mod route;
mod scale;
mod search;
mod server;
mod simulator;
mod state;
mod time;
mod vocabulary;
mod world;

pub use edit::{Edit, EditError, Editor};
pub use fault::{Fault, FaultRule, Faults, Target, Trigger};
pub use floor::RequestFloor;
pub use gid::{Gid, Kind, UnknownGid};
pub use opt_fields::Selection;
pub use options::{
    Account, App, Control, DEFAULT_TOKEN, Gate, Limits, Options, Plan, Refresh, Token, Unpaged,
};
pub use record::RequestRecord;
pub use scale::{Scale, UnassignedOrphans};
pub use server::run;
pub use simulator::Simulator;
pub use state::SimulatorState;
pub use time::{Clock, Day, Timestamp};
pub use world::{Viewer, World};
