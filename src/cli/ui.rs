//! What is printed, and how: data to stdout, everything else to stderr; colour and progress only on a terminal.

use crate::error::{Context as _, Error, Result};
use crate::model::ledger::Ledger;
use serde::Serialize;
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
            let text = serde_json::to_string_pretty(value).context(unwritable)?;
            return self.line(&escaped(&text, |c| format!("\\u{:04x}", c as u32)));
        }
        self.line(&serde_json::to_string(value).context(unwritable)?)
    }

    /// Tells something that is not data.
    pub fn note(&self, text: &str) {
        tell(&format!("{}\n", printable(text)));
    }

    /// Shows progress on a terminal; `None` clears it.
    pub fn progress(&self, text: Option<&str>) {
        if std::io::stderr().is_terminal() {
            tell(&format!("\r\x1b[2K{}", text.unwrap_or_default()));
        }
    }

    /// Prints an error with its hint.
    pub fn error(&self, error: &Error) {
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
        for (name, entries) in [
            ("kept", &ledger.kept),
            ("mapped", &ledger.mapped),
            ("degraded", &ledger.degraded),
            ("dropped", &ledger.dropped),
        ] {
            for entry in entries {
                let detail = if entry.detail.is_empty() { String::new() } else { format!("  ({})", entry.detail) };
                self.note(&format!("  {name:<9}{:>6}  {}{detail}", entry.count, entry.what));
            }
        }
    }
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

/// Text from a session is hostile: it must not drive the terminal. Control characters (but line breaks and tabs) and
/// direction overrides are shown as their code points.
pub fn printable(text: &str) -> String {
    escaped(&text.replace('\r', ""), |c| format!("\\u{{{:x}}}", c as u32))
}

/// `text` with everything that a terminal would obey written as `escape` says.
fn escaped(text: &str, escape: impl Fn(char) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let obeyed = c.is_control() && !matches!(c, '\n' | '\t');
        if obeyed || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            out.push_str(&escape(c));
        } else {
            out.push(c);
        }
    }
    out
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
