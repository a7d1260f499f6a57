//! Import of portable .sfs folders.
//!
//! A folder that we exported lists the session's own bytes: the archive gets exactly those. Any other folder is archived
//! as it stands, `messages.jsonl` as the main stream, and read in its own form. Both ways a folder is a list of
//! [`Member`]s, and each goes into the session by one rule: what we hold of it already is left alone, what goes on from
//! ours is appended, what contradicts ours becomes a new generation. So importing twice changes nothing, and an import
//! never takes anything away.

mod copy;
mod folder;
mod manifest;
mod receive;

pub use self::copy::take_copy;
pub use self::folder::find as sfs_folders;
pub use self::receive::{Parcel, Received};

use self::folder::{Content, Member};
use self::manifest::Manifest;
use super::{Report, derive, facts};
use crate::error::{Error, Result};
use crate::id::SessionId;
use crate::model::label;
use crate::model::observation::{Observation, TitleRank};
use crate::store::{Checkpoint, ChunkCache, Event, Relation, SessionRow, Store, Stream, StreamEnd};
use crate::tools::{self, Format};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

/// So much is read at a time.
const PIECE: usize = 1 << 20;

/// What an import of folders did.
#[derive(Debug, Default)]
pub struct Imported {
    /// Files, bytes, sessions.
    pub report: Report,
    /// What a person should know about sessions that were imported all the same.
    pub notes: Vec<String>,
}

/// Imports one folder: all of it or, on an error, nothing.
pub fn import_sfs(store: &mut Store, folder: &Path) -> Result<Imported> {
    let manifest = Manifest::read(folder)?;
    let mut notes = Vec::new();
    let members = match manifest.own_bytes() {
        Ok(listed) => folder::listed(folder, &manifest, listed, &mut notes)?,
        Err(reason) => {
            notes.extend(reason);
            folder::foreign(folder, &mut notes)?
        }
    };
    let label = |note| format!("{}: {note}", folder.display());
    let (report, more) = store.write(|store| {
        let row =
            store.adopt_session(&manifest.tool, &manifest.native_id, SessionId::parse(&manifest.session_id).ok())?;
        if row.purged_at.is_some() {
            let note = format!("{} was purged here and stays out", row.public_id);
            return Ok((Report::default(), vec![note]));
        }
        let (report, mut notes) = Session::take(store, row.clone(), &manifest, members)?;
        if report.files > 0 {
            let detail = json!({"folder": folder.display().to_string(), "files": report.files, "bytes": report.bytes});
            store.audit(Event::Imported, &row.public_id, &detail)?;
        }
        if row.deleted_at.is_some() {
            notes.push(format!("{0} is deleted here and stays hidden: sfs undelete {0}", row.public_id));
        }
        Ok((report, notes))
    })?;
    Ok(Imported { report, notes: notes.into_iter().chain(more).map(label).collect() })
}

/// The session that a folder goes into.
struct Session {
    row: SessionRow,
    report: Report,
    /// Which of our generations each of the folder's became.
    generations: Vec<Placed>,
}

/// Where a generation of the folder is in the archive.
struct Placed {
    /// The stream, as the folder names it.
    name: String,
    theirs: u32,
    ours: u32,
    /// The device that writes it; `None`: this one.
    origin: Option<String>,
}

impl Session {
    fn take(
        store: &mut Store,
        row: SessionRow,
        manifest: &Manifest,
        mut members: Vec<Member>,
    ) -> Result<(Report, Vec<String>)> {
        let mut session = Session { row, report: Report::default(), generations: Vec::new() };
        let mut notes: Vec<String> = session.keep_aside(store, &mut members)?.into_iter().collect();
        session.all_streams(store, &mut members)?;
        if session.tell(store, manifest, &mut notes)? {
            session.report.files = session.report.files.max(1);
        }
        if session.report.files > 0 {
            session.report.sessions.insert(session.row.id);
        }
        Ok((session.report, notes))
    }

