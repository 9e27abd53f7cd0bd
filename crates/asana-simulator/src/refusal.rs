//! Asana's error answers: status, message, and the body they travel in.

use crate::json::escape;
use crate::time::append;

/// The error answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub status: u16,
    pub message: String,
    /// The value of `Retry-After` in seconds.
    pub retry_after: Option<u64>,
    /// A new sync token, which the events endpoint sends with 412.
    pub sync: Option<String>,
}

const HELP: &str = "For more information on API status codes and how to handle them, read the docs on errors: \
                    https://developers.asana.com/docs/errors";

impl Refusal {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after: None, sync: None }
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        Self::new(400, format!("{parameter}: Missing input"))
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Not Authorized")
    }

    pub(crate) fn payment_required() -> Self {
        Self::new(402, "The requested object or action is only available to premium users.")
    }

    pub(crate) fn forbidden(name: &str) -> Self {
        Self::new(403, format!("{name}: Forbidden"))
    }

    pub(crate) fn unknown_path() -> Self {
        Self::new(404, "No matching route for request")
    }

    pub(crate) fn unknown_object(name: &str, text: &str) -> Self {
        Self::new(404, format!("{name}: Unknown object: {text}"))
    }

    pub(crate) fn expired_offset() -> Self {
        Self::new(400, "offset: Your pagination token has expired.")
    }

    /// The answer of a listing that is too long for one answer.
    pub(crate) fn too_large() -> Self {
        Self::new(
            400,
            "The result is too large. You should use pagination (may require specifying a workspace)!",
        )
    }

    /// The last page of a very large set. Asana documents this 400, but not its text.
    pub(crate) fn truncated_set() -> Self {
        Self::new(
            400,
            "The result set is too large and has been truncated. Please request a smaller set of data.",
        )
    }

    pub(crate) fn too_many_requests(retry_after: u64) -> Self {
        let message = format!(
            "You have made too many requests recently. Please, be chill. Retry after {retry_after}s."
        );
        Self { retry_after: Some(retry_after), ..Self::new(429, message) }
    }

    pub(crate) fn body(&self) -> String {
        let mut out = String::from("{\"errors\":[{\"message\":");
        escape(&mut out, &self.message);
        out.push_str(",\"help\":");
        escape(&mut out, HELP);
        if self.status == 500 {
            out.push_str(",\"phrase\":\"6 sad squid snuggle softly\"");
        }
        out.push_str("}]");
        if let Some(sync) = &self.sync {
            append(&mut out, format_args!(",\"sync\":\"{sync}\""));
        }
        out.push('}');
        out
    }
}
