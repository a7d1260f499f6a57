//! Looking after the server's folder, while it runs or not: copies, checks, tidying up.

use super::accounts::Accounts;
use super::api::{accounts_database, accounts_folder};
use super::archives::Archives;
use crate::error::{Context, Error, Result};
use crate::home::Home;
use crate::id::Hash;
use crate::security::archive::private_folder;
use crate::store::{Damage, Store};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The list of what a backup holds, in it.
const MANIFEST: &str = "backup.json";
/// Audit events are kept so long.
const AUDIT_DAYS: u32 = 365;

/// What a backup holds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Backup {
    /// When it was begun.
    pub created_at: jiff::Timestamp,
    /// By which version.
    pub sessionfs_version: String,
    /// Its databases.
    pub files: Vec<Copied>,
}

/// A database in a backup.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Copied {
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
}

/// What is known of a server's folder after all of it was read.
#[derive(Debug, Default, Serialize)]
pub struct Checked {
    /// Accounts.
    pub accounts: u64,
    /// Their sessions.
    pub sessions: u64,
    /// Bytes of them.
    pub native_bytes: u64,
    /// What is damaged: whose, and what. Empty in a sound folder.
    pub damage: Vec<(String, Damage)>,
}

/// What was tidied up.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Tidied {
    pub invites: u64,
    pub events: u64,
    pub archives: u64,
}

/// The accounts of the server's folder `data`, which must be one.
pub fn open_accounts(data: &Path) -> Result<Accounts> {
    let path = accounts_database(data);
    if !path.is_file() {
        return Err(Error::not_found(format!("{} is no server's folder", data.display()))
            .hint("sfs serve --data DIR makes one; for another one than this, give --data DIR"));
    }
    Accounts::open(&path)
}

/// Copies all databases of `data` into the tar file `target`, which must not exist. Each is a copy of one moment, made while
/// the server goes on, and is read and checked as a whole before it counts. Unpacked into an empty folder it is a server's
/// folder again.
pub fn backup(data: &Path, target: &Path) -> Result<Backup> {
    if target.exists() {
        return Err(Error::conflict(format!("{} is already there", target.display())).hint("choose another name"));
    }
    let unwritable = || format!("{} can't be written", target.display());
    let place = target.parent().filter(|place| !place.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = private_folder(place)?;
    let copies = copy_all(data, folder.path())?;
    let backup = Backup {
        created_at: jiff::Timestamp::now(),
        sessionfs_version: env!("CARGO_PKG_VERSION").to_owned(),
        files: copies.iter().map(|name| describe(folder.path(), name)).collect::<Result<_>>()?,
    };
    fs::write(folder.path().join(MANIFEST), serde_json::to_vec_pretty(&backup).context(unwritable)?)
        .context(unwritable)?;
    let temporary = tempfile::NamedTempFile::new_in(place).context(unwritable)?;
    let written = write_tar(folder.path(), &copies, BufWriter::new(temporary)).context(unwritable)?;
    let temporary = written.into_inner().map_err(io::IntoInnerError::into_error).context(unwritable)?;
    temporary.as_file().sync_all().context(unwritable)?;
    verify(temporary.path(), &backup.files)?;
    temporary.persist_noclobber(target).map_err(|error| error.error).context(unwritable)?;
    File::open(place).and_then(|place| place.sync_all()).context(unwritable)?;
    Ok(backup)
}

/// Copies and checks; says which files there are now. An account that is new since the first of them was copied is in the
/// next backup.
fn copy_all(data: &Path, folder: &Path) -> Result<Vec<String>> {
    let copy = create_private(&accounts_database(folder))?;
    open_accounts(data)?.copy_to(&copy)?;
    let accounts = Accounts::open(&copy)?;
    let damage = accounts.check()?;
    if !damage.is_empty() {
        return Err(damaged(data, &damage.join("; ")));
    }
    let mut names = vec!["server.db".to_owned()];
    let archives = Archives::new(&accounts_folder(data));
    for (account, _) in accounts.list()? {
        if !archives.exists(account.id) {
            continue;
        }
        let home = Archives::new(&accounts_folder(folder)).home(account.id);
        let copy = create_private(&home.database())?;
        Store::open(&archives.home(account.id))?.copy_to(&copy)?;
        let report = Store::open(&home)?.check(|_| ())?;
        if let Some(first) = report.damage.first() {
            return Err(damaged(data, &format!("account {}: {}", account.email, first.what)));
        }
        names.push(format!("accounts/{}/archive.db", account.id));
    }
    Ok(names)
}

fn damaged(data: &Path, what: &str) -> Error {
    Error::failed(format!("{} is damaged: {what}", data.display()))
        .hint("sessionfs serve check; no backup was made, an older one may be whole")
}

/// An empty file, private before anything is in it.
fn create_private(path: &Path) -> Result<PathBuf> {
    let unwritable = || format!("{} can't be written", path.display());
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).context(unwritable)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).context(unwritable)?;
    Ok(path.to_owned())
}

