use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::OnceLock,
    time::{Duration, Instant},
};

use sip_transport_proto::{
    ChannelConfig, ChannelId, Config, ConnectionId, Event, Outgoing, Output, Protocol, SendId,
    SendOptions, Submitted, Transport, sip_core::Method, sip_core::Request, sip_core::StatusCode,
    sip_core::build::RequestBuilder, sip_core::build::ResponseBuilder, tls::TlsConfig,
};

use crate::{certificates::Certificates, message::never};

/// Whatever happens to the bytes between two transports that talk over TLS, WebSocket, both or
/// neither: each send ends once, limits hold, and nothing is left behind.
///
/// The input is a script: a byte for the protocol and limits, then pairs of one that chooses a step
/// and one that it may use; some steps take bytes of the script besides.
pub fn tls_ws_stream(data: &[u8]) {
    let [setup, script @ ..] = data else {
        return;
    };
    let mut world = World::new(*setup);
    world.run(script);
    world.end();
}

/// Both hosts' limits of bytes to be written, where they are small.
const QUEUE: usize = 6_000;
const TOTAL: usize = 10_000;
/// What answers to the peer's own bytes may add to them: the last pongs, a close, an alert, the
/// flights of handshakes.
const ANSWERS: usize = 24_000;
/// Connections that a script may open: handshakes take time.
const CONNECTIONS: usize = 8;
/// More rounds or outputs than any script can bring about.
const MANY: usize = 100_000;

struct World {
    protocol: Protocol,
    hosts: [Host; 2],
    pipes: Vec<Pipe>,
    opened: usize,
    now: Instant,
    limited: bool,
}

struct Host {
    sip: Transport,
    channel: ChannelId,
    local: SocketAddr,
    /// Each connection that has a socket, by its pipe and the end of it.
    open: BTreeMap<ConnectionId, (usize, usize)>,
    told_open: BTreeSet<ConnectionId>,
    told_closed: BTreeSet<ConnectionId>,
    /// Sends that have not ended, and those that went out and may still be lost.
    waiting: BTreeSet<SendId>,
    sent: BTreeSet<SendId>,
    requests: Vec<Request>,
}

/// The way between two ends: 0 has connected, 1 accepted.
struct Pipe {
    ends: [(usize, Option<ConnectionId>); 2],
    /// Bytes on their way from each.
    wires: [Vec<u8>; 2],
    /// Whether an end will get no more, and was told.
    over: [bool; 2],
}

/// Made once; the time stands still, so that they are always valid.
fn tls() -> TlsConfig {
    static TLS: OnceLock<TlsConfig> = OnceLock::new();
    let make = || {
        Certificates::new()
            .at(1_750_000_000)
            .mutual(&["192.0.2.1", "192.0.2.2"])
    };
    TLS.get_or_init(make).clone()
}

fn ip(host: usize) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, if host == 0 { 1 } else { 2 }).into()
}

impl Host {
    fn new(number: usize, protocol: Protocol, limited: bool) -> Self {
        let mut config = Config::default();
        config.tls(tls());
        if limited {
            config.send_queue(QUEUE).unwrap_or_else(never);
            config.silent_send_queue(QUEUE / 2).unwrap_or_else(never);
            config.total_send_queue(TOTAL).unwrap_or_else(never);
        }
        let mut sip = Transport::new(config, [7 + number as u8; 32]);
        let local = SocketAddr::new(ip(number), 5061);
        let channel = ChannelConfig::new(protocol, local).tls(tls());
        let channel = sip.add_channel(channel).unwrap_or_else(never);
        Self {
            sip,
            channel,
            local,
            open: BTreeMap::new(),
            told_open: BTreeSet::new(),
            told_closed: BTreeSet::new(),
            waiting: BTreeSet::new(),
            sent: BTreeSet::new(),
            requests: Vec::new(),
        }
    }

    fn send(&mut self, now: Instant, outgoing: Box<Outgoing>) {
        match self.sip.send(now, outgoing) {
            Ok(Submitted::Sent(sent)) => {
                assert!(self.sent.insert(sent.id()), "{} again", sent.id());
            }
            Ok(Submitted::Waiting(id)) => assert!(self.waiting.insert(id), "{id} again"),
            Err(_) => {}
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Request { request, .. } => self.requests.push(request),
            Event::ConnectionOpened { local, .. } => {
                let id = local.connection.unwrap_or_else(|| panic!("without an id"));
                assert!(self.told_open.insert(id), "{id:?} opened twice");
                assert!(!self.told_closed.contains(&id), "{id:?} opened when closed");
            }
            Event::ConnectionClosed { connection, .. } => {
                assert!(
                    self.told_closed.insert(connection),
                    "{connection:?} closed twice"
                );
            }
            Event::SendCompleted { send, result } => {
                assert!(self.waiting.remove(&send), "{send} did not wait");
                if let Ok(sent) = result {
                    assert!(self.sent.insert(sent.id()), "{send} again");
                }
            }
            Event::SendFailed { send, .. } => {
                assert!(self.sent.remove(&send), "{send} was not sent");
            }
            _ => {}
        }
    }
}

