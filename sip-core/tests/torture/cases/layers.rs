//! Messages that only the layers above can judge, and those of RFC 2543 (RFC 4475 §3.2 to §3.4).

use sip_core::Host;
use sip_core::header::{
    Accept, Authorization, ContentType, From, MaxForwards, ProxyRequire, Require, To,
};

use super::*;

pub fn cases() -> Vec<Case> {
    vec![
        delivered(
            "badbranch",
            message("OPTIONS sip:olga@south.example SIP/2.0\nv: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK\n"),
            |m| assert_eq!(m.top_via().unwrap().branch(), Some("z9hG4bK")),
        ),
        refused(
            "insuf",
            exactly(&format!(
                "INVITE sip:olga@south.example SIP/2.0\nCSeq: 1 INVITE\n\
                 Via: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1\nl: {}\n\n{SDP}",
                SDP.replace('\n', "\r\n").len()
            )),
            400,
            "is missing",
        ),
        delivered(
            "unkscm",
            message("OPTIONS madeUpScheme:anything/at*all SIP/2.0\n"),
            |m| {
                let Uri::Other(uri) = request_uri(m) else {
                    panic!("a known scheme");
                };
                assert!(uri.scheme().contains("Scheme") && !uri.rest().is_empty());
            },
        ),
        delivered(
            "novelsc",
            message("OPTIONS soap.beep://198.51.100.7:4711 SIP/2.0\n"),
            |m| {
                assert_eq!(request_uri(m).scheme(), "soap.beep");
                assert_eq!(request_uri(m).to_string().as_bytes(), m.request_uri().unwrap());
            },
        ),
        delivered(
            "unksm2",
            message(
                "REGISTER sip:south.example SIP/2.0\nTo: isbn:9780000000002\n\
                 From: <http://www.north.example>;tag=n1\nContact: <name:Nina_N>\n",
            ),
            |m| {
                assert_eq!(one::<To<'_>>(m).uri().scheme(), "isbn");
                let from = one::<From<'_>>(m);
                assert_eq!((from.uri().scheme(), from.tag().is_some()), ("http", true));
                assert_eq!(contacts(m)[0].uri().unwrap().scheme(), "name");
            },
        ),
        delivered(
            "bext01",
            message(
                "OPTIONS sip:olga@south.example SIP/2.0\nRequire: noSuchThing, norThis\n\
                 Proxy-Require: noProxyHasThis, norThisOne\n",
            ),
            |m| {
                assert_eq!(m.headers::<Require<'_>>().filter(Result::is_ok).count(), 2);
                assert_eq!(m.headers::<ProxyRequire<'_>>().filter(Result::is_ok).count(), 2);
            },
        ),
        delivered(
            "invut",
            message("INVITE sip:olga@south.example SIP/2.0\nc: application/x-song\n\n<la>\n <la volume=\"3\"/>\n</la>\n"),
            |m| {
                assert_eq!(one::<ContentType<'_>>(m).main(), "application");
                assert!(m.body().starts_with(b"<") && m.body().ends_with(b">\r\n"));
            },
        ),
        delivered(
            "regaut01",
            message("REGISTER sip:south.example SIP/2.0\nAuthorization: Handshake secret-data=4711\nContent-Length:0\n"),
            |m| {
                let authorization = one::<Authorization<'_>>(m);
                let raw = m.raw(Name::Authorization).unwrap();
                assert!(raw.starts_with(authorization.scheme().as_bytes()));
                assert_eq!(authorization.to_string().as_bytes(), raw);
            },
        ),
        refused(
            "multi01",
            message(
                "INVITE sip:olga@south.example SIP/2.0\nm: <sip:nina@one.example>\nCSeq: 5 INVITE\n\
                 i: 1@north.example\nCSeq: 6 INVITE\nCall-ID: 2@north.example\nf: <sip:nina@one.example>;tag=1\n\
                 t: <sip:olga@south.example>\nTo: <sip:otto@south.example>\nFrom: <sip:nina@two.example>;tag=2\n\
                 Max-Forwards: 70\nm: <sip:nina@two.example>\nMax-Forwards: 5\n",
            ),
            400,
            "is repeated",
        ),
        refused(
            "mcl01",
            message("OPTIONS sip:olga@south.example SIP/2.0\nl: 13\nSubject: which?\nContent-Length: 5\n\nWho can tell where it ends?\n"),
            400,
            "Content-Length is repeated",
        )
        .on_a_stream(Stream::Broken),
        delivered(
            "bcast",
            message(
                "SIP/2.0 200 OK\nv: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1\n\
                 v: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK2\nt: <sip:olga@south.example>;tag=o1\n",
            ),
            |m| {
                let vias = vias(m);
                assert_eq!(vias.len(), 2);
                assert_eq!(vias[1].sent_by().host(), Host::try_from("255.255.255.255").unwrap());
            },
        ),
        delivered(
            "zeromf",
            message("OPTIONS sip:olga@south.example SIP/2.0\nMax-Forwards: 0\n"),
            |m| assert_eq!(one::<MaxForwards>(m).0, 0),
        ),
        delivered(
            "cparam01",
            message("REGISTER sip:south.example SIP/2.0\nm: sip:+4930123456@gw.north.example;unknownparam\n"),
            |m| {
                let contact = contacts(m)[0];
                assert!(contact.params().contains("unknownparam"));
                let uri = sip(&contact.uri().unwrap());
                assert!(uri.params().is_empty() && uri.user().unwrap().starts_with('+'));
            },
        ),
        delivered(
            "cparam02",
            message("REGISTER sip:south.example SIP/2.0\nm: <sip:+4930123456@gw.north.example;unknownparam>\n"),
            |m| {
                let contact = contacts(m)[0];
                assert!(contact.params().is_empty());
                assert!(sip(&contact.uri().unwrap()).params().contains("unknownparam"));
            },
        ),
        delivered(
            "regescrt",
            message("REGISTER sip:south.example SIP/2.0\nm: <sip:nina@north.example?Route=%3Csip:edge.north.example%3E>\n"),
            |m| {
                let contact = contacts(m)[0];
                let header = sip(&contact.uri().unwrap()).headers().iter().next().unwrap();
                assert_eq!(&header.decoded_name()[..], b"Route");
                assert!(header.decoded_value().starts_with(b"<sip:"));
                assert!(contact.to_string().contains("?Route=%3Csip:"));
            },
        ),
        delivered(
            "sdp01",
            message(&format!(
                "INVITE sip:olga@south.example SIP/2.0\nAccept: text/x-unheard-of\nc: application/sdp\n\n{SDP}"
            )),
            |m| {
                assert_eq!(one::<Accept<'_>>(m).main(), "text");
                assert!(one::<ContentType<'_>>(m).is("application", "sdp"));
            },
        ),
        delivered(
            "inv2543",
            exactly(&format!(
                "INVITE sip:olga@south.example SIP/2.0\nVia: SIP/2.0/UDP gw.north.example\n\
                 From: <sip:+4930123456@gw.north.example;user=phone>\n\
                 Record-Route: <sip:olga@south.example;maddr=edge.south.example>\n\
                 To: sip:+4989123456@south.example;user=phone\nCall-ID: old-1@north.example\n\
                 CSeq: 1 INVITE\nContent-Type: application/sdp\n\n{SDP}"
            )),
            |m| {
                assert_eq!((m.top_via().unwrap().branch(), m.from_tag()), (None, None));
                assert_eq!((m.raw(Name::MaxForwards), m.raw(Name::ContentLength)), (None, None));
                // Without brackets what follows the host is of the header.
                assert!(one::<To<'_>>(m).params().contains("user"));
                assert!(sip(&one::<From<'_>>(m).uri()).params().contains("user"));
                assert!(m.body().starts_with(b"v=0\r\n") && m.body().ends_with(b"\r\n"));
            },
        )
        .on_a_stream(Stream::Broken),
        refused(
            "test",
            exactly(
                "INVITE sip:nina@north.example\nTO : olga@south.example\nFrom: nina@north.example\n\
                 Call-ID: odd-1@north.example\nX-Ten: the number : 10\nno colon here\nContent-Length: 5\n\nhello",
            ),
            400,
            "start line needs",
        ),
    ]
}
