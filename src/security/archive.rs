//! `.tar.gz` archives of portable sessions: unpacked while they are checked, packed so that the same files give the same bytes.
//!
//! An archive may come from anybody. Nothing of it is believed: only regular files with plain relative names get to the disk,
//! each under a name that was not there before, in a private folder that the caller gives. How much may come out is limited
//! before it comes out, and so is how much memory a header may ask for.

use crate::error::{Context, Error, Result};
use flate2::read::MultiGzDecoder;
use std::cell::Cell;
use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// A name in an archive is not longer.
const MAX_NAME: usize = 1024;
/// Nor a step of it: file systems have this limit.
const MAX_STEP: usize = 255;
/// Nor deeper.
const MAX_DEPTH: usize = 16;
/// A header that describes the next member is not longer.
const MAX_HEADER: u64 = 16 << 10;
/// Below this size no ratio of compression is suspicious.
const SMALL: u64 = 16 << 20;

/// How much an archive may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one member.
    pub member: u64,
    /// Bytes of all, unpacked.
    pub total: u64,
    /// Members, folders included.
    pub entries: usize,
    /// Unpacked bytes for one packed byte. Session text has 5 to 30, gzip can do 1,032.
    pub ratio: u64,
}

impl Limits {
    /// What a server takes: the members as the published clients limit them.
    pub const UPLOAD: Limits = Limits { member: 50 << 20, total: 512 << 20, entries: 10_000, ratio: 200 };
    /// What a person imports on purpose: sessions of any size.
    pub const LOCAL: Limits = Limits { member: 64 << 30, total: 256 << 30, entries: 100_000, ratio: 500 };
}

/// Why an archive was not unpacked.
#[derive(Debug)]
pub enum Fault {
    /// It is broken, or holds what no session holds: in words.
    Archive(String),
    /// The disk could not take it.
    Disk(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Disk(error)
    }
}

impl Fault {
    /// The same for a person who named the archive.
    pub fn of(self, path: &Path) -> Error {
        match self {
            Fault::Archive(what) => Error::failed(format!("{}: {what}", path.display()))
                .hint("nothing of it was imported: export or copy the archive again"),
            Fault::Disk(error) => error,
        }
    }
}

/// True where `path` is called as an archive is.
pub fn is_named(path: &Path) -> bool {
    let name = path.to_string_lossy().to_ascii_lowercase();
    [".tar.gz", ".tgz"].iter().any(|end| name.ends_with(end))
}

/// The beginning of the names of folders into which something is unpacked.
const PREFIX: &str = ".unpacked-";

/// A private folder below `place` that goes away with what is in it. What a killed process left a day ago goes too.
pub fn private_folder(place: &Path) -> Result<tempfile::TempDir> {
    for entry in place.read_dir().into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|metadata| metadata.modified()).map(|at| at.elapsed().unwrap_or_default());
        let is_left = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if is_left && age.is_ok_and(|age| age.as_secs() > 86_400) {
            // Somebody else may be sweeping too.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let private = fs::Permissions::from_mode(0o700);
    let folder = tempfile::Builder::new().prefix(PREFIX).permissions(private).tempdir_in(place);
    folder.context(|| format!("{} can't be written", place.display()))
}

