//! Which fields of a record a request selects: Asana's `opt_fields` syntax as a tree.
//!
//! Source: Asana's page on input and output options. Paths are separated by commas and nested with dots; a leading
//! `this.` names the record itself; `(a|b)` means either name. `gid` is always returned.

/// In which records of a resource a field is included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// In the compact record, which lists return and which nested objects consist of.
    Compact,
    /// In the full record, which a single GET returns.
    Standard,
    /// Only if `opt_fields` names it ("Opt In" in Asana's OpenAPI).
    OptIn,
}

/// The fields of one object to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Every field up to this level is written without being named; `None`: only named ones.
    unnamed: Option<Level>,
    /// Fields selected by name, each with the selection inside it.
    named: Vec<(Box<str>, Selection)>,
    /// Where in `named` a field is, by its hash: rendering a page asks this tens of thousands of times.
    slots: Vec<u16>,
}

/// An empty slot.
const FREE: u16 = u16::MAX;

static COMPACT: Selection = Selection { unnamed: Some(Level::Compact), named: Vec::new(), slots: Vec::new() };
static STANDARD: Selection =
    Selection { unnamed: Some(Level::Standard), named: Vec::new(), slots: Vec::new() };
static EVERYTHING: Selection =
    Selection { unnamed: Some(Level::OptIn), named: Vec::new(), slots: Vec::new() };

