//! URIs (RFC 3261 §19.1 and §25.1, RFC 3966, RFC 5954).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use proptest::prelude::*;
use sip_core::uri::{SipUri, Uri, UriHeaders, UriParam, UriParams, escape};
use sip_core::{Host, HostPort, ValueError};

fn sip(text: &str) -> SipUri<'_> {
    SipUri::try_from(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn escaped(plain: &str, length: &str) -> BoxedStrategy<String> {
    let regex = format!("([{plain}]|%[0-9A-Fa-f]{{2}}){{{length}}}");
    proptest::string::string_regex(&regex).unwrap().boxed()
}

/// Any SIP URI of the grammar.
fn sip_text() -> impl Strategy<Value = String> {
    let unreserved = "a-zA-Z0-9_.!~*'()-";
    let user = escaped(&format!("&=+$,;?/{unreserved}"), "1,10");
    let password = escaped(&format!("&=+$,{unreserved}"), "0,6");
    let param = escaped(&format!("\\[\\]/:&+${unreserved}"), "1,6");
    let header = escaped(&format!("\\[\\]/?:+${unreserved}"), "1,6");
    (
        "[sS][iI][pP][sS]?",
        proptest::option::of((user, proptest::option::of(password))),
        prop_oneof![
            "([a-z0-9]{1,4}\\.){0,2}[a-z][a-z0-9]{0,4}\\.?",
            any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string()),
            any::<std::net::Ipv6Addr>().prop_map(|ip| format!("[{ip}]")),
        ],
        proptest::option::of(any::<u16>()),
        proptest::collection::vec((param.clone(), proptest::option::of(param)), 0..4),
        proptest::collection::vec((header.clone(), header), 0..4),
    )
        .prop_map(|(scheme, userinfo, host, port, params, headers)| {
            let mut text = format!("{scheme}:");
            if let Some((user, password)) = userinfo {
                text += &user;
                if let Some(password) = password {
                    text += &format!(":{password}");
                }
                text += "@";
            }
            text += &host;
            if let Some(port) = port {
                text += &format!(":{port}");
            }
            for (i, (name, value)) in params.iter().enumerate() {
                text += &format!(";p{i}{name}");
                if let Some(value) = value {
                    text += &format!("={value}");
                }
            }
            for (i, (name, value)) in headers.iter().enumerate() {
                text += if i == 0 { "?" } else { "&" };
                text += &format!("{name}={value}");
            }
            text
        })
}

proptest! {
    // conformance: 191, 197, 200; bad-inputs: R6, R18
    #[test]
    fn what_was_parsed_is_printed_byte_for_byte(text in sip_text()) {
        let uri = Uri::try_from(text.as_str()).unwrap();
        prop_assert_eq!(uri.to_string(), text.as_str());
        prop_assert!(uri.as_sip().is_some());
        prop_assert!(uri.equivalent(&uri));
    }

    #[test]
    fn a_uri_written_anew_from_its_parts_is_equivalent(text in sip_text()) {
        let uri = sip(&text);
        let anew = uri.with_host_port(uri.host_port()).to_string();
        prop_assert!(sip(&anew).equivalent(&uri), "{}", anew);
        prop_assert_eq!(sip(&anew).params().to_string(), uri.params().to_string());
        prop_assert_eq!(sip(&anew).headers().to_string(), uri.headers().to_string());
    }

    // conformance: 213
    #[test]
    fn the_request_uri_of_any_uri_is_a_uri_without_headers(text in sip_text()) {
        let request_uri = sip(&text).request_uri().to_string();
        prop_assert!(sip(&request_uri).headers().is_empty());
        prop_assert!(sip(&request_uri).method().is_none());
    }

    #[test]
    fn any_bytes_parse_and_print_or_fail_within_them(
        data in prop_oneof![
            any::<Vec<u8>>(),
            "(sips?|tel|x):[a-f0-9@:;=?&%.+*\\[\\]-]{0,40}".prop_map(String::into_bytes),
        ]
    ) {
        match Uri::parse(&data) {
            Ok(uri) => {
                let printed = uri.to_string();
                prop_assert_eq!(printed.as_bytes(), &*data);
                let _ = format!("{uri:?}");
                prop_assert!(uri.equivalent(&uri));
            }
            Err(error) => prop_assert!(error.offset() <= data.len()),
        }
    }

    #[test]
    fn text_cut_anywhere_never_panics(text in sip_text()) {
        for end in 0..text.len() {
            let _ = Uri::parse(&text.as_bytes()[..end]);
        }
    }

    // conformance: 198
    #[test]
    fn decode_gives_back_what_each_component_encoded(data: Vec<u8>) {
        for encoded in [escape::user(&data), escape::param(&data), escape::header(&data)] {
            prop_assert_eq!(&*escape::decode(&*encoded), &*data);
        }
    }

    // conformance: 198
    #[test]
    fn what_is_encoded_fits_its_component(data in proptest::collection::vec(any::<u8>(), 1..20)) {
        let (user, param, header) = (escape::user(&data), escape::param(&data), escape::header(&data));
        let text = format!("sip:{user}@h;{param}={param}?{header}={header}");
        // Only a few names have values of their own grammar.
        prop_assume!(!["ttl", "maddr"].contains(&param.to_ascii_lowercase().as_str()));
        let uri = sip(&text);
        prop_assert_eq!(uri.user(), Some(&*user));
        prop_assert_eq!(uri.params().iter().next().unwrap().value(), Some(&*param));
        prop_assert_eq!(&*uri.headers().iter().next().unwrap().decoded_value(), &*data);
    }

    #[test]
    fn equivalence_is_symmetric(a in sip_text(), b in sip_text()) {
        prop_assert_eq!(sip(&a).equivalent(&sip(&b)), sip(&b).equivalent(&sip(&a)));
    }

    // conformance: 204
    #[test]
    fn an_unreserved_character_equals_its_escape(user in "[a-zA-Z0-9_.!~*'()-]{1,8}") {
        let hex: String = user.bytes().map(|b| format!("%{b:02x}")).collect();
        let (plain, hex) = (format!("sip:{user}@h"), format!("sip:{hex}@h"));
        prop_assert!(sip(&plain).equivalent(&sip(&hex)));
    }
}

