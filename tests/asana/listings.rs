//! Complete listings over real sockets: expired offsets, empty pages, pages that are too large, and endless listings.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use source_asana::asana::{Client, Fault, Kind, Notice, Pages, Request};
use source_asana::stream::Paging;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::http::{ATTEMPTS, client, notices};
use crate::server::{Received, Reply, Server};

/// A page of records with these gids.
fn page(gids: impl IntoIterator<Item = u32>, next: Option<&str>) -> Reply {
    let data: Vec<Value> = gids.into_iter().map(|gid| json!({"gid": gid.to_string()})).collect();
    let next_page = next.map(|offset| json!({"offset": offset, "path": "/p", "uri": "https://u"}));
    Reply::json(200, json!({"data": data, "next_page": next_page}))
}

fn expired() -> Reply {
    Reply::error(400, "offset: Your pagination token has expired.")
}

fn parameters(received: &Received) -> BTreeMap<String, String> {
    let query = received.target.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn offset(received: &Received) -> Option<String> {
    parameters(received).remove("offset")
}

/// A listing read until its end or its first fault.
struct Read {
    gids: Vec<String>,
    end: Result<(), Fault>,
    asked: Vec<BTreeMap<String, String>>,
    notices: Vec<Notice>,
}

async fn read(paging: Paging, reply: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) -> Read {
    let server = Server::start(reply).await;
    let (client, mut told): (Client, UnboundedReceiver<Notice>) = client(server.base_url());
    let request = Request::new("/tasks", "/tasks").query("project", "7");
    let mut pages = Pages::new(client, request, paging);
    let mut gids = Vec::new();
    let end = loop {
        match pages.next().await {
            Ok(Some(page)) => {
                assert!(!page.is_empty(), "a page without rows is passed over");
                assert_eq!(page.rows().len(), page.len());
                gids.extend(page.rows().map(|row| {
                    let row: Value = serde_json::from_str(row).unwrap();
                    row["gid"].as_str().unwrap().to_owned()
                }));
            }
            Ok(None) => {
                assert!(matches!(pages.next().await, Ok(None)), "the end stays the end");
                break Ok(());
            }
            Err(fault) => break Err(fault),
        }
    };
    let asked = server.received().iter().map(parameters).collect();
    Read { gids, end, asked, notices: notices(&mut told) }
}

fn texts(gids: impl IntoIterator<Item = u32>) -> Vec<String> {
    gids.into_iter().map(|gid| gid.to_string()).collect()
}

#[tokio::test]
async fn offsets_are_followed_and_empty_pages_are_not_the_end() {
    let read = read(Paging::Offset, |_, received| match offset(received).as_deref() {
        None => page([], Some("a")),
        Some("a") => page([1, 2], Some("b%2F=")),
        Some("b%252F%3D") => page([], Some("c")),
        Some("c") => page([3], None),
        other => panic!("{other:?}"),
    })
    .await;
    assert_eq!((read.end, read.gids), (Ok(()), texts([1, 2, 3])));
    assert_eq!(read.asked.len(), 4);
    for asked in read.asked {
        assert_eq!((asked["limit"].as_str(), asked["project"].as_str()), ("100", "7"));
    }
}

#[tokio::test]
async fn a_listing_of_an_empty_page_is_empty() {
    let read = read(Paging::Offset, |_, _| page([], None)).await;
    assert_eq!((read.end, read.gids), (Ok(()), texts([])));
}

#[tokio::test]
async fn an_expired_offset_begins_the_listing_again_without_a_record_twice() {
    // While the listing expires, 4 appears at its beginning.
    let read = read(Paging::Offset, |index, received| match (index, offset(received).as_deref()) {
        (0, None) => page([1, 2], Some("a")),
        (1, Some("a")) => page([3], Some("b")),
        (2, Some("b")) => expired(),
        (_, None) => page([4, 1], Some("c")),
        (_, Some("c")) => page([2, 3], Some("d")),
        (_, Some("d")) => page([5], None),
        other => panic!("{other:?}"),
    })
    .await;
    assert_eq!((read.end, read.gids), (Ok(()), texts([1, 2, 3, 4, 5])));
    assert_eq!(read.notices, [Notice::ListingRestarted { endpoint: "/tasks?project=7".to_owned() }]);
}

#[tokio::test]
async fn a_listing_may_begin_again_as_long_as_it_gets_further() {
    // Each round shows one record more before the offset expires.
    let read = read(Paging::Offset, |index, received| {
        let round = index as u32 / 2;
        match offset(received) {
            None => page(1..=round + 1, Some("a")),
            Some(_) if round < 10 => expired(),
            Some(_) => page([100], None),
        }
    })
    .await;
    assert_eq!((read.end, read.gids), (Ok(()), texts((1..=11).chain([100]))));
}

#[tokio::test]
async fn offsets_that_always_expire_are_a_fault() {
    let read = read(Paging::Offset, |_, received| match offset(received) {
        None => page([1], Some("a")),
        Some(_) => expired(),
    })
    .await;
    assert_eq!(read.gids, texts([1]));
    assert_eq!(read.end.unwrap_err().kind, Kind::RestartListing);
    assert_eq!(read.asked.len(), 8, "three more rounds than the first");
}

#[tokio::test]
async fn a_truncated_result_is_not_the_end() {
    let read = read(Paging::Offset, |_, received| match offset(received) {
        None => page([1], Some("a")),
        Some(_) => Reply::error(400, "The result set is too large and has been truncated."),
    })
    .await;
    assert_eq!(read.gids, texts([1]));
    assert_eq!(read.end.unwrap_err().kind, Kind::SplitListing);
    assert_eq!(read.asked.len(), 2);
}

#[tokio::test]
async fn no_refusal_in_the_middle_is_the_end() {
    for status in [400, 401, 402, 403, 404, 451] {
        let read = read(Paging::Offset, move |_, received| match offset(received) {
            None => page([1], Some("a")),
            Some(_) => Reply::error(status, "no"),
        })
        .await;
        assert_eq!(read.end.unwrap_err().status, Some(status));
        assert_eq!(read.asked.len(), 2);
    }
}

#[tokio::test]
async fn an_offset_that_leads_to_itself_is_a_fault() {
    let read = read(Paging::Offset, |_, _| page([1], Some("a"))).await;
    assert_eq!(read.end.unwrap_err().kind, Kind::DistrustAnswer);
    assert_eq!(read.asked.len(), 2);
}

#[tokio::test]
async fn a_fault_can_be_followed_by_another_try_at_the_same_page() {
    let server = Server::start(|index, received| match (index, offset(received).as_deref()) {
        (0, None) => page([1], Some("a")),
        (1, Some("a")) => Reply::error(403, "not yet"),
        (2, Some("a")) => page([2], None),
        other => panic!("{other:?}"),
    })
    .await;
    let (client, _told) = client(server.base_url());
    let mut pages = Pages::new(client, Request::new("/tasks", "/tasks"), Paging::Offset);
    assert_eq!(pages.next().await.unwrap().unwrap().len(), 1);
    assert_eq!(pages.next().await.unwrap_err().status, Some(403));
    assert_eq!(pages.next().await.unwrap().unwrap().len(), 1);
    assert!(matches!(pages.next().await, Ok(None)));
}

/// A server with this many records that uses numbers as offsets and fails on larger pages.
fn large(records: u32, largest: u32, failure: Reply) -> impl Fn(usize, &Received) -> Reply + Send + Sync {
    move |_, received| {
        let parameters = parameters(received);
        let limit: u32 = parameters["limit"].parse().unwrap();
        let start: u32 = parameters.get("offset").map_or(0, |offset| offset.parse().unwrap());
        if limit > largest {
            return failure.clone();
        }
        let end = (start + limit).min(records);
        page(start..end, (end < records).then(|| end.to_string()).as_deref())
    }
}

#[tokio::test]
async fn pages_that_keep_failing_are_asked_for_with_fewer_records() {
    for failure in [Reply::error(504, "took too long"), Reply::CutOff(200, b"{\"data\":[".to_vec())] {
        let read = read(Paging::Offset, large(60, 25, failure)).await;
        assert_eq!((read.end, read.gids), (Ok(()), texts(0..60)));
        let limits: Vec<&str> = read.asked.iter().map(|asked| asked["limit"].as_str()).collect();
        assert_eq!(limits, ["100", "100", "100", "50", "50", "50", "25", "25", "25"]);
        let smaller: Vec<&Notice> =
            read.notices.iter().filter(|notice| matches!(notice, Notice::SmallerPages { .. })).collect();
        assert_eq!(smaller.len(), 2);
        assert_eq!(*smaller[1], Notice::SmallerPages { endpoint: "/tasks?project=7".to_owned(), limit: 25 });
    }
}

#[tokio::test]
async fn pages_become_larger_again_where_that_works() {
    let failing = std::sync::atomic::AtomicUsize::new(3);
    let well = large(3000, 100, Reply::Reset);
    let read = read(Paging::Offset, move |index, received| {
        let left = failing.load(std::sync::atomic::Ordering::Relaxed);
        match index < left {
            true => Reply::error(503, "for a moment"),
            false => well(index, received),
        }
    })
    .await;
    assert_eq!((read.end, read.gids), (Ok(()), texts(0..3000)));
    let limits: Vec<&str> = read.asked.iter().map(|asked| asked["limit"].as_str()).collect();
    assert_eq!(limits[..3], ["100"; 3]);
    assert_eq!(limits[3..23], ["50"; 20]);
    assert_eq!(limits[23..], ["100"; 20]);
}

#[tokio::test]
async fn a_page_that_fails_at_any_size_is_a_fault() {
    let read = read(Paging::Offset, |_, _| Reply::error(500, "Server Error")).await;
    assert_eq!(read.end.unwrap_err().kind, Kind::TryAgain);
    let limits: Vec<&str> = read.asked.iter().map(|asked| asked["limit"].as_str()).collect();
    assert_eq!(limits[limits.len() - ATTEMPTS..], ["12"; ATTEMPTS]);
}

#[tokio::test]
async fn until_empty_ends_with_an_empty_page_only() {
    let read = read(Paging::UntilEmpty, |index, _| match index {
        0 => page([1], Some("a")),
        1 => page([2], Some("b")),
        2 => page([], Some("c")),
        other => panic!("{other}"),
    })
    .await;
    assert_eq!((read.end, read.gids), (Ok(()), texts([1, 2])));
}

#[tokio::test]
async fn whole_has_no_limit_and_yet_follows_what_it_is_pointed_to() {
    let read = read(Paging::Whole, |_, received| match offset(received).as_deref() {
        None => page(0..300, Some("a")),
        Some("a") => Reply::json(200, json!({"data": [{"gid": "300"}]})),
        other => panic!("{other:?}"),
    })
    .await;
    assert_eq!((read.end, read.gids), (Ok(()), texts(0..301)));
    assert!(read.asked.iter().all(|asked| !asked.contains_key("limit")), "{:?}", read.asked);
}

/// A server that always has another offset, whether its pages are empty or show what was shown before.
#[tokio::test]
async fn a_listing_that_gets_no_further_is_a_fault_that_names_it() {
    for (paging, gids) in
        [(Paging::Offset, 0..0), (Paging::Offset, 1..3), (Paging::UntilEmpty, 1..3), (Paging::Whole, 0..0)]
    {
        let read = read(paging, move |index, _| page(gids.clone(), Some(&index.to_string()))).await;
        let fault = read.end.unwrap_err();
        assert_eq!(fault.kind, Kind::DistrustAnswer);
        assert!(
            fault.to_string().contains("GET /tasks?project=7 answered 200: expected new records"),
            "{fault}"
        );
        assert!(read.asked.len() <= 12, "{}", read.asked.len());
    }
    let read = read(Paging::Offset, |index, _| page([1], Some(if index % 2 == 0 { "a" } else { "b" }))).await;
    assert_eq!(read.end.unwrap_err().kind, Kind::DistrustAnswer);
    assert!(read.asked.len() <= 12, "{}", read.asked.len());
}

/// A restarted listing returns the same rows again, on any number of pages.
#[tokio::test]
async fn a_long_listing_may_begin_again() {
    let read = read(Paging::Offset, |index, received| match (index, offset(received)) {
        (30, Some(_)) => expired(),
        (_, None) => page([0], Some("1")),
        (_, Some(offset)) => {
            let number: u32 = offset.parse().unwrap();
            page([number], (number < 40).then(|| (number + 1).to_string()).as_deref())
        }
    })
    .await;
    assert_eq!((read.end, read.gids), (Ok(()), texts(0..=40)));
}

#[tokio::test]
async fn a_result_that_is_too_large_is_asked_for_in_ever_smaller_pages() {
    let too_large = || Reply::error(400, "The result is too large. You should use pagination!");
    let limits = |read: &Read| -> Vec<String> {
        read.asked.iter().map(|asked| asked.get("limit").cloned().unwrap_or_default()).collect()
    };
    let done = read(Paging::Offset, large(3, 3, too_large())).await;
    assert_eq!((&done.end, &done.gids), (&Ok(()), &texts(0..3)));
    assert_eq!(limits(&done), ["100", "50", "25", "12", "6", "3"]);
    let never = read(Paging::Offset, move |_, _| too_large()).await;
    assert_eq!(never.end.as_ref().unwrap_err().kind, Kind::AskForLess);
    assert_eq!(limits(&never), ["100", "50", "25", "12", "6", "3", "1"]);
    let whole = read(Paging::Whole, move |_, received| match received.target.contains("limit=") {
        true => page([1], None),
        false => too_large(),
    })
    .await;
    assert_eq!((&whole.end, &whole.gids), (&Ok(()), &texts([1])));
    assert_eq!(limits(&whole), ["", "100"]);
}

/// This many spaces, compressed by gzip: RFC 1952's header, and one block of RFC 1951 with fixed codes, a space and
/// many copies of it.
fn compressed_spaces(length: usize) -> Vec<u8> {
    let copies = "1100010100000".repeat(length / 258);
    let bits = format!("1100{}{copies}", "1010000");
    let mut bytes = vec![31, 139, 8, 0, 0, 0, 0, 0, 0, 255];
    let eight = |bits: &[u8]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | (bit - b'0'));
    bytes.extend(bits.as_bytes().chunks(8).map(eight));
    bytes
}

