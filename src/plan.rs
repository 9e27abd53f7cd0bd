//! Turns the configured catalog into a plan: the selected streams and columns, the parents that they need, and each
//! listing with its fields.
//!
//! The file is long because it has both the structs of a plan and the steps that build it.

use std::collections::BTreeSet;

use airbyte_protocol::catalog::{ConfiguredCatalog, ConfiguredStream};
use serde_json::Value;

use crate::asana::SEARCH_FIELDS;
use crate::opt_fields;
use crate::schema;
use crate::stream::{
    ChangeSignal, Condition, Counted, Cursor, DeletionEvents, Deletions, Each, Feed, Fields, Listing, Paging,
    Repeats, Stream, Tree,
};
use crate::stream_set::{StreamId, StreamSet};
use crate::streams::ALL;

/// Streams, parents before children.
type Table<'a> = &'a [&'static Stream];

/// Index into [`Plan::listings`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListingId(pub usize);

/// Everything that a sync lists. Each listing occurs once, however many streams need it.
#[derive(Debug)]
pub struct Plan {
    /// One per stream of the table, in the same order: parents come before children.
    pub streams: Vec<PlannedStream>,
    pub listings: Vec<PlannedListing>,
    /// The listing with which a sync starts.
    pub root: ListingId,
    /// For each searchable tree, the search for changed nodes. It runs once per workspace.
    pub changes: Vec<ListingId>,
    /// Searches for records that no listing returns. Each runs once per workspace.
    pub unlisted: Vec<ListingId>,
    pub feeds: Vec<PlannedFeed>,
}

/// Events that report deletions.
#[derive(Debug)]
pub struct PlannedFeed {
    /// The stream whose records have events.
    pub of: StreamId,
    pub path: &'static str,
    /// The streams whose deletions they report.
    pub streams: Vec<PlannedDeletionEvents>,
}

/// A stream whose deletions are reported by events.
#[derive(Debug)]
pub struct PlannedDeletionEvents {
    pub stream: StreamId,
    pub events: DeletionEvents,
    /// The deletion events of its parents, if in the same feed. A deleted parent takes its children with it, and no
    /// event names them.
    pub above: Vec<DeletionEvents>,
}

#[derive(Debug)]
pub struct PlannedStream {
    pub stream: &'static Stream,
    /// `None` if the stream is not selected. It may still be listed for its children.
    pub selection: Option<Selection>,
    /// The listings for each of its records.
    pub children: Vec<ListingId>,
    pub level: Level,
    /// The column for the parent's gid, if the stream has one and it is selected.
    pub parent_column: Option<String>,
    /// Whether deletions are reported: the sync is incremental, and the column for deletions is selected.
    pub reports_deletions: bool,
}

/// Where a stream is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// By the root listing, which lists workspaces.
    Workspace,
    /// Once per workspace. Everything below one of its records is a slice.
    SliceRoot,
    /// Inside slices.
    InSlice,
}

#[derive(Debug)]
pub struct Selection {
    pub mode: Mode,
    /// The selected top-level columns, always with key and cursor.
    pub columns: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    FullRefresh,
    Incremental,
}

/// A listing for each record of a parent, or a single one at the root.
#[derive(Debug, Clone)]
pub struct PlannedListing {
    /// The stream that it lists.
    pub stream: StreamId,
    pub parent: Option<StreamId>,
    pub path: &'static str,
    pub when: Condition,
    pub rows: Condition,
    pub paging: Paging,
    pub change_signal: ChangeSignal,
    pub archived: Option<&'static str>,
    pub fallback: Option<(&'static str, &'static str)>,
    /// Where Asana says how many rows it has.
    pub counted: Option<Counted>,
    /// The search of a workspace for the parents whose listing has rows.
    pub parents_search: Option<&'static str>,
    /// `None` if the endpoint has no such parameter.
    pub opt_fields: Option<String>,
    /// The parameter with which Asana omits records that did not change since a time.
    pub since: Option<&'static str>,
    /// Rows that have a parent belong to this tree instead.
    pub tree: Option<TreeRows>,
    /// The top-level fields in the request; `None` if the endpoint always sends the same.
    pub asked: Option<BTreeSet<String>>,
    /// Whether the state stores the gids that it returned, so that missing records are noticed.
    pub is_kept: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct TreeRows {
    pub stream: StreamId,
    /// The field with the reference to the parent.
    pub parent: &'static str,
}

/// A stream of the configured catalog that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownStream {
    pub name: String,
    /// The name that the user probably meant.
    pub suggestion: Option<&'static str>,
}

