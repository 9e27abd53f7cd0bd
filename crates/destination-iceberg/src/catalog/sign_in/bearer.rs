//! A bearer token in a request's header: a token of External OAuth, or one that was exchanged for something else.

use reqwest::Request;
use reqwest::header::{AUTHORIZATION, HeaderValue};

use crate::failure::{Failure, Result};

/// The header's value, which is never printed.
pub fn header(token: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| Failure::configuration("the token has characters that no header can carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

pub fn authorize(request: &mut Request, value: HeaderValue) {
    request.headers_mut().insert(AUTHORIZATION, value);
}
