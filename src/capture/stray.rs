//! A single session file that lies outside every tool's folder, such as one that somebody sent. It is captured from a
//! passing copy in the place where its tool would keep it, so that a restore knows that place. What is captured is a session
//! without a native copy: the file given is nobody's, and may go or change.

use super::{Capture, Report};
use crate::error::{Context, Error, Result};
use crate::home::Home;
use crate::store::Store;
use crate::tools::{self, Tool, foreign};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// So much of a file is looked at to tell whose it is.
const HEAD: u64 = 4 << 20;

/// Captures the file at `path`, of `tool` or, without one, of the tool whose it looks like.
pub fn stray(store: &mut Store, home: &Home, path: &Path, tool: Option<&'static dyn Tool>) -> Result<Report> {
    let unreadable = || format!("{} can't be read", path.display());
    let mut file = foreign::open(path).context(unreadable)?.ok_or_else(|| {
        Error::not_found(format!("{} is not a file", path.display())).hint("give the file itself, not a link to it")
    })?;
    let mut head = Vec::new();
    (&mut file).take(HEAD).read_to_end(&mut head).context(unreadable)?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let candidates = tools::ALL.iter().copied().filter(|known| tool.is_none_or(|tool| tool.id() == known.id()));
    let found = candidates.filter_map(|tool| Some((tool, tool.place_of_stray(name, &head)?))).next();
    let Some((tool, relative)) = found else {
        return Err(Error::not_found(format!("{} is no session file that we know", path.display()))
            .hint("give a file that a tool wrote, a folder such as .claude, a home folder, or a .sfs folder"));
    };
    home.create()?;
    let passing = tempfile::Builder::new().prefix("import-").tempdir_in(&home.data);
    let passing = passing.context(|| format!("{} can't be written", home.data.display()))?;
    let folder = passing.path().canonicalize().context(|| "the passing copy can't be found")?;
    let there = Home::at(&folder, &home.data);
    let copy = tool.root(&there).join(relative);
    copy_with_time(path, &copy).context(|| format!("{} can't be copied", path.display()))?;
    let report = Capture { home: &there, store, tool }.files(vec![copy.clone()], &mut |_| {});
    store.write(|store| store.forget_native_file(&copy.to_string_lossy()))?;
    // Without a native copy to compare with, the file is read again each time; what it has may all be known.
    report.map(|report| if report.bytes == 0 { Report { errors: report.errors, ..Report::default() } } else { report })
}

fn copy_with_time(from: &Path, to: &Path) -> std::io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to)?;
    let modified = from.metadata()?.modified()?;
    File::options().append(true).open(to)?.set_modified(modified)
}
