//! Which certificate proves which name (RFC 5922 §7.1, §7.2).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
#![cfg(feature = "tls")]

mod tls_common;

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyPair, NameConstraints,
};
use sip_transport_proto::Protocol;
use sip_transport_proto::sip_core::Host;
use sip_transport_proto::tls::CertificateProblem::{
    BadSignature, CaUsedAsEndEntity, Expired, NameMismatch, NotTrusted, NotYetValid, WildcardOnly,
    WrongPurpose,
};
use sip_transport_proto::tls::rustls::{CertificateError, Error, OtherError};
use sip_transport_proto::tls::{
    CertificateProblem, LocalCertificate, NamePolicy, TlsAlert, TlsConfig, TlsError, TlsName,
    TlsNameError, TlsServer, roots_from_pem,
};
use tls_common::{Certificates, ONLY_TLS12, ONLY_TLS13, Pair, shake_over};

use NamePolicy::{Rfc5922, Rfc5922Wildcards, Rfc6125};

static MADE: LazyLock<Certificates> = LazyLock::new(Certificates::new);

fn name(host: &str) -> TlsName {
    TlsName::new(host).unwrap()
}

fn server(names: &[&str], edit: impl FnOnce(&mut CertificateParams)) -> TlsConfig {
    let certificate = MADE.leaf_with(names, edit).local(MADE.provider());
    TlsServer::new(MADE.provider().clone(), certificate)
        .build()
        .unwrap()
}

/// A client with this policy asks for `host` and is shown a certificate with these names.
fn pair(policy: NamePolicy, names: &[&str], host: &str) -> Pair {
    let client = MADE.client_builder().names(policy).build().unwrap();
    shake_over(Protocol::Tls, &client, &server(names, |_| {}), host)
}

/// Whether the certificate is accepted. If so it must cover the name later too, for reuse; if not,
/// the client must say why, the server be told, and nothing be open.
fn accepts(policy: NamePolicy, names: &[&str], host: &str) -> bool {
    let pair = pair(policy, names, host);
    match pair.client.error {
        None => {
            assert!(pair.is_open());
            assert!(pair.client.tls.identity().unwrap().covers(&name(host)));
            true
        }
        Some(error) => {
            // bad_certificate, or certificate_unknown.
            let alert = match error {
                TlsError::Certificate(NameMismatch) => 42,
                TlsError::Certificate(WildcardOnly) if policy == Rfc5922 => 46,
                other => panic!("{other}"),
            };
            let alert = TlsError::Alert(TlsAlert::new(alert));
            assert!(pair.client.tls.identity().is_none());
            assert_eq!(pair.server.error, Some(alert));
            false
        }
    }
}

#[track_caller]
fn refused(problem: CertificateProblem, config: &TlsConfig, client: &TlsConfig) {
    let pair = shake_over(Protocol::Tls, client, config, "example.com");
    assert_eq!(pair.client.error, Some(TlsError::Certificate(problem)));
    assert!(!pair.is_open());
    assert!(matches!(pair.server.error, Some(TlsError::Alert(_))));
}

// conformance: 267
// bad-inputs: C3
#[test]
fn the_host_of_a_sip_uri_without_user_is_an_identity() {
    let cases: &[(&str, bool)] = &[
        ("sip:example.com", true),
        ("SIP:EXAMPLE.COM", true),
        ("sip:example.com:5061", true),
        ("sip:example.com;transport=tls", true),
        ("sip:example.com?subject=x", true),
        ("sip:example.com.", true),
        ("sip:alice@example.com", false),
        ("sip:@example.com", false),
        ("sip:example.com;user=x@example.com", false),
        ("sips:example.com", false),
        ("https://example.com", false),
        ("im:example.com", false),
        ("sip://example.com", false),
        ("sip:", false),
        ("sip:example.com.attacker.net", false),
        ("sip:attacker.net?example.com", false),
        ("sip:attacker.net;example.com", false),
    ];
    for (uri, expected) in cases {
        for policy in [Rfc5922, Rfc5922Wildcards] {
            assert_eq!(accepts(policy, &[uri], "example.com"), *expected, "{uri}");
        }
        assert!(!accepts(Rfc6125, &[uri], "example.com"), "{uri} on the web");
    }
}

