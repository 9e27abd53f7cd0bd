//! Recomputes what a snapshot's manifests say from the data and delete files themselves. Knows the specification, not
//! the destination.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field};
use iceberg::io::FileIO;
use iceberg::spec::{
    DataContentType, DataFile, Datum, ManifestContentType, ManifestFile, ManifestList, ManifestStatus,
    PrimitiveLiteral, Snapshot, TableMetadata,
};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

const DELETED_FILE_ID: i32 = 2_147_483_546;
const DELETED_POSITION_ID: i32 = 2_147_483_545;

/// Checks every count, bound, size, sequence number and summary of the snapshot.
pub async fn audit(
    metadata: &TableMetadata,
    snapshot: &Snapshot,
    manifests: &ManifestList,
    file_io: &FileIO,
) {
    let mut live: HashMap<String, (DataFile, i64)> = HashMap::new();
    let mut totals = Totals::default();
    for manifest in manifests.entries() {
        audit_manifest(metadata, snapshot, manifest, file_io, &mut live, &mut totals).await;
    }
    for (file, _) in live.values() {
        audit_file(file);
    }
    audit_deletes(&live);
    let summary = &snapshot.summary().additional_properties;
    for (name, count) in totals.0 {
        let said = summary.get(name).map_or("0", String::as_str);
        assert_eq!(said, count.to_string(), "{name} of snapshot {}", snapshot.snapshot_id());
    }
    let newest = metadata.snapshots().map(|snapshot| snapshot.sequence_number()).max();
    assert!(newest.is_none_or(|newest| newest <= metadata.last_sequence_number()));
}

