//! The editor: the time and user of a change, and the stories and events that every change creates.

use std::fmt;

use crate::event_log::{Change, Event};
use crate::generate::add_to_section;
use crate::gid::{Gid, Index, Kind};
use crate::model::*;
use crate::random::mix;
use crate::render::View;
use crate::time::Timestamp;
use crate::world::World;

/// A change that is not possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditError {
    /// The record has another kind, was deleted, or never existed.
    NotThere(Gid),
    /// The records do not fit together, such as a task and a section of a project it is not in.
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

/// Makes changes at one time, as one user. Methods return the gid of the created or changed record.
#[derive(Debug)]
pub struct Editor<'w> {
    pub(super) world: &'w mut World,
    pub(super) now: Timestamp,
    pub(super) user: Index,
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

    /// The index of a record in its list.
    pub(super) fn at(&self, gid: Gid, kind: Kind) -> Result<usize, EditError> {
        if gid.kind() == kind && self.world.exists(gid) {
            Ok(gid.index() as usize)
        } else {
            Err(EditError::NotThere(gid))
        }
    }

    pub(super) fn leave(&mut self, task: Index, project: Index) -> Result<(), EditError> {
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
    pub(super) fn change_section(&mut self, task: Gid, section: Gid) -> Result<Index, EditError> {
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
    pub(super) fn story(&mut self, task: Gid, subtype: &'static str, detail: StoryDetail) -> Gid {
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

    pub(super) fn touch(&mut self, task: Gid) {
        let record = &mut self.world.tasks[task.index() as usize];
        record.modified_at = record.modified_at.max(self.now);
        self.world.touched.push((self.now, task.index()));
    }

    pub(super) fn changed(&mut self, task: Gid, field: &'static str, value: Option<Gid>) {
        let change = Change { field, action: "changed", value };
        self.touch(task);
        self.log(task, "changed", None, Some(change));
    }

    pub(super) fn note(
        &mut self,
        resource: Gid,
        action: &'static str,
        parent: Option<Gid>,
        field: Option<&'static str>,
    ) {
        let change = field.map(|field| Change { field, action: "changed", value: None });
        self.log(resource, action, parent, change);
    }

    pub(super) fn log(
        &mut self,
        resource: Gid,
        action: &'static str,
        parent: Option<Gid>,
        change: Option<Change>,
    ) {
        let view = View { world: self.world, viewer: self.world.main_viewer() };
        let name = view.name_of(resource);
        let mut streams = self.world.streams_of(resource);
        streams.extend(parent);
        let event = Event { at: self.now, user: self.user, resource, name, action, parent, change };
        self.world.events.note(event, &streams);
    }
}
