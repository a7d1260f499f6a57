//! `sfs show`: a session's details, its messages, its cost.

use super::ui::{self, Style};
use super::{Context, checkpoint, list};
use crate::error::Result;
use crate::export::{self, ArchivedSession, Branch, Selection};
use crate::model::message::{Block, Message, Role};
use crate::store::{SessionRow, Store, Summary};
use crate::tools;
use argh::{ArgsInfo, FromArgs};
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal};
use std::ops::ControlFlow;

/// A tool's output is cut here on screen; `--full` shows all of it.
const RESULT_LINES: usize = 12;

/// Show a session: details, messages, cost
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "show")]
#[argh(example = "sfs show last
sfs show last -m --full
sfs show last --cost
sfs show last -m --json")]
#[expect(clippy::struct_excessive_bools, reason = "they are switches")]
pub(super) struct Show {
    /// the session: an id, a prefix of one, the tool's own id, or `last`
    #[argh(positional)]
    id: String,
    /// the messages, with tool calls and results
    #[argh(switch, short = 'm')]
    messages: bool,
    /// tokens and cost by model
    #[argh(switch, short = 'c')]
    cost: bool,
    /// with -m, where several devices continued the session: only this branch, whole
    #[argh(option)]
    branch: Option<String>,
    /// with -m: whole tool outputs, thinking, harness texts and sub-agents too
    #[argh(switch)]
    full: bool,
    /// with -m on a terminal: wait for Enter after so many messages (default 20, 0 never)
    #[argh(option, default = "20")]
    page_size: usize,
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

impl Show {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let store = context.open()?;
        let row = context.session(&store, &self.id)?;
        let summary = store.summary(row.id)?;
        if self.json {
            return self.print_json(context, &store, &row, &summary);
        }
        if self.messages {
            return self.print_messages(context, &self.selection().open(&store, &row)?);
        }
        details(context, &store, &row, &summary)?;
        if self.cost { cost_table(context, &store, &row) } else { Ok(()) }
    }

    fn selection(&self) -> Selection {
        Selection { branch: self.branch.clone(), ..Selection::default() }
    }

    fn print_json(&self, context: &Context, store: &Store, row: &SessionRow, summary: &Summary) -> Result<()> {
        let session = ArchivedSession::open(store, row.clone())?;
        let mut answer = list::as_json(store, row, summary)?;
        answer.insert("manifest".into(), export::manifest(store, &session, summary)?);
        answer.insert("streams".into(), streams_json(&session));
        answer.insert("branches".into(), branches_json(&export::branches(store, row)?));
        answer.insert("checkpoints".into(), checkpoint::all_as_json(&store.checkpoints(row.id)?));
        answer.insert("notes".into(), notes_json(store, row)?);
        if self.cost {
            answer.insert("cost".into(), cost_json(store, row)?);
        }
        if self.messages {
            let session = self.selection().open(store, row)?;
            return context.ui.json_with_array(&answer, "messages", |each| {
                export::for_each_message(&session, true, &mut |message| {
                    // A tool may write JSON that is nested deeper than JSON readers, also our reader's, go.
                    let message = serde_json::to_value(&message).unwrap_or(Value::Null);
                    each(&message).map(ControlFlow::Continue)
                })
            });
        }
        context.ui.json(&answer)
    }

    fn print_messages(&self, context: &Context, session: &ArchivedSession<'_>) -> Result<()> {
        let waits = self.page_size > 0 && std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
        let mut shown = 0;
        export::for_each_message(session, self.full, &mut |message| {
            if message.is_meta && !self.full {
                return Ok(ControlFlow::Continue(()));
            }
            if waits && shown > 0 && shown % self.page_size == 0 && !next_page(context) {
                return Ok(ControlFlow::Break(()));
            }
            shown += 1;
            print_message(context, &message, self.full)?;
            Ok(ControlFlow::Continue(()))
        })?;
        if shown == 0 {
            context.ui.note("No messages. The bytes are archived all the same: sfs export ID --format native");
        }
        Ok(())
    }
}

/// Waits for Enter; `q` or the end of input stops.
fn next_page(context: &Context) -> bool {
    context.ui.progress(Some("-- Enter: more, q: stop --"));
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line).unwrap_or(0);
    context.ui.progress(None);
    read > 0 && !line.trim().eq_ignore_ascii_case("q")
}

