//! Changes to the world while it is served, with what Asana makes of them: stories, `modified_at`, events.
//! Knows no HTTP.
//!
//! What moves a task's `modified_at` (Asana's OpenAPI, `TaskBase.modified_at`): a story created or trashed on it,
//! an attachment trashed, and changes of `completed`, `name`, the dates, the description, `attachments`, `items`.
//! A subtask is one of its parent's items: adding or deleting one moves the parent, editing one does not. Being
//! put into a project or section moves nothing by itself, but the story that tells of it does. Rewording a
//! comment moves nothing and makes no event. Deleting a section moves its tasks without a word.

use std::fmt;

use serde::Deserialize;

use crate::events::{Change, Event};
use crate::generate::{add_section, add_status, add_to_section, assign, attach};
use crate::gid::{Gid, Index, Kind};
use crate::model::*;
use crate::random::{Random, mix};
use crate::render::{FieldValue, View};
use crate::time::Timestamp;
use crate::world::{ChangedStory, World};

/// A change that could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditError {
    /// The record is of another kind, was deleted, or never was.
    NotThere(Gid),
    /// The records do not go together, such as a task and a section of a project it is not in.
    Unfit { reason: &'static str },
}

impl fmt::Display for EditError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EditError::NotThere(gid) => write!(formatter, "no such record: {gid:?}"),
            EditError::Unfit { reason } => formatter.write_str(reason),
        }
    }
}

impl std::error::Error for EditError {}

/// Makes changes at one instant, as one user. Methods return the gid of what they made or changed.
#[derive(Debug)]
pub struct Editor<'w> {
    world: &'w mut World,
    now: Timestamp,
    user: Index,
}

impl<'w> Editor<'w> {
    /// An editor that acts as the world's main user.
    pub fn new(world: &'w mut World, now: Timestamp) -> Self {
        Self { world, now, user: 0 }
    }

    /// Acts as this user from now on.
    pub fn act_as(&mut self, user: Gid) -> Result<(), EditError> {
        self.user = self.at(user, Kind::User)? as Index;
        Ok(())
    }

    /// The world as it is now.
    pub fn world(&self) -> &World {
        self.world
    }

    pub fn rename_task(&mut self, task: Gid, name: &str) -> Result<Gid, EditError> {
        let at = self.at(task, Kind::Task)?;
        let old = self.world.tasks[at].displayed_name();
        self.world.tasks[at].name = Some(name.into());
        self.changed(task, "name", None);
        self.story(task, "name_changed", StoryDetail::Name { old, new: name.to_owned() });
        Ok(task)
    }

    pub fn set_task_notes(&mut self, task: Gid, notes: &str) -> Result<Gid, EditError> {
        let at = self.at(task, Kind::Task)?;
        self.world.tasks[at].notes = Some(notes.into());
        self.changed(task, "notes", None);
        self.story(task, "notes_changed", StoryDetail::Nothing);
        Ok(task)
    }

    pub fn complete_task(&mut self, task: Gid) -> Result<Gid, EditError> {
        let at = self.at(task, Kind::Task)?;
        self.world.tasks[at].completed_at = Some(self.now);
        self.changed(task, "completed", None);
        self.story(task, "marked_complete", StoryDetail::Nothing);
        Ok(task)
    }

    pub fn reopen_task(&mut self, task: Gid) -> Result<Gid, EditError> {
        let at = self.at(task, Kind::Task)?;
        self.world.tasks[at].completed_at = None;
        self.changed(task, "completed", None);
        self.story(task, "marked_incomplete", StoryDetail::Nothing);
        Ok(task)
    }

    /// Gives a task to a user of its workspace, taking it from whoever has it.
    pub fn assign_task(&mut self, task: Gid, user: Gid) -> Result<Gid, EditError> {
        let at = self.at(task, Kind::Task)?;
        let user = self.at(user, Kind::User)? as Index;
        if self.world.membership(self.world.tasks[at].workspace, user).is_none() {
            return Err(EditError::Unfit { reason: "the user does not belong to the task's workspace" });
        }
        self.take_from_assignee(task.index());
        assign(self.world, task.index(), user);
        self.changed(task, "assignee", Some(Gid::new(Kind::User, user)));
        self.story(task, "assigned", StoryDetail::Assignee { user });
        Ok(task)
    }

