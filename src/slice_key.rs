//! Names of slices in the state. The texts are part of the state's format and never change.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::gid::Gid;

const SEARCH: &str = "search";
const UNLISTED: &str = "unlisted";

/// The name of a slice. A stream has a cursor for each of its slices.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SliceKey {
    /// The listing of workspaces.
    Root,
    /// Below one object: a workspace's listings, a project, a team, a portfolio or a goal.
    Object(Gid),
    /// Below an object that exists in several workspaces: a user's own tasks in one of them.
    InWorkspace { workspace: Gid, object: Gid },
    /// The search for changes in a workspace; `nth` is its index in the plan.
    Search { workspace: Gid, nth: usize },
    /// The search for records that no listing of a workspace returns.
    Unlisted { workspace: Gid },
    /// Not a slice: records that a workspace's listing of a stream was accessible.
    Access { workspace: Gid, stream: Box<str> },
}

impl SliceKey {
    /// The slice below an object that exists in several workspaces.
    pub fn in_workspace(workspace: &Gid, object: &Gid) -> Self {
        match object {
            Gid::Number(_) => Self::InWorkspace { workspace: workspace.clone(), object: object.clone() },
            // A gid that is not a number must get the key that its text parses to.
            Gid::Text(_) => Self::parse(&format!("{workspace}/{object}")),
        }
    }

    /// The entry that records that a workspace's listing of a stream was accessible.
    pub fn access(workspace: &Gid, stream: &str) -> Self {
        Self::Access { workspace: workspace.clone(), stream: stream.into() }
    }

    /// Parses a key. Every text is a valid key.
    pub fn parse(text: &str) -> Self {
        let Some((workspace, rest)) = text.split_once('/') else {
            return if text.is_empty() { Self::Root } else { Self::Object(Gid::new(text)) };
        };
        let workspace = Gid::new(workspace);
        match (rest, Gid::new(rest)) {
            (SEARCH, _) => Self::Search { workspace, nth: 0 },
            (UNLISTED, _) => Self::Unlisted { workspace },
            (_, object @ Gid::Number(_)) => Self::InWorkspace { workspace, object },
            (name, Gid::Text(_)) => match nth_search(name) {
                Some(nth) => Self::Search { workspace, nth },
                None => Self::Access { workspace, stream: name.into() },
            },
        }
    }
}

/// The index of the search, if the text is exactly what `Display` prints for one.
fn nth_search(text: &str) -> Option<usize> {
    let nth = text.strip_prefix(SEARCH)?.strip_prefix('-')?;
    nth.parse().ok().filter(|number: &usize| *number > 0 && number.to_string() == nth)
}

impl fmt::Display for SliceKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Object(object) => write!(formatter, "{object}"),
            Self::InWorkspace { workspace, object } => write!(formatter, "{workspace}/{object}"),
            Self::Search { workspace, nth: 0 } => write!(formatter, "{workspace}/{SEARCH}"),
            Self::Search { workspace, nth } => write!(formatter, "{workspace}/{SEARCH}-{nth}"),
            Self::Unlisted { workspace } => write!(formatter, "{workspace}/{UNLISTED}"),
            Self::Access { workspace, stream } => write!(formatter, "{workspace}/{stream}"),
        }
    }
}

impl Serialize for SliceKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SliceKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self::parse(&text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_texts_of_a_state_never_change() {
        let (workspace, object) = (Gid::new("12"), Gid::new("34"));
        for (key, text) in [
            (SliceKey::Root, ""),
            (SliceKey::Object(object.clone()), "34"),
            (SliceKey::in_workspace(&workspace, &object), "12/34"),
            (SliceKey::Search { workspace: workspace.clone(), nth: 0 }, "12/search"),
            (SliceKey::Search { workspace: workspace.clone(), nth: 1 }, "12/search-1"),
            (SliceKey::Unlisted { workspace: workspace.clone() }, "12/unlisted"),
            (SliceKey::access(&workspace, "tags"), "12/tags"),
        ] {
            assert_eq!(key.to_string(), text);
            assert_eq!(SliceKey::parse(text), key);
        }
    }

    proptest! {
        #[test]
        fn every_text_is_kept(text in "[0-9a-z/]{0,12}") {
            prop_assert_eq!(SliceKey::parse(&text).to_string(), text);
        }

        #[test]
        fn a_key_survives_printing_and_parsing(workspace in "[0-9]{1,9}", object in "[0-9a-z]{1,9}") {
            let key = SliceKey::in_workspace(&Gid::new(&workspace), &Gid::new(&object));
            prop_assert_eq!(SliceKey::parse(&key.to_string()), key);
        }
    }
}
