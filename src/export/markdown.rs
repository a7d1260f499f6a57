//! The live conversation as Markdown, for people. What was said stays Markdown, but it stays within its message: headings
//! move two levels below ours, code fences start at the margin and are closed, HTML is shown instead of obeyed, and
//! control characters and direction overrides appear as their code points. Text of tools stands in fences longer than any
//! in it, thinking in a block quote.

use super::redaction::Redaction;
use super::source::ArchivedSession;
use crate::error::{Context, Result};
use crate::model::conversation::About;
use crate::model::message::{Block, Message, Role};
use crate::model::printable::printable;
use crate::tools;
use std::borrow::Cow;
use std::io::Write;

/// Writes `session` to `out`.
pub fn markdown(session: &ArchivedSession<'_>, about: About, redaction: &Redaction, out: &mut dyn Write) -> Result<()> {
    let about = &redaction.about(about);
    let mut messages = session.conversation()?.messages.peekable();
    if messages.peek().is_none() && session.is_cut() {
        return Err(session.nothing_there());
    }
    let unwritable = || "the Markdown can't be written";
    let title = about.title.as_deref().unwrap_or("Untitled session");
    writeln!(out, "# {}\n", phrase(title)).context(unwritable)?;
    writeln!(out, "{}", facts(session, about)).context(unwritable)?;
    let mut voice = Voice::default();
    for message in messages {
        voice.speak(&redaction.message(message?), None, out)?;
    }
    out.flush().context(unwritable)
}

/// Says who speaks, where that changes.
#[derive(Default)]
pub(super) struct Voice(String);

impl Voice {
    /// Writes what was said in `message`, by sub-agent `agent` if it is one's. Harness texts are left out.
    pub(super) fn speak(&mut self, message: &Message, agent: Option<&str>, out: &mut dyn Write) -> Result<()> {
        let unwritable = || "the Markdown can't be written";
        if message.is_meta || message.role == Role::Developer {
            return Ok(());
        }
        let agent = agent.map(|agent| format!(" · sub-agent {}", phrase(agent))).unwrap_or_default();
        let heading = format!("{}{agent}", heading(message));
        if self.0 != heading {
            writeln!(out, "\n## {heading}").context(unwritable)?;
            self.0 = heading;
        }
        message.content.iter().try_for_each(|block| writeln!(out, "\n{}", render(block))).context(unwritable)
    }
}

fn facts(session: &ArchivedSession<'_>, about: &About) -> String {
    let mut facts = vec![format!("`{}`", session.row.public_id), tools::name_of(&session.row.tool).to_owned()];
    facts.extend(about.model.as_deref().map(phrase));
    facts.extend(about.cwd.as_ref().map(|cwd| format!("`{}`", one_line(cwd).replace('`', "'"))));
    facts.extend(about.created_at.map(|at| at.strftime("%Y-%m-%d").to_string()));
    facts.join(" · ")
}

fn heading(message: &Message) -> &'static str {
    match message.role {
        // Its own agent's model gave it that.
        Role::User if message.is_sidechain => "Task",
        Role::User => "User",
        Role::Assistant | Role::Tool => "Assistant",
        Role::System | Role::Developer => "Summary",
    }
}

fn render(block: &Block) -> String {
    match block {
        Block::Text(text) | Block::Summary { text, .. } => prose(text),
        Block::Thinking { text, summary, .. } => {
            let text = if text.is_empty() { summary.as_deref().unwrap_or("(encrypted)") } else { text };
            quote(&format!("*Thinking*\n\n{}", prose(text)))
        }
        Block::ToolUse { name, input, .. } => format!("**{}**\n\n{}", phrase(name), fence("json", input.get())),
        Block::ToolResult { content, is_error, .. } => fence(if *is_error { "error" } else { "" }, content),
        Block::Image(source) => format!("*[image {}]*", phrase(source.media_type.as_deref().unwrap_or_default())),
        Block::Other(raw) => fence("json", raw.get()),
    }
}

/// A code fence longer than any run of back-ticks in `text`.
fn fence(language: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let ticks = "`".repeat(longest.max(2) + 1);
    format!("{ticks}{language}\n{}\n{ticks}", printable(text.trim_end_matches('\n')))
}

