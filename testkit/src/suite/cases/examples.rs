//! The examples do what they say, over real sockets.

use std::future::{pending, ready};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use adapter_core::SipTransport;
use adapter_core::runtime::CurrentRuntime;
use clap::Parser;
use futures_channel::oneshot;
use sip_transport_proto::{Protocol, SipEndpoint};

use crate::examples::{ping, quickstart, responder};
use crate::suite::AdapterHost;

async fn quickstart_lines<H: AdapterHost>(_host: &H) -> Vec<String> {
    let mut out = Vec::new();
    quickstart::run::<H::Runtime>(&quickstart::Args::default(), &mut out)
        .await
        .unwrap();
    let text = String::from_utf8(out).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// `Request received udp:127.0.0.1:1<-udp:127.0.0.1:2: OPTIONS ...` as `udp:127.0.0.1`, `OPTIONS ...`.
fn arrivals(lines: &[String], what: &str) -> Vec<(String, String)> {
    let prefix = format!("{what} received ");
    let arrival = |line: &String| {
        let (ends, start_line) = line.strip_prefix(&prefix)?.split_once(": ")?;
        let (local, remote) = ends.split_once("<-")?;
        let (local, remote) = (local.rsplit_once(':')?.0, remote.rsplit_once(':')?.0);
        assert_eq!(local, remote, "both ends are on the same loopback address");
        Some((local.to_owned(), start_line.to_owned()))
    };
    lines.iter().filter_map(arrival).collect()
}

pub async fn quickstart_carries_a_request_and_its_response_over_every_channel<H: AdapterHost>(
    host: &H,
) {
    let lines = quickstart_lines(host).await;
    let (requests, responses) = (arrivals(&lines, "Request"), arrivals(&lines, "Response"));
    for end in ["udp:127.0.0.1", "udp:[::1]", "tcp:127.0.0.1", "tcp:[::1]"] {
        let request = requests.iter().find(|(local, _)| local == end).expect(end);
        assert!(request.1.starts_with("OPTIONS sip:") && request.1.ends_with(" SIP/2.0"));
        let response = responses.iter().find(|(local, _)| local == end).expect(end);
        assert_eq!(response.1, "SIP/2.0 200 OK");
    }
    assert_eq!(requests.len(), responses.len());
}

pub async fn quickstart_shows_placeholders_before_and_addresses_after_substitution<
    H: AdapterHost,
>(
    host: &H,
) {
    let lines = quickstart_lines(host).await;
    let at = |text: &str| lines.iter().position(|line| line == text).expect(text);
    let (before, after) = (at("Before substitution:"), at("After:"));
    assert!(before < after);
    let message = &lines[before..after];
    assert_eq!(
        message
            .iter()
            .filter(|line| line.contains("0.0.0.0"))
            .count(),
        3
    );
    let message: Vec<_> = lines[after..]
        .iter()
        .skip(1)
        .take_while(|l| l.starts_with("    "))
        .collect();
    assert!(
        message
            .iter()
            .any(|line| line.contains("Via: SIP/2.0/TCP 127.0.0.1:"))
    );
    assert!(
        message
            .iter()
            .any(|line| line.contains("From: <sip:127.0.0.1>"))
    );
    assert!(message.iter().all(|line| !line.contains("0.0.0.0")));
}

pub async fn quickstart_tells_why_a_hint_was_overruled<H: AdapterHost>(host: &H) {
    let lines = quickstart_lines(host).await;
    let sent: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("Response sent "))
        .collect();
    assert!(sent[0].starts_with("Response sent tcp:") && sent[0].ends_with(", hint honoured"));
    assert!(sent[1].starts_with("Response sent udp:"));
    assert!(sent[1].ends_with(", hint overruled: the destination asks for another protocol"));
}

async fn ping<H: AdapterHost>(_host: &H, args: &[&str]) -> (Result<(), String>, String) {
    let args = ping::Args::parse_from([&["ping"], args].concat());
    let mut out = Vec::new();
    let result = ping::run::<H::Runtime>(&args, pending(), &mut out).await;
    (
        result.map_err(|e| e.to_string()),
        String::from_utf8(out).unwrap(),
    )
}

/// A responder with these arguments, until it is interrupted.
struct Responder<R> {
    args: responder::Args,
    transport: SipTransport<R>,
    ends: Vec<oneshot::Receiver<()>>,
    log: Log,
}