    pub fn unassign_task(&mut self, task: Gid) -> Result<Gid, EditError> {
        self.at(task, Kind::Task)?;
        self.take_from_assignee(task.index());
        self.changed(task, "assignee", None);
        self.story(task, "unassigned", StoryDetail::Nothing);
        Ok(task)
    }

    /// Gives a number field a value on a task.
    pub fn set_number(&mut self, task: Gid, field: Gid, number: f64) -> Result<Gid, EditError> {
        self.at(task, Kind::Task)?;
        let at = self.at(field, Kind::CustomField)?;
        if !matches!(self.world.custom_fields[at].shape, FieldShape::Number(_)) {
            return Err(EditError::Unfit { reason: "the field holds no number" });
        }
        let field = field.index();
        self.world.field_values.insert((task, field), Some(FieldValue::Number(number)));
        self.changed(task, "custom_fields", None);
        let detail = StoryDetail::NumberField { field, old: None, new: number };
        self.story(task, "number_custom_field_changed", detail);
        Ok(task)
    }

    /// Returns the comment.
    pub fn comment(&mut self, task: Gid, text: &str) -> Result<Gid, EditError> {
        self.at(task, Kind::Task)?;
        Ok(self.story(task, "comment_added", StoryDetail::Comment { text: text.to_owned() }))
    }

    /// Rewords a comment: it is marked as edited, and nothing else shows it.
    pub fn edit_comment(&mut self, comment: Gid, text: &str) -> Result<Gid, EditError> {
        self.at(comment, Kind::Story)?;
        if !matches!(self.world.story(comment.index()).detail, StoryDetail::Comment { .. }) {
            return Err(EditError::Unfit { reason: "the story is no comment" });
        }
        self.world.changed_stories.insert(comment.index(), ChangedStory::Reworded(text.to_owned()));
        Ok(comment)
    }

    pub fn delete_story(&mut self, story: Gid) -> Result<Gid, EditError> {
        self.at(story, Kind::Story)?;
        let task = self.world.task_of(story);
        self.note(story, "removed", Some(task), None);
        self.world.changed_stories.insert(story.index(), ChangedStory::Deleted);
        self.touch(task);
        Ok(story)
    }

    /// A new task in these projects, each time at the end of the first section; in none for an empty list.
    pub fn create_task(&mut self, workspace: Gid, name: &str, projects: &[Gid]) -> Result<Gid, EditError> {
        self.at(workspace, Kind::Workspace)?;
        for project in projects {
            let at = self.at(*project, Kind::Project)?;
            if self.world.projects[at].workspace != workspace.index() {
                return Err(EditError::Unfit { reason: "the project lies in another workspace" });
            }
        }
        let task = self.new_task(workspace.index(), name, None);
        for project in projects {
            self.add_to_project(task, *project)?;
        }
        if projects.is_empty() {
            self.note(task, "added", None, None);
        }
        Ok(task)
    }

    /// A new subtask; it moves its parent's `modified_at`.
    pub fn create_subtask(&mut self, parent: Gid, name: &str) -> Result<Gid, EditError> {
        let at = self.at(parent, Kind::Task)?;
        let workspace = self.world.tasks[at].workspace;
        let task = self.new_task(workspace, name, Some(parent.index()));
        self.note(task, "added", Some(parent), None);
        self.touch(parent);
        Ok(task)
    }

    /// Deletes a task with its subtasks, stories and attachments.
    pub fn delete_task(&mut self, task: Gid) -> Result<Gid, EditError> {
        let at = self.at(task, Kind::Task)?;
        for subtask in self.world.subtasks_of_task(task) {
            self.delete_task(subtask)?;
        }
        self.note(task, "deleted", None, None);
        self.world.tasks[at].presence = Presence::Deleted;
        if let Some(parent) = self.world.tasks[at].parent.map(|parent| Gid::new(Kind::Task, parent))
            && self.world.exists(parent)
        {
            self.touch(parent);
        }
        Ok(task)
    }

