//! Walks the plan as a sync does. Where a sync requests every listing of a kind, this requests a sample, and scales.
//!
//! The file is long because the steps from workspaces down to tasks share what they find.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use airbyte_connector::Failure;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::value::RawValue;

use crate::asana::{Request, SEARCH_FIELDS};
use crate::config::{ArchivedProjects, ReportDeletions, SearchParents, Settings};
use crate::estimate::asker::{Asker, Found};
use crate::estimate::sample::{proportional, share, spread};
use crate::gid::Gid;
use crate::moment::Moment;
use crate::opt_fields;
use crate::plan::{Level, ListingId, Mode, Plan, PlannedListing};
use crate::schema;
use crate::slice_key::SliceKey;
use crate::state::StreamState;
use crate::stream::{Condition, Cursor, Listing, Paging};
use crate::stream_set::{StreamId, StreamSet};
use crate::sync::graph::Graph;
use crate::sync::parent_search;
use crate::sync::reach::{self, Reach};
use crate::sync::row::{self, Probe};
use crate::sync::slices::Purpose;
use crate::sync::{Rows, requests};
use crate::window::{self, Window};

/// The rows of a full page.
pub const PAGE: f64 = 100.0;
/// At most this many workspaces are read. The estimate assumes that the others are like them.
const MOST_WORKSPACES: usize = 4;
/// Rows are counted in at most this many slices. The estimate assumes that the others are like them.
const MOST_COUNTED: usize = 300;
/// How many of the requests that are made once per slice are under way at once.
const AT_ONCE: usize = 10;
/// At most this many pages of one listing are read, outside of samples.
const MOST_PAGES: usize = 10;
/// Answers of the searches for parents that are read.
const OF_PARENT_SEARCHES: usize = 8;
/// How many levels of a tree are followed. A sync follows all.
const DEEPEST: usize = 6;
/// The share of the budget for pages of counted listings.
const OF_COUNTED: f64 = 0.4;
/// The share of what is then left for listings that are not counted.
const OF_OTHERS: f64 = 0.3;
/// The share of what is then left for each level of a tree.
const OF_LEVEL: f64 = 0.6;

/// A record is an outlier if it has more than this many times the mean number of rows below it.
const OUTLIER: f64 = 10.0;
/// From this many nodes of a tree on, of any level, the estimate assumes that all are like them.
const FEWEST_STRAYS: usize = 30;
/// The estimate assumes that at most this share of a tree's nodes is below other nodes.
const MOST_NESTED: f64 = 0.8;
/// If a sample has more outliers than this, they are no exceptions.
const FEW_OUTLIERS: usize = 2;

/// What an estimate is made for.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub plan: &'a Plan,
    pub graph: &'a Graph,
    pub settings: &'a Settings,
    pub states: &'a [StreamState],
    pub began: Moment,
}

/// What a slice reads.
#[derive(Debug, PartialEq, Eq)]
struct View {
    workspace: Gid,
    purpose: Purpose,
    windows: Vec<Window>,
    covered_by_search: StreamSet,
}

/// Records like this one.
#[derive(Debug, Clone)]
struct Member {
    gid: Gid,
    /// How many there are.
    weight: f64,
    time: Option<Moment>,
    /// For each listing below, how many rows it has: `None` if the record says that it is empty.
    below: Vec<Option<f64>>,
    view: Rc<View>,
}

/// A listing of a slice whose records have listings of their own.
#[derive(Debug, Clone)]
struct Branch {
    listing: ListingId,
    gid: Gid,
    workspace: Gid,
    view: Rc<View>,
    window: Window,
    rows: f64,
    /// How many slices are like this one.
    weight: f64,
}

/// The expected requests.
#[derive(Debug, Default)]
pub struct Costs {
    pub of_listings: Vec<f64>,
    pub of_feeds: Vec<f64>,
    /// How many of them are searches.
    pub searches: f64,
}

/// What the daily comparison depends on.
#[derive(Debug, Default)]
pub struct Seen {
    /// The sync lists all roots of the tree anyway.
    pub is_everything_listed: bool,
    pub is_searchable: bool,
    pub workspaces: f64,
    /// Rows of each counted listing of roots.
    pub rows_of_slices: Vec<f64>,
    /// How many other listings of roots there are.
    pub uncounted: f64,
}

