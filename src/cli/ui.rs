//! What is printed, and how: data to stdout, everything else to stderr; colour and progress only on a terminal.

use crate::error::{Context as _, Error, Result};
use crate::model::ledger::Ledger;
use crate::model::printable::escaped;
pub use crate::model::printable::printable;
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::path::Path;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The terminal, or what stands in its place.
#[derive(Clone, Debug)]
pub struct Ui {
    /// Errors are printed as JSON too.
    pub json_errors: bool,
    colour: bool,
    width: usize,
}

/// How a word is set off on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Style {
    Plain,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

impl Ui {
    /// Looks at the terminal and the environment.
    pub fn new() -> Ui {
        let terminal = std::io::stdout().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|v| v == "dumb");
        Ui { json_errors: false, colour: terminal && !plain, width: terminal_width().unwrap_or(usize::MAX) }
    }

    /// Columns; very many where stdout is not a terminal.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Prints one line of data.
    pub fn line(&self, text: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).context(|| "stdout can't be written")
    }

    /// Prints a path: as it is for scripts, harmless for terminals.
    pub fn path(&self, path: &Path) -> Result<()> {
        let text = path.display().to_string();
        self.line(&if std::io::stdout().is_terminal() { printable(&text) } else { text })
    }

    /// Prints data as one JSON document.
    pub fn json(&self, value: &impl Serialize) -> Result<()> {
        let unwritable = || "the answer can't be written as JSON";
        if std::io::stdout().is_terminal() {
            return self.line(&harmless_json(&serde_json::to_string_pretty(value).context(unwritable)?));
        }
        self.line(&serde_json::to_string(value).context(unwritable)?)
    }

    /// Prints one JSON document: the fields of `head`, then the array `name` of what `walk` gives, element by element.
    /// The array may be larger than memory, so the document is compact on a terminal too.
    pub fn json_with_array(
        &self,
        head: &Map<String, Value>,
        name: &str,
        walk: impl FnOnce(&mut dyn FnMut(&Value) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        let terminal = std::io::stdout().is_terminal();
        let mut put = |text: &str| {
            let bytes = if terminal { Cow::Owned(harmless_json(text)) } else { Cow::Borrowed(text) };
            out.write_all(bytes.as_bytes()).context(|| "stdout can't be written")
        };
        let mut separator = '{';
        for (name, value) in head {
            put(&format!("{separator}{}:{value}", Value::from(name.as_str())))?;
            separator = ',';
        }
        put(&format!("{separator}{}:", Value::from(name)))?;
        let mut separator = "[";
        walk(&mut |element| {
            put(std::mem::replace(&mut separator, ","))?;
            put(&element.to_string())
        })?;
        put(if separator == "[" { "[]}\n" } else { "]}\n" })?;
        out.flush().context(|| "stdout can't be written")
    }

    /// Tells something that is not data.
    pub fn note(&self, text: &str) {
        tell(&format!("{}\n", printable(text)));
    }

    /// One line of a server's log, with its time.
    pub fn log(line: &impl std::fmt::Display) {
        tell(&format!("{} {}\n", jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ"), printable(&line.to_string())));
    }

    /// Shows progress on a terminal; `None` clears it.
    pub fn progress(&self, text: Option<&str>) {
        if std::io::stderr().is_terminal() {
            tell(&format!("\r\x1b[2K{}", text.unwrap_or_default()));
        }
    }

    /// Prints an error with its hint.
    pub fn error(&self, error: &Error) {
        self.progress(None);
        if self.json_errors {
            let body = serde_json::json!({"error": {"kind": error.kind().as_str(), "message": error.message(),
                "hint": error.hint_text()}});
            return tell(&format!("{body}\n"));
        }
        self.note(&format!("error: {}", error.message()));
        if let Some(hint) = error.hint_text() {
            self.note(&format!("hint: {hint}"));
        }
    }

    /// `text` in `style` where the terminal has colours.
    pub fn paint(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => return text.to_owned(),
            _ if !self.colour => return text.to_owned(),
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Red => "31",
            Style::Green => "32",
            Style::Yellow => "33",
            Style::Cyan => "36",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// A ledger as a person reads it.
    pub fn ledger(&self, ledger: &Ledger) {
        for line in ledger_lines(ledger) {
            self.note(&line);
        }
    }
}

/// A ledger as people read it.
pub fn ledger_lines(ledger: &Ledger) -> Vec<String> {
    let fates = [
        ("kept", &ledger.kept),
        ("mapped", &ledger.mapped),
        ("degraded", &ledger.degraded),
        ("dropped", &ledger.dropped),
    ];
    let mut lines = Vec::new();
    for (name, entries) in fates {
        for entry in entries {
            let detail = if entry.detail.is_empty() { String::new() } else { format!("  ({})", entry.detail) };
            lines.push(printable(&format!("  {name:<9}{:>6}  {}{detail}", entry.count, entry.what)));
        }
    }
    lines
}

impl Default for Ui {
    fn default() -> Self {
        Ui::new()
    }
}

/// Writes to stderr. Where nobody listens there is nobody to tell.
fn tell(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

fn terminal_width() -> Option<usize> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    columns
        .or_else(|| rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col)))
        .filter(|width| *width > 0)
}

/// True where the reader of our output has gone away, as `head` does.
pub fn is_broken_pipe(error: &Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        if source.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) {
            return true;
        }
        cause = source.source();
    }
    false
}

