//! The part of a message around what was found, on one line.

use crate::model::query::Query;
use std::ops::Range;
use unicode_width::UnicodeWidthChar;

/// See the module's description. Text as it was said: whoever shows it makes it harmless.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// Its pieces, one behind the other; true for those that were looked for.
    pub pieces: Vec<(String, bool)>,
}

impl Excerpt {
    /// Cuts so many columns out of `text`, a third of them before the first place that answers `query`.
    pub(super) fn of(text: &str, query: &Query, columns: usize) -> Excerpt {
        let text = text.trim();
        let place = query.find(text, 0).unwrap_or(0..0);
        let start = begin(text, place.start, columns / 3);
        let before = width(&text[start..place.start]);
        let end = place.start + length(text[place.start..].chars(), columns.saturating_sub(before + 2).max(1));
        let mut excerpt = Excerpt::default();
        excerpt.push(if start > 0 { "…" } else { "" }, false);
        let mut at = start;
        for mark in marks(text, query, place, end) {
            excerpt.push(&text[at..mark.start], false);
            excerpt.push(&text[mark.clone()], true);
            at = mark.end;
        }
        excerpt.push(&text[at..end], false);
        excerpt.push(if end < text.len() { "…" } else { "" }, false);
        excerpt
    }

    /// All of it, without marks.
    pub fn text(&self) -> String {
        self.pieces.iter().map(|(text, _)| text.as_str()).collect()
    }

    /// Several blanks or line breaks are one blank.
    fn push(&mut self, text: &str, is_found: bool) {
        let mut after_blank = self.pieces.last().is_none_or(|(text, _)| text.ends_with(' '));
        let mut line = String::with_capacity(text.len());
        for c in text.chars() {
            let c = if c.is_whitespace() { ' ' } else { c };
            if !(c == ' ' && after_blank) {
                line.push(c);
            }
            after_blank = c == ' ';
        }
        if !line.is_empty() {
            self.pieces.push((line, is_found));
        }
    }
}

/// Where an excerpt begins that has so many columns before `place`: with a whole word if there is one.
fn begin(text: &str, place: usize, columns: usize) -> usize {
    let start = place - length(text[..place].chars().rev(), columns);
    let is_cut = !text[..start].is_empty() && !text[..start].ends_with(char::is_whitespace);
    let next = text[start..place].find(char::is_whitespace).filter(|_| is_cut);
    next.map_or(start, |blank| start + blank)
}

/// The places that answer the query before `end`, the first one known.
fn marks(text: &str, query: &Query, first: Range<usize>, end: usize) -> Vec<Range<usize>> {
    let mut marks = Vec::new();
    let mut next = Some(first).filter(|place| !place.is_empty());
    while let Some(place) = next.filter(|place| place.start < end) {
        next = query.find(text, place.end);
        marks.push(place.start..place.end.min(end));
    }
    marks
}

/// How many bytes of `chars` have room in so many columns.
fn length(chars: impl Iterator<Item = char>, columns: usize) -> usize {
    let mut used = 0;
    let mut after_blank = false;
    let mut bytes = 0;
    for c in chars {
        if !(c.is_whitespace() && after_blank) {
            used += columns_of(c);
        }
        after_blank = c.is_whitespace();
        if used > columns {
            break;
        }
        bytes += c.len_utf8();
    }
    bytes
}

fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// What is not printable is shown as its code point.
fn columns_of(c: char) -> usize {
    if c.is_whitespace() { 1 } else { c.width().unwrap_or(8) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::query::Case;

    fn excerpt(text: &str, query: &str, columns: usize) -> String {
        let query = Query::parse(query, Case::Ignored).unwrap();
        let pieces = Excerpt::of(text, &query, columns).pieces;
        pieces.into_iter().map(|(text, is_found)| if is_found { format!("[{text}]") } else { text }).collect()
    }

    #[test]
    fn what_was_found_is_in_the_middle_and_marked() {
        let text = format!("{}the parser\n\n   and the Parser{}", "so ".repeat(50), " on".repeat(50));
        assert_eq!(excerpt(&text, "parser", 40), "…so so so the [parser] and the [Parser] on …");
        assert_eq!(excerpt("  a parser ", "parser", 40), "a [parser]");
        assert_eq!(excerpt("nothing of it", "parser", 7), "nothi…");
        assert_eq!(excerpt("一二三四五六七八九十", "五", 12), "…三四[五]六七…");
        assert_eq!(excerpt(&"x".repeat(100), &"x".repeat(100), 10), format!("[{}]…", "x".repeat(8)));
    }
}
