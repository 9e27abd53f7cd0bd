//! As little of an Asana as a read of tasks needs, over plain HTTP/1.1 on loopback: it copies bytes and reads no
//! JSON, so that what is measured is the reader. Knows no Airbyte.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use crate::pages::{ROWS, TaskPages};

/// Pages of a project, so that many projects are read side by side as they are in real accounts.
pub const PAGES_OF_PROJECT: usize = 4;
/// The first project's gid; the others follow.
const FIRST_PROJECT: usize = 1_100_000_000_000_000;

/// How many projects of how large pages, and how long each answer takes.
pub struct Account {
    pub projects: usize,
    pub pages: Arc<TaskPages>,
    pub latency: Duration,
}

impl Account {
    pub fn tasks(&self) -> usize {
        self.projects * PAGES_OF_PROJECT * ROWS
    }

    /// Appends the body of the answer to a request for `target`.
    fn answer(&self, target: &str, output: &mut Vec<u8>) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let parameter =
            |name: &str| query.split('&').filter_map(|pair| pair.split_once('=')).find(|pair| pair.0 == name);
        let offset: usize = parameter("offset").and_then(|pair| pair.1.parse().ok()).unwrap_or_default();
        output.extend_from_slice(b"{\"data\":[");
        let mut has_more = false;
        match (path, parameter("project").and_then(|pair| pair.1.parse::<usize>().ok())) {
            ("/workspaces", _) => output.extend_from_slice(br#"{"gid":"1000000000000001"}"#),
            ("/projects", _) => {
                let end = self.projects.min((offset + 1) * ROWS);
                let rows = (offset * ROWS..end)
                    .map(|project| format!(r#"{{"gid":"{}"}}"#, FIRST_PROJECT + project))
                    .collect::<Vec<_>>();
                output.extend_from_slice(rows.join(",").as_bytes());
                has_more = end < self.projects;
            }
            ("/tasks", Some(project)) => {
                self.pages.append((project - FIRST_PROJECT) * PAGES_OF_PROJECT + offset, output);
                has_more = offset + 1 < PAGES_OF_PROJECT;
            }
            _ => {}
        }
        let next = if has_more { format!(r#"{{"offset":"{}"}}"#, offset + 1) } else { "null".to_owned() };
        output.extend_from_slice(format!(r#"],"next_page":{next}}}"#).as_bytes());
    }
}

/// Serves the account from a thread of its own until the process ends; gives the base URL.
pub fn start(account: Account) -> io::Result<String> {
    let listener = std::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || {
        let account = Rc::new(account);
        LocalSet::new().block_on(&runtime, async move {
            let listener = TcpListener::from_std(listener)?;
            loop {
                let (connection, _) = listener.accept().await?;
                connection.set_nodelay(true)?;
                let account = Rc::clone(&account);
                // A reader that goes away ends its connection, nothing else.
                tokio::task::spawn_local(async move { serve(connection, &account).await.ok() });
            }
            #[expect(unreachable_code, reason = "the type of the block")]
            io::Result::Ok(())
        })
    });
    Ok(format!("http://{address}"))
}

async fn serve(mut connection: TcpStream, account: &Account) -> io::Result<()> {
    let mut request = Vec::new();
    let mut body = Vec::new();
    let mut answer = Vec::new();
    loop {
        request.clear();
        while !request.ends_with(b"\r\n\r\n") {
            if connection.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        tokio::time::sleep(account.latency).await;
        let head = String::from_utf8_lossy(&request);
        let target = head.split(' ').nth(1).unwrap_or_default();
        body.clear();
        account.answer(target, &mut body);
        answer.clear();
        answer.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=UTF-8\r\n");
        answer.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        answer.extend_from_slice(&body);
        connection.write_all(&answer).await?;
    }
}
