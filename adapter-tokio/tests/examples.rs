//! The examples do what they say, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::future::pending;

use adapter_tokio::{SipTransport, TokioRuntime};
use clap::Parser;
use testkit::examples::{ping, quickstart, responder};
use tokio::sync::oneshot;

async fn quickstart_lines() -> Vec<String> {
    let mut out = Vec::new();
    quickstart::run::<TokioRuntime>(&quickstart::Args::default(), &mut out)
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

#[tokio::test]
async fn quickstart_carries_a_request_and_its_response_over_every_channel() {
    let lines = quickstart_lines().await;
    let (requests, responses) = (arrivals(&lines, "Request"), arrivals(&lines, "Response"));
    for end in ["udp:127.0.0.1", "udp:[::1]", "tcp:127.0.0.1", "tcp:[::1]"] {
        let request = requests.iter().find(|(local, _)| local == end).expect(end);
        assert!(request.1.starts_with("OPTIONS sip:") && request.1.ends_with(" SIP/2.0"));
        let response = responses.iter().find(|(local, _)| local == end).expect(end);
        assert_eq!(response.1, "SIP/2.0 200 OK");
    }
    assert_eq!(requests.len(), responses.len());
}

#[tokio::test]
async fn quickstart_shows_placeholders_before_and_addresses_after_substitution() {
    let lines = quickstart_lines().await;
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

#[tokio::test]
async fn quickstart_tells_why_a_hint_was_overruled() {
    let lines = quickstart_lines().await;
    let sent: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("Response sent "))
        .collect();
    assert!(sent[0].starts_with("Response sent tcp:") && sent[0].ends_with(", hint honoured"));
    assert!(sent[1].starts_with("Response sent udp:"));
    assert!(sent[1].ends_with(", hint overruled: the destination asks for another protocol"));
}

async fn ping(args: &[&str]) -> (Result<(), String>, String) {
    let args = ping::Args::parse_from([&["ping"], args].concat());
    let mut out = Vec::new();
    let result = ping::run::<TokioRuntime>(&args, pending(), &mut out).await;
    (
        result.map_err(|e| e.to_string()),
        String::from_utf8(out).unwrap(),
    )
}

#[tokio::test]
async fn ping_counts_what_the_responder_answers_and_the_responder_ends_when_interrupted() {
    let args = [
        "responder",
        "--udp",
        "127.0.0.1:0",
        "--tcp",
        "127.0.0.1:0",
        "--workers",
        "2",
    ];
    let args = responder::Args::parse_from(args);
    let (transport, incoming) = args.builder::<TokioRuntime>().bind().await.unwrap();
    let workers: Vec<_> = incoming
        .into_workers()
        .into_iter()
        .map(|incoming| tokio::spawn(responder::answer(transport.clone(), incoming)))
        .collect();
    assert_eq!(workers.len(), 2);

    let channels = transport.local_endpoints();
    for (channel, transport) in channels.iter().zip(["", ";transport=tcp"]) {
        let uri = format!("sip:{}{transport}", channel.addr);
        let (result, text) = ping(&[&uri, "--count", "3", "--interval", "0.001"]).await;
        result.unwrap();
        let answers = text
            .lines()
            .filter(|line| line.starts_with("SIP/2.0 200 OK from "));
        assert_eq!(answers.count(), 3, "{text}");
        assert!(text.contains("3 sent, 3 answered, 0% lost"), "{text}");
    }

    let (interrupt, interrupted) = oneshot::channel();
    interrupt.send(()).unwrap();
    let interrupted = async { interrupted.await.unwrap() };
    responder::run(&args, &transport, interrupted)
        .await
        .unwrap();
    for worker in workers {
        worker.await.unwrap();
    }
}

#[tokio::test]
async fn ping_fails_if_nothing_comes_back() {
    // Bound by nobody: the transport that had the port is gone.
    let (transport, _incoming) = SipTransport::builder()
        .udp("127.0.0.1:0".parse().unwrap())
        .bind()
        .await
        .unwrap();
    let addr = transport.local_endpoints()[0].addr;
    transport.shutdown().await;
    let uri = format!("sip:{addr}");
    let (result, text) = ping(&[&uri, "--count", "1", "--timeout", "0.2"]).await;
    assert_eq!(result.unwrap_err(), "nothing came back");
    assert!(text.contains("1 sent, 0 answered, 100% lost"), "{text}");
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    assert!(ping::Args::try_parse_from(["ping"]).is_err());
    assert!(ping::Args::try_parse_from(["ping", "sip:a", "--count", "0"]).is_err());
    assert!(ping::Args::try_parse_from(["ping", "sip:a", "--interval", "-1"]).is_err());
    assert!(responder::Args::try_parse_from(["responder"]).is_err());
    assert!(responder::Args::try_parse_from(["responder", "--udp", "nonsense"]).is_err());
    let workers = ["responder", "--udp", "127.0.0.1:0", "--workers", "0"];
    assert!(responder::Args::try_parse_from(workers).is_err());
    assert!(quickstart::Args::try_parse_from(["quickstart", "--port-base", "70000"]).is_err());
}
