//! A portable session that a client sent to a server under an id of the client's choice.
//!
//! The published clients send the whole session each time, and want back what they sent last. So here a file that does not go
//! on from ours replaces it in the view, as a new generation; what it replaces stays below. Which files the last archive had is
//! noted in the receipt.

use super::folder::{self, Member};
use super::manifest::Manifest;
use super::{Session, agrees, append};
use crate::capture::Report;
use crate::error::Result;
use crate::id::SessionId;
use crate::model::label;
use crate::store::{Part, Receipt, SessionRow, Store};
use std::path::Path;

/// An unpacked archive that was looked through.
pub struct Parcel {
    manifest: Manifest,
    /// The session's own bytes, where the manifest lists them.
    own: Vec<Member>,
    /// All other files.
    rest: Vec<Member>,
}

/// What became of a parcel.
#[derive(Debug)]
pub struct Received {
    /// The session.
    pub session: SessionRow,
    /// It was not there before.
    pub is_new: bool,
}

impl Parcel {
    /// Looks through `folder`. A manifest that is missing or makes no sense is no reason to refuse what lies beside it:
    /// the session is then one of an unknown tool.
    pub fn open(folder: &Path, id: &SessionId) -> Result<Parcel> {
        let manifest = Manifest::read_as_far_as_possible(folder, id)?;
        let mut notes = Vec::new();
        let mut rest = folder::files(folder, &mut notes)?;
        let mut own = Vec::new();
        if let Ok(listed) = manifest.own_bytes() {
            own = folder::listed(folder, &manifest, listed, &mut notes)?;
            rest.retain(|member| !own.iter().any(|listed| listed.file == member.file));
            // They tell what the own bytes tell, and are kept as the client wrote them.
            rest.iter_mut().for_each(Member::keep_aside);
        }
        Ok(Parcel { manifest, own, rest })
    }

    /// Puts it into the session called `id`, within the caller's transaction. `tool` is what the client says, where it
    /// does; `bytes` is the archive's length.
    pub fn put(self, store: &mut Store, id: &SessionId, tool: Option<&str>, bytes: u64) -> Result<Received> {
        let Parcel { manifest, mut own, mut rest } = self;
        let known = store.find_public(id)?;
        let is_new = known.is_none();
        let row = if let Some(row) = known {
            row
        } else {
            // Two clients that name sessions in two ways send one session twice. Each of our own names one session by its
            // tool's id for it, so only one of them can have that.
            let tool = tool.unwrap_or(&manifest.tool);
            let is_taken = store.find_native(tool, &manifest.native_id)?.is_some();
            store.create_session(id, tool, if is_taken { id.as_str() } else { &manifest.native_id })?
        };
        let mut session = Session { row, report: Report::default(), generations: Vec::new() };
        session.all_streams(store, &mut own)?;
        if own.is_empty() {
            session.keep_aside(store, &mut rest)?;
        }
        let mut parts = Vec::new();
        for member in &rest {
            let generation = session.replace(store, member)?;
            parts.push(Part { name: member.file.clone(), stream: member.name.clone(), generation });
        }
        for member in &own {
            // We may hold more of it than the client: then what it sent is not the session.
            let Some(generation) = session.holder(store, member)? else {
                parts.clear();
                break;
            };
            parts.push(Part { name: member.file.clone(), stream: member.name.clone(), generation });
        }
        // The client is told nothing of what it sent beside its session.
        let told = session.tell(store, &manifest, &mut Vec::new())? | session.take_tags(store, &manifest)?;
        let row = session.row;
        // One without a single message is a session all the same.
        let summary = store.summary(row.id)?;
        store.save_summary(row.id, &summary)?;
        let (before, heads) = (store.receipt(row.id)?, store.heads(row.id)?);
        let is_known = before.as_ref().is_some_and(|before| before.members == parts && before.heads == heads);
        if told || !is_known {
            let now = jiff::Timestamp::now().as_millisecond();
            let created_at = before.map_or(now, |before| before.created_at);
            store.save_receipt(row.id, &Receipt { created_at, updated_at: now, bytes, members: parts, heads })?;
        }
        Ok(Received { session: row, is_new })
    }
}

impl Session {
    /// The newest generation of the member's stream becomes the member; says which one it is.
    fn replace(&mut self, store: &mut Store, member: &Member) -> Result<u32> {
        let mut content = member.open()?;
        let newest = store.newest_stream(self.row.id, &member.name)?;
        let next = newest.as_ref().map_or(0, |newest| newest.generation + 1);
        let mut stream = match newest {
            Some(newest)
                if newest.format == member.format.as_str()
                    && newest.length <= member.length
                    && agrees(store, &newest, &mut content)? =>
            {
                newest
            }
            _ => {
                self.report.files += u64::from(member.length == 0);
                store.create_stream(member.key(self.row.id, next))?
            }
        };
        if stream.length < member.length {
            self.report.bytes += append(store, &mut stream, &mut content)?;
            self.report.files += 1;
        }
        Ok(stream.generation)
    }

    /// The generation that is the member, byte for byte.
    fn holder(&self, store: &Store, member: &Member) -> Result<Option<u32>> {
        let mut content = member.open()?;
        for stream in store.streams(self.row.id)? {
            let may_be = stream.name == member.name && stream.length == member.length;
            if may_be && agrees(store, &stream, &mut content)? {
                return Ok(Some(stream.generation));
            }
        }
        Ok(None)
    }

    /// The published clients forget tags at each capture, so an empty list says nothing. Says whether they are others now.
    fn take_tags(&self, store: &mut Store, manifest: &Manifest) -> Result<bool> {
        let mut tags: Vec<String> = manifest.tags.iter().filter_map(|tag| label::tag(tag).ok()).collect();
        tags.sort();
        tags.dedup();
        tags.truncate(label::MAX_TAGS);
        if tags.is_empty() || store.tags(self.row.id)? == tags {
            return Ok(false);
        }
        store.set_tags(self.row.id, &tags)?;
        Ok(true)
    }
}
