//! `sfs resume` and `sfs restore`.

use super::{Context, arguments, ui};
use crate::error::{Error, Result};
use crate::export::{self, How, ResumeOptions, Resumed, Selection};
use crate::model::printable::is_hidden;
use crate::store::Event;
use crate::tools;
use argh::{ArgsInfo, FromArgs};
use serde_json::json;
use std::ffi::OsStr;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Continue a session in its own tool or in another one
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "resume")]
#[argh(example = "sfs resume last
sfs resume last --in codex
sfs resume last --in claude-code --dry-run
sfs resume last --at before-the-refactoring
sfs resume last --branch main
sfs resume last --in codex --budget 100000
sfs resume last --in codex --no-launch --json")]
#[argh(
    note = "On a terminal, with the tool installed, the tool is started. Otherwise the command to start it is printed.
`sfs show ID` names the branches, `sfs show ID -m` shows the messages with their ids, `sfs checkpoint ID --list` the
checkpoints. --budget counts the conversation only, by an estimate; the tool's own instructions come on top."
)]
pub(super) struct Resume {
    /// the session: an id, a prefix of one, the tool's own id, or `last`
    #[argh(positional)]
    id: String,
    /// the tool to continue in: claude-code, codex or gemini; its own by default
    #[argh(option, long = "in")]
    tool: Option<String>,
    /// the project folder; the session's own by default
    #[argh(option, from_str_fn(arguments::path))]
    project: Option<PathBuf>,
    /// where several devices continued the session: main, main@DEVICE or DEVICE; the one that was active last by default
    #[argh(option)]
    branch: Option<String>,
    /// the conversation as it was at this checkpoint, or behind this message
    #[argh(option)]
    at: Option<String>,
    /// leave out everything before the prompt that set off this message
    #[argh(option)]
    from: Option<String>,
    /// leave out the middle and trim long outputs until it fits into about so many tokens
    #[argh(option, from_str_fn(arguments::count))]
    budget: Option<u64>,
    /// say what would be carried over, write nothing
    #[argh(switch)]
    dry_run: bool,
    /// write the session, but do not start the tool
    #[argh(switch)]
    no_launch: bool,
    /// print the outcome as JSON and do not start the tool
    #[argh(switch)]
    json: bool,
}

impl Resume {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let mut store = context.open()?;
        let row = super::indexed_session(&store, &self.id)?;
        let tool = match &self.tool {
            Some(name) => tools::find(name)?,
            None => tools::find(&row.tool).map_err(|_| export::unwritable(&row.tool, "resume", &row))?,
        };
        let project = self.project.as_deref().map(existing_folder).transpose()?;
        let (branch, at, from) = (self.branch.clone(), self.at.clone(), self.from.clone());
        let selection = Selection { branch, at, from, budget: self.budget };
        let options = ResumeOptions { project, selection, dry_run: self.dry_run, ..ResumeOptions::default() };
        let resumed = export::resume(&mut store, &context.home, &row, tool, &options)?;
        if !self.dry_run {
            let detail = json!({"tool": tool.id(), "native_id": resumed.native_id, "how": resumed.how.as_str()});
            context.audit(&mut store, Event::Resumed, &row.public_id, &detail);
        }
        drop(store);
        for warning in &resumed.warnings {
            context.ui.note(&format!("note: {warning}"));
        }
        if self.json {
            return context.ui.json(&json!({"id": row.public_id.as_str(), "tool": tool.id(),
                "native_id": resumed.native_id, "cwd": resumed.cwd, "files": resumed.files,
                "command": resumed.command, "ledger": resumed.ledger}));
        }
        self.tell(context, tool.name(), &resumed)?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let terminal = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
        if terminal && !self.no_launch && !self.dry_run && installed(&resumed.command, &path) {
            if !resumed.cwd.is_dir() {
                return Err(Error::not_found(format!("the project folder {} does not exist", resumed.cwd.display()))
                    .hint(format!("sfs resume {} --project DIR", self.id)));
            }
            return export::launch(&resumed);
        }
        Ok(())
    }

    fn tell(&self, context: &Context, tool: &str, resumed: &Resumed) -> Result<()> {
        let done = match (resumed.how, self.dry_run) {
            (How::Native, _) => format!("{tool} still has this session."),
            (How::Restored, false) => format!("{tool} had deleted this session; its files are back."),
            (How::Restored, true) => format!("{tool} has deleted this session; its files would be put back."),
            (How::Placed, false) => format!("Put into {tool}."),
            (How::Placed, true) => format!("Would be put into {tool}."),
            (How::Written, false) => format!("Written for {tool} as {}.", resumed.native_id),
            (How::Written, true) => format!("Would be written for {tool}:"),
        };
        if self.dry_run {
            // What is asked for is the answer.
            context.ui.line(&ui::printable(&done))?;
            return ui::ledger_lines(&resumed.ledger).iter().try_for_each(|line| context.ui.line(line));
        }
        context.ui.note(&done);
        context.ui.ledger(&resumed.ledger);
        for file in &resumed.files {
            context.ui.note(&format!("  wrote {}", context.home.short(file)));
        }
        if !resumed.cwd.is_dir() {
            context.ui.note(&format!(
                "note: the project folder {} does not exist here; choose one with --project DIR",
                resumed.cwd.display()
            ));
        }
        context.ui.line(&format!("cd {} && {}", quote(&resumed.cwd.to_string_lossy()), command_line(&resumed.command)))
    }
}

