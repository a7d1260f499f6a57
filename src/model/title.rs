//! A session's title from what the person first asked, or from the tool's own title, made fit for one line of a table.
//!
//! It looks for the first line that a person wrote: not code, not front matter, not what a harness wraps around a prompt.
//! It does not hide secrets (security does) and does not invent a title where there is none.

use super::printable::is_invisible;
use unicode_width::UnicodeWidthChar;

/// The widest title, in terminal columns.
const MAX_COLUMNS: usize = 80;
/// A shorter line says little: a longer one that follows in the same prompt is preferred.
const MIN_COLUMNS: usize = 3;
/// A full stop before this column ends an abbreviation or a greeting, not the thought.
const MIN_SENTENCE: usize = 10;
/// How far into a prompt a title is looked for: a pasted log of 100 MB is not read to its end.
const MAX_BYTES: usize = 256 * 1024;
/// How much of one line is tidied; more than any title needs, also after its markers are gone.
const MAX_LINE_COLUMNS: usize = 4 * MAX_COLUMNS;

/// Lines that a client writes into the person's place. The line after may well be the person's.
const NOT_A_PERSON: [&str; 6] = [
    "[Request interrupted",
    "Caveat: The messages below were generated",
    "This session is being continued from a previous conversation",
    "Implement the following plan:",
    "# AGENTS.md instructions",
    "Co-Authored-By:",
];

/// Harness tags have two words (`<system-reminder>`); these few hold the person's own words.
const PERSONS_TAGS: [&str; 5] = ["user_query", "user_input", "user_request", "user_message", "user_prompt"];

/// The title of a session whose person began with `text`: its first usable line, up to the end of the first sentence.
pub fn from_prompt(text: &str) -> Option<String> {
    best_line(text).map(|line| shorten(first_sentence(&line)))
}

/// A title that a tool or a person chose: tidied and shortened, never cut at a sentence.
pub fn clean(text: &str) -> Option<String> {
    best_line(text).map(|line| shorten(&line))
}

/// The first usable line that says something, else the first one: "hi" is better than no title.
fn best_line(text: &str) -> Option<String> {
    let mut short = None;
    for line in usable_lines(text) {
        if columns(&line) >= MIN_COLUMNS {
            return Some(line);
        }
        short.get_or_insert(line);
    }
    short
}

/// The lines of `text` that may serve as a title, tidied, without their markers.
fn usable_lines(text: &str) -> impl Iterator<Item = String> {
    Prose { rest: after_front_matter(head(text)), closing: String::new() }
        .filter(|line| !NOT_A_PERSON.iter().any(|start| line.starts_with(start)))
        .map(|line| without_markers(&tidy(line)).to_owned())
        .filter(|line| line.contains(char::is_alphanumeric))
}

/// The first [`MAX_BYTES`] of `text`, or a few less where a character would be split.
fn head(text: &str) -> &str {
    (0..4).find_map(|less| text.get(..MAX_BYTES - less)).unwrap_or(text)
}

/// `text` behind a leading block between two `---` lines; all of `text` where the block has no end.
fn after_front_matter(text: &str) -> &str {
    let text = text.trim_start();
    let (first, mut rest) = split_line(text);
    if first.trim_end() != "---" {
        return text;
    }
    while !rest.is_empty() {
        let (line, after) = split_line(rest);
        if matches!(line.trim_end(), "---" | "...") {
            return after;
        }
        rest = after;
    }
    text
}

/// Walks over the lines that are neither blank, nor code, nor a harness's.
struct Prose<'t> {
    rest: &'t str,
    /// The end of the element that wraps the person's words, if one does.
    closing: String,
}

impl<'t> Iterator for Prose<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.is_empty() {
                return None;
            }
            if let Some(after) = after_fence(self.rest).or_else(|| after_comment(self.rest)) {
                self.rest = after;
            } else if let Some(after) = self.after_tag() {
                self.rest = after;
            } else {
                let (line, after) = split_line(self.rest);
                self.rest = after;
                let line = line.trim_end();
                let line = if self.closing.is_empty() { line } else { line.trim_end_matches(self.closing.as_str()) };
                return Some(line);
            }
        }
    }
}

