//! The flood notices a server that lets one source take what others need.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use interop::flood::{Flood, Outcome, run};

/// A server that answers whoever `answers` says, by the source and how many were answered before.
fn serve(answers: fn(SocketAddr, usize) -> bool) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    thread::spawn(move || {
        let (mut data, mut answered) = ([0; 2_048], 0);
        while let Ok((len, from)) = socket.recv_from(&mut data) {
            if !answers(from, answered) {
                continue;
            }
            answered += 1;
            // A client that is gone is no fault of the server.
            let _ = socket.send_to(&answer(&data[..len]), from);
        }
    });
    at
}

fn answer(request: &[u8]) -> Vec<u8> {
    if let [0, 1, rest @ ..] = request {
        return [&[1, 1], rest].concat();
    }
    let request = str::from_utf8(request).unwrap();
    let (_, headers) = request.split_once("\r\n").unwrap();
    let status = match headers.contains("CSeq: 1 ") {
        true => "200 OK",
        false => "400 Bad Request",
    };
    format!("SIP/2.0 {status}\r\n{headers}").into_bytes()
}

fn outcome(answers: fn(SocketAddr, usize) -> bool) -> Result<Outcome, String> {
    let flood = Flood {
        to: serve(answers),
        from: Ipv4Addr::new(127, 0, 0, 2).into(),
        per_second: 1_000,
        honest: 3,
        patience: Duration::from_millis(100),
    };
    run(flood).map_err(|error| error.to_string())
}

#[test]
fn a_server_that_answers_all_passes() {
    let outcome = outcome(|_, _| true).unwrap();
    assert!(outcome.sent > 0 && outcome.answers > 0, "{outcome:?}");
}

#[test]
fn a_server_that_answers_the_honest_alone_passes() {
    let outcome = outcome(|from, _| from.ip() != Ipv4Addr::new(127, 0, 0, 2)).unwrap();
    assert!(outcome.sent > 0, "{outcome:?}");
    assert_eq!(outcome.answers, 0);
}

#[test]
fn a_server_whose_answers_one_source_can_use_up_is_told_of() {
    let error = outcome(|_, answered| answered < 2).unwrap_err();
    assert!(error.contains("of 9 were not answered"), "{error}");
}
