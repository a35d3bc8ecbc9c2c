//! What both ends agree on: versions, suites, ALPN, SNI, client certificates, resumption.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
#![cfg(feature = "tls")]

mod tls_common;

use std::sync::{Arc, LazyLock};

use rcgen::{CertificateRevocationListParams, KeyIdMethod, KeyPair, PKCS_ECDSA_P256_SHA256};
use sip_transport_proto::Protocol;
use sip_transport_proto::tls::rustls::client::WebPkiServerVerifier;
use sip_transport_proto::tls::rustls::crypto::ring::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384,
};
use sip_transport_proto::tls::rustls::crypto::ring::kx_group::{SECP256R1, X25519};
use sip_transport_proto::tls::rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use sip_transport_proto::tls::rustls::server::Acceptor;
use sip_transport_proto::tls::rustls::{
    self, CipherSuite, ClientConfig, ProtocolVersion, ServerConfig, SignatureScheme,
};
use sip_transport_proto::tls::{
    LocalCertificate, NamePolicy, ServerCertificates, Tls, TlsAlert, TlsClient, TlsConfig,
    TlsConfigError, TlsError, TlsName, TlsServer, roots_from_pem,
};
use tls_common::{
    Certificates, End, ONLY_TLS12, ONLY_TLS13, Pair, Versions, provider, shake, shake_over,
};

const HOST: &str = "example.com";
static MADE: LazyLock<Certificates> = LazyLock::new(Certificates::new);

fn alert(code: u8) -> Option<TlsError> {
    Some(TlsError::Alert(TlsAlert::new(code)))
}

fn hello(config: &TlsConfig, protocol: Protocol, host: &str) -> Vec<u8> {
    let name = TlsName::new(host).unwrap();
    let mut wire = Vec::new();
    Tls::client(config, protocol, &name)
        .unwrap()
        .flush(&mut wire);
    wire
}

/// The numbers of the extensions in a ClientHello that is one record (RFC 8446 §4.1.2).
fn extensions(hello: &[u8]) -> Vec<u16> {
    let number = |at: usize| u16::from_be_bytes([hello[at], hello[at + 1]]);
    let mut at = 5 + 4 + 2 + 32;
    at += 1 + usize::from(hello[at]);
    at += 2 + usize::from(number(at));
    at += 1 + usize::from(hello[at]);
    at += 2;
    let mut found = Vec::new();
    while at < hello.len() {
        found.push(number(at));
        at += 4 + usize::from(number(at + 2));
    }
    found
}

/// A ClientHello of an old client: this version at most, no extensions.
fn old_hello(version: u8) -> Vec<u8> {
    let mut body = vec![3, version];
    body.extend([7; 32]);
    body.extend([0, 0, 4, 0, 0x2f, 0, 0x35, 1, 0]);
    let mut wire = vec![22, 3, version.min(1), 0, body.len() as u8 + 4];
    wire.extend([1, 0, 0, body.len() as u8]);
    wire.extend(body);
    wire
}

// conformance: 257
#[test]
fn the_handshake_proves_the_server_alone_or_both_ends() {
    for versions in [ONLY_TLS12, ONLY_TLS13] {
        let client = MADE.client_builder().versions(versions);
        let one_way = shake(&client.build().unwrap(), &MADE.server(&[HOST]), HOST);
        assert!(one_way.is_open());
        assert_eq!(one_way.client.names(), [HOST]);
        assert!(one_way.server.tls.identity().is_none());

        let client = MADE.client_builder().versions(versions);
        let client = client.certificate(MADE.local(&["sip:client.example", "x.example"]));
        let both = shake(&client.build().unwrap(), &MADE.mutual(&[HOST]), HOST);
        assert!(both.is_open());
        assert_eq!(both.client.names(), [HOST]);
        // RFC 5922 §7.4: names are read from a client's certificate as from a server's.
        assert_eq!(both.server.names(), ["client.example"]);
    }
}

