//! Positions: a session as it was at some moment. What there was of each stream then is all there is to know, since streams
//! only grow and a rewritten file begins a new generation.

use super::log::for_each_message;
use super::source::ArchivedSession;
use crate::error::{Error, Result};
use crate::model::message::{Block, Role};
use crate::model::portion::{self, Finder, Tie, answer, calls_of, outer_call, ties_of};
use crate::store::{Checkpoint, SessionRow, Store, StreamEnd};
use crate::tools::{self, Reading, Source, StreamInfo};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// A moment in a session's history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// What was there. Of a session with a file that went its own way it may be that one.
    pub streams: Vec<StreamEnd>,
    /// The message at which the live conversation ends, where a person chose one.
    pub leaf: Option<String>,
    /// What tells that message where the live conversation has another id for it.
    pub ties: BTreeSet<Tie>,
    /// More than this message stands in the last line: the rest has to be left out.
    pub is_within_line: bool,
}

impl Position {
    /// The position that a person calls `words`: a checkpoint, or a message of `source`.
    pub fn find(store: &Store, source: &ArchivedSession<'_>, words: &str) -> Result<Position> {
        match store.checkpoint(source.row.id, words)? {
            Some(checkpoint) => Ok(Position { streams: checkpoint.streams, ..Position::default() }),
            None => behind(source, words),
        }
    }
}

/// A checkpoint of all that is archived of the session.
pub fn checkpoint(store: &Store, session: &SessionRow, name: &str) -> Result<Checkpoint> {
    let source = ArchivedSession::open(store, session.clone())?;
    let conversation = source.conversation()?;
    let last = conversation.messages.last().transpose()?;
    let streams = source.streams().iter().map(|stream| {
        let lines = stream.format.has_lines() && !stream.format.is_one_line();
        let lines = lines.then(|| store.count_lines(source.stream(stream)?)).transpose()?;
        Ok(StreamEnd { lines, ..source.end_of(stream, stream.length)? })
    });
    Ok(Checkpoint {
        name: name.to_owned(),
        leaf: last.map(|message| message.id),
        streams: streams.collect::<Result<_>>()?,
        created_at: jiff::Timestamp::now().as_millisecond(),
    })
}

impl ArchivedSession<'_> {
    fn end_of(&self, info: &StreamInfo, length: u64) -> Result<StreamEnd> {
        let origin = Some(self.store().device_of(self.stream(info)?)?);
        Ok(StreamEnd { name: info.name.clone(), origin, generation: info.generation, length, lines: None })
    }
}

/// Where a message stands.
struct Place {
    stream: usize,
    offset: u64,
    end: u64,
    is_last_in_line: bool,
    /// The calls whose results belong to it.
    calls: BTreeSet<String>,
    ties: BTreeSet<Tie>,
}

/// The position behind the message called `words`, and where it calls tools, behind their results.
fn behind(source: &ArchivedSession<'_>, words: &str) -> Result<Position> {
    if source.newest("main").is_some_and(|main| main.format.has_versions()) {
        return behind_in_rows(source, words);
    }
    let mut mains: Vec<&StreamInfo> = source.streams().iter().filter(|stream| is_main(stream)).collect();
    mains.sort_by_key(|stream| (stream.name.as_str(), Reverse(stream.generation)));
    let mut finder = Finder::new(words);
    for (stream, info) in mains.iter().enumerate() {
        look_through(source, stream, info, &mut finder)?;
    }
    let Some((id, place)) = finder.found()? else { return Err(unreachable_message(source, words)?) };
    let main = mains[place.stream];
    let end = end_of_results(source, main, &place)?.min(main.length);
    let mut streams = vec![source.end_of(main, end)?];
    for other in source.streams().iter().filter(|stream| !is_main(stream)) {
        streams.push(source.end_of(other, other.length)?);
    }
    Ok(Position { streams, leaf: Some(id), ties: place.ties, is_within_line: !place.is_last_in_line })
}

/// The same where messages are rows of a database: not the order of the rows is that of the conversation, another row tells
/// it. So all of them are there, and the live conversation is cut.
fn behind_in_rows(source: &ArchivedSession<'_>, words: &str) -> Result<Position> {
    let mut finder = Finder::new(words);
    for message in source.conversation()?.messages {
        finder.look_at(&message?.id, || ());
    }
    let Some((id, ())) = finder.found()? else { return Err(unreachable_message(source, words)?) };
    let streams = source.streams().iter().map(|stream| source.end_of(stream, stream.length));
    Ok(Position {
        streams: streams.collect::<Result<_>>()?,
        leaf: Some(id),
        ties: BTreeSet::new(),
        is_within_line: true,
    })
}

