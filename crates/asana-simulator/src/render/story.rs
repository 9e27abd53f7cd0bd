//! Stories: derived from their task's seed or written by an edit, and rendered.

use super::View;
use super::field::number_text;
use crate::generate::story_step;
use crate::gid::{Gid, Index, Kind};
use crate::json::Object;
use crate::model::*;
use crate::opt_fields::{Level, Selection};
use crate::random::{Random, mix};
use crate::time::{DAY, Timestamp};
use crate::vocabulary;
use crate::world::{ChangedStory, World};

/// The system stories in generated histories, each in turn, between comments.
const SYSTEM_STORIES: [&str; 37] = [
    "name_changed",
    "section_changed",
    "assigned",
    "added_to_project",
    "due_date_changed",
    "marked_complete",
    "notes_changed",
    "enum_custom_field_changed",
    "added_to_tag",
    "text_custom_field_changed",
    "comment_liked",
    "number_custom_field_changed",
    "follower_added",
    "date_custom_field_changed",
    "approval_status_changed",
    "multi_enum_custom_field_changed",
    "dependency_added",
    "people_custom_field_changed",
    "marked_duplicate",
    "resource_subtype_changed",
    "duplicated",
    "added_to_task",
    "marked_incomplete",
    "unassigned",
    "attachment_added",
    "removed_from_project",
    "removed_from_tag",
    "dependent_added",
    "dependency_removed",
    "liked",
    "completion_liked",
    "removed_from_task",
    "unmarked_duplicate",
    "dependency_marked_complete",
    "start_date_changed",
    "due_today",
    "mentioned",
];
const STICKERS: [&str; 12] = [
    "green_checkmark",
    "people_dancing",
    "dancing_unicorn",
    "heart",
    "party_popper",
    "people_waving_flags",
    "splashing_narwhal",
    "trophy",
    "yeti_riding_unicorn",
    "celebrating_people",
    "determined_climbers",
    "phoenix_spreading_love",
];

impl World {
    /// A story by its index. It may be one that was deleted.
    pub(crate) fn story(&self, index: Index) -> Story {
        let mut story = match index.checked_sub(self.generated_stories) {
            Some(added) => self.added_stories[added as usize].clone(),
            None => self.generated_story(index),
        };
        if let Some(ChangedStory::Reworded(text)) = self.changed_stories.get(&index) {
            story.detail = StoryDetail::Comment { text: text.clone() };
            story.edited = true;
        }
        story
    }

    fn generated_story(&self, index: Index) -> Story {
        let task_index = self.task_of_story(index);
        let task = &self.tasks[task_index as usize];
        let place = index - task.first_story;
        let seed = mix(self.seed ^ mix(0x5709 ^ u64::from(index)));
        let mut random = Random::new(seed);
        let created_at =
            Timestamp(task.created_at.0 + story_step(task.seed) * i64::from(place + 1)).min(self.end);
        let users = &self.workspaces[task.workspace as usize].generated.users;
        let created_by = *random.pick(users);
        let (subtype, detail) = if index.is_multiple_of(2) {
            ("comment_added", StoryDetail::Comment { text: vocabulary::prose(&mut random) })
        } else {
            let subtype = SYSTEM_STORIES[(index / 2) as usize % SYSTEM_STORIES.len()];
            match self.detail(subtype, index, task_index, &mut random) {
                Some(detail) => (subtype, detail),
                // The workspace has no field of that type.
                None => (
                    "name_changed",
                    StoryDetail::Name {
                        old: vocabulary::name(&mut random),
                        new: vocabulary::name(&mut random),
                    },
                ),
            }
        };
        let edited = matches!(detail, StoryDetail::Comment { .. }) && random.percent(15);
        Story { task: task_index, created_at, created_by, subtype, detail, edited, seed }
    }