#[derive(Debug)]
pub struct Walk<'a> {
    subject: Subject<'a>,
    asker: &'a Asker,
    pub costs: Costs,
    pub seen: Seen,
    members: BTreeMap<StreamId, Vec<Member>>,
    /// Nodes of a tree, of any level, that listings of roots show.
    strays: BTreeMap<StreamId, Vec<Member>>,
    /// Records that were found by what a sync also requests, and not by a sample.
    exact: HashSet<(StreamId, Gid)>,
    /// The records that are slices.
    slices: HashSet<Gid>,
    branches: Vec<Branch>,
    /// The workspaces in which Asana answered a search.
    searchable: Vec<Gid>,
    /// How many workspaces are like each one that is read.
    scale: f64,
}

impl<'a> Walk<'a> {
    pub fn new(subject: Subject<'a>, asker: &'a Asker) -> Self {
        let costs = Costs {
            of_listings: vec![0.0; subject.plan.listings.len()],
            of_feeds: vec![0.0; subject.plan.feeds.len()],
            searches: 0.0,
        };
        Self {
            subject,
            asker,
            costs,
            seen: Seen::default(),
            members: BTreeMap::new(),
            strays: BTreeMap::new(),
            exact: HashSet::new(),
            slices: HashSet::new(),
            branches: Vec::new(),
            searchable: Vec::new(),
            scale: 1.0,
        }
    }

    /// # Errors
    ///
    /// If Asana does not answer.
    pub async fn run(&mut self) -> Result<(), Failure> {
        let plan = self.subject.plan;
        if plan.selected().next().is_none() {
            return Ok(());
        }
        let nobody = Gid::new("");
        let view = self.view(&SliceKey::Root, &nobody, &[]);
        let found =
            self.asker.pages(self.rows(plan.root, &nobody, &nobody, Window::Whole), MOST_PAGES).await?;
        self.cost(plan.root, found.requests as f64);
        if let Some(refusal) = found.refusal {
            return Err(refusal);
        }
        let stream = plan.listing(plan.root).stream;
        let members = found.rows.iter().filter_map(|row| self.member(plan.root, row, 1.0, &view));
        let workspaces: Vec<Member> =
            members.map(|(_, member)| member).filter(|member| self.is_wanted(&member.gid)).collect();
        let sample = spread(workspaces.len(), MOST_WORKSPACES);
        self.scale = workspaces.len() as f64 / sample.len().max(1) as f64;
        self.seen.workspaces = workspaces.len() as f64;
        for index in sample {
            self.workspace(stream, &workspaces[index]).await?;
        }
        let for_searches = if self.searchable.is_empty() { 0 } else { OF_PARENT_SEARCHES };
        self.asker.reserve(for_searches);
        self.count().await?;
        self.sample_counted().await?;
        self.sample_others().await?;
        for id in (0..plan.streams.len()).map(StreamId) {
            if plan.stream(id).level == Level::InSlice {
                self.descend(id).await?;
            }
        }
        self.asker.allow(for_searches);
        self.search_parents().await
    }

    fn is_wanted(&self, workspace: &Gid) -> bool {
        let wanted = &self.subject.settings.workspaces;
        wanted.is_empty() || wanted.iter().any(|gid| Gid::new(gid) == *workspace)
    }

    async fn workspace(&mut self, stream: StreamId, workspace: &Member) -> Result<(), Failure> {
        let plan = self.subject.plan;
        let searched = self.changed(&workspace.gid).await?;
        for listing in plan.unlisted.clone() {
            self.unlisted(listing, &workspace.gid, &searched).await?;
        }
        let view = self.view(&SliceKey::Object(workspace.gid.clone()), &workspace.gid, &[]);
        for (index, child) in plan.stream(stream).children.iter().copied().enumerate() {
            let window = self.reach(&view).of_listing(child);
            let is_due = self.reach(&view).is_due(child, Level::Workspace, None, self.all());
            if workspace.below[index].is_none() || !is_due || window == Window::Done {
                continue;
            }
            if plan.stream(plan.listing(child).stream).children.is_empty() {
                self.cost(child, self.scale);
                continue;
            }
            let rows = self.rows(child, &workspace.gid, &workspace.gid, window);
            // A listing of slices is read whole as far as the budget goes.
            let found = self.asker.pages(rows, usize::MAX).await?;
            self.cost(child, found.requests as f64 * self.scale);
            let members = found.rows.iter().filter_map(|row| self.member(child, row, self.scale, &view));
            let slices: Vec<Member> = members.map(|(_, member)| member).collect();
            for slice in slices {
                self.slice(plan.listing(child).stream, &slice, &workspace.gid, &searched);
            }
        }
        Ok(())
    }