fn details(context: &Context, store: &Store, row: &SessionRow, summary: &Summary) -> Result<()> {
    let ui = &context.ui;
    let title = export::title(row, summary).unwrap_or_else(|| "(untitled)".into());
    ui.line(&ui.paint(Style::Bold, &ui::printable(&title)))?;
    let line = |name: &str, value: Option<String>| match value {
        Some(value) => ui.line(&format!("  {} {}", ui.paint(Style::Dim, &ui::pad(name, 12)), ui::printable(&value))),
        None => Ok(()),
    };
    let version = summary.tool_version.as_deref().unwrap_or_default();
    line("session", Some(row.public_id.to_string()))?;
    line("tool", Some(format!("{} {version}", tools::name_of(&row.tool)).trim_end().to_owned()))?;
    line("tool's id", Some(row.native_id.clone()))?;
    line("project", summary.project.clone())?;
    line("branch", summary.git_branch.clone())?;
    line("model", summary.model.clone())?;
    line("created", summary.created_at.map(ui::local_time))?;
    line("active", summary.updated_at.map(|at| format!("{} ({})", ui::local_time(at), ui::age(at))))?;
    let turns = ui::counted(summary.turn_count, "turn");
    let counts = format!("{}, {turns}, {}", summary.message_count, ui::counted(summary.tool_call_count, "tool call"));
    line("messages", Some(counts))?;
    let tokens = format!("{} in, {} out", summary.prompt_tokens(), summary.output_tokens);
    line("tokens", Some(tokens))?;
    line("cost", Some(list::money(summary)))?;
    line("tags", Some(store.tags(row.id)?.join(", ")).filter(|tags| !tags.is_empty()))?;
    let how = row.parent.as_ref().map_or("forked from", |(_, relation)| match relation {
        crate::store::Relation::Resume => "continues",
        crate::store::Relation::Fork => "forked from",
    });
    line(how, list::parent(store, row, summary)?)?;
    line("continued by", Some(store.children(&row.public_id)?.join(", ")).filter(|ids| !ids.is_empty()))?;
    let branches = export::branches(store, row)?;
    for (at, branch) in branches.iter().enumerate().filter(|_| branches.len() > 1) {
        line(if at == 0 { "branches" } else { "" }, Some(described(branch)))?;
    }
    let checkpoints = store.checkpoints(row.id)?.into_iter().map(|checkpoint| checkpoint.name).collect::<Vec<_>>();
    line("checkpoints", Some(checkpoints.join(", ")).filter(|names| !names.is_empty()))?;
    let present = store.native_present(row.id)?;
    let session = ArchivedSession::open(store, row.clone())?;
    let bytes = session.native_streams().iter().map(|s| s.length).sum();
    let mut files = session.native_streams().iter().map(|stream| store.native_files_of(stream.id));
    let was_there = files.try_fold(false, |was_there, files| files.map(|files| was_there || !files.is_empty()))?;
    let gone = match (present, was_there) {
        (true, _) => "",
        (false, true) => "; the tool no longer has it: sfs restore",
        (false, false) => "; not in the tool yet: sfs resume",
    };
    let streams = ui::counted(session.native_streams().len() as u64, "stream");
    line("archived", Some(format!("{} in {streams}{gone}", ui::bytes(bytes))))?;
    let notes = store.notes(row.id)?;
    if let Some((stream, number, reason)) = notes.first() {
        let lines = ui::counted(notes.len() as u64, "line");
        let first = format!("{lines} not understood, first: {stream}:{}: {reason}", number + 1);
        line("notes", Some(first))?;
    }
    Ok(())
}

/// A branch in a line; the one without a device or a file in its name is what a resume continues.
fn described(branch: &Branch) -> String {
    let whose = if branch.is_own { "this device".to_owned() } else { format!("device {}", branch.device) };
    let what = match branch.own_messages {
        Some(messages) if branch.own_bytes == branch.bytes => ui::counted(messages, "message"),
        Some(messages) => format!("{} of its own", ui::counted(messages, "message")),
        None => "the session in another form".to_owned(),
    };
    let last = branch.last_message_at.map(|at| format!(", last {}", ui::age(at))).unwrap_or_default();
    format!("{} ({whose}: {what}{last})", branch.name)
}

fn branches_json(branches: &[Branch]) -> Value {
    let one = |branch: &Branch| {
        json!({"name": branch.name, "device": branch.device, "is_this_device": branch.is_own, "bytes": branch.bytes,
            "own_bytes": branch.own_bytes, "own_messages": branch.own_messages,
            "last_message_at": branch.last_message_at.map(ui::rfc3339)})
    };
    branches.iter().map(one).collect()
}