// conformance: 274, 387
#[test]
fn a_client_certificate_is_asked_for_as_the_server_says() {
    let stranger = Certificates::new().local(&["client.example"]);
    let known = MADE.local(&["client.example"]);
    for versions in [ONLY_TLS12, ONLY_TLS13] {
        let client = |certificate: Option<&LocalCertificate>| {
            let client = MADE.client_builder().versions(versions);
            let client = match certificate {
                None => client,
                Some(certificate) => client.certificate(certificate.clone()),
            };
            client.build().unwrap()
        };
        let server =
            |edit: fn(TlsServer) -> TlsServer| edit(MADE.server_builder(&[HOST])).build().unwrap();
        let none = server(|server| server);
        let optional = server(|server| server.client_certificate_optional(MADE.roots()));
        let required = server(|server| server.client_certificate_required(MADE.roots()));

        for (server, certificate, open, identity) in [
            (&none, None, true, false),
            (&none, Some(&known), true, false),
            (&optional, None, true, false),
            (&optional, Some(&known), true, true),
            (&optional, Some(&stranger), false, false),
            (&required, None, false, false),
            (&required, Some(&known), true, true),
            (&required, Some(&stranger), false, false),
        ] {
            let pair = shake(&client(certificate), server, HOST);
            assert_eq!(pair.is_open(), open);
            assert_eq!(pair.server.tls.identity().is_some(), identity);
            if !open {
                assert!(matches!(pair.client.error, Some(TlsError::Alert(_))));
                match certificate {
                    None => assert_eq!(pair.server.error, Some(TlsError::NoCertificate)),
                    Some(_) => assert!(matches!(pair.server.error, Some(TlsError::Certificate(_)))),
                }
            }
        }
    }
}

