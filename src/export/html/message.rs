//! One message as HTML, in pieces that a page puts together: a call waits for its result. Knows nothing of the page.

use super::call;
use super::escape::escaped;
use super::prose::{is_safe, prose};
use crate::model::message::{Block, ImageKind, ImageSource, Message};

/// A piece of a message, whole elements each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Prose, thinking, pictures.
    Html(String),
    /// A tool call; its result belongs right behind it.
    Call {
        /// The call's id.
        id: String,
        /// The call.
        html: String,
    },
    /// A tool's answer.
    Result {
        /// The call's id.
        id: String,
        /// The answer.
        html: String,
    },
}

/// Output that is longer is folded away.
const LONG_LINES: usize = 24;
const LONG_BYTES: usize = 4000;
/// A larger picture is only mentioned. In base64 characters.
const MAX_IMAGE: usize = 12 << 20;
/// What every browser shows and no browser runs.
const RASTER: &[&str] = &["image/png", "image/jpeg", "image/gif", "image/webp"];

/// The pieces of `message`, in order. Pictures behind a result are a part of it.
pub fn pieces(message: &Message) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for block in &message.content {
        match (block, pieces.last_mut()) {
            (Block::Image(source), Some(Piece::Result { html, .. })) => html.push_str(&image(source)),
            (block, _) => pieces.push(piece(block)),
        }
    }
    pieces
}

fn piece(block: &Block) -> Piece {
    Piece::Html(match block {
        Block::Text(text) => prose(text),
        Block::Summary { text, .. } => {
            folded("compaction", "Conversation compacted: what the model was told instead", &prose(text))
        }
        Block::Thinking { text, summary, redacted, .. } => match (text.as_str(), summary) {
            ("", None) if *redacted => "<p class=\"note\">Thinking (encrypted by its maker)</p>\n".to_owned(),
            ("", None) => "<p class=\"note\">Thinking (the tool kept none of it)</p>\n".to_owned(),
            ("", Some(summary)) => folded("thinking", "Thinking, in short", &prose(summary)),
            (text, _) => folded("thinking", "Thinking", &prose(text)),
        },
        Block::ToolUse { id, name, input } => {
            let (heading, body) = call::call(name, input);
            return Piece::Call { id: id.clone(), html: format!("<p class=\"tool\">{heading}</p>\n{body}") };
        }
        Block::ToolResult { id, content, is_error, exit_code, .. } => {
            return Piece::Result { id: id.clone(), html: result(content, *is_error, *exit_code) };
        }
        Block::Image(source) => image(source),
        Block::Other(raw) => {
            folded("other", "A part of a kind of its own", &format!("<pre>{}</pre>\n", escaped(raw.get())))
        }
    })
}

fn folded(class: &str, summary: &str, body: &str) -> String {
    format!("<details class=\"{class}\"><summary>{summary}</summary>\n{body}</details>\n")
}

fn result(content: &str, is_error: bool, exit_code: Option<i64>) -> String {
    let class = if is_error { "result error" } else { "result" };
    let code = exit_code.filter(|code| *code != 0).map(|code| format!("exit code {code}"));
    let note = code.or_else(|| is_error.then(|| "error".to_owned()));
    let note = note.map(|note| format!("<p class=\"note error\">{note}</p>\n")).unwrap_or_default();
    let text = content.trim_end();
    if text.is_empty() {
        return format!("{note}<p class=\"note\">no output</p>\n");
    }
    let body = format!("<pre class=\"{class}\">{}</pre>\n", escaped(text));
    let lines = text.lines().count();
    if lines <= LONG_LINES && text.len() <= LONG_BYTES {
        return note + &body;
    }
    let first: String = text.lines().next().unwrap_or_default().chars().take(80).collect();
    note + &folded("output", &format!("{lines} lines: <code>{}</code>", escaped(&first)), &body)
}

fn image(source: &ImageSource) -> String {
    let kind = source.media_type.as_deref().unwrap_or("image");
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
    match source.kind {
        ImageKind::Base64
            if RASTER.contains(&kind) && source.data.len() <= MAX_IMAGE && source.data.bytes().all(is_base64) =>
        {
            format!("<p><img alt=\"image\" src=\"data:{kind};base64,{}\"></p>\n", source.data)
        }
        ImageKind::Url if is_safe(&source.data) => {
            let address = escaped(&source.data);
            format!(
                "<p class=\"note\">Picture: <a href=\"{address}\" rel=\"noopener noreferrer nofollow\">{address}</a></p>\n"
            )
        }
        _ => format!("<p class=\"note\">Picture ({}), not shown</p>\n", escaped(kind)),
    }
}