    /// Where we hold the session in its tool's own form, a copy in the portable one tells less: it is kept unread.
    fn keep_aside(&self, store: &Store, members: &mut [Member]) -> Result<Option<String>> {
        let theirs = members.iter().filter(|member| member.name == "main").max_by_key(|member| member.generation);
        let ours = store.newest_stream(self.row.id, "main")?;
        let is_native = |format: Format| format != Format::SfsJsonl && !format.is_digest();
        let tells_more = |ours: &Stream| ours.length > 0 && Format::parse(&ours.format).is_none_or(is_native);
        if theirs.is_none_or(|main| main.format != Format::SfsJsonl) || !ours.as_ref().is_some_and(tells_more) {
            return Ok(None);
        }
        members.iter_mut().for_each(Member::keep_aside);
        Ok(Some(format!(
            "the archive holds {} in its tool's own form; this copy is kept beside it",
            self.row.public_id
        )))
    }

    /// All files, each into its stream.
    fn all_streams(&mut self, store: &mut Store, members: &mut [Member]) -> Result<()> {
        members.sort_by(|a, b| (&a.name, a.generation).cmp(&(&b.name, b.generation)));
        members.chunk_by(|a, b| a.name == b.name).try_for_each(|generations| self.streams(store, generations))
    }

    /// What the manifest says beside the files, and everything that is derived. Says whether it said anything new.
    fn tell(&mut self, store: &mut Store, manifest: &Manifest, notes: &mut Vec<String>) -> Result<bool> {
        // Before the rebuild: sums leave out what is inherited.
        let told = self.tell_parent(store, manifest)? | self.tell_person(store, manifest, notes)?;
        if self.report.files > 0 || told {
            derive::rebuild_session(store, self.row.id)?;
        }
        Ok(self.tell_rest(store, manifest)? | self.tell_checkpoints(store, manifest)? | told)
    }

    /// All generations of one stream.
    fn streams(&mut self, store: &mut Store, theirs: &[Member]) -> Result<()> {
        let mut ours = store.streams(self.row.id)?;
        ours.retain(|stream| stream.name == theirs[0].name);
        let mut next = ours.iter().map(|stream| stream.generation + 1).max().unwrap_or(0);
        for member in theirs {
            let mut content = member.open()?;
            let mut stream = if let Some(at) = counterpart(store, &ours, member, &mut content)? {
                ours.swap_remove(at)
            } else {
                self.report.files += u64::from(member.length == 0);
                next += 1;
                store.create_stream(member.key(self.row.id, next - 1))?
            };
            let (name, theirs, ours) = (member.name.clone(), member.generation, stream.generation);
            self.generations.push(Placed { name, theirs, ours, origin: None });
            if stream.length < member.length {
                self.report.bytes += append(store, &mut stream, &mut content)?;
                self.report.files += 1;
            }
        }
        Ok(())
    }

    /// Says whether the session got a parent.
    fn tell_parent(&mut self, store: &mut Store, manifest: &Manifest) -> Result<bool> {
        let is_news = |parent: &&SessionId| self.row.parent.is_none() && **parent != self.row.public_id;
        let Some(parent) = manifest.parent.as_ref().filter(is_news) else { return Ok(false) };
        let relation = if manifest.is_fork { Relation::Fork } else { Relation::Resume };
        store.learn_parent(self.row.id, parent.as_str(), relation, manifest.inherited)?;
        self.row = store.session(self.row.id)?;
        Ok(true)
    }

    /// A person's own title and tags, where nobody said anything of them here. Says whether any came.
    fn tell_person(&self, store: &mut Store, manifest: &Manifest, notes: &mut Vec<String>) -> Result<bool> {
        let (titled, tagged) = store.was_described(self.row.id)?;
        let title = manifest.title.as_deref().filter(|_| manifest.title_is_a_persons && !titled);
        let title = title.and_then(label::fitting_title);
        if title.is_some() {
            store.set_title(self.row.id, title.as_deref())?;
        }
        let theirs = if tagged { &[] } else { &manifest.tags[..] };
        let tags: BTreeSet<String> =
            theirs.iter().filter_map(|tag| label::tag(tag).ok()).take(label::MAX_TAGS).collect();
        for tag in &tags {
            store.add_tag(self.row.id, tag)?;
        }
        let left: Vec<&str> = theirs.iter().map(|tag| tag.trim()).filter(|tag| !tags.contains(*tag)).collect();
        if !left.is_empty() {
            notes.push(format!("tags left out ({}): {}", label::TAG_RULE, left.join(", ")));
        }
        Ok(title.is_some() || !tags.is_empty())
    }

