//! The task search: an index that lags behind edits, filters, and an order that is not stable.
//!
//! Source: Asana's page on task search. At most 100 rows and no further pages; callers step through time themselves.
//! Bounds of time are exclusive here; Asana does not document that.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use crate::gid::{Gid, Index, Kind};
use crate::listing::ListRequest;
use crate::model::Task;
use crate::query::Query;
use crate::random::mix;
use crate::refusal::Refusal;
use crate::time::{DAY, Day, Timestamp};
use crate::world::World;

/// Rows of one answer at most, and when no `limit` is sent.
const MOST_ROWS: usize = 100;

/// Tasks by the times in the index.
#[derive(Debug)]
pub(crate) struct SearchIndex {
    workspaces: HashMap<Index, Times>,
    modified: HashMap<Index, Timestamp>,
    /// Tasks that had attachments when they were indexed.
    with_attachments: HashSet<Index>,
    /// The part of the world's log of changed tasks that is in the index.
    taken: usize,
    /// Counts answers, so that equal keys are in a different order each time.
    answers: u64,
}

#[derive(Debug, Default)]
struct Times {
    modified: BTreeSet<(Timestamp, Index)>,
    created: BTreeSet<(Timestamp, Index)>,
}

impl SearchIndex {
    /// The index of a world as it is.
    pub(crate) fn new(world: &World) -> Self {
        let mut index = Self {
            workspaces: HashMap::new(),
            modified: HashMap::new(),
            with_attachments: HashSet::new(),
            taken: world.touched.len(),
            answers: 0,
        };
        for task in 0..world.tasks.len() as Index {
            index.take(world, task);
        }
        index
    }

    /// Adds the edits that are older than the lag.
    fn catch_up(&mut self, world: &World, now: Timestamp, lag: Duration) {
        while let Some((at, task)) = world.touched.get(self.taken).copied() {
            if at.plus(lag) > now {
                break;
            }
            self.take(world, task);
            self.taken += 1;
        }
    }

    fn take(&mut self, world: &World, task: Index) {
        let record = &world.tasks[task as usize];
        let times = self.workspaces.entry(record.workspace).or_default();
        if let Some(known) = self.modified.insert(task, record.modified_at) {
            times.modified.remove(&(known, task));
        }
        times.modified.insert((record.modified_at, task));
        times.created.insert((record.created_at, task));
        match world.attachments(Gid::new(Kind::Task, task)).is_empty() {
            true => self.with_attachments.remove(&task),
            false => self.with_attachments.insert(task),
        };
    }

    /// The gids that a search finds, best first.
    pub(crate) fn search(
        &mut self,
        request: &ListRequest<'_, '_>,
        workspace: Index,
        lag: Duration,
        hidden: &[Gid],
    ) -> Result<Vec<Gid>, Refusal> {
        self.catch_up(request.world, request.now, lag);
        self.answers += 1;
        let filter = Filter::read(request)?;
        let limit = request.query.limit()?.unwrap_or(MOST_ROWS);
        let ascending = request.query.flag("sort_ascending")?.unwrap_or(false);
        let Some(times) = self.workspaces.get(&workspace) else { return Ok(Vec::new()) };
        let modified = |task: Index| self.modified.get(&task).copied().unwrap_or(Timestamp(0));
        let has_attachment = |task: &Index| self.with_attachments.contains(task);
        let admits = |task: &Index| {
            !hidden.contains(&Gid::new(Kind::Task, *task))
                && filter.has_attachment.is_none_or(|wanted| wanted == has_attachment(task))
                && filter.admits(request, *task, modified(*task))
        };
        let tie = |task: Index| mix(u64::from(task) ^ mix(self.answers));
        let found: Vec<Index> = match request.query.get("sort_by").unwrap_or("modified_at") {
            "modified_at" => first(&times.modified, &filter.modified, ascending, limit, admits, tie),
            "created_at" => first(&times.created, &filter.created, ascending, limit, admits, tie),
            other => {
                let key = sort_key(other)?;
                let mut all: Vec<_> =
                    times.created.iter().map(|(_, task)| *task).filter(|task| admits(task)).collect();
                let key = |task: &Index| key(&request.world.tasks[*task as usize]);
                all.sort_by_key(|task| (key(task), tie(*task)));
                if !ascending {
                    all.reverse();
                }
                all.truncate(limit);
                all
            }
        };
        Ok(found.into_iter().map(|task| Gid::new(Kind::Task, task)).collect())
    }
}