// conformance: 260, 261
#[test]
fn versions_before_1_2_are_refused_with_protocol_version() {
    for (version, size) in [(0, 100), (1, 100), (2, 100), (2, 1)] {
        let mut server = End::new(Tls::server(&MADE.server(&[HOST]), Protocol::Tls).unwrap());
        for piece in old_hello(version).chunks(size) {
            assert_eq!(server.error, None);
            let _ = server.read(piece);
        }
        assert_eq!(server.error, Some(TlsError::NoCommonVersion));
        let alert = server.flush();
        assert_eq!((alert[0], &alert[3..]), (21, &[0, 2, 2, 70][..]));
        assert!(server.flush().is_empty());
    }
    // A server that answers with 1.1.
    let mut client =
        End::new(Tls::client(&MADE.client(), Protocol::Tls, &TlsName::new(HOST).unwrap()).unwrap());
    client.flush();
    let mut answer = vec![22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    answer.extend([7; 32]);
    answer.extend([0, 0, 0x2f, 0]);
    assert_eq!(client.read(&answer), Err(TlsError::NoCommonVersion));
    assert_eq!(client.flush()[5..], [2, 70]);
}

// conformance: 261
#[test]
fn both_versions_work_and_the_higher_one_is_taken() {
    let cases: [(Versions, Versions, Option<ProtocolVersion>); 6] = [
        (
            rustls::DEFAULT_VERSIONS,
            rustls::DEFAULT_VERSIONS,
            Some(ProtocolVersion::TLSv1_3),
        ),
        (
            ONLY_TLS12,
            rustls::DEFAULT_VERSIONS,
            Some(ProtocolVersion::TLSv1_2),
        ),
        (
            rustls::DEFAULT_VERSIONS,
            ONLY_TLS12,
            Some(ProtocolVersion::TLSv1_2),
        ),
        (ONLY_TLS13, ONLY_TLS13, Some(ProtocolVersion::TLSv1_3)),
        (ONLY_TLS12, ONLY_TLS13, None),
        (ONLY_TLS13, ONLY_TLS12, None),
    ];
    for (client, server, version) in cases {
        let client = MADE.client_builder().versions(client).build().unwrap();
        let server = MADE
            .server_builder(&[HOST])
            .versions(server)
            .build()
            .unwrap();
        let mut pair = shake(&client, &server, HOST);
        assert_eq!(pair.is_open(), version.is_some());
        if version.is_some() {
            assert_eq!(pair.client.tls.version(), version);
            pair.exchange();
        } else {
            assert_eq!(pair.server.error, Some(TlsError::NoCommonVersion));
            assert_eq!(pair.client.error, alert(70));
        }
    }
}

// conformance: 259, 262, 264, 285
#[test]
fn the_client_hello_says_what_is_configured_and_no_more() {
    let plain = hello(&MADE.client(), Protocol::Tls, "Example.COM.");
    let mut acceptor = Acceptor::default();
    acceptor.read_tls(&mut plain.as_slice()).unwrap();
    let accepted = acceptor.accept().ok().flatten().unwrap();
    let said = accepted.client_hello();
    assert_eq!(said.server_name(), Some("example.com"));
    assert!(said.alpn().is_none());
    // RFC 9325 §4.2: suites with AEAD and forward secrecy only; RFC 3261's CBC suite is not there.
    for suite in said.cipher_suites() {
        let number = u16::from(*suite);
        let aead = matches!(number, 0x1301..=0x1303 | 0xc02b | 0xc02c | 0xc02f | 0xc030)
            || matches!(number, 0xcca8 | 0xcca9)
            || *suite == CipherSuite::TLS_EMPTY_RENEGOTIATION_INFO_SCSV;
        assert!(aead, "{suite:?}");
    }
    assert!(extensions(&plain).contains(&0) && !extensions(&plain).contains(&16));
    assert!(!extensions(&plain).contains(&42), "no early data");
}

// conformance: 262
#[test]
fn addresses_are_not_sent_as_a_name() {
    for host in ["192.0.2.1", "[2001:db8::1]"] {
        let wire = hello(&MADE.client(), Protocol::Tls, host);
        assert!(!extensions(&wire).contains(&0), "{host}");
    }
    let pair = shake(&MADE.client(), &MADE.server(&["192.0.2.1"]), "192.0.2.1");
    assert!(pair.is_open());
    assert_eq!(pair.server.tls.requested_name(), None);
}

// conformance: 285
#[test]
fn a_resumed_session_sends_no_early_data() {
    let (client, server) = (MADE.client(), MADE.server(&[HOST]));
    assert!(shake(&client, &server, HOST).is_open());
    let wire = hello(&client, Protocol::Tls, HOST);
    assert!(extensions(&wire).contains(&41), "a session is offered");
    assert!(!extensions(&wire).contains(&42), "no early data");
}

// conformance: 263, 264
#[test]
fn application_protocols_are_agreed_on_where_both_ends_name_them() {
    let sip: &[&[u8]] = &[b"sip/2"];
    let web: &[&[u8]] = &[b"h2"];
    let several: &[&[u8]] = &[b"h2", b"sip/2"];
    for (offered, known, agreed) in [
        (&[][..], &[][..], Ok(None)),
        (sip, &[], Ok(None)),
        (&[], sip, Ok(None)),
        (sip, sip, Ok(Some(&b"sip/2"[..]))),
        (several, sip, Ok(Some(b"sip/2"))),
        (web, sip, Err(TlsError::NoApplicationProtocol)),
    ] {
        for versions in [ONLY_TLS12, ONLY_TLS13] {
            let client = MADE.client_builder().alpn(offered).versions(versions);
            let server = MADE.server_builder(&[HOST]).alpn(known);
            let pair = shake(&client.build().unwrap(), &server.build().unwrap(), HOST);
            match agreed {
                Ok(agreed) => {
                    assert!(pair.is_open());
                    assert_eq!(pair.client.tls.alpn(), agreed);
                    assert_eq!(pair.server.tls.alpn(), agreed);
                }
                Err(error) => {
                    assert_eq!(pair.server.error, Some(error));
                    assert_eq!(pair.client.error, alert(120), "no_application_protocol");
                }
            }
        }
    }
}

// conformance: 265
#[test]
fn secure_websocket_has_application_protocols_of_its_own() {
    let client = MADE.client_builder().alpn(&[b"sip/2"]);
    let client = client.alpn_wss(&[b"http/1.1"]).build().unwrap();
    let server = MADE.server_builder(&[HOST]).alpn(&[b"sip/2"]);
    let server = server.alpn_wss(&[b"http/1.1"]).build().unwrap();
    for (protocol, agreed) in [
        (Protocol::Tls, &b"sip/2"[..]),
        (Protocol::Wss, &b"http/1.1"[..]),
    ] {
        let pair = shake_over(protocol, &client, &server, HOST);
        assert_eq!(pair.client.tls.alpn(), Some(agreed));
    }
    let sip = MADE.client_builder().alpn(&[b"sip/2"]).build().unwrap();
    let wire = hello(&sip, Protocol::Wss, HOST);
    assert!(!extensions(&wire).contains(&16));
}

// conformance: 263
#[test]
fn a_protocol_that_was_not_offered_ends_the_handshake() {
    // A server that chooses for itself: it answers the ALPN of another client's hello.
    let offers = |protocol: &'static [u8]| {
        let client = MADE.client_builder().alpn(&[protocol]).versions(ONLY_TLS12);
        client.build().unwrap()
    };
    let server = MADE
        .server_builder(&[HOST])
        .alpn(&[b"foreign"])
        .build()
        .unwrap();
    let mut other = Pair::new(&offers(b"foreign"), &server, Protocol::Tls, HOST);
    let hello = other.client.flush();
    other.server.read(&hello).unwrap();
    let mut client = End::new(
        Tls::client(
            &offers(b"sip/2.."),
            Protocol::Tls,
            &TlsName::new(HOST).unwrap(),
        )
        .unwrap(),
    );
    client.flush();
    assert_eq!(client.read(&other.server.flush()), Err(TlsError::Protocol));
}