    /// Checkpoints of names that are free here, where all of what they mark came along. Says whether there were any.
    fn tell_checkpoints(&self, store: &mut Store, manifest: &Manifest) -> Result<bool> {
        let device = store.origin_name()?;
        let ours = |end: &StreamEnd| {
            let of = |placed: &&Placed| placed.name == end.name && placed.theirs == end.generation;
            let placed = self.generations.iter().find(of)?;
            let origin = placed.origin.clone().or_else(|| Some(device.clone()));
            Some(StreamEnd { generation: placed.ours, origin, ..end.clone() })
        };
        let mut told = false;
        for checkpoint in
            manifest.checkpoints.iter().filter(|checkpoint| Checkpoint::check_name(&checkpoint.name).is_ok())
        {
            let streams: Option<Vec<StreamEnd>> = checkpoint.streams.iter().map(ours).collect();
            if let Some(streams) = streams
                && store.checkpoint(self.row.id, &checkpoint.name)?.is_none()
            {
                store.add_checkpoint(self.row.id, &Checkpoint { streams, ..checkpoint.clone() })?;
                told = true;
            }
        }
        Ok(told)
    }

    /// What the tool kept outside of the session's bytes, such as a title in an index. Says whether anything was new.
    fn tell_rest(&self, store: &mut Store, manifest: &Manifest) -> Result<bool> {
        let summary = store.summary(self.row.id)?;
        let session = self.row.id;
        if let Some(title) = manifest.title.clone()
            && manifest.title_is_a_tools
            && summary.tool_title.is_none()
        {
            facts::observe_in(store, session, Observation::Title(TitleRank::Chosen, title))?;
        }
        if let Some(project) = manifest.project.clone().filter(|_| summary.project.is_none()) {
            facts::observe_in(store, session, Observation::Project(project))?;
        }
        if summary.updated_at.is_none() {
            for at in [manifest.created_at, manifest.updated_at].into_iter().flatten() {
                facts::observe_in(store, session, Observation::Activity(at))?;
            }
        }
        Ok(store.summary(self.row.id)? != summary)
    }
}

/// Which of `ours` the member is, or goes on from, or is the beginning of: the one nearest in length.
fn counterpart(store: &Store, ours: &[Stream], member: &Member, content: &mut Content) -> Result<Option<usize>> {
    let mut nearest: Option<(u64, usize)> = None;
    for (at, stream) in ours.iter().enumerate().filter(|(_, stream)| stream.format == member.format.as_str()) {
        let distance = stream.length.abs_diff(member.length);
        if nearest.is_none_or(|(least, _)| distance < least) && agrees(store, stream, content)? {
            nearest = Some((distance, at));
        }
    }
    Ok(nearest.map(|(_, at)| at))
}

/// True where the shorter of the two is the beginning of the longer one.
fn agrees(store: &Store, stream: &Stream, content: &mut Content) -> Result<bool> {
    let mut cache = ChunkCache::default();
    content.go_to(0)?;
    let mut at = 0;
    while at < stream.length {
        let ours = store.read_piece(stream, at, &mut cache)?;
        let theirs = content.read(ours.len())?;
        if ours.is_empty() || !ours.starts_with(&theirs) {
            return Ok(false);
        }
        if theirs.len() < ours.len() {
            break;
        }
        at += ours.len() as u64;
    }
    Ok(true)
}

/// Appends what `content` has beyond the stream; says how many bytes.
fn append(store: &mut Store, stream: &mut Stream, content: &mut Content) -> Result<u64> {
    let before = stream.length;
    content.go_to(before)?;
    while stream.length < content.length {
        let bytes = content.read(PIECE)?;
        if bytes.is_empty() {
            return Err(Error::failed(format!("{} became shorter while it was read", content.path.display()))
                .hint("import it again when nothing writes to it"));
        }
        store.append(stream, &bytes)?;
    }
    Ok(stream.length - before)
}

/// The id under which we know a tool, whatever a folder calls it.
fn tool_id(name: &str) -> &str {
    tools::find(name).map_or(name, |tool| tool.id())
}
