//! Setters that refuse what cannot be.

use core::time::Duration;

use thiserror::Error;

/// Ten years: no sum of such times and of points in time is out of the reach of a clock.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

/// The least that is more than zero.
pub(crate) const ABOVE_ZERO: Duration = Duration::from_nanos(1);

/// Refuses a time that is shorter than that, or longer than any may be.
pub(crate) fn check_duration(
    setting: &'static str,
    value: Duration,
    shortest: Duration,
    expected: &'static str,
) -> Result<Duration, ConfigError> {
    if (shortest..=LONGEST).contains(&value) {
        Ok(value)
    } else {
        Err(ConfigError { setting, expected })
    }
}

/// Setters of times that are to be so long at least, which is said in words beside it.
macro_rules! durations {
    ($($(#[$doc:meta])* $name:ident: $shortest:expr $(, $least:literal)?;)+) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        #[doc = concat!("It has to be ", $($least, ", ",)? "10 years at most.")]
        pub fn $name(&mut self, value: Duration) -> Result<&mut Self, ConfigError> {
            let expected = concat!($($least, ", ",)? "10 years at most");
            self.$name = check_duration(stringify!($name), value, $shortest, expected)?;
            Ok(self)
        }
    )+};
}

/// Setters of numbers.
macro_rules! positive {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)+) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// Zero is refused.
        pub fn $name(&mut self, value: $type) -> Result<&mut Self, ConfigError> {
            if value == 0 {
                return Err(ConfigError { setting: stringify!($name), expected: "more than zero" });
            }
            self.$name = value;
            Ok(self)
        }
    )+};
}

/// Setters of numbers that are a share of another unless they are set.
macro_rules! shares {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// Zero is refused.
        pub fn $name(&mut self, value: usize) -> Result<&mut Self, ConfigError> {
            if value == 0 {
                return Err(ConfigError { setting: stringify!($name), expected: "more than zero" });
            }
            self.$name = Some(value);
            Ok(self)
        }
    )+};
}

pub(crate) use {durations, positive, shares};

/// A setting that cannot be.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("{setting} must be {expected}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The setting.
    pub setting: &'static str,
    /// What it accepts.
    pub expected: &'static str,
}
