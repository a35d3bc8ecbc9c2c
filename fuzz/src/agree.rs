use sip_core::{
    Limits, Message, Name, Reading, Request, StatusCode,
    build::ResponseBuilder,
    message::{Head, ParseErrorKind},
};

use crate::message::{never, rows};

/// There is one truth about a header: an index with its checks and a parsed message with its own
/// agree on every input, and what is read of a message is the same before and after an edit that
/// has nothing to do with it.
pub fn agree(data: &[u8]) {
    for reading in [Reading::Lenient, Reading::Strict] {
        agree_by(reading, data);
    }
}

fn agree_by(reading: Reading, data: &[u8]) {
    let limits = Limits::default().with_reading(reading);
    let mut head = Head::default();
    let read = head.read(data, &limits);
    let parsed = match (read, Message::parse_with(data.to_vec(), &limits)) {
        (Ok(()), Ok(parsed)) => parsed,
        (Err(read), Err(parsed)) => return assert_eq!(read, parsed),
        (read, parsed) => panic!("{read:?} and {parsed:?}"),
    };
    let unchecked = head.to_message(data);
    let checked = head.check(data);
    assert_eq!(checked, parsed.check());
    assert_eq!(checked, unchecked.check());
    // A header that is too long is seen by who reads the bytes only.
    let too_long = |kind| matches!(kind, ParseErrorKind::HeaderTooLong(_));
    assert!(!checked.is_err_and(|error| too_long(error.kind())));

    let message = head.to_message(data);
    assert_eq!(message.to_bytes(), parsed.to_bytes());
    assert_eq!(rows(&message), rows(&parsed));
    let seen = Seen::of(&message);
    assert_eq!(seen, Seen::of(&parsed));
    assert_eq!(seen, Seen::of(&unchecked));

    for original in [&message, &parsed] {
        let mut edited = original.clone();
        edited.set(Name::MaxForwards, "6").unwrap_or_else(never);
        assert_eq!(seen, Seen::of(&edited));
        if checked.is_ok() {
            edited.check().unwrap_or_else(never);
        }
        assert_eq!(response(&message), response(&edited));
    }
}

/// What transport and transactions read of a message.
#[derive(Debug, Eq, PartialEq)]
struct Seen {
    from_tag: Option<String>,
    to_tag: Option<String>,
    call_id: Option<Vec<u8>>,
    cseq: Option<String>,
    request_host: Option<String>,
    /// All of it, or why it cannot be read.
    top_via: Result<String, String>,
    branch: Option<String>,
}

impl Seen {
    fn of(message: &Message) -> Self {
        let via = message.top_via();
        Self {
            from_tag: message.from_tag().map(str::to_owned),
            to_tag: message.to_tag().map(str::to_owned),
            call_id: message.call_id().map(<[u8]>::to_vec),
            cseq: message.cseq().map(|cseq| cseq.to_string()),
            request_host: message.request_host().map(|host| host.to_string()),
            branch: via
                .as_ref()
                .ok()
                .and_then(|via| via.branch())
                .map(str::to_owned),
            top_via: match via {
                Ok(via) => Ok(format!("{via} {:?} {:?}", via.received(), via.rport())),
                Err(error) => Err(error.to_string()),
            },
        }
    }
}

/// The names and values of a message's rows.
type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// What a response copies of a request, or why there is none.
fn response(request: &Message) -> Option<Result<Rows, String>> {
    let request = Request::new(request.clone())?;
    let built = ResponseBuilder::new(&request, StatusCode::OK)
        .to_tag("mine")
        .build();
    Some(match built {
        Ok(response) => Ok(rows(&response)),
        Err(error) => Err(error.to_string()),
    })
}