impl Plan {
    /// The plan for `configured`, and the streams in it that do not exist.
    pub fn new(configured: &ConfiguredCatalog) -> (Self, Vec<UnknownStream>) {
        Self::of(ALL, configured)
    }

    /// The same for another table of streams.
    pub fn of(table: Table<'_>, configured: &ConfiguredCatalog) -> (Self, Vec<UnknownStream>) {
        let mut unknown = Vec::new();
        let mut selections: Vec<Option<Selection>> = table.iter().map(|_| None).collect();
        for configured in &configured.streams {
            match table.iter().position(|stream| stream.name == configured.stream.name) {
                Some(index) => {
                    let mode = if configured.is_incremental() && table[index].cursor != Cursor::None {
                        Mode::Incremental
                    } else {
                        Mode::FullRefresh
                    };
                    selections[index] = Some(select(table[index], mode, configured));
                }
                None => unknown.push(UnknownStream {
                    suggestion: closest_name(table, &configured.stream.name),
                    name: configured.stream.name.clone(),
                }),
            }
        }
        (Self::build(table, selections), unknown)
    }

    fn build(table: Table<'_>, selections: Vec<Option<Selection>>) -> Self {
        let needed = needed_streams(table, &selections);
        let mut plan = Self {
            streams: Vec::new(),
            listings: Vec::new(),
            root: ListingId(0),
            changes: Vec::new(),
            unlisted: Vec::new(),
            feeds: Vec::new(),
        };
        for (stream, selection) in table.iter().zip(selections) {
            let level = plan.level_of(table, stream);
            let schema = schema::marked(stream);
            let parent_column = schema::parent_column(&schema)
                .filter(|column| {
                    selection.as_ref().is_some_and(|selection| selection.columns.contains(*column))
                })
                .map(str::to_owned);
            let reports_deletions = selection.as_ref().is_some_and(|selection| {
                selection.mode == Mode::Incremental && selection.columns.contains(schema::DELETED_AT)
            });
            plan.streams.push(PlannedStream {
                stream,
                reports_deletions,
                selection,
                children: Vec::new(),
                level,
                parent_column,
            });
        }
        for (index, stream) in table.iter().enumerate().filter(|(index, _)| needed[*index]) {
            plan.add_listings(table, StreamId(index), stream, &needed);
        }
        plan.add_changes(table, &needed);
        plan.add_unlisted(table, &needed);
        plan.add_feeds(table);
        for index in 0..plan.listings.len() {
            plan.listings[index].is_kept = plan.keeps(&plan.listings[index]);
        }
        for index in 0..plan.listings.len() {
            let (opt_fields, asked) = plan.fields_of(&plan.listings[index]);
            plan.listings[index].opt_fields = opt_fields;
            plan.listings[index].asked = asked;
        }
        plan
    }

    fn level_of(&self, table: Table<'_>, stream: &'static Stream) -> Level {
        let parents = stream.parents();
        let is_of_workspaces =
            |parent: &&'static Stream| self.streams[index_of(table, parent)].level == Level::Workspace;
        match &stream.listing {
            Listing::Root(_) => Level::Workspace,
            Listing::Each(_) | Listing::Tree(_) if parents.iter().any(is_of_workspaces) => Level::SliceRoot,
            Listing::Each(_) | Listing::Tree(_) => Level::InSlice,
        }
    }

