//! Parameters of header fields and quoted strings (RFC 3261 §25.1).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use proptest::prelude::*;
use sip_core::{Param, Params, ValueError, quote, unquote};

const TOKEN: &str = "[A-Za-z0-9.!%*_+`'~-]{1,12}";

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        TOKEN,
        any::<std::net::Ipv6Addr>().prop_map(|ip| format!("[{ip}]")),
        any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string()),
        "[^\r\n]{0,12}".prop_map(|text| quote(&text)),
    ]
}

fn names() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::hash_set(TOKEN.prop_map(|name| name.to_ascii_lowercase()), 0..12)
        .prop_map(|names| names.into_iter().collect())
}

fn params() -> impl Strategy<Value = Vec<(String, Option<String>)>> {
    names().prop_flat_map(|names| {
        names
            .into_iter()
            .map(|name| (Just(name), proptest::option::of(value())))
            .collect::<Vec<_>>()
    })
}

fn parts(owned: &[(String, Option<String>)]) -> Vec<Param<'_>> {
    let mut parts = Vec::new();
    for (name, value) in owned {
        parts.push(match value {
            Some(value) => Param::new(name, value).unwrap(),
            None => Param::flag(name).unwrap(),
        });
    }
    parts
}

proptest! {
    #[test]
    fn the_first_name_that_comes_again_is_told(
        names in prop::collection::vec(prop_oneof!["[abAB]{1,2}", "[aA]{7,9}[abA]{1,9}"], 1..40),
    ) {
        let text: String = names.iter().map(|name| format!(";{name}")).collect();
        let lower: Vec<_> = names.iter().map(|name| name.to_lowercase()).collect();
        let again = (0..names.len()).find(|&at| lower[..at].contains(&lower[at]));
        let offset = again.map(|at| names[..at].iter().map(|name| name.len() + 1).sum::<usize>() + 1);
        let found = Params::parse(text.as_bytes()).err().map(|error| error.offset());
        prop_assert_eq!(found, offset);
    }

    // conformance: 50
    #[test]
    fn what_is_printed_parses_to_the_same(owned in params()) {
        let parts = parts(&owned);
        let printed = Params::of(&parts).to_string();
        let parsed = Params::parse(printed.as_bytes()).unwrap();
        prop_assert_eq!(parsed.to_string(), printed.as_str());
        let read: Vec<_> = parsed.iter().map(|p| (p.name(), p.value())).collect();
        let given: Vec<_> = parts.iter().map(|p| (p.name(), p.value())).collect();
        prop_assert_eq!(read, given);
        for (name, value) in &owned {
            let found = parsed.get(&name.to_ascii_uppercase()).unwrap();
            prop_assert_eq!(found.value(), value.as_ref().map(String::as_bytes));
        }
    }

    // conformance: 48
    #[test]
    fn white_space_and_folds_around_separators_mean_nothing(
        owned in params(),
        space in "( |\t|\r\n |\r\n\t| \r\n  ){0,2}",
    ) {
        let mut text = String::new();
        for (name, value) in &owned {
            text += &format!("{space};{space}{name}");
            if let Some(value) = value {
                text += &format!("{space}={space}{value}");
            }
        }
        let plain = Params::of(&parts(&owned)).to_string();
        prop_assert_eq!(Params::parse(text.as_bytes()).unwrap().to_string(), plain);
    }

    #[test]
    fn any_bytes_parse_or_fail_within_them(
        data in prop_oneof![
            any::<Vec<u8>>(),
            "[;=a-c\" \r\n\t\\\\\\[\\]:0-9,é]{0,40}".prop_map(String::into_bytes),
        ]
    ) {
        match Params::parse(&data) {
            Ok(params) => {
                let printed = params.to_string();
                prop_assert_eq!(Params::parse(printed.as_bytes()).unwrap().iter().count(), params.iter().count());
            }
            Err(error) => prop_assert!(error.offset() <= data.len()),
        }
    }

    #[test]
    fn cut_text_never_panics(owned in params(), cut: proptest::sample::Index) {
        let text = Params::of(&parts(&owned)).to_string();
        let data = text.as_bytes();
        let _ = Params::parse(&data[..cut.index(data.len() + 1)]);
    }

    // conformance: 22
    #[test]
    fn a_name_that_comes_again_in_any_case_is_an_error(
        mut owned in params().prop_filter("one to repeat", |p| !p.is_empty()),
        which: proptest::sample::Index,
    ) {
        let again = owned[which.index(owned.len())].0.to_ascii_uppercase();
        let at = Params::of(&parts(&owned)).to_string().len() + 1;
        owned.push((again, None));
        let text = Params::of(&parts(&owned)).to_string();
        prop_assert_eq!(
            Params::parse(text.as_bytes()).unwrap_err(),
            ValueError::Repeated { what: "parameter", offset: at }
        );
    }

    // conformance: 40
    #[test]
    fn unquote_takes_out_what_quote_put_in(text in "[^\r\n]{0,20}") {
        let quoted = quote(&text);
        prop_assert_eq!(&*unquote(quoted.as_bytes()), text.as_bytes());
        prop_assert!(Param::new("a", &quoted).is_ok());
    }
}