    /// Adds a task to a project's first section.
    pub fn add_to_project(&mut self, task: Gid, project: Gid) -> Result<Gid, EditError> {
        let task_at = self.at(task, Kind::Task)?;
        self.at(project, Kind::Project)?;
        if self.world.tasks[task_at].memberships.iter().any(|home| home.project == project.index()) {
            return Err(EditError::Unfit { reason: "the task is in the project already" });
        }
        let sections = self.world.sections_of_project(project);
        let section = sections.first().ok_or(EditError::Unfit { reason: "the project has no section" })?;
        add_to_section(self.world, task.index(), project.index(), section.index());
        self.note(task, "added", Some(project), None);
        self.story(task, "added_to_project", StoryDetail::Project { project: project.index() });
        Ok(task)
    }

    pub fn remove_from_project(&mut self, task: Gid, project: Gid) -> Result<Gid, EditError> {
        self.at(task, Kind::Task)?;
        self.at(project, Kind::Project)?;
        self.note(task, "removed", Some(project), None);
        self.leave(task.index(), project.index())?;
        self.story(task, "removed_from_project", StoryDetail::Project { project: project.index() });
        Ok(task)
    }

    /// Moves a task to the end of another section of a project it is in.
    pub fn move_to_section(&mut self, task: Gid, section: Gid) -> Result<Gid, EditError> {
        let old = self.change_section(task, section)?;
        let project = self.world.sections[section.index() as usize].project;
        let detail = StoryDetail::Section { project, old, new: section.index() };
        self.changed(task, "memberships", None);
        self.story(task, "section_changed", detail);
        Ok(task)
    }

    /// Moves a task as a rule or a bulk edit may do: no story tells of it and `modified_at` stays.
    pub fn move_to_section_silently(&mut self, task: Gid, section: Gid) -> Result<Gid, EditError> {
        self.change_section(task, section)?;
        Ok(task)
    }

    /// Adds a tag to a task.
    pub fn tag_task(&mut self, task: Gid, tag: Gid) -> Result<Gid, EditError> {
        let at = self.at(task, Kind::Task)?;
        let tag_at = self.at(tag, Kind::Tag)?;
        if self.world.tasks[at].tags.contains(&tag.index()) {
            return Err(EditError::Unfit { reason: "the task has the tag already" });
        }
        self.world.tasks[at].tags.push(tag.index());
        let tasks = &mut self.world.tags[tag_at].tasks;
        let position = tasks.partition_point(|other| *other < task.index());
        tasks.insert(position, task.index());
        self.note(task, "added", Some(tag), None);
        self.story(task, "added_to_tag", StoryDetail::Tag { tag: tag.index() });
        Ok(task)
    }

    /// Attaches a file to a task or project. Returns the attachment.
    pub fn add_attachment(&mut self, parent: Gid, name: &str) -> Result<Gid, EditError> {
        if !matches!(parent.kind(), Kind::Task | Kind::Project) || !self.world.exists(parent) {
            return Err(EditError::NotThere(parent));
        }
        let seed = mix(self.now.0 as u64 ^ self.world.attachments.len() as u64);
        let attachment = attach(self.world, parent, self.now, &mut Random::new(seed));
        self.world.attachments[attachment as usize].name = name.to_owned();
        self.world.attachments[attachment as usize].created_at = self.now;
        if parent.kind() == Kind::Task {
            self.story(parent, "attachment_added", StoryDetail::Nothing);
        }
        Ok(Gid::new(Kind::Attachment, attachment))
    }

    pub fn delete_attachment(&mut self, attachment: Gid) -> Result<Gid, EditError> {
        let at = self.at(attachment, Kind::Attachment)?;
        let parent = self.world.attachments[at].parent;
        self.note(attachment, "deleted", None, None);
        self.world.attachments[at].presence = Presence::Deleted;
        if parent.kind() == Kind::Task {
            self.touch(parent);
        }
        Ok(attachment)
    }