#[test]
fn the_parts_are_found() {
    let uri =
        sip("sips:alice:pw@[2001:db8::1]:5071;transport=tcp;maddr=239.255.255.1;ttl=15;lr?a=b&c=");
    assert!(uri.is_secure());
    assert_eq!((uri.user(), uri.password()), (Some("alice"), Some("pw")));
    assert_eq!(uri.host(), Host::V6("2001:db8::1".parse().unwrap()));
    assert_eq!(uri.port(), Some(5071));
    assert_eq!(uri.transport(), Some("tcp"));
    assert_eq!(
        uri.maddr(),
        Some(Host::V4("239.255.255.1".parse().unwrap()))
    );
    assert_eq!(uri.ttl(), Some(15));
    assert!(uri.is_loose_router());
    let headers: Vec<_> = uri
        .headers()
        .iter()
        .map(|h| (h.name(), h.value()))
        .collect();
    assert_eq!(headers, [("a", "b"), ("c", "")]);
}

// RFC 3261 §19.1.3
#[test]
fn the_examples_of_the_rfc_parse() {
    for text in [
        "sip:alice@atlanta.com",
        "sip:alice:secretword@atlanta.com;transport=tcp",
        "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:+1-212-555-1212:1234@gateway.com;user=phone",
        "sips:1212@gateway.com",
        "sip:alice@192.0.2.4",
        "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
        "sip:alice;day=tuesday@atlanta.com",
    ] {
        assert_eq!(sip(text).to_string(), text);
    }
}

// conformance: 186; bad-inputs: R15
#[test]
fn the_scheme_is_read_in_any_case_and_sips_stays_secure() {
    assert!(!sip("SIP:a@b").is_secure());
    assert!(sip("SiPs:a@b").is_secure());
    assert!(sip("sips:host;transport=tcp").is_secure());
    assert!(sip("sips:192.0.2.1").is_secure());
    assert_eq!(Uri::try_from("SIPS:a@b").unwrap().scheme(), "sips");
}

// conformance: 187
#[test]
fn an_at_sign_needs_a_user_before_it() {
    for text in ["sip:@host", "sip::pw@host", "sip:@", "sips:@host"] {
        assert!(SipUri::try_from(text).is_err(), "{text}");
    }
}

// conformance: 188; bad-inputs: R6; rfc4475 intmeth, semiuri
#[test]
fn a_user_may_hold_separators() {
    let cases = [
        ("sip:a;b?c=d@h", "a;b?c=d", None),
        (
            "sip:user;par=u%40example.net@example.com",
            "user;par=u%40example.net",
            None,
        ),
        (
            "sip:+1555;phone-context=x@gw.example;user=phone",
            "+1555;phone-context=x",
            None,
        ),
        ("sip:&=+$,;?/@h", "&=+$,;?/", None),
        ("sip:192.0.2.1:5060@h", "192.0.2.1", Some("5060")),
        ("sip:a:@h", "a", Some("")),
        (
            "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
            "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*",
            Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"),
        ),
    ];
    for (text, user, password) in cases {
        let uri = sip(text);
        assert_eq!(
            (uri.user(), uri.password()),
            (Some(user), password),
            "{text}"
        );
        assert_eq!(uri.to_string(), text);
    }
}

