//! The crowd notices a server that keeps too many, or that gives up those who behave.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::answer_all;
use interop::crowd::{Crowd, Outcome, run};
use interop::link::Connector;
use interop::message::Frames;

const ALLOWED: usize = 4;

/// The silent connections of each address, by port, the oldest first.
type Silent = Arc<Mutex<BTreeMap<IpAddr, VecDeque<(u16, TcpStream)>>>>;

/// A server that lets so many connections of an address be silent, the newest, and answers those
/// that are not.
fn serve(room: fn(IpAddr) -> usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        let silent = Silent::default();
        for stream in listener.incoming().map_while(Result::ok) {
            let from = stream.peer_addr().unwrap();
            let mut all = silent.lock().unwrap();
            let own = all.entry(from.ip()).or_default();
            own.push_back((from.port(), stream.try_clone().unwrap()));
            if own.len() > room(from.ip()) {
                let (_, oldest) = own.pop_front().unwrap();
                oldest.shutdown(Shutdown::Both).unwrap();
            }
            let silent = Arc::clone(&silent);
            thread::spawn(move || answer(stream, from, &silent));
        }
    });
    at
}

fn answer(mut stream: TcpStream, from: SocketAddr, silent: &Silent) {
    let (mut frames, mut data) = (Frames::default(), [0; 4096]);
    let mut len = stream.read(&mut data);
    if let Some(own) = silent.lock().unwrap().get_mut(&from.ip()) {
        own.retain(|(port, _)| *port != from.port());
    }
    while let Ok(read @ 1..) = len {
        frames.push(&data[..read]);
        if answer_all(&mut stream, from, &mut frames).is_err() {
            return;
        }
        len = stream.read(&mut data);
    }
}

fn outcome(room: fn(IpAddr) -> usize) -> Result<Outcome, String> {
    let connector = Connector::tcp(serve(room)).unwrap();
    let crowd = Crowd {
        from: Ipv4Addr::LOCALHOST.into(),
        other: Ipv4Addr::new(127, 0, 0, 2).into(),
        count: 40,
        at_once: 40,
        flows: 3,
        allowed: ALLOWED,
        patience: Duration::from_secs(1),
    };
    run(&connector, crowd).map_err(|error| error.to_string())
}

#[test]
fn a_server_that_keeps_few_and_serves_the_others_passes() {
    let outcome = outcome(|from| match from == Ipv4Addr::LOCALHOST {
        true => ALLOWED,
        false => 100,
    });
    let outcome = outcome.unwrap();
    assert_eq!((outcome.connected, outcome.kept), (40, ALLOWED));
    assert!(outcome.flows.count >= 3 && outcome.others.count >= 1);
}

#[test]
fn a_server_that_keeps_too_many_is_told_of() {
    let error = outcome(|_| 100).unwrap_err();
    assert!(error.contains("40 of the crowd"), "{error}");
}

#[test]
fn a_server_that_shuts_out_others_is_told_of() {
    let room = |from| {
        if from == Ipv4Addr::LOCALHOST {
            ALLOWED
        } else {
            0
        }
    };
    outcome(room).unwrap_err();
}