    /// A new project that everyone in the workspace sees, with one section.
    pub fn create_project(&mut self, workspace: Gid, name: &str) -> Result<Gid, EditError> {
        let at = self.at(workspace, Kind::Workspace)?;
        let project = self.world.projects.len() as Index;
        self.world.projects.push(Project {
            workspace: workspace.index(),
            team: self.world.workspaces[at].teams.first().copied(),
            name: name.to_owned(),
            notes: String::new(),
            archived: false,
            privacy: Privacy::PublicToWorkspace,
            owner: Some(self.user),
            members: vec![self.user],
            created_at: self.now,
            modified_at: self.now,
            completed: None,
            template: None,
            brief: false,
            sections: Vec::new(),
            tasks: Vec::new(),
            settings: Vec::new(),
            statuses: Vec::new(),
            attachments: Vec::new(),
            task_templates: Vec::new(),
            seed: mix(self.world.seed ^ u64::from(project)),
            presence: Presence::Present,
        });
        self.world.workspaces[at].projects.push(project);
        add_section(self.world, project, "Untitled section".to_owned(), self.now);
        let gid = Gid::new(Kind::Project, project);
        self.note(gid, "added", Some(workspace), None);
        Ok(gid)
    }

    pub fn rename_project(&mut self, project: Gid, name: &str) -> Result<Gid, EditError> {
        let at = self.at(project, Kind::Project)?;
        self.world.projects[at].name = name.to_owned();
        self.project_changed(project, "name");
        Ok(project)
    }

    pub fn archive_project(&mut self, project: Gid) -> Result<Gid, EditError> {
        let at = self.at(project, Kind::Project)?;
        self.world.projects[at].archived = true;
        self.project_changed(project, "archived");
        Ok(project)
    }

    /// Deletes a project. Tasks in other projects, and those of someone, stay; the others go with it.
    pub fn delete_project(&mut self, project: Gid) -> Result<Gid, EditError> {
        let at = self.at(project, Kind::Project)?;
        self.note(project, "deleted", None, None);
        for task in self.world.tasks_of_project(project) {
            let record = &self.world.tasks[task.index() as usize];
            let homeless =
                record.memberships.len() == 1 && record.parent.is_none() && record.assignee.is_none();
            if homeless {
                self.delete_task(task)?;
            } else {
                self.leave(task.index(), project.index())?;
            }
        }
        self.world.projects[at].presence = Presence::Deleted;
        Ok(project)
    }

    /// Takes a project away from every token: it leaves listings, and opening it is forbidden.
    pub fn hide_project(&mut self, project: Gid) -> Result<Gid, EditError> {
        let at = self.at(project, Kind::Project)?;
        self.world.projects[at].presence = Presence::Hidden;
        Ok(project)
    }

    /// Opens a hidden or private project to everyone in its workspace.
    pub fn show_project(&mut self, project: Gid) -> Result<Gid, EditError> {
        let at = self.at(project, Kind::Project)?;
        self.world.projects[at].presence = Presence::Present;
        self.world.projects[at].privacy = Privacy::PublicToWorkspace;
        Ok(project)
    }

    pub fn create_section(&mut self, project: Gid, name: &str) -> Result<Gid, EditError> {
        self.at(project, Kind::Project)?;
        let section =
            Gid::new(Kind::Section, add_section(self.world, project.index(), name.to_owned(), self.now));
        self.note(section, "added", Some(project), None);
        Ok(section)
    }

    pub fn rename_section(&mut self, section: Gid, name: &str) -> Result<Gid, EditError> {
        let at = self.at(section, Kind::Section)?;
        self.world.sections[at].name = name.to_owned();
        self.note(section, "changed", None, Some("name"));
        Ok(section)
    }

