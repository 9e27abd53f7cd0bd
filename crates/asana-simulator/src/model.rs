//! The compact data of a world: facts that can change, and relations between records. Everything else is derived from a
//! record's seed when it is rendered.
//!
//! References are indices into the world's list of that kind; a [`Gid`] is used if the kind varies. Records are never
//! removed from their list, only marked as deleted, so an index stays valid.
//!
//! The code is long because it is the one list of the world's structs, with hardly any function.

use crate::gid::{Gid, Index};
use crate::time::{Day, Timestamp};

#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    pub name: String,
    pub form: WorkspaceForm,
    pub email_domains: Vec<String>,
    pub memberships: Vec<Index>,
    /// Users in the order of their gid.
    pub users: Vec<Index>,
    pub teams: Vec<Index>,
    pub projects: Vec<Index>,
    pub tags: Vec<Index>,
    /// Fields of the whole workspace.
    pub custom_fields: Vec<Index>,
    pub project_templates: Vec<Index>,
    pub webhooks: Vec<Index>,
    pub portfolios: Vec<Index>,
    pub goals: Vec<Index>,
    pub time_periods: Vec<Index>,
    pub audit_log_events: Vec<Index>,
    pub custom_types: Vec<Index>,
    /// The contents of the workspace when it was generated, for records that are derived later from a seed.
    pub generated: Generated,
}

/// Ranges and lists that edits never change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Generated {
    pub users: Vec<Index>,
    pub projects: std::ops::Range<Index>,
    pub tasks: std::ops::Range<Index>,
    pub tags: std::ops::Range<Index>,
    pub fields: Vec<Index>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkspaceForm {
    Organization,
    Plain,
}

#[derive(Clone, Debug)]
pub(crate) struct User {
    pub name: String,
    pub email: String,
    pub photo: bool,
    pub memberships: Vec<Index>,
    pub seed: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct WorkspaceMembership {
    pub workspace: Index,
    pub user: Index,
    pub active: bool,
    pub admin: bool,
    pub guest: bool,
    pub view_only: bool,
    pub vacation: Option<(Day, Day)>,
    pub created_at: Timestamp,
    /// Tasks assigned to the user in this workspace, in the order of their index.
    pub assigned: Vec<Index>,
}

#[derive(Clone, Debug)]
pub(crate) struct Team {
    pub workspace: Index,
    pub name: String,
    pub memberships: Vec<Index>,
    pub settings: Vec<Index>,
    pub seed: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct TeamMembership {
    pub team: Index,
    pub user: Index,
    pub guest: bool,
    pub limited_access: bool,
    pub admin: bool,
}

/// Whether a record exists, and whether tokens may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Present,
    /// It exists, but every token has lost access to it.
    Hidden,
    Deleted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privacy {
    PublicToWorkspace,
    /// Visible only to its members and to service accounts.
    Private,
}

#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub workspace: Index,
    pub team: Option<Index>,
    pub name: String,
    pub notes: String,
    pub archived: bool,
    pub privacy: Privacy,
    pub owner: Option<Index>,
    pub members: Vec<Index>,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
    pub completed: Option<(Timestamp, Index)>,
    pub template: Option<Index>,
    pub brief: bool,
    pub sections: Vec<Index>,
    /// Tasks by rank, which is the order Asana lists them in.
    pub tasks: Vec<(u64, Index)>,
    pub settings: Vec<Index>,
    pub statuses: Vec<Index>,
    pub attachments: Vec<Index>,
    pub task_templates: Vec<Index>,
    pub seed: u64,
    pub presence: Presence,
}

#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub project: Index,
    pub name: String,
    pub created_at: Timestamp,
    /// The section's place in its project; a task's rank starts with it.
    pub place: u32,
    pub presence: Presence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    pub project: Index,
    pub section: Index,
    pub rank: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskSubtype {
    Default,
    Milestone,
    Approval,
    Custom,
}

#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// `None`: the name from the seed.
    pub name: Option<Box<str>>,
    /// `None`: the notes from the seed.
    pub notes: Option<Box<str>>,
    pub workspace: Index,
    pub parent: Option<Index>,
    pub assignee: Option<Index>,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
    pub completed_at: Option<Timestamp>,
    pub memberships: Vec<Membership>,
    pub subtasks: Vec<Index>,
    pub tags: Vec<Index>,
    pub attachments: Vec<Index>,
    /// Index of the first of its generated stories, and how many there are.
    pub first_story: Index,
    pub generated_stories: u32,
    pub seed: u64,
    pub subtype: TaskSubtype,
    /// 0 for a task that is no subtask.
    pub depth: u8,
    pub presence: Presence,
}

#[derive(Clone, Debug)]
pub(crate) struct Attachment {
    /// A task, a project or a project brief.
    pub parent: Gid,
    pub name: String,
    pub created_at: Timestamp,
    pub seed: u64,
    pub presence: Presence,
}