/// More than a page may have, in few bytes of a compressed answer.
#[tokio::test]
async fn a_page_that_grows_too_large_is_asked_for_in_smaller_ones() {
    let bomb = compressed_spaces(33 * 1024 * 1024);
    let read = read(Paging::Offset, move |_, _| {
        Reply::Answer(200, "content-encoding: gzip\r\n".to_owned(), bomb.clone())
    })
    .await;
    let fault = read.end.unwrap_err();
    assert_eq!(fault.kind, Kind::AskForLess);
    assert!(
        fault.to_string().contains("GET /tasks?project=7 answered 200: the answer has more than 32 MiB"),
        "{fault}"
    );
}

#[tokio::test]
async fn answers_of_another_shape_are_faults_that_say_what_was_expected() {
    let bodies = [
        json!({"next_page": null}),
        json!({"data": {"gid": "1"}, "next_page": null}),
        json!({"data": ["1"], "next_page": null}),
        json!({"data": [{"gid": "1"}], "next_page": 7}),
        json!([]),
        json!("<html>"),
    ];
    for body in bodies {
        let text = body.to_string();
        let read = read(Paging::Offset, move |_, _| Reply::json(200, &text)).await;
        let fault = read.end.unwrap_err();
        assert_eq!(fault.kind, Kind::DistrustAnswer);
        assert!(fault.message.starts_with("expected a list of records under `data`"), "{fault}");
        assert!(fault.message.contains("got: "), "{fault}");
        assert!(read.asked.len() > ATTEMPTS, "it may have been a glitch");
    }
}
