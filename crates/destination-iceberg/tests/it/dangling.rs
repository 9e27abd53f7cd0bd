//! Dangling position deletes: those of data files that are not in the table any more. Maintenance removes them, since
//! Snowflake can fail on many of them.

use arrow_array::cast::AsArray;
use iceberg::io::FileIO;
use iceberg::spec::{
    DataContentType, FormatVersion, ManifestContentType, ManifestList, ManifestListWriter,
    ManifestWriterBuilder,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::harness::{Destination, Reading, catalog, configured, task, tasks, whole};

/// A commit of another program that removes the table's first data file and keeps the deletes of its rows: the current
/// snapshot is rewritten as if it were that commit's.
fn remove_first_data_file(destination: &Destination) {
    let location = destination.metadata_location("tasks").unwrap();
    let metadata = destination.metadata("tasks").unwrap();
    let snapshot = metadata.current_snapshot().unwrap();
    let file_io = FileIO::new_with_fs();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut rows, mut bytes, mut removed) = (0, 0, None);
    runtime.block_on(async {
        let list = std::fs::read(local(snapshot.manifest_list())).unwrap();
        let list = ManifestList::parse_with_version(&list, FormatVersion::V2).unwrap();
        let output = file_io.new_output(format!("{}/metadata/other.avro", metadata.location())).unwrap();
        let spec = (**metadata.default_partition_spec()).clone();
        let (id, schema) = (snapshot.snapshot_id(), metadata.current_schema().clone());
        let mut writer = ManifestWriterBuilder::new(output, Some(id), schema, spec).build_v2_data();
        let mut manifests = Vec::new();
        let mut entries = Vec::new();
        for manifest in list.entries() {
            let content = manifest.load_manifest(&file_io).await.unwrap();
            if manifest.content == ManifestContentType::Deletes {
                let deletes = content.entries().iter().filter(|entry| entry.is_alive());
                bytes += deletes.map(|entry| entry.data_file().file_size_in_bytes()).sum::<u64>();
                manifests.push(manifest.clone());
            } else {
                entries.extend(content.entries().iter().filter(|entry| entry.is_alive()).cloned());
            }
        }
        entries.sort_by_key(|entry| entry.sequence_number());
        for entry in entries {
            let (file, sequence) = (entry.data_file().clone(), entry.sequence_number().unwrap());
            if removed.is_none() {
                removed = Some(file.record_count());
                continue;
            }
            (rows, bytes) = (rows + file.record_count(), bytes + file.file_size_in_bytes());
            let adder = entry.snapshot_id().unwrap();
            writer.add_existing_file(file, adder, sequence, entry.file_sequence_number).unwrap();
        }
        manifests.push(writer.write_manifest_file().await.unwrap());
        let output = file_io.new_output(snapshot.manifest_list()).unwrap().writer().await.unwrap();
        let mut list = ManifestListWriter::v2(output, id, None, snapshot.sequence_number());
        list.add_manifests(manifests.into_iter()).unwrap();
        list.close().await.unwrap();
    });
    let mut document: Value = serde_json::from_slice(&std::fs::read(local(&location)).unwrap()).unwrap();
    let snapshots = document["snapshots"].as_array_mut().unwrap();
    let of_snapshot = |found: &&mut Value| found["snapshot-id"] == snapshot.snapshot_id();
    let summary = &mut snapshots.iter_mut().find(of_snapshot).unwrap()["summary"];
    summary["total-records"] = json!(rows.to_string());
    summary["total-files-size"] = json!(bytes.to_string());
    summary.as_object_mut().unwrap().remove("airbyte.commit-id");
    summary["deleted-data-files"] = json!("1");
    summary["deleted-records"] = json!(removed.unwrap().to_string());
    std::fs::write(local(&location), document.to_string()).unwrap();
}

fn local(location: &str) -> &str {
    location.strip_prefix("file://").unwrap()
}

