//! The gids that listings held when they were last read, kept small enough for a state.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::gid::Gid;
use crate::varint;

/// The base in which version 2 of the state wrote distances.
const RADIX: u32 = 36;

/// The parent of records that no listing of a known parent shows: those that only a search or a user's own list showed, and
/// those that left their parent. It is the largest that there is, so it is the last to be forgotten.
pub const ELSEWHERE: Gid = Gid::Number(i64::MAX as u64);

/// From a parent to the gids below it. Only gids that are numbers are kept, as all of Asana's are; of another the
/// answers are those for a parent or gid that was never seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    held: BTreeMap<u64, Box<[u64]>>,
    /// How many bytes all of it takes, before they are written in base64.
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

    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.0.iter().copied()
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

    /// Every parent whose listing is known.
    pub fn parents(&self) -> impl Iterator<Item = u64> {
        self.held.keys().copied()
    }

    /// The parents whose listings held the gid.
    pub fn parents_of(&self, gid: &Gid) -> Vec<Gid> {
        let Some(number) = number(gid) else { return Vec::new() };
        let held = self.held.iter().filter(|entry| entry.1.binary_search(&number).is_ok());
        held.map(|(parent, _)| Gid::Number(*parent)).collect()
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

    /// These are below the parent too.
    pub fn add(&mut self, parent: &Gid, Gids(mut gids): Gids) {
        let held = self.held(parent).unwrap_or_default();
        gids.retain(|gid| held.binary_search(gid).is_err());
        if !gids.is_empty() {
            gids.extend(held);
            self.set(parent, Gids(gids));
        }
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

    /// These are below no parent any more, and a parent that has nothing left is forgotten.
    pub fn remove_everywhere(&mut self, gone: &HashSet<u64>) {
        let has_gone = |parent: &u64| self.held[parent].iter().any(|gid| gone.contains(gid));
        let parents: Vec<u64> = self.held.keys().copied().filter(has_gone).collect();
        for parent in parents {
            let kept = self.cut(parent).unwrap_or_default();
            let kept: Box<[u64]> = kept.into_iter().filter(|gid| !gone.contains(gid)).collect();
            if !kept.is_empty() {
                self.put(parent, kept);
            }
        }
    }

    /// The parent is gone: what was below it, which is not kept any longer.
    pub fn take(&mut self, parent: &Gid) -> Vec<Gid> {
        let held = number(parent).and_then(|parent| self.cut(parent)).unwrap_or_default();
        held.into_iter().map(Gid::Number).collect()
    }

    /// Forgets parents, the oldest first, until the rest takes at most so many bytes of JSON. Returns how many they are.
    pub fn trim(&mut self, most_bytes: usize) -> u64 {
        let mut forgotten = 0;
        while self.json_bytes() > most_bytes
            && let Some((parent, _)) = self.held.first_key_value()
        {
            self.cut(*parent);
            forgotten += 1;
        }
        forgotten
    }

    /// Forgets parents, the oldest first, until the rest takes at least so many bytes of JSON less.
    pub fn drop_bytes(&mut self, bytes: usize) -> u64 {
        self.trim(self.json_bytes().saturating_sub(bytes))
    }

    /// What it takes in JSON: nothing if it is empty, else base64 in quotation marks.
    fn json_bytes(&self) -> usize {
        if self.held.is_empty() { 0 } else { (self.bytes * 4).div_ceil(3) + 2 }
    }

    fn held(&self, parent: &Gid) -> Option<&[u64]> {
        self.held.get(&number(parent)?).map(|held| &**held)
    }

    fn put(&mut self, parent: u64, gids: Box<[u64]>) {
        self.cut(parent);
        self.bytes += size(parent, &gids) + self.joint(parent);
        self.bytes -= self.gap(parent);
        self.held.insert(parent, gids);
    }

    fn cut(&mut self, parent: u64) -> Option<Box<[u64]>> {
        let held = self.held.remove(&parent)?;
        self.bytes += self.gap(parent);
        self.bytes -= size(parent, &held) + self.joint(parent);
        Some(held)
    }

    /// The parents next to one that is not there itself.
    fn neighbours(&self, parent: u64) -> (u64, Option<u64>) {
        let before = self.held.range(..parent).next_back().map_or(0, |(before, _)| *before);
        (before, self.held.range(parent..).next().map(|(next, _)| *next))
    }

    /// What the distances from the parent before and to the next one take.
    fn joint(&self, parent: u64) -> usize {
        let (before, next) = self.neighbours(parent);
        varint::size(parent - before) + next.map_or(0, |next| varint::size(next - parent))
    }

    /// What the distance takes that stands there without the parent.
    fn gap(&self, parent: u64) -> usize {
        let (before, next) = self.neighbours(parent);
        next.map_or(0, |next| varint::size(next - before))
    }

    /// Parents ascending, each by its distance from the one before. For each parent the count of its gids, the first gid by
    /// its signed distance from the parent, and each other one by its distance from the one before.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes);
        let mut last = 0;
        for (parent, gids) in &self.held {
            varint::write(&mut bytes, parent - last);
            last = *parent;
            varint::write(&mut bytes, gids.len() as u64);
            for number in steps(*parent, gids) {
                varint::write(&mut bytes, number);
            }
        }
        bytes
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (mut listed, mut at, mut parent) = (Self::default(), 0, 0_u64);
        while at < bytes.len() {
            parent = parent.checked_add(varint::read(bytes, &mut at)?)?;
            let count = varint::read(bytes, &mut at)?;
            let mut gids = BTreeSet::new();
            let mut last = None;
            for _ in 0..count {
                let number = varint::read(bytes, &mut at)?;
                let gid = match last {
                    None => parent.checked_add_signed(varint::unzigzag(number))?,
                    Some(last) => number.checked_add(last)?,
                };
                gids.insert(gid);
                last = Some(gid);
            }
            listed.put(parent, gids.into_iter().collect());
        }
        let is_sound = |number: &u64| i64::try_from(*number).is_ok();
        listed
            .held
            .iter()
            .all(|(parent, gids)| is_sound(parent) && gids.iter().all(is_sound))
            .then_some(listed)
    }
}

