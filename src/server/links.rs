//! `GET /s/TOKEN`: a session as a page, for whoever has its link. No script, nothing loaded from elsewhere, no secrets.

use super::api::Api;
use super::archives::Reader;
use super::audit::{Entry, Event};
use super::exchange::{Body, Request, Response};
use super::reply::Refusal;
use super::shares::Share;
use crate::error::{Context, Error};
use crate::export::{self, ArchivedSession, Redaction};
use std::io::{BufWriter, Seek};

const PAGE: &str = "text/html; charset=utf-8";

/// What there is behind `token`. Unknown, ended and expired links are the same.
pub(super) fn open(api: &Api, request: &Request, token: &str) -> Result<Response, Refusal> {
    let is_token = token.len() == 64 && token.bytes().all(|b| b.is_ascii_hexdigit());
    let share = if is_token { api.accounts.link(token)? } else { None };
    let page = match share.as_ref().map(|share| page(api, share)).transpose() {
        Err(refusal) if refusal.status == 503 => return Ok(busy()),
        page => page?.flatten(),
    };
    let (Some(share), Some(page)) = (share, page) else { return Ok(not_found()) };
    // The page is made: where it can't be recorded, on a full disk, it is read all the same.
    let _ = api.accounts.share_was_opened(&share.id);
    let _ = api.accounts.record(&Entry {
        account: Some(share.owner),
        session: Some(share.session.to_string()),
        address: Some(request.client),
        detail: format!("link {}", share.id),
        ..Entry::of(Event::LinkOpened)
    });
    Ok(guarded(Response { status: 200, headers: vec![("Content-Type", PAGE.to_owned())], body: page }))
}

/// The session on a page, by way of a file: it may be large. None where it is gone.
fn page(api: &Api, share: &Share) -> Result<Option<Body>, Refusal> {
    let unwritable = || "the page can't be made";
    api.archives.read(share.owner, Reader::Guest, |store| {
        let Some(row) = store.find_public(&share.session)?.filter(|row| row.deleted_at.is_none()) else {
            return Ok(None);
        };
        let redaction = Redaction::of(store)?;
        let summary = store.summary(row.id)?;
        let mut out = BufWriter::new(tempfile::tempfile_in(&api.scratch).context(unwritable)?);
        export::html(store, &ArchivedSession::open(store, row)?, &summary, &redaction, &mut out)?;
        let mut file = out.into_inner().map_err(|error| Error::failed(unwritable()).because(error.into_error()))?;
        let length = file.stream_position().context(unwritable)?;
        file.rewind().context(unwritable)?;
        Ok(Some(Body::File(file, length)))
    })
}

/// Many read at this moment; the page's reader presses reload.
fn busy() -> Response {
    let page = "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Busy</title></head>\n\
        <body><h1>One moment</h1>\n<p>Too many sessions are being opened just now. Load this page again in a few seconds.</p>\
        </body>\n</html>\n";
    guarded(Response::bytes(503, PAGE, page.into())).with("Retry-After", "2")
}

fn not_found() -> Response {
    let page = "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Not found</title></head>\n\
        <body><h1>Not found</h1>\n<p>There is nothing here, or not any more.</p></body>\n</html>\n";
    guarded(Response::bytes(404, PAGE, page.into()))
}

/// Whatever the page says, the browser runs nothing, frames it nowhere, and tells nobody where it was.
fn guarded(response: Response) -> Response {
    response
        .with("Content-Security-Policy", format!("{}; frame-ancestors 'none'; sandbox", export::page_policy()))
        .with("Referrer-Policy", "no-referrer")
        .with("X-Robots-Tag", "noindex, nofollow")
        .with("X-Frame-Options", "DENY")
        .with("Cross-Origin-Resource-Policy", "same-origin")
}
