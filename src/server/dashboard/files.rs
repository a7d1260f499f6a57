//! Sessions as files.

use super::{Deed, Visit, sessions, told};
use crate::error::{Context, Result};
use crate::id::SessionId;
use crate::server::exchange::{Body, Response};
use crate::server::query::{Query, object, text};
use crate::server::reply::{Answer, Refusal};
use crate::web::detail;
use crate::web::download::{self, Form};
use std::fs::File;

/// Sessions in one file.
const MOST: usize = 200;
/// Bytes of it.
const LARGEST: u64 = 2 << 30;

pub(super) fn download(visit: &Visit<'_>, id: &SessionId) -> Answer {
    let query = Query::of(visit.request)?;
    let form = Form::parse(query.get("format").unwrap_or("sfs")).map_err(told)?;
    let is_redacted = is_redacted(query.get("redact"));
    let file = visit.read(|store| {
        let row = detail::find(store, id).map_err(|_| Refusal::not_found())?;
        download::file(store, row, form, is_redacted, visit.scratch()).map_err(told)
    })?;
    visit.note(Deed::Downloaded, id, "");
    Ok(attachment(file, form.media_type(), &format!("{id}.{}", form.extension()))?)
}

pub(super) fn export(visit: &mut Visit<'_>) -> Answer {
    let body = object(visit.request)?;
    let ids = sessions::ids(&body, MOST)?;
    let form = Form::parse(text(&body, "format")?.unwrap_or("sfs")).map_err(told)?;
    let is_redacted = body.get("redact").is_none_or(|redact| redact != false);
    let file = visit.read(|store| {
        let rows = ids.iter().map(|id| detail::find(store, id).map_err(|_| Refusal::not_found()));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        download::pack(store, rows, form, is_redacted, visit.scratch(), LARGEST).map_err(told)
    })?;
    for id in &ids {
        visit.note(Deed::Downloaded, id, "");
    }
    Ok(attachment(file, "application/x-tar", "sessions.tar")?)
}

/// Who wants the secrets says so.
fn is_redacted(word: Option<&str>) -> bool {
    !matches!(word, Some("0" | "false"))
}

/// A file that a browser saves and never shows.
fn attachment(file: File, media_type: &str, name: &str) -> Result<Response> {
    let length = file.metadata().context(|| "the file can't be read")?.len();
    let headers = vec![
        ("Content-Type", media_type.to_owned()),
        ("Content-Disposition", format!("attachment; filename=\"{name}\"")),
        ("Content-Security-Policy", "default-src 'none'; sandbox".to_owned()),
    ];
    Ok(Response { status: 200, headers, body: Body::File(file, length) })
}
