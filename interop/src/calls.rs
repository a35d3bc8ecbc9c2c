//! INVITE, 200, ACK, BYE, 200: many calls at once over a connection, with every response checked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::Barrier;

use crate::Failure;
use crate::link::{Connector, Link, Over};
use crate::message::{Response, parameter};

/// How many calls.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// In all.
    pub calls: usize,
    /// Over how many connections.
    pub connections: usize,
    /// At once on each.
    pub window: usize,
    /// Whether the callee must give a Contact (RFC 3261 §12.1.1).
    pub contact: bool,
}

/// What came of the calls.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Calls with the one right response to each request.
    pub succeeded: usize,
    /// The others.
    pub failed: usize,
    /// What was wrong: of calls, of connections, and responses that answer nothing.
    pub problems: Vec<String>,
}

/// Makes the calls, a thread for each connection, once all are connected.
pub fn run(connector: &Connector, load: Load) -> Outcome {
    let share =
        |n: usize| load.calls / load.connections + usize::from(n < load.calls % load.connections);
    let mut outcome = Outcome::default();
    let connected = &Barrier::new(load.connections);
    std::thread::scope(|scope| {
        let caller = |n: usize| {
            let mut caller = Caller::new(Load {
                calls: share(n),
                ..load
            });
            scope.spawn(move || {
                let link = connector.connect();
                connected.wait();
                let conversation = link.and_then(|link| caller.converse(link, connector.to, n));
                if let Err(error) = conversation {
                    caller.problems.push(error.to_string());
                }
                caller
            })
        };
        let threads: Vec<_> = (0..load.connections).map(caller).collect();
        for (n, thread) in threads.into_iter().enumerate() {
            let caller = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            outcome.succeeded += caller.succeeded;
            let problems = caller.problems.into_iter();
            outcome
                .problems
                .extend(problems.map(|problem| format!("connection {n}: {problem}")));
        }
    });
    outcome.failed = load.calls - outcome.succeeded;
    outcome
}

/// Sends one OPTIONS and waits for its response.
///
/// # Errors
/// The connection broke, or what came is not the response.
pub fn ping(link: &mut Link, to: SocketAddr, id: &str) -> Result<(), Failure> {
    let dialogue = Dialogue::new(link, to, format!("ping-{id}"));
    let request = Request {
        method: "OPTIONS",
        cseq: 7,
    };
    link.send(&dialogue.text(request, ""))?;
    let response = Response::parse(&link.receive()?)?;
    dialogue.check(request, &response)
}

/// The calls of one connection.
#[derive(Debug)]
struct Caller {
    load: Load,
    succeeded: usize,
    problems: Vec<String>,
    /// By the branch of the request that waits for its response.
    waiting: HashMap<String, (Dialogue, Request)>,
}

impl Caller {
    fn new(load: Load) -> Self {
        Self {
            load,
            succeeded: 0,
            problems: Vec::new(),
            waiting: HashMap::new(),
        }
    }

    fn converse(&mut self, mut link: Link, to: SocketAddr, n: usize) -> Result<(), Failure> {
        let mut started = 0;
        while started < self.load.calls || !self.waiting.is_empty() {
            while started < self.load.calls && self.waiting.len() < self.load.window {
                let dialogue = Dialogue::new(&link, to, format!("{n}-{started}"));
                self.request(&mut link, dialogue, INVITE)?;
                started += 1;
            }
            let message = link.receive()?;
            if let Err(error) = self.answer(&mut link, &message) {
                let problem = format!("{error}, in:\n{}", String::from_utf8_lossy(&message));
                self.problems.push(problem);
            }
        }
        // A connection keeps order: what was answered twice is found before the answer to this.
        ping(&mut link, to, &n.to_string())?;
        link.close()
    }

    fn request(
        &mut self,
        link: &mut Link,
        dialogue: Dialogue,
        request: Request,
    ) -> Result<(), Failure> {
        let body = if request.method == "INVITE" {
            OFFER
        } else {
            ""
        };
        link.send(&dialogue.text(request, body))?;
        // RFC 3261 §13.2.2.4: nothing answers the ACK.
        if request.method != "ACK" {
            self.waiting
                .insert(dialogue.branch(request), (dialogue, request));
        }
        Ok(())
    }

