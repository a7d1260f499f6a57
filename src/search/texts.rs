//! Reads the messages of search results, and no others.

use crate::error::Result;
use crate::export::ArchivedSession;
use crate::model::message::Message;
use crate::store::{ChunkCache, Span, Store, Stream};
use crate::tools::{self, Format, Line, Reading, Source};
use std::ops::ControlFlow;

/// What [`Texts::read`] calls with each message and its place in what was asked for.
pub(super) type OnMessage<'f> = dyn FnMut(usize, &Message) -> Result<()> + 'f;

/// Reads messages where they stand.
pub(super) struct Texts<'a> {
    store: &'a Store,
    cache: ChunkCache,
    reading: Reading,
}

impl<'a> Texts<'a> {
    pub(super) fn new(store: &'a Store) -> Texts<'a> {
        Texts { store, cache: ChunkCache::sparse(), reading: Reading::default() }
    }

    /// Gives `each` the messages that stand where `wanted` says, each with its place, in the order in which they lie in the
    /// archive. One that the tool's reader no longer finds, because it has learned since the index was made, is left out.
    pub(super) fn read(&mut self, mut wanted: Vec<(usize, Span)>, each: &mut OnMessage<'_>) -> Result<()> {
        wanted.sort_by_key(|(_, span)| (span.stream, span.start, span.part));
        for of_stream in wanted.chunk_by(|(_, a), (_, b)| a.stream == b.stream) {
            let stream = self.store.stream(of_stream[0].1.stream)?;
            match Format::parse(&stream.format) {
                Some(format) if format.lines_stand_alone() => self.read_lines(format, &stream, of_stream, each)?,
                _ => self.read_through(&stream, of_stream, each)?,
            }
        }
        Ok(())
    }

    /// Reads the lines alone.
    fn read_lines(
        &mut self,
        format: Format,
        stream: &Stream,
        wanted: &[(usize, Span)],
        each: &mut OnMessage<'_>,
    ) -> Result<()> {
        for of_line in wanted.chunk_by(on_one_line) {
            let span = &of_line[0].1;
            let bytes = self.store.read_range(stream, span.start, span.length, &mut self.cache)?;
            let Some(mut reader) = tools::reader(format, &stream.name, None) else { return Ok(()) };
            self.reading.clear();
            let line = Line { stream: &stream.name, number: span.line, offset: span.start, bytes: &bytes };
            reader.line(line, &mut self.reading);
            tell(of_line, &self.reading.messages, each)?;
        }
        Ok(())
    }

    /// Reads the stream from its beginning: what a line says depends on those before it.
    fn read_through(&mut self, stream: &Stream, wanted: &[(usize, Span)], each: &mut OnMessage<'_>) -> Result<()> {
        let session = ArchivedSession::open(self.store, self.store.session(stream.session)?)?;
        let info = session.streams().iter().find(|s| s.name == stream.name && s.generation == stream.generation);
        let Some((info, mut reader)) =
            info.and_then(|info| Some((info, tools::reader(info.format, &info.name, None)?)))
        else {
            return Ok(());
        };
        let mut lines = wanted.chunk_by(on_one_line).peekable();
        session.for_each_line(info, 0, &mut |line| {
            self.reading.clear();
            reader.line(line, &mut self.reading);
            if let Some(of_line) = lines.next_if(|of_line| of_line[0].1.start == line.offset) {
                tell(of_line, &self.reading.messages, each)?;
            }
            Ok(if lines.peek().is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })
    }
}

fn on_one_line((_, a): &(usize, Span), (_, b): &(usize, Span)) -> bool {
    a.start == b.start
}

fn tell(of_line: &[(usize, Span)], messages: &[Message], each: &mut OnMessage<'_>) -> Result<()> {
    for (place, span) in of_line {
        if let Some(message) = messages.get(span.part as usize) {
            each(*place, message)?;
        }
    }
    Ok(())
}
