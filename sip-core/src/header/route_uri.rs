//! The URI of a Route, as routing reads it.

use super::tagged::bracketed;
use crate::ValueError;
use crate::uri::RoutingUri;

impl<'a> RoutingUri<'a> {
    /// Reads the URI of a Route, ignoring what is before and after its angle brackets.
    ///
    /// # Errors
    /// There are none, or as for [`parse`](Self::parse).
    pub fn of_route(value: &'a [u8]) -> Result<Self, ValueError> {
        let (start, end) = bracketed(value)?;
        Self::parse(value.get(start..end).unwrap_or_default()).map_err(|error| error.shifted(start))
    }
}
