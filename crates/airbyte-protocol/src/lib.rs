//! The Airbyte protocol's messages, in and out: one JSON object a line.
//!
//! Both ends of a pipeline use it: a source writes [`Message`]s and [`record::write_line`], reads a
//! [`catalog::ConfiguredCatalog`] and [`state::parse_file`]; a destination reads [`incoming::Incoming`].
//!
//! Facts are Airbyte's: protocol models 0.18.0 (`airbyte_protocol.yaml`) and what its platform does with them.

pub mod catalog;
pub mod incoming;
pub mod message;
pub mod record;
pub mod state;

pub use message::Message;