#[test]
fn nothing_in_common_is_told_apart() {
    let client = |provider: Arc<CryptoProvider>| {
        let client = TlsClient::new(provider).roots(MADE.roots());
        client.versions(ONLY_TLS13).build().unwrap()
    };
    let server = |provider: Arc<CryptoProvider>| {
        let server = TlsServer::new(provider, MADE.local(&[HOST]));
        server.versions(ONLY_TLS13).build().unwrap()
    };
    let suites = |suite| provider(|p| p.cipher_suites = vec![suite]);
    let groups = |group| provider(|p| p.kx_groups = vec![group]);
    for (client, server, error) in [
        (
            client(suites(TLS13_AES_128_GCM_SHA256)),
            server(suites(TLS13_AES_256_GCM_SHA384)),
            TlsError::NoCommonCipherSuite,
        ),
        (
            client(groups(X25519)),
            server(groups(SECP256R1)),
            TlsError::NoCommonGroup,
        ),
        (
            client(provider(|p| {
                only_scheme(p, SignatureScheme::ECDSA_NISTP256_SHA256)
            })),
            server(provider(|_| {})),
            TlsError::NoCommonSignature,
        ),
    ] {
        let pair = shake(&client, &server, HOST);
        assert_eq!(pair.server.error, Some(error));
        assert!(matches!(pair.client.error, Some(TlsError::Alert(_))));
    }
}

/// Verifies signatures of this scheme only, and asks for no others.
fn only_scheme(provider: &mut CryptoProvider, scheme: SignatureScheme) {
    let all = provider.signature_verification_algorithms;
    let mapping = all.mapping.iter().filter(|(one, _)| *one == scheme);
    provider.signature_verification_algorithms = WebPkiSupportedAlgorithms {
        all: all.all,
        mapping: Vec::leak(mapping.copied().collect()),
    };
}

// conformance: 262
#[test]
fn the_name_asked_for_picks_the_certificate() {
    let sets: [&[&str]; 4] = [
        &["default.example"],
        &["sip:a.example", "b.example"],
        &["*.wild.example"],
        &["x.wild.example"],
    ];
    let locals = sets.map(|names| MADE.local(names));
    let certificates = ServerCertificates::new(locals).unwrap();
    let server = TlsServer::new(MADE.provider().clone(), certificates)
        .build()
        .unwrap();
    let client = MADE.client_builder().dangerous_without_verification();
    let client = client.build().unwrap();
    let checked = MADE.client_builder().names(NamePolicy::Rfc5922Wildcards);
    let checked = checked.build().unwrap();
    for (host, chosen) in [
        ("default.example", "default.example"),
        ("A.Example.", "a.example"),
        ("x.wild.example", "x.wild.example"),
        ("y.wild.example", ""),
    ] {
        let pair = shake(&checked, &server, host);
        assert!(pair.is_open(), "{host}: {:?}", pair.client.error);
        let names = pair.client.names();
        assert_eq!(names.first().map_or("", String::as_str), chosen);
        assert_eq!(pair.server.tls.requested_name(), TlsName::new(host).ok());
    }
    // A name by which only the web knows us, and then no name of ours or none at all.
    let web = shake_over(Protocol::Wss, &MADE.client(), &server, "b.example");
    assert!(web.is_open());
    for host in ["stranger.example", "192.0.2.1"] {
        assert!(
            shake(&client, &server, host).is_open(),
            "{host}: the first one is shown"
        );
        let pair = shake(&checked, &server, host);
        assert!(matches!(pair.client.error, Some(TlsError::Certificate(_))));
    }
}