    /// Searches for what changed, as a sync does. Returns how far back each stream was searched.
    async fn changed(&mut self, workspace: &Gid) -> Result<Vec<Window>, Failure> {
        let plan = self.subject.plan;
        let mut reached = vec![Window::Done; plan.streams.len()];
        if self.subject.settings.archived_projects != ArchivedProjects::Included {
            return Ok(reached);
        }
        for (nth, listing) in plan.changes.iter().copied().enumerate() {
            let below = self.subject.graph.below[plan.listing(listing).stream.0];
            let key = SliceKey::Search { workspace: workspace.clone(), nth };
            let window = |id: StreamId| {
                let state = &self.subject.states[id.0];
                let cursor = state.cursor(&key).or_else(|| state.oldest());
                match cursor.filter(|_| plan.stream(id).is_incremental() && below.contains(id)) {
                    Some(cursor) => {
                        Window::of(Mode::Incremental, Some(cursor), self.subject.graph.starts[id.0])
                    }
                    None => Window::Done,
                }
            };
            let windows: Vec<Window> = (0..plan.streams.len()).map(StreamId).map(window).collect();
            if windows.iter().all(|window| *window == Window::Done) {
                continue;
            }
            let view = Rc::new(View {
                workspace: workspace.clone(),
                purpose: Purpose::FindChanges,
                windows,
                covered_by_search: StreamSet::default(),
            });
            let window = self.reach(&view).of_listing(listing);
            let found =
                self.asker.pages(self.rows(listing, workspace, workspace, window), MOST_PAGES).await?;
            self.cost(listing, found.requests as f64 * self.scale);
            self.costs.searches += found.requests as f64 * self.scale;
            if found.refusal.is_some() {
                continue;
            }
            self.seen.is_searchable = true;
            self.add_exactly(listing, &found, self.scale, &view);
            for (reached, window) in reached.iter_mut().zip(&view.windows) {
                *reached = reached.union(*window);
            }
        }
        Ok(reached)
    }

    async fn unlisted(
        &mut self,
        listing: ListingId,
        workspace: &Gid,
        searched: &[Window],
    ) -> Result<(), Failure> {
        let view = self.view(&SliceKey::Unlisted { workspace: workspace.clone() }, workspace, searched);
        let window = self.reach(&view).of_listing(listing);
        if window == Window::Done {
            return Ok(());
        }
        let found = self.asker.pages(self.rows(listing, workspace, workspace, window), MOST_PAGES).await?;
        self.cost(listing, found.requests as f64 * self.scale);
        self.costs.searches += found.requests as f64 * self.scale;
        if found.refusal.is_none() {
            self.seen.is_searchable = true;
            self.searchable.push(workspace.clone());
        }
        self.add_exactly(listing, &found, self.scale, &view);
        Ok(())
    }

    /// The events of a slice, and its listings.
    fn slice(&mut self, stream: StreamId, slice: &Member, workspace: &Gid, searched: &[Window]) {
        let plan = self.subject.plan;
        let planned = plan.stream(stream);
        self.slices.insert(slice.gid.clone());
        let key = match planned.repeats() {
            true => SliceKey::in_workspace(workspace, &slice.gid),
            false => SliceKey::Object(slice.gid.clone()),
        };
        let view = self.view(&key, workspace, searched);
        for (index, feed) in plan.feeds.iter().enumerate().filter(|(_, feed)| feed.of == stream) {
            if self.subject.settings.deletions == ReportDeletions::Yes {
                let tokens =
                    feed.streams.iter().map(|planned| self.subject.states[planned.stream.0].token(&key));
                let tokens: HashSet<&str> = tokens.flatten().collect();
                self.costs.of_feeds[index] += tokens.len().max(1) as f64 * self.scale;
            }
        }
        for (index, child) in planned.children.iter().copied().enumerate() {
            let window = self.reach(&view).of_listing(child);
            let is_due = self.reach(&view).is_due(child, Level::SliceRoot, None, self.all());
            if slice.below[index].is_none() || !is_due || window == Window::Done {
                continue;
            }
            if plan.stream(plan.listing(child).stream).children.is_empty()
                && plan.listing(child).counted.is_none()
            {
                self.cost(child, self.scale);
                continue;
            }
            self.branches.push(Branch {
                listing: child,
                gid: slice.gid.clone(),
                workspace: workspace.clone(),
                view: Rc::clone(&view),
                window,
                rows: 0.0,
                weight: self.scale,
            });
        }
    }