    /// Deletes a section; its tasks move to the project's first other one, silently.
    pub fn delete_section(&mut self, section: Gid) -> Result<Gid, EditError> {
        let at = self.at(section, Kind::Section)?;
        let project = Gid::new(Kind::Project, self.world.sections[at].project);
        let sections = self.world.sections_of_project(project);
        let other = sections.into_iter().find(|other| *other != section);
        let other = other.ok_or(EditError::Unfit { reason: "a project keeps its last section" })?;
        for task in self.world.tasks_of_project(project) {
            let homes = &self.world.tasks[task.index() as usize].memberships;
            if homes.iter().any(|home| home.section == section.index()) {
                self.change_section(task, other)?;
            }
        }
        self.note(section, "deleted", None, None);
        self.world.sections[at].presence = Presence::Deleted;
        Ok(section)
    }

    pub fn rename_tag(&mut self, tag: Gid, name: &str) -> Result<Gid, EditError> {
        let at = self.at(tag, Kind::Tag)?;
        self.world.tags[at].name = name.to_owned();
        self.note(tag, "changed", None, Some("name"));
        Ok(tag)
    }

    /// Deletes a tag; tasks lose it without being modified.
    pub fn delete_tag(&mut self, tag: Gid) -> Result<Gid, EditError> {
        let at = self.at(tag, Kind::Tag)?;
        self.note(tag, "deleted", None, None);
        self.world.tags[at].presence = Presence::Deleted;
        Ok(tag)
    }

    /// Posts a status update on a project, portfolio or goal, which becomes its current one.
    pub fn add_status_update(&mut self, parent: Gid, title: &str, text: &str) -> Result<Gid, EditError> {
        if !matches!(parent.kind(), Kind::Project | Kind::Portfolio | Kind::Goal)
            || !self.world.exists(parent)
        {
            return Err(EditError::NotThere(parent));
        }
        let seed = mix(self.now.0 as u64 ^ self.world.status_updates.len() as u64);
        let (title, text) = (title.to_owned(), text.to_owned());
        let status = add_status(self.world, parent, title, text, "at_risk", self.user, self.now, seed);
        let status = Gid::new(Kind::StatusUpdate, status);
        self.note(status, "added", Some(parent), None);
        Ok(status)
    }

    pub fn add_portfolio_item(&mut self, portfolio: Gid, item: Gid) -> Result<Gid, EditError> {
        let at = self.at(portfolio, Kind::Portfolio)?;
        if !matches!(item.kind(), Kind::Project | Kind::Portfolio) || !self.world.exists(item) {
            return Err(EditError::NotThere(item));
        }
        self.world.portfolios[at].items.push(item);
        Ok(portfolio)
    }

    pub fn remove_portfolio_item(&mut self, portfolio: Gid, item: Gid) -> Result<Gid, EditError> {
        let at = self.at(portfolio, Kind::Portfolio)?;
        self.world.portfolios[at].items.retain(|other| *other != item);
        Ok(portfolio)
    }

    /// The place of a record in its list.
    fn at(&self, gid: Gid, kind: Kind) -> Result<usize, EditError> {
        if gid.kind() == kind && self.world.exists(gid) {
            Ok(gid.index() as usize)
        } else {
            Err(EditError::NotThere(gid))
        }
    }

    fn new_task(&mut self, workspace: Index, name: &str, parent: Option<Index>) -> Gid {
        let index = self.world.tasks.len() as Index;
        let seed = mix(self.world.seed ^ mix(u64::from(index)));
        let mut task = crate::generate::blank_task(workspace, seed, self.now);
        task.name = Some(name.into());
        task.subtype = TaskSubtype::Default;
        task.first_story = self.world.generated_stories;
        if let Some(parent) = parent {
            let above = &mut self.world.tasks[parent as usize];
            above.subtasks.push(index);
            task.depth = above.depth + 1;
            task.parent = Some(parent);
        }
        self.world.tasks.push(task);
        let task = Gid::new(Kind::Task, index);
        self.touch(task);
        task
    }

