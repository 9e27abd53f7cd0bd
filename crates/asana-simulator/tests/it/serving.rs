//! Starting, stopping and embedding a simulator, and what its plans open.

use std::sync::Arc;

use asana_simulator::{
    DEFAULT_TOKEN, Gate, Kind, Options, Plan, Scale, Simulator, SimulatorState, Token, World,
};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::client::Account;

fn tiny() -> World {
    World::generate(1, &Scale::tiny())
}

/// The status of `GET /users/me`, asked from another thread than the runtime's.
async fn status(base_url: String) -> Result<u16, ureq::Error> {
    let request = move || {
        let url = format!("{base_url}/users/me");
        let answer = ureq::get(url).header("authorization", format!("Bearer {DEFAULT_TOKEN}")).call()?;
        Ok(answer.status().as_u16())
    };
    tokio::task::spawn_blocking(request).await.unwrap()
}

#[test]
fn it_serves_on_the_runtime_it_is_started_on_until_it_is_shut_down() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let simulator = Simulator::start(tiny(), Options::default()).await.unwrap();
        let base_url = simulator.base_url();
        assert_eq!(status(base_url.clone()).await.unwrap(), 200);
        simulator.shutdown();
        tokio::task::yield_now().await;
        assert!(status(base_url).await.is_err());
    });
}

#[test]
fn it_serves_on_any_listener_until_a_future_resolves() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/api/1.0", listener.local_addr().unwrap());
        let state = Arc::new(SimulatorState::new(tiny(), Options::default()));
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(asana_simulator::run(listener, state, async {
            let _ = stopped.await;
        }));
        assert_eq!(status(base_url).await.unwrap(), 200);
        stop.send(()).unwrap();
        serving.await.unwrap().unwrap();
    });
}

#[test]
fn a_free_plan_lacks_what_asana_sells() {
    let options = Options { tokens: vec![Token::new(DEFAULT_TOKEN, Plan::Free)], ..Options::default() };
    let account = Account::new(tiny(), options);
    let first = |kind: Kind| account.simulator.world(|world| world.gids(kind).next().unwrap());
    let (workspace, project) = (first(Kind::Workspace), first(Kind::Project));
    let (portfolio, goal) = (first(Kind::Portfolio), first(Kind::Goal));
    for path in [
        format!("/workspaces/{workspace}/custom_fields"),
        format!("/workspaces/{workspace}/tasks/search"),
        format!("/projects/{project}/custom_field_settings"),
        format!("/project_templates?workspace={workspace}"),
        format!("/task_templates?project={project}"),
        format!("/portfolios/{portfolio}/items"),
        format!("/goals/{goal}"),
        format!("/goal_relationships?supported_goal={goal}"),
        format!("/status_updates?parent={portfolio}"),
        format!("/status_updates?parent={goal}"),
    ] {
        assert_eq!(account.get(&path).status, 402, "{path}");
    }
    for path in [format!("/status_updates?parent={project}"), format!("/tasks?project={project}")] {
        assert_eq!(account.get(&path).status, 200, "{path}");
    }
}

#[test]
fn any_endpoint_can_be_gated() {
    let options = Options { gates: vec![Gate::new("/tags*", Plan::Enterprise)], ..Options::default() };
    let account = Account::new(tiny(), options);
    let workspace = account.simulator.world(|world| world.gids(Kind::Workspace).next().unwrap());
    assert_eq!(account.get(&format!("/tags?workspace={workspace}")).status, 402);
    assert_eq!(account.get(&format!("/goals?workspace={workspace}")).status, 200);
}
