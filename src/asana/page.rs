//! The envelope `{data, next_page}` around rows, and listings followed to their end. Knows no retry, no rate
//! and no stream.
//!
//! The code is shorter than 400 lines; its tests are the rest.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use memchr::memchr2;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::client::{Body, Client, Garbage, Request, Tries};
use super::fault::{Fault, Kind};
use super::notice::Notice;
use super::object::Object;
use super::surrogate::without_halves;
use super::turn::Turn;
use crate::stream::Paging;

/// The most records that Asana returns in a page.
const LARGEST_PAGE: u32 = 100;
/// Below this, a page that keeps failing does not do so for its size.
const SMALLEST_PAGE: u32 = 12;
/// After so many pages in a row a listing dares to ask for larger ones again.
const PAGES_BEFORE_LARGER: u32 = 20;
/// How often a listing may begin again without getting any further.
const FRUITLESS_RESTARTS: u32 = 3;
/// How many answers in a row may bring nothing new before a listing is taken for endless. Asana's pages are empty at
/// times, since what the token's user may not see is taken out of them.
pub(super) const FRUITLESS_ANSWERS: u32 = 10;

/// Rows as Asana sent them, except that a line break between tokens is a space, so that each is one line, and that
/// half a surrogate pair is U+FFFD, so that everybody can read it.
#[derive(Debug)]
pub struct Page {
    text: String,
    rows: Vec<Range<usize>>,
    next_offset: Option<String>,
    turn: Option<Turn>,
}

impl Page {
    /// The rows, each one JSON object on one line.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &str> {
        self.rows.iter().map(|range| &self.text[range.clone()])
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Drops the rows that `seen` has, and notes the others in it.
    pub(super) fn keep_new(&mut self, seen: &mut Seen) {
        let Self { text, rows, .. } = self;
        rows.retain(|row| seen.is_new(&text[row.clone()]));
    }

    /// The body's turn, if it has one.
    pub fn turn(&self) -> Option<&Turn> {
        self.turn.as_ref()
    }

    /// What to keep for as long as anything made from the rows is in memory.
    pub fn into_turn(self) -> Option<Turn> {
        if let Some(turn) = &self.turn {
            turn.give_back(self.text.into_bytes());
        }
        self.turn
    }

    /// Like [`Page::parse`], and keeps the body's turn.
    pub(super) fn read(body: Body, limit: Option<u32>) -> Result<Self, Garbage> {
        Self::parse(body.bytes, limit).map(|page| Self { turn: Some(body.turn), ..page })
    }

    /// Reads the answer to a request for at most `limit` rows, if it named a limit.
    pub fn parse(body: Vec<u8>, limit: Option<u32>) -> Result<Self, Garbage> {
        let text = utf8(body)?;
        let expected = "a list of records under `data`";
        let read = serde_json::from_str(&text).map_err(|error| format!("{expected} ({error})"));
        let read = read.and_then(|Object(envelope): Object<ListEnvelope<'_>>| {
            let rows: Option<Vec<_>> = envelope.data.iter().map(|row| place(row, &text)).collect();
            let rows = rows.ok_or_else(|| expected.to_owned())?;
            match envelope.next_page {
                Some(next_page) => Ok((rows, next_page.map(|Object(next)| next.offset))),
                None if limit.is_none_or(|limit| rows.len() < limit as usize) => Ok((rows, None)),
                None => Err("`next_page` with a full page".to_owned()),
            }
        });
        match read {
            Ok((rows, next_offset)) => Ok(Self { text: on_one_line(text), rows, next_offset, turn: None }),
            Err(expected) => Err(Garbage::new(expected, text)),
        }
    }
}

/// Where an object that was read from `text` lies in it; `None` for what is no object.
fn place(object: &RawValue, text: &str) -> Option<Range<usize>> {
    let object = object.get();
    let start = object.as_ptr().addr() - text.as_ptr().addr();
    object.starts_with('{').then_some(start..start + object.len())
}

/// A listing, page by page.
#[derive(Debug)]
pub struct Pages {
    client: Client,
    request: Request,
    paging: Paging,
    /// Where the next page begins; `None` at the first.
    offset: Option<String>,
    limit: u32,
    /// No page is larger: Asana has called such a one too large.
    most: u32,
    pages_since_smaller: u32,
    is_done: bool,
    seen: Seen,
    fruitless_restarts: u32,
    fruitless_pages: u32,
    /// Rows that a listing which was begun again shows before it gets to new ones.
    rows_to_repeat: usize,
}

