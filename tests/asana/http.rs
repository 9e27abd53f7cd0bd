//! Single requests against servers that misbehave: over real sockets, with waits of milliseconds.

use std::time::{Duration, SystemTime};

use airbyte_connector::{Secret, Secrets};
use serde_json::json;
use source_asana::asana::{
    Client, Fault, Kind, Limits, Notice, Patience, Request, Settings, Timeouts, TokenSource, get_one,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use crate::server::{Reply, Server, closed_port};

pub const TOKEN: &str = "2/1204/567:0123456789abcdef0123456789abcdef";

/// Attempts of [`settings`] at a request that keeps failing.
pub const ATTEMPTS: usize = 4;

/// Short waits, no rate limit.
pub fn settings(base_url: String) -> (Settings, UnboundedReceiver<Notice>) {
    let (notices, told) = unbounded_channel();
    let patience = Patience {
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(2),
        attempts: ATTEMPTS as u32,
        failing_for: Duration::from_secs(60),
        rejected_for: Duration::from_secs(60),
    };
    let settings = Settings {
        base_url,
        token: TokenSource::Static(Secret::new(TOKEN)),
        secrets: Secrets::default(),
        limits: Limits::fixed(60_000_000),
        patience,
        timeouts: Timeouts::default(),
        notices,
    };
    (settings, told)
}

pub fn client(base_url: String) -> (Client, UnboundedReceiver<Notice>) {
    let (settings, told) = settings(base_url);
    (Client::new(settings).unwrap(), told)
}

/// A client that does not wait long for a server that says nothing.
fn hasty_client(base_url: String) -> (Client, UnboundedReceiver<Notice>) {
    let (mut settings, told) = settings(base_url);
    settings.timeouts.idle = Duration::from_millis(200);
    (Client::new(settings).unwrap(), told)
}

pub fn notices(told: &mut UnboundedReceiver<Notice>) -> Vec<Notice> {
    std::iter::from_fn(|| told.try_recv().ok()).collect()
}

fn task() -> Request {
    Request::new("/tasks/{gid}", "/tasks/12")
}

fn good() -> Reply {
    Reply::json(200, json!({"data": {"gid": "12"}}))
}

/// The result of a request to a server that fails first and then recovers.
async fn recovery(bad: Reply) -> (Result<String, Fault>, usize) {
    let server = Server::start(move |index, _| if index == 0 { bad.clone() } else { good() }).await;
    let (client, _told) = hasty_client(server.base_url());
    let outcome = get_one(&client, &task()).await;
    (outcome, server.received().len())
}

/// The fault of a request to a server that always answers so, and the number of requests.
async fn fault_of(reply: Reply) -> (Fault, usize) {
    let server = Server::start(move |_, _| reply.clone()).await;
    let (client, _told) = hasty_client(server.base_url());
    let fault = get_one(&client, &task()).await.unwrap_err();
    (fault, server.received().len())
}

#[tokio::test]
async fn a_request_carries_what_it_should() {
    let server = Server::start(|_, _| good()).await;
    let (client, _told) = client(server.base_url() + "/");
    let request = Request::new("/tasks/{gid}", "/tasks/a b?c#d")
        .query("opt_fields", "name,memberships.section.name,this.(a|b)")
        .query("modified_since", "2024-01-01T00:00:00.000+01:00")
        .query("text", "a&b=c%d\"é");
    assert_eq!(get_one(&client, &request).await.unwrap(), r#"{"gid":"12"}"#);
    let received = server.received();
    assert_eq!(
        received[0].target,
        "/api/1.0/tasks/a%20b%3Fc%23d?opt_fields=name,memberships.section.name,this.(a%7Cb)\
         &modified_since=2024-01-01T00:00:00.000%2B01:00&text=a%26b%3Dc%25d%22%C3%A9"
    );
    let head = received[0].head.to_lowercase();
    assert!(head.contains(&format!("authorization: bearer {TOKEN}\r\n")), "{head}");
    assert!(head.contains(concat!("user-agent: source-asana/", env!("CARGO_PKG_VERSION"))), "{head}");
    assert!(head.contains("accept-encoding: gzip\r\n"), "{head}");
}

#[tokio::test]
async fn a_compressed_body_is_read() {
    // {"data":{"gid":"12"}} by gzip.
    const BODY: [u8; 41] = [
        31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 74, 73, 44, 73, 84, 178, 170, 86, 74, 207, 76, 81, 178, 82,
        50, 52, 82, 170, 173, 5, 0, 242, 231, 83, 252, 21, 0, 0, 0,
    ];
    let reply = Reply::Answer(200, "content-encoding: gzip\r\n".to_owned(), BODY.to_vec());
    assert_eq!(recovery(reply).await, (Ok(r#"{"gid":"12"}"#.to_owned()), 1));
    let cut_off = Reply::Answer(200, "content-encoding: gzip\r\n".to_owned(), BODY[..30].to_vec());
    assert_eq!(recovery(cut_off).await, (Ok(r#"{"gid":"12"}"#.to_owned()), 2));
}

#[tokio::test]
async fn whatever_may_pass_is_tried_again() {
    let replies = [
        Reply::error(500, "Server Error"),
        Reply::json(502, "<html>Bad gateway</html>"),
        Reply::json(503, ""),
        Reply::error(504, "took too long"),
        Reply::error(424, "storage"),
        Reply::Reset,
        Reply::CutOff(200, br#"{"data":{"gid":"#.to_vec()),
        Reply::CutOff(200, br#"{"data":{"gid":"12"}}"#.to_vec()),
        Reply::CutOff(404, br#"{"errors":"#.to_vec()),
        Reply::json(200, r#"{"data":{"gid":"12""#),
        Reply::json(200, "<html>Sign in to the guest network</html>"),
        Reply::json(200, ""),
        Reply::json(200, r#"{"data":[]}"#),
        Reply::json(204, ""),
        Reply::Silence,
        Reply::Stuck(200, br#"{"data":"#.to_vec()),
    ];
    for reply in replies {
        assert_eq!(recovery(reply.clone()).await, (Ok(r#"{"gid":"12"}"#.to_owned()), 2), "{reply:?}");
    }
}

#[tokio::test]
async fn what_keeps_failing_ends_with_what_it_was() {
    let cases = [
        (Reply::error(503, "down"), Kind::TryAgain, Some(503), "down"),
        (Reply::Reset, Kind::Reconnect, None, "connection"),
        (Reply::CutOff(200, b"{".to_vec()), Kind::Reconnect, None, "body"),
        (Reply::Silence, Kind::Reconnect, None, "timed out"),
        (Reply::Stuck(200, b"{".to_vec()), Kind::Reconnect, None, "timed out"),
        (
            Reply::json(200, "<html>Sign in</html>"),
            Kind::DistrustAnswer,
            Some(200),
            "expected an object under `data` (expected value at line 1 column 1), got: <html>Sign in</html>",
        ),
    ];
    for (reply, kind, status, message) in cases {
        let (fault, requests) = fault_of(reply.clone()).await;
        assert_eq!((&fault.kind, fault.status, requests), (&kind, status, ATTEMPTS), "{reply:?}: {fault}");
        assert!(fault.message.contains(message), "{reply:?}: {fault}");
        assert_eq!(fault.object, "/tasks/12");
        assert_eq!(fault.endpoint, "/tasks/{gid}");
    }
}

#[tokio::test]
async fn a_refusal_is_final() {
    for status in [400, 401, 402, 403, 404, 407, 410, 412, 414, 451] {
        let (fault, requests) = fault_of(Reply::error(status, "no")).await;
        assert_eq!((fault.status, requests), (Some(status), 1), "{fault}");
    }
    let (fault, requests) = fault_of(Reply::json(403, "<html>blocked by policy</html>")).await;
    assert_eq!((fault.kind, requests), (Kind::DistrustAnswer, 1));
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_tried_again() {
    let (client, mut told) = client(format!("http://127.0.0.1:{}", closed_port().await));
    let fault = get_one(&client, &task()).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Reconnect);
    let retries = notices(&mut told);
    assert_eq!(retries.len(), ATTEMPTS - 1);
    let Notice::Retrying { endpoint, attempt, why, .. } = &retries[1] else { panic!("{retries:?}") };
    assert_eq!((endpoint.as_str(), *attempt), ("/tasks/12", 2));
    assert!(why.contains("GET /tasks/12"), "{why}");
}

#[tokio::test]
async fn rejections_with_a_wait_are_not_counted_and_one_congestion_is_told_once() {
    let reply = |index: usize, _: &_| match index {
        0..20 => Reply::error(429, "slow down").header("Retry-After", "0"),
        _ => good(),
    };
    let server = Server::start(reply).await;
    let (client, mut told) = client(server.base_url());
    get_one(&client, &task()).await.unwrap();
    assert_eq!(server.received().len(), 21);
    let counts = client.counts()["/tasks/{gid}"];
    assert_eq!((counts.requests, counts.retries, counts.rejected), (21, 20, 20));
    assert_eq!(counts.bytes, 21);
    let told = notices(&mut told);
    assert_eq!(told.len(), 20, "each came after the pace was lowered for the one before");
    assert!(told.iter().all(|notice| matches!(notice, Notice::RateLimited { .. })), "{told:?}");
}

#[tokio::test]
async fn a_rejection_pauses_the_limiter_for_as_long_as_it_says() {
    let server = Server::start(|index, _| match index {
        0 => Reply::error(429, "slow down").header("Retry-After", "1"),
        _ => good(),
    })
    .await;
    let (client, mut told) = client(server.base_url());
    get_one(&client, &task()).await.unwrap();
    assert_eq!(server.received().len(), 2);
    let told = notices(&mut told);
    let [Notice::RateLimited { wait, .. }] = told[..] else { panic!("{told:?}") };
    assert_eq!(wait, Duration::from_secs(1));
}

#[tokio::test]
async fn a_wait_beyond_patience_is_not_waited_for_and_says_when_to_run_again() {
    let before = SystemTime::now();
    let reply = Reply::error(429, "You have made too many requests.").header("Retry-After", "10800");
    let server = Server::start(move |_, _| reply.clone()).await;
    let (client, mut told) = client(server.base_url());
    let fault = get_one(&client, &task()).await.unwrap_err();
    assert_eq!(server.received().len(), 1);
    let Kind::RunAgainLater { after } = fault.kind else { panic!("{fault}") };
    let in_three_hours = |now: SystemTime| {
        let since_1970 =
            now.duration_since(SystemTime::UNIX_EPOCH).unwrap() + Duration::from_secs(3 * 60 * 60);
        u64::try_from(since_1970.as_millis()).unwrap()
    };
    assert!(
        (in_three_hours(before)..=in_three_hours(SystemTime::now())).contains(&after.unix_milliseconds())
    );
    assert_eq!(
        fault.to_string(),
        format!(
            "GET /tasks/12 answered 429: no request is answered before {after}, and no more than 60 s are waited for \
             here (You have made too many requests). Run the sync again after that time: it goes on from the \
             state that it has printed."
        )
    );
    assert_eq!(notices(&mut told), [], "nobody waits");
}

/// A successful request of another caller shows that the whole token is not rejected.
#[tokio::test]
async fn a_request_that_is_rejected_while_others_are_answered_fails_alone() {
    let server = Server::start(|_, received| match received.target.ends_with("/tasks/12") {
        true => Reply::error(429, "slow down").header("Retry-After", "1"),
        false => good(),
    })
    .await;
    let (mut settings, _told) = settings(server.base_url());
    settings.patience.rejected_for = Duration::from_millis(1500);
    settings.limits.in_flight = 1;
    let client = Client::new(settings).unwrap();
    let (task, rejected) = (task(), Kind::SlowDown { retry_after: Some(Duration::from_secs(1)) });
    let other = Request::new("/tasks/{gid}", "/tasks/13");
    let (alone, answered) = tokio::join!(get_one(&client, &task), get_one(&client, &other));
    answered.unwrap();
    assert_eq!(alone.unwrap_err().kind, rejected);
    assert_eq!(server.received().len(), 3, "{:?}", server.targets());
}

#[tokio::test]
async fn an_outage_is_waited_for_once_and_not_by_every_request() {
    let down = 0..ATTEMPTS + 2;
    let server = Server::start(move |index, _| match down.contains(&index) || index > 7 {
        true => Reply::error(503, "down"),
        false => good(),
    })
    .await;
    let (client, _told) = client(server.base_url());
    let asked = |before: usize| server.received().len() - before;
    get_one(&client, &task()).await.unwrap_err();
    assert_eq!(asked(0), ATTEMPTS);
    get_one(&client, &task()).await.unwrap_err();
    assert_eq!(asked(ATTEMPTS), 2, "nothing got through since");
    get_one(&client, &task()).await.unwrap();
    get_one(&client, &task()).await.unwrap();
    get_one(&client, &task()).await.unwrap_err();
    assert_eq!(asked(8), ATTEMPTS, "all patience after a success");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start(|_, _| good()).await;
    let location = format!("http://localhost:{}/steal?token={TOKEN}", elsewhere.port);
    for status in [301, 302, 303, 307, 308] {
        let (fault, requests) = fault_of(Reply::json(status, "").header("Location", &location)).await;
        assert_eq!((fault.kind.clone(), requests), (Kind::DistrustAnswer, ATTEMPTS));
        assert!(fault.message.contains("a redirect to localhost, which is not followed"), "{fault}");
    }
    assert_eq!(elsewhere.targets(), [""; 0]);
}

#[tokio::test]
async fn a_token_that_cannot_be_sent_is_not_sent() {
    for token in ["", " ", "two\nlines", "zero\0byte"] {
        let server = Server::start(|_, _| good()).await;
        let (mut settings, _told) = settings(server.base_url());
        settings.token = TokenSource::Static(Secret::new(token));
        let fault = get_one(&Client::new(settings).unwrap(), &task()).await.unwrap_err();
        assert_eq!(fault.kind, Kind::GiveToken, "{fault}");
        assert!(!fault.message.contains("lines"), "{fault}");
        assert_eq!(server.received().len(), 0);
    }
}

#[tokio::test]
async fn a_server_that_repeats_the_token_does_not_bring_it_into_any_text() {
    let escaped = "2%2F1204%2f567%3A0123456789abcdef0123456789abcdef";
    let json = r#"2\/1204\/567:0123456789abcdef0123456789abcdef"#;
    let filling = "x".repeat(100);
    let bodies = [
        json!({"errors": [{"message": format!("bad token {TOKEN}, {escaped}")}], "sync": TOKEN}).to_string(),
        format!(r#"{{"errors":[{{"message":"bad token {json}"}}]}}"#),
        format!("<html>{TOKEN} {escaped} {json}</html>"),
        format!("{filling} {TOKEN}"),
        format!(r#"{{"data":"{TOKEN}"}}"#),
        format!(r#"{{"data":"{filling}{filling}{filling}{filling}{filling}{TOKEN}"}}"#),
        format!(r#"{{"{TOKEN}":{{}}}}"#),
    ];
    for status in [200, 302, 400, 401, 403, 412, 429, 500] {
        for body in &bodies {
            let reply = Reply::json(status, body)
                .header("Asana-Change", &format!("name={TOKEN};info={escaped}"))
                .header("Retry-After", if status == 429 { "3600" } else { TOKEN })
                .header("Location", &format!("https://{TOKEN}.example/{TOKEN}"));
            let server = Server::start(move |_, _| reply.clone()).await;
            let (client, mut told) = client(server.base_url());
            let fault = get_one(&client, &task()).await.unwrap_err();
            let text = format!("{fault} {fault:?} {client:?} {:?}", notices(&mut told));
            for part in ["0123456789", "abcdef", "%2F1204", "/1204", "2/12"] {
                assert!(!text.contains(part), "{status} {body}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn changes_are_told_once_each() {
    let server = Server::start(|_, _| {
        good().header("Asana-Change", "name=a;affected=true").header("Asana-Change", "name=b;info=https://x")
    })
    .await;
    let (client, mut told) = client(server.base_url());
    for _ in 0..3 {
        get_one(&client, &task()).await.unwrap();
    }
    let texts = ["name=a;affected=true", "name=b;info=https://x"];
    let expected = texts.map(|text| Notice::ChangeAnnounced { text: text.to_owned() });
    assert_eq!(notices(&mut told), expected);
}

#[tokio::test]
async fn a_request_that_is_given_up_makes_room() {
    let server = Server::start(|index, _| if index == 0 { Reply::Silence } else { good() }).await;
    let (mut settings, _told) = settings(server.base_url());
    settings.limits.in_flight = 1;
    let client = Client::new(settings).unwrap();
    assert!(timeout(Duration::from_millis(100), get_one(&client, &task())).await.is_err());
    get_one(&client, &task()).await.unwrap();
}

#[tokio::test]
async fn a_receiver_of_notices_that_is_gone_is_no_fault() {
    let server = Server::start(|index, _| if index == 0 { Reply::error(500, "oops") } else { good() }).await;
    let (client, told) = client(server.base_url());
    drop(told);
    get_one(&client, &task()).await.unwrap();
}
