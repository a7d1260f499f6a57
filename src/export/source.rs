//! An archived session as a tool's reader sees it.

use super::position::{self, Position};
use crate::error::{Error, Result};
use crate::model::conversation::{About, Conversation};
use crate::model::portion;
use crate::store::{ChunkCache, SessionRow, Store, Stream, StreamEnd, Summary, exact_device};
use crate::tools::{self, Format, Line, MAX_LINE, OnLine, Source, StreamInfo};
use jiff::Timestamp;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// One archived session, open for reading.
pub struct ArchivedSession<'a> {
    store: &'a Store,
    /// Its row.
    pub row: SessionRow,
    streams: Vec<Stream>,
    infos: Vec<StreamInfo>,
    cache: RefCell<ChunkCache>,
    /// The chunk that was read last: messages lie close together.
    piece: RefCell<Option<Piece>>,
    /// The moment at which it is seen; as it is now by default.
    position: Position,
    /// Names of main streams that were left out.
    aside: BTreeSet<String>,
}

struct Piece {
    stream: i64,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> ArchivedSession<'a> {
    /// Opens the session in `row`.
    pub fn open(store: &'a Store, row: SessionRow) -> Result<ArchivedSession<'a>> {
        let mut streams = store.streams(row.id)?;
        streams.retain(|stream| Format::parse(&stream.format).is_some());
        let infos = streams.iter().filter_map(info).collect();
        let (cache, piece) = (RefCell::default(), RefCell::default());
        let (position, aside) = (Position::default(), BTreeSet::new());
        Ok(ArchivedSession { store, row, streams, infos, cache, piece, position, aside })
    }

    /// The session as it was at `position`; an error where that is not here yet.
    pub fn cut(mut self, position: Position) -> Result<Self> {
        let mut ends: Vec<(i64, u64, String)> = Vec::new();
        for end in &position.streams {
            if let Some((stream, length)) = self.resolve(end)? {
                ends.push((stream, length, end.name.clone()));
            }
        }
        self.streams.retain(|stream| ends.iter().any(|(id, ..)| *id == stream.id));
        for stream in &mut self.streams {
            if let Some((_, length, name)) = ends.iter().find(|(id, ..)| *id == stream.id) {
                (stream.length, stream.shared) = (*length, 0);
                stream.name.clone_from(name);
            }
        }
        // A branch, or a file that went its own way, is the main one where the position lies in it.
        let has_main = self.streams.iter().any(|stream| stream.name == "main");
        let other = self.streams.iter().map(|stream| stream.name.clone());
        let other = other.filter(|_| !has_main).find(|name| tools::base_name(name) == "main");
        let leaf = position.leaf.map(|leaf| match other.as_ref().and_then(|name| leaf.strip_prefix(name.as_str())) {
            // The id of a message that is told by its place begins with its stream's name.
            Some(place) if place.starts_with(':') => format!("main{place}"),
            _ => leaf,
        });
        self.rename(|shown| {
            let is_main = other.as_deref() == Some(shown);
            let name = if is_main { "main" } else { shown };
            tools::branch(name).is_none().then(|| name.to_owned())
        });
        self.position = Position { leaf, ..position };
        Ok(self)
    }

    /// Gives the streams other names; those that get none are left aside.
    pub(super) fn rename(&mut self, name: impl Fn(&str) -> Option<String>) {
        for mut stream in std::mem::take(&mut self.streams) {
            match name(&stream.name) {
                Some(name) => {
                    if name != stream.name {
                        // What other branches share with it is a part of it.
                        (stream.name, stream.shared) = (name, 0);
                    }
                    self.streams.push(stream);
                }
                // A digest of what is told in full went no way of its own.
                None if info(&stream).is_some_and(|info| info.is_unseen_digest()) => {}
                None if tools::base_name(&stream.name) == "main" => drop(self.aside.insert(stream.name)),
                None => {}
            }
        }
        self.infos = self.streams.iter().filter_map(info).collect();
    }

    /// The stream that `end` speaks of, and its length there; `None` where it tells nothing that a conversation needs.
    fn resolve(&self, end: &StreamEnd) -> Result<Option<(i64, u64)>> {
        let name = tools::branch(&end.name).map_or(end.name.as_str(), |(name, _)| name);
        let is_main = end.name == "main";
        let mut copy = None;
        for stream in self.streams.iter().filter(|stream| stream.generation == end.generation) {
            let Some(origin) = &end.origin else {
                if stream.name == end.name {
                    return Ok(Some((stream.id, end.length.min(stream.length))));
                }
                continue;
            };
            if stream.own_name != name && stream.name != end.name {
                continue;
            }
            let device = self.store.device_of(stream)?;
            if device == *origin && (stream.length >= end.length || !is_main) {
                return Ok(Some((stream.id, end.length.min(stream.length))));
            }
            if device != *origin && exact_device(&device) == exact_device(origin) {
                copy = Some(stream);
            }
        }
        let in_copy = match (copy, end.lines) {
            // A document has no lines: all of it or nothing.
            (Some(stream), None) => Some((stream.id, stream.length)),
            (Some(stream), Some(lines)) => self.store.end_of_lines(stream, lines)?.map(|length| (stream.id, length)),
            (None, _) => None,
        };
        if in_copy.is_none() && is_main && end.origin.is_some() {
            return Err(Error::not_found(format!(
                "what another device had written of session {} at that moment is not here yet",
                self.row.public_id
            ))
            .hint("sfs pull"));
        }
        Ok(in_copy)
    }

    /// The archive that it is in.
    pub(super) fn store(&self) -> &Store {
        self.store
    }

    /// Main streams that are not walked: other branches.
    pub(super) fn aside(&self) -> usize {
        self.aside.len()
    }

    /// True where it is seen as it was at some moment.
    pub(super) fn is_cut(&self) -> bool {
        self.position != Position::default()
    }

    /// True where the last line of its streams has more in it than there was at that moment.
    pub(super) fn is_cut_within_line(&self) -> bool {
        self.position.is_within_line
    }

    /// The error for a moment at which there was nothing yet.
    pub(super) fn nothing_there(&self) -> Error {
        Error::failed(format!("session {} holds nothing at that position", self.row.public_id))
            .hint(format!("sfs show {} -m", self.row.public_id))
    }

    /// The archived streams that came from native files.
    pub fn native_streams(&self) -> &[Stream] {
        &self.streams
    }

    /// The live conversation.
    pub fn conversation(&self) -> Result<Conversation<'_>> {
        let mut conversation = tools::conversation(self)?;
        if let Some(leaf) = self.position.leaf.clone().filter(|_| self.position.is_within_line) {
            let (ties, missing) = (self.position.ties.clone(), leaf.clone());
            let missing = move || position::not_live(self, &missing);
            conversation.messages = portion::until(conversation.messages, leaf, ties, missing);
        }
        Ok(conversation)
    }

