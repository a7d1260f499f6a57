//! The arguments of a call, taken one by one: what is left in the end was not understood.

use super::{Action, Meaning};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The input is not what the name promises.
#[derive(Debug)]
pub(super) struct NotThat;

/// What is left of a call's arguments.
pub(super) struct Arguments {
    /// The tool's verbatim name.
    pub(super) name: String,
    left: Map<String, Value>,
    asides: Vec<String>,
}

impl Arguments {
    /// An argument that is null is none.
    pub(super) fn of(name: &str, input: &RawValue) -> Result<Self, NotThat> {
        let mut left: Map<String, Value> = serde_json::from_str(input.get()).map_err(|_| NotThat)?;
        left.retain(|_, value| !value.is_null());
        Ok(Arguments { name: name.to_owned(), left, asides: Vec::new() })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.left.contains_key(name)
    }

    /// The argument that has one of these names; an error where it has another type.
    pub(super) fn take<T: DeserializeOwned>(&mut self, names: &[&str]) -> Result<Option<T>, NotThat> {
        let Some(value) = names.iter().find_map(|name| self.left.remove(*name)) else { return Ok(None) };
        serde_json::from_value(value).map(Some).map_err(|_| NotThat)
    }

    /// The same, of an argument that has to be there.
    pub(super) fn need<T: DeserializeOwned>(&mut self, names: &[&str]) -> Result<T, NotThat> {
        self.take(names)?.ok_or(NotThat)
    }

    /// Puts the arguments that stand in the object `name` beside the others.
    pub(super) fn unwrap(&mut self, name: &str) -> Result<(), NotThat> {
        let inner: Option<Map<String, Value>> = self.take(&[name])?;
        self.left.extend(inner.unwrap_or_default().into_iter().filter(|(_, value)| !value.is_null()));
        Ok(())
    }

    /// Arguments that only say how the call is to be run.
    pub(super) fn asides(&mut self, names: &[&str]) {
        for name in names {
            self.asides.extend(self.left.remove_entry(*name).map(|(name, _)| name));
        }
    }

    /// An argument that says what is the case anyway; with the other value the call means something else.
    pub(super) fn only(&mut self, name: &str, usual: bool) -> Result<(), NotThat> {
        let value = self.take(&[name])?.unwrap_or(usual);
        if value == usual { Ok(()) } else { Err(NotThat) }
    }

    /// `action`, if nothing is left.
    pub(super) fn end(self, action: Action) -> Result<Meaning, NotThat> {
        if self.left.is_empty() { Ok(Meaning { action, asides: self.asides }) } else { Err(NotThat) }
    }
}