/// The first tasks by a time, ties in no particular order.
fn first(
    times: &BTreeSet<(Timestamp, Index)>,
    bounds: &Bounds,
    ascending: bool,
    limit: usize,
    admits: impl Fn(&Index) -> bool,
    tie: impl Fn(Index) -> u64,
) -> Vec<Index> {
    let start = (Timestamp(bounds.after.map_or(i64::MIN, |after| after.0.saturating_add(1))), 0);
    let end = (bounds.before.unwrap_or(Timestamp(i64::MAX)), 0);
    if start >= end {
        return Vec::new();
    }
    let range = times.range(start..end);
    let ordered: Box<dyn Iterator<Item = &(Timestamp, Index)>> =
        if ascending { Box::new(range) } else { Box::new(range.rev()) };
    let mut found: Vec<(Timestamp, Index)> = Vec::new();
    for (time, task) in ordered {
        // Once there are enough, only those with the same time as the last one can still be added.
        if found.len() >= limit && found.last().is_some_and(|(last, _)| last != time) {
            break;
        }
        if admits(task) {
            found.push((*time, *task));
        }
    }
    found.sort_by(|left, right| {
        let times = if ascending { left.0.cmp(&right.0) } else { right.0.cmp(&left.0) };
        times.then(tie(left.1).cmp(&tie(right.1)))
    });
    found.truncate(limit);
    found.into_iter().map(|(_, task)| task).collect()
}

/// The orders besides those by an index.
fn sort_key(name: &str) -> Result<fn(&Task) -> i64, Refusal> {
    match name {
        "due_date" => Ok(|task| task.dates().due_on.map_or(i64::MAX, |day| i64::from(day.0))),
        "completed_at" => Ok(|task| task.completed_at.map_or(0, |at| at.0)),
        "likes" | "relevance" => Ok(|task| (task.seed % 5) as i64),
        other => Err(Refusal::new(400, format!("sort_by: Not a valid sort: {other}"))),
    }
}

/// An open interval.
#[derive(Clone, Copy, Debug, Default)]
struct Bounds {
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

impl Bounds {
    fn holds(&self, time: Timestamp) -> bool {
        self.after.is_none_or(|after| time > after) && self.before.is_none_or(|before| time < before)
    }

    /// Reads `{name}_at.after`, `{name}_at.before` and the same for whole days.
    fn read(query: &Query, name: &str, now: Timestamp) -> Result<Self, Refusal> {
        let day = |suffix: &str| -> Result<Option<Day>, Refusal> {
            let name = format!("{name}_on{suffix}");
            match query.get(&name) {
                None => Ok(None),
                Some(text) => {
                    let day = Day::parse(text);
                    day.map(Some)
                        .ok_or_else(|| Refusal::new(400, format!("{name}: Not a valid date: {text}")))
                }
            }
        };
        let mut bounds = Self {
            after: query.time(&format!("{name}_at.after"), now)?,
            before: query.time(&format!("{name}_at.before"), now)?,
        };
        if let Some(after) = day(".after")? {
            bounds.after = bounds.after.max(Some(Timestamp(after.start().0 + DAY - 1)));
        }
        if let Some(before) = day(".before")? {
            bounds.before = Some(bounds.before.map_or(before.start(), |known| known.min(before.start())));
        }
        if let Some(on) = day("")? {
            bounds.after = bounds.after.max(Some(Timestamp(on.start().0 - 1)));
            let end = Timestamp(on.start().0 + DAY);
            bounds.before = Some(bounds.before.map_or(end, |known| known.min(end)));
        }
        Ok(bounds)
    }
}

/// Which records a list of gids in a parameter names.
#[derive(Debug, Default)]
struct Named {
    gids: Vec<Gid>,
    nothing: bool,
}

/// The filters of a search. An unsupported filter of Asana is an error, never ignored.
#[derive(Debug)]
struct Filter {
    text: Option<String>,
    resource_subtype: Option<String>,
    completed: Option<bool>,
    subtask: Option<bool>,
    has_attachment: Option<bool>,
    modified: Bounds,
    created: Bounds,
    completed_at: Bounds,
    assignee_any: Option<Named>,
    assignee_not: Option<Named>,
    projects_any: Option<Named>,
    projects_not: Option<Named>,
    projects_all: Option<Named>,
    sections_any: Option<Named>,
    tags_any: Option<Named>,
}

/// Parameters that are not filters.
const NO_FILTERS: [&str; 6] = ["limit", "opt_fields", "opt_pretty", "sort_by", "sort_ascending", "offset"];

const FILTERS: [&str; 27] = [
    "text",
    "resource_subtype",
    "completed",
    "is_subtask",
    "has_attachment",
    "modified_at.after",
    "modified_at.before",
    "modified_on",
    "modified_on.after",
    "modified_on.before",
    "created_at.after",
    "created_at.before",
    "created_on",
    "created_on.after",
    "created_on.before",
    "completed_at.after",
    "completed_at.before",
    "completed_on",
    "completed_on.after",
    "completed_on.before",
    "assignee.any",
    "assignee.not",
    "projects.any",
    "projects.not",
    "projects.all",
    "sections.any",
    "tags.any",
];

impl Filter {
    fn read(request: &ListRequest<'_, '_>) -> Result<Self, Refusal> {
        let query = request.query;
        for (name, _) in &query.pairs {
            let known = FILTERS.contains(&name.as_str()) || NO_FILTERS.contains(&name.as_str());
            if !known {
                return Err(Refusal::new(400, format!("{name}: this simulator has no such filter")));
            }
        }
        let named = |name: &str, kind: Kind| read_named(request, name, kind);
        Ok(Self {
            text: query.get("text").map(str::to_lowercase),
            resource_subtype: query.get("resource_subtype").map(str::to_owned),
            completed: query.flag("completed")?,
            subtask: query.flag("is_subtask")?,
            has_attachment: query.flag("has_attachment")?,
            modified: Bounds::read(query, "modified", request.now)?,
            created: Bounds::read(query, "created", request.now)?,
            completed_at: Bounds::read(query, "completed", request.now)?,
            assignee_any: named("assignee.any", Kind::User)?,
            assignee_not: named("assignee.not", Kind::User)?,
            projects_any: named("projects.any", Kind::Project)?,
            projects_not: named("projects.not", Kind::Project)?,
            projects_all: named("projects.all", Kind::Project)?,
            sections_any: named("sections.any", Kind::Section)?,
            tags_any: named("tags.any", Kind::Tag)?,
        })
    }

