//! The batches that datagrams travel in.
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use adapter_core::runtime::{RecvBatch, SendBatch};
use proptest::prelude::*;

const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5060);

#[derive(Debug, Clone)]
enum Step {
    Push(Vec<u8>),
    Sent(usize),
    Failed,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..300).prop_map(Step::Push),
        2 => (0usize..5).prop_map(Step::Sent),
        1 => Just(Step::Failed),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn a_send_batch_is_a_bounded_queue(steps in steps()) {
        const LIMIT: usize = 2000;
        let mut batch = SendBatch::new(LIMIT);
        let mut model = VecDeque::new();
        let mut failed = Vec::new();
        for (id, step) in (0u64..).zip(steps) {
            match step {
                Step::Push(data) => {
                    let bytes = batch.bytes();
                    match batch.push(PEER, None, id, |buffer| buffer.extend_from_slice(&data)) {
                        Ok(()) => model.push_back((id, data)),
                        Err(full) => {
                            prop_assert_eq!(full.held, bytes);
                            prop_assert!(bytes + data.len() + 100 > LIMIT);
                        }
                    }
                }
                Step::Sent(count) => {
                    batch.sent(count);
                    model.drain(..count.min(model.len()));
                }
                Step::Failed => {
                    batch.failed(io::ErrorKind::HostUnreachable.into());
                    failed.extend(model.pop_front().map(|(id, _)| Some(id)));
                }
            }
            let held: Vec<_> = batch.iter().map(|entry| (entry.id, entry.data.to_vec())).collect();
            prop_assert_eq!(&held, model.make_contiguous());
            prop_assert_eq!(batch.len(), model.len());
            prop_assert!(batch.bytes() <= LIMIT);
        }
        prop_assert_eq!(batch.failures().iter().map(|f| f.id).collect::<Vec<_>>(), failed);
    }
}

#[test]
fn a_datagram_that_does_not_fit_leaves_the_batch_as_it_was() {
    let mut batch = SendBatch::new(1000);
    batch
        .push(PEER, None, 1, |buffer| buffer.extend_from_slice(b"first"))
        .unwrap();
    let full = batch.push(PEER, None, 2, |buffer| {
        buffer.resize(buffer.len() + 1000, 0)
    });
    assert_eq!(full.unwrap_err().length, 1000);
    assert_eq!(
        batch.iter().map(|entry| entry.data).collect::<Vec<_>>(),
        [b"first"]
    );
}

#[test]
fn a_send_batch_is_refilled_behind_what_has_been_sent() {
    let mut batch = SendBatch::new(1000);
    for id in 0..100 {
        batch
            .push(PEER, None, id, |buffer| {
                buffer.extend_from_slice(&[b'x'; 300])
            })
            .unwrap();
        if id > 0 {
            batch.sent(1);
        }
    }
    assert_eq!(batch.len(), 1);
}

#[test]
fn a_receive_batch_takes_32_datagrams_and_says_what_it_cut() {
    let mut batch = RecvBatch::new();
    assert!(batch.push(PEER, PEER.ip(), &[b'x'; 65_536]));
    for _ in 1..32 {
        assert!(!batch.is_full());
        assert!(batch.push(PEER, PEER.ip(), b"short"));
    }
    assert!(batch.is_full() && !batch.push(PEER, PEER.ip(), b"one too many"));
    let received: Vec<_> = batch.iter().map(|d| (d.data.len(), d.truncated)).collect();
    assert_eq!(received[..2], [(65_535, true), (5, false)]);
    batch.clear();
    assert!(batch.is_empty());
}