// conformance: 189
#[test]
fn debug_does_not_show_passwords() {
    let uri = Uri::try_from("sip:alice:secretword@h;x=1?a=b").unwrap();
    assert_eq!(format!("{uri:?}"), "Sip(sip:alice:***@h;x=1?a=b)");
    let request_uri = sip("sip:alice:secretword@h?a=b").request_uri();
    assert!(!format!("{request_uri:?}").contains("secretword"));
    let uri = Uri::try_from("http://alice:secretword@h/").unwrap();
    assert_eq!(format!("{uri:?}"), "Other(http:***@h/)");
}

// conformance: 190
#[test]
fn a_parameter_name_may_come_once_only() {
    for text in [
        "sip:h;lr;lr",
        "sip:h;a=1;b;A=2",
        "sip:h;lr;%6Cr",
        "sip:h;%6cr;x;lr",
        "sip:h;a%2f;A%2F",
    ] {
        let error = SipUri::try_from(text).unwrap_err();
        assert!(
            matches!(error, ValueError::Repeated { .. }),
            "{text}: {error}"
        );
    }
    // An escaped separator is not the separator.
    sip("sip:h;a%2f;a/");
}

// conformance: 195
#[test]
fn lr_is_known_with_and_without_a_value() {
    for text in ["sip:h;lr", "sip:h;lr=on", "sip:h;LR=true"] {
        assert!(sip(text).is_loose_router(), "{text}");
    }
    assert!(!sip("sip:h;lrx").is_loose_router());
}

// conformance: 59, 60, 66
#[test]
fn maddr_and_ttl_follow_their_own_grammar() {
    for good in [
        "sip:h;maddr=[::1]",
        "sip:h;maddr=example.com",
        "sip:h;ttl=0",
        "sip:h;ttl=015",
    ] {
        sip(good);
    }
    assert_eq!(
        sip("sip:h;MAddr=[::1]").maddr(),
        Some(Host::V6("::1".parse().unwrap()))
    );
    assert_eq!(sip("sip:h;ttl=015").ttl(), Some(15));
    for bad in [
        "sip:h;maddr",
        "sip:h;maddr=::1",
        "sip:h;maddr=1.2.3.256",
        "sip:h;maddr=a/b",
        "sip:h;ttl",
        "sip:h;ttl=256",
        "sip:h;ttl=0001",
        "sip:h;ttl=1x",
        "sip:h;ttl=-1",
    ] {
        assert!(SipUri::try_from(bad).is_err(), "{bad}");
    }
    assert!(UriParam::new("ttl", "256").is_err());
    assert!(UriParam::new("maddr", "::1").is_err());
}

// conformance: 49, 57, 60, 65, 199; bad-inputs: P5, P8; rfc5118 ipv6-bad
#[test]
fn what_the_grammar_does_not_have_is_refused() {
    for bad in [
        "",
        "sip",
        "sip:",
        "sips:",
        "sip:;",
        "sip:?",
        "sip:;sip:;",
        "sip: h",
        "sip:h ",
        " sip:h",
        "sip:a@",
        "sip:a@b@c",
        "sip:a@h:",
        "sip:a@h:65536",
        "sip:a@h:x",
        "sip:h:99999",
        "sip:2001:db8::10",
        "sip:a@2001:db8::10",
        "sip:[]",
        "sip:[::1",
        "sip:a@[::1",
        "sip:::1",
        "sip:a@ex%61mple.com",
        "sip:ex%61mple.com",
        "sip:444.555.666.777",
        "sip:127.0.0.1a",
        "sip:a b@h",
        "sip:a\"b@h",
        "sip:a<b@h",
        "sip:a@h>",
        "sip:a#b@h",
        "sip:a[b@h",
        "sip:\u{e4}@h",
        "sip:a%@h",
        "sip:a%4@h",
        "sip:a%4g@h",
        "sip:a@h;x=%",
        "sip:a@h;x=%4",
        "sip:a@h;%",
        "sip:a@h;",
        "sip:a@h;;lr",
        "sip:a@h;lr;",
        "sip:a@h; lr",
        "sip:a@h;lr =1",
        "sip:a@h;=1",
        "sip:a@h;x=",
        "sip:a@h;x=a=b",
        "sip:a@h;x=a,b",
        "sip:a@h;x=\"a\"",
        "sip:a@h;x=<a>",
        "sip:a@h?",
        "sip:a@h?x",
        "sip:a@h?=y",
        "sip:a@h?x=y&",
        "sip:a@h?&x=y",
        "sip:a@h?x=y=z",
        "sip:a@h?x=y;z",
        "sip:a@h?x=%",
        "sip:a@h/path",
        "sip:a@h#f",
        "sip:a@h:5060?",
        "sip:a@h\r\n",
        "sip:a@h\0",
        "sip:a\0@h",
        "/",
        ":",
        "1x:y",
        "x:",
        "x:y z",
        "x:<y>",
        "x:%",
        "x:%4",
        "%73ip:a@h",
        "sip%3Aa@h",
        "sip :a@h",
        "tel:",
        "tel:+",
        "tel:+-",
        "tel:alice",
        "tel:+12a",
        "tel:1 2",
        "tel:+1;",
        "tel:+1;x=",
        "tel:+1;x;X",
        "tel:+1@h",
    ] {
        assert!(Uri::try_from(bad).is_err(), "{bad:?}");
    }
}

