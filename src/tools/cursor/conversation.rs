//! The live conversation of a session: the bubbles that the newest version of the composer names, in its order, each in
//! its newest version. Where bubbles are missing and the graph is there, the graph's messages.
//!
//! Two passes: the first keeps where the newest version of each row stands; the second reads them as they are asked for.

use super::bubble::Bubble;
use super::composer::Composer;
use super::graph::{self, Root};
use super::look::header_of;
use super::order::{Order, order};
use super::reader::{CursorReader, beside, bubble_of, finish};
use super::row::{BLOB, CHAT, COMPOSER, Row};
use crate::error::{Error, Result};
use crate::model::conversation::Conversation;
use crate::model::message::Message;
use crate::tools::sfs::take_pictures_in;
use crate::tools::{Line, Reader, Reading, Source, StreamInfo};
use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::ControlFlow;

/// Why a message is left out that the composer names.
const LOST: &str = "Cursor no longer has their content";

/// Walks the session's conversation.
pub(super) fn live(source: &dyn Source) -> Result<Conversation<'_>> {
    let stream = source.newest("main").ok_or_else(|| {
        Error::not_found(format!("session {} has no main conversation", source.native_id()))
            .hint("only its sub-agents were captured")
    })?;
    let rows = NewestRows::read(source, stream)?;
    let plan = rows.plan(source, stream)?;
    let mut left_out = vec![
        ("messages", "edited or asked again: the conversation goes on without them", plan.unnamed),
        ("messages", LOST, plan.missing),
        ("sub-agent transcripts", "the main conversation has their results only", agents(source)),
    ];
    left_out.retain(|(_, _, count)| *count > 0);
    let walk = Walk { source, stream, pieces: plan.pieces.into_iter(), ready: VecDeque::new() };
    Ok(Conversation { messages: Box::new(walk), left_out })
}

/// True where Cursor lost what some of the messages said.
pub(super) fn is_incomplete(conversation: &Conversation<'_>) -> bool {
    conversation.left_out.iter().any(|(_, why, _)| *why == LOST)
}

/// How many sub-agents' transcripts there are.
pub(super) fn agents(source: &dyn Source) -> u64 {
    let is_agent = |stream: &&StreamInfo| stream.generation == 0 && stream.name.starts_with("subagents/");
    source.streams().iter().filter(is_agent).count() as u64
}

/// Where a line stands.
#[derive(Clone, Copy)]
struct Place {
    offset: u64,
    length: u64,
}

/// The newest version of each row that says something: what was once seen is never taken away.
#[derive(Default)]
struct NewestRows {
    bubbles: HashMap<String, Place>,
    blobs: HashMap<String, Place>,
    composer: Option<Place>,
}

/// What the conversation consists of.
struct Plan {
    pieces: Vec<Piece>,
    missing: u64,
    unnamed: u64,
}

enum Piece {
    /// A bubble, and who speaks, as the composer says it.
    Bubble(Place, Option<String>),
    /// A line that holds one or more messages: a blob, or a composer with everything inside.
    Line(Place),
}