/// Beyond `i64`, distances would not fit what they are read as.
fn number(gid: &Gid) -> Option<u64> {
    gid.number().filter(|number| i64::try_from(*number).is_ok())
}

/// The numbers by which gids are written.
fn steps(parent: u64, gids: &[u64]) -> impl Iterator<Item = u64> {
    let first = gids.first().map(|first| varint::zigzag(first.wrapping_sub(parent).cast_signed()));
    first.into_iter().chain(gids.windows(2).map(|pair| pair[1] - pair[0]))
}

/// What an entry takes without the distance of its parent.
fn size(parent: u64, gids: &[u64]) -> usize {
    varint::size(gids.len() as u64) + steps(parent, gids).map(varint::size).sum::<usize>()
}

/// The gids below a parent as version 2 wrote them: the first by its distance from the parent, each other one by its distance
/// from the one before, in base 36.
fn gids_of_version_2(parent: u64, text: &str) -> Option<Box<[u64]>> {
    let mut before = parent;
    let distances = text.split('.').filter(|distance| !distance.is_empty());
    let gids = distances.map(|distance| {
        before = before.checked_add_signed(i64::from_str_radix(distance, RADIX).ok()?)?;
        number(&Gid::Number(before))
    });
    let gids: BTreeSet<u64> = gids.collect::<Option<_>>()?;
    Some(gids.into_iter().collect())
}

impl Serialize for Listed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD_NO_PAD.encode(self.to_bytes()))
    }
}

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListedVisitor)
    }
}

/// Reads the text that this version writes, and the object that version 2 wrote.
struct ListedVisitor;

impl<'de> Visitor<'de> for ListedVisitor {
    type Value = Listed;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the gids that listings held")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Listed, E> {
        let bytes = STANDARD_NO_PAD.decode(text).map_err(E::custom)?;
        Listed::of_bytes(&bytes).ok_or_else(|| E::custom("what was listed is no list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Listed, A::Error> {
        let mut listed = Listed::default();
        while let Some((parent, text)) = map.next_entry::<String, String>()? {
            let gids = parent.parse().ok().filter(|parent| i64::try_from(*parent).is_ok());
            let gids = gids.and_then(|parent| Some((parent, gids_of_version_2(parent, &text)?)));
            let broken = || A::Error::custom(format!("what was listed in {parent} is no list"));
            let (parent, gids) = gids.ok_or_else(broken)?;
            listed.put(parent, gids);
        }
        Ok(listed)
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
            // Quotation marks are there even around nothing.
            prop_assert_eq!(text.len(), listed.json_bytes().max(2));
        }

        #[test]
        fn what_is_forgotten_is_the_oldest_and_no_more_than_has_to_be(all in anything(), most in 0_usize..600) {
            let mut trimmed = listed(&all);
            trimmed.trim(most);
            prop_assert!(trimmed.json_bytes() <= most);
            let kept: Vec<u64> = trimmed.held.keys().copied().collect();
            let newest: Vec<u64> = all.keys().copied().skip(all.len() - kept.len()).collect();
            prop_assert_eq!(&kept, &newest);
            if let Some(next) = all.keys().rev().nth(kept.len()) {
                let mut larger = trimmed.clone();
                larger.set(&Gid::Number(*next), all[next].iter().map(|gid| Gid::Number(*gid)).collect());
                prop_assert!(larger.json_bytes() > most);
            }
        }
    }

    #[test]
    fn it_looks_like_this_for_ever() {
        let mut listed = Listed::default();
        listed.set(&Gid::new("1201"), rows(&[1300, 1202, 36]));
        listed.set(&Gid::new("1202"), rows(&[]));
        assert_eq!(json!(listed), json!("sQkDmRKOCWIBAA"));
        let of_version_2 = json!({"1201": "-wd.we.2q", "1202": ""});
        assert_eq!(serde_json::from_value::<Listed>(of_version_2).unwrap(), listed);
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
        assert_eq!(json!(listed), json!("AQA"));
    }

    #[test]
    fn what_is_gone_is_below_no_parent_any_more() {
        let mut listed = Listed::default();
        listed.add(&Gid::new("7"), rows(&[1, 2]));
        listed.add(&Gid::new("7"), rows(&[2, 3]));
        listed.add(&ELSEWHERE, rows(&[1]));
        assert_eq!(listed.numbers().collect::<Vec<_>>(), [1, 2, 3, 1]);
        listed.remove_everywhere(&HashSet::from([1, 9]));
        assert_eq!(listed.parents().collect::<Vec<_>>(), [7]);
        assert_eq!(listed.missing(&Gid::new("7"), &rows(&[])), numbers(&[2, 3]));
    }

    #[test]
    fn what_is_no_list_is_not_read_as_one() {
        for broken in [
            json!({"a": ""}),
            json!({"1": "é"}),
            json!({"1": "-2"}),
            json!({"1": "3w5e11264sgsf"}),
            json!({"1": 1}),
            json!("AQA="),
            json!("AQ"),
            json!("AQI"),
            json!("////////////AQA"),
            json!(1),
        ] {
            assert!(serde_json::from_value::<Listed>(broken.clone()).is_err(), "{broken}");
        }
    }
}
