//! Where URIs lead (RFC 3263): URI, what can be sent on and zone in; ordered targets out.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod zone;

use sip_transport_proto::Protocol;
use sip_transport_proto::resolve::{Family, ResolveConfig};
use zone::{World, lines};

struct Row {
    rule: &'static str,
    uri: &'static str,
    can: &'static str,
    zone: &'static str,
    targets: &'static str,
}

const V4: &str = "udp4 tcp4 tls4 ws4 wss4";

macro_rules! rows {
    ($($rule:literal: $uri:literal, $can:expr, $zone:expr => $targets:expr;)+) => {
        &[$(Row { rule: $rule, uri: $uri, can: $can, zone: $zone, targets: $targets },)+]
    };
}

/// The example of RFC 3263 §4.1.
const RFC_3263: &str = "
    example.com NAPTR 50 50 s SIPS+D2T _sips._tcp.example.com.
    example.com NAPTR 90 50 s SIP+D2T _sip._tcp.example.com
    example.com NAPTR 100 50 s SIP+D2U _sip._udp.example.com.
    _sips._tcp.example.com SRV 0 1 5061 server1.example.com
    _sips._tcp.example.com SRV 1 2 5061 server2.example.com
    _sip._tcp.example.com SRV 0 1 5060 server1.example.com
    _sip._tcp.example.com SRV 1 2 5060 server2.example.com
    _sip._udp.example.com SRV 0 1 5060 server1.example.com
    _sip._udp.example.com SRV 1 2 5060 server2.example.com
    server1.example.com A 192.0.2.1
    server2.example.com A 192.0.2.2
    example.com A 192.0.2.9";

/// The example of RFC 7984 §4.
const RFC_7984: &str = "
    _sip._tcp.example.com SRV 1 1 5060 sip-1.example.com
    _sip._tcp.example.com SRV 2 1 5060 sip-2.example.com
    sip-1.example.com AAAA 2001:db8:58:c02::face
    sip-1.example.com A 192.0.2.45
    sip-2.example.com AAAA 2001:db8:c:a06::2:cafe
    sip-2.example.com A 203.0.113.109";

const ONE_NAME: &str = "a.example A 192.0.2.1";

const NO_NAPTR: &str = "
    _sip._udp.a.example SRV 0 0 5070 u.a.example
    _sip._tcp.a.example SRV 0 0 5071 t.a.example
    _sips._tcp.a.example SRV 0 0 5072 s.a.example
    u.a.example A 192.0.2.1
    t.a.example A 192.0.2.2
    s.a.example A 192.0.2.3
    a.example A 192.0.2.9";

