//! Search: from a query to the messages that answer it, by words with an index or by looking through the bytes.
//!
//! - the store's index says which messages may be an answer; only those that are shown are read and, where words do not
//!   decide alone, checked against their text ([`texts`]),
//! - where the index finds nothing, and for what it has no words for, the archived bytes are looked through ([`scan`],
//!   [`sieve`]),
//! - [`excerpt`] cuts out the part to show.
//!
//! Nothing that is found is told twice: of the copies of a message in forks, in continuations and in second files of a
//! session the others are left out. A copy whose original is not found, because it is deleted, filtered out or was never
//! here, stands for it.

mod excerpt;
mod scan;
mod sessions;
mod sieve;
mod texts;

pub use excerpt::Excerpt;
pub use scan::Scanned;
pub use sessions::{Effort, InSession, SessionsFound, excerpts, sessions};

use crate::error::Result;
use crate::export;
use crate::id::SessionId;
use crate::model::message::{Message, Role};
use crate::model::query::Query;
use crate::store::{Candidate, SearchFilter, SessionRow, Store, Summary};
use jiff::Timestamp;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use texts::Texts;

/// A scan that nobody asked for goes through so many bytes at most: it takes a second or two.
const UNASKED: u64 = 1 << 30;
/// So many messages of the index are ranked together, the most recently captured ones first. A word that stands in more
/// messages than that says little, and ranking all of them would take its time.
const BATCH: usize = 1_000;
/// What a message weighs that the harness wrote: instructions stand in every session.
const HARNESS: f64 = 0.5;
/// What a message weighs that was written into the tool by us: a little less than the original, which is told first.
const INHERITED: f64 = 0.99;
/// In so many days half of what a message is worth for being new is gone.
const FRESH_DAYS: f64 = 30.0;

/// How to search.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where.
    pub filter: SearchFilter,
    /// At most so many hits.
    pub limit: usize,
    /// So many are left out before them.
    pub offset: usize,
    /// Columns of an excerpt.
    pub columns: usize,
}

/// Where answers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The index, by whole words.
    Index,
    /// The bytes, where whole words were asked for and none of them stands anywhere.
    Fallback(Scanned),
    /// The bytes, as asked.
    Scan(Scanned),
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The best first; of a scan, the newest session's first.
    pub hits: Vec<Hit>,
    /// There are further ones.
    pub more: bool,
    /// How they were found.
    pub way: Way,
}

/// A message that answers.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields of `sfs search --json`")]
pub struct Hit {
    pub session: SessionRow,
    pub summary: Summary,
    pub message_id: String,
    pub role: Role,
    /// The harness wrote it.
    pub is_meta: bool,
    pub timestamp: Option<Timestamp>,
    pub excerpt: Excerpt,
}

impl Options {
    /// The part of a message that is searched.
    fn text_of(&self, message: &Message, text: &mut String) {
        text.clear();
        let heard = |block| self.filter.voice.is_none_or(|voice| voice.speaks(message, block));
        message.content.iter().filter(|block| heard(block)).for_each(|block| block.search_text(text));
    }
}

/// Searches by words; what stands inside of words is looked for where no word is found. `progress` gets the bytes that a
/// scan has looked through so far.
pub fn by_words(store: &Store, query: &Query, options: &Options, progress: &mut dyn FnMut(u64)) -> Result<Found> {
    let mut answers = Answers::new(store, query, options);
    let is_indexed = ask_index(store, query, options, &mut answers)?;
    if is_indexed && (!answers.hits.is_empty() || options.offset > 0) {
        return Ok(answers.found(Way::Index));
    }
    let query = query.clone().anywhere();
    let mut answers = Answers::new(store, &query, options);
    let budget = if is_indexed { UNASKED } else { u64::MAX };
    let scanned = scan::scan(store, &query, options, budget, &mut answers, progress)?;
    Ok(answers.found(if is_indexed { Way::Fallback(scanned) } else { Way::Scan(scanned) }))
}

