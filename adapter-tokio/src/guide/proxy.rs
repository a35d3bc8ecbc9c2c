//! A proxy or registrar whose clients are behind NAT.
//!
//! A client behind NAT can be reached over the flow that it opened, and over no other (RFC 5626). A
//! *flow* is the connection on which a request was received or, over UDP, the socket and the two
//! addresses. Each received request has one, in [`Message::flow`](crate::sip_core::Message::flow);
//! a response built from the request inherits it.
//!
//! # Registering
//!
//! Keep the flow of the REGISTER with the binding. It is small, and may be stored in a database as
//! the token that [`flow_token`](adapter_core::SipTransport::flow_token) makes from it.
//!
//! ```
//! use adapter_tokio::sip_core::{Flow, Request};
//! use adapter_tokio::{SipEndpoint, SipTransport};
//!
//! fn registered(transport: &SipTransport, register: &Request) -> Option<Flow> {
//!     let flow = register.flow()?;
//!     let SipEndpoint { protocol, addr, connection, .. } = transport.flow_endpoint(&flow)?;
//!     println!("registered over {protocol} from {addr}");
//!     // It is authenticated: strangers cannot crowd it out.
//!     if let Some(connection) = connection {
//!         transport.trust(connection);
//!     }
//!     Some(flow)
//! }
//! ```
//!
//! # Requests to a client
//!
//! ```
//! use adapter_tokio::sip_core::{Flow, Request, StatusCode};
//! use adapter_tokio::{SendId, SipTransport};
//!
//! fn to_client(transport: &SipTransport, flow: &Flow, request: Request) -> Result<SendId, StatusCode> {
//!     // The connection is closed, or the channel removed: RFC 5626 §5.3.1 requires a 430.
//!     let options = transport.flow_options(flow).ok_or(StatusCode::FLOW_FAILED)?;
//!     Ok(transport.send_request(request).options(options).start())
//! }
//! ```
//!
//! # Forwarding
//!
//! A proxy adds a top Via, with a placeholder that the transport fills in, and removes it from the
//! response. A stateless proxy puts the flow of the request into it, and derives its branch from
//! the request (RFC 3261 §16.11).
//!
//! ```
//! use adapter_tokio::sip_core::{Message, Name, Request, Response};
//! use adapter_tokio::{SipTransport, stateless_branch};
//!
//! type Failure = Box<dyn std::error::Error>;
//!
//! fn forwarded(transport: &SipTransport, request: &Request) -> Result<Message, Failure> {
//!     let (branch, flow) = (stateless_branch(request)?, request.flow().ok_or("no flow")?);
//!     let token = transport.flow_token(&flow);
//!     let mut message = request.clone().into_message();
//!     message.prepend(Name::Via, format!("SIP/2.0/UDP 0.0.0.0;branch={branch};flow={token}"))?;
//!     Ok(message)
//! }
//!
//! fn back(transport: &SipTransport, response: Response) -> Result<(), Failure> {
//!     let mut message = response.into_message();
//!     let via = message.top_via()?;
//!     let token = via.params().value("flow").ok_or("not forwarded by us")?;
//!     let flow = transport.flow_from_token(str::from_utf8(token)?).ok_or("forged")?;
//!     message.remove_first_value(Name::Via)?;
//!     message.set_flow(flow);
//!     transport.send_response(Response::try_from(message)?).start();
//!     Ok(())
//! }
//! ```
//!
//! A peer can neither read nor forge a token.
//!
//! # Staying in the dialog
//!
//! A Record-Route keeps the proxy in the dialog. If its sides differ, as between UDP and WebSocket
//! or between two networks, add two placeholders (RFC 5658): the upper one gets the side on which
//! the request is sent, the lower one the side on which it was received. A token in the user part
//! names the flow to use; of the Routes that are ours, the last one decides.
//!
//! ```
//! use adapter_tokio::SipTransport;
//! use adapter_tokio::sip_core::message::EditError;
//! use adapter_tokio::sip_core::{Flow, Message, Name};
//!
//! fn record(transport: &SipTransport, request: &mut Message, sides: [&Flow; 2]) -> Result<(), EditError> {
//!     let [received, sent] = sides;
//!     for flow in [received, sent] {
//!         let token = transport.flow_token(flow);
//!         request.prepend(Name::RecordRoute, format!("<sip:{token}@0.0.0.0;lr>"))?;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Keeping flows open
//!
//! Clients send keep-alives, and the transport answers them. The end of a flow is reported by
//! [`Event::ConnectionClosed`](crate::Event::ConnectionClosed); the end of a UDP flow cannot be
//! detected, so bindings over UDP need short expiry times or
//! [`keep`](adapter_core::SipTransport::keep).