const TABLE: &[Row] = rows! {
    // conformance: 197, 301, 313
    "an address without a transport is UDP for sip":
        "sip:192.0.2.1", V4, "" => "udp 192.0.2.1:5060";
    "an address without a transport is TLS for sips":
        "sips:192.0.2.1", V4, "" => "tls 192.0.2.1:5061 192.0.2.1";
    "the URI's port overrides the default":
        "sip:192.0.2.1:5080", V4, "" => "udp 192.0.2.1:5080";
    "the URI's port overrides the default for sips":
        "sips:192.0.2.1:5080", V4, "" => "tls 192.0.2.1:5080 192.0.2.1";
    "an IPv6 address":
        "sip:[2001:db8::1]", "all", "" => "udp [2001:db8::1]:5060";
    "an IPv6 address with a port":
        "sip:[2001:db8::1]:5070", "all", "" => "udp [2001:db8::1]:5070";
    "an IPv4-mapped address is an IPv4 address":
        "sip:[::ffff:192.0.2.1]", V4, "" => "udp 192.0.2.1:5060";
    // conformance: 300
    "transport=tcp wins":
        "sip:192.0.2.1;transport=tcp", V4, "" => "tcp 192.0.2.1:5060";
    "transport=UDP in any case":
        "sip:192.0.2.1;Transport=UDP", V4, "" => "udp 192.0.2.1:5060";
    // conformance: 217
    "transport=tls is TLS over TCP":
        "sip:192.0.2.1;transport=tls", V4, "" => "tls 192.0.2.1:5061 192.0.2.1";
    "transport=tls with a name asks for _sips._tcp":
        "sip:a.example;transport=tls", V4, NO_NAPTR => "tls 192.0.2.3:5072 a.example";
    // conformance: 335
    "transport=ws is port 80 for sip":
        "sip:192.0.2.1;transport=ws", V4, "" => "ws 192.0.2.1:80";
    // conformance: 218, 424
    "transport=ws is WSS and port 443 for sips":
        "sips:192.0.2.1;transport=ws", V4, "" => "wss 192.0.2.1:443 192.0.2.1";
    "transport=wss is taken for what it means":
        "sip:192.0.2.1;transport=wss", V4, "" => "wss 192.0.2.1:443 192.0.2.1";
    "transport=ws with a name and no SRV":
        "sip:a.example;transport=ws", V4, ONE_NAME => "ws 192.0.2.1:80";
    "transport=ws with a name and no SRV for sips":
        "sips:a.example;transport=ws", V4, ONE_NAME => "wss 192.0.2.1:443 a.example";
    // conformance: 276, 284
    "sips with transport=tcp is TLS":
        "sips:192.0.2.1;transport=tcp", V4, "" => "tls 192.0.2.1:5061 192.0.2.1";
    // conformance: 192, 284
    "sips with transport=udp cannot be":
        "sips:a.example;transport=udp", V4, ONE_NAME => "error: sips cannot go over udp";
    "a transport that nobody knows":
        "sip:a.example;transport=x", V4, ONE_NAME => "error: transport x is not supported";
    // conformance: 297
    "maddr takes the place of the host":
        "sip:a.example;maddr=192.0.2.8", V4, ONE_NAME => "udp 192.0.2.8:5060";
    "maddr may be a name":
        "sip:b.example:5070;maddr=a.example", V4, ONE_NAME => "udp 192.0.2.1:5070";
    "a protocol that nothing here sends on":
        "sip:192.0.2.1;transport=tcp", "udp", "" => "error: no channel can send over tcp";
    "sips where there is no TLS":
        "sips:a.example", "udp tcp ws", ONE_NAME => "error: no channel can send over tls";
    "sips where there is WSS only":
        "sips:a.example", "udp wss4", ONE_NAME => "wss 192.0.2.1:443 a.example";
    "an address of a family that nothing here sends on":
        "sip:[2001:db8::1]", V4, "" => "error: no channel can send over udp";
    "an address goes over what reaches its family":
        "sip:[2001:db8::1]", "udp4 tcp6", "" => "tcp [2001:db8::1]:5060";
    "TCP where there is no UDP":
        "sip:192.0.2.1", "tcp tls", "" => "tcp 192.0.2.1:5060";
    "a WebSocket-only client":
        "sip:a.example", "ws4", ONE_NAME => "ws 192.0.2.1:80";

    // conformance: 314
    "a name with a port has no NAPTR and no SRV":
        "sip:a.example:5060", V4, NO_NAPTR => "udp 192.0.2.9:5060";
    "a name with a port and a transport":
        "sip:a.example:5099;transport=tcp", V4, NO_NAPTR => "tcp 192.0.2.9:5099";
    "sips with a port":
        "sips:a.example:5099", V4, NO_NAPTR => "tls 192.0.2.9:5099 a.example";
    "each address of a name is a target":
        "sip:a.example:5070", V4, "a.example A 192.0.2.3 192.0.2.1 192.0.2.2"
        => "udp 192.0.2.3:5070\nudp 192.0.2.1:5070\nudp 192.0.2.2:5070";
    "a name that is not there":
        "sip:b.example:5060", V4, ONE_NAME => "error: DNS lists no reachable address of b.example";
    "a name that is not there, with all questions asked":
        "sip:b.example", V4, ONE_NAME => "error: DNS lists no reachable address of b.example";
    "a name that DNS does not know":
        "sip:b.example:5060", "all", "
        b.example A    nxdomain
        b.example AAAA nxdomain" => "error: b.example does not exist in DNS (NXDOMAIN)";
    "a domain whose servers DNS does not know":
        "sip:b.example", V4, "
        _sip._udp.b.example SRV 0 0 5060 t.b.example
        t.b.example         A   nxdomain" => "error: DNS lists no reachable service of b.example";
    "a domain without services that DNS does not know":
        "sip:b.example", V4, "
        _sip._udp.b.example SRV nxdomain
        b.example           A   nxdomain" => "error: b.example does not exist in DNS (NXDOMAIN)";
    "names are compared in any case":
        "sip:A.Example:5070", V4, ONE_NAME => "udp 192.0.2.1:5070";
    "a dot at the end changes nothing":
        "sips:A.EXAMPLE.:5070", V4, ONE_NAME => "tls 192.0.2.1:5070 a.example";

    // conformance: 303, 307
    "NAPTR decides":
        "sip:example.com", V4, RFC_3263
        => "tls 192.0.2.1:5061 example.com\ntls 192.0.2.2:5061 example.com";
    "NAPTR without TLS here":
        "sip:example.com", "udp tcp", RFC_3263 => "tcp 192.0.2.1:5060\ntcp 192.0.2.2:5060";
    "NAPTR with UDP only here":
        "sip:example.com", "udp", RFC_3263 => "udp 192.0.2.1:5060\nudp 192.0.2.2:5060";
    // conformance: 304
    "NAPTR for sips keeps SIPS only":
        "sips:example.com", V4, "
        example.com NAPTR 10 1 s SIP+D2T _sip._tcp.example.com
        example.com NAPTR 20 1 s SIPS+D2T _sips._tcp.example.com
        _sip._tcp.example.com SRV 0 0 5060 a.example
        _sips._tcp.example.com SRV 0 0 5061 a.example
        a.example A 192.0.2.1" => "tls 192.0.2.1:5061 example.com";
    // conformance: 305
    "NAPTR for sip keeps SIPS":
        "sip:example.com", V4, "
        example.com NAPTR 10 1 s SIPS+D2T _x.b.example
        _x.b.example SRV 0 0 5061 a.example
        a.example A 192.0.2.1" => "tls 192.0.2.1:5061 example.com";
    "preference decides within an order":
        "sip:example.com", V4, "
        example.com NAPTR 10 30 s SIP+D2U _u.example.com
        example.com NAPTR 10 10 s SIP+D2T _t.example.com
        example.com NAPTR 10 20 s SIPS+D2T _s.example.com
        _u.example.com SRV 0 0 5060 a.example
        _t.example.com SRV 0 0 5060 a.example
        _s.example.com SRV 0 0 5061 a.example
        a.example A 192.0.2.1"
        => "tcp 192.0.2.1:5060\ntls 192.0.2.1:5061 example.com\nudp 192.0.2.1:5060";
    "the order decides before preference":
        "sip:example.com", V4, "
        example.com NAPTR 20 1 s SIP+D2U _u.example.com
        example.com NAPTR 10 99 s SIP+D2T _t.example.com
        _u.example.com SRV 0 0 5060 a.example
        _t.example.com SRV 0 0 5060 a.example
        a.example A 192.0.2.1" => "tcp 192.0.2.1:5060";
    "an order that leads nowhere is passed over":
        "sip:example.com", V4, "
        example.com NAPTR 10 1 s SIP+D2T _t.example.com
        example.com NAPTR 20 1 s SIP+D2U _u.example.com
        _t.example.com SRV 0 0 5060 .
        _u.example.com SRV 0 0 5060 a.example
        a.example A 192.0.2.1" => "udp 192.0.2.1:5060";
    // conformance: 306, 336
    "services of others are skipped":
        "sip:example.com", V4, "
        example.com NAPTR 1 1 s SIP+D2X _x.example.com
        example.com NAPTR 2 1 s SIP+D2S _sip._sctp.example.com
        example.com NAPTR 3 1 u E2U+sip !^.*$!sip:x@b.example!
        example.com NAPTR 4 1 s SIPS+D2U _y.example.com
        example.com NAPTR 5 1 s sip+d2t _t.example.com
        _x.example.com SRV 0 0 5060 a.example
        _y.example.com SRV 0 0 5060 a.example
        _t.example.com SRV 0 0 5060 a.example
        a.example A 192.0.2.1" => "tcp 192.0.2.1:5060";
    // conformance: 308
    "NAPTR with another flag or a regular expression is skipped":
        "sip:example.com", V4, "
        example.com NAPTR 1 1 a SIP+D2T a.example
        example.com NAPTR 2 1 u SIP+D2T _t.example.com
        example.com NAPTR 3 1 s SIP+D2T _t.example.com !x!y!
        example.com NAPTR 4 1 s SIP+D2T .
        example.com NAPTR 5 1 S SIP+D2U _u.example.com
        _t.example.com SRV 0 0 5060 a.example
        _u.example.com SRV 0 0 5060 a.example
        a.example A 192.0.2.1" => "udp 192.0.2.1:5060";
    // conformance: 309
    "the replacement may lie in another domain, and the TLS name stays":
        "sips:example.com", V4, "
        example.com NAPTR 1 1 s SIPS+D2T _sips._tcp.school.edu
        _sips._tcp.school.edu SRV 0 0 5061 sip.school.edu
        sip.school.edu A 192.0.2.5" => "tls 192.0.2.5:5061 example.com";
    // conformance: 311
    "NAPTR of no use is as none":
        "sip:a.example", V4, "
        a.example NAPTR 1 1 s SIP+D2S _sip._sctp.a.example
        _sip._tcp.a.example SRV 0 0 5071 t.a.example
        t.a.example A 192.0.2.2" => "tcp 192.0.2.2:5071";
    "NAPTR for protocols that nothing here sends on is as none":
        "sip:a.example", "udp", "
        a.example NAPTR 1 1 s SIPS+D2T _sips._tcp.a.example
        a.example A 192.0.2.2" => "udp 192.0.2.2:5060";
    // conformance: 334
    "NAPTR with WebSocket services":
        "sip:a.example", V4, "
        a.example NAPTR 1 2 s SIP+D2W _ws.a.example
        a.example NAPTR 1 1 s SIPS+D2W _wss.a.example
        _ws.a.example SRV 0 0 8080 w.a.example
        _wss.a.example SRV 0 0 8443 w.a.example
        w.a.example A 192.0.2.2" => "wss 192.0.2.2:8443 a.example\nws 192.0.2.2:8080";
    "NAPTR with WebSocket services for sips":
        "sips:a.example", V4, "
        a.example NAPTR 1 1 s SIP+D2W _ws.a.example
        a.example NAPTR 1 2 s SIPS+D2W _wss.a.example
        _ws.a.example SRV 0 0 8080 w.a.example
        _wss.a.example SRV 0 0 8443 w.a.example
        w.a.example A 192.0.2.2" => "wss 192.0.2.2:8443 a.example";
    "NAPTR whose SRV records are not there leads to the domain's own addresses":
        "sip:a.example", V4, "
        a.example NAPTR 1 1 s SIP+D2T _t.a.example
        a.example A 192.0.2.2" => "tcp 192.0.2.2:5060";
    // conformance: 338
    "NAPTR that fails is as none for sip":
        "sip:a.example", V4, "
        a.example NAPTR fails
        _sip._tcp.a.example SRV 0 0 5071 t.a.example
        t.a.example A 192.0.2.2" => "tcp 192.0.2.2:5071";
    "NAPTR that never comes is as none for sip":
        "sip:a.example", V4, "
        a.example NAPTR never
        _sip._tcp.a.example SRV 0 0 5071 t.a.example
        t.a.example A 192.0.2.2" => "tcp 192.0.2.2:5071";
    "NAPTR that fails is a failure for sips":
        "sips:a.example", V4, "
        a.example NAPTR fails
        _sips._tcp.a.example SRV 0 0 5071 t.a.example
        t.a.example A 192.0.2.2" => "error: DNS lookup of NAPTR a.example: the name server failed";
    "SRV that fails is not as none":
        "sip:a.example", V4, "
        _sip._udp.a.example SRV fails
        a.example A 192.0.2.2" => "error: DNS lookup of SRV _sip._udp.a.example: the name server failed";
    "SRV that never comes is not as none":
        "sip:a.example", V4, "
        _sip._tcp.a.example SRV never
        a.example A 192.0.2.2" => "error: DNS lookup of SRV _sip._tcp.a.example: no name server answered in time";
    "SRV that fails leaves the other protocols":
        "sip:a.example", V4, "
        _sip._udp.a.example SRV fails
        _sip._tcp.a.example SRV 0 0 5071 t.a.example
        t.a.example A 192.0.2.2" => "tcp 192.0.2.2:5071";
    "an address that fails leaves the other servers":
        "sip:a.example;transport=tcp", V4, "
        _sip._tcp.a.example SRV 0 0 5071 t.a.example
        _sip._tcp.a.example SRV 1 0 5072 s.a.example
        t.a.example A fails
        s.a.example A 192.0.2.2" => "tcp 192.0.2.2:5072";
    "an address that never comes leaves the other servers":
        "sip:a.example;transport=tcp", V4, "
        _sip._tcp.a.example SRV 0 0 5071 t.a.example
        _sip._tcp.a.example SRV 1 0 5072 s.a.example
        t.a.example A never
        s.a.example A 192.0.2.2" => "tcp 192.0.2.2:5072";
    "nothing ever comes":
        "sip:a.example:5060", V4, "a.example A never" => "error: DNS lookup of A a.example: no name server answered in time";

    // conformance: 310
    "without NAPTR there is SRV, in the configured order":
        "sip:a.example", V4, NO_NAPTR
        => "udp 192.0.2.1:5070\ntcp 192.0.2.2:5071\ntls 192.0.2.3:5072 a.example";
    "without NAPTR only what can be sent on":
        "sip:a.example", "tcp tls", NO_NAPTR
        => "tcp 192.0.2.2:5071\ntls 192.0.2.3:5072 a.example";
    "without NAPTR sips asks for _sips._tcp only":
        "sips:a.example", V4, NO_NAPTR => "tls 192.0.2.3:5072 a.example";
    // conformance: 312, 316
    "without SRV the addresses at the default port, over UDP":
        "sip:a.example", V4, ONE_NAME => "udp 192.0.2.1:5060";
    "without SRV the addresses at the default port, over TLS for sips":
        "sips:a.example", V4, ONE_NAME => "tls 192.0.2.1:5061 a.example";
    "without SRV over TCP where there is no UDP":
        "sip:a.example", "tcp", ONE_NAME => "tcp 192.0.2.1:5060";
    // conformance: 315, 326
    "with a transport, its SRV":
        "sip:a.example;transport=tcp", V4, NO_NAPTR => "tcp 192.0.2.2:5071";
    "with a transport and without its SRV, the addresses":
        "sip:a.example;transport=tcp", V4, ONE_NAME => "tcp 192.0.2.1:5060";
    "with sips and transport=tcp, _sips._tcp":
        "sips:a.example;transport=tcp", V4, NO_NAPTR => "tls 192.0.2.3:5072 a.example";
    // conformance: 321
    "the priority of SRV":
        "sip:a.example;transport=udp", V4, "
        _sip._udp.a.example SRV 30 0 5060 c.a.example
        _sip._udp.a.example SRV 10 0 5060 a.a.example
        _sip._udp.a.example SRV 20 9 5060 b.a.example
        a.a.example A 192.0.2.1
        b.a.example A 192.0.2.2
        c.a.example A 192.0.2.3"
        => "udp 192.0.2.1:5060\nudp 192.0.2.2:5060\nudp 192.0.2.3:5060";
    // conformance: 323
    "SRV with the root as target is no service":
        "sip:a.example;transport=udp", V4, "
        _sip._udp.a.example SRV 0 0 0 .
        a.example A 192.0.2.1" => "error: DNS lists no reachable service of a.example";
    "one protocol not offered, another is":
        "sip:a.example", V4, "
        _sip._udp.a.example SRV 0 0 0 .
        _sip._tcp.a.example SRV 0 0 5060 t.a.example
        t.a.example A 192.0.2.1" => "tcp 192.0.2.1:5060";
    "one protocol not offered, nothing said of the others":
        "sip:a.example", V4, "
        _sip._udp.a.example SRV 0 0 0 .
        a.example A 192.0.2.1" => "error: DNS lists no reachable service of a.example";
    "a server at port 0 is skipped":
        "sip:a.example;transport=udp", V4, "
        _sip._udp.a.example SRV 0 0 0 a.a.example
        _sip._udp.a.example SRV 1 0 5060 b.a.example
        a.a.example A 192.0.2.1
        b.a.example A 192.0.2.2" => "udp 192.0.2.2:5060";
    "a server without an address is skipped":
        "sip:a.example;transport=udp", V4, "
        _sip._udp.a.example SRV 0 0 5060 a.a.example
        _sip._udp.a.example SRV 1 0 5060 b.a.example
        b.a.example A 192.0.2.2" => "udp 192.0.2.2:5060";
    "a server named by an address or by no name is skipped":
        "sip:a.example;transport=udp", V4, "
        _sip._udp.a.example SRV 0 0 5060 192.0.2.7
        _sip._udp.a.example SRV 0 0 5060 a..example
        _sip._udp.a.example SRV 1 0 5060 b.a.example
        b.a.example A 192.0.2.2" => "udp 192.0.2.2:5060";
    "servers without any address are no reason to ask the domain itself":
        "sip:a.example;transport=udp", V4, "
        _sip._udp.a.example SRV 0 0 5060 a.a.example
        a.example A 192.0.2.2" => "error: DNS lists no reachable service of a.example";
    "the same place twice is one target":
        "sip:a.example;transport=udp", V4, "
        _sip._udp.a.example SRV 0 0 5060 a.a.example
        _sip._udp.a.example SRV 1 0 5060 b.a.example
        _sip._udp.a.example SRV 2 0 5061 b.a.example
        a.a.example A 192.0.2.2
        b.a.example A 192.0.2.2" => "udp 192.0.2.2:5060\nudp 192.0.2.2:5061";
    "two addresses of one server come before the next server":
        "sip:a.example;transport=tls", V4, "
        _sips._tcp.a.example SRV 0 0 5061 a.a.example
        _sips._tcp.a.example SRV 1 0 5061 b.a.example
        a.a.example A 192.0.2.1 192.0.2.3
        b.a.example A 192.0.2.2"
        => "tls 192.0.2.1:5061 a.example\ntls 192.0.2.3:5061 a.example\ntls 192.0.2.2:5061 a.example";

    // conformance: 328, 330
    "both families of one server, and then those of the next":
        "sip:example.com;transport=tcp", "all", RFC_7984
        => "tcp [2001:db8:58:c02::face]:5060\ntcp 192.0.2.45:5060
            tcp [2001:db8:c:a06::2:cafe]:5060\ntcp 203.0.113.109:5060";
    // conformance: 329
    "addresses of a family that nothing here sends on are left out":
        "sip:example.com;transport=tcp", "tcp4", RFC_7984
        => "tcp 192.0.2.45:5060\ntcp 203.0.113.109:5060";
    "a server of the other family only is passed over":
        "sip:a.example;transport=tcp", V4, "
        _sip._tcp.a.example SRV 0 0 5060 a.a.example
        _sip._tcp.a.example SRV 1 0 5060 b.a.example
        a.a.example AAAA 2001:db8::1
        b.a.example A 192.0.2.2" => "tcp 192.0.2.2:5060";
    // conformance: 333
    "the families take turns":
        "sip:a.example:5060", "all", "
        a.example A 192.0.2.1 192.0.2.2 192.0.2.3
        a.example AAAA 2001:db8::1 2001:db8::2"
        => "udp [2001:db8::1]:5060\nudp 192.0.2.1:5060
            udp [2001:db8::2]:5060\nudp 192.0.2.2:5060\nudp 192.0.2.3:5060";
    "addresses that nobody has are left out":
        "sip:a.example:5060", "all", "
        a.example A 0.0.0.0 255.255.255.255 192.0.2.1
        a.example AAAA :: ::ffff:192.0.2.9 2001:db8::1"
        => "udp [2001:db8::1]:5060\nudp 192.0.2.1:5060";
    "an address of the wrong type is left out":
        "sip:a.example:5060", "all", "a.example A 2001:db8::1 192.0.2.1"
        => "udp 192.0.2.1:5060";
    "a group takes datagrams":
        "sip:sip.mcast.net", "all", "sip.mcast.net A 224.0.1.75" => "udp 224.0.1.75:5060";
    "a group takes no connections":
        "sip:sip.mcast.net;transport=tcp", "all", "sip.mcast.net A 224.0.1.75"
        => "error: DNS lists no reachable address of sip.mcast.net";

    "names under invalid are nowhere":
        "sip:x7f3.Invalid", V4, "x7f3.invalid A 192.0.2.1"
        => "error: x7f3.invalid does not exist in DNS (NXDOMAIN)";
    "names under invalid are nowhere, with a port too":
        "sip:a.invalid.:5060", V4, "a.invalid A 192.0.2.1"
        => "error: a.invalid does not exist in DNS (NXDOMAIN)";
    "a server under invalid is nowhere":
        "sip:a.example;transport=udp", V4, "
        _sip._udp.a.example SRV 0 0 5060 a.invalid
        a.invalid A 192.0.2.1" => "error: DNS lists no reachable service of a.example";
    "localhost is this host":
        "sip:localhost", "all", "localhost A 192.0.2.1"
        => "udp [::1]:5060\nudp 127.0.0.1:5060";
    "localhost is this host, with a port and a transport":
        "sip:x.localhost:5070;transport=tcp", V4, "" => "tcp 127.0.0.1:5070";
    "port 0 is no port":
        "sip:a.example:0", V4, ONE_NAME => "error: port 0 cannot be sent to";
    "a name that is too long to have services has addresses still":
        "sip:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc.ddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
        V4, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc.ddddddddddddddddddddddddddddddddddddddddddddddddddddddd A 192.0.2.1"
        => "udp 192.0.2.1:5060";
};

