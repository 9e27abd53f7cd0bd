//! Portfolios, goals, templates, status updates, webhooks, time periods and audit log events.

use super::{COLORS, View, choice};
use crate::gid::{Gid, Index, Kind};
use crate::json::{Object, escape};
use crate::model::*;
use crate::opt_fields::{Level, Selection};
use crate::random::{Random, mix};
use crate::time::{DAY, Day, HOUR, Timestamp};
use crate::vocabulary;

impl View<'_> {
    pub(super) fn status_update(&self, out: &mut String, selection: &Selection, index: Index) {
        let status = &self.world.status_updates[index as usize];
        let gid = Gid::new(Kind::StatusUpdate, index);
        let workspace = self.world.workspace_of(status.parent).map_or(0, Gid::index);
        let subtype = match status.parent.kind() {
            Kind::Portfolio => "portfolio_status_update",
            Kind::Goal => "goal_status_update",
            _ => "project_status_update",
        };
        let mut object = Object::resource(out, selection, gid);
        object.text("title", Level::Compact, &status.title);
        object.word("resource_subtype", Level::Compact, subtype);
        object.text("text", Level::Standard, &status.text);
        object.made_text("html_text", Level::OptIn, || {
            self.html_with_mention(&status.text, workspace, status.seed)
        });
        object.word("status_type", Level::Standard, status.status);
        object.nested("author", Level::Standard, |out, inner| self.user(out, inner, status.author));
        object.nested("created_by", Level::Standard, |out, inner| self.user(out, inner, status.author));
        object.time("created_at", Level::Standard, status.created_at);
        object.time("modified_at", Level::Standard, status.modified_at);
        self.likes(&mut object, gid, workspace, status.seed);
        self.reactions(&mut object, status.seed);
        object.nested("parent", Level::Standard, |out, inner| self.write(out, inner, status.parent));
        object.end();
    }

    pub(super) fn portfolio(&self, out: &mut String, selection: &Selection, index: Index) {
        let portfolio = &self.world.portfolios[index as usize];
        let gid = Gid::new(Kind::Portfolio, index);
        let mut object = Object::resource(out, selection, gid);
        object.text("name", Level::Compact, &portfolio.name);
        object.flag("archived", Level::OptIn, index % 4 == 3);
        object.word("color", Level::Standard, choice(portfolio.seed, 1, &COLORS));
        let due = (index % 3 != 2).then(|| Day(portfolio.created_at.day().0 + 200));
        object.optional_day(
            "start_on",
            Level::Standard,
            due.filter(|_| index.is_multiple_of(2)).map(|due| Day(due.0 - 90)),
        );
        object.optional_day("due_on", Level::Standard, due);
        let access = choice(portfolio.seed, 2, &["admin", "editor", "viewer"]);
        object.word("default_access_level", Level::Standard, access);
        object.time("created_at", Level::Standard, portfolio.created_at);
        let creator = self.one_user(portfolio.workspace, &mut Random::keyed(portfolio.seed, 3));
        object.nested("created_by", Level::Standard, |out, inner| self.user(out, inner, creator));
        object.each("custom_field_settings", Level::Standard, &portfolio.settings, |out, inner, setting| {
            self.custom_field_setting(out, inner, *setting);
        });
        let latest = portfolio.statuses.last().copied();
        object.optional("current_status_update", Level::Standard, latest, |out, inner, status| {
            self.status_update(out, inner, status);
        });
        self.values_of_container(&mut object, portfolio.workspace, gid, portfolio.seed);
        object.nested("members", Level::Standard, |out, inner| self.users(out, inner, &portfolio.members));
        object.nested("owner", Level::Standard, |out, inner| self.user(out, inner, portfolio.owner));
        object.nested("workspace", Level::Standard, |out, inner| {
            self.workspace(out, inner, portfolio.workspace)
        });
        object.made_text("permalink_url", Level::Standard, || {
            format!("https://app.asana.com/0/portfolio/{gid}/list")
        });
        let public = portfolio.seed.is_multiple_of(2);
        object.flag("public", Level::Standard, public);
        let privacy = if public { "public_to_domain" } else { "members_only" };
        object.word("privacy_setting", Level::Standard, privacy);
        object.each(
            "project_templates",
            Level::Standard,
            &portfolio.project_templates,
            |out, inner, template| {
                self.project_template(out, inner, *template);
            },
        );
        object.end();
    }

    pub(super) fn goal(&self, out: &mut String, selection: &Selection, index: Index) {
        const STATUSES: [&str; 4] = ["green", "yellow", "red", "achieved"];
        let goal = &self.world.goals[index as usize];
        let gid = Gid::new(Kind::Goal, index);
        let mut object = Object::resource(out, selection, gid);
        object.text("name", Level::Compact, &goal.name);
        object.optional("owner", Level::Compact, goal.owner, |out, inner, user| self.user(out, inner, user));
        object.text("notes", Level::Standard, &goal.notes);
        object.made_text("html_notes", Level::Standard, || {
            self.html_with_mention(&goal.notes, goal.workspace, goal.seed)
        });
        let due = (index % 4 != 3).then(|| Day(self.world.end.day().0 + 30 + index as i32 % 90));
        object.optional_day("due_on", Level::Standard, due);
        object.optional_day(
            "start_on",
            Level::Standard,
            due.filter(|_| index.is_multiple_of(2)).map(|due| Day(due.0 - 120)),
        );
        if self.in_organization(goal.workspace) {
            object.flag("is_workspace_level", Level::Standard, goal.team.is_none());
            object
                .optional("team", Level::Standard, goal.team, |out, inner, team| self.team(out, inner, team));
        }
        self.likes(&mut object, gid, goal.workspace, goal.seed);
        object.nested("workspace", Level::Standard, |out, inner| self.workspace(out, inner, goal.workspace));
        object.nested("followers", Level::Standard, |out, inner| self.users(out, inner, &goal.followers));
        object.optional("time_period", Level::Standard, goal.time_period, |out, inner, period| {
            self.time_period(out, inner, period);
        });
        object.optional(
            "metric",
            Level::Standard,
            (index % 3 != 2).then_some(index),
            |out, inner, metric| {
                self.goal_metric(out, inner, metric);
            },
        );
        let latest = goal.statuses.last().copied();
        object.optional("current_status_update", Level::Standard, latest, |out, inner, status| {
            self.status_update(out, inner, status);
        });
        let status = latest.map(|status| STATUSES[status as usize % STATUSES.len()]);
        object.optional_word("status", Level::Standard, status);
        let privacy = choice(goal.seed, 1, &["public_to_workspace", "members_only"]);
        object.word("privacy_setting", Level::Standard, privacy);
        let access = choice(goal.seed, 2, &["admin", "editor", "commenter", "viewer"]);
        object.word("default_access_level", Level::Standard, access);
        self.values_of_container(&mut object, goal.workspace, gid, goal.seed);
        object.each("custom_field_settings", Level::Standard, &goal.settings, |out, inner, setting| {
            self.custom_field_setting(out, inner, *setting);
        });
        object.end();
    }

    pub(super) fn goal_metric(&self, out: &mut String, selection: &Selection, index: Index) {
        const SOURCES: [&str; 6] = [
            "manual",
            "subgoal_progress",
            "project_task_completion",
            "project_milestone_completion",
            "task_completion",
            "external",
        ];
        let goal = &self.world.goals[index as usize];
        let unit = ["currency", "none", "percentage"][index as usize % 3];
        let target = 10.0 + (goal.seed % 4000) as f64 / 4.0;
        let current = target / 8.0;
        let mut object = Object::resource(out, selection, Gid::new(Kind::GoalMetric, index));
        object.word("resource_subtype", Level::Compact, "number");
        object.integer("precision", Level::Compact, 2);
        object.word("unit", Level::Compact, unit);
        object.optional_word("currency_code", Level::Compact, (unit == "currency").then_some("EUR"));
        object.number("initial_number_value", Level::Compact, 0.0);
        object.number("target_number_value", Level::Compact, target);
        object.number("current_number_value", Level::Compact, current);
        object.made_text("current_display_value", Level::Compact, || format!("{current:.2}"));
        object.word("progress_source", Level::Compact, choice(goal.seed, 5, &SOURCES));
        object.flag("is_custom_weight", Level::Compact, goal.seed.is_multiple_of(2));
        object.end();
    }

    pub(super) fn goal_relationship(&self, out: &mut String, selection: &Selection, index: Index) {
        let relationship = &self.world.goal_relationships[index as usize];
        let subtype = match relationship.supporting.kind() {
            Kind::Goal => "subgoal",
            _ => "supporting_work",
        };
        let mut object = Object::resource(out, selection, Gid::new(Kind::GoalRelationship, index));
        object.word("resource_subtype", Level::Compact, subtype);
        object.nested("supporting_resource", Level::Compact, |out, inner| {
            self.write(out, inner, relationship.supporting);
        });
        object.number("contribution_weight", Level::Compact, relationship.weight);
        object
            .nested("supported_goal", Level::Standard, |out, inner| self.goal(out, inner, relationship.goal));
        object.end();
    }

    pub(super) fn time_period(&self, out: &mut String, selection: &Selection, index: Index) {
        let period = &self.world.time_periods[index as usize];
        let mut object = Object::resource(out, selection, Gid::new(Kind::TimePeriod, index));
        object.optional_day("start_on", Level::Compact, Some(period.start));
        object.optional_day("end_on", Level::Compact, Some(period.end));
        object.word("period", Level::Compact, period.period);
        object.text("display_name", Level::Compact, &period.display_name);
        object.optional("parent", Level::Standard, period.parent, |out, inner, parent| {
            self.time_period(out, inner, parent);
        });
        object.end();
    }

    pub(super) fn project_template(&self, out: &mut String, selection: &Selection, index: Index) {
        let template = &self.world.project_templates[index as usize];
        let description = || vocabulary::prose(&mut Random::keyed(template.seed, 1));
        let mut object = Object::resource(out, selection, Gid::new(Kind::ProjectTemplate, index));
        object.text("name", Level::Compact, &template.name);
        object.made_text("description", Level::Standard, description);
        object.made_text("html_description", Level::Standard, || vocabulary::html(&description()));
        object.flag("public", Level::Standard, index.is_multiple_of(2));
        object.optional("owner", Level::Standard, template.owner, |out, inner, user| {
            self.user(out, inner, user)
        });
        object.nested("team", Level::Standard, |out, inner| self.team(out, inner, template.team));
        let dates = [("1", "Start Date"), ("2", "Due Date")];
        object.each("requested_dates", Level::Standard, dates, |out, inner, (gid, name)| {
            let mut date = Object::begin(out, inner);
            date.word("gid", Level::Compact, gid);
            date.text("name", Level::Compact, name);
            date.text("description", Level::Compact, "Choose a date for your project.");
            date.end();
        });
        let color = (index % 3 != 2).then(|| choice(template.seed, 2, &COLORS));
        object.optional_word("color", Level::Standard, color);
        let roles = [template.first_role, template.first_role + 1];
        object.each("requested_roles", Level::Standard, roles, |out, inner, role| {
            self.write(out, inner, Gid::new(Kind::TemplateRole, role));
        });
        object.end();
    }

    pub(super) fn task_template(&self, out: &mut String, selection: &Selection, index: Index) {
        let template = &self.world.task_templates[index as usize];
        let mut object = Object::resource(out, selection, Gid::new(Kind::TaskTemplate, index));
        object.text("name", Level::Compact, &template.name);
        object.nested("project", Level::Standard, |out, inner| self.project(out, inner, template.project));
        object.nested("template", Level::Standard, |out, inner| self.recipe(out, inner, template));
        object.nested("created_by", Level::Standard, |out, inner| self.user(out, inner, template.created_by));
        object.time("created_at", Level::Standard, template.created_at);
        object.end();
    }

    fn recipe(&self, out: &mut String, selection: &Selection, template: &TaskTemplate) {
        let mut random = Random::keyed(template.seed, 1);
        let workspace = self.world.projects[template.project as usize].workspace;
        let mut recipe = Object::begin(out, selection);
        recipe.text("name", Level::Compact, &template.name);
        recipe.word("task_resource_subtype", Level::Compact, "default_task");
        let description = vocabulary::prose(&mut random);
        recipe.text("description", Level::Compact, &description);
        recipe.made_text("html_description", Level::Compact, || vocabulary::html(&description));
        recipe.each("memberships", Level::Compact, [template.project], |out, inner, project| {
            self.project(out, inner, project);
        });
        recipe.integer("relative_start_on", Level::Compact, 1);
        recipe.integer("relative_due_on", Level::Compact, 2 + random.below(9));
        recipe.word("due_time", Level::Compact, "13:15:00.000Z");
        for list in ["dependencies", "dependents", "subtasks"] {
            let name = vocabulary::name(&mut random);
            recipe.each(list, Level::Compact, [name], |out, inner, name| {
                let mut step = Object::begin(out, inner);
                step.text("name", Level::Compact, &name);
                step.word("task_resource_subtype", Level::Compact, "default_task");
                step.end();
            });
        }
        let followers = self.some_users(workspace, &mut random, 2);
        recipe.nested("followers", Level::Compact, |out, inner| self.users(out, inner, &followers));
        let attachment = self.world.attachments.len().checked_sub(1).map(|last| last as Index);
        recipe.each("attachments", Level::Compact, attachment, |out, inner, attachment| {
            self.attachment(out, inner, attachment);
        });
        let fields = self.world.workspaces[workspace as usize].generated.fields.iter().take(2);
        recipe.each("custom_fields", Level::Compact, fields, |out, inner, field| {
            self.custom_field(out, inner, *field);
        });
        recipe.end();
    }

    pub(super) fn webhook(&self, out: &mut String, selection: &Selection, index: Index) {
        let webhook = &self.world.webhooks[index as usize];
        let gid = Gid::new(Kind::Webhook, index);
        let later = |hours: i64| Timestamp(webhook.created_at.0 + hours * HOUR);
        let mut object = Object::resource(out, selection, gid);
        object.flag("active", Level::Compact, index % 3 != 2);
        object.nested("resource", Level::Compact, |out, inner| self.write(out, inner, webhook.resource));
        object.made_text("target", Level::Compact, || format!("https://example.com/receive-webhook/{gid}"));
        object.time("created_at", Level::Standard, webhook.created_at);
        object.time("last_failure_at", Level::Standard, later(5));
        object.text(
            "last_failure_content",
            Level::Standard,
            "500 Server Error\n\nCould not complete the request",
        );
        object.time("last_success_at", Level::Standard, later(30));
        object.integer("delivery_retry_count", Level::Standard, webhook.seed % 4);
        object.time("next_attempt_after", Level::Standard, later(48));
        object.time("failure_deletion_timestamp", Level::Standard, Timestamp(webhook.created_at.0 + 7 * DAY));
        object.each("filters", Level::Standard, ["changed", "added"], |out, inner, action| {
            let mut filter = Object::begin(out, inner);
            filter.word("resource_type", Level::Compact, "task");
            filter.word("resource_subtype", Level::Compact, "milestone");
            filter.word("action", Level::Compact, action);
            if action == "changed" {
                let fields = ["due_at", "due_on", "dependencies"];
                filter.each("fields", Level::Compact, fields, |out, _, field| escape(out, field));
            }
            filter.end();
        });
        object.end();
    }

    /// An event of the audit log. Actor, context and details have different fields by kind of event.
    pub(super) fn audit_log_event(&self, out: &mut String, selection: &Selection, index: Index) {
        let event = &self.world.audit_log_events[index as usize];
        let mut object = Object::of(out, selection, Gid::new(Kind::AuditLogEvent, index));
        object.time("created_at", Level::Compact, event.created_at);
        object.word("event_type", Level::Compact, event.event_type);
        object.word("event_category", Level::Compact, event.category);
        object.nested("actor", Level::Compact, |out, inner| {
            let user = &self.world.users[event.actor as usize];
            let mut actor = Object::begin(out, inner);
            actor.word("actor_type", Level::Compact, "user");
            actor.made_text("gid", Level::Compact, || Gid::new(Kind::User, event.actor).to_string());
            actor.text("name", Level::Compact, &user.name);
            actor.text("email", Level::Compact, &user.email);
            actor.end();
        });
        object.nested("resource", Level::Compact, |out, inner| {
            let mut resource = Object::begin(out, inner);
            resource.word("resource_type", Level::Compact, event.resource.kind().resource_type());
            resource.made_text("gid", Level::Compact, || event.resource.to_string());
            resource.text("name", Level::Compact, &event.resource_name);
            if event.resource.kind() == Kind::User {
                let email = &self.world.users[event.resource.index() as usize].email;
                resource.text("email", Level::Compact, email);
            } else {
                resource.word("resource_subtype", Level::Compact, "default_task");
            }
            resource.end();
        });
        object.nested("details", Level::Compact, |out, inner| audit_details(out, inner, event));
        object.nested("context", Level::Compact, |out, inner| audit_context(out, inner, event, index));
        object.end();
    }
}

