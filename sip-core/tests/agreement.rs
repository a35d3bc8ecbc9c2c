//! What is read of a message is the same whoever reads it: the checks on receipt, the accessors
//! before and after edits, the response to it, and the list of what is off the grammar.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use proptest::prelude::*;
use proptest::sample::{Index, select};
use sip_core::build::ResponseBuilder;
use sip_core::header::{CallId, From, To, Via};
use sip_core::message::{Head, LintKind};
use sip_core::uri::{RoutingUri, Uri};
use sip_core::{Limits, Message, Name, Reading, Request, StatusCode};

const MESSAGES: [&[u8]; 7] = [
    include_bytes!("../../benches/messages/options.sip"),
    include_bytes!("../../benches/messages/invite.sip"),
    include_bytes!("../../benches/messages/resp200.sip"),
    b"BYE sip:a@h SIP/2.0\r\nv: SIP/2.0/UDP h;rport;branch=b\r\nf: A <sip:a@h>;tag=1\r\n\
      t: <sip:b@h>;x=y\r\ni: 1@h\r\nCSeq: 1 BYE\r\n\r\n",
    b"BYE sip:*72#@h;;x=a=b SIP/2.0\r\nVia: SIP/2.0/UDP h;;rport=, x\r\nVia: SIP/2.0/UDP g\r\n\
      From: N., \"N\" <sip:a@h>;;tag=a/b=\r\nTo: <b@h>;tag=1;tag=1;\r\nCall-ID: a b\r\n\
      CSeq: 1 BYE\r\nMax-Forwards: 7\r\nMax-Forwards: 7\r\nno colon\r\nX-Y: \x01\r\n",
    b" SIP/2.0 200 OK\r\nv: SIP/2.0/UDP h;branch=a:b;received=nat\r\nf: sip:a@h;tag=1;\r\n\
      t: \\\"B\\\" <sip:b@h>\r\ni: 1\r\nCSeq: 1 BYE\r\nl: 0\r\n\r\n",
    b"OPTIONS sip:3f2a:5060 SIP/2.0\r\nt: sip:b@h\r\nf: sip:a@h\r\nv: SIP/2.0/UDP 3f2a;maddr=\r\n\
      v: y\r\ni: @\r\nCSeq: 0 OPTIONS\r\nExpires: 1\r\nExpires: 2\r\n\r\n",
];

const PIECES: [&[u8]; 48] = [
    b"\"",
    b"<",
    b">",
    b";",
    b";;",
    b"=",
    b",",
    b"@",
    b"#",
    b"\\",
    b"\\\"",
    b" ",
    b"\t",
    b"\r\n",
    b"\r\n ",
    b"\r\n\r\n",
    b"%",
    b"%41",
    b"?",
    b":",
    b"/",
    b"[",
    b"]",
    b"\x01",
    b"\0",
    b"\xff",
    b"\xc3\xa9",
    b"tag=",
    b";tag=2",
    b";tag=\"q\"",
    b"x=;",
    b"received=",
    b";rport",
    b"branch=/",
    b"maddr=h",
    b", SIP/2.0/UDP h",
    b"sip:",
    b"<sip:z@h>",
    b"Via",
    b"Content-Length",
    b"1.2.3",
    b"\r\nl: 0",
    b"\r\nTo: <sip:c@h>",
    b"\r\nv: x",
    b"\r\nx y",
    b"\r\nExpires: 1",
    b"0",
    b"A",
];

/// Bytes that print as text.
#[derive(Clone)]
struct Bytes(Vec<u8>);

impl core::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// A message with pieces put into or over it.
fn mutated() -> impl Strategy<Value = Bytes> {
    let cut = (any::<Index>(), 0_usize..4, select(&PIECES[..]));
    let cuts = prop::collection::vec(cut, 0..4);
    (select(&MESSAGES[..]), cuts).prop_map(|(message, cuts)| {
        let mut data = message.to_vec();
        for (at, len, piece) in cuts {
            let at = at.index(data.len());
            let end = data.len().min(at + len);
            data.splice(at..end, piece.iter().copied());
        }
        Bytes(data)
    })
}

/// What transport and transactions ask for.
fn facts(message: &Message) -> impl PartialEq + core::fmt::Debug + use<> {
    let via = message.top_via().unwrap();
    let cseq = message.cseq().unwrap();
    (
        (
            via.transport().to_owned(),
            via.sent_by().to_string(),
            via.branch().map(str::to_owned),
            (via.received(), via.rport(), via.ttl()),
            via.maddr().map(|host| host.to_string()),
            via.params().to_string(),
        ),
        message.from_tag().map(str::to_owned),
        message.to_tag().map(str::to_owned),
        message.call_id().unwrap().to_vec(),
        (cseq.seq(), cseq.method().as_str().to_owned()),
        message.request_host().map(|host| host.to_string()),
    )
}

