//! The datagram that costs most: searches a grammar of hostile shapes for the worst ratio to a plain
//! message of the same size, and prints it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Instant;

use sip_core::{Message, Name, Reading};
use sip_transport_proto::parts::{DatagramSocket, Router};
use sip_transport_proto::{ChannelConfig, Config, Event, Protocol};

/// Heads are 32 KiB at most, header rows 16 KiB, the start line 8 KiB.
const HEAD: usize = 32_000;
const HEADER: usize = 15_900;
const START_LINE: usize = 7_900;

/// The least of so many runs counts: other work on the machine only adds.
const RUNS: usize = 15;
const RANDOM_SHAPES: usize = 1_500;
const CHANGES: usize = 400;

/// A higher ratio fails the bench: what holds on a busy machine, and not yet the goal of 2.
const CEILING: f64 = 9.0;

/// Where a filling stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    User,
    UriParams,
    ViaParams,
    LowerVia,
    LowerVias,
    FromName,
    FromParams,
    ToParams,
    CallId,
    Contact,
    Other,
    Rows,
    Lines,
    Body,
}

const PLACES: [Place; 14] = [
    Place::User,
    Place::UriParams,
    Place::ViaParams,
    Place::LowerVia,
    Place::LowerVias,
    Place::FromName,
    Place::FromParams,
    Place::ToParams,
    Place::CallId,
    Place::Contact,
    Place::Other,
    Place::Rows,
    Place::Lines,
    Place::Body,
];

/// What a filling repeats; `#` is a number that counts up.
const UNITS: &[&str] = &[
    "a",
    "%61",
    "\\\"",
    ";a#",
    ";a#=b",
    ";b#;a#",
    ";aaaaaaaaaaaa#",
    ";%61%62#",
    ";a#=\"\\\"\\\\\"",
    ";a#=%41",
    ";",
    ";=",
    ";a=",
    ";tag=1",
    ";branch=1",
    ";received=1.2.3.4",
    ";a=[::1]",
    ",",
    "\"x\",",
    "\"\\\"\",",
    "<a>,",
    "<",
    "\"",
    " ",
    "\t",
    "\r\n ",
    ";a#\r\n =\r\n b",
    "(",
    "\u{e9}",
    "SIP/2.0/UDP h;a#,",
    "<sip:a@h>;b#,",
    "&a=b",
    "[",
    ":",
    "@",
    "\\\u{7}",
    "\"\\\u{7}\"",
    "x\r\n",
    "a#:\r\n",
    "m:\r\n",
    "v:\n",
    "t:\r\n a\r\n",
];

#[derive(Clone, Debug)]
struct Filling {
    place: Place,
    unit: usize,
    bytes: usize,
    /// How many units at most: lists of parameters have 128.
    count: usize,
}

fn main() {
    let mut bench = Bench::new(Reading::Lenient);
    let plain = bench.ratio(plain(HEAD).as_bytes());
    println!("plain against itself {:.2}", plain.0);
    let mut worst = 0.0;
    for reading in [Reading::Lenient, Reading::Strict] {
        let mut bench = Bench::new(reading);
        for outcome in [Outcome::Accepted, Outcome::Refused] {
            worst = search(&mut bench, outcome, reading).max(worst);
        }
    }
    println!("worst ratio of all {worst:.2}");
    if worst > CEILING {
        eprintln!("more than {CEILING} times a plain message");
        std::process::exit(1);
    }
}

