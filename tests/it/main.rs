//! The connector from the outside: the real binary against the simulator over real HTTP, every line of stdout parsed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails right there")]

mod harness;
mod in_process;
mod truth;

mod bad_input;
mod check;
mod concurrent;
mod conformance;
mod deletions;
mod estimate;
mod fault_table;
mod faults;
mod incremental;
mod model;
mod odd_answers;
mod official;
mod other_tables;
mod parent_search;
mod read_full;
mod reconcile;
mod refusals;
mod remembered;
mod replica;
mod resume;
mod search;
mod selection;
mod shutdown;
mod sign_in;