fn cost_table(context: &Context, store: &Store, row: &SessionRow) -> Result<()> {
    context.ui.line(&format!("  prices of {}", crate::model::price::AS_OF))?;
    for (model, replies, usage) in store.usage_by_model(row.id)? {
        let model = model.unwrap_or_else(|| "unknown model".into());
        let cost = crate::model::price::cost(&model, &usage);
        context.ui.line(&format!(
            "  {}: {}, {} input, {} cached, {} cache written, {} output: {}",
            ui::printable(&model),
            ui::counted(replies, "reply"),
            usage.input_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
            usage.output_tokens,
            cost.map_or("price unknown".into(), |cost| format!("${cost:.4}"))
        ))?;
    }
    Ok(())
}

fn cost_json(store: &Store, row: &SessionRow) -> Result<Value> {
    let models = store.usage_by_model(row.id)?.into_iter().map(|(model, replies, usage)| {
        let cost = model.as_deref().and_then(|model| crate::model::price::cost(model, &usage));
        json!({"model": model, "replies": replies, "usage": usage, "cost_usd": cost})
    });
    Ok(json!({"prices_as_of": crate::model::price::AS_OF, "models": models.collect::<Vec<_>>()}))
}

fn notes_json(store: &Store, row: &SessionRow) -> Result<Value> {
    let notes = store.notes(row.id)?.into_iter();
    Ok(notes.map(|(stream, line, reason)| json!({"stream": stream, "line": line + 1, "reason": reason})).collect())
}

fn streams_json(session: &ArchivedSession<'_>) -> Value {
    let streams = session.native_streams().iter().map(|stream| {
        json!({"name": stream.name, "generation": stream.generation, "format": stream.format,
            "bytes": stream.length, "native_path": stream.native_path, "hash": stream.hash().hex()})
    });
    streams.collect::<Vec<_>>().into()
}

fn print_message(context: &Context, message: &Message, full: bool) -> Result<()> {
    let ui = &context.ui;
    let (name, style) = match message.role {
        Role::User => ("user", Style::Green),
        Role::Assistant => ("assistant", Style::Cyan),
        Role::Tool => ("tool", Style::Yellow),
        Role::System => ("system", Style::Dim),
        Role::Developer => ("developer", Style::Dim),
    };
    let at = message.timestamp.map(|at| ui::local_time(at.as_millisecond())).unwrap_or_default();
    let agent = message.agent_id.as_deref().map(|id| format!(" sub-agent {}", ui::printable(id))).unwrap_or_default();
    let harness = if message.is_meta { " harness" } else { "" };
    let about = format!("{at}{agent}{harness} {}", ui::printable(&message.id));
    ui.line(&format!("{} {}", ui.paint(style, name), ui.paint(Style::Dim, &about)))?;
    for block in &message.content {
        for line in block_lines(block, full) {
            ui.line(&format!("  {}", ui::printable(&line)))?;
        }
    }
    ui.line("")
}

fn block_lines(block: &Block, full: bool) -> Vec<String> {
    match block {
        Block::Text(text) | Block::Summary { text, .. } => text.lines().map(str::to_owned).collect(),
        Block::Thinking { text, summary, .. } => {
            let text = if text.is_empty() { summary.as_deref().unwrap_or("(encrypted)") } else { text };
            let lines = if full { usize::MAX } else { 2 };
            cut(text, lines).into_iter().map(|line| format!("· {line}")).collect()
        }
        Block::ToolUse { name, input, .. } => {
            let lines = if full { usize::MAX } else { RESULT_LINES };
            let mut all = vec![format!("→ {name}")];
            all.extend(cut(&input_text(input.get()), lines).into_iter().map(|line| format!("  {line}")));
            all
        }
        Block::ToolResult { content, is_error, .. } => {
            let lines = if full { usize::MAX } else { RESULT_LINES };
            let mark = if *is_error { "✗" } else { "←" };
            let mut all = cut(content, lines).into_iter();
            let first = format!("{mark} {}", all.next().unwrap_or_default());
            std::iter::once(first).chain(all.map(|line| format!("  {line}"))).collect()
        }
        Block::Image(source) => vec![format!("[image {}]", source.media_type.as_deref().unwrap_or_default())],
        Block::Other(raw) => vec![ui::fit(raw.get(), 200)],
    }
}

/// A call's input as `key: value` lines.
fn input_text(json: &str) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str(json) else { return json.to_owned() };
    let lines = fields.into_iter().map(|(key, value)| match value {
        Value::String(text) => format!("{key}: {text}"),
        other => format!("{key}: {other}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn cut(text: &str, lines: usize) -> Vec<String> {
    let mut all = text.lines();
    let mut shown: Vec<String> = all.by_ref().take(lines).map(|line| line.chars().take(2000).collect()).collect();
    let more = all.count();
    if more > 0 {
        shown.push(format!("… {} (--full)", ui::counted(more as u64, "more line")));
    }
    shown
}