// conformance: 68, 200, 201; rfc4475 esc01, escnull
#[test]
fn escapes_are_decoded_once_and_only_when_asked_for() {
    let uri = sip("sip:sips%3Auser%40example.com@example.net");
    assert_eq!(uri.user(), Some("sips%3Auser%40example.com"));
    assert_eq!(uri.host(), Host::Name("example.net"));
    assert_eq!(
        *escape::decode(uri.user().unwrap()),
        *b"sips:user@example.com"
    );
    assert_eq!(*escape::decode("value%2541"), *b"value%41");
    assert_eq!(*escape::decode("a%00b%0d%0a"), *b"a\0b\r\n");
    assert_eq!(*escape::decode("%"), *b"%");
    assert_eq!(*escape::decode("%4%41%g1"), *b"%4A%g1");
    for text in [
        "sip:null-%00-null@example.com",
        "sip:a%0D%0Ab@h",
        "sip:%00%00@host5.example.com",
    ] {
        assert_eq!(sip(text).to_string(), text);
    }
}

// rfc5118 port-ambiguous, port-unambiguous
#[test]
fn a_port_inside_the_brackets_is_none() {
    assert_eq!(sip("sip:[2001:db8::10:5070]").port(), None);
    assert_eq!(sip("sip:[2001:db8::10]:5070").port(), Some(5070));
}

