//! What became of each piece of a session on its way into another tool. Nothing is dropped in silence: whoever leaves
//! something out, changes it or maps it says so here.

use super::conversation::CallResult;
use super::message::{Block, Message, Role};
use serde::Serialize;
use std::collections::BTreeMap;

/// Counts by fate; each entry is a kind of thing with a reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Carried over as it was.
    pub kept: Vec<Entry>,
    /// Carried over under the target's own name or form, with the same meaning.
    pub mapped: Vec<Entry>,
    /// Carried over with less than it had.
    pub degraded: Vec<Entry>,
    /// Not carried over.
    pub dropped: Vec<Entry>,
}

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The kind of thing, such as `user messages` or `tool calls`.
    pub what: String,
    /// How many.
    pub count: u64,
    /// Why, or as what; empty for what was kept.
    pub detail: String,
}

/// What the ledger calls the transcripts of sub-agents, where each has a file of its own.
pub const SUB_AGENTS: &str = "sub-agent transcripts";
/// What the ledger calls messages of sub-agents that stand among those of the conversation.
pub const SUB_AGENT_MESSAGES: &str = "sub-agent messages";

impl Ledger {
    /// Sub-agents that were dropped so far are carried over after all, for the person: moves their entries, with `detail`.
    /// False where there are none.
    pub fn attach_sub_agents(&mut self, detail: &str) -> bool {
        let is_theirs = |entry: &Entry| entry.what == SUB_AGENTS || entry.what == SUB_AGENT_MESSAGES;
        let (theirs, dropped) = std::mem::take(&mut self.dropped).into_iter().partition::<Vec<_>, _>(is_theirs);
        self.dropped = dropped;
        let any = !theirs.is_empty();
        self.degraded.extend(theirs.into_iter().map(|entry| Entry { detail: detail.to_owned(), ..entry }));
        self.degraded.sort_by(|a, b| (&a.what, &a.detail).cmp(&(&b.what, &b.detail)));
        any
    }

    /// `count` pieces of a kind were carried over with less than they had: takes them out of the fate that they were counted
    /// with, those that were kept first.
    pub fn degrade(&mut self, what: What, count: u64, detail: &str) {
        let count = self.take(what, count);
        self.put_in(what.as_str(), count, detail);
    }

    /// `count` summaries are none of the session's: they were put in to say what is missing.
    pub fn tell_notes(&mut self, count: u64) {
        let count = self.take(What::Summary, count);
        self.put_in("notes", count, "put in where something was left out to fit into the budget");
    }

    fn put_in(&mut self, what: &str, count: u64, detail: &str) {
        if count > 0 {
            self.degraded.push(Entry { what: what.to_owned(), count, detail: detail.to_owned() });
            self.degraded.sort_by(|a, b| (&a.what, &a.detail).cmp(&(&b.what, &b.detail)));
        }
    }

    /// Takes up to `count` pieces out of what was carried over; says how many.
    fn take(&mut self, what: What, count: u64) -> u64 {
        let mut left = count;
        for entries in [&mut self.kept, &mut self.mapped, &mut self.degraded] {
            for entry in entries.iter_mut().filter(|entry| entry.what == what.as_str()) {
                let taken = entry.count.min(left);
                entry.count -= taken;
                left -= taken;
            }
            entries.retain(|entry| entry.count > 0);
        }
        count - left
    }
}

/// Where an entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "see Ledger's fields")]
pub enum Fate {
    Kept,
    Mapped,
    Degraded,
    Dropped,
}

/// What a conversation is made of, as the ledger counts it: see [`pieces`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// All texts of one message of the person.
    UserMessage,
    /// All texts of one message that a harness wrote.
    HarnessText,
    /// One text of the model.
    AssistantMessage,
    /// What stands for earlier messages.
    Summary,
    /// One piece of the model's thinking.
    Thinking,
    /// A tool call.
    Call,
    /// Its result.
    Result,
    /// A picture, whoever showed it.
    Image,
    /// A block of any other kind.
    Other,
}

impl What {
    /// All of them, in their order.
    pub const ALL: [What; 9] = [
        What::UserMessage,
        What::HarnessText,
        What::AssistantMessage,
        What::Summary,
        What::Thinking,
        What::Call,
        What::Result,
        What::Image,
        What::Other,
    ];