/// How many messages of the live conversation stand before the prompt that set off the one called `words`.
pub(super) fn start_of(source: &ArchivedSession<'_>, words: &str) -> Result<usize> {
    if let Some(start) = portion::start_of(source.conversation()?.messages, words)? {
        return Ok(start);
    }
    let told = Told::find(source, words)?;
    let start = portion::start_of_tied(source.conversation()?.messages, &told.ties)?.filter(|_| !told.is_sidechain);
    start.map_or_else(|| Err(told.why_not_live(source)?), Ok)
}

/// Why the message `id` is not in the live conversation.
pub(super) fn not_live(source: &ArchivedSession<'_>, id: &str) -> Error {
    unreachable_message(source, id).unwrap_or_else(|error| error)
}

fn unreachable_message(source: &ArchivedSession<'_>, words: &str) -> Result<Error> {
    Told::find(source, words)?.why_not_live(source)
}

/// A message among all that was ever said.
struct Told {
    id: String,
    ties: BTreeSet<Tie>,
    is_sidechain: bool,
    is_meta: bool,
    /// A summary of what came before was told later.
    is_summed_up: bool,
}

impl Told {
    fn find(source: &ArchivedSession<'_>, words: &str) -> Result<Told> {
        let mut finder = Finder::new(words);
        let (mut at, mut last_summary) = (0, 0);
        for_each_message(source, true, &mut |message| {
            at += 1;
            if message.content.iter().any(|block| matches!(block, Block::Summary { .. })) && !message.is_sidechain {
                last_summary = at;
            }
            finder.look_at(&message.id, || (at, message.is_sidechain, message.is_meta, ties_of(&message)));
            Ok(ControlFlow::Continue(()))
        })?;
        let (id, (at, is_sidechain, is_meta, ties)) = finder.found()?.ok_or_else(|| {
            Error::not_found(format!("no message is called {words:?}"))
                .hint("sfs show ID -m shows the messages with their ids")
        })?;
        Ok(Told { id, ties, is_sidechain, is_meta, is_summed_up: at < last_summary })
    }

    fn why_not_live(&self, source: &ArchivedSession<'_>) -> Result<Error> {
        let (id, session) = (&self.id, &source.row.public_id);
        let (why, hint) = if self.is_sidechain {
            ("is a sub-agent's: the conversation has only what came out of it", "choose the call that started it")
        } else if self.is_summed_up && has_summary(source)? {
            ("stands before a compaction: the conversation goes on from its summary", "choose one behind it")
        } else if self.is_meta {
            ("was never sent to the model: the tool only showed it", "choose the one before or after it")
        } else {
            ("is on a branch that was abandoned", "choose one that the conversation went on from")
        };
        Ok(Error::not_found(format!("message {id} {why}")).hint(format!("sfs show {session} -m; {hint}")))
    }
}

/// True where the live conversation holds the summary of what came before it.
fn has_summary(source: &ArchivedSession<'_>) -> Result<bool> {
    for message in tools::conversation(source)?.messages {
        if message?.content.iter().any(|block| matches!(block, Block::Summary { .. })) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_main(stream: &StreamInfo) -> bool {
    tools::base_name(&stream.name) == "main" && stream.format.has_lines()
}

fn look_through(
    source: &ArchivedSession<'_>,
    stream: usize,
    info: &StreamInfo,
    finder: &mut Finder<'_, Place>,
) -> Result<()> {
    let Some(mut reader) = tools::reader(info.format, &info.name, None) else { return Ok(()) };
    let mut reading = Reading::default();
    source.for_each_line(info, 0, &mut |line| {
        reading.clear();
        reader.line(line, &mut reading);
        let last = reading.messages.len().saturating_sub(1);
        for (at, message) in reading.messages.iter().enumerate().filter(|(_, message)| !message.is_sidechain) {
            finder.look_at(&message.id, || Place {
                stream,
                offset: line.offset,
                end: line.offset + line.bytes.len() as u64 + 1,
                is_last_in_line: at == last,
                calls: outer_call(message).map_or_else(|| calls_of(message), |outer| BTreeSet::from([outer])),
                ties: ties_of(message),
            });
        }
        Ok(ControlFlow::Continue(()))
    })
}

/// The end of the line with the last result of the message's calls, and of those made beside them; of the message's own
/// where it calls nothing.
fn end_of_results(source: &ArchivedSession<'_>, main: &StreamInfo, place: &Place) -> Result<u64> {
    let mut open = place.calls.clone();
    let mut end = place.end;
    let Some(mut reader) = tools::reader(main.format, &main.name, None).filter(|_| !open.is_empty()) else {
        return Ok(end);
    };
    let mut reading = Reading::default();
    source.for_each_line(main, place.offset, &mut |line| {
        reading.clear();
        reader.line(line, &mut reading);
        for message in &reading.messages {
            let is_beside = line.offset > place.offset && message.role == Role::Assistant;
            open.extend(if is_beside { calls_of(message) } else { BTreeSet::new() });
            if message.role == Role::Tool {
                end = line.offset + line.bytes.len() as u64 + 1;
            }
            if !answer(&mut open, message) {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(end)
}
