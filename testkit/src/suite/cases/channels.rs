//! Channels come and go.

use sip_transport_proto::error::{CloseReason, SendCause};
use sip_transport_proto::sip_core::{Method, Name};
use sip_transport_proto::{Protocol, SendOptions, SipEndpoint};

use crate::suite::{
    Endpoint, Family, Host, Setup, StreamPeer, channel, join, next_closed, next_opened,
    next_request, next_response, reply, request,
};

pub async fn a_channel_can_be_added_while_running<H: Host>(host: &H) {
    let (alice, there) = (host.start_udp_and(Protocol::Tcp).await, host.place());
    let mut bob = host.start(&there, Setup::new()).await.unwrap();
    for protocol in Protocol::ALL {
        let added = channel(protocol, there.any_port(Family::V4));
        let id = bob.add_channel(added).await.unwrap();
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
        let again = channel(protocol, to.addr);
        assert!(bob.add_channel(again).await.is_err());
    }
}

pub async fn a_removed_channel_closes_its_connections_and_frees_its_address<H: Host>(host: &H) {
    let here = host.place();
    let setup = Protocol::ALL
        .into_iter()
        .fold(Setup::new(), |setup, protocol| {
            setup.channel(protocol, here.any_port(Family::V4))
        });
    let mut alice = host.start(&here, setup).await.unwrap();
    for protocol in Protocol::ALL {
        let old = alice.channel(protocol, Family::V4);
        if protocol.is_stream() {
            let mut peer = StreamPeer::connect(host, &host.place(), old).await;
            let (local, _, _) = next_opened(&mut alice).await;
            alice.remove_channel(old.channel.unwrap()).await;
            let (closed, _) = join(next_closed(&mut alice), peer.read_to_end()).await;
            assert_eq!(
                closed,
                (local.connection.unwrap(), CloseReason::ChannelRemoved)
            );
        } else {
            alice.remove_channel(old.channel.unwrap()).await;
        }
        assert!(
            alice
                .channels()
                .iter()
                .all(|other| other.channel != old.channel)
        );
        // Its task may have to run before the socket closes.
        let mut added = alice.add_channel(channel(protocol, old.addr)).await;
        while added.is_err() {
            host.sleep(std::time::Duration::from_millis(1)).await;
            added = alice.add_channel(channel(protocol, old.addr)).await;
        }
        assert_ne!(added.ok(), old.channel);
    }
}

pub async fn a_channel_that_only_sends_is_made_on_demand<H: Host>(host: &H) {
    let mut alice = host.start(&host.place(), Setup::new()).await.unwrap();
    let there = host.place();
    let setup = Protocol::ALL
        .into_iter()
        .fold(Setup::new(), |setup, protocol| {
            setup.channel(protocol, there.any_port(Family::V4))
        });
    let mut bob = host.start(&there, setup).await.unwrap();
    for protocol in Protocol::ALL {
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
    assert!(alice.channels().len() <= 5, "{:?}", alice.channels());
}

pub async fn without_a_channel_and_none_to_be_made_a_send_fails<H: Host>(host: &H) {
    let setup = Setup::new().set(|config| {
        config.create_client_channels(false);
        Ok(())
    });
    let alice = host.start(&host.place(), setup).await.unwrap();
    for protocol in Protocol::ALL {
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
