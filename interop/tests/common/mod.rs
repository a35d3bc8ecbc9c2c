//! What servers in these tests have in common.
#![allow(unreachable_pub)]

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};

use interop::message::Frames;

/// Answers the requests that have come from there whole.
pub fn answer_all(stream: &mut TcpStream, from: SocketAddr, frames: &mut Frames) -> io::Result<()> {
    while let Some(request) = frames.take().unwrap() {
        let request = String::from_utf8(request).unwrap();
        let (_, headers) = request.split_once("\r\n").unwrap();
        let headers = headers.replacen(";rport", &format!(";rport={}", from.port()), 1);
        stream.write_all(format!("SIP/2.0 200 OK\r\n{headers}").as_bytes())?;
    }
    Ok(())
}
