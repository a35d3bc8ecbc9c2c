//! Invalid messages (RFC 4475 §3.1.2), and those that may be read or refused.

use sip_core::header::{Date, From};

use super::*;

pub fn cases() -> Vec<Case> {
    vec![
        refused(
            "badinv01",
            message(
                "INVITE sip:olga@south.example SIP/2.0\nv: SIP/2.0/UDP 198.51.100.7;;,;,,\n\
                 m: \"Nina\" <sip:nina@north.example>;;;;\n",
            ),
            400,
            "Via: expected",
        ),
        refused(
            "clerr",
            message(&format!(
                "INVITE sip:olga@south.example SIP/2.0\nContent-Length: 9999\n\n{SDP}"
            )),
            400,
            "Content-Length says 9999 bytes",
        )
        .on_a_stream(Stream::Incomplete),
        refused(
            "ncl",
            message(&format!(
                "INVITE sip:olga@south.example SIP/2.0\nContent-Length: -7\n\n{SDP}"
            )),
            400,
            "Content-Length is not a number",
        )
        .on_a_stream(Stream::Broken),
        refused(
            "scalar02",
            message(&format!(
                "REGISTER sip:south.example SIP/2.0\nCSeq: 18446744073709551617 REGISTER\nMax-Forwards: 300\n\
                 Expires: 1{0}\nm: <sip:nina@north.example>\n ;expires=999999999999999\n",
                "0".repeat(70)
            )),
            400,
            "CSeq: CSeq number at byte 0 is out of range",
        ),
        refused(
            "scalarlg",
            message(
                "SIP/2.0 503 Service Unavailable\nCSeq: 18446744073709551617 OPTIONS\n\
                 Retry-After: 99999999999999999999\nWarning: 1999 pbx \"Busy\"\n",
            ),
            400,
            "CSeq: CSeq number at byte 0 is out of range",
        ),
        refused(
            "quotbal",
            message(
                "INVITE sip:olga@south.example SIP/2.0\nTo: \"Olga O. <sip:olga@south.example>\n",
            ),
            400,
            "To: expected",
        ),
        refused(
            "ltgtruri",
            message("INVITE <sip:olga@south.example> SIP/2.0\nv: SIP/2.0/UDP 198.51.100.7\n"),
            400,
            "request URI: expected a URI scheme",
        ),
        refused(
            "lwsruri",
            message("INVITE sip:olga@south.example; lr SIP/2.0\n"),
            400,
            "start line needs one space",
        ),
        refused(
            "lwsstart",
            message("INVITE  sip:olga@south.example  SIP/2.0\n"),
            400,
            "start line needs",
        ),
        refused(
            "trws",
            message("OPTIONS sip:olga@south.example SIP/2.0  \nCSeq: 1 OPTIONS\n"),
            400,
            "start line needs one space",
        ),
        refused(
            "escruri",
            message("INVITE sip:olga@south.example?Route=%3Csip:north.example%3E SIP/2.0\n"),
            400,
            "request URI: expected no headers",
        ),
        delivered(
            "baddate",
            message("INVITE sip:olga@south.example SIP/2.0\nDate: Mon, 23 Nov 2026 10:00:00 CET\n"),
            |m| {
                assert!(m.header::<Date>().is_err());
                assert!(holds(m.raw(Name::Date).unwrap(), ":00:00 "));
            },
        ),
        delivered(
            "regbadct",
            message(
                "REGISTER sip:south.example SIP/2.0\n\
                 Contact: sip:nina@north.example?Route=%3Csip:edge.north.example%3E\n",
            ),
            |m| assert!(m.header::<Contact<'_>>().is_err()),
        ),
        refused(
            "badaspec",
            message(
                "OPTIONS sip:olga@south.example SIP/2.0\nTo: \"O., Olga\" < sip:olga@south.example >\n",
            ),
            400,
            "To: expected",
        ),
        delivered("baddn", bad_display_name(""), has_bad_display_name)
            .on_a_stream(Stream::Incomplete),
        delivered(
            "crlf-fixed/baddn",
            bad_display_name("\n"),
            has_bad_display_name,
        ),
        refused(
            "badvers",
            message(
                "OPTIONS sip:olga@south.example SIP/7.0\nv: SIP/7.0/UDP pbx.north.example;branch=z9hG4bK1\n",
            ),
            505,
            "version is not SIP/2.0",
        ),
        refused(
            "mismatch01",
            message("OPTIONS sip:olga@south.example SIP/2.0\nCSeq: 8 INVITE\n"),
            400,
            "the method in CSeq",
        ),
        // 501 would say more, but the transport does not know what methods there are.
        refused(
            "mismatch02",
            message("X-METHOD sip:olga@south.example SIP/2.0\nCSeq: 8 INVITE\n"),
            400,
            "the method in CSeq",
        ),
        refused(
            "bigcode",
            message("SIP/2.0 4294967396 one hundred and two to the thirty-second\n"),
            400,
            "a status code of 100 to 699",
        ),
    ]
}

fn has_bad_display_name(m: &Message) {
    assert!(m.from_tag().is_some() && m.to_tag().is_none());
    // What the name is is for the application to judge.
    assert!(m.header::<From<'_>>().is_err());
    assert!(holds(m.raw(Name::From).unwrap(), ", "));
}

fn bad_display_name(end: &str) -> Vec<u8> {
    exactly(&format!(
        "OPTIONS sip:olga@south.example SIP/2.0\nVia: SIP/2.0/UDP pbx.north.example;branch=z9hG4bK1\n\
         Max-Forwards: 70\nFrom: N., Nina <sip:nina@north.example>;tag=n1\n\
         To: O., Olga <sip:olga@south.example>\nCall-ID: bad-name-1@north.example\n\
         CSeq: 1 OPTIONS\nl: 0\n{end}"
    ))
}