    fn take_from_assignee(&mut self, task: Index) {
        let record = &mut self.world.tasks[task as usize];
        let (workspace, assignee) = (record.workspace, record.assignee.take());
        if let Some(membership) = assignee.and_then(|user| self.world.membership(workspace, user)) {
            self.world.workspace_memberships[membership as usize].assigned.retain(|other| *other != task);
        }
    }

    fn leave(&mut self, task: Index, project: Index) -> Result<(), EditError> {
        let homes = &mut self.world.tasks[task as usize].memberships;
        let home = homes.iter().position(|home| home.project == project);
        let home = home.ok_or(EditError::Unfit { reason: "the task is not in the project" })?;
        let rank = homes.remove(home).rank;
        let tasks = &mut self.world.projects[project as usize].tasks;
        if let Ok(position) = tasks.binary_search_by_key(&rank, |(rank, _)| *rank) {
            tasks.remove(position);
        }
        Ok(())
    }

    /// Returns the section that the task was in.
    fn change_section(&mut self, task: Gid, section: Gid) -> Result<Index, EditError> {
        let at = self.at(task, Kind::Task)?;
        let section_at = self.at(section, Kind::Section)?;
        let project = self.world.sections[section_at].project;
        let home = self.world.tasks[at].memberships.iter().find(|home| home.project == project);
        let old =
            home.ok_or(EditError::Unfit { reason: "the task is not in the section's project" })?.section;
        self.leave(task.index(), project)?;
        add_to_section(self.world, task.index(), project, section.index());
        Ok(old)
    }

    /// Writes a story on a task, which moves its `modified_at`.
    fn story(&mut self, task: Gid, subtype: &'static str, detail: StoryDetail) -> Gid {
        let index = self.world.generated_stories + self.world.added_stories.len() as Index;
        self.world.added_stories.push(Story {
            task: task.index(),
            created_at: self.now,
            created_by: self.user,
            subtype,
            detail,
            edited: false,
            seed: mix(self.world.seed ^ mix(u64::from(index) << 1)),
        });
        self.world.added_stories_of.entry(task.index()).or_default().push(index);
        self.touch(task);
        let story = Gid::new(Kind::Story, index);
        self.note(story, "added", Some(task), None);
        story
    }

    fn touch(&mut self, task: Gid) {
        let record = &mut self.world.tasks[task.index() as usize];
        record.modified_at = record.modified_at.max(self.now);
        self.world.touched.push((self.now, task.index()));
    }

    fn project_changed(&mut self, project: Gid, field: &'static str) {
        self.world.projects[project.index() as usize].modified_at = self.now;
        self.note(project, "changed", None, Some(field));
    }

    fn changed(&mut self, task: Gid, field: &'static str, value: Option<Gid>) {
        let change = Change { field, action: "changed", value };
        self.touch(task);
        self.log(task, "changed", None, Some(change));
    }

    fn note(
        &mut self,
        resource: Gid,
        action: &'static str,
        parent: Option<Gid>,
        field: Option<&'static str>,
    ) {
        let change = field.map(|field| Change { field, action: "changed", value: None });
        self.log(resource, action, parent, change);
    }

    fn log(&mut self, resource: Gid, action: &'static str, parent: Option<Gid>, change: Option<Change>) {
        let view = View { world: self.world, viewer: self.world.main_viewer() };
        let name = view.name_of(resource);
        let mut streams = self.world.streams_of(resource);
        streams.extend(parent);
        let event = Event { at: self.now, user: self.user, resource, name, action, parent, change };
        self.world.events.note(event, &streams);
    }
}

