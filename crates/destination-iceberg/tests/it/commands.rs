//! `spec` and `check`, and input that cannot be written.

use crate::harness::{Destination, catalog, configured, record, state, status, task, tasks, whole};
use serde_json::json;

#[test]
fn spec_is_a_schema_with_the_modes() {
    let run = Destination::new().run(&["spec"]).succeeded();
    let spec = &run.messages[0]["spec"];
    assert_eq!(spec["connectionSpecification"]["required"], json!(["catalog"]));
    let modes = json!(["overwrite", "append", "append_dedup", "overwrite_dedup"]);
    assert_eq!(spec["supported_destination_sync_modes"], modes);
    assert_eq!(spec["protocol_version"], "0.2.0");
}

/// Rewrites the file if it is stale, so that a second run passes.
#[test]
fn spec_json_is_what_spec_prints() {
    let run = Destination::new().run(&["spec"]).succeeded();
    let printed = format!("{:#}\n", run.messages[0]["spec"]);
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("spec.json");
    if std::fs::read_to_string(&file).unwrap_or_default() != printed {
        std::fs::write(&file, printed).unwrap();
        panic!("{} was stale and is rewritten; look at the change and commit it", file.display());
    }
}

#[test]
fn check_tries_everything_and_leaves_nothing() {
    let destination = Destination::new();
    let run = destination.with_config(&["check"]).succeeded();
    assert_eq!(run.messages[0]["connectionStatus"]["status"], "SUCCEEDED");
    let left: Vec<_> = destination.files().into_iter().filter(|file| !file.ends_with("catalog.db")).collect();
    assert_eq!(left, [] as [std::path::PathBuf; 0]);
    let entries = std::fs::read_dir(destination.warehouse()).unwrap();
    let entries: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(entries, ["catalog.db"], "not even a folder is left");
    // Beside a table it leaves alone what is the table's.
    destination.write(&catalog(&[tasks("append")]), &whole("tasks", [task(1, 1)])).succeeded();
    let before = destination.files();
    destination.with_config(&["check"]).succeeded();
    assert_eq!(destination.files(), before);
}

#[test]
fn check_fails_with_a_word_and_exit_code_zero() {
    for catalog in [
        json!({"type": "embedded", "warehouse": "relative/folder"}),
        json!({"type": "embedded", "warehouse": "/dev/null/warehouse"}),
        json!({"type": "embedded", "warehouse": "gopher://bucket/x", "database": "/tmp/never-made.db"}),
        json!({"type": "embedded", "warehouse": "s3://bucket/x"}),
        json!({"type": "rest", "uri": "no address"}),
    ] {
        let destination = Destination::new().config(json!({"catalog": catalog}));
        let run = destination.with_config(&["check"]).succeeded();
        let status = &run.messages[0]["connectionStatus"];
        assert_eq!(status["status"], "FAILED", "{catalog}");
        assert!(status["message"].as_str().unwrap().len() > 20, "{status}");
    }
}

#[test]
fn a_source_that_breaks_off_fails_the_sync_and_keeps_what_came() {
    let destination = Destination::new();
    let lines = [record("tasks", &task(1, 1)), state("tasks", 1), record("tasks", &task(2, 1))];
    let run = destination.write(&catalog(&[tasks("append_dedup")]), &lines);
    assert_eq!(run.exit_code, Some(1));
    assert_eq!(run.error().0, "transient_error");
    assert!(run.error().1.contains("tasks"));
    assert_eq!(run.states(), [&json!({"number": 1})]);
    assert_eq!(destination.column("tasks", "gid"), [json!("1"), json!("2")]);
}

#[test]
fn a_line_that_would_be_lost_stops_the_sync_and_other_lines_do_not() {
    let destination = Destination::new();
    let mut lines = vec!["plain text\n".to_owned(), r#"{"type":"LOG","log":{}}"#.to_owned() + "\n"];
    lines.extend(whole("tasks", [task(1, 1)]));
    destination.write(&catalog(&[tasks("append")]), &lines).succeeded();
    assert_eq!(destination.column("tasks", "gid").len(), 1);

    lines = vec![record("tasks", &task(2, 1)), r#"{"type":"RECORD","record":{"stream":"#.to_owned() + "\n"];
    let run = destination.write(&catalog(&[tasks("append")]), &lines);
    assert_eq!((run.exit_code, run.error().0), (Some(1), "system_error"));
    assert_eq!(destination.column("tasks", "gid").len(), 2, "what came before it is good");

    let cut_off = [whole("tasks", [task(3, 1)]), vec![r#"{"type":"RECORD","rec"#.to_owned()]].concat();
    destination.write(&catalog(&[tasks("append")]), &cut_off).succeeded();
}

#[test]
fn records_of_unknown_or_finished_streams_stop_the_sync() {
    let destination = Destination::new();
    let run = destination.write(&catalog(&[tasks("append")]), &[record("users", &task(1, 1))]);
    assert!(run.error().1.contains("users"), "{run:?}");
    let late = [whole("tasks", []), vec![record("tasks", &task(1, 1))]].concat();
    let run = destination.write(&catalog(&[tasks("append")]), &late);
    assert!(run.error().1.contains("complete"), "{run:?}");
}

#[test]
fn a_catalog_that_cannot_be_done_is_refused_before_a_table_is_made() {
    let destination = Destination::new();
    let keyless = configured(tasks("append_dedup"), json!({"primary_key": [["nowhere"]]}));
    let run = destination.write(&catalog(&[tasks("append"), keyless]), &[]);
    assert_eq!(run.error().0, "config_error");
    assert!(destination.files_or_none().is_empty());
}

#[test]
fn an_incomplete_stream_keeps_its_rows_and_fails_the_sync() {
    let destination = Destination::new();
    let lines = [record("tasks", &task(1, 1)), state("tasks", 1), status("tasks", "INCOMPLETE")];
    let run = destination.write(&catalog(&[tasks("append")]), &lines);
    assert_eq!((run.exit_code, run.states().len()), (Some(1), 1));
    assert_eq!(destination.column("tasks", "gid").len(), 1);
}
