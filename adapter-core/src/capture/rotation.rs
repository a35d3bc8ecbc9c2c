//! Capture files, and their rotation.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The rule for when a new file is begun, and how many old ones are kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct Rotation {
    size: Option<u64>,
    keep: u32,
}

impl Rotation {
    /// One file, which grows without limit. One that exists is replaced.
    pub const fn never() -> Self {
        Self {
            size: None,
            keep: 0,
        }
    }

    /// A new file before one has more than so many bytes, unless a single message has. The file
    /// before `calls.pcapng` is then `calls.1.pcapng`, the one before that `calls.2.pcapng`; so is
    /// one that exists when the capture starts. One old file is kept, unless [`keep`](Self::keep)
    /// says otherwise.
    pub const fn size(bytes: u64) -> Self {
        Self {
            size: Some(bytes),
            keep: 1,
        }
    }

    /// Sets how many old files are kept.
    pub const fn keep(mut self, files: u32) -> Self {
        self.keep = files;
        self
    }
}

/// The file that is written to.
#[derive(Debug)]
pub(super) struct RotatedFile {
    path: PathBuf,
    rotation: Rotation,
    file: File,
    length: u64,
}

impl RotatedFile {
    pub(super) fn open(path: PathBuf, rotation: Rotation) -> io::Result<Self> {
        if rotation.size.is_some() {
            shift(&path, rotation.keep)?;
        }
        let file = create(&path)?;
        Ok(Self {
            path,
            rotation,
            file,
            length: 0,
        })
    }

    /// Returns true if the file, with so many bytes to be written, has something and is too small
    /// for another message, with which they are `more`.
    pub(super) fn is_full(&self, pending: usize, more: usize) -> bool {
        let length = |bytes: usize| self.length.saturating_add(bytes as u64);
        length(pending) > 0 && self.rotation.size.is_some_and(|size| length(more) > size)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins the next file.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        shift(&self.path, self.rotation.keep)?;
        self.file = create(&self.path)?;
        self.length = 0;
        Ok(())
    }

    /// Writes all of it, or nothing.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(bytes);
        match written {
            Ok(()) => self.length = self.length.saturating_add(bytes.len() as u64),
            Err(_) => {
                // A block that ends early would spoil what is written after it.
                self.file.set_len(self.length)?;
                self.file.seek(SeekFrom::Start(self.length))?;
            }
        }
        written
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes the file the first of the old ones, and drops the last. Without a file, as when it was
/// moved away or could not be created after the last shift, the old ones stay as they are.
fn shift(path: &Path, keep: u32) -> io::Result<()> {
    if keep == 0 || !path.exists() {
        return Ok(());
    }
    for number in (1..keep).rev() {
        let (from, to) = (old(path, number), old(path, number + 1));
        if from.exists() {
            std::fs::rename(from, to)?;
        }
    }
    std::fs::rename(path, old(path, 1))
}

/// The path of an old file: the number is before the extension.
fn old(path: &Path, number: u32) -> PathBuf {
    let mut name = path.file_stem().map(OsString::from).unwrap_or_default();
    name.push(format!(".{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}
