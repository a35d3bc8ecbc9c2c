//! Where a response goes, as a function of its Via and of what became of its request's flow.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

use common::{Host, Received, ip, ok, wire_request};
use proptest::prelude::*;
use sip_transport_proto::error::SendCause;
use sip_transport_proto::sip_core::Message;
use sip_transport_proto::{
    ChannelConfig, ChannelId, ConnectionId, Protocol, SendOptions, Submitted,
};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Flow {
    /// As the request came.
    Open,
    /// The connection is gone; over UDP nothing has changed.
    Gone,
    /// A proxy has only the Via to go by, and the connection is there.
    Forgotten,
    /// The same, and the connection is gone.
    ForgottenAndGone,
}

#[derive(Clone, Copy, Debug)]
enum SentBy {
    Name,
    Source,
    Another,
}

#[derive(Clone, Debug)]
struct Case {
    protocol: Protocol,
    flow: Flow,
    ipv6: bool,
    sent_by: SentBy,
    port: Option<u16>,
    /// Asked for, and what a liar wrote as its value.
    rport: Option<Option<u16>>,
    /// What a liar wrote.
    received: bool,
    maddr: bool,
    /// The Via names another transport: a proxy ended the TLS.
    other_token: bool,
}

/// Where the response must go.
#[derive(Debug, Eq, PartialEq)]
enum Way {
    Datagram(SocketAddr),
    ItsConnection,
    NewConnection(SocketAddr),
    None,
}

impl Case {
    fn source(&self) -> SocketAddr {
        let source = if self.ipv6 {
            "2001:db8::9"
        } else {
            "192.0.2.9"
        };
        (ip(source), 33_333).into()
    }

    fn local(&self) -> &'static str {
        match self.ipv6 {
            true => "[2001:db8::1]:5060",
            false => "192.0.2.1:5060",
        }
    }

    fn via(&self) -> String {
        let bracketed = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let host = match self.sent_by {
            SentBy::Name => "host.example".to_owned(),
            SentBy::Source => bracketed(self.source().ip()),
            SentBy::Another => "203.0.113.66".to_owned(),
        };
        let token = match self.other_token {
            true => "TLS",
            false => self.protocol.via_token(),
        };
        let mut via = format!("SIP/2.0/{token} {host}");
        if let Some(port) = self.port {
            via += &format!(":{port}");
        }
        via += ";branch=z9hG4bK1";
        match self.rport {
            None => {}
            Some(None) => via += ";rport",
            Some(Some(lie)) => via += &format!(";rport={lie}"),
        }
        if self.received {
            via += ";received=203.0.113.67";
        }
        if self.maddr {
            via += ";maddr=203.0.113.68";
        }
        via
    }

    /// RFC 3261 §18.2.2, RFC 3581 §4, RFC 7118 §5.
    fn expected(&self) -> Way {
        let source = self.source();
        let port = self.port.unwrap_or_else(|| self.protocol.default_port());
        let named = SocketAddr::new(source.ip(), port);
        let there =
            matches!(self.flow, Flow::Open) || self.flow == Flow::Forgotten && self.rport.is_some();
        match self.protocol {
            Protocol::Udp if self.rport.is_some() => Way::Datagram(source),
            Protocol::Udp => Way::Datagram(named),
            _ if there => Way::ItsConnection,
            Protocol::Ws => Way::None,
            _ => Way::NewConnection(named),
        }
    }

    /// Where it does go.
    fn run(&self) -> Way {
        let mut host = Host::new();
        let config = ChannelConfig::new(self.protocol, self.local().parse().unwrap());
        let channel = host.channel(config);
        let data = wire_request(&self.via(), "");
        let source = self.source().to_string();
        let (request, connection) = match self.protocol {
            Protocol::Udp => (host.request(channel, &source, &data).request, None),
            _ => {
                let (received, id) = over_stream(&mut host, channel, self, &data);
                (received.request, Some(id))
            }
        };
        if matches!(self.flow, Flow::Gone | Flow::ForgottenAndGone)
            && let Some(id) = connection
        {
            host.transport.handle_error(id, ErrorKind::ConnectionReset);
            host.drain();
        }
        host.datagrams.clear();
        let mut response = Message::from(ok(&request));
        if matches!(self.flow, Flow::Forgotten | Flow::ForgottenAndGone) {
            response = Message::parse(response.to_bytes()).unwrap();
        }
        let submitted = host.submit(response, SendOptions::new());
        // What is known of the request is enough.
        assert!(host.lookups.is_empty() && host.local_queries.is_empty());
        match submitted {
            Ok(Submitted::Waiting(_)) => Way::NewConnection(host.connects[0].1),
            Err(error) => {
                assert_eq!(*error.cause(), SendCause::ConnectionClosed);
                Way::None
            }
            Ok(Submitted::Sent(sent)) => match sent.remote().connection {
                Some(id) => {
                    assert_eq!(Some(id), connection);
                    Way::ItsConnection
                }
                None => {
                    assert_eq!(sent.local().addr, self.local().parse().unwrap());
                    Way::Datagram(host.datagrams[0].1.destination)
                }
            },
        }
    }
}

/// A request over a connection, with the upgrade to WebSocket where there is one.
fn over_stream(
    host: &mut Host,
    channel: ChannelId,
    case: &Case,
    data: &[u8],
) -> (Received, ConnectionId) {
    let (local, remote) = (case.local(), case.source().to_string());
    let id = if case.protocol == Protocol::Ws {
        let id = host.accept_websocket(channel, local, &remote);
        let len = u8::try_from(data.len() >> 8).unwrap();
        let mut frame = vec![0x81, 0xFE, len, (data.len() & 0xFF) as u8, 0, 0, 0, 0];
        frame.extend(data);
        host.feed(id, &frame);
        id
    } else {
        let id = host.accept(channel, local, &remote);
        host.feed(id, data);
        id
    };
    (Received::from(host.events.pop_front().unwrap()), id)
}

fn cases() -> impl Strategy<Value = Case> {
    use proptest::option;
    let protocol = prop::sample::select(vec![Protocol::Udp, Protocol::Tcp, Protocol::Ws]);
    let flow = prop::sample::select(vec![
        Flow::Open,
        Flow::Gone,
        Flow::Forgotten,
        Flow::ForgottenAndGone,
    ]);
    let sent_by = prop::sample::select(vec![SentBy::Name, SentBy::Source, SentBy::Another]);
    let via = (
        option::of(1_024_u16..),
        option::of(option::of(1_024_u16..)),
        any::<[bool; 4]>(),
    );
    (protocol, flow, sent_by, via).prop_map(|(protocol, flow, sent_by, (port, rport, flags))| {
        let [ipv6, received, maddr, ended_tls] = flags;
        // Without its flow a response has only the Via to say what it came over.
        let known = matches!(flow, Flow::Open | Flow::Gone);
        Case {
            protocol,
            flow,
            ipv6,
            sent_by,
            port,
            rport,
            received,
            maddr,
            other_token: ended_tls && known,
        }
    })
}

proptest! {
    // RFC 3261 §18.2.2, RFC 3581 §4; conformance: 126, 130, 131, 432; bad-inputs: C14
    #[test]
    fn a_response_goes_where_its_via_and_the_flow_of_its_request_say(case in cases()) {
        prop_assert_eq!(case.run(), case.expected(), "{}", case.via());
    }
}
