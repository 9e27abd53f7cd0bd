//! The gids that listings held when they were last read, kept small enough for a state. Pure: knows no stream, no
//! HTTP and no other part of a state.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Serialize, Serializer};

use crate::gid::Gid;

/// In which a gid is written: the letters and digits of ASCII, so that a gid of Asana's takes ten characters and the
/// distance to the next one about seven.
const RADIX: u32 = 36;

/// What one entry takes in JSON beside its gids: two quoted strings, colon and comma.
const PUNCTUATION: usize = 6;

/// From a parent to the gids below it. Only gids that are numbers are kept, as all of Asana's are; of another the
/// answers are those for a parent or gid that was never seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<u64, String>")]
pub struct Listed {
    held: BTreeMap<u64, Box<[u64]>>,
    /// What all of it takes in JSON.
    bytes: usize,
}

/// The gids of a listing's rows, eight bytes each. A listing can have any number of them.
#[derive(Debug, Default)]
pub struct Gids(Vec<u64>);

impl Gids {
    pub fn push(&mut self, gid: &Gid) {
        self.0.extend(number(gid));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn append(&mut self, Self(mut others): Self) {
        self.0.append(&mut others);
    }
}

impl Extend<Gid> for Gids {
    fn extend<All: IntoIterator<Item = Gid>>(&mut self, gids: All) {
        self.0.extend(gids.into_iter().filter_map(|gid| number(&gid)));
    }
}

impl FromIterator<Gid> for Gids {
    fn from_iter<All: IntoIterator<Item = Gid>>(gids: All) -> Self {
        let mut rows = Self::default();
        rows.extend(gids);
        rows
    }
}

impl Listed {
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Every gid that a listing held.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.held.values().flatten().copied()
    }

    /// How many gids the parent's listing held; `None` if it is not known.
    pub fn count(&self, parent: &Gid) -> Option<usize> {
        self.held(parent).map(<[u64]>::len)
    }

    /// Whether the parent's listing held the gid; `None` if it is not known.
    pub fn holds(&self, parent: &Gid, gid: &Gid) -> Option<bool> {
        self.held(parent).map(|held| number(gid).is_some_and(|gid| held.binary_search(&gid).is_ok()))
    }

    /// What the parent's listing held and `listed` lacks.
    pub fn missing(&self, parent: &Gid, listed: &Gids) -> Vec<Gid> {
        let listed: HashSet<u64> = listed.0.iter().copied().collect();
        let held = self.held(parent).unwrap_or_default().iter();
        held.filter(|gid| !listed.contains(gid)).map(|gid| Gid::Number(*gid)).collect()
    }

    /// The parent's listing held these.
    pub fn set(&mut self, parent: &Gid, Gids(mut gids): Gids) {
        let Some(parent) = number(parent) else { return };
        gids.sort_unstable();
        gids.dedup();
        self.put(parent, gids.into());
    }

    /// These are not below the parent any more. Each call looks at all that is below it, however few they are.
    pub fn remove<'gid>(&mut self, parent: &Gid, gids: impl Iterator<Item = &'gid Gid>) {
        let gone: HashSet<u64> = gids.filter_map(number).collect();
        if self.held(parent).is_some_and(|held| held.iter().any(|gid| gone.contains(gid))) {
            let mut kept = self.take(parent);
            kept.retain(|gid| !number(gid).is_some_and(|number| gone.contains(&number)));
            self.set(parent, kept.into_iter().collect());
        }
    }

    /// The parent is gone: what was below it, which is not kept any longer.
    pub fn take(&mut self, parent: &Gid) -> Vec<Gid> {
        let Some(parent) = number(parent) else { return Vec::new() };
        let Some(held) = self.held.remove(&parent) else { return Vec::new() };
        self.bytes -= size(parent, &held);
        held.iter().map(|gid| Gid::Number(*gid)).collect()
    }

    /// Forgets parents, the oldest first, until the rest takes at most so many bytes of JSON. Returns how many they are.
    pub fn trim(&mut self, most_bytes: usize) -> u64 {
        let mut forgotten = 0;
        while self.bytes > most_bytes
            && let Some((parent, held)) = self.held.pop_first()
        {
            self.bytes -= size(parent, &held);
            forgotten += 1;
        }
        forgotten
    }

    /// Forgets parents, the oldest first, until the rest takes at least so many bytes of JSON less.
    pub fn drop_bytes(&mut self, bytes: usize) -> u64 {
        self.trim(self.bytes.saturating_sub(bytes))
    }

    fn held(&self, parent: &Gid) -> Option<&[u64]> {
        self.held.get(&number(parent)?).map(|held| &**held)
    }

    fn put(&mut self, parent: u64, gids: Box<[u64]>) {
        self.bytes += size(parent, &gids);
        if let Some(before) = self.held.insert(parent, gids) {
            self.bytes -= size(parent, &before);
        }
    }
}