fn trimmed(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn each_uri_leads_where_rfc_3263_says_in_whatever_order_answers_come() {
    assert!(TABLE.len() >= 60);
    let mut wrong = Vec::new();
    for row in TABLE {
        let choices: [fn(usize) -> usize; 3] = [|_| 0, |open| open - 1, |open| open / 2];
        for choose in choices {
            let mut world = World::new(ResolveConfig::default(), row.zone);
            let (result, _) = world.plan(row.uri, row.can, choose);
            let (targets, expected) = (lines(&result), trimmed(row.targets));
            if targets != expected {
                wrong.push(format!("{}: got\n{targets}\nnot\n{expected}\n", row.rule));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn with(set: impl FnOnce(&mut ResolveConfig), uri: &str, zone: &str) -> String {
    let mut config = ResolveConfig::default();
    set(&mut config);
    lines(&World::new(config, zone).plan(uri, "all", |_| 0).0)
}

#[test]
fn the_order_of_protocols_is_a_setting() {
    let order = [Protocol::Tls, Protocol::Udp];
    let set = |config: &mut ResolveConfig| {
        config.protocols(&order);
    };
    assert_eq!(
        with(set, "sip:a.example", NO_NAPTR),
        "tls 192.0.2.3:5072 a.example\nudp 192.0.2.1:5070"
    );
    assert_eq!(
        with(set, "sip:192.0.2.1", ""),
        "tls 192.0.2.1:5061 192.0.2.1"
    );
}

#[test]
fn the_family_that_comes_first_is_a_setting() {
    let set = |config: &mut ResolveConfig| {
        config.family(Family::Ipv4);
    };
    let zone = "a.example A 192.0.2.1\na.example AAAA 2001:db8::1";
    assert_eq!(
        with(set, "sip:a.example:5060", zone),
        "udp 192.0.2.1:5060\nudp [2001:db8::1]:5060"
    );
}

// conformance: 307
#[test]
fn later_naptr_orders_follow_only_where_the_setting_says_so() {
    let set = |config: &mut ResolveConfig| {
        config.later_orders(true);
    };
    assert_eq!(
        with(set, "sip:example.com", RFC_3263),
        "tls 192.0.2.1:5061 example.com\ntls 192.0.2.2:5061 example.com\n\
         tcp 192.0.2.1:5060\ntcp 192.0.2.2:5060\nudp 192.0.2.1:5060\nudp 192.0.2.2:5060"
    );
}

#[test]
fn a_place_in_two_naptr_orders_is_one_target() {
    let set = |config: &mut ResolveConfig| {
        config.later_orders(true);
    };
    let zone = "
        a.example NAPTR 1 1 s SIP+D2T _x.a.example
        a.example NAPTR 2 1 s SIP+D2T _y.a.example
        _x.a.example SRV 0 0 5060 b.example
        _y.a.example SRV 0 0 5060 b.example
        b.example A 192.0.2.1";
    assert_eq!(with(set, "sip:a.example", zone), "tcp 192.0.2.1:5060");
}