// conformance: 36
#[test]
fn names_and_plain_values_are_made_of_token_characters_alone() {
    for b in 0..=u8::MAX {
        let is_token = b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b);
        assert_eq!(
            Params::parse(&[b';', b'a', b, b'b']).is_ok(),
            is_token || b == b'=' || b == b';',
            "{b}"
        );
        let is_value = is_token || b == b';';
        assert_eq!(
            Params::parse(&[b';', b'a', b'=', b'c', b, b'b']).is_ok(),
            is_value,
            "{b}"
        );
    }
}

// conformance: 50
#[test]
fn a_value_is_a_token_a_host_or_a_quoted_string() {
    for good in [
        ";a",
        ";a=b",
        ";a=\"b;c\"",
        ";a=[::1]",
        ";a=\"\"",
        ";a=%%",
        ";received=::1",
        ";received=2001:db8::9:255",
        ";received=[2001:db8::9:255]",
        ";received=192.0.2.1",
        ";Received=::ffff:192.0.2.1;b",
        "",
        " ",
        ";a = b ; c ",
    ] {
        assert!(Params::parse(good.as_bytes()).is_ok(), "{good}");
    }
    for bad in [
        ";a=",
        ";a=;b",
        ";a=b=c",
        ";a=b c",
        ";a=b:c",
        ";a=::1",
        ";a=[::1",
        ";a=[]",
        ";a=[::1]x",
        ";a=\"b\"c",
        ";a=b\"c\"",
        ";a=<b>",
        ";a=b,c",
        ";a=(b)",
        "a",
        "a=b",
        ";a=/b",
        ";received=:",
        ";received=1:2",
        ";received=fe80::1%eth0",
        ";received=[fe80::1%25eth0]",
    ] {
        assert!(Params::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

// conformance: 51; rfc4475 badinv01
#[test]
fn an_empty_parameter_is_an_error() {
    for bad in [";", ";;", ";a;", ";;a", "; ;a", ";=a", ";;,;,,"] {
        assert!(Params::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

// conformance: 43
#[test]
fn a_quote_without_end_is_an_error_at_the_end_of_the_value() {
    let error = Params::parse(b";a=\"b;c").unwrap_err();
    assert_eq!(
        error,
        ValueError::Unexpected {
            expected: "'\"'",
            found: None,
            offset: 7
        }
    );
    assert!(Params::parse(b";a=\"b\\").is_err());
    assert!(Params::parse(b";a=\"b\\\"").is_err());
}

// conformance: 40
#[test]
fn a_backslash_quotes_all_of_ascii_but_line_ends() {
    for b in 0..=u8::MAX {
        let text = [b';', b'a', b'=', b'"', b'\\', b, b'"'];
        let quotable = b < 0x80 && b != b'\r' && b != b'\n';
        assert_eq!(Params::parse(&text).is_ok(), quotable, "{b}");
    }
}

// conformance: 40
#[test]
fn control_characters_cannot_stand_in_quotes_unquoted() {
    for b in 0..=u8::MAX {
        let text = [b';', b'a', b'=', b'"', b, b'x', b'"'];
        let raw = b == b'\t' || (b >= 0x20 && b != 0x7F && b != b'"' && b != b'\\');
        assert_eq!(Params::parse(&text).is_ok(), raw || b == b'\\', "{b}");
    }
}

// conformance: 40, 46
#[test]
fn a_fold_in_quotes_reads_as_one_space() {
    let params = Params::parse(b";a=\"b \r\n  c\"").unwrap();
    assert_eq!(params.to_string(), ";a=\"b c\"");
    assert_eq!(*params.get("a").unwrap().unquoted().unwrap(), *b"b c");
    assert_eq!(*unquote(b"\"b\\ \r\n c\""), *b"b  c");
    for bad in [
        &b";a=\"b\rc\""[..],
        b";a=\"b\nc\"",
        b";a=\"b\r\nc\"",
        b";a=\"b\r",
    ] {
        assert!(Params::parse(bad).is_err());
    }
}

// conformance: 46
#[test]
fn bytes_that_are_no_utf8_are_kept() {
    for bytes in [
        &b"\xC3\x28"[..],
        b"\xC0\xAF",
        b"\xF8\x88\x80\x80\x80",
        b"\xFC\x84\x80\x80\x80\x80",
    ] {
        let text = [b";a=\"", bytes, b"\""].concat();
        let params = Params::parse(&text).unwrap();
        assert_eq!(*params.get("a").unwrap().unquoted().unwrap(), *bytes);
        let _ = params.to_string();
    }
}

// conformance: 67
#[test]
fn the_number_of_parameters_is_bounded() {
    let list = |n: u32| (0..n).map(|i| format!(";a{i}")).collect::<String>();
    assert_eq!(
        Params::parse(list(128).as_bytes()).unwrap().iter().count(),
        128
    );
    assert!(matches!(
        Params::parse(list(129).as_bytes()),
        Err(ValueError::OutOfRange {
            what: "number of parameters",
            ..
        })
    ));
}

#[test]
fn a_part_cannot_smuggle_in_another() {
    for name in ["", "a;b", "a=b", "a b", "a\r\nb", "ä"] {
        assert!(Param::flag(name).is_err(), "{name:?}");
        assert!(Param::new(name, "x").is_err(), "{name:?}");
    }
    for value in [
        "",
        "a;b",
        "a=b",
        "a b",
        "a\r\nb: c",
        "\"a\";b",
        "\"a",
        "::1",
        "ä",
    ] {
        assert!(Param::new("a", value).is_err(), "{value:?}");
    }
    assert!(Param::new("received", "::1").is_ok());
}

#[test]
fn no_parameters_print_nothing() {
    assert_eq!(Params::EMPTY.to_string(), "");
    assert!(Params::EMPTY.is_empty());
    assert!(Params::of(&[]).is_empty());
    assert!(!Params::parse(b";a").unwrap().is_empty());
}

/// However alike names look, they are told apart; the first that repeats one is the error.
#[test]
fn of_up_to_128_names_a_repeated_one_is_found_however_alike_they_are() {
    for stem in ["", "a", "abcdefg", "abcdefgh", &"long-".repeat(20)] {
        let names: Vec<String> = (0..128).map(|i| format!("{stem}{i:03}")).collect();
        let list = |names: &[String]| {
            names
                .iter()
                .map(|name| format!(";{name}"))
                .collect::<String>()
        };
        let text = list(&names);
        assert_eq!(Params::parse(text.as_bytes()).unwrap().iter().count(), 128);
        let many = text.clone() + ";other";
        assert_eq!(
            Params::parse(many.as_bytes()).unwrap_err(),
            ValueError::OutOfRange {
                what: "number of parameters",
                offset: text.len() + 1
            }
        );
        let mut twice = names.clone();
        twice[90] = names[3].to_uppercase();
        twice[100] = names[3].clone();
        twice[127] = names[4].clone();
        assert_eq!(
            Params::parse(list(&twice).as_bytes()).unwrap_err(),
            ValueError::Repeated {
                what: "parameter",
                offset: list(&twice[..90]).len() + 1
            }
        );
    }
}
