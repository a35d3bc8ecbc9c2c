//! A server with addresses of both families: connections to them race, and one carries the message
//! (RFC 8305 §5).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::io::ErrorKind;
use std::time::Duration;

use common::{Host, addr, ip, options};
use sip_transport_proto::error::{AttemptCause, CloseReason, SendCause};
use sip_transport_proto::resolve::Zone;
use sip_transport_proto::{
    ChannelConfig, Config, ConnectionId, Deadline, Event, Outgoing, Protocol, SendId, SendOptions,
    Sent,
};
use testkit::suite::authority;

const URI: &str = "sip:bob@a.example:5060;transport=tcp";
const ZONE: &str = "
    a.example AAAA 2001:db8::7
    a.example A 192.0.2.7
    b.example AAAA 2001:db8::1:7
    b.example AAAA 2001:db8::1:8
    b.example A 192.0.2.8";
const SIX: &str = "[2001:db8::7]:5060";
const FOUR: &str = "192.0.2.7:5060";
const DELAY: Duration = Duration::from_millis(250);
const MOMENT: Duration = Duration::from_millis(1);
const REFUSED: ErrorKind = ErrorKind::ConnectionRefused;

fn zone() -> Zone {
    ZONE.parse().unwrap()
}

fn host() -> Host {
    with(Config::default())
}

fn with(config: Config) -> Host {
    let mut host = Host::with(config);
    host.tcp("192.0.2.1:5060");
    host.tcp("[2001:db8::1]:5060");
    host
}

/// A send that waits for the first connection.
fn start(host: &mut Host, uri: &str, how: SendOptions) -> SendId {
    let send = host.waits(options(uri), how);
    if !host.lookups.is_empty() {
        host.resolve_from(&zone());
    }
    send
}

/// Where connections were tried since this was last asked, with their ids.
fn tries(host: &mut Host) -> Vec<(ConnectionId, String)> {
    let tries = host.connects.drain(..);
    tries
        .map(|(id, remote, _)| (id, remote.to_string()))
        .collect()
}

fn one_try(host: &mut Host, remote: &str) -> ConnectionId {
    let tries = tries(host);
    assert_eq!(tries.len(), 1, "{tries:?}");
    assert_eq!(tries[0].1, remote);
    tries[0].0
}

fn open(host: &mut Host, id: ConnectionId, local: &str) {
    host.transport.handle_connected(host.now, id, addr(local));
    host.drain();
}

fn fail(host: &mut Host, id: ConnectionId) {
    host.transport.handle_error(id, REFUSED);
    host.drain();
}

fn causes(sent: &Sent) -> Vec<(String, AttemptCause)> {
    let tried = sent.tried().iter();
    tried
        .map(|attempt| (attempt.target.addr.to_string(), attempt.cause.clone()))
        .collect()
}

fn overtaken() -> AttemptCause {
    AttemptCause::Closed(CloseReason::Overtaken)
}

/// Everything that was opened is over, and nothing waits.
fn over(host: &mut Host) {
    let now = host.now;
    host.transport.shutdown(now);
    host.drain();
    host.pass(Duration::from_secs(30));
    let held = host.transport.router().held();
    assert_eq!((held.connections, held.waiting, held.races), (0, 0, 0));
    assert_eq!(host.deadline, None);
}

// conformance: 332
#[test]
fn the_other_family_is_tried_after_250_ms_and_whoever_is_connected_first_carries_the_message() {
    let mut host = host();
    let send = start(&mut host, URI, SendOptions::new());
    let six = one_try(&mut host, SIX);
    assert_eq!(host.deadline, Some((host.now + DELAY, Deadline::Race)));
    host.pass(DELAY - MOMENT);
    assert!(tries(&mut host).is_empty());
    host.pass(MOMENT);
    let four = one_try(&mut host, FOUR);
    assert!(host.events.is_empty());
    open(&mut host, four, "192.0.2.1:40000");
    let sent = host.completed(send).unwrap();
    assert_eq!(sent.remote().addr, addr(FOUR));
    assert_eq!(sent.target().unwrap().addr, addr(FOUR));
    // The Via is that of the channel that it left on.
    let via = String::from_utf8(sent.bytes().to_vec()).unwrap();
    assert!(via.contains("Via: SIP/2.0/TCP 192.0.2.1:5060"), "{via}");
    assert_eq!(causes(&sent), [(SIX.to_owned(), overtaken())]);
    assert_eq!(host.closes, [six]);
    assert_eq!(host.close_reason(six), Some(CloseReason::Overtaken));
    assert!(host.transport.transmit(six).is_empty());
    assert!(!host.written(four).is_empty());
    let stats = host.transport.stats();
    assert_eq!(
        (
            stats.attempts_overtaken,
            stats.connect_failed,
            stats.connected
        ),
        (1, 0, 1)
    );
    // It lost and did not fail: once there is no connection it is the first again.
    host.transport.close(host.now, four);
    host.drain();
    start(&mut host, URI, SendOptions::new());
    one_try(&mut host, SIX);
    over(&mut host);
}

