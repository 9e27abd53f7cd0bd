//! `src/asana` from outside: its pace against simulated quotas, its requests against servers that misbehave.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod faults;
mod http;
mod listings;
mod pace;
mod profiles;
mod server;
mod surroundings;
