//! A portable copy of a session that a server of the first contract gave out. It is taken in beside what is here, as the
//! streams of a device of its own, so nothing of either is overwritten: where the two differ, both are branches.

use super::folder::{self, Member};
use super::manifest::Manifest;
use super::{Placed, Session, agrees, append};
use crate::capture::{Report, branches};
use crate::error::Result;
use crate::id::SessionId;
use crate::store::{SessionRow, Store, Stream, StreamKey};
use crate::tools::{self, Format};
use std::path::Path;

/// Takes the unpacked archive in `folder` in, which the server calls `id`. What does not say which device wrote it is
/// `device`'s. `None`: the session was purged here and stays out.
pub fn take_copy(store: &mut Store, folder: &Path, id: &SessionId, device: &str) -> Result<Option<SessionRow>> {
    let manifest = Manifest::read_as_far_as_possible(folder, id)?;
    let mut notes = Vec::new();
    let mut members: Vec<(Member, Option<String>)> = match manifest.own_bytes() {
        Ok(listed) => {
            let members = folder::listed(folder, &manifest, listed, &mut notes)?;
            let origin = |member: &Member| listed.iter().find(|one| one.file == member.file)?.origin.clone();
            let origins: Vec<Option<String>> = members.iter().map(origin).collect();
            members.into_iter().zip(origins).collect()
        }
        Err(_) => folder::files(folder, &mut notes)?.into_iter().map(|member| (member, None)).collect(),
    };
    members.sort_by(|(a, _), (b, _)| (&a.name, a.generation).cmp(&(&b.name, b.generation)));
    store.write(|store| {
        let own_id = SessionId::parse(&manifest.session_id).unwrap_or_else(|_| id.clone());
        let row = store.adopt_session(&manifest.tool, &manifest.native_id, Some(own_id))?;
        if row.purged_at.is_some() {
            return Ok(None);
        }
        let mut session = Session { row, report: Report::default(), generations: Vec::new() };
        let has_own_form = store
            .streams(session.row.id)?
            .iter()
            .any(|stream| stream.own_name == "main" && stream.length > 0 && stream.format != Format::SfsJsonl.as_str());
        for (member, origin) in &mut members {
            // What stands beside the messages tells no more than the session's own form does.
            if has_own_form && member.name != "main" && origin.is_none() {
                member.keep_aside();
            }
            let origin = origin.as_deref().filter(|origin| is_device(origin)).unwrap_or(device);
            session.take_member(store, member, origin, device)?;
        }
        branches::settle(store, session.row.id)?;
        session.tell(store, &manifest, &mut Vec::new())?;
        Ok(Some(store.session(session.row.id)?))
    })
}

fn is_device(name: &str) -> bool {
    (8..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

impl Session {
    /// A file becomes a stream of `origin`: what is there is left alone, what goes on from it is appended, anything else
    /// is a new generation. Nobody else writes for this device: what is not here of it is `device`'s.
    fn take_member(&mut self, store: &mut Store, member: &Member, origin: &str, device: &str) -> Result<()> {
        let name = tools::branch(&member.name).map_or(member.name.as_str(), |(name, _)| name).to_owned();
        let mut content = member.open()?;
        let mut theirs = Vec::new();
        for stream in store.streams(self.row.id)? {
            if stream.own_name == name && stream.format == member.format.as_str() && store.device_of(&stream)? == origin
            {
                theirs.push(stream);
            }
        }
        theirs.sort_by_key(|stream| stream.generation);
        for stream in theirs.iter().filter(|stream| stream.length >= member.length) {
            if agrees(store, stream, &mut content)? {
                self.note(member, stream, origin);
                return Ok(());
            }
        }
        if store.own_device()?.as_deref() == Some(origin) {
            return self.take_member(store, member, device, device);
        }
        let next = theirs.last().map_or(0, |newest| newest.generation + 1);
        let goes_on = match theirs.pop() {
            Some(newest) if agrees(store, &newest, &mut content)? => Some(newest),
            _ => None,
        };
        let mut stream = if let Some(stream) = goes_on {
            stream
        } else {
            let key = StreamKey { name: &name, ..member.key(self.row.id, next) };
            store.ensure_stream_of(origin, key)?
        };
        self.note(member, &stream, origin);
        self.report.bytes += append(store, &mut stream, &mut content)?;
        self.report.files += 1;
        Ok(())
    }

    fn note(&mut self, member: &Member, stream: &Stream, origin: &str) {
        self.generations.push(Placed {
            name: member.name.clone(),
            theirs: member.generation,
            ours: stream.generation,
            origin: Some(origin.to_owned()),
        });
    }
}
