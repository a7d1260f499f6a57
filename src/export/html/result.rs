//! What came of a tool call: short where there is nothing to read, folded where there is much.

use super::escape::{escape, plain};
use serde::Deserialize;

/// Lines of a text that are shown; the rest is folded, where it is worth it.
const SHOWN_LINES: usize = 12;
const SPARED_LINES: usize = 3;
/// And characters of them.
const SHOWN_CHARACTERS: usize = 2000;
/// How tools say in one line, which nobody reads, that all went well: how it begins, and what is in it.
const DONE: &[(&str, &str)] = &[
    ("The file ", " has been updated"),
    ("The file ", " has been edited"),
    ("File created successfully", ""),
    ("Todos have been modified successfully", ""),
    ("Plan updated", ""),
    ("Successfully created and wrote to new file", ""),
    ("Successfully modified file", ""),
    ("Successfully overwrote file", ""),
];

/// The result of a command that an old client of Codex wrapped into JSON.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unwrapped {
    /// What the command wrote.
    pub output: String,
    /// How it ended, and after how long.
    #[serde(rename = "metadata")]
    pub end: End,
}

/// How a command ended.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct End {
    /// What it returned.
    pub exit_code: Option<i64>,
    /// How long it took.
    duration_seconds: Option<f64>,
}

impl End {
    /// How long it took.
    pub fn duration_ms(&self) -> Option<u64> {
        self.duration_seconds.map(|seconds| (seconds * 1000.0) as u64)
    }
}

/// What is in a wrapped result; `None` where it is none.
pub fn unwrapped(content: &str) -> Option<Unwrapped> {
    let is_likely = content.starts_with("{\"output\":") && content.ends_with('}');
    if is_likely { serde_json::from_str(content).ok() } else { None }
}

/// The result as a piece of a page.
pub(super) fn result(content: &str, is_error: bool, exit_code: Option<i64>, duration_ms: Option<u64>) -> String {
    if let Some(Unwrapped { output, end }) = unwrapped(content) {
        let code = exit_code.or(end.exit_code);
        let duration = duration_ms.or(end.duration_ms());
        return shown(&output, is_error || code.is_some_and(|code| code != 0), code, duration);
    }
    shown(content, is_error, exit_code, duration_ms)
}

fn shown(content: &str, is_error: bool, exit_code: Option<i64>, duration_ms: Option<u64>) -> String {
    let text = plain(content);
    let text = text.trim_end();
    let note = note(is_error, exit_code, duration_ms);
    if text.is_empty() {
        return format!("{note}<p class=\"note\">no output</p>\n");
    }
    let is_done = DONE.iter().any(|(beginning, word)| text.starts_with(beginning) && text.contains(word));
    if is_done && !is_error && !text.contains('\n') {
        return format!("{note}<p class=\"note done\">{}</p>\n", escape(text));
    }
    note + &block(text, if is_error { "result error" } else { "result" })
}

/// How it ended, where that says something.
fn note(is_error: bool, exit_code: Option<i64>, duration_ms: Option<u64>) -> String {
    let has_failed = is_error || exit_code.is_some_and(|code| code != 0);
    let code = exit_code.filter(|code| *code != 0 || duration_ms.is_some()).map(|code| format!("exit code {code}"));
    let code = code.or_else(|| is_error.then(|| "error".to_owned()));
    let duration = duration_ms.filter(|ms| exit_code.is_some() || *ms >= 1000);
    let duration = duration.map(|ms| if ms < 1000 { format!("{ms} ms") } else { format!("{:.1} s", ms as f64 / 1e3) });
    let words: Vec<String> = code.into_iter().chain(duration).collect();
    if words.is_empty() {
        return String::new();
    }
    format!("<p class=\"note{}\">{}</p>\n", if has_failed { " error" } else { "" }, words.join(" · "))
}