impl<'t> Prose<'t> {
    /// What follows a tag at the start: behind the whole element if a harness wrote it, else behind the tag itself if it
    /// stands alone or wraps whole lines. `<div> is not centred` is a person's sentence and starts with no such tag.
    fn after_tag(&mut self) -> Option<&'t str> {
        if self.rest.starts_with("</") {
            let (line, after) = split_line(self.rest);
            let line = line.trim_end();
            return (line.find('>') == Some(line.len() - 1)).then_some(after);
        }
        let (name, inner) = opening_tag(self.rest)?;
        let closing = format!("</{name}>");
        let end = inner.find(&closing);
        if let Some(end) = end.filter(|_| is_harness(name)) {
            return Some(&inner[end + closing.len()..]);
        }
        let wraps_lines = end.is_some_and(|end| split_line(&inner[end + closing.len()..]).0.trim().is_empty());
        if wraps_lines {
            self.closing = closing;
        }
        (wraps_lines || split_line(inner).0.trim().is_empty()).then_some(inner)
    }
}

/// True of the tags that clients put around what is not the person's.
fn is_harness(name: &str) -> bool {
    name.contains(['-', '_']) && !PERSONS_TAGS.contains(&name)
}

/// `<name …>` at the start: the name, and what follows the `>`.
fn opening_tag(text: &str) -> Option<(&str, &str)> {
    let tag = text.strip_prefix('<')?;
    let (name, rest) = tag.split_at(tag.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':')))?);
    let end = rest.find(['>', '<', '\n'])?;
    let is_tag = name.starts_with(|c: char| c.is_ascii_alphabetic()) && rest[end..].starts_with('>');
    is_tag.then(|| (name, &rest[end + 1..]))
}

/// What follows the fenced code at the start. An open fence runs to the end.
fn after_fence(text: &str) -> Option<&str> {
    let mark = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let (first, mut rest) = split_line(text);
    let length = first.len() - first.trim_start_matches(mark).len();
    if length < 3 || first[length..].contains(mark) {
        return None;
    }
    while !rest.is_empty() {
        let (line, after) = split_line(rest);
        let line = line.trim();
        if line.len() >= length && line.chars().all(|c| c == mark) {
            return Some(after);
        }
        rest = after;
    }
    Some("")
}

/// What follows the `<!-- … -->` at the start.
fn after_comment(text: &str) -> Option<&str> {
    text.strip_prefix("<!--")?.split_once("-->").map(|(_, after)| after)
}

/// The first line, without its end, and the rest.
fn split_line(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

/// One line of visible text: escape sequences, control characters and what reorders or hides text are removed, any
/// white space becomes one blank.
fn tidy(line: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_until_final(&mut chars),
            c if c.is_whitespace() => {
                if !out.is_empty() && !out.ends_with(' ') {
                    out.push(' ');
                    width += 1;
                }
            }
            c if c.is_control() || is_invisible(c) => {}
            c => {
                out.push(c);
                width += columns_of(c);
            }
        }
        if width > MAX_LINE_COLUMNS {
            break;
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Skips the rest of an escape sequence: CSI (colours), OSC (links, window titles), or one more character.
fn skip_escape(chars: &mut std::str::Chars) {
    match chars.next() {
        Some('[') => skip_until_final(chars),
        Some(']' | 'P' | '_' | '^') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || (c == '\u{1b}' && chars.next().is_some()) {
                    break;
                }
            }
        }
        Some('(' | ')' | '#') => drop(chars.next()),
        _ => {}
    }
}

/// Skips the parameters of a control sequence and the letter that ends it.
fn skip_until_final(chars: &mut std::str::Chars) {
    let _ = chars.find(|c| !matches!(c, '\u{20}'..='\u{3f}'));
}

/// `line` without the signs of headings, quotes, lists and whole-line emphasis. `#42` and `[WIP]` are words, not signs.
fn without_markers(line: &str) -> &str {
    let mut line = line;
    while let Some(rest) = after_marker(line) {
        line = rest.trim_start();
    }
    let bold = line.strip_prefix("**").and_then(|l| l.strip_suffix("**")).filter(|l| !l.contains("**"));
    bold.unwrap_or(line)
}