/// Beyond `i64`, distances would not fit what they are read as.
fn number(gid: &Gid) -> Option<u64> {
    gid.number().filter(|number| i64::try_from(*number).is_ok())
}

/// The first gid by its distance from the parent, each other one by its distance from the one before.
fn text(parent: u64, gids: &[u64]) -> String {
    let mut text = String::new();
    for (gid, before) in steps(parent, gids) {
        if !text.is_empty() {
            text.push('.');
        }
        push_distance(&mut text, gid, before);
    }
    text
}

/// Each gid and the one that it is told from.
fn steps(parent: u64, gids: &[u64]) -> impl Iterator<Item = (u64, u64)> {
    gids.iter().copied().zip(std::iter::once(parent).chain(gids.iter().copied()))
}

fn push_distance(text: &mut String, gid: u64, before: u64) {
    if gid < before {
        text.push('-');
    }
    let distance = gid.abs_diff(before);
    for place in (0..digits(distance)).rev() {
        let digit = distance / u64::from(RADIX).pow(place) % u64::from(RADIX);
        text.extend(char::from_digit(digit as u32, RADIX));
    }
}

/// How many digits a number has; zero has one.
fn digits(number: u64) -> u32 {
    number.checked_ilog(u64::from(RADIX)).map_or(1, |last| last + 1)
}

fn gids(parent: u64, text: &str) -> Option<Box<[u64]>> {
    let mut before = parent;
    let distances = text.split('.').filter(|distance| !distance.is_empty());
    let gids = distances.map(|distance| {
        before = before.checked_add_signed(i64::from_str_radix(distance, RADIX).ok()?)?;
        Some(before)
    });
    let gids: BTreeSet<u64> = gids.collect::<Option<_>>()?;
    Some(gids.into_iter().collect())
}

/// What an entry takes in JSON: its texts need not be written to know it.
fn size(parent: u64, gids: &[u64]) -> usize {
    let distances = steps(parent, gids)
        .map(|(gid, before)| digits(gid.abs_diff(before)) as usize + usize::from(gid < before));
    let dots = gids.len().saturating_sub(1);
    parent.to_string().len() + distances.sum::<usize>() + dots + PUNCTUATION
}

impl TryFrom<BTreeMap<u64, String>> for Listed {
    type Error = String;

    fn try_from(written: BTreeMap<u64, String>) -> Result<Self, String> {
        let mut listed = Self::default();
        for (parent, text) in written {
            let gids =
                gids(parent, &text).ok_or_else(|| format!("what was listed in {parent} is no list"))?;
            listed.put(parent, gids);
        }
        Ok(listed)
    }
}

