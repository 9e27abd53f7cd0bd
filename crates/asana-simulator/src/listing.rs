//! What each endpoint lists: from a path and its parameters to rows with sort keys.
//!
//! The code is long because the rules of all listings are best compared side by side.

use crate::gid::{Gid, Index, Kind};
use crate::model::*;
use crate::opt_fields::Selection;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::route::Source;
use crate::time::Timestamp;
use crate::world::{Viewer, World};

/// Whether an endpoint has `limit` and `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paging {
    Pages,
    /// Everything at once, whatever parameters are sent.
    Whole,
    /// Pages that always have a next page, even empty ones.
    Endless,
}

/// A listing before it is cut into pages.
pub(crate) struct Listing<'w> {
    rows: Rows<'w>,
    filter: Option<Box<dyn Fn(Gid) -> bool + 'w>>,
    pub paging: Paging,
    /// The fields of a row when no `opt_fields` are sent.
    pub fields: &'static Selection,
}

enum Rows<'w> {
    /// Records of one kind in the order of their gids.
    Indices(Kind, &'w [Index]),
    /// The same, made for this request.
    Collected(Kind, Vec<Index>),
    /// Tasks in the order of their rank in a project.
    Ranked(&'w [(u64, Index)]),
    /// Records of several kinds in the order they were added.
    Items(&'w [Gid]),
    StoriesOf(Index),
}

impl<'w> Listing<'w> {
    fn new(rows: Rows<'w>) -> Self {
        Self { rows, filter: None, paging: Paging::Pages, fields: Selection::compact() }
    }

    fn of(kind: Kind, indices: &'w [Index]) -> Self {
        Self::new(Rows::Indices(kind, indices))
    }

    fn only(mut self, filter: impl Fn(Gid) -> bool + 'w) -> Self {
        self.filter = Some(Box::new(filter));
        self
    }

    fn in_full(mut self) -> Self {
        self.fields = Selection::standard();
        self
    }

    fn paged(mut self, paging: Paging) -> Self {
        self.paging = paging;
        self
    }

    /// The rows after a sort key that the viewer can see.
    pub(crate) fn after<'a>(
        &'a self,
        world: &'a World,
        viewer: Viewer,
        border: Option<u64>,
    ) -> Box<dyn Iterator<Item = (u64, Gid)> + 'a> {
        // A record's key is its index plus one, so that 0 lies before every row.
        let border = border.unwrap_or(0);
        let by_index = move |kind: Kind, indices: &'a [Index]| {
            let start = indices.partition_point(|index| u64::from(*index) < border);
            indices[start..].iter().map(move |index| (u64::from(*index) + 1, Gid::new(kind, *index)))
        };
        let rows: Box<dyn Iterator<Item = (u64, Gid)> + 'a> = match &self.rows {
            Rows::Indices(kind, indices) => Box::new(by_index(*kind, indices)),
            Rows::Collected(kind, indices) => Box::new(by_index(*kind, indices)),
            Rows::Ranked(tasks) => {
                let start = tasks.partition_point(|(rank, _)| *rank <= border);
                Box::new(tasks[start..].iter().map(|(rank, task)| (*rank, Gid::new(Kind::Task, *task))))
            }
            Rows::Items(items) => {
                let start = (border as usize).min(items.len());
                let items = items[start..].iter().enumerate();
                Box::new(items.map(move |(step, gid)| ((start + step) as u64 + 1, *gid)))
            }
            Rows::StoriesOf(task) => {
                let from = Index::try_from(border).unwrap_or(Index::MAX);
                let stories = world.stories_from(*task, from);
                Box::new(stories.map(|story| (u64::from(story) + 1, Gid::new(Kind::Story, story))))
            }
        };
        Box::new(rows.filter(move |(_, gid)| {
            world.sees(viewer, *gid) && self.filter.as_ref().is_none_or(|filter| filter(*gid))
        }))
    }
}

