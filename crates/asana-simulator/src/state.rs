//! What the connections of one simulator share, and how a request passes through it: log, fault, token, limit, answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use crate::answer::{self, Request, Twist};
use crate::edit::Editor;
use crate::fault::{Fault, Faults};
use crate::gid::{Gid, Kind};
use crate::limiter::{Limiter, Sort};
use crate::oauth::Grants;
use crate::opt_fields::Selection;
use crate::options::{Account, Options, Token};
use crate::query::Query;
use crate::record::{Log, RequestRecord};
use crate::refusal::Refusal;
use crate::reply::{Reply, instead, pretty, refused, wrong_type};
use crate::route::{self, Endpoint};
use crate::search::SearchIndex;
use crate::time::Clock;
use crate::world::{Viewer, World};

/// A simulator without its sockets: the world, its clock, limits, faults and log. Serve it with [`crate::run`].
#[derive(Debug)]
pub struct SimulatorState {
    pub(crate) world: RwLock<World>,
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) log: Mutex<Log>,
    pub(crate) grants: Grants,
    limiters: Mutex<HashMap<String, Limiter>>,
    selections: Mutex<HashMap<String, Arc<Selection>>>,
    /// Created by the first search, or before the first edit, which it must not contain at once.
    index: Mutex<Option<SearchIndex>>,
}

/// A request as it was received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub method: &'a str,
    /// Below `/api/1.0`.
    pub path: &'a str,
    pub query: &'a str,
    pub authorization: Option<&'a str>,
    pub user_agent: &'a str,
    pub base_url: &'a str,
}

/// Distinct `opt_fields` that are kept parsed.
const KEPT_SELECTIONS: usize = 1000;

impl SimulatorState {
    pub fn new(world: World, mut options: Options) -> Self {
        let clock = options.clock.take().unwrap_or_else(Clock::system);
        Self {
            world: RwLock::new(world),
            options,
            clock,
            faults: Faults::default(),
            log: Mutex::default(),
            grants: Grants::default(),
            limiters: Mutex::default(),
            selections: Mutex::default(),
            index: Mutex::default(),
        }
    }

    /// Answers a request and logs it.
    pub(crate) async fn handle(&self, arrival: &Arrival<'_>) -> Reply {
        let query = Query::parse(arrival.query);
        let route = route::endpoint(arrival.path);
        let template = route.map_or("", |(template, _, _)| template);
        let struck = self.faults.strike(template, arrival.path, || joined(&query));
        if let Some((_, Fault::ClockJump(by))) = &struck {
            self.clock.advance(*by);
        }
        let place = self.begin(arrival, template, &query, struck.as_ref().map(|(label, _)| label.clone()));
        let fault = struck.map(|(_, fault)| fault);
        let outcome = match &fault {
            Some(fault) => match instead(fault) {
                Some(reply) => Ok((reply, 0)),
                None => self.obey(arrival, route, &query, fault.twist(), fault.pause()).await,
            },
            None => self.obey(arrival, route, &query, Twist::None, Duration::ZERO).await,
        };
        let (mut reply, rows) = outcome.unwrap_or_else(|refusal| (refused(&refusal), 0));
        match fault {
            Some(Fault::WrongType { field, value }) => wrong_type(&mut reply.body, &field, &value),
            Some(Fault::PrettyBody) => pretty(&mut reply.body),
            other => reply.fault = other,
        }
        let status = if reply.fault == Some(Fault::ResetBeforeHeaders) { 0 } else { reply.status };
        self.finish(place, status, rows);
        reply
    }

