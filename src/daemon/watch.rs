//! Which folders are watched, and what an event means. Events are hints, never the truth: whatever they name is compared
//! with the archive, and where they may have missed something, a folder or everything is compared.
//!
//! Watched are, of each tool, its folders with sessions (with everything below), of a database's folder what is directly in
//! it, and its roots (for index files and for folders that appear later); where a root or a folder is not there yet, the
//! nearest folder above it that is.

use super::pending::Item;
use super::status::State;
use crate::home::Home;
use crate::tools::{self, Tool};
use notify::event::{Event, EventKind, ModifyKind, RenameMode};
use notify::{Config, ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the system tells; read by [`Watch::changes`].
pub(super) type Told = notify::Result<Event>;

/// What became of the folders.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Something of the tool with this number is to be looked at.
    Look(usize, Item),
    /// A folder that we watch or wait for came or went: [`Watch::renew`].
    Layout,
    /// Events were lost: look at everything.
    Lost,
}

/// One tool's places.
struct Territory {
    tool: &'static dyn Tool,
    root: PathBuf,
    folders: Vec<Folder>,
    indexes: Vec<PathBuf>,
    database: Option<DatabasePlace>,
    trouble: Option<Trouble>,
}

/// Where a tool's database is.
struct DatabasePlace {
    root: PathBuf,
    folder: Folder,
    /// The database and its log, as capture sees them.
    files: [PathBuf; 2],
}

/// Where capture sees a folder, and where it really is: it may be a symbolic link, and events name the target.
struct Folder {
    logical: PathBuf,
    actual: PathBuf,
}

enum Trouble {
    TooMany,
    /// A folder can't be watched, such as one that may not be read. The system then stops in the middle of its siblings.
    Refused(String),
}

/// Inode and device: a folder that was replaced by another under the same name has to be watched anew.
type Identity = (u64, u64);

/// The watched folders of all tools.
pub(super) struct Watch {
    home: Home,
    watcher: Option<RecommendedWatcher>,
    tell: smol::channel::Sender<Told>,
    watched: BTreeMap<PathBuf, (RecursiveMode, Identity)>,
    territories: Vec<Territory>,
}

impl Watch {
    /// Watches nothing until [`Watch::renew`]; `tell` gets what happens.
    pub(super) fn new(home: &Home, tell: smol::channel::Sender<Told>) -> Watch {
        let territories = tools::ALL.iter().map(|tool| Territory::of(*tool, home)).collect();
        Watch { home: home.clone(), watcher: None, tell, watched: BTreeMap::new(), territories }
    }

    /// Watches what is there now and forgets what is not; gives the folders that came or went.
    pub(super) fn renew(&mut self) -> Vec<Change> {
        for territory in &mut self.territories {
            *territory = Territory::of(territory.tool, &self.home);
        }
        let mut changes = Vec::new();
        // A folder may appear between the look and the watch: look again until nothing is new.
        for _ in 0..8 {
            let wanted = self.wanted();
            if wanted == self.watched || !self.apply(&wanted, &mut changes) {
                break;
            }
        }
        changes
    }

    fn wanted(&self) -> BTreeMap<PathBuf, (RecursiveMode, Identity)> {
        let mut wanted = BTreeMap::new();
        for territory in &self.territories {
            let database = territory.database.as_ref();
            let roots = database.map(|database| &database.root).into_iter().chain([&territory.root]);
            // A folder that is not there may come one level at a time.
            let awaited = territory.all().map(|folder| &folder.logical).filter(|folder| !folder.is_dir());
            for place in roots.chain(awaited) {
                if let Some((place, identity)) = place.ancestors().find_map(|p| Some((p, identity(p)?))) {
                    wanted.entry(place.to_owned()).or_insert((RecursiveMode::NonRecursive, identity));
                }
            }
            let above = database.map(|database| (&database.folder, RecursiveMode::NonRecursive));
            let deep = territory.folders.iter().map(|folder| (folder, RecursiveMode::Recursive));
            for (folder, mode) in above.into_iter().chain(deep) {
                if let Some(identity) = identity(&folder.actual) {
                    wanted.insert(folder.actual.clone(), (mode, identity));
                }
            }
        }
        wanted
    }

    /// True where a new folder is watched now.
    fn apply(&mut self, wanted: &BTreeMap<PathBuf, (RecursiveMode, Identity)>, changes: &mut Vec<Change>) -> bool {
        let stale: Vec<PathBuf> =
            self.watched.keys().filter(|p| wanted.get(*p) != self.watched.get(*p)).cloned().collect();
        for place in stale {
            self.forget(&place);
            changes.extend(self.look(&place, Item::Gone));
        }
        let mut any = false;
        let new: Vec<_> = wanted.iter().filter(|(place, _)| !self.watched.contains_key(*place)).collect();
        for (place, (mode, identity)) in new {
            let outcome = self.watch(place, *mode);
            any |= outcome.is_ok();
            self.note(place, outcome, (*mode, *identity));
            changes.extend(self.look(place, Item::Folder));
        }
        any
    }