impl World {
    fn new(setup: u8) -> Self {
        let protocol = [Protocol::Tls, Protocol::Ws, Protocol::Wss, Protocol::Tcp];
        let protocol = protocol[usize::from(setup % 4)];
        let limited = setup & 4 > 0;
        Self {
            protocol,
            hosts: [0, 1].map(|number| Host::new(number, protocol, limited)),
            pipes: Vec::new(),
            opened: 0,
            now: Instant::now(),
            limited,
        }
    }

    fn run(&mut self, mut script: &[u8]) {
        while let [step, choice, rest @ ..] = script {
            script = rest;
            self.step(*step, *choice, &mut script);
            self.drain();
            self.check();
        }
    }

    fn step(&mut self, step: u8, choice: u8, script: &mut &[u8]) {
        let (way, many) = (usize::from(choice & 1), usize::from(choice >> 1));
        let pipe = self
            .pipes
            .len()
            .saturating_sub(1 + usize::from(choice >> 6));
        match step % 16 {
            0 | 1 => self.request(way, many * many, step & 1 == 0),
            2 => self.respond(way),
            3 | 4 => self.write(pipe, way, many * many),
            5 | 6 => {
                self.deliver(pipe, way, many * many);
            }
            7 | 8 => self.settle(),
            9 => self.now += Duration::from_millis(1 << (choice % 24)),
            10 => self.close(pipe, way, choice),
            step => {
                // What befalls the bytes on their way.
                let Some(pipe) = self.pipes.get_mut(pipe) else {
                    return;
                };
                let wire = &mut pipe.wires[way];
                let at = many.min(wire.len());
                let until = (at + 8).min(wire.len());
                match step {
                    11 => wire
                        .get_mut(at)
                        .into_iter()
                        .for_each(|byte| *byte ^= 1 << (choice % 8)),
                    12 => drop(wire.drain(at..until)),
                    13 => {
                        let again = wire[at..until].to_vec();
                        wire.splice(at..at, again);
                    }
                    14 => {
                        let (data, rest) = script.split_at((many % 64).min(script.len()));
                        *script = rest;
                        wire.splice(at..at, data.iter().copied());
                    }
                    _ => {
                        let (data, rest) = script.split_at((many % 64).min(script.len()));
                        *script = rest;
                        wire.extend(data);
                    }
                }
            }
        }
        for host in &mut self.hosts {
            host.sip.handle_timeout(self.now);
        }
    }

    fn request(&mut self, from: usize, len: usize, text: bool) {
        let uri = format!(
            "sip:{}:5061;transport={}",
            ip(1 - from),
            self.protocol.via_token()
        );
        // Over the connection that is there, whoever opened it, or a new one.
        let mut options = SendOptions::new();
        if let (false, Some((&id, _))) = (
            len.is_multiple_of(5),
            self.hosts[from].open.last_key_value(),
        ) {
            options = options.connection(id);
        }
        let body = vec![if text { b'\n' } else { 0xff }; len];
        let request = RequestBuilder::new(Method::Message, &uri)
            .body("text/plain", &body)
            .build(|random| random.fill(len as u8))
            .unwrap_or_else(never);
        self.hosts[from].send(self.now, Outgoing::new(request, options));
    }

    fn respond(&mut self, from: usize) {
        let host = &mut self.hosts[from];
        let Some(request) = host.requests.pop() else {
            return;
        };
        let response = ResponseBuilder::new(&request, StatusCode::OK)
            .to_tag("ours")
            .build()
            .unwrap_or_else(never);
        host.send(self.now, Outgoing::new(response, SendOptions::new()));
    }

    /// One end writes; true if it had something to.
    fn write(&mut self, pipe: usize, way: usize, most: usize) {
        let Some(pipe) = self.pipes.get_mut(pipe) else {
            return;
        };
        let (host, Some(id)) = pipe.ends[way] else {
            return;
        };
        let sip = &mut self.hosts[host].sip;
        let bytes = sip.transmit(id);
        let n = bytes.len().min(most);
        pipe.wires[way].extend(&bytes[..n]);
        sip.handle_written(self.now, id, n);
    }

    /// Bytes arrive at the other end; how many.
    fn deliver(&mut self, pipe: usize, way: usize, most: usize) -> usize {
        let Some(pipe) = self.pipes.get_mut(pipe) else {
            return 0;
        };
        let wire = &mut pipe.wires[way];
        let (host, Some(id)) = pipe.ends[1 - way] else {
            wire.clear();
            return 0;
        };
        let sip = &mut self.hosts[host].sip;
        let n = wire.len().min(most).min(sip.recv_capacity(id));
        let taken = sip.handle_data(self.now, id, &wire[..n]);
        assert_eq!(taken, n, "it takes what it has room for");
        wire.drain(..n);
        n
    }

