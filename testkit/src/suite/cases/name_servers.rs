//! A name server on the network that is not to be trusted, or does not work.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::{Future as _, IntoFuture as _, poll_fn};
use std::net::{IpAddr, Ipv4Addr};
use std::task::Poll;
use std::time::Duration;

use adapter_core::SipTransport;
use sip_transport_proto::Config;
use sip_transport_proto::resolve::ResolveConfig;
use sip_transport_proto::sip_core::Method;

use crate::suite::wait::first;
use crate::suite::{AdapterHost, Family, StreamPeer, UdpPeer, join, request_to};

/// What a name server knows of each name.
const TRUE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const FORGED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 66);

/// A query: its id, its question and the name in that (RFC 1035 §4.1).
struct Query<'a> {
    id: [u8; 2],
    question: &'a [u8],
    name: String,
    is_a: bool,
}

impl<'a> Query<'a> {
    fn read(message: &'a [u8]) -> Self {
        let mut name = Vec::new();
        let mut at = 12;
        while message[at] != 0 {
            let end = at + 1 + usize::from(message[at]);
            name.push(String::from_utf8_lossy(&message[at + 1..end]).to_lowercase());
            at = end;
        }
        let end = at + 5;
        Self {
            id: [message[0], message[1]],
            question: &message[12..end],
            name: name.join("."),
            is_a: message[at + 1..at + 3] == [0, 1],
        }
    }

    /// An answer with these records.
    fn answer(&self, records: &[Vec<u8>]) -> Vec<u8> {
        self.answer_as(self.id, self.question, 0x84, records)
    }

    fn answer_as(&self, id: [u8; 2], question: &[u8], flags: u8, records: &[Vec<u8>]) -> Vec<u8> {
        let mut answer = id.to_vec();
        answer.extend([flags, 0x80, 0, 1]);
        answer.extend((records.len() as u16).to_be_bytes());
        answer.extend([0, 0, 0, 0]);
        answer.extend(question);
        answer.extend(records.iter().flatten());
        answer
    }
}

/// A record of the name that was asked for.
fn record(kind: u16, data: &[u8]) -> Vec<u8> {
    let mut record = vec![0xC0, 12];
    record.extend(kind.to_be_bytes());
    record.extend([0, 1, 0, 0, 0, 60]);
    record.extend((data.len() as u16).to_be_bytes());
    record.extend(data);
    record
}

fn address(ip: Ipv4Addr) -> Vec<u8> {
    record(1, &ip.octets())
}

/// Answers queries, each by its name.
async fn serve(server: &mut UdpPeer, stranger: &UdpPeer) {
    let mut back = false;
    loop {
        let (message, client) = server.recv().await;
        let query = Query::read(&message);
        if !query.is_a {
            server.send(client, query.answer(&[])).await;
            continue;
        }
        let answer = match query.name.as_str() {
            // Another id, another question and another source, and then the truth.
            "forged.test" => {
                let lie = [address(FORGED)];
                let other_id = [query.id[0] ^ 1, query.id[1]];
                let other_name = b"\x04evil\x04test\0\0\x01\0\x01";
                for forged in [
                    query.answer_as(other_id, query.question, 0x84, &lie),
                    query.answer_as(query.id, other_name, 0x84, &lie),
                ] {
                    server.send(client, forged).await;
                }
                stranger.send(client, query.answer(&lie)).await;
                query.answer(&[address(TRUE)])
            }
            "loop.test" => {
                // A name that begins where it begins.
                let at = 12 + query.question.len();
                let mut looping = vec![0xC0 | (at >> 8) as u8, at as u8];
                looping.extend(&address(TRUE)[2..]);
                query.answer(&[looping])
            }
            "cut.test" => {
                let mut cut = address(TRUE);
                cut[11] = 200;
                query.answer(&[cut])
            }
            "label.test" => query.answer(&[record(5, &[63, b'a'])]),
            "alias.test" => query.answer(&[record(5, &[0xC0, 12])]),
            "nothing.test" => query.answer(&[]),
            "missing.test" => {
                let mut answer = query.answer(&[]);
                answer[3] |= 3; // NXDOMAIN
                answer
            }
            "junk.test" => query.id.repeat(40),
            "many.test" => {
                let many = (0..60).map(|n| address(Ipv4Addr::new(198, 51, 100, n)));
                query.answer(&many.collect::<Vec<_>>())
            }
            // The first query is lost.
            "back.test" if back => query.answer(&[address(TRUE)]),
            "back.test" => {
                back = true;
                continue;
            }
            "long.test" => query.answer_as(query.id, query.question, 0x86, &[]),
            _ => continue,
        };
        server.send(client, answer).await;
    }
}

/// What a host of that name has come to, with all its addresses.
async fn look_up<H: AdapterHost>(
    alice: &SipTransport<H::Runtime>,
    name: &str,
) -> Result<Vec<IpAddr>, String> {
    let uri = format!("sip:bob@{name}:5070;transport=udp");
    let message = request_to(Method::Options, &uri, b"");
    let plan = alice.send_request(message).plan().await;
    match plan {
        Ok(targets) => Ok(targets.iter().map(|target| target.addr.ip()).collect()),
        Err(error) => Err(error.to_string()),
    }
}

/// A name that the hosts file has, with its address.
fn known_to_this_host() -> Option<(String, IpAddr)> {
    let hosts = std::fs::read_to_string("/etc/hosts").ok()?;
    hosts.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let ip: Ipv4Addr = words.next()?.parse().ok()?;
        let name = words.find(|name| !name.ends_with("localhost") && !name.contains("ip6"))?;
        Some((name.to_owned(), ip.into()))
    })
}

