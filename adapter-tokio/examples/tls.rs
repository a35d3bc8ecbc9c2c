//! A server and a client over TLS, and a certificate that is replaced while they run.
//!
//! `cargo run -p adapter-tokio --example tls -- CERTIFICATE KEY ROOTS NAME`: files of PEM, and the
//! name that the certificate is for. A self-signed certificate is its own root:
//!
//! ```sh
//! openssl req -x509 -newkey ed25519 -nodes -subj /CN=sip.example.com \
//!     -addext subjectAltName=DNS:sip.example.com -keyout key.pem -out certificate.pem
//! cargo run -p adapter-tokio --example tls -- certificate.pem key.pem certificate.pem sip.example.com
//! ```

use std::env;
use std::error::Error;
use std::sync::Arc;

use adapter_tokio::sip_core::build::RequestBuilder;
use adapter_tokio::sip_core::{Method, Request};
use adapter_tokio::tls::rustls::crypto::ring;
use adapter_tokio::tls::{
    LocalCertificate, ServerCertificates, TlsClient, TlsServer, roots_from_pem,
};
use adapter_tokio::{Config, Event, SipTransport};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [certificate, key, roots, name] = &arguments[..] else {
        return Err("usage: tls CERTIFICATE KEY ROOTS NAME".into());
    };
    let read = |path| std::fs::read(path).map_err(|error| format!("{path}: {error}"));
    run(&read(certificate)?, &read(key)?, &read(roots)?, name).await
}

/// Sends a request under the certificate, replaces it, and sends another.
pub async fn run(
    certificate: &[u8],
    key: &[u8],
    roots: &[u8],
    name: &str,
) -> Result<(), Box<dyn Error>> {
    let provider = Arc::new(ring::default_provider());
    let load = || LocalCertificate::from_pem(&provider, certificate, key);

    // The server keeps the handle by which its certificates can be replaced.
    let certificates = ServerCertificates::from(load()?);
    let tls = TlsServer::new(provider.clone(), certificates.clone()).build()?;
    let (server, mut requests) = SipTransport::builder()
        .tls("127.0.0.1:0".parse()?, tls)
        .bind()
        .await?;
    let at = server.local_endpoints().remove(0);

    let roots = roots_from_pem(roots)?;
    let mut config = Config::default();
    config.tls(TlsClient::new(provider.clone()).roots(roots).build()?);
    let (client, mut events) = SipTransport::builder().config(config).bind().await?;
    let mut tokens = client.tokens();
    let uri = format!("sips:{name}");
    let mut options = || -> Result<Request, Box<dyn Error>> {
        let request = RequestBuilder::new(Method::Options, &uri);
        Ok(request.build(|bytes| tokens.fill(bytes))?)
    };

    // The destination says where to; who must be there, the request's URI says (RFC 5922 §4).
    client.send_request(options()?).to(at).await?;
    while let Some(event) = events.recv().await {
        if let Event::ConnectionOpened { identity, .. } = event {
            println!("connected to {identity:?}");
            break;
        }
    }

    // Connections that are open stay; the next handshake sees the new certificate.
    certificates.replace([load()?])?;
    client
        .send_request(options()?)
        .to(at)
        .new_connection()
        .await?;

    let mut arrived = 0;
    while arrived < 2 {
        let event = requests.recv().await.ok_or("the server has ended")?;
        if let Event::Request { remote, .. } = event {
            println!("a request came from {remote}");
            arrived += 1;
        }
    }
    client.shutdown().await;
    server.shutdown().await;
    Ok(())
}
