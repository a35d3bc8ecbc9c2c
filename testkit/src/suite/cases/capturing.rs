//! Captures: to collectors over UDP, TCP and TLS, and to files.

use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use adapter_core::capture::sip_capture::hep::Frame;
use adapter_core::capture::{
    Capture, CaptureCounters, CaptureStats, Collector, Filter, Redaction, Rotation,
};
use adapter_core::error::BindError;
use adapter_core::{SipTransport, runtime::Listener};
use sip_transport_proto::sip_core::Method;
use sip_transport_proto::tls::Tls;
use sip_transport_proto::{Protocol, SendOptions, SipEndpoint};

use crate::suite::{
    Adapter, AdapterHost, Endpoint, Family, Setup, StreamPeer, UdpPeer, authority, join,
    next_request, next_response, reply, request, server_at,
};

/// A folder of its own, which goes when the case ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sip-capture-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("calls.pcapng")
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.join(name)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn listen<H: AdapterHost>(host: &H) -> Box<dyn Listener> {
    host.listen(host.place().any_port(Family::V4)).unwrap()
}

fn over(protocol: &str, listener: &dyn Listener) -> Capture {
    Capture::hep(&format!("{protocol}:{}", listener.local_addr())).unwrap()
}

fn setup<H: AdapterHost>(host: &H, protocol: Protocol) -> Setup {
    match protocol {
        Protocol::Udp => Setup::new().both(&host.place(), Family::V4),
        stream => Setup::new().udp_and(stream, &host.place(), Family::V4),
    }
}

/// A transport with captures, and one that it talks to.
async fn pair<H: AdapterHost>(
    host: &H,
    protocol: Protocol,
    captures: impl IntoIterator<Item = Capture>,
) -> (Adapter<H::Runtime>, Adapter<H::Runtime>, SipEndpoint) {
    let captured = Adapter::start_captured(host.runtime(), setup(host, protocol), captures);
    let alice = captured.await.unwrap();
    let bob = Adapter::start(host.runtime(), setup(host, protocol));
    let bob = bob.await.unwrap();
    let to = bob.channel(protocol, Family::V4);
    (alice, bob, to)
}

/// A request and its response; returns the bytes of both.
async fn exchange<E: Endpoint>(alice: &mut E, bob: &mut E, to: SipEndpoint) -> [Vec<u8>; 2] {
    let request = request(Method::Options, to);
    let sent = alice.send(request.into(), SendOptions::new());
    let sent = sent.await.unwrap();
    let (_, _, request) = next_request(bob).await;
    let answer = bob.send(reply(&request, 200), SendOptions::new());
    let answer = answer.await.unwrap();
    next_response(alice).await;
    [sent.bytes().to_vec(), answer.bytes().to_vec()]
}

/// The frames of a stream that has ended.
fn frames(mut bytes: &[u8]) -> Vec<Frame<'_>> {
    let mut frames = Vec::new();
    while let Some(length) = Frame::length_of(bytes).unwrap() {
        let (frame, rest) = bytes.split_at(length);
        frames.push(Frame::decode(frame).unwrap());
        bytes = rest;
    }
    frames
}

/// All that a client which may leave the handshake sends over TLS.
async fn plaintext(listener: &dyn Listener) -> Vec<u8> {
    let (stream, _) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
    let tls = server_at(listener.local_addr().ip());
    let mut machine = Tls::server(&tls, Protocol::Tls).unwrap();
    let (mut plaintext, mut buffer) = (Vec::new(), [0; 4_096]);
    while let Ok(length @ 1..) = poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await {
        // A client that refuses us sends an alert.
        _ = machine.read(&buffer[..length], &mut |plain| {
            plaintext.extend_from_slice(plain);
            plain.len()
        });
        let mut out = Vec::new();
        machine.flush(&mut out);
        while !out.is_empty() {
            let written = poll_fn(|cx| stream.poll_write(cx, &out))
                .await
                .unwrap_or(out.len());
            out.drain(..written);
        }
    }
    plaintext
}

fn stats(counters: &Arc<CaptureCounters>) -> CaptureStats {
    counters.stats()
}