/// A snapshot's summary, by its keys.
struct Totals(BTreeMap<&'static str, u64>);

impl Default for Totals {
    fn default() -> Self {
        Self(
            [
                "total-data-files",
                "total-records",
                "total-delete-files",
                "total-position-deletes",
                "total-equality-deletes",
                "total-files-size",
                "added-data-files",
                "added-records",
                "added-delete-files",
                "added-position-delete-files",
                "added-position-deletes",
                "added-files-size",
                "deleted-data-files",
                "deleted-records",
                "removed-delete-files",
                "removed-position-delete-files",
                "removed-position-deletes",
                "removed-files-size",
            ]
            .map(|name| (name, 0))
            .into(),
        )
    }
}

impl Totals {
    fn add(&mut self, counts: &[(&'static str, u64)]) {
        for (name, count) in counts {
            *self.0.get_mut(name).unwrap() += count;
        }
    }

    fn file(&mut self, file: &DataFile, names: &Names) {
        let is_data = file.content_type() == DataContentType::Data;
        let (rows, size) = (file.record_count(), file.file_size_in_bytes());
        self.add(&[(names.size, size)]);
        if is_data {
            self.add(&[(names.data_files, 1), (names.records, rows)]);
        } else {
            names.delete_files.iter().for_each(|name| self.add(&[(name, 1)]));
            self.add(&[(names.deletes, rows)]);
        }
    }
}

/// The summary's keys for one kind of change.
struct Names {
    data_files: &'static str,
    records: &'static str,
    delete_files: &'static [&'static str],
    deletes: &'static str,
    size: &'static str,
}

const TOTAL: Names = Names {
    data_files: "total-data-files",
    records: "total-records",
    delete_files: &["total-delete-files"],
    deletes: "total-position-deletes",
    size: "total-files-size",
};
const ADDED: Names = Names {
    data_files: "added-data-files",
    records: "added-records",
    delete_files: &["added-delete-files", "added-position-delete-files"],
    deletes: "added-position-deletes",
    size: "added-files-size",
};
const REMOVED: Names = Names {
    data_files: "deleted-data-files",
    records: "deleted-records",
    delete_files: &["removed-delete-files", "removed-position-delete-files"],
    deletes: "removed-position-deletes",
    size: "removed-files-size",
};

async fn audit_manifest(
    metadata: &TableMetadata,
    snapshot: &Snapshot,
    manifest: &ManifestFile,
    file_io: &FileIO,
    live: &mut HashMap<String, (DataFile, i64)>,
    totals: &mut Totals,
) {
    let path = &manifest.manifest_path;
    let size = std::fs::metadata(local(path)).unwrap().len();
    assert_eq!(manifest.manifest_length as u64, size, "{path}");
    let loaded = manifest.load_manifest(file_io).await.unwrap();
    let mut counts = [(0_u32, 0_u64); 3];
    let mut oldest = None;
    for entry in loaded.entries() {
        let file = entry.data_file();
        let (files, rows) = &mut counts[entry.status() as usize];
        *files += 1;
        *rows += file.record_count();
        let is_data = file.content_type() == DataContentType::Data;
        assert_eq!(is_data, manifest.content == ManifestContentType::Data, "{path}: {}", file.file_path());
        let sequence = entry.sequence_number().unwrap();
        assert!(sequence <= manifest.sequence_number, "{path}: {}", file.file_path());
        // Another writer's snapshot may be gone; where it is not, the file has its sequence number.
        let adder = metadata.snapshot_by_id(entry.snapshot_id().unwrap());
        if let Some(adder) = adder.filter(|_| entry.status() != ManifestStatus::Deleted) {
            assert_eq!(entry.file_sequence_number, Some(adder.sequence_number()), "{}", file.file_path());
            assert!(sequence <= adder.sequence_number(), "{}", file.file_path());
        }
        if entry.is_alive() {
            oldest = Some(oldest.map_or(sequence, |oldest: i64| oldest.min(sequence)));
            let twice = live.insert(file.file_path().to_owned(), (file.clone(), sequence));
            assert!(twice.is_none(), "{} is live twice", file.file_path());
            totals.file(file, &TOTAL);
        }
        if entry.snapshot_id() == Some(snapshot.snapshot_id()) {
            match entry.status() {
                ManifestStatus::Added => totals.file(file, &ADDED),
                ManifestStatus::Deleted => totals.file(file, &REMOVED),
                ManifestStatus::Existing => panic!("{} was added by this snapshot", file.file_path()),
            }
        }
    }
    let count = |status: ManifestStatus| counts[status as usize];
    let said = |files: Option<u32>, rows: Option<u64>| {
        (files.expect("a count of files"), rows.expect("a count of rows"))
    };
    let (added, existing, deleted) = (
        said(manifest.added_files_count, manifest.added_rows_count),
        said(manifest.existing_files_count, manifest.existing_rows_count),
        said(manifest.deleted_files_count, manifest.deleted_rows_count),
    );
    assert_eq!(added, count(ManifestStatus::Added), "added, {path}");
    assert_eq!(existing, count(ManifestStatus::Existing), "existing, {path}");
    assert_eq!(deleted, count(ManifestStatus::Deleted), "deleted, {path}");
    if let Some(oldest) = oldest {
        assert_eq!(manifest.min_sequence_number, oldest, "{path}");
    }
    assert!(manifest.sequence_number <= snapshot.sequence_number(), "{path}");
}

/// What a column of a file holds.
#[derive(Default)]
struct Column {
    values: u64,
    nulls: u64,
    nans: u64,
    extremes: Option<(Datum, Datum)>,
}

fn audit_file(file: &DataFile) {
    let path = file.file_path();
    let size = std::fs::metadata(local(path)).unwrap().len();
    assert_eq!(file.file_size_in_bytes(), size, "{path}");
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(local(path)).unwrap()).unwrap();
    let footer = reader.metadata().clone();
    let mut sizes: HashMap<i32, u64> = HashMap::new();
    for group in footer.row_groups() {
        for chunk in group.columns() {
            let id = chunk.column_descr().self_type().get_basic_info().id();
            *sizes.entry(id).or_default() += chunk.compressed_size() as u64;
        }
    }
    assert_eq!(*file.column_sizes(), sizes, "{path}");
    let offsets: Vec<i64> = footer.row_groups().iter().map(|group| group.file_offset().unwrap()).collect();
    assert_eq!(file.split_offsets(), Some(&offsets[..]), "{path}");
    let mut rows = 0;
    let mut columns: HashMap<i32, Column> = HashMap::new();
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        rows += batch.num_rows() as u64;
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            visit(field, array, &vec![false; batch.num_rows()], &mut columns);
        }
    }
    assert_eq!(file.record_count(), rows, "{path}");
    let of = |counts: fn(&Column) -> u64| -> HashMap<i32, u64> {
        columns.iter().map(|(id, column)| (*id, counts(column))).collect()
    };
    assert_eq!(*file.value_counts(), of(|column| column.values), "{path}");
    assert_eq!(*file.null_value_counts(), of(|column| column.nulls), "{path}");
    for (id, nans) in file.nan_value_counts() {
        assert_eq!(*nans, columns[id].nans, "NaNs of column {id} in {path}");
    }
    let whole = file.content_type() == DataContentType::PositionDeletes;
    for (id, column) in &columns {
        let bounds = (file.lower_bounds().get(id), file.upper_bounds().get(id));
        match (&column.extremes, bounds) {
            (None, bounds) => assert_eq!(bounds, (None, None), "column {id} of {path} has no value"),
            (Some((low, high)), (lower, upper)) => {
                let lower = lower.unwrap_or_else(|| panic!("column {id} of {path} has no lower bound"));
                let text = |datum: &Datum| match datum.literal() {
                    PrimitiveLiteral::String(text) => Some(text.clone()),
                    _ => None,
                };
                match (text(low), text(high)) {
                    (Some(low), Some(high)) if !whole => {
                        let lower = text(lower).unwrap();
                        assert!(low.starts_with(&lower), "column {id} of {path}: {lower} is not below {low}");
                        // Nothing short exceeds a text of the largest characters only.
                        let Some(upper) = upper else {
                            assert!(
                                high.starts_with('\u{10FFFF}'),
                                "column {id} of {path} has no upper bound"
                            );
                            continue;
                        };
                        let upper = text(upper).unwrap();
                        assert!(upper >= high, "column {id} of {path}: {upper} is not above {high}");
                        assert!(lower.len() <= 64 && upper.len() <= 68, "{path}: {lower} to {upper}");
                        assert!(high.len() > 64 || upper == high, "{path}: {upper} is not tight");
                    }
                    _ => assert_eq!((lower, upper), (low, Some(high)), "column {id} of {path}"),
                }
            }
        }
    }
    let known: HashSet<&i32> = columns.keys().collect();
    let bounded = file.lower_bounds().keys().chain(file.upper_bounds().keys());
    assert!(
        bounded.clone().all(|id| known.contains(id)),
        "{path} has bounds of columns that it does not have"
    );
}

