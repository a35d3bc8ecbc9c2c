//! The substitution of `0.0.0.0` and `[::]` in Via, From, Contact and Record-Route.

use core::net::IpAddr;
use core::ops::Range;
use std::io::Write as _;

use bytes::Bytes;
use sip_core::header::{Contact, From, Header, RecordRoute, Via, list};
use sip_core::message::{EditError, HeaderRow, Message};
use sip_core::uri::{SipUri, Uri, UriParam, UriParams};
use sip_core::{Host, HostPort, Name};

use crate::config::Substitution;
use crate::context::own_names::SentByKey;
use crate::error::SendCause;
use crate::outgoing::top_via;
use crate::protocol::Protocol;
use crate::tokens::Branch;

/// The values that the selected socket fills into a message.
#[derive(Debug)]
pub(crate) struct Fill<'a> {
    pub(crate) host: Host<'a>,
    pub(crate) port: Option<u16>,
    /// The host and port of the side on which a forwarded request was received.
    pub(crate) arrival: Option<HostPort<'a>>,
    pub(crate) protocol: Protocol,
    /// The request is for a `sips` target.
    pub(crate) secure: bool,
    /// The branch for a request's top Via, if it has none.
    pub(crate) branch: Option<&'a Branch>,
    /// Replace the branch that it has.
    pub(crate) new_branch: bool,
    pub(crate) marks: ViaMarks,
    pub(crate) mode: Substitution,
    /// Write `transport=tls` into a Contact with a `sip` URI.
    pub(crate) transport_tls: bool,
    /// Fill in From and Contact of a received message too.
    pub(crate) forwarded: bool,
}

/// A part of a value to be replaced.
struct Edit {
    row: usize,
    range: Range<usize>,
    text: Vec<u8>,
}

/// The bytes to send, what was filled in, and for a request its sent-by. The message itself stays
/// as it is: each attempt starts from it.
pub(crate) fn render(
    message: &Message,
    fill: &Fill<'_>,
) -> Result<(Bytes, Filled, Option<SentByKey>), SendCause> {
    let request = message.is_request();
    let original = fill.mode == Substitution::Original;
    let ours = message.is_built() || fill.forwarded || original;
    let mut edits = Vec::new();
    let mut filled = Filled::default();
    let mut sent_by = None;
    if request || original {
        sent_by = Some(fill.via(message, request, &mut edits, &mut filled)?).filter(|_| request);
    }
    if let Some(seconds) = fill.marks.agreed.filter(|_| !request && !original) {
        edits.extend(agree(message, seconds)?);
    }
    if request && fill.mode != Substitution::Off {
        let done = fill.record_route(message, ours, &mut edits, &mut filled);
        unless_received(message, done)?;
    }
    if ours && fill.mode != Substitution::Off {
        for (row, header) in message.rows().enumerate() {
            let done = match header.name() {
                // RFC 3261 §8.2.6.2: a response's From is an echo.
                Name::From if request || original => {
                    fill.from(row, header.value(), &mut edits, &mut filled)
                }
                Name::Contact => fill.contacts(row, header.value(), &mut edits, &mut filled),
                _ => Ok(()),
            };
            unless_received(message, done)?;
        }
    }
    if filled != Filled::default() {
        filled.with = Some(HostPort::new(fill.host, fill.port).to_string());
    }
    // RFC 3261 §18.3: on a stream there must be a Content-Length.
    let needs_length = fill.protocol.is_stream() && message.raw(Name::ContentLength).is_none();
    if edits.is_empty() && !needs_length {
        return Ok((message.to_bytes(), filled, sent_by));
    }
    let mut copy = message.clone();
    // From the back, so that the positions in front stay valid.
    for edit in edits.iter().rev() {
        copy.splice(edit.row, edit.range.clone(), &edit.text)
            .map_err(edit_failed)?;
    }
    if needs_length {
        let len = message.body().len().to_string();
        copy.set(Name::ContentLength, len.as_str())
            .map_err(edit_failed)?;
    }
    Ok((copy.to_bytes(), filled, sent_by))
}

