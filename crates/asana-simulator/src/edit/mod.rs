//! Changes to the world while it is served, with what Asana makes of them: stories, `modified_at`, events.
//!
//! What moves a task's `modified_at` (Asana's OpenAPI, `TaskBase.modified_at`): a story created or trashed on it,
//! an attachment trashed, and changes of `completed`, `name`, the dates, the description, `attachments`, `items`.
//! A subtask is one of its parent's items: adding or deleting one moves the parent, editing one does not. Being
//! put into a project or section moves nothing by itself, but the story that tells of it does. Rewording a
//! comment moves nothing and makes no event. Deleting a section moves its tasks without a word.

mod containers;
mod data;
mod editor;
mod tasks;

pub use data::Edit;
pub use editor::{EditError, Editor};
