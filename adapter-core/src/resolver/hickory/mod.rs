//! Lookups by hickory-resolver, over the sockets and timers of any runtime.

mod provider;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io};

use hickory_resolver::Resolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use sip_transport_proto::resolve::{
    Answer, DomainName, LookupKind, NaptrRecord, Record, SrvRecord,
};
use sip_transport_proto::trace::LOOKUP;
use tracing::warn;

use self::provider::Connections;
use crate::resolver::SystemResolver;
use crate::runtime::{BoxFuture, CurrentRuntime, Resolve, Runtime};

/// The time to wait for one name server before it, or another, is asked again. Three times this is
/// within the 2 s of a lookup, and once is within the 700 ms that it has while others wait.
const PATIENCE: Duration = Duration::from_millis(650);
/// The number of retransmissions of a query.
const RETRIES: usize = 2;

/// A resolver that asks the system's name servers and hosts file, or the given name servers.
pub(crate) struct HickoryResolver<R: CurrentRuntime>(Resolver<Connections<R>>);

impl<R: CurrentRuntime> HickoryResolver<R> {
    /// Creates a resolver on this runtime that opens at most this many sockets. If the system names
    /// no name servers, its own resolver is used.
    pub(crate) fn start(
        runtime: &Arc<dyn Runtime>,
        servers: &[SocketAddr],
        sockets: usize,
    ) -> io::Result<Arc<dyn Resolve>> {
        let provider = Connections::new(Arc::clone(runtime), sockets);
        let mut builder = if servers.is_empty() {
            match Resolver::builder(provider) {
                Ok(builder) => builder,
                Err(error) => {
                    warn!(target: LOOKUP, %error, "no name servers: using the system's resolver");
                    return Ok(Arc::new(SystemResolver(Arc::clone(runtime))));
                }
            }
        } else {
            let servers = servers.iter().map(|server| {
                let at = |mut connection: ConnectionConfig| {
                    connection.port = server.port();
                    connection
                };
                let connections = vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())];
                NameServerConfig::new(server.ip(), true, connections)
            });
            let config = ResolverConfig::from_name_servers(servers.collect());
            Resolver::builder_with_config(config, provider)
        };
        let options = builder.options_mut();
        options.timeout = options.timeout.min(PATIENCE);
        options.attempts = RETRIES;
        // One server at a time, so that a lookup has one socket. The one that answers is
        // remembered.
        options.num_concurrent_reqs = 1;
        // The transport caches answers, within limits of its own.
        options.cache_size = 0;
        let resolver = builder.build().map_err(io::Error::other)?;
        Ok(Arc::new(Self(resolver)))
    }
}

impl<R: CurrentRuntime> fmt::Debug for HickoryResolver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HickoryResolver").finish_non_exhaustive()
    }
}

impl<R: CurrentRuntime> Resolve for HickoryResolver<R> {
    fn lookup(&self, kind: LookupKind, name: DomainName) -> BoxFuture<Answer> {
        let resolver = self.0.clone();
        Box::pin(async move {
            // A final dot makes the name complete.
            let Ok(name) = Name::from_ascii(format!("{name}.")) else {
                return Answer::NotFound { ttl: None };
            };
            let kind = match kind {
                LookupKind::Naptr => RecordType::NAPTR,
                LookupKind::Srv => RecordType::SRV,
                LookupKind::A => RecordType::A,
                LookupKind::Aaaa => RecordType::AAAA,
                _ => return Answer::NotFound { ttl: None },
            };
            match resolver.lookup(name, kind).await {
                Ok(lookup) => found(&lookup),
                Err(error) => not_found(&error),
            }
        })
    }
}

fn found(lookup: &Lookup) -> Answer {
    let records = lookup.answers().iter();
    let records: Vec<_> = records.filter_map(|answer| record(&answer.data)).collect();
    let ttl = lookup
        .valid_until()
        .saturating_duration_since(Instant::now());
    match records.is_empty() {
        true => Answer::NotFound { ttl: Some(ttl) },
        false => Answer::Found { records, ttl },
    }
}

fn record(data: &RData) -> Option<Record> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(match data {
        RData::A(a) => Record::Address(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => Record::Address(IpAddr::V6(aaaa.0)),
        RData::SRV(srv) => Record::Srv(SrvRecord {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: srv.target.to_ascii(),
        }),
        RData::NAPTR(naptr) => Record::Naptr(NaptrRecord {
            order: naptr.order,
            preference: naptr.preference,
            flags: text(&naptr.flags),
            services: text(&naptr.services),
            regexp: text(&naptr.regexp),
            replacement: naptr.replacement.to_ascii(),
        }),
        _ => return None,
    })
}

fn not_found(error: &NetError) -> Answer {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            let ttl = none.negative_ttl.map(u64::from).map(Duration::from_secs);
            match none.response_code {
                ResponseCode::NXDomain => Answer::NoSuchName { ttl },
                ResponseCode::NoError => Answer::NotFound { ttl },
                _ => Answer::Failed(io::ErrorKind::Other),
            }
        }
        NetError::Timeout => Answer::Failed(io::ErrorKind::TimedOut),
        NetError::Io(error) => Answer::Failed(error.kind()),
        NetError::NoConnections => Answer::Failed(io::ErrorKind::NotConnected),
        NetError::Busy => Answer::Failed(io::ErrorKind::ResourceBusy),
        _ => Answer::Failed(io::ErrorKind::Other),
    }
}
