//! Every stream against what Asana documents (`facts/asana_paths.json`) and what Airbyte's platform asks of a schema.

mod facts;

use std::collections::BTreeSet;

use facts::Facts;
use serde_json::{Map, Value};
use source_asana::schema::{
    DELETED_AT, FOREIGN_KEY, ORIGIN, Origin, UPDATED_AT, departures_from_dialect, marked, properties,
    published,
};
use source_asana::stream::{Condition, Cursor, Deletions, Fields, Listing, Paging, Stream};
use source_asana::{opt_fields, streams};

/// An intended deviation from the facts. An unused one fails the test.
struct Exception {
    /// The documented schema with the field.
    schema: &'static str,
    /// The field, or the prefix of a path.
    path: &'static str,
    reason: &'static str,
}

const OPTIONS: &str = "would repeat the field's whole list of options on every record; definitions carry it";
const SETTINGS: &str =
    "the parent's own gid and whole definitions; custom field settings are a stream of their own";

/// Documented paths that are not requested.
const NOT_ASKED: &[Exception] = &[
    Exception { schema: "TaskResponse", path: "custom_fields.enum_options", reason: OPTIONS },
    Exception { schema: "ProjectResponse", path: "custom_fields.enum_options", reason: OPTIONS },
    Exception { schema: "PortfolioResponse", path: "custom_fields.enum_options", reason: OPTIONS },
    Exception { schema: "GoalResponse", path: "custom_fields.enum_options", reason: OPTIONS },
    Exception { schema: "UserResponse", path: "custom_fields.enum_options", reason: OPTIONS },
    Exception { schema: "StoryResponse", path: "custom_field.enum_options", reason: OPTIONS },
    Exception { schema: "ProjectResponse", path: "custom_field_settings", reason: SETTINGS },
    Exception { schema: "PortfolioResponse", path: "custom_field_settings", reason: SETTINGS },
    Exception { schema: "GoalResponse", path: "custom_field_settings", reason: SETTINGS },
    Exception { schema: "TeamResponse", path: "custom_field_settings", reason: SETTINGS },
    Exception {
        schema: "TaskResponse",
        path: "external.data",
        reason: "`external` is asked for whole: its gid is the app's and would not come unasked",
    },
    Exception {
        schema: "AuditLogEvent",
        path: "details",
        reason: "documented as depending on the kind of event, so the column is an open object",
    },
];

const DAY: &str = "documented as a string that holds a date of the form YYYY-MM-DD";
const DECIMAL: &str = "documented as an integer, but it is the value of a custom field, which has decimals";

/// Fields with another type than the documented one.
const RETYPED: &[Exception] = &[
    Exception { schema: "GoalResponse", path: "start_on", reason: DAY },
    Exception { schema: "GoalResponse", path: "due_on", reason: DAY },
    Exception { schema: "TimePeriodResponse", path: "start_on", reason: DAY },
    Exception { schema: "TimePeriodResponse", path: "end_on", reason: DAY },
    Exception { schema: "TimePeriodCompact", path: "start_on", reason: DAY },
    Exception { schema: "TimePeriodCompact", path: "end_on", reason: DAY },
    Exception { schema: "WorkspaceMembershipResponse.vacation_dates", path: "start_on", reason: DAY },
    Exception { schema: "WorkspaceMembershipResponse.vacation_dates", path: "end_on", reason: DAY },
    Exception { schema: "CustomFieldResponse.date_value", path: "date", reason: DAY },
    Exception {
        schema: "CustomFieldResponse.date_value",
        path: "date_time",
        reason: "documented as a string in ISO 8601; its example is a time in UTC with milliseconds",
    },
    Exception { schema: "StoryResponse", path: "old_number_value", reason: DECIMAL },
    Exception { schema: "StoryResponse", path: "new_number_value", reason: DECIMAL },
];

/// How long the path and query of a request may be, in bytes. Asana documents no limit; common servers accept 8 KiB for
/// the whole request line.
const LONGEST_ADDRESS: usize = 8_000;

