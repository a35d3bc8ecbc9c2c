//! Properties that hold for every typed header.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use sip_core::header::*;
use sip_core::uri::Uri;
use sip_core::{Host, HostPort, Method, Param, Params, unquote};

/// If the value parses, its print parses too and prints the same; an error lies in the value.
type Check = fn(&[u8]) -> Result<bool, TestCaseError>;

macro_rules! headers {
    ($($name:ident: $($sample:literal),+;)+) => {
        const ALL: &[(&str, Check, &[&str])] = &[$((
            stringify!($name),
            |value| {
                let header = match $name::parse(value) {
                    Ok(header) => header,
                    Err(error) => {
                        prop_assert!(error.offset() <= value.len(), "{error}");
                        return Ok(false);
                    }
                };
                let _ = format!("{header:?}");
                let printed = header.to_string();
                prop_assert!(!printed.contains(['\r', '\n']), "{printed:?}");
                match $name::parse(printed.as_bytes()) {
                    Ok(again) => prop_assert_eq!(again.to_string(), printed),
                    Err(error) => prop_assert!(false, "{printed:?}: {error}"),
                }
                Ok(true)
            },
            &[$($sample),+],
        )),+];
    };
}

headers! {
    Accept: "application/sdp;level=1;q=0.5", "*/*";
    AcceptEncoding: "gzip;q=0.5;x=y", "*";
    AlertInfo: "<http://www.example.com/sounds/moo.wav>;x=y";
    Allow: "INVITE";
    AuthenticationInfo: "nextnonce=\"47364c23432d2e131a5fb210812c\", qop=auth";
    Authorization: "Digest username=\"b\", realm=\"r\", nonce=\"n\", uri=\"sip:h\", nc=00000001, \
                    response=\"6629fae49393a05397450978507c4ef1\"", "Basic QWxh==";
    CallId: "a84b4c76e66710@pc33.atlanta.example";
    CallInfo: "<http://www.example.com/alice/photo.jpg> ;purpose=icon";
    Contact: "*", "\"A \\\" B\" <sip:a@b.example;transport=tcp?x=y> ; q = 0.7;expires=60;+sip.x=\"<y>\"";
    ContentDisposition: "session;handling=optional;x=y";
    ContentEncoding: "gzip";
    ContentLength: "349";
    ContentType: "multipart/mixed ; boundary=\"a b\"";
    CSeq: "4711 INVITE";
    Date: "Sat, 13 Nov 2010 23:29:00 GMT";
    ErrorInfo: "<sip:not-in-service-recording@atlanta.example>";
    Event: "presence.winfo;id=a1;x=\"y\"";
    Expires: "5";
    From: "\"J \\\"q\\\" User\" <sip:+1;p=x:pw@[2001:db8::1]:5070;lr> ; tag = 45;x", "sip:a@b.example;tag=1", "a b <tel:+1>";
    InReplyTo: "70710@saturn.bell-tel.example";
    MaxForwards: "70";
    MimeVersion: "1.0";
    MinExpires: "60";
    MinSe: "90;x=y";
    PAssertedIdentity: "\"C\" <sip:f@c.example>", "tel:+14085264000";
    Path: "<sip:p.example;lr>;ob";
    Priority: "emergency";
    Privacy: "id; critical";
    ProxyAuthenticate: "Digest realm=\"r\", nonce=\"n\", stale=FALSE";
    ProxyAuthorization: "Scheme opaque-data=here";
    ProxyRequire: "foo";
    RAck: "776656 1 INVITE";
    Reason: "SIP;cause=200;text=\"Call completed, elsewhere\"";
    RecordRoute: "<sip:p.example;lr>;x=y";
    ReferTo: "<sip:d@d.example?Replaces=1%3Bto-tag%3D1>";
    Replaces: "98732@h.example;from-tag=1;to-tag=2;early-only";
    Require: "100rel";
    RetryAfter: "120 (a (b) \\) c);duration=60;x=y";
    Route: "\"P\" <sip:p.example;lr>";
    RSeq: "988789";
    Server: "HomeServer/2 (x) v2";
    ServiceRoute: "<sip:p.example;lr>";
    SessionExpires: "4000;refresher=uac";
    SubscriptionState: "terminated;reason=x;expires=1;retry-after=5;y";
    Supported: "timer";
    Timestamp: "54.0 0.3", "7 .";
    To: "<sip:a@b.example>;tag=x;y=\"z\"", "\"\" <urn:service:sos>";
    Unsupported: "foo";
    UserAgent: "Softphone Beta1.5/2 (a (b) \\) c)";
    Via: "SIP/2.0/UDP h.example:5060;branch=z9hG4bK1;received=2001:db8::1;rport=1;ttl=5;maddr=[::1];x=\"y\"",
         "SIP / 2.0\r\n / TCP [2001:db8::1] : 5061 ; rport ; received=192.0.2.1";
    Warning: "370 h.example:5060 \"a \\\"b\\\"\"";
    WwwAuthenticate: "Digest realm=\"a, b\",\r\n qop=\"auth,auth-int\", nonce=\"n\"";
}

