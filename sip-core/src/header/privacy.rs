//! `Privacy`.

use core::fmt;

use super::{Header, scan::Scan};
use crate::chars::ascii;
use crate::{Name, ValueError};

/// `Privacy`: the privacy requested, as tokens separated by semicolons (RFC 3323 §4.2).
///
/// ```
/// use sip_core::header::{Header, Privacy};
///
/// let privacy = Privacy::parse(b"id; critical")?;
/// assert!(privacy.has("critical") && !privacy.has("none"));
/// # Ok::<(), sip_core::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Privacy<'a>(&'a [u8]);

impl<'a> Privacy<'a> {
    /// The value from text.
    pub fn new(text: &'a str) -> Result<Self, ValueError> {
        Self::parse(text.as_bytes())
    }

    /// The values in their order.
    pub fn values(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0
            .split(|&byte| byte == b';')
            .map(|value| ascii(value.trim_ascii()))
    }

    /// Returns true if a value is present, ignoring case.
    pub fn has(&self, value: &str) -> bool {
        self.values().any(|found| found.eq_ignore_ascii_case(value))
    }
}

impl<'a> Header<'a> for Privacy<'a> {
    const NAME: Name = Name::Privacy;

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let mut scan = Scan::new(value);
        scan.token("a privacy value")?;
        while scan.separator(b';') {
            scan.token("a privacy value")?;
        }
        scan.end()?;
        Ok(Self(value))
    }
}

impl fmt::Display for Privacy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, value) in self.values().enumerate() {
            if i > 0 {
                f.write_str(";")?;
            }
            f.write_str(value)?;
        }
        Ok(())
    }
}
