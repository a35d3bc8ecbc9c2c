//! The opening handshake, both ways.

use std::sync::{Arc, Mutex};

use sip_transport_proto::websocket::HandshakeError as Handshake;
use sip_transport_proto::websocket::{
    CloseCode, Refusal, WebSocket, WebSocketConfig, WebSocketError, WebSocketEvent, WebSocketLimits,
};

use super::{
    REQUEST, SEED, Said, Side, client, client_of, feed, frame_for, open, output, output_text, said,
    server, text,
};

/// What a server says and writes to these bytes, whole and byte by byte.
#[track_caller]
fn answer_of(config: &WebSocketConfig, request: &[u8]) -> (Vec<Said>, String) {
    let answers = [request.len().max(1), 1].map(|step| {
        let mut server = WebSocket::server(config, WebSocketLimits::default());
        let mut heard = Vec::new();
        for piece in request.chunks(step) {
            heard.extend(feed(&mut server, piece));
        }
        (heard, output_text(&mut server))
    });
    assert_eq!(answers[0], answers[1], "whole and byte by byte");
    let [answer, _] = answers;
    answer
}

/// A server refuses, and the client is told in a whole HTTP response.
#[track_caller]
fn refused(config: &WebSocketConfig, request: &[u8], error: Handshake, status: u16) -> String {
    let (heard, reply) = answer_of(config, request);
    assert_eq!(heard, [Said::Failed(WebSocketError::Handshake(error))]);
    assert!(reply.starts_with(&format!("HTTP/1.1 {status} ")), "{reply}");
    assert!(reply.contains("\r\nConnection: close"), "{reply}");
    assert!(reply.contains("\r\nContent-Length: 0\r\n"), "{reply}");
    assert_eq!(reply.find("\r\n\r\n"), Some(reply.len() - 4), "{reply}");
    reply
}

#[track_caller]
fn refused_by_default(request: &str, error: Handshake, status: u16) -> String {
    refused(
        &WebSocketConfig::default(),
        request.as_bytes(),
        error,
        status,
    )
}

/// The request with the line that begins so replaced, or taken out.
#[track_caller]
fn with(line: &str, new: &str) -> String {
    let start = REQUEST.find(line).expect("such a line");
    let end = start + REQUEST[start..].find("\r\n").expect("a line end") + 2;
    let new = if new.is_empty() {
        String::new()
    } else {
        format!("{new}\r\n")
    };
    format!("{}{new}{}", &REQUEST[..start], &REQUEST[end..])
}

/// RFC 6455 §1.3 has this key and this answer.
// conformance: 397, 398
#[test]
fn a_server_lets_in_a_client_that_keeps_the_rules() {
    let (heard, reply) = answer_of(&WebSocketConfig::default(), REQUEST.as_bytes());
    assert_eq!(heard, [Said::Accepted]);
    assert_eq!(
        reply,
        "HTTP/1.1 101 Switching Protocols\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
         Sec-WebSocket-Protocol: sip\r\n\r\n"
    );
}

// conformance: 397, 398
#[test]
fn a_server_reads_headers_as_http_does() {
    let protocol = "Sec-WebSocket-Protocol";
    for (line, new) in [
        ("Upgrade", "upgrade: WebSocket"),
        ("Upgrade", "UPGRADE:\twebsocket  "),
        ("Upgrade", "Upgrade: h2c, websocket"),
        ("Connection", "Connection: keep-alive, Upgrade"),
        (
            "Connection",
            "connection: keep-alive\r\nConnection: upgrade",
        ),
        ("Host", "hOST: [2001:db8::1]:8080"),
        ("Origin", ""),
        ("Origin", "Content-Length: 0"),
        (protocol, "sec-websocket-protocol: chat, sip"),
        (
            protocol,
            "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: msrp,sip",
        ),
        (protocol, "Sec-WebSocket-Protocol: , ,sip,"),
        ("GET", "GET /chat?token=x HTTP/1.1"),
        ("GET", "GET http://server.example.com/chat HTTP/1.1"),
    ] {
        let (heard, reply) = answer_of(&WebSocketConfig::default(), with(line, new).as_bytes());
        assert_eq!(heard, [Said::Accepted], "{new}");
        assert!(
            reply.contains("\r\nSec-WebSocket-Protocol: sip\r\n"),
            "{new}"
        );
    }
}

