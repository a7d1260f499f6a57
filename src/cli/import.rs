//! `sfs import`: the daemon's capture, once; and portable sessions from elsewhere.

use super::{Context, arguments, ui};
use crate::capture::{self, Capture, Report};
use crate::error::{Context as _, Error, Result};
use crate::home::Home;
use crate::security::archive::{self, Limits};
use crate::settings;
use crate::store::Store;
use crate::tools::{self, Tool};
use argh::{ArgsInfo, FromArgs};
use std::path::{Path, PathBuf};

/// Capture once: everything that your tools have, another home folder, or exported sessions
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "import")]
#[argh(example = "sfs import
sfs import --from codex
sfs import /mnt/old-laptop/home/me
sfs import /mnt/old-laptop/home/me/.codex
sfs import /mnt/old-laptop/home/me/.config/Cursor
sfs import ses_mxwrb23zcxyg4kq7.sfs
sfs import ses_mxwrb23zcxyg4kq7.sfs.tar.gz
sfs import ~/.sessionfs/sessions")]
#[argh(
    note = "PATH may be another home folder, a tool's folder in one or what is below it, a single session file, a .sfs
folder or its .tar.gz, or a folder that holds several of them. Importing twice changes nothing."
)]
pub(super) struct Import {
    /// only this tool: claude-code, codex, gemini or cursor
    #[argh(option)]
    from: Option<String>,
    /// print what was captured as JSON
    #[argh(switch)]
    json: bool,
    /// another home folder, such as a copy from an old machine, a session file, or .sfs folders; your own home by default
    #[argh(positional, from_str_fn(arguments::path))]
    path: Option<PathBuf>,
}