impl Pages {
    /// `request` has neither `limit` nor `offset`.
    pub fn new(client: Client, request: Request, paging: Paging) -> Self {
        Self {
            client,
            request,
            paging,
            offset: None,
            limit: LARGEST_PAGE,
            most: LARGEST_PAGE,
            pages_since_smaller: 0,
            is_done: false,
            seen: Seen::default(),
            fruitless_restarts: 0,
            fruitless_pages: 0,
            rows_to_repeat: 0,
        }
    }

    /// The next page that has rows not yet given out, or `None` at the end of the listing. Pages without such
    /// rows are passed over. After a fault the same page is asked for again.
    ///
    /// # Errors
    ///
    /// Whatever keeps a page from coming: the listing is not complete then.
    pub async fn next(&mut self) -> Result<Option<Page>, Fault> {
        while !self.is_done {
            let Some(mut page) = self.fetch().await? else { continue };
            let rows = page.len();
            self.advance(page.next_offset.take(), rows == 0)?;
            // Rows can come twice when a listing is begun again or changes while it is read. A listing of
            // one page cannot show any twice.
            if !(self.seen.is_empty() && self.is_done) {
                page.keep_new(&mut self.seen);
            }
            if !page.is_empty() {
                self.fruitless_restarts = 0;
                self.fruitless_pages = 0;
                return Ok(Some(page));
            }
            self.note_fruitless(rows)?;
        }
        Ok(None)
    }

    /// Whether the last answer was the last one.
    pub fn is_at_end(&self) -> bool {
        self.is_done
    }

    /// A page of so many rows brought nothing new. A server that goes on like that is not followed for ever.
    fn note_fruitless(&mut self, rows: usize) -> Result<(), Fault> {
        if rows > 0 && self.rows_to_repeat > 0 {
            self.rows_to_repeat = self.rows_to_repeat.saturating_sub(rows);
            return Ok(());
        }
        self.fruitless_pages += 1;
        if self.is_done || self.fruitless_pages < FRUITLESS_ANSWERS {
            return Ok(());
        }
        let message = "expected new records or the end of the listing, got neither from many pages in a row";
        Err(Fault::new(Kind::DistrustAnswer, Some(200), message, &self.request.asked()))
    }

