//! The resolvers of DNS lookups.

#[cfg(feature = "dns")]
mod hickory;
mod system;

use std::future::ready;

use sip_transport_proto::resolve::{Answer, DomainName, LookupKind, Zone};

use crate::runtime::{BoxFuture, Resolve};

#[cfg(feature = "dns")]
pub(crate) use hickory::HickoryResolver;
pub(crate) use system::SystemResolver;

/// A resolver that answers from records in memory.
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
    /// A resolver of this zone; other names do not exist for it.
    pub fn new(zone: Zone) -> Self {
        Self(zone)
    }
}

impl Resolve for StaticResolver {
    fn lookup(&self, kind: LookupKind, name: DomainName) -> BoxFuture<Answer> {
        Box::pin(ready(self.0.answer(kind, &name)))
    }
}
