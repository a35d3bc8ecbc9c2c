//! The siege notices a server that gives up those who behave, or keeps newcomers out.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use common::answer_all;
use interop::link::Connector;
use interop::message::Frames;
use interop::siege::{Outcome, Siege, run};

/// Which of the connections makes room for one from there, if that is let in.
type Rule = fn(&VecDeque<(IpAddr, TcpStream)>, IpAddr) -> Option<usize>;

/// A server that has room for so many connections.
fn serve(room: usize, rule: Rule) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut all = VecDeque::new();
        for stream in listener.incoming().map_while(Result::ok) {
            let from = stream.peer_addr().unwrap();
            if all.len() >= room {
                let Some(at) = rule(&all, from.ip()) else {
                    continue;
                };
                let (_, gone) = all.remove(at).unwrap();
                gone.shutdown(Shutdown::Both).unwrap();
            }
            all.push_back((from.ip(), stream.try_clone().unwrap()));
            thread::spawn(move || answer(stream, from));
        }
    });
    at
}

fn answer(mut stream: TcpStream, from: SocketAddr) {
    let (mut frames, mut data) = (Frames::default(), [0; 4096]);
    while let Ok(len @ 1..) = stream.read(&mut data) {
        if &data[..len] == b"\r\n\r\n" {
            stream.write_all(b"\r\n").unwrap();
            continue;
        }
        frames.push(&data[..len]);
        if answer_all(&mut stream, from, &mut frames).is_err() {
            return;
        }
    }
}

fn outcome(rule: Rule) -> Result<Outcome, String> {
    let connector = Connector::tcp(serve(16, rule)).unwrap();
    let siege = Siege {
        honest: 5,
        idle: Duration::ZERO,
        connections: 10,
        addresses: 4,
        newcomers: 2,
    };
    run(&connector, siege).map_err(|error| error.to_string())
}

#[test]
fn a_server_where_who_holds_most_makes_room_passes() {
    let most = |all: &VecDeque<(IpAddr, TcpStream)>, _| {
        let held = |ip| all.iter().filter(|(of, _)| *of == ip).count();
        (0..all.len()).rev().max_by_key(|at| held(all[*at].0))
    };
    let outcome = outcome(most).unwrap();
    assert_eq!((outcome.answered, outcome.newcomers), (50, 4));
}

#[test]
fn a_server_where_the_oldest_makes_room_is_told_of() {
    let error = outcome(|_, _| Some(0)).unwrap_err();
    assert!(error.contains("honest peer 1"), "{error}");
}

#[test]
fn a_server_that_is_full_for_good_is_told_of() {
    let error = outcome(|_, _| None).unwrap_err();
    // There is room for one behind the attack.
    assert!(error.contains("newcomer 2"), "{error}");
}
