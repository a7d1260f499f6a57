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

    /// The one that was meant.
    pub fn found(self) -> Result<(String, T)> {
        let words = self.words;
        if words.is_empty() {
            return Err(Error::usage("an empty text names no checkpoint and no message")
                .hint("sfs show ID -m shows the messages with their ids; sfs checkpoint ID --list"));
        }
        match (self.exact, self.begun, self.other) {
            (Some(exact), ..) => Ok(exact),
            (None, Some((first, _)), Some(other)) => {
                Err(Error::usage(format!("{words:?} is ambiguous: {first}, {other}"))
                    .hint("give more characters of the message's id"))
            }
            (None, Some(begun), None) => Ok(begun),
            _ => Err(Error::not_found(format!("no message is called {words:?}"))
                .hint("sfs show ID -m shows the messages with their ids")),
        }
    }
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
/// that no result is without its call.
pub fn start_of(messages: Messages<'_>, words: &str) -> Result<usize> {
    let mut finder = Finder::new(words);
    let mut prompt = 0;
    for (at, message) in messages.enumerate() {
        let message = message?;
        if message.is_prompt() {
            prompt = at;
        }
        finder.look_at(&message.id, || prompt);
    }
    finder.found().map(|(_, start)| start)
}

/// `messages` up to the one called `id` and the results of its calls; an error at the end where it is not among them.
pub fn until(mut messages: Messages<'_>, id: String) -> Messages<'_> {
    let mut open: Option<BTreeSet<String>> = None;
    let mut ended = false;
    Box::new(std::iter::from_fn(move || {
        while !ended {
            let Some(message) = messages.next() else {
                ended = true;
                return open.is_none().then(|| Err(not_live(&id)));
            };
            let Ok(mut message) = message else { return Some(message) };
            let Some(waiting) = &mut open else {
                if message.id == id {
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

fn not_live(id: &str) -> Error {
    Error::not_found(format!("message {id} was never part of the live conversation"))
        .hint("sfs show ID -m shows the messages; choose the one before or after it")
}
