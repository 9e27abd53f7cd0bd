//! How deletions are found: by Asana's events, by asking for records that their listing no longer shows, and once a day by
//! comparing what is stored with what exists.

pub mod conversions;
pub mod deleted;
pub mod deleted_parent;
pub mod events;
pub mod existence;
pub mod inventory;
pub mod missing;
pub mod out_of_sight;
pub mod reconcile;
pub mod sighting;
pub mod tombstones;
pub mod tree;
pub mod unseen;