    fn watch(&mut self, place: &Path, mode: RecursiveMode) -> notify::Result<()> {
        if self.watcher.is_none() {
            let tell = self.tell.clone();
            let hear = move |told: Told| {
                // Reading files makes events too, ours among them.
                if !told.as_ref().is_ok_and(|event| event.kind.is_access()) {
                    let _ = tell.try_send(told);
                }
            };
            self.watcher = Some(RecommendedWatcher::new(hear, Config::default().with_follow_symlinks(false))?);
        }
        self.watcher.as_mut().map_or(Ok(()), |watcher| watcher.watch(place, mode))
    }

    fn forget(&mut self, place: &Path) {
        self.watched.remove(place);
        if let Some(watcher) = &mut self.watcher {
            let _ = watcher.unwatch(place);
        }
    }

    fn note(&mut self, place: &Path, outcome: notify::Result<()>, spot: (RecursiveMode, Identity)) {
        let Err(error) = outcome else {
            self.watched.insert(place.to_owned(), spot);
            return;
        };
        for territory in self.territories.iter_mut().filter(|t| t.concerns(place)) {
            territory.trouble = Some(Trouble::of(&error));
        }
    }

    /// Watches a folder that has just appeared. When this returns, every later change in it will be told; what was made
    /// in it before has to be looked for.
    pub(super) fn cover(&mut self, folder: &Path) {
        let actual = self.territories.iter().find_map(|t| t.actual(folder)).unwrap_or_else(|| folder.to_owned());
        let top = self.watched.contains_key(&actual);
        if !top
            && let Err(error) = self.watch(&actual, RecursiveMode::Recursive)
            && matches!(error.kind, ErrorKind::MaxFilesWatch)
        {
            self.too_many(folder);
        }
    }

    fn too_many(&mut self, place: &Path) {
        for territory in &mut self.territories {
            if territory.logical(place).is_some() || territory.actual(place).is_some() {
                territory.trouble = Some(Trouble::TooMany);
                // The next renewal tries again.
                for folder in &territory.folders {
                    self.watched.remove(&folder.actual);
                }
            }
        }
    }

    fn look(&self, place: &Path, item: impl Fn(PathBuf) -> Item) -> Vec<Change> {
        let item = |t: &Territory| match &t.database {
            _ if t.root == place => Some(Item::Indexes),
            Some(database) if database.folder.logical(place).is_some() => Some(Item::Database),
            _ => t.logical(place).map(&item),
        };
        let tools = self.territories.iter().enumerate();
        tools.filter_map(|(tool, territory)| Some(Change::Look(tool, item(territory)?))).collect()
    }

    /// What an event means.
    pub(super) fn changes(&mut self, told: Told) -> Vec<Change> {
        let event = match told {
            Ok(event) => event,
            Err(error) => {
                if matches!(error.kind, ErrorKind::MaxFilesWatch) {
                    error.paths.iter().for_each(|path| self.too_many(path));
                }
                return vec![Change::Lost];
            }
        };
        if event.need_rescan() {
            return vec![Change::Lost];
        }
        event.paths.iter().flat_map(|path| self.meaning(event.kind, path)).collect()
    }

    fn meaning(&self, kind: EventKind, path: &Path) -> Vec<Change> {
        // Both is the sum of From and To, which were told before.
        if matches!(kind, EventKind::Modify(ModifyKind::Name(RenameMode::Both))) {
            return Vec::new();
        }
        let mut changes = Vec::new();
        for (number, territory) in self.territories.iter().enumerate() {
            if territory.frames(path) {
                changes.push(Change::Layout);
            } else if territory.database.as_ref().is_some_and(|database| database.is_of(path)) {
                changes.push(Change::Look(number, Item::Database));
            } else if let Some(logical) = territory.logical(path) {
                changes.push(Change::Look(number, item(kind, path, logical)));
            } else if territory.indexes.iter().any(|index| index == path) {
                changes.push(Change::Look(number, Item::Indexes));
            }
        }
        changes
    }

    /// True where a folder could not be watched that may be mended at any time. The system's limits are not asked so often.
    pub(super) fn is_refused(&self) -> bool {
        self.territories.iter().any(|territory| matches!(territory.trouble, Some(Trouble::Refused(_))))
    }

