//! Workspaces, users, teams and memberships.

use super::{View, choice};
use crate::gid::{Gid, Index, Kind};
use crate::json::Object;
use crate::model::*;
use crate::opt_fields::{Level, Selection};
use crate::random::Random;
use crate::vocabulary;

const PHOTO_SIZES: [u32; 6] = [21, 27, 36, 60, 128, 1024];

impl View<'_> {
    pub(super) fn workspace(&self, out: &mut String, selection: &Selection, index: Index) {
        let workspace = &self.world.workspaces[index as usize];
        let mut object = Object::resource(out, selection, Gid::new(Kind::Workspace, index));
        object.text("name", Level::Compact, &workspace.name);
        object.each("email_domains", Level::Standard, &workspace.email_domains, |out, _, domain| {
            crate::json::escape(out, domain);
        });
        object.flag("is_organization", Level::Standard, workspace.form == WorkspaceForm::Organization);
        object.end();
    }

    pub(super) fn user(&self, out: &mut String, selection: &Selection, index: Index) {
        let user = &self.world.users[index as usize];
        let gid = Gid::new(Kind::User, index);
        let mut object = Object::resource(out, selection, gid);
        object.text("name", Level::Compact, &user.name);
        object.text("email", Level::Standard, &user.email);
        object.optional("photo", Level::Standard, user.photo.then_some(()), |out, inner, ()| {
            let mut photo = Object::begin(out, inner);
            for size in PHOTO_SIZES {
                let url = format!("https://s3.example.com/profile_photos/{gid}/{size}x{size}.png");
                photo.text(&format!("image_{size}x{size}"), Level::Compact, &url);
            }
            photo.end();
        });
        // Asana shows only the workspaces that the user shares with the viewer.
        let shared = user.memberships.iter().filter_map(|membership| {
            let workspace = self.world.workspace_memberships[*membership as usize].workspace;
            self.world.membership(workspace, self.viewer.user().index()).map(|_| workspace)
        });
        object.each("workspaces", Level::Standard, shared, |out, inner, workspace| {
            self.workspace(out, inner, workspace);
        });
        let home = self.world.workspace_memberships[user.memberships[0] as usize].workspace;
        let fields = self.world.workspaces[home as usize].generated.fields.iter().take(2);
        object.each("custom_fields", Level::Standard, fields, |out, inner, field| {
            self.field_value(out, inner, *field, gid, user.seed);
        });
        object.end();
    }

    pub(super) fn team(&self, out: &mut String, selection: &Selection, index: Index) {
        const MEMBERS_OR_ADMINS: [&str; 2] = ["all_team_members", "only_team_admins"];
        let team = &self.world.teams[index as usize];
        let gid = Gid::new(Kind::Team, index);
        let description = || vocabulary::prose(&mut Random::keyed(team.seed, 2));
        let mut object = Object::resource(out, selection, gid);
        object.text("name", Level::Compact, &team.name);
        object.made_text("description", Level::OptIn, description);
        object.made_text("html_description", Level::OptIn, || vocabulary::html(&description()));
        object
            .nested("organization", Level::Standard, |out, inner| self.workspace(out, inner, team.workspace));
        object.made_text("permalink_url", Level::Standard, || {
            format!("https://app.asana.com/0/resource/{gid}/list")
        });
        let visibility = ["request_to_join", "public", "secret"][index as usize % 3];
        object.word("visibility", Level::Standard, visibility);
        for (key, name) in [
            "edit_team_name_or_description_access_level",
            "edit_team_visibility_or_trash_team_access_level",
            "member_invite_management_access_level",
            "guest_invite_management_access_level",
            "join_request_management_access_level",
            "team_member_removal_access_level",
        ]
        .into_iter()
        .enumerate()
        {
            object.word(name, Level::Standard, choice(team.seed, key as u64, &MEMBERS_OR_ADMINS));
        }
        let content = choice(team.seed, 77, &["no_restriction", "only_team_admins"]);
        object.word("team_content_management_access_level", Level::Standard, content);
        object.flag("endorsed", Level::Standard, index.is_multiple_of(2));
        object.each("custom_field_settings", Level::Standard, &team.settings, |out, inner, setting| {
            self.custom_field_setting(out, inner, *setting);
        });
        object.end();
    }

    pub(super) fn team_membership(&self, out: &mut String, selection: &Selection, index: Index) {
        let membership = &self.world.team_memberships[index as usize];
        let mut object = Object::resource(out, selection, Gid::new(Kind::TeamMembership, index));
        object.nested("user", Level::Compact, |out, inner| self.user(out, inner, membership.user));
        object.nested("team", Level::Compact, |out, inner| self.team(out, inner, membership.team));
        object.flag("is_guest", Level::Compact, membership.guest);
        object.flag("is_limited_access", Level::Compact, membership.limited_access);
        object.flag("is_admin", Level::Compact, membership.admin);
        object.end();
    }

    pub(super) fn workspace_membership(&self, out: &mut String, selection: &Selection, index: Index) {
        let membership = &self.world.workspace_memberships[index as usize];
        let mut object = Object::resource(out, selection, Gid::new(Kind::WorkspaceMembership, index));
        object.nested("user", Level::Compact, |out, inner| self.user(out, inner, membership.user));
        object.nested("workspace", Level::Compact, |out, inner| {
            self.workspace(out, inner, membership.workspace)
        });
        object.nested("user_task_list", Level::Standard, |out, inner| self.user_task_list(out, inner, index));
        object.flag("is_active", Level::Standard, membership.active);
        object.flag("is_admin", Level::Standard, membership.admin);
        object.flag("is_guest", Level::Standard, membership.guest);
        object.flag("is_view_only", Level::Standard, membership.view_only);
        object.optional(
            "vacation_dates",
            Level::Standard,
            membership.vacation,
            |out, inner, (start, end)| {
                let mut dates = Object::begin(out, inner);
                dates.optional_day("start_on", Level::Compact, Some(start));
                dates.optional_day("end_on", Level::Compact, Some(end));
                dates.end();
            },
        );
        object.time("created_at", Level::Standard, membership.created_at);
        object.end();
    }

    pub(super) fn user_task_list(&self, out: &mut String, selection: &Selection, index: Index) {
        let membership = &self.world.workspace_memberships[index as usize];
        let workspace = &self.world.workspaces[membership.workspace as usize];
        let mut object = Object::resource(out, selection, Gid::new(Kind::UserTaskList, index));
        object.made_text("name", Level::Compact, || format!("My tasks in {}", workspace.name));
        object.nested("owner", Level::Compact, |out, inner| self.user(out, inner, membership.user));
        object.nested("workspace", Level::Compact, |out, inner| {
            self.workspace(out, inner, membership.workspace)
        });
        object.end();
    }
}
