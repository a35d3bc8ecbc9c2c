//! The builders: the mandatory headers, no text that ends its header, and replies to what cannot
//! be read.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use sip_core::build::{BuildError, PLACEHOLDER, RequestBuilder, ResponseBuilder, salvage};
use sip_core::header::{CSeq, Contact, From, MaxForwards, To, Via};
use sip_core::uri::SipUri;
use sip_core::{Flow, Message, Method, Name, Request, Response, StatusCode};

/// Numbers its bytes: not random, but different each time.
fn count() -> impl FnMut(&mut [u8]) {
    let mut next = 0_u8;
    move |bytes| {
        for byte in bytes {
            *byte = next;
            next = next.wrapping_add(1);
        }
    }
}

fn text(message: &Message) -> String {
    String::from_utf8(message.to_bytes().to_vec()).unwrap()
}

// conformance: 1, 15, 69, 71, 72, 74, 76, 81, 87, 143, 233, 234, 287, 288
#[test]
fn a_request_has_every_mandatory_header() {
    let request = RequestBuilder::new(Method::Invite, "sip:bob@example.com")
        .build(count())
        .unwrap();
    assert_eq!(
        text(&request),
        "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 0.0.0.0;rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:0.0.0.0>;tag=0001020304050607\r\nTo: <sip:bob@example.com>\r\n\
         Call-ID: 08090a0b0c0d0e0f1011121314151617\r\nCSeq: 1 INVITE\r\nContact: <sip:0.0.0.0>\r\n\
         Content-Length: 0\r\n\r\n"
    );
    assert!(request.is_built());
    request.check().unwrap();
    let parsed = Message::parse(request.to_bytes()).unwrap();
    assert!(!parsed.is_built());
    assert!(
        parsed
            .rows()
            .map(|r| (r.name(), r.value()))
            .eq(request.rows().map(|r| (r.name(), r.value())))
    );
}

// conformance: 196
#[test]
fn to_is_the_request_uri_without_what_tells_the_way_there() {
    let to = |uri: &str| {
        let request = RequestBuilder::new(Method::Options, uri).build(count());
        String::from_utf8(request.unwrap().raw(Name::To).unwrap().to_vec()).unwrap()
    };
    assert_eq!(
        to("sip:bob@192.0.2.1:5070;user=phone;Transport=tcp;lr;x=1"),
        "<sip:bob@192.0.2.1;user=phone;x=1>"
    );
    assert_eq!(
        to("sips:[2001:db8::1]:5061;maddr=h"),
        "<sips:[2001:db8::1]>"
    );
    assert_eq!(to("tel:+15550100"), "<tel:+15550100>");
}

#[test]
fn what_is_set_is_used() {
    let request = RequestBuilder::new(Method::Message, "sips:b@h.example")
        .via(Via::new("TLS", "[::]".try_into().unwrap()).unwrap())
        .from(
            From::new("sip:a@h".try_into().unwrap())
                .with_tag("mine")
                .unwrap(),
        )
        .to(To::new("tel:+1".try_into().unwrap()).with_display_name("B \"x\""))
        .call_id("id@h")
        .cseq(7)
        .max_forwards(3)
        .contact(Some(Contact::new(PLACEHOLDER)))
        .header("route", "<sip:p;lr>")
        .header(Name::Subject, "  Lunch ")
        .body("text/plain", b"hi")
        .build(|_| ())
        .unwrap();
    assert_eq!(
        text(&request),
        "MESSAGE sips:b@h.example SIP/2.0\r\nVia: SIP/2.0/TLS [::]\r\nroute: <sip:p;lr>\r\n\
         Max-Forwards: 3\r\nFrom: <sip:a@h>;tag=mine\r\nTo: \"B \\\"x\\\"\" <tel:+1>\r\nCall-ID: id@h\r\n\
         CSeq: 7 MESSAGE\r\nContact: <sip:0.0.0.0>\r\nSubject:   Lunch \r\nContent-Type: text/plain\r\n\
         Content-Length: 2\r\n\r\nhi"
    );
    assert_eq!(request.raw("Subject"), Some(&b"Lunch"[..]));
    let cseq = request.header::<CSeq<'_>>().unwrap().unwrap();
    assert_eq!(
        (
            cseq.seq(),
            request.header::<MaxForwards>().unwrap().unwrap().0
        ),
        (7, 3)
    );
}

