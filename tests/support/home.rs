//! A throw-away home with an archive in it, and the binary run there.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A throw-away home.
pub struct TestHome {
    folder: tempfile::TempDir,
}

/// What a run of the binary gave.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    home: PathBuf,
}

impl TestHome {
    /// An empty one.
    pub fn new() -> TestHome {
        TestHome { folder: tempfile::Builder::new().prefix("sessionfs-test-").tempdir().unwrap() }
    }

    /// One with the recorded sessions of `cases`, such as `claude/chat`.
    pub fn with(cases: &[&str]) -> TestHome {
        let home = TestHome::new();
        for case in cases {
            copy_tree(&fixture(case), home.path());
        }
        home
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The binary with `args`, no terminal, nothing of the caller's environment but the path.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sessionfs"));
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("TZ", "UTC")
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs `sfs` with `args`.
    pub fn sfs(&self, args: &[&str]) -> Run {
        self.finish(self.command(args).output().unwrap())
    }

    /// Runs `sfs` with `args`, which must succeed and print JSON.
    pub fn json(&self, args: &[&str]) -> Value {
        let run = self.sfs(args);
        assert_eq!(run.code, Some(0), "{args:?}: {}{}", run.stdout, run.stderr);
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {}", run.stdout))
    }

    /// What a command of this home gave.
    pub fn finish(&self, output: Output) -> Run {
        Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            home: self.path().to_owned(),
        }
    }
}

/// Everything that the run printed, with the home's path replaced: for snapshots.
impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let home = self.home.to_string_lossy();
        write!(f, "{}", self.stdout.replace(&*home, "$HOME"))?;
        if !self.stderr.is_empty() {
            write!(f, "---- stderr\n{}", self.stderr.replace(&*home, "$HOME"))?;
        }
        if self.code != Some(0) {
            writeln!(f, "---- exit {:?}", self.code)?;
        }
        Ok(())
    }
}

/// Where a recorded case lies.
pub fn fixture(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(case)
}

/// Copies a folder into another one.
pub fn copy_tree(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(target).unwrap();
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
