//! The limit of open files.

use std::io;

#[cfg(unix)]
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The soft limit on the open files of the process; `None` if the system has no such limit, or does
/// not report it.
#[cfg(unix)]
pub fn descriptor_limit() -> Option<usize> {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    usize::try_from(soft).ok()
}

/// Raises the soft limit on open files to the hard one, for the whole process, and returns the new
/// limit; `None` as for [`descriptor_limit`].
///
/// # Errors
/// The system refuses.
#[cfg(unix)]
pub fn raise_descriptor_limit() -> io::Result<Option<usize>> {
    /// OPEN_MAX: macOS accepts no more, whatever the hard limit.
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

/// The soft limit on the open files of the process; `None` if the system has no such limit, or does
/// not report it.
#[cfg(not(unix))]
pub fn descriptor_limit() -> Option<usize> {
    None
}

/// Raises the soft limit on open files to the hard one, for the whole process, and returns the new
/// limit; `None` as for [`descriptor_limit`].
///
/// # Errors
/// The system refuses.
#[cfg(not(unix))]
pub fn raise_descriptor_limit() -> io::Result<Option<usize>> {
    Ok(None)
}