impl Selection {
    /// The compact record.
    pub fn compact() -> &'static Self {
        &COMPACT
    }

    /// The full record without its opt-in fields.
    pub fn standard() -> &'static Self {
        &STANDARD
    }

    /// The full record with its opt-in fields; objects inside are compact.
    pub fn everything() -> &'static Self {
        &EVERYTHING
    }

    /// Reads the value of an `opt_fields` parameter.
    pub fn parse(opt_fields: &str) -> Self {
        let mut selection = Self::default();
        for path in split_outside_groups(opt_fields, ',') {
            for segments in expand(path.trim()) {
                selection.add(&segments);
            }
        }
        selection.index();
        selection
    }

    /// The selection inside `name`, or `None` when the field is not to be written.
    pub(crate) fn inside(&self, name: &str, level: Level) -> Option<&Self> {
        if !self.named.is_empty()
            && let Some(named) = self.find(name)
        {
            return Some(named);
        }
        if self.unnamed? >= level { Some(&COMPACT) } else { None }
    }

    /// How many leaves the selection names; Asana's cost limit grows with it.
    pub(crate) fn weight(&self) -> u64 {
        1 + self.named.iter().map(|(_, inner)| inner.weight()).sum::<u64>()
    }

    fn add(&mut self, segments: &[&str]) {
        let Some((first, rest)) = segments.split_first() else {
            self.unnamed = self.unnamed.max(Some(Level::Compact));
            return;
        };
        let position = match self.named.iter().position(|(name, _)| **name == **first) {
            Some(position) => position,
            None => {
                self.named.push(((*first).into(), Self::default()));
                self.named.len() - 1
            }
        };
        self.named[position].1.add(rest);
    }

    fn find(&self, name: &str) -> Option<&Self> {
        let mask = self.slots.len() - 1;
        let mut slot = hash(name) as usize & mask;
        // At most half of the slots are taken, so a free one ends every search.
        loop {
            let (known, inner) = self.named.get(usize::from(self.slots[slot]))?;
            if **known == *name {
                return Some(inner);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Fills the slots, here and inside.
    fn index(&mut self) {
        self.named.truncate(usize::from(FREE) - 1);
        if self.named.is_empty() {
            return;
        }
        self.slots = vec![FREE; (self.named.len() * 2).next_power_of_two()];
        let mask = self.slots.len() - 1;
        for (position, (name, inner)) in self.named.iter_mut().enumerate() {
            inner.index();
            let mut slot = hash(name) as usize & mask;
            while self.slots[slot] != FREE {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = position as u16;
        }
    }
}

/// A hash of a short name, from its ends and its length.
fn hash(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let word = |part: &[u8]| part.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    let (first, last) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (word(bytes), 0),
    };
    let mixed = (first ^ last.rotate_left(23) ^ bytes.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 32
}

/// The longest list of paths that one path with groups may expand to; beyond it the rest is ignored.
const EXPANSION_LIMIT: usize = 1000;

/// Every combination of the groups of one path, as segments without a leading `this`.
fn expand(path: &str) -> Vec<Vec<&str>> {
    let mut combinations: Vec<Vec<&str>> = vec![Vec::new()];
    for segment in split_outside_groups(path, '.') {
        let alternatives: Vec<Vec<&str>> =
            match segment.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
                Some(group) => split_outside_groups(group, '|').flat_map(expand).collect(),
                None => vec![vec![segment]],
            };
        combinations = combinations
            .iter()
            .flat_map(|start| alternatives.iter().map(move |end| [start.as_slice(), end].concat()))
            .take(EXPANSION_LIMIT)
            .collect();
    }
    for segments in &mut combinations {
        segments.retain(|segment| !segment.is_empty());
        if segments.first() == Some(&"this") {
            segments.remove(0);
        }
    }
    combinations.retain(|segments| !segments.is_empty());
    combinations
}

/// Splits at `separator` wherever no parenthesis is open.
fn split_outside_groups(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |character| {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && character == separator
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(selection: &Selection, path: &str) -> bool {
        let mut inner = selection;
        path.split('.').all(|name| match inner.inside(name, Level::OptIn) {
            Some(next) => {
                inner = next;
                true
            }
            None => false,
        })
    }

    #[test]
    fn paths_nest_and_groups_expand() {
        let selection = Selection::parse(
            "name, this.(followers|assignee).email,memberships.(project|section).(gid|name)",
        );
        for path in [
            "name",
            "followers.email",
            "assignee.email",
            "memberships.project.gid",
            "memberships.section.name",
        ] {
            assert!(has(&selection, path), "{path}");
        }
        for path in ["this", "followers.name", "notes", "email", "memberships.project.color"] {
            assert!(!has(&selection, path), "{path}");
        }
    }

    #[test]
    fn a_bare_object_is_compact_and_a_nested_path_is_only_itself() {
        let selection = Selection::parse("assignee,parent.notes");
        let assignee = selection.inside("assignee", Level::Standard).unwrap();
        assert!(assignee.inside("name", Level::Compact).is_some());
        assert!(assignee.inside("email", Level::Standard).is_none());
        let parent = selection.inside("parent", Level::Standard).unwrap();
        assert!(parent.inside("notes", Level::Standard).is_some());
        assert!(parent.inside("name", Level::Compact).is_none());
    }

    #[test]
    fn bare_and_nested_together_are_the_union() {
        for order in ["owner,owner.email", "owner.email,owner"] {
            let selection = Selection::parse(order);
            let owner = selection.inside("owner", Level::Standard).unwrap();
            assert!(owner.inside("name", Level::Compact).is_some(), "{order}");
            assert!(owner.inside("email", Level::Standard).is_some(), "{order}");
        }
    }

    #[test]
    fn every_name_is_found_among_many_and_no_other() {
        let names: Vec<String> =
            (0..500).map(|number| format!("field_{number}_{}", number * 7 % 13)).collect();
        let selection = Selection::parse(&names.join(","));
        assert!(names.iter().all(|name| has(&selection, name)));
        assert!((500..900).all(|number| !has(&selection, &format!("field_{number}_0"))));
        assert!(!has(&selection, ""));
    }

    #[test]
    fn malformed_groups_do_no_harm() {
        for text in ["", ",,", "a.(b|c", "a.b)|c", "((((", "this", "this.", "..."] {
            let _ = Selection::parse(text);
        }
        let bomb = vec!["(a|b|c|d|e|f|g|h)"; 40].join(".");
        let _ = Selection::parse(&bomb);
    }

    #[test]
    fn levels_admit_what_lies_below_them() {
        assert!(Selection::compact().inside("name", Level::Compact).is_some());
        assert!(Selection::compact().inside("notes", Level::Standard).is_none());
        assert!(Selection::standard().inside("html_notes", Level::OptIn).is_none());
        assert!(Selection::everything().inside("html_notes", Level::OptIn).is_some());
    }
}
