//! The files that are generated from the code. A stale file is rewritten and fails the test, so running the tests twice
//! updates everything.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails right there")]

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use airbyte_connector::{FailureKind, Secrets};
use serde_json::{Value, json};
use source_asana::asana::{Asked, Fault, Kind, Reason, Retry};
use source_asana::moment::Moment;
use source_asana::schema;
use source_asana::stream::{Cursor, Deletions, Listing, Plan, Stream};
use source_asana::streams::ALL;
use source_asana::sync::{Consequence, EarlierAccess, Place, consequence};
use source_asana::{catalog, config};

#[test]
fn spec_json_is_what_spec_prints() {
    keep_current("spec.json", &pretty(&serde_json::to_value(config::specification()).unwrap()));
}

#[test]
fn the_discovered_catalog_is_what_discover_prints() {
    keep_current("catalogs/discovered.json", &pretty(&serde_json::to_value(catalog::discovered()).unwrap()));
}

#[test]
fn the_catalog_for_full_refreshes_has_every_stream() {
    keep_current("catalogs/full_refresh.json", &configured(|_| ("full_refresh", "overwrite")));
}

#[test]
fn the_catalog_for_incremental_syncs_has_every_stream() {
    keep_current(
        "catalogs/incremental.json",
        &configured(|stream| match stream.cursor {
            Cursor::None => ("full_refresh", "overwrite"),
            Cursor::Moves { .. } | Cursor::Fixed { .. } | Cursor::Parents { .. } => {
                ("incremental", "append_dedup")
            }
        }),
    );
}

#[test]
fn the_streams_page_is_what_the_streams_declare() {
    keep_current("docs/STREAMS.md", &streams_page());
}

/// Columns that airbyte-source-asana has under the same stream and name, and whose type differs.
#[test]
fn the_migration_page_lists_every_shared_column_that_differs() {
    const BEGIN: &str = "<!-- written by tests/generated.rs -->\n";
    const END: &str = "<!-- end -->";
    let facts: Value = serde_json::from_str(include_str!("facts/airbyte_source_asana.json")).unwrap();
    let discovered = serde_json::to_value(catalog::discovered()).unwrap();
    let mut list = String::from("| column | there | here |\n|---|---|---|\n");
    let (mut shared, mut same) = (0, 0);
    for entry in discovered["streams"].as_array().unwrap() {
        let name = entry["name"].as_str().unwrap();
        let Some(theirs) = facts["streams"][name].as_object() else { continue };
        for (column, there) in theirs {
            shared += 1;
            let here = match entry["json_schema"]["properties"].get(column) {
                Some(schema) => column_type(schema),
                None => "no such column".to_owned(),
            };
            let there = there.as_str().unwrap();
            if here == there {
                same += 1;
            } else {
                writeln!(list, "| `{name}.{column}` | {there} | {here} |").unwrap();
            }
        }
    }
    assert!(shared > 100, "{shared} columns: the facts do not fit the streams");
    let summary = format!(
        "Of {shared} columns of version {}, {same} keep name and type.",
        facts["version"].as_str().unwrap()
    );
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/MIGRATING.md");
    let page = fs::read_to_string(file).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page marks where the list begins");
    let (_, after) = rest.split_once(END).expect("the page marks where the list ends");
    keep_current("docs/MIGRATING.md", &format!("{before}{BEGIN}{summary}\n\n{list}{END}{after}"));
}

/// A column's type as the facts write it.
fn column_type(schema: &Value) -> String {
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(all) => all.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect(),
        _ => Vec::new(),
    };
    match types[..] {
        ["array"] => format!("array of {}", column_type(&schema["items"])),
        [one] => schema["format"].as_str().map_or(one.to_owned(), |format| format!("{one}/{format}")),
        _ => "any".to_owned(),
    }
}

#[test]
fn the_dbt_package_reads_every_stream_with_its_own_descriptions() {
    keep_current("dbt/models/sources.yml", &dbt_sources());
    keep_current("dbt/models/current/current.yml", &dbt_current());
    keep_current("dbt/macros/streams.sql", &dbt_streams());
    for stream in ALL {
        let model = format!("{{{{ airbyte_asana.current_rows('{}') }}}}\n", stream.name);
        keep_current(&format!("dbt/models/current/current_{}.sql", stream.name), &model);
    }
    let models = fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("dbt/models/current")).unwrap();
    assert_eq!(models.count(), ALL.len() + 1, "dbt/models/current holds a model of a stream that is no more");
}