/// A text that is printable already, its end folded where it is long.
pub(super) fn block(text: &str, class: &str) -> String {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let (head, rest) = text.split_at(end_of_head(text));
    let (kind, rest) = rest.strip_prefix('\n').map_or(("more of-line", rest), |rest| ("more", rest));
    let head = format!("<pre{class}>{}</pre>\n", escape(head));
    if rest.is_empty() {
        return head;
    }
    let more = match rest.lines().count() {
        0 | 1 => format!("{} more characters", rest.chars().count()),
        lines => format!("{lines} more lines"),
    };
    format!(
        "{head}<details class=\"{kind}\"><summary>{more}</summary>\n<pre{class}>{}</pre>\n</details>\n",
        escape(rest)
    )
}

/// Where the part ends that is shown.
fn end_of_head(text: &str) -> usize {
    let is_short = text.lines().nth(SHOWN_LINES + SPARED_LINES).is_none();
    let lines = if is_short { text.len() } else { end_of_line(text, SHOWN_LINES) };
    let is_narrow = text[..lines].char_indices().nth(2 * SHOWN_CHARACTERS).is_none();
    let characters = text.char_indices().nth(SHOWN_CHARACTERS).map_or(text.len(), |(at, _)| at);
    if is_narrow {
        return lines;
    }
    // Where there is a line to end with, not in the middle of one.
    text[..characters].rfind('\n').filter(|at| *at > characters / 2).unwrap_or(characters)
}

fn end_of_line(text: &str, number: usize) -> usize {
    memchr::memchr_iter(b'\n', text.as_bytes()).nth(number - 1).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize) -> String {
        (1..=count).map(|n| format!("line {n}\n")).collect::<Vec<_>>().concat()
    }

    #[test]
    fn a_long_result_says_how_much_more_there_is_and_nothing_is_lost() {
        let plain = |count| result(&lines(count), false, None, None);
        assert!(!plain(15).contains("<details"), "{}", plain(15));
        let long = plain(16);
        assert!(long.contains("line 12</pre>\n<details class=\"more\"><summary>4 more lines</summary>\n"), "{long}");
        assert!(long.contains("<pre class=\"result\">line 13\nline 14\nline 15\nline 16</pre>"), "{long}");
        let wide = result(&"жx".repeat(10_000), false, None, None);
        assert!(wide.contains("<summary>18000 more characters</summary>"), "{}", &wide[wide.len() - 200..]);
        assert_eq!(wide.matches('ж').count(), 10_000);
        let both = result(&format!("{}{}", lines(3), "ю".repeat(9000)), false, None, None);
        assert_eq!((both.matches('ю').count(), both.matches("line ").count()), (9000, 3));
    }

    #[test]
    fn what_codex_wrapped_is_unwrapped() {
        let wrapped = |code: i64| {
            format!(r#"{{"output":"a \"b\"\nc\n","metadata":{{"exit_code":{code},"duration_seconds":1.25}}}}"#)
        };
        insta::assert_snapshot!(result(&wrapped(0), false, None, None), @r#"
        <p class="note">exit code 0 · 1.2 s</p>
        <pre class="result">a &quot;b&quot;
        c</pre>
        "#);
        insta::assert_snapshot!(result(&wrapped(2), false, Some(2), Some(300)), @r#"
        <p class="note error">exit code 2 · 300 ms</p>
        <pre class="result error">a &quot;b&quot;
        c</pre>
        "#);
        for other in [
            r#"{"output":"a"}"#,
            r#"{"output":1,"metadata":{}}"#,
            r#"{"output":"a","metadata":{},"more":1}"#,
            r#"{"output":"a","metadata":{}} b}"#,
        ] {
            assert!(result(other, false, None, None).contains("{&quot;output&quot;"), "{other}");
        }
    }

    #[test]
    fn what_went_well_is_small() {
        let done = "The file /a/b has been updated.";
        assert_eq!(result(done, false, None, None), format!("<p class=\"note done\">{done}</p>\n"));
        assert!(result(&format!("{done}\nhere it is"), false, None, None).contains("<pre"));
        assert!(result(done, true, None, None).contains("<pre"));
        let failed = "<p class=\"note error\">exit code 3</p>\n<p class=\"note\">no output</p>\n";
        assert_eq!(result(" \n", false, Some(3), None), failed);
    }
}