// conformance: 74
#[test]
fn a_cseq_number_is_below_2_to_the_31() {
    let build = |cseq| {
        RequestBuilder::new(Method::Bye, "sip:x")
            .cseq(cseq)
            .build(|_| ())
    };
    assert!(build((1 << 31) - 1).is_ok());
    assert_eq!(build(1 << 31).unwrap_err(), BuildError::CSeq(1 << 31));
}

// bad-inputs: P11
#[test]
fn nothing_that_is_given_can_start_another_line() {
    let request = || RequestBuilder::new(Method::Bye, "sip:x");
    for bad in ["a\r\nX: y", "a\nb", "a\rb", "a\0b"] {
        assert!(request().header("X", bad).build(|_| ()).is_err());
        assert!(request().header(bad, "x").build(|_| ()).is_err());
        assert!(request().call_id(bad).build(|_| ()).is_err());
        assert!(request().body(bad, b"x").build(|_| ()).is_err());
        assert!(RequestBuilder::new(Method::Bye, bad).build(|_| ()).is_err());
        assert!(
            RequestBuilder::new(Method::Other(bad), "sip:x")
                .build(|_| ())
                .is_err()
        );
        let named = request()
            .to(To::new(PLACEHOLDER).with_display_name(bad))
            .build(|_| ());
        if let Ok(named) = named {
            assert_eq!(
                text(&named).matches('\n').count(),
                text(&named).matches("\r\n").count()
            );
            assert_eq!(Message::parse(named.to_bytes()).unwrap().rows().count(), 7);
        }
        let answer = received();
        assert!(
            ResponseBuilder::new(&answer, StatusCode::OK)
                .reason(bad)
                .random_tag(|_| ())
                .build()
                .is_err()
        );
        assert!(
            ResponseBuilder::new(&answer, StatusCode::OK)
                .to_tag(bad)
                .build()
                .is_err()
        );
        assert!(
            ResponseBuilder::new(&answer, StatusCode::OK)
                .header("X", bad)
                .random_tag(|_| ())
                .build()
                .is_err()
        );
    }
    for uri in ["", "sip:a b", "<sip:x>", "sip:@"] {
        assert!(
            RequestBuilder::new(Method::Bye, uri).build(|_| ()).is_err(),
            "{uri:?}"
        );
    }
    let second = request().header("To", "<sip:y>").build(|_| ());
    assert!(matches!(second, Err(BuildError::Malformed(_))));
}

// RFC 3261 §19.1.5; conformance: 196, 215
#[test]
fn what_a_uri_says_of_headers_makes_no_request_unasked() {
    let build = |uri: &str| {
        let request = RequestBuilder::new(Method::Invite, uri).build(count());
        request.map(|request| text(&request))
    };
    let dangerous = "sip:bob@example.com;method=BYE?Require=foo&Route=%3Csip:evil%3E";
    assert!(matches!(build(dangerous), Err(BuildError::Malformed(_))));
    let uri = SipUri::try_from(dangerous)
        .unwrap()
        .request_uri()
        .to_string();
    let request = build(&uri).unwrap();
    assert!(
        request.starts_with("INVITE sip:bob@example.com SIP/2.0\r\n"),
        "{request}"
    );
    assert!(!request.contains("foo") && !request.contains("evil"));
}

// conformance: 29
#[test]
fn a_body_needs_its_type() {
    let build = |body| {
        RequestBuilder::new(Method::Info, "sip:x")
            .body("", body)
            .build(|_| ())
    };
    assert!(build(b"x").is_err());
    assert!(build(b"").is_ok());
}

const RECEIVED: &str = "INVITE sip:b@h SIP/2.0\r\nv: SIP/2.0/UDP one;branch=z9hG4bK1\r\n ;rport=5 , SIP/2.0/UDP two\r\n\
    Record-Route: <sip:r1;lr>\r\nVIA: SIP/2.0/TCP three\r\nt: Bob <sip:b@h>\r\nRecord-Route: <sip:r2;lr>\r\n\
    f: <sip:a@h>;tag=1\r\ni: 1\r\nTimestamp: 5\r\nCSeq: 1 INVITE\r\n\r\n";