// rfc4475, rfc5118: the URIs of the messages that are to be accepted
#[test]
fn unusual_uris_of_the_torture_messages_parse() {
    for text in [
        "sip:vivekg@chair-dnrc.example.com;unknownparam",
        "sip:%75se%72@example.com",
        "sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31",
        "sip:I%20have%20spaces@example.net",
        "sip:+19725552222@gw1.example.net;unknownparam",
        "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
        "sip:user;par=u%40example.net@example.com",
        "sip:ted@[::ffff:192.0.2.2]",
        "nobodyKnowsThisScheme:totallyopaquecontent",
        "soap.beep://192.0.2.103:3002",
        "http://www.example.com",
        "name:John_Smith",
        "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
        "tel:+1-201-555-0123",
        "tel:7042;phone-context=example.com",
        "tel:*67#911",
        "im:alice@example.com",
    ] {
        let uri = Uri::try_from(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(uri.to_string(), text);
    }
    assert_eq!(
        sip("sip:c@h;%6C%72;n%61me=v").params().value("name"),
        Some("v")
    );
}

// conformance: 213
#[test]
fn a_request_uri_keeps_all_but_method_and_headers() {
    let uri = sip(
        "sip:b:pw@h:5061;transport=tcp;maddr=192.0.2.1;Method=SUBSCRIBE;ttl=1;user=ip;x=y;lr?Event=z",
    );
    assert_eq!(uri.method(), Some("SUBSCRIBE"));
    assert_eq!(
        uri.request_uri().to_string(),
        "sip:b:pw@h:5061;transport=tcp;maddr=192.0.2.1;ttl=1;user=ip;x=y;lr"
    );
    assert_eq!(
        sip("SIP:h:05060;lr").request_uri().to_string(),
        "SIP:h:05060;lr"
    );
}

// conformance: 214, 68
#[test]
fn dangerous_headers_of_a_uri_are_not_to_be_honoured() {
    let uri = sip(
        "sip:h?Subject=x&Route=%3Csip:evil%3E&from=a&Call-ID=b&CSeq=1&v=x&Record-Route=y&Accept=z\
         &Allow=INVITE&Contact=a&m=b&Organization=c&k=d&User-Agent=e&Rou%74e=f&a%20b=c&X=a%0d%0aVia:b\
         &Y=%00&body=a%0d%0ab&Supported=g&Accept-Encoding=h&Accept-Language=i",
    );
    let honoured: Vec<_> = uri
        .headers()
        .iter()
        .filter(|h| h.may_be_honoured())
        .map(|h| h.name())
        .collect();
    assert_eq!(honoured, ["Subject", "body"]);
}

#[test]
fn the_numbers_of_parameters_and_headers_are_bounded() {
    let list = |n: usize, separator: &str| {
        (0..n)
            .map(|i| format!("a{i}=b"))
            .collect::<Vec<_>>()
            .join(separator)
    };
    assert!(SipUri::try_from(format!("sip:h;{}", list(128, ";")).as_str()).is_ok());
    assert!(SipUri::try_from(format!("sip:h;{}", list(129, ";")).as_str()).is_err());
    assert!(UriHeaders::parse(list(128, "&").as_bytes()).is_ok());
    assert!(UriHeaders::parse(list(129, "&").as_bytes()).is_err());
}

#[test]
fn a_uri_is_built_from_its_parts() {
    let params = [
        UriParam::new("transport", "tcp").unwrap(),
        UriParam::flag("lr").unwrap(),
    ];
    let uri = SipUri::new(HostPort::new(Host::V6("::1".parse().unwrap()), Some(5070)))
        .with_user("a;b")
        .unwrap()
        .with_secure(true)
        .with_params(UriParams::of(&params))
        .with_headers(UriHeaders::parse(b"a=b").unwrap());
    assert_eq!(uri.to_string(), "sips:a;b@[::1]:5070;transport=tcp;lr?a=b");
    assert_eq!(uri.transport(), Some("tcp"));
    assert!(uri.equivalent(&sip(&uri.to_string())));
    assert_eq!(
        uri.without_user().with_params(UriParams::EMPTY).to_string(),
        "sips:[::1]:5070?a=b"
    );
    let host = HostPort::new(Host::Name("example.com"), None);
    assert_eq!(
        sip("sip:a:pw@h")
            .with_user("b")
            .unwrap()
            .with_host_port(host)
            .to_string(),
        "sip:b@example.com"
    );
    for user in ["", "a@b", "a b", "a:b", "a%4", "\r\n"] {
        assert!(uri.with_user(user).is_err(), "{user:?}");
    }
    for param in ["", "a;b", "a=b", "a b", "a?b", "%", "\r\n"] {
        assert!(UriParam::flag(param).is_err(), "{param:?}");
        assert!(UriParam::new("a", param).is_err(), "{param:?}");
    }
}

#[test]
fn errors_say_where_the_fault_is_in_the_whole_uri() {
    let offset = |text: &str| Uri::try_from(text).unwrap_err().offset();
    for (text, at) in [
        ("sip:@h", 4),
        ("sip:a@-", 6),
        ("sip:a@h:x", 8),
        ("sip:a@h;x=", 10),
        ("sip:a@h;lr;ttl=300", 15),
        ("sip:a@h;maddr=a..b", 16),
        ("sip:a@h?x=y&", 12),
        ("sip:a@h>", 7),
        ("urn:a b", 5),
        ("tel:+1;;", 7),
    ] {
        assert_eq!(offset(text), at, "{text}");
    }
}

/// An escape equals the octet that it stands for, unless that is a reserved one (RFC 3261 §19.1.4,
/// RFC 2396 §2.2).
#[test]
fn a_parameter_name_is_repeated_by_its_escaped_form_too() {
    let repeated = |params: &str| {
        let text = format!("sip:h{params}");
        match SipUri::parse(text.as_bytes()) {
            Ok(_) => None,
            Err(ValueError::Repeated { offset, .. }) => Some(offset - "sip:h".len()),
            Err(error) => panic!("{params}: {error}"),
        }
    };
    let many: String = (0..60)
        .map(|i| format!(";%61%62%63%64%65%66%67%68{i}"))
        .collect();
    for (params, at) in [
        (";abc;a%62c", Some(5)),
        (";%61bc;x;ABC", Some(9)),
        (";a%2Fb;a/b", None),
        (";a%2fb;x;a%2Fb", Some(9)),
        (";a%252fb;a%2fb", None),
        (";a%25b;a%25B", Some(7)),
        (";a%00;a%01;a", None),
        (&format!("{many};x"), None),
        (&format!("{many};abcdefgh7"), Some(many.len() + 1)),
    ] {
        assert_eq!(repeated(params), at, "{params}");
    }
}