/// The kinds in the order of their declaration; those that are not read on receipt left out.
fn kinds(message: &Message) -> Vec<LintKind> {
    let mut kinds: Vec<_> = message.lint().map(|lint| lint.kind()).collect();
    kinds.retain(|&kind| kind != LintKind::LowerVia);
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// Where the whole grammar is followed, it says the same.
fn typed_agrees(message: &Message) {
    if let Ok(Some(from)) = message.header::<From<'_>>() {
        assert_eq!(from.tag(), message.from_tag());
    }
    if let Ok(Some(to)) = message.header::<To<'_>>() {
        assert_eq!(to.tag(), message.to_tag());
    }
    if let Ok(Some(call_id)) = message.header::<CallId<'_>>() {
        assert_eq!(Some(call_id.as_str().as_bytes()), message.call_id());
    }
    if let Ok(Some(via)) = message.header::<Via<'_>>() {
        assert_eq!(via.to_string(), message.top_via().unwrap().to_string());
    }
    let uri = message.request_uri().unwrap_or_default();
    if let Ok(Uri::Sip(uri)) = Uri::parse(uri) {
        assert_eq!(Some(uri.host_port()), message.request_host());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn a_message_that_is_let_in_reads_the_same_everywhere(Bytes(data) in mutated()) {
        let limits = Limits::default();
        let strict = limits.with_reading(Reading::Strict);
        let parse = |limits: &Limits| Head::parse(&data, limits);
        let (Ok(mut head), whole) = (parse(&limits), Message::parse(data.clone())) else {
            prop_assert!(Message::parse(data.clone()).is_err());
            prop_assert!(parse(&strict).is_err(), "only let in under strict reading");
            return Ok(());
        };
        let whole = whole.unwrap();
        let checked = head.check(&data);
        prop_assert_eq!(checked, whole.check());
        let mut strict_head = parse(&strict);
        let strictly = strict_head.as_mut().map_err(|e| *e).and_then(|head| head.check(&data));
        if checked.is_err() {
            prop_assert!(strictly.is_err(), "only let in under strict reading");
            return Ok(());
        }
        let message = head.to_message(&data);
        let expected = facts(&message);
        prop_assert_eq!(&facts(&whole), &expected);
        typed_agrees(&message);

        // What is off is told and noted, and it is what strict reading refuses.
        prop_assert_eq!(head.tolerated().iter().collect::<Vec<_>>(), kinds(&message));
        prop_assert!(message.lint().eq(whole.lint()));
        prop_assert!(message.lint().eq(head.lint(&data)));
        prop_assert_eq!(strictly.is_ok(), message.lint().next().is_none());
        if let (Ok(()), Ok(strict_head)) = (strictly, strict_head) {
            prop_assert_eq!(&facts(&strict_head.to_message(&data)), &expected);
        }

        // An edit elsewhere changes none of it, and neither does the wire.
        let mut edited = message.clone();
        edited.append("X-New", "y").unwrap();
        prop_assert_eq!(&facts(&edited), &expected);
        edited.set(Name::UserAgent, "z").unwrap();
        edited.prepend(Name::Via, "SIP/2.0/UDP new").unwrap();
        edited.remove_first_value(Name::Via).unwrap();
        prop_assert_eq!(&facts(&edited), &expected);
        prop_assert_eq!(edited.check(), Ok(()));
        let again = Message::parse(edited.to_bytes()).unwrap();
        prop_assert_eq!(&facts(&again), &expected);

        if let Some(request) = Request::new(message) {
            let response = ResponseBuilder::new(&request, StatusCode::OK).to_tag("new");
            let response = response.build().unwrap();
            prop_assert_eq!(response.check(), Ok(()));
            let again = Message::parse(response.to_bytes()).unwrap();
            prop_assert_eq!(facts(&again), facts(&response));
            prop_assert_eq!(response.from_tag(), request.from_tag());
            prop_assert_eq!(response.call_id(), request.call_id());
            prop_assert_eq!(response.to_tag(), Some(request.to_tag().unwrap_or("new")));
        }
    }

    #[test]
    fn routing_reads_every_uri_of_the_grammar_as_it_is(
        uri in "sips?:([a-z&;?/]{1,3}(:[a-z]{0,2})?@)?(h|[0-9]{1,3}|\\[::1\\])(:[0-9]{1,2})?(;(lr|ttl|maddr|transport|x)(=[a-z0-9:]{1,3})?){0,3}(\\?a=b)?"
    ) {
        let Ok(Uri::Sip(strict)) = Uri::parse(uri.as_bytes()) else {
            return Ok(());
        };
        let lenient = RoutingUri::parse(uri.as_bytes()).unwrap();
        prop_assert_eq!(lenient.host_port(), Some(strict.host_port()));
        prop_assert_eq!(lenient.is_secure(), strict.is_secure());
        prop_assert_eq!(lenient.transport(), strict.transport());
        prop_assert_eq!((lenient.maddr(), lenient.ttl()), (strict.maddr(), strict.ttl()));
        prop_assert_eq!(lenient.is_loose_router(), strict.is_loose_router());
    }
}
