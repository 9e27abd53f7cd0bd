//! The workspaces and organizations to which the token has access.

use schemars::JsonSchema;

use crate::stream::{Listing, Stream};

pub static STREAM: Stream =
    Stream::of::<Workspace>("workspaces", Listing::Root("/workspaces")).scope("workspaces:read");

/// The top-level unit of Asana: people and their projects. An organization is a workspace with a mail domain.
#[derive(JsonSchema)]
pub struct Workspace {
    /// Globally unique identifier of the workspace, a string of digits.
    pub gid: String,
    /// Always `workspace`.
    pub resource_type: String,
    /// The workspace's name.
    pub name: String,
    /// The mail domains that belong to the workspace.
    pub email_domains: Vec<String>,
    /// Whether the workspace is an organization. Only organizations have teams.
    pub is_organization: bool,
}
