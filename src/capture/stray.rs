//! A single session file that lies outside every tool's folder, such as one that somebody sent. It is captured from a
//! passing copy in the place where its tool would keep it, so that a restore knows that place. What is captured is a session
//! without a native copy: the file given is nobody's, and may go or change.

use super::{Capture, Ground, Report, file};
use crate::error::{Context, Error, Result};
use crate::home::Home;
use crate::id::Hash;
use crate::store::{NativeFile, Store};
use crate::tools::{self, Tool, foreign};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use tempfile::TempDir;

/// So much of a file is looked at to tell whose it is.
const HEAD: u64 = 4 << 20;

/// Captures the file at `path`, of `tool` or, without one, of the tool whose it looks like.
pub fn stray(store: &mut Store, home: &Home, path: &Path, tool: Option<&'static dyn Tool>) -> Result<Report> {
    let unreadable = || format!("{} can't be read", path.display());
    let mut open = foreign::open(path).context(unreadable)?.ok_or_else(|| {
        Error::not_found(format!("{} is not a file", path.display())).hint("give the file itself, not a link to it")
    })?;
    let mut head = Vec::new();
    (&mut open).take(HEAD).read_to_end(&mut head).context(unreadable)?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut candidates = tools::ALL.iter().copied().filter(|known| tool.is_none_or(|tool| tool.id() == known.id()));
    let found = candidates.find_map(|tool| Some((tool, tool.place_of_stray(name, &head)?)));
    let Some((tool, relative)) = found else {
        return Err(Error::not_found(format!("{} is no session file that we know", path.display()))
            .hint("give a file that a tool wrote, a folder such as .claude, a home folder, or a .sfs folder"));
    };
    home.create()?;
    let passing = Passing::make(home, path)?;
    let there = Home::at(passing.0.path(), &home.data);
    let root = tool.root(&there);
    let copy = root.join(relative);
    copy_with_time(path, &copy).context(|| format!("{} can't be copied", path.display()))?;
    let ground = Ground::of(tool, &there);
    let own = own_files(store, &ground, &copy)?;
    let purged = purged_of(store, &ground, &copy)?;
    let report = Capture { home: &there, store, tool }.files(vec![copy.clone()], &mut |_| {});
    store.write(|store| {
        store.forget_native_file(&copy.to_string_lossy())?;
        own.iter().try_for_each(|file| keep(store, file))
    })?;
    // Without a native copy to compare with, the file is read again each time; what it has may all be known.
    let notes = purged.into_iter().collect();
    report.map(
        |report| if report.bytes == 0 { Report { errors: report.errors, notes, ..Report::default() } } else { report },
    )
}

impl Capture<'_> {
    /// Says so where the session that the file at `path` is of was purged.
    pub fn purged(&self, path: &Path) -> Result<Option<String>> {
        purged_of(self.store, &Ground::of(self.tool, self.home), path)
    }
}

fn purged_of(store: &Store, ground: &Ground, path: &Path) -> Result<Option<String>> {
    let Some(placed) = file::whose(ground, path) else { return Ok(None) };
    let session = store.find_native(ground.tool.id(), &placed.native_id)?.filter(|session| session.purged_at.is_some());
    Ok(session.map(|session| format!("{} was purged here and stays out", session.public_id)))
}

/// The passing copy's folder. Its name follows from the file's path: a copy that went its own way is the same one when it is
/// imported again.
struct Passing(TempDir);

impl Passing {
    fn make(home: &Home, path: &Path) -> Result<Passing> {
        let name = format!("import-{}", &Hash::of(path.as_os_str().as_encoded_bytes()).hex()[..16]);
        let data = home.data.canonicalize().context(|| format!("{} can't be read", home.data.display()))?;
        // What a kill left.
        let _ = fs::remove_dir_all(data.join(&name));
        let made = tempfile::Builder::new().prefix(&name).rand_bytes(0).tempdir_in(&data);
        made.map(Passing).context(|| format!("{} can't be written", data.display()))
    }
}

/// The files in which this machine has the stream that `copy` is of.
fn own_files(store: &Store, ground: &Ground, copy: &Path) -> Result<Vec<NativeFile>> {
    let Some(placed) = file::whose(ground, copy) else { return Ok(Vec::new()) };
    let Some(session) = store.find_native(ground.tool.id(), &placed.native_id)? else { return Ok(Vec::new()) };
    let Some(stream) = store.newest_stream(session.id, &placed.stream)? else { return Ok(Vec::new()) };
    let mut files = store.native_files_of(stream.id)?;
    files.retain(|file| Path::new(&file.path).exists());
    Ok(files)
}

/// A longer file took the stream over; as it is nobody's, the stream stays with the file that the tool has.
fn keep(store: &mut Store, file: &NativeFile) -> Result<()> {
    let now = store.native_file(&file.path)?;
    if now.is_some_and(|now| now.stream.is_none()) { store.save_native_file(file) } else { Ok(()) }
}

fn copy_with_time(from: &Path, to: &Path) -> std::io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to)?;
    let modified = from.metadata()?.modified()?;
    File::options().append(true).open(to)?.set_modified(modified)
}
