//! What a stream is, as data: name, listing, key, cursor, plan, scope and shape.
//!
//! The file is long because it declares everything in which streams can differ.

use schemars::{JsonSchema, Schema, SchemaGenerator};

/// One stream. Streams differ only in data, which the read path matches exhaustively. There are no callbacks per
/// stream, so catalog, `opt_fields`, docs and state can be derived from it.
#[derive(Debug)]
pub struct Stream {
    pub name: &'static str,
    pub listing: Listing,
    /// The columns that identify a record. They are never null.
    pub primary_key: &'static [&'static str],
    pub cursor: Cursor,
    pub plan: Plan,
    /// The granular OAuth scope that the listing needs, if Asana defines one. Several are separated by spaces, as in
    /// OAuth.
    pub scope: Option<&'static str>,
    pub repeats: Repeats,
    pub fields: Fields,
    pub deletions: Deletions,
    pub unlisted: Option<Unlisted>,
    shape: fn(&mut SchemaGenerator) -> Schema,
}

/// Where a stream's records are listed.
#[derive(Debug)]
pub enum Listing {
    /// One listing for the whole token.
    Root(&'static str),
    /// One listing for each record of each of these parents.
    Each(&'static [Each]),
    /// Trees below the records of another stream, to any depth.
    Tree(Tree),
}

/// A listing for each record of a parent.
///
/// In `path`, `{gid}` is replaced by the parent's gid, and `{workspace}` by the gid of the workspace in which the
/// parent was listed. The part after `?` is sent as the query.
#[derive(Debug)]
pub struct Each {
    pub parent: &'static Stream,
    pub path: &'static str,
    /// The condition on the parent's record under which the listing is requested.
    pub when: Condition,
    /// The condition on a row under which it is emitted.
    pub rows: Condition,
    pub paging: Paging,
    pub change_signal: ChangeSignal,
    /// The query parameter that is sent as `false` if the user excludes archived records.
    pub archived: Option<&'static str>,
    /// A query parameter that is added if Asana refuses the request without it.
    pub fallback: Option<(&'static str, &'static str)>,
    pub counted: Option<Counted>,
    /// Asana's search of workspace `{gid}` for the parents whose listing has rows, if the plan includes search. The path
    /// has the filter; `asana::Search` steps through time.
    pub parents_search: Option<&'static str>,
}

/// Where Asana says how many rows a listing has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// The path, with `{gid}` for the parent's gid.
    pub path: &'static str,
    /// The field of the answer.
    pub field: &'static str,
}

/// Whether a parent's record shows that its children changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeSignal {
    /// It does not. An incremental sync lists the children of every parent.
    Missing,
    /// The parent's cursor moves with every change of its children. An incremental sync lists only the children of
    /// changed parents.
    MovesParent,
}

/// Nodes are children of the records of `roots` and of each other. A record in a listing of `roots` that has a parent
/// is itself a node: it belongs to this stream and not to `roots`.
#[derive(Debug)]
pub struct Tree {
    pub roots: &'static Stream,
    /// Lists the children of `{gid}`.
    pub path: &'static str,
    /// The field with the reference to the parent; null for a root.
    pub parent: &'static str,
    /// The condition on a record under which its children are listed.
    pub when: Condition,
    /// Asana's search for the nodes of workspace `{gid}`, which finds changed nodes if the plan includes search. The
    /// path has the filter; `asana::Search` steps through time.
    pub search: Option<&'static str>,
}

/// Records that no listing returns. Asana's search of a workspace finds them, if the plan includes search.
#[derive(Debug, Clone, Copy)]
pub struct Unlisted {
    /// The path with the filter and `{gid}` for the workspace; `asana::Search` steps through time.
    pub path: &'static str,
    /// The condition on a row that no listing returns.
    pub rows: Condition,
    /// The same for these and for the records that only the listings of users show.
    pub or_of_users: &'static str,
}

/// How the connector notices that a record was deleted.
#[derive(Debug, Clone, Copy)]
pub enum Deletions {
    /// It does not. Only a full refresh shows that a record no longer exists.
    Unreported,
    /// The record is missing from its listing, which is always read completely, and a request for the object at `path`
    /// (with `{gid}` for its gid) confirms it.
    Absence { path: &'static str },
    /// An event of a parent reports it. A missing record is also noticed as in `Absence`, if its listing was read
    /// completely.
    Events { feed: &'static Feed, events: DeletionEvents, path: &'static str },
}

impl Deletions {
    /// The path of one object, with `{gid}` for its gid.
    pub fn path(self) -> Option<&'static str> {
        match self {
            Self::Unreported => None,
            Self::Absence { path } | Self::Events { path, .. } => Some(path),
        }
    }
}

