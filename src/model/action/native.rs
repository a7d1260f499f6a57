//! A call in another tool's words.

use super::Meaning;
use crate::model::ledger::Fate;
use crate::model::message::raw;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Asides in which the model says something.
const PROSE: [&str; 2] = ["explanation", "justification"];

/// A call under a target's own name and arguments.
#[derive(Debug)]
pub struct Native {
    /// The target's name for it.
    pub name: &'static str,
    /// The target's arguments.
    pub input: Box<RawValue>,
    /// What the model said in the call that the target has no argument for.
    pub without: Vec<&'static str>,
    /// The name of the argument that the call is about.
    first: &'static str,
}

impl Native {
    /// `name` with these arguments, the one that the call is about first; those that are null are left out.
    pub fn of<const N: usize>(name: &'static str, arguments: [(&'static str, Value); N]) -> Self {
        let first = arguments.first().map_or("", |(name, _)| name);
        let arguments = arguments.into_iter().filter(|(_, value)| !value.is_null());
        let arguments: Map<String, Value> = arguments.map(|(name, value)| (name.to_owned(), value)).collect();
        Native { name, input: raw(&arguments), without: Vec::new(), first }
    }

    /// Notes that the target has no argument for `what`, where there is one.
    #[must_use]
    pub fn without<T>(mut self, what: &'static str, value: Option<T>) -> Self {
        self.without.extend(value.map(|_| what));
        self
    }

    /// False where `name(input)` is in the target's words already: by its name, and by its first argument, since two tools
    /// may share a name. Then it stays as it is.
    pub fn replaces(&self, name: &str, input: &RawValue) -> bool {
        let has_first =
            || serde_json::from_str::<Map<String, Value>>(input.get()).is_ok_and(|i| i.contains_key(self.first));
        self.name != name || !has_first()
    }

    /// What the ledger says of a call that was called `name` and meant `meaning`.
    pub fn entry(&self, name: &str, meaning: &Meaning) -> (Fate, String) {
        let mut detail = format!("{name} as {}", self.name);
        if name == self.name {
            detail = format!("{name} with the target's arguments");
        }
        let left_out: Vec<&str> =
            self.without.iter().copied().chain(meaning.asides.iter().map(String::as_str)).collect();
        if !left_out.is_empty() {
            detail = format!("{detail}, without {}", left_out.join(", "));
        }
        let is_whole = self.without.is_empty() && !meaning.asides.iter().any(|aside| PROSE.contains(&aside.as_str()));
        (if is_whole { Fate::Mapped } else { Fate::Degraded }, detail)
    }
}

/// `value` where it is not what the target takes anyway.
pub fn some<T: Into<Value> + PartialEq + Default>(value: T) -> Value {
    if value == T::default() { Value::Null } else { value.into() }
}