    /// How the tool with this number is watched, and what is wrong.
    pub(super) fn state(&self, tool: usize) -> (State, Option<String>) {
        let Some(territory) = self.territories.get(tool) else { return (State::Waiting, None) };
        match &territory.trouble {
            Some(Trouble::TooMany) => (State::Polling, Some(TOO_MANY.to_owned())),
            Some(Trouble::Refused(why)) => (State::Polling, Some(why.clone())),
            None if territory.all().any(|folder| self.watched.contains_key(&folder.actual)) => (State::Watching, None),
            None => (State::Waiting, None),
        }
    }
}

const TOO_MANY: &str = "the system's limit of watched folders is reached, so this tool is looked at every few seconds; \
                        raise fs.inotify.max_user_watches (and max_user_instances)";

impl Territory {
    fn of(tool: &'static dyn Tool, home: &Home) -> Territory {
        let root = tool.root(home);
        let root = root.canonicalize().unwrap_or(root);
        let folders = tool.folders().iter().map(|folder| Folder::at(root.join(folder))).collect();
        let indexes = tool.index_files().iter().map(|index| root.join(index)).collect();
        let database = tool.database().map(|database| DatabasePlace::of(database.root(home), database.path()));
        Territory { tool, root, folders, indexes, database, trouble: None }
    }

    /// All folders in which something is watched.
    fn all(&self) -> impl Iterator<Item = &Folder> {
        self.database.iter().map(|database| &database.folder).chain(&self.folders)
    }

    fn concerns(&self, place: &Path) -> bool {
        let is_root = self.root == place || self.database.as_ref().is_some_and(|database| database.root == place);
        is_root || self.all().any(|folder| folder.logical(place).is_some())
    }

    /// Where capture sees the place that an event names, if it is in one of the folders of session files.
    fn logical(&self, path: &Path) -> Option<PathBuf> {
        self.folders.iter().find_map(|folder| folder.logical(path))
    }

    fn actual(&self, path: &Path) -> Option<PathBuf> {
        self.folders.iter().find_map(|folder| Some(folder.actual.join(path.strip_prefix(&folder.logical).ok()?)))
    }

    /// True for the folders themselves and all above them: their coming and going changes what can be watched.
    fn frames(&self, path: &Path) -> bool {
        self.all().any(|folder| folder.logical.starts_with(path) || folder.actual.starts_with(path))
    }
}

impl DatabasePlace {
    fn of(root: PathBuf, path: &str) -> DatabasePlace {
        let root = root.canonicalize().unwrap_or(root);
        let file = root.join(path);
        let mut log = file.clone().into_os_string();
        log.push("-wal");
        let folder = Folder::at(file.parent().unwrap_or(&root).to_owned());
        DatabasePlace { root, folder, files: [file, log.into()] }
    }

    /// True where an event at `path` is one of the database or its log.
    fn is_of(&self, path: &Path) -> bool {
        self.folder.logical(path).is_some_and(|logical| self.files.contains(&logical))
    }
}

impl Folder {
    fn at(logical: PathBuf) -> Folder {
        let actual = logical.canonicalize().unwrap_or_else(|_| logical.clone());
        Folder { logical, actual }
    }

    fn logical(&self, path: &Path) -> Option<PathBuf> {
        let below = path.strip_prefix(&self.actual).ok()?;
        Some(if below.as_os_str().is_empty() { self.logical.clone() } else { self.logical.join(below) })
    }
}

impl Trouble {
    fn of(error: &notify::Error) -> Trouble {
        let out_of_watchers = matches!(&error.kind, ErrorKind::Io(e) if e.raw_os_error() == Some(TOO_MANY_OPEN_FILES));
        if out_of_watchers || matches!(error.kind, ErrorKind::MaxFilesWatch) {
            return Trouble::TooMany;
        }
        let why = if let ErrorKind::Io(error) = &error.kind { error.to_string() } else { error.to_string() };
        let place = error.paths.first().map_or_else(|| "its folder".to_owned(), |path| path.display().to_string());
        Trouble::Refused(format!(
            "{place} can't be watched ({why}), so this tool is looked at every few seconds; make it yours to read with \
             chmod or chown"
        ))
    }
}

/// What the system answers when the number of watchers (not of watched folders) is at its limit.
const TOO_MANY_OPEN_FILES: i32 = rustix::io::Errno::MFILE.raw_os_error();

fn item(kind: EventKind, actual: &Path, logical: PathBuf) -> Item {
    let moved_away = matches!(kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)));
    match actual.symlink_metadata() {
        Err(_) => Item::Gone(logical),
        Ok(_) if moved_away => Item::Gone(logical),
        Ok(metadata) if metadata.is_dir() => Item::Folder(logical),
        Ok(_) => Item::File(logical),
    }
}

fn identity(folder: &Path) -> Option<Identity> {
    let metadata = folder.metadata().ok().filter(std::fs::Metadata::is_dir)?;
    Some((metadata.ino(), metadata.dev()))
}
