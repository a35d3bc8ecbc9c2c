//! The sender, on virtual time.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use std::time::{Duration, Instant};

use common::{OPTIONS, message};
use proptest::prelude::*;
use sip_capture::hep::{Encoder, Frame};
use sip_capture::sip_transport_proto::Protocol;
use sip_capture::{Sender, SenderOutput, SenderSettings, SenderStats};

const SECOND: Duration = Duration::from_secs(1);

fn settings(queue: usize) -> SenderSettings {
    let mut settings = SenderSettings::default();
    settings.queue = queue;
    settings
}

fn stream(now: Instant, queue: usize) -> Sender {
    Sender::stream(now, Encoder::new(1), settings(queue))
}

fn push(sender: &mut Sender, now: Instant) {
    sender.push(now, &message(Protocol::Tcp, OPTIONS));
}

fn frame_length() -> usize {
    let mut frame = Vec::new();
    let message = message(Protocol::Tcp, OPTIONS);
    Encoder::new(1).encode(&message, &mut frame).unwrap();
    frame.len()
}

/// All that were pushed are sent, counted as dropped, or wait.
fn adds_up(sender: &Sender, pushed: u64) {
    let SenderStats {
        sent,
        queue_full,
        too_long,
        failed,
        abandoned,
        queued_bytes,
        ..
    } = sender.stats();
    let waiting = queued_bytes / frame_length() as u64;
    let told = sent + queue_full + too_long + failed + abandoned + waiting;
    assert_eq!(told, pushed, "{:?}", sender.stats());
}

#[test]
fn a_datagram_carries_one_frame() {
    let now = Instant::now();
    let mut sender = Sender::datagrams(now, Encoder::new(1), settings(1 << 20));
    (0..5).for_each(|_| push(&mut sender, now));
    assert!(sender.transmit().is_empty());
    sender.handle_connected(now);
    for _ in 0..5 {
        let frame = Frame::decode(sender.transmit()).unwrap();
        assert_eq!(frame.payload, OPTIONS);
        let length = sender.transmit().len();
        sender.handle_written(now, length);
    }
    assert!(sender.transmit().is_empty() && sender.is_empty());
    sender.handle_failed(2);
    sender.handle_unreachable(1);
    let stats = sender.stats();
    assert_eq!((stats.sent, stats.failed, stats.unreachable), (3, 2, 1));
}

#[test]
fn what_fits_no_datagram_is_counted_and_a_stream_takes_it() {
    let now = Instant::now();
    let large = vec![b'x'; 65_420];
    let mut sender = Sender::datagrams(now, Encoder::new(1), settings(1 << 20));
    sender.push(now, &message(Protocol::Udp, &large));
    assert_eq!(sender.stats().too_long, 1);
    let mut sender = stream(now, 1 << 20);
    sender.push(now, &message(Protocol::Udp, &large));
    assert_eq!(sender.stats().too_long, 0);
    sender.push(now, &message(Protocol::Udp, &vec![b'x'; 65_536]));
    assert_eq!(sender.stats().too_long, 1);
}

#[test]
fn a_dead_collector_fills_the_queue_to_its_limit_and_no_more() {
    let now = Instant::now();
    let mut sender = stream(now, 10 * frame_length());
    for _ in 0..10_000 {
        push(&mut sender, now);
        assert!(sender.stats().queued_bytes <= 10 * frame_length() as u64);
    }
    assert_eq!(sender.stats().queue_full, 9_990);
    assert!(sender.transmit().is_empty());
    sender.abandon();
    assert_eq!(sender.stats().abandoned, 10);
    adds_up(&sender, 10_000);
}

