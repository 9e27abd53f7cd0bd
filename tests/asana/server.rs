//! A server on the loopback interface that answers as a test defines, correctly or not.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A received request.
#[derive(Debug, Clone)]
pub struct Received {
    /// Path and query, or the full URL for a proxy.
    pub target: String,
    /// The head of the request, line by line.
    pub head: String,
}

/// What to do about a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Status, headers (each with its line end), body.
    Answer(u16, String, Vec<u8>),
    /// The headers of an answer whose body is announced to be longer than what is sent before the end.
    CutOff(u16, Vec<u8>),
    /// The same, but the body never ends.
    Stuck(u16, Vec<u8>),
    /// Close the connection without an answer.
    Reset,
    /// Keep the connection and send nothing.
    Silence,
}

impl Reply {
    pub fn json(status: u16, body: impl ToString) -> Self {
        Self::Answer(status, String::new(), body.to_string().into_bytes())
    }

    /// One of Asana's errors.
    pub fn error(status: u16, message: &str) -> Self {
        Self::json(status, serde_json::json!({"errors": [{"message": message, "help": "…"}]}))
    }

    pub fn header(self, name: &str, value: &str) -> Self {
        match self {
            Self::Answer(status, headers, body) => {
                Self::Answer(status, format!("{headers}{name}: {value}\r\n"), body)
            }
            other => other,
        }
    }
}

/// Whether the server speaks TLS.
pub enum Transport {
    Plain,
    Tls(TlsAcceptor),
}

pub struct Server {
    pub port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers each request by `reply`, whose argument is the number of earlier requests.
    pub async fn start(reply: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(Transport::Plain, reply).await
    }

    pub async fn with(
        transport: Transport,
        reply: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (log, reply, transport) = (Arc::clone(&received), Arc::new(reply), Arc::new(transport));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (log, reply, transport) = (log.clone(), reply.clone(), transport.clone());
                tokio::spawn(async move {
                    match &*transport {
                        Transport::Plain => serve(stream, &log, &*reply).await,
                        Transport::Tls(acceptor) => match acceptor.accept(stream).await {
                            Ok(stream) => serve(stream, &log, &*reply).await,
                            // In some tests the client disconnects here.
                            Err(_) => log
                                .lock()
                                .unwrap()
                                .push(Received { target: "no TLS".to_owned(), head: String::new() }),
                        },
                    }
                });
            }
        });
        Self { port, received, task }
    }

    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/api/1.0", self.port)
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub fn targets(&self) -> Vec<String> {
        self.received().into_iter().map(|received| received.target).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request a connection, which keeps the tests apart from connection pooling.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    log: &Mutex<Vec<Received>>,
    reply: &(dyn Fn(usize, &Received) -> Reply + Send + Sync),
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap().to_owned();
    let received = Received { target, head };
    let reply = {
        let mut log = log.lock().unwrap();
        let reply = reply(log.len(), &received);
        log.push(received);
        reply
    };
    let (status, headers, body, length) = match reply {
        Reply::Answer(status, headers, body) => (status, headers, body.clone(), body.len()),
        Reply::CutOff(status, body) => (status, String::new(), body.clone(), body.len() + 100),
        Reply::Stuck(status, body) => {
            let answer = answer(status, "", &body, body.len() + 100);
            stream.write_all(&answer).await.ok();
            stream.flush().await.ok();
            return std::future::pending().await;
        }
        Reply::Reset => return,
        Reply::Silence => return std::future::pending().await,
    };
    // The client may have disconnected; the test checks that.
    stream.write_all(&answer(status, &headers, &body, length)).await.ok();
    stream.shutdown().await.ok();
}

fn answer(status: u16, headers: &str, body: &[u8], length: usize) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// A port without a listener.
pub async fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    port
}
