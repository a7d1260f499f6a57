//! Which part of a session's live conversation is wanted, and that part.

use super::branch;
use super::position::{self, Position};
use super::source::ArchivedSession;
use crate::error::{Error, Result};
use crate::model::budget::{self, Survey};
use crate::model::conversation::Conversation;
use crate::model::ledger::Counts;
use crate::model::portion::Messages;
use crate::store::{SessionRow, Store};

/// What a person asked for; nothing means all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Of a session that went several ways, this one; the one that was active last by default.
    pub branch: Option<String>,
    /// As it was at this checkpoint or behind this message.
    pub at: Option<String>,
    /// From the prompt on that set off this message.
    pub from: Option<String>,
    /// What fits into so many tokens.
    pub budget: Option<u64>,
}

/// A part of a conversation, and what was done to make it one.
pub(super) struct Selected<'a> {
    pub conversation: Conversation<'a>,
    /// Outputs that were trimmed.
    pub trimmed: u64,
    /// Notes that were put in for what was left out.
    pub notes: u64,
}

impl Selection {
    /// True where nothing of the branch is left out.
    pub fn is_all(&self) -> bool {
        Selection { branch: None, ..self.clone() } == Selection::default()
    }

    /// The session on the branch, as it was at the position asked for.
    pub fn open<'a>(&self, store: &'a Store, session: &SessionRow) -> Result<ArchivedSession<'a>> {
        let mut source = ArchivedSession::open(store, session.clone())?;
        if let Some(words) = &self.branch {
            source = source.on_branch(&branch::find(store, session, words)?);
        }
        let Some(words) = &self.at else { return Ok(source) };
        if self.branch.is_some() && store.checkpoint(session.id, words)?.is_some() {
            return Err(Error::usage(format!("checkpoint {words:?} says itself on which branch it is"))
                .hint("leave --branch out, or give the id of a message with --at"));
        }
        let position = Position::find(store, &source, words)?;
        source.cut(position)
    }

    /// The part of the conversation of `source`, which [`Selection::open`] gave.
    pub(super) fn conversation<'a>(&self, source: &'a ArchivedSession<'_>) -> Result<Selected<'a>> {
        let start = match &self.from {
            Some(words) => position::start_of(source, words)?,
            None => 0,
        };
        let mut conversation = source.conversation()?;
        if start > 0 {
            let mut before = Counts::default();
            for message in conversation.messages.by_ref().take(start) {
                before.add(&message?);
            }
            conversation.left_out.extend(before.left_out("before the message of --from"));
        }
        let mut selected = Selected { conversation, trimmed: 0, notes: 0 };
        if let Some(budget) = self.budget {
            selected.fit(source, budget, Box::new(source.conversation()?.messages.skip(start)))?;
        }
        Ok(selected)
    }
}

impl Selected<'_> {
    /// `again` is the same conversation once more.
    fn fit(&mut self, source: &ArchivedSession<'_>, budget: u64, again: Messages<'_>) -> Result<()> {
        let id = &source.row.public_id;
        let plan = budget::plan(&Survey::of(again, budget)?).map_err(|least| {
            Error::usage(format!("the first prompt and the newest turn of session {id} take about {least} tokens"))
                .hint(format!("--budget {least}, or more"))
        })?;
        let mut missing = Counts::default();
        for gap in &plan.gaps {
            missing.add_all(&gap.pieces);
        }
        (self.trimmed, self.notes) = (plan.trimmed, plan.gaps.len() as u64);
        let why = "left out to fit into the budget; a note stands for them";
        self.conversation.left_out.extend(missing.left_out(why));
        let messages = std::mem::replace(&mut self.conversation.messages, Box::new(std::iter::empty()));
        self.conversation.messages = budget::fit(messages, plan, format!("sfs show {id} -m --full"));
        Ok(())
    }
}
