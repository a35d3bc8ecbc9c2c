//! DNS records in memory.

use core::str::FromStr;
use core::time::Duration;
use std::collections::BTreeMap;

use thiserror::Error;

use super::{Answer, DomainName, LookupKind, NaptrRecord, Record, SrvRecord};

/// The TTL of all records of a zone.
const TTL: Duration = Duration::from_secs(300);

/// DNS records in memory to answer lookups from, for tests and for hosts without DNS.
///
/// The text form has one record a line, as zone files do, without classes and TTLs; names are
/// complete, a trailing dot changes nothing, and `;` begins a comment:
///
/// ```
/// use sip_transport_proto::resolve::{DomainName, LookupKind, Zone};
///
/// let zone: Zone = "
///     example.com            NAPTR 50 50 s SIPS+D2T _sips._tcp.example.com
///     _sips._tcp.example.com SRV   0 1 5061 a.example.com  ; priority, weight, port
///     a.example.com          A     192.0.2.1
///     a.example.com          AAAA  2001:db8::1
/// ".parse()?;
/// let name = DomainName::new("a.example.com").unwrap();
/// println!("{:?}", zone.answer(LookupKind::A, &name));
/// # Ok::<(), sip_transport_proto::resolve::ZoneError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Zone(BTreeMap<(LookupKind, DomainName), Answer>);

impl Zone {
    /// Sets the whole answer to a lookup, replacing any other.
    pub fn set(&mut self, kind: LookupKind, name: DomainName, answer: Answer) -> &mut Self {
        self.0.insert((kind, name), answer);
        self
    }

    /// Adds a record of a name.
    pub fn add(&mut self, name: DomainName, record: Record) -> &mut Self {
        let kind = match &record {
            Record::Naptr(_) => LookupKind::Naptr,
            Record::Srv(_) => LookupKind::Srv,
            Record::Address(ip) if ip.is_ipv4() => LookupKind::A,
            Record::Address(_) => LookupKind::Aaaa,
        };
        match self.0.get_mut(&(kind, name.clone())) {
            Some(Answer::Found { records, .. }) => records.push(record),
            _ => {
                let records = vec![record];
                self.set(kind, name, Answer::Found { records, ttl: TTL });
            }
        }
        self
    }

    /// The answer to a lookup; for an unknown name, that there are no records.
    pub fn answer(&self, kind: LookupKind, name: &DomainName) -> Answer {
        let known = self.0.get(&(kind, name.clone()));
        known
            .cloned()
            .unwrap_or(Answer::NotFound { ttl: Some(TTL) })
    }
}

/// The error of a line that is not a record.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("line {line} is not a NAPTR, SRV, A or AAAA record: {text}")]
#[non_exhaustive]
pub struct ZoneError {
    /// The number of the line, from 1.
    pub line: usize,
    /// The text of the line.
    pub text: String,
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, ZoneError> {
        let mut zone = Self::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.split(';').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (name, record) = record(line).ok_or_else(|| ZoneError {
                line: at.saturating_add(1),
                text: line.to_owned(),
            })?;
            zone.add(name, record);
        }
        Ok(zone)
    }
}

fn record(line: &str) -> Option<(DomainName, Record)> {
    let words: Vec<_> = line.split_whitespace().collect();
    let (name, record) = match *words.as_slice() {
        [name, "A" | "AAAA", ip] => (name, Record::Address(ip.parse().ok()?)),
        [name, "SRV", priority, weight, port, target] => {
            let srv = SrvRecord {
                priority: priority.parse().ok()?,
                weight: weight.parse().ok()?,
                port: port.parse().ok()?,
                target: target.to_owned(),
            };
            (name, Record::Srv(srv))
        }
        [
            name,
            "NAPTR",
            order,
            preference,
            flags,
            services,
            replacement,
        ] => {
            let naptr = NaptrRecord {
                order: order.parse().ok()?,
                preference: preference.parse().ok()?,
                flags: flags.to_owned(),
                services: services.to_owned(),
                regexp: String::new(),
                replacement: replacement.to_owned(),
            };
            (name, Record::Naptr(naptr))
        }
        _ => return None,
    };
    Some((DomainName::new(name)?, record))
}