// bad-inputs: D1, D3
// conformance: 325, 337
pub async fn a_name_server_that_lies_or_fails_is_bounded_and_harms_no_other_name<H: AdapterHost>(
    host: &H,
) {
    let here = host.place();
    let mut server = UdpPeer::new(host.bind_datagrams(here.any_port(Family::V4)).unwrap());
    let stranger = UdpPeer::new(host.bind_datagrams(here.any_port(Family::V4)).unwrap());
    let listener = host.listen(server.addr()).unwrap();
    let (alice, _incoming) = SipTransport::<H::Runtime>::builder()
        .worker_runtimes([host.runtime()])
        .name_servers([server.addr()])
        .bind()
        .await
        .unwrap();
    let lookups = async {
        let silent = look_up::<H>(&alice, "silent.test");
        let others = async {
            let truth = Ok(vec![IpAddr::from(TRUE)]);
            assert_eq!(look_up::<H>(&alice, "forged.test").await, truth);
            for name in [
                "loop.test",
                "cut.test",
                "label.test",
                "alias.test",
                "nothing.test",
                "junk.test",
            ] {
                let error = look_up::<H>(&alice, name).await.unwrap_err();
                assert!(error.contains("DNS") && error.contains(name), "{error}");
            }
            let error = look_up::<H>(&alice, "missing.test").await.unwrap_err();
            assert_eq!(error, "missing.test does not exist in DNS (NXDOMAIN)");
            if let Some((name, ip)) = known_to_this_host() {
                // The hosts file comes before any server.
                let found = look_up::<H>(&alice, &name).await.unwrap();
                assert!(found.contains(&ip), "{name}: {found:?}");
            }
            assert_eq!(look_up::<H>(&alice, "many.test").await.unwrap().len(), 32);
            // A name server that is back is used while the lookup lasts.
            assert_eq!(look_up::<H>(&alice, "back.test").await, truth);
            // What was cut short is asked for over TCP (RFC 7766 §5).
            let long = async {
                let mut peer = StreamPeer::accept_plain(listener.as_ref()).await;
                let mut message = peer.read(2).await;
                let len = usize::from(u16::from_be_bytes([message[0], message[1]]));
                message = peer.read(len).await;
                let answer = Query::read(&message).answer(&[address(TRUE)]);
                peer.write_wire((answer.len() as u16).to_be_bytes()).await;
                peer.write_wire(answer).await;
                peer
            };
            let (found, _peer) = join(look_up::<H>(&alice, "long.test"), long).await;
            assert_eq!(found, truth);
        };
        let (silence, ()) = join(silent, others).await;
        let error = silence.unwrap_err();
        let silence = "silent.test: no name server answered in time";
        assert!(error.contains(silence), "{error}");
    };
    first(lookups, serve(&mut server, &stranger)).await;
    alice.shutdown().await;
    assert_eq!(alice.tasks(), 0);
}

/// Answers for names in one domain, and tells which other names were asked for.
async fn serve_only(server: &mut UdpPeer, domain: &str, others: &RefCell<BTreeSet<String>>) {
    loop {
        let (message, client) = server.recv().await;
        let query = Query::read(&message);
        if !query.name.ends_with(domain) {
            others.borrow_mut().insert(query.name);
            continue;
        }
        let records = match query.is_a {
            true => vec![address(TRUE)],
            false => Vec::new(),
        };
        server.send(client, query.answer(&records)).await;
    }
}

// bad-inputs: D6
pub async fn names_that_nobody_answers_have_few_sockets_and_hold_up_no_other<H: AdapterHost>(
    host: &H,
) {
    let here = host.place();
    let mut server = UdpPeer::new(host.bind_datagrams(here.any_port(Family::V4)).unwrap());
    // However slow this machine is.
    let mut resolve = ResolveConfig::default();
    resolve.lookup_timeout(Duration::from_secs(60)).unwrap();
    resolve.crowded_timeout(Duration::from_secs(60)).unwrap();
    let mut config = Config::default();
    config.resolve(resolve);
    let (alice, _incoming) = SipTransport::<H::Runtime>::builder()
        .config(config)
        .worker_runtimes([host.runtime()])
        .name_servers([server.addr()])
        .bind()
        .await
        .unwrap();
    let dead_names = (0..300).map(|i| format!("sip:n{i}.dead.test:5070;transport=udp"));
    let mut dead: Vec<_> = dead_names
        .map(|uri| {
            let request = request_to(Method::Options, &uri, b"");
            Box::pin(alice.send_request(request).into_future())
        })
        .collect();
    let others = RefCell::new(BTreeSet::new());
    let lookups = async {
        // They are under way, or have made room.
        poll_fn(|cx| {
            dead.retain_mut(|send| send.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        assert!(!dead.is_empty());
        let truth = Ok(vec![IpAddr::from(TRUE)]);
        assert_eq!(look_up::<H>(&alice, "live.example").await, truth);
        // A socket each, half of all for one domain; once more where they were given up meanwhile.
        let asked = others.borrow().len();
        assert!((1..=64).contains(&asked), "{asked}");
    };
    first(lookups, serve_only(&mut server, "example", &others)).await;
    let stats = alice.resolve_stats();
    assert!(stats.over_open_limit > 0, "{stats:?}");
    alice.shutdown().await;
    for send in dead {
        assert!(send.await.is_err());
    }
    assert_eq!(alice.tasks(), 0);
}
