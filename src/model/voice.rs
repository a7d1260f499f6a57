//! Who speaks in a message, finer than its role: a person who looks for an answer does not mean the model's thinking, nor
//! what the harness wrote in the person's name.

use super::message::{Block, Message, Role};

/// One of those who speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// What a person typed.
    User,
    /// The model's answers.
    Assistant,
    /// The model's thinking.
    Thinking,
    /// Calls of tools and what they gave.
    Tool,
    /// Instructions, summaries, notices, whatever the harness wrote.
    System,
}

impl Voice {
    /// All of them.
    pub const ALL: [Voice; 5] = [Voice::User, Voice::Assistant, Voice::Thinking, Voice::Tool, Voice::System];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Voice::User => "user",
            Voice::Assistant => "assistant",
            Voice::Thinking => "thinking",
            Voice::Tool => "tool",
            Voice::System => "system",
        }
    }

    /// True where this is the voice of a block in `message`.
    pub fn speaks(self, message: &Message, block: &Block) -> bool {
        let voice = match (message.role, block) {
            (_, Block::Thinking { .. }) => Voice::Thinking,
            (_, Block::ToolUse { .. } | Block::ToolResult { .. }) | (Role::Tool, _) => Voice::Tool,
            (Role::System | Role::Developer, _) => Voice::System,
            (Role::User, _) if message.is_meta => Voice::System,
            (Role::User, _) => Voice::User,
            (Role::Assistant, _) => Voice::Assistant,
        };
        self == voice
    }
}
