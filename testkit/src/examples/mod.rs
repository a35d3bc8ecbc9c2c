//! The examples of the adapters, written once over any runtime: each adapter's `examples/` holds
//! only a `main` for each.

pub mod dead_names;
pub mod ping;
pub mod quickstart;
pub mod responder;

use std::error::Error;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use adapter_core::Builder;
use adapter_core::capture::{Capture, Rotation};
use adapter_core::runtime::{CurrentRuntime, Runtime};
use adapter_core::sip_transport_proto::Tokens;
use adapter_core::sip_transport_proto::sip_core::build::{
    BuildError, PLACEHOLDER, RequestBuilder, ResponseBuilder,
};
use adapter_core::sip_transport_proto::sip_core::header::Contact;
use adapter_core::sip_transport_proto::sip_core::{Method, Name, Request, Response, StatusCode};
use adapter_core::sip_transport_proto::tls::rustls::crypto::{CryptoProvider, ring};

/// What an example may fail of.
pub type Failure = Box<dyn Error>;

/// Prints what an example failed of, and makes it the exit code.
pub fn exit_code(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The cryptography of the examples.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A file's content; an error names the file.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Captures into a pcapng file, where one is named.
fn pcap<R: CurrentRuntime>(builder: Builder<R>, path: Option<&Path>) -> Builder<R> {
    match path {
        Some(path) => builder.capture(Capture::pcapng(path, Rotation::never())),
        None => builder,
    }
}

/// Answers requests with one status, without keeping anything about them.
#[derive(Clone, Debug)]
pub struct Answers {
    status: StatusCode,
    tags: RandomState,
}

impl Answers {
    /// Answers with this status.
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            tags: RandomState::new(),
        }
    }

    /// The response to a request; none to an ACK, which is never answered (RFC 3261 §17).
    ///
    /// A request that comes again gets the same To tag again (RFC 3261 §8.2.7).
    ///
    /// # Errors
    /// The request lacks what a response repeats.
    pub fn to(&self, request: &Request) -> Result<Option<Response>, BuildError> {
        if request.method() == Method::Ack {
            return Ok(None);
        }
        let tag = hex(self.tags.hash_one(request.raw(Name::CallId)));
        let tag = str::from_utf8(&tag).unwrap_or_default();
        let mut response = ResponseBuilder::new(request, self.status).to_tag(tag);
        if request.method() == Method::Invite && self.status.class() == 2 {
            // RFC 3261 §13.3.1.4; the transport puts in its own address.
            response = response.contact(Contact::new(PLACEHOLDER));
        }
        response.build().map(Some)
    }
}

fn hex(number: u64) -> [u8; 16] {
    let digit = |shift: u32| b"0123456789abcdef"[(number >> shift & 15) as usize];
    std::array::from_fn(|i| digit(60 - 4 * i as u32))
}

/// An OPTIONS with placeholders for our own address in Via, From and Contact.
fn options<'a>(uri: &'a str) -> RequestBuilder<'a> {
    RequestBuilder::new(Method::Options, uri).contact(Some(Contact::new(PLACEHOLDER)))
}

/// Random names, seeded from the operating system.
fn tokens(runtime: &impl Runtime) -> Result<Tokens, Failure> {
    let mut seed = [0; 32];
    runtime.fill_random(&mut seed)?;
    Ok(Tokens::new(seed))
}

/// A message as text, indented: nothing in it reaches a terminal as a command.
fn indented(bytes: &[u8]) -> String {
    let plain = |c: char| {
        if c.is_control() && c != '\t' {
            '\u{FFFD}'
        } else {
            c
        }
    };
    let text = String::from_utf8_lossy(bytes);
    text.trim_end()
        .lines()
        .map(|line| format!("    {}\n", line.chars().map(plain).collect::<String>()))
        .collect()
}

/// The outcome of a future, unless `stop` is ready before.
async fn unless<T>(stop: impl Future<Output = ()>, future: impl Future<Output = T>) -> Option<T> {
    let (mut stop, mut future) = (pin!(stop), pin!(future));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => stop.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// The outcome of a future, unless it takes longer than `limit`, if there is one.
async fn within<T>(
    runtime: &impl Runtime,
    limit: Option<Duration>,
    future: impl Future<Output = T>,
) -> Option<T> {
    let Some(limit) = limit else {
        return Some(future.await);
    };
    let mut timer = runtime.timer(runtime.now() + limit);
    unless(poll_fn(|cx| timer.poll(cx)), future).await
}
