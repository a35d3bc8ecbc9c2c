//! What a send is called, and its branch, are known before it goes out.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::collections::BTreeSet;

use common::{Host, addr, invite, to, udp, wire_request};
use proptest::prelude::*;
use sip_transport_proto::parts::Router;
use sip_transport_proto::sip_core::header::{Header as _, Via};
use sip_transport_proto::sip_core::{Message, Name, Request};
use sip_transport_proto::{Config, Outgoing, SendOptions, Sent, Submitted, Substitution};

const SERVER: &str = "192.0.2.9:5060";

/// A request as an application may give it: its top Via, and how it came to have that.
fn request(via: &str, how: How) -> Message {
    match how {
        How::Built => {
            let mut request = invite("sip:bob@example.com");
            request.set(Name::Via, via).unwrap();
            request.into()
        }
        How::Forwarded => Message::parse(wire_request(via, "")).unwrap(),
        How::Proxied => {
            let mut message = request("SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKbelow", How::Forwarded);
            message.prepend(Name::Via, via).unwrap();
            message
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum How {
    Built,
    Forwarded,
    Proxied,
}

fn branch_of(sent: &Sent) -> Option<String> {
    let message = sent.message().unwrap();
    let via = Via::parse(message.raw(Name::Via).unwrap()).unwrap();
    via.branch().map(str::to_owned)
}

fn sent(host: &mut Host, outgoing: Box<Outgoing>) -> Sent {
    let result = host.transport.send(host.now, outgoing).unwrap();
    host.drain();
    match result {
        Submitted::Sent(sent) => sent,
        Submitted::Waiting(send) => host.completed(send).unwrap(),
    }
}

proptest! {
    #[test]
    fn the_branch_that_is_told_before_is_the_one_on_the_wire(
        branch in prop_oneof![Just(""), Just(";branch=z9hG4bKmine"), Just(";branch=old")],
        host_port in prop_oneof![Just("0.0.0.0"), Just("192.0.2.1:5060")],
        how in prop_oneof![Just(How::Built), Just(How::Forwarded), Just(How::Proxied)],
        mode in prop_oneof![
            Just(Substitution::Rfc), Just(Substitution::Original), Just(Substitution::Off)
        ],
        by_option: bool,
    ) {
        let mut config = Config::default();
        let mut options = SendOptions::new();
        match by_option {
            true => options = options.substitution(mode),
            false => drop(config.substitution(mode)),
        }
        let mut host = Host::with(config);
        host.udp("192.0.2.1:5060");
        let message = request(&format!("SIP/2.0/UDP {host_port}{branch}"), how);
        let outgoing = host.transport.prepare(message, options.to(udp(SERVER)));
        let (id, told) = (outgoing.id(), outgoing.branch().map(str::to_owned));
        let sent = sent(&mut host, outgoing);
        prop_assert_eq!(sent.id(), id);
        prop_assert_eq!(branch_of(&sent), told);
    }
}

// RFC 3261 §8.1.2; conformance: 86
#[test]
fn the_next_target_has_an_id_and_a_branch_of_its_own_before_it_is_sent_to() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let send = host.waits(invite("sip:example.com;transport=udp"), SendOptions::new());
    host.resolve(&["192.0.2.7", "192.0.2.8", "192.0.2.9"]);
    let mut at = host.completed(send).unwrap();
    let mut known = BTreeSet::from([(at.id(), branch_of(&at))]);
    while at.targets_left() > 0 {
        let next = host.transport.try_next(host.now, at).unwrap();
        let told = (next.id(), next.branch().map(str::to_owned));
        at = sent(&mut host, next);
        assert_eq!((at.id(), branch_of(&at)), told);
        known.insert(told);
    }
    let branches: BTreeSet<_> = known.iter().map(|(_, branch)| branch).collect();
    assert_eq!((known.len(), branches.len()), (3, 3));
}

#[test]
fn one_branch_serves_all_targets_of_one_send() {
    let mut host = Host::new();
    host.tcp("192.0.2.1:5060");
    let mut message = invite("sip:example.com;transport=tcp");
    message.set(Name::Via, "SIP/2.0/TCP 0.0.0.0").unwrap();
    let outgoing = host.transport.prepare(message, SendOptions::new());
    let told = outgoing.branch().map(str::to_owned);
    assert!(told.as_ref().unwrap().starts_with("z9hG4bK"));
    let Ok(Submitted::Waiting(send)) = host.transport.send(host.now, outgoing) else {
        panic!("for the DNS");
    };
    host.drain();
    host.resolve(&["192.0.2.7", "192.0.2.8"]);
    host.refuse();
    host.connected("192.0.2.1:40000");
    let sent = host.completed(send).unwrap();
    assert_eq!((sent.tried().len(), branch_of(&sent)), (1, told));
}

#[test]
fn options_may_change_before_the_next_target_and_another_destination_drops_those_left() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    host.local = Some(common::ip("192.0.2.1"));
    let other = host.udp("192.0.2.2:5060");
    let send = host.waits(invite("sip:example.com;transport=udp"), SendOptions::new());
    host.resolve(&["192.0.2.7", "192.0.2.8", "192.0.2.9"]);
    let first = host.completed(send).unwrap();
    let mut next = host.transport.try_next(host.now, first).unwrap();
    next.change_options(|options| options.channel(other));
    let second = sent(&mut host, next);
    assert_eq!(second.remote().addr, addr("192.0.2.8:5060"));
    assert_eq!(second.local().channel, Some(other));
    let mut next = host.transport.try_next(host.now, second).unwrap();
    let (id, branch) = (next.id(), next.branch().map(str::to_owned));
    next.change_options(|options| options.to(udp("192.0.2.4:5060")));
    let third = sent(&mut host, next);
    assert_eq!(third.remote().addr, addr("192.0.2.4:5060"));
    assert_eq!((third.id(), branch_of(&third)), (id, branch));
    assert_eq!(third.targets_left(), 0);
}

#[test]
fn ids_and_branches_are_a_function_of_the_seed_and_their_order() {
    let named = |seed| {
        let router = Router::new(Config::default(), [seed; 32]);
        let ids = [router.send_ids(), router.send_ids()];
        let name = |n: usize| {
            let mut outgoing = Outgoing::new(bare(), SendOptions::new());
            let id = ids[n % 2].assign(&mut outgoing);
            assert_eq!(ids[0].assign(&mut outgoing), id, "once only");
            (id, outgoing.branch().unwrap().to_owned())
        };
        Vec::from_iter((0..100).map(name))
    };
    let (one, again, other) = (named(1), named(1), named(2));
    assert_eq!(one, again);
    for ((id, branch), (other_id, other_branch)) in one.iter().zip(&other) {
        assert_eq!(id, other_id);
        assert_ne!(branch, other_branch);
    }
    let ids: BTreeSet<_> = one.iter().map(|(id, _)| id).collect();
    let branches: BTreeSet<_> = one.iter().map(|(_, branch)| branch).collect();
    assert_eq!((ids.len(), branches.len()), (100, 100));
}

#[test]
fn a_message_named_by_another_transport_is_named_anew() {
    let stranger = Router::new(Config::default(), [7; 32]);
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let first = host.send(invite("sip:192.0.2.9"), SendOptions::new());
    let mut outgoing = Outgoing::new(bare(), to(udp(SERVER)));
    stranger.send_ids().assign(&mut outgoing);
    let theirs = outgoing.branch().map(str::to_owned);
    let second = sent(&mut host, outgoing);
    assert_ne!(second.id(), first.id());
    assert_ne!(branch_of(&second), theirs);
}

/// A request whose Via has no branch.
fn bare() -> Request {
    let mut request = invite("sip:bob@example.com");
    request.set(Name::Via, "SIP/2.0/UDP 0.0.0.0").unwrap();
    request
}

#[test]
fn a_response_has_an_id_and_no_branch_to_be_told() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let via = "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1";
    let received = host.request(channel, SERVER, &wire_request(via, ""));
    let response = common::ok(&received.request);
    let outgoing = host.transport.prepare(response, SendOptions::new());
    let id = outgoing.id();
    assert_eq!(outgoing.branch(), None);
    assert_eq!(sent(&mut host, outgoing).id(), id);
}
