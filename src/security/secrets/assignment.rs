//! `NAME = value` in all its forms: `.env` files, YAML, code, JSON (also escaped inside a string), HTTP headers, options of
//! a command line.

use super::judge::{self, Form};
use super::{Secret, text_boundary};
use std::ops::Range;

/// No name is longer, on either side of the word that was found.
const MAX_NAME: usize = 64;
/// No value is longer.
const MAX_VALUE: usize = 512;
/// Blanks around the sign.
const MAX_BLANKS: usize = 4;

/// The whole name of which `word` is a part.
pub(super) fn name_at(text: &str, word: Range<usize>) -> Range<usize> {
    let bytes = text.as_bytes();
    let is_of_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let before =
        bytes[word.start.saturating_sub(MAX_NAME)..word.start].iter().rev().take_while(|b| is_of_name(b)).count();
    let after = bytes[word.end..].iter().take(MAX_NAME).take_while(|b| is_of_name(b)).count();
    word.start - before..word.end + after
}

/// The secret that is assigned to the name at `name`.
pub(super) fn find(text: &str, name: Range<usize>) -> Option<Secret> {
    let end = name.end;
    let rest = &text[end..];
    let rest = &rest[..text_boundary(rest, MAX_VALUE + 64)];
    let name = without_escape(text, name);
    let (form, at, value) = value(name, rest)?;
    let strength = judge::strength(name)?;
    let (kind, severity) = judge::assigned(name, strength, form, value)?;
    let start = end + at;
    Some(Secret { kind, severity, range: start..start + value.len() })
}

/// The `n` of an escaped line break is not a part of the name behind it.
fn without_escape(text: &str, name: Range<usize>) -> &str {
    let is_escaped = text[..name.start].ends_with('\\') && text[name.clone()].starts_with(['n', 'r', 't']);
    &text[name.start + usize::from(is_escaped)..name.end]
}

/// The value that stands in `rest`, right behind `name`: how it is written, where it begins, and what it is.
fn value<'t>(name: &str, rest: &'t str) -> Option<(Form, usize, &'t str)> {
    let after_name = after_quote(rest);
    let after_name = after_name.strip_prefix(']').unwrap_or(after_name);
    let sign = after_blanks(after_name);
    let blanks = sign.len() < after_name.len();
    let is_option = name.starts_with("--");
    let (behind, spaced) = match sign.as_bytes() {
        [b'=', b'>', ..] | [b':', b'=', ..] => (&sign[2..], true),
        [b'=', b'=', ..] | [b':', b':', ..] => return None,
        [b'=', ..] => (&sign[1..], blanks),
        [b':', ..] => (&sign[1..], true),
        _ if is_option && blanks => (sign, false),
        _ => return None,
    };
    let start = after_blanks(behind);
    let spaced = spaced || start.len() < behind.len();
    let escapes = start.len() - start.trim_start_matches('\\').len();
    let inner = &start[escapes..];
    match inner.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')) {
        Some(quote) => Some((Form::Quoted, rest.len() - inner.len() + 1, quoted(&inner[1..], quote)?)),
        None if escapes > 0 => None,
        None => Some((if spaced { Form::Spaced } else { Form::Plain }, rest.len() - start.len(), plain(start)?)),
    }
}

fn after_blanks(text: &str) -> &str {
    let blanks = text.bytes().take(MAX_BLANKS).take_while(|b| matches!(b, b' ' | b'\t')).count();
    &text[blanks..]
}

/// Behind the quote, escaped or not, that ends a name.
fn after_quote(text: &str) -> &str {
    let inner = text.trim_start_matches('\\');
    inner.strip_prefix(['"', '\'', '`']).unwrap_or(text)
}

/// Up to the quote, or to the backslash that escapes it.
fn quoted(text: &str, quote: char) -> Option<&str> {
    let end = text.find([quote, '\n'])?;
    let value = &text[..end];
    text[end..].starts_with(quote).then(|| value.trim_end_matches('\\')).filter(|value| value.len() <= MAX_VALUE)
}

/// Up to the end of the word; nothing where code goes on behind it.
fn plain(text: &str) -> Option<&str> {
    const ENDS: &str = " \t\r\n\"'`,;|<>(){}[]\\";
    let end = text.find(|c| ENDS.contains(c)).unwrap_or(text.len());
    let goes_on = text[end..].starts_with(['(', '[', '{', '<']);
    let value = before_next_parameter(&text[..end]).trim_end_matches(['.', ':']);
    (!goes_on && value.len() <= MAX_VALUE).then_some(value)
}

/// In an address `&name=` begins the next parameter; elsewhere `&` is a character of a password.
fn before_next_parameter(value: &str) -> &str {
    let is_name = |text: &str| {
        text.split_once('=').is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
    };
    let next = value.match_indices('&').find(|(at, _)| is_name(&value[at + 1..]));
    next.map_or(value, |(at, _)| &value[..at])
}
