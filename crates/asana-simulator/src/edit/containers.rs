//! Changes to projects, sections, tags, portfolios and status updates.

use super::editor::{EditError, Editor};
use crate::generate::{add_section, add_status};
use crate::gid::{Gid, Index, Kind};
use crate::model::*;
use crate::random::mix;

impl Editor<'_> {
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

    /// Deletes a project. Tasks that are in other projects or have an assignee stay; the others are deleted too.
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

    /// Hides a project from every token: listings omit it, and requests for it are forbidden.
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

    fn project_changed(&mut self, project: Gid, field: &'static str) {
        self.world.projects[project.index() as usize].modified_at = self.now;
        self.note(project, "changed", None, Some(field));
    }
}
