//! A registrar, and a stateless proxy to those who are registered, over the flows that they opened:
//! so it reaches clients behind NAT (RFC 5626).
//!
//! `cargo run -p adapter-tokio --example proxy -- 127.0.0.1:5060`. It keeps bindings by user name, in
//! memory, and asks nobody who they are: a real one asks for credentials (RFC 3261 §22), and tells
//! `SipTransport::trust` of the connections of those who had them.
//!
//! It keeps no state of a request. Where the response goes, a token in its Via says; where the
//! requests of a dialog go, tokens in its Record-Routes say, of which each side has one (RFC 5658).

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::time::{Duration, Instant};

use adapter_tokio::sip_core::build::ResponseBuilder;
use adapter_tokio::sip_core::header::{Contact, Expires, MaxForwards, Route, To};
use adapter_tokio::sip_core::uri::Uri;
use adapter_tokio::sip_core::{Flow, Message, Method, Name, Request, Response, StatusCode};
use adapter_tokio::{Event, Incoming, SipTransport, stateless_branch};

/// How long a binding holds, if the client does not say (RFC 3261 §10.2).
const EXPIRES: u32 = 3_600;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let local = env::args().nth(1);
    let local = local.as_deref().unwrap_or("127.0.0.1:5060").parse()?;
    let (transport, incoming) = SipTransport::builder().udp(local).tcp(local).bind().await?;
    tokio::spawn(serve(transport.clone(), incoming));
    tokio::signal::ctrl_c().await?;
    transport.shutdown().await;
    Ok(())
}

/// Registers and forwards until the transport is shut down.
pub async fn serve(transport: SipTransport, mut incoming: Incoming) {
    let tag = transport.tokens().tag().to_string();
    let mut proxy = Proxy {
        transport,
        bindings: HashMap::new(),
        tag,
    };
    while let Some(event) = incoming.recv().await {
        let done = match event {
            Event::Request { request, .. } => proxy.request(request),
            Event::Response { response, .. } => proxy.response(response),
            _ => Ok(()),
        };
        if let Err(error) = done {
            println!("{error}");
        }
    }
}

/// Where a user is: what to ask for there, and the flow that leads there.
struct Binding {
    contact: String,
    flow: Flow,
    until: Instant,
}

struct Proxy {
    transport: SipTransport,
    bindings: HashMap<String, Binding>,
    tag: String,
}

impl Proxy {
    fn request(&mut self, request: Request) -> Result<(), Failure> {
        let status = match request.method() {
            Method::Register => return self.register(&request),
            _ => match self.forward(&request)? {
                None => return Ok(()),
                Some(status) => status,
            },
        };
        if request.method() == Method::Ack {
            return Ok(());
        }
        let response = ResponseBuilder::new(&request, status).to_tag(&self.tag);
        self.transport.send_response(response.build()?).start();
        Ok(())
    }

    /// RFC 3261 §10.3, for one Contact.
    fn register(&mut self, request: &Request) -> Result<(), Failure> {
        let to: To<'_> = request.header()?.ok_or("a REGISTER without To")?;
        let user = user(to.uri()).ok_or("a REGISTER for nobody")?;
        let flow = request.flow().ok_or("a REGISTER from nowhere")?;
        let expires = request.header::<Expires>()?.map(|expires| expires.0);
        let mut response = ResponseBuilder::new(request, StatusCode::OK).to_tag(&self.tag);
        if let Some(contact) = request.header::<Contact<'_>>()? {
            let expires = contact.expires().or(expires).unwrap_or(EXPIRES);
            if expires == 0 || contact.is_wildcard() {
                self.bindings.remove(&user);
            } else {
                let contact = str::from_utf8(contact.uri_text())?.to_owned();
                response = response.header(Name::Contact, format!("<{contact}>;expires={expires}"));
                let binding = Binding {
                    contact,
                    flow,
                    until: Instant::now() + Duration::from_secs(expires.into()),
                };
                println!("{user} is at {}", flow.remote());
                self.bindings.insert(user, binding);
            }
        }
        self.transport.send_response(response.build()?).start();
        Ok(())
    }

    /// Sends a request on (RFC 3261 §16.6), or says why not.
    fn forward(&self, request: &Request) -> Result<Option<StatusCode>, Failure> {
        let hops = request.header::<MaxForwards>()?.map_or(70, |hops| hops.0);
        let Some(hops) = hops.checked_sub(1) else {
            return Ok(Some(StatusCode::TOO_MANY_HOPS));
        };
        let came = request.flow().ok_or("a request from nowhere")?;
        let mut message = request.clone().into_message();
        message.set(Name::MaxForwards, hops.to_string())?;

        let flow = if let Some(flow) = self.take_routes(&mut message)? {
            flow
        } else {
            let binding = user(request.uri()?).and_then(|user| self.bindings.get(&user));
            let Some(binding) = binding.filter(|binding| binding.until > Instant::now()) else {
                return Ok(Some(StatusCode::NOT_FOUND));
            };
            message.set_request_uri(&binding.contact)?;
            // The lower one is of the side that the request came in on. Both get their addresses
            // from the transport.
            for flow in [&came, &binding.flow] {
                let token = self.transport.flow_token(flow);
                message.prepend(Name::RecordRoute, format!("<sip:{token}@0.0.0.0;lr>"))?;
            }
            binding.flow
        };
        // RFC 5626 §5.3.1: the flow is gone, and so is the client, until it registers again.
        let Some(options) = self.transport.flow_options(&flow) else {
            return Ok(Some(StatusCode::FLOW_FAILED));
        };
        let branch = stateless_branch(request)?;
        let token = self.transport.flow_token(&came);
        let via = format!("SIP/2.0/UDP 0.0.0.0;branch={branch};flow={token}");
        message.prepend(Name::Via, via)?;
        let request = Request::try_from(message)?;
        self.transport
            .send_request(request)
            .options(options)
            .start();
        Ok(None)
    }

    /// Takes off the Routes that are ours (RFC 3261 §16.4): the last of them leads on.
    fn take_routes(&self, message: &mut Message) -> Result<Option<Flow>, Failure> {
        let mut last = None;
        while let Some(route) = message.header::<Route<'_>>()? {
            let token = user(route.uri());
            let flow = token.and_then(|token| self.transport.flow_from_token(&token));
            if flow.is_none() {
                break;
            }
            last = flow;
            message.remove_first_value(Name::Route)?;
        }
        Ok(last)
    }

    /// Sends a response on, over the flow that its request came by (RFC 3261 §16.11).
    fn response(&self, response: Response) -> Result<(), Failure> {
        let mut message = response.into_message();
        let via = message.top_via()?;
        let token = via.params().get("flow").and_then(|flow| flow.value());
        let flow = token.and_then(|token| str::from_utf8(token).ok());
        let flow = flow.and_then(|token| self.transport.flow_from_token(token));
        message.remove_first_value(Name::Via)?;
        message.set_flow(flow.ok_or("a response that was not asked for here")?);
        let response = Response::try_from(message)?;
        self.transport.send_response(response).start();
        Ok(())
    }
}

fn user(uri: Uri<'_>) -> Option<String> {
    match uri {
        Uri::Sip(uri) => uri.user().map(str::to_owned),
        _ => None,
    }
}
