//! The connector from the outside: the real binary against the simulator over real HTTP, every line of stdout
//! parsed. Knows nothing of the connector's insides.

mod harness;
mod truth;

mod bad_input;
mod check;
mod conformance;
mod read_full;
