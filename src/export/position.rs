//! Positions: a session as it was at some moment. What there was of each stream then is all there is to know, since streams
//! only grow and a rewritten file begins a new generation.

use super::source::ArchivedSession;
use crate::error::Result;
use crate::model::message::Role;
use crate::model::portion::{Finder, answer, calls_of};
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
    calls: BTreeSet<String>,
}

/// The position behind the message called `words`, and where it calls tools, behind their results.
fn behind(source: &ArchivedSession<'_>, words: &str) -> Result<Position> {
    let mut mains: Vec<&StreamInfo> = source.streams().iter().filter(|stream| is_main(stream)).collect();
    mains.sort_by_key(|stream| (stream.name.as_str(), Reverse(stream.generation)));
    let mut finder = Finder::new(words);
    for (stream, info) in mains.iter().enumerate() {
        look_through(source, stream, info, &mut finder)?;
    }
    let (id, place) = finder.found()?;
    let main = mains[place.stream];
    let end = end_of_results(source, main, &place)?.min(main.length);
    let mut streams = vec![source.end_of(main, end)?];
    for other in source.streams().iter().filter(|stream| !is_main(stream)) {
        streams.push(source.end_of(other, other.length)?);
    }
    Ok(Position { streams, leaf: Some(id), is_within_line: !place.is_last_in_line })
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
                calls: calls_of(message),
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
