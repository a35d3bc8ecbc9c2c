//! A client that calls, and hangs up once it is answered: INVITE, ACK and BYE.
//!
//! `cargo run -p adapter-tokio --example call -- sip:bob@127.0.0.1:5060`, against `answer`. A real
//! client has transactions above the transport; here, requests are sent again (RFC 3261 §17.1.1.2).

use std::env;
use std::error::Error;
use std::time::Duration;

use adapter_tokio::sip_core::build::RequestBuilder;
use adapter_tokio::sip_core::header::{self, Contact, list};
use adapter_tokio::sip_core::{Message, Method, Name, Request, Response};
use adapter_tokio::{Event, Incoming, Sent, SipTransport, Tokens};
use tokio::time::timeout;

type Failure = Box<dyn Error>;
const T1: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let uri = env::args().nth(1).ok_or("usage: call URI")?;
    let (transport, mut incoming) = SipTransport::builder().bind().await?;
    call(&transport, &mut incoming, &uri).await
}

/// Calls, and hangs up.
pub async fn call(sip: &SipTransport, incoming: &mut Incoming, uri: &str) -> Result<(), Failure> {
    let mut tokens = sip.tokens();
    // From and Contact hold placeholders, which the transport fills in.
    let invite = RequestBuilder::new(Method::Invite, uri).build(|bytes| tokens.fill(bytes))?;
    let sent = sip.send_request(invite).await?;
    let answer = answer_to(sip, incoming, &sent).await?;
    println!("INVITE: {}", answer.start_line());
    if answer.status().class() != 2 {
        // The ACK of a failure belongs to the INVITE's own transaction (RFC 3261 §17.1.1.3).
        let ack = sent.ack(&answer)?;
        sip.send_request(ack.request).options(ack.options).await?;
        return Err("the call was not answered".into());
    }
    // As it went out, with the addresses in it.
    let invite = sent.message()?;
    let ack = in_dialog(Method::Ack, 1, &invite, &answer, &mut tokens)?;
    sip.send_request(ack).await?;
    let bye = in_dialog(Method::Bye, 2, &invite, &answer, &mut tokens)?;
    let sent = sip.send_request(bye).await?;
    let answer = answer_to(sip, incoming, &sent).await?;
    println!("BYE: {}", answer.start_line());
    Ok(())
}

/// A request within the dialog that an answer has begun (RFC 3261 §12.2.1.1).
fn in_dialog(
    method: Method<'_>,
    cseq: u32,
    invite: &Message,
    answer: &Response,
    tokens: &mut Tokens,
) -> Result<Request, Failure> {
    let contact: Contact<'_> = answer.header()?.ok_or("the answer has no Contact")?;
    let call_id = invite.raw(Name::CallId).unwrap_or_default();
    let mut request = RequestBuilder::new(method, str::from_utf8(contact.uri_text())?)
        .from(invite.header::<header::From<'_>>()?.ok_or("no From")?)
        .to(answer.header::<header::To<'_>>()?.ok_or("no To")?)
        .call_id(str::from_utf8(call_id)?)
        .cseq(cseq);
    // The route set is the Record-Route backwards (RFC 3261 §12.1.2).
    let route_set = answer.raw_all(Name::RecordRoute).flat_map(list::split);
    for route in route_set.collect::<Vec<_>>().into_iter().rev() {
        request = request.header(Name::Route, route);
    }
    Ok(request.build(|bytes| tokens.fill(bytes))?)
}

/// The final response to a request, which is sent again over UDP until something comes.
async fn answer_to(
    sip: &SipTransport,
    incoming: &mut Incoming,
    sent: &Sent,
) -> Result<Response, Failure> {
    let request = sent.message()?;
    let branch = request.top_via()?.branch();
    let mut unheard = !sent.remote().protocol.is_stream();
    for pause in (0..7).map(|n| T1 * 2_u32.pow(n)) {
        while let Ok(Some(event)) = timeout(pause, incoming.recv()).await {
            if let Event::Response { response, .. } = event
                && response.top_via()?.branch() == branch
            {
                if !response.status().is_provisional() {
                    return Ok(response);
                }
                unheard = false;
            }
        }
        if unheard {
            sip.resend(sent)?;
        }
    }
    Err("there was no answer".into())
}