#[test]
fn of_two_certificates_for_a_name_one_is_shown_that_the_client_can_verify() {
    let ed25519 = MADE.leaf(&[HOST]);
    let ecdsa = ecdsa_leaf();
    let certificates = [ed25519.local(MADE.provider()), ecdsa];
    let certificates = ServerCertificates::new(certificates).unwrap();
    let server = TlsServer::new(MADE.provider().clone(), certificates)
        .build()
        .unwrap();
    let old = provider(|p| only_scheme(p, SignatureScheme::ECDSA_NISTP256_SHA256));
    let old = TlsClient::new(old).roots(MADE.roots()).build().unwrap();
    let first = shake(&MADE.client(), &server, HOST);
    let second = shake(&old, &server, HOST);
    assert!(first.is_open() && second.is_open());
    assert_ne!(
        first.client.peer_certificate(),
        second.client.peer_certificate()
    );
}

fn ecdsa_leaf() -> LocalCertificate {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    MADE.leaf_for(&key, &[HOST], |_| {}).local(MADE.provider())
}

#[test]
fn certificates_are_replaced_while_connections_stay() {
    let (old, new) = (MADE.leaf(&[HOST]), MADE.leaf(&[HOST]));
    let certificates = ServerCertificates::from(old.local(MADE.provider()));
    let server = TlsServer::new(MADE.provider().clone(), certificates.clone());
    let server = server.build().unwrap();
    let mut before = shake(&MADE.client(), &server, HOST);
    let mut between = Pair::new(&MADE.client(), &server, Protocol::Tls, HOST);
    let hello = between.client.flush();
    between.server.read(&hello).unwrap();

    certificates.replace([new.local(MADE.provider())]).unwrap();
    let after = shake(&MADE.client(), &server, HOST);
    before.exchange();
    between.settle().exchange();
    assert_ne!(
        before.client.peer_certificate(),
        after.client.peer_certificate()
    );
    assert_eq!(
        before.client.peer_certificate(),
        between.client.peer_certificate()
    );

    // What cannot be shown is not taken.
    assert_eq!(certificates.replace([]), Err(TlsConfigError::NoCertificate));
    let still = shake(&MADE.client(), &server, HOST);
    assert_eq!(
        still.client.peer_certificate(),
        after.client.peer_certificate()
    );
}

#[test]
fn sessions_are_resumed_with_the_identities_they_had() {
    for versions in [ONLY_TLS12, ONLY_TLS13] {
        for tickets in [false, true] {
            let server = MADE.server_builder(&[HOST]).versions(versions);
            let mut server = server.client_certificate_required(MADE.roots());
            if tickets {
                let ticketer = rustls::crypto::ring::Ticketer::new().unwrap();
                server = server.tickets(ticketer).sessions(0);
            }
            let server = server.build().unwrap();
            let client = MADE.client_builder().versions(versions);
            let client = client.certificate(MADE.local(&["sip:client.example"]));
            let client = client.build().unwrap();

            let first = shake(&client, &server, HOST);
            assert!(first.is_open());
            assert!(!first.client.tls.is_resumed() && !first.server.tls.is_resumed());
            let mut again = shake(&client, &server, HOST);
            assert!(again.client.tls.is_resumed() && again.server.tls.is_resumed());
            assert_eq!(again.client.tls.identity(), first.client.tls.identity());
            assert_eq!(again.client.names(), [HOST]);
            assert_eq!(again.server.tls.identity(), first.server.tls.identity());
            assert_eq!(again.server.names(), ["client.example"]);
            again.exchange();

            // A session is for the name it was made for.
            let other = shake(&client, &server, "other.example");
            assert!(!other.is_open() && !other.client.tls.is_resumed());
        }
    }
}