impl Import {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let asked = self.from.as_deref().map(tools::find).transpose()?;
        let home = match &self.path {
            Some(path) if archive::is_named(path) && path.is_file() => return self.archive(context, path),
            Some(path) => {
                let path = path.canonicalize().map_err(|_| nothing_at(path))?;
                if let Some((tool, home)) = inside(context, &path) {
                    return self.part(context, &home, tool, asked, &path);
                }
                if !path.is_dir() {
                    let report = capture::stray(&mut context.open()?, &context.home, &path, asked)?;
                    return self.tell(context, &report);
                }
                let home = Home::at(&path, &context.home.data);
                if tools::ALL.iter().all(|tool| tool.homes(&home).is_empty()) {
                    return self.portable(context, &path);
                }
                home
            }
            None => context.home.clone(),
        };
        let tools = asked.map_or_else(|| tools::ALL.to_vec(), |tool| vec![tool]);
        let mut store = context.open()?;
        let mut total = Report::default();
        for tool in tools {
            if self.from.is_some() || settings::captures(&store, tool.id())? {
                total.absorb(capture_all(context, &home, &mut store, tool)?);
            }
        }
        self.tell(context, &total)
    }

    /// `path` is a tool's folder in some home, or a file or folder below one.
    fn part(
        &self,
        context: &Context,
        home: &Home,
        tool: &'static dyn Tool,
        asked: Option<&'static dyn Tool>,
        path: &Path,
    ) -> Result<()> {
        if asked.is_some_and(|asked| asked.id() != tool.id()) {
            return Err(Error::usage(format!("{} belongs to {}", path.display(), tool.name()))
                .hint(format!("sfs import {}", path.display())));
        }
        let mut store = context.open()?;
        let root = tool.root(home);
        let root = root.canonicalize().unwrap_or(root);
        // A database is read as a whole, whichever part of its folder is meant.
        if path == root || !path.starts_with(&root) {
            return self.tell(context, &capture_all(context, home, &mut store, tool)?);
        }
        let mut capture = Capture { home, store: &mut store, tool };
        let mut scan = capture.scan_folder(path)?;
        // A session's folder beside its file has what belongs to it, such as sub-agents.
        if path.is_file() {
            let beside = capture.scan_folder(&path.with_extension(""))?;
            scan.changed.extend(beside.changed);
        }
        let purged = capture.purged(path)?;
        let mut report = capture.files(scan.changed, &mut |_| {})?;
        report.errors.extend(scan.errors);
        report.notes.extend(purged);
        capture.read_indexes()?;
        self.tell(context, &report)
    }

    /// `path` is a .sfs folder or holds some.
    fn portable(&self, context: &Context, path: &Path) -> Result<()> {
        if self.from.is_some() {
            return Err(not_a_home(path));
        }
        self.folders(context, path, path)
    }

    /// The same, packed: unpacked in our own folder, where there is room for what is imported.
    fn archive(&self, context: &Context, path: &Path) -> Result<()> {
        if self.from.is_some() {
            return Err(not_a_home(path));
        }
        context.home.create()?;
        let file = std::fs::File::open(path).context(|| format!("{} can't be read", path.display()))?;
        let unpacked = archive::private_folder(&context.home.data)?;
        archive::unpack(std::io::BufReader::new(file), unpacked.path(), &Limits::LOCAL)
            .map_err(|fault| fault.of(path))?;
        self.folders(context, path, unpacked.path())
    }

    /// The .sfs folders that `inside` is or holds, which a person knows as `path`. One that can't be imported does not
    /// stop the others.
    fn folders(&self, context: &Context, path: &Path, inside: &Path) -> Result<()> {
        let folders = capture::sfs_folders(inside)?;
        if folders.is_empty() {
            return Err(Error::not_found(format!("{} holds no sessions", path.display()))
                .hint("give a home folder that has .claude or .codex in it, or a .sfs folder with a manifest.json"));
        }
        let named = |text: &str| text.replace(&*inside.to_string_lossy(), &path.to_string_lossy());
        let mut store = context.open()?;
        let mut total = Report::default();
        let mut notes = Vec::new();
        for folder in &folders {
            match capture::import_sfs(&mut store, folder) {
                Ok(imported) => {
                    total.absorb(imported.report);
                    notes.extend(imported.notes);
                }
                Err(error) if folders.len() == 1 || error.is_disk_full() => {
                    let hint = error.hint_text().map(str::to_owned).unwrap_or_default();
                    return Err(Error::new(error.kind(), named(&error.message())).hint(hint));
                }
                Err(error) => total.errors.push((folder.clone(), error)),
            }
            context.ui.progress(Some(&format!("{}, {}", ui::counted(total.files, "file"), ui::bytes(total.bytes))));
        }
        context.ui.progress(None);
        for note in &notes {
            context.ui.note(&format!("note: {}", ui::printable(&named(note))));
        }
        self.tell(context, &total)
    }

    fn tell(&self, context: &Context, total: &Report) -> Result<()> {
        for note in &total.notes {
            context.ui.note(&format!("note: {}", ui::printable(note)));
        }
        for (path, error) in &total.errors {
            let (path, message) = (path.display().to_string(), error.message());
            let place = if message.contains(&path) { String::new() } else { format!("{path}: ") };
            context.ui.note(&format!("not captured: {place}{message}"));
        }
        if self.json {
            context.ui.json(&serde_json::json!({"sessions": total.sessions.len(), "files": total.files,
                "bytes": total.bytes, "errors": total.errors.len()}))?;
        } else if total.files == 0 && total.errors.is_empty() {
            context.ui.line("Nothing new.")?;
        } else {
            context.ui.line(&format!(
                "Captured {} of {} ({}).",
                ui::counted(total.files, "file"),
                ui::counted(total.sessions.len() as u64, "session"),
                ui::bytes(total.bytes)
            ))?;
        }
        if total.errors.is_empty() {
            return Ok(());
        }
        Err(Error::failed(format!("{} could not be captured", ui::counted(total.errors.len() as u64, "file")))
            .hint("everything else is safe; run `sfs import` again after mending the cause"))
    }
}

fn not_a_home(path: &Path) -> Error {
    Error::usage("--from chooses from a home folder, and this one is none")
        .hint(format!("sfs import {}", path.display()))
}

/// Captures everything that `tool` has in `home`.
pub(super) fn capture_all(
    context: &Context,
    home: &Home,
    store: &mut Store,
    tool: &'static dyn Tool,
) -> Result<Report> {
    let mut capture = Capture { home, store, tool };
    let report = capture.all(&mut |report| {
        let text = format!("{}: {}, {}", tool.name(), ui::counted(report.files, "file"), ui::bytes(report.bytes));
        context.ui.progress(Some(&text));
    });
    context.ui.progress(None);
    report
}

/// The tool in whose folder `path` is, and the home that this folder is in: the nearest above `path`, or ours, whose
/// environment may have moved it.
fn inside(context: &Context, path: &Path) -> Option<(&'static dyn Tool, Home)> {
    let others = path.ancestors().skip(1).map(|user| Home::at(user, &context.home.data));
    others.chain([context.home.clone()]).find_map(|home| {
        let is_in = |tool: &&&'static dyn Tool| {
            tool.homes(&home).into_iter().any(|folder| path.starts_with(folder.canonicalize().unwrap_or(folder)))
        };
        let tool = *tools::ALL.iter().find(is_in)?;
        Some((tool, home))
    })
}

fn nothing_at(path: &Path) -> Error {
    Error::not_found(format!("{} does not exist", path.display()))
        .hint("give a home folder that has .claude or .codex in it, a session file, or a .sfs folder")
}