/// The branch that [`render`] leaves in the top Via of a request.
pub(crate) fn branch<'a>(
    message: &'a Message,
    mode: Substitution,
    made: Option<&'a Branch>,
    new_branch: bool,
) -> Option<&'a str> {
    let (_, header) = via_row(message).filter(|_| message.is_request())?;
    let own = top_via(message).ok()?.branch();
    if is_to_be_filled(message, header, mode) && (new_branch || own.is_none()) {
        return made.map(Branch::as_str);
    }
    own
}

fn via_row(message: &Message) -> Option<(usize, HeaderRow<'_>)> {
    let mut rows = message.rows().enumerate();
    rows.find(|(_, header)| header.name() == Name::Via)
}

/// Returns true if the top Via was put there here. Others are passed on as received.
fn is_to_be_filled(message: &Message, top_via: HeaderRow<'_>, mode: Substitution) -> bool {
    message.is_built() || top_via.is_edited() || mode == Substitution::Original
}

/// Ignores the error of a received header that violates the grammar, which is passed on as
/// received.
fn unless_received(message: &Message, result: Result<(), SendCause>) -> Result<(), SendCause> {
    match result {
        Err(SendCause::Malformed { .. }) if !message.is_built() => Ok(()),
        result => result,
    }
}

fn edit_failed(_: EditError) -> SendCause {
    // Only a head that would exceed its limit can cause that.
    SendCause::Missing("room for the headers that sending adds")
}

fn read<'a, H: Header<'a>>(what: &'static str, value: &'a [u8]) -> Result<H, SendCause> {
    H::parse(value).map_err(|error| SendCause::Malformed { what, error })
}