pub async fn an_exchange_is_captured_by_hep_over_udp_and_tcp_and_in_a_file<H: AdapterHost>(
    host: &H,
    protocol: Protocol,
) {
    let folder = Folder::new();
    let socket = host.bind_datagrams(host.place().any_port(Family::V4));
    let mut datagrams = UdpPeer::new(socket.unwrap());
    let listener = listen(host);
    let captures = [
        Capture::hep(&datagrams.addr().to_string()).unwrap(),
        over("tcp", &*listener),
        Capture::pcapng(folder.file(), Rotation::never()),
    ];
    let (mut alice, mut bob, to) = pair(host, protocol, captures).await;
    let channel = alice.channel(protocol, Family::V4);
    let exchanged = exchange(&mut alice, &mut bob, to).await;
    let collect = async {
        let mut stream = StreamPeer::accept(Protocol::Tcp, &*listener).await;
        stream.read_to_end().await.0
    };
    let (stream, ()) = join(collect, alice.shutdown()).await;

    let datagrams = [datagrams.recv().await.0, datagrams.recv().await.0];
    let over_udp: Vec<_> = datagrams
        .iter()
        .map(|d| Frame::decode(d).unwrap())
        .collect();
    let over_tcp = frames(&stream);
    // Each capture has the wall clock's time for itself.
    let parts = |frame: &Frame<'_>| (frame.payload.to_vec(), frame.source, frame.protocol);
    assert!(over_udp.iter().map(parts).eq(over_tcp.iter().map(parts)));
    let file = folder.read("calls.pcapng");
    let [there, back] = &over_tcp[..] else {
        panic!("{} frames", over_tcp.len());
    };
    for (frame, bytes) in [there, back].into_iter().zip(&exchanged) {
        assert_eq!(frame.payload, bytes);
        assert_eq!(frame.protocol, protocol);
        assert!(contains(&file, bytes));
    }
    assert_eq!((there.destination, back.source), (to.addr, to.addr));
    assert_eq!(there.source, back.destination);
    assert!(there.correlation_id.is_some() && there.correlation_id == back.correlation_id);
    assert!(there.time <= back.time && there.time.elapsed().unwrap().as_secs() < 60);
    assert!(contains(&file, channel.to_string().as_bytes()));
    bob.shutdown().await;
}

pub async fn a_capture_over_tls_reaches_a_collector_whose_name_is_proved<H: AdapterHost>(host: &H) {
    let listener = listen(host);
    let collector = Collector::new(Protocol::Tls, listener.local_addr()).auth_key("secret");
    let proved = Capture::from(collector.clone().tls(authority().client()));
    let (mut alice, mut bob, to) = pair(host, Protocol::Udp, [proved]).await;
    exchange(&mut alice, &mut bob, to).await;
    let collect = async {
        let tls = server_at(listener.local_addr().ip());
        let mut stream = StreamPeer::accept_with(Protocol::Tls, &*listener, &tls).await;
        stream.read_to_end().await.0
    };
    let (stream, ()) = join(collect, alice.shutdown()).await;
    let frames = frames(&stream);
    assert_eq!(frames.len(), 2);
    assert!(frames.iter().all(|frame| frame.auth_key == Some(b"secret")));

    // Whoever is not trusted gets nothing.
    let unproved = Capture::from(collector.tls(crate::suite::stranger().client()));
    let counters = unproved.counters();
    let (mut alice, mut bob, to) = pair(host, Protocol::Udp, [unproved]).await;
    exchange(&mut alice, &mut bob, to).await;
    let (plaintext, ()) = join(plaintext(&*listener), alice.shutdown()).await;
    assert_eq!(plaintext, b"");
    let sender = stats(&counters).sender;
    assert_eq!((sender.sent, sender.abandoned), (0, 2));
}

pub async fn a_dead_collector_loses_what_it_was_to_get_and_nothing_else<H: AdapterHost>(host: &H) {
    // Ports that nobody has any more.
    let gone = listen(host).local_addr();
    let captures = [
        Capture::hep(&format!("tcp:{gone}")).unwrap().queue(4_000),
        Capture::hep(&gone.to_string()).unwrap(),
    ];
    let counters = captures.each_ref().map(Capture::counters);
    let (mut alice, mut bob, to) = pair(host, Protocol::Tcp, captures).await;
    for _ in 0..100 {
        exchange(&mut alice, &mut bob, to).await;
    }
    alice.shutdown().await;
    let [tcp, udp] = counters.map(|counters| counters.stats());
    let CaptureStats {
        overrun, sender, ..
    } = tcp;
    assert_eq!(
        overrun + sender.queue_full + sender.abandoned,
        200,
        "{tcp:?}"
    );
    assert!(sender.abandoned > 0 && sender.disconnected > 0);
    let told = udp.overrun + udp.sender.sent + udp.sender.failed + udp.sender.abandoned;
    assert_eq!(told, 200, "{udp:?}");
}

pub async fn a_collector_that_comes_late_gets_what_waits<H: AdapterHost>(host: &H) {
    let listener = listen(host);
    let at = listener.local_addr();
    let capture = over("tcp", &*listener);
    let counters = capture.counters();
    drop(listener);
    let (mut alice, mut bob, to) = pair(host, Protocol::Udp, [capture]).await;
    exchange(&mut alice, &mut bob, to).await;
    host.until(|| stats(&counters).sender.disconnected > 0)
        .await;
    let listener = host.listen(at).unwrap();
    let collect = async {
        let mut stream = StreamPeer::accept(Protocol::Tcp, &*listener).await;
        host.until(|| stats(&counters).sender.sent == 2).await;
        stream.read_to_end().await.0
    };
    let shutdown = async {
        host.until(|| stats(&counters).sender.sent == 2).await;
        alice.shutdown().await;
    };
    let (stream, ()) = join(collect, shutdown).await;
    assert_eq!(frames(&stream).len(), 2);
}

