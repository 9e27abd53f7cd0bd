//! The simulator over real HTTP, as a stranger would use it, one module per part of Asana's manner.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking, in its helpers too")]

mod client;
mod control;
mod edits;
mod events;
mod facts;
mod faults;
mod floor;
mod limits;
mod listings;
mod search;
mod serving;
mod world;
