//! `sfs import`: the daemon's capture, once; and portable sessions from elsewhere.

use super::{Context, ui};
use crate::capture::{self, Capture, Report};
use crate::error::{Error, Result};
use crate::home::Home;
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
sfs import ses_mxwrb23zcxyg4kq7.sfs
sfs import ~/.sessionfs/sessions")]
#[argh(note = "PATH may be another home folder, a .sfs folder, or a folder that holds several of them. Importing twice
changes nothing.")]
pub(super) struct Import {
    /// only this tool: claude-code, codex or gemini
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
            if self.from.is_some() || settings::captures(&store, tool.id())? {
                total.absorb(capture_all(context, &home, &mut store, tool)?);
            }
        }
        self.tell(context, &total)
    }

    /// `path` is a .sfs folder or holds some. One that can't be imported does not stop the others.
    fn portable(&self, context: &Context, path: &Path) -> Result<()> {
        if self.from.is_some() {
            return Err(Error::usage("--from chooses from a home folder, and this one is none")
                .hint(format!("sfs import {}", path.display())));
        }
        let folders = capture::sfs_folders(path)?;
        if folders.is_empty() {
            return Err(Error::not_found(format!("{} holds no sessions", path.display()))
                .hint("give a home folder that has .claude or .codex in it, or a .sfs folder with a manifest.json"));
        }
        let mut store = context.open()?;
        let mut total = Report::default();
        let mut notes = Vec::new();
        for folder in &folders {
            match capture::import_sfs(&mut store, folder) {
                Ok(imported) => {
                    total.absorb(imported.report);
                    notes.extend(imported.notes);
                }
                Err(error) if folders.len() == 1 || error.is_disk_full() => return Err(error),
                Err(error) => total.errors.push((folder.clone(), error)),
            }
            context.ui.progress(Some(&format!("{}, {}", ui::counted(total.files, "file"), ui::bytes(total.bytes))));
        }
        context.ui.progress(None);
        for note in &notes {
            context.ui.note(&format!("note: {}", ui::printable(note)));
        }
        self.tell(context, &total)
    }

    fn tell(&self, context: &Context, total: &Report) -> Result<()> {
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
