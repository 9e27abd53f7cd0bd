//! Bounds of files with several row groups: what readers and upserts skip files by.

use iceberg::io::FileIO;
use iceberg::spec::{DataFileBuilder, Datum, ManifestListWriter, ManifestWriterBuilder};
use serde_json::{Value, json};

use crate::harness::{Destination, Reading, catalog, record, state, status, task, tasks, whole};

/// About three kilobytes that do not compress, the same at every run.
fn noise(seed: u64) -> String {
    let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..190)
        .map(|_| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            format!("{random:016x}")
        })
        .collect()
}

fn with_notes(mut stream: Value) -> Value {
    stream["stream"]["json_schema"]["properties"]["notes"] = json!({"type": ["null", "string"]});
    stream
}

/// The case in which readers lost rows: names and tags above those of the first row group.
fn call(number: u64) -> Value {
    let mut data = task(number, 1);
    data["notes"] = json!(noise(number));
    let (name, tags) = if number < 10_500 {
        (format!("Call client {number}"), json!([]))
    } else {
        (format!("Позвонить клиенту и обсудить с ним договор поставки № {number}"), json!([{"gid": "1"}]))
    };
    data["name"] = json!(name);
    data["tags"] = tags;
    data
}

#[test]
fn bounds_cover_every_row_group_of_a_file() {
    let destination = Destination::new();
    let records = (0..14_000).map(call);
    destination.write(&catalog(&[with_notes(tasks("overwrite"))]), &whole("tasks", records)).succeeded();
    let table = destination.table("tasks").unwrap();
    let files = destination.data_files("tasks");
    assert_eq!((table.rows.len(), files.len()), (14_000, 1));
    let file = &files[0];
    assert!(file.split_offsets().unwrap().len() > 1, "several row groups");
    let id = |name: &str| table.metadata.current_schema().field_id_by_name(name).unwrap();
    let (name, tags) = (id("name"), id("tags"));
    assert_eq!(file.lower_bounds()[&name], Datum::string("Call client 0"));
    // Truncated to 64 bytes, which end in a space, and the space moved on by one.
    assert_eq!(file.upper_bounds()[&name], Datum::string("Позвонить клиенту и обсудить с ним!"));
    assert_eq!(file.upper_bounds()[&tags], Datum::string(r#"[{"gid":"1"}]"#));
    assert_eq!(file.lower_bounds()[&tags], Datum::string("[]"));

    destination.with_config(&["maintain"]).succeeded();
    assert_eq!(
        destination.table("tasks").unwrap().rows.len(),
        14_000,
        "and bounds that maintain wrote hold too"
    );
}

#[test]
fn an_upsert_finds_a_long_key_in_the_first_of_several_row_groups() {
    let destination = Destination::new();
    let catalog = catalog(&[with_notes(tasks("append_dedup"))]);
    let long_key = format!("0{}", "k".repeat(99));
    let row = |number: u64| {
        let mut data = call(number + 20_000);
        if number == 0 {
            data["gid"] = json!(long_key);
        }
        data
    };
    destination.write(&catalog, &whole("tasks", (0..12_000).map(row))).succeeded();
    assert!(destination.data_files("tasks")[0].split_offsets().unwrap().len() > 1, "several row groups");
    let mut changed = row(0);
    changed["name"] = json!("changed");
    changed["modified_at"] = json!("2026-05-05T05:05:05Z");
    destination.write(&catalog, &whole("tasks", [changed])).succeeded();
    let table = destination.table("tasks").unwrap();
    assert_eq!(table.rows.len(), 12_000);
    let names: Vec<&Value> =
        table.rows.iter().filter(|row| row["gid"] == *long_key).map(|row| &row["name"]).collect();
    assert_eq!(names, ["changed"]);
}

/// What an earlier version left: files named by a bare UUID, with bounds of the first row group alone.
#[test]
fn bounds_of_earlier_versions_are_not_trusted_and_maintain_rewrites_their_files() {
    let destination = Destination::new();
    let catalog = catalog(&[with_notes(tasks("append_dedup"))]);
    destination.write(&catalog, &whole("tasks", (0..12_000).map(|number| call(number + 20_000)))).succeeded();
    falsify_bounds(&destination);
    let file = &destination.data_files("tasks")[0];
    let key = destination.metadata("tasks").unwrap().current_schema().field_id_by_name("gid").unwrap();
    assert_eq!(file.upper_bounds()[&key], Datum::string("0"), "the bounds are wrong");
    let mut changed = call(20_001);
    changed["modified_at"] = json!("2026-05-05T05:05:05Z");
    let lines = [record("tasks", &changed), state("tasks", 1), status("tasks", "COMPLETE")];
    destination.write(&catalog, &lines).succeeded();
    let count = destination.table_read("tasks", Reading::Unaudited).unwrap().rows.len();
    assert_eq!(count, 12_000, "the upsert found the row in spite of the bounds");
    destination.with_config(&["maintain"]).succeeded();
    let files = destination.data_files("tasks");
    assert!(files.iter().all(|file| file.upper_bounds()[&key] != Datum::string("0")), "{files:?}");
    assert_eq!(destination.table("tasks").unwrap().rows.len(), 12_000);
}

/// Renames the table's data files to bare UUIDs and replaces their upper bounds by "0", as if the first row group had
/// held nothing else.
fn falsify_bounds(destination: &Destination) {
    let table = destination.table("tasks").unwrap();
    let metadata = &table.metadata;
    let snapshot = metadata.current_snapshot().unwrap();
    let schema = metadata.current_schema().clone();
    let key = schema.field_id_by_name("gid").unwrap();
    let files = destination.data_files("tasks");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = format!("{}/metadata", metadata.location());
    let file_io = FileIO::new_with_fs();
    runtime.block_on(async {
        let output = file_io.new_output(format!("{folder}/false.avro")).unwrap();
        let spec = (**metadata.default_partition_spec()).clone();
        let id = snapshot.snapshot_id();
        let mut writer = ManifestWriterBuilder::new(output, Some(id), schema, spec).build_v2_data();
        for (number, file) in files.iter().enumerate() {
            let path = file.file_path().strip_prefix("file://").unwrap();
            let new = format!("{}/data/0190a6c4-1111-7000-8000-{number:012}.parquet", metadata.location());
            std::fs::rename(path, new.strip_prefix("file://").unwrap()).unwrap();
            let entry = DataFileBuilder::default()
                .content(file.content_type())
                .file_path(new)
                .file_format(file.file_format())
                .record_count(file.record_count())
                .file_size_in_bytes(file.file_size_in_bytes())
                .split_offsets(file.split_offsets().map(<[i64]>::to_vec))
                .lower_bounds([(key, Datum::string("0"))].into())
                .upper_bounds([(key, Datum::string("0"))].into())
                .build()
                .unwrap();
            const INHERITED: i64 = -1;
            writer.add_file(entry, INHERITED).unwrap();
        }
        let manifest = writer.write_manifest_file().await.unwrap();
        let output = file_io.new_output(snapshot.manifest_list()).unwrap().writer().await.unwrap();
        let mut list = ManifestListWriter::v2(output, id, None, snapshot.sequence_number());
        list.add_manifests(std::iter::once(manifest)).unwrap();
        list.close().await.unwrap();
    });
}