    /// The content of a generated system story. It refers only to records of the generated world, so that edits never
    /// change it. `None` if there is no such record. The code is long because there is one arm per subtype.
    fn detail(&self, subtype: &str, index: Index, task: Index, random: &mut Random) -> Option<StoryDetail> {
        let generated = &self.workspaces[self.tasks[task as usize].workspace as usize].generated;
        let project = generated.projects.start + random.below(generated.projects.len() as u64) as Index;
        let other = generated.tasks.start + random.below(generated.tasks.len() as u64) as Index;
        let tag = generated.tags.start + random.below(generated.tags.len() as u64) as Index;
        let user = *random.pick(&generated.users);
        let field = |wanted: fn(FieldShape) -> bool| {
            generated.fields.iter().copied().find(|field| wanted(self.custom_fields[*field as usize].shape))
        };
        let dates = |random: &mut Random| {
            let due = Timestamp(self.end.0 - random.below(500) as i64 * DAY);
            StoryDates {
                start_on: random.percent(50).then(|| Timestamp(due.0 - 3 * DAY).day()),
                due_on: due.day(),
                due_at: random.percent(40).then_some(due),
            }
        };
        match subtype {
            "name_changed" => {
                Some(StoryDetail::Name { old: vocabulary::name(random), new: vocabulary::name(random) })
            }
            "notes_changed" => {
                Some(StoryDetail::Text { old: vocabulary::prose(random), new: vocabulary::prose(random) })
            }
            "due_date_changed" | "start_date_changed" => {
                Some(StoryDetail::Dates { old: dates(random), new: dates(random) })
            }
            "resource_subtype_changed" => {
                Some(StoryDetail::Subtype { old: "default_task", new: "milestone" })
            }
            "approval_status_changed" => Some(StoryDetail::Approval { old: "pending", new: "approved" }),
            "assigned" => Some(StoryDetail::Assignee { user }),
            "follower_added" | "mentioned" => Some(StoryDetail::Follower { user }),
            "added_to_project" | "removed_from_project" => Some(StoryDetail::Project { project }),
            "section_changed" => {
                let sections = &self.projects[project as usize].sections;
                Some(StoryDetail::Section { project, old: sections[0], new: sections[1] })
            }
            "added_to_tag" | "removed_from_tag" => Some(StoryDetail::Tag { tag }),
            "added_to_task" | "removed_from_task" => Some(StoryDetail::Task { task: other }),
            "marked_duplicate" | "unmarked_duplicate" => Some(StoryDetail::DuplicateOf { task: other }),
            "duplicated" => Some(StoryDetail::DuplicatedFrom { task: other }),
            "dependency_added" | "dependency_removed" | "dependent_added" | "dependency_marked_complete" => {
                Some(StoryDetail::Dependency { task: other })
            }
            "comment_liked" => index.checked_sub(1).map(|story| StoryDetail::Liked { story }),
            "text_custom_field_changed" => field(|shape| shape == FieldShape::Text).map(|field| {
                StoryDetail::TextField { field, old: vocabulary::name(random), new: vocabulary::name(random) }
            }),
            "number_custom_field_changed" => {
                field(|shape| matches!(shape, FieldShape::Number(_))).map(|field| {
                    let old = random.percent(70).then(|| random.below(100) as f64);
                    StoryDetail::NumberField { field, old, new: random.below(400) as f64 / 4.0 }
                })
            }
            "enum_custom_field_changed" => field(|shape| shape == FieldShape::Enum).map(|field| {
                let options = &self.custom_fields[field as usize].options;
                StoryDetail::EnumField { field, old: options[0], new: options[1] }
            }),
            "multi_enum_custom_field_changed" => field(|shape| shape == FieldShape::MultiEnum).map(|field| {
                let options = &self.custom_fields[field as usize].options;
                StoryDetail::MultiEnumField { field, old: options[..1].to_vec(), new: options[1..].to_vec() }
            }),
            "date_custom_field_changed" => field(|shape| shape == FieldShape::Date)
                .map(|field| StoryDetail::DateField { field, old: dates(random), new: dates(random) }),
            "people_custom_field_changed" => field(|shape| shape == FieldShape::People).map(|field| {
                StoryDetail::PeopleField { field, old: vec![user], new: random.sample(&generated.users, 2) }
            }),
            _ => Some(StoryDetail::Nothing),
        }
    }
}