    fn add_listings(&mut self, table: Table<'_>, id: StreamId, stream: &'static Stream, needed: &[bool]) {
        let since = match stream.cursor {
            Cursor::Moves { parameter, .. } | Cursor::Fixed { parameter, .. } => parameter,
            Cursor::None | Cursor::Parents { .. } => None,
        };
        let tree = table.iter().enumerate().find_map(|(index, other)| match &other.listing {
            Listing::Tree(tree) if std::ptr::eq(tree.roots, stream) => {
                Some(TreeRows { stream: StreamId(index), parent: tree.parent })
            }
            Listing::Tree(_) | Listing::Root(_) | Listing::Each(_) => None,
        });
        let mut add = |parent: Option<usize>, each: &Each, tree| {
            let listing = ListingId(self.listings.len());
            if let Some(parent) = parent {
                self.streams[parent].children.push(listing);
            }
            self.listings.push(PlannedListing {
                stream: id,
                parent: parent.map(StreamId),
                path: each.path,
                when: each.when,
                rows: each.rows,
                paging: each.paging,
                change_signal: each.change_signal,
                archived: each.archived,
                fallback: each.fallback,
                counted: each.counted,
                parents_search: each.parents_search,
                opt_fields: None,
                since,
                tree,
                asked: None,
                is_kept: false,
            });
        };
        match &stream.listing {
            Listing::Root(path) => add(None, &Each::of(stream, path), tree),
            Listing::Each(listings) => {
                for each in listings.iter().filter(|each| needed[index_of(table, each.parent)]) {
                    add(Some(index_of(table, each.parent)), each, tree);
                }
            }
            Listing::Tree(own) => {
                let each = Each::of(own.roots, own.path).when(own.when);
                add(Some(index_of(table, own.roots)), &each, None);
                add(Some(id.0), &each, None);
            }
        }
    }

    fn add_changes(&mut self, table: Table<'_>, needed: &[bool]) {
        for (index, stream) in table.iter().enumerate().filter(|(index, _)| needed[*index]) {
            if let Listing::Tree(tree @ Tree { search: Some(path), .. }) = &stream.listing {
                let rows = Some(TreeRows { stream: StreamId(index), parent: tree.parent });
                let listing = self.add_search(StreamId(index), path, Condition::Always, rows);
                self.changes.push(listing);
            }
        }
    }

    fn add_unlisted(&mut self, table: Table<'_>, needed: &[bool]) {
        for (index, stream) in table.iter().enumerate().filter(|(index, _)| needed[*index]) {
            if let Some(unlisted) = stream.unlisted {
                let listing = self.add_search(StreamId(index), unlisted.path, unlisted.rows, None);
                self.unlisted.push(listing);
            }
        }
    }

    fn add_search(
        &mut self,
        stream: StreamId,
        path: &'static str,
        rows: Condition,
        tree: Option<TreeRows>,
    ) -> ListingId {
        self.listings.push(PlannedListing {
            stream,
            parent: None,
            path,
            when: Condition::Always,
            rows,
            paging: Paging::ByTime,
            change_signal: ChangeSignal::Missing,
            archived: None,
            fallback: None,
            counted: None,
            parents_search: None,
            opt_fields: None,
            since: None,
            tree,
            asked: None,
            is_kept: false,
        });
        ListingId(self.listings.len() - 1)
    }

    fn add_feeds(&mut self, table: Table<'_>) {
        for (index, planned) in self.streams.iter().enumerate() {
            let Deletions::Events { feed, events, .. } = planned.stream.deletions else { continue };
            let Feed { of, path } = *feed;
            if !planned.reports_deletions {
                continue;
            }
            let reported = PlannedDeletionEvents {
                stream: StreamId(index),
                events,
                above: deletion_events_above(planned.stream, path),
            };
            match self.feeds.iter_mut().find(|planned| planned.path == path) {
                Some(planned) => planned.streams.push(reported),
                None => {
                    self.feeds.push(PlannedFeed {
                        of: StreamId(index_of(table, of)),
                        path,
                        streams: vec![reported],
                    });
                }
            }
        }
    }