/// What the connector does after each answer, by the fault table.
#[test]
fn the_page_of_faults_is_what_the_fault_table_decides() {
    const BEGIN: &str = "<!-- written by tests/generated.rs -->\n";
    let said = |message: &str| json!({"errors": [{"message": message}]}).to_string();
    let mut rows: Vec<(String, Fault)> = [
        ("400, an offset that has expired", "offset: Your pagination token has expired."),
        ("400, a result that was truncated", "The result set has been truncated."),
        ("400, a result that is too large", "The result is too large. You should use pagination!"),
        ("400, anything else", "project: Not a recognized ID: 12"),
    ]
    .into_iter()
    .map(|(answer, message)| (answer.to_owned(), fault(400, &said(message))))
    .collect();
    rows.push(("4xx with a web page".to_owned(), fault(403, "<html>")));
    rows.push(("200 or 3xx without Asana's JSON".to_owned(), fault(302, "<html>")));
    // Statuses that lead to the same are one row.
    let mut statuses: Vec<(Vec<u16>, Fault)> = Vec::new();
    for status in 401..=599 {
        let fault = fault(status, &said("no"));
        match statuses.iter_mut().find(|(_, other)| other.kind == fault.kind) {
            Some((same, _)) => same.push(status),
            None => statuses.push((vec![status], fault)),
        }
    }
    rows.extend(statuses.into_iter().map(|(same, fault)| {
        let name = match same[..] {
            [429] => "429 for an hour, while other requests are answered".to_owned(),
            _ => ranges(&same),
        };
        (name, fault)
    }));
    let later = fault(429, &said("no")).beyond_patience(Duration::ZERO, Moment::from_unix_milliseconds(0));
    rows.push(("429 for an hour, as every request".to_owned(), later));
    let unreachable = Fault::new(Kind::Reconnect, None, "connection reset", &asked());
    rows.push(("no answer, or half of one".to_owned(), unreachable));
    let places = [
        ("`GET /workspaces`", Place::Workspaces),
        ("in a workspace", Place::InWorkspace(EarlierAccess::Unknown)),
        ("in a workspace, read before", Place::InWorkspace(EarlierAccess::Yes)),
        ("below a project", Place::BelowSlice(EarlierAccess::Unknown)),
        ("below a project, read before", Place::BelowSlice(EarlierAccess::Yes)),
        ("below a task", Place::BelowRecord),
        ("search for the unlisted", Place::Unlisted(EarlierAccess::Unknown)),
        ("search for the unlisted, read before", Place::Unlisted(EarlierAccess::Yes)),
        ("search for changes", Place::Changes),
        ("search for parents", Place::Parents),
        ("events", Place::Events),
        ("one object", Place::Object),
    ];
    let mut table = String::from("| answer | asked again | failure type |");
    places.iter().for_each(|(name, _)| write!(table, " {name} |").unwrap());
    table.push_str("\n|---|---|---|");
    places.iter().for_each(|_| table.push_str("---|"));
    table.push('\n');
    for (answer, fault) in &rows {
        let again = match fault.retry() {
            Retry::Never => "no",
            Retry::WithBackoff => "with growing pauses",
            Retry::After(_) => "after the pause that it names",
        };
        let class = match fault.failure_kind() {
            FailureKind::Configuration => "config_error",
            FailureKind::Transient => "transient_error",
            FailureKind::System => "system_error",
        };
        write!(table, "| {answer} | {again} | {class} |").unwrap();
        for (_, place) in &places {
            let cell = match (consequence(fault, *place), place) {
                (Consequence::Skip(Reason::NotFound), Place::Object) => "deleted",
                (Consequence::Skip(_), Place::Object) => "kept",
                (Consequence::FindOtherwise(_), Place::Object) => "asked later",
                (Consequence::Skip(_), _) => "skipped",
                (Consequence::Fail(_) | Consequence::Revoked, _) => "fails",
                (Consequence::FindOtherwise(_), _) => "found otherwise",
                (Consequence::Stop(_), _) => "stops",
            };
            write!(table, " {cell} |").unwrap();
        }
        table.push('\n');
    }
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/FAULTS.md");
    let page = fs::read_to_string(file).unwrap();
    let (before, _) = page.split_once(BEGIN).expect("the page marks where the table begins");
    keep_current("docs/FAULTS.md", &format!("{before}{BEGIN}{table}"));
}

fn asked() -> Asked {
    Asked { endpoint: "/tasks".into(), object: "/tasks".to_owned() }
}

fn fault(status: u16, body: &str) -> Fault {
    Fault::of_answer(status, body.as_bytes(), Some("30"), &asked(), &Secrets::default())
}

/// Ascending numbers as text: `408, 409, 418 to 420`.
fn ranges(numbers: &[u16]) -> String {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let texts = ranges.iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        _ => format!("{first} to {last}"),
    });
    texts.collect::<Vec<_>>().join(", ")
}

