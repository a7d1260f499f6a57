//! Looks through the archived bytes themselves: for what stands inside of words, which no index of words can find.
//!
//! Block of sessions by block, the most recently active first, so that the newest answers come soon; chunk by chunk, so
//! that no session has to fit in memory. Raw bytes pass a [`Sieve`]; only the messages that it lets through are parsed.

use super::sieve::Sieve;
use super::texts::Texts;
use super::{Answers, Options};
use crate::error::Result;
use crate::model::query::Query;
use crate::store::{Candidate, ChunkCache, SearchFilter, Span, Store, Stream};
use crate::tools::Format;

/// So many sessions are the first block; each further one is several times as large.
const FIRST_BLOCK: usize = 64;

/// How far a scan went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Bytes looked through, as the tools wrote them.
    pub bytes: u64,
    /// False where it stopped before the end of the archive because of its budget.
    pub is_whole: bool,
}

/// Adds the messages that answer `query` to `answers` until these are complete, everything was looked through, or about
/// `budget` bytes were. `progress` gets the bytes so far.
pub(super) fn scan(
    store: &Store,
    query: &Query,
    options: &Options,
    budget: u64,
    answers: &mut Answers<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<Scanned> {
    let mut scan =
        Scan { store, sieve: Sieve::of(query), cache: ChunkCache::default(), texts: Texts::new(store), bytes: 0 };
    let sessions = store.sessions_to_scan(&options.filter)?;
    let (mut rest, mut size) = (&sessions[..], FIRST_BLOCK);
    while !rest.is_empty() && !answers.is_complete() && scan.bytes < budget {
        let (block, behind) = rest.split_at(size.min(rest.len()));
        let mut found = scan.block(block, query, options, budget, progress)?;
        found.sort_by_key(|c| std::cmp::Reverse((c.at, !c.is_inherited, c.id)));
        answers.add(&mut scan.texts, &found, false)?;
        (rest, size) = (behind, size * 8);
    }
    Ok(Scanned { bytes: scan.bytes, is_whole: scan.bytes < budget })
}

struct Scan<'a> {
    store: &'a Store,
    sieve: Option<Sieve>,
    cache: ChunkCache,
    texts: Texts<'a>,
    bytes: u64,
}

impl Scan<'_> {
    /// The messages of several sessions that answer the query, in no order. Sessions that were captured together lie
    /// together, so they are read in the order of their capture.
    fn block(
        &mut self,
        sessions: &[i64],
        query: &Query,
        options: &Options,
        budget: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Vec<Candidate>> {
        let mut sessions = sessions.to_vec();
        sessions.sort_unstable();
        let mut found = Vec::new();
        for session in sessions {
            if self.bytes >= budget {
                break;
            }
            found.append(&mut self.session(session, query, options, budget)?);
            progress(self.bytes);
        }
        Ok(found)
    }

    /// The messages of a session that answer the query.
    fn session(&mut self, session: i64, query: &Query, options: &Options, budget: u64) -> Result<Vec<Candidate>> {
        let mut messages = Messages { store: self.store, filter: &options.filter, session, all: None };
        let mut passed = Vec::new();
        for stream in self.store.streams(session)? {
            if Format::parse(&stream.format).is_some_and(Format::has_lines) {
                self.sift(&stream, budget, &mut messages, &mut passed)?;
            }
        }
        let mut found = Vec::new();
        let mut text = String::new();
        let spans = passed.iter().map(|(_, span)| *span).enumerate().collect();
        self.texts.read(spans, &mut |place, message| {
            options.text_of(message, &mut text);
            if query.matches(&text) {
                found.push(passed[place].0.clone());
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Adds the messages of a stream that the sieve lets through, as far as the budget goes.
    fn sift(
        &mut self,
        stream: &Stream,
        budget: u64,
        messages: &mut Messages<'_>,
        passed: &mut Vec<(Candidate, Span)>,
    ) -> Result<()> {
        let Some(sieve) = &self.sieve else {
            let begins = |(_, span): &&(Candidate, Span)| span.start < budget.saturating_sub(self.bytes);
            passed.extend(messages.of(stream.id)?.iter().filter(begins).cloned());
            self.bytes += stream.length;
            return Ok(());
        };
        let mut window = Vec::new();
        // The window's first byte in the stream, and the first one that is not decided.
        let (mut start, mut next) = (0, 0);
        while start + (window.len() as u64) < stream.length && self.bytes < budget {
            let piece = self.store.read_piece(stream, start + window.len() as u64, &mut self.cache)?;
            if piece.is_empty() {
                break;
            }
            self.bytes += piece.len() as u64;
            window.extend_from_slice(&piece);
            while let Some(at) = sieve.next(&window, u64::saturating_sub(next, start) as usize) {
                next = pass(messages.of(stream.id)?, start + at as u64, passed);
            }
            // What begins at the end of this piece may go on in the next one.
            let done = window.len() - window.len().min(sieve.reach());
            window.drain(..done);
            start += done as u64;
        }
        Ok(())
    }
}

/// A session's messages, asked for when something in its bytes is worth it.
struct Messages<'a> {
    store: &'a Store,
    filter: &'a SearchFilter,
    session: i64,
    all: Option<Vec<(Candidate, Span)>>,
}

impl Messages<'_> {
    /// Those of one stream, in the order of its bytes.
    fn of(&mut self, stream: i64) -> Result<&[(Candidate, Span)]> {
        if self.all.is_none() {
            self.all = Some(self.store.messages_to_scan(self.session, self.filter)?);
        }
        let all = self.all.as_deref().unwrap_or_default();
        let from = all.partition_point(|(_, span)| span.stream < stream);
        let length = all[from..].partition_point(|(_, span)| span.stream == stream);
        Ok(&all[from..from + length])
    }
}

/// Adds the messages whose line has byte `at`; says from which byte on to look further.
fn pass(messages: &[(Candidate, Span)], at: u64, passed: &mut Vec<(Candidate, Span)>) -> u64 {
    let behind = messages.partition_point(|(_, span)| span.start <= at);
    let line = messages[..behind].last().map(|(_, span)| span).filter(|line| at < line.start + line.length);
    let Some(line) = line else { return messages.get(behind).map_or(u64::MAX, |(_, span)| span.start) };
    let first = messages[..behind].partition_point(|(_, span)| span.start < line.start);
    passed.extend_from_slice(&messages[first..behind]);
    line.start + line.length
}
