//! `sfs scan`: where secrets stand in archived sessions.

use super::Context;
use super::ui::{self, Style};
use crate::error::{Error, Result};
use crate::export::{self, ArchivedSession, Finding};
use crate::security::{Redactor, Severity};
use crate::store::{Filter, SessionRow, Store};
use argh::{ArgsInfo, FromArgs};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Find secrets (keys, tokens, passwords) in sessions; they are shown masked
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "scan")]
#[argh(example = "sfs scan
sfs scan last --json
sfs scan --severity high --fail")]
#[argh(
    note = "Everything that the archive holds of a session is searched: every stream, every version. A secret that was
found stays there, and in the tool's own files: change it where it is valid. Copies without secrets:
sfs export ID --format html, markdown, or sfs with --redact."
)]
pub(super) struct Scan {
    /// the sessions: ids, prefixes of them, the tool's own ids, or `last`; all by default
    #[argh(positional)]
    ids: Vec<String>,
    /// print as JSON
    #[argh(switch)]
    json: bool,
    /// only this severity and worse: medium (the default), high or critical
    #[argh(option, default = "Severity::Medium", from_str_fn(severity))]
    severity: Severity,
    /// exit with 1 where a secret is found
    #[argh(switch)]
    fail: bool,
}

fn severity(word: &str) -> std::result::Result<Severity, String> {
    Severity::parse(word).ok_or_else(|| "a severity is medium, high or critical".to_owned())
}

/// How much was found.
#[derive(Default)]
struct Total {
    /// Places.
    findings: u64,
    /// Sessions with at least one.
    sessions: u64,
}

impl Scan {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let mut store = context.open()?;
        let redactor = Redactor::new(store.write(Store::redaction_key)?);
        let rows = self.rows(&store)?;
        let total = if self.json {
            self.print_json(context, &store, &redactor, rows)?
        } else {
            self.print(context, &store, &redactor, rows)?
        };
        if self.fail && total.findings > 0 {
            return Err(Error::failed(ui::counted(total.findings, "finding")).hint("change them where they are valid"));
        }
        Ok(())
    }

    fn rows(&self, store: &Store) -> Result<Vec<SessionRow>> {
        if self.ids.is_empty() {
            return Ok(store.list(&Filter::default())?.into_iter().map(|(row, _)| row).collect());
        }
        self.ids.iter().map(|id| store.resolve(id)).collect()
    }

    fn print_json(
        &self,
        context: &Context,
        store: &Store,
        redactor: &Redactor,
        rows: Vec<SessionRow>,
    ) -> Result<Total> {
        let mut total = Total::default();
        let head = [("sessions".to_owned(), Value::from(rows.len()))].into_iter().collect();
        context.ui.json_with_array(&head, "findings", |each| {
            for row in rows {
                let id = row.public_id.to_string();
                let session = ArchivedSession::open(store, row)?;
                self.findings(store, &session, redactor, &mut total, &mut |finding| each(&as_json(&id, &finding)))?;
            }
            Ok(())
        })?;
        Ok(total)
    }

    fn print(&self, context: &Context, store: &Store, redactor: &Redactor, rows: Vec<SessionRow>) -> Result<Total> {
        let mut total = Total::default();
        let count = rows.len();
        for (number, row) in rows.into_iter().enumerate() {
            context.ui.progress(Some(&format!("{number} of {} scanned", ui::counted(count as u64, "session"))));
            let session = ArchivedSession::open(store, row)?;
            // In the order of their first places.
            let mut secrets: Vec<(Finding, u64)> = Vec::new();
            let mut known = HashMap::new();
            self.findings(store, &session, redactor, &mut total, &mut |finding| {
                let key = (finding.kind, finding.fingerprint.clone());
                let at = *known.entry(key).or_insert(secrets.len());
                match secrets.get_mut(at) {
                    Some((_, places)) => *places += 1,
                    None => secrets.push((finding, 1)),
                }
                Ok(())
            })?;
            secrets.sort_by_key(|(finding, _)| (std::cmp::Reverse(finding.severity), finding.kind));
            context.ui.progress(None);
            if !secrets.is_empty() {
                let title = export::title(&session.row, &store.summary(session.row.id)?);
                print_session(context, &session, title.as_deref(), redactor, secrets)?;
            }
        }
        let found = ui::counted(total.findings, "finding");
        context.ui.note(&format!("{found} in {} of {}", total.sessions, ui::counted(count as u64, "session")));
        Ok(total)
    }

    /// The findings of one session that are wanted, counted.
    fn findings(
        &self,
        store: &Store,
        session: &ArchivedSession<'_>,
        redactor: &Redactor,
        total: &mut Total,
        each: &mut dyn FnMut(Finding) -> Result<()>,
    ) -> Result<()> {
        let before = total.findings;
        export::for_each_finding(store, session, redactor, &mut |finding| {
            if finding.severity < self.severity {
                return Ok(());
            }
            total.findings += 1;
            each(finding)
        })?;
        total.sessions += u64::from(total.findings > before);
        Ok(())
    }
}

fn print_session(
    context: &Context,
    session: &ArchivedSession<'_>,
    title: Option<&str>,
    redactor: &Redactor,
    secrets: Vec<(Finding, u64)>,
) -> Result<()> {
    let ui = &context.ui;
    let title = redactor.text(title.unwrap_or("(untitled)")).copy.into_owned();
    let id = session.row.public_id.to_string();
    ui.line(&format!("{} {}", ui.paint(Style::Bold, &id), ui::printable(&title)))?;
    for (finding, places) in secrets {
        let style = if finding.severity == Severity::Medium { Style::Yellow } else { Style::Red };
        let severity = ui.paint(style, &ui::pad(finding.severity.as_str(), 8));
        let more = if places > 1 { format!(" and {} more", places - 1) } else { String::new() };
        let place = format!("{}:{}{more}", place(&finding), finding.line);
        ui.line(&format!(
            "  {severity}  {}  {}  {}",
            finding.kind,
            ui::printable(&finding.masked),
            ui::printable(&place)
        ))?;
    }
    Ok(())
}

fn place(finding: &Finding) -> String {
    match &finding.stream {
        (name, 0) => name.clone(),
        (name, generation) => format!("{name} (generation {generation})"),
    }
}

fn as_json(id: &str, finding: &Finding) -> Value {
    json!({"id": id, "kind": finding.kind, "severity": finding.severity.as_str(), "stream": finding.stream.0,
        "generation": finding.stream.1, "line": finding.line, "masked": finding.masked,
        "fingerprint": finding.fingerprint})
}