// conformance: 331, 332
#[test]
fn a_first_address_that_is_connected_in_time_is_the_only_one_tried() {
    let mut host = host();
    let send = start(&mut host, URI, SendOptions::new());
    let six = one_try(&mut host, SIX);
    host.pass(DELAY - MOMENT);
    open(&mut host, six, "[2001:db8::1]:40000");
    let sent = host.completed(send).unwrap();
    assert_eq!(sent.remote().addr, addr(SIX));
    assert!(sent.tried().is_empty());
    host.pass(Duration::from_secs(10));
    assert!(tries(&mut host).is_empty());
    over(&mut host);
}

// conformance: 332
#[test]
fn a_first_address_that_is_late_ends_the_attempt_on_the_second() {
    let mut host = host();
    let send = start(&mut host, URI, SendOptions::new());
    let six = one_try(&mut host, SIX);
    host.pass(DELAY);
    let four = one_try(&mut host, FOUR);
    open(&mut host, six, "[2001:db8::1]:40000");
    let sent = host.completed(send).unwrap();
    assert_eq!(sent.remote().addr, addr(SIX));
    assert_eq!((causes(&sent).len(), sent.targets_left()), (0, 1));
    assert_eq!(host.close_reason(four), Some(CloseReason::Overtaken));
    // It is too late for the other, whatever becomes of its socket.
    open(&mut host, four, "192.0.2.1:40000");
    assert_eq!(host.transport.router().load(), (1, 0));
    over(&mut host);
}

// conformance: 332
#[test]
fn a_failed_attempt_is_followed_by_the_next_at_once() {
    const URI: &str = "sip:bob@b.example:5060;transport=tcp";
    let mut host = host();
    let send = start(&mut host, URI, SendOptions::new());
    let first = one_try(&mut host, "[2001:db8::1:7]:5060");
    host.pass(DELAY);
    let second = one_try(&mut host, "192.0.2.8:5060");
    host.pass(MOMENT);
    // The message waits in the first; this is not its own failure.
    fail(&mut host, second);
    let third = one_try(&mut host, "[2001:db8::1:8]:5060");
    assert!(host.close_reason(second).is_some());
    host.pass(MOMENT);
    fail(&mut host, first);
    // It goes on to what is being tried already.
    assert!(tries(&mut host).is_empty());
    open(&mut host, third, "[2001:db8::1]:40000");
    let sent = host.completed(send).unwrap();
    assert_eq!(sent.remote().addr, addr("[2001:db8::1:8]:5060"));
    let refused = AttemptCause::Connect(REFUSED);
    assert_eq!(
        causes(&sent),
        [("[2001:db8::1:7]:5060".to_owned(), refused)]
    );
    // Both that failed are tried last from now on, also the one that nobody waited for.
    host.transport.close(host.now, third);
    host.drain();
    start(&mut host, URI, SendOptions::new());
    one_try(&mut host, "[2001:db8::1:8]:5060");
    over(&mut host);
}

#[test]
fn the_first_refusal_is_followed_at_once_and_told() {
    let mut host = host();
    let send = start(&mut host, URI, SendOptions::new());
    let six = one_try(&mut host, SIX);
    fail(&mut host, six);
    let four = one_try(&mut host, FOUR);
    open(&mut host, four, "192.0.2.1:40000");
    let sent = host.completed(send).unwrap();
    assert_eq!(
        causes(&sent),
        [(SIX.to_owned(), AttemptCause::Connect(REFUSED))]
    );
    assert_eq!(host.transport.stats().attempts_overtaken, 0);
    over(&mut host);
}

