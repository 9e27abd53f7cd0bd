//! Projects, their briefs and old statuses, sections and tags.

use super::{COLORS, View, choice};
use crate::gid::{Gid, Index, Kind};
use crate::json::Object;
use crate::model::*;
use crate::opt_fields::{Level, Selection};
use crate::random::{Random, mix};
use crate::time::Day;
use crate::vocabulary;

const ICONS: [&str; 32] = [
    "list",
    "board",
    "timeline",
    "calendar",
    "rocket",
    "people",
    "graph",
    "star",
    "bug",
    "light_bulb",
    "globe",
    "gear",
    "notebook",
    "computer",
    "check",
    "target",
    "html",
    "megaphone",
    "chat_bubbles",
    "briefcase",
    "page_layout",
    "mountain_flag",
    "puzzle",
    "presentation",
    "line_and_symbols",
    "speed_dial",
    "ribbon",
    "shoe",
    "shopping_basket",
    "map",
    "ticket",
    "coins",
];
const LEVELS: [&str; 4] = ["admin", "editor", "commenter", "viewer"];

impl View<'_> {
    /// The code is long because a project has that many fields; each is a line or two.
    pub(super) fn project(&self, out: &mut String, selection: &Selection, index: Index) {
        let project = &self.world.projects[index as usize];
        let gid = Gid::new(Kind::Project, index);
        let mut object = Object::resource(out, selection, gid);
        object.text("name", Level::Compact, &project.name);
        object.flag("archived", Level::Standard, project.archived);
        let color = (!project.seed.is_multiple_of(6)).then(|| choice(project.seed, 1, &COLORS));
        object.optional_word("color", Level::Standard, color);
        let icon = (!project.seed.is_multiple_of(7)).then(|| choice(project.seed, 2, &ICONS));
        object.optional_word("icon", Level::Standard, icon);
        object.time("created_at", Level::Standard, project.created_at);
        object.time("modified_at", Level::Standard, project.modified_at);
        self.statuses_of_project(&mut object, project);
        object.each("custom_field_settings", Level::Standard, &project.settings, |out, inner, setting| {
            self.custom_field_setting(out, inner, *setting);
        });
        let view = choice(project.seed, 3, &["list", "board", "calendar", "timeline"]);
        object.word("default_view", Level::Standard, view);
        self.dates_of_project(&mut object, project);
        object.text("notes", Level::Standard, &project.notes);
        object.made_text("html_notes", Level::OptIn, || {
            self.html_with_mention(&project.notes, project.workspace, project.seed)
        });
        object.nested("members", Level::Standard, |out, inner| self.users(out, inner, &project.members));
        let followers = &project.members[..project.members.len().div_ceil(2)];
        object.nested("followers", Level::Standard, |out, inner| self.users(out, inner, followers));
        object.flag("public", Level::Standard, project.privacy == Privacy::PublicToWorkspace);
        let privacy = match project.privacy {
            Privacy::PublicToWorkspace => "public_to_workspace",
            Privacy::Private => "private",
        };
        object.word("privacy_setting", Level::Standard, privacy);
        object.word("default_access_level", Level::Standard, choice(project.seed, 4, &LEVELS));
        let customization = choice(project.seed, 5, &LEVELS[..2]);
        object.word("minimum_access_level_for_customization", Level::Standard, customization);
        object.word(
            "minimum_access_level_for_sharing",
            Level::Standard,
            choice(project.seed, 6, &LEVELS[..2]),
        );
        self.values_of_container(&mut object, project.workspace, gid, project.seed);
        object.flag("completed", Level::Standard, project.completed.is_some());
        object.optional_time("completed_at", Level::Standard, project.completed.map(|(at, _)| at));
        object.optional("completed_by", Level::Standard, project.completed, |out, inner, (_, user)| {
            self.user(out, inner, user);
        });
        object.optional("owner", Level::Standard, project.owner, |out, inner, user| {
            self.user(out, inner, user)
        });
        object
            .optional("team", Level::Standard, project.team, |out, inner, team| self.team(out, inner, team));
        object.made_text("permalink_url", Level::Standard, || {
            let workspace = Gid::new(Kind::Workspace, project.workspace);
            format!("https://app.asana.com/1/{workspace}/project/{gid}")
        });
        object.optional(
            "project_brief",
            Level::OptIn,
            project.brief.then_some(index),
            |out, inner, brief| {
                self.project_brief(out, inner, brief);
            },
        );
        object.optional("created_from_template", Level::OptIn, project.template, |out, inner, template| {
            self.project_template(out, inner, template);
        });
        object
            .nested("workspace", Level::Standard, |out, inner| self.workspace(out, inner, project.workspace));
        object.end();
    }

    fn statuses_of_project(&self, object: &mut Object<'_, '_>, project: &Project) {
        let latest = project.statuses.last().copied();
        object.optional("current_status", Level::Standard, latest, |out, inner, status| {
            self.project_status(out, inner, status);
        });
        object.optional("current_status_update", Level::Standard, latest, |out, inner, status| {
            self.status_update(out, inner, status);
        });
    }

    fn dates_of_project(&self, object: &mut Object<'_, '_>, project: &Project) {
        let mut random = Random::keyed(project.seed, 7);
        let due =
            (project.seed % 4 != 3).then(|| Day(project.created_at.day().0 + random.between(30, 400) as i32));
        let start = due
            .filter(|_| project.seed.is_multiple_of(2))
            .map(|due| Day(due.0 - random.between(1, 30) as i32));
        object.optional_day("due_date", Level::Standard, due);
        object.optional_day("due_on", Level::Standard, due);
        object.optional_day("start_on", Level::Standard, start);
    }

    pub(super) fn project_brief(&self, out: &mut String, selection: &Selection, index: Index) {
        let project = &self.world.projects[index as usize];
        let gid = Gid::new(Kind::ProjectBrief, index);
        let text = || vocabulary::prose(&mut Random::keyed(project.seed, 8));
        let mut object = Object::resource(out, selection, gid);
        object.made_text("title", Level::Standard, || format!("Brief: {}", project.name));
        object.made_text("text", Level::OptIn, text);
        object.made_text("html_text", Level::Standard, || vocabulary::html(&text()));
        object.made_text("permalink_url", Level::Standard, || format!("https://app.asana.com/0/{gid}/{gid}"));
        object.nested("project", Level::Standard, |out, inner| self.project(out, inner, index));
        object.end();
    }

    /// The older form of a status update.
    pub(super) fn project_status(&self, out: &mut String, selection: &Selection, index: Index) {
        let status = &self.world.status_updates[index as usize];
        let color = match status.status {
            "on_track" => "green",
            "at_risk" => "yellow",
            "on_hold" => "blue",
            "complete" => "complete",
            _ => "red",
        };
        let mut object = Object::resource(out, selection, Gid::new(Kind::ProjectStatus, index));
        object.text("title", Level::Compact, &status.title);
        object.text("text", Level::Standard, &status.text);
        object.made_text("html_text", Level::OptIn, || vocabulary::html(&status.text));
        object.word("color", Level::Standard, color);
        object.nested("author", Level::Standard, |out, inner| self.user(out, inner, status.author));
        object.nested("created_by", Level::Standard, |out, inner| self.user(out, inner, status.author));
        object.time("created_at", Level::Standard, status.created_at);
        object.time("modified_at", Level::Standard, status.modified_at);
        object.end();
    }

    pub(super) fn section(&self, out: &mut String, selection: &Selection, index: Index) {
        let section = &self.world.sections[index as usize];
        let mut object = Object::resource(out, selection, Gid::new(Kind::Section, index));
        object.text("name", Level::Compact, &section.name);
        object.time("created_at", Level::Standard, section.created_at);
        object.nested("project", Level::Standard, |out, inner| self.project(out, inner, section.project));
        object.each("projects", Level::Standard, [section.project], |out, inner, project| {
            self.project(out, inner, project);
        });
        object.end();
    }

    pub(super) fn tag(&self, out: &mut String, selection: &Selection, index: Index) {
        let tag = &self.world.tags[index as usize];
        let gid = Gid::new(Kind::Tag, index);
        let mut random = Random::keyed(tag.seed, 1);
        let count = random.below(4);
        let followers = self.some_users(tag.workspace, &mut random, count);
        let mut object = Object::resource(out, selection, gid);
        object.text("name", Level::Compact, &tag.name);
        let color = (!mix(tag.seed).is_multiple_of(5)).then(|| choice(tag.seed, 3, &COLORS));
        object.optional_word("color", Level::Standard, color);
        object.made_text("notes", Level::Standard, || {
            if tag.seed.is_multiple_of(3) {
                String::new()
            } else {
                vocabulary::prose(&mut Random::keyed(tag.seed, 2))
            }
        });
        object.time("created_at", Level::Standard, tag.created_at);
        object.nested("followers", Level::Standard, |out, inner| self.users(out, inner, &followers));
        object.nested("workspace", Level::Standard, |out, inner| self.workspace(out, inner, tag.workspace));
        object.made_text("permalink_url", Level::Standard, || {
            format!("https://app.asana.com/0/resource/{gid}/list")
        });
        object.end();
    }
}
