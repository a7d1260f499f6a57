//! `sfs export`.

use super::ui::{self, printable};
use super::{Context, arguments};
use crate::error::{Context as _, Error, Result};
use crate::export::{self, ArchivedSession, Job, Redaction, Selection};
use crate::security::archive;
use crate::store::{Event, SessionRow, Store};
use crate::tools::{self, Target};
use argh::{ArgsInfo, FromArgs};
use serde_json::json;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Write a session to files: portable, native, or for reading
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "export")]
#[argh(example = "sfs export last --format native -o /tmp/copy
sfs export last --format markdown > session.md
sfs export last --format html -o .
sfs export last --format sfs -o .
sfs export last --archive -o /tmp/copy")]
#[argh(note = "Formats:
  sfs          a folder ID.sfs with messages, manifest and the original bytes (the default); with --archive, or where
               -o ends in .tar.gz, one file that holds the same
  native       the tool's own files, byte for byte, with their paths below the tool's folder
  markdown     the conversation for people; to stdout unless -o is given
  html         the whole session as one page for a browser; to stdout unless -o is given
  claude-code  one file in Claude Code's form
  codex        one file in Codex's form
  gemini       one file in Gemini CLI's form")]
#[argh(note = "Secrets (keys, tokens, passwords; see sfs scan) are replaced in markdown and html unless --no-redact is
given. sfs and native are exact copies; with --redact they are copies to hand on: sfs then comes without
the original bytes, native is of no use to the tool.")]
pub(super) struct Export {
    /// the session: an id, a prefix of one, the tool's own id, or `last`
    #[argh(positional)]
    id: String,
    /// sfs, native, markdown, html, claude-code, codex or gemini
    #[argh(option, default = "String::from(\"sfs\")")]
    format: String,
    /// the folder to write into; the current one by default
    #[argh(option, short = 'o', from_str_fn(arguments::path))]
    output: Option<PathBuf>,
    /// replace secrets (what markdown and html do anyway)
    #[argh(switch)]
    redact: bool,
    /// leave secrets in markdown and html
    #[argh(switch)]
    no_redact: bool,
    /// with markdown, html or a tool's form, where several devices continued the session: this branch of it
    #[argh(option)]
    branch: Option<String>,
    /// with markdown, html or a tool's form: the conversation as it was at this checkpoint or behind this message
    #[argh(option)]
    at: Option<String>,
    /// write the sfs format as one file ID.sfs.tar.gz
    #[argh(switch)]
    archive: bool,
}