/// The events of a stream's records. They cover everything inside a record, to any depth. Each stream whose deletions
/// they report stores its own token.
#[derive(Debug)]
pub struct Feed {
    /// The stream whose records have events.
    pub of: &'static Stream,
    /// The path of one record's events, with `{gid}` for its gid.
    pub path: &'static str,
}

/// The events that report the deletion of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletionEvents {
    /// The resource type in the events.
    pub resource: &'static str,
    /// The actions that mean a deletion.
    pub actions: &'static [&'static str],
}

/// A condition on a top-level field of a record. If the field is absent, every condition holds: that may cost a
/// request, but the opposite could lose a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Always,
    /// The field is `true`.
    True(&'static str),
    /// The field is neither null nor an empty list.
    Filled(&'static str),
    /// The field is an empty list.
    Empty(&'static str),
    /// The field is a number above zero.
    Positive(&'static str),
}

impl Condition {
    /// The field that the condition reads.
    pub fn field(self) -> Option<&'static str> {
        match self {
            Self::Always => None,
            Self::True(field) | Self::Filled(field) | Self::Empty(field) | Self::Positive(field) => {
                Some(field)
            }
        }
    }

    /// Whether the condition holds for the field's JSON text; `None` if the field is absent.
    pub fn holds(self, json: Option<&str>) -> bool {
        match (self, json) {
            (Self::Always, _) | (_, None) => true,
            (Self::True(_), Some(text)) => text == "true",
            (Self::Filled(_), Some(text)) => text != "null" && !is_empty_list(text),
            (Self::Empty(_), Some(text)) => is_empty_list(text),
            (Self::Positive(_), Some(text)) => text.parse::<f64>().is_ok_and(|number| number > 0.0),
        }
    }
}

fn is_empty_list(json: &str) -> bool {
    json.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|inner| inner.trim().is_empty())
}

/// How a listing ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging {
    /// Pages of at most 100, until `next_page` is null.
    Offset,
    /// Pages of at most 100, until one is empty: `next_page` never becomes null.
    UntilEmpty,
    /// One answer has all rows; the endpoint has neither `limit` nor `offset`.
    Whole,
    /// A search, which has no pages. The requests step through time instead.
    ByTime,
}

/// What shows that a record is new or has changed since an earlier sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// Nothing: every sync reads the stream completely.
    None,
    /// A time that moves with every change. The parameter filters the listing by it, if Asana has one.
    Moves { field: &'static str, parameter: Option<&'static str> },
    /// A time after which records never change, so it shows which are new.
    Fixed { field: &'static str, parameter: Option<&'static str> },
    /// Only the parent shows a change (see [`ChangeSignal`]). The listing is then read completely. The field only orders
    /// versions of a record.
    Parents { field: &'static str },
}

impl Cursor {
    /// The column that orders versions of a record.
    pub fn field(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Moves { field, .. } | Self::Fixed { field, .. } | Self::Parents { field } => Some(field),
        }
    }

    /// The parameter with which the listing omits older records, if it has one.
    pub fn parameter(self) -> Option<&'static str> {
        match self {
            Self::None | Self::Parents { .. } => None,
            Self::Moves { parameter, .. } | Self::Fixed { parameter, .. } => parameter,
        }
    }
}

/// The lowest of Asana's plans that includes a stream. On lower plans Asana answers 402, which is reported as a skip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    Any,
    Starter,
    Advanced,
    /// Enterprise+ or a compliance add-on, and the token of a service account.
    ServiceAccount,
}

/// Whether several listings of one sync can return the same object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// Each object is in a single listing.
    Never,
    /// An object can be in several listings. It is emitted from the first one.
    AcrossListings,
}

/// Whether the request selects the fields of the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fields {
    /// Yes, with `opt_fields`.
    Chosen,
    /// The endpoint has no `opt_fields` parameter and always sends the same fields.
    Fixed,
}

impl Stream {
    /// A stream whose records have the shape of `Record`. Defaults: key `gid`, no cursor, any plan, no scope.
    pub const fn of<Record: JsonSchema>(name: &'static str, listing: Listing) -> Self {
        Self {
            name,
            listing,
            primary_key: &["gid"],
            cursor: Cursor::None,
            plan: Plan::Any,
            scope: None,
            repeats: Repeats::Never,
            fields: Fields::Chosen,
            deletions: Deletions::Unreported,
            unlisted: None,
            shape: shape_of::<Record>,
        }
    }