impl Fill<'_> {
    /// The top Via: sent-by, protocol and branch of a request's (RFC 3261 §8.1.1.7, §18.1.1).
    fn via(
        &self,
        message: &Message,
        request: bool,
        edits: &mut Vec<Edit>,
        filled: &mut Filled,
    ) -> Result<SentByKey, SendCause> {
        let (row, header) = via_row(message).ok_or(SendCause::Missing("Via"))?;
        let value = list::split(header.value()).next().unwrap_or_default();
        let via = top_via(message)?;
        let default_port = self.protocol.default_port();
        if !is_to_be_filled(message, header, self.mode) {
            return Ok(SentByKey::new(via.sent_by(), default_port));
        }
        let edit = self.via_edit(&via, request);
        if edit.changes(&via) {
            let range = range_in(header.value(), value);
            let text = edit.write(&via, value);
            edits.push(Edit { row, range, text });
        }
        filled.via = edit.fills;
        Ok(SentByKey::new(edit.sent_by, default_port))
    }

    fn via_edit<'v>(&'v self, via: &Via<'v>, request: bool) -> ViaEdit<'v> {
        let fills = via.sent_by().host().is_unspecified() && self.mode != Substitution::Off;
        let needs_branch = request && (self.new_branch || via.branch().is_none());
        let lacks = |name| request && !via.params().contains(name);
        ViaEdit {
            fills,
            token: match request {
                true => self.protocol.via_token(),
                false => via.transport(),
            },
            sent_by: match fills {
                true => HostPort::new(self.host, self.port),
                false => via.sent_by(),
            },
            branch: self.branch.filter(|_| needs_branch),
            group: self.marks.group,
            keep: self.marks.keep && lacks("keep"),
            alias: self.marks.alias && lacks("alias"),
        }
    }

    /// The From: the host only, as RFC 3261 §19.1.1 allows no port there.
    fn from(
        &self,
        row: usize,
        value: &[u8],
        edits: &mut Vec<Edit>,
        filled: &mut Filled,
    ) -> Result<(), SendCause> {
        let from: From<'_> = read("From", value)?;
        if let Some(uri) = placeholder(from.uri()) {
            let port = self.port.filter(|_| self.mode == Substitution::Original);
            let text = uri
                .with_host_port(HostPort::new(self.host, port))
                .to_string()
                .into_bytes();
            edits.push(Edit {
                row,
                range: range_in(value, from.uri_text()),
                text,
            });
            filled.from = true;
        }
        Ok(())
    }

    /// The topmost Record-Route of a request, if it was put there here: host, port, and the scheme
    /// if the next hop is `sips` (RFC 3261 §16.6 step 4). Its parameters stay as they are,
    /// including a transport, on which the proxy decides. One below it, if it was put there here
    /// too, stands for the side on which the request was received (RFC 5658 §5).
    fn record_route(
        &self,
        message: &Message,
        ours: bool,
        edits: &mut Vec<Edit>,
        filled: &mut Filled,
    ) -> Result<(), SendCause> {
        let rows = message.rows().enumerate();
        let rows = rows.filter(|(_, header)| header.name() == Name::RecordRoute);
        let mut values = rows.flat_map(|(row, header)| {
            list::split(header.value()).map(move |value| (row, header, value))
        });
        let top = values
            .next()
            .filter(|(_, header, _)| ours || header.is_edited());
        let Some(top) = top else {
            return Ok(());
        };
        let sending = HostPort::new(self.host, self.port);
        filled.record_route = put_record_route(top, sending, self.secure, edits)?;
        let below = values.next().filter(|(_, header, _)| header.is_edited());
        if let (Some(below), Some(arrival)) = (below, self.arrival) {
            filled.second_record_route = put_record_route(below, arrival, false, edits)?;
        }
        Ok(())
    }

    /// Every Contact of a row: host, port, scheme and transport of the sending socket.
    fn contacts(
        &self,
        row: usize,
        values: &[u8],
        edits: &mut Vec<Edit>,
        filled: &mut Filled,
    ) -> Result<(), SendCause> {
        for value in list::split(values) {
            let contact: Contact<'_> = read("Contact", value)?;
            let Some(uri) = contact.uri().and_then(placeholder) else {
                continue;
            };
            let range = range_in(values, contact.uri_text());
            edits.push(Edit {
                row,
                range,
                text: self.contact_uri(uri).into_bytes(),
            });
            filled.contacts = filled.contacts.saturating_add(1);
        }
        Ok(())
    }

    fn contact_uri(&self, uri: SipUri<'_>) -> String {
        let secure = uri.is_secure() || self.secure;
        let transport = match self.protocol {
            Protocol::Udp => None,
            Protocol::Ws | Protocol::Wss => Some("ws"),
            // `sips` implies TLS.
            Protocol::Tcp | Protocol::Tls if secure => None,
            Protocol::Tcp => Some("tcp"),
            Protocol::Tls => self.transport_tls.then_some("tls"),
        };
        let others = uri
            .params()
            .iter()
            .filter(|p| !p.name().eq_ignore_ascii_case("transport"));
        let transport = transport.and_then(|name| UriParam::new("transport", name).ok());
        let params: Vec<UriParam<'_>> = others.chain(transport).collect();
        uri.with_host_port(HostPort::new(self.host, self.port))
            .with_secure(secure)
            .with_params(UriParams::of(&params))
            .to_string()
    }
}

/// The changes to a top Via.
struct ViaEdit<'a> {
    /// The sent-by is a placeholder, and filled in.
    fills: bool,
    token: &'a str,
    sent_by: HostPort<'a>,
    branch: Option<&'a Branch>,
    group: Option<(IpAddr, Option<u8>)>,
    keep: bool,
    alias: bool,
}

impl ViaEdit<'_> {
    fn changes(&self, via: &Via<'_>) -> bool {
        let same_token = self.token.eq_ignore_ascii_case(via.transport());
        let adds = self.branch.is_some() || self.group.is_some() || self.keep || self.alias;
        self.fills || !same_token || adds
    }

    /// Returns true if a parameter replaces one of the same name.
    fn replaces(&self, name: &str) -> bool {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        self.branch.is_some() && is("branch") || self.group.is_some() && (is("maddr") || is("ttl"))
    }

    /// Writes the new Via that replaces `value`.
    fn write(&self, via: &Via<'_>, value: &[u8]) -> Vec<u8> {
        let mut text = format!("SIP/2.0/{} {}", self.token, self.sent_by).into_bytes();
        if via.params().iter().any(|param| self.replaces(param.name())) {
            let others = via.params().iter();
            for param in others.filter(|param| !self.replaces(param.name())) {
                text.push(b';');
                text.extend_from_slice(param.name().as_bytes());
                text.extend(param.value().map(|_| b'='));
                push_unfolded(&mut text, param.value().unwrap_or_default());
            }
        } else {
            let at = value.iter().position(|&b| b == b';').unwrap_or(value.len());
            push_unfolded(&mut text, value.get(at..).unwrap_or_default());
        }
        // Writing to a vector cannot fail.
        if let Some(branch) = self.branch {
            let _ = write!(text, ";branch={}", branch.as_str());
        }
        if let Some((ip, ttl)) = self.group {
            let _ = write!(text, ";maddr={}", Host::from(ip));
            let _ = ttl.map(|ttl| write!(text, ";ttl={ttl}"));
        }
        if self.keep {
            text.extend_from_slice(b";keep");
        }
        if self.alias {
            text.extend_from_slice(b";alias");
        }
        text
    }
}

