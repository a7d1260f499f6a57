//! Whether a session's own file is one that its client takes. The repair is a copy: the conversation written anew in the
//! tool's form, under a new id, as a resume in another tool does it. The sick file stays as it is.

use super::{Check, Options, State, sessions_in_words};
use crate::capture::Capture;
use crate::error::{Error, Result};
use crate::export::{self, ArchivedSession, ResumeOptions};
use crate::home::Home;
use crate::store::{Event, Filter, SessionRow, Store};
use crate::tools::health::{Ailment, Effect};
use crate::tools::{Source, Tool};
use std::path::{Path, PathBuf};

/// So many of a tool's newest sessions are looked at, and so many bytes of them: a few seconds.
const SESSIONS: u64 = 200;
const BYTES: u64 = 64 << 20;

/// Looks at a tool's sessions, the newest first. One that can't be read does not hide the others.
pub(super) fn examine(
    home: &Home,
    store: &mut Store,
    tool: &'static dyn Tool,
    options: Options,
    tell: &mut dyn FnMut(Check) -> Result<()>,
) -> Result<()> {
    // What is only read can't be sick for a client.
    if tool.writer().is_none() {
        return Ok(());
    }
    let root = resolved(&tool.root(home));
    let filter = Filter { tool: Some(tool.id().to_owned()), ..Filter::default() };
    let mut seen = Seen::default();
    for (row, _) in store.list(&filter)? {
        // What the tool no longer has, it can't refuse.
        let Some(bytes) = length_here(store, &root, &row)? else { continue };
        if !options.all && (seen.looked >= SESSIONS || seen.bytes + bytes > BYTES) {
            seen.left += 1;
            continue;
        }
        seen.looked += 1;
        seen.bytes += bytes;
        let check = match look(store, tool, &row) {
            Ok(look) => {
                seen.old += u64::from(look.ailments.is_empty() && !look.accepted);
                if look.ailments.is_empty() {
                    continue;
                }
                judge(home, store, tool, &row, &look.ailments, options)
            }
            Err(error) => Err(error),
        };
        let check = check.unwrap_or_else(|error| {
            let session = Some(row.public_id.to_string());
            Check { session, ..Check::of_error(tool.id(), &error) }
        });
        seen.sick += u64::from(check.state != State::Ok);
        tell(check)?;
    }
    conclude(tool, &seen).into_iter().try_for_each(tell)
}

/// What was looked at.
#[derive(Default)]
struct Seen {
    looked: u64,
    bytes: u64,
    sick: u64,
    old: u64,
    left: u64,
}

/// What one session is like.
struct Look {
    ailments: Vec<Ailment>,
    /// The client takes the session's own file.
    accepted: bool,
}

fn look(store: &Store, tool: &dyn Tool, row: &SessionRow) -> Result<Look> {
    let source = ArchivedSession::open(store, row.clone())?;
    let main = source.newest("main");
    let path = main.and_then(|main| source.native_path(main));
    let accepted = tool.writer().map_or(Ok(true), |writer| writer.accepts_own(&source, path))?;
    Ok(Look { ailments: tool.ailments(&source)?, accepted })
}

/// What the sessions looked at say together.
fn conclude(tool: &'static dyn Tool, seen: &Seen) -> Vec<Check> {
    let Seen { looked, sick, old, left, .. } = *seen;
    let mut checks = Vec::new();
    if looked > 0 && sick == 0 {
        let what = format!("no harm found in the files of {}", sessions_in_words(looked));
        checks.push(Check::new(tool.id(), State::Ok, what));
    }
    if old > 0 {
        let what = format!("{} in a form that the client refuses, deletes or garbles", sessions_in_words(old));
        checks.push(Check::new(tool.id(), State::Ok, what).hint("sfs resume ID writes it anew"));
    }
    if left > 0 {
        let what = format!("{} not looked at", sessions_in_words(left));
        checks.push(Check::new(tool.id(), State::Ok, what).hint("sfs doctor --all"));
    }
    checks
}

