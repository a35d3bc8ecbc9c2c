//! Sloppy but harmless messages: what is off, what `lint` calls it, and what is read all the same.
//! Written from the text of the RFCs, for the tests of the parser and of the transport.

/// What a message is made of, and what its accessors give.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) item: &'static str,
    pub(crate) data: Vec<u8>,
    /// The names of the kinds, in order and each once. None: strict reading lets it in too.
    pub(crate) lints: Vec<&'static str>,
    pub(crate) seen: Seen,
}

/// What transport and transactions read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) from_tag: Option<&'static str>,
    pub(crate) to_tag: Option<&'static str>,
    pub(crate) call_id: &'static [u8],
    pub(crate) branch: Option<&'static str>,
    pub(crate) sent_by: &'static str,
    /// Of a SIP or SIPS request URI.
    pub(crate) host: Option<&'static str>,
}

/// The lines of a message that rows change one of.
#[derive(Clone)]
struct Lines {
    start: Vec<u8>,
    headers: Vec<(&'static str, Vec<u8>)>,
}

impl Lines {
    fn new(request: bool) -> Self {
        let (start, to) = match request {
            true => ("INVITE sip:bob@h.example SIP/2.0", "<sip:b@b.example>"),
            false => ("SIP/2.0 200 OK", "<sip:b@b.example>;tag=t"),
        };
        let headers = [
            ("Via", "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1"),
            ("Max-Forwards", "70"),
            ("From", "<sip:a@a.example>;tag=f"),
            ("To", to),
            ("Call-ID", "c1"),
            ("CSeq", "1 INVITE"),
            ("Contact", "<sip:a@192.0.2.9>"),
        ];
        Self {
            start: start.into(),
            headers: headers.map(|(name, value)| (name, value.into())).into(),
        }
    }

    fn set(&mut self, name: &str, value: &[u8]) {
        let header = self.headers.iter_mut().find(|header| header.0 == name);
        header.unwrap().1 = value.to_vec();
    }

    fn bytes(&self, more: &[u8]) -> Vec<u8> {
        let mut data = [&self.start[..], b"\r\n"].concat();
        for (name, value) in &self.headers {
            data.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        data.extend(more);
        data.extend(b"Content-Length: 4\r\n\r\nbody");
        data
    }
}

impl Seen {
    fn new(request: bool) -> Self {
        Self {
            from_tag: Some("f"),
            to_tag: (!request).then_some("t"),
            call_id: b"c1",
            branch: Some("z9hG4bK1"),
            sent_by: "192.0.2.9:5060",
            host: request.then_some("h.example"),
        }
    }
}

/// Every row.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for request in [true, false] {
        addresses(request, &mut rows);
        call_ids(request, &mut rows);
        vias(request, &mut rows);
        others(request, &mut rows);
    }
    request_uris(&mut rows);
    rows
}