    /// What is known of the session beside its messages.
    pub fn about(&self, summary: &Summary) -> About {
        let at = |ms: Option<i64>| ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        About {
            tool: tools::find(&self.row.tool).map_or("unknown", |tool| tool.id()),
            native_id: self.row.native_id.clone(),
            cwd: summary.project.clone(),
            title: title(&self.row, summary),
            git_branch: summary.git_branch.clone(),
            model: summary.model.clone(),
            created_at: at(summary.created_at),
            updated_at: at(summary.updated_at),
        }
    }

    /// Where a stream's native file lies below the tool's folder.
    pub fn native_path(&self, info: &StreamInfo) -> Option<&str> {
        self.stream(info).ok()?.native_path.as_deref()
    }

    pub(super) fn stream(&self, info: &StreamInfo) -> Result<&Stream> {
        let found = self.streams.iter().find(|s| s.name == info.name && s.generation == info.generation);
        found.ok_or_else(|| {
            Error::failed(format!(
                "session {} has no stream {} (generation {})",
                self.row.public_id, info.name, info.generation
            ))
        })
    }
}

/// The title that is shown: a person's, else the tool's, else the first prompt's.
pub fn title(row: &SessionRow, summary: &Summary) -> Option<String> {
    row.title.clone().or_else(|| summary.tool_title.clone()).or_else(|| summary.prompt_title.clone())
}

fn info(stream: &Stream) -> Option<StreamInfo> {
    let format = Format::parse(&stream.format)?;
    Some(StreamInfo {
        name: stream.name.clone(),
        generation: stream.generation,
        format,
        length: stream.length,
        shared: stream.shared,
    })
}

impl Source for ArchivedSession<'_> {
    fn native_id(&self) -> &str {
        &self.row.native_id
    }

    fn streams(&self) -> &[StreamInfo] {
        &self.infos
    }

    fn for_each_line(&self, stream: &StreamInfo, from: u64, each: &mut OnLine<'_>) -> Result<()> {
        if stream.format.is_one_line() {
            let bytes = self.bytes(stream, from, stream.length.saturating_sub(from))?;
            let _ = each(Line { stream: &stream.name, number: 0, offset: from, bytes: &bytes })?;
            return Ok(());
        }
        let (name, end) = (&stream.name, stream.length);
        self.store.for_each_line(self.stream(stream)?, from..end, MAX_LINE as u64, &mut |number, offset, bytes| {
            each(Line { stream: name, number, offset, bytes })
        })
    }

    fn bytes(&self, stream: &StreamInfo, offset: u64, length: u64) -> Result<Vec<u8>> {
        let stream = self.stream(stream)?;
        let mut out = Vec::with_capacity(length as usize);
        let mut piece = self.piece.borrow_mut();
        while (out.len() as u64) < length {
            let at = offset + out.len() as u64;
            let wanted = (length as usize) - out.len();
            let hit = piece.as_ref().filter(|p| p.stream == stream.id && p.start <= at);
            if let Some(rest) = hit.and_then(|p| p.bytes.get((at - p.start) as usize..)).filter(|rest| !rest.is_empty())
            {
                out.extend_from_slice(&rest[..rest.len().min(wanted)]);
                continue;
            }
            let bytes = self.store.read_piece(stream, at, &mut self.cache.borrow_mut())?;
            if bytes.is_empty() {
                return Err(Error::failed(format!(
                    "stream {} of {} ends before byte {}",
                    stream.name,
                    self.row.public_id,
                    offset + length
                ))
                .hint("sfs admin check"));
            }
            *piece = Some(Piece { stream: stream.id, start: at, bytes });
        }
        Ok(out)
    }

    fn leaf(&self) -> Option<&str> {
        self.position.leaf.as_deref()
    }

    fn sibling(&self, native_id: &str) -> Result<Option<Box<dyn Source + '_>>> {
        let Some(row) = self.store.find_native(&self.row.tool, native_id)? else { return Ok(None) };
        Ok(Some(Box::new(ArchivedSession::open(self.store, row)?)))
    }
}
