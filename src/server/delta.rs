//! The exchange between our own two sides, see [`crate::sync`]: an account's archive, and what a device lacks of it or brings.
//! A request that names a share is about that session alone, see [`super::grant`].

use super::api::Call;
use super::audit::Event;
use super::exchange::Response;
use super::grant::Grant;
use super::query::Query;
use super::reply::{Answer, Refusal, json};
use super::transfer::check_quota;
use crate::error::{Context, Error, Kind};
use crate::store::Store;
use crate::sync::answer;
use crate::sync::wire::{Accepted, Frame, Push, pack, unpack};
use serde::de::DeserializeOwned;
use std::io::Read;

/// Bytes of a packed message.
pub(super) const MAX_MESSAGE: u64 = 20 << 20;
/// Bytes of a question about many streams or chunks.
pub(super) const MAX_QUESTION: u64 = 4 << 20;

/// What a client got wrong is its fault, not the server's.
pub(super) fn refusal(error: Error) -> Refusal {
    match error.kind() {
        Kind::Usage => Refusal::new(400, error.message()),
        Kind::NotFound => Refusal::new(404, error.message()),
        _ => error.into(),
    }
}

impl Call<'_> {
    fn archive<T>(&self, work: impl FnOnce(&mut Store) -> crate::error::Result<T>) -> Result<T, Refusal> {
        self.api.archives.with(self.caller.account.id, |store| work(store).map_err(refusal))
    }

    fn told<T: DeserializeOwned>(&mut self) -> Result<T, Refusal> {
        let mut bytes = Vec::new();
        (&mut self.request.body).take(MAX_QUESTION).read_to_end(&mut bytes).context(|| "a message can't be read")?;
        serde_json::from_slice(&bytes).map_err(|error| Refusal::new(400, format!("Malformed message: {error}")))
    }
}

pub(super) fn changes(call: &Call<'_>) -> Answer {
    if Grant::of(call)?.is_some() {
        return Err(Refusal::not_found());
    }
    let query = Query::of(call.request)?;
    let since = query.get("since").unwrap_or("0").parse().map_err(|_| Refusal::new(400, "since is not a number"))?;
    Ok(json(200, &call.archive(|store| answer::changes(store, since))?))
}

pub(super) fn session(call: &Call<'_>, id: &str) -> Answer {
    if let Some(grant) = Grant::of(call)? {
        return grant.session(call, id);
    }
    let state = call.archive(|store| answer::session(store, id))?.ok_or_else(Refusal::not_found)?;
    Ok(json(200, &state))
}

pub(super) fn has_chunks(call: &mut Call<'_>) -> Answer {
    let hashes: Vec<_> = call.told()?;
    if Grant::of(call)?.is_some() {
        return Grant::has_chunks(&hashes);
    }
    Ok(json(200, &call.archive(|store| answer::has_chunks(store, &hashes))?))
}

pub(super) fn chunks(call: &mut Call<'_>) -> Answer {
    let place = call.told()?;
    if let Some(grant) = Grant::of(call)? {
        return grant.chunks(call, &place);
    }
    Ok(json(200, &call.archive(|store| answer::chunks(store, &place))?))
}

pub(super) fn pull(call: &mut Call<'_>) -> Answer {
    let wants: Vec<_> = call.told()?;
    if let Some(grant) = Grant::of(call)? {
        return grant.pull(call, &wants);
    }
    let frame = call.archive(|store| answer::pull(store, &wants))?;
    let packed = pack(&frame.header, &frame.bytes)?;
    call.note(Event::Pulled, None, format!("{} streams, {} bytes", frame.header.len(), frame.bytes.len()));
    Ok(Response::bytes(200, "application/zstd", packed))
}

pub(super) fn push(call: &mut Call<'_>) -> Answer {
    if let Some(grant) = Grant::of(call)? {
        return grant.push(call);
    }
    let frame: Frame<Push> = unpack((&mut call.request.body).take(MAX_MESSAGE)).map_err(|error| {
        // What does not unpack was packed wrongly.
        Refusal::new(400, error.message())
    })?;
    let new = frame.bytes.len() as u64;
    let answer = call.api.archives.with(call.caller.account.id, |store| {
        check_quota(call, store, new)?;
        answer::accept(store, &frame.header, &frame.bytes).map_err(refusal)
    })?;
    for (session, accepted) in frame.header.sessions.iter().zip(&answer.sessions) {
        let (event, detail) = match accepted {
            Accepted::Streams(streams) if !streams.is_empty() => (Event::Pushed, format!("{} streams", streams.len())),
            Accepted::Streams(_) => continue,
            Accepted::Refused(why) => (Event::Conflict, why.clone()),
        };
        call.note(event, crate::id::SessionId::parse(&session.id).ok().as_ref(), detail);
    }
    Ok(json(200, &answer))
}