fn received() -> Request {
    Request::try_from(Message::parse(RECEIVED).unwrap()).unwrap()
}

fn values(message: &Message, name: Name) -> Vec<String> {
    message
        .raw_all(name)
        .map(|value| String::from_utf8(value.to_vec()).unwrap())
        .collect()
}

// conformance: 156, 181
#[test]
fn a_response_copies_what_it_must_and_tags_to() {
    let request = received();
    let response = ResponseBuilder::new(&request, StatusCode::OK)
        .contact(Contact::new(PLACEHOLDER))
        .body("application/sdp", b"v=0\r\n")
        .random_tag(count())
        .build()
        .unwrap();
    assert_eq!(
        text(&response),
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP one;branch=z9hG4bK1\r\n ;rport=5 , SIP/2.0/UDP two\r\n\
         Record-Route: <sip:r1;lr>\r\nVia: SIP/2.0/TCP three\r\nRecord-Route: <sip:r2;lr>\r\n\
         From: <sip:a@h>;tag=1\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\
         To: Bob <sip:b@h>;tag=0001020304050607\r\nContact: <sip:0.0.0.0>\r\n\
         Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
    );
    response.check().unwrap();
    assert!(response.is_built());
    assert_eq!(
        response.headers::<Via<'_>>().filter_map(Result::ok).count(),
        3
    );
}

#[test]
fn a_100_has_no_tag_and_gives_the_timestamp_back() {
    let request = received();
    let response = ResponseBuilder::new(&request, StatusCode::TRYING)
        .random_tag(count())
        .build()
        .unwrap();
    assert_eq!(values(&response, Name::To), ["Bob <sip:b@h>"]);
    assert_eq!(values(&response, Name::Timestamp), ["5"]);
    assert!(values(&response, Name::RecordRoute).is_empty());
    let busy = ResponseBuilder::new(&request, StatusCode::BUSY_HERE)
        .to_tag("x")
        .build()
        .unwrap();
    assert_eq!(values(&busy, Name::To), ["Bob <sip:b@h>;tag=x"]);
    assert!(values(&busy, Name::RecordRoute).is_empty());
    assert_eq!(busy.reason(), b"Busy Here");
}

#[test]
fn a_tag_that_to_has_already_is_kept() {
    let data = RECEIVED.replace("Bob <sip:b@h>", "<sip:b@h>;tag=old");
    let request = Request::try_from(Message::parse(data).unwrap()).unwrap();
    let response = ResponseBuilder::new(&request, StatusCode::OK)
        .to_tag("new")
        .build()
        .unwrap();
    assert_eq!(values(&response, Name::To), ["<sip:b@h>;tag=old"]);
}

#[test]
fn a_response_goes_back_the_way_the_request_came() {
    let flow = Flow::new(
        [1, 2],
        "192.0.2.1:5060".parse().unwrap(),
        "192.0.2.2:9".parse().unwrap(),
    );
    let mut request = received();
    assert_eq!(
        ResponseBuilder::new(&request, StatusCode::OK)
            .random_tag(count())
            .build()
            .unwrap()
            .flow(),
        None
    );
    request.set_flow(flow);
    assert_eq!(
        ResponseBuilder::new(&request, StatusCode::OK)
            .random_tag(count())
            .build()
            .unwrap()
            .flow(),
        Some(flow)
    );
}

#[test]
fn a_request_without_what_a_response_needs_is_an_error() {
    for (row, header) in [
        ("t: Bob <sip:b@h>\r\n", Name::To),
        ("f: <sip:a@h>;tag=1\r\n", Name::From),
        ("i: 1\r\n", Name::CallId),
        ("CSeq: 1 INVITE\r\n", Name::CSeq),
    ] {
        let request =
            Request::try_from(Message::parse(RECEIVED.replace(row, "")).unwrap()).unwrap();
        let error = ResponseBuilder::new(&request, StatusCode::OK)
            .random_tag(count())
            .build()
            .unwrap_err();
        assert_eq!(
            error,
            BuildError::Request {
                header,
                error: None
            }
        );
    }
}