impl NewestRows {
    fn read(source: &dyn Source, stream: &StreamInfo) -> Result<NewestRows> {
        let mut rows = NewestRows::default();
        source.for_each_line(stream, 0, &mut |line| {
            rows.line(line);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(rows)
    }

    fn line(&mut self, line: Line<'_>) {
        let place = Place { offset: line.offset, length: line.bytes.len() as u64 };
        let Ok(row) = Row::parse(line.bytes) else { return };
        // A deleted or damaged version does not take the place of a whole one.
        if !row.text().is_some_and(|text| text.trim_start().starts_with('{')) {
            return;
        }
        if let Some(id) = bubble_of(&row.key) {
            self.bubbles.insert(id.to_owned(), place);
        } else if let Some(name) = row.key.strip_prefix(BLOB) {
            self.blobs.insert(name.to_owned(), place);
        } else if row.key.starts_with(COMPOSER) || row.key.starts_with(CHAT) {
            self.composer = Some(place);
        }
    }

    fn plan(&self, source: &dyn Source, stream: &StreamInfo) -> Result<Plan> {
        let nothing = Plan { pieces: Vec::new(), missing: 0, unnamed: 0 };
        let Some(place) = self.composer else { return Ok(nothing) };
        let bytes = source.bytes(stream, place.offset, place.length)?;
        let text = Row::parse(&bytes).ok().and_then(|row| row.text()).unwrap_or_default();
        let Some(composer) = Composer::parse(&text) else { return Ok(nothing) };
        let Order { bubbles, missing } = self.order(source, stream, &composer)?;
        let unnamed = (self.bubbles.len() - bubbles.len().min(self.bubbles.len())) as u64;
        let is_inline = !composer.inline().is_empty();
        let root = composer.state().and_then(|state| Root::parse(&state));
        if let Some(root) = root.filter(|_| missing > 0 || (bubbles.is_empty() && !is_inline)) {
            let blobs: Vec<Piece> =
                root.messages.iter().filter_map(|name| self.blobs.get(name).copied().map(Piece::Line)).collect();
            if !blobs.is_empty() {
                return Ok(Plan { pieces: blobs, ..nothing });
            }
        }
        if bubbles.is_empty() && is_inline {
            return Ok(Plan { pieces: vec![Piece::Line(place)], ..nothing });
        }
        let pieces = bubbles.into_iter().map(|(id, kind)| Piece::Bubble(self.bubbles[&id], kind)).collect();
        Ok(Plan { pieces, missing, unnamed })
    }

    fn order(&self, source: &dyn Source, stream: &StreamInfo, composer: &Composer<'_>) -> Result<Order> {
        let mut failed = None;
        let unnamed = |named: &HashSet<String>| {
            let mut found = Vec::new();
            for (id, place) in self.bubbles.iter().filter(|(id, _)| !named.contains(*id)) {
                match source.bytes(stream, place.offset, place.length) {
                    Ok(bytes) => {
                        let text = Row::parse(&bytes).ok().and_then(|row| row.text());
                        found.extend(text.and_then(|text| Some((id.clone(), header_of(id, &text)?))));
                    }
                    Err(error) => failed = Some(error),
                }
            }
            found
        };
        let order = order(composer.headers(), |id| self.bubbles.contains_key(id), unnamed);
        failed.map_or(Ok(order), Err)
    }
}

/// The second pass.
struct Walk<'a> {
    source: &'a dyn Source,
    stream: &'a StreamInfo,
    pieces: std::vec::IntoIter<Piece>,
    ready: VecDeque<Message>,
}

impl Walk<'_> {
    fn read(&mut self, piece: &Piece) -> Result<()> {
        let (Piece::Bubble(place, _) | Piece::Line(place)) = piece;
        let bytes = self.source.bytes(self.stream, place.offset, place.length)?;
        let first = self.ready.len();
        match piece {
            Piece::Bubble(_, kind) => self.ready.extend(bubble(&bytes, kind.as_deref())),
            Piece::Line(_) => self.ready.extend(line(self.stream, place, &bytes)),
        }
        for message in self.ready.iter_mut().skip(first) {
            finish(message, None);
            take_pictures_in(self.source, message)?;
        }
        Ok(())
    }
}

fn bubble(bytes: &[u8], kind: Option<&str>) -> Vec<Message> {
    let Ok(row) = Row::parse(bytes) else { return Vec::new() };
    let (Some(id), Some(text)) = (bubble_of(&row.key), row.text()) else { return Vec::new() };
    let Some(bubble) = Bubble::parse(&text) else { return Vec::new() };
    let mut beside = beside(&row);
    beside.kind = kind;
    bubble.messages(id, beside).unwrap_or_default()
}

/// A line's messages; a message of the graph that the log leaves to a bubble is told here.
fn line(stream: &StreamInfo, place: &Place, bytes: &[u8]) -> Vec<Message> {
    if let Ok(row) = Row::parse(bytes)
        && let Some(name) = row.key.strip_prefix(BLOB)
    {
        return row.text().and_then(|text| graph::message(&text, name)).into_iter().collect();
    }
    let mut reading = Reading::default();
    let line = Line { stream: &stream.name, number: 0, offset: place.offset, bytes };
    CursorReader::new(&stream.name).line(line, &mut reading);
    reading.messages
}

impl Iterator for Walk<'_> {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Result<Message>> {
        while self.ready.is_empty() {
            let piece = self.pieces.next()?;
            if let Err(error) = self.read(&piece) {
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}
