//! Continues a session in a tool: its own or another one.
//!
//! First a plan, which touches nothing; then the work, in this order: write the file beside its place, attach what sub-agents
//! said, announce the child to the archive, rename the file, register it with the tool. On an error all of it is taken back.

use super::attachment;
use super::native::{self, NativeState, write_atomically};
use super::selection::{Selected, Selection};
use super::source::ArchivedSession;
use crate::capture::Capture;
use crate::error::{Context, Error, Result};
use crate::home::Home;
use crate::id::SessionId;
use crate::model::budget;
use crate::model::ledger::{Entry, Ledger, What};
use crate::store::{NewSession, Relation, SessionRow, Store, Summary};
use crate::tools::database::Depth;
use crate::tools::{self, Plan, Source, Target, Tool, Writer};
use std::cell::Cell;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What a person asked for.
#[derive(Clone, Debug, Default)]
pub struct ResumeOptions {
    /// Another project folder than the session's own.
    pub project: Option<PathBuf>,
    /// Which part of the conversation.
    pub selection: Selection,
    /// Decide and count, write nothing.
    pub dry_run: bool,
    /// Write it anew, also where the tool's own file could be used.
    pub anew: bool,
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Resumed {
    /// The session's id in the target tool.
    pub native_id: String,
    /// How.
    pub how: How,
    /// The folder in which the tool has to be started.
    pub cwd: PathBuf,
    /// Files that were written.
    pub files: Vec<PathBuf>,
    /// The command that continues the session.
    pub command: Vec<String>,
    /// What became of each piece; empty where the tool's own file is used.
    pub ledger: Ledger,
    /// What could not be done, in words.
    pub warnings: Vec<String>,
}

/// How a session was continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The tool still has its own file.
    Native,
    /// The tool's own file was put back.
    Restored,
    /// It was only in the archive, in the tool's own form, and is in the tool now.
    Placed,
    /// It was written in the target's form, under a new id.
    Written,
}

impl How {
    /// The word in the audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            How::Native => "native",
            How::Restored => "restored",
            How::Placed => "placed",
            How::Written => "written",
        }
    }
}

/// Continues `session` in `tool`.
pub fn resume(
    store: &mut Store,
    home: &Home,
    session: &SessionRow,
    tool: &'static dyn Tool,
    options: &ResumeOptions,
) -> Result<Resumed> {
    // What could not be captured (a full disk) must not keep the rest of the session in.
    let stale = refresh(store, home, session).err();
    let stale = stale.map(|error| format!("the tool's newest lines are missing: {}", error.message()));
    let mut resumed = resume_captured(store, home, session, tool, options)?;
    resumed.warnings.extend(stale);
    Ok(resumed)
}

fn resume_captured(
    store: &mut Store,
    home: &Home,
    session: &SessionRow,
    tool: &'static dyn Tool,
    options: &ResumeOptions,
) -> Result<Resumed> {
    let writer = tool.writer().ok_or_else(|| unwritable(tool.id(), "resume", session))?;
    let summary = store.summary(session.id)?;
    let cwd = project_of(session, &summary, options.project.as_deref(), "resume")?;
    let stays = options.project.is_none() || summary.project.as_deref().map(Path::new) == Some(&cwd);
    if tool.id() == session.tool
        && stays
        && options.selection.is_all()
        && !options.anew
        && let Some(resumed) = resume_own(store, home, session, tool, writer, &cwd, options)?
    {
        return Ok(resumed);
    }
    let target = Target { home: home.clone(), cwd, native_id: None, now: jiff::Timestamp::now() };
    write_new(store, session, tool, writer, &target, options)
}

/// Sessions can't be written for this tool; `command` can for others.
pub fn unwritable(tool: &str, command: &str, session: &SessionRow) -> Error {
    let whose = if tool == session.tool { ", the tool of this one" } else { "" };
    Error::usage(format!("sessions can't be written for {tool:?}{whose}")).hint(format!(
        "sfs {command} {} --in {}",
        session.public_id,
        tools::writable()
    ))
}

/// The folder to work in: the chosen one, or the session's own.
pub(super) fn project_of(
    session: &SessionRow,
    summary: &Summary,
    chosen: Option<&Path>,
    command: &str,
) -> Result<PathBuf> {
    // A relative folder would be looked for wherever we happen to be started.
    let own = summary.project.as_deref().map(Path::new).filter(|folder| folder.is_absolute());
    let cwd = chosen.or(own).ok_or_else(|| {
        Error::usage(format!("session {} does not say in which folder it worked", session.public_id))
            .hint(format!("sfs {command} {} --project DIR", session.public_id))
    })?;
    Ok(cwd.canonicalize().unwrap_or_else(|_| cwd.to_owned()))
}

