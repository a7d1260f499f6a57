//! Which sessions answer a query, each once, with the message in it that answers best. Where whole words are asked for, the
//! index alone says so and nothing is read but the messages whose excerpts are shown.

use super::texts::Texts;
use super::{Answers, Excerpt, Options, scan, worth};
use crate::error::Result;
use crate::model::query::Query;
use crate::store::{Candidate, SearchFilter, Store};
use jiff::Timestamp;
use std::collections::HashMap;

/// Of messages that have to be read before they count, so many.
const MOST_READ: usize = 400;

/// How far to look.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// So many of the messages that the index names, the most recently captured ones first: a word that stands in more of them
    /// says little.
    pub messages: usize,
    /// Where the index names none, about so many bytes are looked through.
    pub bytes: u64,
}

/// A session that answers.
#[derive(Clone, Debug)]
pub struct InSession {
    /// Its row.
    pub session: i64,
    /// The message that answers best, or the newest of those that answer alike.
    best: Best,
}

/// A message that answers.
#[derive(Clone, Debug)]
enum Best {
    /// It is not read yet.
    Stands(Candidate),
    /// Its id, and what of it to show.
    Reads(String, Excerpt),
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct SessionsFound {
    /// The best first.
    pub hits: Vec<InSession>,
    /// There are no others.
    pub is_whole: bool,
}

/// The sessions in which `query` is answered; excerpts will have so many columns.
pub fn sessions(
    store: &Store,
    query: &Query,
    filter: &SearchFilter,
    columns: usize,
    effort: Effort,
) -> Result<SessionsFound> {
    if query.is_words_only() && filter.voice.is_none() {
        let found = by_index(store, query, filter, effort.messages)?;
        if !found.hits.is_empty() || !found.is_whole {
            return Ok(found);
        }
    }
    by_reading(store, query, filter, columns, effort.bytes)
}

fn by_index(store: &Store, query: &Query, filter: &SearchFilter, most: usize) -> Result<SessionsFound> {
    let now = Timestamp::now().as_millisecond();
    // All at once: for the ranks the index reads everything that it has of the words, each time that it is asked.
    let batch = store.search_index(query, filter, i64::MAX, most)?.unwrap_or_default();
    let is_whole = batch.looked_at < most;
    let mut best: HashMap<i64, Candidate> = HashMap::new();
    for mut candidate in batch.candidates {
        candidate.rank = worth(&candidate, now);
        let session = candidate.session;
        if best.get(&session).is_none_or(|known| candidate.rank < known.rank) {
            best.insert(session, candidate);
        }
    }
    let mut best: Vec<Candidate> = best.into_values().collect();
    best.sort_by(|a, b| a.rank.total_cmp(&b.rank).then(b.session.cmp(&a.session)));
    let hits = best.into_iter().map(|best| InSession { session: best.session, best: Best::Stands(best) });
    Ok(SessionsFound { hits: hits.collect(), is_whole })
}

/// What only a look at the text can decide.
fn by_reading(
    store: &Store,
    query: &Query,
    filter: &SearchFilter,
    columns: usize,
    budget: u64,
) -> Result<SessionsFound> {
    let options = Options { filter: filter.clone(), limit: MOST_READ, offset: 0, columns };
    let mut answers = Answers::new(store, query, &options);
    let is_indexed = super::ask_index(store, query, &options, &mut answers)?;
    let mut is_whole = true;
    let anywhere = query.clone().anywhere();
    if !is_indexed || answers.hits.is_empty() {
        answers = Answers::new(store, &anywhere, &options);
        is_whole = scan::scan(store, &anywhere, &options, budget, &mut answers, &mut |_| ())?.is_whole;
    }
    is_whole &= !answers.is_complete();
    let mut hits: Vec<InSession> = Vec::new();
    for hit in answers.hits {
        let session = hit.session.id;
        if !hits.iter().any(|known| known.session == session) {
            hits.push(InSession { session, best: Best::Reads(hit.message_id, hit.excerpt) });
        }
    }
    Ok(SessionsFound { hits, is_whole })
}

/// What to show of each: by session the message's id and the excerpt.
pub fn excerpts(
    store: &Store,
    query: &Query,
    hits: &[InSession],
    columns: usize,
) -> Result<HashMap<i64, (String, Excerpt)>> {
    let mut shown: HashMap<i64, (String, Excerpt)> = HashMap::new();
    let mut wanted: Vec<Candidate> = Vec::new();
    for hit in hits {
        match &hit.best {
            Best::Stands(candidate) => wanted.push(candidate.clone()),
            Best::Reads(id, excerpt) => drop(shown.insert(hit.session, (id.clone(), excerpt.clone()))),
        }
    }
    let mut text = String::new();
    Texts::new(store).read(store.spans(&wanted)?, &mut |place, message| {
        text.clear();
        message.content.iter().for_each(|block| block.search_text(&mut text));
        shown.insert(wanted[place].session, (message.id.clone(), Excerpt::of(&text, query, columns)));
        Ok(())
    })?;
    Ok(shown)
}