/// A browser compares what it offered with what was chosen byte by byte.
#[test]
fn the_subprotocol_is_chosen_in_the_clients_own_spelling() {
    let request = with(
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Protocol: chat, SIP",
    );
    let (heard, reply) = answer_of(&WebSocketConfig::default(), request.as_bytes());
    assert_eq!(heard, [Said::Accepted]);
    assert!(
        reply.contains("\r\nSec-WebSocket-Protocol: SIP\r\n"),
        "{reply}"
    );
}

// bad-inputs: W6
// conformance: 398
#[test]
fn a_server_refuses_what_breaks_a_rule() {
    let protocol = "Sec-WebSocket-Protocol";
    let key = "Sec-WebSocket-Key";
    for (line, new, error, status) in [
        ("GET", "POST /chat HTTP/1.1", Handshake::Method, 405),
        ("GET", "GETS /chat HTTP/1.1", Handshake::Method, 405),
        ("GET", "GET /chat HTTP/1.0", Handshake::HttpVersion, 400),
        ("GET", "GET /chat HTTP/2.0", Handshake::HttpVersion, 400),
        ("GET", "GET /chat SIP/2.0", Handshake::HttpVersion, 400),
        ("GET", "GET /chat", Handshake::NotHttp, 400),
        ("GET", "GET  /chat HTTP/1.1", Handshake::NotHttp, 400),
        ("GET", "get /chat HTTP/1.1", Handshake::NotHttp, 400),
        ("Host", "", Handshake::Host, 400),
        ("Host", "Host: a\r\nHost: b", Handshake::Host, 400),
        ("Host", "Host : a", Handshake::NotHttp, 400),
        ("Host", "Host: a\0b", Handshake::NotHttp, 400),
        ("Host", "Host: a\r\n folded: b", Handshake::NotHttp, 400),
        ("Origin", "Content-Length: 5", Handshake::Body, 400),
        ("Origin", "Transfer-Encoding: chunked", Handshake::Body, 400),
        ("Upgrade", "", Handshake::Upgrade, 400),
        ("Upgrade", "Upgrade: websockets", Handshake::Upgrade, 400),
        ("Connection", "", Handshake::Connection, 400),
        (
            "Connection",
            "Connection: close",
            Handshake::Connection,
            400,
        ),
        (key, "", Handshake::Key, 400),
        (key, "Sec-WebSocket-Key:", Handshake::Key, 400),
        (
            key,
            "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==",
            Handshake::Key,
            400,
        ),
        (
            key,
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSBsb25n",
            Handshake::Key,
            400,
        ),
        (
            key,
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q==",
            Handshake::Key,
            400,
        ),
        (
            key,
            "Sec-WebSocket-Key: a\r\nSec-WebSocket-Key: b",
            Handshake::Key,
            400,
        ),
        (protocol, "", Handshake::Subprotocol, 400),
        (
            protocol,
            "Sec-WebSocket-Protocol: chat",
            Handshake::Subprotocol,
            400,
        ),
        (
            protocol,
            "Sec-WebSocket-Protocol: sips, sipx",
            Handshake::Subprotocol,
            400,
        ),
        (
            protocol,
            "Sec-WebSocket-Protocol: \"sip\"",
            Handshake::Subprotocol,
            400,
        ),
        (
            protocol,
            "Sec-WebSocket-Protocol: chat sip",
            Handshake::Subprotocol,
            400,
        ),
    ] {
        let request = with(line, new);
        refused_by_default(&request, error, status);
    }
}

// conformance: 398
#[test]
fn a_version_that_is_not_13_is_told_which_one_is() {
    let version = "Sec-WebSocket-Version";
    for new in [
        "",
        "Sec-WebSocket-Version: 8",
        "Sec-WebSocket-Version: 130",
        "Sec-WebSocket-Version: 8, 13",
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13",
    ] {
        let reply = refused_by_default(&with(version, new), Handshake::WebSocketVersion, 426);
        assert!(
            reply.contains("\r\nSec-WebSocket-Version: 13\r\n"),
            "{reply}"
        );
        assert!(reply.contains("\r\nUpgrade: websocket\r\n"), "{reply}");
    }
}

#[test]
fn another_method_is_told_which_one_is_allowed() {
    let reply = refused_by_default(&with("GET", "PUT /chat HTTP/1.1"), Handshake::Method, 405);
    assert!(reply.contains("\r\nAllow: GET\r\n"), "{reply}");
}