/// Prints the shapes that cost most of those with this outcome, and gives the worst ratio.
fn search(bench: &mut Bench, outcome: Outcome, reading: Reading) -> f64 {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut ratio = |shape: &Vec<Filling>| {
        let (ratio, is) = bench.ratio(&message(shape));
        if is == outcome { ratio } else { 0.0 }
    };
    let mut found: Vec<(f64, Vec<Filling>)> = singles()
        .chain((0..RANDOM_SHAPES).map(|_| random.shape()))
        .map(|shape| (ratio(&shape), shape))
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.truncate(12);
    for _ in 0..CHANGES {
        let mut shape = found[random.below(found.len())].1.clone();
        random.change(&mut shape);
        let ratio = ratio(&shape);
        if ratio > found[found.len() - 1].0 {
            found.push((ratio, shape));
            found.sort_by(|a, b| b.0.total_cmp(&a.0));
            found.truncate(12);
        }
    }
    // What was only slow by chance is not the worst.
    for (least, shape) in &mut found {
        for _ in 0..5 {
            *least = least.min(ratio(shape));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (ratio, shape) in found.iter().take(5) {
        let len = message(shape).len();
        println!("{reading:?} {outcome:?} {ratio:.2} {len} bytes");
        for Filling {
            place,
            unit,
            bytes,
            count,
        } in shape
        {
            println!("    {place:?} {:?} {bytes} {count}", UNITS[*unit]);
        }
    }
    println!("worst ratio {reading:?} {outcome:?} {:.2}", found[0].0);
    found[0].0
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Accepted,
    /// It is answered with a 400, where that can be done.
    Refused,
}

/// Each unit in each place, as much as goes in and as much as a list has.
fn singles() -> impl Iterator<Item = Vec<Filling>> {
    let units = move |place| {
        (0..UNITS.len()).flat_map(move |unit| {
            [(HEADER, 127), (HEADER, usize::MAX), (1_000, usize::MAX)].map(|(bytes, count)| {
                vec![Filling {
                    place,
                    unit,
                    bytes,
                    count,
                }]
            })
        })
    };
    PLACES.into_iter().flat_map(units)
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    fn filling(&mut self) -> Filling {
        Filling {
            place: PLACES[self.below(PLACES.len())],
            unit: self.below(UNITS.len()),
            bytes: [100, 500, 2_000, 7_000, HEADER][self.below(5)],
            count: [20, 64, 127, usize::MAX][self.below(4)],
        }
    }

    fn shape(&mut self) -> Vec<Filling> {
        (0..1 + self.below(5)).map(|_| self.filling()).collect()
    }

    fn change(&mut self, shape: &mut Vec<Filling>) {
        match self.below(3) {
            0 => shape.push(self.filling()),
            1 if shape.len() > 1 => drop(shape.swap_remove(self.below(shape.len()))),
            _ => {
                let at = self.below(shape.len());
                shape[at] = self.filling();
            }
        }
    }
}

/// What stands in one place, no more than `room` bytes of it.
fn fill(shape: &[Filling], place: Place, room: usize) -> String {
    let mut text = String::new();
    for (list, filling) in shape
        .iter()
        .enumerate()
        .filter(|(_, filling)| filling.place == place)
    {
        let room = room.min(filling.bytes);
        for number in 0..filling.count.min(filling.bytes) {
            let unit = UNITS[filling.unit].replace('#', &format!("{}", number + 1_000 * list));
            if text.len() + unit.len() > room {
                break;
            }
            text.push_str(&unit);
        }
    }
    text
}

fn message(shape: &[Filling]) -> Vec<u8> {
    let mut head = HEAD;
    let mut take = |place| {
        let limit = match place {
            Place::User | Place::UriParams => START_LINE / 2,
            _ => HEADER,
        };
        let text = fill(shape, place, limit.min(head.saturating_sub(600)));
        head -= text.len();
        text
    };
    let (user, params) = (take(Place::User), take(Place::UriParams));
    let user = if user.is_empty() { user } else { user + "@" };
    let mut text = format!(
        "INVITE sip:{user}h.example{params} SIP/2.0\r\nVia: SIP/2.0/UDP h.example;branch=z9hG4bK1{}\r\n",
        take(Place::ViaParams)
    );
    let mut row = |name: &str, value: String, end: &str| {
        if !value.is_empty() {
            text.push_str(&format!("{name}{value}{end}\r\n"));
        }
    };
    row(
        "Via: SIP/2.0/UDP h.example",
        take(Place::LowerVia),
        ",SIP/2.0/UDP h",
    );
    row("Via: ", take(Place::LowerVias), "SIP/2.0/UDP h");
    row("Contact: ", take(Place::Contact), "");
    row("X-Other: ", take(Place::Other), "");
    let name = take(Place::FromName);
    text.push_str(&format!(
        "From: {name} <sip:a@h>;tag=1{}\r\n",
        take(Place::FromParams)
    ));
    text.push_str(&format!("To: <sip:b@h>{}\r\n", take(Place::ToParams)));
    text.push_str(&format!(
        "Call-ID: 1{}\r\nCSeq: 1 INVITE\r\n",
        take(Place::CallId)
    ));
    for number in 0..490.min(take(Place::Rows).len() / 30) {
        text.push_str(&format!("X{number}: \"\\\"\", <a>\r\n"));
    }
    text.push_str(&take(Place::Lines));
    text.push_str("\r\n");
    text.push_str(&take(Place::Body));
    text.into_bytes()
}

/// A message of that size as a chain of ordinary hops makes it.
fn plain(len: usize) -> String {
    let mut text = "INVITE sip:bob@biloxi.example.com;transport=udp SIP/2.0\r\n\
        Via: SIP/2.0/UDP pc33.atlanta.example.com:5060;branch=z9hG4bK776asdhds;rport\r\n\
        Max-Forwards: 70\r\nTo: Bob <sip:bob@biloxi.example.com>\r\n\
        From: \"Alice\" <sip:alice@atlanta.example.com>;tag=1928301774\r\n\
        Call-ID: a84b4c76e66710@pc33.atlanta.example.com\r\nCSeq: 314159 INVITE\r\n\
        Contact: <sip:alice@pc33.atlanta.example.com;transport=udp>;expires=3600\r\n"
        .to_owned();
    let rows = [
        "Via: SIP/2.0/UDP p.example.com:5060;branch=z9hG4bK77ef4c2312983.1;received=192.0.2.1;rport=5061\r\n",
        "Record-Route: <sip:p7.example.com;lr;ftag=1928301774>, <sip:p8.example.com;lr>\r\n",
        "Contact: \"Mr. Watson\" <sip:watson@worcester.example.com>;q=0.7;expires=3600\r\n",
        "Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY\r\n",
        "User-Agent: Example/1.2 (x86_64; linux)\r\n",
    ];
    for row in rows.iter().cycle() {
        if text.len() + row.len() + 2 > len {
            break;
        }
        text.push_str(row);
    }
    text.push_str("\r\n");
    // The rest of the size is a body.
    text.push_str(&"v".repeat(len.saturating_sub(text.len())));
    text
}

/// A UDP socket without the socket.
struct Bench {
    socket: DatagramSocket,
    now: Instant,
}

impl Bench {
    fn new(reading: Reading) -> Self {
        let mut config = Config::default();
        config.reading(reading);
        config.malformed_replies_per_second(1_000_000).unwrap();
        let mut router = Router::new(config, [7; 32]);
        let local = SocketAddr::from(([192, 0, 2, 1], 5060));
        let channel = router.add_channel(ChannelConfig::new(Protocol::Udp, local));
        let socket = router.datagram_socket(channel.unwrap().socket(0)).unwrap();
        Self {
            socket,
            now: Instant::now(),
        }
    }

    /// How much longer a message takes than a plain one of its size, and what becomes of it.
    fn ratio(&mut self, data: &[u8]) -> (f64, Outcome) {
        let plain = plain(data.len());
        let outcome = self.receive(data);
        let mut least = [f64::MAX; 2];
        for _ in 0..RUNS {
            for (least, data) in least.iter_mut().zip([plain.as_bytes(), data]) {
                let start = Instant::now();
                self.receive(data);
                *least = least.min(start.elapsed().as_secs_f64());
            }
        }
        (least[1] / least[0], outcome)
    }

    /// What a transport and a transaction layer do with what came.
    fn receive(&mut self, data: &[u8]) -> Outcome {
        let source = SocketAddr::from(([192, 0, 2, 77], 5060));
        let outcome = match self.socket.handle_datagram(self.now, source, None, data) {
            Some(Event::Request { mut request, .. }) => {
                read(&request);
                let via = "SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK4f1c2a3b";
                request.prepend(Name::Via, via).unwrap();
                read(&request);
                black_box(request.to_bytes());
                Outcome::Accepted
            }
            event => {
                drop(black_box(event));
                Outcome::Refused
            }
        };
        while let Some(transmit) = self.socket.poll_transmit() {
            drop(black_box(transmit));
        }
        outcome
    }
}

fn read(message: &Message) {
    black_box((message.request_host(), message.top_via().is_ok()));
    black_box((message.from_tag(), message.to_tag()));
    black_box((message.call_id(), message.cseq()));
}