// conformance: 268
#[test]
fn dns_names_count_only_without_a_sip_uri() {
    let both = ["b.example", "sip:a.example"];
    assert!(accepts(Rfc5922, &both, "a.example"));
    assert!(!accepts(Rfc5922, &both, "b.example"));
    assert!(!accepts(
        Rfc5922Wildcards,
        &["*.b.example", "sip:a.example"],
        "x.b.example"
    ));
    // The web knows no SIP URIs.
    assert!(!accepts(Rfc6125, &both, "a.example"));
    assert!(accepts(Rfc6125, &both, "b.example"));
    // URIs that are no identity do not hide them.
    for other in ["sip:alice@a.example", "sips:a.example", "https://a.example"] {
        assert!(
            accepts(Rfc5922, &["b.example", other], "b.example"),
            "{other}"
        );
        assert!(
            !accepts(Rfc5922, &["b.example", other], "a.example"),
            "{other}"
        );
    }
    // One that is meant for SIP and names nothing does.
    assert!(!accepts(
        Rfc5922,
        &["b.example", "sip:a.example\0.b.example"],
        "b.example"
    ));
}

// conformance: 269
// bad-inputs: C3
#[test]
fn the_common_name_never_counts() {
    let common_name = |params: &mut CertificateParams| {
        params.distinguished_name.remove(DnType::CommonName);
        params
            .distinguished_name
            .push(DnType::CommonName, "example.com");
    };
    for policy in [Rfc5922, Rfc5922Wildcards, Rfc6125] {
        let client = MADE.client_builder().names(policy).build().unwrap();
        for names in [&[][..], &["other.example"], &["192.0.2.1"]] {
            refused(NameMismatch, &server(names, common_name), &client);
        }
    }
}

// conformance: 270
// bad-inputs: C3
#[test]
fn names_compare_without_case_and_last_dot() {
    for policy in [Rfc5922, Rfc5922Wildcards, Rfc6125] {
        assert!(accepts(policy, &["Example.COM"], "eXaMPLE.com"));
        assert!(accepts(policy, &["example.com"], "Example.com."));
        assert!(accepts(
            policy,
            &["xn--BCHER-kva.example"],
            "xn--bcher-kva.EXAMPLE"
        ));
        assert!(!accepts(
            policy,
            &["xn--bcher-kva.example"],
            "bucher.example"
        ));
    }
    assert!(accepts(
        Rfc5922,
        &["sip:xn--bcher-kva.example"],
        "XN--bcher-kva.example"
    ));
}

// conformance: 271
#[test]
fn names_match_whole_and_wildcards_are_names_to_nobody() {
    let cases: &[(&[&str], &str)] = &[
        (&["example.com"], "foo.example.com"),
        (&["foo.example.com"], "example.com"),
        (&["*.example.com"], "foo.example.com"),
        (&["sip:*.example.com"], "foo.example.com"),
        (&["sip:.example.com"], "foo.example.com"),
        (&["*.example.com"], "example.com"),
        (&["example.com", "*.example.com"], "foo.example.com"),
    ];
    for (names, host) in cases {
        assert!(!accepts(Rfc5922, names, host), "{names:?} {host}");
    }
}

#[test]
fn a_wildcard_covers_one_label_where_the_policy_has_them() {
    for policy in [Rfc5922Wildcards, Rfc6125] {
        let covers = |san: &str, host: &str| accepts(policy, &[san], host);
        assert!(covers("*.example.com", "foo.example.com"));
        assert!(covers("*.EXAMPLE.com", "FOO.example.com."));
        assert!(!covers("*.example.com", "a.b.example.com"));
        assert!(!covers("*.example.com", "example.com"));
        assert!(!covers("*.com", "example.com"));
        assert!(!covers("f*.example.com", "foo.example.com"));
        assert!(!covers("foo.*.com", "foo.example.com"));
        assert!(!covers("*", "example"));
        assert!(!covers("*.*.com", "foo.example.com"));
    }
    assert!(accepts(
        Rfc5922Wildcards,
        &["sip:*.example.com"],
        "foo.example.com"
    ));
    assert!(!accepts(Rfc5922Wildcards, &["sip:*.com"], "example.com"));
}

// conformance: 275
// bad-inputs: C3
#[test]
fn an_address_is_proven_by_an_address() {
    for policy in [Rfc5922, Rfc5922Wildcards, Rfc6125] {
        assert!(accepts(policy, &["192.0.2.1"], "192.0.2.1"));
        assert!(accepts(policy, &["2001:db8::1"], "[2001:DB8:0::1]"));
        assert!(accepts(
            policy,
            &["sip:example.com", "192.0.2.1"],
            "192.0.2.1"
        ));
        assert!(!accepts(policy, &["192.0.2.1"], "192.0.2.2"));
        assert!(!accepts(policy, &["example.com"], "192.0.2.1"));
        assert!(!accepts(policy, &["192.0.2.1"], "example.com"));
        assert!(!accepts(policy, &["192.0.2.1"], "::ffff:192.0.2.1"));
    }
    // The host of a URI is an identity, whatever it is (RFC 5922 §7.1).
    assert!(accepts(Rfc5922, &["sip:192.0.2.1"], "192.0.2.1"));
    assert!(accepts(Rfc5922, &["sip:[2001:db8::1]:5061"], "2001:db8::1"));
}

