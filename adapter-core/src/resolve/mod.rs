//! Who answers DNS lookups.

#[cfg(feature = "dns")]
mod hickory;
mod system;

use std::fmt;
use std::future::ready;

use sip_transport_proto::resolve::{Answer, DomainName, LookupKind, Zone};

use crate::BoxFuture;

#[cfg(feature = "dns")]
pub(crate) use hickory::HickoryResolver;
pub(crate) use system::SystemResolver;

/// Answers DNS lookups for a transport, which remembers the answers and has limits of its own on
/// their time and number.
///
/// ```
/// use adapter_core::sip_transport_proto::resolve::{Answer, DomainName, LookupKind};
/// use adapter_core::{BoxFuture, Resolve};
///
/// /// Finds nothing.
/// #[derive(Debug)]
/// struct Offline;
///
/// impl Resolve for Offline {
///     fn lookup(&self, _kind: LookupKind, _name: DomainName) -> BoxFuture<Answer> {
///         Box::pin(async { Answer::NotFound { ttl: None } })
///     }
/// }
/// ```
pub trait Resolve: fmt::Debug + Send + Sync + 'static {
    /// Looks up one kind of record. The name is complete: no search list applies. The future is
    /// dropped where the answer comes too late to be of use.
    fn lookup(&self, kind: LookupKind, name: DomainName) -> BoxFuture<Answer>;
}

/// Answers from records in memory.
///
/// ```
/// use adapter_core::StaticResolver;
///
/// let zone = "example.com A 192.0.2.1".parse()?;
/// let resolver = StaticResolver::new(zone);
/// # Ok::<(), adapter_core::sip_transport_proto::resolve::ZoneError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct StaticResolver(Zone);

impl StaticResolver {
    /// Answers from this zone; of other names it says that they do not exist.
    pub fn new(zone: Zone) -> Self {
        Self(zone)
    }
}

impl Resolve for StaticResolver {
    fn lookup(&self, kind: LookupKind, name: DomainName) -> BoxFuture<Answer> {
        Box::pin(ready(self.0.answer(kind, &name)))
    }
}