/// Text made of what the grammars are made of: it gets much further than random bytes.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&'static [u8]> = vec![
        b"<",
        b">",
        b"\"",
        b"\\",
        b";",
        b",",
        b"=",
        b":",
        b"@",
        b"/",
        b"(",
        b")",
        b"?",
        b"*",
        b".",
        b" ",
        b"\t",
        b"\r\n ",
        b"\r",
        b"\n",
        b"\0",
        b"\x7f",
        b"\xC3\xA9",
        b"\xFF",
        b"%41",
        b"%",
        b"SIP/2.0/UDP",
        b"sip:",
        b"sips:",
        b"tel:",
        b"h.example",
        b"192.0.2.1",
        b"[::1]",
        b"::1",
        b"tag=",
        b"branch=",
        b"rport",
        b"received=",
        b"q=0.5",
        b"expires=",
        b"cause=",
        b"text=",
        b"Digest",
        b"nc=",
        b"INVITE",
        b"0",
        b"1",
        b"70",
        b"4294967295",
        b"4294967296",
        b"a",
        b"-",
        b"GMT",
        b"Sat, 13 Nov 2010 23:29:00",
        b"to-tag=1",
        b"from-tag=2",
        b"\"x, y\"",
    ];
    proptest::collection::vec(proptest::sample::select(pieces), 0..14).prop_map(|p| p.concat())
}

/// A legal value with a few bytes changed, put in or taken out.
fn mutated(samples: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), any::<u8>(), 0..3u8);
    (
        proptest::sample::select(samples),
        proptest::collection::vec(edit, 1..4),
    )
        .prop_map(|(sample, edits)| {
            let mut value = sample.as_bytes().to_vec();
            for (at, byte, kind) in edits {
                let at = at.index(value.len() + 1);
                match kind {
                    0 => value.insert(at, byte),
                    _ if at == value.len() => {}
                    1 => value[at] = byte,
                    _ => drop(value.remove(at)),
                }
            }
            value
        })
}

proptest! {
    // bad-inputs: P9
    #[test]
    fn random_bytes_never_panic(value in proptest::collection::vec(any::<u8>(), 0..80)) {
        for (_, check, _) in ALL {
            check(&value)?;
        }
    }

    #[test]
    fn what_parses_prints_and_parses_again(value in soup()) {
        for (_, check, _) in ALL {
            check(&value)?;
        }
    }

    #[test]
    fn what_nearly_parses_does_so_too(
        (header, value) in (0..ALL.len()).prop_flat_map(|i| (Just(i), mutated(ALL[i].2)))
    ) {
        ALL[header].1(&value)?;
    }

    #[test]
    fn lists_split_into_parts_of_the_row(row in soup()) {
        let mut rest = &row[..];
        for value in list::split(&row) {
            let at = rest.windows(value.len().max(1)).position(|w| w == value);
            prop_assert!(value.is_empty() || at.is_some());
            rest = &rest[at.unwrap_or(0)..];
        }
    }
}

#[test]
fn every_sample_parses() {
    for (name, check, samples) in ALL {
        for sample in *samples {
            assert!(check(sample.as_bytes()).unwrap(), "{name}: {sample}");
        }
    }
}

// bad-inputs: P10
#[test]
fn a_value_may_end_anywhere() {
    for (_, check, samples) in ALL {
        for sample in *samples {
            for len in 0..sample.len() {
                check(&sample.as_bytes()[..len]).unwrap();
                check(&sample.as_bytes()[len..]).unwrap();
            }
        }
    }
}