/// Looks up exceptions and records which were used.
struct Exceptions {
    all: &'static [Exception],
    used: BTreeSet<usize>,
}

impl Exceptions {
    fn new(all: &'static [Exception]) -> Self {
        Self { all, used: BTreeSet::new() }
    }

    fn excuse(&mut self, schema: &str, path: &str) -> bool {
        let found = self.all.iter().position(|exception| {
            let rest = path.strip_prefix(exception.path);
            exception.schema == schema && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        self.used.extend(found);
        found.is_some()
    }

    fn idle(&self) -> Vec<String> {
        let idle = self.all.iter().enumerate().filter(|(index, _)| !self.used.contains(index));
        idle.map(|(_, it)| format!("no need: {} {} ({})", it.schema, it.path, it.reason)).collect()
    }
}

fn columns(stream: &Stream) -> Map<String, Value> {
    properties(&marked(stream)).expect("a stream has columns").clone()
}

fn paths(stream: &Stream) -> Vec<String> {
    opt_fields::paths(&marked(stream), |_| true)
}

/// The type's name beside `null`.
fn json_type(schema: &Value) -> &str {
    let types = schema["type"].as_array().expect("nullable types are lists");
    types.iter().filter_map(Value::as_str).find(|name| *name != "null").expect("a type beside null")
}

/// One listing of a stream, however it is declared.
struct Request {
    path: &'static str,
    paging: Paging,
    /// `None` for a single listing of the whole token.
    parent: Option<&'static Stream>,
    when: Condition,
}

fn requests(stream: &Stream) -> Vec<Request> {
    match &stream.listing {
        Listing::Root(path) => {
            vec![Request { path, paging: Paging::Offset, parent: None, when: Condition::Always }]
        }
        Listing::Each(all) => all
            .iter()
            .map(|each| Request {
                path: each.path,
                paging: each.paging,
                parent: Some(each.parent),
                when: each.when,
            })
            .collect(),
        Listing::Tree(tree) => {
            vec![Request {
                path: tree.path,
                paging: Paging::Offset,
                parent: Some(tree.roots),
                when: tree.when,
            }]
        }
    }
}

/// A listing's path and the names of the parameters behind it.
fn parts(listing: &'static str) -> (&'static str, Vec<&'static str>) {
    let (path, query) = listing.split_once('?').unwrap_or((listing, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    (path, pairs.map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name)).collect())
}

#[track_caller]
fn assert_none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn every_path_that_is_asked_for_is_documented() {
    let facts = Facts::load();
    let mut complaints = Vec::new();
    for stream in streams::ALL {
        let undocumented =
            paths(stream).into_iter().filter(|path| !facts.is_documented(facts.of(stream.name), path));
        complaints.extend(undocumented.map(|path| format!("{}: {path}", stream.name)));
    }
    assert_none(complaints);
}

#[test]
fn a_misspelt_path_is_not_documented() {
    let facts = Facts::load();
    for stream in streams::ALL {
        for path in paths(stream) {
            let (head, last) = path.rsplit_once('.').map_or(("", path.as_str()), |(head, last)| (head, last));
            let misspelt = if head.is_empty() { format!("{last}x") } else { format!("{head}x.{last}") };
            assert!(!facts.is_documented(facts.of(stream.name), &misspelt), "{}: {misspelt}", stream.name);
        }
    }
}

#[test]
fn every_documented_path_is_asked_for() {
    let facts = Facts::load();
    let mut exceptions = Exceptions::new(NOT_ASKED);
    let mut complaints = Vec::new();
    for stream in streams::ALL {
        let asked = paths(stream);
        let listing = facts.of(stream.name);
        for path in facts.available(listing) {
            let deeper = format!("{path}.");
            let is_asked = asked.iter().any(|asked| *asked == path || asked.starts_with(&deeper));
            if !is_asked && !exceptions.excuse(&listing.schema, &path) {
                complaints.push(format!("{}: {path}", stream.name));
            }
        }
    }
    complaints.extend(exceptions.idle());
    assert_none(complaints);
}

#[test]
fn the_columns_are_the_documented_fields_and_those_that_are_added() {
    let facts = Facts::load();
    for stream in streams::ALL {
        let (_, documented) = facts.schema(&facts.of(stream.name).schema).expect("the record's schema");
        let columns = columns(stream);
        let sent: BTreeSet<_> =
            columns.iter().filter(|(_, column)| column.get(ORIGIN).is_none()).map(|(name, _)| name).collect();
        assert_eq!(sent, documented.keys().collect::<BTreeSet<_>>(), "{}", stream.name);
    }
}

#[test]
fn types_are_the_documented_ones() {
    let facts = Facts::load();
    let mut exceptions = Exceptions::new(RETYPED);
    let mut complaints = Vec::new();
    for stream in streams::ALL {
        compare(&facts, &marked(stream), &facts.of(stream.name).schema, &mut exceptions, &mut |complaint| {
            complaints.push(format!("{}: {complaint}", stream.name));
        });
    }
    complaints.extend(exceptions.idle());
    assert_none(complaints);
}

/// Compares fields that both sides have; other tests check fields of one side only.
fn compare(
    facts: &Facts,
    ours: &Value,
    documented: &str,
    exceptions: &mut Exceptions,
    complain: &mut impl FnMut(String),
) {
    let Some((holder, theirs)) = facts.schema(documented) else { return };
    for (name, ours) in properties(ours).into_iter().flatten() {
        let Some(theirs) = theirs.get(name) else { continue };
        let is_list = theirs.starts_with('[');
        let ours_inside = ours.get("items").unwrap_or(ours);
        let ours_name = match ours_inside.get("format").and_then(Value::as_str) {
            Some(format) => format!("{}/{format}", json_type(ours_inside)),
            None => json_type(ours_inside).to_owned(),
        };
        let theirs_inside = theirs.trim_matches(['[', ']']);
        let theirs_name = if facts.schema(theirs).is_some() { "object" } else { theirs_inside };
        let agrees = ours.get("items").is_some() == is_list && ours_name == theirs_name;
        if !agrees && !exceptions.excuse(holder, name) {
            complain(format!("{holder}.{name} is {theirs}, not {}", ours_name));
        }
        compare(facts, ours_inside, theirs, exceptions, complain);
    }
}

#[test]
fn published_schemas_are_in_the_dialect_and_describe_everything() {
    let mut complaints = Vec::new();
    for stream in streams::ALL {
        let schema = published(stream);
        let departures = departures_from_dialect(&schema);
        complaints.extend(departures.into_iter().map(|departure| format!("{}: {departure}", stream.name)));
        look_for_silence(&schema, stream.name, &mut complaints);
    }
    assert_none(complaints);
}

fn look_for_silence(schema: &Value, place: &str, complaints: &mut Vec<String>) {
    if schema.get("description").and_then(Value::as_str).is_none_or(str::is_empty) {
        complaints.push(format!("{place}: no description"));
    }
    let inside = schema.get("items").unwrap_or(schema);
    for (name, property) in properties(inside).into_iter().flatten() {
        look_for_silence(property, &format!("{place}/{name}"), complaints);
    }
}

#[test]
fn keys_and_cursors_are_columns_that_can_serve_as_such() {
    for stream in streams::ALL {
        let columns = columns(stream);
        assert!(!stream.primary_key.is_empty(), "{}", stream.name);
        for name in stream.primary_key {
            let column = columns.get(*name).unwrap_or_else(|| panic!("{}: no column {name}", stream.name));
            assert_eq!(json_type(column), "string", "{}: {name}", stream.name);
        }
        if let Some(name) = stream.cursor.field() {
            let column = columns.get(name).unwrap_or_else(|| panic!("{}: no column {name}", stream.name));
            assert_eq!(column["format"], "date-time", "{}: {name}", stream.name);
        }
    }
}

#[test]
fn added_columns_are_a_parents_gid_or_the_time_of_deletion_and_one_of_each_at_most() {
    for stream in streams::ALL {
        let columns = columns(stream);
        let added = |origin: Origin| -> Vec<_> {
            columns
                .iter()
                .filter(|(_, column)| column.get(ORIGIN).is_some_and(|mark| mark == origin.name()))
                .collect()
        };
        let marked = columns.values().filter(|column| column.get(ORIGIN).is_some()).count();
        let (parents, deletions) = (added(Origin::Parent), added(Origin::Deletion));
        let versions = added(Origin::Emission);
        assert_eq!(marked, parents.len() + deletions.len() + versions.len(), "{}", stream.name);
        let tells = !matches!(stream.deletions, Deletions::Unreported);
        let names: Vec<_> = deletions.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, if tells { vec![DELETED_AT] } else { vec![] }, "{}", stream.name);
        let names: Vec<_> = versions.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, if tells { vec![UPDATED_AT] } else { vec![] }, "{}", stream.name);
        assert!(!tells || stream.cursor.field().is_some(), "{}: only increments tell", stream.name);
        assert!(parents.len() <= 1, "{}: {parents:?}", stream.name);
        for (name, _) in parents {
            assert!(name.ends_with("_gid"), "{}: {name}", stream.name);
            assert!(!stream.parents().is_empty(), "{}: {name} of no parent", stream.name);
        }
    }
}