fn keep_current(path: &str, expected: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    let found = fs::read_to_string(&file).unwrap_or_default();
    if found != expected {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, expected).unwrap();
        panic!("{path} was stale and has been rewritten: look at the difference and commit it");
    }
}

fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap();
    text.push('\n');
    text
}

fn configured(modes: impl Fn(&Stream) -> (&'static str, &'static str)) -> String {
    let discovered = serde_json::to_value(catalog::discovered()).unwrap();
    let streams = ALL.iter().zip(discovered["streams"].as_array().unwrap()).map(|(stream, entry)| {
        let (sync_mode, destination_sync_mode) = modes(stream);
        json!({
            "stream": entry,
            "sync_mode": sync_mode,
            "destination_sync_mode": destination_sync_mode,
            "cursor_field": schema::cursor(stream).into_iter().collect::<Vec<_>>(),
            "primary_key": stream.primary_key.iter().map(|column| vec![*column]).collect::<Vec<_>>(),
        })
    });
    pretty(&json!({"streams": streams.collect::<Vec<_>>()}))
}

fn streams_page() -> String {
    let mut page = String::from(
        "# Streams\n\n\
         Made from the declarations in `src/streams/` by `cargo test --test generated`; do not edit it.\n\n\
         Every stream supports full refresh, which resumes after an interruption. *Incremental* names the column that \
         shows new and changed records, and *deletions* says how an incremental sync notices deleted ones; \
         [STATE.md](STATE.md) shows what it reads. *Plan* is the lowest of Asana's plans that includes the stream; on lower \
         plans the stream is skipped and the log says so. Every column except the key can be null.\n\n\
         | stream | columns | key | incremental | deletions | listed | plan | OAuth scope |\n|---|---|---|---|---|---|---|---|\n",
    );
    for stream in ALL {
        let schema = schema::published(stream);
        let columns = schema::properties(&schema).unwrap().len();
        writeln!(
            page,
            "| [{name}](#{name}) | {columns} | `{}` | {} | {} | {} | {} | {} |",
            stream.primary_key.join("`, `"),
            incremental(stream.cursor),
            deletions(stream.deletions),
            listed(stream),
            plan(stream.plan),
            stream.scope.map_or("full permission".to_owned(), |scopes| {
                scopes.split(' ').map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(" ")
            }),
            name = stream.name,
        )
        .unwrap();
    }
    for stream in ALL {
        columns_section(&mut page, stream);
    }
    page
}

fn deletions(deletions: Deletions) -> &'static str {
    match deletions {
        Deletions::Unreported => "no",
        Deletions::Absence { .. } => "by absence",
        Deletions::Events { .. } => "by events",
    }
}

fn columns_section(page: &mut String, stream: &Stream) {
    let schema = schema::published(stream);
    let description = schema["description"].as_str().unwrap_or_default();
    write!(page, "\n## {}\n\n{description}\n\n| column | type | description |\n|---|---|---|\n", stream.name)
        .unwrap();
    for (name, property) in schema::properties(&schema).unwrap() {
        let description = property["description"].as_str().unwrap_or_default().replace('|', "\\|");
        writeln!(page, "| `{name}` | {} | {description} |", type_name(property)).unwrap();
    }
}

fn type_name(property: &Value) -> String {
    let name =
        property["type"].as_array().unwrap().iter().find(|name| *name != "null").unwrap().as_str().unwrap();
    match (name, property["format"].as_str()) {
        (_, Some("date-time")) => "time".to_owned(),
        (_, Some("date")) => "date".to_owned(),
        ("array", _) => match property.get("items") {
            Some(items) => format!("list of {}", type_name(items)),
            None => "list".to_owned(),
        },
        (name, _) => name.to_owned(),
    }
}

fn incremental(cursor: Cursor) -> String {
    match cursor {
        Cursor::None => "no".to_owned(),
        Cursor::Moves { field, parameter: Some(_) } => format!("`{field}`, filtered by Asana"),
        Cursor::Moves { field, parameter: None } => format!("`{field}`, filtered here"),
        Cursor::Fixed { field, .. } => format!("`{field}`"),
        Cursor::Parents { field } => format!("with its parent (`{field}`)"),
    }
}

fn listed(stream: &Stream) -> String {
    match &stream.listing {
        Listing::Root(_) => "once".to_owned(),
        Listing::Each(listings) => {
            let parents: Vec<_> = listings.iter().map(|each| each.parent.name).collect();
            format!("for each record of {}", parents.join(", "))
        }
        Listing::Tree(tree) => format!("for each record of {} and of itself that has any", tree.roots.name),
    }
}