const TOKEN: &str = "[A-Za-z0-9.!%*_+`'~-]{1,20}";

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]([a-z0-9-]{0,8}[a-z0-9])?(\\.[a-z][a-z0-9]{0,5}){0,3}",
        any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|ip| format!("[{ip}]")),
    ]
}

proptest! {
    #[test]
    fn a_built_via_parses_to_its_parts(
        transport in TOKEN,
        host in host(),
        port: Option<u16>,
        branch in proptest::option::of(TOKEN),
        received: Option<std::net::IpAddr>,
        rport: Option<Option<u16>>,
        ttl: Option<u8>,
        extra in proptest::option::of("x[a-z]{0,5}"),
    ) {
        let sent_by = HostPort::new(Host::try_from(&*host).unwrap(), port);
        let params: Vec<_> = extra.iter().map(|name| Param::flag(name).unwrap()).collect();
        let mut via = Via::new(&transport, sent_by).unwrap().with_params(Params::of(&params));
        if let Some(branch) = &branch {
            via = via.with_branch(branch).unwrap();
        }
        if let Some(received) = received {
            via = via.with_received(received);
        }
        if let Some(rport) = rport {
            via = via.with_rport(rport);
        }
        if let Some(ttl) = ttl {
            via = via.with_ttl(ttl).with_maddr(sent_by.host());
        }
        let printed = via.to_string();
        let parsed = Via::parse(printed.as_bytes()).unwrap();
        prop_assert_eq!(parsed.transport(), &*transport);
        prop_assert_eq!(parsed.sent_by(), sent_by);
        prop_assert_eq!(parsed.branch(), branch.as_deref());
        prop_assert_eq!(parsed.received(), received);
        prop_assert_eq!(parsed.rport(), rport);
        prop_assert_eq!(parsed.ttl(), ttl);
        prop_assert_eq!(parsed.maddr(), ttl.map(|_| sent_by.host()));
        prop_assert!(parsed.equivalent(&via) && via.equivalent(&parsed));
    }

    #[test]
    fn a_built_from_parses_to_its_parts(
        name in "\\PC{0,20}",
        host in host(),
        tag in proptest::option::of(TOKEN),
    ) {
        let uri = format!("sip:a@{host};lr");
        let uri = Uri::try_from(&*uri).unwrap();
        let mut from = From::new(uri).with_display_name(&name);
        if let Some(tag) = &tag {
            from = from.with_tag(tag).unwrap();
        }
        let printed = from.to_string();
        let parsed = From::parse(printed.as_bytes()).unwrap();
        let found = parsed.display_name();
        prop_assert_eq!(found.as_deref(), Some(name.as_bytes()));
        prop_assert_eq!(parsed.tag(), tag.as_deref());
        prop_assert!(parsed.uri().equivalent(&uri));
        prop_assert!(parsed.equivalent(&from) && from.equivalent(&parsed));
    }

    #[test]
    fn a_quoted_parameter_means_its_text(text in "\\PC{0,20}") {
        let params = [AuthParam::quoted("realm", &text).unwrap()];
        let printed = AuthenticationInfo::new(AuthParams::of(&params)).to_string();
        let parsed = AuthenticationInfo::parse(printed.as_bytes()).unwrap();
        let found = parsed.params().value("realm").unwrap();
        prop_assert_eq!(&*found, text.as_bytes());
        let wire = printed.strip_prefix("realm=").unwrap();
        prop_assert_eq!(&*unquote(wire.as_bytes()), text.as_bytes());
    }

    #[test]
    fn cseq_and_rack_round_trip(rseq: u32, seq: u32, method in TOKEN) {
        let rack = RAck::new(rseq, CSeq::new(seq, Method::new(&method)));
        let printed = rack.to_string();
        prop_assert_eq!(RAck::parse(printed.as_bytes()), Ok(rack));
    }

    #[test]
    fn dates_count_every_second(seconds in -62_162_035_200i64..253_402_300_800) {
        let date = Date::from_unix(seconds).unwrap();
        prop_assert_eq!(date.unix(), seconds);
        prop_assert_eq!(Date::parse(date.to_string().as_bytes()), Ok(date));
    }
}