    /// Reads the world.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.world.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the world at the clock's current time.
    pub(crate) fn edit<T>(&self, change: impl FnOnce(&mut Editor<'_>) -> T) -> T {
        let mut world = self.world.write().unwrap_or_else(PoisonError::into_inner);
        if !self.options.search_lag.is_zero() {
            let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
            index.get_or_insert_with(|| SearchIndex::new(&world));
        }
        change(&mut Editor::new(&mut world, self.clock.now()))
    }

    /// Token, limits, latency, and the answer itself. The request counts for the concurrency limit until the answer is
    /// ready.
    async fn obey(
        &self,
        arrival: &Arrival<'_>,
        route: Option<(&'static str, Endpoint, Option<&str>)>,
        query: &Query,
        twist: Twist,
        pause: Duration,
    ) -> Result<(Reply, usize), Refusal> {
        let token = self.token(arrival.authorization).ok_or_else(Refusal::unauthorized)?;
        let now = self.clock.now();
        let sort = match route {
            Some((_, Endpoint::Search, _)) => Sort::Search,
            _ => Sort::Other,
        };
        self.limiters().entry(token.text.clone()).or_default().enter(&self.options.limits, sort, now)?;
        let mut slot = Slot { state: self, token: &token.text, cost: 0 };
        let pause = self.options.latency + pause;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let selection = query.get("opt_fields").map(|text| self.selection(text));
        let outcome = self.answered(arrival, route, query, twist, &token, selection.as_deref());
        let rows = outcome.as_ref().map_or(0, |(_, rows)| *rows);
        slot.cost = rows as u64 * selection.map_or(1, |selection| selection.weight());
        outcome
    }

    fn answered(
        &self,
        arrival: &Arrival<'_>,
        route: Option<(&'static str, Endpoint, Option<&str>)>,
        query: &Query,
        twist: Twist,
        token: &Token,
        selection: Option<&Selection>,
    ) -> Result<(Reply, usize), Refusal> {
        let (template, endpoint, path_gid) =
            route.filter(|_| arrival.method == "GET").ok_or_else(Refusal::unknown_path)?;
        let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
        let request = Request {
            path: arrival.path,
            template,
            endpoint,
            path_gid,
            query,
            viewer: viewer(token),
            plan: token.plan,
            now: self.clock.now(),
            base_url: arrival.base_url,
            selection,
            twist,
        };
        let answer = answer::answer(&world, &self.index, &self.options, &request)?;
        Ok((Reply { status: 200, headers: Vec::new(), body: answer.body, fault: None }, answer.rows))
    }

    pub(crate) fn token(&self, authorization: Option<&str>) -> Option<Token> {
        let given = bearer(authorization?)?;
        let known = self.options.tokens.iter().find(|token| token.text == given).cloned();
        known.or_else(|| self.grants.find(given, self.clock.now()))
    }

    fn selection(&self, text: &str) -> Arc<Selection> {
        let mut kept = self.selections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(text) {
            return known.clone();
        }
        let selection = Arc::new(Selection::parse(text));
        if kept.len() < KEPT_SELECTIONS {
            kept.insert(text.to_owned(), selection.clone());
        }
        selection
    }

    /// Opens a log entry; its index is the entry's sequence number.
    fn begin(
        &self,
        arrival: &Arrival<'_>,
        template: &'static str,
        query: &Query,
        fault: Option<Arc<str>>,
    ) -> u64 {
        let at = self.clock.now();
        let mut log = self.log();
        let sequence = log.next_sequence;
        log.next_sequence += 1;
        let pairs = query.pairs.iter().map(|(name, value)| (log.text(name), log.text(value))).collect();
        let token = arrival.authorization.and_then(bearer).unwrap_or_default();
        let record = RequestRecord {
            sequence,
            method: log.text(arrival.method),
            path: arrival.path.to_owned(),
            endpoint: template,
            query: pairs,
            status: 0,
            token: log.text(token),
            user_agent: log.text(arrival.user_agent),
            at,
            rows: 0,
            fault,
        };
        log.records.push(record);
        sequence
    }

    fn finish(&self, sequence: u64, status: u16, rows: usize) {
        let mut log = self.log();
        // The log may have been cleared in between.
        if let Ok(place) = log.records.binary_search_by_key(&sequence, |record| record.sequence) {
            log.records[place].status = status;
            log.records[place].rows = rows;
        }
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limiters(&self) -> MutexGuard<'_, HashMap<String, Limiter>> {
        self.limiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An admitted request; it leaves the limiter when it is dropped, also if the client disconnects.
struct Slot<'s> {
    state: &'s SimulatorState,
    token: &'s str,
    cost: u64,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if let Some(limiter) = self.state.limiters().get_mut(self.token) {
            limiter.leave(&self.state.options.limits, self.cost);
        }
    }
}

/// The view of a token.
pub(crate) fn viewer(token: &Token) -> Viewer {
    let user = token.user.unwrap_or(Gid::new(Kind::User, 0));
    match token.account {
        Account::Person => Viewer::User(user),
        Account::Service => Viewer::ServiceAccount(user),
    }
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn joined(query: &Query) -> String {
    query.pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::FaultRule;
    use crate::options::{DEFAULT_TOKEN, Limits};
    use crate::scale::Scale;

    fn arrival<'a>(authorization: &'a str) -> Arrival<'a> {
        Arrival {
            method: "GET",
            path: "/users/me",
            query: "",
            authorization: Some(authorization),
            user_agent: "",
            base_url: "http://x",
        }
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
    }

    #[test]
    fn only_so_many_requests_run_at_the_same_time() {
        let options = Options {
            limits: Limits { concurrent_reads: 3, ..Limits::default() },
            latency: Duration::from_millis(300),
            ..Options::default()
        };
        let state = Arc::new(SimulatorState::new(World::generate(1, &Scale::tiny()), options));
        let statuses = runtime().block_on(async {
            let requests: Vec<_> = (0..8)
                .map(|_| {
                    let state = state.clone();
                    let authorization = format!("Bearer {DEFAULT_TOKEN}");
                    tokio::spawn(async move { state.handle(&arrival(&authorization)).await.status })
                })
                .collect();
            let mut statuses = Vec::new();
            for request in requests {
                statuses.push(request.await.unwrap());
            }
            statuses.push(state.handle(&arrival(&format!("bearer {DEFAULT_TOKEN}"))).await.status);
            statuses
        });
        assert_eq!(statuses, [200, 200, 200, 429, 429, 429, 429, 429, 200]);
    }

    #[test]
    fn a_client_that_goes_away_gives_its_place_back() {
        let options = Options {
            limits: Limits { concurrent_reads: 1, ..Limits::default() },
            latency: Duration::from_millis(300),
            ..Options::default()
        };
        let state = SimulatorState::new(World::generate(1, &Scale::tiny()), options);
        let authorization = format!("Bearer {DEFAULT_TOKEN}");
        let status = runtime().block_on(async {
            let patience = Duration::from_millis(10);
            let given_up = tokio::time::timeout(patience, state.handle(&arrival(&authorization))).await;
            assert!(given_up.is_err());
            state.handle(&arrival(&authorization)).await.status
        });
        assert_eq!(status, 200);
    }

    #[test]
    fn slow_headers_take_the_time_they_were_given() {
        let state = SimulatorState::new(World::generate(1, &Scale::tiny()), Options::default());
        let pause = Duration::from_secs(90);
        state.faults.add(FaultRule::new("/users/*", Fault::SlowHeaders(pause)));
        let authorization = format!("Bearer {DEFAULT_TOKEN}");
        let (status, taken) = runtime().block_on(async {
            let started = tokio::time::Instant::now();
            let status = state.handle(&arrival(&authorization)).await.status;
            (status, started.elapsed())
        });
        assert_eq!((status, taken), (200, pause));
    }
}
