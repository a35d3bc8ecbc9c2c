//! Sends every WebSocket message back: what a WebSocket test suite wants of the peer under test.
//!
//! ```text
//! websocket_echo --listen 127.0.0.1:9001
//! websocket_echo --connect 127.0.0.1:9001
//! ```
//!
//! The second asks a test server for its cases, and runs them one after the other. Test suites know
//! nothing of SIP, so `Sec-WebSocket-Protocol: sip` is put into the heads that come, and taken out
//! of those that go.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

use std::env;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use sip_transport_proto::websocket::{WebSocket, WebSocketConfig, WebSocketEvent, WebSocketLimits};

const SUBPROTOCOL: &[u8] = b"Sec-WebSocket-Protocol: sip\r\n";

fn main() -> ExitCode {
    let args: Vec<_> = env::args().skip(1).collect();
    let result = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--listen", address] => listen(address),
        ["--connect", address] => connect(address),
        _ => Err("usage: websocket_echo --listen|--connect ADDRESS:PORT".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn limits() -> Result<WebSocketLimits, Box<dyn Error>> {
    let mut limits = WebSocketLimits::default();
    // Suites send what no SIP message is: 64 MiB, in up to a million fragments.
    limits.message(64 << 20)?.fragments(1 << 20)?;
    Ok(limits)
}

fn listen(address: &str) -> Result<(), Box<dyn Error>> {
    let limits = limits()?;
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            let socket = WebSocket::server(&WebSocketConfig::default(), limits);
            if let Err(error) = run(stream, socket, |socket, message| {
                // What comes behind our close frame gets no echo.
                let _ = socket.send(message);
            }) {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

fn connect(address: &str) -> Result<(), Box<dyn Error>> {
    let mut count = String::new();
    dial(address, "/getCaseCount", |_, message| {
        count = String::from_utf8_lossy(message).into_owned();
    })?;
    let count: u32 = count.trim().parse()?;
    for case in 1..=count {
        let path = format!("/runCase?case={case}&agent=sip");
        // How a case ended the suite saw itself: it may well reset the connection.
        if let Err(error) = dial(address, &path, |socket, message| {
            let _ = socket.send(message);
        }) {
            println!("case {case}: {error}");
        }
    }
    dial(address, "/updateReports?agent=sip", |_, _| {})?;
    println!("{count} cases run");
    Ok(())
}

fn dial(
    address: &str,
    path: &str,
    on_message: impl FnMut(&mut WebSocket, &[u8]),
) -> Result<(), Box<dyn Error>> {
    let mut config = WebSocketConfig::default();
    config.path(path)?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let socket = WebSocket::client(&config, address, seed, limits()?);
    Ok(run(TcpStream::connect(address)?, socket, on_message)?)
}

/// Drives one connection to its end.
fn run(
    mut stream: TcpStream,
    mut socket: WebSocket,
    mut on_message: impl FnMut(&mut WebSocket, &[u8]),
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let server = !socket.has_output();
    let (mut input, mut head) = (vec![0; 64 << 10], Some(Vec::new()));
    let mut first_output = true;
    loop {
        let mut output = Vec::new();
        socket.take_output(&mut output);
        if first_output && !output.is_empty() {
            output = without_subprotocol(output);
            first_output = false;
        }
        stream.write_all(&output)?;
        if socket.is_over() && server {
            // The server closes first (RFC 6455 §7.1.1), but a close that finds bytes unread would
            // be a reset, and might overtake the close frame.
            stream.shutdown(Shutdown::Write)?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            while stream.read(&mut input).is_ok_and(|n| n > 0) {}
            return Ok(());
        }
        let n = stream.read(&mut input)?;
        if n == 0 {
            return Ok(());
        }
        let data = match &mut head {
            None => Bytes::copy_from_slice(&input[..n]),
            Some(begun) => {
                begun.extend_from_slice(&input[..n]);
                let Some(end) = begun.windows(4).position(|four| four == b"\r\n\r\n") else {
                    continue;
                };
                begun.splice(end + 2..end + 2, SUBPROTOCOL.iter().copied());
                head.take().unwrap_or_default().into()
            }
        };
        let mut left = &data[..];
        while !left.is_empty() {
            let taken = socket.push(left);
            left = &left[taken..];
            loop {
                match socket.poll() {
                    Ok(Some(WebSocketEvent::Message { data, .. })) => {
                        on_message(&mut socket, &data);
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => {
                        println!("{error}");
                        break;
                    }
                }
            }
        }
    }
}

fn without_subprotocol(mut head: Vec<u8>) -> Vec<u8> {
    let at = head
        .windows(SUBPROTOCOL.len())
        .position(|line| line == SUBPROTOCOL);
    if let Some(at) = at {
        head.drain(at..at + SUBPROTOCOL.len());
    }
    head
}