#[test]
fn a_collector_that_cannot_be_reached_is_tried_again_ever_later() {
    let mut now = Instant::now();
    let mut sender = stream(now, 1 << 20);
    let mut waits = Vec::new();
    for _ in 0..9 {
        assert_eq!(sender.poll_output(), Some(SenderOutput::Connect));
        assert_eq!(sender.poll_output(), None);
        sender.handle_closed(now);
        let at = sender.poll_timeout().unwrap();
        waits.push((at - now).as_secs());
        // Too early.
        sender.handle_timeout(at - Duration::from_nanos(1));
        assert_eq!(sender.poll_output(), None);
        now = at;
        sender.handle_timeout(now);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(sender.stats().disconnected, 9);
}

#[test]
fn a_connection_that_is_not_open_in_time_is_given_up() {
    let now = Instant::now();
    let mut sender = stream(now, 1 << 20);
    assert_eq!(sender.poll_output(), Some(SenderOutput::Connect));
    assert_eq!(sender.poll_timeout(), Some(now + 10 * SECOND));
    sender.handle_timeout(now + 10 * SECOND);
    assert_eq!(sender.poll_output(), Some(SenderOutput::Close));
    // What was being opened is dropped; if it had just opened, that is too late.
    sender.handle_connected(now + 10 * SECOND);
    assert_eq!(sender.stats().connected, 0);
    assert_eq!(sender.poll_timeout(), Some(now + 11 * SECOND));
}

#[test]
fn a_frame_that_was_cut_is_sent_again_as_a_whole() {
    let now = Instant::now();
    let mut sender = stream(now, 1 << 20);
    (0..3).for_each(|_| push(&mut sender, now));
    sender.handle_connected(now);
    sender.handle_written(now, frame_length() + 10);
    assert_eq!(sender.stats().sent, 1);
    sender.handle_closed(now);
    assert!(sender.transmit().is_empty());
    sender.handle_timeout(now + SECOND);
    sender.handle_connected(now + SECOND);
    assert_eq!(sender.transmit().len(), 2 * frame_length());
    assert!(Frame::decode(&sender.transmit()[..frame_length()]).is_ok());
}

#[test]
fn a_collector_that_takes_nothing_is_left() {
    let now = Instant::now();
    let mut sender = stream(now, 1 << 20);
    _ = sender.poll_output();
    sender.handle_connected(now);
    assert_eq!(sender.poll_timeout(), None);
    push(&mut sender, now);
    assert_eq!(sender.poll_timeout(), Some(now + 30 * SECOND));
    // A byte is progress; another message is none.
    sender.handle_written(now + 29 * SECOND, 1);
    push(&mut sender, now + 40 * SECOND);
    assert_eq!(sender.poll_timeout(), Some(now + 59 * SECOND));
    sender.handle_timeout(now + 59 * SECOND);
    assert_eq!(sender.poll_output(), Some(SenderOutput::Close));
    assert_eq!(sender.stats().stalled, 1);
    // Nothing is lost by it.
    sender.handle_timeout(now + 60 * SECOND);
    sender.handle_connected(now + 60 * SECOND);
    assert_eq!(sender.transmit().len(), 2 * frame_length());
}

#[test]
fn a_collector_that_floods_is_left() {
    let now = Instant::now();
    let mut sender = stream(now, 1 << 20);
    _ = sender.poll_output();
    sender.handle_connected(now);
    for _ in 0..16 {
        sender.handle_received(now, 4_096);
        assert_eq!(sender.poll_output(), None);
    }
    sender.handle_received(now, 1);
    assert_eq!(sender.poll_output(), Some(SenderOutput::Close));
    assert_eq!(sender.stats().flooded, 1);
}

/// What may happen to a sender.
#[derive(Clone, Debug)]
enum Step {
    Push(u8),
    Connected,
    Closed,
    Written(usize),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..20_u8).prop_map(Step::Push),
        2 => Just(Step::Connected),
        1 => Just(Step::Closed),
        4 => (0..5_000_usize).prop_map(Step::Written),
        2 => (0..100_000_u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn each_message_is_sent_counted_or_waits_and_each_connection_gets_whole_frames(steps in steps()) {
        let mut now = Instant::now();
        let limit = 12 * frame_length() + 100;
        let mut sender = stream(now, limit);
        let mut connection: Vec<u8> = Vec::new();
        let (mut pushed, mut whole) = (0, 0);
        let read = |connection: &mut Vec<u8>| {
            let mut frames = 0;
            let mut rest = &connection[..];
            while let Ok(Some(len)) = Frame::length_of(rest) {
                if len > rest.len() {
                    break;
                }
                Frame::decode(&rest[..len]).unwrap();
                rest = &rest[len..];
                frames += 1;
            }
            connection.clear();
            frames
        };
        for step in steps {
            match step {
                Step::Push(times) => {
                    pushed += u64::from(times);
                    (0..times).for_each(|_| push(&mut sender, now));
                }
                Step::Connected => sender.handle_connected(now),
                Step::Closed => sender.handle_closed(now),
                Step::Written(bytes) => {
                    let bytes = bytes.min(sender.transmit().len());
                    connection.extend_from_slice(&sender.transmit()[..bytes]);
                    sender.handle_written(now, bytes);
                }
                Step::Wait(millis) => {
                    now += Duration::from_millis(millis);
                    sender.handle_timeout(now);
                }
            }
            if sender.transmit().is_empty() && !sender.is_empty() {
                // The connection is gone.
                whole += read(&mut connection);
            }
            while sender.poll_output().is_some() {}
            prop_assert!(sender.stats().queued_bytes <= limit as u64);
            adds_up(&sender, pushed);
        }
        whole += read(&mut connection);
        prop_assert_eq!(whole, sender.stats().sent);
    }
}