// conformance: 422
#[test]
fn paths_may_be_limited() {
    let mut config = WebSocketConfig::default();
    config.serve("/ws").unwrap().serve("/sip").unwrap();
    for path in [
        "/ws",
        "/sip",
        "/ws?user=1",
        "http://server.example.com/sip?a",
    ] {
        let request = with("GET", &format!("GET {path} HTTP/1.1"));
        assert_eq!(
            answer_of(&config, request.as_bytes()).0,
            [Said::Accepted],
            "{path}"
        );
    }
    for path in [
        "/",
        "/ws/",
        "/WS",
        "/wsx",
        "ws",
        "*",
        "http://ws",
        "/x?y=/ws",
    ] {
        let request = with("GET", &format!("GET {path} HTTP/1.1"));
        refused(&config, request.as_bytes(), Handshake::Path, 404);
    }
}

// conformance: 420
#[test]
fn a_check_sees_the_request_and_turns_away_as_it_likes() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut config = WebSocketConfig::default();
    let log = Arc::clone(&seen);
    config.check(move |request| {
        let text = |value: Option<&[u8]>| value.map(|v| String::from_utf8_lossy(v).into_owned());
        log.lock().unwrap().push((
            request.path().to_owned(),
            request.query().map(str::to_owned),
            text(request.host()),
            text(request.origin()),
        ));
        match request.headers().get("cookie") {
            Some(b"good") => Ok(()),
            Some(b"bad") => Err(Refusal::new(403)?),
            Some(_) => Err(Refusal::new(999)?),
            None => Err(Refusal::new(401)?.header("WWW-Authenticate", "Basic realm=\"sip\"")?),
        }
    });
    let request = |cookie: &str| with("GET", &format!("GET /ws?a=b?c HTTP/1.1{cookie}"));

    let (heard, _) = answer_of(&config, request("\r\nCookie: good").as_bytes());
    assert_eq!(heard, [Said::Accepted]);
    for (cookie, status) in [
        ("\r\ncookie: bad", 403),
        ("\r\nCookie: odd", 500),
        ("", 401),
    ] {
        let error = Handshake::Application { status };
        let reply = refused(&config, request(cookie).as_bytes(), error, status);
        let asks = reply.contains("\r\nWWW-Authenticate: Basic realm=\"sip\"\r\n");
        assert_eq!(asks, status == 401);
    }
    let seen = seen.lock().unwrap();
    let owned = |text: &str| Some(text.to_owned());
    assert_eq!(
        seen[0],
        (
            "/ws".into(),
            owned("a=b?c"),
            owned("server.example.com"),
            owned("http://example.com")
        )
    );
}

#[test]
fn a_check_is_asked_only_of_what_is_correct() {
    let mut config = WebSocketConfig::default();
    config.check(|_| panic!("not to be asked"));
    refused(
        &config,
        with("Sec-WebSocket-Key", "").as_bytes(),
        Handshake::Key,
        400,
    );
}

// conformance: 423
#[test]
fn extensions_are_declined() {
    let request = with(
        "Origin",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    );
    let (heard, reply) = answer_of(&WebSocketConfig::default(), request.as_bytes());
    assert_eq!(heard, [Said::Accepted]);
    assert!(
        !reply.to_ascii_lowercase().contains("extensions"),
        "{reply}"
    );
    assert!(
        !output_text(&mut client())
            .to_ascii_lowercase()
            .contains("extensions")
    );
}

// bad-inputs: W9
#[test]
fn what_is_no_http_is_refused_at_its_first_byte() {
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    for bytes in [
        &hello[..],
        b"\r\n\r\n",
        b"\x81\x00",
        b"\0",
        b" ",
        b"\xff",
        b"options",
    ] {
        for len in [1, bytes.len()] {
            let mut server = server();
            let heard = feed(&mut server, &bytes[..len]);
            assert_eq!(heard, [Said::Failed(Handshake::NotHttp.into())]);
            assert!(output_text(&mut server).starts_with("HTTP/1.1 400 "));

            let mut client = client();
            output(&mut client);
            let heard = feed(&mut client, &bytes[..len]);
            assert_eq!(heard, [Said::Failed(Handshake::NotHttp.into())]);
            assert!(!client.has_output());
        }
    }
}

// bad-inputs: W9
#[test]
fn sip_to_a_websocket_is_told_so_in_http() {
    let sip = "OPTIONS sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/TCP host\r\n\r\n";
    refused_by_default(sip, Handshake::HttpVersion, 400);
}

