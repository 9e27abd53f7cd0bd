//! A small HTTP client for the tests, and a walk over pages.

use asana_simulator::{DEFAULT_TOKEN, Options, Scale, Simulator, World};
use serde_json::Value;

/// An answer: status, headers of interest, JSON body (null when it is none).
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<u64>,
    pub text: String,
    pub body: Value,
}

impl Answer {
    pub fn message(&self) -> &str {
        self.body["errors"][0]["message"].as_str().unwrap_or_default()
    }

    pub fn rows(&self) -> &[Value] {
        self.body["data"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    pub fn gids(&self) -> Vec<String> {
        self.rows().iter().map(|row| row["gid"].as_str().unwrap().to_owned()).collect()
    }
}

/// A simulator under test.
pub struct Account {
    pub simulator: Simulator,
    agent: ureq::Agent,
}

impl Account {
    pub fn new(world: World, options: Options) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        Self { simulator: Simulator::start_blocking(world, options).unwrap(), agent: config.into() }
    }

    pub fn small() -> Self {
        Self::new(World::generate(1, &Scale::small()), Options::default())
    }

    pub fn get(&self, path: &str) -> Answer {
        self.get_as(DEFAULT_TOKEN, path)
    }

    pub fn get_as(&self, token: &str, path: &str) -> Answer {
        self.try_get_as(token, path).unwrap()
    }

    pub fn try_get(&self, path: &str) -> Result<Answer, ureq::Error> {
        self.try_get_as(DEFAULT_TOKEN, path)
    }

    fn try_get_as(&self, token: &str, path: &str) -> Result<Answer, ureq::Error> {
        let url = format!("{}{path}", self.simulator.base_url());
        let mut request = self.agent.get(url).header("user-agent", "simulator-tests");
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = request.call()?;
        let retry_after =
            response.headers().get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
        let text = response.body_mut().with_config().limit(200 << 20).read_to_string()?;
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Answer { status: response.status().as_u16(), retry_after, text, body })
    }

    /// Every row of a listing, page by page.
    pub fn all(&self, path: &str, limit: usize) -> Vec<Value> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let first = format!("{path}{separator}limit={limit}");
        let mut next = Some(first);
        let mut rows = Vec::new();
        while let Some(path) = next {
            let page = self.get(&path);
            assert_eq!(page.status, 200, "{path}: {}", page.text);
            rows.extend_from_slice(page.rows());
            next = page.body["next_page"]["path"].as_str().map(str::to_owned);
        }
        rows
    }
}

/// The gids of rows.
pub fn gids(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|row| row["gid"].as_str().unwrap().to_owned()).collect()
}
