//! From what a platform asks for to what has to be listed: the selected streams and columns, the parents they need, and
//! each listing's fields.
//!
//! Long because of the structs that a plan is; its steps follow one another in one file.

use std::collections::BTreeSet;

use airbyte_protocol::catalog::ConfiguredCatalog;
use serde_json::Value;

use crate::asana::SEARCH_FIELDS;
use crate::opt_fields;
use crate::schema;
use crate::stream::{
    Condition, Cursor, Deletions, Each, Feed, Fields, Listing, News, Paging, Repeats, Stream, Told, Tree,
};
use crate::stream_set::{StreamId, StreamSet};
use crate::streams::ALL;

/// A listing's place in [`Plan::listings`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListingId(pub usize);

/// Everything that one sync lists, each listing once however many streams need it.
#[derive(Debug)]
pub struct Plan {
    /// One for every stream of the table, in its order: parents come before children.
    pub streams: Vec<PlannedStream>,
    pub listings: Vec<PlannedListing>,
    /// The listing that everything starts from.
    pub root: ListingId,
    /// For each tree that can be searched, the search that finds its changed nodes, once for each workspace.
    pub changes: Vec<ListingId>,
    /// Searches for what no listing shows, once for each workspace.
    pub unlisted: Vec<ListingId>,
    pub feeds: Vec<PlannedFeed>,
}

/// Events that tell of deletions.
#[derive(Debug)]
pub struct PlannedFeed {
    /// The stream whose records have events.
    pub of: StreamId,
    pub path: &'static str,
    /// Which streams' records are gone by which events.
    pub told: Vec<PlannedTold>,
}

/// A stream whose deletions some events tell of.
#[derive(Debug)]
pub struct PlannedTold {
    pub stream: StreamId,
    pub told: Told,
    /// What its records hang on, if the same events tell of that: they are gone with it, though no event names them.
    pub above: Vec<Told>,
}

#[derive(Debug)]
pub struct PlannedStream {
    pub stream: &'static Stream,
    /// `None` for a stream that no one selected: it may still be listed for the sake of its children.
    pub selection: Option<Selection>,
    /// The listings that are made for each of its records.
    pub children: Vec<ListingId>,
    pub level: Level,
    /// The column that takes the parent's gid, if the stream has one and it is selected.
    pub parent_column: Option<String>,
    /// Whether deletions are to be told: the stream is read incrementally, and so that a platform can store them.
    pub tells_deletions: bool,
}

/// What a stream's records are to a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Workspaces, which the root listing shows.
    Workspace,
    /// Listed once per workspace. What is below one of the records is a slice.
    SliceRoot,
    /// Listed inside slices.
    InSlice,
}

#[derive(Debug)]
pub struct Selection {
    pub mode: Mode,
    /// The chosen top-level columns; key and cursor are always among them.
    pub columns: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    FullRefresh,
    Incremental,
}

/// One listing for each record of a parent (or one for all, at the root).
#[derive(Debug)]
pub struct PlannedListing {
    /// Whose records it lists.
    pub stream: StreamId,
    pub parent: Option<StreamId>,
    pub path: &'static str,
    pub when: Condition,
    pub rows: Condition,
    pub paging: Paging,
    pub news: News,
    pub archived: Option<&'static str>,
    pub fallback: Option<(&'static str, &'static str)>,
    /// `None` where the endpoint has no such parameter.
    pub opt_fields: Option<String>,
    /// The parameter by which Asana leaves out what has not moved since a time, and the field it looks at.
    pub since: Option<&'static str>,
    /// Rows that name a parent belong to this tree instead.
    pub tree: Option<TreeRows>,
    /// The top-level fields that are asked for; `None` for all that the endpoint sends.
    pub asked: Option<BTreeSet<String>>,
    /// Whether the state keeps which gids it held, so that what is not in it any more is noticed.
    pub is_kept: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct TreeRows {
    pub stream: StreamId,
    /// The field that holds the parent's reference.
    pub parent: &'static str,
}

/// Why a configured catalog cannot be read as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownStream {
    pub name: String,
    /// The name that was probably meant.
    pub suggestion: Option<&'static str>,
}

