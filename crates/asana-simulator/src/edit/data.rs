//! Changes as data, for edits over HTTP.

use serde::Deserialize;

use super::editor::{EditError, Editor};
use crate::gid::Gid;

/// A change: the name of the [`Editor`]'s method as `kind`, and its arguments.
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
    UndeleteTask { task: Gid },
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
    /// Applies a change that is data.
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
            Edit::UndeleteTask { task } => self.undelete_task(*task),
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