/// Adds the values of a column, and of those inside of it but for lists.
fn visit(field: &Field, array: &ArrayRef, absent: &[bool], columns: &mut HashMap<i32, Column>) {
    let null = |row: usize| absent[row] || array.is_null(row);
    match array.data_type() {
        DataType::Struct(fields) => {
            let absent: Vec<bool> = (0..array.len()).map(null).collect();
            for (field, array) in fields.iter().zip(array.as_struct().columns()) {
                visit(field, array, &absent, columns);
            }
        }
        DataType::List(_) => {}
        _ => {
            let id = field.metadata()[PARQUET_FIELD_ID_META_KEY].parse().unwrap();
            let column = columns.entry(id).or_default();
            for row in 0..array.len() {
                column.values += 1;
                if null(row) {
                    column.nulls += 1;
                    continue;
                }
                let datum = datum(array, row);
                if datum.is_nan() {
                    column.nans += 1;
                    continue;
                }
                column.extremes = Some(match column.extremes.take() {
                    None => (datum.clone(), datum),
                    Some((low, high)) if datum < low => (datum, high),
                    Some((low, high)) if datum > high => (low, datum),
                    Some(both) => both,
                });
            }
        }
    }
}

fn datum(array: &ArrayRef, row: usize) -> Datum {
    match array.data_type() {
        DataType::Utf8 => Datum::string(array.as_string::<i32>().value(row)),
        DataType::Boolean => Datum::bool(array.as_boolean().value(row)),
        DataType::Int32 => Datum::int(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => Datum::long(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => Datum::float(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => Datum::double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Date32 => Datum::date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(_, zone) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            if zone.is_some() { Datum::timestamptz_micros(micros) } else { Datum::timestamp_micros(micros) }
        }
        other => panic!("no test has a column of {other}"),
    }
}

/// Every delete is of a row that is there, of a file not younger than it, and its file says which files it is of.
fn audit_deletes(live: &HashMap<String, (DataFile, i64)>) {
    for (file, sequence) in live.values().filter(|(file, _)| file.content_type() != DataContentType::Data) {
        let path = file.file_path();
        assert_eq!(file.content_type(), DataContentType::PositionDeletes, "{path}");
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(local(path)).unwrap()).unwrap();
        let mut last: Option<(String, i64)> = None;
        let mut files: HashSet<String> = HashSet::new();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let paths = batch.column(0).as_string::<i32>();
            let positions = batch.column(1).as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                let place = (paths.value(row).to_owned(), positions.value(row));
                assert!(last.as_ref().is_none_or(|last| *last < place), "{path} is not sorted");
                let target = live.get(&place.0);
                let (data, data_sequence) = target.unwrap_or_else(|| panic!("{path}: {} is gone", place.0));
                assert!(data_sequence <= sequence, "{path} is older than {}", place.0);
                assert!((0..data.record_count() as i64).contains(&place.1), "{path}: {place:?}");
                files.insert(place.0.clone());
                last = Some(place);
            }
        }
        let only = (files.len() == 1).then(|| files.into_iter().next().unwrap());
        assert_eq!(file.referenced_data_file(), only, "{path}");
        assert!(file.lower_bounds().contains_key(&DELETED_FILE_ID), "{path}");
        assert!(file.lower_bounds().contains_key(&DELETED_POSITION_ID), "{path}");
    }
}

fn local(location: &str) -> &str {
    location.strip_prefix("file://").unwrap()
}
