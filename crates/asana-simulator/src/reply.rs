//! Answers before they are sent, and how faults replace or change them.

use crate::fault::Fault;
use crate::refusal::Refusal;

/// An answer before it is sent.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// The fault that happens while it is sent.
    pub fault: Option<Fault>,
}

/// An error as a reply.
pub(crate) fn refused(refusal: &Refusal) -> Reply {
    let retry_after = refusal.retry_after.map(|seconds| ("retry-after".to_owned(), seconds.to_string()));
    Reply {
        status: refusal.status,
        headers: retry_after.into_iter().collect(),
        body: refusal.body(),
        fault: None,
    }
}

/// The reply of a fault that replaces an answer.
pub(crate) fn instead(fault: &Fault) -> Option<Reply> {
    let refusal = match fault {
        Fault::Respond { status, headers, body } => {
            return Some(Reply {
                status: *status,
                headers: headers.clone(),
                body: body.clone(),
                fault: None,
            });
        }
        Fault::GarbageBody => {
            let body = "<html><body>It's not you, it's us.</body></html>".to_owned();
            return Some(Reply { status: 200, headers: Vec::new(), body, fault: None });
        }
        Fault::Status { status, retry_after } => {
            let message = match status {
                401 => "Not Authorized",
                402 => "Payment Required",
                403 => "Forbidden",
                404 => "Not Found",
                429 => "You have made too many requests recently. Please, be chill.",
                _ => "Server Error",
            };
            Refusal { retry_after: *retry_after, ..Refusal::new(*status, message) }
        }
        Fault::ExpiredOffset => Refusal::expired_offset(),
        Fault::TruncatedSet => Refusal::truncated_set(),
        Fault::TooLarge => Refusal::too_large(),
        _ => return None,
    };
    Some(refused(&refusal))
}

/// Replaces a field of every row.
pub(crate) fn wrong_type(body: &mut String, field: &str, value: &serde_json::Value) {
    let Ok(mut envelope) = serde_json::from_str::<serde_json::Value>(body) else { return };
    let data = &mut envelope["data"];
    let rows = match data {
        serde_json::Value::Array(rows) => rows.as_mut_slice(),
        other => std::slice::from_mut(other),
    };
    for row in rows {
        if let Some(row) = row.as_object_mut() {
            row.insert(field.to_owned(), value.clone());
        }
    }
    *body = envelope.to_string();
}

/// Lays a body out over many lines.
pub(crate) fn pretty(body: &mut String) {
    if let Ok(envelope) = serde_json::from_str::<serde_json::Value>(body)
        && let Ok(laid_out) = serde_json::to_string_pretty(&envelope)
    {
        *body = laid_out;
    }
}