/// Looks through everything; see [`by_words`].
pub fn by_scan(store: &Store, query: &Query, options: &Options, progress: &mut dyn FnMut(u64)) -> Result<Found> {
    let mut answers = Answers::new(store, query, options);
    let scanned = scan::scan(store, query, options, u64::MAX, &mut answers, progress)?;
    Ok(answers.found(Way::Scan(scanned)))
}

/// False where the query has no words to ask for.
fn ask_index(store: &Store, query: &Query, options: &Options, answers: &mut Answers<'_>) -> Result<bool> {
    let mut texts = Texts::new(store);
    let now = Timestamp::now().as_millisecond();
    let is_guess = !query.is_words_only() || options.filter.voice.is_some();
    let mut before = i64::MAX;
    // What the index names is read later: it must not be another message by then.
    store.read(|| {
        loop {
            let Some(found) = store.search_index(query, &options.filter, before, BATCH)? else { return Ok(false) };
            let Some(last) = found.before else { return Ok(true) };
            before = last;
            let mut batch = found.candidates;
            for candidate in &mut batch {
                candidate.rank = worth(candidate, now);
            }
            // Of a message and its copy, the one in the older session.
            batch.sort_by(|a, b| a.rank.total_cmp(&b.rank).then(a.is_child.cmp(&b.is_child)).then(a.id.cmp(&b.id)));
            answers.add(&mut texts, &batch, is_guess)?;
            if answers.is_complete() {
                return Ok(true);
            }
        }
    })
}

/// The index's rank (below 0, lower is better), with what is new up to twice as good.
fn worth(candidate: &Candidate, now: i64) -> f64 {
    let days = candidate.at.map_or(f64::INFINITY, |at| (now - at).max(0) as f64 / 86_400_000.0);
    let fresh = 1.0 + 1.0 / (1.0 + days / FRESH_DAYS);
    let harness = if candidate.is_meta { HARNESS } else { 1.0 };
    candidate.rank * fresh * harness * if candidate.is_inherited { INHERITED } else { 1.0 }
}

/// Collects hits in their order.
struct Answers<'a> {
    store: &'a Store,
    query: &'a Query,
    options: &'a Options,
    seen: HashSet<u64>,
    /// What was said in which family of sessions, and the session in which it was found.
    said: HashMap<u64, Said>,
    skipped: usize,
    hits: Vec<Hit>,
    sessions: HashMap<i64, InFamily>,
}

/// A session, and the oldest one that it came out of.
#[derive(Clone)]
struct InFamily {
    row: SessionRow,
    summary: Summary,
    ancestor: String,
}

/// Where a text was found first.
struct Said {
    session: i64,
    is_inherited: bool,
}

/// A message that was read and answers, before it is known whether it is a copy.
struct Answer {
    message_id: String,
    role: Role,
    timestamp: Option<Timestamp>,
    excerpt: Excerpt,
    /// What two copies of one message have in common.
    marks: Vec<u64>,
    /// What a message has in common with what a tool makes of it that it was written into: times and ids are other ones.
    text: u64,
}

impl<'a> Answers<'a> {
    fn new(store: &'a Store, query: &'a Query, options: &'a Options) -> Self {
        let (seen, said, sessions) = (HashSet::new(), HashMap::new(), HashMap::new());
        Answers { store, query, options, seen, said, skipped: 0, hits: Vec::new(), sessions }
    }

    /// One more than asked for tells that there are more.
    fn is_complete(&self) -> bool {
        self.missing() == 0
    }

    /// How many are wanted that were not found yet.
    fn missing(&self) -> usize {
        let wanted = self.options.offset.saturating_add(self.options.limit).saturating_add(1);
        wanted.saturating_sub(self.skipped + self.hits.len())
    }

