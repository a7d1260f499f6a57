//! The live conversation as Markdown, for people.

use super::source::ArchivedSession;
use crate::error::{Context, Result};
use crate::model::conversation::About;
use crate::model::message::{Block, Message, Role};
use crate::tools;
use std::io::Write;

/// Writes `session` to `out`. Text of tools stands in fences longer than any in it, thinking in a folded block.
pub fn markdown(session: &ArchivedSession<'_>, about: &About, out: &mut dyn Write) -> Result<()> {
    let unwritable = || "the Markdown can't be written";
    let title = about.title.as_deref().unwrap_or("Untitled session");
    writeln!(out, "# {title}\n").context(unwritable)?;
    writeln!(out, "{}", facts(session, about)).context(unwritable)?;
    let conversation = tools::conversation(session)?;
    let mut speaker = None;
    for message in conversation.messages {
        let message = message?;
        if message.is_meta || message.role == Role::Developer {
            continue;
        }
        let heading = heading(&message);
        if speaker.replace(heading) != Some(heading) {
            writeln!(out, "\n## {heading}").context(unwritable)?;
        }
        for block in &message.content {
            writeln!(out, "\n{}", render(block)).context(unwritable)?;
        }
    }
    out.flush().context(unwritable)
}

fn facts(session: &ArchivedSession<'_>, about: &About) -> String {
    let mut facts = vec![format!("`{}`", session.row.public_id), tools::name_of(&session.row.tool).to_owned()];
    facts.extend(about.model.clone());
    facts.extend(about.cwd.as_ref().map(|cwd| format!("`{cwd}`")));
    facts.extend(about.created_at.map(|at| at.strftime("%Y-%m-%d").to_string()));
    facts.join(" · ")
}

fn heading(message: &Message) -> &'static str {
    match message.role {
        Role::User => "User",
        Role::Assistant | Role::Tool => "Assistant",
        Role::System | Role::Developer => "Summary",
    }
}

fn render(block: &Block) -> String {
    match block {
        Block::Text(text) | Block::Summary { text, .. } => text.clone(),
        Block::Thinking { text, summary, .. } => {
            let text = if text.is_empty() { summary.as_deref().unwrap_or("(encrypted)") } else { text };
            format!("<details><summary>Thinking</summary>\n\n{text}\n\n</details>")
        }
        Block::ToolUse { name, input, .. } => format!("**{name}**\n\n{}", fence("json", input.get())),
        Block::ToolResult { content, is_error, .. } => fence(if *is_error { "error" } else { "" }, content),
        Block::Image(source) => format!("*[image {}]*", source.media_type.as_deref().unwrap_or_default()),
        Block::Other(raw) => fence("json", raw.get()),
    }
}

/// A code fence longer than any run of back-ticks in `text`.
fn fence(language: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let ticks = "`".repeat(longest.max(2) + 1);
    format!("{ticks}{language}\n{}\n{ticks}", text.trim_end_matches('\n'))
}
