//! Each row of the fault table: the meaning of an answer, whether it is retried, who must act, and the consequence at
//! each place of a sync.

use std::time::Duration;

use airbyte_connector::{FailureKind, Secret, Secrets};
use source_asana::asana::Consequence::{FailSlice, FailStream, FailSync, SkipSlice, SkipStream};
use source_asana::asana::{Asked, Consequence, Fault, Kind, Place, Retry, consequence};
use source_asana::moment::Moment;

const PLACES: [Place; 3] = [Place::Root, Place::Slice, Place::Detail];

fn asked() -> Asked {
    Asked { endpoint: "/projects/{gid}/sections".into(), object: "/projects/12/sections".to_owned() }
}

fn fault(status: u16, body: &str, retry_after: Option<&str>) -> Fault {
    Fault::of_answer(status, body.as_bytes(), retry_after, &asked(), &Secrets::default())
}

fn said(status: u16, message: &str) -> Fault {
    fault(status, &serde_json::json!({"errors": [{"message": message}]}).to_string(), None)
}

/// What follows at the root, in a slice, for a detail; by name, since the reason follows from the kind.
fn consequences(fault: &Fault) -> [&'static str; 3] {
    PLACES.map(|place| match consequence(fault, place) {
        SkipSlice(_) => "skip slice",
        SkipStream(_) => "skip stream",
        FailSlice(_) => "fail slice",
        FailStream(_) => "fail stream",
        FailSync(_) => "fail sync",
    })
}

#[test]
fn each_row_of_the_table() {
    let fails_slice = ["fail stream", "fail slice", "fail slice"];
    let skips = ["skip stream", "skip slice", "skip slice"];
    let skips_slice = ["fail stream", "skip slice", "skip slice"];
    let fails_sync = ["fail sync"; 3];
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
            fails_slice,
        ),
        (
            said(400, "The dataset is too big and the result set has been truncated."),
            Kind::SplitListing,
            Retry::Never,
            person,
            fails_slice,
        ),
        (
            said(
                400,
                "The result is too large. You should use pagination (may require specifying a workspace)!",
            ),
            Kind::AskForLess,
            Retry::Never,
            person,
            fails_slice,
        ),
        (
            said(
                400,
                "This request accesses data in multiple workspaces. Please specify a workspace or team.",
            ),
            Kind::AskDifferently,
            Retry::Never,
            FailureKind::System,
            fails_slice,
        ),
        (
            said(400, "project: Not a recognized ID: 12"),
            Kind::CorrectRequest,
            Retry::Never,
            person,
            fails_slice,
        ),
        (said(401, "Not Authorized"), Kind::GiveToken, Retry::Never, person, fails_sync),
        (fault(401, page, None), Kind::GiveToken, Retry::Never, person, fails_sync),
        (
            said(402, "Sorry, this is only available to premium"),
            Kind::UpgradePlan,
            Retry::Never,
            person,
            skips,
        ),
        (said(403, "Forbidden"), Kind::GrantAccess, Retry::Never, person, skips),
        (fault(403, "", None), Kind::GrantAccess, Retry::Never, person, skips),
        (fault(403, page, None), Kind::DistrustAnswer, Retry::Never, transient, fails_slice),
        (said(404, "project: Unknown object: 12"), Kind::LeaveOut, Retry::Never, person, skips_slice),
        (fault(404, page, None), Kind::DistrustAnswer, Retry::Never, transient, fails_slice),
        (said(410, "Gone"), Kind::LeaveOut, Retry::Never, person, skips_slice),
        (said(407, "Proxy"), Kind::SatisfyProxy, Retry::Never, person, fails_sync),
        (said(408, "Timeout"), Kind::TryAgain, backoff, transient, fails_slice),
        (
            fault(412, r#"{"errors":[{"message":"Sync token invalid or too old."}],"sync":"fresh"}"#, None),
            start_again,
            Retry::Never,
            transient,
            fails_slice,
        ),
        (said(409, "Conflict"), Kind::TryAgain, backoff, transient, fails_slice),
        (said(413, "Too large"), Kind::AskForLess, Retry::Never, person, fails_slice),
        (said(414, "URI too long"), Kind::AskDifferently, Retry::Never, FailureKind::System, fails_slice),
        (
            said(424, "storage"),
            Kind::TryStorageAgain,
            backoff,
            transient,
            ["fail stream", "fail slice", "skip slice"],
        ),
        (fault(429, "", Some("7")), slow, Retry::After(Duration::from_secs(7)), transient, fails_slice),
        (fault(429, "", None), Kind::SlowDown { retry_after: None }, backoff, transient, fails_slice),
        (fault(429, "", Some("soon")), Kind::SlowDown { retry_after: None }, backoff, transient, fails_slice),
        (
            fault(429, "", Some("7200")).beyond_patience(Duration::from_secs(3600), now),
            Kind::RunAgainLater { after: now.plus(Duration::from_secs(7200)) },
            Retry::Never,
            transient,
            fails_sync,
        ),
        (said(422, "Unprocessable"), Kind::CorrectRequest, Retry::Never, person, fails_slice),
        (said(423, "Locked"), Kind::TryAgain, backoff, transient, fails_slice),
        (said(434, "deprecated"), Kind::AskDifferently, Retry::Never, FailureKind::System, fails_slice),
        (said(451, "Embargoed"), Kind::AskFromElsewhere, Retry::Never, person, fails_sync),
        (
            fault(500, r#"{"errors":[{"message":"Server Error","phrase":"6 sad squid"}]}"#, None),
            Kind::TryAgain,
            backoff,
            transient,
            fails_slice,
        ),
        (fault(502, page, None), Kind::TryAgain, backoff, transient, fails_slice),
        (fault(503, "", None), Kind::TryAgain, backoff, transient, fails_slice),
        (said(504, "slow"), Kind::TryAgain, backoff, transient, fails_slice),
        (fault(302, "", None), Kind::DistrustAnswer, backoff, transient, fails_slice),
        (fault(204, "", None), Kind::DistrustAnswer, backoff, transient, fails_slice),
        (
            Fault::new(Kind::Reconnect, None, "connection reset", &asked()),
            Kind::Reconnect,
            backoff,
            transient,
            fails_slice,
        ),
        (
            Fault::new(Kind::TrustServer, None, "unknown issuer", &asked()),
            Kind::TrustServer,
            Retry::Never,
            person,
            fails_sync,
        ),
    ];
    for (fault, kind, retry, class, expected) in rows {
        assert_eq!(fault.kind, kind, "{fault}");
        assert_eq!(fault.retry(), retry, "{fault}");
        assert_eq!(fault.failure_kind(), class, "{fault}");
        assert_eq!(consequences(&fault), expected, "{fault}");
    }
}

#[test]
fn no_status_is_without_a_meaning_and_none_panics() {
    for status in 0..=u16::MAX {
        for body in ["", "{}", "<html>", r#"{"errors":[]}"#, r#"{"errors":[{"message":"m"}]}"#] {
            let fault = fault(status, body, Some("1"));
            assert!(!fault.message.is_empty());
            assert!(PLACES.iter().all(|place| !reason_of(consequence(&fault, *place)).is_empty()));
        }
    }
}

fn reason_of(consequence: Consequence) -> &'static str {
    match consequence {
        SkipSlice(reason) | SkipStream(reason) | FailSlice(reason) | FailStream(reason)
        | FailSync(reason) => reason.text(),
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