/// Unpacks `archive` into `folder`, which is empty and private; says how many files it had. After a fault the folder holds
/// a part of it: the caller throws it away.
pub fn unpack(mut archive: impl Read, folder: &Path, limits: &Limits) -> Result<usize, Fault> {
    let mut magic = Vec::new();
    archive.by_ref().take(2).read_to_end(&mut magic).map_err(broken)?;
    if magic != [0x1f, 0x8b] {
        return Err(Fault::Archive("Invalid tar.gz archive: not a gzip file".into()));
    }
    let mut unpacked = Unpacked::new(magic.as_slice().chain(archive), *limits);
    let mut tar = tar::Archive::new(&mut unpacked);
    let mut names = Names::default();
    let mut next = Next::default();
    let mut entries = 0;
    for entry in tar.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        entries += 1;
        if entries > limits.entries {
            return Err(Fault::Archive(format!("More than {} members in tar archive", limits.entries)));
        }
        let kind = entry.header().entry_type();
        if kind.is_gnu_longname() || kind.is_pax_local_extensions() || kind.is_pax_global_extensions() {
            next.describe(&mut entry)?;
            continue;
        }
        let described = std::mem::take(&mut next);
        let name = plain_name(&described.name.unwrap_or_else(|| entry.path_bytes().into_owned()))?;
        match Kind::of(&entry, &name)? {
            Kind::Folder => names.add_folder(&name)?,
            Kind::File => {
                names.add_file(&name)?;
                write_member(&mut entry, folder, &name, limits)?;
            }
        }
    }
    if next.name.is_some() {
        return Err(Fault::Archive("Invalid tar.gz archive: it ends before a member that it announces".into()));
    }
    finish(&mut unpacked)?;
    Ok(names.files.len())
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn broken(error: io::Error) -> Fault {
    Fault::Archive(format!("Invalid tar.gz archive: {error}"))
}

/// The rest must be there, give the checksum, and be empty.
fn finish(unpacked: &mut impl Read) -> Result<(), Fault> {
    let mut buffer = [0; 8 << 10];
    loop {
        match unpacked.read(&mut buffer).map_err(broken)? {
            0 => return Ok(()),
            length if buffer[..length].iter().any(|byte| *byte != 0) => {
                return Err(Fault::Archive("Invalid tar.gz archive: something stands behind its end".into()));
            }
            _ => {}
        }
    }
}

/// The decompressed bytes, so long as they are within the limits.
struct Unpacked<R: Read> {
    decoder: MultiGzDecoder<Counted<R>>,
    packed: Rc<Cell<u64>>,
    length: u64,
    limits: Limits,
}

impl<R: Read> Unpacked<R> {
    fn new(archive: R, limits: Limits) -> Self {
        let packed = Rc::<Cell<u64>>::default();
        let decoder = MultiGzDecoder::new(Counted { reader: archive, count: packed.clone() });
        Unpacked { decoder, packed, length: 0, limits }
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.decoder.read(buffer)?;
        self.length += length as u64;
        let ratio_limit = self.packed.get().saturating_mul(self.limits.ratio).max(SMALL);
        if self.length > self.limits.total {
            return Err(io::Error::other(format!("it unpacks to more than {} bytes", self.limits.total)));
        }
        if self.length > ratio_limit {
            return Err(io::Error::other(format!("it unpacks to more than {} times its size", self.limits.ratio)));
        }
        Ok(length)
    }
}

struct Counted<R> {
    reader: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.count.set(self.count.get() + length as u64);
        Ok(length)
    }
}

/// What extension headers say of the member behind them.
#[derive(Default)]
struct Next {
    name: Option<Vec<u8>>,
}