fn judge(
    home: &Home,
    store: &mut Store,
    tool: &'static dyn Tool,
    row: &SessionRow,
    ailments: &[Ailment],
    options: Options,
) -> Result<Check> {
    let refused = ailments.iter().any(|ailment| ailment.effect == Effect::Refused);
    let what = in_words(tool, ailments);
    let session = Some(row.public_id.to_string());
    let check = |state, what: String| Check { session, ..Check::new(tool.id(), state, what) };
    if let Some(copy) = sound_copy(home, store, tool, row)? {
        let what = format!("{}: {what}; a repaired copy is there", row.public_id);
        return Ok(check(State::Ok, what).hint(format!("sfs resume {}", copy.public_id)));
    }
    let state = if refused { State::Fail } else { State::Warn };
    if !options.fix {
        return Ok(check(state, format!("{}: {what}", row.public_id)).hint("sfs doctor --fix writes a repaired copy"));
    }
    Ok(match repair(home, store, tool, row) {
        Ok(copy) => check(State::Fixed, format!("{}: {what}; a repaired copy was written", row.public_id))
            .hint(format!("sfs resume {}", copy.public_id)),
        Err(error) => {
            let hint = error.hint_text().unwrap_or("sfs export ID --format sfs").to_owned();
            check(state, format!("{}: {what}; no copy: {}", row.public_id, error.message())).hint(hint)
        }
    })
}

/// `refused by Codex: 2 × lines without …, first in line 3`.
fn in_words(tool: &dyn Tool, ailments: &[Ailment]) -> String {
    let part = |effect, verb: &str| {
        let of: Vec<String> = ailments
            .iter()
            .filter(|ailment| ailment.effect == effect)
            .map(|ailment| format!("{} (line {}, {} in all)", ailment.what, ailment.line + 1, ailment.count))
            .collect();
        (!of.is_empty()).then(|| format!("{} {verb}: {}", tool.name(), of.join(", ")))
    };
    let parts = [part(Effect::Refused, "refuses it for"), part(Effect::Lost, "loses in silence")];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// A copy that was written for this session's own tool, that the tool still has, and in which nothing is wrong.
fn sound_copy(home: &Home, store: &Store, tool: &dyn Tool, row: &SessionRow) -> Result<Option<SessionRow>> {
    let root = resolved(&tool.root(home));
    for child in store.children(&row.public_id)? {
        let child = store.resolve(&child)?;
        if child.tool == tool.id() && length_here(store, &root, &child)?.is_some() && is_sound(store, tool, &child)? {
            return Ok(Some(child));
        }
    }
    Ok(None)
}

/// The length of a session's main file, if the tool of this home has it; one of another home may be captured, too.
fn length_here(store: &Store, root: &Path, row: &SessionRow) -> Result<Option<u64>> {
    let Some(main) = store.newest_stream(row.id, "main")? else { return Ok(None) };
    let files = store.native_files_of(main.id)?;
    let is_here = files.iter().any(|file| file.gone_at.is_none() && Path::new(&file.path).starts_with(root));
    Ok(is_here.then_some(main.length))
}

/// The tool's folder may be a symbolic link; captured paths are below the real one.
fn resolved(root: &Path) -> PathBuf {
    root.canonicalize().unwrap_or_else(|_| root.to_owned())
}

fn is_sound(store: &Store, tool: &dyn Tool, row: &SessionRow) -> Result<bool> {
    Ok(tool.ailments(&ArchivedSession::open(store, row.clone())?)?.is_empty())
}

/// Writes the copy, captures it and looks at it as at any other session.
fn repair(home: &Home, store: &mut Store, tool: &'static dyn Tool, row: &SessionRow) -> Result<SessionRow> {
    let options = ResumeOptions { anew: true, ..ResumeOptions::default() };
    let resumed = export::resume(store, home, row, tool, &options)?;
    let root = tool.root(home);
    let files = resumed.files.iter().map(|file| match file.strip_prefix(&root) {
        Ok(below) => resolved(&root).join(below),
        Err(_) => file.clone(),
    });
    let files = files.collect();
    let detail = serde_json::json!({"tool": tool.id(), "native_id": resumed.native_id, "how": resumed.how.as_str()});
    // What was written stays written, also where that can't be written down.
    let _ = store.audit(Event::Resumed, &row.public_id, &detail);
    Capture { home, store, tool }.files(files, &mut |_| {})?;
    let copy =
        store.find_native(tool.id(), &resumed.native_id)?.filter(|copy| is_sound(store, tool, copy).unwrap_or(false));
    copy.ok_or_else(|| {
        Error::failed(format!("the copy {} is not sound either", resumed.native_id))
            .hint(format!("sfs resume {} --in another tool", row.public_id))
    })
}
