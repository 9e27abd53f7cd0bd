//! Records as Asana writes them, from the world's compact facts and a selection of fields.
//!
//! One function per resource serves the compact record, the full one and any `opt_fields` selection of it. A field that
//! does not apply to a record ("Conditional" in Asana's OpenAPI) is absent, not null.

mod field;
mod people;
mod plan;
mod project;
mod story;
mod task;

use crate::gid::{Gid, Index, Kind};
use crate::json::Object;
use crate::model::*;
use crate::opt_fields::{Level, Selection};
use crate::random::{Random, mix};
use crate::vocabulary;
use crate::world::{Viewer, World};

/// The colors of projects, tags, portfolios and templates.
const COLORS: [&str; 18] = [
    "dark-pink",
    "dark-green",
    "dark-blue",
    "dark-red",
    "dark-teal",
    "dark-brown",
    "dark-orange",
    "dark-purple",
    "dark-warm-gray",
    "light-pink",
    "light-green",
    "light-blue",
    "light-red",
    "light-teal",
    "light-brown",
    "light-orange",
    "light-purple",
    "light-warm-gray",
];

impl World {
    /// A record with every field that applies to it, opt-in ones too; objects inside are compact. `None` for an unknown
    /// gid.
    pub fn object(&self, gid: Gid) -> Option<serde_json::Value> {
        self.record(gid, self.main_viewer(), Selection::everything())
    }

    /// A record with this selection of fields. `None` for an unknown gid.
    pub fn record(&self, gid: Gid, viewer: Viewer, selection: &Selection) -> Option<serde_json::Value> {
        if !self.exists(gid) {
            return None;
        }
        let mut out = String::new();
        View { world: self, viewer }.write(&mut out, selection, gid);
        Some(serde_json::from_str(&out).expect("what is rendered is JSON"))
    }

    /// Every record of a kind that is not deleted, with all its fields, in the order of their gids.
    pub fn objects(&self, kind: Kind) -> impl Iterator<Item = serde_json::Value> + '_ {
        self.gids(kind).filter_map(|gid| self.object(gid))
    }
}

/// The world as one viewer sees it.
#[derive(Clone, Copy)]
pub(crate) struct View<'w> {
    pub world: &'w World,
    pub viewer: Viewer,
}