/// Fills in a Record-Route, if it is a placeholder.
fn put_record_route(
    (row, header, value): (usize, HeaderRow<'_>, &[u8]),
    side: HostPort<'_>,
    secure: bool,
    edits: &mut Vec<Edit>,
) -> Result<bool, SendCause> {
    let route: RecordRoute<'_> = read("Record-Route", value)?;
    let Some(uri) = placeholder(route.uri()) else {
        return Ok(false);
    };
    let text = uri
        .with_host_port(side)
        .with_secure(uri.is_secure() || secure)
        .to_string()
        .into_bytes();
    let range = range_in(header.value(), route.uri_text());
    edits.push(Edit { row, range, text });
    Ok(true)
}

/// Sets the value of the `keep` parameter of a response's top Via, if it has one without a value
/// (RFC 6223 §4.4).
fn agree(message: &Message, seconds: u32) -> Result<Option<Edit>, SendCause> {
    let (row, header) = via_row(message).ok_or(SendCause::Missing("Via"))?;
    let via = top_via(message)?;
    let offered = via.params().get("keep");
    let Some(name) = offered
        .filter(|keep| keep.value().is_none())
        .map(|keep| keep.name())
    else {
        return Ok(None);
    };
    let end = range_in(header.value(), name.as_bytes()).end;
    Ok(Some(Edit {
        row,
        range: end..end,
        text: format!("={seconds}").into_bytes(),
    }))
}

/// Copies text byte by byte, without the line ends of its folds, which an edit must not contain.
fn push_unfolded(out: &mut Vec<u8>, text: &[u8]) {
    let is_line_end = |b: &u8| matches!(b, b'\r' | b'\n');
    out.extend(text.iter().filter(|b| !is_line_end(b)));
}

/// A SIP URI whose host is a placeholder for the sending socket's.
fn placeholder(uri: Uri<'_>) -> Option<SipUri<'_>> {
    match uri {
        Uri::Sip(uri) if uri.host().is_unspecified() => Some(uri),
        _ => None,
    }
}

/// The range of `inner` in `outer`, of which it is a part.
fn range_in(outer: &[u8], inner: &[u8]) -> Range<usize> {
    let start = (inner.as_ptr() as usize).saturating_sub(outer.as_ptr() as usize);
    start..start.saturating_add(inner.len())
}

/// The parameters of the top Via about the flow and the group.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ViaMarks {
    /// A request offers keep-alives (RFC 6223 §4.3).
    pub(crate) keep: bool,
    /// A request offers its connection for requests the other way (RFC 5923 §8.1).
    pub(crate) alias: bool,
    /// A response accepts keep-alives, at this interval in seconds (RFC 6223 §4.4).
    pub(crate) agreed: Option<u32>,
    /// A request is sent to this group, over IPv4 with this TTL (RFC 3261 §18.1.1).
    pub(crate) group: Option<(IpAddr, Option<u8>)>,
}

/// The placeholders that were filled in, and the text filled in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Filled {
    /// The top Via.
    pub via: bool,
    /// The From.
    pub from: bool,
    /// The number of Contacts.
    pub contacts: usize,
    /// The topmost Record-Route.
    pub record_route: bool,
    /// The Record-Route below it, for the side on which the request was received (RFC 5658).
    pub second_record_route: bool,
    /// The host and port that replaced them, as `host:port`, if any was filled in.
    pub with: Option<String>,
}
