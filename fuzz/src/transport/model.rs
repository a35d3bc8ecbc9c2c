//! Where messages go, in words of its own: what the transport is held against.
//!
//! It knows channels and connections as their owner sees them, and follows design and RFCs straight
//! down, with no thought of speed: RFC 3261 §18, RFC 3263 for addresses, RFC 3581.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

use sip_transport_proto::parts::Carrier;
use sip_transport_proto::{
    ChannelId, ConnectionId, HintOutcome, HintReport, Hints, Overruled, Protocol, SendId, Sent,
    SipEndpoint, Substitution,
};

/// How long the local address towards a peer is believed.
const LOCAL_ADDRESS: Duration = Duration::from_secs(2);

/// A channel that there is.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    pub(super) id: ChannelId,
    pub(super) protocol: Protocol,
    pub(super) local: SocketAddr,
    pub(super) listens: bool,
    pub(super) dual_stack: bool,
    pub(super) advertised: Option<&'static str>,
    /// Made by the transport for a request that had none, and whether it is bound.
    pub(super) on_demand: bool,
    pub(super) bound: bool,
}

impl Channel {
    fn reaches(&self, remote: IpAddr) -> bool {
        let own = self.local.ip();
        let family = own.is_ipv4() == remote.is_ipv4() || self.dual_stack && remote.is_ipv4();
        family && (!own.is_loopback() || remote.is_loopback())
    }

    fn is_wildcard(&self) -> bool {
        self.local.ip().is_unspecified()
    }
}

/// A connection that there is, open or not yet.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) channel: ChannelId,
    pub(super) protocol: Protocol,
    pub(super) remote: SocketAddr,
    pub(super) local: Option<SocketAddr>,
    pub(super) accepted: bool,
    /// A valid message came over it.
    pub(super) heard: bool,
    /// We close it: nothing new goes over it.
    pub(super) closing: bool,
    /// Something happened by which it may have ended itself.
    pub(super) doubtful: bool,
    /// Messages that are not written yet, and where each ends.
    pub(super) unwritten: VecDeque<(SendId, u64)>,
    pub(super) queued: u64,
    pub(super) written: u64,
}

/// What is asked of a send.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) request: bool,
    pub(super) secure: bool,
    pub(super) next: Next,
    pub(super) to: Option<SipEndpoint>,
    pub(super) hints: Hints,
    pub(super) fill: Fill,
    /// Where it leads, once that was decided: channels may come and go while it waits.
    pub(super) target: Option<(Protocol, SocketAddr)>,
    /// The message as given.
    pub(super) text: String,
}

/// What may be filled in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    pub(super) mode: Substitution,
    /// Our own builders made it, so From and Contact are ours.
    pub(super) built: bool,
}

/// What a message says by itself.
#[derive(Clone, Debug)]
pub(super) enum Next {
    Nowhere,
    /// A name, whose records only the transport knows, and the transport that its URI names.
    Name(Option<Protocol>),
    Address(IpAddr, Option<u16>, Option<Protocol>),
    /// A response: where its request came in, the connection that brought it, and the port of the
    /// source that takes responses.
    Back {
        local: SipEndpoint,
        remote: SocketAddr,
    },
}

/// What has to become of a send.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It leaves this channel, from this address of ours.
    Datagram(ChannelId, IpAddr, SocketAddr),
    /// It goes over this connection, at once or when it is open.
    Over(ConnectionId),
    /// A connection has to be opened, on this channel or one that is made for it.
    Open(Option<ChannelId>, Protocol, SocketAddr),
    /// Something has to be found out or bound first.
    Wait,
    Fails,
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) channels: Vec<Channel>,
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    /// Requests without a channel get one.
    pub(super) creates: bool,
    /// Local addresses that were found recently.
    pub(super) locals: BTreeMap<IpAddr, (IpAddr, Instant)>,
    /// Ids of another transport.
    pub(super) strangers: Option<(ChannelId, ConnectionId)>,
    pub(super) branches: BTreeSet<String>,
}

/// The address that the system sends from: this world's routes.
pub(super) fn route(remote: IpAddr) -> IpAddr {
    match remote {
        _ if remote.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V4(v4) => Ipv4Addr::new(192, 0, 2, 1 + v4.octets()[3] % 4).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    }
}