    /// As the ledger calls them.
    pub fn as_str(self) -> &'static str {
        match self {
            What::UserMessage => "user messages",
            What::HarnessText => "harness texts",
            What::AssistantMessage => "assistant messages",
            What::Summary => "summaries",
            What::Thinking => "thinking",
            What::Call => "tool calls",
            What::Result => "tool results",
            What::Image => "images",
            What::Other => "other content",
        }
    }

    /// What a block of a reply is; anywhere else the texts are [`What::texts_of`] the message.
    pub fn of(block: &Block) -> What {
        match block {
            Block::Text(_) => What::AssistantMessage,
            Block::Summary { .. } => What::Summary,
            Block::Thinking { .. } => What::Thinking,
            Block::ToolUse { .. } => What::Call,
            Block::ToolResult { .. } => What::Result,
            Block::Image(_) => What::Image,
            Block::Other(_) => What::Other,
        }
    }

    /// What the texts of a message are together; `None` in a reply, where each stands for itself, and where there is none.
    pub fn texts_of(message: &Message) -> Option<What> {
        let has_text = message.content.iter().any(|block| matches!(block, Block::Text(_)));
        let what = match message.role {
            Role::User | Role::Tool if !message.is_meta => What::UserMessage,
            _ => What::HarnessText,
        };
        (has_text && message.role != Role::Assistant).then_some(what)
    }
}

/// Every piece of `message`. **A writer counts each of them exactly once**, with whatever fate; what it counts beyond that
/// has a name of its own ([`Tally::note`]). So kept, mapped, degraded and dropped together are what the source holds.
pub fn pieces(message: &Message) -> Vec<What> {
    let is_reply = message.role == Role::Assistant;
    let blocks = message.content.iter().filter(|block| is_reply || !matches!(block, Block::Text(_)));
    blocks.map(What::of).chain(What::texts_of(message)).collect()
}

/// How many pieces of each kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u32; What::ALL.len()]);

impl Counts {
    /// Counts the pieces of `message`.
    pub fn add(&mut self, message: &Message) {
        for what in pieces(message) {
            self.add_many(what, 1);
        }
    }

    /// Counts `count` pieces of a kind.
    pub fn add_many(&mut self, what: What, count: usize) {
        self.0[what as usize] += count as u32;
    }

    /// Counts what `other` counted too.
    pub fn add_all(&mut self, other: &Counts) {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own += other;
        }
    }

    /// The entries for what was left out because of `why`.
    pub fn left_out(&self, why: &'static str) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let counts = What::ALL.into_iter().zip(self.0);
        counts.filter(|(_, count)| *count > 0).map(move |(what, count)| (what.as_str(), why, u64::from(count)))
    }
}

/// Collects counts while a session is written.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<(Fate, &'static str, String), u64>);

impl Tally {
    /// Counts a piece of the conversation that met `fate` because of `detail`.
    pub fn add(&mut self, fate: Fate, what: What, detail: impl Into<String>) {
        self.add_many(fate, what, detail, 1);
    }

    /// Counts `count` of them.
    pub fn add_many(&mut self, fate: Fate, what: What, detail: impl Into<String>, count: u64) {
        self.count(fate, what.as_str(), detail, count);
    }

    /// Counts all of a message that is not carried over.
    pub fn drop_all(&mut self, message: &Message, why: &'static str) {
        for what in pieces(message) {
            self.add(Fate::Dropped, what, why);
        }
    }

    /// Counts a result whose call is not in the conversation.
    pub fn drop_orphan(&mut self, result: &CallResult) {
        self.add(Fate::Dropped, What::Result, "their calls are missing");
        self.add_many(Fate::Dropped, What::Image, "in a result whose call is missing", result.images.len() as u64);
    }

    /// Counts something that is no piece of the conversation, such as what had to be put in.
    pub fn note(&mut self, fate: Fate, what: &'static str, detail: impl Into<String>) {
        self.count(fate, what, detail, 1);
    }

    /// Counts what the walk to the live conversation left out: kind, why, and how many.
    pub fn leave_out(&mut self, left_out: Vec<(&'static str, &'static str, u64)>) {
        for (what, why, count) in left_out {
            self.count(Fate::Dropped, what, why, count);
        }
    }

    fn count(&mut self, fate: Fate, what: &'static str, detail: impl Into<String>, count: u64) {
        if count > 0 {
            *self.0.entry((fate, what, detail.into())).or_default() += count;
        }
    }

    /// The ledger, sorted by kind.
    pub fn close(self) -> Ledger {
        let mut ledger = Ledger::default();
        for ((fate, what, detail), count) in self.0 {
            let entry = Entry { what: what.to_owned(), count, detail };
            match fate {
                Fate::Kept => ledger.kept.push(entry),
                Fate::Mapped => ledger.mapped.push(entry),
                Fate::Degraded => ledger.degraded.push(entry),
                Fate::Dropped => ledger.dropped.push(entry),
            }
        }
        ledger
    }
}
