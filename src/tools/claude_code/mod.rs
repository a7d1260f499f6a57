//! ClaudeCode: sessions on disk.

use super::{Place, Reader, Source, Tool, Writer};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::model::conversation::Conversation;
use std::path::{Path, PathBuf};

/// The tool.
pub struct ClaudeCode;

impl Tool for ClaudeCode {
    fn id(&self) -> &'static str {
        "claude_code"
    }
    fn name(&self) -> &'static str {
        "ClaudeCode"
    }
    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }
    fn root(&self, home: &Home) -> PathBuf {
        home.user.clone()
    }
    fn folders(&self) -> &'static [&'static str] {
        &[]
    }
    fn place(&self, _: &Path, _: &mut dyn FnMut() -> Option<Vec<u8>>) -> Place {
        Place::Other
    }
    fn reader(&self, _: &str, _: Option<&str>) -> Box<dyn Reader> {
        unimplemented!()
    }
    fn conversation<'a>(&self, _: &'a dyn Source) -> Result<Conversation<'a>> {
        Err(Error::failed("not written yet"))
    }
    fn writer(&self) -> Option<&dyn Writer> {
        None
    }
    fn retention(&self) -> &'static str {
        ""
    }
}
