//! TLS, bytes in and bytes out: cuts, limits, ends and errors.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
#![cfg(feature = "tls")]

mod tls_common;

use std::sync::{Arc, LazyLock};

use proptest::collection::vec;
use proptest::prelude::*;
use sip_transport_proto::Protocol;
use sip_transport_proto::tls::rustls;
use sip_transport_proto::tls::{CertificateProblem, Tls, TlsAlert, TlsConfig, TlsError, TlsName};
use tls_common::{Certificates, End, ONLY_TLS12, ONLY_TLS13, Pair, Versions, shake};

const HOST: &str = "example.com";
static MADE: LazyLock<Certificates> = LazyLock::new(Certificates::new);
static CONFIG: LazyLock<TlsConfig> = LazyLock::new(|| MADE.both(&[HOST]));

fn pair() -> Pair {
    let pair = shake(&CONFIG, &CONFIG, HOST);
    assert!(pair.is_open());
    pair
}

fn of_version(version: Versions) -> Pair {
    let client = MADE.client_builder().versions(version).build().unwrap();
    let pair = shake(&client, &CONFIG, HOST);
    assert!(pair.is_open());
    pair
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

/// Feeds `wire` in pieces of these sizes, over and over; all of it.
fn feed(end: &mut End, mut wire: &[u8], sizes: &[usize]) -> Result<(), TlsError> {
    for size in sizes.iter().cycle() {
        if wire.is_empty() {
            break;
        }
        let (piece, rest) = wire.split_at((*size).min(wire.len()));
        end.read(piece)?;
        wire = rest;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The same bytes in any split: the same plaintext, identity and end.
    #[test]
    fn cuts_change_nothing(
        lengths in vec(0usize..40_000, 1..4),
        up in vec(1usize..5_000, 1..8),
        down in vec(1usize..5_000, 1..8),
    ) {
        let mut pair = Pair::new(&CONFIG, &CONFIG, Protocol::Tls, HOST);
        loop {
            let (sent, answered) = (pair.client.flush(), pair.server.flush());
            if sent.is_empty() && answered.is_empty() {
                break;
            }
            feed(&mut pair.server, &sent, &up).unwrap();
            feed(&mut pair.client, &answered, &down).unwrap();
        }
        prop_assert!(pair.is_open());
        let mut wire = Vec::new();
        let mut plain = Vec::new();
        for len in lengths {
            plain.extend(bytes(len));
            wire.extend(pair.client.write(&bytes(len)));
        }
        pair.client.tls.close(&mut wire);
        feed(&mut pair.server, &wire, &up).unwrap();
        prop_assert!(pair.server.got == plain);
        prop_assert!(pair.server.tls.peer_closed());
        prop_assert_eq!(pair.server.tls.eof(), Ok(()));
    }

    /// A sink that takes little, seldom or nothing loses nothing, and what waits is bounded.
    #[test]
    fn what_the_sink_refuses_waits(
        len in 1usize..200_000,
        room in vec(0usize..9_000, 1..8),
        reads in vec(1usize..=16_384, 1..8),
    ) {
        let mut pair = pair();
        let plain = bytes(len);
        let mut wire = pair.client.write(&plain).into_iter();
        let server = &mut pair.server.tls;
        let mut got: Vec<u8> = Vec::new();
        let mut room = room.iter().copied().chain([1]).cycle();
        let mut reads = reads.iter().copied().cycle();
        loop {
            let piece: Vec<u8> = wire.by_ref().take(reads.next().unwrap()).collect();
            if piece.is_empty() {
                break;
            }
            let mut left = room.next().unwrap();
            server.read(&piece, &mut |data| {
                let taken = data.len().min(left);
                got.extend_from_slice(&data[..taken]);
                left -= taken;
                taken
            }).unwrap();
            let before = got.len();
            while server.plaintext_waits() {
                let mut left = room.next().unwrap();
                server.drain(&mut |data| {
                    let taken = data.len().min(left);
                    got.extend_from_slice(&data[..taken]);
                    left -= taken;
                    taken
                });
            }
            prop_assert!(got.len() - before <= 34 * 1024, "{}", got.len() - before);
        }
        prop_assert!(got == plain);
    }

    #[test]
    fn what_is_sealed_stays_within_its_bound(
        len in 0usize..70_000,
        tls12: bool,
        fragment in prop::option::of(64usize..2_000),
    ) {
        let versions = if tls12 { ONLY_TLS12 } else { ONLY_TLS13 };
        let mut raw = rustls::ClientConfig::builder_with_provider(MADE.provider().clone())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(MADE.roots())
            .with_no_client_auth();
        raw.max_fragment_size = fragment;
        let client = TlsConfig::new().with_client(Arc::new(raw));
        let mut pair = shake(&client, &CONFIG, HOST);
        let bound = pair.client.tls.sealed_len_bound(len);
        let wire = pair.client.write(&bytes(len));
        prop_assert!(wire.len() <= bound, "{} of {bound}", wire.len());
        pair.server.read(&wire).unwrap();
        prop_assert!(pair.server.got == bytes(len));
    }

    /// Whatever comes, at whatever time: no panic, and an error stays.
    #[test]
    fn noise_ends_in_an_error_or_waits(noise in vec(any::<u8>(), 0..2_000), open: bool) {
        for is_client in [true, false] {
            let mut pair = Pair::new(&CONFIG, &CONFIG, Protocol::Tls, HOST);
            if open {
                pair.settle();
            }
            let end = if is_client { &mut pair.client } else { &mut pair.server };
            if let Err(error) = end.read(&noise) {
                prop_assert_eq!(end.read(b"x"), Err(error));
                prop_assert_eq!(end.tls.eof(), Err(error));
            }
            prop_assert!(end.got.is_empty());
        }
    }
}

// conformance: 286
#[test]
fn a_stream_that_ends_without_close_notify_is_truncated() {
    let mut pair = pair();
    let wire = pair.client.write(b"half a mess");
    pair.server.read(&wire).unwrap();
    assert_eq!(pair.server.tls.eof(), Err(TlsError::Truncated));
    assert_eq!(pair.server.got, b"half a mess");

    let mut stalled = Pair::new(&CONFIG, &CONFIG, Protocol::Tls, HOST);
    assert_eq!(stalled.server.tls.eof(), Err(TlsError::Truncated));
}

// conformance: 286
#[test]
fn close_notify_ends_one_direction_cleanly() {
    let mut pair = pair();
    let mut wire = pair.client.write(b"last");
    pair.client.tls.close(&mut wire);
    wire.extend(bytes(50_000));
    pair.server.read(&wire).unwrap();
    pair.server.read(b"whatever follows is dropped").unwrap();
    assert!(pair.server.tls.peer_closed());
    assert_eq!(pair.server.tls.eof(), Ok(()));
    assert_eq!(pair.server.got, b"last");

    let reply = pair.server.write(b"reply");
    pair.client.read(&reply).unwrap();
    assert_eq!(pair.client.got, b"reply");
    let mut after = Vec::new();
    assert!(!pair.client.tls.write(b"more", &mut after));
    pair.client.tls.close(&mut after);
    assert!(after.is_empty(), "close_notify goes out once");
}

#[test]
fn nothing_is_sent_before_the_handshake_ends() {
    let mut pair = Pair::new(&CONFIG, &CONFIG, Protocol::Tls, HOST);
    let mut wire = Vec::new();
    assert!(!pair.client.tls.write(b"early", &mut wire) && wire.is_empty());
    assert!(!pair.server.tls.write(b"early", &mut wire) && wire.is_empty());
    pair.settle();
    assert!(pair.is_open());
    pair.exchange();
    assert_eq!(
        (&*pair.client.got, &*pair.server.got),
        (&b"pong"[..], &b"ping"[..])
    );
}

#[test]
fn plain_text_on_a_tls_port_is_told_from_broken_tls() {
    let texts: [&[u8]; 5] = [
        b"OPTIONS sip:example.com SIP/2.0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00",
        b"\0\0\0\0\0\0\0",
    ];
    for text in texts {
        for size in [1, 100] {
            let mut end = End::new(Tls::server(&CONFIG, Protocol::Tls).unwrap());
            assert_eq!(feed(&mut end, text, &[size]), Err(TlsError::NotTls));
            // bad-inputs C: the alert still goes out, so that a TLS client knows.
            assert_eq!(end.flush().first(), Some(&21), "an alert record");
        }
    }
    // A plain server that answers a TLS client.
    let name = TlsName::new(HOST).unwrap();
    let mut client = End::new(Tls::client(&CONFIG, Protocol::Tls, &name).unwrap());
    client.flush();
    assert_eq!(
        client.read(b"SIP/2.0 400 Bad Request\r\n"),
        Err(TlsError::NotTls)
    );

    let mut end = End::new(Tls::server(&CONFIG, Protocol::Tls).unwrap());
    assert_eq!(
        end.read(b"\x16\x03\x01\0\x05hello"),
        Err(TlsError::Protocol)
    );
    let mut open = pair();
    assert_eq!(open.server.read(b"OPTIONS"), Err(TlsError::Protocol));
}

#[test]
fn data_before_a_bad_record_is_given_and_the_peer_is_told_why() {
    for versions in [ONLY_TLS12, ONLY_TLS13] {
        let mut pair = of_version(versions);
        let mut wire = pair.client.write(b"good");
        let mut bad = pair.client.write(b"bad");
        *bad.last_mut().unwrap() ^= 1;
        wire.extend(bad);
        wire.extend(pair.client.write(b"never read"));
        assert_eq!(pair.server.read(&wire), Err(TlsError::BadRecord));
        assert_eq!(pair.server.got, b"good");
        let mut out = Vec::new();
        assert!(!pair.server.tls.write(b"x", &mut out) && out.is_empty());

        let alert = pair.server.flush();
        let told = TlsError::Alert(TlsAlert::new(20));
        assert_eq!(pair.client.read(&alert), Err(told));
        assert_eq!(told.to_string(), "the peer sent the alert bad_record_mac");
    }
}

#[test]
fn data_before_a_bad_record_waits_for_a_sink_without_room() {
    let mut pair = pair();
    let mut wire = pair.client.write(b"good");
    wire.extend(b"\x17\x03\x03\0\x20 not a record of this connection");
    let read = pair.server.tls.read(&wire, &mut |_| 0);
    assert_eq!(read, Err(TlsError::BadRecord));
    let mut got = Vec::new();
    pair.server.tls.drain(&mut |data| {
        got.extend_from_slice(data);
        data.len()
    });
    assert_eq!(got, b"good");
}

#[test]
fn a_handshake_message_of_an_announced_size_is_not_waited_for() {
    let mut end = End::new(Tls::server(&CONFIG, Protocol::Tls).unwrap());
    let mut record = vec![22, 3, 1, 0x40, 0];
    record.extend([1, 0xff, 0xff, 0xff]);
    record.resize(5 + 0x4000, 0);
    let mut given = 0;
    let mut read = end.read(&record);
    record.splice(5..9, [0; 4]);
    while read.is_ok() {
        given += record.len();
        assert!(given < 128 * 1024, "it goes on reading");
        read = end.read(&record);
    }
    assert_eq!(read, Err(TlsError::Protocol));
}

#[test]
fn a_record_may_not_be_longer_than_the_standard_says() {
    let mut pair = pair();
    let mut record = vec![23, 3, 3, 0xff, 0xff];
    record.resize(20_000, 0);
    assert_eq!(pair.server.read(&record), Err(TlsError::Protocol));
}

#[test]
fn a_side_that_is_not_configured_says_so() {
    let name = TlsName::new(HOST).unwrap();
    let none = TlsConfig::new();
    assert!(!none.is_client() && !none.is_server());
    assert_eq!(
        Tls::client(&MADE.server(&[HOST]), Protocol::Tls, &name).err(),
        Some(TlsError::NotConfigured)
    );
    assert_eq!(
        Tls::server(&MADE.client(), Protocol::Wss).err(),
        Some(TlsError::NotConfigured)
    );
}

#[test]
fn errors_read_well() {
    let texts = [
        (
            TlsError::Certificate(CertificateProblem::Expired),
            "the peer's certificate has expired",
        ),
        (TlsError::NotTls, "the peer does not speak TLS"),
        (
            TlsError::Alert(TlsAlert::new(112)),
            "the peer sent the alert unrecognized_name",
        ),
        (
            TlsError::Alert(TlsAlert::new(200)),
            "the peer sent the alert 200",
        ),
    ];
    for (error, text) in texts {
        assert_eq!(error.to_string(), text);
    }
}

// Simulations cut by length: so the same script gives the same cuts.
#[test]
fn lengths_on_the_wire_are_the_same_in_every_run() {
    let lengths = || {
        let made = Certificates::new().at(1_750_000_000);
        let config = made.mutual(&[HOST, "sip:example.com"]);
        let mut pair = Pair::new(&config, &config, Protocol::Tls, HOST);
        let mut lengths = Vec::new();
        loop {
            let (up, down) = (pair.client.flush(), pair.server.flush());
            if up.is_empty() && down.is_empty() {
                break;
            }
            lengths.push((up.len(), down.len()));
            pair.server.read(&up).unwrap();
            pair.client.read(&down).unwrap();
        }
        assert!(pair.is_open());
        lengths.push((pair.client.write(b"OPTIONS").len(), 0));
        lengths
    };
    let first = lengths();
    for _ in 0..20 {
        assert_eq!(lengths(), first);
    }
}