fn describe(folder: &Path, name: &str) -> Result<Copied> {
    let file = File::open(folder.join(name)).context(|| format!("{name} can't be read"))?;
    let (bytes, sha256) = digest(file).context(|| format!("{name} can't be read"))?;
    Ok(Copied { name: name.to_owned(), bytes, sha256 })
}

fn digest(mut reader: impl io::Read) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut length = 0;
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok((length, Hash(hash.finalize().into()).hex())),
            read => {
                hash.update(&buffer[..read]);
                length += read as u64;
            }
        }
    }
}

/// Folders are members too: what unpacks them keeps them private.
fn write_tar<W: Write>(folder: &Path, names: &[String], out: W) -> io::Result<W> {
    let mut tar = tar::Builder::new(out);
    let member = |kind, mode, size| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header
    };
    let folders: BTreeSet<&Path> = names
        .iter()
        .flat_map(|name| Path::new(name).ancestors().skip(1))
        .filter(|f| !f.as_os_str().is_empty())
        .collect();
    for name in folders {
        tar.append_data(&mut member(tar::EntryType::Directory, 0o700, 0), name, io::empty())?;
    }
    for name in names.iter().map(String::as_str).chain([MANIFEST]) {
        let file = File::open(folder.join(name))?;
        let size = file.metadata()?.len();
        tar.append_data(&mut member(tar::EntryType::Regular, 0o600, size), name, file)?;
    }
    tar.into_inner()
}

/// Reads the backup as it lies on the disk.
fn verify(path: &Path, files: &[Copied]) -> Result<()> {
    let unreadable = || format!("{} can't be read back", path.display());
    let mut tar = tar::Archive::new(File::open(path).context(unreadable)?);
    let mut found = Vec::new();
    for entry in tar.entries().context(unreadable)? {
        let entry = entry.context(unreadable)?;
        let name = entry.path().context(unreadable)?.to_string_lossy().into_owned();
        if entry.header().entry_type().is_file() && name != MANIFEST {
            let (bytes, sha256) = digest(entry).context(unreadable)?;
            found.push(Copied { name, bytes, sha256 });
        }
    }
    if found == files { Ok(()) } else { Err(Error::failed(format!("{} is not what was written", path.display()))) }
}

/// Reads and hashes everything in `data`; `progress` gets the address of the account that comes next.
pub fn check(data: &Path, mut progress: impl FnMut(&str)) -> Result<Checked> {
    let accounts = open_accounts(data)?;
    let archives = Archives::new(&accounts_folder(data));
    let mut checked = Checked::default();
    let server = |what: String| ("server.db".to_owned(), Damage { session: None, what });
    checked.damage.extend(accounts.check()?.into_iter().map(server));
    let mut known = BTreeSet::new();
    for (account, _) in accounts.list()? {
        progress(&account.email);
        checked.accounts += 1;
        known.insert(account.id);
        if !archives.exists(account.id) {
            continue;
        }
        match Store::open(&archives.home(account.id)).and_then(|store| store.check(|_| ())) {
            Ok(report) => {
                checked.sessions += report.sessions;
                checked.native_bytes += report.native_bytes;
                checked.damage.extend(report.damage.into_iter().map(|damage| (account.email.clone(), damage)));
            }
            // One that can't even be read must not hide the others.
            Err(error) => checked.damage.push((account.email, Damage { session: None, what: error.message() })),
        }
    }
    checked.damage.extend(strangers(data, &known).into_iter().map(server));
    Ok(checked)
}

/// Archives that belong to no account: after a restore that went wrong.
fn strangers(data: &Path, known: &BTreeSet<Uuid>) -> Vec<String> {
    let entries = accounts_folder(data).read_dir().into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let strangers = names.filter(|name| Uuid::parse_str(name).map_or(true, |id| !known.contains(&id)));
    strangers.map(|name| format!("accounts/{name} belongs to no account")).collect()
}

/// Drops what nobody needs any more: used and late invitations and sign-ins, audit events of more than a year ago. No session and no
/// byte of one.
pub fn tidy(data: &Path) -> Result<Tidied> {
    let accounts = open_accounts(data)?;
    let archives = Archives::new(&accounts_folder(data));
    accounts.forget_sign_ins()?;
    let mut tidied =
        Tidied { invites: accounts.forget_invites()?, events: accounts.forget_events(AUDIT_DAYS)?, archives: 0 };
    for (account, _) in accounts.list()? {
        if archives.exists(account.id) {
            let home: Home = archives.home(account.id);
            Store::open(&home)?.rest()?;
            tidied.archives += 1;
        }
    }
    Ok(tidied)
}