fn quote(text: &str) -> String {
    let lines = text.lines().map(|line| format!("> {line}").trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

fn one_line(text: &str) -> String {
    printable(text).replace('\n', " ")
}

/// `text` as a part of a line of ours.
pub(super) fn phrase(text: &str) -> String {
    without_html(&one_line(text))
}

/// What a person or a model wrote, within its message: see the module's description.
fn prose(text: &str) -> String {
    let text = printable(text);
    let mut out: Vec<Cow<'_, str>> = Vec::new();
    let mut open: Option<Fence<'_>> = None;
    let mut paragraph = Paragraph::default();
    for line in text.lines() {
        match (&open, Fence::of(line)) {
            (Some(fence), Some(end)) if end.closes(fence) => {
                out.push(fence.end().into());
                open = None;
            }
            (Some(fence), _) => out.push(line[fence.indent.min(indent(line))..].into()),
            (None, Some(fence)) => {
                out.push(format!("{}{}", fence.end(), fence.language).into());
                open = Some(fence);
                paragraph = Paragraph::default();
            }
            (None, None) => out.push(paragraph.line(line).into()),
        }
    }
    out.extend(open.map(|fence| fence.end().into()));
    out.join("\n")
}

/// How many blanks `line` begins with.
fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

/// The first line of fenced code, or the last. At the margin it is a fence whatever came before: a list or a quote around
/// it ends there. So this module and any viewer agree about what is code.
struct Fence<'t> {
    mark: &'t str,
    language: &'t str,
    indent: usize,
}

impl<'t> Fence<'t> {
    fn of(line: &'t str) -> Option<Fence<'t>> {
        let indent = indent(line);
        let text = &line[indent..];
        let mark = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let (mark, language) = text.split_at(text.len() - text.trim_start_matches(mark).len());
        (mark.len() >= 3 && !(mark.starts_with('`') && language.contains('`'))).then(|| Fence {
            mark,
            language: language.trim(),
            indent,
        })
    }

    fn closes(&self, start: &Fence<'_>) -> bool {
        self.mark.starts_with(start.mark) && self.language.is_empty()
    }

    fn end(&self) -> String {
        self.mark.to_owned()
    }
}

/// The lines of prose since the last blank one.
#[derive(Default)]
struct Paragraph {
    begun: bool,
    /// A back-tick had no partner in its line: where code begins and ends is anybody's guess.
    doubtful: bool,
}

impl Paragraph {
    fn line(&mut self, line: &str) -> String {
        let (before, text) = line.split_at(indent(line));
        let underlines = self.begun && !text.is_empty() && before.len() < 4;
        if text.trim().is_empty() {
            *self = Paragraph::default();
        } else {
            self.begun = true;
        }
        let hashes = text.len() - text.trim_start_matches('#').len();
        let rest = &text[hashes..];
        let text = self.without_html(rest);
        if (1..=6).contains(&hashes) && (rest.is_empty() || rest.starts_with([' ', '\t'])) && before.len() < 4 {
            return format!("{before}{}{text}", "#".repeat((hashes + 2).min(6)));
        }
        let text = format!("{}{text}", "#".repeat(hashes));
        let is_line_of = |mark: char| text.trim_end().chars().all(|c| c == mark);
        let escape = if underlines && (is_line_of('=') || is_line_of('-')) { "\\" } else { "" };
        format!("{before}{escape}{text}")
    }

    /// `line` with its HTML shown, but for code between back-ticks, which shows it anyway.
    fn without_html(&mut self, line: &str) -> String {
        let Some(pieces) = code_and_text(line).filter(|_| !self.doubtful) else {
            self.doubtful = true;
            return without_html(line);
        };
        pieces.iter().map(|(is_code, piece)| if *is_code { (*piece).to_owned() } else { without_html(piece) }).collect()
    }
}

/// The pieces of `line` in turn, each with whether it is code; nothing where a back-tick has no partner.
fn code_and_text(line: &str) -> Option<Vec<(bool, &str)>> {
    let mut pieces = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find('`') {
        let ticks = rest[start..].len() - rest[start..].trim_start_matches('`').len();
        if rest[..start].ends_with('\\') {
            return None;
        }
        let inner = &rest[start + ticks..];
        let end = start + ticks + end_of_code(inner, ticks)?;
        pieces.extend([(false, &rest[..start]), (true, &rest[start..end])]);
        rest = &rest[end..];
    }
    pieces.push((false, rest));
    Some(pieces)
}

/// Where the run of so many back-ticks that ends the code ends.
fn end_of_code(text: &str, ticks: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(next) = text[at..].find('`') {
        at += next;
        let run = text[at..].len() - text[at..].trim_start_matches('`').len();
        at += run;
        if run == ticks {
            return Some(at);
        }
    }
    None
}

/// `text` whose HTML is shown. Links in angle brackets stay.
fn without_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let rest = &text[at + c.len_utf8()..];
        let is_html = c == '<' && rest.starts_with(|next: char| next.is_ascii_alphabetic() || "/!?".contains(next));
        let is_link = rest.starts_with("http://") || rest.starts_with("https://");
        if is_html && !is_link {
            out.push_str("&lt;");
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_stays_within_its_message() {
        let table = [
            ("Plain *text* with a `<tag>`.", "Plain *text* with a `<tag>`."),
            ("# One\n## Two\n##### Five\n#hash\n#", "### One\n#### Two\n###### Five\n#hash\n###"),
            ("Title\n===\nTitle\n---\n\n---", "Title\n\\===\nTitle\n\\---\n\n---"),
            ("```sh\n# comment\n</details>", "```sh\n# comment\n</details>\n```"),
            ("~~~~\n```\n~~~\n~~~~~\n# x", "~~~~\n```\n~~~\n~~~~\n### x"),
            ("~~~ a`b\n# x", "~~~a`b\n# x\n~~~"),
            ("- a\n  ```c\n  x\n    y\n  ```\n- b", "- a\n```c\nx\n  y\n```\n- b"),
            // A viewer ends the code in the list at `b`: an indented fence must not be taken for one at the margin.
            ("- a\n  ```\nb\n```", "- a\n```\nb\n```"),
            ("</details> <!-- a <b> 1 < 2 <https://x.y>", "&lt;/details> &lt;!-- a &lt;b> 1 < 2 <https://x.y>"),
            ("``a ` <b>`` <c>", "``a ` <b>`` &lt;c>"),
            ("a ` b\nc ` <d> ` e\n\n`<f>`", "a ` b\nc ` &lt;d> ` e\n\n`<f>`"),
            (r"\`<a>`", r"\`&lt;a>`"),
            ("a\u{1b}[2J\u{202e}\tb\r\nc", "a\\u{1b}[2J\\u{202e}\tb\nc"),
        ];
        for (text, expected) in table {
            assert_eq!(prose(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_stands_in_our_lines_is_one_line() {
        assert_eq!(phrase("Bash\n# x <details>\u{1b}"), "Bash # x &lt;details>\\u{1b}");
        assert_eq!(quote("a\n\nb"), "> a\n>\n> b");
        assert_eq!(fence("", "```\n\u{1b}]0;x\n"), "````\n```\n\\u{1b}]0;x\n````");
    }
}
