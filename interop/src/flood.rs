//! A flood of datagrams from one address, and how others fare meanwhile.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::message::{Response, parameter};

/// Between two bursts of the flood.
const TICK: Duration = Duration::from_millis(1);
/// Between two honest peers, and before the first.
const PAUSE: Duration = Duration::from_millis(25);
/// How often an honest peer asks for the same thing: where the system has no room for what comes to
/// a server that it does not let run, that is lost (RFC 3261 §17.1.2.2, RFC 8489 §6.2.1).
const TRIES: usize = 3;

/// What floods a server, and whom it serves meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Flood {
    /// Where to, over UDP.
    pub to: SocketAddr,
    /// Where the flood comes from.
    pub from: IpAddr,
    /// How many binding requests it has a second, and as many malformed requests.
    pub per_second: u32,
    /// How many honest peers there are, each in a network (/24) of its own.
    pub honest: u8,
    /// How long each waits for an answer before it asks once more, twice at most.
    pub patience: Duration,
}

/// How it went.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// Datagrams of the flood.
    pub sent: u64,
    /// Answers to them.
    pub answers: u64,
    /// How long it lasted.
    pub took: Duration,
    /// How often an honest peer had to ask once more.
    pub again: usize,
    /// The longest that an honest peer waited for an answer to what it had just sent.
    pub slowest: Duration,
}

/// What can be asked for over UDP.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Binding,
    Options,
    Malformed,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Binding, Self::Options, Self::Malformed];

    /// What is sent, by who is at `local`.
    fn request(self, local: SocketAddr, number: u8) -> Vec<u8> {
        let cseq = match self {
            // RFC 8489 §5, without attributes.
            Self::Binding => {
                let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
                request.extend([number; 12]);
                return request;
            }
            Self::Options => "1 OPTIONS",
            Self::Malformed => "one OPTIONS",
        };
        // No answer to what is malformed is longer than that.
        let subject = "long ".repeat(60);
        format!(
            "OPTIONS sip:callee@example.com SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};branch=z9hG4bK-{self:?}-{number};rport\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:caller@example.com>;tag=from-{number}\r\n\
             To: <sip:callee@example.com>\r\n\
             Call-ID: {self:?}-{number}@flood.invalid\r\n\
             CSeq: {cseq}\r\n\
             Subject: {subject}\r\n\
             Content-Length: 0\r\n\r\n"
        )
        .into_bytes()
    }

    /// Whether it is answered by that.
    fn is_answer(self, number: u8, data: &[u8]) -> bool {
        let status = match self {
            Self::Binding => {
                return data.starts_with(&[1, 1]) && data.get(8..20) == Some(&[number; 12]);
            }
            Self::Options => 200,
            Self::Malformed => 400,
        };
        let branch = format!("z9hG4bK-{self:?}-{number}");
        Response::parse(data).is_ok_and(|response| {
            let via = response.one("Via").unwrap_or_default();
            response.status == status && parameter(via, "branch") == Some(&branch)
        })
    }
}

/// Lets the flood come, while each honest peer asks once for all that can be asked for.
///
/// # Errors
/// An honest peer had no answer, or the network fails.
pub fn run(flood: Flood) -> Result<Outcome, Failure> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let flooding = scope.spawn(|| gush(flood, &over));
        let served = serve(flood);
        over.store(true, Ordering::Release);
        let outcome = flooding.join().map_err(|_| "the flood panicked")??;
        let (again, slowest) = served.map_err(|error| {
            let Outcome { sent, took, .. } = outcome;
            format!("{error}; the flood had {sent} datagrams in {took:?}")
        })?;
        Ok(Outcome {
            again,
            slowest,
            ..outcome
        })
    })
}

/// Has the honest peers ask, one after another, and says how often they did so once more, and what
/// the longest wait was.
fn serve(flood: Flood) -> Result<(usize, Duration), Failure> {
    let (mut again, mut slowest) = (0, Duration::ZERO);
    let mut missing = Vec::new();
    for number in 1..=flood.honest {
        thread::sleep(PAUSE);
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 1, number, 1), 0))?;
        socket.connect(flood.to)?;
        socket.set_read_timeout(Some(flood.patience))?;
        for kind in Kind::ALL {
            let request = kind.request(socket.local_addr()?, number);
            let ask = |_| {
                let begun = Instant::now();
                socket.send(&request).ok()?;
                let mut data = [0; 2_048];
                let len = socket.recv(&mut data).ok()?;
                kind.is_answer(number, &data[..len])
                    .then(|| begun.elapsed())
            };
            match (0..TRIES)
                .map(ask)
                .enumerate()
                .find_map(|(before, took)| Some((before, took?)))
            {
                Some((before, took)) => {
                    again += before;
                    slowest = slowest.max(took);
                }
                None => missing.push(format!("{kind:?} of {number}")),
            }
        }
    }
    if missing.is_empty() {
        return Ok((again, slowest));
    }
    let (count, asked) = (missing.len(), usize::from(flood.honest) * Kind::ALL.len());
    Err(format!(
        "{count} of {asked} were not answered: {}",
        missing.join(", ")
    )
    .into())
}

/// Sends at the rate asked for, in turn of either kind, and counts what comes back.
fn gush(flood: Flood, over: &AtomicBool) -> Result<Outcome, Failure> {
    let socket = UdpSocket::bind((flood.from, 0))?;
    socket.connect(flood.to)?;
    socket.set_nonblocking(true)?;
    let local = socket.local_addr()?;
    let requests = [Kind::Binding, Kind::Malformed].map(|kind| kind.request(local, 0));
    let (mut sent, mut answers) = (0_u64, 0_u64);
    let begun = Instant::now();
    while !over.load(Ordering::Acquire) {
        let due = begun.elapsed().as_secs_f64() * f64::from(flood.per_second);
        while (sent as f64) < 2.0 * due {
            for request in &requests {
                match socket.send(request) {
                    // Where there is no room for more, it is lost as it would be further on.
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error)?,
                    _ => sent += 1,
                }
            }
        }
        while socket.recv(&mut [0; 2_048]).is_ok() {
            answers += 1;
        }
        thread::sleep(TICK);
    }
    Ok(Outcome {
        sent,
        answers,
        took: begun.elapsed(),
        ..Outcome::default()
    })
}