/// What one worker of a responder shows.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl<R: CurrentRuntime> Responder<R> {
    async fn start<H: AdapterHost<Runtime = R>>(host: &H, args: &[&str]) -> Self {
        let args = responder::Args::parse_from([&["responder"], args].concat());
        let (transport, incoming) = args.builder::<R>().unwrap().bind().await.unwrap();
        let log = Log::default();
        let ends = incoming.into_workers().into_iter().map(|incoming| {
            let answering =
                responder::answer(args.clone(), transport.clone(), incoming, log.clone());
            let (ended, ends) = oneshot::channel();
            host.runtime().spawn(Box::pin(async move {
                answering.await;
                ended.send(()).unwrap();
            }));
            ends
        });
        Self {
            ends: ends.collect(),
            args,
            transport,
            log,
        }
    }

    /// URIs that lead to its channels.
    fn uris(&self) -> Vec<String> {
        let uri = |channel: SipEndpoint| match channel.protocol {
            Protocol::Udp => format!("sip:{}", channel.addr),
            Protocol::Tls => format!("sips:{}", channel.addr),
            protocol => format!("sip:{};transport={protocol}", channel.addr),
        };
        self.transport
            .local_endpoints()
            .into_iter()
            .map(uri)
            .collect()
    }

    async fn interrupt(self) {
        let interrupted = ready(());
        responder::run(&self.args, &self.transport, interrupted)
            .await
            .unwrap();
        for end in self.ends {
            end.await.unwrap();
        }
    }
}

pub async fn ping_counts_what_the_responder_answers_and_the_responder_ends_when_interrupted<
    H: AdapterHost,
>(
    host: &H,
) {
    let args = [
        "--udp",
        "127.0.0.1:0",
        "--tcp",
        "127.0.0.1:0",
        "--workers",
        "2",
    ];
    let responder = Responder::start(host, &args).await;
    assert_eq!(responder.ends.len(), 2);
    for uri in responder.uris() {
        let (result, text) = ping(host, &[&uri, "--count", "3", "--interval", "0.001"]).await;
        result.unwrap();
        let answers = text
            .lines()
            .filter(|line| line.starts_with("SIP/2.0 200 OK from "));
        assert_eq!(answers.count(), 3, "{text}");
        assert!(text.contains("3 sent, 3 answered, 0% lost"), "{text}");
    }
    assert_eq!(responder.log.text(), "");
    responder.interrupt().await;
}

pub async fn ping_succeeds_with_the_status_that_is_expected_only<H: AdapterHost>(host: &H) {
    let args = ["--udp", "127.0.0.1:0", "--status", "404", "--verbose"];
    let responder = Responder::start(host, &args).await;
    let uri = &responder.uris()[0];
    let outcomes: [(&[&str], _); 4] = [
        (&[], Err("404 Not Found came, no 2xx (see --any-response)")),
        (&["--any-response"], Ok(())),
        (&["--expect", "404"], Ok(())),
        (&["--expect", "200"], Err("404 Not Found came, not 200")),
    ];
    for (args, outcome) in outcomes {
        let (result, text) = ping(host, &[&[uri, "--count", "1"], args].concat()).await;
        assert_eq!(result, outcome.map_err(str::to_owned), "{text}");
        assert!(text.contains("1 sent, 1 answered, 0% lost"), "{text}");
    }
    let log = responder.log.text();
    assert_eq!(log.lines().count(), 4, "{log}");
    for line in log.lines() {
        assert!(line.starts_with("udp:127.0.0.1:"), "{line}");
        let rest = format!(": OPTIONS {uri} SIP/2.0: SIP/2.0 404 Not Found");
        assert!(line.ends_with(&rest), "{line}");
    }
    responder.interrupt().await;
}

pub async fn ping_shows_messages_and_who_asks_where_told_to<H: AdapterHost>(host: &H) {
    let responder = Responder::start(host, &["--udp", "127.0.0.1:0"]).await;
    // Without a scheme it is a sip URI.
    let target = responder.transport.local_endpoints()[0].addr.to_string();
    let args = ["--count", "1", "--verbose", "--from", "alice@example.com"];
    let (result, text) = ping(host, &[&[&*target], &args[..]].concat()).await;
    result.unwrap();
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"));
    assert!(at("Sent udp:127.0.0.1:") < at(&format!("    OPTIONS sip:{target} SIP/2.0\n")));
    at("    From: <sip:alice@example.com>;tag=");
    let received = at(&format!("<-udp:{target}:\n    SIP/2.0 200 OK\n"));
    assert!(received < at(&format!("\nSIP/2.0 200 OK from udp:{target}: seq=1 time=")));
    responder.interrupt().await;
}

