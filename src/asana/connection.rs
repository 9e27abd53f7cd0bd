//! The connection: TLS, proxies, timeouts, bodies, and the faults of a broken connection.

use std::time::Duration;

use airbyte_connector::{Redacted, Secrets, ServerText, with_causes};

use super::fault::{Asked, Fault, Kind};
use super::limiter::MOST_IN_FLIGHT;
use super::turn::LARGE_BODY;

/// A page of a hundred full records has half a megabyte. A hundred tasks with the longest notes that Asana accepts have
/// less than this.
pub(super) const LARGEST_PAGE: usize = 32 * 1024 * 1024;
/// Asana's error bodies have a few hundred bytes.
pub(super) const LARGEST_ERROR: usize = 64 * 1024;
/// Bytes of a body that a server may send before anything is read.
const HTTP2_STREAM_WINDOW: u32 = 128 * 1024;
/// The same for all requests of a connection together. It is more than all pending requests can fill; otherwise waiting
/// bodies would block the ones being read.
const HTTP2_CONNECTION_WINDOW: u32 = 2 * MOST_IN_FLIGHT as u32 * HTTP2_STREAM_WINDOW;
/// The error text of hyper-util when a proxy answers CONNECT with 407. The type of that error is private.
const TUNNEL_REFUSED: &str = "proxy authorization required";

/// Time limits of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection is established, including proxy and TLS.
    pub connect: Duration,
    /// Until the headers, and then between two chunks of the body.
    pub idle: Duration,
    /// From the headers to the last byte of the body.
    pub body: Duration,
}

impl Default for Timeouts {
    /// Asana itself gives up after about a minute, with 504, so waiting much longer for a first byte is useless.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            idle: Duration::from_secs(90),
            body: Duration::from_secs(300),
        }
    }
}

impl Timeouts {
    /// For a user who waits at a form, and for small answers.
    pub fn brief() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(15),
            body: Duration::from_secs(20),
        }
    }
}

/// An HTTP client that keeps up to `idle` connections while there are no requests.
pub(super) fn http_client(timeouts: Timeouts, idle: usize) -> reqwest::Result<reqwest::Client> {
    // An error means that a provider is installed already, which is fine.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = || {
        reqwest::Client::builder()
            .user_agent(concat!("source-asana/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeouts.connect)
            .read_timeout(timeouts.idle)
            // Asana's API does not redirect. A server that does is not Asana and must not see the token.
            .redirect(reqwest::redirect::Policy::none())
            // Each connection keeps a buffer of the size of its largest page.
            .pool_max_idle_per_host(idle)
            .http2_initial_stream_window_size(HTTP2_STREAM_WINDOW)
            .http2_initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
            .retry(reqwest::retry::never())
    };
    builder().build().or_else(|error| {
        // An image without certificate authorities: use Mozilla's, as of the build. They are not added to those that
        // the operator chose.
        if std::env::var_os("SSL_CERT_FILE").is_some() || std::env::var_os("SSL_CERT_DIR").is_some() {
            return Err(error);
        }
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
        let roots = roots.map(|root| reqwest::Certificate::from_der(root)).collect::<Result<Vec<_>, _>>()?;
        builder().tls_certs_only(roots).build()
    })
}

/// Why a body is incomplete.
pub(super) enum Broken {
    Connection(reqwest::Error),
    TooLarge,
    TooSlow,
}

impl Broken {
    pub(super) fn fault(self, asked: &Asked, secrets: &Secrets) -> Fault {
        match self {
            Self::Connection(error) => fault_of(error, asked, secrets),
            Self::TooSlow => Fault::new(Kind::Reconnect, None, "the answer did not end in time", asked),
            Self::TooLarge => {
                let message = format!("the answer has more than {} MiB", LARGEST_PAGE / (1024 * 1024));
                Fault::new(Kind::AskForLess, Some(200), Redacted::own(message), asked)
            }
        }
    }
}

/// Reads the body of a successful answer into the empty buffer `body`, up to the size limit of a page.
pub(super) async fn page_of(answer: reqwest::Response, body: Vec<u8>) -> Result<Vec<u8>, Broken> {
    match body_of(answer, body, LARGEST_PAGE).await? {
        (body, Length::Whole) => Ok(body),
        (_, Length::Cut) => Err(Broken::TooLarge),
    }
}

/// The body of an error answer, cut off if it is long.
pub(super) async fn error_of(answer: reqwest::Response) -> Result<Vec<u8>, Broken> {
    body_of(answer, Vec::new(), LARGEST_ERROR).await.map(|(body, _)| body)
}

/// Whether a body was read to its end.
enum Length {
    Whole,
    Cut,
}

/// The body of an answer, decompressed, up to `limit` bytes.
async fn body_of(
    mut answer: reqwest::Response,
    mut body: Vec<u8>,
    limit: usize,
) -> Result<(Vec<u8>, Length), Broken> {
    // The announced length is not trusted beyond the size of a large page.
    let length = answer.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
    body.reserve(length.min(LARGE_BODY).min(limit));
    while let Some(piece) = answer.chunk().await.map_err(Broken::Connection)? {
        let room = limit - body.len();
        if piece.len() > room {
            body.extend_from_slice(&piece[..room]);
            return Ok((body, Length::Cut));
        }
        body.extend_from_slice(&piece);
    }
    Ok((body, Length::Whole))
}

/// The fault of a request without a complete answer.
pub(super) fn fault_of(error: reqwest::Error, asked: &Asked, secrets: &Secrets) -> Fault {
    let error = error.without_url();
    let message = with_causes(&error);
    let kind = if is_untrusted(&error) {
        Kind::TrustServer
    } else if message.contains(TUNNEL_REFUSED) {
        Kind::SatisfyProxy
    } else {
        Kind::Reconnect
    };
    Fault::new(kind, None, ServerText::new(message).redact(secrets), asked)
}

/// Whether the server's certificate was rejected. reqwest reports that like any other connection error.
fn is_untrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return matches!(tls, rustls::Error::InvalidCertificate(_));
    }
    // `source` of an I/O error skips the error that it wraps.
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wrapped.is_some_and(|wrapped| is_untrusted(wrapped)) || error.source().is_some_and(is_untrusted)
}
