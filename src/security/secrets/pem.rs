//! Private keys in PEM: over several lines, with `\n` for line breaks inside a string, indented, numbered by a tool that
//! shows files, with the plus signs of a diff, or cut off. The frame stays: it tells a reader what was there.

use super::{Secret, Severity, text_boundary};
use memchr::memmem;

/// With what a block begins.
pub(super) const BEGIN: &str = "-----BEGIN ";
/// With what its last line begins, or that of another block: so no byte is looked at for two of them.
const DASHES: &str = "-----";
/// No key is longer.
const MAX_BODY: usize = 16 << 10;
/// Fewer base64 characters on a line are not the beginning of a key.
const MIN_RUN: usize = 20;

/// The key in the block that begins at `start`.
pub(super) fn find(text: &str, start: usize) -> Option<Secret> {
    let label = &text[start + BEGIN.len()..];
    let label_end = label.as_bytes().iter().take(64).position(|b| *b == b'-')?;
    let dashes = label.as_bytes().get(label_end..label_end + 5)?;
    let is_key = label[..label_end].ends_with("PRIVATE KEY") || label[..label_end].ends_with("PRIVATE KEY BLOCK");
    if !is_key || dashes != b"-----" {
        return None;
    }
    let body_start = start + BEGIN.len() + label_end + 5;
    let rest = &text[body_start..];
    let rest = &rest[..text_boundary(rest, MAX_BODY)];
    let length = memmem::find(rest.as_bytes(), DASHES.as_bytes()).unwrap_or_else(|| extent(rest));
    let body = &text[body_start..body_start + length];
    if body.contains('[') || longest_run(body) < MIN_RUN {
        return None;
    }
    let from = length - without_breaks(body).len();
    let to = from + trimmed_end(&body[from..]).len();
    let range = body_start + from..body_start + to;
    Some(Secret { kind: "private_key_pem", severity: Severity::Critical, range })
}

/// How far a block without an end goes: as long as its characters may stand in a key or around its lines.
fn extent(text: &str) -> usize {
    let is_of_key = |c: char| c.is_ascii_alphanumeric() || "+/=\\ \t\r\n|>:,.-→".contains(c);
    text.find(|c| !is_of_key(c)).unwrap_or(text.len())
}

fn longest_run(body: &str) -> usize {
    let runs = body.split(|c: char| !c.is_ascii_alphanumeric() && !"+/=".contains(c));
    runs.map(str::len).max().unwrap_or(0)
}

/// Line breaks, escaped ones too, at the beginning taken away.
fn without_breaks(mut body: &str) -> &str {
    loop {
        let rest = body.trim_start();
        let letter = rest.trim_start_matches('\\');
        let rest = if letter.len() < rest.len() && letter.starts_with(['n', 'r', 't']) { &letter[1..] } else { rest };
        if rest.len() == body.len() {
            return body;
        }
        body = rest;
    }
}

/// The same at the end.
fn trimmed_end(mut body: &str) -> &str {
    loop {
        let rest = body.trim_end();
        let rest = rest.strip_suffix("\\n").or_else(|| rest.strip_suffix("\\r")).unwrap_or(rest);
        let rest = rest.trim_end_matches('\\');
        if rest.len() == body.len() {
            return body;
        }
        body = rest;
    }
}
