//! Changes to the world while it is served, with their consequences in Asana: stories, `modified_at`, events.
//!
//! What moves a task's `modified_at` (Asana's OpenAPI, `TaskBase.modified_at`): a story created or trashed on it, an
//! attachment trashed, and changes of `completed`, `name`, the dates, the description, `attachments`, `items`. A
//! subtask is one of its parent's items: adding or deleting one moves the parent, editing one does not. Adding a task
//! to a project or section moves nothing itself, but the story about it does. Editing a comment moves nothing and
//! creates no event. Deleting a section moves its tasks without a story.

mod containers;
mod data;
mod editor;
mod tasks;

pub use data::Edit;
pub use editor::{EditError, Editor};
