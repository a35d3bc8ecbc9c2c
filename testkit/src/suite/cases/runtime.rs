//! The streams, timers and lookups of a runtime, over the system's network.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use adapter_core::runtime::{Listener, Runtime as _, SocketOptions, Stream, Timer};

use crate::suite::{AdapterHost, join};

/// Both ends of a connection to a listener: who opened it, and who accepted it.
async fn streams<H: AdapterHost>(
    host: &H,
    listener: &dyn Listener,
) -> (Box<dyn Stream>, Box<dyn Stream>) {
    let client = host.runtime().connect(listener.local_addr(), None);
    let client = client.await.unwrap();
    let (server, _) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
    (client, server)
}

/// Whether a timer that is polled now goes off.
async fn has_gone_off(timer: &mut dyn Timer) -> bool {
    poll_fn(|cx| Poll::Ready(timer.poll(cx).is_ready())).await
}

pub async fn a_stream_carries_bytes_both_ways_and_ends<H: AdapterHost>(host: &H) {
    for local in ["127.0.0.1:0", "[::1]:0"] {
        if local.starts_with('[') && !host.has_ipv6() {
            continue;
        }
        let listener = host.listen(local.parse().unwrap()).unwrap();
        let source: SocketAddr = local.parse().unwrap();
        let client = host
            .runtime()
            .connect(listener.local_addr(), Some(source))
            .await
            .unwrap();
        let (server, remote) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        assert_eq!(
            (server.remote_addr(), remote),
            (client.local_addr(), client.local_addr())
        );
        assert_eq!(server.local_addr(), client.remote_addr());

        let mut buffer = [0; 16];
        for (from, to) in [(&client, &server), (&server, &client)] {
            assert_eq!(
                poll_fn(|cx| from.poll_write(cx, b"bytes")).await.unwrap(),
                5
            );
            assert_eq!(
                poll_fn(|cx| to.poll_read(cx, &mut buffer)).await.unwrap(),
                5
            );
            let kind = to.try_read(&mut buffer).unwrap_err().kind();
            assert_eq!(kind, io::ErrorKind::WouldBlock);
        }
        client.shutdown().unwrap();
        assert_eq!(
            poll_fn(|cx| server.poll_read(cx, &mut buffer))
                .await
                .unwrap(),
            0
        );
        assert_eq!(
            poll_fn(|cx| server.poll_write(cx, b"late")).await.unwrap(),
            4
        );
        assert_eq!(
            poll_fn(|cx| client.poll_read(cx, &mut buffer))
                .await
                .unwrap(),
            4
        );
    }
}

pub async fn a_full_stream_would_block_until_it_is_read<H: AdapterHost>(host: &H) {
    let listener = host.listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let (client, server) = streams(host, listener.as_ref()).await;
    let mut written = 0;
    poll_fn(|cx| client.poll_write_ready(cx)).await.unwrap();
    loop {
        match client.try_write(&[0; 65_536]) {
            Ok(count) => written += count,
            Err(error) => break assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    let (mut read, mut buffer) = (0, vec![0; 65_536]);
    while read < written {
        read += poll_fn(|cx| server.poll_read(cx, &mut buffer))
            .await
            .unwrap();
    }
    assert!(poll_fn(|cx| client.poll_write(cx, b"more")).await.unwrap() > 0);
}

// conformance: 154
pub async fn a_refused_connection_is_an_error<H: AdapterHost>(host: &H) {
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = host.runtime().connect(gone, None).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

pub async fn a_stream_opens_to_a_listener_of_a_thread_outside_the_runtime<H: AdapterHost>(
    host: &H,
) {
    let runtime = host.runtime();
    let listen = move || {
        drop(runtime.timer(runtime.now()));
        runtime.listen("127.0.0.1:0".parse().unwrap(), &SocketOptions::default())
    };
    let listener = host.outside(listen).await.unwrap();
    streams(host, listener.as_ref()).await;
}

/// What is known to block from another's try must be known to be ready again.
pub async fn who_waits_for_room_wakes_though_others_try<H: AdapterHost>(host: &H) {
    let listener = host.listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let (client, server) = streams(host, listener.as_ref()).await;
    let client: Arc<dyn Stream> = Arc::from(client);
    let done = Arc::new(AtomicBool::new(false));
    let others = {
        let (client, done) = (Arc::clone(&client), Arc::clone(&done));
        host.outside(move || {
            while !done.load(Ordering::Acquire) {
                let _full = client.try_write(&[0; 65_536]);
            }
        })
    };
    let waits = async {
        for _ in 0..100 {
            while client.try_write(&[0; 65_536]).is_ok() {}
            poll_fn(|cx| client.poll_write_ready(cx)).await.unwrap();
        }
        done.store(true, Ordering::Release);
        client.shutdown().unwrap();
    };
    let reads = async {
        let mut buffer = vec![0; 65_536];
        while poll_fn(|cx| server.poll_read(cx, &mut buffer))
            .await
            .unwrap()
            > 0
        {}
    };
    join(others, join(waits, reads)).await;
}

pub async fn a_timer_goes_off_when_its_time_has_come_and_again_when_reset<H: AdapterHost>(
    host: &H,
) {
    let runtime = host.runtime();
    let start = runtime.now();
    let at = |millis| start + Duration::from_millis(millis);
    let mut timer = runtime.timer(at(20));
    assert!(!has_gone_off(&mut *timer).await);
    // Nearer and further, while it waits.
    timer.reset(at(10));
    poll_fn(|cx| timer.poll(cx)).await;
    assert!(runtime.now() >= at(10));
    assert!(has_gone_off(&mut *timer).await);
    timer.reset(at(3_600_000));
    assert!(!has_gone_off(&mut *timer).await);
    timer.reset(at(30));
    poll_fn(|cx| timer.poll(cx)).await;
    assert!(runtime.now() >= at(30));
    // What has passed already is no matter of waiting.
    timer.reset(start);
    assert!(has_gone_off(&mut *timer).await);
}

pub async fn lookup_answers_for_numbers_and_localhost_and_fails_for_invalid<H: AdapterHost>(
    host: &H,
) {
    let runtime = host.runtime();
    let ip: IpAddr = "192.0.2.1".parse().unwrap();
    assert_eq!(runtime.lookup("192.0.2.1".into()).await.unwrap(), [ip]);
    let local = runtime.lookup("localhost".into()).await.unwrap();
    assert!(
        !local.is_empty() && local.iter().all(IpAddr::is_loopback),
        "{local:?}"
    );
    runtime
        .lookup("a name with spaces".into())
        .await
        .unwrap_err();
}

pub async fn the_local_address_is_the_one_the_system_sends_from<H: AdapterHost>(host: &H) {
    let remote = "127.0.0.7:0".parse().unwrap();
    let local: IpAddr = "127.0.0.1".parse().unwrap();
    assert_eq!(host.runtime().local_address(remote).unwrap(), local);
}

pub async fn seeds_differ<H: AdapterHost>(host: &H) {
    let mut seeds = [[0; 32]; 2];
    for seed in &mut seeds {
        host.runtime().fill_random(seed).unwrap();
    }
    assert!(seeds[0] != seeds[1] && seeds[0] != [0; 32]);
}