impl Next {
    /// Read here and not by the library, which takes as much memory for them as they ask for.
    fn describe(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> Result<(), Fault> {
        let mut bytes = Vec::new();
        if entry.size() > MAX_HEADER {
            return Err(Fault::Archive(format!("Invalid tar.gz archive: a header of {} bytes", entry.size())));
        }
        entry.read_to_end(&mut bytes).map_err(broken)?;
        if entry.header().entry_type().is_gnu_longname() {
            self.name = Some(bytes.strip_suffix(b"\0").unwrap_or(&bytes).to_vec());
            return Ok(());
        }
        for record in tar::PaxExtensions::new(&bytes) {
            let record = record.map_err(broken)?;
            match record.key_bytes() {
                b"path" if entry.header().entry_type().is_pax_local_extensions() => {
                    self.name = Some(record.value_bytes().to_vec());
                }
                // Times, owners and comments say nothing about the content; the rest would change what a member is.
                b"mtime" | b"atime" | b"ctime" | b"uid" | b"gid" | b"uname" | b"gname" | b"comment" | b"hdrcharset" => {
                }
                key if key.starts_with(b"LIBARCHIVE.") || key.starts_with(b"SCHILY.") => {}
                key => {
                    let key = String::from_utf8_lossy(key);
                    return Err(Fault::Archive(format!("Invalid tar.gz archive: a header says {key:?}")));
                }
            }
        }
        Ok(())
    }
}

enum Kind {
    File,
    Folder,
}

impl Kind {
    fn of(entry: &tar::Entry<'_, impl Read>, name: &str) -> Result<Kind, Fault> {
        let kind = entry.header().entry_type();
        // Old archives mark a folder by the end of its name alone.
        let is_folder = kind.is_dir() || (kind.is_file() && entry.path_bytes().ends_with(b"/"));
        if is_folder && entry.size() == 0 {
            return Ok(Kind::Folder);
        }
        if kind.is_file() && !is_folder && !name.is_empty() {
            return Ok(Kind::File);
        }
        let what = match () {
            () if kind.is_symlink() => "Symlink",
            () if kind.is_hard_link() => "Hard link",
            () if kind.is_character_special() || kind.is_block_special() || kind.is_fifo() => "Device",
            () => "Something that is no regular file",
        };
        Err(Fault::Archive(format!("{what} in tar archive: {name}")))
    }
}

/// `name` as a path below the folder: relative, only going down, spelled in one way. Empty for the folder itself.
fn plain_name(name: &[u8]) -> Result<String, Fault> {
    let refused =
        |what: &str| Fault::Archive(format!("{what}: {}", String::from_utf8_lossy(&name[..name.len().min(200)])));
    let text = std::str::from_utf8(name).map_err(|_| refused("Name that is not UTF-8 in tar member"))?;
    if text.starts_with('/') {
        return Err(refused("Absolute path in tar member"));
    }
    if text.contains(char::is_control) {
        return Err(refused("Control character in the name of tar member"));
    }
    let mut rest = text;
    while let Some(shorter) = rest.strip_prefix("./") {
        rest = shorter;
    }
    let rest = if rest == "." { "" } else { rest.strip_suffix('/').unwrap_or(rest) };
    let steps: Vec<&str> = if rest.is_empty() { Vec::new() } else { rest.split('/').collect() };
    if steps.contains(&"..") {
        return Err(refused("Path traversal in tar member"));
    }
    if steps.iter().any(|step| step.is_empty() || *step == ".") {
        return Err(refused("Ambiguous path in tar member"));
    }
    if rest.len() > MAX_NAME || steps.iter().any(|step| step.len() > MAX_STEP) {
        return Err(refused("Name too long in tar member"));
    }
    if steps.len() > MAX_DEPTH {
        return Err(refused("Path too deep in tar member"));
    }
    Ok(rest.to_owned())
}

/// What was seen so far: a name stands for one thing.
#[derive(Default)]
struct Names {
    files: HashSet<String>,
    folders: HashSet<String>,
}

impl Names {
    fn add_file(&mut self, name: &str) -> Result<(), Fault> {
        if self.folders.contains(name) || !self.files.insert(name.to_owned()) {
            return Err(Fault::Archive(format!("Duplicate name in tar archive: {name}")));
        }
        name.rsplit_once('/').map_or(Ok(()), |(folder, _)| self.add_folder(folder))
    }

