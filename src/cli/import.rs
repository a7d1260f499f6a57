//! `sfs import`: the daemon's capture, once; and portable sessions from elsewhere.

use super::{Context, ui};
use crate::capture::{self, Capture, Report};
use crate::error::{Context as _, Error, Result};
use crate::home::Home;
use crate::security::archive::{self, Limits};
use crate::settings;
use crate::tools::{self, Tool};
use argh::{ArgsInfo, FromArgs};
use std::path::{Path, PathBuf};

/// Capture once: everything that your tools have, another home folder, or exported sessions
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "import")]
#[argh(example = "sfs import
sfs import --from codex
sfs import /mnt/old-laptop/home/me
sfs import ses_mxwrb23zcxyg4kq7.sfs
sfs import ses_mxwrb23zcxyg4kq7.sfs.tar.gz
sfs import ~/.sessionfs/sessions")]
#[argh(
    note = "PATH may be another home folder, a .sfs folder or its .tar.gz, or a folder that holds several .sfs folders.
Importing twice changes nothing."
)]
pub(super) struct Import {
    /// only this tool: claude-code, codex, gemini or cursor
    #[argh(option)]
    from: Option<String>,
    /// print what was captured as JSON
    #[argh(switch)]
    json: bool,
    /// another home folder, such as a copy from an old machine, or .sfs folders; your own home by default
    #[argh(positional)]
    path: Option<PathBuf>,
}

impl Import {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let home = match &self.path {
            Some(path) if archive::is_named(path) && path.is_file() => return self.archive(context, path),
            Some(path) if !path.is_dir() => {
                return Err(Error::not_found(format!("{} is not a folder", path.display()))
                    .hint("give a home folder that has .claude or .codex in it, or a .sfs folder"));
            }
            Some(path) => {
                let path = path.canonicalize().map_err(|e| Error::failed("the path can't be read").because(e))?;
                let home = Home::at(&path, &context.home.data);
                if !tools::ALL.iter().any(|tool| tool.root(&home).exists()) {
                    return self.portable(context, &path);
                }
                home
            }
            None => context.home.clone(),
        };
        let tools: Vec<&'static dyn Tool> = match &self.from {
            Some(name) => vec![tools::find(name)?],
            None => tools::ALL.to_vec(),
        };
        let mut store = context.open()?;
        let mut total = Report::default();
        for tool in tools {
            if self.from.is_none() && !settings::captures(&store, tool.id())? {
                continue;
            }
            let mut capture = Capture { home: &home, store: &mut store, tool };
            let report = capture.all(&mut |report| {
                let text =
                    format!("{}: {}, {}", tool.name(), ui::counted(report.files, "file"), ui::bytes(report.bytes));
                context.ui.progress(Some(&text));
            })?;
            total.absorb(report);
        }
        context.ui.progress(None);
        self.tell(context, &total)
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
