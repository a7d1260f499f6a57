//! The files of a .sfs folder. It may come from anywhere: only regular files strictly below it are read, and no symbolic
//! link is followed.

use super::manifest::{self, Listed, MAX_FILES, Manifest};
use crate::error::{Context, Error, Result};
use crate::id::Hash;
use crate::store::StreamKey;
use crate::tools::{self, FIRST_LINE, Format, Head};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

/// The messages' file.
pub(super) const MESSAGES: &str = "messages.jsonl";
/// Other files of a foreign folder are archived up to this size: pictures, checkpoints.
const MAX_EXTRA: u64 = 64 << 20;
/// A path below the folder is not longer.
const MAX_PATH: usize = 1024;

/// A file that is to become a stream, or part of one.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) generation: u32,
    pub(super) format: Format,
    pub(super) native_path: Option<String>,
    pub(super) length: u64,
    /// The file's path below the folder.
    pub(super) file: String,
    folder: PathBuf,
}

impl Member {
    /// Archives it unread, beside the streams that tell more.
    pub(super) fn keep_aside(&mut self) {
        let name = if self.name == "main" { MESSAGES } else { &self.name };
        (self.name, self.format) = (format!("sfs/{name}"), Format::File);
    }

    pub(super) fn open(&self) -> Result<Content> {
        open(&self.folder, &self.file)?.ok_or_else(|| missing(&self.folder, &self.file))
    }

    pub(super) fn key(&self, session: i64, generation: u32) -> StreamKey<'_> {
        let native_path = self.native_path.as_deref();
        StreamKey { session, name: &self.name, generation, format: self.format.as_str(), native_path }
    }
}

/// An open file.
pub(super) struct Content {
    pub(super) path: PathBuf,
    pub(super) length: u64,
    file: File,
}

impl Content {
    pub(super) fn go_to(&mut self, offset: u64) -> Result<()> {
        self.file.seek(SeekFrom::Start(offset)).context(|| format!("{} can't be read", self.path.display()))?;
        Ok(())
    }

    /// Up to `length` bytes; fewer only at the end.
    pub(super) fn read(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let taken = (&mut self.file).take(length as u64).read_to_end(&mut bytes);
        taken.context(|| format!("{} can't be read", self.path.display()))?;
        Ok(bytes)
    }

    fn sha256(&mut self) -> Result<String> {
        let mut hash = Sha256::new();
        loop {
            let bytes = self.read(super::PIECE)?;
            if bytes.is_empty() {
                return Ok(Hash(hash.finalize().into()).hex());
            }
            hash.update(&bytes);
        }
    }

    fn beginning(&mut self, head: Head) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        self.go_to(0).ok()?;
        if let Head::Bytes(length) = head {
            return self.read(length as usize).ok();
        }
        BufReader::new((&mut self.file).take(FIRST_LINE)).read_until(b'\n', &mut line).ok()?;
        Some(line.trim_ascii_end().to_vec()).filter(|line| !line.is_empty())
    }
}

/// The .sfs folders that `path` names: itself, or those directly in it.
pub fn find(path: &Path) -> Result<Vec<PathBuf>> {
    let has = |folder: &Path, name: &str| folder.join(name).is_file();
    let is_named = |folder: &Path| folder.extension().is_some_and(|extension| extension == "sfs");
    if is_named(path) || (has(path, manifest::NAME) && (has(path, MESSAGES) || path.join("native").is_dir())) {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).context(|| format!("{} can't be read", path.display()))?;
    let folders = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir() && !path.is_symlink());
    let mut found: Vec<PathBuf> =
        folders.filter(|folder| is_named(folder) || (has(folder, manifest::NAME) && has(folder, MESSAGES))).collect();
    found.sort();
    Ok(found)
}

/// Opens a file below `folder`; `None` where there is none.
pub(super) fn open(folder: &Path, file: &str) -> Result<Option<Content>> {
    let path = folder.join(file);
    let refused = |what: &str| Error::failed(format!("{} {what}", path.display())).hint("only regular files are taken");
    if !is_safe(file) {
        return Err(refused("does not lie in the folder"));
    }
    // Every folder on the way counts: the last step alone can be checked by opening.
    for step in path.ancestors().take_while(|step| *step != folder) {
        if step.is_symlink() {
            return Err(refused("is reached by a symbolic link"));
        }
    }
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::failed(format!("{} can't be read", path.display())).because(error)),
    };
    let metadata = file.metadata().context(|| format!("{} can't be read", path.display()))?;
    if !metadata.is_file() {
        return Err(refused("is not a file"));
    }
    Ok(Some(Content { length: metadata.len(), path, file }))
}