    /// Takes those of `ordered` that answer (checked if the order is only a guess) and are no copies. They are read in
    /// slices, each in the order of the archive: first as many as are wanted, then several times as many as are still
    /// missing.
    fn add(&mut self, texts: &mut Texts<'_>, ordered: &[Candidate], is_guess: bool) -> Result<()> {
        let (mut rest, mut share) = (ordered, 1);
        while !rest.is_empty() && !self.is_complete() {
            let size = self.missing().saturating_mul(share).min(rest.len());
            let (slice, behind) = rest.split_at(size);
            let mut answers: Vec<Option<Answer>> = slice.iter().map(|_| None).collect();
            let mut text = String::new();
            texts.read(self.store.spans(slice)?, &mut |place, message| {
                self.options.text_of(message, &mut text);
                if !is_guess || self.query.matches(&text) {
                    answers[place] = Some(self.answer(message, &text));
                }
                Ok(())
            })?;
            for (candidate, answer) in slice.iter().zip(answers) {
                if let Some(answer) = answer {
                    self.take(candidate, answer)?;
                }
            }
            (rest, share) = (behind, share.saturating_mul(4));
        }
        Ok(())
    }

    fn answer(&self, message: &Message, text: &str) -> Answer {
        let mark = |name: &dyn Fn(&mut DefaultHasher)| {
            let mut hasher = DefaultHasher::new();
            text.hash(&mut hasher);
            name(&mut hasher);
            hasher.finish()
        };
        let mut marks: Vec<u64> = message.timestamp.iter().map(|at| mark(&|hasher| at.hash(hasher))).collect();
        // An id that names a place is another message's in another session.
        if !message.id.contains(':') {
            marks.push(mark(&|hasher| message.id.hash(hasher)));
        }
        Answer {
            message_id: message.id.clone(),
            role: message.role,
            timestamp: message.timestamp,
            excerpt: Excerpt::of(text, self.query, self.options.columns),
            marks,
            text: mark(&|_| ()),
        }
    }

    fn take(&mut self, candidate: &Candidate, answer: Answer) -> Result<()> {
        let is_repeated = self.is_said(candidate, answer.text)?;
        let is_copy = is_repeated || answer.marks.iter().any(|mark| self.seen.contains(mark));
        self.seen.extend(answer.marks);
        if is_copy || self.is_complete() {
            return Ok(());
        }
        if self.skipped < self.options.offset {
            self.skipped += 1;
            return Ok(());
        }
        let InFamily { row: session, summary, .. } = self.session(candidate.session)?.clone();
        let Answer { message_id, role, timestamp, excerpt, .. } = answer;
        let is_meta = candidate.is_meta;
        self.hits.push(Hit { session, summary, message_id, role, is_meta, timestamp, excerpt });
        Ok(())
    }

    /// True for what was found in another session of its family, where one of both inherited it.
    fn is_said(&mut self, candidate: &Candidate, text: u64) -> Result<bool> {
        let mut hasher = DefaultHasher::new();
        (&self.session(candidate.session)?.ancestor, text).hash(&mut hasher);
        let (session, is_inherited) = (candidate.session, candidate.is_inherited);
        let first = self.said.entry(hasher.finish()).or_insert(Said { session, is_inherited });
        Ok(first.session != session && (first.is_inherited || is_inherited))
    }

    fn session(&mut self, id: i64) -> Result<&InFamily> {
        Ok(match self.sessions.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let (row, summary) = (self.store.session(id)?, self.store.summary(id)?);
                let ancestor = ancestor(self.store, &row)?;
                place.insert(InFamily { row, summary, ancestor })
            }
        })
    }

    fn found(mut self, way: Way) -> Found {
        let more = self.is_complete();
        self.hits.truncate(self.options.limit);
        Found { hits: self.hits, more, way }
    }
}

/// The oldest session that this one came out of, whether it is still there or not; itself otherwise.
fn ancestor(store: &Store, session: &SessionRow) -> Result<String> {
    let mut oldest = session.public_id.to_string();
    let mut next = session.parent.clone();
    let mut passed = HashSet::from([oldest.clone()]);
    while let Some((parent, _)) = next.filter(|(parent, _)| passed.insert(parent.clone())) {
        next = store.find_public(&SessionId::parse(&parent)?)?.and_then(|row| row.parent);
        oldest = parent;
    }
    Ok(oldest)
}

impl Hit {
    /// The session's title.
    pub fn title(&self) -> Option<String> {
        export::title(&self.session, &self.summary)
    }
}