#[test]
fn where_no_address_answers_the_send_ends_once_with_each_of_them() {
    let mut host = host();
    let send = start(&mut host, URI, SendOptions::new());
    let begun = host.now;
    host.pass(Duration::from_millis(10_250) - MOMENT);
    assert_eq!(tries(&mut host).len(), 2);
    host.pass(MOMENT);
    let error = host.completed(send).unwrap_err();
    assert_eq!(*error.cause(), SendCause::AllTargetsFailed);
    let tried: Vec<_> = error.tried().iter().map(|a| a.target.addr).collect();
    assert_eq!(tried, [addr(SIX), addr(FOUR)]);
    let late = AttemptCause::Deadline(Deadline::Connect);
    assert!(error.tried().iter().all(|attempt| attempt.cause == late));
    assert_eq!(host.now - begun, Duration::from_millis(10_250));
    assert!(tries(&mut host).is_empty());
    over(&mut host);
}

// conformance: 332
#[test]
fn the_delay_is_a_setting_of_10_ms_or_more() {
    let mut config = Config::default();
    for (delay, good) in [(0, false), (9, false), (10, true), (2_000, true)] {
        let delay = Duration::from_millis(delay);
        let set = config.attempt_delay(delay).is_ok();
        assert_eq!(set, good, "{delay:?}");
        if good {
            let mut host = with(config.clone());
            start(&mut host, URI, SendOptions::new());
            host.pass(delay - MOMENT);
            assert_eq!(tries(&mut host).len(), 1);
            host.pass(MOMENT);
            assert_eq!(tries(&mut host).len(), 1);
        }
    }
}

#[test]
fn all_that_waits_for_a_server_moves_to_the_connection_that_won_in_order() {
    let mut host = host();
    let sends: Vec<_> = (0..3)
        .map(|_| start(&mut host, URI, SendOptions::new()))
        .collect();
    let six = one_try(&mut host, SIX);
    host.pass(DELAY);
    let four = one_try(&mut host, FOUR);
    // One that comes later waits with the others.
    let late = start(&mut host, URI, SendOptions::new());
    open(&mut host, four, "192.0.2.1:40000");
    let done: Vec<_> = host
        .take_events()
        .into_iter()
        .filter_map(|event| match event {
            Event::SendCompleted { send, result } => {
                assert_eq!(result.unwrap().remote().addr, addr(FOUR));
                Some(send)
            }
            _ => None,
        })
        .collect();
    let expected: Vec<_> = sends.into_iter().chain([late]).collect();
    assert_eq!(done, expected);
    assert!(host.transport.transmit(six).is_empty());
    // And the next uses what there is, though it is not the first address.
    let sent = host.send(options(URI), SendOptions::new());
    assert_eq!(
        (sent.remote().connection, sent.tried().len()),
        (Some(four), 0)
    );
    over(&mut host);
}

#[test]
fn a_send_that_may_go_to_the_loser_only_opens_it_anew() {
    let mut host = host();
    let race = start(&mut host, URI, SendOptions::new());
    let only_six = start(&mut host, URI, common::to(common::tcp(SIX)));
    one_try(&mut host, SIX);
    host.pass(DELAY);
    let four = one_try(&mut host, FOUR);
    open(&mut host, four, "192.0.2.1:40000");
    assert_eq!(
        host.completed(race).unwrap().remote().connection,
        Some(four)
    );
    let again = one_try(&mut host, SIX);
    open(&mut host, again, "[2001:db8::1]:40000");
    let sent = host.completed(only_six).unwrap();
    assert_eq!(sent.remote().addr, addr(SIX));
    over(&mut host);
}

#[test]
fn a_channel_hint_of_one_family_leaves_nothing_to_race() {
    let mut host = Host::new();
    host.tcp("[2001:db8::1]:5060");
    let four = host.tcp("192.0.2.1:5060");
    start(&mut host, URI, SendOptions::new().channel(four));
    one_try(&mut host, FOUR);
    host.pass(Duration::from_secs(9));
    assert!(tries(&mut host).is_empty());
}

