//! The destination from the outside: the real binary, protocol lines in and out, tables read back with the Iceberg
//! library's own reader. Knows nothing of the destination's insides.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod audit;
mod automatic;
mod bounds;
mod catalog_server;
mod commands;
mod copy_on_write;
mod crash;
mod cuts;
mod dangling;
mod dependencies;
mod harness;
mod hostile;
mod maintain;
mod modes;
mod orphans;
mod rest;
mod schema;
mod sign_in;