/// The names of the data files that the table's delete files delete from, one for each delete.
fn delete_targets(destination: &Destination) -> Vec<String> {
    let files = destination.table_read("tasks", Reading::Unaudited).unwrap().files;
    let mut targets = Vec::new();
    for file in files.iter().filter(|file| file.content_type() == DataContentType::PositionDeletes) {
        let file = std::fs::File::open(local(file.file_path())).unwrap();
        for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
            let paths = batch.unwrap().column(0).as_string::<i32>().clone();
            targets.extend(paths.iter().flatten().map(str::to_owned));
        }
    }
    targets
}

#[test]
fn maintenance_removes_deletes_of_files_that_are_gone() {
    for is_automatic in [false, true] {
        let destination = Destination::new();
        let catalog = catalog(&[tasks("append_dedup")]);
        destination.write(&catalog, &whole("tasks", (0..9).map(|gid| task(gid, 1)))).succeeded();
        let data = (100..150).map(|gid| task(gid, 1)).chain([task(1, 2)]);
        destination.write(&catalog, &whole("tasks", data)).succeeded();
        remove_first_data_file(&destination);
        assert_eq!(delete_targets(&destination).len(), 1);
        let destination = if is_automatic {
            let destination = destination.config(json!({"maintenance_percent": 20}));
            destination.write(&catalog, &whole("tasks", [task(500, 1)])).succeeded();
            destination
        } else {
            destination.with_config(&["maintain"]).succeeded();
            destination
        };
        let table = destination.table("tasks").unwrap();
        assert_eq!(table.position_delete_files, 0, "automatic: {is_automatic}");
        assert_eq!(table.rows.len(), 51 + usize::from(is_automatic));
    }
}

#[test]
fn a_delete_file_loses_the_deletes_of_files_that_are_gone_and_keeps_the_others() {
    // So that no data file is small enough to be joined with another one.
    let destination = Destination::new().config(json!({"target_file_size_mib": 1}));
    let catalog = catalog(&[tasks("append_dedup")]);
    for part in 0..2 {
        let rows = (part * 3000..part * 3000 + 3000).map(|gid| task(gid, 1));
        destination.write(&catalog, &whole("tasks", rows)).succeeded();
    }
    destination.write(&catalog, &whole("tasks", [task(1, 2), task(3001, 2)])).succeeded();
    assert_eq!(delete_targets(&destination).len(), 2);
    remove_first_data_file(&destination);
    let rows = |destination: &Destination| destination.table("tasks").unwrap().rows.len();
    assert_eq!(destination.table_read("tasks", Reading::Unaudited).unwrap().rows.len(), 3001);
    destination.with_config(&["maintain", "--small-file-percent=1"]).succeeded();
    let left = delete_targets(&destination);
    let live: Vec<String> =
        destination.data_files("tasks").iter().map(|file| file.file_path().to_owned()).collect();
    assert!(left.len() == 1 && live.contains(&left[0]), "{left:?} of {live:?}");
    assert_eq!(rows(&destination), 3001);
    // Nothing dangles any more, so there is nothing to do.
    let snapshot = destination.metadata("tasks").unwrap().current_snapshot_id();
    destination.with_config(&["maintain", "--small-file-percent=1"]).succeeded();
    assert_eq!(destination.metadata("tasks").unwrap().current_snapshot_id(), snapshot);
}

#[test]
fn a_commit_that_removes_old_generations_removes_the_deletes_of_their_files() {
    let destination = Destination::new();
    let with_ids = |generation: u64, minimum: u64| {
        let ids =
            json!({"generation_id": generation, "minimum_generation_id": minimum, "sync_id": generation});
        catalog(&[configured(tasks("append_dedup"), ids)])
    };
    destination.write(&with_ids(1, 0), &whole("tasks", (0..9).map(|gid| task(gid, 1)))).succeeded();
    let data = (20..30).map(|gid| task(gid, 1)).chain([task(1, 2)]);
    destination.write(&with_ids(2, 0), &whole("tasks", data)).succeeded();
    assert_eq!(destination.table("tasks").unwrap().position_delete_files, 1);
    destination.write(&with_ids(3, 2), &whole("tasks", [task(40, 1)])).succeeded();
    let table = destination.table("tasks").unwrap();
    assert_eq!((table.rows.len(), table.position_delete_files), (12, 0));
}
