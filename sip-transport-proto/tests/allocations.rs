//! What a datagram costs that is refused, measured at the allocator. One test, as all share that.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::alloc::System;

use common::{Host, addr};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn a_binding_request_over_the_rate_of_its_source_allocates_nothing() {
    const REQUEST: &[u8] = b"\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl";
    let mut host = Host::new();
    let socket = host.udp("192.0.2.1:5060").socket(0);
    let (now, remote) = (host.now, addr("198.51.100.1:5060"));
    let mut ask = |times| {
        for _ in 0..times {
            host.transport
                .handle_datagram(now, socket, remote, None, REQUEST);
        }
        host.transport.stats().stun_answers_suppressed
    };
    let suppressed = ask(1_000);
    assert!(suppressed > 0);
    let before = ALLOCATOR.stats().allocations;
    let more = ask(100);
    assert_eq!(ALLOCATOR.stats().allocations, before);
    assert_eq!(more, suppressed + 100);
}