#[test]
fn attempts_count_among_connections_and_make_no_other_go() {
    let mut config = Config::default();
    config.max_connections(2).unwrap();
    let mut host = Host::with(config);
    let channel = host.tcp("192.0.2.1:5060");
    host.tcp("[2001:db8::1]:5060");
    host.accept(channel, "192.0.2.1:5060", "198.51.100.1:40000");
    let send = start(&mut host, URI, SendOptions::new());
    let six = one_try(&mut host, SIX);
    host.pass(DELAY * 2);
    assert!(tries(&mut host).is_empty());
    assert_eq!(host.transport.router().load(), (2, 0));
    // The message itself comes to the other address where this one fails.
    fail(&mut host, six);
    let four = one_try(&mut host, FOUR);
    open(&mut host, four, "192.0.2.1:40000");
    assert!(host.completed(send).is_ok());
    over(&mut host);
}

#[test]
fn closing_one_attempt_leaves_the_race_to_the_other() {
    let mut host = host();
    let send = start(&mut host, URI, SendOptions::new());
    let six = one_try(&mut host, SIX);
    host.pass(DELAY);
    let four = one_try(&mut host, FOUR);
    let now = host.now;
    assert!(host.transport.close(now, six));
    host.drain();
    open(&mut host, four, "192.0.2.1:40000");
    let sent = host.completed(send).unwrap();
    let closed = AttemptCause::Closed(CloseReason::Application);
    assert_eq!(causes(&sent), [(SIX.to_owned(), closed)]);
    over(&mut host);
}

#[test]
fn removing_the_channel_of_one_attempt_leaves_the_race_to_the_other() {
    let mut host = Host::new();
    host.tcp("192.0.2.1:5060");
    let channel = host.tcp("[2001:db8::1]:5060");
    let send = start(&mut host, URI, SendOptions::new());
    one_try(&mut host, SIX);
    host.pass(DELAY);
    let four = one_try(&mut host, FOUR);
    let now = host.now;
    host.transport.remove_channel(now, channel).unwrap();
    host.drain();
    open(&mut host, four, "192.0.2.1:40000");
    assert_eq!(host.completed(send).unwrap().remote().addr, addr(FOUR));
    over(&mut host);
}

#[test]
fn shutdown_ends_every_attempt_and_the_send() {
    for after in [Duration::ZERO, DELAY] {
        let mut host = host();
        let send = start(&mut host, URI, SendOptions::new());
        host.pass(after);
        let now = host.now;
        host.transport.shutdown(now);
        host.drain();
        let error = host.completed(send).unwrap_err();
        assert_eq!(*error.cause(), SendCause::ShuttingDown);
        let tried = tries(&mut host).len();
        assert_eq!(host.closes.len(), tried);
        host.pass(DELAY * 2);
        assert!(tries(&mut host).is_empty());
        assert_eq!(host.transport.router().load(), (0, 0));
    }
}

#[test]
fn the_local_address_towards_the_next_address_is_asked_for_when_its_time_has_come() {
    let mut host = host();
    host.tcp("192.0.2.2:5060");
    let send = start(&mut host, URI, SendOptions::new());
    one_try(&mut host, SIX);
    assert!(host.local_queries.is_empty());
    host.pass(DELAY);
    let (query, remote) = host.local_queries.pop_front().unwrap();
    assert_eq!((remote, tries(&mut host).len()), (addr(FOUR), 0));
    let now = host.now;
    host.transport
        .handle_local_address(now, query, Ok(ip("192.0.2.2")));
    host.drain();
    let four = host.connects.pop_front().unwrap();
    assert_eq!((four.1, four.2), (addr(FOUR), Some(ip("192.0.2.2"))));
    open(&mut host, four.0, "192.0.2.2:40000");
    assert_eq!(host.completed(send).unwrap().local().addr.port(), 40000);
    over(&mut host);
}

