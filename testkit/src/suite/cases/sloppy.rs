//! What phones of every make send, off the grammar here and there.

use sip_transport_proto::{Protocol, SendOptions};

use crate::suite::{Endpoint, Family, Host, StreamPeer, UdpPeer, next_request, reply, text, via};

/// In a request as a peer writes it, what it has in the place of something.
const SLOPPY: [(&str, &str); 16] = [
    ("alice@example.com SIP", "*72#@example.com SIP"),
    ("From: ", "From: \u{fc}ber, alles "),
    ("From: ", "From: a (b) & c@d "),
    (";tag=", ";x=;;tag="),
    (";tag=", ";tag=YWJj/+==:"),
    ("Call-ID: ", "Call-ID: a b;"),
    ("CSeq: ", "v: nothing\r\nCSeq: "),
    ("CSeq: ", "v: SIP/2.0/UDP h:99999;;\r\nCSeq: "),
    ("CSeq: ", "no colon\r\nCSeq: "),
    ("CSeq: ", "X: \u{1}\r\nCSeq: "),
    ("CSeq: ", "Expires: 60\r\nExpires: 60\r\nCSeq: "),
    ("CSeq: ", "Event: a\r\nEvent: b\r\nCSeq: "),
    ("branch=", "x=a/b=c;;branch="),
    ("branch=", "received=nat:1;branch="),
    ("branch=z9hG4bK", "branch=z9hG4bK[/+==]"),
    ("branch=z9", "branch=%z9"),
];

pub async fn what_is_sloppy_is_delivered_and_answered<H: Host>(host: &H, protocol: Protocol) {
    let mut alice = host.start_udp_and(Protocol::Tcp).await;
    let to = alice.channel(protocol, Family::V4);
    let place = host.place();
    let mut datagrams = UdpPeer::new(host.bind_datagrams(place.any_port(Family::V4)).unwrap());
    let mut stream = None;
    if protocol == Protocol::Tcp {
        stream = Some(StreamPeer::connect(host, &place, to).await);
    }
    let local = stream
        .as_ref()
        .map_or_else(|| datagrams.addr(), StreamPeer::local);
    for (number, (from, sloppy)) in (1..).zip(SLOPPY) {
        let clean = text(
            "OPTIONS",
            &via(protocol.via_token(), local, ";rport"),
            number,
        );
        assert!(clean.contains(from), "{from}: {clean}");
        let sent = clean.replacen(from, sloppy, 1);
        match &mut stream {
            Some(stream) => stream.write(&sent).await,
            None => datagrams.send(to.addr, &sent).await,
        }
        let (_, _, request) = next_request(&mut alice).await;
        let lines = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !line.starts_with("Via:"));
            lines.map(str::to_owned).collect()
        };
        let came = String::from_utf8(request.to_bytes().to_vec()).unwrap();
        assert_eq!(lines(&came), lines(&sent));
        let answer = reply(&request, 200);
        alice.send(answer, SendOptions::new()).await.unwrap();
        let answer = match &mut stream {
            Some(stream) => stream.read_head().await.into_bytes(),
            None => datagrams.recv().await.0,
        };
        assert!(answer.starts_with(b"SIP/2.0 200 "), "{sent}");
    }
}
