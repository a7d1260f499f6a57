//! Sessions whose project moved: the client finds a rollout by its id, wherever its project is, and lists by the folder
//! that its index names. So the rollout stays as it is, and the index is told.
//!
//! The picker reads the index alone. Who lists through the app server (editors do) makes 0.169.0 read the rollouts again, and
//! then the index names the old folder once more; `codex resume ID` is not affected.

use super::{Codex, state_db};
use crate::error::Result;
use crate::home::Home;
use crate::tools::{Moved, Mover, Tool};
use std::path::Path;

/// See the module's description.
pub(super) struct CodexMover;

impl Mover for CodexMover {
    fn place(&self, _: &Home, _: &str, _: &Path) -> Option<String> {
        None
    }

    fn line(&self, _: &[u8], _: &Moved) -> Option<Vec<u8>> {
        None
    }

    fn list(&self, home: &Home, native_id: &str, moved: &Moved) -> Result<Option<String>> {
        Ok(state_db::move_thread(&Codex.root(home), native_id, moved))
    }
}
