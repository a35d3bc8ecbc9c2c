//! What is said through `tracing`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::{Host, numbered, ok, options, tcp, to, wire_request, wire_response};
use sip_transport_proto::parts::LogLimiter;
use sip_transport_proto::sip_core::Method;
use sip_transport_proto::sip_core::build::RequestBuilder;
use sip_transport_proto::trace::{CALLBACK, CHANNEL, CONNECTION, CONTENT, LIMIT, MESSAGE};
use sip_transport_proto::{Config, SendOptions};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber, subscriber};

/// Tests share the highest level that anybody listens to.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Debug)]
struct Said {
    target: &'static str,
    level: Level,
    text: String,
}

/// Writes down what is said up to a level.
#[derive(Clone)]
struct Listener {
    upto: Level,
    said: Arc<Mutex<Vec<Said>>>,
}

impl Listener {
    fn new(upto: Level) -> Self {
        Self {
            upto,
            said: Arc::default(),
        }
    }

    fn during(upto: Level, act: impl FnOnce()) -> Vec<Said> {
        let listener = Self::new(upto);
        subscriber::with_default(listener.clone(), act);
        let said = std::mem::take(&mut *listener.said.lock().unwrap());
        let ours = |said: &Said| said.target.starts_with("sip_transport::");
        said.into_iter().filter(ours).collect()
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.upto
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(self.upto))
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.said.lock().unwrap().push(Said {
            target: event.metadata().target(),
            level: *event.metadata().level(),
            text: text.0,
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A bit of everything: good, broken and stray messages, both ways, over UDP and TCP.
fn converse(host: &mut Host) {
    let datagrams = host.udp("192.0.2.1:5060");
    let streams = host.tcp("192.0.2.1:5060");
    let good = wire_request(
        "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1;rport",
        "Subject: secret\r\n",
    );
    let request = host.request(datagrams, "192.0.2.9:5060", &good).request;
    host.send(ok(&request), SendOptions::new());
    let broken = String::from_utf8(good)
        .unwrap()
        .replace("CSeq: 1", "CSeq: secret");
    host.datagram(datagrams, "192.0.2.9:5060", broken.as_bytes());
    let id = host.accept(streams, "192.0.2.1:5060", "192.0.2.9:33333");
    host.feed(id, &numbered(1));
    host.send(options("sip:secret@x.example"), to(tcp("192.0.2.9:33333")));
    host.written(id);
    host.feed(id, b"secret sip:secret SIP/2.0\r\nsecret\r\n\r\n");
    host.written(id);
    host.waits(
        options("sip:192.0.2.9:5070;transport=tcp"),
        SendOptions::new(),
    );
    host.refuse();
    host.transport.remove_channel(host.now, streams).unwrap();
    host.drain();
}

fn count<'a>(said: &'a [Said], target: &str, has: &str) -> Vec<&'a Said> {
    let fits = |said: &&Said| said.target == target && said.text.contains(has);
    said.iter().filter(fits).collect()
}

#[test]
fn a_connection_is_told_of_at_debug_when_it_opens_and_with_the_reason_when_it_closes() {
    let _alone = alone();
    let said = Listener::during(Level::DEBUG, || converse(&mut Host::new()));
    assert_eq!(count(&said, CONNECTION, "message=open ").len(), 1);
    let closed = count(&said, CONNECTION, "message=closed ");
    let [broken, refused] = &closed[..] else {
        panic!("{closed:?}");
    };
    assert_eq!((broken.level, refused.level), (Level::DEBUG, Level::DEBUG));
    assert!(
        broken.text.contains("remote=tcp:192.0.2.9:33333"),
        "{broken:?}"
    );
    assert!(
        broken.text.contains("reason=the stream cannot be parsed"),
        "{broken:?}"
    );
    assert!(
        refused.text.contains("reason=could not connect"),
        "{refused:?}"
    );
}

#[test]
fn channels_are_told_of_at_info() {
    let _alone = alone();
    let said = Listener::during(Level::INFO, || converse(&mut Host::new()));
    let told = count(&said, CHANNEL, "");
    assert!(told.iter().all(|said| said.level == Level::INFO));
    assert_eq!(count(&said, CHANNEL, "message=added").len(), 2);
    assert_eq!(count(&said, CHANNEL, "message=removed").len(), 1);
    assert_eq!(said.len(), 3);
}

#[test]
fn nothing_of_a_message_is_told_above_trace() {
    let _alone = alone();
    let said = Listener::during(Level::TRACE, || converse(&mut Host::new()));
    let spilt = |said: &&Said| {
        let texts = ["secret", "OPTIONS", "SIP/2.0", "z9hG4bK"];
        texts.iter().any(|text| said.text.contains(text))
    };
    assert!(
        said.iter()
            .filter(spilt)
            .all(|said| said.level == Level::TRACE)
    );
    // Two came over UDP and two over TCP; what is no request at all has no answer.
    for target in [MESSAGE, CONTENT] {
        assert_eq!(count(&said, target, "direction=in").len(), 4);
        assert_eq!(count(&said, target, "direction=out").len(), 3);
    }
    assert_eq!(count(&said, CONTENT, "Subject: secret").len(), 2);
    // How it begins, and not what is in it.
    let began = count(
        &said,
        MESSAGE,
        "start_line=OPTIONS sip:a@192.0.2.1 SIP/2.0 ",
    );
    assert_eq!(began.len(), 3);
    assert!(count(&said, MESSAGE, "Subject").is_empty());
    assert_eq!(count(&said, MESSAGE, "error=").len(), 2);
    assert_eq!(
        count(
            &said,
            MESSAGE,
            "local=udp:192.0.2.1:5060 remote=udp:192.0.2.9:5060 length="
        )
        .len(),
        4
    );
}

#[test]
fn a_limit_that_is_reached_is_told_of_now_and_then() {
    let _alone = alone();
    let mut config = Config::default();
    config.send_queue(2_000).unwrap();
    let mut host = Host::with(config);
    let streams = host.tcp("192.0.2.1:5060");
    let id = host.accept(streams, "192.0.2.1:5060", "192.0.2.9:33333");
    host.feed(id, &numbered(1));
    let fill = |host: &mut Host| {
        Listener::during(Level::WARN, || {
            for _ in 0..100 {
                let request = options("sip:x.example");
                drop(host.submit(request, to(tcp("192.0.2.9:33333"))));
            }
        })
    };
    let said = fill(&mut host);
    let [said] = &count(&said, LIMIT, "a send queue is full limit=2000")[..] else {
        panic!("{said:?}");
    };
    assert_eq!(said.level, Level::WARN);
    assert!(said.text.contains("left_out=0"), "{said:?}");
    assert!(fill(&mut host).is_empty());
    host.now += Duration::from_secs(11);
    assert_eq!(count(&fill(&mut host), LIMIT, "left_out=1").len(), 1);
}

#[test]
fn a_response_that_is_not_ours_is_told_of_now_and_then_with_its_sent_by() {
    let _alone = alone();
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let stray = wire_response("SIP/2.0/UDP proxy.example.com:5070;branch=z9hG4bK1");
    let said = Listener::during(Level::WARN, || {
        for _ in 0..3 {
            assert!(host.datagram(channel, "192.0.2.9:5060", &stray).is_none());
        }
    });
    let [said] = &said[..] else {
        panic!("{said:?}");
    };
    assert_eq!((said.target, said.level), (MESSAGE, Level::WARN));
    for text in [
        "sent_by=\"proxy.example.com:5070\"",
        "remote=udp:192.0.2.9:5060",
        "own_name",
    ] {
        assert!(said.text.contains(text), "{text}: {said:?}");
    }
}

#[test]
fn a_large_request_that_waited_for_tcp_in_vain_is_told_of_once_for_each_target() {
    let _alone = alone();
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    host.local = Some(common::ip("192.0.2.1"));
    let body = [b'x'; 1_300];
    let mut wait = |uri: &str| {
        Listener::during(Level::WARN, || {
            let request = RequestBuilder::new(Method::Message, uri).body("text/plain", &body);
            let request = request.build(|random| random.fill(7)).unwrap();
            let send = host.waits(request, SendOptions::new());
            host.pass(Duration::from_secs(2));
            host.completed(send).unwrap();
            // Until TCP would be tried again.
            host.pass(Duration::from_secs(600));
        })
    };
    let [said] = &wait("sip:192.0.2.9")[..] else {
        panic!("it is to be said");
    };
    assert_eq!((said.target, said.level), (CONNECTION, Level::WARN));
    for text in ["addr=192.0.2.9:5060", "waited=2s", "size_rule"] {
        assert!(said.text.contains(text), "{text}: {said:?}");
    }
    assert!(wait("sip:192.0.2.9").is_empty());
    assert_eq!(wait("sip:192.0.2.10").len(), 1);
}

#[test]
fn what_is_left_out_is_counted() {
    let now = Host::new().now;
    let seldom = LogLimiter::default();
    assert_eq!(seldom.now(now), Some(0));
    for _ in 0..7 {
        assert_eq!(seldom.now(now + Duration::from_secs(9)), None);
    }
    assert_eq!(seldom.now(now + Duration::from_secs(10)), Some(7));
    assert_eq!(seldom.now(now + Duration::from_secs(20)), Some(0));
}

#[test]
fn a_tap_that_is_set_is_called_without_a_subscriber_and_nothing_else_happens() {
    let _alone = alone();
    let seen = Arc::new(Mutex::new(0));
    let mut config = Config::default();
    let count = Arc::clone(&seen);
    config.tap(move |_| *count.lock().unwrap() += 1);
    let (mut tapped, mut plain) = (Host::with(config), Host::new());
    tapped.now = plain.now;
    converse(&mut tapped);
    converse(&mut plain);
    assert_eq!(*seen.lock().unwrap(), 7);
    // A tap watches; it changes nothing.
    assert_eq!(tapped.transport.stats(), plain.transport.stats());
    assert_eq!(
        format!("{:?}", tapped.events),
        format!("{:?}", plain.events)
    );
}

#[test]
fn the_first_panic_of_a_callback_is_said_and_all_are_counted() {
    let _alone = alone();
    let mut config = Config::default();
    config.tap(|_| std::panic::resume_unwind(Box::new("a tap")));
    let mut host = Host::with(config);
    let said = Listener::during(Level::ERROR, || converse(&mut host));
    let [said] = &said[..] else {
        panic!("{said:?}");
    };
    assert_eq!((said.target, said.level), (CALLBACK, Level::ERROR));
    assert!(said.text.contains("the tap panicked"), "{said:?}");
    assert_eq!(host.transport.stats().callback_panics, 7);
}

#[cfg(feature = "tls")]
mod tls_common;

#[cfg(feature = "tls")]
#[test]
fn a_certificate_that_stands_in_the_way_is_warned_of() {
    use sip_transport_proto::Protocol;
    use sip_transport_proto::tls::Tls;
    use tls_common::{Certificates, End};

    let _alone = alone();
    let made = Certificates::new();
    let mut config = Config::default();
    config.tls(made.client());
    let mut host = Host::with(config);
    host.local = Some(common::ip("192.0.2.1"));
    let said = Listener::during(Level::WARN, || {
        for _ in 0..2 {
            host.waits(options("sips:192.0.2.9"), SendOptions::new());
            let id = host.connected("192.0.2.1:40000");
            let config = made.server(&["elsewhere.example"]);
            let mut server = End::new(Tls::server(&config, Protocol::Tls).unwrap());
            while !host.transport.transmit(id).is_empty() {
                let wire = host.written(id);
                let _ = server.read(&wire);
                host.feed(id, &server.flush());
            }
        }
    });
    // The second is left out, as it comes at once.
    let [said] = &said[..] else {
        panic!("{said:?}");
    };
    assert_eq!((said.target, said.level), (CONNECTION, Level::WARN));
    let error = "error=the peer's certificate does not have the expected name";
    for text in ["addr=192.0.2.9:5061", "name=192.0.2.9", error] {
        assert!(said.text.contains(text), "{text}: {said:?}");
    }
}
