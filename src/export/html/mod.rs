//! A session as one page for a browser, to read, to print and to hand on: nothing is loaded from anywhere, nothing runs,
//! and what the session's text says is shown and never obeyed. Everything that was said stands in it, in the order in
//! which it was said, also what the model does not see any more; sub-agents and long outputs are folded.

mod call;
mod diff;
mod escape;
mod message;
mod prose;
mod result;

use super::log::for_each_message;
use super::redaction::Redaction;
use super::source::ArchivedSession;
use crate::error::{Error, Result};
use crate::model::conversation::About;
use crate::model::message::{Block, Message, Role};
use crate::model::price;
use crate::store::{Store, Summary};
use crate::tools;
pub use escape::escaped;
pub use message::{Piece, card, pieces};
pub use result::unwrapped;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::io::Write;
use std::ops::ControlFlow;

const STYLE: &str = include_str!("page.css");

/// Writes `session` to `out`.
pub fn html(
    store: &Store,
    session: &ArchivedSession<'_>,
    summary: &Summary,
    redaction: &Redaction,
    out: &mut dyn Write,
) -> Result<()> {
    let about = redaction.about(session.about(summary));
    let live = live_ids(session)?;
    if live.is_empty() && session.is_cut() {
        return Err(session.nothing_there());
    }
    // What stands in the last line, or in other rows, may be later.
    let is_later = |message: &Message| {
        let is_live = live.contains(&message.id) || call_ids(message).any(|id| live.contains(id));
        session.is_cut_within_line() && !message.is_sidechain && !is_live
    };
    let mut page = Page { out, live: &live, turn: None, agent: None };
    page.put(&head(&about))?;
    page.put(&header(store, session, summary, &about)?)?;
    for_each_message(session, true, &mut |message| {
        let is_summary = message.content.iter().any(|block| matches!(block, Block::Summary { .. }));
        let is_shown = is_summary || !(message.is_meta || message.role == Role::Developer);
        if is_shown && !is_later(&message) {
            page.message(&redaction.message(message))?;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    page.end(redaction)
}

/// The ids of what the model would see next: of messages, and of calls, which some tools write before their message.
pub fn live_ids(session: &ArchivedSession<'_>) -> Result<HashSet<String>> {
    let mut ids = HashSet::new();
    for message in session.conversation()?.messages {
        let message = message?;
        ids.extend(call_ids(&message).map(str::to_owned));
        ids.insert(message.id);
    }
    Ok(ids)
}

/// The ids of the calls that a message makes or answers.
pub fn call_ids(message: &Message) -> impl Iterator<Item = &str> {
    message.content.iter().filter_map(|block| match block {
        Block::ToolUse { id, .. } | Block::ToolResult { id, .. } => Some(id.as_str()),
        _ => None,
    })
}

/// What a browser may do with the page: show it.
pub fn page_policy() -> String {
    format!(
        "default-src 'none'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'",
        base64(&Sha256::digest(STYLE))
    )
}

fn head(about: &About) -> String {
    let title = escaped(about.title.as_deref().unwrap_or("Untitled session")).replace('\n', " ");
    let policy = page_policy();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"robots\" content=\"noindex\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n"
    )
}

fn header(store: &Store, session: &ArchivedSession<'_>, summary: &Summary, about: &About) -> Result<String> {
    let day = |at: jiff::Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let version = summary.tool_version.as_deref().unwrap_or_default();
    let cost = summary.cost().map_or_else(|| "price unknown".to_owned(), |cost| format!("${cost:.2}"));
    let facts = [
        ("tool", Some(format!("{} {version}", tools::name_of(&session.row.tool)))),
        ("session", Some(session.row.public_id.to_string())),
        ("project", about.cwd.clone()),
        ("branch", about.git_branch.clone()),
        ("model", about.model.clone()),
        ("began", about.created_at.map(day)),
        ("ended", about.updated_at.map(day)),
        ("messages", Some(format!("{}, {} tool calls", summary.message_count, summary.tool_call_count))),
        ("tokens", Some(format!("{} in, {} out, {cost}", summary.prompt_tokens(), summary.output_tokens))),
    ];
    let mut out = String::from("<dl>\n");
    for (name, value) in facts {
        out.extend(value.map(|value| format!("<dt>{name}</dt><dd>{}</dd>\n", escaped(value.trim()))));
    }
    out.push_str("</dl>\n");
    out.push_str(&models(store, session)?);
    Ok(out + "</header>\n<main>\n")
}

/// Tokens and cost by model, where there is more than one.
fn models(store: &Store, session: &ArchivedSession<'_>) -> Result<String> {
    let models = store.usage_by_model(session.row.id)?;
    if models.len() < 2 {
        return Ok(String::new());
    }
    let head = ["model", "input", "cached", "output", "cost"].map(|name| format!("<th>{name}</th>")).concat();
    let rows = models.into_iter().map(|(model, _, usage)| {
        let cost = model.as_deref().and_then(|model| price::cost(model, &usage));
        let cells = [
            escaped(model.as_deref().unwrap_or("unknown")),
            (usage.input_tokens + usage.cache_write_tokens).to_string(),
            usage.cache_read_tokens.to_string(),
            usage.output_tokens.to_string(),
            cost.map_or_else(|| "?".to_owned(), |cost| format!("${cost:.2}")),
        ];
        format!("<tr>{}</tr>\n", cells.map(|cell| format!("<td>{cell}</td>")).concat())
    });
    Ok(format!("<table>\n<tr>{head}</tr>\n{}</table>\n", rows.collect::<Vec<_>>().concat()))
}

/// Calls that wait for their results keep a turn from being written; so many of its parts are held at most.
const MAX_PARTS: usize = 256;

struct Page<'p> {
    out: &'p mut dyn Write,
    live: &'p HashSet<String>,
    turn: Option<Turn>,
    /// The sub-agent whose messages are being written.
    agent: Option<String>,
}

/// Consecutive messages of one speaker; results of tools belong to the calls.
struct Turn {
    class: &'static str,
    name: &'static str,
    model: Option<String>,
    at: Option<jiff::Timestamp>,
    is_live: bool,
    parts: Vec<Part>,
}

struct Part {
    html: String,
    /// The call whose result is to come.
    call: Option<String>,
    /// Of a call: what came of it so far.
    result: Option<String>,
}

impl Page<'_> {
    fn message(&mut self, message: &Message) -> Result<()> {
        self.enter(message)?;
        let pieces = pieces(message);
        let results_only = !pieces.is_empty() && pieces.iter().all(|piece| matches!(piece, Piece::Result { .. }));
        let (class, name) = if results_only { ASSISTANT } else { speaker(message) };
        let is_live = message.is_sidechain
            || self.live.contains(&message.id)
            || call_ids(message).any(|id| self.live.contains(id));
        let goes_on = self.turn.as_ref().is_some_and(|turn| {
            let is_same = results_only || (class != "user" && turn.is_live == is_live);
            turn.class == class && is_same && turn.parts.len() < MAX_PARTS
        });
        if !goes_on {
            self.flush()?;
        }
        let turn = self.turn.get_or_insert_with(|| Turn {
            class,
            name,
            model: message.model.clone(),
            at: message.timestamp,
            is_live,
            parts: Vec::new(),
        });
        for piece in pieces {
            turn.add(piece);
        }
        Ok(())
    }

    /// Opens and closes the fold of a sub-agent.
    fn enter(&mut self, message: &Message) -> Result<()> {
        let agent = message.is_sidechain.then(|| message.agent_id.clone().unwrap_or_default());
        if agent == self.agent {
            return Ok(());
        }
        self.flush()?;
        if self.agent.is_some() {
            self.put("</details>\n")?;
        }
        if let Some(id) = &agent {
            self.put(&format!("<details class=\"agent\"><summary>Sub-agent {}</summary>\n", escaped(id)))?;
        }
        self.agent = agent;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let Some(turn) = self.turn.take().filter(|turn| !turn.parts.is_empty()) else { return Ok(()) };
        let past = if turn.is_live { "" } else { " past" };
        let model = turn.model.map(|model| format!(" · {}", escaped(&model))).unwrap_or_default();
        let at = turn.at.map(|at| format!(" · <time datetime=\"{at}\">{}</time>", at.strftime("%Y-%m-%d %H:%M")));
        let note = if turn.is_live { "" } else { " · not in the model's view" };
        let (class, name) = (turn.class, turn.name);
        self.put(&format!(
            "<article class=\"{class}{past}\">\n<h2>{name}{model}{}{note}</h2>\n",
            at.unwrap_or_default()
        ))?;
        for part in &turn.parts {
            let card = part.result.as_ref().map(|result| message::card(&part.html, result));
            self.put(card.as_ref().unwrap_or(&part.html))?;
        }
        self.put("</article>\n")
    }

    fn end(mut self, redaction: &Redaction) -> Result<()> {
        self.flush()?;
        if self.agent.is_some() {
            self.put("</details>\n")?;
        }
        let secrets = match redaction.replaced() {
            0 if redaction.is_on() => "No secrets were found in it.".to_owned(),
            0 => String::new(),
            count => format!("Secrets replaced: {count}."),
        };
        self.put(&format!(
            "</main>\n<footer>Exported by sessionfs {}. {secrets}</footer>\n",
            env!("CARGO_PKG_VERSION")
        ))?;
        self.put("</body>\n</html>\n")?;
        self.out.flush().map_err(unwritable)
    }

    fn put(&mut self, html: &str) -> Result<()> {
        self.out.write_all(html.as_bytes()).map_err(unwritable)
    }
}

