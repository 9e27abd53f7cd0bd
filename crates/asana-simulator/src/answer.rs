//! From an authorized request to an answer: routing, plan gates, pages, records. It reads no clock and does no I/O.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use crate::events;
use crate::gid::{Gid, Kind};
use crate::listing::{ListRequest, Listing, Paging};
use crate::model::TaskSubtype;
use crate::opt_fields::{Level, Selection};
use crate::options::{Options, Plan, Unpaged};
use crate::page;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::render::View;
use crate::route::{Endpoint, Source};
use crate::search::SearchIndex;
use crate::time::Timestamp;
use crate::world::{Viewer, World};

/// Maximum number of rows of a listing without `limit`.
const UNPAGED_ROWS: usize = 1000;

/// An authorized request.
pub(crate) struct Request<'q> {
    pub path: &'q str,
    pub template: &'static str,
    pub endpoint: Endpoint,
    pub path_gid: Option<&'q str>,
    pub query: &'q Query,
    pub viewer: Viewer,
    pub plan: Plan,
    pub now: Timestamp,
    /// Where the API is served, such as `http://127.0.0.1:8080/api/1.0`.
    pub base_url: &'q str,
    /// The fields in `opt_fields`; `None` if it was not sent.
    pub selection: Option<&'q Selection>,
    pub twist: Twist,
}

/// How a fault rule changes an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Twist {
    #[default]
    None,
    /// No rows, but a next page that starts where this one did.
    EmptyPage,
    /// At most this many rows, whatever the limit in the request.
    ShortPage(usize),
    /// The page starts with the last row of the previous one.
    DuplicateRow,
    /// A search does not find these tasks.
    HideFromSearch(Vec<Gid>),
}

/// A successful answer's body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub body: String,
    pub rows: usize,
}

pub(crate) fn answer(
    world: &World,
    index: &Mutex<Option<SearchIndex>>,
    options: &Options,
    request: &Request<'_>,
) -> Result<Answer, Refusal> {
    let parent = request.query.get("parent").and_then(|text| text.parse().ok()).map(Gid::kind);
    if options.gates.iter().any(|gate| gate.closes(request.template, parent, request.plan)) {
        return Err(Refusal::payment_required());
    }
    let lists = ListRequest {
        world,
        viewer: request.viewer,
        path_gid: request.path_gid,
        query: request.query,
        now: request.now,
    };
    match request.endpoint {
        Endpoint::Record(kind) => {
            let text = request.path_gid.unwrap_or_default();
            let gid = lists.find(kind.resource_type(), text, &[kind])?;
            let mut body = String::from("{\"data\":");
            let selection = request.selection.unwrap_or(Selection::standard());
            View { world, viewer: request.viewer }.write(&mut body, selection, gid);
            body.push('}');
            Ok(Answer { body, rows: 1 })
        }
        Endpoint::List(source) => {
            if source == Source::AuditLogEvents && request.plan < Plan::Enterprise {
                return Err(Refusal::new(403, "Forbidden: the audit log needs an enterprise plan"));
            }
            let listing = lists.listing(source)?;
            list(world, options, request, &listing)
        }
        Endpoint::TaskCounts => task_counts(world, request, &lists),
        Endpoint::Search => search(world, index, options, request, &lists),
        Endpoint::Events => {
            let text = match request.path_gid {
                Some(text) => text,
                None => request.query.require("resource")?,
            };
            let stream = lists.find("resource", text, &[Kind::Task, Kind::Project, Kind::Goal])?;
            events(world, options, request, stream)
        }
        Endpoint::WorkspaceEvents => {
            if request.plan < Plan::Enterprise || !matches!(request.viewer, Viewer::ServiceAccount(_)) {
                return Err(Refusal::new(
                    403,
                    "Forbidden: workspace events are open to service accounts alone",
                ));
            }
            events(world, options, request, lists.workspace()?)
        }
    }
}

/// The counts of a project's tasks. Without `opt_fields`, Asana sends none of them.
fn task_counts(world: &World, request: &Request<'_>, lists: &ListRequest<'_, '_>) -> Result<Answer, Refusal> {
    let project = lists.find("project", request.path_gid.unwrap_or_default(), &[Kind::Project])?;
    let tasks = world.tasks_of_project(project);
    let tasks = tasks.iter().filter(|task| world.sees(request.viewer, **task));
    let (mut all, mut completed, mut milestones, mut completed_milestones) = (0, 0, 0, 0);
    for task in tasks {
        let record = &world.tasks[task.index() as usize];
        let is_completed = usize::from(record.completed_at.is_some());
        all += 1;
        completed += is_completed;
        if record.subtype == TaskSubtype::Milestone {
            milestones += 1;
            completed_milestones += is_completed;
        }
    }
    let counts = [
        ("num_tasks", all),
        ("num_incomplete_tasks", all - completed),
        ("num_completed_tasks", completed),
        ("num_milestones", milestones),
        ("num_incomplete_milestones", milestones - completed_milestones),
        ("num_completed_milestones", completed_milestones),
    ];
    let is_chosen = |name: &str| {
        request.selection.is_some_and(|selection| selection.inside(name, Level::OptIn).is_some())
    };
    let counts = counts.iter().filter(|(name, _)| is_chosen(name));
    let counts: Vec<String> = counts.map(|(name, count)| format!("\"{name}\":{count}")).collect();
    Ok(Answer { body: format!("{{\"data\":{{{}}}}}", counts.join(",")), rows: 1 })
}

