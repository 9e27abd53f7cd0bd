//! Changes to tasks, and to the stories and attachments on them.

use super::editor::{EditError, Editor};
use crate::generate::{add_to_section, assign, attach, blank_task};
use crate::gid::{Gid, Index, Kind};
use crate::model::*;
use crate::random::{Random, mix};
use crate::world::ChangedStory;

impl Editor<'_> {
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

    /// Assigns a task to a user of its workspace.
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

    /// Sets a number field of a task.
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

    /// Edits a comment: it is marked as edited, and nothing else changes.
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

    /// Makes a task a subtask of another, or a top-level task again; its projects stay. All of them are modified.
    pub fn set_parent(&mut self, task: Gid, parent: Option<Gid>) -> Result<Gid, EditError> {
        let at = self.at(task, Kind::Task)?;
        let depth = match parent {
            Some(parent) => self.world.tasks[self.at(parent, Kind::Task)?].depth + 1,
            None => 0,
        };
        let mut above = parent;
        while let Some(ancestor) = above {
            if ancestor == task {
                return Err(EditError::Unfit { reason: "a task cannot be below itself" });
            }
            above = self.world.parent_of_task(ancestor);
        }
        if let Some(before) = self.world.parent_of_task(task) {
            self.world.tasks[before.index() as usize].subtasks.retain(|subtask| *subtask != task.index());
            self.note(task, "removed", Some(before), None);
            self.touch(before);
        }
        self.world.tasks[at].parent = parent.map(Gid::index);
        if let Some(parent) = parent {
            self.world.tasks[parent.index() as usize].subtasks.push(task.index());
            self.note(task, "added", Some(parent), None);
            self.touch(parent);
        }
        let mut below = vec![(task, depth)];
        while let Some((next, depth)) = below.pop() {
            self.world.tasks[next.index() as usize].depth = depth;
            below.extend(self.world.subtasks_of_task(next).into_iter().map(|subtask| (subtask, depth + 1)));
        }
        self.changed(task, "parent", parent);
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

    /// Brings back a deleted task with everything below it, as it was: Asana does not document that its time moves.
    pub fn undelete_task(&mut self, task: Gid) -> Result<Gid, EditError> {
        let at = task.index() as usize;
        let is_deleted = task.kind() == Kind::Task
            && self.world.tasks.get(at).is_some_and(|record| record.presence == Presence::Deleted);
        if !is_deleted {
            return Err(EditError::Unfit { reason: "the task is not deleted" });
        }
        let parent = self.world.tasks[at].parent.map(|parent| Gid::new(Kind::Task, parent));
        if parent.is_some_and(|parent| !self.world.exists(parent)) {
            return Err(EditError::Unfit { reason: "the task's parent is deleted" });
        }
        self.world.tasks[at].presence = Presence::Present;
        self.note(task, "undeleted", None, None);
        for subtask in self.world.tasks[at].subtasks.clone() {
            let subtask = Gid::new(Kind::Task, subtask);
            if !self.world.exists(subtask) {
                self.undelete_task(subtask)?;
            }
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

    /// Moves a task as a rule or a bulk edit may do: without a story and without changing `modified_at`.
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

    fn new_task(&mut self, workspace: Index, name: &str, parent: Option<Index>) -> Gid {
        let index = self.world.tasks.len() as Index;
        let seed = mix(self.world.seed ^ mix(u64::from(index)));
        let mut task = blank_task(workspace, seed, self.now);
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
}
