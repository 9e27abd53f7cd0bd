//! What the connector is compared with: the same listings, page after page, through `serde_json::Value` in and
//! out. It keeps no state, no pace and no patience.

use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::Client;
use serde_json::{Value, json};

/// Reads every task of the account at `base_url` and prints RECORD lines.
pub fn read(base_url: &str) -> Result<(), Box<dyn Error>> {
    // An error says that a provider is installed already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = Client::new();
        let mut output = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
        let mut projects = Vec::new();
        for_each(&client, &format!("{base_url}/projects?limit=100"), |project| {
            projects.push(project["gid"].as_str().unwrap_or_default().to_owned());
            Ok(())
        })
        .await?;
        for project in projects {
            let address = format!("{base_url}/tasks?project={project}&limit=100");
            for_each(&client, &address, |task| {
                let emitted_at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
                let message = json!({
                    "type": "RECORD", "record": {"stream": "tasks", "data": task, "emitted_at": emitted_at}});
                serde_json::to_writer(&mut output, &message)?;
                output.write_all(b"\n")?;
                Ok(())
            })
            .await?;
        }
        output.flush()?;
        Ok(())
    })
}

async fn for_each(
    client: &Client,
    address: &str,
    mut take: impl FnMut(Value) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let mut offset = String::new();
    loop {
        let body = client.get(format!("{address}{offset}")).send().await?.bytes().await?;
        let mut page: Value = serde_json::from_slice(&body)?;
        if let Value::Array(rows) = page["data"].take() {
            rows.into_iter().try_for_each(&mut take)?;
        }
        match page["next_page"]["offset"].as_str() {
            Some(next) => offset = format!("&offset={next}"),
            None => return Ok(()),
        }
    }
}
