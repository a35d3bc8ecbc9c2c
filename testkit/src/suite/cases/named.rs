//! Two threads send while a third receives, and each outcome finds its entry in a table that was
//! filled before the message went out.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use adapter_core::runtime::CurrentRuntime;
use adapter_core::{BlockingSendError, Incoming, SipTransport};
use sip_transport_proto::sip_core::{Method, Name};
use sip_transport_proto::{Event, Protocol, SendId, SipEndpoint};

use crate::suite::{
    AdapterHost as _, Family, Host as _, OnSystem, SystemHost, join, reply, request,
};

/// How many wait for an outcome at most, so that no buffer of the system overflows.
const WINDOW: usize = 64;
/// Longer than any outcome takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many messages are sent, by all threads together: `SENDS`, else 500.
pub(in crate::suite) fn sends() -> usize {
    let given = env::var("SENDS").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(500)
}

/// What a transaction layer keeps: all that was sent, by id and by branch, and what has no outcome
/// yet.
#[derive(Debug, Default)]
struct Table {
    started: BTreeMap<SendId, bool>,
    branches: BTreeMap<String, SendId>,
    open: BTreeSet<SendId>,
    /// Outcomes that came before the call that sent the message had returned.
    early: usize,
    unmatched: Vec<String>,
}

#[derive(Debug, Default)]
struct Shared {
    table: Mutex<Table>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap()
    }

    /// Waits until less than that many wait for their outcome.
    fn wait_for_less_than(&self, count: usize) {
        let too_many = |table: &mut Table| table.open.len() >= count;
        let table = self.lock();
        let waited = self.changed.wait_timeout_while(table, PATIENCE, too_many);
        let (table, waited) = waited.unwrap();
        assert!(!waited.timed_out(), "no outcome of {:?}", table.open);
    }

    fn end(&self, send: SendId) {
        self.lock().open.remove(&send);
        self.changed.notify_all();
    }

    /// Sends so many messages, which are entered first; with every outcome told as an event, or with
    /// that of the sending itself awaited.
    fn send<R>(&self, client: &SipTransport<R>, to: SipEndpoint, count: usize, starts: bool) {
        for _ in 0..count {
            self.wait_for_less_than(WINDOW);
            let mut message = request(Method::Options, to);
            message.set(Name::Via, "SIP/2.0/UDP 0.0.0.0;rport").unwrap();
            let send = client.send_request(message);
            let (id, branch) = (send.id(), send.branch().unwrap().to_owned());
            {
                let mut table = self.lock();
                table.started.insert(id, starts);
                table.branches.insert(branch, id);
                table.open.insert(id);
            }
            if starts {
                assert_eq!(send.start(), id);
                continue;
            }
            let outcome = send.blocking();
            let mut table = self.lock();
            table.early += usize::from(!table.open.contains(&id));
            drop(table);
            match outcome {
                Ok(sent) => assert_eq!(sent.id(), id),
                Err(BlockingSendError::Send(error)) => {
                    assert_eq!(error.send(), id);
                    self.end(id);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Takes all outcomes until the transport ends.
    async fn receive(&self, mut incoming: Incoming) {
        while let Some(event) = incoming.recv().await {
            let mut table = self.lock();
            let known = match &event {
                Event::Response { response, .. } => {
                    let via = response.top_via().unwrap();
                    table.branches.get(via.branch().unwrap()).copied()
                }
                Event::SendFailed { send, .. } => table.started.get(send).map(|_| *send),
                // Of those only that were started.
                Event::SendCompleted { send, result } => match (table.started.get(send), result) {
                    (Some(true), Ok(_)) => continue,
                    (Some(true), Err(_)) => Some(*send),
                    _ => None,
                },
                _ => continue,
            };
            match known {
                None => table.unmatched.push(format!("{event:?}")),
                Some(send) => {
                    drop(table);
                    self.end(send);
                }
            }
        }
    }
}

/// Answers every request until the transport ends.
async fn answer<R: CurrentRuntime>(server: SipTransport<R>, mut incoming: Incoming) {
    while let Some(event) = incoming.recv().await {
        if let Event::Request { request, .. } = event {
            let response = reply(&request, 200).try_into().unwrap();
            drop(server.send_response(response).await);
        }
    }
}

/// Sends to that place from two threads, and receives on a third.
async fn every_outcome_is_known<S: OnSystem>(host: &SystemHost<S>, to: SipEndpoint, what: &str) {
    let thread = S::thread();
    let here = host.place().any_port(Family::V4);
    let builder = SipTransport::builder().worker_runtimes([S::runtime_of(&thread)]);
    let (client, incoming) = builder.udp(here).tcp(here).bind().await.unwrap();
    let shared = Arc::new(Shared::default());
    let receiver = Arc::clone(&shared);
    let receiving = host.outside(move || S::block_on(&thread, receiver.receive(incoming)));
    let sending = [true, false].map(|starts| {
        let (shared, client) = (Arc::clone(&shared), client.clone());
        host.outside(move || shared.send(&client, to, sends() / 2, starts))
    });
    let [starting, awaiting] = sending;
    let all = async {
        join(starting, awaiting).await;
        let last = Arc::clone(&shared);
        host.outside(move || last.wait_for_less_than(1)).await;
        client.shutdown().await;
    };
    join(receiving, all).await;
    let table = shared.lock();
    assert_eq!(table.unmatched, Vec::<String>::new());
    assert_eq!(table.started.len(), sends() / 2 * 2);
    println!(
        "{} {what} over {}: none unmatched, {} before the call returned",
        table.started.len(),
        to.protocol,
        table.early
    );
}

pub async fn who_enters_a_send_before_it_goes_out_knows_every_response<S: OnSystem>(
    host: &SystemHost<S>,
    protocol: Protocol,
) {
    let thread = S::thread();
    let here = host.place().any_port(Family::V4);
    let builder = SipTransport::builder().worker_runtimes([S::runtime_of(&thread)]);
    let (server, incoming) = builder.udp(here).tcp(here).bind().await.unwrap();
    let mut channels = server.local_endpoints().into_iter();
    let to = channels.find(|channel| channel.protocol == protocol);
    let to = SipEndpoint::new(protocol, to.unwrap().addr);
    let answers = answer(server.clone(), incoming);
    let answering = host.outside(move || S::block_on(&thread, answers));
    let asking = async {
        every_outcome_is_known(host, to, "responses").await;
        server.shutdown().await;
    };
    join(answering, asking).await;
}

pub async fn who_enters_a_send_before_it_goes_out_knows_every_failure<S: OnSystem>(
    host: &SystemHost<S>,
    protocol: Protocol,
) {
    // Nobody else takes a port there.
    let closed: SocketAddr = {
        let listener = host.listen(host.place().any_port(Family::V4)).unwrap();
        listener.local_addr()
    };
    let to = SipEndpoint::new(protocol, closed);
    every_outcome_is_known(host, to, "failures").await;
}
