//! Proxies and certificate authorities from the environment, with the real binary.

use std::process::{Output, Stdio};
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;
use source_asana::asana::{Client, Kind, Request, get_one};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::http::{TOKEN, settings};
use crate::server::{Reply, Server, Transport};

fn me() -> Reply {
    Reply::json(
        200,
        json!({"data": {"gid": "1", "name": "Ada", "email": "ada@example.com",
            "workspaces": [{"gid": "2", "name": "Engines"}]}}),
    )
}

/// A server with a self-signed certificate, and that certificate.
async fn tls_server() -> (Server, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    (Server::with(Transport::Tls(acceptor), |_, _| me()).await, cert.pem())
}

/// The binary's `check` with only these environment variables.
async fn check(base_url: &str, environment: &[(&str, String)]) -> String {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("config.json");
    std::fs::write(&config, json!({"token": TOKEN}).to_string()).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_source-asana"));
    command
        .args(["check", "--config"])
        .arg(config)
        .env_clear()
        .env("ASANA_BASE_URL", base_url)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null());
    let output: Output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    drop(folder);
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(!text.contains("0123456789abcdef"), "the token is in {text}");
    text
}

#[tokio::test]
async fn an_untrusted_certificate_is_not_tried_again() {
    let (server, _) = tls_server().await;
    let (settings, _told) = settings(format!("https://localhost:{}/api/1.0", server.port));
    let client = Client::new(settings).unwrap();
    let fault = get_one(&client, &Request::new("/users/me", "/users/me")).await.unwrap_err();
    assert_eq!(fault.kind, Kind::TrustServer, "{fault}");
    assert_eq!(client.counts()["/users/me"].requests, 1);
}

#[tokio::test]
async fn authorities_in_ssl_cert_file_are_trusted() {
    let (server, certificate) = tls_server().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("authorities.pem");
    std::fs::write(&file, certificate).unwrap();
    let file = file.to_str().unwrap().to_owned();
    let base_url = format!("https://localhost:{}/api/1.0", server.port);
    let text = check(&base_url, &[("SSL_CERT_FILE", file)]).await;
    assert!(text.contains("Ada"), "{text}");
    let text = check(&base_url, &[]).await;
    assert!(text.contains("SSL_CERT_FILE") && text.contains("FAILED"), "says what to do: {text}");
    assert_eq!(server.targets().iter().filter(|target| *target == "no TLS").count(), 1);
}

#[tokio::test]
async fn certificates_are_for_their_host_only() {
    let (server, certificate) = tls_server().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("authorities.pem");
    std::fs::write(&file, certificate).unwrap();
    let file = file.to_str().unwrap().to_owned();
    let text = check(&format!("https://127.0.0.1:{}/api/1.0", server.port), &[("SSL_CERT_FILE", file)]).await;
    assert!(text.contains("FAILED"), "{text}");
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_asked() {
    let proxy = Server::start(|_, _| me()).await;
    let address = format!("http://user:password@127.0.0.1:{}", proxy.port);
    let environment = [("HTTP_PROXY", address.clone()), ("http_proxy", address)];
    let text = check("http://asana.invalid/api/1.0", &environment).await;
    assert!(text.contains("Ada"), "{text}");
    let received = proxy.received();
    assert!(received[0].target.starts_with("http://asana.invalid/api/1.0/users/me"), "{received:?}");
    // user:password in base64.
    assert!(received[0].head.to_lowercase().contains("proxy-authorization: basic dxnlcjpwyxnzd29yza=="));
}

#[tokio::test]
async fn no_proxy_is_obeyed() {
    let server = Server::start(|_, _| me()).await;
    let environment = [
        ("HTTP_PROXY", "http://127.0.0.1:1".to_owned()),
        ("http_proxy", "http://127.0.0.1:1".to_owned()),
        ("NO_PROXY", "127.0.0.1".to_owned()),
        ("no_proxy", "127.0.0.1".to_owned()),
    ];
    let text = check(&server.base_url(), &environment).await;
    assert!(text.contains("Ada"), "{text}");
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_tunnel_is_asked_for_without_the_token_and_its_refusal_is_final() {
    let proxy = Server::start(|_, _| Reply::json(407, "")).await;
    let environment = [("HTTPS_PROXY", format!("http://127.0.0.1:{}", proxy.port))];
    let text = check("https://asana.invalid/api/1.0", &environment).await;
    assert!(text.contains("FAILED") && text.contains("HTTPS_PROXY"), "{text}");
    let received = proxy.received();
    assert_eq!(received.len(), 1, "{received:?}");
    assert_eq!(received[0].target, "asana.invalid:443");
    assert!(!received[0].head.to_lowercase().contains("\r\nauthorization"), "{}", received[0].head);
}
