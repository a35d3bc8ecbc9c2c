//! A crowd that connects from one address and says nothing, and how others fare meanwhile.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::calls::ping;
use crate::link::{Connector, Link, connect_from};

/// Between two looks at how others fare.
const PAUSE: Duration = Duration::from_millis(5);

/// What the crowd does.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// Where it comes from; so do the flows that have been used before.
    pub from: IpAddr,
    /// Where others come from.
    pub other: IpAddr,
    /// How many connections it tries.
    pub count: usize,
    /// How many of them this process may hold at once.
    pub at_once: usize,
    /// How many flows have been used before, and are to stay.
    pub flows: usize,
    /// How many silent connections the server may keep from one address.
    pub allowed: usize,
    /// How long the server may take to close what is too much.
    pub patience: Duration,
}

/// How it went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// How many connections of the crowd the server took.
    pub connected: usize,
    /// How many of them it kept.
    pub kept: usize,
    /// How long the crowd took to connect.
    pub took: Duration,
    /// Exchanges of others meanwhile, each over a new connection, and the longest that one took.
    pub others: Served,
    /// Exchanges over the flows used before.
    pub flows: Served,
}

/// Exchanges, and the longest that one took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Served {
    /// How many.
    pub count: usize,
    /// The longest.
    pub slowest: Duration,
}

impl Served {
    fn time(&mut self, exchange: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
        let begun = Instant::now();
        exchange()?;
        self.count += 1;
        self.slowest = self.slowest.max(begun.elapsed());
        Ok(())
    }
}

/// Lets the crowd come, while others are served, and go again.
///
/// # Errors
/// Somebody else was not served, a flow did not stay, or the server kept too many of the crowd.
pub fn run(connector: &Connector, crowd: Crowd) -> Result<Outcome, Failure> {
    let from = |ip| Connector {
        from: Some(ip),
        ..connector.clone()
    };
    let (ours, others) = (from(crowd.from), from(crowd.other));
    let mut outcome = Outcome::default();
    let mut flows = Vec::new();
    for number in 0..crowd.flows {
        let mut link = ours.connect()?;
        ping(&mut link, ours.to, &format!("first-{number}"))?;
        flows.push(link);
    }
    let begun = Instant::now();
    let over = AtomicBool::new(false);
    let mut silent = thread::scope(|scope| {
        let gathering = scope.spawn(|| {
            let silent = gather(ours.to, crowd);
            over.store(true, Ordering::Release);
            silent
        });
        let mut turns = (0..flows.len()).cycle();
        while !over.load(Ordering::Acquire) {
            serve(&others, &mut outcome.others)?;
            if let Some(at) = turns.next() {
                keep_on(&mut flows[at], ours.to, &mut outcome.flows)?;
            }
            thread::sleep(PAUSE);
        }
        gathering.join().map_err(|_| "the crowd panicked")?
    })?;
    outcome.took = begun.elapsed();
    outcome.connected = silent.connected;
    silent.leave_only_open(crowd.allowed, crowd.patience);
    outcome.kept = silent.open.len();
    if outcome.kept > crowd.allowed {
        return Err(format!("{} of the crowd are still connected", outcome.kept).into());
    }
    // One more from the crowd's address takes the place of a silent one.
    serve(&ours, &mut Served::default())?;
    for flow in &mut flows {
        keep_on(flow, ours.to, &mut outcome.flows)?;
    }
    serve(&others, &mut outcome.others)?;
    Ok(outcome)
}

/// An exchange over a new connection.
fn serve(connector: &Connector, served: &mut Served) -> Result<(), Failure> {
    let number = served.count;
    served.time(|| {
        let mut link = connector.connect()?;
        ping(&mut link, connector.to, &format!("other-{number}"))
    })
}

/// An exchange over a connection that is there.
fn keep_on(link: &mut Link, to: SocketAddr, served: &mut Served) -> Result<(), Failure> {
    let number = served.count;
    served.time(|| ping(link, to, &format!("flow-{number}")))
}

/// The connections of the crowd.
#[derive(Debug, Default)]
struct Silent {
    connected: usize,
    open: Vec<TcpStream>,
}

fn gather(to: SocketAddr, crowd: Crowd) -> Result<Silent, Failure> {
    let mut silent = Silent::default();
    for _ in 0..crowd.count {
        if silent.open.len() >= crowd.at_once {
            silent.leave_only_open(crowd.at_once - 1, crowd.patience);
        }
        let stream = connect_from(to, Some(crowd.from))?;
        stream.set_nonblocking(true)?;
        silent.connected += 1;
        silent.open.push(stream);
    }
    Ok(silent)
}

impl Silent {
    /// Drops those that the server has closed, until so many are left at most, or it has taken too
    /// long.
    fn leave_only_open(&mut self, at_most: usize, patience: Duration) {
        let begun = Instant::now();
        loop {
            self.open.retain_mut(|stream| {
                let read = stream.read(&mut [0]);
                matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
            });
            if self.open.len() <= at_most || begun.elapsed() > patience {
                return;
            }
            thread::sleep(PAUSE);
        }
    }
}