#[derive(Clone, Debug)]
pub(crate) struct Tag {
    pub workspace: Index,
    pub name: String,
    pub created_at: Timestamp,
    pub tasks: Vec<Index>,
    pub seed: u64,
    pub presence: Presence,
}

/// The type of a custom field's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldShape {
    Text,
    Number(NumberFormat),
    Enum,
    MultiEnum,
    Date,
    People,
    Reference,
    Formula,
    CustomId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberFormat {
    Plain,
    Currency,
    Percentage,
    Custom,
    Duration,
    Identifier,
}

#[derive(Clone, Debug)]
pub(crate) struct CustomField {
    pub workspace: Index,
    pub name: String,
    pub shape: FieldShape,
    pub scope: FieldScope,
    pub options: Vec<Index>,
    pub created_by: Option<Index>,
    pub seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldScope {
    Workspace,
    /// Of one project, portfolio, goal or team; listed only by its settings.
    Local,
}

#[derive(Clone, Debug)]
pub(crate) struct EnumOption {
    pub name: String,
    pub color: &'static str,
    pub enabled: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct CustomFieldSetting {
    /// A project, portfolio, goal or team.
    pub parent: Gid,
    pub field: Index,
    pub important: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub resource: Gid,
    pub created_at: Timestamp,
    pub seed: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct ProjectTemplate {
    pub workspace: Index,
    pub team: Index,
    pub name: String,
    pub owner: Option<Index>,
    /// Index of its first template role; there are two.
    pub first_role: Index,
    pub seed: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct TaskTemplate {
    pub project: Index,
    pub name: String,
    pub created_by: Index,
    pub created_at: Timestamp,
    pub seed: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct StatusUpdate {
    /// A project, portfolio or goal.
    pub parent: Gid,
    pub title: String,
    pub text: String,
    pub status: &'static str,
    pub author: Index,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
    pub seed: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Portfolio {
    pub workspace: Index,
    pub name: String,
    pub owner: Index,
    pub members: Vec<Index>,
    pub created_at: Timestamp,
    /// Projects and portfolios, in order.
    pub items: Vec<Gid>,
    pub settings: Vec<Index>,
    pub statuses: Vec<Index>,
    pub project_templates: Vec<Index>,
    pub seed: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Goal {
    pub workspace: Index,
    pub team: Option<Index>,
    pub name: String,
    pub notes: String,
    pub owner: Option<Index>,
    pub followers: Vec<Index>,
    pub time_period: Option<Index>,
    pub relationships: Vec<Index>,
    pub settings: Vec<Index>,
    pub statuses: Vec<Index>,
    pub seed: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct GoalRelationship {
    pub goal: Index,
    /// A project, task, portfolio or goal.
    pub supporting: Gid,
    pub weight: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct TimePeriod {
    pub period: &'static str,
    pub start: Day,
    pub end: Day,
    pub display_name: String,
    pub parent: Option<Index>,
}

#[derive(Clone, Debug)]
pub(crate) struct AuditLogEvent {
    pub created_at: Timestamp,
    pub event_type: &'static str,
    pub category: &'static str,
    pub actor: Index,
    pub resource: Gid,
    pub resource_name: String,
    pub seed: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct CustomType {
    pub name: String,
    pub first_status: Index,
}

/// One story, as it is derived from a seed or written by an edit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Story {
    pub task: Index,
    pub created_at: Timestamp,
    pub created_by: Index,
    pub subtype: &'static str,
    pub detail: StoryDetail,
    pub edited: bool,
    pub seed: u64,
}

/// The content of a story, by its fields.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StoryDetail {
    Comment { text: String },
    Nothing,
    Name { old: String, new: String },
    Text { old: String, new: String },
    Dates { old: StoryDates, new: StoryDates },
    Subtype { old: &'static str, new: &'static str },
    Approval { old: &'static str, new: &'static str },
    Assignee { user: Index },
    Follower { user: Index },
    Project { project: Index },
    Section { project: Index, old: Index, new: Index },
    Tag { tag: Index },
    Task { task: Index },
    DuplicateOf { task: Index },
    DuplicatedFrom { task: Index },
    Dependency { task: Index },
    Liked { story: Index },
    TextField { field: Index, old: String, new: String },
    NumberField { field: Index, old: Option<f64>, new: f64 },
    EnumField { field: Index, old: Index, new: Index },
    MultiEnumField { field: Index, old: Vec<Index>, new: Vec<Index> },
    DateField { field: Index, old: StoryDates, new: StoryDates },
    PeopleField { field: Index, old: Vec<Index>, new: Vec<Index> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoryDates {
    pub start_on: Option<Day>,
    pub due_on: Day,
    pub due_at: Option<Timestamp>,
}

/// The value of a custom field on some object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FieldValue {
    Text(String),
    Number(f64),
    Enum(Index),
    MultiEnum(Vec<Index>),
    Date { day: Day, time: Option<Timestamp> },
    People(Vec<Index>),
    Reference(Gid),
}