impl Plan {
    /// The plan for `configured`, and the streams in it that do not exist.
    pub fn new(configured: &ConfiguredCatalog) -> (Self, Vec<UnknownStream>) {
        let mut unknown = Vec::new();
        let mut selections: Vec<Option<Selection>> = ALL.iter().map(|_| None).collect();
        for configured in &configured.streams {
            match ALL.iter().position(|stream| stream.name == configured.stream.name) {
                Some(index) => {
                    let mode = if configured.is_incremental() && ALL[index].cursor != Cursor::None {
                        Mode::Incremental
                    } else {
                        Mode::FullRefresh
                    };
                    selections[index] = Some(select(ALL[index], mode, &configured.stream.json_schema));
                }
                None => unknown.push(UnknownStream {
                    suggestion: closest_name(&configured.stream.name),
                    name: configured.stream.name.clone(),
                }),
            }
        }
        (Self::of(selections), unknown)
    }

    fn of(selections: Vec<Option<Selection>>) -> Self {
        let needed = needed_streams(&selections);
        let mut plan = Self {
            streams: Vec::new(),
            listings: Vec::new(),
            root: ListingId(0),
            changes: Vec::new(),
            unlisted: Vec::new(),
            feeds: Vec::new(),
        };
        for (stream, selection) in ALL.iter().zip(selections) {
            let level = plan.level_of(stream);
            let schema = schema::marked(stream);
            let parent_column = schema::parent_column(&schema)
                .filter(|column| {
                    selection.as_ref().is_some_and(|selection| selection.columns.contains(*column))
                })
                .map(str::to_owned);
            let tells_deletions = selection.as_ref().is_some_and(|selection| {
                selection.mode == Mode::Incremental && selection.columns.contains(schema::DELETED_AT)
            });
            plan.streams.push(PlannedStream {
                stream,
                tells_deletions,
                selection,
                children: Vec::new(),
                level,
                parent_column,
            });
        }
        for (index, stream) in ALL.iter().enumerate().filter(|(index, _)| needed[*index]) {
            plan.add_listings(StreamId(index), stream, &needed);
        }
        plan.add_changes(&needed);
        plan.add_unlisted(&needed);
        plan.add_feeds();
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

    fn level_of(&self, stream: &'static Stream) -> Level {
        let parents = stream.parents();
        let is_of_workspaces =
            |parent: &&'static Stream| self.streams[index_of(parent)].level == Level::Workspace;
        match &stream.listing {
            Listing::Root(_) => Level::Workspace,
            Listing::Each(_) | Listing::Tree(_) if parents.iter().any(is_of_workspaces) => Level::SliceRoot,
            Listing::Each(_) | Listing::Tree(_) => Level::InSlice,
        }
    }

    fn add_listings(&mut self, id: StreamId, stream: &'static Stream, needed: &[bool]) {
        let since = match stream.cursor {
            Cursor::Moves { parameter, .. } | Cursor::Fixed { parameter, .. } => parameter,
            Cursor::None | Cursor::Parents { .. } => None,
        };
        let tree = ALL.iter().enumerate().find_map(|(index, other)| match &other.listing {
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
                news: each.news,
                archived: each.archived,
                fallback: each.fallback,
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
                for each in listings.iter().filter(|each| needed[index_of(each.parent)]) {
                    add(Some(index_of(each.parent)), each, tree);
                }
            }
            Listing::Tree(own) => {
                let each = Each::of(own.roots, own.path).when(own.when);
                add(Some(index_of(own.roots)), &each, None);
                add(Some(id.0), &each, None);
            }
        }
    }

    fn add_changes(&mut self, needed: &[bool]) {
        for (index, stream) in ALL.iter().enumerate().filter(|(index, _)| needed[*index]) {
            if let Listing::Tree(tree @ Tree { search: Some(path), .. }) = &stream.listing {
                let rows = Some(TreeRows { stream: StreamId(index), parent: tree.parent });
                let listing = self.add_search(StreamId(index), path, Condition::Always, rows);
                self.changes.push(listing);
            }
        }
    }

    fn add_unlisted(&mut self, needed: &[bool]) {
        for (index, stream) in ALL.iter().enumerate().filter(|(index, _)| needed[*index]) {
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
            news: News::Untold,
            archived: None,
            fallback: None,
            opt_fields: None,
            since: None,
            tree,
            asked: None,
            is_kept: false,
        });
        ListingId(self.listings.len() - 1)
    }

    fn add_feeds(&mut self) {
        for (index, planned) in self.streams.iter().enumerate() {
            let Deletions::Events { feed, told, .. } = planned.stream.deletions else { continue };
            let Feed { of, path } = *feed;
            if !planned.tells_deletions {
                continue;
            }
            let told = PlannedTold { stream: StreamId(index), told, above: told_above(planned.stream, path) };
            match self.feeds.iter_mut().find(|planned| planned.path == path) {
                Some(planned) => planned.told.push(told),
                None => {
                    self.feeds.push(PlannedFeed { of: StreamId(index_of(of)), path, told: vec![told] });
                }
            }
        }
    }

