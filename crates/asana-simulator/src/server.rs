//! HTTP on a listener: hyper connections over breakable lines, until a shutdown.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderName, HeaderValue, USER_AGENT};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::control;
use crate::fault::Fault;
use crate::line::{Breaker, End, Line, Pieces};
use crate::oauth;
use crate::options::Control;
use crate::reply::Reply;
use crate::state::{Arrival, SimulatorState};

/// The path of the API.
const API: &str = "/api/1.0";
/// The path of the control endpoints, if they are enabled.
const CONTROL: &str = "/control";

/// Serves a simulator on a listener until `shutdown` resolves; connections still open are dropped then.
///
/// # Errors
/// When the listener has no address. A connection that cannot be accepted is skipped.
pub async fn run(
    listener: TcpListener,
    state: Arc<SimulatorState>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let base_url: Arc<str> = format!("http://{}{API}", listener.local_addr()?).into();
    // Dropping the sender at the end tells every connection to close.
    let (_open, closed) = watch::channel(());
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return Ok(()),
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    tokio::spawn(connection(stream, state.clone(), base_url.clone(), closed.clone()));
                }
            }
        }
    }
}

/// Serves one connection until either side closes it.
async fn connection(
    stream: TcpStream,
    state: Arc<SimulatorState>,
    base_url: Arc<str>,
    mut closed: watch::Receiver<()>,
) {
    // Small answers must not be delayed. If the socket option fails, it still works.
    let _ = stream.set_nodelay(true);
    let breaker = Breaker::default();
    let line = TokioIo::new(Line::new(stream, breaker.clone()));
    let service = service_fn(|request| serve(request, &state, &base_url, &breaker));
    let serving =
        hyper::server::conn::http1::Builder::new().timer(TokioTimer::new()).serve_connection(line, service);
    tokio::select! {
        // A client that disconnects, or a connection broken on purpose, is not an error here.
        _ = serving => {}
        _ = closed.changed() => {}
    }
}

async fn serve(
    request: Request<Incoming>,
    state: &SimulatorState,
    base_url: &str,
    breaker: &Breaker,
) -> Result<Response<Pieces>, Infallible> {
    let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let path = request.uri().path();
    let reply = match path.strip_prefix(API) {
        Some(path) => {
            let arrival = Arrival {
                method: request.method().as_str(),
                path,
                query: request.uri().query().unwrap_or_default(),
                authorization: header(AUTHORIZATION),
                user_agent: header(USER_AGENT).unwrap_or_default(),
                base_url,
            };
            state.handle(&arrival).await
        }
        None if path == oauth::PATH => {
            let form = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let form = String::from_utf8_lossy(&form);
            let struck = state.faults.strike(oauth::PATH, oauth::PATH, || form.clone().into_owned());
            if let Some((_, Fault::Respond { status, body, .. })) = struck {
                return Ok(response(Reply { status, headers: Vec::new(), body, fault: None }, breaker));
            }
            let (status, body) = state.grants.grant(state.options.app.as_ref(), &form, state.clock.now());
            Reply { status, headers: Vec::new(), body, fault: None }
        }
        None => {
            let path = path.strip_prefix(CONTROL).filter(|_| state.options.control == Control::On);
            let (status, body) = match path {
                Some(path) => {
                    let (path, query) =
                        (path.to_owned(), request.uri().query().unwrap_or_default().to_owned());
                    let method = request.method().clone();
                    match request.into_body().collect().await {
                        Ok(body) => control::control(state, method.as_str(), &path, &query, &body.to_bytes()),
                        Err(error) => (400, error.to_string()),
                    }
                }
                None => (404, "Not found".to_owned()),
            };
            Reply { status, headers: Vec::new(), body, fault: None }
        }
    };
    let mut response = response(reply, breaker);
    let date = state.clock.now().as_http_date();
    if let Ok(date) = HeaderValue::try_from(date) {
        response.headers_mut().insert(DATE, date);
    }
    Ok(response)
}

/// Turns a reply into a response, with a fault that happens while it is sent.
fn response(reply: Reply, breaker: &Breaker) -> Response<Pieces> {
    let Reply { status, headers, body, fault } = reply;
    let half = body.len() / 2;
    let body = match fault {
        Some(Fault::ResetBeforeHeaders) => {
            breaker.break_line();
            Pieces::whole(body)
        }
        Some(Fault::ResetInBody) => Pieces::ending(body, half, End::Reset(breaker.clone())),
        Some(Fault::TruncatedBody(sent)) => Pieces::ending(body, sent, End::Closed),
        Some(Fault::SlowBody(pause)) => Pieces::slow(body, pause),
        _ => Pieces::whole(body),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