#[test]
fn an_address_without_a_route_is_passed_over() {
    let mut host = host();
    host.tcp("192.0.2.2:5060");
    let send = start(&mut host, URI, SendOptions::new());
    let six = one_try(&mut host, SIX);
    host.pass(DELAY);
    let (query, _) = host.local_queries.pop_front().unwrap();
    let now = host.now;
    let unreachable = Err(ErrorKind::NetworkUnreachable);
    host.transport.handle_local_address(now, query, unreachable);
    host.drain();
    host.pass(DELAY);
    assert!(tries(&mut host).is_empty());
    open(&mut host, six, "[2001:db8::1]:40000");
    assert!(host.completed(send).is_ok());
    over(&mut host);
}

/// A host that connects over TLS.
fn tls_host() -> Host {
    let mut config = Config::default();
    config.tls(authority().client());
    let mut host = Host::with(config);
    for local in ["192.0.2.1:5061", "[2001:db8::1]:5061"] {
        host.channel(ChannelConfig::new(Protocol::Tls, addr(local)).listener(false));
    }
    host
}

/// Such a host, and a send with both its attempts.
fn secure() -> (Host, SendId, ConnectionId, ConnectionId) {
    let mut host = tls_host();
    let send = start(&mut host, "sips:bob@a.example:5061", SendOptions::new());
    let six = one_try(&mut host, "[2001:db8::7]:5061");
    host.pass(DELAY);
    let four = one_try(&mut host, "192.0.2.7:5061");
    (host, send, six, four)
}

// conformance: 332
#[test]
fn a_race_is_won_where_tcp_is_connected_and_only_the_winner_goes_on_with_tls() {
    let (mut host, send, six, four) = secure();
    open(&mut host, four, "192.0.2.1:40000");
    assert_eq!(host.close_reason(six), Some(CloseReason::Overtaken));
    assert!(!host.written(four).is_empty(), "a ClientHello");
    assert!(host.transport.transmit(six).is_empty());
    assert_eq!(host.transport.router().load(), (1, 0));
    // Where its handshake fails, the other is still a target.
    fail(&mut host, four);
    let again = one_try(&mut host, "[2001:db8::7]:5061");
    assert!(host.completed_yet(send).is_none());
    fail(&mut host, again);
    let error = host.completed(send).unwrap_err();
    let tried: Vec<_> = error
        .tried()
        .iter()
        .map(|attempt| (attempt.target.addr.to_string(), attempt.cause.clone()))
        .collect();
    let reset = AttemptCause::Closed(CloseReason::Io(REFUSED));
    assert_eq!(
        tried,
        [
            ("[2001:db8::7]:5061".to_owned(), overtaken()),
            ("192.0.2.7:5061".to_owned(), reset),
            (
                "[2001:db8::7]:5061".to_owned(),
                AttemptCause::Connect(REFUSED)
            ),
        ]
    );
    over(&mut host);
}

#[test]
fn no_further_address_is_tried_while_the_winner_is_at_its_handshake() {
    let (mut host, send, six, _) = secure();
    open(&mut host, six, "[2001:db8::1]:40000");
    host.pass(Duration::from_secs(9));
    assert!(tries(&mut host).is_empty());
    assert!(host.completed_yet(send).is_none());
    over(&mut host);
}

#[test]
fn a_plan_tells_which_targets_race() {
    let mut host = host();
    let now = host.now;
    let outgoing = Outgoing::new(options(URI), SendOptions::new());
    host.transport.plan(now, outgoing);
    host.drain();
    host.resolve_from(&zone());
    let (_, result) = host.plans.pop().unwrap();
    let races: Vec<_> = result
        .unwrap()
        .iter()
        .map(|t| (t.addr.to_string(), t.races))
        .collect();
    assert_eq!(races, [(SIX.to_owned(), false), (FOUR.to_owned(), true)]);
}

// RFC 3261 §18: a connection that is there is used.
#[test]
fn a_connection_that_another_send_has_made_meanwhile_ends_the_race() {
    let mut host = host();
    let send = start(&mut host, URI, SendOptions::new());
    let six = one_try(&mut host, SIX);
    let other = host.waits(options(URI), common::to(common::tcp(FOUR)));
    let four = one_try(&mut host, FOUR);
    open(&mut host, four, "192.0.2.1:40000");
    assert!(host.completed(other).is_ok());
    host.pass(DELAY);
    assert!(tries(&mut host).is_empty());
    let sent = host.completed(send).unwrap();
    assert_eq!(sent.remote().connection, Some(four));
    assert_eq!(causes(&sent), [(SIX.to_owned(), overtaken())]);
    assert_eq!(host.close_reason(six), Some(CloseReason::Overtaken));
    over(&mut host);
}