pub async fn what_is_filtered_or_redacted_is_not_captured<H: AdapterHost>(host: &H) {
    let folder = Folder::new();
    let other = folder.0.join("other.pcapng");
    let captures = [
        Capture::pcapng(folder.file(), Rotation::never()).redact(Redaction::none().header("Via")),
        Capture::pcapng(&other, Rotation::never()).filter(Filter::new().methods(["INVITE"])),
    ];
    let counters = captures.each_ref().map(Capture::counters);
    let (mut alice, mut bob, to) = pair(host, Protocol::Udp, captures).await;
    exchange(&mut alice, &mut bob, to).await;
    alice.shutdown().await;
    let [redacted, filtered] = counters.map(|counters| counters.stats());
    assert_eq!((redacted.sender.sent, filtered.sender.sent), (2, 0));
    assert_eq!((redacted.filtered, filtered.filtered), (0, 2));
    let file = folder.read("calls.pcapng");
    assert!(contains(&file, b"\r\nVia: Redacted by=capture\r\n"));
    assert!(!contains(&file, b"z9hG4bK"));
    assert_eq!(folder.read("other.pcapng"), b"");
}

pub async fn files_are_rotated_by_size_and_the_last_are_kept<H: AdapterHost>(host: &H) {
    const SIZE: usize = 3_000;
    let folder = Folder::new();
    std::fs::write(folder.file(), "of an earlier run").unwrap();
    let rotation = Rotation::size(SIZE as u64).keep(2);
    let capture = Capture::pcapng(folder.file(), rotation);
    let counters = capture.counters();
    let (mut alice, mut bob, to) = pair(host, Protocol::Udp, [capture]).await;
    exchange(&mut alice, &mut bob, to).await;
    host.until(|| stats(&counters).sender.sent == 2).await;
    assert_eq!(folder.read("calls.1.pcapng"), b"of an earlier run");
    let mut last = Vec::new();
    for _ in 0..20 {
        last = exchange(&mut alice, &mut bob, to).await[1].clone();
    }
    alice.shutdown().await;
    let mut names: Vec<_> = std::fs::read_dir(&folder.0).unwrap().collect();
    assert_eq!(names.len(), 3);
    for name in names.drain(..) {
        let file = std::fs::read(name.unwrap().path()).unwrap();
        assert!(file.len() <= SIZE);
        // Each stands alone: it has a header of its own.
        assert!(file.starts_with(b"\x0A\x0D\x0D\x0A") && contains(&file, b"udp:"));
    }
    assert!(contains(&folder.read("calls.pcapng"), &last));
    assert_eq!(stats(&counters).sender.sent, 42);
}

pub async fn a_file_that_was_moved_away_is_begun_anew_and_old_ones_stay<H: AdapterHost>(host: &H) {
    let folder = Folder::new();
    std::fs::write(folder.0.join("calls.1.pcapng"), "old").unwrap();
    let capture = Capture::pcapng(folder.file(), Rotation::size(3_000).keep(2));
    let counters = capture.counters();
    let (mut alice, mut bob, to) = pair(host, Protocol::Udp, [capture]).await;
    std::fs::rename(folder.file(), folder.0.join("moved.pcapng")).unwrap();
    let mut messages = Vec::new();
    for _ in 0..20 {
        if folder.file().exists() {
            break;
        }
        messages.extend(exchange(&mut alice, &mut bob, to).await);
        let captured = messages.len() as u64;
        host.until(|| stats(&counters).sender.sent == captured)
            .await;
    }
    alice.shutdown().await;
    assert_eq!(folder.read("calls.1.pcapng"), b"old");
    assert!(!folder.0.join("calls.2.pcapng").exists());
    let files = [folder.read("moved.pcapng"), folder.read("calls.pcapng")].concat();
    assert!(messages.iter().all(|message| contains(&files, message)));
}

pub async fn a_capture_file_that_cannot_be_opened_says_why<H: AdapterHost>(host: &H) {
    let folder = Folder::new();
    let path = folder.0.join("missing").join("calls.pcapng");
    let fine = Capture::pcapng(folder.file(), Rotation::never());
    let capture = Capture::pcapng(&path, Rotation::never());
    let builder = SipTransport::builder().worker_runtimes([host.runtime()]);
    let refused = builder.capture(fine).capture(capture).bind().await;
    let Err(BindError::Capture { path: named, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(named, path);
}
