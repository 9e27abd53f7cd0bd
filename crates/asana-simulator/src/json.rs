//! Writes JSON objects field by field, only the fields that a selection asks for.

use std::fmt::Display;

use crate::gid::Gid;
use crate::opt_fields::{Level, Selection};
use crate::time::{Day, Timestamp, append, digits};

/// An object being written.
pub(crate) struct Object<'o, 's> {
    out: &'o mut String,
    selection: &'s Selection,
    empty: bool,
}

impl<'o, 's> Object<'o, 's> {
    pub(crate) fn begin(out: &'o mut String, selection: &'s Selection) -> Self {
        out.push('{');
        Self { out, selection, empty: true }
    }

    /// Starts an object with a gid, which is always written.
    pub(crate) fn of(out: &'o mut String, selection: &'s Selection, gid: Gid) -> Self {
        let mut object = Self::begin(out, selection);
        object.key("gid");
        object.out.push('"');
        digits(object.out, gid.number(), 16);
        object.out.push('"');
        object
    }

    /// Starts a resource: its gid, and its `resource_type` if selected.
    pub(crate) fn resource(out: &'o mut String, selection: &'s Selection, gid: Gid) -> Self {
        let mut object = Self::of(out, selection, gid);
        object.word("resource_type", Level::Compact, gid.kind().resource_type());
        object
    }

    pub(crate) fn end(self) {
        self.out.push('}');
    }

    /// The selection inside a field that is to be written.
    pub(crate) fn wants(&self, name: &str, level: Level) -> Option<&'s Selection> {
        self.selection.inside(name, level)
    }

    /// A string that needs no escaping, such as an enum's value.
    pub(crate) fn word(&mut self, name: &str, level: Level, value: &str) {
        if self.wants(name, level).is_some() {
            self.key(name);
            self.out.push('"');
            self.out.push_str(value);
            self.out.push('"');
        }
    }

    pub(crate) fn optional_word(&mut self, name: &str, level: Level, value: Option<&str>) {
        match value {
            Some(value) => self.word(name, level, value),
            None => self.null(name, level),
        }
    }

    /// Any string.
    pub(crate) fn text(&mut self, name: &str, level: Level, value: &str) {
        if self.wants(name, level).is_some() {
            self.key(name);
            escape(self.out, value);
        }
    }

    pub(crate) fn optional_text(&mut self, name: &str, level: Level, value: Option<&str>) {
        match value {
            Some(value) => self.text(name, level, value),
            None => self.null(name, level),
        }
    }

    /// Any string that is expensive to create.
    pub(crate) fn made_text(&mut self, name: &str, level: Level, make: impl FnOnce() -> String) {
        if self.wants(name, level).is_some() {
            self.key(name);
            escape(self.out, &make());
        }
    }

    pub(crate) fn flag(&mut self, name: &str, level: Level, value: bool) {
        self.literal(name, level, if value { "true" } else { "false" });
    }

    pub(crate) fn integer(&mut self, name: &str, level: Level, value: u64) {
        self.plain(name, level, value);
    }

    /// A JSON number; a whole one is written without a fraction, as JavaScript does.
    pub(crate) fn number(&mut self, name: &str, level: Level, value: f64) {
        self.plain(name, level, value);
    }

    pub(crate) fn optional_number(&mut self, name: &str, level: Level, value: Option<f64>) {
        match value {
            Some(value) => self.number(name, level, value),
            None => self.null(name, level),
        }
    }

    pub(crate) fn time(&mut self, name: &str, level: Level, value: Timestamp) {
        if self.wants(name, level).is_some() {
            self.key(name);
            self.out.push('"');
            value.append_to(self.out);
            self.out.push('"');
        }
    }

    pub(crate) fn optional_time(&mut self, name: &str, level: Level, value: Option<Timestamp>) {
        match value {
            Some(value) => self.time(name, level, value),
            None => self.null(name, level),
        }
    }

    pub(crate) fn optional_day(&mut self, name: &str, level: Level, value: Option<Day>) {
        if self.wants(name, level).is_some() {
            self.key(name);
            match value {
                Some(value) => {
                    self.out.push('"');
                    value.append_to(self.out);
                    self.out.push('"');
                }
                None => self.out.push_str("null"),
            }
        }
    }

    pub(crate) fn null(&mut self, name: &str, level: Level) {
        self.literal(name, level, "null");
    }

    /// An object or any other value, written by `write`.
    pub(crate) fn nested(
        &mut self,
        name: &str,
        level: Level,
        write: impl FnOnce(&mut String, &'s Selection),
    ) {
        if let Some(inner) = self.wants(name, level) {
            self.key(name);
            write(self.out, inner);
        }
    }

    /// An object, or null.
    pub(crate) fn optional<T>(
        &mut self,
        name: &str,
        level: Level,
        value: Option<T>,
        write: impl FnOnce(&mut String, &'s Selection, T),
    ) {
        self.nested(name, level, |out, inner| match value {
            Some(value) => write(out, inner, value),
            None => out.push_str("null"),
        });
    }

    /// An array with one element per item.
    pub(crate) fn each<T>(
        &mut self,
        name: &str,
        level: Level,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut String, &'s Selection, T),
    ) {
        self.nested(name, level, |out, inner| {
            out.push('[');
            for (position, item) in items.into_iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write(out, inner, item);
            }
            out.push(']');
        });
    }

    fn literal(&mut self, name: &str, level: Level, value: &str) {
        if self.wants(name, level).is_some() {
            self.key(name);
            self.out.push_str(value);
        }
    }

    fn plain(&mut self, name: &str, level: Level, value: impl Display) {
        if self.wants(name, level).is_some() {
            self.key(name);
            append(self.out, value);
        }
    }

    fn key(&mut self, name: &str) {
        if !self.empty {
            self.out.push(',');
        }
        self.empty = false;
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
    }
}

/// Appends a JSON string.
pub(crate) fn escape(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    // Every byte that needs escaping is a separate character.
    while let Some(position) = rest.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        out.push_str(&rest[..position]);
        match rest.as_bytes()[position] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => append(out, format_args!("\\u{control:04x}")),
        }
        rest = &rest[position + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gid::Kind;

    #[test]
    fn escaping_agrees_with_an_independent_reader() {
        let all: String =
            (0_u32..0x180).filter_map(char::from_u32).chain("🚀\u{202e}שלום\u{2028}".chars()).collect();
        let mut out = String::new();
        escape(&mut out, &all);
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), all);
        assert!(!out.contains('\n'));
    }

    #[test]
    fn only_what_is_asked_for_is_written_and_always_the_gid() {
        let selection = Selection::parse("notes");
        let mut out = String::new();
        let mut object = Object::resource(&mut out, &selection, Gid::new(Kind::Task, 0));
        object.text("name", Level::Compact, "a");
        object.text("notes", Level::Standard, "b");
        object.end();
        let value: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(value, serde_json::json!({"gid": Gid::new(Kind::Task, 0), "notes": "b"}));
    }
}