// bad-inputs: C3
#[test]
fn a_nul_ends_no_name() {
    for san in [
        "example.com\0.attacker.net",
        "sip:example.com\0.attacker.net",
        "sip:example.com\0",
        "sip:\0example.com",
        "example.com\0",
        "sip:example.com ",
        "sip:example.com%00.attacker.net",
        "sip:exam%70le.com",
    ] {
        for policy in [Rfc5922, Rfc5922Wildcards, Rfc6125] {
            assert!(!accepts(policy, &[san], "example.com"), "{san:?}");
            assert!(!accepts(policy, &[san], "attacker.net"), "{san:?}");
        }
    }
}

// bad-inputs: C3
#[test]
fn long_names_and_many_names_are_only_that() {
    let long = format!("sip:{}example.com", "a.".repeat(15_000));
    assert!(!accepts(Rfc5922, &[&long], "example.com"));
    let label = format!("{}.example.com", "a".repeat(64));
    assert!(!accepts(Rfc5922, &[&label], "example.com"));
    assert!(accepts(
        Rfc5922,
        &[&label, &long[4..], "example.com"],
        "example.com"
    ));
    let longest = format!("{}com", "label.of.ten".repeat(20) + ".label.ab.");
    assert_eq!(longest.len(), 253);
    assert!(accepts(Rfc5922, &[&longest], &longest));

    let many: Vec<String> = (0..1_500).map(|at| format!("h{at}.example.com")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let pair = pair(Rfc5922, &many, "h1023.example.com");
    assert!(pair.is_open());
    assert_eq!(pair.client.names().len(), 1_024, "the rest does not count");
}

// bad-inputs: C3
#[test]
fn a_certificate_without_names_proves_nothing() {
    for policy in [Rfc5922, Rfc5922Wildcards, Rfc6125] {
        assert!(!accepts(policy, &[], "example.com"));
        assert!(!accepts(policy, &[], "192.0.2.1"));
    }
}

// conformance: 258, 266
#[test]
fn the_chain_comes_before_the_names() {
    let client = MADE.client();
    let names = &["example.com"];
    // An authority of the same name, and none at all.
    refused(BadSignature, &Certificates::new().server(names), &client);
    let (nobodys, _) = self_made(|params| params.is_ca = IsCa::NoCa);
    refused(NotTrusted, &nobodys, &client);
    refused(
        Expired,
        &server(names, |params| {
            params.not_after = rcgen::date_time_ymd(2025, 1, 1)
        }),
        &client,
    );
    refused(
        NotYetValid,
        &server(names, |params| {
            params.not_before = rcgen::date_time_ymd(2048, 1, 1)
        }),
        &client,
    );
    refused(
        WrongPurpose,
        &server(names, |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }),
        &client,
    );
    // Without the extension it is for everything (RFC 5280 §4.2.1.12).
    let any = server(names, |params| params.extended_key_usages.clear());
    assert!(shake_over(Protocol::Tls, &client, &any, "example.com").is_open());
    // Whatever else is wrong, an untrusted one is untrusted.
    refused(
        BadSignature,
        &Certificates::new().server(&["other.example"]),
        &client,
    );
}

#[test]
fn the_clock_may_be_given() {
    let names = &["example.com"];
    let at = |seconds| Certificates::new().at(seconds).both(names);
    let good = at(1_750_000_000);
    assert!(shake_over(Protocol::Tls, &good, &good, names[0]).is_open());
    refused(NotYetValid, &at(1_500_000_000), &at(1_500_000_000));
    let far = at(4_000_000_000);
    refused(Expired, &far, &far);
}

// conformance: 425
#[test]
fn secure_websocket_takes_what_the_web_takes_and_sip_what_sip_takes() {
    let client = MADE.client();
    let wildcard = server(&["*.example.com"], |_| {});
    let uri = server(&["sip:a.example.com"], |_| {});
    let open = |protocol, server| shake_over(protocol, &client, server, "a.example.com").is_open();
    assert!(open(Protocol::Wss, &wildcard));
    // Not by way of the session that WSS has just made either.
    assert!(!open(Protocol::Tls, &wildcard));
    assert!(open(Protocol::Tls, &uri));
    assert!(!open(Protocol::Wss, &uri));
}

