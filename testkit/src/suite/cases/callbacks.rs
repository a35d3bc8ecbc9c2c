//! Calls of the application that panic.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use sip_transport_proto::error::{CloseReason, HandshakeError, SendCause};
use sip_transport_proto::sip_core::{Method, Name};
use sip_transport_proto::websocket::WebSocketConfig;
use sip_transport_proto::{Protocol, SendOptions};

use super::serve;
use crate::suite::{
    Endpoint, Family, Host, Setup, StreamPeer, channel, join, next_closed, next_request,
    next_response, reply, request,
};

/// Unwinds as any panic does, and prints nothing.
fn panic() -> ! {
    resume_unwind(Box::new("a callback"))
}

/// A switch that a callback looks at: it panics while that is on.
#[derive(Clone, Default)]
struct Panics(Arc<AtomicBool>);

impl Panics {
    fn on() -> Self {
        let panics = Self::default();
        panics.0.store(true, Relaxed);
        panics
    }

    fn off(&self) {
        self.0.store(false, Relaxed);
    }

    fn check(&self) {
        if self.0.load(Relaxed) {
            panic();
        }
    }
}

fn setup<H: Host>(host: &H, protocol: Protocol) -> (crate::suite::Place, Setup) {
    let here = host.place();
    let setup = match protocol {
        Protocol::Udp => Setup::new().both(&here, Family::V4),
        stream => Setup::new().udp_and(stream, &here, Family::V4),
    };
    (here, setup)
}

/// A request and its response, there and back.
async fn exchange<E: Endpoint>(alice: &mut E, bob: &mut E, protocol: Protocol) {
    let to = bob.channel(protocol, Family::V4);
    let asked = request(Method::Options, to).into();
    alice.send(asked, SendOptions::new()).await.unwrap();
    let (_, _, asked) = next_request(bob).await;
    bob.send(reply(&asked, 200), SendOptions::new())
        .await
        .unwrap();
    next_response(alice).await;
}

pub async fn a_tap_that_panics_stops_no_message<H: Host>(host: &H, protocol: Protocol) {
    let (here, with_tap) = setup(host, protocol);
    let with_tap = with_tap.set(|config| {
        config.tap(|_| panic());
        Ok(())
    });
    let mut alice = host.start(&here, with_tap).await.unwrap();
    let (here, plain) = setup(host, protocol);
    let mut bob = host.start(&here, plain).await.unwrap();
    for _ in 0..3 {
        exchange(&mut alice, &mut bob, protocol).await;
        exchange(&mut bob, &mut alice, protocol).await;
    }
    host.until(|| alice.stats().callback_panics == 12).await;
    assert_eq!(bob.stats().callback_panics, 0);
}

pub async fn a_header_hook_that_panics_fails_its_send_and_no_other<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let (here, with_hook) = setup(host, protocol);
    let panics = Panics::on();
    let hook = panics.clone();
    let with_hook = with_hook.set(|config| {
        config.header_hook(move |message, _, _| {
            message.set(Name::Subject, "half done").unwrap();
            hook.check();
        });
        Ok(())
    });
    let mut alice = host.start(&here, with_hook).await.unwrap();
    let (here, plain) = setup(host, protocol);
    let mut bob = host.start(&here, plain).await.unwrap();
    let to = bob.channel(protocol, Family::V4);
    // Over a stream the first waits for the connection, and fails in its task.
    for failed in 1..=2 {
        let given = request(Method::Options, to);
        let sent = alice.send(given.clone().into(), SendOptions::new()).await;
        let error = sent.unwrap_err();
        assert_eq!(error.cause(), &SendCause::HookPanicked);
        let returned = error.into_message();
        assert_eq!(returned.raw(Name::Subject), None, "as it was given");
        assert_eq!(returned.raw(Name::CallId), given.raw(Name::CallId));
        let stats = alice.stats();
        assert_eq!(
            (stats.callback_panics, stats.sends_failed),
            (failed, failed)
        );
    }
    panics.off();
    exchange(&mut alice, &mut bob, protocol).await;
    assert_eq!(alice.stats().messages_out, 1);
}

pub async fn an_accept_filter_that_panics_refuses_the_connection<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let (here, with_filter) = setup(host, protocol);
    let panics = Panics::on();
    let filter = panics.clone();
    let with_filter = with_filter.set(|config| {
        config.accept_filter(move |_, _| {
            filter.check();
            true
        });
        Ok(())
    });
    let mut alice = host.start(&here, with_filter).await.unwrap();
    let to = alice.channel(protocol, Family::V4);
    for refused in 1..=2 {
        let stream = host.connect(&host.place(), to.addr).await.unwrap();
        let (read, _) = StreamPeer::new(stream).read_to_end().await;
        assert_eq!(read, b"");
        let stats = alice.stats();
        assert_eq!(
            (stats.callback_panics, stats.accepts_filtered),
            (refused, refused)
        );
    }
    panics.off();
    // The channel is still there.
    serve(host, &mut alice, to).await;
}

pub async fn an_upgrade_check_that_panics_is_answered_with_500<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let panics = Panics::on();
    let check = panics.clone();
    let mut config = WebSocketConfig::default();
    config.check(move |_| {
        check.check();
        Ok(())
    });
    let here = host.place();
    let mut setup = Setup::new();
    let channel = channel(protocol, here.any_port(Family::V4));
    setup.channels.push(channel.websocket(config));
    let mut bob = host.start(&here, setup).await.unwrap();
    let to = bob.channel(protocol, Family::V4);
    let mut peer = StreamPeer::connect_below_websocket(host, &host.place(), to).await;
    peer.write_below_websocket(super::websocket::UPGRADE).await;
    let ((_, reason), (answer, _)) = join(next_closed(&mut bob), peer.read_to_end()).await;
    assert!(answer.starts_with(b"HTTP/1.1 500 "));
    let ours = HandshakeError::Application { status: 500 };
    assert_eq!(reason, CloseReason::WebSocket(ours.into()));
    assert_eq!(bob.stats().callback_panics, 1);
    panics.off();
    serve(host, &mut bob, to).await;
}