#[test]
fn sessions_can_be_switched_off_at_either_end() {
    for versions in [ONLY_TLS12, ONLY_TLS13] {
        for (client_keeps, server_keeps) in [(0, 10), (10, 0)] {
            let client = MADE
                .client_builder()
                .versions(versions)
                .sessions(client_keeps);
            let client = client.build().unwrap();
            let server = MADE
                .server_builder(&[HOST])
                .sessions(server_keeps)
                .build()
                .unwrap();
            for _ in 0..2 {
                let pair = shake(&client, &server, HOST);
                assert!(pair.is_open() && !pair.client.tls.is_resumed());
            }
        }
    }
}

#[test]
fn configurations_of_rustls_are_taken_as_they_are() {
    let leaf = MADE.local(&["sip:example.com", HOST]);
    let resolver = Arc::new(ServerCertificates::from(leaf));
    let server = ServerConfig::builder_with_provider(MADE.provider().clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    let server = TlsConfig::new().with_server(Arc::new(server));
    let client = ClientConfig::builder_with_provider(MADE.provider().clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(MADE.roots())
        .with_no_client_auth();
    let client = TlsConfig::new().with_client(Arc::new(client));
    for protocol in [Protocol::Tls, Protocol::Wss] {
        let pair = shake_over(protocol, &client, &server, HOST);
        assert!(pair.is_open());
        assert_eq!(pair.client.names(), [HOST]);
    }
}

#[test]
fn a_revoked_certificate_is_told_as_such() {
    let leaf = MADE.leaf(&[HOST]);
    let revoked = CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2024, 1, 1),
        next_update: rcgen::date_time_ymd(2049, 1, 1),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: vec![rcgen::RevokedCertParams {
            serial_number: leaf.serial_number.clone(),
            revocation_time: rcgen::date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = revoked.signed_by(MADE.authority()).unwrap();
    let verifier = WebPkiServerVerifier::builder_with_provider(
        Arc::new(MADE.roots()),
        MADE.provider().clone(),
    )
    .with_crls([list.der().clone()])
    .build()
    .unwrap();
    let client = ClientConfig::builder_with_provider(MADE.provider().clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_webpki_verifier(verifier)
        .with_no_client_auth();
    let client = TlsConfig::new().with_client(Arc::new(client));
    let server = TlsServer::new(MADE.provider().clone(), leaf.local(MADE.provider()));
    let pair = shake(&client, &server.build().unwrap(), HOST);
    let error = TlsError::Certificate(sip_transport_proto::tls::CertificateProblem::Revoked);
    assert_eq!(pair.client.error, Some(error));
    assert_eq!(pair.server.error, alert(44));
}

#[test]
fn a_configuration_that_cannot_work_is_not_made() {
    let provider = MADE.provider();
    assert_eq!(
        TlsClient::new(provider.clone()).build().err(),
        Some(TlsConfigError::NoRoots)
    );
    assert_eq!(
        ServerCertificates::new([]).err(),
        Some(TlsConfigError::NoCertificate)
    );
    let server = MADE.server_builder(&[HOST]);
    let server = server.client_certificate_required(tls_common::no_roots());
    assert!(matches!(server.build(), Err(TlsConfigError::Verifier(_))));

    let (one, other) = (MADE.leaf(&[HOST]), MADE.leaf(&[HOST]));
    let read = |chain: &str, key: &str| {
        LocalCertificate::from_pem(provider, chain.as_bytes(), key.as_bytes()).map(|_| ())
    };
    let both = format!("{}{}", one.key_pem, one.certificate_pem);
    assert_eq!(read(&both, &both), Ok(()));
    assert!(matches!(
        read(&one.certificate_pem, &other.key_pem),
        Err(TlsConfigError::Rustls(_))
    ));
    for (chain, key) in [
        ("", &*one.key_pem),
        (&*one.key_pem, &one.key_pem),
        (&one.certificate_pem, "no key"),
        (&one.certificate_pem[..80], &one.key_pem),
    ] {
        assert!(matches!(read(chain, key), Err(TlsConfigError::Pem(_))));
    }
    for roots in ["", "text", &one.key_pem, &one.certificate_pem[..80]] {
        assert!(matches!(
            roots_from_pem(roots.as_bytes()),
            Err(TlsConfigError::Pem(_))
        ));
    }
    let two = format!(
        "{}\n{}",
        MADE.authority_pem(),
        Certificates::new().authority_pem()
    );
    assert_eq!(roots_from_pem(two.as_bytes()).unwrap().len(), 2);
}