#[test]
fn verification_that_is_off_proves_nothing() {
    let client = MADE.client_builder().dangerous_without_verification();
    let client = client.build().unwrap();
    for (server, host) in [
        (server(&["other.example"], |_| {}), "example.com"),
        (Certificates::new().server(&["example.com"]), "example.com"),
    ] {
        let mut pair = shake_over(Protocol::Tls, &client, &server, host);
        assert!(pair.is_open() && pair.client.tls.identity().is_none());
        pair.exchange();
    }
}

#[test]
fn the_identity_tells_all_names_and_the_certificates() {
    for versions in [ONLY_TLS12, ONLY_TLS13] {
        let client = MADE.client_builder().versions(versions).build().unwrap();
        let leaf = MADE.leaf(&["sip:A.example", "sip:b.example", "c.example", "192.0.2.7"]);
        let config = TlsServer::new(MADE.provider().clone(), leaf.local(MADE.provider()));
        let pair = shake_over(
            Protocol::Tls,
            &client,
            &config.build().unwrap(),
            "b.example",
        );
        let identity = pair.client.tls.identity().unwrap();
        assert_eq!(pair.client.names(), ["a.example", "b.example"]);
        assert_eq!(identity.policy(), Rfc5922);
        for (host, covered) in [
            ("a.example", true),
            ("B.EXAMPLE", true),
            ("192.0.2.7", true),
            ("c.example", false),
            ("192.0.2.8", false),
        ] {
            assert_eq!(identity.covers(&name(host)), covered, "{host}");
        }
        assert_eq!(identity.certificates().len(), 1);
        assert!(
            pair.server.tls.identity().is_none(),
            "the client had no certificate"
        );
    }
}

#[test]
fn hosts_that_no_certificate_could_prove_are_refused() {
    use TlsNameError::{Character, Length, Number};
    let cases = [
        ("", Length),
        (".", Length),
        ("a..b", Length),
        (".example.com", Length),
        ("example.com..", Length),
        ("*.example.com", Character),
        ("bücher.example", Character),
        ("victim.example\0.attacker.net", Character),
        ("exa mple.com", Character),
        ("example.com:5061", Character),
        ("-a.example", Character),
        ("a-.example", Character),
        ("[example.com]", Character),
        ("[192.0.2.1]", Character),
        ("fe80::1%eth0", Character),
        ("192.0.2", Number),
        ("192.0.2.256", Number),
        ("192.0.2.1.", Number),
        ("example.0x7f", Number),
    ];
    for (host, error) in cases {
        assert_eq!(TlsName::new(host), Err(error), "{host}");
    }
    assert_eq!(TlsName::new(&"a".repeat(64)), Err(Length));
    assert_eq!(TlsName::new(&"a.".repeat(128)), Err(Length));
}

proptest! {
    #[test]
    fn equal_names_are_one_key(host in "([a-z0-9_]{1,10}\\.){0,3}h[a-z0-9_]{0,10}", dot: bool) {
        let lower = name(&host);
        let mut other = host.to_ascii_uppercase();
        other.extend(dot.then_some('.'));
        let upper = name(&other);
        prop_assert_eq!(&lower, &upper);
        prop_assert_eq!(lower.cmp(&upper), core::cmp::Ordering::Equal);
        prop_assert_eq!(upper.as_domain(), Some(&*host));
        prop_assert_eq!(&upper.to_string(), &host);
        prop_assert_eq!(TlsName::try_from(Host::Name(&host)).unwrap(), lower);
    }

    #[test]
    fn addresses_are_read_and_shown(ip: IpAddr) {
        let shown = TlsName::from(ip);
        prop_assert_eq!(shown.ip(), Some(ip));
        prop_assert_eq!(shown.as_domain(), None);
        prop_assert_eq!(&name(&shown.to_string()), &shown);
        prop_assert_eq!(&name(&ip.to_string()), &shown);
        if ip.is_ipv6() {
            prop_assert_eq!(&name(&format!("[{ip}]")), &shown);
        }
    }

    #[test]
    fn any_text_is_a_name_that_tls_takes_or_an_error(text in "\\PC{0,40}|[a-zA-Z0-9._:%\\[\\]-]{0,30}") {
        if let Ok(name) = TlsName::new(&text) {
            let made = sip_transport_proto::tls::Tls::client(&MADE.client(), Protocol::Tls, &name);
            prop_assert!(made.is_ok(), "{name}");
        }
    }
}