/// `line` behind one marker at its start.
fn after_marker(line: &str) -> Option<&str> {
    let (word, rest) = line.split_once(' ')?;
    let digits = word.trim_end_matches(['.', ')']);
    let is_number =
        digits.len() + 1 == word.len() && (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let is_marker = matches!(word, "-" | "*" | "+" | "•")
        || (word.len() <= 6 && word.bytes().all(|b| b == b'#'))
        || word.bytes().all(|b| b == b'>')
        || is_number;
    let rest = is_marker.then_some(rest)?;
    Some(["[ ] ", "[x] ", "[X] "].iter().find_map(|checkbox| rest.strip_prefix(checkbox)).unwrap_or(rest))
}

/// `line` up to the end of its first sentence that is long enough to say something.
fn first_sentence(line: &str) -> &str {
    let mut width = 0;
    for (at, c) in line.char_indices() {
        let end = at + c.len_utf8();
        if width >= MIN_SENTENCE && ends_sentence(c, &line[..at], &line[end..]) {
            return &line[..end];
        }
        width += columns_of(c);
    }
    line
}

/// True where `c` between `before` and `after` ends a sentence: `foo.rs`, `e.g. this` and `3.5` do not.
fn ends_sentence(c: char, before: &str, after: &str) -> bool {
    match c {
        '。' | '！' | '？' | '．' | '｡' => !after.starts_with(['。', '！', '？', '」', '』', '”', '）']),
        '.' | '!' | '?' | '।' | '؟' | '۔' => {
            let word = before.rsplit([' ', '(']).next().unwrap_or_default();
            let abbreviated = c == '.' && ["e.g", "i.e", "eg", "ie", "vs", "cf", "approx"].contains(&word);
            (after.is_empty() || after.starts_with(' ')) && !abbreviated
        }
        _ => false,
    }
}

/// `line` in at most [`MAX_COLUMNS`]: cut between two words if one ends in its second half, and marked with `…`.
fn shorten(line: &str) -> String {
    if columns(line) <= MAX_COLUMNS {
        return line.to_owned();
    }
    let mut width = 0;
    let fits = line.find(|c| {
        width += columns_of(c);
        width > MAX_COLUMNS - 1
    });
    let fits = fits.unwrap_or(line.len());
    let word = if line[fits..].starts_with(' ') { Some(fits) } else { line[..fits].rfind(' ') };
    let cut = word.filter(|&at| columns(&line[..at]) > MAX_COLUMNS / 2).unwrap_or(fits);
    let head = line[..cut].trim_end_matches([' ', ',', ';', ':', '-', '–', '—', '\u{200d}']);
    format!("{head}…")
}

/// Columns that `text` takes on a terminal, rather more than fewer.
fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// Columns that `c` takes; the selector that turns a sign into a picture widens it.
fn columns_of(c: char) -> usize {
    if c == '\u{fe0f}' { 1 } else { c.width().unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr;

    #[test]
    fn titles_from_prompts() {
        let table = [
            // As it stands.
            ("Fix the login page", "Fix the login page"),
            ("  Fix\t the \u{a0} login  page \r\n\nand more", "Fix the login page"),
            ("[WIP] fix", "[WIP] fix"),
            ("#42 is broken", "#42 is broken"),
            ("Set up CI", "Set up CI"),
            ("(urgent) deploy fails", "(urgent) deploy fails"),
            ("Note: the build is red", "Note: the build is red"),
            ("-5 is not negative", "-5 is not negative"),
            (">= 5 fails", ">= 5 fails"),
            ("__init__ is empty", "__init__ is empty"),
            ("**kwargs are ignored", "**kwargs are ignored"),
            ("<div> is not centred", "<div> is not centred"),
            ("why the extra </div>", "why the extra </div>"),
            ("日志", "日志"),
            ("hi", "hi"),
            ("ok\n\ny", "ok"),
            ("hi\nFix the login page", "Fix the login page"),
            // Markers.
            ("# Fix it", "Fix it"),
            ("###### Fix it", "Fix it"),
            ("> - [ ] Fix it", "Fix it"),
            (">> Fix it", "Fix it"),
            ("1. Fix it", "Fix it"),
            ("12) Fix it", "Fix it"),
            ("* Fix it", "Fix it"),
            ("**Fix it**", "Fix it"),
            ("- \n---\n***\n##\nFix it", "Fix it"),
            // Sentences.
            ("Update foo.rs and bar.rs", "Update foo.rs and bar.rs"),
            ("Update foo.rs. Then bar.rs.", "Update foo.rs."),
            ("Hi there. Please fix the login page! Thanks.", "Hi there. Please fix the login page!"),
            ("Why is it slow? I measured.", "Why is it slow?"),
            ("Handle dates, e.g. the 31st. Test it.", "Handle dates, e.g. the 31st."),
            ("Use version 3.5 of the model. Please.", "Use version 3.5 of the model."),
            ("修复登录页面。然后添加测试。", "修复登录页面。"),
            ("好的。请帮我修复登录页面！谢谢", "好的。请帮我修复登录页面！"),
            ("これはどういう意味ですか？教えて", "これはどういう意味ですか？"),
            ("Почему падает сборка? Вот журнал.", "Почему падает сборка?"),
            ("लॉगिन पेज ठीक करो। फिर जाँचो।", "लॉगिन पेज ठीक करो।"),
            ("لماذا يفشل البناء؟ انظر السجل", "لماذا يفشل البناء؟"),
            // What is not the person's.
            ("```rust\nfn main() {}\n```\nExplain this", "Explain this"),
            ("~~~~\n```\n~~~\n~~~~\nExplain this", "Explain this"),
            ("```inline``` is broken", "```inline``` is broken"),
            ("---\nname: x\n---\n\nExplain this", "Explain this"),
            ("---\nExplain this", "Explain this"),
            ("<!-- a\nb -->\nExplain this", "Explain this"),
            ("<system-reminder>\nBe brief.\n</system-reminder>\nExplain this", "Explain this"),
            ("<system-reminder>Be brief.</system-reminder> Explain this", "Explain this"),
            ("<environment_context>\n  <cwd>/x</cwd>\n</environment_context>\nExplain this", "Explain this"),
            ("<user_query>\nExplain this\n</user_query>", "Explain this"),
            ("<task>Explain this</task>", "Explain this"),
            ("<task>Explain this\nand that</task>", "Explain this"),
            ("<task>\nExplain this</task>\n", "Explain this"),
            ("<br/>\n</p>\nExplain this", "Explain this"),
            ("[Request interrupted by user]\nExplain this", "Explain this"),
            ("Implement the following plan:\n\n# Fix it", "Fix it"),
            // Dangerous characters.
            ("\u{1b}[1;31mFix\u{1b}[0m it\u{7}\u{0}", "Fix it"),
            ("\u{1b}]8;;http://x\u{1b}\\Fix\u{1b}]8;;\u{7} it", "Fix it"),
            ("\u{1b}(BFix \u{9b}31mit", "Fix it"),
            ("Fix \u{202e}gnp.exe\u{202c}\u{2066} now\u{200b}", "Fix gnp.exe now"),
            ("می‌خواهم آن را درست کنم", "می‌خواهم آن را درست کنم"),
        ];
        for (prompt, title) in table {
            assert_eq!(from_prompt(prompt).as_deref(), Some(title), "{prompt:?}");
        }
    }

    #[test]
    fn some_prompts_have_no_title() {
        for prompt in ["", " \n\t", "```\ncode", "---", "?!?!", "<a-b>x</a-b>", "\u{1b}[2J", "\u{202e}\u{200b}"] {
            assert_eq!(from_prompt(prompt), None, "{prompt:?}");
        }
    }

    #[test]
    fn long_lines_are_cut_between_words() {
        let title = from_prompt(&"word ".repeat(100)).unwrap();
        assert_eq!(title, format!("{}…", "word ".repeat(16).trim_end()));
        assert_eq!(from_prompt(&"字".repeat(100)).unwrap(), format!("{}…", "字".repeat(39)));
        assert_eq!(from_prompt(&"x".repeat(80)).unwrap(), "x".repeat(80));
        assert_eq!(from_prompt(&"x".repeat(81)).unwrap(), format!("{}…", "x".repeat(79)));
    }

    #[test]
    fn a_huge_prompt_is_not_read_to_its_end() {
        let far = |start: &str| format!("{start}{}\nExplain this", " ".repeat(MAX_BYTES));
        for start in ["", "```", "---\n", "<a-b>", "<!--", "?"] {
            assert_eq!(from_prompt(&far(start)), None, "{start:?}");
        }
        assert_eq!(from_prompt(&far("Fix it")).as_deref(), Some("Fix it"));
    }

    #[test]
    fn a_chosen_title_keeps_its_sentences() {
        assert_eq!(clean("Fix the login. Then test\nmore").as_deref(), Some("Fix the login. Then test"));
        assert_eq!(clean("\u{1b}[31m# Release 2.0\u{202e}").as_deref(), Some("Release 2.0"));
        assert_eq!(clean(" "), None);
    }

    proptest! {
        #[test]
        fn titles_fit_a_line(text in "(\\PC|[\\x00-\\x20#<>`.-]){0,200}") {
            for title in [from_prompt(&text), clean(&text)].into_iter().flatten() {
                prop_assert!(title.width() <= MAX_COLUMNS);
                prop_assert!(!title.contains(|c: char| c.is_control()) && title.trim() == title);
            }
        }
    }
}