    /// Whether the state stores the gids that a listing returned. It does if deletions are noticed by absence. If
    /// events report deletions, it does for the records that the events cover, because events do not report what was
    /// deleted before the first stored one, or together with a parent.
    fn keeps(&self, listing: &PlannedListing) -> bool {
        let planned = self.stream(listing.stream);
        let is_incremental =
            planned.selection.as_ref().is_some_and(|selection| selection.mode == Mode::Incremental);
        match (planned.stream.deletions, listing.parent.map(|parent| self.stream(parent).stream)) {
            (Deletions::Unreported, _) | (_, None) => false,
            (Deletions::Absence { .. }, Some(_)) => is_incremental,
            (Deletions::Events { feed, .. }, Some(parent)) => {
                let is_in_feed =
                    std::ptr::eq(parent, feed.of) || deletion_events_of(parent, feed.path).is_some();
                planned.reports_deletions && is_in_feed
            }
        }
    }

    /// The fields that a listing requests: the selected columns of its streams, and what the read path needs.
    fn fields_of(&self, listing: &PlannedListing) -> (Option<String>, Option<BTreeSet<String>>) {
        let stream = self.stream(listing.stream).stream;
        if stream.fields == Fields::Fixed {
            return (None, None);
        }
        let schema = schema::marked(stream);
        let fed = [Some(listing.stream), listing.tree.map(|tree| tree.stream)];
        let is_selected = |column: &str| {
            fed.iter().flatten().any(|fed| {
                self.stream(*fed)
                    .selection
                    .as_ref()
                    .is_some_and(|selection| selection.columns.contains(column))
            })
        };
        let needed = self.probed_fields(listing);
        let mut paths = opt_fields::paths(&schema, is_selected);
        for field in &needed {
            if !is_selected(field) {
                paths.push(opt_fields::probe_path(&schema, field));
            }
        }
        let mut asked: BTreeSet<String> = needed.into_iter().map(str::to_owned).collect();
        asked.extend(
            schema::properties(&schema)
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone())
                .filter(|name| is_selected(name)),
        );
        (Some(opt_fields::parameter(&paths)), Some(asked))
    }

    /// The top-level fields of a row, besides `gid`, that the read path itself needs.
    pub fn probed_fields(&self, listing: &PlannedListing) -> BTreeSet<&'static str> {
        let mut fields = BTreeSet::new();
        fields.extend(listing.rows.field());
        fields.extend(listing.tree.map(|tree| tree.parent));
        if listing.paging == Paging::ByTime {
            fields.extend(SEARCH_FIELDS);
        }
        if listing.parents_search.is_some() {
            fields.extend(self.stream(listing.stream).stream.cursor.field());
        }
        for fed in [Some(listing.stream), listing.tree.map(|tree| tree.stream)].into_iter().flatten() {
            let planned = self.stream(fed);
            fields.extend(planned.children.iter().filter_map(|child| self.listing(*child).when.field()));
            if let Cursor::Moves { field, .. } | Cursor::Fixed { field, .. } = planned.stream.cursor {
                fields.insert(field);
            }
        }
        fields
    }

    pub fn stream(&self, id: StreamId) -> &PlannedStream {
        &self.streams[id.0]
    }

    pub fn listing(&self, id: ListingId) -> &PlannedListing {
        &self.listings[id.0]
    }

    pub fn selected(&self) -> impl Iterator<Item = (StreamId, &PlannedStream)> {
        self.streams
            .iter()
            .enumerate()
            .filter(|(_, planned)| planned.selection.is_some())
            .map(|(index, planned)| (StreamId(index), planned))
    }

    /// The stream itself and all streams below it.
    pub fn below(&self, id: StreamId) -> StreamSet {
        let mut found = StreamSet::from_iter([id]);
        let mut pending = vec![id];
        while let Some(stream) = pending.pop() {
            for child in &self.stream(stream).children {
                let child = self.listing(*child).stream;
                if !found.contains(child) {
                    found.insert(child);
                    pending.push(child);
                }
            }
        }
        found
    }
}