    fn add_folder(&mut self, name: &str) -> Result<(), Fault> {
        for end in name.match_indices('/').map(|(at, _)| at).chain([name.len()]) {
            if self.files.contains(&name[..end]) {
                return Err(Fault::Archive(format!("Duplicate name in tar archive: {}", &name[..end])));
            }
            self.folders.insert(name[..end].to_owned());
        }
        Ok(())
    }
}

fn write_member(
    entry: &mut tar::Entry<'_, impl Read>,
    folder: &Path,
    name: &str,
    limits: &Limits,
) -> Result<(), Fault> {
    let size = entry.size();
    if size > limits.member {
        return Err(Fault::Archive(format!("Member too large: {name} ({size} bytes)")));
    }
    let path = folder.join(name);
    let unwritable = || format!("{} can't be written", path.display());
    if let Some(parent) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).context(unwritable)?;
    }
    // A file system that takes two names for one says so here.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let mut file = match file {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Fault::Archive(format!("Duplicate name in tar archive: {name}")));
        }
        file => file.context(unwritable)?,
    };
    let mut buffer = vec![0; 64 << 10];
    let mut written = 0;
    loop {
        let length = entry.read(&mut buffer).map_err(broken)?;
        if length == 0 {
            break;
        }
        file.write_all(&buffer[..length]).context(unwritable)?;
        written += length as u64;
    }
    if written < size {
        return Err(Fault::Archive(format!("Invalid tar.gz archive: it ends within {name}")));
    }
    Ok(())
}

/// Packs the files below `folder`, sorted by name. Owner, mode and time are always the same, so the same files give the
/// same bytes.
pub fn pack<W: Write>(folder: &Path, out: W) -> Result<W> {
    let unwritable = || format!("{} can't be packed", folder.display());
    // 255: no particular system.
    let gzip = flate2::GzBuilder::new().mtime(0).operating_system(255).write(out, flate2::Compression::default());
    let mut tar = tar::Builder::new(gzip);
    for (name, path) in files_below(folder)? {
        let file = fs::File::open(&path).context(unwritable)?;
        let size = file.metadata().context(unwritable)?.len();
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_size(size);
        // Shorter or longer than a moment ago, it would move everything behind it.
        tar.append_data(&mut header, &name, file.take(size)).context(unwritable)?;
    }
    tar.into_inner().and_then(flate2::write::GzEncoder::finish).context(unwritable)
}

