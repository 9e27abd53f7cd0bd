//! The destination's binary: arguments in, exit code out.

mod acknowledgement;
mod automatic_maintenance;
mod batch;
mod bounds;
mod catalog;
mod check;
mod column;
mod command;
mod commit;
mod compact;
mod config;
mod data_file;
mod deletion;
mod expiry;
mod failure;
mod generations;
mod intake;
mod json_schema;
mod key;
mod locate;
mod maintain;
mod moment;
mod naming;
mod number;
mod orphans;
mod parquet_columns;
mod parquet_file;
mod plan;
mod position_deletes;
mod positions;
mod purge;
mod raw_rows;
mod rewrite;
mod snapshot;
mod snowflake;
mod spill;
mod storage;
mod stream_writer;
mod table;
mod table_memory;
mod table_schema;
mod upsert;
mod value;
mod write;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Every HTTP client takes its cryptography from here. It fails only where a provider is installed already.
    drop(rustls::crypto::ring::default_provider().install_default());
    command::run(command::Arguments::parse())
}