pub async fn ping_goes_over_the_family_asked_for_only<H: AdapterHost>(host: &H) {
    if !host.has_ipv6() {
        return;
    }
    for (option, local) in [("-4", "127.0.0.1"), ("-6", "[::1]")] {
        let at = format!("{local}:0");
        let responder = Responder::start(host, &["--udp", &at, "--tcp", &at]).await;
        for (channel, transport) in responder
            .transport
            .local_endpoints()
            .iter()
            .zip(["", ";transport=tcp"])
        {
            let port = channel.addr.port();
            let uri = format!("sip:localhost:{port}{transport}");
            let (result, text) = ping(host, &[&uri, option, "--count", "1"]).await;
            result.unwrap();
            assert!(text.contains(&format!(":{local}:{port}: seq=1")), "{text}");
            let other = if option == "-4" { "[::1]" } else { "127.0.0.1" };
            let uri = format!("sip:{other}:{port}{transport}");
            let (result, text) = ping(host, &[&uri, option, "--count", "1"]).await;
            result.unwrap_err();
            assert!(text.contains("seq=1: no channel carries "), "{text}");
        }
        responder.interrupt().await;
    }
}

pub async fn ping_tells_connecting_from_the_handshake_and_names_what_would_trust_a_server<
    H: AdapterHost,
>(
    host: &H,
) {
    let args = ["--tcp", "127.0.0.1:0", "--tls", "127.0.0.1:0"];
    let responder = Responder::start(host, &args).await;
    let [tcp, tls] = &responder.uris()[..] else {
        panic!("two channels");
    };
    let connected = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("connected to "));
        line.map(str::to_owned).unwrap_or_else(|| panic!("{text}"))
    };
    let (result, text) = ping(host, &[tcp, "--count", "1"]).await;
    result.unwrap();
    let line = connected(&text);
    assert!(
        line.contains(": connect=") && !line.contains("handshake="),
        "{line}"
    );
    let (result, text) = ping(host, &[tls, "--count", "1", "--insecure"]).await;
    result.unwrap();
    let line = connected(&text);
    assert!(
        line.contains(": connect=") && line.contains(" ms handshake="),
        "{line}"
    );
    // Nobody has signed its certificate; a system without any roots says the same otherwise.
    let (result, text) = ping(host, &[tls, "--count", "1"]).await;
    result.unwrap_err();
    assert!(
        text.contains("--ca") && text.contains("--insecure"),
        "{text}"
    );
    responder.interrupt().await;
}

pub async fn ping_names_dns_where_a_name_leads_nowhere<H: AdapterHost>(host: &H) {
    let (result, text) = ping(host, &["nowhere.invalid", "--count", "1"]).await;
    result.unwrap_err();
    let error = "seq=1: nowhere.invalid does not exist in DNS (NXDOMAIN)";
    assert!(text.contains(error), "{text}");
}

pub async fn the_responder_answers_after_the_delay_asked_for<H: AdapterHost>(host: &H) {
    let args = ["--udp", "127.0.0.1:0", "--delay", "100"];
    let responder = Responder::start(host, &args).await;
    let uri = &responder.uris()[0];
    let (result, text) = ping(host, &[uri, "--count", "3", "--interval", "0.001"]).await;
    result.unwrap();
    let times = text.lines().filter_map(|line| line.split_once(" time="));
    let times: Vec<f64> = times
        .map(|(_, time)| time.trim_end_matches(" ms").parse().unwrap())
        .collect();
    assert!(
        times.len() == 3 && times.iter().all(|time| *time >= 99.0),
        "{text}"
    );
    responder.interrupt().await;
}

pub async fn ping_fails_if_nothing_comes_back<H: AdapterHost>(host: &H) {
    // Bound by nobody: the transport that had the port is gone.
    let (transport, _incoming) = SipTransport::<H::Runtime>::builder()
        .udp("127.0.0.1:0".parse().unwrap())
        .bind()
        .await
        .unwrap();
    let addr = transport.local_endpoints()[0].addr;
    transport.shutdown().await;
    let uri = format!("sip:{addr}");
    let (result, text) = ping(host, &[&uri, "--count", "1", "--timeout", "0.2"]).await;
    assert_eq!(result.unwrap_err(), "nothing came back");
    assert!(text.contains("1 sent, 0 answered, 100% lost"), "{text}");
}
