//! What Snowflake has to be told after a commit, where it reads metadata files instead of a catalog. Pure.

use iceberg::TableIdent;

use crate::storage::scheme;

/// The statement by which a Snowflake table over an object store takes up a commit; nothing for files that
/// Snowflake cannot reach.
///
/// Snowflake wants the path relative to its external volume; the one given here is relative to the bucket, which
/// is right for a volume over the whole bucket.
pub fn refresh_statement(
    ident: &TableIdent,
    metadata_location: &str,
    table_location: &str,
) -> Option<String> {
    if scheme(table_location) == "file" || !metadata_location.contains("://") {
        return None;
    }
    let (_, path) = metadata_location.split_once("://")?;
    let (_bucket, path) = path.split_once('/')?;
    let namespace = quoted(&ident.namespace().to_string());
    Some(format!(
        "ALTER ICEBERG TABLE {namespace}.{} REFRESH '{}';",
        quoted(ident.name()),
        path.replace('\'', "''")
    ))
}

/// An identifier as Snowflake takes it with its case and all its characters.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_on_an_object_store_is_told_to_snowflake() {
        let ident = TableIdent::from_strs(["airbyte", "odd \"name\""]).unwrap();
        let metadata = "s3://bucket/asana/t-1/metadata/00001-x.metadata.json";
        assert_eq!(
            refresh_statement(&ident, metadata, "s3://bucket/asana/t-1").as_deref(),
            Some(
                "ALTER ICEBERG TABLE \"airbyte\".\"odd \"\"name\"\"\" REFRESH \
                 'asana/t-1/metadata/00001-x.metadata.json';"
            )
        );
        assert_eq!(refresh_statement(&ident, "file:///w/t/metadata/x.json", "file:///w/t"), None);
    }
}