/// A relative path that only goes down and is spelled in one way.
fn is_safe(path: &str) -> bool {
    let parts: Option<Vec<&str>> = Path::new(path)
        .components()
        .map(|part| if let Component::Normal(name) = part { name.to_str() } else { None })
        .collect();
    !path.is_empty()
        && path.len() <= MAX_PATH
        && !path.contains(char::is_control)
        && parts.is_some_and(|parts| parts.join("/") == path)
}

fn missing(folder: &Path, file: &str) -> Error {
    Error::failed(format!("{} is missing", folder.join(file).display()))
        .hint("the folder is not whole: export or copy it again")
}

/// The files that an export of ours lists, each checked against its size and hash.
pub(super) fn listed(
    folder: &Path,
    manifest: &Manifest,
    listed: &[Listed],
    notes: &mut Vec<String>,
) -> Result<Vec<Member>> {
    let mut seen = HashSet::new();
    let mut members = Vec::new();
    for listed in listed {
        let mut content = open(folder, &listed.file)?.ok_or_else(|| missing(folder, &listed.file))?;
        let damaged = |what: String| {
            Error::failed(format!("{} {what}", folder.join(&listed.file).display()))
                .hint("nothing of this session was imported: export or copy the folder again")
        };
        if !is_safe(&listed.stream) || listed.stream == "facts" || !seen.insert((&listed.stream, listed.generation)) {
            return Err(damaged(format!("can't be stream {:?}", listed.stream)));
        }
        if content.length != listed.bytes {
            return Err(damaged(format!("has {} bytes instead of {}", content.length, listed.bytes)));
        }
        if !content.sha256()?.eq_ignore_ascii_case(&listed.sha256) {
            return Err(damaged("is not what was exported: its SHA-256 differs".into()));
        }
        let Some(format) = Format::parse(&listed.format) else { continue };
        let native_path = listed.native_path.clone().filter(|path| {
            let belongs = belongs(manifest, listed, format, path, &mut content);
            if !belongs {
                notes.push(format!("{} can't be put back: {path:?} is not its place", listed.stream));
            }
            belongs
        });
        members.push(Member {
            name: listed.stream.clone(),
            generation: listed.generation,
            format,
            native_path,
            length: content.length,
            folder: folder.to_owned(),
            file: listed.file.clone(),
        });
    }
    Ok(members)
}

/// See [`tools::is_place_of`].
fn belongs(manifest: &Manifest, listed: &Listed, format: Format, path: &str, content: &mut Content) -> bool {
    let Ok(tool) = tools::find(&manifest.tool) else { return false };
    let whose = (&manifest.native_id[..], &listed.stream[..], format);
    is_safe(path) && tools::is_place_of(tool, path, whose, &mut |head| content.beginning(head))
}

/// The files of a folder that lists none of the session's own: its messages, and everything else as it is.
pub(super) fn foreign(folder: &Path, notes: &mut Vec<String>) -> Result<Vec<Member>> {
    let members = files(folder, notes)?;
    if members.iter().any(|member| member.file == MESSAGES) { Ok(members) } else { Err(missing(folder, MESSAGES)) }
}

/// The same, whether messages are among them or not.
pub(super) fn files(folder: &Path, notes: &mut Vec<String>) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    for entry in walkdir::WalkDir::new(folder).min_depth(1).follow_links(false).sort_by_file_name() {
        let entry = entry.context(|| format!("{} can't be read", folder.display()))?;
        if entry.file_type().is_dir() {
            continue;
        }
        let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        match foreign_file(folder, &relative.to_string_lossy())? {
            Ok(member) => members.push(member),
            Err(reason) => notes.push(format!("{} was not imported: {reason}", relative.display())),
        }
        if members.len() + notes.len() > MAX_FILES {
            return Err(Error::failed(format!("{} holds more than {MAX_FILES} files", folder.display()))
                .hint("give the folder of one session"));
        }
    }
    Ok(members)
}

/// The inner error says why a file is left out.
fn foreign_file(folder: &Path, file: &str) -> Result<Result<Member, &'static str>> {
    if !is_safe(file) || !folder.join(file).symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Ok(Err("only regular files with names of plain text are"));
    }
    let content = open(folder, file)?.ok_or_else(|| missing(folder, file))?;
    if content.length > MAX_EXTRA && file != MESSAGES {
        return Ok(Err("it is larger than 64 MiB"));
    }
    let (name, format) = match file {
        MESSAGES => ("main".to_owned(), Format::SfsJsonl),
        manifest::NAME | "workspace.json" => (file.to_owned(), Format::SfsDocument),
        // These two names are ours.
        "main" | "facts" => (format!("files/{file}"), Format::File),
        _ => (file.to_owned(), Format::File),
    };
    Ok(Ok(Member {
        name,
        generation: 0,
        format,
        native_path: None,
        length: content.length,
        folder: folder.to_owned(),
        file: file.to_owned(),
    }))
}