impl View<'_> {
    pub(super) fn story(&self, out: &mut String, selection: &Selection, index: Index) {
        let story = self.world.story(index);
        let gid = Gid::new(Kind::Story, index);
        let workspace = self.world.tasks[story.task as usize].workspace;
        let mut object = Object::resource(out, selection, gid);
        object.time("created_at", Level::Compact, story.created_at);
        object.word("resource_subtype", Level::Compact, story.subtype);
        object.nested("created_by", Level::Compact, |out, inner| self.user(out, inner, story.created_by));
        object.made_text("text", Level::Compact, || self.told(&story));
        object.made_text("html_text", Level::OptIn, || {
            self.html_with_mention(&self.told(&story), workspace, story.seed)
        });
        let comment = matches!(story.detail, StoryDetail::Comment { .. });
        object.word("type", Level::Standard, if comment { "comment" } else { "system" });
        let source = ["web", "email", "mobile", "api", "unknown"][(story.seed % 5) as usize];
        object.word("source", Level::Standard, source);
        object.nested("target", Level::Standard, |out, inner| self.task(out, inner, story.task));
        if comment {
            object.flag("is_pinned", Level::Standard, story.seed.is_multiple_of(13));
            object.flag(
                "is_editable",
                Level::Standard,
                Gid::new(Kind::User, story.created_by) == self.viewer.user(),
            );
            object.flag("is_edited", Level::Standard, story.edited);
            let sticker =
                story.seed.is_multiple_of(6).then(|| STICKERS[(story.seed / 7) as usize % STICKERS.len()]);
            object.optional_word("sticker_name", Level::Standard, sticker);
            self.likes(&mut object, gid, workspace, story.seed);
            self.reactions(&mut object, story.seed);
            let previews = story.seed.is_multiple_of(4).then_some(());
            object.each("previews", Level::Standard, previews, |out, inner, ()| preview(out, inner));
        }
        self.story_detail(&mut object, &story.detail);
        object.end();
    }

    /// The fields that the story's subtype has. The code is long because there is one arm per subtype.
    fn story_detail<'s>(&self, object: &mut Object<'_, 's>, detail: &StoryDetail) {
        let write_task = |object: &mut Object<'_, 's>, name: &str, task: Index| {
            object.nested(name, Level::Standard, |out, inner| self.task(out, inner, task));
        };
        let write_user = |object: &mut Object<'_, 's>, name: &str, user: Index| {
            object.nested(name, Level::Standard, |out, inner| self.user(out, inner, user));
        };
        let write_field = |object: &mut Object<'_, 's>, field: Index| {
            object.nested("custom_field", Level::Standard, |out, inner| self.custom_field(out, inner, field));
        };
        let write_options = |object: &mut Object<'_, 's>, name: &str, options: &[Index]| {
            object.each(name, Level::Standard, options, |out, inner, option| {
                self.enum_option(out, inner, *option)
            });
        };
        match detail {
            StoryDetail::Comment { .. } | StoryDetail::Nothing => {}
            StoryDetail::Name { old, new } => {
                object.text("old_name", Level::Standard, old);
                object.text("new_name", Level::Standard, new);
            }
            StoryDetail::Text { old, new } => {
                object.text("old_text_value", Level::Standard, old);
                object.text("new_text_value", Level::Standard, new);
            }
            StoryDetail::Dates { old, new } => {
                object.nested("old_dates", Level::Standard, |out, inner| dates(out, inner, old));
                object.nested("new_dates", Level::Standard, |out, inner| dates(out, inner, new));
            }
            StoryDetail::Subtype { old, new } => {
                object.word("old_resource_subtype", Level::Standard, old);
                object.word("new_resource_subtype", Level::Standard, new);
            }
            StoryDetail::Approval { old, new } => {
                object.word("old_approval_status", Level::Standard, old);
                object.word("new_approval_status", Level::Standard, new);
            }
            StoryDetail::Assignee { user } => write_user(object, "assignee", *user),
            StoryDetail::Follower { user } => write_user(object, "follower", *user),
            StoryDetail::Project { project } => {
                object.nested("project", Level::Standard, |out, inner| self.project(out, inner, *project));
            }
            StoryDetail::Section { project, old, new } => {
                object.nested("project", Level::Standard, |out, inner| self.project(out, inner, *project));
                object.nested("old_section", Level::Standard, |out, inner| self.section(out, inner, *old));
                object.nested("new_section", Level::Standard, |out, inner| self.section(out, inner, *new));
            }
            StoryDetail::Tag { tag } => {
                object.nested("tag", Level::Standard, |out, inner| self.tag(out, inner, *tag));
            }
            StoryDetail::Task { task } => write_task(object, "task", *task),
            StoryDetail::DuplicateOf { task } => write_task(object, "duplicate_of", *task),
            StoryDetail::DuplicatedFrom { task } => write_task(object, "duplicated_from", *task),
            StoryDetail::Dependency { task } => write_task(object, "dependency", *task),
            StoryDetail::Liked { story } => {
                object.nested("story", Level::Standard, |out, inner| self.story(out, inner, *story));
            }
            StoryDetail::TextField { field, old, new } => {
                write_field(object, *field);
                object.text("old_text_value", Level::Standard, old);
                object.text("new_text_value", Level::Standard, new);
            }
            StoryDetail::NumberField { field, old, new } => {
                write_field(object, *field);
                object.optional_number("old_number_value", Level::Standard, *old);
                object.number("new_number_value", Level::Standard, *new);
            }
            StoryDetail::EnumField { field, old, new } => {
                write_field(object, *field);
                object.nested("old_enum_value", Level::Standard, |out, inner| {
                    self.enum_option(out, inner, *old)
                });
                object.nested("new_enum_value", Level::Standard, |out, inner| {
                    self.enum_option(out, inner, *new)
                });
            }
            StoryDetail::MultiEnumField { field, old, new } => {
                write_field(object, *field);
                write_options(object, "old_multi_enum_values", old);
                write_options(object, "new_multi_enum_values", new);
            }
            StoryDetail::DateField { field, old, new } => {
                write_field(object, *field);
                object.nested("old_date_value", Level::Standard, |out, inner| dates(out, inner, old));
                object.nested("new_date_value", Level::Standard, |out, inner| dates(out, inner, new));
            }
            StoryDetail::PeopleField { field, old, new } => {
                write_field(object, *field);
                object.nested("old_people_value", Level::Standard, |out, inner| self.users(out, inner, old));
                object.nested("new_people_value", Level::Standard, |out, inner| self.users(out, inner, new));
            }
        }
    }

    /// The story in words, without its author.
    pub(crate) fn told(&self, story: &Story) -> String {
        let name = |kind: Kind, index: Index| self.name_of(Gid::new(kind, index));
        match &story.detail {
            StoryDetail::Comment { text } => text.clone(),
            StoryDetail::Name { new, .. } => format!("changed the name to \"{new}\""),
            StoryDetail::Dates { new, .. } => format!("changed the due date to {}", new.due_on),
            StoryDetail::Assignee { user } => format!("assigned to {}", name(Kind::User, *user)),
            StoryDetail::Project { project } => format!("added to {}", name(Kind::Project, *project)),
            StoryDetail::Section { new, .. } => format!("moved to section {}", name(Kind::Section, *new)),
            StoryDetail::Tag { tag } => format!("added to tag {}", name(Kind::Tag, *tag)),
            StoryDetail::NumberField { new, .. } => format!("changed a field to {}", number_text(*new)),
            _ => story.subtype.replace('_', " "),
        }
    }
}

fn dates(out: &mut String, selection: &Selection, dates: &StoryDates) {
    let mut object = Object::begin(out, selection);
    object.optional_day("start_on", Level::Compact, dates.start_on);
    object.optional_time("due_at", Level::Compact, dates.due_at);
    object.optional_day("due_on", Level::Compact, Some(dates.due_on));
    object.end();
}

fn preview(out: &mut String, selection: &Selection) {
    let mut object = Object::begin(out, selection);
    object.text(
        "fallback",
        Level::Compact,
        "Greg: Great! I like this idea.\n\nhttps://chat.example.com/archives/1",
    );
    object.text("footer", Level::Compact, "Mar 17, 2019 1:25 PM");
    object.text("header", Level::Compact, "Asana for Chat");
    object.text("header_link", Level::Compact, "https://chat.example.com");
    object.text("html_text", Level::Compact, "<body>Great! I like this idea.</body>");
    object.text("text", Level::Compact, "Great! I like this idea.");
    object.text("title", Level::Compact, "Greg");
    object.text("title_link", Level::Compact, "https://chat.example.com/archives/1");
    object.end();
}