// bad-inputs: W6
#[test]
fn a_head_is_bounded_in_bytes_and_headers() {
    let limit = 8 << 10;
    let filler = |n: usize| with("Origin", &format!("X: {}", "x".repeat(n)));
    let most = limit - filler(0).len();
    let (heard, _) = answer_of(&WebSocketConfig::default(), filler(most).as_bytes());
    assert_eq!(heard, [Said::Accepted]);
    let large = Handshake::HeadTooLarge { limit };
    refused_by_default(&filler(most + 1), large, 431);
    // It never ends, whatever it is made of.
    for endless in [
        "GET ",
        "GET /",
        "GET / HTTP/1.1\r\nX: ",
        "GET / HTTP/1.1\r\n",
    ] {
        refused_by_default(&format!("{endless}{}", "a".repeat(limit)), large, 431);
    }
    refused_by_default(
        &format!("GET / HTTP/1.1\r\n{}", "a:b\r\n".repeat(limit)),
        large,
        431,
    );

    let headers = |n: usize| with("Origin", "X: x\r\n".repeat(n).trim_end());
    let (heard, _) = answer_of(&WebSocketConfig::default(), headers(64 - 6).as_bytes());
    assert_eq!(heard, [Said::Accepted]);
    refused_by_default(
        &headers(64 - 5),
        Handshake::TooManyHeaders { limit: 64 },
        431,
    );

    let mut client = client();
    let endless = format!("HTTP/1.1 101 {}", "x".repeat(limit));
    assert_eq!(
        feed(&mut client, endless.as_bytes()),
        [Said::Failed(large.into())]
    );
}

// bad-inputs: W6
#[test]
fn bytes_behind_a_head_are_the_first_frames() {
    let mut bytes = REQUEST.as_bytes().to_vec();
    bytes.extend(frame_for(Side::Server, 0x81, b"hello"));
    bytes.extend(&frame_for(Side::Server, 0x81, b"again")[..3]);
    let (heard, _) = answer_of(&WebSocketConfig::default(), &bytes);
    assert_eq!(heard, [Said::Accepted, text("hello")]);

    let mut server = server();
    let mut client = client();
    server.push(&output(&mut client));
    assert_eq!(said(&mut server), [Said::Accepted]);
    server.send(b"hello").unwrap();
    let heard = feed(&mut client, &output(&mut server));
    assert_eq!(heard, [Said::Connected, text("hello")]);
}

// conformance: 395, 398
#[test]
fn a_clients_request_is_what_the_rfcs_ask_for() {
    assert_eq!(
        output_text(&mut client()).replace(&key_of(SEED), "KEY"),
        "GET / HTTP/1.1\r\n\
         Host: sip.example\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: KEY\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: sip\r\n\r\n"
    );
}

// conformance: 419, 422
#[test]
fn a_client_asks_as_it_is_configured() {
    let mut config = WebSocketConfig::default();
    config.path("/ws?token=1").unwrap();
    config.host("other.example:8080").unwrap();
    config.origin("https://phone.example").unwrap();
    config.header("Cookie", "a=b; c=d").unwrap();
    config.header("Authorization", " Bearer x ").unwrap();
    let request = output_text(&mut client_of(&config));
    assert!(request.starts_with("GET /ws?token=1 HTTP/1.1\r\nHost: other.example:8080\r\n"));
    let end =
        "\r\nOrigin: https://phone.example\r\nCookie: a=b; c=d\r\nAuthorization: Bearer x\r\n\r\n";
    assert!(request.ends_with(end), "{request}");
    assert_eq!(
        answer_of(&WebSocketConfig::default(), request.as_bytes()).0,
        [Said::Accepted]
    );
}

#[test]
fn settings_that_would_break_a_head_are_refused() {
    let mut config = WebSocketConfig::default();
    for path in ["", "ws", "/a b", "/a\r\nX: y", "/ä", "/a#b"] {
        assert!(config.path(path).is_err(), "{path:?}");
        assert!(config.serve(path).is_err(), "{path:?}");
    }
    assert!(config.serve("/a?b").is_err());
    assert!(config.host("").is_err() && config.host("a\r\nb").is_err());
    for (name, value) in [
        ("", "x"),
        ("A B", "x"),
        ("A:", "x"),
        ("Ä", "x"),
        ("X", "a\r\nb"),
        ("X", "a\0b"),
        ("host", "x"),
        ("Sec-WebSocket-Key", "x"),
        ("Content-Length", "5"),
    ] {
        assert!(config.header(name, value).is_err(), "{name:?}: {value:?}");
        assert!(
            Refusal::new(401).unwrap().header(name, value).is_err(),
            "{name:?}: {value:?}"
        );
    }
    assert!(config.origin("a\nb").is_err());
    for status in [0, 100, 101, 200, 299, 600, 999] {
        assert!(Refusal::new(status).is_err(), "{status}");
    }
    let mut limits = WebSocketLimits::default();
    assert!(limits.head(0).is_err() && limits.message(0).is_err() && limits.fragments(0).is_err());
}

