//! What stays when the destination dies at any moment, and when two of them write at once.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};

use serde_json::{Value, json};

use crate::harness::{Destination, catalog, record, state, status, task, tasks, versions};

const RECORDS_A_STATE: u64 = 20;
const STATES: u64 = 12;

/// The lines of a source that goes on after the given state: changes of rows, each state naming how far it is.
fn lines_after(done: u64) -> Vec<String> {
    let mut lines = Vec::new();
    for number in done + 1..=STATES {
        // The same thirty rows again and again, so that what is written twice would show.
        let gids = (0..RECORDS_A_STATE).map(|place| (number * 7 + place) % 30);
        lines.extend(gids.map(|gid| record("tasks", &task(gid, number))));
        lines.push(state("tasks", number));
    }
    lines.push(status("tasks", "COMPLETE"));
    lines
}

fn world() -> BTreeMap<String, Value> {
    let mut rows = BTreeMap::new();
    for number in 1..=STATES {
        for place in 0..RECORDS_A_STATE {
            rows.insert(((number * 7 + place) % 30).to_string(), json!(number));
        }
    }
    rows
}

fn state_number(line: &str) -> Option<u64> {
    let message: Value = serde_json::from_str(line).ok()?;
    message["state"]["stream"]["stream_state"]["number"].as_u64()
}

/// Kills the destination after `lines` lines of input or `states` states of output, whatever comes first, and
/// returns the last state that came out.
fn killed_after(destination: &Destination, input: &[String], lines: usize, states: usize) -> Option<u64> {
    let mut child = destination.start_write(&catalog(&[tasks("append_dedup")]));
    let mut stdin = child.stdin.take().unwrap();
    let text = input[..lines.min(input.len())].concat();
    stdin.write_all(text.as_bytes()).unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut last = None;
    let mut seen = 0;
    let mut line = String::new();
    while seen < states {
        line.clear();
        if stdout.read_line(&mut line).unwrap() == 0 {
            break;
        }
        if let Some(number) = state_number(&line) {
            (last, seen) = (Some(number), seen + 1);
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had said before it died was said.
    for line in stdout.lines() {
        last = state_number(&line.unwrap()).or(last);
    }
    last
}

#[test]
fn killed_again_and_again_and_restarted_from_its_last_state_it_ends_as_the_world() {
    for deletes in ["position_deletes", "copy_on_write"] {
        kill_again_and_again(deletes);
    }
}

fn kill_again_and_again(deletes: &str) {
    let destination = Destination::new().config(json!({"maintenance_percent": 100, "deletes": deletes}));
    let mut done = 0;
    // Pairs of lines fed and states awaited: within the first batch, between a commit and its state, in a later
    // one. The lines always hold as many states as are awaited.
    for (lines, states) in [(5, 0), (21, 0), (21, 1), (60, 1), (63, 2), (22, 1), (110, 0), (45, 2)] {
        done = killed_after(&destination, &lines_after(done), lines, states).unwrap_or(done);
        let Some(table) = destination.table("tasks") else { continue };
        // Readable after every crash, never behind what was acknowledged, and without doubles.
        let found = versions(&table);
        for gid in (0..RECORDS_A_STATE).map(|place| (done * 7 + place) % 30) {
            if done > 0 {
                assert!(found[&gid.to_string()].as_u64().unwrap() >= done, "{gid} after state {done}");
            }
        }
    }
    assert!(done >= 4, "the states that were waited for came out");
    destination.write(&catalog(&[tasks("append_dedup")]), &lines_after(done)).succeeded();
    assert_eq!(versions(&destination.table("tasks").unwrap()), world());
}

#[test]
fn a_state_comes_out_while_the_input_is_still_open() {
    let destination = Destination::new();
    let lines = lines_after(0);
    let last = killed_after(&destination, &lines, RECORDS_A_STATE as usize + 1, 1);
    assert_eq!(last, Some(1), "without more input, and without its end");
}

#[test]
fn two_writers_of_one_table_lose_nothing_and_double_nothing() {
    for deletes in ["position_deletes", "copy_on_write"] {
        let destination = Destination::new().config(json!({"maintenance_percent": 100, "deletes": deletes}));
        write_by_two(&destination);
    }
}

fn write_by_two(destination: &Destination) {
    let catalog = catalog(&[tasks("append_dedup")]);
    // Made first, so that both find the same table.
    destination.write(&catalog, &crate::harness::whole("tasks", [])).succeeded();
    let rounds: Vec<Vec<String>> = [1, 2]
        .map(|version| {
            let mut lines = Vec::new();
            for round in 0..4 {
                // Half of the rows are both writers' and half are their own.
                let shared = (0..10).map(|gid| record("tasks", &task(gid, version + round)));
                lines.extend(shared);
                lines.push(record("tasks", &task(1000 * version + round, version)));
                lines.push(state("tasks", round));
            }
            lines.push(status("tasks", "COMPLETE"));
            lines
        })
        .into();
    let children: Vec<_> = rounds
        .iter()
        .map(|lines| {
            let mut child = destination.start_write(&catalog);
            child.stdin.take().unwrap().write_all(lines.concat().as_bytes()).unwrap();
            child
        })
        .collect();
    for child in children {
        let run = crate::harness::Run::of(child.wait_with_output().unwrap()).succeeded();
        assert_eq!(run.states().len(), 4);
    }
    let found = versions(&destination.table("tasks").unwrap());
    assert_eq!(found.len(), 10 + 2 * 4);
    // The newest version, whoever wrote it and whenever.
    assert!((0..10).all(|gid| found[&gid.to_string()] == json!(5)), "{found:?}");
}
