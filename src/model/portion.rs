//! Portions of a live conversation: up to a message, and from a prompt on. What fits into a model's context is
//! [`super::budget`]'s business.

use super::message::{Block, Message};
use crate::error::{Error, Result};
use std::collections::BTreeSet;

/// The messages of a conversation, oldest first.
pub type Messages<'a> = Box<dyn Iterator<Item = Result<Message>> + 'a>;

/// Finds one thing by its id or by the beginning of its id.
pub struct Finder<'w, T> {
    words: &'w str,
    exact: Option<(String, T)>,
    /// By prefix: the first one, and the id of another one.
    begun: Option<(String, T)>,
    other: Option<String>,
}

impl<'w, T> Finder<'w, T> {
    /// Looks for what a person calls `words`.
    pub fn new(words: &'w str) -> Self {
        Finder { words, exact: None, begun: None, other: None }
    }

    /// Looks at one more; `value` is only made where it may be the one. The first with an id is taken.
    pub fn look_at(&mut self, id: &str, value: impl FnOnce() -> T) {
        if self.exact.is_some() || !id.starts_with(self.words) {
            return;
        }
        if id == self.words {
            self.exact = Some((id.to_owned(), value()));
        } else if let Some((first, _)) = &self.begun {
            self.other = self.other.take().or_else(|| (first != id).then(|| id.to_owned()));
        } else {
            self.begun = Some((id.to_owned(), value()));
        }
    }

    /// The one that was meant; `None` where nothing has such an id.
    pub fn found(self) -> Result<Option<(String, T)>> {
        let words = self.words;
        if words.is_empty() {
            return Err(Error::usage("an empty text names no checkpoint and no message")
                .hint("sfs show ID -m shows the messages with their ids; sfs checkpoint ID --list"));
        }
        match (self.exact, self.begun, self.other) {
            (Some(exact), ..) => Ok(Some(exact)),
            (None, Some((first, _)), Some(other)) => {
                Err(Error::usage(format!("{words:?} is ambiguous: {first}, {other}"))
                    .hint("give more characters of the message's id"))
            }
            (None, begun, _) => Ok(begun),
        }
    }
}

/// A call that a message makes, answers, or was made inside of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tie {
    /// It makes it.
    Call(String),
    /// It answers it.
    Result(String),
}

/// What tells a message where the live conversation has it under another id, or has only the call that it is a part of.
pub fn ties_of(message: &Message) -> BTreeSet<Tie> {
    if let Some(outer) = outer_call(message) {
        return BTreeSet::from([Tie::Call(outer)]);
    }
    let ties = message.content.iter().filter_map(|block| match block {
        Block::ToolUse { id, .. } => Some(Tie::Call(id.clone())),
        Block::ToolResult { id, .. } => Some(Tie::Result(id.clone())),
        _ => None,
    });
    ties.collect()
}

/// The call inside of which the one in `message` was made.
pub fn outer_call(message: &Message) -> Option<String> {
    message.metadata.get("nested_in").and_then(|outer| outer.as_str()).map(str::to_owned)
}

/// True for the message called `id`, and for one that has all of `ties`.
fn is_told_by(message: &Message, id: &str, ties: &BTreeSet<Tie>) -> bool {
    message.id == id || !ties.is_empty() && ties.is_subset(&ties_of(message))
}

/// The ids of the calls in `message`.
pub fn calls_of(message: &Message) -> BTreeSet<String> {
    let ids =
        message.content.iter().filter_map(|b| if let Block::ToolUse { id, .. } = b { Some(id.clone()) } else { None });
    ids.collect()
}

/// Takes the calls that `message` answers out of `open`; true where a call is still open and an answer may come.
pub fn answer(open: &mut BTreeSet<String>, message: &Message) -> bool {
    for block in &message.content {
        if let Block::ToolResult { id, .. } = block {
            open.remove(id);
        }
    }
    !open.is_empty() && !message.is_prompt()
}

/// How many of `messages` stand before the prompt that set off the one called `words`: a portion begins with a prompt, so
/// that no result is without its call. `None` where no message is called so.
pub fn start_of(messages: Messages<'_>, words: &str) -> Result<Option<usize>> {
    let mut finder = Finder::new(words);
    for_each_turn(messages, &mut |message, start| finder.look_at(&message.id, || start))?;
    Ok(finder.found()?.map(|(_, start)| start))
}

/// The same for the first message that is told by `ties`.
pub fn start_of_tied(messages: Messages<'_>, ties: &BTreeSet<Tie>) -> Result<Option<usize>> {
    let mut found = None;
    for_each_turn(messages, &mut |message, start| {
        if found.is_none() && is_told_by(message, "", ties) {
            found = Some(start);
        }
    })?;
    Ok(found)
}

/// Calls `each` with every message and the number of messages before its prompt.
fn for_each_turn(messages: Messages<'_>, each: &mut dyn FnMut(&Message, usize)) -> Result<()> {
    let mut start = 0;
    for (at, message) in messages.enumerate() {
        let message = message?;
        if message.is_prompt() {
            start = at;
        }
        each(&message, start);
    }
    Ok(())
}

/// `messages` up to the one that is called `id`, or is told by `ties`, and the results of its calls; what `missing` says at the
/// end where it is not among them.
pub fn until<'a>(
    mut messages: Messages<'a>,
    id: String,
    ties: BTreeSet<Tie>,
    missing: impl Fn() -> Error + 'a,
) -> Messages<'a> {
    let mut open: Option<BTreeSet<String>> = None;
    let mut ended = false;
    Box::new(std::iter::from_fn(move || {
        while !ended {
            let Some(message) = messages.next() else {
                ended = true;
                return open.is_none().then(|| Err(missing()));
            };
            let Ok(mut message) = message else { return Some(message) };
            let Some(waiting) = &mut open else {
                if is_told_by(&message, &id, &ties) {
                    let calls = calls_of(&message);
                    ended = calls.is_empty();
                    open = Some(calls);
                }
                return Some(Ok(message));
            };
            message.content = results_for(waiting, std::mem::take(&mut message.content));
            let is_answer = !message.content.is_empty();
            ended = !answer(waiting, &message);
            if is_answer {
                return Some(Ok(message));
            }
        }
        None
    }))
}

/// The results of the calls in `waiting`, with the images behind them.
fn results_for(waiting: &BTreeSet<String>, content: Vec<Block>) -> Vec<Block> {
    let mut is_wanted = false;
    let mut wanted = |block: &Block| match block {
        Block::ToolResult { id, .. } => {
            is_wanted = waiting.contains(id);
            is_wanted
        }
        Block::Image(_) => is_wanted,
        _ => {
            is_wanted = false;
            false
        }
    };
    content.into_iter().filter(|block| wanted(block)).collect()
}
