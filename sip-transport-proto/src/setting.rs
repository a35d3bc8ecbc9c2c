//! Checked setters: macros for durations and sizes, and the error that they return.

use core::time::Duration;

use thiserror::Error;

/// Ten years: adding several such durations to an instant cannot overflow it.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

/// The shortest duration above zero.
pub(crate) const ABOVE_ZERO: Duration = Duration::from_nanos(1);

/// Checks that a duration is at least `shortest` and at most [`LONGEST`].
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

/// Setters of durations with a minimum, each given with its description for the docs and errors.
macro_rules! durations {
    ($($(#[$doc:meta])* $name:ident: $shortest:expr $(, $least:literal)?;)+) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        #[doc = concat!("The duration must be ", $($least, ", ",)? "10 years at most.")]
        pub fn $name(&mut self, value: Duration) -> Result<&mut Self, ConfigError> {
            let expected = concat!($($least, ", ",)? "10 years at most");
            self.$name = check_duration(stringify!($name), value, $shortest, expected)?;
            Ok(self)
        }
    )+};
}

/// Setters of numbers above zero.
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

/// Setters of numbers above zero that default to a share of another setting.
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

/// An invalid setting.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("{setting} must be {expected}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The name of the setting.
    pub setting: &'static str,
    /// The values that it accepts.
    pub expected: &'static str,
}