impl View<'_> {
    /// Appends a record of any kind.
    pub(crate) fn write(&self, out: &mut String, selection: &Selection, gid: Gid) {
        let index = gid.index();
        match gid.kind() {
            Kind::Workspace => self.workspace(out, selection, index),
            Kind::User => self.user(out, selection, index),
            Kind::Team => self.team(out, selection, index),
            Kind::TeamMembership => self.team_membership(out, selection, index),
            Kind::WorkspaceMembership => self.workspace_membership(out, selection, index),
            Kind::Project => self.project(out, selection, index),
            Kind::Section => self.section(out, selection, index),
            Kind::Task => self.task(out, selection, index),
            Kind::Story => self.story(out, selection, index),
            Kind::Attachment => self.attachment(out, selection, index),
            Kind::Tag => self.tag(out, selection, index),
            Kind::CustomField => self.custom_field(out, selection, index),
            Kind::CustomFieldSetting => self.custom_field_setting(out, selection, index),
            Kind::Webhook => self.webhook(out, selection, index),
            Kind::ProjectTemplate => self.project_template(out, selection, index),
            Kind::TaskTemplate => self.task_template(out, selection, index),
            Kind::StatusUpdate => self.status_update(out, selection, index),
            Kind::Portfolio => self.portfolio(out, selection, index),
            Kind::Goal => self.goal(out, selection, index),
            Kind::GoalRelationship => self.goal_relationship(out, selection, index),
            Kind::TimePeriod => self.time_period(out, selection, index),
            Kind::AuditLogEvent => self.audit_log_event(out, selection, index),
            Kind::EnumOption => self.enum_option(out, selection, index),
            Kind::UserTaskList => self.user_task_list(out, selection, index),
            Kind::ProjectBrief => self.project_brief(out, selection, index),
            Kind::ProjectStatus => self.project_status(out, selection, index),
            Kind::GoalMetric => self.goal_metric(out, selection, index),
            Kind::CustomType | Kind::CustomTypeStatusOption | Kind::TemplateRole => {
                self.named(out, selection, gid, &self.inner_name(gid));
            }
        }
    }

    /// A resource of which only the name is known.
    pub(crate) fn named(&self, out: &mut String, selection: &Selection, gid: Gid, name: &str) {
        let mut object = Object::resource(out, selection, gid);
        object.text("name", Level::Compact, name);
        object.end();
    }

    fn inner_name(&self, gid: Gid) -> String {
        let index = gid.index() as usize;
        match gid.kind() {
            Kind::CustomType => self.world.custom_types[index].name.clone(),
            Kind::CustomTypeStatusOption => ["In progress", "Solution pending"][index % 2].to_owned(),
            _ => ["Designer", "Reviewer ✍️"][index % 2].to_owned(),
        }
    }

    fn users(&self, out: &mut String, selection: &Selection, users: &[Index]) {
        out.push('[');
        for (position, user) in users.iter().enumerate() {
            if position > 0 {
                out.push(',');
            }
            self.user(out, selection, *user);
        }
        out.push(']');
    }

    /// `count` neighbouring users of a workspace, from a place that the draw chooses.
    fn some_users(&self, workspace: Index, random: &mut Random, count: u64) -> Vec<Index> {
        let users = &self.world.workspaces[workspace as usize].generated.users;
        let first = random.below(users.len() as u64) as usize;
        (0..(count as usize).min(users.len())).map(|step| users[(first + step) % users.len()]).collect()
    }

    fn one_user(&self, workspace: Index, random: &mut Random) -> Index {
        *random.pick(&self.world.workspaces[workspace as usize].generated.users)
    }

    /// The likes of an object, under both of their names.
    fn likes(&self, object: &mut Object<'_, '_>, owner: Gid, workspace: Index, seed: u64) {
        let mut random = Random::keyed(seed, 0x11ce);
        let count = if seed.is_multiple_of(4) { 2 } else { random.below(5).saturating_sub(1) };
        let users = self.some_users(workspace, &mut random, count);
        let liked = users.contains(&self.viewer.user().index());
        for [flag, list, number] in [["hearted", "hearts", "num_hearts"], ["liked", "likes", "num_likes"]] {
            if owner.kind() == Kind::Goal && flag == "hearted" {
                continue;
            }
            object.flag(flag, Level::Standard, liked);
            object.each(list, Level::Standard, &users, |out, inner, user| {
                let mut like = Object::begin(out, inner);
                // Likes are not resources. Their number only has to be stable and unique.
                let number =
                    1_290_000_000_000_000 + mix(owner.number() ^ u64::from(*user) << 40) % 9_000_000_000_000;
                like.word("gid", Level::Compact, &number.to_string());
                like.nested("user", Level::Compact, |out, inner| self.user(out, inner, *user));
                like.end();
            });
            object.integer(number, Level::Standard, users.len() as u64);
        }
    }

    fn reactions(&self, object: &mut Object<'_, '_>, seed: u64) {
        const EMOJI: [[&str; 2]; 4] = [["👍", "👍🏽"], ["❤️", "❤️"], ["👎", "👎🏼"], ["🎉", "🎉"]];
        let mut random = Random::keyed(seed, 0x4eac);
        let count = random.below(4) as usize;
        object.each("reaction_summary", Level::Standard, &EMOJI[..count], |out, inner, [base, variant]| {
            let mut reaction = Object::begin(out, inner);
            reaction.text("emoji_base", Level::Compact, base);
            reaction.text("variant", Level::Compact, variant);
            reaction.integer("count", Level::Compact, random.between(1, 5));
            reaction.flag("reacted", Level::Compact, random.percent(30));
            reaction.end();
        });
    }

    /// Plain notes, and their HTML with a mention if there is one.
    fn html_with_mention(&self, text: &str, workspace: Index, seed: u64) -> String {
        let html = vocabulary::html(text);
        let mut random = Random::keyed(seed, 0x4711);
        if !random.percent(20) {
            return html;
        }
        let user = Gid::new(Kind::User, self.one_user(workspace, &mut random));
        let mention = format!(
            "<em>cc</em> <a href=\"https://app.asana.com/0/{user}/list\" data-asana-gid=\"{user}\" \
             data-asana-accessible=\"true\" data-asana-type=\"user\">@someone</a></body>"
        );
        html.replace("</body>", &mention)
    }

    /// Whether the goal, project and so on belongs to an organization.
    fn in_organization(&self, workspace: Index) -> bool {
        self.world.workspaces[workspace as usize].form == WorkspaceForm::Organization
    }
}

/// A name from a fixed list, by a separate random number.
fn choice<'a>(seed: u64, key: u64, options: &[&'a str]) -> &'a str {
    options[(mix(seed ^ key) % options.len() as u64) as usize]
}
