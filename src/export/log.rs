//! A session's whole log: every message that was ever said in it, abandoned branches and rewritten files included.

use super::source::ArchivedSession;
use crate::error::Result;
use crate::model::message::Message;
use crate::tools::{self, Line, Reader, Reading, Source, StreamInfo, Versions};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::ControlFlow;

/// Where a message stands in its session.
#[derive(Clone, Copy, Debug)]
pub struct Place<'p> {
    /// The stream.
    pub stream: &'p StreamInfo,
    /// The line's number, from 0.
    pub line: u64,
    /// The line's first byte.
    pub offset: u64,
    /// The line's bytes, without the line break.
    pub length: u64,
    /// Which of the line's messages.
    pub part: usize,
}

/// What [`for_each_place`] calls with every message, where it stands, and the reader that has just read that line.
pub type OnPlace<'f> = dyn FnMut(&Place<'_>, &dyn Reader, Message) -> Result<ControlFlow<()>> + 'f;

/// Calls `each` with every message of `session`, the main stream first; with `sidechains` the sub-agents' too. `Break`
/// ends the walk.
pub fn for_each_message(
    session: &ArchivedSession<'_>,
    sidechains: bool,
    each: &mut dyn FnMut(Message) -> Result<ControlFlow<()>>,
) -> Result<()> {
    for_each_place(session, sidechains, &mut |_, _, message| each(message))
}

/// The same, with the places of the messages.
pub fn for_each_place(session: &ArchivedSession<'_>, sidechains: bool, each: &mut OnPlace<'_>) -> Result<()> {
    let mut wanted = None;
    for versions in log_order(session).chunk_by(|a, b| versions_of(a) == versions_of(b)) {
        let (is_branch, format) = (versions_of(versions[0]).1.is_some(), versions[0].format);
        // Another device's lines are told apart by where they stand, a document's messages by their ids.
        if !(is_branch && format.is_one_line()) {
            wanted = (versions.len() > 1 || format.is_one_line()).then(Versions::default);
        }
        for stream in versions {
            if one_stream(session, stream, sidechains, &mut wanted, each)? == ControlFlow::Break(()) {
                return Ok(());
            }
            wanted = wanted.map(Versions::older);
        }
    }
    Ok(())
}

/// The streams with messages, in the order of the log: the newest generation of a stream, then older ones, then copies,
/// then what other devices wrote.
pub fn log_order<'s>(session: &'s ArchivedSession<'_>) -> Vec<&'s StreamInfo> {
    let mut streams: Vec<&StreamInfo> = session.streams().iter().filter(|s| s.format.has_lines()).collect();
    streams
        .sort_by_key(|s| (tools::base_name(&s.name) != "main", versions_of(s), s.name.clone(), Reverse(s.generation)));
    streams
}

/// What the generations and copies of one stream have in common.
fn versions_of(stream: &StreamInfo) -> (String, Option<String>) {
    let device = tools::branch(&stream.name).map(|(_, device)| device.to_owned());
    (tools::base_name(&stream.name).to_owned(), device)
}

fn one_stream(
    session: &ArchivedSession<'_>,
    stream: &StreamInfo,
    sidechains: bool,
    wanted: &mut Option<Versions>,
    each: &mut OnPlace<'_>,
) -> Result<ControlFlow<()>> {
    let Some(mut reader) = tools::reader(stream.format, &stream.name, None) else {
        return Ok(ControlFlow::Continue(()));
    };
    let mut tell = |place: &Place<'_>, reader: &dyn Reader, mut message: Message| {
        let is_unwanted = wanted.as_mut().is_some_and(|wanted| !wanted.wants(&stream.name, &message.id));
        if is_unwanted || (message.is_sidechain && !sidechains) {
            return Ok(ControlFlow::Continue(()));
        }
        if stream.format.has_pictures_beside() {
            tools::sfs::take_pictures_in(session, &mut message)?;
        }
        each(place, reader, message)
    };
    if stream.format.has_versions() {
        return newest_versions(session, stream, reader.as_mut(), &mut tell);
    }
    let mut reading = Reading::default();
    let mut flow = ControlFlow::Continue(());
    session.for_each_line(stream, 0, &mut |line| {
        reading.clear();
        reader.line(line, &mut reading);
        let is_new = line.offset >= stream.shared;
        for (part, message) in reading.messages.drain(..).enumerate().filter(|_| is_new) {
            let length = line.bytes.len() as u64;
            flow = tell(&Place { stream, line: line.number, offset: line.offset, length, part }, &*reader, message)?;
            if flow == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(flow)
    })?;
    Ok(flow)
}

/// Where later lines hold newer versions of messages: each comes where it was first told, as it was last told.
fn newest_versions(
    session: &ArchivedSession<'_>,
    stream: &StreamInfo,
    reader: &mut dyn Reader,
    tell: &mut OnPlace<'_>,
) -> Result<ControlFlow<()>> {
    let mut reading = Reading::default();
    let mut order: Vec<(String, u64, u64)> = Vec::new();
    let mut positions = HashMap::new();
    session.for_each_line(stream, 0, &mut |line| {
        reading.clear();
        reader.line(line, &mut reading);
        for message in reading.messages.drain(..).filter(|_| line.offset >= stream.shared) {
            let place = (message.id.clone(), line.offset, line.bytes.len() as u64);
            if let Some(at) = positions.get(&message.id) {
                order[*at] = place;
            } else {
                positions.insert(message.id, order.len());
                order.push(place);
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    for (id, offset, length) in order {
        let bytes = session.bytes(stream, offset, length)?;
        reading.clear();
        reader.line(Line { stream: &stream.name, number: 0, offset, bytes: &bytes }, &mut reading);
        let found = reading.messages.drain(..).enumerate().find(|(_, message)| message.id == id);
        let Some((part, message)) = found else { continue };
        if tell(&Place { stream, line: 0, offset, length, part }, reader, message)? == ControlFlow::Break(()) {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