// conformance: 158
#[test]
fn a_malformed_request_is_answered() {
    let data = b"OPTIONS sip:b b SIP/2.0\nVia:\tSIP/2.0/UDP one;rport\r\n ;branch=z9hG4bK1, SIP/2.0/UDP two\n\
        v: \x01junk\r\nFrom: a\rb\nTo: <sip:b@h>\nCall-ID : 1\nno colon\nCSeq: x\n\nVia: body";
    let request = salvage(data).unwrap();
    assert_eq!(request.method(), Method::Options);
    assert_eq!(request.top_via().branch(), Some("z9hG4bK1"));
    let source = "192.0.2.9:7".parse().unwrap();
    let reply = request
        .reply(StatusCode::BAD_REQUEST, "Bad\r\nX: y", "tag", source, None)
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&reply),
        "SIP/2.0 400 Bad X: y\r\n\
         Via: SIP/2.0/UDP one;rport=7 ;branch=z9hG4bK1;received=192.0.2.9, SIP/2.0/UDP two\r\nVia: junk\r\n\
         From: a b\r\nTo: <sip:b@h>;tag=tag\r\nCall-ID: 1\r\nCSeq: x\r\nContent-Length: 0\r\n\r\n"
    );
    let response = Response::try_from(Message::parse(reply).unwrap()).unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[test]
fn a_reply_repeats_no_more_vias_than_a_request_can_have() {
    let reply = |rows: &str| {
        let start = "OPTIONS sip:b b SIP/2.0\nv: SIP/2.0/UDP h\nX: 1\n";
        let data = [start, &rows.repeat(100), "CSeq: 1 OPTIONS\n\n"].concat();
        let source = "192.0.2.9:7".parse().unwrap();
        let request = salvage(data.as_bytes()).unwrap();
        let reply = request.reply(StatusCode::BAD_REQUEST, "", "tag", source, None);
        Message::parse(reply.unwrap()).unwrap()
    };
    let of_vias = reply("v:\nX: 1\n");
    assert_eq!(of_vias.raw_all(Name::Via).count(), 71);
    assert_eq!(of_vias.raw(Name::CSeq), Some(&b"1 OPTIONS"[..]));
    let of_others = reply("Contact:\n");
    assert_eq!(of_others.raw_all(Name::Via).count(), 1);
    assert_eq!(of_others.raw(Name::CSeq), None);
}

#[test]
fn a_reply_is_made_shorter_to_fit_or_is_not_made() {
    let data = b"OPTIONS sip:b b SIP/2.0\r\nv:SIP/2.0/UDP 192.0.2.9\r\nf:<sip:a@h>\r\nt:<sip:b@h>\r\ni:1\r\nCSeq:1 OPTIONS\r\n\r\n";
    let request = salvage(data).unwrap();
    let reply = |max| {
        let source = "192.0.2.9:7".parse().unwrap();
        let reply = request.reply(
            StatusCode::BAD_REQUEST,
            "The request URI holds a space",
            "tag",
            source,
            max,
        );
        reply.map(|reply| String::from_utf8(reply.to_vec()).unwrap())
    };
    let full = reply(None).unwrap();
    assert!(full.starts_with("SIP/2.0 400 The request URI holds a space\r\nVia: "));
    let shorter = reply(Some(full.len() - 1)).unwrap();
    assert!(shorter.starts_with("SIP/2.0 400 Bad Request\r\nVia: "));
    let shortest = reply(Some(data.len())).unwrap();
    assert!(shortest.len() <= data.len() && shortest.starts_with("SIP/2.0 400 \r\nv:"));
    assert!(Message::parse(shortest.clone()).is_ok());
    assert_eq!(reply(Some(shortest.len() - 1)), None);
}

// conformance: 160
#[test]
fn what_says_no_way_back_is_not_answered() {
    for data in [
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\n\r\n",
        "OPTIONS sip:x SIP/2.0\r\nTo: x\r\n\r\n",
        "OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP\r\n\r\n",
        "OPTIONS sip:x SIP/2.0\r\n\r\nVia: SIP/2.0/UDP h\r\n\r\n",
        "(OPTIONS) sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n\r\n",
        "OPTIONS",
        "",
        "\r\n\r\n",
        "\0",
    ] {
        assert!(salvage(data.as_bytes()).is_none(), "{data:?}");
    }
    let ack = salvage(b"ACK sip:x y SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n\r\n").unwrap();
    assert_eq!(
        ack.method(),
        Method::Ack,
        "so that the caller can be silent"
    );
}
