//! The exchange of [`super::delta`] through a share: exactly one session of another account's archive, reading always,
//! adding only where the owner allowed it. Whatever else is named is as what does not exist.

use super::api::Call;
use super::audit::Event;
use super::delta::{MAX_MESSAGE, refusal};
use super::exchange::Response;
use super::reply::{Answer, Refusal, json};
use super::shares::Share;
use super::transfer::check_quota;
use crate::id::Hash;
use crate::store::{SessionRow, Store};
use crate::sync::answer;
use crate::sync::gate::TAG;
use crate::sync::wire::{
    AHEAD, Accepted, Frame, Part, Push, SHARE_HEADER, SaidOf, SessionState, StreamPlace, Want, device_of, pack, unpack,
};
use std::collections::BTreeSet;
use std::io::Read;

/// What a share lets its grantee do.
pub(super) struct Grant(Share);

impl Grant {
    /// The share that a request names, if it names one. One that can't be used is as none.
    pub(super) fn of(call: &Call<'_>) -> Result<Option<Grant>, Refusal> {
        let Some(id) = call.request.header(SHARE_HEADER) else { return Ok(None) };
        let share = call.api.accounts.grant(call.caller.account.id, id)?;
        share.map(|share| Some(Grant(share))).ok_or_else(Refusal::not_found)
    }

    fn with<T>(
        &self,
        call: &Call<'_>,
        work: impl FnOnce(&mut Store, &SessionRow) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        call.api.archives.with(self.0.owner, |store| {
            let row = store.find_public(&self.0.session)?.filter(|row| row.deleted_at.is_none());
            let row = row.ok_or_else(Refusal::not_found)?;
            // The exchange names a session by its tool's id for it. Where two have the same, it would be the other one.
            let named = store.find_native(&row.tool, &row.native_id)?;
            require(named.is_some_and(|named| named.id == row.id))?;
            work(store, &row)
        })
    }

    fn note(&self, call: &Call<'_>, event: Event, what: &str) {
        call.note(event, Some(&self.0.session), format!("{what}, shared by {}", self.0.from));
        // As with notes: what was done is done.
        let _ = call.api.accounts.share_was_opened(&self.0.id);
    }

    pub(super) fn session(&self, call: &Call<'_>, id: &str) -> Answer {
        if id != self.0.session.as_str() {
            return Err(Refusal::not_found());
        }
        let mut state = self.with(call, |store, row| Ok(SessionState::of(&store.whole_session(row.id)?)))?;
        state.registers.retain(is_shared);
        let foreign = self.foreign_devices(call, &state)?;
        state.streams.retain(|stream| foreign.contains(device_of(&stream.origin)));
        Ok(json(200, &state))
    }

    /// The devices of a session that are not the grantee's. What his own wrote they have, on whichever of them he reads, and
    /// the owner must not speak for them.
    fn foreign_devices(&self, call: &Call<'_>, state: &SessionState) -> Result<BTreeSet<String>, Refusal> {
        let (owner, grantee) = (self.0.owner, call.caller.account.id);
        let devices: BTreeSet<&str> = state.streams.iter().map(|stream| device_of(&stream.origin)).collect();
        let known = |store: &mut Store| {
            let known = devices.iter().map(|device| Ok((*device, store.knows_device(device)?)));
            known.collect::<Result<Vec<_>, Refusal>>()
        };
        let mut foreign = BTreeSet::new();
        for (device, is_known) in call.api.archives.with(grantee, known)? {
            let accounts = &call.api.accounts;
            if !accounts.is_lent(owner, grantee, device)? && accounts.is_foreign(grantee, owner, device, is_known)? {
                foreign.insert(device.to_owned());
            }
        }
        Ok(foreign)
    }

    /// Nothing: a chunk's hash must not tell what else the owner has.
    pub(super) fn has_chunks(hashes: &[Hash]) -> Response {
        json(200, &vec![false; hashes.len()])
    }