impl Model {
    pub(super) fn channel(&self, id: ChannelId) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.id == id)
    }

    fn live(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(&id).filter(|c| !c.closing)
    }

    /// Whether it may have ended without our knowing.
    pub(super) fn is_doubtful(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(|c| c.doubtful)
    }

    /// How many connections each peer holds, and how many of them have brought nothing valid: those
    /// that surely live, and with `doubtful` the others too.
    pub(super) fn shares(&self, doubtful: bool) -> BTreeMap<IpAddr, (usize, usize)> {
        let mut shares = BTreeMap::<_, (usize, usize)>::new();
        let all = self.connections.values();
        for c in all.filter(|c| c.accepted && !c.closing && (doubtful || !c.doubtful)) {
            let held = shares.entry(c.remote.ip()).or_default();
            *held = (held.0 + 1, held.1 + usize::from(!c.heard));
        }
        shares
    }

    /// What has to become of a send now, with `target` where its name led to, and what has to be
    /// said of its hints.
    pub(super) fn decide(
        &self,
        now: Instant,
        ask: &Ask,
        target: Option<(Protocol, SocketAddr)>,
    ) -> (Verdict, HintReport) {
        let mut report = HintReport::default();
        // A connection that was asked for and lives comes before everything else.
        let wanted = ask.hints.connection;
        if let Some(id) = wanted.or(ask.to.and_then(|to| to.connection)) {
            match self.connection_serves(id, ask) {
                Ok(connection) => {
                    report.connection = HintOutcome::Honoured;
                    report.channel = match ask.hints.channel {
                        None => HintOutcome::NotGiven,
                        Some(channel) if channel == connection.channel => HintOutcome::Honoured,
                        Some(_) => HintOutcome::Overruled(Overruled::ConnectionWins),
                    };
                    report.local = self.local_outcome(ask, connection);
                    return (Verdict::Over(id), report);
                }
                Err(why) => report.connection = HintOutcome::Overruled(why),
            }
        }
        // RFC 3261 §18.2.2: a response goes back over the connection of its request, where no
        // channel is asked for that can carry it too.
        if let (Next::Back { local, .. }, None) = (&ask.next, ask.to)
            && let Some(id) = local.connection
            && let Some(connection) = self.live(id)
        {
            let hint = ask.hints.channel;
            let hint = hint.map(|id| self.channel_serves(id, ask, Some(connection.remote.ip())));
            if !matches!(hint, Some(Ok(channel)) if channel.id != connection.channel) {
                report.channel = outcome(hint.map(|hint| hint.map(drop)));
                report.local = self.local_outcome(ask, connection);
                return (Verdict::Over(id), report);
            }
        }
        let target = target.or(ask.target).or_else(|| self.target(ask));
        let Some((protocol, remote)) = target else {
            let waits = matches!(ask.next, Next::Name(_)) && ask.to.is_none();
            let verdict = if waits { Verdict::Wait } else { Verdict::Fails };
            return (verdict, report);
        };
        let hint = ask.hints.channel;
        let hint = hint.map(|id| self.channel_serves(id, ask, Some(remote.ip())));
        report.channel = outcome(hint.map(|hint| hint.map(drop)));
        let hinted = hint.and_then(Result::ok);
        if protocol.is_stream() {
            (
                self.stream(now, ask, protocol, remote, hinted, &mut report),
                report,
            )
        } else {
            (self.datagram(now, ask, remote, hinted, &mut report), report)
        }
    }

    fn connection_serves(&self, id: ConnectionId, ask: &Ask) -> Result<&Connection, Overruled> {
        if self.strangers.is_some_and(|(_, stranger)| stranger == id) {
            return Err(Overruled::OtherTransport);
        }
        let connection = self.live(id).ok_or(Overruled::Closed)?;
        if ask.secure && !connection.protocol.is_secure() {
            return Err(Overruled::Insecure);
        }
        if Self::wish(ask) == Some(Protocol::Udp) {
            return Err(Overruled::Protocol);
        }
        Ok(connection)
    }

    fn channel_serves(
        &self,
        id: ChannelId,
        ask: &Ask,
        remote: Option<IpAddr>,
    ) -> Result<&Channel, Overruled> {
        if self.strangers.is_some_and(|(stranger, _)| stranger == id) {
            return Err(Overruled::OtherTransport);
        }
        let channel = self.channel(id).ok_or(Overruled::UnknownChannel)?;
        if ask.secure && !channel.protocol.is_secure() {
            return Err(Overruled::Insecure);
        }
        // Protection may be added, and nothing else.
        let serves = |wish: Protocol| {
            wish == channel.protocol || wish == Protocol::Tcp && channel.protocol == Protocol::Tls
        };
        if Self::wish(ask).is_some_and(|wish| !serves(wish)) {
            return Err(Overruled::Protocol);
        }
        if remote.is_some_and(|remote| !channel.reaches(remote)) {
            return Err(Overruled::Unreachable);
        }
        Ok(channel)
    }

    /// The protocol that a send names, if it names one.
    fn wish(ask: &Ask) -> Option<Protocol> {
        if let Some(to) = ask.to {
            return Some(to.protocol);
        }
        match &ask.next {
            Next::Nowhere => None,
            // RFC 3261 §26.2.2: sips over TCP is TLS.
            Next::Name(Some(Protocol::Tcp)) | Next::Address(_, _, Some(Protocol::Tcp))
                if ask.secure =>
            {
                Some(Protocol::Tls)
            }
            Next::Name(transport) | Next::Address(_, _, transport) => *transport,
            Next::Back { local, .. } => Some(local.protocol),
        }
    }

    /// The one target of a send that is for an address.
    pub(super) fn target(&self, ask: &Ask) -> Option<(Protocol, SocketAddr)> {
        let hinted = ask.hints.channel;
        let hinted = hinted.and_then(|id| self.channel_serves(id, ask, None).ok());
        let hinted = hinted.map(|channel| channel.protocol);
        let wish = hinted.or(Self::wish(ask));
        if let Some(to) = ask.to {
            if ask.secure && !to.protocol.is_secure() {
                return None;
            }
            return Some((wish.unwrap_or(to.protocol), to.addr));
        }
        match &ask.next {
            Next::Nowhere | Next::Name(_) => None,
            Next::Address(ip, port, _) => {
                if ask.secure && wish.is_some_and(|wish| !wish.is_secure()) {
                    return None;
                }
                let order = [Protocol::Udp, Protocol::Tcp, Protocol::Tls];
                let may = |protocol: &Protocol| !ask.secure || protocol.is_secure();
                let can = |protocol: &Protocol| self.can(ask, *protocol, *ip);
                let protocol = match wish {
                    Some(wish) => Some(wish).filter(can),
                    None => order.into_iter().find(|p| may(p) && can(p)),
                };
                let protocol = protocol?;
                let port = port.unwrap_or_else(|| protocol.default_port());
                Some((protocol, SocketAddr::new(*ip, port)))
            }
            Next::Back { remote, .. } => Some((wish.unwrap_or(Protocol::Udp), *remote)),
        }
    }

    /// Whether there is, or may be, a channel for it.
    fn can(&self, ask: &Ask, protocol: Protocol, ip: IpAddr) -> bool {
        let carries = |channel: &Channel| {
            channel.protocol == protocol
                && (channel.local.is_ipv4() == ip.is_ipv4() || channel.dual_stack && ip.is_ipv4())
        };
        self.channels.iter().any(carries) || self.creates && ask.request
    }

    fn known_local(&self, now: Instant, remote: IpAddr) -> Option<IpAddr> {
        let (local, at) = self.locals.get(&remote)?;
        (now.duration_since(*at) <= LOCAL_ADDRESS).then_some(*local)
    }

    /// A channel for a destination: bound to the very address that the system sends from, else to
    /// all, else the first; those made on demand are the last choice.
    fn choose(
        &self,
        protocol: Protocol,
        remote: IpAddr,
        local: Option<IpAddr>,
    ) -> Result<&Channel, bool> {
        let fits = |c: &&Channel| c.protocol == protocol && c.reaches(remote);
        let fitting: Vec<_> = self.channels.iter().filter(fits).collect();
        let [first, more @ ..] = fitting.as_slice() else {
            return Err(false);
        };
        if more.is_empty() {
            return Ok(first);
        }
        let local = local.ok_or(true)?;
        let rank = |c: &Channel| match () {
            () if c.local.ip() == local => 0,
            () if c.on_demand => 3,
            () if c.is_wildcard() => 1,
            () => 2,
        };
        fitting.into_iter().min_by_key(|c| rank(c)).ok_or(false)
    }

    fn datagram(
        &self,
        now: Instant,
        ask: &Ask,
        remote: SocketAddr,
        hinted: Option<&Channel>,
        report: &mut HintReport,
    ) -> Verdict {
        // A response leaves where its request came in.
        let came = match &ask.next {
            Next::Back { local, .. } if local.connection.is_none() => {
                let channel = local.channel.and_then(|id| self.channel(id));
                let channel = channel.filter(|channel| channel.reaches(remote.ip()));
                channel.map(|channel| (channel, local.addr.ip()))
            }
            _ => None,
        };
        let fits = |ip: &IpAddr| ip.is_ipv4() == remote.is_ipv4() && !ip.is_unspecified();
        let known = ask
            .hints
            .local
            .filter(fits)
            .or(came.map(|(_, ip)| ip).filter(fits));
        let local = known.or_else(|| self.known_local(now, remote.ip()));
        let channel = match hinted.or(came.map(|(channel, _)| channel)) {
            Some(channel) => channel,
            None => match self.choose(Protocol::Udp, remote.ip(), local) {
                Ok(channel) => channel,
                Err(true) => return Verdict::Wait,
                Err(false) if self.creates && ask.request => return Verdict::Wait,
                Err(false) => return Verdict::Fails,
            },
        };
        if !channel.bound {
            return Verdict::Wait;
        }
        let from = match channel.is_wildcard() {
            true => local,
            false => Some(channel.local.ip()),
        };
        let Some(from) = from else {
            return Verdict::Wait;
        };
        report.local = match ask.hints.local {
            None => HintOutcome::NotGiven,
            Some(hint) if hint == from || hint == channel.local.ip() => HintOutcome::Honoured,
            Some(_) => HintOutcome::Overruled(Overruled::Bound),
        };
        Verdict::Datagram(channel.id, from, remote)
    }

    fn stream(
        &self,
        now: Instant,
        ask: &Ask,
        protocol: Protocol,
        remote: SocketAddr,
        hinted: Option<&Channel>,
        report: &mut HintReport,
    ) -> Verdict {
        let on_it = |c: &Connection| hinted.is_none_or(|hinted| hinted.id == c.channel);
        let there =
            |c: &Connection| !c.closing && c.protocol == protocol && c.remote == remote && on_it(c);
        // The newest.
        let found = self.connections.iter().rev().find(|(_, c)| there(c));
        if let Some((id, connection)) = found {
            report.local = self.local_outcome(ask, connection);
            return Verdict::Over(*id);
        }
        if protocol.is_secure() && matches!(ask.next, Next::Nowhere) {
            // Nobody knows whom the peer has to prove to be.
            return Verdict::Fails;
        }
        let channel = match hinted {
            Some(channel) => channel,
            None => {
                let local = self.known_local(now, remote.ip());
                match self.choose(protocol, remote.ip(), local) {
                    Ok(channel) => channel,
                    Err(true) => return Verdict::Wait,
                    Err(false) if self.creates && ask.request => {
                        return Verdict::Open(None, protocol, remote);
                    }
                    Err(false) => return Verdict::Fails,
                }
            }
        };
        Verdict::Open(Some(channel.id), protocol, remote)
    }

    fn local_outcome(&self, ask: &Ask, connection: &Connection) -> HintOutcome {
        match (ask.hints.local, connection.local) {
            (None, _) => HintOutcome::NotGiven,
            (Some(hint), Some(local)) if hint == local.ip() => HintOutcome::Honoured,
            (Some(_), _) => HintOutcome::Overruled(Overruled::Bound),
        }
    }

    // What went out.

    /// Holds what was sent against what was asked for: it went this way, and says exactly this.
    pub(super) fn check_sent(&mut self, ask: &Ask, sent: &Sent, verdict: Option<&Verdict>) {
        let (local, remote) = (sent.local(), sent.remote());
        let protocol = remote.protocol;
        assert!(!ask.secure || protocol.is_secure(), "sips over {protocol}");
        let id = local.channel.unwrap_or_else(|| panic!("no channel"));
        let channel = self.channel(id).cloned();
        let channel = channel.unwrap_or_else(|| panic!("sent on {id:?}, which is gone"));
        assert_eq!(channel.protocol, protocol);
        if let Some(Verdict::Datagram(wanted, from, to)) = verdict {
            assert_eq!((id, local.addr.ip(), remote.addr), (*wanted, *from, *to));
            assert_eq!(local.addr.port(), channel.local.port());
        }
        match sent.carrier() {
            Carrier::Datagram { socket, source } => {
                assert_eq!(socket.channel, id);
                // A socket that is bound to one address can send from no other.
                let free = channel.is_wildcard();
                assert!(source.is_none() || free && source == Some(local.addr.ip()));
            }
            Carrier::Connection(over) => {
                let connection = self.connections.get(&over);
                let connection = connection.unwrap_or_else(|| panic!("{over:?} is gone"));
                assert_eq!(connection.channel, id);
                assert_eq!(connection.remote, remote.addr);
                assert_eq!(connection.local, Some(local.addr));
            }
        }
        let expected = self.text(ask, &channel, sent);
        let went = String::from_utf8_lossy(sent.bytes());
        assert_eq!(went, expected, "as rendered");
    }

    /// The bytes that have to go out, written from the message as it was given.
    fn text(&mut self, ask: &Ask, channel: &Channel, sent: &Sent) -> String {
        let local = sent.local().addr;
        let own = match channel.is_wildcard() {
            true => local.ip(),
            false => channel.local.ip(),
        };
        let port = match channel.listens || channel.protocol == Protocol::Udp {
            true => channel.local.port(),
            false => local.port(),
        };
        let own = match own {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let (host, place) = match channel.advertised {
            Some(place) => {
                let host = place.split(':').next().unwrap_or_default();
                (host.to_owned(), place.to_owned())
            }
            None => (own.clone(), format!("{own}:{port}")),
        };
        let Fill { mode, built } = ask.fill;
        let original = mode == Substitution::Original;
        let fills = mode != Substitution::Off;
        let mut lines: Vec<String> = ask.text.split("\r\n").map(str::to_owned).collect();
        let via = lines.iter_mut().find(|line| line.starts_with("Via: "));
        if let Some(via) = via
            && (ask.request || original)
        {
            if ask.request {
                let token = channel.protocol.via_token();
                let (_, rest) = via["Via: SIP/2.0/".len()..]
                    .split_once(' ')
                    .unwrap_or_default();
                *via = format!("Via: SIP/2.0/{token} {rest}");
            }
            if fills {
                *via = via.replacen(" 0.0.0.0", &format!(" {place}"), 1);
            }
            if ask.request && !via.contains(";branch=") {
                *via += &format!(";branch={}", self.new_branch(sent));
            }
        }
        let scheme = if ask.secure { "<sips:" } else { "<sip:" };
        let route = lines
            .iter_mut()
            .find(|line| line.starts_with("Record-Route: "));
        if let Some(route) = route.filter(|_| fills && ask.request) {
            // RFC 3261 §16.6 step 4
            let with = format!("{scheme}{place};lr>");
            *route = route.replacen("<sip:0.0.0.0;lr>", &with, 1);
        }
        let ours = fills && (built || original);
        for line in lines.iter_mut().take_while(|line| !line.is_empty()) {
            if line.starts_with("From: ") && ours && (ask.request || original) {
                // RFC 3261 §19.1.1: no port.
                let with = if original { &place } else { &host };
                *line = line.replacen("0.0.0.0", with, 1);
            }
            if line.starts_with("Contact: ") && ours {
                let transport = match (channel.protocol, ask.secure) {
                    (Protocol::Tcp, false) => ";transport=tcp",
                    (Protocol::Tls, false) => ";transport=tls",
                    _ => "",
                };
                let with = format!("{scheme}{place}{transport}>");
                *line = line.replace("<sip:0.0.0.0>", &with);
            }
        }
        lines.join("\r\n")
    }

    /// The branch that a request got, which is no other's (RFC 3261 §8.1.1.7).
    fn new_branch(&mut self, sent: &Sent) -> String {
        let went = String::from_utf8_lossy(sent.bytes());
        // Other rows may hold such a text too.
        let via = went.lines().find(|line| line.starts_with("Via: "));
        let (_, rest) = via
            .unwrap_or_default()
            .split_once(";branch=")
            .unwrap_or_default();
        let branch: String = rest
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric())
            .collect();
        assert!(
            branch.starts_with("z9hG4bK") && branch.len() >= 7 + 16,
            "{branch}"
        );
        assert!(self.branches.insert(branch.clone()), "{branch} again");
        branch
    }
}

fn outcome(hint: Option<Result<(), Overruled>>) -> HintOutcome {
    match hint {
        None => HintOutcome::NotGiven,
        Some(Ok(())) => HintOutcome::Honoured,
        Some(Err(why)) => HintOutcome::Overruled(why),
    }
}