/// A request for a listing.
pub(crate) struct ListRequest<'w, 'q> {
    pub world: &'w World,
    pub viewer: Viewer,
    /// The gid in the path.
    pub path_gid: Option<&'q str>,
    pub query: &'q Query,
    pub now: Timestamp,
}

impl<'w> ListRequest<'w, '_> {
    /// A record that a parameter or the path names, if the viewer may open it.
    pub(crate) fn find(&self, name: &str, text: &str, kinds: &[Kind]) -> Result<Gid, Refusal> {
        if text == "me" && kinds.contains(&Kind::User) {
            return Ok(self.viewer.user());
        }
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refusal::new(400, format!("{name}: Not a recognized ID: {text}")));
        }
        let gid: Option<Gid> = text.parse().ok();
        let gid = gid.filter(|gid| kinds.contains(&gid.kind()) && self.world.exists(*gid));
        let gid = gid.ok_or_else(|| Refusal::unknown_object(name, text))?;
        if self.world.sees(self.viewer, gid) { Ok(gid) } else { Err(Refusal::forbidden(name)) }
    }

    fn in_path(&self, kind: Kind) -> Result<usize, Refusal> {
        let text = self.path_gid.unwrap_or_default();
        Ok(self.find(kind.resource_type(), text, &[kind])?.index() as usize)
    }

    fn parameter(&self, name: &str, kinds: &[Kind]) -> Result<Gid, Refusal> {
        self.find(name, self.query.require(name)?, kinds)
    }

    /// The workspace of the path, or else of the parameter, which must be the viewer's.
    pub(crate) fn workspace(&self) -> Result<Gid, Refusal> {
        let gid = match self.path_gid {
            Some(text) => self.find("workspace", text, &[Kind::Workspace])?,
            None => self.parameter("workspace", &[Kind::Workspace])?,
        };
        match self.world.membership(gid.index(), self.viewer.user().index()) {
            Some(_) => Ok(gid),
            None => Err(Refusal::forbidden("workspace")),
        }
    }

    fn in_workspace(&self) -> Result<&'w Workspace, Refusal> {
        Ok(&self.world.workspaces[self.workspace()?.index() as usize])
    }

    /// The listing of a source. The code is long because there is one arm per listing.
    pub(crate) fn listing(&self, source: Source) -> Result<Listing<'w>, Refusal> {
        let world = self.world;
        Ok(match source {
            Source::Workspaces => Listing::new(Rows::Collected(Kind::Workspace, self.own_workspaces())),
            Source::Users => self.users()?,
            Source::Teams => self.teams(|_| Refusal::new(400, "workspace: Not an organization"))?,
            Source::TeamsOfOrganization => self.teams(|gid| Refusal::unknown_object("organization", gid))?,
            Source::UsersOfTeam => self.users_of_team(self.in_path(Kind::Team)?),
            Source::TeamMemberships => self.team_memberships()?,
            Source::WorkspaceMemberships => {
                Listing::of(Kind::WorkspaceMembership, &self.in_workspace()?.memberships)
            }
            Source::Projects => self.projects()?,
            Source::ProjectsOfTeam => {
                let team = self.in_path(Kind::Team)? as Index;
                let workspace = &world.workspaces[world.teams[team as usize].workspace as usize];
                Listing::of(Kind::Project, &workspace.projects)
                    .only(move |gid| world.projects[gid.index() as usize].team == Some(team))
            }
            Source::Sections => {
                Listing::of(Kind::Section, &world.projects[self.in_path(Kind::Project)?].sections)
            }
            Source::Tasks => self.tasks()?,
            Source::TasksOfProject => self.tasks_of_project(self.in_path(Kind::Project)?)?,
            Source::TasksOfSection => self.tasks_of_section(self.in_path(Kind::Section)?)?,
            Source::TasksOfTag => self.tasks_of_tag(self.in_path(Kind::Tag)?)?,
            Source::TasksOfUserTaskList => self.tasks_assigned(self.in_path(Kind::UserTaskList)?)?,
            Source::Subtasks => Listing::of(Kind::Task, &world.tasks[self.in_path(Kind::Task)?].subtasks),
            Source::Stories => Listing::new(Rows::StoriesOf(self.in_path(Kind::Task)? as Index)),
            Source::Attachments => {
                let parent = self.parameter("parent", &[Kind::Task, Kind::Project, Kind::ProjectBrief])?;
                Listing::of(Kind::Attachment, world.attachments_of(parent))
            }
            Source::Tags => Listing::of(Kind::Tag, &self.in_workspace()?.tags),
            Source::CustomFields => {
                Listing::of(Kind::CustomField, &self.in_workspace()?.custom_fields).in_full()
            }
            Source::CustomFieldSettings(kind) => {
                let parent = Gid::new(kind, self.in_path(kind)? as Index);
                let listing = Listing::of(Kind::CustomFieldSetting, world.settings_of(parent)).in_full();
                if kind == Kind::Team { listing.paged(Paging::Whole) } else { listing }
            }
            Source::Webhooks => self.webhooks()?,
            Source::ProjectTemplates => {
                Listing::of(Kind::ProjectTemplate, &self.in_workspace()?.project_templates)
            }
            Source::TaskTemplates => {
                let project = self.parameter("project", &[Kind::Project])?;
                Listing::of(Kind::TaskTemplate, &world.projects[project.index() as usize].task_templates)
            }
            Source::StatusUpdates => self.status_updates()?,
            Source::Portfolios => self.portfolios()?,
            Source::PortfolioItems => {
                Listing::new(Rows::Items(&world.portfolios[self.in_path(Kind::Portfolio)?].items))
            }
            Source::Goals => self.goals()?,
            Source::GoalRelationships => {
                let goal = self.parameter("supported_goal", &[Kind::Goal])?;
                Listing::of(Kind::GoalRelationship, &world.goals[goal.index() as usize].relationships)
            }
            Source::TimePeriods => Listing::of(Kind::TimePeriod, &self.in_workspace()?.time_periods),
            Source::AuditLogEvents => self.audit_log_events()?,
        })
    }

    fn own_workspaces(&self) -> Vec<Index> {
        let user = &self.world.users[self.viewer.user().index() as usize];
        let memberships = user.memberships.iter();
        memberships
            .map(|membership| self.world.workspace_memberships[*membership as usize].workspace)
            .collect()
    }

    fn users(&self) -> Result<Listing<'w>, Refusal> {
        if self.path_gid.is_none() && !self.query.has("workspace") && self.own_workspaces().len() > 1 {
            let message =
                "This request accesses data in multiple workspaces. Please specify a workspace or team.";
            return Err(Refusal::new(400, message));
        }
        let listing = Listing::of(Kind::User, &self.in_workspace()?.users);
        Ok(if self.path_gid.is_some() { listing.paged(Paging::Whole) } else { listing })
    }

    /// The teams of the workspace in the path. A plain workspace has none and is refused.
    fn teams(&self, refusal: impl Fn(&str) -> Refusal) -> Result<Listing<'w>, Refusal> {
        let workspace = self.in_workspace()?;
        if workspace.form == WorkspaceForm::Plain {
            return Err(refusal(self.path_gid.unwrap_or_default()));
        }
        Ok(Listing::of(Kind::Team, &workspace.teams))
    }

    fn users_of_team(&self, team: usize) -> Listing<'w> {
        let users = self.world.users_of_team(Gid::new(Kind::Team, team as Index));
        let indices = users.iter().map(|user| user.index()).collect();
        Listing::new(Rows::Collected(Kind::User, indices)).paged(Paging::Whole)
    }

    fn team_memberships(&self) -> Result<Listing<'w>, Refusal> {
        let team = match self.path_gid {
            Some(text) => self.find("team", text, &[Kind::Team])?,
            None => self.parameter("team", &[Kind::Team])?,
        };
        Ok(Listing::of(Kind::TeamMembership, &self.world.teams[team.index() as usize].memberships))
    }

    fn projects(&self) -> Result<Listing<'w>, Refusal> {
        if self.path_gid.is_none() && !self.query.has("workspace") {
            return Err(Refusal::new(400, "You should specify one of workspace, team"));
        }
        let archived = self.query.flag("archived")?;
        let world = self.world;
        let listing = Listing::of(Kind::Project, &self.in_workspace()?.projects);
        Ok(match archived {
            None => listing,
            Some(archived) => {
                listing.only(move |gid| world.projects[gid.index() as usize].archived == archived)
            }
        })
    }

    /// `GET /tasks`: exactly one of a project, a section, a tag, or an assignee with a workspace.
    fn tasks(&self) -> Result<Listing<'w>, Refusal> {
        let assigned = self.query.has("assignee");
        let containers =
            ["project", "section", "tag", "user_task_list"].map(|name| (name, self.query.get(name)));
        let mut given = containers.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let container = given.next();
        if given.next().is_some() || container.is_some() && (assigned || self.query.has("workspace")) {
            return Err(Refusal::new(
                400,
                "Must specify exactly one of project, tag, section, user task list, or assignee + workspace",
            ));
        }
        match container {
            Some(("project", text)) => {
                self.tasks_of_project(self.find("project", text, &[Kind::Project])?.index() as usize)
            }
            Some(("section", text)) => {
                self.tasks_of_section(self.find("section", text, &[Kind::Section])?.index() as usize)
            }
            Some(("tag", text)) => self.tasks_of_tag(self.find("tag", text, &[Kind::Tag])?.index() as usize),
            Some((_, text)) => {
                let list = self.find("user_task_list", text, &[Kind::UserTaskList])?;
                self.tasks_assigned(list.index() as usize)
            }
            None if assigned && !self.query.has("workspace") => Err(Refusal::missing("workspace")),
            None if assigned => {
                let workspace = self.parameter("workspace", &[Kind::Workspace])?;
                let user = self.parameter("assignee", &[Kind::User])?;
                match self.world.membership(workspace.index(), user.index()) {
                    Some(membership) => self.tasks_assigned(membership as usize),
                    None => Err(Refusal::unknown_object("assignee", &user.to_string())),
                }
            }
            None if self.query.has("workspace") => Err(Refusal::missing("assignee")),
            None => Err(Refusal::new(
                400,
                "You should specify one of workspace, project, tag, section, user_task_list",
            )),
        }
    }

    fn tasks_of_project(&self, project: usize) -> Result<Listing<'w>, Refusal> {
        self.since(Listing::new(Rows::Ranked(&self.world.projects[project].tasks)))
    }

    /// The tasks of a section are adjacent in the order of the project.
    fn tasks_of_section(&self, section: usize) -> Result<Listing<'w>, Refusal> {
        let section = &self.world.sections[section];
        let tasks = &self.world.projects[section.project as usize].tasks;
        let start = tasks.partition_point(|(rank, _)| *rank < u64::from(section.place) << 40);
        let end = tasks.partition_point(|(rank, _)| *rank < u64::from(section.place + 1) << 40);
        self.since(Listing::new(Rows::Ranked(&tasks[start..end])))
    }

    fn tasks_of_tag(&self, tag: usize) -> Result<Listing<'w>, Refusal> {
        self.since(Listing::of(Kind::Task, &self.world.tags[tag].tasks))
    }

    fn tasks_assigned(&self, membership: usize) -> Result<Listing<'w>, Refusal> {
        self.since(Listing::of(Kind::Task, &self.world.workspace_memberships[membership].assigned))
    }

    /// `modified_since` is inclusive; `completed_since` keeps incomplete tasks and those completed since.
    fn since(&self, listing: Listing<'w>) -> Result<Listing<'w>, Refusal> {
        let modified = self.query.time("modified_since", self.now)?;
        let completed = self.query.time("completed_since", self.now)?;
        if modified.is_none() && completed.is_none() {
            return Ok(listing);
        }
        let world = self.world;
        Ok(listing.only(move |gid| {
            let task = &world.tasks[gid.index() as usize];
            modified.is_none_or(|since| task.modified_at >= since)
                && completed.is_none_or(|since| task.completed_at.is_none_or(|at| at >= since))
        }))
    }

    fn webhooks(&self) -> Result<Listing<'w>, Refusal> {
        let resource = self.query.get("resource").map(str::to_owned);
        let world = self.world;
        let listing = Listing::of(Kind::Webhook, &self.in_workspace()?.webhooks).in_full();
        Ok(match resource {
            Some(resource) => {
                listing.only(move |gid| world.webhooks[gid.index() as usize].resource == *resource)
            }
            None => listing,
        })
    }

    fn status_updates(&self) -> Result<Listing<'w>, Refusal> {
        let parent = self.parameter("parent", &[Kind::Project, Kind::Portfolio, Kind::Goal])?;
        let world = self.world;
        let listing = Listing::of(Kind::StatusUpdate, world.statuses_of(parent));
        Ok(match self.query.time("created_since", self.now)? {
            Some(since) => {
                listing.only(move |gid| world.status_updates[gid.index() as usize].created_at >= since)
            }
            None => listing,
        })
    }

    /// A person lists only own portfolios; a service account lists all, or those of the `owner` in the request.
    fn portfolios(&self) -> Result<Listing<'w>, Refusal> {
        let workspace = self.in_workspace()?;
        let owner = match self.query.get("owner") {
            Some(text) => Some(self.find("owner", text, &[Kind::User])?),
            None => None,
        };
        let owner = match (self.viewer, owner) {
            (Viewer::ServiceAccount(_), owner) => owner,
            (Viewer::User(user), Some(owner)) if owner != user => return Err(Refusal::forbidden("owner")),
            (Viewer::User(user), _) => Some(user),
        };
        let world = self.world;
        let listing = Listing::of(Kind::Portfolio, &workspace.portfolios);
        Ok(match owner {
            Some(owner) => {
                listing.only(move |gid| world.portfolios[gid.index() as usize].owner == owner.index())
            }
            None => listing,
        })
    }

    fn goals(&self) -> Result<Listing<'w>, Refusal> {
        let workspace = self.in_workspace()?;
        let level = self.query.flag("is_workspace_level")?;
        let team = match self.query.get("team") {
            Some(text) => Some(self.find("team", text, &[Kind::Team])?.index()),
            None => None,
        };
        let world = self.world;
        Ok(Listing::of(Kind::Goal, &workspace.goals).only(move |gid| {
            let goal = &world.goals[gid.index() as usize];
            level.is_none_or(|level| goal.team.is_none() == level) && (team.is_none() || goal.team == team)
        }))
    }

    /// Events in the order of their time, from `start_at` (inclusive) to `end_at` (exclusive), only for service
    /// accounts.
    fn audit_log_events(&self) -> Result<Listing<'w>, Refusal> {
        if !matches!(self.viewer, Viewer::ServiceAccount(_)) {
            return Err(Refusal::new(403, "Forbidden: the audit log is open to service accounts alone"));
        }
        let start = self.query.time("start_at", self.now)?;
        let end = self.query.time("end_at", self.now)?;
        let event_type = self.query.get("event_type").map(str::to_owned);
        let actor = self.query.get("actor_gid").map(str::to_owned);
        let resource = self.query.get("resource_gid").map(str::to_owned);
        let world = self.world;
        let listing =
            Listing::of(Kind::AuditLogEvent, &self.in_workspace()?.audit_log_events).only(move |gid| {
                let event = &world.audit_log_events[gid.index() as usize];
                start.is_none_or(|start| event.created_at >= start)
                    && end.is_none_or(|end| event.created_at < end)
                    && event_type.as_deref().is_none_or(|wanted| wanted == event.event_type)
                    && actor.as_deref().is_none_or(|wanted| Gid::new(Kind::User, event.actor) == *wanted)
                    && resource.as_deref().is_none_or(|wanted| event.resource == *wanted)
            });
        Ok(listing.in_full().paged(Paging::Endless))
    }
}
