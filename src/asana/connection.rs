//! The connection: TLS, proxies, timeouts, bodies, and why bytes did not come.

use std::time::Duration;

use airbyte_connector::{Redacted, Secrets, ServerText, with_causes};

use super::fault::{Asked, Fault, Kind};
use super::limiter::MOST_IN_FLIGHT;
use super::turn::LARGE_BODY;

/// A page of a hundred full records has half a megabyte; a hundred tasks with the longest notes that Asana takes have
/// less than this.
pub(super) const LARGEST_PAGE: usize = 32 * 1024 * 1024;
/// Asana's list of errors has a few hundred bytes.
pub(super) const LARGEST_ERROR: usize = 64 * 1024;
/// What a server may send of a body that nobody reads yet, in bytes.
const HTTP2_STREAM_WINDOW: u32 = 128 * 1024;
/// The same for all requests of a connection together. More than every request under way can fill, or bodies that
/// wait for their turn would hold up those whose turn it is.
const HTTP2_CONNECTION_WINDOW: u32 = 2 * MOST_IN_FLIGHT as u32 * HTTP2_STREAM_WINDOW;
/// How hyper-util says that a proxy answered a tunnel's CONNECT with 407; the type of that error is private.
const TUNNEL_REFUSED: &str = "proxy authorization required";

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until there is a connection, the proxy's and TLS included.
    pub connect: Duration,
    /// Until the headers, and from then on between any two pieces of the body.
    pub idle: Duration,
    /// From the headers to the body's last byte.
    pub body: Duration,
}

impl Default for Timeouts {
    /// Asana itself gives up on a request after about a minute, with 504: waiting longer than that for a first
    /// byte is of no use.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            idle: Duration::from_secs(90),
            body: Duration::from_secs(300),
        }
    }
}

impl Timeouts {
    /// For somebody who waits at a form and asks for little.
    pub fn brief() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(15),
            body: Duration::from_secs(20),
        }
    }
}

/// A client for connections of which `idle` are kept when nothing is under way.
pub(super) fn http_client(timeouts: Timeouts, idle: usize) -> reqwest::Result<reqwest::Client> {
    // An error says that a provider is installed already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = || {
        reqwest::Client::builder()
            .user_agent(concat!("source-asana/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeouts.connect)
            .read_timeout(timeouts.idle)
            // Asana's API does not redirect, so whatever does is not Asana and must not see the token.
            .redirect(reqwest::redirect::Policy::none())
            // A connection that has carried a large page keeps a buffer of that size.
            .pool_max_idle_per_host(idle)
            .http2_initial_stream_window_size(HTTP2_STREAM_WINDOW)
            .http2_initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
            .retry(reqwest::retry::never())
    };
    builder().build().or_else(|error| {
        // An image without certificate authorities: Mozilla's, as of the build, are better than none. They
        // are not added to those that the operator chose.
        if std::env::var_os("SSL_CERT_FILE").is_some() || std::env::var_os("SSL_CERT_DIR").is_some() {
            return Err(error);
        }
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
        let roots = roots.map(|root| reqwest::Certificate::from_der(root)).collect::<Result<Vec<_>, _>>()?;
        builder().tls_certs_only(roots).build()
    })
}

/// Why a body did not arrive.
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

/// The body of a success, in `body`, which is empty. No more of it is read than a page may have.
pub(super) async fn page_of(answer: reqwest::Response, body: Vec<u8>) -> Result<Vec<u8>, Broken> {
    match body_of(answer, body, LARGEST_PAGE).await? {
        (body, Length::Whole) => Ok(body),
        (_, Length::Cut) => Err(Broken::TooLarge),
    }
}

/// The body of an answer that is no success, or the beginning of a long one.
pub(super) async fn error_of(answer: reqwest::Response) -> Result<Vec<u8>, Broken> {
    body_of(answer, Vec::new(), LARGEST_ERROR).await.map(|(body, _)| body)
}

/// Whether all of a body was read.
enum Length {
    Whole,
    Cut,
}

/// As much of an answer's body, decompressed, as `most` allows.
async fn body_of(
    mut answer: reqwest::Response,
    mut body: Vec<u8>,
    most: usize,
) -> Result<(Vec<u8>, Length), Broken> {
    // A length that is told is believed as far as a page is ever long.
    let told = answer.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
    body.reserve(told.min(LARGE_BODY).min(most));
    while let Some(piece) = answer.chunk().await.map_err(Broken::Connection)? {
        let room = most - body.len();
        if piece.len() > room {
            body.extend_from_slice(&piece[..room]);
            return Ok((body, Length::Cut));
        }
        body.extend_from_slice(&piece);
    }
    Ok((body, Length::Whole))
}

/// The fault of a request that got no answer, or not all of it.
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

/// Whether the server's certificate is what is wrong. A connection that fails by it looks like any other.
fn is_untrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return matches!(tls, rustls::Error::InvalidCertificate(_));
    }
    // What an I/O error holds is not its source: that is the source of what it holds.
    let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    held.is_some_and(|held| is_untrusted(held)) || error.source().is_some_and(is_untrusted)
}