/// What `openssl req -x509` makes: a server's own certificate that says that it is a CA's. The
/// second configuration trusts it.
fn self_made(edit: impl FnOnce(&mut CertificateParams)) -> (TlsConfig, TlsConfig) {
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let mut params = CertificateParams::new(vec!["example.com".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    edit(&mut params);
    let pem = params.self_signed(&key).unwrap().pem();
    let provider = MADE.provider().clone();
    let key = key.serialize_pem();
    let own = LocalCertificate::from_pem(&provider, pem.as_bytes(), key.as_bytes()).unwrap();
    let roots = roots_from_pem(pem.as_bytes()).unwrap();
    let client = MADE.client_builder().roots(roots).build().unwrap();
    (TlsServer::new(provider, own).build().unwrap(), client)
}

#[test]
fn a_cas_certificate_is_a_servers_where_it_is_itself_a_root() {
    let (server, client) = self_made(|_| {});
    let pair = shake_over(Protocol::Tls, &client, &server, "example.com");
    assert!(pair.is_open(), "{:?}", pair.client.error);
    let identity = pair.client.tls.identity().unwrap();
    assert_eq!(identity.names(), [name("example.com")]);

    let other = shake_over(Protocol::Tls, &client, &server, "example.org");
    assert_eq!(
        other.client.error,
        Some(TlsError::Certificate(NameMismatch))
    );
    refused(CaUsedAsEndEntity, &server, &MADE.client());
    // The same names by another key.
    let (_, others_client) = self_made(|_| {});
    refused(CaUsedAsEndEntity, &server, &others_client);
}

#[test]
fn a_root_that_is_a_servers_certificate_is_verified_but_for_its_issuer() {
    let (server, client) = self_made(|params| params.not_after = rcgen::date_time_ymd(2025, 1, 1));
    refused(Expired, &server, &client);
    let (server, client) = self_made(|params| params.not_before = rcgen::date_time_ymd(3000, 1, 1));
    refused(NotYetValid, &server, &client);

    let purpose = |purpose| self_made(|params| params.extended_key_usages = vec![purpose]);
    let (server, client) = purpose(ExtendedKeyUsagePurpose::ClientAuth);
    refused(CaUsedAsEndEntity, &server, &client);
    let (server, client) = purpose(ExtendedKeyUsagePurpose::ServerAuth);
    assert!(shake_over(Protocol::Tls, &client, &server, "example.com").is_open());

    let (server, client) = self_made(|params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.org".to_owned())],
            excluded_subtrees: Vec::new(),
        });
    });
    refused(CaUsedAsEndEntity, &server, &client);
}

#[test]
fn a_wildcard_that_would_match_names_the_setting_that_allows_it() {
    let pair = pair(Rfc5922, &["*.example.com"], "sip.example.com");
    let error = pair.client.error.unwrap();
    assert_eq!(error, TlsError::Certificate(WildcardOnly));
    assert!(
        error.to_string().contains("NamePolicy::Rfc5922Wildcards"),
        "{error}"
    );
    // Where it would not match either, or no wildcard counts for another reason, nothing helps.
    for (names, host) in [
        (["*.example.com"], "a.b.example.com"),
        (["*.com"], "example.com"),
    ] {
        assert!(!accepts(Rfc5922Wildcards, &names, host));
        let error = self::pair(Rfc5922, &names, host).client.error;
        assert_eq!(error, Some(TlsError::Certificate(NameMismatch)));
    }
}

#[test]
fn the_cause_of_a_refusal_is_kept() {
    use CertificateProblem as Problem;
    use webpki::Error as Webpki;
    let problem = |error: CertificateError| match TlsError::from(&Error::from(error)) {
        TlsError::Certificate(problem) => problem,
        other => panic!("{other}"),
    };
    let passed_on = |error: Webpki| problem(CertificateError::Other(OtherError(Arc::new(error))));
    let kept = [
        (problem(CertificateError::BadEncoding), Problem::Malformed),
        (problem(CertificateError::BadSignature), BadSignature),
        (
            problem(CertificateError::UnhandledCriticalExtension),
            Problem::UnknownCriticalExtension,
        ),
        (passed_on(Webpki::CaUsedAsEndEntity), CaUsedAsEndEntity),
        (
            passed_on(Webpki::EndEntityUsedAsCa),
            Problem::EndEntityUsedAsCa,
        ),
        (
            passed_on(Webpki::PathLenConstraintViolated),
            Problem::PathTooLong,
        ),
        (
            passed_on(Webpki::NameConstraintViolation),
            Problem::NameNotPermitted,
        ),
        (passed_on(Webpki::MalformedExtensions), Problem::Malformed),
    ];
    for (said, expected) in kept {
        assert_eq!(said, expected);
    }
}