/// JSON whose strings can't drive a terminal; still the same JSON.
fn harmless_json(json: &str) -> String {
    escaped(json, |c| {
        let units = c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>();
        units.concat()
    })
}

/// `1 file`, `2 files`, `2 replies`: `one` is the word for one.
pub fn counted(count: u64, one: &str) -> String {
    let stem = one.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u']));
    match (count, stem) {
        (1, _) => format!("1 {one}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        _ => format!("{count} {one}s"),
    }
}

/// `text` in at most `width` columns, on one line.
pub fn fit(text: &str, width: usize) -> String {
    let line = printable(text).replace(['\n', '\t'], " ");
    if line.width() <= width {
        return line;
    }
    let mut used = 0;
    let mut out = String::new();
    for c in line.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        out.push(c);
    }
    out.push('…');
    out
}

/// `text` filled with blanks to `width` columns.
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// `text` with blanks before it.
pub fn pad_left(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(text.width())))
}

/// `1234567` as `1.2M`.
pub fn short_count(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => scaled(count, 1_000, "k"),
        1_000_000..1_000_000_000 => scaled(count, 1_000_000, "M"),
        _ => scaled(count, 1_000_000_000, "G"),
    }
}

/// Bytes as `1.2 MB`.
pub fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => scaled(count, 1_000, " kB"),
        1_000_000..1_000_000_000 => scaled(count, 1_000_000, " MB"),
        _ => scaled(count, 1_000_000_000, " GB"),
    }
}

fn scaled(count: u64, unit: u64, name: &str) -> String {
    let tenths = count * 10 / unit;
    if tenths >= 100 { format!("{}{name}", tenths / 10) } else { format!("{}.{}{name}", tenths / 10, tenths % 10) }
}

/// Milliseconds since 1970 as RFC 3339 in UTC.
pub fn rfc3339(ms: i64) -> Option<String> {
    jiff::Timestamp::from_millisecond(ms).ok().map(|at| at.to_string())
}

/// Milliseconds since 1970 as a local date and time.
pub fn local_time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map(|at| at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_default()
}

/// How long ago, in one unit: `5m ago`.
pub fn age(ms: i64) -> String {
    let seconds = (jiff::Timestamp::now().as_millisecond() - ms).max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds}s ago"),
        60..3_600 => format!("{}m ago", seconds / 60),
        3_600..86_400 => format!("{}h ago", seconds / 3_600),
        86_400..31_536_000 => format!("{}d ago", seconds / 86_400),
        _ => format!("{}y ago", seconds / 31_536_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_not_many() {
        assert_eq!(counted(0, "session"), "0 sessions");
        assert_eq!(counted(1, "session"), "1 session");
        assert_eq!(counted(2, "tool call"), "2 tool calls");
        assert_eq!((counted(1, "reply"), counted(3, "reply")), ("1 reply".to_owned(), "3 replies".to_owned()));
    }

    #[test]
    fn harmless_json_is_the_same_json() {
        let text = "a\u{1b}\u{202e}\u{e0041}\u{7f}b";
        let json = harmless_json(&serde_json::to_string(text).unwrap());
        assert!(json.is_ascii(), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
