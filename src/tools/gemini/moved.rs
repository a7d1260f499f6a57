//! Sessions whose project moved: the client looks for them in its folder of the project. Nothing inside the files is read
//! as the project (the hash of its path is never compared, 0.61), so they stay as they are.

use super::{Gemini, project};
use crate::error::Result;
use crate::home::Home;
use crate::tools::{Moved, Mover, Tool};
use std::path::Path;

/// See the module's description.
pub(super) struct GeminiMover;

impl Mover for GeminiMover {
    /// A saved chat belongs to the folder: its id says so.
    fn place(&self, home: &Home, native_path: &str, cwd: &Path) -> Option<String> {
        let (_, rest) = native_path.strip_prefix("tmp/")?.split_once('/')?;
        let is_saved_chat = !rest.contains('/');
        (!is_saved_chat).then(|| format!("tmp/{}/{rest}", project::folder_for(&Gemini.root(home), cwd)))
    }

    fn line(&self, _: &[u8], _: &Moved) -> Option<Vec<u8>> {
        None
    }

    fn list(&self, home: &Home, _: &str, moved: &Moved) -> Result<Option<String>> {
        let root = Gemini.root(home);
        let folder = root.join("tmp").join(project::folder_for(&root, &moved.to));
        if folder.is_dir() {
            project::mark(&folder, &moved.to)?;
        }
        Ok(None)
    }
}