impl Serialize for Listed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.held.iter().map(|(parent, gids)| (parent, text(*parent, gids))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn numbers(numbers: &[u64]) -> Vec<Gid> {
        numbers.iter().map(|number| Gid::Number(*number)).collect()
    }

    fn rows(gids: &[u64]) -> Gids {
        numbers(gids).into_iter().collect()
    }

    fn anything() -> impl Strategy<Value = BTreeMap<u64, BTreeSet<u64>>> {
        // Asana's gids, of sixteen digits, and the largest that there can be.
        let gid = || prop_oneof![0..2_000_000_000_000_000_u64, 0..=9_999_999_999_999_999_999_u64 >> 1];
        proptest::collection::btree_map(gid(), proptest::collection::btree_set(gid(), 0..8), 0..8)
    }

    fn listed(all: &BTreeMap<u64, BTreeSet<u64>>) -> Listed {
        let mut listed = Listed::default();
        for (parent, gids) in all {
            listed.set(&Gid::Number(*parent), gids.iter().map(|gid| Gid::Number(*gid)).collect());
        }
        listed
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_and_is_as_large_as_it_says(all in anything()) {
            let listed = listed(&all);
            let text = serde_json::to_string(&listed).unwrap();
            prop_assert_eq!(serde_json::from_str::<Listed>(&text).unwrap(), listed.clone());
            // Braces, and no comma behind the last.
            prop_assert_eq!(text.len(), if all.is_empty() { 2 } else { listed.bytes + 1 });
        }

        #[test]
        fn what_is_forgotten_is_the_oldest_and_no_more_than_has_to_be(all in anything(), most in 0_usize..600) {
            let mut trimmed = listed(&all);
            trimmed.trim(most);
            prop_assert!(trimmed.bytes <= most);
            let kept: Vec<u64> = trimmed.held.keys().copied().collect();
            let newest: Vec<u64> = all.keys().copied().skip(all.len() - kept.len()).collect();
            prop_assert_eq!(&kept, &newest);
            if let Some(next) = all.keys().rev().nth(kept.len()) {
                let gids: Vec<u64> = all[next].iter().copied().collect();
                prop_assert!(trimmed.bytes + size(*next, &gids) > most);
            }
        }
    }

    #[test]
    fn it_looks_like_this_for_ever() {
        let mut listed = Listed::default();
        listed.set(&Gid::new("1201"), rows(&[1300, 1202, 36]));
        listed.set(&Gid::new("1202"), rows(&[]));
        assert_eq!(json!(listed), json!({"1201": "-wd.we.2q", "1202": ""}));
    }

    #[test]
    fn what_is_below_a_parent_comes_and_goes() {
        let (parent, other) = (Gid::new("7"), Gid::new("8"));
        let mut listed = Listed::default();
        assert_eq!(listed.holds(&parent, &Gid::new("1")), None);
        listed.set(&parent, rows(&[1, 2]));
        listed.set(&parent, rows(&[3, 2, 1]));
        assert_eq!(listed.count(&parent), Some(3));
        listed.remove(&parent, numbers(&[2, 7]).iter());
        assert_eq!(
            (listed.holds(&parent, &Gid::new("2")), listed.holds(&parent, &Gid::new("3"))),
            (Some(false), Some(true))
        );
        assert_eq!(listed.missing(&parent, &rows(&[3, 4])), numbers(&[1]));
        assert_eq!(listed.missing(&other, &Gids::default()), []);
        listed.set(&parent, rows(&[9]));
        listed.set(&other, rows(&[5]));
        assert_eq!((listed.take(&parent), listed.take(&parent)), (numbers(&[9]), vec![]));
        assert_eq!(listed.take(&other), numbers(&[5]));
        assert_eq!(listed, Listed::default());
    }

    #[test]
    fn a_gid_that_is_no_number_is_not_kept() {
        let mut listed = Listed::default();
        listed.set(&Gid::new("external:a"), rows(&[1]));
        listed.set(&Gid::new("1"), [Gid::new("external:b")].into_iter().collect());
        assert_eq!(json!(listed), json!({"1": ""}));
    }

    #[test]
    fn what_is_no_list_is_not_read_as_one() {
        for broken in [
            json!({"a": ""}),
            json!({"1": "é"}),
            json!({"1": "-2"}),
            json!({"1": "3w5e11264sgsf"}),
            json!({"1": 1}),
        ] {
            assert!(serde_json::from_value::<Listed>(broken.clone()).is_err(), "{broken}");
        }
    }
}
