//! Rate limits and latency over HTTP; their arithmetic is tested beside them.

use std::time::Duration;

use asana_simulator::{Clock, DEFAULT_TOKEN, Limits, Options, Plan, Scale, Timestamp, Token, World};

use crate::client::Account;

fn limited(limits: Limits) -> Account {
    let options = Options {
        tokens: vec![Token::new(DEFAULT_TOKEN, Plan::Paid), Token::new("other", Plan::Paid)],
        limits,
        clock: Some(Clock::frozen(Timestamp::parse("2026-01-01T00:00:00.000Z").unwrap())),
        ..Options::default()
    };
    Account::new(World::generate(1, &Scale::tiny()), options)
}

#[test]
fn a_token_over_its_limit_is_told_how_long_to_wait() {
    let account = limited(Limits { requests_per_minute: Some(5), ..Limits::default() });
    let statuses: Vec<u16> = (0..6).map(|_| account.get("/users/me").status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429]);
    let refused = account.get("/users/me");
    assert_eq!((refused.status, refused.retry_after), (429, Some(60)));
    assert_eq!(account.get_as("other", "/users/me").status, 200, "limits are per token");
    account.simulator.advance(Duration::from_secs(60));
    assert_eq!(account.get("/users/me").status, 200);
}

#[test]
fn asana_s_own_limits_follow_the_plan() {
    assert_eq!(Limits::of_asana(Plan::Free).requests_per_minute, Some(150));
    assert_eq!(Limits::of_asana(Plan::Paid).requests_per_minute, Some(1500));
    assert_eq!(Limits::of_asana(Plan::Paid).searches_per_minute, Some(60));
}

#[test]
fn cost_is_charged_by_rows_and_fields() {
    let account = limited(Limits { cost_per_minute: Some(20), ..Limits::default() });
    let workspace =
        account.simulator.world(|world| world.gids(asana_simulator::Kind::Workspace).next().unwrap());
    let path = format!(
        "/users?workspace={workspace}&opt_fields=name,email,photo,workspaces.name,custom_fields.name"
    );
    assert_eq!(account.get(&path).status, 200);
    let refused = account.get(&path);
    assert_eq!(refused.status, 429);
    account.simulator.advance(Duration::from_secs(refused.retry_after.unwrap()));
    assert_eq!(account.get(&path).status, 200);
}
