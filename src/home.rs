//! Where everything lives. Tests set `SFS_HOME` and `HOME` and so never touch a real archive or a real tool.

use crate::error::{Context, Error, Result};
use std::env;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Our own folder and the person's home folder.
#[derive(Clone, Debug)]
pub struct Home {
    /// `$SFS_HOME`, else `~/.sessionfs`. Folder 0700, files 0600.
    pub data: PathBuf,
    /// `$HOME`: tools' default folders are below it.
    pub user: PathBuf,
    /// The environment is this home's: tools' own variables that move their folders count.
    has_environment: bool,
}

impl Home {
    /// Reads the environment.
    pub fn from_env() -> Result<Self> {
        let user = env::var_os("HOME").map(PathBuf::from).filter(|p| p.is_absolute()).ok_or_else(|| {
            Error::usage("HOME is not set to an absolute path").hint("run with HOME=/path/of/your/home")
        })?;
        let data = match env::var_os("SFS_HOME").filter(|path| !path.is_empty()).map(PathBuf::from) {
            Some(path) if path.is_absolute() => path,
            Some(path) => env::current_dir().context(|| "the current directory can't be read")?.join(path),
            None => user.join(".sessionfs"),
        };
        Ok(Home { data, user, has_environment: true })
    }

    /// A home below `user` whose environment names nothing: for tests and for another machine's copied home.
    pub fn at(user: &Path, data: &Path) -> Self {
        Home { data: data.to_owned(), user: user.to_owned(), has_environment: false }
    }

    /// What a tool's own `variable` says, if it is set to an absolute path.
    pub fn tool_variable(&self, variable: &str) -> Option<PathBuf> {
        let path = self.has_environment.then(|| env::var_os(variable)).flatten().map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    }

    /// The one database.
    pub fn database(&self) -> PathBuf {
        self.data.join("archive.db")
    }

    /// What was written for a person beside resumed sessions.
    pub fn attachments(&self) -> PathBuf {
        self.data.join("attachments")
    }

    /// Held by the one running daemon, with its process id inside.
    pub fn lock(&self) -> PathBuf {
        self.data.join("sfsd.lock")
    }

    /// The daemon's log.
    pub fn log(&self) -> PathBuf {
        self.data.join("sfsd.log")
    }

    /// Makes our folder, readable by its owner only. `~/.sessionfs` is narrowed if it is open to others; a folder that
    /// somebody else made and chose by `$SFS_HOME` may hold other things too and stays as it is.
    pub fn create(&self) -> Result<()> {
        let impossible = |error| {
            Error::failed(format!("{} can't be created", self.data.display()))
                .because(error)
                .hint("set SFS_HOME to a folder that you can write to")
        };
        if !self.data.is_dir() {
            return fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.data).map_err(impossible);
        }
        let mode = fs::metadata(&self.data).map_err(impossible)?.permissions().mode();
        if mode & 0o077 != 0 && self.data == self.user.join(".sessionfs") {
            fs::set_permissions(&self.data, fs::Permissions::from_mode(0o700)).map_err(impossible)?;
        }
        Ok(())
    }

    /// `path` as a person writes it: `~` for the home folder.
    pub fn short(&self, path: &Path) -> String {
        match path.strip_prefix(&self.user) {
            Ok(rest) if !rest.as_os_str().is_empty() => format!("~/{}", rest.display()),
            _ => path.display().to_string(),
        }
    }
}