fn search(
    world: &World,
    index: &Mutex<Option<SearchIndex>>,
    options: &Options,
    request: &Request<'_>,
    lists: &ListRequest<'_, '_>,
) -> Result<Answer, Refusal> {
    let workspace = lists.workspace()?.index();
    let mut index = index.lock().unwrap_or_else(PoisonError::into_inner);
    let index = index.get_or_insert_with(|| SearchIndex::new(world));
    let hidden: &[Gid] = match &request.twist {
        Twist::HideFromSearch(tasks) => tasks,
        _ => &[],
    };
    let found = index.search(lists, workspace, options.search_lag, hidden)?;
    let mut body = rows(world, request, request.selection.unwrap_or(Selection::compact()), &found);
    body.push('}');
    Ok(Answer { body, rows: found.len() })
}

fn events(world: &World, options: &Options, request: &Request<'_>, stream: Gid) -> Result<Answer, Refusal> {
    let view = View { world, viewer: request.viewer };
    let sync = request.query.get("sync");
    let (body, rows) =
        events::events(view, request.selection, stream, sync, request.now, options.sync_lifetime)?;
    Ok(Answer { body, rows })
}

/// The opening of an envelope, and its rows.
fn rows(world: &World, request: &Request<'_>, selection: &Selection, gids: &[Gid]) -> String {
    let view = View { world, viewer: request.viewer };
    let mut body = String::with_capacity(gids.len() * 512 + 256);
    body.push_str("{\"data\":[");
    for (position, gid) in gids.iter().enumerate() {
        if position > 0 {
            body.push(',');
        }
        view.write(&mut body, selection, *gid);
    }
    body.push(']');
    body
}

/// One page of a listing, or all of it.
fn list(
    world: &World,
    options: &Options,
    request: &Request<'_>,
    listing: &Listing<'_>,
) -> Result<Answer, Refusal> {
    let scope = format!("{}?{}", request.path, request.query.scope());
    let border = match request.query.get("offset") {
        Some(token) => Some(page::border(token, &scope, request.now)?),
        None => None,
    };
    let limit = match (listing.paging, request.query.limit()?) {
        (Paging::Whole, _) => None,
        (Paging::Pages, limit) => limit,
        (Paging::Endless, limit) => Some(limit.unwrap_or(UNPAGED_ROWS)),
    };
    let from = |border: Option<u64>| listing.after(world, request.viewer, border);
    let (mut page, paged) = match limit {
        Some(limit) => (twisted(limit, border, &request.twist, from), true),
        None => (page::cut(from(border), UNPAGED_ROWS), false),
    };
    if !paged && page.border.is_some() {
        match options.unpaged {
            Unpaged::Truncate => page.border = None,
            Unpaged::Refuse => return Err(Refusal::too_large()),
        }
    }
    if listing.paging == Paging::Endless && page.border.is_none() {
        let matches_anything = !page.rows.is_empty() || from(None).next().is_some();
        page.border = page.rows.last().map(|(key, _)| *key).or(border).filter(|_| matches_anything);
    }
    let gids: Vec<Gid> = page.rows.iter().map(|(_, gid)| *gid).collect();
    let mut body = rows(world, request, request.selection.unwrap_or(listing.fields), &gids);
    if paged {
        next_page(&mut body, options, request, &scope, page.border);
    }
    body.push('}');
    Ok(Answer { body, rows: page.rows.len() })
}

/// The page, changed by a fault if there is one.
fn twisted<'a>(
    limit: usize,
    border: Option<u64>,
    twist: &Twist,
    rows: impl Fn(Option<u64>) -> Box<dyn Iterator<Item = (u64, Gid)> + 'a>,
) -> page::Page {
    match twist {
        Twist::None | Twist::HideFromSearch(_) => page::cut(rows(border), limit),
        // No row has the key 0.
        Twist::EmptyPage => page::Page { rows: Vec::new(), border: Some(border.unwrap_or(0)) },
        Twist::ShortPage(most) => page::cut(rows(border), limit.min((*most).max(1))),
        Twist::DuplicateRow => {
            let previous = border.and_then(|border| rows(border.checked_sub(1)).next());
            let mut page = page::cut(rows(border), limit);
            if let Some(previous) = previous {
                page.rows.insert(0, previous);
            }
            page
        }
    }
}

fn next_page(body: &mut String, options: &Options, request: &Request<'_>, scope: &str, border: Option<u64>) {
    let Some(border) = border else {
        body.push_str(",\"next_page\":null");
        return;
    };
    let expires = request.now.plus(options.offset_lifetime);
    let offset = page::offset(border, scope, request.now, expires);
    let path = format!("{}?{}", request.path, request.query.with_offset(&offset));
    // Writing to a String cannot fail; neither text has a character that JSON escapes.
    let _ = write!(
        body,
        ",\"next_page\":{{\"offset\":\"{offset}\",\"path\":\"{path}\",\"uri\":\"{}{path}\"}}",
        request.base_url
    );
}
