//! Messages with IPv6 addresses (RFC 5118 §4).

use core::net::{IpAddr, Ipv6Addr};

use sip_core::Host;
use sip_core::header::{ContentType, To};

use super::*;

pub fn cases() -> Vec<Case> {
    let via = |rest: &str| {
        message(&format!(
            "OPTIONS sip:[2001:db8:1::1] SIP/2.0\nv: SIP/2.0/UDP [2001:db8:2::7]{rest};branch=z9hG4bK1\n"
        ))
    };
    let sdp = |rows: &str| {
        message(&format!(
            "INVITE sip:olga@[2001:db8:1::1] SIP/2.0\nTo: sip:olga@[2001:db8:1::1]\n\
             v: SIP/2.0/UDP [2001:db8:2::7];branch=z9hG4bK1\nm: \"Nina\" <sip:nina@[2001:db8:2::7]>\n\
             c: application/sdp\n\nv=0\no=nina 1 1 IN IP6 2001:db8:2::7\ns=-\n{rows}"
        ))
    };
    let target = |uri: &str| {
        message(&format!(
            "REGISTER {uri} SIP/2.0\nv: SIP/2.0/UDP [2001:db8:2::7];branch=z9hG4bK1\n\
             m: \"Nina\" <sip:nina@[2001:db8:2::8]>\n"
        ))
    };
    vec![
        delivered("ipv6-good", target("sip:[2001:db8:1::1]"), |m| {
            assert_eq!(target_port(m).1, None);
            assert!(v6(m.top_via().unwrap().sent_by().host()).is_some());
            assert!(v6(sip(&contacts(m)[0].uri().unwrap()).host()).is_some());
        }),
        refused(
            "ipv6-bad",
            target("sip:2001:db8:1::1"),
            400,
            "request URI: ",
        ),
        delivered("port-ambiguous", target("sip:[2001:db8:1::1:5070]"), |m| {
            let (ip, port) = target_port(m);
            assert_eq!((ip.segments()[7], port), (0x5070, None));
        }),
        delivered(
            "port-unambiguous",
            target("sip:[2001:db8:1::1]:5070"),
            |m| {
                let (ip, port) = target_port(m);
                assert_eq!((ip.segments()[6], port), (0, Some(5070)));
            },
        ),
        delivered(
            "via-received-param-with-delim",
            via(";received=[2001:db8:2::255]"),
            |m| {
                assert!(holds(m.raw(Name::Via).unwrap(), ";received=[") || m.flow().is_some());
                received_is_printed_bare(m);
            },
        ),
        delivered(
            "via-received-param-no-delim",
            via(";received=2001:db8:2::255"),
            received_is_printed_bare,
        ),
        delivered(
            "ipv6-in-sdp",
            sdp("c=IN IP6 2001:db8:2::7\nt=0 0\nm=audio 40000 RTP/AVP 0\n"),
            |m| {
                assert!(one::<ContentType<'_>>(m).is("application", "sdp"));
                assert!(holds(m.body(), "c=IN IP6 ") && m.body().ends_with(b"\r\n"));
                assert!(v6(sip(&one::<To<'_>>(m).uri()).host()).is_some());
            },
        ),
        delivered(
            "mult-ip-in-header",
            message(
                "BYE sip:olga@south.example SIP/2.0\nv: SIP/2.0/UDP [2001:db8:2::7]:6060;branch=z9hG4bK1\n\
                 v: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK2\n\
                 v: SIP/2.0/TCP [2001:db8:3::1];branch=z9hG4bK3;received=198.51.100.200\n",
            ),
            |m| {
                let vias = vias(m);
                let hosts: Vec<_> = vias
                    .iter()
                    .map(|via| v6(via.sent_by().host()).is_some())
                    .collect();
                assert_eq!(hosts, [true, false, true]);
                assert!(vias[0].sent_by().port().is_some());
                assert!(matches!(vias[2].received(), Some(IpAddr::V4(_))));
            },
        ),
        delivered(
            "mult-ip-in-sdp",
            sdp(
                "t=0 0\nm=audio 40000 RTP/AVP 0\nc=IN IP4 198.51.100.7\nm=video 40002 RTP/AVP 31\nc=IN IP6 2001:db8:2::7\n",
            ),
            |m| {
                assert!(holds(m.body(), "c=IN IP4 ") && holds(m.body(), "c=IN IP6 "));
                assert!(m.body().ends_with(b"\r\n"), "not cut");
            },
        ),
        delivered(
            "ipv4-mapped-ipv6",
            message(
                "INVITE sip:olga@south.example SIP/2.0\nv: SIP/2.0/UDP [::ffff:198.51.100.7]:6060;branch=z9hG4bK1\n\
                 v: SIP/2.0/UDP [::ffff:198.51.100.8];branch=z9hG4bK2\nm: <sip:nina@[::ffff:198.51.100.8]>\n\n\
                 c=IN IP6 ::ffff:198.51.100.8\n",
            ),
            |m| {
                let mapped = |host: Host<'_>| v6(host).unwrap().to_ipv4_mapped().is_some();
                let vias = vias(m);
                assert!(vias.iter().all(|via| mapped(via.sent_by().host())));
                assert!(vias[0].sent_by().port().is_some() && vias[1].sent_by().port().is_none());
                assert!(mapped(sip(&contacts(m)[0].uri().unwrap()).host()));
                assert!(holds(m.body(), "IN IP6 ::ffff:"));
            },
        ),
        delivered(
            "ipv6-bug-abnf-3-colons",
            dotted("sip:olga@[2001:db8:::198.51.100.7]"),
            |m| {
                two_colons(m);
                assert!(
                    holds(m.request_uri().unwrap(), ":::"),
                    "forwarded as it came"
                );
            },
        ),
        delivered(
            "ipv6-correct-abnf-2-colons",
            dotted("sip:olga@[2001:db8::198.51.100.7]"),
            two_colons,
        ),
    ]
}

fn dotted(uri: &str) -> Vec<u8> {
    message(&format!("OPTIONS {uri} SIP/2.0\nTo: {uri}\n"))
}

/// With a colon too many or not, it is the same address, and printed with two.
fn two_colons(m: &Message) {
    let (ip, port) = target_port(m);
    assert_eq!(
        (&ip.segments()[..6], port),
        (&[0x2001, 0xdb8, 0, 0, 0, 0][..], None)
    );
    let host = Host::V6(ip).to_string();
    assert!(!host.contains(":::"), "{host}");
    assert_eq!(sip(&one::<To<'_>>(m).uri()).host(), Host::V6(ip));
}

fn received_is_printed_bare(m: &Message) {
    let via = m.top_via().unwrap();
    let received = via.received().unwrap();
    assert!(
        via.to_string().contains(&format!(";received={received}")),
        "{via}"
    );
    if m.flow().is_none() {
        assert!(matches!(received, IpAddr::V6(ip) if ip.segments()[7] == 0x255));
    }
}

fn v6(host: Host<'_>) -> Option<Ipv6Addr> {
    match host {
        Host::V6(ip) => Some(ip),
        _ => None,
    }
}

fn target_port(m: &Message) -> (Ipv6Addr, Option<u16>) {
    let uri = sip(&request_uri(m));
    (v6(uri.host()).unwrap(), uri.port())
}