    /// One page, or `None` when the listing has to go on in another way.
    async fn fetch(&mut self) -> Result<Option<Page>, Fault> {
        let mut request = self.request.clone();
        let limit = matches!(self.paging, Paging::Offset | Paging::UntilEmpty).then_some(self.limit);
        if let Some(limit) = limit {
            request = request.query("limit", limit.to_string());
        }
        if let Some(offset) = &self.offset {
            request = request.query("offset", offset.clone());
        }
        let can_shrink = limit.is_some_and(|limit| limit / 2 >= SMALLEST_PAGE);
        let can_ask_for_less = limit.is_some_and(|limit| limit > 1);
        let tries = if can_shrink { Tries::Few } else { Tries::All };
        let read = |body| Page::read(body, limit);
        let mut fetched = self.client.fetch(&request, tries, read).await;
        if matches!(&fetched, Err(Fault { kind: Kind::SlowDown { retry_after: None }, .. })) && can_shrink {
            // A page is not rejected for its size, so a smaller one would be no other way.
            fetched = self.client.fetch(&request, Tries::All, read).await;
        }
        if matches!(&fetched, Err(fault) if fault.kind == Kind::CorrectRequest)
            && self.offset.is_none()
            && let Some((name, value)) = self.request.fallback.take()
        {
            let with = self.request.clone().query(name, value);
            self.request = with;
            return Ok(None);
        }
        match fetched {
            Ok(page) => {
                self.pages_since_smaller += 1;
                if self.pages_since_smaller >= PAGES_BEFORE_LARGER {
                    self.pages_since_smaller = 0;
                    self.limit = (self.limit * 2).next_multiple_of(25).min(self.most);
                }
                Ok(Some(page))
            }
            Err(fault) if fault.kind == Kind::AskForLess && self.paging == Paging::Whole => {
                // "You should use pagination", Asana says then.
                self.paging = Paging::Offset;
                Ok(None)
            }
            Err(fault)
                if (can_shrink && may_be_for_its_size(&fault))
                    || (can_ask_for_less && fault.kind == Kind::AskForLess) =>
            {
                self.limit = (self.limit / 2).max(1);
                if fault.kind == Kind::AskForLess {
                    self.most = self.limit;
                }
                self.pages_since_smaller = 0;
                self.client
                    .notify(Notice::SmallerPages { endpoint: self.request.object(), limit: self.limit });
                Ok(None)
            }
            Err(fault)
                if fault.kind == Kind::RestartListing
                    && self.offset.is_some()
                    && self.fruitless_restarts < FRUITLESS_RESTARTS =>
            {
                self.fruitless_restarts += 1;
                self.rows_to_repeat = self.seen.len();
                self.offset = None;
                self.client.notify(Notice::ListingRestarted { endpoint: self.request.object() });
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    fn advance(&mut self, next_offset: Option<String>, was_empty: bool) -> Result<(), Fault> {
        self.is_done = match self.paging {
            Paging::Offset | Paging::Whole | Paging::ByTime => next_offset.is_none(),
            Paging::UntilEmpty => next_offset.is_none() || was_empty,
        };
        if !self.is_done && next_offset == self.offset {
            let message = "expected the offset of another page, got that of the same one";
            return Err(Fault::new(Kind::DistrustAnswer, Some(200), message, &self.request.asked()));
        }
        self.offset = next_offset;
        Ok(())
    }
}

/// The text of the object under `data` of a detail endpoint such as `/users/me`, on one line.
///
/// # Errors
///
/// Whatever keeps it from coming.
pub async fn get_one(client: &Client, request: &Request) -> Result<String, Fault> {
    let read = |body: Body| {
        let text = utf8(body.bytes)?;
        let expected = "an object under `data`";
        let object = serde_json::from_str(&text).map_err(|error| format!("{expected} ({error})"));
        let object = object.and_then(|Object(envelope): Object<OneEnvelope<'_>>| {
            place(envelope.data, &text).ok_or_else(|| expected.to_owned())
        });
        match object {
            Ok(object) => Ok(on_one_line(text[object].to_owned())),
            Err(expected) => Err(Garbage::new(expected, text)),
        }
    };
    client.fetch(request, Tries::All, read).await
}

#[derive(Deserialize)]
struct ListEnvelope<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    /// `None` where it is missing, `Some(None)` where it is null.
    #[serde(default, deserialize_with = "present")]
    next_page: Option<Option<Object<NextPage>>>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Object<NextPage>>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct OneEnvelope<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct NextPage {
    offset: String,
}

/// The rows that a listing has given out: their gids, which are strings of digits, or else a hash of the row.
#[derive(Debug, Default)]
pub(super) struct Seen {
    gids: HashSet<u64>,
    others: HashSet<u64>,
}

impl Seen {
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        self.gids.len() + self.others.len()
    }

    fn is_new(&mut self, row: &str) -> bool {
        #[derive(Deserialize)]
        struct Probe<'a> {
            #[serde(borrow)]
            gid: &'a str,
        }
        let probed = || serde_json::from_str::<Probe<'_>>(row).ok().map(|probe| probe.gid);
        let gid = leading_gid(row).or_else(probed);
        match gid.and_then(number) {
            Some(number) => self.gids.insert(number),
            None => self.others.insert(hash(gid.unwrap_or(row))),
        }
    }
}

