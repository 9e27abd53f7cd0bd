//! One row of a page as JSON text: reads the fields that the read path needs, and writes the bytes of the record.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::io::Write;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::gid::Gid;
use crate::moment::Moment;

/// The parts of a row that the read path needs: the gid and the fields in the plan.
#[derive(Debug, PartialEq)]
pub struct Probe<'row> {
    /// `None` if the row has no gid, or one that is not text. Asana's documentation rules that out.
    pub gid: Option<Gid>,
    fields: Vec<Option<&'row str>>,
}

impl<'row> Probe<'row> {
    /// Reads the fields `names` of the row. If a key is repeated, the last value is used.
    ///
    /// # Errors
    ///
    /// If the row is not a JSON object.
    pub fn read(row: &'row str, names: &[&'static str]) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(row);
        ProbeSeed { names }.deserialize(&mut deserializer)
    }

    /// The JSON text of the field with this index in `names`.
    pub fn field(&self, index: usize) -> Option<&'row str> {
        self.fields[index]
    }
}

/// The time in a field's JSON text.
pub fn moment(json: Option<&str>) -> Option<Moment> {
    Moment::parse(json?.strip_prefix('"')?.strip_suffix('"')?)
}

/// The gid in a field's JSON text that is a reference; `None` for null.
pub fn reference(json: Option<&str>) -> Option<Gid> {
    Probe::read(json.filter(|text| *text != "null")?, &[]).ok()?.gid
}

/// Appends the record to `output`: the row as Asana sent it, without columns that are not selected, and with the
/// columns that the connector adds.
///
/// # Errors
///
/// If the row is not a JSON object.
pub fn shape(
    row: &str,
    chosen: Option<&BTreeSet<String>>,
    added: &[(&str, &str)],
    output: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    let start = output.len();
    match chosen {
        None => output.extend_from_slice(row.trim_end().as_bytes()),
        Some(chosen) => {
            output.push(b'{');
            let mut deserializer = serde_json::Deserializer::from_str(row);
            ChooseSeed { chosen, output }.deserialize(&mut deserializer)?;
            output.push(b'}');
        }
    }
    for (column, value) in added {
        debug_assert_eq!(output.last(), Some(&b'}'), "a row is an object");
        output.pop();
        let is_empty = output[start..].iter().all(|byte| *byte == b'{' || byte.is_ascii_whitespace());
        let comma = if is_empty { "" } else { "," };
        let value = serde_json::to_string(value)?;
        write!(output, r#"{comma}"{column}":{value}}}"#).expect("a Vec takes every write");
    }
    Ok(())
}

struct ProbeSeed<'names> {
    names: &'names [&'static str],
}

impl<'de> DeserializeSeed<'de> for ProbeSeed<'_> {
    type Value = Probe<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Probe<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ProbeSeed<'_> {
    type Value = Probe<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a record, which is an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Probe<'de>, A::Error> {
        let mut probe = Probe { gid: None, fields: vec![None; self.names.len()] };
        while let Some(Key(key)) = map.next_key()? {
            if key == "gid" {
                let value: &RawValue = map.next_value()?;
                let text: Option<String> = serde_json::from_str(value.get()).ok();
                probe.gid = text.map(|text| Gid::new(&text));
            } else if let Some(index) = self.names.iter().position(|name| *name == key) {
                let value: &'de RawValue = map.next_value()?;
                probe.fields[index] = Some(value.get());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(probe)
    }
}

struct ChooseSeed<'a> {
    chosen: &'a BTreeSet<String>,
    output: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for ChooseSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ChooseSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a record, which is an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut is_first = true;
        while let Some(Key(key)) = map.next_key()? {
            if !self.chosen.contains(key.as_ref()) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value: &RawValue = map.next_value()?;
            if !is_first {
                self.output.push(b',');
            }
            is_first = false;
            serde_json::to_writer(&mut *self.output, &key).map_err(A::Error::custom)?;
            self.output.push(b':');
            self.output.extend_from_slice(value.get().as_bytes());
        }
        Ok(())
    }
}

/// A key, borrowed from the row unless it contains an escape.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a key")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn shaped(row: &str, chosen: Option<&[&str]>, added: &[(&str, &str)]) -> String {
        let chosen = chosen.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let mut output = Vec::new();
        shape(row, chosen.as_ref(), added, &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn the_named_fields_are_read_as_text() {
        let row = r#"{"modified_at":"2024-01-01T00:00:00.000Z","gid":"12","num_subtasks":3,"x":{"num_subtasks":4}}"#;
        let probe = Probe::read(row, &["num_subtasks", "modified_at", "parent"]).unwrap();
        assert_eq!(probe.gid, Some(Gid::Number(12)));
        assert_eq!((probe.field(0), probe.field(2)), (Some("3"), None));
        assert_eq!(moment(probe.field(1)), Moment::parse("2024-01-01"));
    }

    #[test]
    fn a_gid_must_be_text_and_a_row_must_be_an_object() {
        assert_eq!(Probe::read(r#"{"gid":12}"#, &[]).unwrap().gid, None);
        assert_eq!(Probe::read(r#"{"name":"a"}"#, &[]).unwrap().gid, None);
        for nonsense in ["[]", "3", "null", "\"a\""] {
            assert!(Probe::read(nonsense, &[]).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn a_reference_is_a_gid_or_nothing() {
        assert_eq!(reference(Some(r#"{"gid":"7","name":"a"}"#)), Some(Gid::Number(7)));
        assert_eq!(reference(Some("null")), None);
        assert_eq!(reference(None), None);
    }

    #[test]
    fn a_row_passes_through_byte_for_byte() {
        let row = r#"{"gid":"1","n":1.10,"big":123456789012345678901,"name":"a\u00e9\"b","x":null}"#;
        assert_eq!(shaped(row, None, &[]), row);
    }

    #[test]
    fn the_parent_is_added_and_unselected_columns_are_removed() {
        assert_eq!(
            shaped(r#"{"gid":"1"} "#, None, &[("task_gid", "9"), ("at", "now")]),
            r#"{"gid":"1","task_gid":"9","at":"now"}"#
        );
        assert_eq!(shaped("{ }", None, &[("task_gid", "9")]), r#"{ "task_gid":"9"}"#);
        assert_eq!(
            shaped(r#"{"gid":"1", "n\u0061me":"b","num_subtasks":4}"#, Some(&["gid", "name"]), &[("p", "9")]),
            r#"{"gid":"1","name":"b","p":"9"}"#
        );
        assert_eq!(shaped(r#"{"a":1}"#, Some(&[]), &[("p", "9")]), r#"{"p":"9"}"#);
    }

    proptest! {
        #[test]
        fn choosing_keeps_the_chosen_values_and_nothing_else(
            fields in proptest::collection::btree_map("[a-e\"é]{1,2}", proptest::option::of("[\\PC]{0,9}"), 0..6),
            chosen in proptest::collection::btree_set("[a-e\"é]{1,2}", 0..6),
        ) {
            let row = json!(fields).to_string();
            let mut output = Vec::new();
            shape(&row, Some(&chosen), &[], &mut output).unwrap();
            let kept: Value = serde_json::from_slice(&output).unwrap();
            let expected: std::collections::BTreeMap<_, _> =
                fields.into_iter().filter(|(name, _)| chosen.contains(name)).collect();
            prop_assert_eq!(kept, json!(expected));
        }
    }
}
