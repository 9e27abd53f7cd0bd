//! The connector as a library: the binary, the generators, the benchmarks and the fuzz targets stand on it.

pub mod asana;
pub mod opt_fields;
pub mod schema;
pub mod stream;
pub mod streams;
