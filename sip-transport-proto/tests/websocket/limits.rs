//! What a peer can make a WebSocket hold.

use sip_transport_proto::websocket::{WebSocketError, WebSocketLimits};

use super::{
    SIDES, Said, Side, client, feed, frame_for, header, open, open_with, output, said, server,
    written,
};

// bad-inputs: W3
#[test]
fn a_message_has_so_many_fragments_and_no_more() {
    for side in SIDES {
        for content in [&b""[..], b"x"] {
            let more = frame_for(side, 0, content);
            let mut socket = open(side);
            let mut message = frame_for(side, 1, content);
            message.extend(more.repeat(1022));
            message.extend(frame_for(side, 0x80, content));
            assert_eq!(
                feed(&mut socket, &message),
                [Said::Text(content.repeat(1024))]
            );

            // One that never ends, and a ping between all fragments.
            let mut socket = open(side);
            assert_eq!(feed(&mut socket, &frame_for(side, 1, content)), []);
            let ping = frame_for(side, 0x89, b"");
            for _ in 1..1024 {
                assert_eq!(feed(&mut socket, &[&*more, &ping].concat()), [Said::Ping]);
                assert!(socket.is_inside_message());
            }
            output(&mut socket);
            let error = WebSocketError::TooManyFragments { limit: 1024 };
            assert_eq!(feed(&mut socket, &more), [Said::Failed(error)]);
            let close = (0x88, 1009_u16.to_be_bytes().to_vec());
            assert_eq!(written(side, &output(&mut socket)), [close]);
        }
    }
}

#[test]
fn pings_do_not_make_the_output_grow() {
    for side in SIDES {
        let mut socket = open(side);
        let mut last = Vec::new();
        for n in 0..10_000_u32 {
            last = n.to_be_bytes().repeat(31);
            assert_eq!(
                feed(&mut socket, &frame_for(side, 0x89, &last)),
                [Said::Ping]
            );
        }
        let bytes = output(&mut socket);
        assert!(bytes.len() < 4096 + 2 * 139, "{}", bytes.len());
        // RFC 6455 §5.5.3: the last one may stand for those before it.
        assert_eq!(written(side, &bytes).last(), Some(&(0x8a, last)));

        feed(&mut socket, &frame_for(side, 0x89, b"next"));
        assert_eq!(
            written(side, &output(&mut socket)),
            [(0x8a, b"next".to_vec())]
        );
    }
}

#[test]
fn a_late_pong_does_not_follow_a_close() {
    for side in SIDES {
        let mut socket = open(side);
        for _ in 0..100 {
            feed(&mut socket, &frame_for(side, 0x89, &[0; 125]));
        }
        feed(&mut socket, &frame_for(side, 0x88, b""));
        let frames = written(side, &output(&mut socket));
        assert_eq!(frames.last(), Some(&(0x88, vec![])));
    }
}

#[test]
fn no_more_is_taken_than_a_message_and_its_frames_need() {
    let mut limits = WebSocketLimits::default();
    limits.message(1000).unwrap();
    let most = 1000 + 14 + 125;
    for side in SIDES {
        let frame = frame_for(side, 0x82, &[1; 1000]);
        let flood = frame.repeat(10);
        let mut socket = open_with(side, limits);
        assert_eq!(socket.capacity_left(), most);
        assert_eq!(socket.push(&flood), most);
        assert_eq!((socket.push(&flood), socket.capacity_left()), (0, 0));
        assert_eq!(said(&mut socket), [Said::Binary(vec![1; 1000])]);
        assert_eq!(socket.buffered(), most - frame.len());

        // With a message in fragments there is still room for a control frame, polled as it comes.
        let mut socket = open_with(side, limits);
        feed(&mut socket, &frame_for(side, 2, &[1; 1000]));
        assert_eq!(socket.capacity_left(), 14 + 125);
        assert_eq!(
            feed(&mut socket, &frame_for(side, 0x89, &[2; 125])),
            [Said::Ping]
        );
        assert_eq!(
            feed(&mut socket, &frame_for(side, 0x80, b"")),
            [Said::Binary(vec![1; 1000])]
        );
        assert_eq!(socket.capacity_left(), most);
    }
}

#[test]
fn before_the_handshake_there_is_room_for_a_head() {
    let mut limits = WebSocketLimits::default();
    limits.message(1).unwrap();
    let mut socket = open_with(Side::Server, limits);
    assert_eq!(socket.push(&[0; 1000]), 1 + 14 + 125);
    for mut socket in [server(), client()] {
        let flood = vec![b'A'; 1 << 20];
        let taken = socket.push(&flood);
        assert!((8 << 10..=(64 << 10) + 139).contains(&taken), "{taken}");
    }
}

#[test]
fn when_it_is_over_everything_is_taken_and_nothing_kept() {
    for side in SIDES {
        let mut socket = open(side);
        feed(&mut socket, &frame_for(side, 0x88, b""));
        let flood = vec![0; 1 << 20];
        assert_eq!(socket.push(&flood), flood.len());
        assert_eq!((socket.buffered(), socket.is_inside_message()), (0, false));
    }
}

/// A peer that announces much and sends little holds little of ours.
#[test]
fn what_is_announced_takes_no_room() {
    let mut socket = open(Side::Server);
    let mut announced = header(0x81, 65_000, true);
    announced.extend([0; 4]);
    assert_eq!(feed(&mut socket, &announced), []);
    assert_eq!(socket.buffered(), announced.len());
}