#[test]
fn the_parents_column_names_the_streams_that_report_the_parents_deletion() {
    let mut found = Vec::new();
    for stream in streams::ALL {
        for (column, property) in properties(&published(stream)).into_iter().flatten() {
            let Some(key) = property.get(FOREIGN_KEY) else { continue };
            assert_eq!(key["stream"], stream.name, "{}", stream.name);
            let names: Vec<&str> =
                key["references"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
            found.push(format!("{}.{column} -> {}", stream.name, names.join(", ")));
        }
    }
    let expected = [
        "sections.project_gid -> projects",
        "subtasks.parent_gid -> tasks, subtasks",
        "stories.task_gid -> tasks, subtasks",
        "attachments.parent_gid -> tasks, subtasks, projects",
    ];
    assert_eq!(found, expected);
}

#[test]
fn names_are_unique_and_survive_normalisation() {
    let names: BTreeSet<_> = streams::ALL.iter().map(|stream| stream.name.to_lowercase()).collect();
    assert_eq!(names.len(), streams::ALL.len());
    assert_eq!(names, Facts::load().listings.into_keys().collect(), "streams and facts");
    for stream in streams::ALL {
        let is_plain = |name: &str| {
            name.chars().all(|letter| letter.is_ascii_lowercase() || "_0123456789".contains(letter))
        };
        assert!(is_plain(stream.name), "{}", stream.name);
        for name in columns(stream).keys() {
            assert!(is_plain(name), "{}: {name}", stream.name);
        }
    }
}

#[test]
fn parents_come_before_children() {
    for (place, stream) in streams::ALL.iter().enumerate() {
        for parent in stream.parents() {
            let found = streams::ALL[..place].iter().any(|earlier| std::ptr::eq(*earlier, parent));
            assert!(found, "{} comes after {}", parent.name, stream.name);
        }
    }
}

#[test]
fn listings_are_documented_operations() {
    let facts = Facts::load();
    for stream in streams::ALL {
        let documented = facts.of(stream.name);
        let mut used = BTreeSet::new();
        for request in requests(stream) {
            let (listing, paging) = (request.path, request.paging);
            let (path, mut names) = parts(listing);
            let rest = listing.replace("{gid}", "").replace("{workspace}", "");
            assert!(!rest.contains(['{', '}']), "{}: {listing}", stream.name);
            assert_eq!(listing.contains("{gid}"), request.parent.is_some(), "{}: {listing}", stream.name);

            let operation = documented.operations.get(path);
            let operation = operation.unwrap_or_else(|| panic!("{}: {path} is undocumented", stream.name));
            used.insert(path);
            if paging != Paging::Whole {
                names.extend(["limit", "offset"]);
            }
            if stream.fields == Fields::Chosen {
                names.push("opt_fields");
            }
            names.extend(stream.cursor.parameter());
            for name in names {
                assert!(operation.parameters.contains(name), "{}: {listing} takes no {name}", stream.name);
            }
            let is_paged = operation.parameters.contains("limit");
            assert_eq!(is_paged, paging != Paging::Whole, "{}: {listing}", stream.name);
            let can_choose = operation.parameters.contains("opt_fields");
            assert_eq!(can_choose, stream.fields == Fields::Chosen, "{}: {listing}", stream.name);
        }
        assert_eq!(used.len(), documented.operations.len(), "{}: operations that are unused", stream.name);

        let scopes: BTreeSet<_> =
            documented.operations.values().flat_map(|it| &it.scopes).map(String::as_str).collect();
        let ours = stream.scope.map(|scopes| scopes.split(' ').collect()).unwrap_or_default();
        assert_eq!(scopes, ours, "{}", stream.name);
    }
}

#[test]
fn counts_are_documented() {
    let facts = Facts::load();
    let mut used = BTreeSet::new();
    for stream in streams::ALL {
        let Listing::Each(all) = &stream.listing else { continue };
        for counted in all.iter().filter_map(|each| each.counted) {
            let fields = facts.counts.get(counted.path);
            assert!(
                fields.is_some_and(|fields| fields.contains(counted.field)),
                "{}: {counted:?}",
                stream.name
            );
            used.insert(counted.path);
        }
    }
    assert_eq!(used.len(), facts.counts.len(), "counts that are unused");
}

/// The age of a row shows whether the search has to know its parent, and the parent's time whether the index does.
#[test]
fn a_search_for_parents_can_be_checked() {
    let mut found = 0;
    for stream in streams::ALL {
        let Listing::Each(all) = &stream.listing else { continue };
        for each in all.iter().filter(|each| each.parents_search.is_some()) {
            assert!(stream.cursor.field().is_some(), "{}", stream.name);
            assert!(matches!(each.parent.cursor, Cursor::Moves { .. }), "{}", each.parent.name);
            found += 1;
        }
    }
    assert!(found > 0, "no stream has one");
}

#[test]
fn conditions_look_at_columns_that_can_hold_what_they_ask() {
    for stream in streams::ALL {
        for request in requests(stream) {
            if let Some(parent) = request.parent {
                assert_can_hold(request.when, parent);
            }
        }
        match &stream.listing {
            Listing::Root(_) => {}
            Listing::Each(all) => all.iter().for_each(|each| assert_can_hold(each.rows, stream)),
            Listing::Tree(tree) => {
                assert_can_hold(tree.when, stream);
                for place in [stream, &tree.roots] {
                    let columns = columns(place);
                    let column = columns.get(tree.parent);
                    assert_eq!(column.map(json_type), Some("object"), "{}: {}", place.name, tree.parent);
                }
            }
        }
    }
}

fn assert_can_hold(condition: Condition, stream: &Stream) {
    let types: &[&str] = match condition {
        Condition::Always => return,
        Condition::True(_) => &["boolean"],
        Condition::Filled(_) => &["array", "object"],
        Condition::Empty(_) => &["array"],
        Condition::Positive(_) => &["integer", "number"],
    };
    let columns = columns(stream);
    let found = condition.field().and_then(|field| columns.get(field)).map(json_type);
    assert!(found.is_some_and(|found| types.contains(&found)), "{}: {condition:?} on {found:?}", stream.name);
}

#[test]
fn no_address_is_too_long() {
    for stream in streams::ALL {
        let asked = if stream.fields == Fields::Chosen { paths(stream) } else { Vec::new() };
        for request in requests(stream) {
            let address = format!("{}&opt_fields={}", request.path, opt_fields::parameter(&asked));
            assert!(address.len() < LONGEST_ADDRESS, "{}: {} bytes", stream.name, address.len());
        }
    }
}