/// The gid of a row that begins with it, as Asana's do; the rest of the row need not be read for it.
fn leading_gid(row: &str) -> Option<&str> {
    let (gid, _) = row.strip_prefix(r#"{"gid":""#)?.split_once('"')?;
    gid.bytes().all(|byte| byte.is_ascii_digit()).then_some(gid)
}

/// The number that a gid is, if no other gid is that number too.
fn number(gid: &str) -> Option<u64> {
    let is_canonical = gid.bytes().all(|byte| byte.is_ascii_digit()) && (gid == "0" || !gid.starts_with('0'));
    if is_canonical { gid.parse().ok() } else { None }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Whether a smaller page may succeed where this one kept failing.
fn may_be_for_its_size(fault: &Fault) -> bool {
    matches!(fault.kind, Kind::TryAgain | Kind::Reconnect | Kind::DistrustAnswer)
}

/// The text of a body, in which JSON's escapes stand for characters.
pub(super) fn utf8(body: Vec<u8>) -> Result<String, Garbage> {
    String::from_utf8(body).map(without_halves).map_err(|error| {
        Garbage::new(format!("JSON ({error})"), String::from_utf8_lossy(error.as_bytes()).as_bytes())
    })
}

/// Valid JSON has line breaks between tokens only, where a space does as well.
fn on_one_line(json: String) -> String {
    if memchr2(b'\n', b'\r', json.as_bytes()).is_none() {
        return json;
    }
    json.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use airbyte_connector::Secrets;

    fn page(text: &str) -> Result<Page, Garbage> {
        Page::parse(text.into(), Some(100))
    }

    fn rows(text: &str) -> Vec<String> {
        page(text).unwrap().rows().map(str::to_owned).collect()
    }

    #[test]
    fn rows_are_kept_to_the_byte() {
        let first =
            r#"{"gid":"1","n": 1e2,"d":0.10,"s":"\ud83d\ude00\/é","a":[ ],"gid2":123456789012345678901}"#;
        let text =
            format!(r#"{{"data":[{first}, {{}}],"next_page":{{"offset":"x","path":"/p","uri":"u"}}}}"#);
        assert_eq!(rows(&text), [first, "{}"]);
        assert_eq!(page(&text).unwrap().next_offset.as_deref(), Some("x"));
    }

    #[test]
    fn half_a_surrogate_pair_does_not_make_a_row_unreadable() {
        let text = r#"{"data":[{"gid":"1","name":"cut \ud83d"},{"gid":"2"}],"next_page":null}"#;
        assert_eq!(rows(text), [r#"{"gid":"1","name":"cut \ufffd"}"#, r#"{"gid":"2"}"#]);
    }

    #[test]
    fn line_breaks_between_tokens_are_spaces() {
        let text = "{\n\"data\": [\r\n  {\n    \"gid\": \"1\\n\"\n  }\n], \"next_page\": null\n}";
        assert_eq!(rows(text), [r#"{     "gid": "1\n"   }"#]);
    }

    #[test]
    fn only_a_list_of_objects_is_a_page() {
        let full = vec!["{}"; 100].join(",");
        let texts = [
            "",
            "<html>",
            "[]",
            "[[]]",
            r#"[[{"gid":"1"}],null]"#,
            "{}",
            r#"{"data":null,"next_page":null}"#,
            r#"{"data":{"gid":"1"},"next_page":null}"#,
            r#"{"data":[1],"next_page":null}"#,
            r#"{"data":[null],"next_page":null}"#,
            r#"{"data":[{"gid":"1"}],"next_page":null"#,
            r#"{"data":[{"gid":"1"}],"next_page":{}}"#,
            r#"{"data":[{"gid":"1"}],"next_page":["x"]}"#,
            r#"{"data":[{"gid":"1"}],"next_page":"x"}"#,
            r#"{"data":[],"data":[{}],"next_page":null}"#,
            "{\"data\":[{\"gid\":\"a\nb\"}],\"next_page\":null}",
            &format!(r#"{{"data":[{full}]}}"#),
        ];
        for text in texts {
            let garbage = page(text).expect_err(text);
            let Garbage { expected, body } = garbage;
            let [expected, body] = [expected, body].map(|text| text.redact(&Secrets::default()));
            assert_eq!(*body, *text);
            assert!(expected.contains("data") || expected.contains("next_page"), "{expected}");
        }
        assert!(Page::parse(b"{\"data\":[\"\xff\"]}".into(), None).is_err());
    }

    #[test]
    fn a_next_page_that_is_missing_is_the_end_of_a_page_that_is_not_full() {
        assert_eq!(page(r#"{"data":[{}]}"#).unwrap().next_offset, None);
        let full = vec!["{}"; 100].join(",");
        let text = format!(r#"{{"data":[{full}]}}"#);
        assert!(Page::parse(text.into(), None).is_ok(), "nor without a limit");
    }

    #[test]
    fn rows_are_told_apart_by_gid_and_without_one_by_all_of_them() {
        let mut seen = Seen::default();
        let fresh = [
            r#"{"gid":"1"}"#,
            r#"{"gid":"01"}"#,
            r#"{"gid":"18446744073709551616"}"#,
            r#"{"gid":"x"}"#,
            r#"{"gid":1}"#,
            r#"{"name":"a"}"#,
            r#"{"name":"b"}"#,
        ];
        for row in fresh {
            assert!(seen.is_new(row), "{row}");
        }
        for row in fresh {
            assert!(!seen.is_new(row), "{row}");
        }
        assert!(!seen.is_new(r#"{"name":"changed","gid":"1"}"#));
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..6).prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_rows_survive(
            objects in prop::collection::vec(prop::collection::hash_map(any::<String>(), json_value(), 0..5), 0..10),
        ) {
            let objects: Vec<Value> = objects.into_iter().map(Value::from_iter).collect();
            let texts: Vec<String> = objects.iter().map(Value::to_string).collect();
            let compact = format!(r#"{{"next_page":null,"data":[{}]}}"#, texts.join(","));
            prop_assert_eq!(&rows(&compact), &texts);
            let pretty = serde_json::to_string_pretty(&json!({"data": objects, "next_page": null})).unwrap();
            let read = rows(&pretty);
            prop_assert!(read.iter().all(|row| !row.contains(['\n', '\r'])));
            let read: Vec<Value> = read.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
            let written: Vec<Value> = texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
            prop_assert_eq!(read, written);
        }
    }
}