/// A value of From or To, its tag, and whether the part that is looked at on receipt is off.
type Address = (&'static str, &'static [u8], Option<&'static str>, bool);

const ADDRESSES: &[Address] = &[
    ("A1", b"<sip:*72#@h>;tag=1", Some("1"), true),
    ("A1", b"<sip:#31#0123@h>;tag=1", Some("1"), true),
    ("A1", b"<sip:a{b}c@h>;tag=1", Some("1"), true),
    ("A1", b"<sip:a|b@h>;tag=1", Some("1"), true),
    ("A1", b"<sip:a^b@h>;tag=1", Some("1"), true),
    ("A1", b"<sip:[a]@h>;tag=1", Some("1"), false),
    ("A1", b"<sip:\"a\"@h>;tag=1", Some("1"), true),
    ("A1", "<sip:jürgen@h>;tag=1".as_bytes(), Some("1"), true),
    ("A1", b"<sip:j\xfcrgen@h>;tag=1", Some("1"), true),
    ("A1", b"sip:*72#@h;tag=1", Some("1"), true),
    ("A1", b"<sips:*72#@h>", None, true),
    ("A2", "Jürgen <sip:a@h>;tag=1".as_bytes(), Some("1"), true),
    ("A2", b"J\xfcrgen <sip:a@h>;tag=1", Some("1"), true),
    ("A2", b"Doe, John <sip:a@h>;tag=1", Some("1"), true),
    ("A2", b"John (work) <sip:a@h>;tag=1", Some("1"), true),
    ("A2", b"a@b.example <sip:a@h>;tag=1", Some("1"), true),
    ("A2", b"A & B <sip:a@h>;tag=1", Some("1"), true),
    ("A2", b"x/y <sip:a@h>;tag=1", Some("1"), true),
    ("A2", b"a:b <sip:a@h>;tag=1", Some("1"), true),
    ("A2", b"a=b <sip:a@h>;tag=1", Some("1"), true),
    ("A2", b"[a] {b} <sip:a@h>;tag=1", Some("1"), true),
    ("A2", b"a;tag=9 <sip:a@h>;tag=1", Some("1"), true),
    ("A2", b"a < b <sip:a@h>;tag=1", Some("1"), true),
    (
        "A2",
        b"\"a <sip:x@y>;tag=9\" b, c <sip:a@h>;tag=1",
        Some("1"),
        true,
    ),
    ("A2", b"#1 <sip:a@h>", None, true),
    ("A3", b"<sip:a@h>;", None, true),
    ("A3", b"<sip:a@h>;tag=1;", Some("1"), true),
    ("A3", b"<sip:a@h>;;tag=1", Some("1"), true),
    ("A3", b"<sip:a@h> ; ;tag=1 ;", Some("1"), true),
    ("A3", b"<sip:a@h>;x=;tag=1", Some("1"), true),
    ("A3", b"<sip:a@h>;x= ;tag=1;;", Some("1"), true),
    ("A3", b"<sip:a@h;>;tag=1", Some("1"), false),
    ("A3", b"<sip:a@h;transport=>;tag=1", Some("1"), false),
    ("A3", b"<sip:a@h;;lr>;tag=1", Some("1"), false),
    ("A4", b"<sip:a@h>;tag=a=b", Some("a=b"), true),
    ("A4", b"<sip:a@h>;tag=YWJj+/==", Some("YWJj+/=="), true),
    ("A4", b"<sip:a@h>;tag=a:b", Some("a:b"), true),
    ("A4", b"<sip:a@h>;tag=a@b", Some("a@b"), true),
    ("A4", b"<sip:a@h>;tag=[a]", Some("[a]"), true),
    ("A4", b"<sip:a@h>;tag={a}", Some("{a}"), true),
    ("A4", b"<sip:a@h>;tag=(a)?#&^|$", Some("(a)?#&^|$"), true),
    ("A4", b"<sip:a@h>;tag=a\\b", Some("a\\b"), true),
    ("A4", b"<sip:a@h>;x=a/b:c=d;tag=1", Some("1"), true),
    ("A4", b"sip:a@h;tag=a=b", Some("a=b"), true),
    ("A11", b"<alice@atlanta.example>;tag=1", Some("1"), true),
    ("A11", b"alice@atlanta.example;tag=1", Some("1"), true),
    ("A11", b"Alice <alice@atlanta.example>", None, true),
    ("A11", b"<sip:@h>;tag=1", Some("1"), false),
    ("A11", b"\\\"name\\\" <sip:a@h>;tag=1", Some("1"), true),
    ("A11", b"<sip:a@h>;tag=1;tag=1", Some("1"), true),
    ("A11", b"<sip:a@h>;x=1;tag=2;x=1", Some("2"), true),
];

fn addresses(request: bool, rows: &mut Vec<Row>) {
    for &(item, value, tag, off) in ADDRESSES {
        for (name, kind) in [("From", "From"), ("To", "To")] {
            let mut lines = Lines::new(request);
            lines.set(name, value);
            let mut seen = Seen::new(request);
            match name {
                "From" => seen.from_tag = tag,
                _ => seen.to_tag = tag,
            }
            rows.push(Row {
                item,
                data: lines.bytes(b""),
                lints: off.then_some(kind).into_iter().collect(),
                seen,
            });
        }
        // Nothing on the way reads it.
        let mut lines = Lines::new(request);
        lines.set("Contact", value);
        rows.push(Row {
            item,
            data: lines.bytes(b""),
            lints: Vec::new(),
            seen: Seen::new(request),
        });
    }
}

const CALL_IDS: &[&[u8]] = &[
    b"a b",
    b"a@b@c",
    b"@",
    b"a,b",
    b"a;b=c",
    b"a#b|c^d",
    b"a=b&c$",
    b"\"a=\"@\"",
    b"a\x01b",
    b"\xff\xfe@h",
    "ü@h".as_bytes(),
    b"<a@h>;x, y",
];

fn call_ids(request: bool, rows: &mut Vec<Row>) {
    for &value in CALL_IDS {
        let mut lines = Lines::new(request);
        lines.set("Call-ID", value);
        let is_control = value.contains(&1);
        rows.push(Row {
            item: "A4",
            data: lines.bytes(b""),
            lints: match is_control {
                true => vec!["CallId", "Control"],
                false => vec!["CallId"],
            },
            seen: Seen {
                call_id: value,
                ..Seen::new(request)
            },
        });
    }
}

/// The top Via: what follows the protocol, its sent-by and its branch.
type Via = (
    &'static str,
    &'static [u8],
    &'static str,
    Option<&'static str>,
    bool,
);

const VIAS: &[Via] = &[
    ("A3", b"h.example;branch=b;", "h.example", Some("b"), true),
    ("A3", b"h.example;;branch=b", "h.example", Some("b"), true),
    (
        "A3",
        b"h.example;rport=;branch=b",
        "h.example",
        Some("b"),
        true,
    ),
    (
        "A3",
        b"h.example;branch=b;rport=",
        "h.example",
        Some("b"),
        true,
    ),
    ("A3", b"h.example;x=;branch=b", "h.example", Some("b"), true),
    (
        "A3",
        b"h.example; ;branch=b; ",
        "h.example",
        Some("b"),
        true,
    ),
    (
        "A3",
        b"h.example;received=;branch=b",
        "h.example",
        Some("b"),
        true,
    ),
    (
        "A4",
        b"h.example;branch=z9hG4bK/+==",
        "h.example",
        Some("z9hG4bK/+=="),
        true,
    ),
    (
        "A4",
        b"h.example;branch=z9hG4bK:1",
        "h.example",
        Some("z9hG4bK:1"),
        true,
    ),
    (
        "A4",
        b"h.example;branch=z9hG4bK[1]{2}",
        "h.example",
        Some("z9hG4bK[1]{2}"),
        true,
    ),
    (
        "A4",
        b"h.example;branch=z9hG4bK@#&",
        "h.example",
        Some("z9hG4bK@#&"),
        true,
    ),
    (
        "A4",
        b"h.example;branch=z9hG4bK(1)?",
        "h.example",
        Some("z9hG4bK(1)?"),
        true,
    ),
    (
        "A4",
        b"h.example;x=a/b=c:d;branch=b",
        "h.example",
        Some("b"),
        true,
    ),
    (
        "A6",
        b"3f2a1b4c5d6e:5060;branch=b",
        "3f2a1b4c5d6e:5060",
        Some("b"),
        true,
    ),
    ("A6", b"pbx.1a;branch=b", "pbx.1a", Some("b"), true),
    (
        "A6",
        b"192.168.001.010;branch=b",
        "192.168.001.010",
        Some("b"),
        true,
    ),
    (
        "A6",
        b"192.168.001.010:5070;branch=b",
        "192.168.001.010:5070",
        Some("b"),
        true,
    ),
    (
        "A6",
        b"h.example;received=nat.example;branch=b",
        "h.example",
        Some("b"),
        true,
    ),
    (
        "A6",
        b"h.example;received=192.0.2.9:5060;branch=b",
        "h.example",
        Some("b"),
        true,
    ),
    (
        "A6",
        b"h.example;received=192.0.2.999;branch=b",
        "h.example",
        Some("b"),
        true,
    ),
    (
        "A6",
        b"h.example;received=[2001:db8::9]:5060;branch=b",
        "h.example",
        Some("b"),
        true,
    ),
    (
        "A6",
        b"h.example;received=fe80::1%eth0;branch=b",
        "h.example",
        Some("b"),
        true,
    ),
    (
        "A6",
        b"h.example;branch=b;rport=70000",
        "h.example",
        Some("b"),
        true,
    ),
    (
        "A6",
        b"h.example;branch=b;rport=x",
        "h.example",
        Some("b"),
        true,
    ),
];

/// Values of a Via below the top one.
const LOWER_VIAS: &[&[u8]] = &[
    b"SIP/2.0/UDP a b c",
    b"SIP/2.0/UDP h:99999",
    b"SIP/2.0/UDP -h",
    b"SIP/2.0/UDP",
    b"HTTP",
    b"SIP/3.0/UDP h",
    b"SIP/2.0/UDP h;branch=",
    b"SIP/2.0/UDP h;branch=b;branch=c",
    b"SIP/2.0/UDP h;received=nat",
    b"SIP/2.0/UDP 3f2a1b4c5d6e:5060;branch=a/b=",
    b"SIP/2.0/UDP [fe80::1%eth0]:5060;branch=b",
    b"SIP/2.0/UDP h;ttl=999;maddr=?",
    b"\xff\xfe",
    b"x#{|}",
];

fn vias(request: bool, rows: &mut Vec<Row>) {
    for &(item, value, sent_by, branch, off) in VIAS {
        let mut lines = Lines::new(request);
        lines.set("Via", &[b"SIP/2.0/UDP ", value].concat());
        rows.push(Row {
            item,
            data: lines.bytes(b""),
            lints: off.then_some("Via").into_iter().collect(),
            seen: Seen {
                sent_by,
                branch,
                ..Seen::new(request)
            },
        });
    }
    for &value in LOWER_VIAS {
        let top = b"SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1";
        for own_row in [true, false] {
            let mut lines = Lines::new(request);
            let row = [b"v: ", value, b"\r\n"].concat();
            if !own_row {
                lines.set("Via", &[&top[..], b" , ", value].concat());
            }
            rows.push(Row {
                item: "A7",
                data: lines.bytes(if own_row { &row } else { b"" }),
                lints: vec!["LowerVia"],
                seen: Seen::new(request),
            });
        }
    }
}

/// More lines, and what `lint` says of them.
const LINES: &[(&str, &[u8], &[&str])] = &[
    ("A8", b"no colon at all\r\n", &["HeaderLine"]),
    ("A8", b"X-Odd Name: 1\r\n", &["HeaderLine"]),
    ("A8", b"X(comment): 1\r\n", &["HeaderLine"]),
    ("A8", b": no name\r\n", &["HeaderLine"]),
    ("A8", b"=====\r\n", &["HeaderLine"]),
    ("A8", b"X\xff: 1\r\n", &["HeaderLine"]),
    ("A8", b"<xml>\r\n", &["HeaderLine"]),
    ("A8", b"X: a\x01b\r\n", &["Control"]),
    ("A8", b"Subject: \x7f\r\n", &["Control"]),
    ("A8", b"User-Agent: a\x0bb\r\n", &["Control"]),
    ("A8", b"X: \"\\\x01\"\r\n", &[]),
    ("A9", b"Expires: 60\r\nExpires: 60\r\n", &["Repeated"]),
    ("A9", b"Session-Expires: 1800\r\nx: 1800\r\n", &["Repeated"]),
    ("A9", b"Min-SE: 90\r\nMin-SE: 90\r\n", &["Repeated"]),
    (
        "A9",
        b"Content-Type: text/plain\r\nc: text/plain\r\n",
        &["Repeated"],
    ),
    ("A9", b"Event: presence\r\no: presence\r\n", &["Repeated"]),
    ("A9", b"Max-Forwards: 70\r\n", &["Repeated"]),
    ("A9", b"Expires: 60\r\nExpires: 61\r\n", &["Repeated"]),
    (
        "A9",
        b"Session-Expires: 1800\r\nSession-Expires: 90\r\n",
        &["Repeated"],
    ),
    ("A9", b"Event: presence\r\nEvent: dialog\r\n", &["Repeated"]),
    (
        "A9",
        b"Content-Type: text/plain\r\nContent-Type: a/b\r\n",
        &["Repeated"],
    ),
    (
        "A9",
        b"Expires: 60\r\nExpires: 60\r\nExpires: 60\r\n",
        &["Repeated"],
    ),
];

fn others(request: bool, rows: &mut Vec<Row>) {
    for &(item, lines, lints) in LINES {
        rows.push(Row {
            item,
            data: Lines::new(request).bytes(lines),
            lints: lints.to_vec(),
            seen: Seen::new(request),
        });
    }
}

/// Request URIs and their hosts.
const REQUEST_URIS: &[(&str, &[u8], &str)] = &[
    ("A1", b"sip:*72#@h.example", "h.example"),
    ("A1", b"sip:#31#0123@h.example", "h.example"),
    ("A1", b"sip:a{b}@h.example", "h.example"),
    ("A1", b"sip:[a]@h.example", "h.example"),
    ("A1", b"sip:a|b^c@h.example", "h.example"),
    ("A1", b"sip:\"a\"@h.example", "h.example"),
    ("A1", "sip:jürgen@h.example".as_bytes(), "h.example"),
    ("A1", b"sip:j\xfcrgen@h.example", "h.example"),
    ("A1", b"sips:*72#@h.example:5070", "h.example:5070"),
    ("A3", b"sip:a@h.example;", "h.example"),
    ("A3", b"sip:a@h.example;;lr", "h.example"),
    ("A3", b"sip:a@h.example;transport=", "h.example"),
    ("A3", b"sip:a@h.example;transport=;lr;", "h.example"),
    ("A5", b"sip:a@h.example;x=a=b", "h.example"),
    ("A5", b"sip:a@h.example;line=YWJj==", "h.example"),
    ("A5", b"sip:a@h.example;x=1;x=1", "h.example"),
    ("A5", b"sip:a@h.example;x=1;x=2", "h.example"),
    ("A5", b"sip:a@h.example;lr;lr", "h.example"),
    ("A5", b"sip:a@h.example;ob;ob=", "h.example"),
    ("A5", b"sip:a@h.example;%78=1;x=2", "h.example"),
    ("A6", b"sip:a@3f2a1b4c5d6e:5060", "3f2a1b4c5d6e:5060"),
    ("A6", b"sip:a@pbx.1a", "pbx.1a"),
    ("A6", b"sip:a@192.168.001.010", "192.168.001.010"),
    ("A6", b"sip:a@[fe80::1%eth0]:5060", "[fe80::1]:5060"),
];

fn request_uris(rows: &mut Vec<Row>) {
    for &(item, uri, host) in REQUEST_URIS {
        let mut lines = Lines::new(true);
        lines.start = [b"INVITE ", uri, b" SIP/2.0"].concat();
        rows.push(Row {
            item,
            data: lines.bytes(b""),
            lints: vec!["RequestUri"],
            seen: Seen {
                host: Some(host),
                ..Seen::new(true)
            },
        });
    }
}

/// Messages that stay refused, and why: two readers could disagree on where something ends, or on
/// whom it is for.
pub(crate) fn refused() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = Vec::new();
    for request in [true, false] {
        for (name, value) in [
            ("From", &b"<sip:a@h>;tag=1;tag=2"[..]),
            ("From", b"<sip:a@h"),
            ("From", b"\"a <sip:a@h>;tag=1"),
            ("From", b"<>"),
            ("From", b""),
            ("From", b"<sip:a\0b@h>;tag=1"),
            ("To", b"<sip:a@h>;tag="),
            ("To", b"<sip:a@h>;tag=1;tag=2"),
            ("To", b"<sip:a b@h>"),
            ("To", b"<sip:a@h> junk"),
            ("Call-ID", b""),
            ("Call-ID", b"a\0b"),
            ("CSeq", b"1"),
            ("CSeq", b"x INVITE"),
            ("CSeq", b"99999999999 INVITE"),
            ("CSeq", b""),
            ("Via", b"SIP/2.0/UDP a b"),
            ("Via", b"SIP/2.0/UDP h:99999"),
            ("Via", b"SIP/2.0/UDP -h"),
            ("Via", b"SIP/2.0/UDP"),
            ("Via", b"SIP/3.0/UDP h"),
            ("Via", b"SIP/2.0/UDP h;branch=a;branch=b"),
            ("Via", b", SIP/2.0/UDP h"),
            ("Via", b""),
            ("Max-Forwards", b"x"),
            ("Max-Forwards", b"70\r\nMax-Forwards: 69"),
        ] {
            let mut lines = Lines::new(request);
            lines.set(name, value);
            all.push((name, lines.bytes(b"")));
        }
        for line in [
            &b"Content-Length@: 9\r\n"[..],
            b"content-length (x): 9\r\n",
            b"Content-Length\xff: 9\r\n",
            b"l#: 9\r\n",
            b"VIA<: SIP/2.0/UDP h\r\n",
            b"From x: <sip:a@h>\r\n",
            b"Call-ID/: 1\r\n",
            b"Content-Length: 4\r\n",
            b"Content-Length: x\r\n",
            b"From: <sip:a@a.example>;tag=f\r\n",
            b"t: <sip:b@b.example>\r\n",
            b"Call-ID: c1\r\n",
            b"CSeq: 1 INVITE\r\n",
            // Who drops the first line takes the second for a part of the header before it.
            b"no colon\r\n and a fold\r\n",
            b"X: a\nb\r\n",
            b"X: a\rb\r\n",
            b"X: a\0b\r\n",
        ] {
            all.push(("line", Lines::new(request).bytes(line)));
        }
    }
    for start in [
        &b"INVITE  sip:h SIP/2.0"[..],
        b"INVITE sip:h  SIP/2.0",
        b"INVITE sip:h SIP/2.0 ",
        b"INVITE sip:h SIP/3.0",
        b"INVITE sip:a b@h SIP/2.0",
        b"INVITE <sip:h> SIP/2.0",
        b"INVITE sip:a@b@h SIP/2.0",
        b"INVITE sip:a@ SIP/2.0",
        b"INVITE sip:h:99999 SIP/2.0",
        b"INVITE sip:h?Route=x SIP/2.0",
        b"INVITE sip:h;maddr=a;maddr=b SIP/2.0",
        b"BYE sip:h SIP/2.0",
        b"SIP/2.0 20 OK",
        b"SIP/2.0 2000 OK",
        b"SIP/2.0  200 OK",
    ] {
        let mut lines = Lines::new(true);
        lines.start = start.to_vec();
        all.push(("start", lines.bytes(b"")));
    }
    all
}

/// Datagrams whose framing is sloppy, and what `lint` says of them.
pub(crate) fn datagrams() -> Vec<(Vec<u8>, &'static str)> {
    let mut all = Vec::new();
    for request in [true, false] {
        let good = Lines::new(request).bytes(b"");
        for blank in [&b" "[..], b"\t", b"\n", b"\r\n ", b" \r\n\r\n", b"\n\n"] {
            all.push(([blank, &good].concat(), "LeadingSpace"));
        }
        let head = good.len() - b"Content-Length: 4\r\n\r\nbody".len();
        all.push((good[..head].to_vec(), "NoEmptyLine"));
        let cut = [&good[..head], b"Content-Length: 0\r\n"].concat();
        all.push((cut, "NoEmptyLine"));
    }
    all
}
