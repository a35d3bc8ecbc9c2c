//! Identifiers of lookups and plans.

/// The id of a lookup, until it is answered or times out.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LookupId(pub(super) u64);

/// The id of a plan, until it ends.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PlanId(pub(super) u64);
