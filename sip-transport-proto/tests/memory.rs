//! What peers can make a transport hold, measured at the allocator. One test, as all share that.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::alloc::System;

use common::{Host, addr, wire_request};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn held() -> isize {
    let stats = ALLOCATOR.stats();
    isize::try_from(stats.bytes_allocated).unwrap()
        - isize::try_from(stats.bytes_deallocated).unwrap()
}

/// What a source may send: requests, what breaks rules, keep-alives of both kinds, no SIP at all.
fn datagrams() -> Vec<Vec<u8>> {
    let via = "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1;rport";
    let good = wire_request(via, "");
    let text = String::from_utf8(good.clone()).unwrap();
    vec![
        text.replace("OPTIONS", "INVITE").into_bytes(),
        text.replace("CSeq: 1 OPTIONS", "CSeq: 1 BYE").into_bytes(),
        common::wire_response("SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1"),
        b"\r\n\r\n".to_vec(),
        b"\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl".to_vec(),
        b"\x80rtp".to_vec(),
        good,
    ]
}

fn flood(host: &mut Host, datagrams: &[Vec<u8>], sources: std::ops::Range<u32>) {
    let channel = host.transport.router().channels().next().unwrap().0;
    for source in sources {
        let source = std::net::Ipv4Addr::from_bits(0x0a00_0000 + source);
        let remote = addr(&format!("{source}:5060"));
        for data in datagrams {
            let (now, socket) = (host.now, channel.socket(0));
            host.transport
                .handle_datagram(now, socket, remote, None, data);
            host.drain();
            host.events.clear();
            host.datagrams.clear();
        }
    }
}

// bad-inputs: C10, C13
#[test]
fn a_source_of_datagrams_leaves_no_byte_behind() {
    let mut host = Host::new();
    host.udp("10.255.0.1:5060");
    let datagrams = datagrams();
    flood(&mut host, &datagrams, 0..1_000);
    let before = held();
    flood(&mut host, &datagrams, 1_000..5_000);
    assert_eq!(held(), before, "bytes after 4,000 more sources");
    assert_eq!(host.transport.router().load(), (0, 0));
}