#[test]
fn a_race_for_a_new_connection_does_not_end_at_one_that_is_there() {
    let mut host = host();
    let send = start(&mut host, URI, SendOptions::new().new_connection());
    one_try(&mut host, SIX);
    let other = host.waits(options(URI), common::to(common::tcp(FOUR)));
    let there = one_try(&mut host, FOUR);
    open(&mut host, there, "192.0.2.1:40000");
    assert!(host.completed(other).is_ok());
    host.pass(DELAY);
    let four = one_try(&mut host, FOUR);
    open(&mut host, four, "192.0.2.1:40001");
    let sent = host.completed(send).unwrap();
    assert_eq!(sent.remote().connection, Some(four));
    over(&mut host);
}

#[test]
fn an_attempt_that_is_being_closed_cannot_win() {
    let mut host = host();
    let send = start(&mut host, URI, SendOptions::new());
    let six = one_try(&mut host, SIX);
    host.pass(DELAY);
    let four = one_try(&mut host, FOUR);
    let now = host.now;
    // Closed before anybody has heard that it is connected.
    let local = addr("192.0.2.1:40000");
    host.transport.handle_connected(now, four, local);
    assert!(host.transport.close(now, four));
    host.drain();
    let closed = host.close_reason(four);
    assert_eq!(closed, Some(CloseReason::Application));
    open(&mut host, six, "[2001:db8::1]:40000");
    let sent = host.completed(send).unwrap();
    assert_eq!(
        (sent.remote().connection, causes(&sent)),
        (Some(six), vec![])
    );
    over(&mut host);
}

#[test]
fn no_address_is_tried_on_a_channel_that_was_removed() {
    const URI: &str = "sip:bob@b.example:5060;transport=tcp";
    let mut host = Host::new();
    let both = ChannelConfig::new(Protocol::Tcp, addr("[::]:5080")).dual_stack(true);
    let hinted = host.channel(both);
    let six = host.tcp("[2001:db8::1]:5060");
    let four = host.tcp("192.0.2.1:5060");
    let send = start(&mut host, URI, SendOptions::new().channel(hinted));
    one_try(&mut host, "[2001:db8::1:7]:5060");
    host.pass(DELAY);
    one_try(&mut host, "192.0.2.8:5060");
    let now = host.now;
    host.transport.remove_channel(now, hinted).unwrap();
    host.drain();
    let (id, _, from) = host.connects.pop_front().unwrap();
    let channel = if from.unwrap().is_ipv4() { four } else { six };
    open(&mut host, id, "192.0.2.1:40000");
    let sent = host.completed(send).unwrap();
    assert_eq!(sent.local().channel, Some(channel));
    over(&mut host);
}

// conformance: 332
#[test]
fn an_address_that_was_overtaken_is_tried_alone_at_every_server() {
    let zone: Zone = "
        _sips._tcp.c.example SRV 1 0 5061 one.example
        _sips._tcp.c.example SRV 2 0 5061 two.example
        one.example AAAA 2001:db8::1:1
        one.example A 192.0.2.11
        two.example AAAA 2001:db8::2:1
        two.example A 192.0.2.12"
        .parse()
        .unwrap();
    let mut host = tls_host();
    let send = host.waits(options("sips:bob@c.example"), SendOptions::new());
    host.resolve_from(&zone);
    for (six, four) in [
        ("[2001:db8::1:1]:5061", "192.0.2.11:5061"),
        ("[2001:db8::2:1]:5061", "192.0.2.12:5061"),
    ] {
        one_try(&mut host, six);
        host.pass(DELAY);
        let winner = one_try(&mut host, four);
        open(&mut host, winner, "192.0.2.1:40000");
        fail(&mut host, winner);
        let again = one_try(&mut host, six);
        assert!(host.completed_yet(send).is_none());
        fail(&mut host, again);
    }
    let error = host.completed(send).unwrap_err();
    assert_eq!(*error.cause(), SendCause::AllTargetsFailed);
    over(&mut host);
}
