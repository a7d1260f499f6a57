//! Sessions whose project moved: the client looks for a session in the folder named after the project it is started in, and
//! its records say where they were made.

use super::names::folder_of;
use crate::error::Result;
use crate::home::Home;
use crate::tools::{Moved, Mover};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::path::Path;

/// See the module's description.
pub(super) struct ClaudeMover;

impl Mover for ClaudeMover {
    fn place(&self, _: &Home, native_path: &str, project: &Path) -> Option<String> {
        let (_, rest) = native_path.strip_prefix("projects/")?.split_once('/')?;
        Some(format!("projects/{}/{rest}", folder_of(project)))
    }

    /// Only the record's own field: what was said and done stays as it was.
    fn line(&self, line: &[u8], moved: &Moved) -> Option<Vec<u8>> {
        #[derive(Deserialize)]
        struct Record<'a> {
            #[serde(borrow)]
            cwd: &'a RawValue,
        }
        let text = std::str::from_utf8(line).ok()?;
        let cwd = serde_json::from_str::<Record<'_>>(text.trim_start_matches('\u{feff}')).ok()?.cwd.get();
        let new = moved.path(&serde_json::from_str::<String>(cwd).ok()?)?;
        let start = cwd.as_ptr().addr() - text.as_ptr().addr();
        Some([&line[..start], serde_json::to_string(&new).ok()?.as_bytes(), &line[start + cwd.len()..]].concat())
    }

    /// It lists what lies in the folder.
    fn list(&self, _: &Home, _: &str, _: &Moved) -> Result<Option<String>> {
        Ok(None)
    }
}
