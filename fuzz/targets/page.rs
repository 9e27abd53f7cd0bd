//! Any body of a listing: garbage, or rows that are one JSON object on one line each, and that come out as they
//! came in. Knows no stream.

#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use source_asana::asana::Page;
use source_asana::gid::Gid;
use source_asana::sync::row::{self, Probe};

fuzz_target!(|body: &[u8]| {
    let Ok(page) = Page::parse(body.to_vec(), Some(100)) else { return };
    // Half a surrogate pair is no JSON for this reader, and is mended in the rows.
    let whole: Option<Value> = serde_json::from_slice(body).ok();
    let rows = whole.as_ref().map(|whole| whole["data"].as_array().expect("a page has rows"));
    assert!(rows.is_none_or(|rows| rows.len() == page.rows().len()));
    for (index, row) in page.rows().enumerate() {
        assert!(!row.contains(['\n', '\r']));
        let value: Value = match serde_json::from_str(row) {
            Ok(value) => value,
            // JSON, but not for readers whose numbers are floats.
            Err(error) if error.to_string().contains("out of range") => continue,
            Err(error) => panic!("{error}: {row}"),
        };
        assert!(rows.is_none_or(|rows| rows[index] == value));
        let probe = Probe::read(row, &["modified_at", "parent"]).expect("a row is an object");
        row::moment(probe.field(0));
        row::reference(probe.field(1));
        let gid = probe.gid.unwrap_or_else(|| Gid::new("1"));
        let chosen = BTreeSet::from(["gid".to_owned(), "name".to_owned()]);
        let gid = gid.to_string();
        let parent = [("parent_gid", gid.as_str())];
        for (chosen, added) in
            [(None, &parent[..0]), (Some(&chosen), &parent[..0]), (Some(&chosen), &parent[..])]
        {
            let mut output = Vec::new();
            row::shape(row, chosen, added, &mut output).expect("a row is an object");
            let record: Value = serde_json::from_slice(&output).expect("a record is JSON");
            for (column, value) in record.as_object().expect("a record is an object") {
                match column.as_str() {
                    "parent_gid" if !added.is_empty() => assert_eq!(*value, gid),
                    column => assert_eq!(*value, rows_value(row, column)),
                }
            }
        }
    }
});

fn rows_value(row: &str, column: &str) -> Value {
    serde_json::from_str::<Value>(row).expect("a row is JSON")[column].clone()
}
