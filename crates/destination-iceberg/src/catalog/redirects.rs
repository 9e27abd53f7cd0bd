//! Redirects: which of them are followed, and where the others lead. Knows no request.

use reqwest::redirect::Policy;
use reqwest::{Response, header};

/// Redirects are followed to the same server alone: another one must not get what was meant for this one.
pub fn redirects_within_one_server() -> Policy {
    const MOST: usize = 10;
    Policy::custom(|attempt| {
        let within = attempt.previous().last().is_some_and(|from| from.origin() == attempt.url().origin());
        if within && attempt.previous().len() <= MOST { attempt.follow() } else { attempt.stop() }
    })
}

/// The server that a redirect leads to, without the rest of the address, which may hold a secret.
pub fn elsewhere(response: &Response) -> Option<String> {
    let location = response.headers().get(header::LOCATION).filter(|_| response.status().is_redirection())?;
    let target = response.url().join(location.to_str().ok()?).ok()?;
    Some(target.origin().ascii_serialization())
}
