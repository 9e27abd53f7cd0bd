//! What a stream is: its name, listing, key, cursor, plan, scope and shape, as data.
//!
//! Long because all that a stream can vary in is here, each with its reason.

use schemars::{JsonSchema, Schema, SchemaGenerator};

/// One stream. Variation is data that the walker matches exhaustively: there are no per-stream callbacks, so
/// everything else (catalog, `opt_fields`, docs, state) is derived from this.
#[derive(Debug)]
pub struct Stream {
    pub name: &'static str,
    pub listing: Listing,
    /// The columns that together are unique and never null.
    pub primary_key: &'static [&'static str],
    pub cursor: Cursor,
    pub plan: Plan,
    /// The granular OAuth scope that its listing wants, where Asana defines one; several are separated by spaces,
    /// as OAuth writes them.
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
    /// A forest below another stream's records, to any depth.
    Tree(Tree),
}

/// A listing for each record of a parent.
///
/// In `path`, `{gid}` stands for the parent's gid and `{workspace}` for the gid of the workspace in which
/// the parent was listed. The part behind `?` is sent as the query.
#[derive(Debug)]
pub struct Each {
    pub parent: &'static Stream,
    pub path: &'static str,
    /// What the parent's record must say for the listing to be worth a request.
    pub when: Condition,
    /// Which of the listed rows are this listing's own.
    pub rows: Condition,
    pub paging: Paging,
    pub news: News,
    /// The query parameter that is sent as `false` when the user leaves archived records out.
    pub archived: Option<&'static str>,
    /// A query parameter that is added where Asana refuses the request without it.
    pub fallback: Option<(&'static str, &'static str)>,
}

/// Whether a parent tells that its children have news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It does not: an incremental sync lists every parent's children.
    Untold,
    /// The parent's own cursor moves with every change below it: children of unmoved parents are not listed.
    MovesParent,
}

/// Nodes hang below the records of `roots` and below each other. A record in a listing of `roots` that names
/// a parent is itself a node: it belongs to this stream and not to `roots`.
#[derive(Debug)]
pub struct Tree {
    pub roots: &'static Stream,
    /// Lists the children of `{gid}`.
    pub path: &'static str,
    /// The field that holds the parent's reference; null at a root.
    pub parent: &'static str,
    /// What a record must say for its children to be listed.
    pub when: Condition,
    /// Asana's search for all nodes of the workspace `{gid}`, by which those that changed are found where the plan
    /// includes it. Its path names the filter; time is paged by `asana::Search`.
    pub search: Option<&'static str>,
}

/// Records that no listing shows, found by Asana's search of a workspace where the plan includes it.
#[derive(Debug, Clone, Copy)]
pub struct Unlisted {
    /// Its path names the filter, with `{gid}` for the workspace; time is paged by `asana::Search`.
    pub path: &'static str,
    /// Which of the rows are really listed nowhere.
    pub rows: Condition,
}

/// How it comes to light that a record was deleted.
#[derive(Debug, Clone, Copy)]
pub enum Deletions {
    /// It does not: only a full refresh shows that a record is gone.
    Untold,
    /// By its absence from its listing, which is always read whole, and then by asking for the object itself:
    /// `path` names one, with `{gid}` for its own.
    Absence { path: &'static str },
    /// By events of a record above it; and by absence, as above, where its listing happens to be read whole.
    Events { feed: &'static Feed, told: Told, path: &'static str },
}

impl Deletions {
    /// The path of one object, with `{gid}` for its own.
    pub fn path(self) -> Option<&'static str> {
        match self {
            Self::Untold => None,
            Self::Absence { path } | Self::Events { path, .. } => Some(path),
        }
    }
}

/// The events of a stream's records. They tell of everything in the record, to any depth. Each stream that hears of
/// deletions by them keeps its own place in them.
#[derive(Debug)]
pub struct Feed {
    /// The stream whose records have events.
    pub of: &'static Stream,
    /// The path of one record's events, with `{gid}` for its own.
    pub path: &'static str,
}

/// Which events say that a record is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The kind of resource that the events name.
    pub resource: &'static str,
    /// The actions that mean a deletion.
    pub actions: &'static [&'static str],
}

/// What a record's own top-level field says. A field that is absent rules nothing out, so every condition on it
/// holds: that may cost a request, where the opposite could lose a record.
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
    /// The field that the condition looks at.
    pub fn field(self) -> Option<&'static str> {
        match self {
            Self::Always => None,
            Self::True(field) | Self::Filled(field) | Self::Empty(field) | Self::Positive(field) => {
                Some(field)
            }
        }
    }

    /// Whether the condition holds for the field's JSON text, `None` where the record lacks it.
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
    /// One answer holds everything; the endpoint takes neither `limit` nor `offset`.
    Whole,
    /// A search, which has no pages: time is paged instead.
    ByTime,
}

/// What tells that a record is new or changed since an earlier sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// Nothing does: every sync reads the stream whole.
    None,
    /// This time moves with every change; the listing is filtered by the parameter where Asana has one.
    Moves { field: &'static str, parameter: Option<&'static str> },
    /// Records are never changed after this time, so it tells which are new.
    Fixed { field: &'static str, parameter: Option<&'static str> },
    /// The record tells nothing, but its listing is known to have news (see [`News`]), and is then read whole.
    /// The field only orders versions of a record.
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

    /// The parameter by which the listing leaves out what is older, where it has one.
    pub fn parameter(self) -> Option<&'static str> {
        match self {
            Self::None | Self::Parents { .. } => None,
            Self::Moves { parameter, .. } | Self::Fixed { parameter, .. } => parameter,
        }
    }
}

/// Which of Asana's plans answer a stream's listing; below it Asana answers 402, which is a reported skip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    Any,
    Starter,
    Advanced,
    /// Enterprise+ (or a compliance add-on), and the token of a service account.
    ServiceAccount,
}

/// Whether several listings of one sync can return the same object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// Each object is in one listing only.
    Never,
    /// An object can be in several listings; the first one that shows it counts.
    AcrossListings,
}

/// How the fields of a listing's records are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fields {
    /// By `opt_fields`.
    Chosen,
    /// The endpoint has no `opt_fields` parameter and sends what it sends.
    Fixed,
}

impl Stream {
    /// A stream whose records have the shape of `Record`, listed by `listing`: key `gid`, no cursor, any
    /// plan, no scope, until said otherwise.
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
            deletions: Deletions::Untold,
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

    /// See [`Cursor::Moves`]; `parameter` makes Asana leave out what has not moved since.
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

    /// The JSON schema of a record as its struct declares it, with the marks that `schema` defines.
    pub fn shape(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.shape)(generator)
    }

    /// The streams whose records this one's listings are made for.
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
            news: News::Untold,
            archived: None,
            fallback: None,
        }
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

    pub const fn news(mut self, news: News) -> Self {
        self.news = news;
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
    fn conditions_read_json_text_and_hold_for_what_is_absent() {
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
