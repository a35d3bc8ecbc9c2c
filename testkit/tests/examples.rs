//! The arguments of the examples.

use clap::Parser;
use testkit::examples::{ping, quickstart, responder};

#[test]
fn arguments_that_make_no_sense_are_refused() {
    assert!(ping::Args::try_parse_from(["ping"]).is_err());
    assert!(ping::Args::try_parse_from(["ping", "sip:a", "--count", "0"]).is_err());
    assert!(ping::Args::try_parse_from(["ping", "sip:a", "--interval", "-1"]).is_err());
    assert!(responder::Args::try_parse_from(["responder"]).is_err());
    assert!(responder::Args::try_parse_from(["responder", "--udp", "nonsense"]).is_err());
    let workers = ["responder", "--udp", "127.0.0.1:0", "--workers", "0"];
    assert!(responder::Args::try_parse_from(workers).is_err());
    assert!(quickstart::Args::try_parse_from(["quickstart", "--port-base", "70000"]).is_err());
}
