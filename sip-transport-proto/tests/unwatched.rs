//! What it costs that messages can be watched, when nobody does, measured at the allocator. One test,
//! as all share that.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::alloc::System;

use common::{Host, numbered, ok, wire_request};
use sip_transport_proto::{Event, SendOptions};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber, subscriber};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Listens up to a level, and keeps nothing.
struct Listener(Level);

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.0
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(self.0))
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &tracing::Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// How often something is allocated while messages cross.
fn allocations_once() -> usize {
    let mut host = Host::new();
    let datagrams = host.udp("192.0.2.1:5060");
    let streams = host.tcp("192.0.2.1:5060");
    let id = host.accept(streams, "192.0.2.1:5060", "192.0.2.9:33333");
    let via = "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1;rport";
    let (datagram, stream) = (wire_request(via, ""), numbered(1));
    let exchange = |host: &mut Host| {
        let received = host.request(datagrams, "192.0.2.9:5060", &datagram);
        host.send(ok(&received.request), SendOptions::new());
        host.datagrams.clear();
        host.feed(id, &stream);
        let Some(Event::Request { request, .. }) = host.events.pop_front() else {
            panic!("no request");
        };
        host.send(ok(&request), SendOptions::new());
        host.written(id);
    };
    for _ in 0..10 {
        exchange(&mut host);
    }
    let before = ALLOCATOR.stats();
    for _ in 0..100 {
        exchange(&mut host);
    }
    let after = ALLOCATOR.stats();
    after.allocations + after.reallocations - before.allocations - before.reallocations
}

/// The same without what the test harness may allocate meanwhile.
fn allocations() -> usize {
    (0..5).map(|_| allocations_once()).min().unwrap_or_default()
}

#[test]
fn nothing_is_copied_or_formatted_for_messages_that_nobody_watches() {
    let unwatched = allocations();
    let listening = |level| {
        let mut count = 0;
        subscriber::with_default(Listener(level), || count = allocations());
        count
    };
    assert_eq!(listening(Level::DEBUG), unwatched);
    // So that the test can fail: a round has two messages over a connection, each copied to be told
    // of later.
    assert!(listening(Level::TRACE) >= unwatched + 200);
}