    /// What a listing held is kept where its absence is how a deletion shows; and where events tell of deletions, for
    /// the listings of what the events are about: of what went before they began, and with what, they do not tell.
    fn keeps(&self, listing: &PlannedListing) -> bool {
        let planned = self.stream(listing.stream);
        let is_incremental =
            planned.selection.as_ref().is_some_and(|selection| selection.mode == Mode::Incremental);
        match (planned.stream.deletions, listing.parent.map(|parent| self.stream(parent).stream)) {
            (Deletions::Untold, _) | (_, None) => false,
            (Deletions::Absence { .. }, Some(_)) => is_incremental,
            (Deletions::Events { feed, .. }, Some(parent)) => {
                let is_in_feed = std::ptr::eq(parent, feed.of) || told_of(parent, feed.path).is_some();
                planned.tells_deletions && is_in_feed
            }
        }
    }

    /// What a listing has to ask for: the selected columns of the streams it feeds, and what the read path needs.
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

    /// The top-level fields that the read path itself reads of a listing's rows, without `gid`.
    pub fn probed_fields(&self, listing: &PlannedListing) -> BTreeSet<&'static str> {
        let mut fields = BTreeSet::new();
        fields.extend(listing.rows.field());
        fields.extend(listing.tree.map(|tree| tree.parent));
        if listing.paging == Paging::ByTime {
            fields.extend(SEARCH_FIELDS);
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

    /// The stream itself and all that are listed below its records.
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
    /// Whether a record that was seen before still has children of its own in another workspace.
    pub fn repeats(&self) -> bool {
        self.stream.repeats == Repeats::AcrossListings
    }

    /// Whether it is read for its records, and those that have changed are enough.
    pub fn is_incremental(&self) -> bool {
        self.selection.as_ref().is_some_and(|selection| selection.mode == Mode::Incremental)
    }
}

impl PlannedListing {
    /// The path without its query, by which requests are counted and messages speak of them.
    pub fn endpoint(&self) -> &'static str {
        self.path.split_once('?').map_or(self.path, |(endpoint, _)| endpoint)
    }

    /// Whether the listing of one parent differs from workspace to workspace.
    pub fn is_per_workspace(&self) -> bool {
        self.path.contains("{workspace}")
    }
}

fn select(stream: &'static Stream, mode: Mode, configured: &serde_json::Map<String, Value>) -> Selection {
    let schema = schema::published(stream);
    let all = schema::properties(&schema).into_iter().flatten().map(|(name, _)| name.clone());
    let wanted =
        configured.get("properties").and_then(Value::as_object).filter(|properties| !properties.is_empty());
    let columns = all
        .filter(|column| {
            wanted.is_none_or(|wanted| wanted.contains_key(column))
                || stream.primary_key.contains(&column.as_str())
                || stream.cursor.field() == Some(column)
        })
        .collect();
    Selection { mode, columns }
}

fn needed_streams(selections: &[Option<Selection>]) -> Vec<bool> {
    let mut needed: Vec<bool> = selections.iter().map(Option::is_some).collect();
    // Children come after parents in the table, so one pass from its end finds every ancestor.
    for index in (0..ALL.len()).rev() {
        if needed[index] {
            for parent in ALL[index].parents() {
                needed[index_of(parent)] = true;
            }
        }
    }
    needed
}

/// By which events of a feed the stream's records are gone.
pub fn told_of(stream: &Stream, path: &str) -> Option<Told> {
    match stream.deletions {
        Deletions::Events { feed, told, .. } if feed.path == path => Some(told),
        Deletions::Events { .. } | Deletions::Untold | Deletions::Absence { .. } => None,
    }
}

/// By which events of a feed the records are gone that a stream's hang on. A tree's nodes do not count: one that is
/// moved to another parent stays.
fn told_above(stream: &Stream, path: &str) -> Vec<Told> {
    match &stream.listing {
        Listing::Each(listings) => listings.iter().filter_map(|each| told_of(each.parent, path)).collect(),
        Listing::Root(_) | Listing::Tree(_) => Vec::new(),
    }
}

fn index_of(stream: &'static Stream) -> usize {
    ALL.iter()
        .position(|other| std::ptr::eq(*other, stream))
        .expect("every parent is in the table of streams")
}

fn closest_name(name: &str) -> Option<&'static str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', ' '], "_").trim_end_matches('s').to_owned();
    let wanted = plain(name);
    ALL.iter().map(|stream| stream.name).find(|known| plain(known) == wanted)
}
