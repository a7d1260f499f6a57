//! `sfs audit`.

use super::{Context, arguments, ui};
use crate::error::Result;
use crate::store::{Among, AuditFilter, AuditRow, Event};
use argh::{ArgsInfo, FromArgs};
use serde_json::{Value, json};

/// So many rows where no limit is given and a person reads them.
const ROWS: u64 = 50;

/// Show what was done with sessions here, the newest first
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "audit")]
#[argh(example = "sfs audit --since 7d
sfs audit --event purged --json")]
#[argh(
    note = "Events: captured (first seen), imported, resumed, restored, exported, renamed, tagged, deleted, undeleted,
purged, forked, checkpoint, moved, pushed, pulled, conflict (a server or a device had another version; both are kept),
shared, unshared, handed_off, accepted, and of the account: signed_up, logged_in, logged_out, key_created, key_revoked,
auth_failed."
)]
pub(super) struct Audit {
    /// only since: 30m, 24h, 7d, 2w, or a date such as 2026-11-22
    #[argh(option)]
    since: Option<String>,
    /// only this session, deleted and purged ones too
    #[argh(option)]
    session: Option<String>,
    /// only this event
    #[argh(option)]
    event: Option<String>,
    /// at most so many (default 50; all with --json)
    #[argh(option, short = 'n', from_str_fn(arguments::count))]
    limit: Option<u64>,
    /// print as a JSON array
    #[argh(switch)]
    json: bool,
}

impl Audit {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let store = context.open()?;
        let session = self.session.as_deref().map(|words| store.resolve_among(words, Among::All)).transpose()?;
        let rows = store.audit_log(&AuditFilter {
            since: self.since.as_deref().map(arguments::moment).transpose()?,
            session: session.map(|row| row.public_id),
            event: self.event.as_deref().map(Event::parse).transpose()?,
            limit: self.limit.or(if self.json { None } else { Some(ROWS) }),
        })?;
        if self.json {
            let rows = rows.into_iter().map(|row| {
                json!({"at": ui::rfc3339(row.at), "event": row.event, "session": row.session, "detail": row.detail})
            });
            return context.ui.json(&rows.collect::<Vec<_>>());
        }
        if rows.is_empty() {
            context.ui.note("Nothing of that kind happened.");
        }
        rows.iter().try_for_each(|row| context.ui.line(&line(context, row)))
    }
}

fn line(context: &Context, row: &AuditRow) -> String {
    let session = row.session.as_deref().unwrap_or_default();
    let detail = match &row.detail {
        Value::Object(fields) => fields.iter().map(|(name, value)| field(name, value)).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    let text = format!("{}  {:<11}  {session:<20}  {detail}", ui::local_time(row.at), row.event);
    ui::fit(text.trim_end(), context.ui.width())
}

fn field(name: &str, value: &Value) -> String {
    match value {
        Value::String(text) => format!("{name} {text}"),
        Value::Array(items) => {
            let words = items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
            format!("{name} {}", words.collect::<Vec<_>>().join(" "))
        }
        other => format!("{name} {other}"),
    }
}
