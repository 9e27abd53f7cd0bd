//! Globally unique identifiers: 16 digits that name a kind and a place in the world.

use std::fmt;
use std::str::FromStr;

use crate::random::mix;

/// What an identifier names. The first 22 are separate resources; the rest occur only inside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    Workspace = 1,
    User,
    Team,
    TeamMembership,
    WorkspaceMembership,
    Project,
    Section,
    Task,
    Story,
    Attachment,
    Tag,
    CustomField,
    CustomFieldSetting,
    Webhook,
    ProjectTemplate,
    TaskTemplate,
    StatusUpdate,
    Portfolio,
    Goal,
    GoalRelationship,
    TimePeriod,
    AuditLogEvent,
    EnumOption,
    UserTaskList,
    ProjectBrief,
    ProjectStatus,
    GoalMetric,
    CustomType,
    CustomTypeStatusOption,
    TemplateRole,
}

impl Kind {
    /// Every kind that Asana serves as a separate resource.
    pub const RESOURCES: [Kind; 22] = [
        Kind::Workspace,
        Kind::User,
        Kind::Team,
        Kind::TeamMembership,
        Kind::WorkspaceMembership,
        Kind::Project,
        Kind::Section,
        Kind::Task,
        Kind::Story,
        Kind::Attachment,
        Kind::Tag,
        Kind::CustomField,
        Kind::CustomFieldSetting,
        Kind::Webhook,
        Kind::ProjectTemplate,
        Kind::TaskTemplate,
        Kind::StatusUpdate,
        Kind::Portfolio,
        Kind::Goal,
        Kind::GoalRelationship,
        Kind::TimePeriod,
        Kind::AuditLogEvent,
    ];

    const INNER: [Kind; 8] = [
        Kind::EnumOption,
        Kind::UserTaskList,
        Kind::ProjectBrief,
        Kind::ProjectStatus,
        Kind::GoalMetric,
        Kind::CustomType,
        Kind::CustomTypeStatusOption,
        Kind::TemplateRole,
    ];

    /// Asana's `resource_type`.
    pub fn resource_type(self) -> &'static str {
        match self {
            Kind::Workspace => "workspace",
            Kind::User => "user",
            Kind::Team => "team",
            Kind::TeamMembership => "team_membership",
            Kind::WorkspaceMembership => "workspace_membership",
            Kind::Project => "project",
            Kind::Section => "section",
            Kind::Task => "task",
            Kind::Story => "story",
            Kind::Attachment => "attachment",
            Kind::Tag => "tag",
            Kind::CustomField => "custom_field",
            Kind::CustomFieldSetting => "custom_field_setting",
            Kind::Webhook => "webhook",
            Kind::ProjectTemplate => "project_template",
            Kind::TaskTemplate => "task_template",
            Kind::StatusUpdate => "status_update",
            Kind::Portfolio => "portfolio",
            Kind::Goal => "goal",
            Kind::GoalRelationship => "goal_relationship",
            Kind::TimePeriod => "time_period",
            Kind::AuditLogEvent => "audit_log_event",
            Kind::EnumOption => "enum_option",
            Kind::UserTaskList => "user_task_list",
            Kind::ProjectBrief => "project_brief",
            Kind::ProjectStatus => "project_status",
            Kind::GoalMetric => "goal_metric",
            Kind::CustomType => "custom_type",
            Kind::CustomTypeStatusOption => "custom_type_status_option",
            Kind::TemplateRole => "template_role",
        }
    }

    /// The kind whose listing Asana calls `plural`, such as `tasks` or `team_memberships`.
    pub fn from_plural(plural: &str) -> Option<Self> {
        let singular = match plural {
            "stories" => "story",
            "custom_field_settings" => "custom_field_setting",
            other => other.strip_suffix('s')?,
        };
        Self::RESOURCES.into_iter().find(|kind| kind.resource_type() == singular)
    }
}

/// The place of a record among those of its kind.
pub(crate) type Index = u32;

/// An identifier. It is written as 16 digits: `12`, two digits of kind, and twelve that increase with each record and
/// have gaps, so that an invented gid is unknown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gid {
    kind: Kind,
    index: Index,
}

const LEADING: u64 = 1_200_000_000_000_000;
const PER_KIND: u64 = 1_000_000_000_000;
const GAP: u64 = 17;

impl Gid {
    pub(crate) const fn new(kind: Kind, index: Index) -> Self {
        Self { kind, index }
    }

    pub fn kind(self) -> Kind {
        self.kind
    }

    pub(crate) fn index(self) -> Index {
        self.index
    }

    /// The 16 digits as a number.
    pub fn number(self) -> u64 {
        let noise = mix(u64::from(self.index) << 8 | self.kind as u64) % GAP;
        LEADING + self.kind as u64 * PER_KIND + (u64::from(self.index) + 1009) * GAP + noise
    }
}

impl fmt::Display for Gid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.number())
    }
}

impl fmt::Debug for Gid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}#{}({})", self.kind, self.index, self.number())
    }
}

impl PartialEq<str> for Gid {
    fn eq(&self, text: &str) -> bool {
        text.parse::<u64>() == Ok(self.number())
    }
}

impl PartialEq<&str> for Gid {
    fn eq(&self, text: &&str) -> bool {
        self == *text
    }
}

impl serde::Serialize for Gid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Gid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|UnknownGid| serde::de::Error::custom(format!("unknown gid {text}")))
    }
}

/// The text is not an identifier of this simulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownGid;

impl fmt::Display for UnknownGid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not an identifier of this world")
    }
}

impl std::error::Error for UnknownGid {}

impl FromStr for Gid {
    type Err = UnknownGid;

    fn from_str(text: &str) -> Result<Self, UnknownGid> {
        let number: u64 = text.parse().map_err(|_| UnknownGid)?;
        let rest = number.checked_sub(LEADING).ok_or(UnknownGid)?;
        let code = rest / PER_KIND;
        let kind = Kind::RESOURCES
            .into_iter()
            .chain(Kind::INNER)
            .find(|kind| *kind as u64 == code)
            .ok_or(UnknownGid)?;
        let index = (rest % PER_KIND / GAP).checked_sub(1009).ok_or(UnknownGid)?;
        let gid = Self::new(kind, Index::try_from(index).map_err(|_| UnknownGid)?);
        if gid.number() == number { Ok(gid) } else { Err(UnknownGid) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_identifier_is_sixteen_digits_and_reads_back() {
        for kind in Kind::RESOURCES.into_iter().chain(Kind::INNER) {
            for index in [0, 1, 2, 999_999, u32::MAX] {
                let gid = Gid::new(kind, index);
                let text = gid.to_string();
                assert_eq!(text.len(), 16, "{text}");
                assert_eq!(text.parse(), Ok(gid));
            }
        }
    }

    #[test]
    fn made_up_identifiers_are_unknown() {
        let near = Gid::new(Kind::Task, 7).number() + 1;
        for text in ["", "12345", "abc", "1299999999999999", &near.to_string()] {
            assert_eq!(text.parse::<Gid>(), Err(UnknownGid), "{text}");
        }
    }
}
