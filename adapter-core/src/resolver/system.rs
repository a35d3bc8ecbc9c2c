//! The system's resolver.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use sip_transport_proto::resolve::{Answer, DomainName, Family, LookupKind, Record};

use crate::runtime::{BoxFuture, Resolve, Runtime};

/// The lifetime of an answer of the system, which states none.
const TTL: Duration = Duration::from_secs(30);

/// The system's resolver (`getaddrinfo`), which finds addresses only.
#[derive(Debug)]
pub(crate) struct SystemResolver(pub(crate) Arc<dyn Runtime>);

impl Resolve for SystemResolver {
    fn lookup(&self, kind: LookupKind, name: DomainName) -> BoxFuture<Answer> {
        let nothing = Answer::NotFound { ttl: Some(TTL) };
        if matches!(kind, LookupKind::Naptr | LookupKind::Srv) {
            return Box::pin(async { nothing });
        }
        // A final dot makes the name complete.
        let addresses = self.0.lookup(format!("{name}."));
        Box::pin(async move {
            match addresses.await {
                Ok(ips) => {
                    let asked_for = |ip: &_| LookupKind::from(Family::of(*ip)) == kind;
                    let records: Vec<_> = ips
                        .into_iter()
                        .filter(asked_for)
                        .map(Record::Address)
                        .collect();
                    match records.is_empty() {
                        true => nothing,
                        false => Answer::Found { records, ttl: TTL },
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => nothing,
                Err(error) => Answer::Failed(error.kind()),
            }
        })
    }
}