    pub(super) fn chunks(&self, call: &Call<'_>, place: &StreamPlace) -> Answer {
        let chunks = self.with(call, |store, row| {
            require(names(row, &place.tool, &place.native_id))?;
            answer::chunks(store, place).map_err(refusal)
        })?;
        Ok(json(200, &chunks))
    }

    pub(super) fn pull(&self, call: &Call<'_>, wants: &[Want]) -> Answer {
        let frame = self.with(call, |store, row| {
            require(wants.iter().all(|want| names(row, &want.stream.tool, &want.stream.native_id)))?;
            answer::pull(store, wants).map_err(refusal)
        })?;
        self.note(call, Event::Pulled, &format!("{} bytes", frame.bytes.len()));
        Ok(Response::bytes(200, "application/zstd", pack(&frame.header, &frame.bytes)?))
    }

    pub(super) fn push(&self, call: &mut Call<'_>) -> Answer {
        if !self.0.can_write() {
            return Err(Refusal::new(403, "The session is shared for reading only"));
        }
        let frame: Frame<Push> =
            unpack((&mut call.request.body).take(MAX_MESSAGE)).map_err(|error| Refusal::new(400, error.message()))?;
        let Frame { header: mut push, bytes } = frame;
        let is_chunk = |part: &Part| matches!(part, Part::Chunk(_));
        if push.sessions.len() != 1 || push.parts.iter().flatten().any(is_chunk) {
            return Err(Refusal::new(400, "A share takes one session, and its bytes as they are"));
        }
        let answer = self.with(call, |store, row| {
            let state = &mut push.sessions[0];
            require(names(row, &state.tool, &state.native_id))?;
            check_quota(call, store, bytes.len() as u64)?;
            state.parent = None;
            let newest = store.registers(row.id)?.iter().map(|register| register.counter).max().unwrap_or_default();
            state.registers.retain(|said| is_shared(said) && said.counter <= newest.saturating_add(AHEAD));
            if state.problem().is_none() {
                self.check_origins(call, store, state)?;
            }
            answer::accept(store, &push, &bytes).map_err(refusal)
        })?;
        match &answer.sessions[..] {
            [Accepted::Refused(why)] => self.note(call, Event::Conflict, why),
            _ if bytes.is_empty() => {}
            _ => self.note(call, Event::Pushed, &format!("{} bytes", bytes.len())),
        }
        Ok(json(200, &answer))
    }

    /// Who was let in writes streams of his own, and never goes on with one of the owner's devices. What other devices said
    /// of the session is not his to say.
    fn check_origins(&self, call: &Call<'_>, store: &Store, state: &mut SessionState) -> Result<(), Refusal> {
        let is_his = |device: &str| -> Result<bool, Refusal> {
            let is_known = store.knows_device(device)?;
            Ok(call.api.accounts.lend_origin(self.0.owner, call.caller.account.id, device, is_known)?)
        };
        for stream in &state.streams {
            if !is_his(device_of(&stream.origin))? {
                return Err(Refusal::new(409, "A share adds streams of its own devices only").code("foreign_device"));
            }
        }
        for said in std::mem::take(&mut state.registers) {
            if is_his(device_of(&said.device))? {
                state.registers.push(said);
            }
        }
        Ok(())
    }
}

fn names(row: &SessionRow, tool: &str, native_id: &str) -> bool {
    row.tool == tool && row.native_id == native_id
}

fn require(is_named: bool) -> Result<(), Refusal> {
    if is_named { Ok(()) } else { Err(Refusal::not_found()) }
}

/// What is said of a session for everybody who sees it: its title and tags, but not that it is deleted, nor the tag that says
/// what a person's own devices sync.
fn is_shared(said: &SaidOf) -> bool {
    said.field == "title" || said.field.strip_prefix("tag:").is_some_and(|tag| tag != TAG)
}