    /// One request for each slice at most: how many rows its listing has, or what changed in it.
    async fn count(&mut self) -> Result<(), Failure> {
        let plan = self.subject.plan;
        let branches = std::mem::take(&mut self.branches);
        let (counted, others): (Vec<_>, Vec<_>) =
            branches.into_iter().partition(|branch| plan.listing(branch.listing).counted.is_some());
        let sample = spread(counted.len(), MOST_COUNTED);
        self.asker.allow(counted.len() - sample.len());
        let factor = counted.len() as f64 / sample.len().max(1) as f64;
        let mut chosen: Vec<Branch> = sample.into_iter().map(|index| counted[index].clone()).collect();
        let answers: Vec<Counted> = stream::iter(chosen.iter().map(|branch| self.count_one(branch)))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        for (branch, Counted { rows, changed }) in chosen.iter_mut().zip(answers) {
            branch.weight *= factor;
            branch.rows = rows;
            self.cost(branch.listing, (rows / PAGE).ceil().max(1.0) * branch.weight);
            self.seen.rows_of_slices.push(rows);
            self.seen.is_everything_listed |= branch.window == Window::Whole;
            if let Some(found) = changed {
                // Without the rest of a listing of changes, the rows so far stand for all.
                let share =
                    if branch.window == Window::Whole { 1.0 } else { rows / found.rows.len().max(1) as f64 };
                self.add_exactly(branch.listing, &found, branch.weight * share.max(1.0), &branch.view);
            }
        }
        self.branches = chosen.into_iter().chain(others).collect();
        Ok(())
    }

    async fn count_one(&self, branch: &Branch) -> Result<Counted, Failure> {
        let listing = self.subject.plan.listing(branch.listing);
        let own = branch.view.windows[listing.stream.0];
        let stored =
            self.subject.states[listing.stream.0].listed().count(&branch.gid).map(|count| count as f64);
        let since = match (branch.window, own) {
            (Window::Since(_), _) => Some(branch.window),
            (_, Window::Since(_)) if stored.is_some() => Some(own),
            _ => None,
        };
        if let Some(since) = since.filter(|_| listing.since.is_some()) {
            let rows = self.rows(branch.listing, &branch.gid, &branch.workspace, since);
            let found = self.asker.page_of_slice(rows).await?;
            let rows = match (branch.window, found.has_more) {
                (Window::Whole, _) => stored.unwrap_or(PAGE),
                // With more changes than a page, all may have changed.
                (_, true) => stored.unwrap_or(PAGE).max(PAGE),
                (_, false) => found.rows.len() as f64,
            };
            return Ok(Counted { rows, changed: Some(found) });
        }
        let Some(counted) = listing.counted else { return Ok(Counted { rows: 0.0, changed: None }) };
        let request = requests::of_one(counted.path, &branch.gid).query("opt_fields", counted.field);
        let rows = self.asker.number(&request, counted.field).await?.unwrap_or(0.0);
        Ok(Counted { rows, changed: None })
    }

    /// Pages of counted listings that a sync reads whole: each page of a task has the same chance.
    async fn sample_counted(&mut self) -> Result<(), Failure> {
        let is_whole = |branch: &&Branch| {
            branch.window == Window::Whole && self.subject.plan.listing(branch.listing).counted.is_some()
        };
        let branches: Vec<Branch> = self.branches.iter().filter(is_whole).cloned().collect();
        let budget = share(self.asker.left(), OF_COUNTED);
        let pages: f64 = branches.iter().map(|branch| (branch.rows / PAGE).ceil()).sum();
        let sizes: Vec<f64> = branches.iter().map(|branch| branch.rows * branch.weight).collect();
        let picks = if pages <= budget as f64 {
            branches.iter().map(|branch| (branch.rows / PAGE).ceil() as usize).collect()
        } else {
            proportional(&sizes, budget)
        };
        let of_pick = sizes.iter().sum::<f64>() / picks.iter().sum::<usize>().max(1) as f64;
        for (branch, picks) in branches.iter().zip(picks).filter(|(_, picks)| *picks > 0) {
            let rows = self.rows(branch.listing, &branch.gid, &branch.workspace, branch.window);
            let found = self.asker.pages(rows, picks).await?;
            let stands_for = if found.has_more || pages > budget as f64 {
                of_pick * picks as f64
            } else {
                found.rows.len() as f64 * branch.weight
            };
            self.add_sample(branch.listing, &found, stands_for, &branch.view);
        }
        Ok(())
    }