fn audit_details(out: &mut String, selection: &Selection, event: &AuditLogEvent) {
    let mut details = Object::begin(out, selection);
    match event.event_type {
        "user_division_admin_role_changed" => {
            details.text("old_value", Level::Compact, "member");
            details.text("new_value", Level::Compact, "admin");
            details.nested("group", Level::Compact, |out, inner| {
                let mut group = Object::begin(out, inner);
                group.text("name", Level::Compact, "Division North");
                group.end();
            });
        }
        "user_login_succeeded" | "user_login_failed" => {
            details.text("saml_response", Level::Compact, "<samlp:Response ID=\"_1\"/>");
        }
        _ => {}
    }
    details.end();
}

fn audit_context(out: &mut String, selection: &Selection, event: &AuditLogEvent, index: Index) {
    let mut context = Object::begin(out, selection);
    let kind = ["web", "api", "mobile", "api", "asana_support", "desktop"][index as usize % 6];
    context.word("context_type", Level::Compact, kind);
    match (kind, index % 6) {
        ("api", 1) => {
            context.word("api_authentication_method", Level::Compact, "oauth");
            context.text("oauth_app_name", Level::Compact, "Reporting app");
        }
        ("api", _) => context.word("api_authentication_method", Level::Compact, "service_account"),
        ("asana_support", _) => context.integer("on_behalf_of_user_id", Level::Compact, 12345),
        _ => {}
    }
    let address = mix(event.seed).to_be_bytes();
    context.made_text("client_ip_address", Level::Compact, || format!("203.0.113.{}", address[0]));
    context.text("user_agent", Level::Compact, "Mozilla/5.0 (X11; Linux x86_64)");
    if event.seed.is_multiple_of(3) {
        context.text("rule_name", Level::Compact, "When Task is added to this project");
    }
    context.end();
}
