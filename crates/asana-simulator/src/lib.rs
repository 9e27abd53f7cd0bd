//! A deterministic Asana for tests and demonstrations. Knows nothing of Airbyte or of the connector.
//!
//! A [`World`] holds everything an account has, generated from a seed and a [`Scale`]; a [`Simulator`] serves it
//! as Asana's REST API over HTTP on loopback.

mod answer;
mod control;
mod edit;
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
pub use options::{Account, Control, DEFAULT_TOKEN, Gate, Limits, Options, Plan, Token, Unpaged};
pub use record::RequestRecord;
pub use scale::{Scale, UnassignedOrphans};
pub use server::run;
pub use simulator::Simulator;
pub use state::SimulatorState;
pub use time::{Clock, Day, Timestamp};
pub use world::{Viewer, World};