/// A change as data, for whoever edits over HTTP: the method's name as `kind`, and its arguments.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Edit {
    RenameTask { task: Gid, name: String },
    SetTaskNotes { task: Gid, notes: String },
    CompleteTask { task: Gid },
    ReopenTask { task: Gid },
    AssignTask { task: Gid, user: Gid },
    UnassignTask { task: Gid },
    SetNumber { task: Gid, field: Gid, number: f64 },
    Comment { task: Gid, text: String },
    EditComment { comment: Gid, text: String },
    DeleteStory { story: Gid },
    CreateTask { workspace: Gid, name: String, projects: Vec<Gid> },
    CreateSubtask { parent: Gid, name: String },
    DeleteTask { task: Gid },
    AddToProject { task: Gid, project: Gid },
    RemoveFromProject { task: Gid, project: Gid },
    MoveToSection { task: Gid, section: Gid },
    MoveToSectionSilently { task: Gid, section: Gid },
    TagTask { task: Gid, tag: Gid },
    AddAttachment { parent: Gid, name: String },
    DeleteAttachment { attachment: Gid },
    CreateProject { workspace: Gid, name: String },
    RenameProject { project: Gid, name: String },
    ArchiveProject { project: Gid },
    DeleteProject { project: Gid },
    HideProject { project: Gid },
    ShowProject { project: Gid },
    CreateSection { project: Gid, name: String },
    RenameSection { section: Gid, name: String },
    DeleteSection { section: Gid },
    RenameTag { tag: Gid, name: String },
    DeleteTag { tag: Gid },
    AddStatusUpdate { parent: Gid, title: String, text: String },
    AddPortfolioItem { portfolio: Gid, item: Gid },
    RemovePortfolioItem { portfolio: Gid, item: Gid },
}

impl Editor<'_> {
    /// Makes a change that is given as data.
    pub fn apply(&mut self, edit: &Edit) -> Result<Gid, EditError> {
        match edit {
            Edit::RenameTask { task, name } => self.rename_task(*task, name),
            Edit::SetTaskNotes { task, notes } => self.set_task_notes(*task, notes),
            Edit::CompleteTask { task } => self.complete_task(*task),
            Edit::ReopenTask { task } => self.reopen_task(*task),
            Edit::AssignTask { task, user } => self.assign_task(*task, *user),
            Edit::UnassignTask { task } => self.unassign_task(*task),
            Edit::SetNumber { task, field, number } => self.set_number(*task, *field, *number),
            Edit::Comment { task, text } => self.comment(*task, text),
            Edit::EditComment { comment, text } => self.edit_comment(*comment, text),
            Edit::DeleteStory { story } => self.delete_story(*story),
            Edit::CreateTask { workspace, name, projects } => self.create_task(*workspace, name, projects),
            Edit::CreateSubtask { parent, name } => self.create_subtask(*parent, name),
            Edit::DeleteTask { task } => self.delete_task(*task),
            Edit::AddToProject { task, project } => self.add_to_project(*task, *project),
            Edit::RemoveFromProject { task, project } => self.remove_from_project(*task, *project),
            Edit::MoveToSection { task, section } => self.move_to_section(*task, *section),
            Edit::MoveToSectionSilently { task, section } => self.move_to_section_silently(*task, *section),
            Edit::TagTask { task, tag } => self.tag_task(*task, *tag),
            Edit::AddAttachment { parent, name } => self.add_attachment(*parent, name),
            Edit::DeleteAttachment { attachment } => self.delete_attachment(*attachment),
            Edit::CreateProject { workspace, name } => self.create_project(*workspace, name),
            Edit::RenameProject { project, name } => self.rename_project(*project, name),
            Edit::ArchiveProject { project } => self.archive_project(*project),
            Edit::DeleteProject { project } => self.delete_project(*project),
            Edit::HideProject { project } => self.hide_project(*project),
            Edit::ShowProject { project } => self.show_project(*project),
            Edit::CreateSection { project, name } => self.create_section(*project, name),
            Edit::RenameSection { section, name } => self.rename_section(*section, name),
            Edit::DeleteSection { section } => self.delete_section(*section),
            Edit::RenameTag { tag, name } => self.rename_tag(*tag, name),
            Edit::DeleteTag { tag } => self.delete_tag(*tag),
            Edit::AddStatusUpdate { parent, title, text } => self.add_status_update(*parent, title, text),
            Edit::AddPortfolioItem { portfolio, item } => self.add_portfolio_item(*portfolio, *item),
            Edit::RemovePortfolioItem { portfolio, item } => self.remove_portfolio_item(*portfolio, *item),
        }
    }
}
