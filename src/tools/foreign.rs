//! Opening files that other programs own. What stands under an expected name need not be a file: opening a pipe would wait
//! for ever, reading a device would never end, a link may lead anywhere.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// An index or a notice of another tool is never as large as this.
const SMALL: u64 = 64 << 20;

/// Opens a regular file. `None`: there is none, or something else stands there.
pub fn open(path: &Path) -> io::Result<Option<File>> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    match OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path) {
        Ok(file) => Ok(file.metadata()?.is_file().then_some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound || path.is_symlink() => Ok(None),
        // What a socket answers.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// All of a small regular file; `None` where there is none, it can't be read, or it is not small.
pub fn read_small(path: &Path) -> Option<Vec<u8>> {
    let file = open(path).ok()??;
    let mut bytes = Vec::new();
    file.take(SMALL + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= SMALL).then_some(bytes)
}

/// The first `length` bytes of a regular file, or all where it is shorter; `None` where there is none or it can't be read.
pub fn head(path: &Path, length: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path).ok()??.take(length as u64).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