impl PlannedStream {
    /// Whether a record is one row below each of its parents.
    pub fn is_keyed_by_parent(&self) -> bool {
        self.parent_column.as_deref().is_some_and(|column| self.stream.primary_key.contains(&column))
    }

    /// Whether several listings can return the same record.
    pub fn repeats(&self) -> bool {
        self.stream.repeats == Repeats::AcrossListings
    }

    /// Whether it is selected for incremental sync.
    pub fn is_incremental(&self) -> bool {
        self.selection.as_ref().is_some_and(|selection| selection.mode == Mode::Incremental)
    }
}

impl PlannedListing {
    /// The path without its query, for counts and messages.
    pub fn endpoint(&self) -> &'static str {
        self.path.split_once('?').map_or(self.path, |(endpoint, _)| endpoint)
    }

    /// Whether the listing of a parent depends on the workspace.
    pub fn is_per_workspace(&self) -> bool {
        self.path.contains("{workspace}")
    }
}

fn select(stream: &'static Stream, mode: Mode, configured: &ConfiguredStream) -> Selection {
    let schema = schema::published(stream);
    let all = schema::properties(&schema).into_iter().flatten().map(|(name, _)| name.clone());
    let properties = configured.stream.json_schema.get("properties").and_then(Value::as_object);
    let wanted = properties.filter(|properties| !properties.is_empty());
    let columns = all
        .filter(|column| {
            wanted.is_none_or(|wanted| wanted.contains_key(column))
                || stream.primary_key.contains(&column.as_str())
                || stream.cursor.field() == Some(column)
                || configured.cursor_field.contains(column)
        })
        .collect();
    Selection { mode, columns }
}

fn needed_streams(table: Table<'_>, selections: &[Option<Selection>]) -> Vec<bool> {
    let mut needed: Vec<bool> = selections.iter().map(Option::is_some).collect();
    // Children come after parents in the table, so one pass from its end finds every ancestor.
    for index in (0..table.len()).rev() {
        if needed[index] {
            for parent in table[index].parents() {
                needed[index_of(table, parent)] = true;
            }
        }
    }
    needed
}

/// The events of a feed that report deletions of the stream.
pub fn deletion_events_of(stream: &Stream, path: &str) -> Option<DeletionEvents> {
    match stream.deletions {
        Deletions::Events { feed, events, .. } if feed.path == path => Some(events),
        Deletions::Events { .. } | Deletions::Unreported | Deletions::Absence { .. } => None,
    }
}

/// The events of a feed that report deletions of the stream's parents. Trees have none, because a node can move to
/// another parent.
fn deletion_events_above(stream: &Stream, path: &str) -> Vec<DeletionEvents> {
    match &stream.listing {
        Listing::Each(listings) => {
            listings.iter().filter_map(|each| deletion_events_of(each.parent, path)).collect()
        }
        Listing::Root(_) | Listing::Tree(_) => Vec::new(),
    }
}

fn index_of(table: Table<'_>, stream: &'static Stream) -> usize {
    table
        .iter()
        .position(|other| std::ptr::eq(*other, stream))
        .expect("every parent is in the table of streams")
}

fn closest_name(table: Table<'_>, name: &str) -> Option<&'static str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', ' '], "_").trim_end_matches('s').to_owned();
    let wanted = plain(name);
    table.iter().map(|stream| stream.name).find(|known| plain(known) == wanted)
}
