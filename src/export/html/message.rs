//! One message as HTML, in pieces that a page puts together: a call waits for its result. Knows nothing of the page.

use super::call;
use super::escape::escaped;
use super::prose::{is_safe, prose};
use super::result::result;
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

/// A call with its result, which may be empty.
pub fn card(call: &str, result: &str) -> String {
    format!("<section class=\"call\">\n{call}{result}</section>\n")
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
        Block::ToolResult { id, content, is_error, exit_code, duration_ms } => {
            return Piece::Result { id: id.clone(), html: result(content, *is_error, *exit_code, *duration_ms) };
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
