//! The limit of open files.

use std::io;

#[cfg(unix)]
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// How many files the process may have open (the soft limit); `None` where the system has no such
/// limit, or does not tell.
#[cfg(unix)]
pub fn descriptor_limit() -> Option<usize> {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    usize::try_from(soft).ok()
}

/// Raises the soft limit of open files to the hard one, for the whole process, and says what it is
/// then; `None` as for [`descriptor_limit`].
///
/// # Errors
/// The system refuses.
#[cfg(unix)]
pub fn raise_descriptor_limit() -> io::Result<Option<usize>> {
    /// OPEN_MAX: macOS takes no more, whatever it says of the hard limit.
    const MACOS: u64 = 10_240;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let most = if cfg!(target_os = "macos") {
        hard.min(MACOS)
    } else {
        hard
    };
    if most > soft {
        setrlimit(Resource::RLIMIT_NOFILE, most, hard)?;
    }
    Ok(descriptor_limit())
}

/// How many files the process may have open (the soft limit); `None` where the system has no such
/// limit, or does not tell.
#[cfg(not(unix))]
pub fn descriptor_limit() -> Option<usize> {
    None
}

/// Raises the soft limit of open files to the hard one, for the whole process, and says what it is
/// then; `None` as for [`descriptor_limit`].
///
/// # Errors
/// The system refuses.
#[cfg(not(unix))]
pub fn raise_descriptor_limit() -> io::Result<Option<usize>> {
    Ok(None)
}
