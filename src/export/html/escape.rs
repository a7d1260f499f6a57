//! Text of strangers in HTML.

use crate::model::printable::printable;

/// `text` as the content of an element or of an attribute between quotes. What a terminal would obey is gone, what hides
/// or turns text is shown as its code point.
pub fn escaped(text: &str) -> String {
    escape(&plain(text))
}

/// `text` as one sees it: nothing in it is obeyed or hidden.
pub(super) fn plain(text: &str) -> String {
    printable(&without_ansi(text))
}

/// `text` whose mark-up is shown.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// `text` without a terminal's control sequences (ECMA-48): colours, cursor movements, titles, links. A line that was
/// written over again and again (`\r`) stands as its versions, one below the other.
pub(super) fn without_ansi(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find(['\u{1b}', '\u{9b}']) {
        out.push_str(&rest[..at]);
        rest = after_sequence(&rest[at..]);
    }
    out.push_str(rest);
    out
}

/// Behind the control sequence with which `text` begins. One that never ends is only its introducer.
fn after_sequence(text: &str) -> &str {
    let (introducer, rest) = match text.strip_prefix('\u{1b}') {
        Some(rest) => (rest.chars().next(), rest.get(1..).unwrap_or_default()),
        None => (Some('['), &text['\u{9b}'.len_utf8()..]),
    };
    match introducer {
        Some('[') => {
            let end = rest.find(|c: char| !(' '..='?').contains(&c)).unwrap_or(rest.len());
            let end = end + rest[end..].chars().next().filter(|c| ('@'..='~').contains(c)).map_or(0, char::len_utf8);
            &rest[end..]
        }
        // Commands, titles, links: up to the bell or the string terminator, which stand near.
        Some(']' | 'P' | '^' | '_' | 'X') => {
            let end = rest.find(['\u{7}', '\u{1b}', '\u{9c}', '\n']);
            let end = end.filter(|end| *end < 4096 && !rest[*end..].starts_with('\n'));
            end.map_or(rest, |end| {
                let rest = &rest[end..];
                rest.strip_prefix("\u{1b}\\").or_else(|| rest.strip_prefix(['\u{7}', '\u{9c}'])).unwrap_or(rest)
            })
        }
        Some('(' | ')' | '#' | '%') => rest.get(1..).unwrap_or(rest),
        Some(c) if c.is_ascii_graphic() => rest,
        _ => text.strip_prefix('\u{1b}').unwrap_or(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_up_is_shown_and_terminals_are_not_obeyed() {
        let table = [
            ("<a href=\"x\">'&'", "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;"),
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}a\u{1b}]8;;https://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "alink"),
            ("\u{9b}2Ja\u{1b}(Bb\u{1b}=c\u{1b}", "abc"),
            ("\u{1b}[31", ""),
            ("\u{1b}]0;never ends\nb", "0;never ends\nb"),
            ("10%\r20%\r\nb", "10%\n20%\nb"),
            ("a\u{202e}b\u{0}", "a\\u{202e}b\\u{0}"),
            ("\u{1b}é\u{1b}[é", "éé"),
        ];
        for (text, expected) in table {
            assert_eq!(escaped(text), expected, "{text:?}");
        }
    }
}
