//! The table of all streams, parents before children. Knows how nothing is fetched.

use crate::stream::Stream;

pub mod shared;

pub mod projects;
pub mod sections;
pub mod workspaces;

/// Every stream. Adding one is a file and a line here.
pub static ALL: &[&Stream] = &[&workspaces::STREAM, &projects::STREAM, &sections::STREAM];
