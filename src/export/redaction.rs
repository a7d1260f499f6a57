//! What is taken out of a session on its way out: nothing, or its secrets, which are counted.

use crate::error::{Context, Result};
use crate::model::conversation::About;
use crate::model::message::Message;
use crate::security::Redactor;
use crate::security::redact::Redacted;
use crate::store::Store;
use serde_json::Value;
use std::cell::Cell;

/// How a session leaves the archive.
pub struct Redaction {
    redactor: Option<Redactor>,
    replaced: Cell<u64>,
}

impl Redaction {
    /// As it is.
    pub fn none() -> Redaction {
        Redaction { redactor: None, replaced: Cell::default() }
    }

    /// Without its secrets. The archive's key is minted if there is none.
    pub fn of(store: &mut Store) -> Result<Redaction> {
        // Who only reads waits for nobody who writes.
        let key = match store.known_redaction_key()? {
            Some(key) => key,
            None => store.write(Store::redaction_key)?,
        };
        Ok(Redaction { redactor: Some(Redactor::new(key)), replaced: Cell::default() })
    }

    /// True where secrets are taken out.
    pub fn is_on(&self) -> bool {
        self.redactor.is_some()
    }

    /// How many secrets were replaced so far.
    pub fn replaced(&self) -> u64 {
        self.replaced.get()
    }

    /// A message, as it may leave.
    pub fn message(&self, mut message: Message) -> Message {
        if let Some(redactor) = &self.redactor {
            self.count(redactor.message(&mut message));
        }
        message
    }

    /// What is known of the session, as it may leave.
    pub fn about(&self, mut about: About) -> About {
        let texts = [&mut about.title, &mut about.cwd, &mut about.git_branch, &mut about.model];
        for text in texts.into_iter().flatten() {
            if let Some(redactor) = &self.redactor {
                self.count(redactor.string(text));
            }
        }
        about
    }

    /// A text, as it may leave.
    pub fn text(&self, text: &str) -> String {
        let Some(redactor) = &self.redactor else { return text.to_owned() };
        let Redacted { copy, replaced } = redactor.text(text);
        self.count(replaced);
        copy.into_owned()
    }

    /// A line, or any other piece of a stream, as it may leave.
    pub fn line(&self, line: &[u8]) -> Vec<u8> {
        let Some(redactor) = &self.redactor else { return line.to_owned() };
        let Redacted { copy, replaced } = redactor.line(line);
        self.count(replaced);
        copy.into_owned()
    }

    /// A JSON document, as it may leave.
    pub fn json(&self, value: &Value) -> Result<Value> {
        if !self.is_on() {
            return Ok(value.clone());
        }
        let text = serde_json::to_vec(value).context(|| "a document can't be written as JSON")?;
        serde_json::from_slice(&self.line(&text)).context(|| "a redacted document is no JSON any more")
    }

    fn count(&self, replaced: u64) {
        self.replaced.set(self.replaced.get() + replaced);
    }
}
