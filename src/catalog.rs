//! The catalog that `discover` prints, from the table of streams.

use airbyte_protocol::catalog::{Catalog, Stream as CatalogStream, SyncMode};

use crate::schema;
use crate::stream::{Cursor, Stream};
use crate::streams::ALL;

/// All streams.
pub fn discovered() -> Catalog {
    of(ALL)
}

/// The streams of a table.
pub fn of(table: &[&Stream]) -> Catalog {
    Catalog { streams: table.iter().map(|stream| entry(stream)).collect() }
}

fn entry(stream: &Stream) -> CatalogStream {
    let is_incremental = stream.cursor != Cursor::None;
    let mut supported_sync_modes = vec![SyncMode::FullRefresh];
    supported_sync_modes.extend(is_incremental.then_some(SyncMode::Incremental));
    CatalogStream {
        name: stream.name.to_owned(),
        json_schema: schema::published(stream),
        supported_sync_modes,
        source_defined_cursor: is_incremental.then_some(true),
        default_cursor_field: schema::cursor(stream).map(|field| vec![field.to_owned()]),
        source_defined_primary_key: Some(
            stream.primary_key.iter().map(|column| vec![(*column).to_owned()]).collect(),
        ),
        is_resumable: Some(true),
    }
}