#[test]
fn a_host_cannot_end_its_line() {
    let limits = WebSocketLimits::default();
    let host = "a.example\r\nX-Other: y \u{e4}";
    let mut client = WebSocket::client(&WebSocketConfig::default(), host, SEED, limits);
    let request = output_text(&mut client);
    assert!(
        request.contains("\r\nHost: a.exampleX-Other:y\r\nUpgrade"),
        "{request}"
    );
}

/// Cheap copies share nothing that a later setting could change.
#[test]
fn a_changed_copy_of_a_configuration_leaves_the_first_alone() {
    let mut first = WebSocketConfig::default();
    first.path("/one").unwrap();
    let mut second = first.clone();
    second.path("/two").unwrap();
    assert!(output_text(&mut client_of(&first)).starts_with("GET /one "));
    assert!(output_text(&mut client_of(&second)).starts_with("GET /two "));
}

fn key_of(seed: [u8; 32]) -> String {
    let limits = WebSocketLimits::default();
    let mut client = WebSocket::client(&WebSocketConfig::default(), "h", seed, limits);
    let request = output_text(&mut client);
    let (_, rest) = request.split_once("Sec-WebSocket-Key: ").unwrap();
    rest.split_once("\r\n").unwrap().0.to_owned()
}

#[test]
fn key_and_masks_are_a_function_of_the_seed() {
    assert_eq!(key_of(SEED), key_of(SEED));
    assert_ne!(key_of(SEED), key_of([8; 32]));
    // All of its bits count.
    let keys: Vec<_> = (0..32)
        .map(|n| key_of(std::array::from_fn(|i| u8::from(i == n))))
        .collect();
    assert!(
        keys.iter()
            .all(|key| key.len() == 24 && key.ends_with("=="))
    );
    assert!((1..32).all(|n| !keys[..n].contains(&keys[n])));

    let frames = || {
        let mut socket = open(Side::Client);
        [(); 20].map(|()| {
            socket.send(b"same").unwrap();
            output(&mut socket)
        })
    };
    let once = frames();
    assert_eq!(once, frames());
    assert!(
        (1..20).all(|n| !once[..n].contains(&once[n])),
        "every frame has its own mask"
    );
}

/// The server's answer to the client of [`SEED`], with one line replaced or taken out.
fn response(line: &str, new: &str) -> String {
    let mut server = server();
    server.push(&output(&mut client()));
    assert_eq!(said(&mut server), [Said::Accepted]);
    let good = output_text(&mut server);
    let start = good.find(line).expect("such a line");
    let end = start + good[start..].find("\r\n").expect("a line end") + 2;
    let new = if new.is_empty() {
        String::new()
    } else {
        format!("{new}\r\n")
    };
    format!("{}{new}{}", &good[..start], &good[end..])
}

fn response_to(answer: &str) -> Vec<Said> {
    let heard = [answer.len(), 1].map(|step| {
        let mut client = client();
        output(&mut client);
        let heard: Vec<_> = answer
            .as_bytes()
            .chunks(step)
            .flat_map(|piece| feed(&mut client, piece))
            .collect();
        assert!(!client.has_output(), "there is nobody to tell");
        heard
    });
    assert_eq!(heard[0], heard[1], "whole and byte by byte");
    let [heard, _] = heard;
    heard
}

