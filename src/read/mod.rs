//! Walks the plan: every listing fetched once, slice by slice, records and checkpoints as events. Knows no
//! particular stream, no protocol JSON, no status codes and no token.

mod report;
mod row;
mod slices;
mod type_check;
mod visit;
mod walk;

pub use report::{Account, grouped};
pub use walk::{Outcome, Walk};