impl Turn {
    fn add(&mut self, piece: Piece) {
        let part = |html, call: Option<String>| Part { html, result: call.as_ref().map(|_| String::new()), call };
        match piece {
            Piece::Html(html) => self.parts.push(part(html, None)),
            Piece::Call { id, html } => self.parts.push(part(html, Some(id))),
            Piece::Result { id, html } => match self.parts.iter_mut().find(|part| part.call.as_ref() == Some(&id)) {
                Some(call) => {
                    call.call = None;
                    call.result = Some(html);
                }
                None => self.parts.push(part(html, None)),
            },
        }
    }
}

const ASSISTANT: (&str, &str) = ("assistant", "Assistant");

fn speaker(message: &Message) -> (&'static str, &'static str) {
    match message.role {
        Role::User if message.is_sidechain => ("task", "Task"),
        Role::User => ("user", "User"),
        Role::Assistant | Role::Tool => ASSISTANT,
        Role::System | Role::Developer => ("system", "Client"),
    }
}

fn unwritable(source: std::io::Error) -> Error {
    Error::failed("the page can't be written").because(source)
}

/// RFC 4648 with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut word = [0u8; 4];
        word[1..=group.len()].copy_from_slice(group);
        let word = u32::from_be_bytes(word);
        for n in 0..4 {
            let digit = ALPHABET[(word >> (18 - 6 * n)) as usize & 63];
            text.push(if n <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_follows_rfc_4648() {
        assert_eq!([&b"f"[..], b"fo", b"foo", b"foobar"].map(base64), ["Zg==", "Zm8=", "Zm9v", "Zm9vYmFy"]);
    }
}