// conformance: 396, 398
#[test]
fn a_client_takes_only_the_answer_to_its_request() {
    let protocol = "Sec-WebSocket-Protocol";
    let accept = "Sec-WebSocket-Accept";
    for (line, new) in [
        ("HTTP", "HTTP/1.1 101 Well"),
        ("HTTP", "HTTP/1.1 101"),
        ("Upgrade", "upgrade: WebSocket"),
        ("Connection", "Connection: foo, upgrade"),
        (protocol, "sec-websocket-protocol: SIP"),
        (
            "Upgrade",
            "Date: now\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions:",
        ),
    ] {
        assert_eq!(
            response_to(&response(line, new)),
            [Said::Connected],
            "{new}"
        );
    }
    for (line, new, error) in [
        ("HTTP", "HTTP/1.0 101 Well", Handshake::HttpVersion),
        ("HTTP", "SIP/2.0 101 Well", Handshake::HttpVersion),
        ("HTTP", "HTTP/1.1 10 Well", Handshake::NotHttp),
        ("Upgrade", "", Handshake::Upgrade),
        ("Upgrade", "Upgrade: h2c", Handshake::Upgrade),
        ("Connection", "", Handshake::Connection),
        ("Connection", "Connection: close", Handshake::Connection),
        (accept, "", Handshake::Accept),
        (
            accept,
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            Handshake::Accept,
        ),
        (protocol, "", Handshake::Subprotocol),
        (
            protocol,
            "Sec-WebSocket-Protocol: chat",
            Handshake::Subprotocol,
        ),
        (
            protocol,
            "Sec-WebSocket-Protocol: sip, chat",
            Handshake::Subprotocol,
        ),
        (
            protocol,
            "Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Protocol: chat",
            Handshake::Subprotocol,
        ),
        (
            "Upgrade",
            "Upgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate",
            Handshake::Extension,
        ),
    ] {
        let expected = [Said::Failed(WebSocketError::Handshake(error))];
        assert_eq!(response_to(&response(line, new)), expected, "{new}");
    }
}

#[test]
fn an_accept_header_twice_is_none() {
    let good = response("Upgrade", "Upgrade: websocket");
    let start = good.find("Sec-WebSocket-Accept").unwrap();
    let line = good[start..]
        .split_inclusive("\r\n")
        .next()
        .unwrap()
        .to_owned();
    let twice = good.replace(&line, &line.repeat(2));
    assert_eq!(
        response_to(&twice),
        [Said::Failed(Handshake::Accept.into())]
    );
}

// conformance: 419
#[test]
fn a_client_that_is_refused_can_read_why() {
    let answer = "HTTP/1.1 401 Unauthorized\r\n\
        WWW-Authenticate: Basic realm=\"a\"\r\n\
        www-authenticate: Digest realm=\"b\"\r\n\
        Set-Cookie: x=y\r\n\
        Content-Length: 4\r\n\r\nbody";
    let mut client = client();
    assert!(client.refusal().is_none());
    let heard = feed(&mut client, answer.as_bytes());
    assert_eq!(
        heard,
        [Said::Failed(WebSocketError::Refused { status: 401 })]
    );
    let refusal = client.refusal().unwrap();
    assert_eq!(refusal.status(), 401);
    let challenges: Vec<_> = refusal.headers().get_all("WWW-Authenticate").collect();
    assert_eq!(
        challenges,
        [&b"Basic realm=\"a\""[..], b"Digest realm=\"b\""]
    );
    assert_eq!(refusal.headers().get("set-cookie"), Some(&b"x=y"[..]));
    assert!(client.send(b"x").is_err());
    for status in [100, 103, 200, 302, 404, 503] {
        let answer = format!("HTTP/1.1 {status} Whatever\r\n\r\n");
        let refused = [Said::Failed(WebSocketError::Refused { status })];
        assert_eq!(response_to(&answer), refused);
    }
}

#[test]
fn what_opened_it_can_be_read() {
    let mut server = server();
    server.push(REQUEST.as_bytes());
    let Ok(Some(WebSocketEvent::Accepted(request))) = server.poll() else {
        panic!("refused");
    };
    assert_eq!(request.target(), "/chat");
    assert_eq!((request.path(), request.query()), ("/chat", None));
    assert_eq!(request.host(), Some(&b"server.example.com"[..]));
    assert_eq!(request.origin(), Some(&b"http://example.com"[..]));
    let names: Vec<_> = request.headers().iter().map(|(name, _)| name).collect();
    assert_eq!((names.len(), names[0]), (7, &b"Host"[..]));
    assert!(
        !format!("{request:?}").contains("http://example.com"),
        "values may be secrets"
    );
}

#[test]
fn before_it_is_open_nothing_goes_out() {
    for mut socket in [server(), client()] {
        output(&mut socket);
        assert!(!socket.is_open());
        assert!(socket.send(b"x").is_err() && socket.ping(b"").is_err());
        socket.close(CloseCode::Normal);
        assert!(socket.is_over() && !socket.has_output());
        assert_eq!(feed(&mut socket, REQUEST.as_bytes()), []);
    }
}