    pub const fn key(mut self, primary_key: &'static [&'static str]) -> Self {
        self.primary_key = primary_key;
        self
    }

    /// See [`Cursor::Moves`].
    pub const fn moves(mut self, field: &'static str) -> Self {
        self.cursor = Cursor::Moves { field, parameter: None };
        self
    }

    /// See [`Cursor::Moves`]. With `parameter`, Asana omits records that did not change since.
    pub const fn moves_since(mut self, field: &'static str, parameter: &'static str) -> Self {
        self.cursor = Cursor::Moves { field, parameter: Some(parameter) };
        self
    }

    /// See [`Cursor::Fixed`].
    pub const fn fixed_since(mut self, field: &'static str, parameter: &'static str) -> Self {
        self.cursor = Cursor::Fixed { field, parameter: Some(parameter) };
        self
    }

    /// See [`Cursor::Parents`].
    pub const fn follows_parents(mut self, field: &'static str) -> Self {
        self.cursor = Cursor::Parents { field };
        self
    }

    pub const fn plan(mut self, plan: Plan) -> Self {
        self.plan = plan;
        self
    }

    pub const fn scope(mut self, scope: &'static str) -> Self {
        self.scope = Some(scope);
        self
    }

    pub const fn repeats(mut self, repeats: Repeats) -> Self {
        self.repeats = repeats;
        self
    }

    pub const fn deletions(mut self, deletions: Deletions) -> Self {
        self.deletions = deletions;
        self
    }

    pub const fn unlisted(mut self, unlisted: Unlisted) -> Self {
        self.unlisted = Some(unlisted);
        self
    }

    pub const fn fields(mut self, fields: Fields) -> Self {
        self.fields = fields;
        self
    }

    /// The JSON schema of the record's struct, with the marks that `schema` defines.
    pub fn shape(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.shape)(generator)
    }

    /// The streams whose records have a listing of this stream.
    pub fn parents(&self) -> Vec<&'static Stream> {
        match &self.listing {
            Listing::Root(_) => Vec::new(),
            Listing::Each(listings) => listings.iter().map(|each| each.parent).collect(),
            Listing::Tree(tree) => vec![tree.roots],
        }
    }
}

impl Each {
    pub const fn of(parent: &'static Stream, path: &'static str) -> Self {
        Self {
            parent,
            path,
            when: Condition::Always,
            rows: Condition::Always,
            paging: Paging::Offset,
            change_signal: ChangeSignal::Missing,
            archived: None,
            fallback: None,
            counted: None,
            parents_search: None,
        }
    }

    pub const fn parents_search(mut self, path: &'static str) -> Self {
        self.parents_search = Some(path);
        self
    }

    pub const fn counted(mut self, path: &'static str, field: &'static str) -> Self {
        self.counted = Some(Counted { path, field });
        self
    }

    pub const fn fallback(mut self, name: &'static str, value: &'static str) -> Self {
        self.fallback = Some((name, value));
        self
    }

    pub const fn when(mut self, condition: Condition) -> Self {
        self.when = condition;
        self
    }

    pub const fn rows(mut self, condition: Condition) -> Self {
        self.rows = condition;
        self
    }

    pub const fn paging(mut self, paging: Paging) -> Self {
        self.paging = paging;
        self
    }

    pub const fn change_signal(mut self, change_signal: ChangeSignal) -> Self {
        self.change_signal = change_signal;
        self
    }

    pub const fn archived(mut self, parameter: &'static str) -> Self {
        self.archived = Some(parameter);
        self
    }
}

fn shape_of<Record: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.root_schema_for::<Record>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_read_json_text_and_hold_for_absent_fields() {
        let cases = [
            (Condition::Always, None, true),
            (Condition::True("a"), Some("true"), true),
            (Condition::True("a"), Some("false"), false),
            (Condition::True("a"), None, true),
            (Condition::Filled("a"), Some("null"), false),
            (Condition::Filled("a"), Some("[ ]"), false),
            (Condition::Filled("a"), Some(r#"{"gid":"1"}"#), true),
            (Condition::Filled("a"), Some(r#"[{"gid":"1"}]"#), true),
            (Condition::Empty("a"), Some("[]"), true),
            (Condition::Empty("a"), Some("[1]"), false),
            (Condition::Empty("a"), None, true),
            (Condition::Positive("a"), Some("3"), true),
            (Condition::Positive("a"), Some("0"), false),
            (Condition::Positive("a"), Some("null"), false),
        ];
        for (condition, json, expected) in cases {
            assert_eq!(condition.holds(json), expected, "{condition:?} of {json:?}");
        }
    }
}
