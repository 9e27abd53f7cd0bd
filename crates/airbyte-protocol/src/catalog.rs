//! What a source can read (`Catalog`), and what the platform wants it to read (`ConfiguredCatalog`).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// The answer of `discover`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    pub streams: Vec<Stream>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    pub name: String,
    /// Draft 07, flat: a type for every property, and no `$ref`, because neither platform nor destinations resolve it.
    pub json_schema: Value,
    pub supported_sync_modes: Vec<SyncMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_defined_cursor: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_cursor_field: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_defined_primary_key: Option<Vec<Vec<String>>>,
    /// Whether an interrupted full refresh resumes from its last STATE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_resumable: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncMode {
    FullRefresh,
    Incremental,
}

/// The catalog that a platform passes to `read` and `write`. Unknown keys are ignored, and sync modes are kept as text,
/// because platforms send modes that sources do not know.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(expecting = "an object with `streams`")]
pub struct ConfiguredCatalog {
    pub streams: Vec<ConfiguredStream>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(expecting = "an object with `stream`")]
pub struct ConfiguredStream {
    pub stream: ConfiguredStreamBody,
    #[serde(default, deserialize_with = "null_as_default")]
    pub sync_mode: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub destination_sync_mode: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub cursor_field: Vec<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub primary_key: Vec<Vec<String>>,
    #[serde(default)]
    pub generation_id: Option<i64>,
    #[serde(default)]
    pub minimum_generation_id: Option<i64>,
    #[serde(default)]
    pub sync_id: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(expecting = "an object with `name`")]
pub struct ConfiguredStreamBody {
    pub name: String,
    #[serde(default)]
    pub namespace: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub json_schema: Map<String, Value>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub source_defined_primary_key: Vec<Vec<String>>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub default_cursor_field: Vec<String>,
}

impl ConfiguredStream {
    /// Whether the stream is read incrementally. Every mode except `incremental` is a full refresh.
    pub fn is_incremental(&self) -> bool {
        self.sync_mode.eq_ignore_ascii_case("incremental")
    }
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_catalog_with_nulls_unknown_keys_and_unknown_modes_is_read() {
        let catalog: ConfiguredCatalog = serde_json::from_value(json!({"extra": 1, "streams": [
            {"stream": {"name": "tasks", "json_schema": null, "namespace": null, "is_resumable": true},
             "sync_mode": "INVALID", "destination_sync_mode": "soft_delete", "cursor_field": null,
             "primary_key": null, "generation_id": null},
            {"stream": {"name": "users"}, "sync_mode": "incremental"}]}))
        .unwrap();
        assert!(!catalog.streams[0].is_incremental());
        assert!(catalog.streams[1].is_incremental());
        assert_eq!(catalog.streams[1].destination_sync_mode, "");
    }
}
