//! Each row of the fault table: the meaning of an answer, whether it is retried, and who must act.

use std::time::Duration;

use airbyte_connector::{FailureKind, Secret, Secrets};
use source_asana::asana::{Asked, Fault, Kind, Retry};
use source_asana::moment::Moment;

fn asked() -> Asked {
    Asked { endpoint: "/projects/{gid}/sections".into(), object: "/projects/12/sections".to_owned() }
}

fn fault(status: u16, body: &str, retry_after: Option<&str>) -> Fault {
    Fault::of_answer(status, body.as_bytes(), retry_after, &asked(), &Secrets::default())
}

fn said(status: u16, message: &str) -> Fault {
    fault(status, &serde_json::json!({"errors": [{"message": message}]}).to_string(), None)
}

#[test]
fn each_row_of_the_table() {
    let backoff = Retry::WithBackoff;
    let (person, transient) = (FailureKind::Configuration, FailureKind::Transient);
    let slow = Kind::SlowDown { retry_after: Some(Duration::from_secs(7)) };
    let start_again = Kind::StartAgain { sync: Some("fresh".to_owned()) };
    let page = "<html><body>Access denied by policy</body></html>";
    let now = Moment::parse("2024-01-01T00:00:00Z").unwrap();
    let rows = [
        (
            said(400, "offset: Your pagination token has expired."),
            Kind::RestartListing,
            Retry::Never,
            transient,
        ),
        (
            said(400, "The dataset is too big and the result set has been truncated."),
            Kind::SplitListing,
            Retry::Never,
            person,
        ),
        (
            said(
                400,
                "The result is too large. You should use pagination (may require specifying a workspace)!",
            ),
            Kind::AskForLess,
            Retry::Never,
            person,
        ),
        (
            said(
                400,
                "This request accesses data in multiple workspaces. Please specify a workspace or team.",
            ),
            Kind::AskDifferently,
            Retry::Never,
            FailureKind::System,
        ),
        (said(400, "project: Not a recognized ID: 12"), Kind::CorrectRequest, Retry::Never, person),
        (said(401, "Not Authorized"), Kind::GiveToken, Retry::Never, person),
        (fault(401, page, None), Kind::GiveToken, Retry::Never, person),
        (said(402, "Sorry, this is only available to premium"), Kind::UpgradePlan, Retry::Never, person),
        (said(403, "Forbidden"), Kind::GrantAccess, Retry::Never, person),
        (fault(403, "", None), Kind::GrantAccess, Retry::Never, person),
        (fault(403, page, None), Kind::DistrustAnswer, Retry::Never, transient),
        (said(404, "project: Unknown object: 12"), Kind::LeaveOut, Retry::Never, person),
        (fault(404, page, None), Kind::DistrustAnswer, Retry::Never, transient),
        (said(410, "Gone"), Kind::LeaveOut, Retry::Never, person),
        (said(407, "Proxy"), Kind::SatisfyProxy, Retry::Never, person),
        (said(408, "Timeout"), Kind::TryAgain, backoff, transient),
        (
            fault(412, r#"{"errors":[{"message":"Sync token invalid or too old."}],"sync":"fresh"}"#, None),
            start_again,
            Retry::Never,
            transient,
        ),
        (said(409, "Conflict"), Kind::TryAgain, backoff, transient),
        (said(413, "Too large"), Kind::AskForLess, Retry::Never, person),
        (said(414, "URI too long"), Kind::AskDifferently, Retry::Never, FailureKind::System),
        (said(424, "storage"), Kind::TryStorageAgain, backoff, transient),
        (fault(429, "", Some("7")), slow, Retry::After(Duration::from_secs(7)), transient),
        (fault(429, "", None), Kind::SlowDown { retry_after: None }, backoff, transient),
        (fault(429, "", Some("soon")), Kind::SlowDown { retry_after: None }, backoff, transient),
        (
            fault(429, "", Some("7200")).beyond_patience(Duration::from_secs(3600), now),
            Kind::RunAgainLater { after: now.plus(Duration::from_secs(7200)) },
            Retry::Never,
            transient,
        ),
        (said(422, "Unprocessable"), Kind::CorrectRequest, Retry::Never, person),
        (said(423, "Locked"), Kind::TryAgain, backoff, transient),
        (said(434, "deprecated"), Kind::AskDifferently, Retry::Never, FailureKind::System),
        (said(451, "Embargoed"), Kind::AskFromElsewhere, Retry::Never, person),
        (
            fault(500, r#"{"errors":[{"message":"Server Error","phrase":"6 sad squid"}]}"#, None),
            Kind::TryAgain,
            backoff,
            transient,
        ),
        (fault(502, page, None), Kind::TryAgain, backoff, transient),
        (fault(503, "", None), Kind::TryAgain, backoff, transient),
        (said(504, "slow"), Kind::TryAgain, backoff, transient),
        (fault(302, "", None), Kind::DistrustAnswer, backoff, transient),
        (fault(204, "", None), Kind::DistrustAnswer, backoff, transient),
        (
            Fault::new(Kind::Reconnect, None, "connection reset", &asked()),
            Kind::Reconnect,
            backoff,
            transient,
        ),
        (
            Fault::new(Kind::TrustServer, None, "unknown issuer", &asked()),
            Kind::TrustServer,
            Retry::Never,
            person,
        ),
    ];
    for (fault, kind, retry, class) in rows {
        assert_eq!(fault.kind, kind, "{fault}");
        assert_eq!(fault.retry(), retry, "{fault}");
        assert_eq!(fault.failure_kind(), class, "{fault}");
    }
}

#[test]
fn no_status_is_without_a_meaning_and_none_panics() {
    for status in 0..=u16::MAX {
        for body in ["", "{}", "<html>", r#"{"errors":[]}"#, r#"{"errors":[{"message":"m"}]}"#] {
            let fault = fault(status, body, Some("1"));
            assert!(!fault.message.is_empty());
            assert!(!fault.reason().text().is_empty());
        }
    }
}

#[test]
fn a_fault_says_what_was_asked_what_asana_said_and_what_to_do() {
    let text = said(403, "You do not have access.").to_string();
    assert_eq!(
        text,
        "GET /projects/12/sections answered 403: You do not have access. Give the token's user access to it in \
         Asana, or use the token of somebody who has it."
    );
    let text =
        fault(500, r#"{"errors":[{"message":"Server Error","phrase":"6 sad squid"}]}"#, None).to_string();
    assert!(text.contains("Server Error (6 sad squid)"), "{text}");
    let text = fault(502, "<html>\n\t<h1>Bad gateway</h1>\u{7}", None).to_string();
    assert!(text.contains("expected Asana's list of errors, got: <html> <h1>Bad gateway</h1>"), "{text}");
}

#[test]
fn a_wait_that_is_too_long_says_when_to_run_again() {
    let now = Moment::parse("2024-01-01T00:00:00Z").unwrap();
    let text = fault(429, "", Some("10800")).beyond_patience(Duration::from_secs(3600), now).to_string();
    assert_eq!(
        text,
        "GET /projects/12/sections answered 429: no request is answered before 2024-01-01T03:00:00.000Z, and no more \
         than 3600 s are waited for here (the answer has no body). Run the sync again after that time: it goes on from \
         the state that it has printed."
    );
    let for_ever =
        fault(429, "", Some(&u64::MAX.to_string())).beyond_patience(Duration::from_secs(3600), now);
    assert!(for_ever.to_string().contains("9999-12-31"), "{for_ever}");
    let other = said(503, "down");
    assert_eq!(other.clone().beyond_patience(Duration::from_secs(3600), now), other);
}

#[test]
fn messages_are_redacted_before_they_are_cut() {
    let secrets = Secrets::default();
    secrets.learn(&Secret::new("SECRET-0123456789"));
    for before in [490, 496, 499] {
        let long =
            serde_json::json!({"errors": [{"message": format!("{}SECRET-0123456789", "x".repeat(before))}]});
        for body in [long.to_string(), format!("{}SECRET-0123456789", "y".repeat(before - 390))] {
            let fault = Fault::of_answer(400, body.as_bytes(), None, &asked(), &secrets);
            assert!(!fault.message.contains("SECR"), "{}", fault.message);
        }
    }
    let endless = said(400, &"é".repeat(10_000));
    assert!(endless.message.chars().count() <= 501);
}