/// Put a session that its tool deleted back, byte for byte
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "restore")]
#[argh(example = "sfs restore last")]
pub(super) struct Restore {
    /// the session: an id, a prefix of one, or the tool's own id
    #[argh(positional)]
    id: String,
    /// print the outcome as JSON
    #[argh(switch)]
    json: bool,
}

impl Restore {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let mut store = context.open()?;
        let row = store.resolve(&self.id)?;
        let copies = export::restore(&store, &context.home, &row)?;
        for note in export::out_of_place(&store, &row)? {
            context.ui.note(&format!("note: {}", ui::printable(&note)));
        }
        let written: Vec<&Path> = copies.iter().filter(|copy| copy.written).map(|copy| copy.path.as_path()).collect();
        if !written.is_empty() {
            let tool = tools::find(&row.tool)?;
            let files = written.iter().map(|path| (*path).to_owned()).collect();
            let mut capture = crate::capture::Capture { home: &context.home, store: &mut store, tool };
            capture.files(files, &mut |_| {})?;
            context.audit(&mut store, Event::Restored, &row.public_id, &json!({"files": written.len()}));
        }
        if self.json {
            let present = copies.len() - written.len();
            return context
                .ui
                .json(&json!({"id": row.public_id.as_str(), "written": written, "already_there": present}));
        }
        if written.is_empty() {
            return context.ui.line("Nothing to do: all of the session's files are there.");
        }
        written
            .iter()
            .try_for_each(|path| context.ui.line(&format!("restored {}", ui::printable(&context.home.short(path)))))
    }
}

pub(super) fn existing_folder(path: &Path) -> Result<PathBuf> {
    let folder = path.canonicalize().ok().filter(|path| path.is_dir());
    folder.ok_or_else(|| {
        Error::not_found(format!("{} is not a folder", path.display()))
            .hint("give the folder of the project with --project")
    })
}

/// True where the shell would find the program in `path` and may run it.
fn installed(command: &[String], path: &OsStr) -> bool {
    let Some(program) = command.first() else { return false };
    std::env::split_paths(path)
        .map(|folder| folder.join(program))
        .any(|file| file.is_file() && rustix::fs::access(&file, rustix::fs::Access::EXEC_OK).is_ok())
}

fn command_line(command: &[String]) -> String {
    command.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

/// `word` as a shell reads it back. Hidden characters would drive the terminal or be lost in a copy from it: such a word
/// is written as `$'…'` with its bytes, as bash, zsh and POSIX since 2024 read it.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let is_special = |c: char| c.is_control() || is_hidden(c);
    if !word.contains(is_special) {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    let mut quoted = String::from("$'");
    for c in word.chars() {
        match c {
            '\'' | '\\' => quoted.extend(['\\', c]),
            c if is_special(c) => {
                quoted.extend(c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\x{byte:02x}")));
            }
            c => quoted.push(c),
        }
    }
    quoted + "'"
}