impl Export {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        if (self.at.is_some() || self.branch.is_some()) && matches!(self.format.as_str(), "sfs" | "native") {
            return Err(Error::usage(format!("{} holds the whole session", self.format))
                .hint("--at and --branch go with --format markdown, html, claude-code, codex or gemini"));
        }
        let mut store = context.open()?;
        let row = context.session(&store, &self.id)?;
        let redaction = self.redaction(&mut store)?;
        self.write(context, &store, row.clone(), &redaction)?;
        tell(context, &redaction);
        context.audit(&mut store, Event::Exported, &row.public_id, &json!({"format": self.format}));
        Ok(())
    }

    fn write(&self, context: &Context, store: &Store, row: SessionRow, redaction: &Redaction) -> Result<()> {
        let folder = self.output.clone().unwrap_or_else(|| PathBuf::from("."));
        let packed = self.output.as_deref().filter(|path| archive::is_named(path) && !path.is_dir());
        if self.archive && self.format != "sfs" {
            return Err(Error::usage("--archive packs the sfs format only").hint("leave --format out"));
        }
        match self.format.as_str() {
            "sfs" if self.archive || packed.is_some() => {
                let path = packed.map_or_else(|| folder.join(format!("{}.sfs.tar.gz", row.public_id)), Path::to_owned);
                export::export_archive(store, &ArchivedSession::open(store, row)?, &path, redaction)?;
                context.ui.path(&path)
            }
            "sfs" => {
                let path = folder.join(format!("{}.sfs", row.public_id));
                export::export_sfs(store, &ArchivedSession::open(store, row)?, &path, redaction)?;
                context.ui.path(&path)
            }
            "native" => {
                let copies = export::export_native(store, &folder, &row, redaction)?;
                copies.iter().try_for_each(|copy| context.ui.path(&copy.path))
            }
            "markdown" | "md" => self.for_people(context, store, &row, "md", redaction),
            "html" => self.for_people(context, store, &row, "html", redaction),
            other => self.converted(context, store, &row, other, &folder),
        }
    }

    fn selection(&self) -> Selection {
        Selection { branch: self.branch.clone(), at: self.at.clone(), ..Selection::default() }
    }

    /// What people read goes without secrets unless they ask for them, what tools read goes whole.
    fn redaction(&self, store: &mut Store) -> Result<Redaction> {
        let is_for_people = matches!(self.format.as_str(), "markdown" | "md" | "html");
        let can = is_for_people || matches!(self.format.as_str(), "sfs" | "native");
        match (self.redact, self.no_redact) {
            (true, true) => {
                Err(Error::usage("--redact and --no-redact contradict each other").hint("give one of them"))
            }
            (true, false) if !can => Err(Error::usage(format!("{} can't be redacted", printable(&self.format)))
                .hint("formats that can: sfs, native, markdown, html")),
            (true, false) => Redaction::of(store),
            (false, false) if is_for_people => Redaction::of(store),
            (false, _) => Ok(Redaction::none()),
        }
    }

    fn for_people(
        &self,
        context: &Context,
        store: &Store,
        row: &SessionRow,
        extension: &str,
        redaction: &Redaction,
    ) -> Result<()> {
        let summary = store.summary(row.id)?;
        let name = format!("{}.{extension}", row.public_id);
        let session = self.selection().open(store, row)?;
        let write = |out: &mut dyn Write| match extension {
            "md" => export::markdown(&session, session.about(&summary), redaction, out),
            _ => export::html(store, &session, &summary, redaction, out),
        };
        match &self.output {
            None => write(&mut std::io::BufWriter::new(std::io::stdout().lock())),
            Some(folder) => {
                let path = folder.join(name);
                let mut out = create(&path)?;
                whole_or_none(&path, write(&mut out))?;
                context.ui.path(&path)
            }
        }
    }

    fn converted(&self, context: &Context, store: &Store, row: &SessionRow, format: &str, folder: &Path) -> Result<()> {
        let formats = "sfs, native, markdown, html, claude-code, codex, gemini";
        let tool = tools::find(format)
            .map_err(|_| Error::usage(format!("{format:?} is not a format")).hint(format!("formats: {formats}")))?;
        let writer = tool.writer().ok_or_else(|| Error::usage(format!("{} has no writer", tool.name())))?;
        let summary = store.summary(row.id)?;
        let about = ArchivedSession::open(store, row.clone())?.about(&summary);
        let cwd = summary.project.map_or_else(|| PathBuf::from("/"), PathBuf::from);
        let target = Target { home: context.home.clone(), cwd, native_id: None, now: jiff::Timestamp::now() };
        let plan = writer.plan(&about, &target)?;
        let path = folder.join(plan.file.file_name().unwrap_or_default());
        let mut out = create(&path)?;
        let job = Job { session: row, selection: &self.selection(), writer, plan: &plan, target: &target };
        let written = job.write(store, &mut out).and_then(|written| {
            out.flush().context(|| format!("{} can't be written", path.display()))?;
            Ok(written.ledger)
        });
        let ledger = whole_or_none(&path, written)?;
        if std::io::stderr().is_terminal() {
            context.ui.ledger(&ledger);
        }
        context.ui.path(&path)
    }
}

/// Says how much was taken out.
fn tell(context: &Context, redaction: &Redaction) {
    if redaction.replaced() > 0 {
        let secrets = ui::counted(redaction.replaced(), "secret");
        context.ui.note(&format!("{secrets} replaced; the archive keeps the original"));
    }
}

/// Takes a file that could not be finished away.
fn whole_or_none<T>(path: &Path, written: Result<T>) -> Result<T> {
    written.inspect_err(|_| drop(std::fs::remove_file(path)))
}

/// A new file, readable by its owner only.
fn create(path: &Path) -> Result<std::io::BufWriter<File>> {
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).context(|| format!("{} can't be made", folder.display()))?;
    }
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.map(std::io::BufWriter::new).map_err(|error| {
        let there = error.kind() == std::io::ErrorKind::AlreadyExists;
        let what = if there { "is already there" } else { "can't be written" };
        let base = if there {
            Error::conflict(format!("{} {what}", path.display()))
        } else {
            Error::failed(format!("{} {what}", path.display()))
        };
        base.because(error).hint("choose another folder with -o DIR")
    })
}
