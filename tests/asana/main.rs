//! `src/asana` from outside: its pace against simulated quotas, its requests against servers that misbehave.

mod pace;
mod profiles;
