//! The connector as a library: the binary, the generators, the benchmarks and the fuzz targets stand on it.

mod allocator;
pub mod asana;
pub mod catalog;
pub mod command;
pub mod config;
pub mod emit;
pub mod estimate;
pub mod gid;
pub mod gid_marks;
pub mod listed;
pub mod moment;
pub mod opt_fields;
pub mod plan;
pub mod schema;
pub mod secrets_manager;
pub mod slice_key;
pub mod state;
pub mod stream;
pub mod stream_set;
pub mod streams;
pub mod sync;
mod varint;
pub mod window;