    /// A sample of the other listings of slices: what each takes, and what it shows.
    async fn sample_others(&mut self) -> Result<(), Failure> {
        let mut kinds: BTreeMap<ListingId, Vec<Branch>> = BTreeMap::new();
        for branch in &self.branches {
            if self.subject.plan.listing(branch.listing).counted.is_none() {
                kinds.entry(branch.listing).or_default().push(branch.clone());
            }
        }
        let budget = share(self.asker.left(), OF_OTHERS) / kinds.len().max(1);
        for (listing, branches) in kinds {
            let all: f64 = branches.iter().map(|branch| branch.weight).sum();
            self.seen.uncounted += all;
            let mut read = Vec::new();
            let start = self.asker.left();
            for index in spread(branches.len(), budget) {
                if start - self.asker.left() >= budget {
                    break;
                }
                let branch = &branches[index];
                let rows = self.rows(listing, &branch.gid, &branch.workspace, branch.window);
                read.push((branch, self.asker.pages(rows, MOST_PAGES).await?));
            }
            let each = all / read.len().max(1) as f64;
            if read.is_empty() {
                self.cost(listing, all);
            }
            for (branch, found) in read {
                self.cost(listing, found.requests as f64 * each);
                self.add_sample(listing, &found, found.rows.len() as f64 * each, &branch.view);
            }
        }
        Ok(())
    }

