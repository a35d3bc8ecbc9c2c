//! A server that answers every request with 200, over UDP and TCP.
//!
//! `cargo run -p adapter-tokio --example answer -- 127.0.0.1:5060`

use std::env;
use std::error::Error;
use std::hash::{BuildHasher, RandomState};

use adapter_tokio::sip_core::build::{BuildError, PLACEHOLDER, ResponseBuilder};
use adapter_tokio::sip_core::header::Contact;
use adapter_tokio::sip_core::{Method, Name, Request, Response, StatusCode};
use adapter_tokio::{Event, Incoming, SipTransport};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let local = env::args().nth(1);
    let local = local.as_deref().unwrap_or("127.0.0.1:5060").parse()?;
    let (transport, incoming) = SipTransport::builder().udp(local).tcp(local).bind().await?;
    for channel in transport.local_endpoints() {
        println!("listening on {channel}");
    }
    // Spawned, it runs on a worker of tokio's, beside the sockets.
    tokio::spawn(serve(transport.clone(), incoming));
    tokio::signal::ctrl_c().await?;
    transport.shutdown().await;
    Ok(())
}

/// Answers until the transport is shut down.
pub async fn serve(transport: SipTransport, mut incoming: Incoming) {
    let tags = RandomState::new();
    while let Some(event) = incoming.recv().await {
        match event {
            // An ACK is never answered (RFC 3261 §17).
            Event::Request { request, .. } if request.method() == Method::Ack => {}
            Event::Request {
                remote, request, ..
            } => {
                println!("{remote}: {}", request.start_line());
                match response(&request, &tags) {
                    // Back the way the request came. How that ends, an event tells.
                    Ok(response) => _ = transport.send_response(response).start(),
                    Err(error) => println!("{remote}: not answered: {error}"),
                }
            }
            Event::SendCompleted {
                result: Err(error), ..
            } => println!("not answered: {error}"),
            _ => {}
        }
    }
}

fn response(request: &Request, tags: &RandomState) -> Result<Response, BuildError> {
    // A request that comes again gets the same tag again (RFC 3261 §8.2.7).
    let tag = format!("{:016x}", tags.hash_one(request.raw(Name::CallId)));
    let mut response = ResponseBuilder::new(request, StatusCode::OK).to_tag(&tag);
    if request.method() == Method::Invite {
        // Where the caller finds us within the dialog; the transport puts in its own address.
        response = response.contact(Contact::new(PLACEHOLDER));
    }
    response.build()
}