fn plan(plan: Plan) -> &'static str {
    match plan {
        Plan::Any => "any",
        Plan::Starter => "Starter",
        Plan::Advanced => "Advanced",
        Plan::ServiceAccount => "Enterprise+, service account",
    }
}

const DBT_HEAD: &str = "# Made from the declarations in `src/streams/` by `cargo test --test generated`; do not edit it.\nversion: 2\n";

/// A string in YAML. dbt would evaluate Jinja in it.
fn quoted(text: &str) -> String {
    assert!(!text.contains("{{") && !text.contains("{%"), "dbt would take this for Jinja: {text}");
    Value::from(text).to_string()
}

fn dbt_sources() -> String {
    let mut page = format!(
        "{DBT_HEAD}sources:\n  - name: asana\n    description: The tables that the connector fills, one for each stream.\n    \
         database: \"{{{{ var('asana_database', target.database) }}}}\"\n    \
         schema: \"{{{{ var('asana_schema', 'airbyte') }}}}\"\n    \
         quoting:\n      schema: \"{{{{ var('asana_quoted', false) | as_bool }}}}\"\n      \
         identifier: \"{{{{ var('asana_quoted', false) | as_bool }}}}\"\n    tables:\n"
    );
    for stream in ALL {
        let schema = schema::published(stream);
        let description = quoted(schema["description"].as_str().unwrap());
        write!(page, "      - name: {}\n        description: {description}\n        columns:\n", stream.name)
            .unwrap();
        for (name, property) in schema::properties(&schema).unwrap() {
            let description = quoted(property["description"].as_str().unwrap());
            write!(page, "          - name: {name}\n            description: {description}\n").unwrap();
        }
    }
    page
}

/// The streams' tables as dbt models: a row per record that exists, with the descriptions of its columns.
fn dbt_current() -> String {
    let mut page = format!("{DBT_HEAD}models:\n");
    for stream in ALL {
        let schema = schema::published(stream);
        let description = schema["description"].as_str().unwrap();
        let description =
            quoted(&format!("The stream `{}`, one row per record that exists. {description}", stream.name));
        write!(page, "  - name: current_{}\n    description: {description}\n", stream.name).unwrap();
        if let [_, _, ..] = stream.primary_key {
            let key = stream.primary_key.join(", ");
            write!(
                page,
                "    data_tests:\n      - airbyte_asana.unique_together:\n          \
                 arguments:\n            columns: [{key}]\n"
            )
            .unwrap();
        }
        page.push_str("    columns:\n");
        for (name, property) in schema::properties(&schema).unwrap() {
            if NOT_CURRENT.contains(&name.as_str()) {
                continue;
            }
            let description = quoted(property["description"].as_str().unwrap());
            write!(page, "      - name: {name}\n        description: {description}\n").unwrap();
            if stream.primary_key.contains(&name.as_str()) {
                page.push_str("        data_tests: [not_null");
                page.push_str(if stream.primary_key.len() == 1 { ", unique]\n" } else { "]\n" });
            }
        }
    }
    page
}

/// The columns that tell versions of a record apart; of each record the current ones have the newest version.
const NOT_CURRENT: [&str; 2] = ["_ab_cdc_deleted_at", "_ab_cdc_updated_at"];

/// Each stream's key and columns as a macro's return value: `[name, kind, fields of it that become columns]`.
fn dbt_streams() -> String {
    let mut page = String::from(
        "{# Made from the declarations in `src/streams/` by `cargo test --test generated`; do not edit it. #}\n\
         {% macro asana_streams() %}\n{{ return({\n",
    );
    for stream in ALL {
        let schema = schema::published(stream);
        let properties = schema::properties(&schema).unwrap();
        writeln!(page, "'{}': {{'key': {}, 'columns': [", stream.name, json!(stream.primary_key)).unwrap();
        for (name, property) in properties.iter().filter(|(name, _)| !NOT_CURRENT.contains(&name.as_str())) {
            let inner = property["properties"].as_object();
            let flat: Vec<_> = ["gid", "name"]
                .into_iter()
                .filter(|field| inner.is_some_and(|inner| inner.contains_key(*field)))
                .filter(|_| !properties.contains_key(&format!("{name}_gid")))
                .collect();
            writeln!(page, "  {},", json!([name, dbt_kind(property), flat])).unwrap();
        }
        page.push_str("]},\n");
    }
    page.push_str("}) }}\n{% endmacro %}\n");
    page
}

fn dbt_kind(property: &Value) -> &'static str {
    match type_name(property).as_str() {
        "time" => "time",
        "date" => "date",
        "boolean" => "boolean",
        "integer" => "integer",
        "number" => "number",
        "string" => "text",
        _ => "json",
    }
}