    fn admits(&self, request: &ListRequest<'_, '_>, index: Index, modified: Timestamp) -> bool {
        let world = request.world;
        if !world.sees(request.viewer, Gid::new(Kind::Task, index)) {
            return false;
        }
        let task = &world.tasks[index as usize];
        let flag = |wanted: Option<bool>, is: bool| wanted.is_none_or(|wanted| wanted == is);
        let completed_at = &self.completed_at;
        let completed_in_time = match task.completed_at {
            Some(at) => completed_at.holds(at),
            None => completed_at.after.is_none() && completed_at.before.is_none(),
        };
        flag(self.completed, task.completed_at.is_some())
            && flag(self.subtask, task.parent.is_some())
            && self.modified.holds(modified)
            && self.created.holds(task.created_at)
            && completed_in_time
            && self.resource_subtype.as_deref().is_none_or(|wanted| wanted == task.resource_subtype())
            && self.text.as_deref().is_none_or(|text| task.displayed_name().to_lowercase().contains(text))
            && self.in_containers(task)
            && self.of_people(task)
    }

    /// Projects and sections are a union, as Asana documents for `any`.
    fn in_containers(&self, task: &Task) -> bool {
        let in_project = |named: &Named| {
            named.nothing && task.memberships.is_empty()
                || task.memberships.iter().any(|home| named.has(Kind::Project, home.project))
        };
        let in_section =
            |named: &Named| task.memberships.iter().any(|home| named.has(Kind::Section, home.section));
        let any = match (&self.projects_any, &self.sections_any) {
            (None, None) => true,
            (projects, sections) => {
                projects.as_ref().is_some_and(in_project) || sections.as_ref().is_some_and(in_section)
            }
        };
        let all = |named: &Named| {
            named.gids.iter().all(|gid| task.memberships.iter().any(|home| home.project == gid.index()))
        };
        any && !self.projects_not.as_ref().is_some_and(in_project)
            && self.projects_all.as_ref().is_none_or(all)
            && self
                .tags_any
                .as_ref()
                .is_none_or(|named| task.tags.iter().any(|tag| named.has(Kind::Tag, *tag)))
    }

    fn of_people(&self, task: &Task) -> bool {
        let of = |named: &Named| match task.assignee {
            Some(user) => named.has(Kind::User, user),
            None => named.nothing,
        };
        self.assignee_any.as_ref().is_none_or(of) && !self.assignee_not.as_ref().is_some_and(of)
    }
}

impl Named {
    fn has(&self, kind: Kind, index: Index) -> bool {
        self.gids.contains(&Gid::new(kind, index))
    }
}

fn read_named(request: &ListRequest<'_, '_>, name: &str, kind: Kind) -> Result<Option<Named>, Refusal> {
    let Some(list) = request.query.get(name) else { return Ok(None) };
    let mut named = Named::default();
    for text in list.split(',') {
        match text.trim() {
            "null" => named.nothing = true,
            text => named.gids.push(request.find(name, text, &[kind])?),
        }
    }
    Ok(Some(named))
}