    fn answer(&mut self, link: &mut Link, message: &[u8]) -> Result<(), Failure> {
        let response = Response::parse(message)?;
        let branch = parameter(response.one("Via")?, "branch").ok_or("no branch")?;
        let (mut dialogue, request) = self
            .waiting
            .remove(branch)
            .ok_or("it answers nothing that waits")?;
        dialogue.check(request, &response)?;
        if (100..200).contains(&response.status) {
            self.waiting.insert(branch.to_owned(), (dialogue, request));
        } else if request.method == "INVITE" {
            dialogue.establish(&response, self.load.contact)?;
            self.request(link, dialogue.clone(), ACK)?;
            self.request(link, dialogue, BYE)?;
        } else {
            self.succeeded += 1;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
struct Request {
    method: &'static str,
    cseq: u32,
}

const INVITE: Request = Request {
    method: "INVITE",
    cseq: 1,
};
const ACK: Request = Request {
    method: "ACK",
    cseq: 1,
};
const BYE: Request = Request {
    method: "BYE",
    cseq: 2,
};

const OFFER: &str = "v=0\r\no=- 20518 0 IN IP4 203.0.113.1\r\ns= \r\nc=IN IP4 203.0.113.1\r\nt=0 0\r\n\
                     m=audio 49170 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\n";

/// The dialogue of a call, as its caller sees it (RFC 3261 §12.1.2).
#[derive(Clone, Debug)]
struct Dialogue {
    id: String,
    over: Over,
    /// The sent-by: a name that leads nowhere over WebSocket (RFC 7118 §5.1).
    host: String,
    port: u16,
    to: String,
    /// The remote target: where the request goes before the peer's Contact is known.
    target: String,
}

impl Dialogue {
    fn new(link: &Link, to: SocketAddr, id: String) -> Self {
        let (over, local) = (link.over(), link.local());
        let host = if over.is_websocket() {
            format!("client-{id}.invalid")
        } else {
            local.to_string()
        };
        let uri = match over {
            Over::Tcp => format!("sip:callee@{to};transport=tcp"),
            Over::Tls => format!("sips:callee@{to}"),
            Over::Ws => format!("sip:callee@{to};transport=ws"),
            Over::Wss => format!("sips:callee@{to};transport=ws"),
        };
        let to = "<sip:callee@example.com>".to_owned();
        Self {
            id,
            over,
            host,
            port: local.port(),
            to,
            target: uri,
        }
    }

    fn branch(&self, request: Request) -> String {
        format!("z9hG4bK-{}-{}", self.id, request.method.to_lowercase())
    }

    fn from(&self) -> String {
        format!("\"Caller\" <sip:caller@example.com>;tag=from-{}", self.id)
    }

    fn call_id(&self) -> String {
        format!("{}@calls.invalid", self.id)
    }

    fn text(&self, request: Request, body: &str) -> String {
        let Self {
            over,
            host,
            to,
            target,
            ..
        } = self;
        let Request { method, cseq } = request;
        let (transport, branch, from, id) = (
            over.via(),
            self.branch(request),
            self.from(),
            self.call_id(),
        );
        let scheme = if over.is_secure() { "sips" } else { "sip" };
        let contact = match over {
            Over::Tcp => ";transport=tcp",
            Over::Tls => "",
            Over::Ws | Over::Wss => ";transport=ws",
        };
        let content = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        format!(
            "{method} {target} SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {host};branch={branch};rport\r\n\
             Max-Forwards: 70\r\n\
             From: {from}\r\n\
             To: {to}\r\n\
             Call-ID: {id}\r\n\
             CSeq: {cseq} {method}\r\n\
             Contact: <{scheme}:caller@{host}{contact}>\r\n\
             {content}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// What every response to a request of this call must be like (RFC 3261 §8.2.6.2, RFC 3581 §4).
    fn check(&self, request: Request, response: &Response) -> Result<(), Failure> {
        let expect = |what: &str, came: &str, expected: &str| match came == expected {
            true => Ok(()),
            false => Err(Failure::from(format!(
                "{what} should be {expected}, not {came}"
            ))),
        };
        if !(100..300).contains(&response.status) {
            return Err(format!("status {}", response.status).into());
        }
        let via = response.one("Via")?;
        let sent_by = via.split(';').next().unwrap_or_default();
        expect(
            "Via",
            sent_by,
            &format!("SIP/2.0/{} {}", self.over.via(), self.host),
        )?;
        let branch = parameter(via, "branch").unwrap_or_default();
        expect("branch", branch, &self.branch(request))?;
        let rport = parameter(via, "rport").unwrap_or_default();
        expect("rport", rport, &self.port.to_string())?;
        expect("From", response.one("From")?, &self.from())?;
        expect("Call-ID", response.one("Call-ID")?, &self.call_id())?;
        let cseq = format!("{} {}", request.cseq, request.method);
        expect("CSeq", response.one("CSeq")?, &cseq)?;
        let to = response.one("To")?;
        if parameter(&self.to, "tag").is_some() {
            expect("To", to, &self.to)
        } else {
            expect("To", to.split(";tag=").next().unwrap_or_default(), &self.to)
        }
    }

    /// Takes the peer's tag and Contact from the 200 to the INVITE.
    fn establish(&mut self, response: &Response, with_contact: bool) -> Result<(), Failure> {
        self.to = response.one("To")?.to_owned();
        let tag = parameter(&self.to, "tag").unwrap_or_default();
        if tag.is_empty() {
            return Err("To without a tag".into());
        }
        if with_contact {
            let contact = response.one("Contact")?;
            let uri = contact
                .split_once('<')
                .and_then(|(_, rest)| rest.split_once('>'));
            self.target = uri.ok_or("Contact without brackets")?.0.to_owned();
        }
        Ok(())
    }
}