/// What the session's own tool wrote since the last capture must not be left behind where no daemon runs. An unchanged
/// file costs one `stat`.
pub fn refresh(store: &mut Store, home: &Home, session: &SessionRow) -> Result<()> {
    let Ok(tool) = crate::tools::find(&session.tool) else { return Ok(()) };
    let report = Capture { home, store, tool }.database(Depth::Newest, &mut |_| {})?;
    if let Some((_, error)) = report.and_then(|report| report.errors.into_iter().next()) {
        return Err(error);
    }
    let mut files = Vec::new();
    for stream in store.streams(session.id)? {
        files.extend(store.native_files_of(stream.id)?.into_iter().map(|file| PathBuf::from(file.path)));
    }
    let root = tool.root(home).canonicalize().unwrap_or_else(|_| tool.root(home));
    files.retain(|file| file.starts_with(&root) && file.exists());
    Capture { home, store, tool }.files(files, &mut |_| {}).map(drop)
}

/// The same tool: its own file, which may have to be put back. `None` where that file can't be used.
fn resume_own(
    store: &Store,
    home: &Home,
    session: &SessionRow,
    tool: &'static dyn Tool,
    writer: &dyn Writer,
    cwd: &Path,
    options: &ResumeOptions,
) -> Result<Option<Resumed>> {
    let source = options.selection.open(store, session)?;
    let state = source.native_state(store, &tool.root(home))?;
    let path = source.newest("main").and_then(|main| source.native_path(main));
    if !writer.accepts_own(&source, path)? {
        return Ok(None);
    }
    let is_new = source
        .native_streams()
        .iter()
        .filter(|stream| stream.name == "main")
        .try_fold(true, |is_new, main| store.native_files_of(main.id).map(|files| is_new && files.is_empty()))?;
    let mut resumed = Resumed {
        native_id: session.native_id.clone(),
        how: if is_new { How::Placed } else { How::Restored },
        cwd: cwd.to_owned(),
        files: Vec::new(),
        command: writer.command(&session.native_id),
        ledger: Ledger::default(),
        warnings: Vec::new(),
    };
    match state {
        NativeState::Intact => resumed.how = How::Native,
        // What would be put back is the branch that is shown.
        NativeState::Missing | NativeState::Part if options.selection.branch.is_some() => return Ok(None),
        NativeState::Missing | NativeState::Part if options.dry_run => {}
        NativeState::Missing | NativeState::Part => {
            let copies = native::restore(store, home, session)?;
            resumed.files = copies.into_iter().filter(|copy| copy.written).map(|copy| copy.path).collect();
            resumed.warnings.extend(native::out_of_place(store, session)?);
            if is_new {
                let file = tool.root(home).join(path.unwrap_or_default());
                resumed.warnings.extend(introduce(store, home, &source, writer, file, &resumed)?);
            }
        }
        NativeState::Different | NativeState::Never => return Ok(None),
    }
    Ok(Some(resumed))
}

/// Makes a file that the tool did not write known to it, where the tool keeps a list.
fn introduce(
    store: &Store,
    home: &Home,
    source: &ArchivedSession<'_>,
    writer: &dyn Writer,
    file: PathBuf,
    resumed: &Resumed,
) -> Result<Option<String>> {
    let about = source.about(&store.summary(source.row.id)?);
    let native_id = resumed.native_id.clone();
    let target = Target {
        home: home.clone(),
        cwd: resumed.cwd.clone(),
        native_id: Some(native_id.clone()),
        now: jiff::Timestamp::now(),
    };
    let plan = Plan { native_id, file, cwd: resumed.cwd.clone(), command: resumed.command.clone() };
    writer.register(&plan, &about, &target)
}

fn write_new(
    store: &mut Store,
    session: &SessionRow,
    tool: &'static dyn Tool,
    writer: &dyn Writer,
    target: &Target,
    options: &ResumeOptions,
) -> Result<Resumed> {
    let (plan, about) = {
        let source = ArchivedSession::open(store, session.clone())?;
        let about = source.about(&store.summary(session.id)?);
        (writer.plan(&about, target)?, about)
    };
    let mut resumed = Resumed {
        native_id: plan.native_id.clone(),
        how: How::Written,
        cwd: plan.cwd.clone(),
        files: vec![plan.file.clone()],
        command: plan.command.clone(),
        ledger: Ledger::default(),
        warnings: Vec::new(),
    };
    let job = Job { session, selection: &options.selection, writer, plan: &plan, target };
    let child = SessionId::of(tool.id(), &plan.native_id);
    if options.dry_run {
        let written = job.write(store, &mut std::io::sink())?;
        resumed.warnings.extend(written.too_large(session, tool));
        resumed.ledger = written.ledger;
        attachment::claim(&target.home, child.as_str(), &mut resumed.ledger);
        resumed.files.clear();
        return Ok(resumed);
    }
    let written = write_atomically(&plan.file, false, &mut |out| {
        let mut counted = Counted { out, bytes: 0 };
        let written = job.write(store, &mut counted)?;
        resumed.warnings.extend(written.too_large(session, tool));
        resumed.ledger = written.ledger;
        if let Some(path) = attachment::claim(&target.home, child.as_str(), &mut resumed.ledger) {
            let source = options.selection.open(store, session)?;
            attachment::write(&source, about.title.as_deref().unwrap_or("an untitled session"), &path)?;
            resumed.files.push(path);
        }
        // Before the file is there: a daemon may capture it the moment it appears.
        announce(store, session, tool, &plan, counted.bytes)
    });
    // The session's own file is there only if this went well.
    let attached = resumed.files.get(1).cloned();
    if let Err(error) = written {
        take_back(store, tool, &plan, attached.as_slice());
        return Err(error);
    }
    match writer.register(&plan, &about, target) {
        Ok(warning) => resumed.warnings.extend(warning),
        Err(error) => {
            let _ = writer.unregister(&plan, target);
            take_back(store, tool, &plan, &resumed.files);
            return Err(error);
        }
    }
    Ok(resumed)
}