    /// The listings below the records of a stream, and a sample of what they show.
    async fn descend(&mut self, id: StreamId) -> Result<(), Failure> {
        let plan = self.subject.plan;
        let children = plan.stream(id).children.iter().copied().enumerate();
        // `search_parents` counts the others.
        for (index, child) in children.filter(|(_, child)| plan.listing(*child).parents_search.is_none()) {
            let below = plan.listing(child).stream;
            let mut from = 0;
            for _ in 0..DEEPEST {
                let mut due: Vec<Member> = self.due(id, index, child, from);
                from = self.members.get(&id).map_or(0, Vec::len);
                let rows = |member: &Member| member.below[index].unwrap_or_default();
                lower_outliers(&mut due, rows, self.scale);
                let requests = |member: &Member| (rows(member) / PAGE).ceil().max(1.0) * member.weight;
                self.cost(child, due.iter().map(requests).sum());
                if due.is_empty() || plan.stream(below).children.is_empty() || self.is_known(below, id) {
                    break;
                }
                if below != id && self.know_tree(below, &due, rows) {
                    break;
                }
                let sizes: Vec<f64> =
                    due.iter().map(|member| rows(member).max(1.0) * member.weight).collect();
                let budget = share(self.asker.left(), OF_LEVEL);
                let picks =
                    if due.len() <= budget { vec![1; due.len()] } else { proportional(&sizes, budget) };
                let of_pick = sizes.iter().sum::<f64>() / picks.iter().sum::<usize>().max(1) as f64;
                for (at, picks) in picks.into_iter().enumerate().filter(|(_, picks)| *picks > 0) {
                    let member = &due[at];
                    let nobody = Gid::new("");
                    let found = self
                        .asker
                        .pages(self.rows(child, &member.gid, &nobody, Window::Whole), picks)
                        .await?;
                    let stands_for = if due.len() <= budget { sizes[at] } else { of_pick * picks as f64 };
                    self.add_sample(child, &found, stands_for, &member.view);
                }
                if below != id {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The listings whose parents a search finds: how many it shows of the records that changed in the times that a few
    /// of its answers cover.
    async fn search_parents(&mut self) -> Result<(), Failure> {
        let plan = self.subject.plan;
        let mut kinds: BTreeMap<(Gid, &'static str), Vec<(ListingId, Member)>> = BTreeMap::new();
        for id in (0..plan.streams.len()).map(StreamId) {
            for (index, child) in plan.stream(id).children.iter().copied().enumerate() {
                let Some(path) = plan.listing(child).parents_search else { continue };
                for member in self.due(id, index, child, 0) {
                    let kind = (member.view.workspace.clone(), path);
                    kinds.entry(kind).or_default().push((child, member));
                }
            }
        }
        let sizes: Vec<f64> =
            kinds.values().map(|due| weight_of(due.iter().map(|(_, member)| member))).collect();
        for (((workspace, path), due), answers) in
            kinds.into_iter().zip(proportional(&sizes, OF_PARENT_SEARCHES))
        {
            let indexed_until = window::next_cursor(self.subject.began);
            let is_recent = |member: &Member| member.time.is_none_or(|time| time >= indexed_until);
            let settled: Vec<&Member> =
                due.iter().map(|(_, member)| member).filter(|member| !is_recent(member)).collect();
            let is_first = |(listing, member): &&(ListingId, Member)| {
                let parent = plan.listing(*listing).parent;
                let is_deferred = parent.is_some_and(|parent| self.subject.graph.deferred.contains(parent));
                !is_recent(member) && (!is_deferred || member.view.purpose == Purpose::FindChanges)
            };
            let waiting = weight_of(due.iter().filter(is_first).map(|(_, member)| member)) / self.scale;
            let is_made = self.subject.settings.search_parents == SearchParents::Yes
                && parent_search::is_worthwhile(waiting as u64)
                && self.searchable.contains(&workspace);
            let share = match is_made {
                true => self.share_shown(&workspace, path, &settled, answers.max(1)).await?,
                false => None,
            };
            let count = weight_of(settled.iter().copied()) / self.scale;
            let answers = (share.unwrap_or(1.0) * count / PAGE).ceil().max(1.0);
            let most = parent_search::most_answers(waiting as u64) as f64;
            let asked = match share.filter(|_| answers <= most) {
                Some(share) => {
                    let not_shown = count * (1.0 - share);
                    share + (1.0 - share) / parent_search::one_asked_in(not_shown as u64) as f64
                }
                None => 1.0,
            };
            if let (true, Some((listing, _))) = (is_made, due.first()) {
                self.cost(*listing, answers.min(most) * self.scale);
                self.costs.searches += answers.min(most) * self.scale;
            }
            for (listing, member) in &due {
                let stored = self.subject.states[plan.listing(*listing).stream.0].listed().count(&member.gid);
                let is_asked = is_recent(member) || stored.is_some_and(|count| count > 0);
                self.cost(*listing, member.weight * if is_asked { 1.0 } else { asked });
            }
        }
        Ok(())
    }

    /// The share of these members that a search shows; `None` if Asana refuses it.
    async fn share_shown(
        &self,
        workspace: &Gid,
        path: &'static str,
        members: &[&Member],
        answers: usize,
    ) -> Result<Option<f64>, Failure> {
        let mut times: Vec<Moment> = members.iter().filter_map(|member| member.time).collect();
        times.sort_unstable();
        let (mut all, mut shown) = (0.0, 0.0);
        for index in spread(times.len(), answers) {
            let start = times[index];
            let request = requests::of_gids(path, workspace, workspace, &SEARCH_FIELDS);
            let indexed_until = window::next_cursor(self.subject.began);
            let client = self.asker.client.clone();
            let rows = Rows::of(client, request, Paging::ByTime, Some(start), indexed_until);
            let found = self.asker.pages(rows, 1).await?;
            if found.refusal.is_some() {
                return Ok(None);
            }
            let probes = found.rows.iter().filter_map(|row| Probe::read(row, &SEARCH_FIELDS).ok());
            let of_rows: BTreeMap<Gid, Option<Moment>> =
                probes.filter_map(|probe| Some((probe.gid.clone()?, row::moment(probe.field(0))))).collect();
            let end = of_rows.values().flatten().max().filter(|_| found.has_more);
            for member in members {
                if member.time.is_some_and(|time| time >= start && end.is_none_or(|end| time < *end)) {
                    all += member.weight;
                    shown += if of_rows.contains_key(&member.gid) { member.weight } else { 0.0 };
                }
            }
        }
        Ok(Some(if all > 0.0 { shown / all } else { 1.0 }))
    }

    /// Whether nodes of all levels are known already.
    fn is_known(&self, nodes: StreamId, parents: StreamId) -> bool {
        nodes == parents && self.strays.get(&nodes).is_some_and(|strays| strays.len() >= FEWEST_STRAYS)
    }

    /// If enough nodes were seen by the way, they stand for the nodes of all levels below these roots: nodes have as
    /// many nodes below them as those that were seen, on average.
    fn know_tree(&mut self, nodes: StreamId, roots: &[Member], rows: impl Fn(&Member) -> f64) -> bool {
        let Some(own) = self
            .subject
            .plan
            .stream(nodes)
            .children
            .iter()
            .position(|child| self.subject.plan.listing(*child).stream == nodes)
        else {
            return false;
        };
        let mut strays = match self.strays.get(&nodes) {
            Some(strays) if strays.len() >= FEWEST_STRAYS => strays.clone(),
            Some(_) | None => return false,
        };
        let below = |member: &Member| member.below[own].unwrap_or_default();
        strays.iter_mut().for_each(|stray| stray.weight = 1.0);
        lower_outliers(&mut strays, below, 0.0);
        let count: f64 = strays.iter().map(|stray| stray.weight).sum();
        let nested = strays.iter().map(|stray| stray.weight * below(stray)).sum::<f64>() / count;
        let first: f64 = roots.iter().map(|root| root.weight * rows(root)).sum();
        let all = first / (1.0 - nested.min(MOST_NESTED));
        strays.iter_mut().for_each(|stray| stray.weight *= all / count);
        self.members.entry(nodes).or_default().extend(strays);
        true
    }

    /// The records for which a listing is due, from the `from`th on.
    fn due(&self, id: StreamId, index: usize, child: ListingId, from: usize) -> Vec<Member> {
        let members = self.members.get(&id).map(Vec::as_slice).unwrap_or_default();
        let is_due = |member: &&Member| {
            let reach = self.reach(&member.view);
            member.below[index].is_some() && reach.is_due(child, Level::InSlice, member.time, self.all())
        };
        members[from.min(members.len())..].iter().filter(is_due).cloned().collect()
    }

    /// Adds records that a sync finds in the same way.
    fn add_exactly(&mut self, listing: ListingId, found: &Found, weight: f64, view: &Rc<View>) {
        for row in &found.rows {
            if let Some((stream, member)) = self.member(listing, row, weight, view)
                && self.exact.insert((stream, member.gid.clone()))
            {
                self.members.entry(stream).or_default().push(member);
            }
        }
    }

    /// Adds the records of a sample, which stand for so many rows.
    fn add_sample(&mut self, listing: ListingId, found: &Found, stands_for: f64, view: &Rc<View>) {
        let each = stands_for / found.rows.len().max(1) as f64;
        for row in &found.rows {
            let Some((stream, mut member)) = self.member(listing, row, each, view) else { continue };
            if self.exact.contains(&(stream, member.gid.clone())) {
                continue;
            }
            match stream == self.subject.plan.listing(listing).stream {
                true => member.weight /= self.sources(stream, row),
                // It is counted below its parent, and shows what nodes are like.
                false if self.is_listed_below(stream, view) => {
                    self.strays.entry(stream).or_default().push(member);
                    continue;
                }
                false => {}
            }
            self.members.entry(stream).or_default().push(member);
        }
    }

    /// Whether the nodes of a tree are listed below their parents.
    fn is_listed_below(&self, nodes: StreamId, view: &Rc<View>) -> bool {
        let plan = self.subject.plan;
        (0..plan.listings.len()).map(ListingId).any(|id| {
            let listing = plan.listing(id);
            listing.stream == nodes
                && listing.parent.is_some_and(|parent| parent != nodes)
                && self.reach(view).is_due(id, Level::InSlice, None, self.all())
        })
    }

    /// How many slices' listings show the record. A record of a tree is below one parent.
    fn sources(&self, stream: StreamId, row: &str) -> f64 {
        if matches!(self.subject.plan.stream(stream).stream.listing, Listing::Tree(_)) {
            return 1.0;
        }
        let memberships = self.membership_field().and_then(|field| {
            let probe = Probe::read(row, &[field]).ok()?;
            let places: Vec<&RawValue> = serde_json::from_str(probe.field(0)?).ok()?;
            let gids = places.iter().filter_map(|place| row::reference(Some(place.get())));
            Some(gids.filter(|gid| self.slices.contains(gid)).count())
        });
        memberships.unwrap_or(0).max(1) as f64
    }

    /// The field that names the slices whose listings show a record: the one that is empty for records of no slice.
    fn membership_field(&self) -> Option<&'static str> {
        self.subject.plan.listings.iter().find_map(|listing| match listing.rows {
            Condition::Empty(field) => Some(field),
            _ => None,
        })
    }

    /// A row as a record of its stream, if it is one.
    fn member(&self, id: ListingId, row: &str, weight: f64, view: &Rc<View>) -> Option<(StreamId, Member)> {
        let plan = self.subject.plan;
        let listing = plan.listing(id);
        let names = self.names(listing);
        let probe = Probe::read(row, &names).ok()?;
        let field =
            |name: &str| names.iter().position(|other| *other == name).and_then(|index| probe.field(index));
        let is_node = listing.tree.is_some_and(|tree| row::reference(field(tree.parent)).is_some());
        let is_own = !plan.changes.contains(&id) && listing.rows.holds(listing.rows.field().and_then(field));
        let stream = match listing.tree.filter(|_| is_node) {
            Some(tree) => tree.stream,
            None if is_own => listing.stream,
            None => return None,
        };
        let planned = plan.stream(stream);
        let time = match planned.stream.cursor {
            Cursor::Moves { field: name, .. } | Cursor::Fixed { field: name, .. } => row::moment(field(name)),
            Cursor::None | Cursor::Parents { .. } => None,
        };
        let below = |child: &ListingId| {
            let when = plan.listing(*child).when;
            let json = when.field().and_then(field);
            let rows = match when {
                Condition::Positive(_) => json.and_then(|text| text.parse().ok()).unwrap_or(1.0),
                _ => 1.0,
            };
            when.holds(json).then_some(rows)
        };
        let below = planned.children.iter().map(below).collect();
        Some((stream, Member { gid: probe.gid?, weight, time, below, view: Rc::clone(view) }))
    }

    /// The fields that the estimate needs of a listing's rows.
    fn names(&self, listing: &PlannedListing) -> Vec<&'static str> {
        let mut names = self.subject.plan.probed_fields(listing);
        if self.subject.plan.stream(listing.stream).level == Level::InSlice {
            names.extend(self.membership_field());
        }
        names.into_iter().collect()
    }

    /// The rows of a listing, with few fields.
    fn rows(&self, id: ListingId, parent: &Gid, workspace: &Gid, window: Window) -> Rows {
        let mut listing = self.subject.plan.listing(id).clone();
        if listing.opt_fields.is_some() {
            let schema = schema::marked(self.subject.plan.stream(listing.stream).stream);
            let names = self.names(&listing);
            let paths: Vec<String> = names.iter().map(|name| opt_fields::probe_path(&schema, name)).collect();
            let paths = if paths.is_empty() { vec!["gid".to_owned()] } else { paths };
            listing.opt_fields = Some(opt_fields::parameter(&paths));
        }
        let since = match window {
            Window::Since(since) => Some(since),
            Window::Whole | Window::Done => None,
        };
        let archived = self.subject.settings.archived_projects;
        let request: Request = requests::of_listing(&listing, parent, workspace, archived, since);
        let indexed_until = window::next_cursor(self.subject.began);
        Rows::of(self.asker.client.clone(), request, listing.paging, since, indexed_until)
    }

    fn view(&self, key: &SliceKey, workspace: &Gid, searched: &[Window]) -> Rc<View> {
        let plan = self.subject.plan;
        let window = |id: StreamId| match &plan.stream(id).selection {
            Some(selection) => {
                let cursor = self.subject.states[id.0].cursor(key);
                Window::of(selection.mode, cursor, self.subject.graph.starts[id.0])
            }
            None => Window::Done,
        };
        let windows: Vec<Window> = (0..plan.streams.len()).map(StreamId).map(window).collect();
        let covered_by_search = reach::covered_by(searched, &windows);
        let workspace = workspace.clone();
        Rc::new(View { workspace, purpose: Purpose::Read, windows, covered_by_search })
    }

    fn reach<'w>(&'w self, view: &'w View) -> Reach<'w> {
        let View { purpose, windows, covered_by_search, .. } = view;
        let Subject { plan, graph, .. } = self.subject;
        Reach { plan, graph, purpose: *purpose, windows, covered_by_search: *covered_by_search }
    }

    fn all(&self) -> StreamSet {
        (0..self.subject.plan.streams.len()).map(StreamId).collect()
    }

    fn cost(&mut self, listing: ListingId, requests: f64) {
        self.costs.of_listings[listing.0] += requests;
    }
}

fn weight_of<'m>(members: impl Iterator<Item = &'m Member>) -> f64 {
    members.map(|member| member.weight).sum()
}

/// What was found out about a counted listing.
struct Counted {
    rows: f64,
    /// What changed in it.
    changed: Option<Found>,
}

/// A record with many more rows below it than the others stands only for itself, unless there are several such.
fn lower_outliers(members: &mut [Member], rows: impl Fn(&Member) -> f64, alone: f64) {
    let sum =
        |of: &dyn Fn(&Member) -> f64| members.iter().map(|member| member.weight * of(member)).sum::<f64>();
    let most = OUTLIER * sum(&rows) / sum(&|_| 1.0).max(f64::MIN_POSITIVE);
    let outliers: Vec<usize> = (0..members.len()).filter(|index| rows(&members[*index]) > most).collect();
    if outliers.len() <= FEW_OUTLIERS {
        outliers.into_iter().for_each(|index| members[index].weight = members[index].weight.min(alone));
    }
}
