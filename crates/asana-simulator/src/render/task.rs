//! Tasks and attachments.

use super::View;
use crate::gid::{Gid, Index, Kind};
use crate::json::Object;
use crate::model::*;
use crate::opt_fields::{Level, Selection};
use crate::random::{Random, mix};
use crate::time::{DAY, Day, HOUR, Timestamp};
use crate::vocabulary;

/// Sections of a user's own task list are numbered after those of projects.
const FIRST_SECTION_OF_TASK_LISTS: Index = 3_000_000_000;

/// When a task starts and is due.
pub(crate) struct TaskDates {
    pub start_on: Option<Day>,
    pub start_at: Option<Timestamp>,
    pub due_on: Option<Day>,
    pub due_at: Option<Timestamp>,
}

impl Task {
    pub(crate) fn dates(&self) -> TaskDates {
        let mut random = Random::keyed(self.seed, 0xda7e);
        // Every eighth task has all of its dates.
        let complete = self.seed % 8 == 6;
        if !complete && random.percent(45) {
            return TaskDates { start_on: None, start_at: None, due_on: None, due_at: None };
        }
        let due = Timestamp(
            self.created_at.0 + random.between(1, 60) as i64 * DAY + random.below(24) as i64 * HOUR,
        );
        let with_time = complete || random.percent(30);
        let start =
            (complete || random.percent(40)).then(|| Timestamp(due.0 - random.between(1, 20) as i64 * DAY));
        TaskDates {
            start_on: start.map(Timestamp::day),
            start_at: start.filter(|_| with_time),
            due_on: Some(due.day()),
            due_at: with_time.then_some(due),
        }
    }

    pub(crate) fn displayed_name(&self) -> String {
        match &self.name {
            Some(name) => name.to_string(),
            // Every tenth is awkward, in turn, so that a small world has each of them.
            None if (self.seed & 0xff) % 10 == 7 => {
                vocabulary::awkward_name(&mut Random::keyed(self.seed, 1), (self.seed & 0xff) as usize / 10)
            }
            None => vocabulary::name(&mut Random::keyed(self.seed, 1)),
        }
    }

    fn displayed_notes(&self) -> String {
        match &self.notes {
            Some(notes) => notes.to_string(),
            None => {
                let mut random = Random::keyed(self.seed, 2);
                if random.percent(40) { String::new() } else { vocabulary::prose(&mut random) }
            }
        }
    }

    pub(crate) fn resource_subtype(&self) -> &'static str {
        match self.subtype {
            TaskSubtype::Default => "default_task",
            TaskSubtype::Milestone => "milestone",
            TaskSubtype::Approval => "approval",
            TaskSubtype::Custom => "custom",
        }
    }
}