    /// Everything on its way arrives, and what answers it.
    fn settle(&mut self) {
        for _ in 0..MANY {
            let mut moved = 0;
            for pipe in 0..self.pipes.len() {
                for way in [0, 1] {
                    let before = self.pipes[pipe].wires[way].len();
                    self.write(pipe, way, usize::MAX);
                    moved += self.pipes[pipe].wires[way].len() - before;
                    moved += self.deliver(pipe, way, usize::MAX);
                    self.drain();
                }
            }
            if moved == 0 {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn close(&mut self, pipe: usize, way: usize, choice: u8) {
        let Some(&mut Pipe { ends, .. }) = self.pipes.get_mut(pipe) else {
            return;
        };
        let (host, Some(id)) = ends[way] else {
            return;
        };
        let (now, host) = (self.now, &mut self.hosts[host]);
        match choice >> 1 & 7 {
            0 => host.sip.handle_error(id, io::ErrorKind::ConnectionReset),
            1 => host.sip.handle_eof(id),
            2 => drop(host.sip.remove_channel(now, host.channel)),
            _ => {
                host.sip.close(now, id);
            }
        }
    }

    /// Takes outputs until there are none, does what they say, and tells ends of other ends.
    fn drain(&mut self) {
        for _ in 0..MANY {
            let mut rest = 0;
            for number in [0, 1] {
                rest += usize::from(!self.drain_one(number));
            }
            for pipe in &mut self.pipes {
                for way in [0, 1] {
                    // The other end has closed its socket, and all that it wrote has come.
                    let over = pipe.ends[1 - way].1.is_none() && pipe.wires[1 - way].is_empty();
                    let (host, Some(id)) = pipe.ends[way] else {
                        continue;
                    };
                    if over && !pipe.over[way] {
                        pipe.over[way] = true;
                        self.hosts[host].sip.handle_eof(id);
                        rest = 0;
                    }
                }
            }
            if rest == 2 {
                return;
            }
        }
        panic!("outputs without end");
    }

    /// One output; false if there was none.
    fn drain_one(&mut self, number: usize) -> bool {
        let now = self.now;
        let host = &mut self.hosts[number];
        match host.sip.poll_output(now) {
            Output::Timeout(_) => return false,
            Output::Event(event) => host.event(event),
            Output::LocalAddress { query, .. } => {
                host.sip.handle_local_address(now, query, Ok(ip(number)));
            }
            Output::Connect { connection, .. } => self.connect(number, connection),
            Output::Close(id) => {
                let (pipe, end) = host
                    .open
                    .remove(&id)
                    .unwrap_or_else(|| panic!("{id:?} has no socket"));
                self.pipes[pipe].ends[end].1 = None;
            }
            _ => {}
        }
        true
    }

    fn connect(&mut self, from: usize, id: ConnectionId) {
        let now = self.now;
        let pipe = self.pipes.len();
        self.opened += 1;
        let ends = [(from, Some(id)), (1 - from, None)];
        self.hosts[from].open.insert(id, (pipe, 0));
        self.pipes.push(Pipe {
            ends,
            wires: [Vec::new(), Vec::new()],
            over: [false; 2],
        });
        let source = SocketAddr::new(ip(from), 40_000 + self.opened as u16);
        let to = &mut self.hosts[1 - from];
        let accepted = if self.opened > CONNECTIONS {
            None
        } else {
            let accepted = to.sip.handle_accepted(now, to.channel, to.local, source);
            accepted.ok()
        };
        let Some(accepted) = accepted else {
            let refused = io::ErrorKind::ConnectionRefused;
            return self.hosts[from].sip.handle_error(id, refused);
        };
        to.open.insert(accepted, (pipe, 1));
        self.pipes[pipe].ends[1].1 = Some(accepted);
        self.hosts[from].sip.handle_connected(now, id, source);
    }

    fn check(&self) {
        for host in &self.hosts {
            let queued = host.sip.router().queued_bytes();
            let mut transmits = 0;
            for &id in host.open.keys() {
                let len = host.sip.transmit(id).len();
                assert!(!self.limited || len <= QUEUE + ANSWERS, "{len} bytes wait");
                transmits += len;
            }
            assert!(transmits <= queued, "{transmits} of {queued} are counted");
            let most = TOTAL + CONNECTIONS * ANSWERS;
            assert!(!self.limited || queued <= most, "{queued} bytes wait");
        }
    }

    fn end(&mut self) {
        for host in &mut self.hosts {
            host.sip.shutdown(self.now);
        }
        self.drain();
        for _ in 0..4 {
            self.now += Duration::from_secs(3_600);
            for host in &mut self.hosts {
                host.sip.handle_timeout(self.now);
            }
            self.drain();
        }
        for host in &self.hosts {
            assert!(host.waiting.is_empty(), "{:?} never ended", host.waiting);
            assert!(host.open.is_empty(), "{:?} never closed", host.open);
            let left = host.told_open.difference(&host.told_closed).next();
            assert_eq!(left, None, "not told of as closed");
            assert_eq!(host.sip.router().load(), (0, 0));
            assert_eq!(host.sip.router().queued_bytes(), 0);
        }
    }
}