fn files_below(folder: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(folder).follow_links(false) {
        let entry = entry.context(|| format!("{} can't be read", folder.display()))?;
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(folder).unwrap_or(entry.path()).to_owned();
            files.push((name, entry.into_path()));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;
    use tar::{EntryType, Header};

    const SMALL_LIMITS: Limits = Limits { member: 4 << 20, total: 48 << 20, entries: 20, ratio: 100 };

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::default());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    /// One member, its name put into the header as it is.
    fn member(kind: EntryType, name: &[u8], link: &[u8], content: &[u8]) -> Vec<u8> {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }

    fn file(name: &str, content: &[u8]) -> Vec<u8> {
        member(EntryType::Regular, name.as_bytes(), b"", content)
    }

    fn ended(members: &[Vec<u8>]) -> Vec<u8> {
        [members.concat(), vec![0; 1024]].concat()
    }

    /// Unpacks into a throw-away folder: its files, or the fault's words.
    fn outcome(archive: &[u8]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        fs::create_dir(&inside).unwrap();
        let outcome = unpack(archive, &inside, &SMALL_LIMITS);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was written outside");
        match outcome {
            Ok(count) => {
                let names: Vec<String> =
                    files_below(&inside).unwrap().into_iter().map(|(name, _)| name.display().to_string()).collect();
                assert_eq!(names.len(), count);
                Ok(names)
            }
            Err(Fault::Archive(what)) => Err(what),
            Err(Fault::Disk(error)) => panic!("{error}"),
        }
    }

    fn fault(members: &[Vec<u8>]) -> String {
        outcome(&gzip(&ended(members))).unwrap_err()
    }

    fn pax(records: &[(&str, &str)]) -> Vec<u8> {
        let mut text = String::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (rest..rest + 9).find(|n| rest + n.to_string().len() == *n).unwrap();
            writeln!(text, "{length} {key}={value}").unwrap();
        }
        member(EntryType::XHeader, b"pax", b"", text.as_bytes())
    }

    #[test]
    fn what_no_session_holds_is_refused() {
        let ok = file("manifest.json", b"{}");
        let long = "n".repeat(300);
        let deep = "a/".repeat(17) + "f";
        let (too_long, too_deep) =
            (format!("Name too long in tar member: {}", &long[..200]), format!("Path too deep in tar member: {deep}"));
        let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
            ("Path traversal in tar member: ../up", vec![file("../up", b"x")]),
            ("Path traversal in tar member: a/../../up", vec![file("a/../../up", b"x")]),
            ("Path traversal in tar member: a/..", vec![member(EntryType::Directory, b"a/..", b"", b"")]),
            ("Absolute path in tar member: /etc/x", vec![file("/etc/x", b"x")]),
            ("Ambiguous path in tar member: a//b", vec![file("a//b", b"x")]),
            ("Ambiguous path in tar member: a/./b", vec![file("a/./b", b"x")]),
            ("Control character in the name of tar member: a\nb", vec![file("a\nb", b"x")]),
            ("Control character in the name of tar member: a\0b", vec![pax(&[("path", "a\0b")]), ok.clone()]),
            ("Symlink in tar archive: s", vec![member(EntryType::Symlink, b"s", b"/etc/passwd", b"")]),
            ("Hard link in tar archive: h", vec![ok.clone(), member(EntryType::Link, b"h", b"manifest.json", b"")]),
            ("Device in tar archive: c", vec![member(EntryType::Char, b"c", b"", b"")]),
            ("Device in tar archive: b", vec![member(EntryType::Block, b"b", b"", b"")]),
            ("Device in tar archive: p", vec![member(EntryType::Fifo, b"p", b"", b"")]),
            ("Something that is no regular file in tar archive: g", vec![member(EntryType::GNUSparse, b"g", b"", b"")]),
            ("Duplicate name in tar archive: manifest.json", vec![ok.clone(), ok.clone()]),
            ("Duplicate name in tar archive: manifest.json", vec![ok.clone(), file("./manifest.json", b"")]),
            ("Duplicate name in tar archive: a", vec![file("a", b"x"), file("a/b", b"x")]),
            ("Duplicate name in tar archive: a", vec![file("a/b", b"x"), file("a", b"x")]),
            ("More than 20 members in tar archive", (0..21).map(|n| file(&format!("f{n}"), b"")).collect()),
            ("Member too large: big (5242880 bytes)", vec![file("big", &vec![7; 5 << 20])]),
            (&too_long, vec![pax(&[("path", &long)]), ok.clone()]),
            (&too_deep, vec![file(&deep, b"x")]),
            ("Path traversal in tar member: ../pax", vec![pax(&[("path", "../pax")]), ok.clone()]),
            (
                "Path traversal in tar member: ../gnu",
                vec![member(EntryType::GNULongName, b"././@LongLink", b"", b"../gnu\0"), ok.clone()],
            ),
            (
                "Invalid tar.gz archive: a header of 20000 bytes",
                vec![member(EntryType::GNULongName, b"././@LongLink", b"", &vec![b'a'; 20_000]), ok.clone()],
            ),
            ("Invalid tar.gz archive: a header says \"size\"", vec![pax(&[("size", "9")]), ok.clone()]),
            (
                "Invalid tar.gz archive: a header says \"GNU.sparse.size\"",
                vec![pax(&[("GNU.sparse.size", "9")]), ok.clone()],
            ),
            ("Invalid tar.gz archive: it ends before a member that it announces", vec![pax(&[("path", "x")])]),
        ];
        for (expected, members) in cases {
            assert_eq!(fault(&members), expected);
        }
        let folder_with_content = member(EntryType::Directory, b"d/", b"", b"x");
        assert_eq!(fault(&[folder_with_content]), "Something that is no regular file in tar archive: d");
        let not_utf8 = member(EntryType::Regular, b"\xff\xfe", b"", b"");
        assert!(fault(&[not_utf8]).starts_with("Name that is not UTF-8"));
    }

    #[test]
    fn what_sessions_hold_is_taken() {
        let members = [
            member(EntryType::Directory, b"./", b"", b""),
            pax(&[("mtime", "1770000000.25"), ("path", "checkpoints/größe/manifest.json")]),
            file("ignored", b"{}"),
            file("./manifest.json", b"{}"),
            file("notes..md", b"two dots in a name go nowhere"),
            member(EntryType::Directory, b"context/", b"", b""),
        ];
        let names = outcome(&gzip(&ended(&members))).unwrap();
        assert_eq!(names, ["checkpoints/größe/manifest.json", "manifest.json", "notes..md"]);
        assert_eq!(outcome(&gzip(&[])).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn bombs_are_stopped_while_they_unpack() {
        let bomb: Vec<Vec<u8>> = (0..10).map(|n| file(&format!("f{n}"), &vec![0; 4 << 20])).collect();
        assert_eq!(fault(&bomb), "Invalid tar.gz archive: it unpacks to more than 100 times its size");
        let mut seed = 1u32;
        let mut noise = move || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        };
        let large: Vec<Vec<u8>> =
            (0..13).map(|n| file(&format!("f{n}"), &(0..4 << 20).map(|_| noise()).collect::<Vec<u8>>())).collect();
        assert_eq!(fault(&large), "Invalid tar.gz archive: it unpacks to more than 50331648 bytes");
        // Behind the end of the tar, where no member is.
        let padding = [ended(&[file("a", b"x")]), vec![0; 40 << 20]].concat();
        assert!(outcome(&gzip(&padding)).unwrap_err().contains("100 times"));
    }

    #[test]
    fn what_is_broken_is_told_apart_from_a_full_disk() {
        let whole = gzip(&ended(&[file("manifest.json", &[b'x'; 3000])]));
        assert_eq!(outcome(b"hello").unwrap_err(), "Invalid tar.gz archive: not a gzip file");
        for nothing in [&b""[..], b"x", b"\x1f\x8b"] {
            assert!(outcome(nothing).unwrap_err().starts_with("Invalid tar.gz archive: "));
        }
        for cut in [1, 9, 20, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
            let message = outcome(&whole[..cut]).unwrap_err();
            assert!(message.starts_with("Invalid tar.gz archive: "), "{cut}: {message}");
        }
        let mut wrong_sum = whole.clone();
        let at = wrong_sum.len() - 6;
        wrong_sum[at] ^= 1;
        assert!(outcome(&wrong_sum).unwrap_err().starts_with("Invalid tar.gz archive: "));
        assert!(outcome(&gzip(&[b'x'; 2048])).unwrap_err().starts_with("Invalid tar.gz archive: "));
        let cut_inside = &ended(&[file("manifest.json", &[b'x'; 3000])])[..1024];
        assert!(outcome(&gzip(cut_inside)).unwrap_err().starts_with("Invalid tar.gz archive: "));
        let behind = [ended(&[file("a", b"x")]), b"more".to_vec()].concat();
        assert_eq!(outcome(&gzip(&behind)).unwrap_err(), "Invalid tar.gz archive: something stands behind its end");
    }

    #[test]
    fn the_same_files_give_the_same_bytes_and_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let long = format!("native/{}/{}", "d".repeat(120), "f".repeat(120));
        for (name, content) in [("b", "2"), ("a/x", "1"), (&long[..], "3")] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let packed = pack(folder.path(), Vec::new()).unwrap();
        let times = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
        fs::File::options().write(true).open(folder.path().join("b")).unwrap().set_times(times).unwrap();
        assert_eq!(pack(folder.path(), Vec::new()).unwrap(), packed);
        assert_eq!(outcome(&packed).unwrap(), ["a/x", "b", &long]);
    }
}
