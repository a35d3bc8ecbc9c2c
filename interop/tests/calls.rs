//! The caller notices what is wrong with a callee, so that a run without a failure means something.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use interop::calls::{Load, Outcome, run};
use interop::link::Connector;
use interop::message::Frames;

/// Calls a callee on TCP whose 200s are first changed by `edit`, which gets the request's method.
fn outcome(edit: fn(&str, String) -> String) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let load = Load {
        calls: 20,
        connections: 2,
        window: 3,
        contact: true,
    };
    for _ in 0..load.connections {
        let listener = listener.try_clone().unwrap();
        thread::spawn(move || {
            let (stream, from) = listener.accept().unwrap();
            callee(stream, from, edit);
        });
    }
    run(&Connector::tcp(to).unwrap(), load)
}

fn callee(mut stream: TcpStream, from: SocketAddr, edit: fn(&str, String) -> String) {
    let mut frames = Frames::default();
    let mut data = [0; 4096];
    while let Ok(len @ 1..) = stream.read(&mut data) {
        frames.push(&data[..len]);
        while let Some(request) = frames.take().unwrap() {
            let request = String::from_utf8(request).unwrap();
            let method = request.split(' ').next().unwrap();
            if method == "ACK" {
                continue;
            }
            let mut response = "SIP/2.0 200 OK\r\n".to_owned();
            for line in request.lines() {
                match line.split(':').next().unwrap() {
                    "Via" => {
                        let rport = format!(";rport={}", from.port());
                        response += &line.replace(";rport", &rport);
                    }
                    "To" if !line.contains("tag=") => response += &format!("{line};tag=callee"),
                    "From" | "To" | "Call-ID" | "CSeq" => response += line,
                    _ => continue,
                }
                response += "\r\n";
            }
            response += "Contact: <sip:callee@127.0.0.1>\r\nContent-Length: 0\r\n\r\n";
            let response = edit(method, response);
            if stream.write_all(response.as_bytes()).is_err() {
                return;
            }
        }
    }
}

#[test]
fn calls_that_are_answered_as_they_should_be_succeed() {
    let outcome = outcome(|_, response| response);
    assert_eq!(outcome.problems, [""; 0]);
    assert_eq!((outcome.succeeded, outcome.failed), (20, 0));
}

#[test]
fn a_response_that_repeats_a_field_otherwise_fails_its_call() {
    let edits: [fn(&str, String) -> String; 8] = [
        |_, response| response.replace("Call-ID: ", "Call-ID: x"),
        |_, response| response.replace(" BYE\r\n", " INVITE\r\n"),
        |_, response| response.replace("tag=from-", "tag=for-"),
        |_, response| response.replace("callee@example.com", "called@example.com"),
        |_, response| response.replace("SIP/2.0/TCP", "SIP/2.0/UDP"),
        |_, response| response.replace(";rport=", ";rport=1"),
        |_, response| response.replace("200 OK", "486 Busy Here"),
        |_, response| response.replace("Contact", "Contract"),
    ];
    for (n, edit) in edits.into_iter().enumerate() {
        let outcome = outcome(edit);
        assert_eq!((outcome.succeeded, outcome.failed), (0, 20), "edit {n}");
        assert!(!outcome.problems.is_empty(), "edit {n}");
    }
}

#[test]
fn a_second_response_is_a_problem() {
    let outcome = outcome(|_, response| response.repeat(2));
    assert_eq!(outcome.succeeded, 20);
    assert!(outcome.problems.len() >= 20);
}

#[test]
fn a_response_with_another_branch_is_a_problem() {
    let outcome = outcome(|_, right| right.replace("branch=z9hG4bK-", "branch=z9hG4bK-9") + &right);
    assert_eq!(outcome.succeeded, 20);
    assert!(outcome.problems.len() >= 20);
    let stray = |problem: &String| problem.contains("answers nothing");
    assert!(outcome.problems.iter().any(stray));
}
