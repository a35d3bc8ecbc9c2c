//! The examples do what they say, over real sockets.

use std::future::{pending, ready};

use adapter_core::{Runtime as _, SipTransport};
use clap::Parser;
use futures_channel::oneshot;

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

pub async fn ping_counts_what_the_responder_answers_and_the_responder_ends_when_interrupted<
    H: AdapterHost,
>(
    host: &H,
) {
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
    let (transport, incoming) = args.builder::<H::Runtime>().unwrap().bind().await.unwrap();
    let workers = incoming.into_workers();
    assert_eq!(workers.len(), 2);
    let ends: Vec<_> = workers
        .into_iter()
        .map(|incoming| {
            let answering = responder::answer(transport.clone(), incoming);
            let (ended, ends) = oneshot::channel();
            host.runtime().spawn(Box::pin(async move {
                answering.await;
                ended.send(()).unwrap();
            }));
            ends
        })
        .collect();

    let channels = transport.local_endpoints();
    for (channel, transport) in channels.iter().zip(["", ";transport=tcp"]) {
        let uri = format!("sip:{}{transport}", channel.addr);
        let (result, text) = ping(host, &[&uri, "--count", "3", "--interval", "0.001"]).await;
        result.unwrap();
        let answers = text
            .lines()
            .filter(|line| line.starts_with("SIP/2.0 200 OK from "));
        assert_eq!(answers.count(), 3, "{text}");
        assert!(text.contains("3 sent, 3 answered, 0% lost"), "{text}");
    }

    let interrupted = ready(());
    responder::run(&args, &transport, interrupted)
        .await
        .unwrap();
    for end in ends {
        end.await.unwrap();
    }
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