impl View<'_> {
    pub(super) fn task(&self, out: &mut String, selection: &Selection, index: Index) {
        let task = &self.world.tasks[index as usize];
        let gid = Gid::new(Kind::Task, index);
        let mut object = Object::resource(out, selection, gid);
        object.made_text("name", Level::Compact, || task.displayed_name());
        object.word("resource_subtype", Level::Compact, task.resource_subtype());
        object.nested("created_by", Level::OptIn, |out, inner| {
            let creator = self.one_user(task.workspace, &mut Random::keyed(task.seed, 3));
            // Not typed as a user: it may be an agent. By default, only its identity is returned.
            if inner == Selection::compact() {
                Object::resource(out, inner, Gid::new(Kind::User, creator)).end();
            } else {
                self.user(out, inner, creator);
            }
        });
        self.approval(&mut object, task);
        self.assignment(&mut object, task);
        self.completion(&mut object, task);
        self.task_dates(&mut object, task);
        self.dependencies(&mut object, index, task);
        if (task.seed & 0xff) % 10 == 4 {
            object.nested("external", Level::Standard, |out, inner| {
                let mut external = Object::begin(out, inner);
                external.made_text("gid", Level::Compact, || format!("crm:{index}"));
                external.text("data", Level::Compact, "{\"score\": 7}");
                external.end();
            });
        }
        object.made_text("notes", Level::Standard, || task.displayed_notes());
        object.made_text("html_notes", Level::OptIn, || {
            self.html_with_mention(&task.displayed_notes(), task.workspace, task.seed)
        });
        self.likes(&mut object, gid, task.workspace, task.seed);
        object.flag("is_rendered_as_separator", Level::OptIn, mix(task.seed ^ 0x5e).is_multiple_of(30));
        self.containers(&mut object, task);
        object.integer("num_subtasks", Level::OptIn, self.present_subtasks(task));
        let minutes = (mix(task.seed ^ 0x3a).is_multiple_of(4)).then(|| (mix(task.seed) % 9600) as f64 / 4.0);
        object.optional_number("actual_time_minutes", Level::Standard, minutes);
        self.values_of_task(&mut object, gid, task);
        self.custom_type(&mut object, task);
        object.nested("followers", Level::Standard, |out, inner| {
            let mut random = Random::keyed(task.seed, 4);
            let count = random.below(5);
            self.users(out, inner, &self.some_users(task.workspace, &mut random, count));
        });
        object.optional("parent", Level::Standard, task.parent, |out, inner, parent| {
            self.task(out, inner, parent)
        });
        object.nested("workspace", Level::Standard, |out, inner| self.workspace(out, inner, task.workspace));
        object.made_text("permalink_url", Level::Standard, || {
            format!("https://app.asana.com/1/{}/task/{gid}", Gid::new(Kind::Workspace, task.workspace))
        });
        object.end();
    }

    fn approval(&self, object: &mut Object<'_, '_>, task: &Task) {
        if task.subtype == TaskSubtype::Approval {
            let status = match (task.completed_at, mix(task.seed) % 3) {
                (None, _) => "pending",
                (Some(_), 0) => "approved",
                (Some(_), 1) => "rejected",
                (Some(_), _) => "changes_requested",
            };
            object.word("approval_status", Level::Standard, status);
        }
    }

    fn assignment(&self, object: &mut Object<'_, '_>, task: &Task) {
        const STATUSES: [&str; 5] = ["today", "upcoming", "later", "new", "inbox"];
        let mut random = Random::keyed(task.seed, 5);
        object.word("assignee_status", Level::Standard, random.pick::<&str>(&STATUSES));
        object.optional("assignee", Level::Standard, task.assignee, |out, inner, user| {
            self.user(out, inner, user)
        });
        let membership = task.assignee.and_then(|user| self.world.membership(task.workspace, user));
        object.optional("assignee_section", Level::Standard, membership, |out, inner, membership| {
            let section = Gid::new(Kind::Section, FIRST_SECTION_OF_TASK_LISTS + membership);
            self.named(out, inner, section, "Recently assigned");
        });
        let by =
            task.assignee.filter(|_| random.percent(80)).map(|_| self.one_user(task.workspace, &mut random));
        object.optional("assigned_by", Level::OptIn, by, |out, inner, user| self.user(out, inner, user));
    }

    fn completion(&self, object: &mut Object<'_, '_>, task: &Task) {
        object.flag("completed", Level::Standard, task.completed_at.is_some());
        object.optional_time("completed_at", Level::Standard, task.completed_at);
        object.optional("completed_by", Level::Standard, task.completed_at, |out, inner, _| {
            self.user(out, inner, self.one_user(task.workspace, &mut Random::keyed(task.seed, 6)));
        });
        object.time("created_at", Level::Standard, task.created_at);
        object.time("modified_at", Level::Standard, task.modified_at);
    }

    fn task_dates(&self, object: &mut Object<'_, '_>, task: &Task) {
        let dates = task.dates();
        object.optional_time("due_at", Level::Standard, dates.due_at);
        object.optional_day("due_on", Level::Standard, dates.due_on);
        object.optional_time("start_at", Level::Standard, dates.start_at);
        object.optional_day("start_on", Level::Standard, dates.start_on);
    }

    /// Neighbours with an even and an odd index depend on each other's completion, some of them.
    fn dependencies(&self, object: &mut Object<'_, '_>, index: Index, task: &Task) {
        let generated = &self.world.workspaces[task.workspace as usize].generated.tasks;
        let pair = mix(u64::from(index / 2) ^ self.world.seed).is_multiple_of(5);
        let other = Some(index ^ 1).filter(|other| {
            pair && generated.contains(other)
                && generated.contains(&index)
                && self.world.exists(Gid::new(Kind::Task, *other))
        });
        let (dependency, dependent) = if index % 2 == 1 { (other, None) } else { (None, other) };
        for (name, task) in [("dependencies", dependency), ("dependents", dependent)] {
            object.each(name, Level::OptIn, task, |out, inner, task| {
                Object::resource(out, inner, Gid::new(Kind::Task, task)).end();
            });
        }
    }

    fn containers(&self, object: &mut Object<'_, '_>, task: &Task) {
        let seen = |membership: &&Membership| {
            self.world.sees(self.viewer, Gid::new(Kind::Project, membership.project))
        };
        object.each(
            "memberships",
            Level::Standard,
            task.memberships.iter().filter(seen),
            |out, inner, membership| {
                let mut entry = Object::begin(out, inner);
                entry.nested("project", Level::Compact, |out, inner| {
                    self.project(out, inner, membership.project)
                });
                entry.nested("section", Level::Compact, |out, inner| {
                    self.section(out, inner, membership.section)
                });
                entry.end();
            },
        );
        object.each(
            "projects",
            Level::Standard,
            task.memberships.iter().filter(seen),
            |out, inner, membership| {
                self.project(out, inner, membership.project);
            },
        );
        let tags = task.tags.iter().filter(|tag| self.world.exists(Gid::new(Kind::Tag, **tag)));
        object.each("tags", Level::Standard, tags, |out, inner, tag| self.tag(out, inner, *tag));
    }

    fn present_subtasks(&self, task: &Task) -> u64 {
        let present = |subtask: &&Index| self.world.exists(Gid::new(Kind::Task, **subtask));
        task.subtasks.iter().filter(present).count() as u64
    }

    fn custom_type(&self, object: &mut Object<'_, '_>, task: &Task) {
        let types = &self.world.workspaces[task.workspace as usize].custom_types;
        let chosen = (task.subtype == TaskSubtype::Custom).then(|| types[(task.seed % 2) as usize]);
        object.optional("custom_type", Level::Standard, chosen, |out, inner, custom_type| {
            self.write(out, inner, Gid::new(Kind::CustomType, custom_type));
        });
        object.optional("custom_type_status_option", Level::Standard, chosen, |out, inner, custom_type| {
            let status =
                self.world.custom_types[custom_type as usize].first_status + (task.seed >> 8) as Index % 2;
            self.write(out, inner, Gid::new(Kind::CustomTypeStatusOption, status));
        });
    }

    /// The values of every field that one of the task's projects has enabled.
    fn values_of_task(&self, object: &mut Object<'_, '_>, gid: Gid, task: &Task) {
        object.nested("custom_fields", Level::Standard, |out, inner| {
            let mut fields: Vec<Index> = Vec::new();
            for membership in &task.memberships {
                for setting in &self.world.projects[membership.project as usize].settings {
                    let field = self.world.custom_field_settings[*setting as usize].field;
                    if !fields.contains(&field) {
                        fields.push(field);
                    }
                }
            }
            out.push('[');
            for (position, field) in fields.into_iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                self.field_value(out, inner, field, gid, task.seed);
            }
            out.push(']');
        });
    }

    pub(super) fn attachment(&self, out: &mut String, selection: &Selection, index: Index) {
        const HOSTS: [&str; 9] =
            ["asana", "dropbox", "asana", "gdrive", "onedrive", "asana", "box", "vimeo", "external"];
        let attachment = &self.world.attachments[index as usize];
        let gid = Gid::new(Kind::Attachment, index);
        let host = HOSTS[index as usize % HOSTS.len()];
        let mut object = Object::resource(out, selection, gid);
        object.text("name", Level::Compact, &attachment.name);
        object.word("resource_subtype", Level::Compact, host);
        object.time("created_at", Level::Standard, attachment.created_at);
        let url =
            |kind: &str| format!("https://assets.example.com/{kind}/{gid}?signature={:x}", attachment.seed);
        let download = (!matches!(host, "box" | "vimeo")).then(|| url("download"));
        object.optional_text("download_url", Level::Standard, download.as_deref());
        let permanent = (host == "asana")
            .then(|| format!("https://app.asana.com/app/asana/-/get_asset?asset_id={}", gid.number()));
        object.optional_text("permanent_url", Level::Standard, permanent.as_deref());
        object.word("host", Level::Standard, host);
        object.nested("parent", Level::Standard, |out, inner| self.write(out, inner, attachment.parent));
        if host == "asana" {
            object.integer("size", Level::Standard, attachment.seed % 50_000_000);
        }
        let view = (host != "external").then(|| url("view"));
        object.optional_text("view_url", Level::Standard, view.as_deref());
        if host == "external" {
            object.flag("connected_to_app", Level::Standard, attachment.seed.is_multiple_of(2));
        }
        object.end();
    }
}
