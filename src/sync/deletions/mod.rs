//! How deletions come to light: by Asana's events, and by asking for records that their listing no longer shows.

pub mod conversions;
pub mod deleted;
pub mod doubt;
pub mod events;
pub mod missing;
pub mod tombstones;