fn announce(store: &mut Store, session: &SessionRow, tool: &dyn Tool, plan: &Plan, inherited: u64) -> Result<()> {
    store.write(|store| {
        store.announce(&NewSession {
            tool: tool.id(),
            native_id: &plan.native_id,
            parent: &session.public_id,
            relation: Relation::Resume,
            inherited,
        })?;
        if let Some(title) = &session.title {
            let child = store.ensure_session(tool.id(), &plan.native_id)?;
            store.set_title(child.id, Some(title))?;
        }
        Ok(())
    })
}

/// What can't be undone must not hide the first error. A child that is captured already stays: nothing captured is lost.
fn take_back(store: &mut Store, tool: &dyn Tool, plan: &Plan, files: &[PathBuf]) {
    for file in files {
        let _ = std::fs::remove_file(file);
    }
    let _ = store.write(|store| match store.find_native(tool.id(), &plan.native_id)? {
        Some(child) => store.unannounce(&child),
        None => Ok(()),
    });
}

/// A conversation that is to be written.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// Whose.
    pub session: &'a SessionRow,
    /// Which part.
    pub selection: &'a Selection,
    /// In whose form.
    pub writer: &'a dyn Writer,
    /// As what.
    pub plan: &'a Plan,
    /// Where to.
    pub target: &'a Target,
}

/// What was written.
pub struct Written {
    /// What became of each piece.
    pub ledger: Ledger,
    /// About how many tokens of the model's context it takes.
    pub tokens: u64,
}

impl Job<'_> {
    /// Writes the conversation to `out`.
    pub fn write(&self, store: &Store, out: &mut dyn Write) -> Result<Written> {
        let session = self.session;
        let source = self.selection.open(store, session)?;
        let about = source.about(&store.summary(session.id)?);
        let Selected { mut conversation, trimmed, notes } = self.selection.conversation(&source)?;
        // A digest of what is told in full went no way of its own.
        let told = source.streams().iter().filter(|stream| !stream.is_unseen_digest());
        let copies: std::collections::BTreeSet<&str> = told
            .map(|stream| stream.name.as_str())
            .filter(|name| *name != "main" && tools::base_name(name) == "main")
            .collect();
        let why = "another file or device of this session went its own way: `sfs show ID` names it, --branch takes it";
        conversation.left_out.push(("diverged copies", why, (copies.len() + source.aside()) as u64));
        let tokens = Cell::new(0);
        conversation.messages = Box::new(conversation.messages.inspect(|message| {
            tokens.set(tokens.get() + message.as_ref().map_or(0, budget::tokens));
        }));
        let mut ledger = self.writer.write(self.plan, &about, self.target, conversation, out)?;
        if ledger.kept.is_empty() && ledger.mapped.is_empty() && ledger.degraded.is_empty() {
            return Err(Error::failed(format!("session {} holds nothing to resume", session.public_id))
                .hint(format!("sfs show {} -m", session.public_id)));
        }
        ledger.degrade(What::Result, trimmed, "trimmed to fit into the budget");
        ledger.tell_notes(notes);
        let mut unread = store.notes(session.id)?;
        unread.retain(|(stream, ..)| stream == "main");
        if let Some((stream, line, reason)) = unread.first() {
            let detail = format!("first: {stream}:{}: {reason}", line + 1);
            ledger.dropped.push(Entry { what: "lines not understood".into(), count: unread.len() as u64, detail });
        }
        Ok(Written { ledger, tokens: tokens.get() })
    }
}

impl Written {
    /// What a person should know where `tool`'s models can't take it all.
    fn too_large(&self, session: &SessionRow, tool: &dyn Tool) -> Option<String> {
        let context = tool.context_tokens().filter(|context| self.tokens > *context)?;
        Some(format!(
            "the conversation is about {} tokens, and {} has room for {context}; `sfs resume {} --in {} --budget {}` \
             leaves the middle out",
            self.tokens,
            tool.name(),
            session.public_id,
            tool.id(),
            context / 2
        ))
    }
}

/// Counts what goes through.
pub(super) struct Counted<'a> {
    pub out: &'a mut dyn Write,
    pub bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Replaces this process by the tool, in the session's folder.
pub fn launch(resumed: &Resumed) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let Some((program, arguments)) = resumed.command.split_first() else { return Ok(()) };
    let error = std::process::Command::new(program).args(arguments).current_dir(&resumed.cwd).exec();
    Err::<(), _>(error).context(|| format!("{program} can't be started in {}", resumed.cwd.display()))
}
