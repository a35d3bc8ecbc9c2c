//! Channels come and go.

use sip_transport_proto::error::{CloseReason, SendCause};
use sip_transport_proto::sip_core::{Method, Name};
use sip_transport_proto::{ChannelConfig, Config, Protocol, SendOptions, SipEndpoint};

use crate::suite::{
    Endpoint, Family, Host, Setup, TcpPeer, next_closed, next_opened, next_request, next_response,
    reply, request,
};

async fn start<H: Host>(host: &H) -> H::Endpoint {
    let here = host.place();
    let setup = Setup::new().both(&here, Family::V4);
    host.start(&here, setup).await.unwrap()
}

pub async fn a_channel_can_be_added_while_running<H: Host>(host: &H) {
    let (alice, there) = (start(host).await, host.place());
    let mut bob = host.start(&there, Setup::new()).await.unwrap();
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        let channel = ChannelConfig::new(protocol, there.any_port(Family::V4));
        let id = bob.add_channel(channel).await.unwrap();
        let to = bob.channel(protocol, Family::V4);
        assert_eq!(to.channel, Some(id));
        assert_ne!(to.addr.port(), 0);
        alice
            .send(request(Method::Options, to).into(), SendOptions::new())
            .await
            .unwrap();
        let (local, _, _) = next_request(&mut bob).await;
        assert_eq!(local.channel, Some(id));
        // The address is taken.
        let again = ChannelConfig::new(protocol, to.addr);
        assert!(bob.add_channel(again).await.is_err());
    }
}

pub async fn a_removed_channel_closes_its_connections_and_frees_its_address<H: Host>(host: &H) {
    let here = host.place();
    let setup = Setup::new().both(&here, Family::V4);
    let mut alice = host.start(&here, setup).await.unwrap();
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        let channel = alice.channel(protocol, Family::V4);
        if protocol == Protocol::Tcp {
            let stream = host.connect(&host.place(), channel.addr).await.unwrap();
            let mut peer = TcpPeer::new(stream);
            let (local, _, _) = next_opened(&mut alice).await;
            alice.remove_channel(channel.channel.unwrap()).await;
            let closed = next_closed(&mut alice).await;
            assert_eq!(
                closed,
                (local.connection.unwrap(), CloseReason::ChannelRemoved)
            );
            peer.read_to_end().await;
        } else {
            alice.remove_channel(channel.channel.unwrap()).await;
        }
        assert!(
            alice
                .channels()
                .iter()
                .all(|other| other.channel != channel.channel)
        );
        // Its task may have to run before the socket closes.
        let mut added = alice
            .add_channel(ChannelConfig::new(protocol, channel.addr))
            .await;
        while added.is_err() {
            host.sleep(std::time::Duration::from_millis(1)).await;
            added = alice
                .add_channel(ChannelConfig::new(protocol, channel.addr))
                .await;
        }
        assert_ne!(added.ok(), channel.channel);
    }
}

pub async fn a_channel_that_only_sends_is_made_on_demand<H: Host>(host: &H) {
    let mut alice = host.start(&host.place(), Setup::new()).await.unwrap();
    let mut bob = start(host).await;
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        let to = bob.channel(protocol, Family::V4);
        for _ in 0..2 {
            let sent = alice
                .send(request(Method::Options, to).into(), SendOptions::new())
                .await
                .unwrap();
            let (_, remote, request) = next_request(&mut bob).await;
            assert_eq!(remote.addr, sent.local().addr);
            // Without a listener, the port is the socket's own.
            let sent_by = request.top_via().unwrap().sent_by().to_string();
            assert_eq!(sent_by, remote.addr.to_string());
            bob.send(reply(&request, 200), SendOptions::new())
                .await
                .unwrap();
            let (_, _, response) = next_response(&mut alice).await;
            assert_eq!(response.raw(Name::CallId), request.raw(Name::CallId));
        }
    }
    // One for each protocol and family, used again.
    assert!(alice.channels().len() <= 2, "{:?}", alice.channels());
}

pub async fn without_a_channel_and_none_to_be_made_a_send_fails<H: Host>(host: &H) {
    let mut config = Config::default();
    config.create_client_channels(false);
    let setup = Setup::new().config(config);
    let alice = host.start(&host.place(), setup).await.unwrap();
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        let to = SipEndpoint::new(protocol, (host.place().v4, 5060).into());
        let message = request(Method::Options, to);
        let bytes = message.to_bytes();
        let error = alice
            .send(message.into(), SendOptions::new())
            .await
            .unwrap_err();
        let cause = SendCause::NoChannel {
            protocol,
            remote: to.addr.ip(),
        };
        assert_eq!(error.cause(), &cause);
        assert_eq!(error.into_message().to_bytes(), bytes);
    }
}
