//! One look into the client's database: which composers changed, and the rows of each that are to be archived.
//!
//! The client writes a row by replacing it, and a replaced row gets a new, higher number. So the rows above the highest
//! number of the last look are those that were touched; of a composer with such a row, the rows are read whose number is
//! not the archived one. Where the numbers can't be trusted (the row that was newest is gone or has a lower number: rows
//! were deleted, the database was packed or put back) every composer is compared, by its numbers first.

use super::bubble::{self, Bubble};
use super::call::{self, Call};
use super::composer::{Composer, Header, NEWEST};
use super::graph::{self, KnownCall, Root};
use super::order::{Order, order};
use super::row::{BLOB, BUBBLE, CHAT, COMPOSER, Content, HEADER, Value};
use super::state_db::{HeaderMark, StateDb};
use super::workspace::{self, OldSession, Workspaces};
use super::{FILE, STORAGE, Stamp, stamp};
use crate::error::Result;
use crate::id::Hash;
use crate::model::message::{Block, Message};
use crate::tools::database::{Depth, Found, Look, OnPiece, Owner, Piece, Rows, Version};
use crate::tools::lenient::{Raw, elements};
use crate::tools::{Format, foreign};
use serde::{Deserialize, Serialize};
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// The item that lists composers in versions 3.0 to 3.8, and the open ones since.
const INDEX: &str = "composer.composerHeaders";
/// Sub-agents of sub-agents are followed so far.
const GENERATIONS: usize = 16;
/// In a session that is known, results are looked for in so many of the graph's newest messages.
const RECENT: usize = 256;

/// Where a look stood.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    database: Stamp,
    /// The highest number of a row, and the row's key.
    newest: Option<(i64, String)>,
    headers: HeaderMark,
    /// Of the item that lists composers.
    index: i64,
    /// Of the folders' databases.
    beside: i64,
}

/// What changed.
pub(super) struct StateLook {
    database: StateDb,
    storage: PathBuf,
    mark: Mark,
    changed: Vec<String>,
    /// All composers, where everything was looked at.
    composers: Option<BTreeSet<String>>,
    /// The listed composers, by id.
    index: BTreeMap<String, String>,
    workspaces: OnceCell<Workspaces>,
}

/// Looks for what changed since the look that left `cursor`.
pub(super) fn look(root: &Path, cursor: Option<&str>, depth: Depth) -> Result<Option<Box<dyn Look>>> {
    let (path, storage) = (root.join(FILE), root.join(STORAGE));
    let before: Option<Mark> = cursor.and_then(|cursor| serde_json::from_str(cursor).ok());
    // Taken first: what is written meanwhile is seen now or the next time.
    let database = stamp(&path);
    let beside = match depth {
        Depth::Everything => workspace::stamp(&storage),
        Depth::Newest => before.as_ref().map_or(0, |before| before.beside),
    };
    if before.as_ref().is_some_and(|before| before.database == database && before.beside == beside) {
        return Ok(None);
    }
    let Some(opened) = StateDb::open(&path)? else { return Ok(None) };
    let mut look = StateLook {
        database: opened,
        storage,
        mark: Mark { database, beside, ..Mark::default() },
        changed: Vec::new(),
        composers: None,
        index: BTreeMap::new(),
        workspaces: OnceCell::new(),
    };
    look.compare(&before.unwrap_or_default(), depth)?;
    Ok(Some(Box::new(look)))
}

impl StateLook {
    fn compare(&mut self, before: &Mark, depth: Depth) -> Result<()> {
        self.mark.newest = self.database.newest_row()?;
        let trusted = match &before.newest {
            Some((number, key)) => self.database.rowid(key)?.is_some_and(|now| now >= *number).then_some(*number),
            None => None,
        };
        if depth == Depth::Everything || trusted.is_none() {
            self.composers = Some(self.database.composers()?);
        }
        let (headers, mark) = self.database.headers_since(before.headers)?;
        self.mark.headers = mark;
        let index_changed = self.read_index(before.index)?;
        let mut changed = match (trusted, &self.composers) {
            (Some(number), _) => self.database.touched_since(number)?,
            (None, all) => all.clone().unwrap_or_default(),
        };
        changed.extend(headers);
        if index_changed {
            changed.extend(self.index.keys().cloned());
        }
        self.changed = changed.into_iter().collect();
        if depth == Depth::Everything && before.beside != self.mark.beside {
            let old: Vec<String> = self.workspaces().sessions.keys().cloned().collect();
            self.changed.extend(old);
        }
        Ok(())
    }

    /// True where the item is not the one that was seen before.
    fn read_index(&mut self, before: i64) -> Result<bool> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Index<'a> {
            #[serde(borrow)]
            all_composers: Raw<'a>,
        }
        let Some(item) = self.database.item(INDEX)? else { return Ok(false) };
        let text = item.text().unwrap_or_default();
        self.mark.index = Hash::of(text.as_bytes()).word();
        let listed =
            serde_json::from_str::<Index<'_>>(text).map(|index| elements(index.all_composers)).unwrap_or_default();
        let listed = listed.into_iter().filter_map(|head| Some((workspace::composer_id(head)?, head.get().to_owned())));
        self.index = listed.collect();
        Ok(self.mark.index != before)
    }

    fn workspaces(&self) -> &Workspaces {
        self.workspaces.get_or_init(|| Workspaces::read(&self.storage))
    }

    /// The composer's row in the list of composers, or its entry in the item that was the list before.
    fn header(&self, composer: &str) -> Result<Option<Listed>> {
        if let Some(row) = self.database.header(composer)? {
            return Ok(Some(Listed { rowid: row.rowid, workspace: row.workspace, value: row.value }));
        }
        let entry = self.index.get(composer).map(|text| Value::Bytes(text.clone().into_bytes()));
        Ok(entry.map(|value| Listed { rowid: 0, workspace: None, value }))
    }

    /// The composer that sent this one, if it is still there.
    fn parent(&self, composer: &str) -> Result<Option<String>> {
        let header = self.header(composer)?;
        let data = self.database.value(&format!("{COMPOSER}{composer}"))?;
        let texts = [header.as_ref().and_then(|h| h.value.text()), data.as_ref().and_then(|(_, value)| value.text())];
        let parent = texts.into_iter().flatten().find_map(|text| Composer::parse(text)?.parent());
        match parent {
            Some(parent) if self.database.rowid(&format!("{COMPOSER}{parent}"))?.is_some() => Ok(Some(parent)),
            _ => Ok(None),
        }
    }

    fn owner(&self, id: &str, composer: Option<&Composer<'_>>, header: Option<&Listed>) -> Result<Owner> {
        let mut root = id.to_owned();
        for _ in 0..GENERATIONS {
            match self.parent(&root)? {
                Some(parent) if parent != id => root = parent,
                _ => break,
            }
        }
        let stream = if root == id { "main".to_owned() } else { format!("subagents/{}", call::safe_id(id)) };
        let project = self.project(id, composer, header);
        Ok(Owner { native_id: root, stream, format: Format::CursorRows, project })
    }

    /// The folder, by the first that tells it.
    fn project(&self, id: &str, composer: Option<&Composer<'_>>, header: Option<&Listed>) -> Option<String> {
        let listed = header.and_then(|header| Composer::parse(header.value.text()?));
        let both = [listed.as_ref(), composer];
        let named = || both.into_iter().flatten().find_map(|row| workspace::named(row.workspace_identifier));
        let column = || workspace::folder(&self.storage, header?.workspace.as_deref()?);
        let member = || workspace::folder(&self.storage, self.workspaces().of(id)?);
        let repository = || both.into_iter().flatten().find_map(|row| row.repository().0);
        named().or_else(column).or_else(member).or_else(repository)
    }

    fn composer(&self, id: &str, is_known: bool) -> Result<Found<'_>> {
        let Some((rowid, value)) = self.database.value(&format!("{COMPOSER}{id}"))? else { return Ok(Found::Nothing) };
        if value == Value::Null && !is_known {
            return Ok(Found::Nothing);
        }
        let header = self.header(id)?;
        let bubbles = self.database.bubbles(id)?;
        let composer = value.text().and_then(Composer::parse);
        if !is_known {
            let Some(composer) = &composer else {
                return Ok(Found::Unknown(format!("Cursor's session {id} is damaged and was left out")));
            };
            if !self.says_something(id, composer, &bubbles)? {
                let version = composer.version().filter(|version| *version > NEWEST);
                return Ok(version.map_or(Found::Nothing, |version| {
                    let what =
                        format!("Cursor's session {id} is written in a form that is not known yet (_v {version})");
                    Found::Unknown(what + ": it stays in Cursor only")
                }));
            }
        }
        let owner = self.owner(id, composer.as_ref(), header.as_ref())?;
        let id = id.to_owned();
        Ok(Found::Session(Box::new(ComposerRows { look: self, id, rowid, value, header, bubbles, owner })))
    }

    /// Drafts and deleted sessions do not.
    fn says_something(&self, id: &str, composer: &Composer<'_>, bubbles: &[(String, i64)]) -> Result<bool> {
        if !composer.inline().is_empty() || composer.state().and_then(|state| Root::parse(&state)).is_some() {
            return Ok(true);
        }
        let headers = composer.headers();
        if headers.is_empty() {
            return Ok(false);
        }
        for (bubble, _) in bubbles {
            let value = self.database.value(&format!("{BUBBLE}{id}:{bubble}"))?;
            if value.is_some_and(|(_, value)| value != Value::Null) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Look for StateLook {
    fn changed(&self) -> &[String] {
        &self.changed
    }

    fn is_gone(&self, place: &str) -> bool {
        let Some(composers) = &self.composers else { return false };
        // Of the oldest sessions this look may know nothing.
        let old = self.workspaces.get().map(|workspaces| &workspaces.sessions);
        if place.contains('/') { old.is_some_and(|old| !old.contains_key(place)) } else { !composers.contains(place) }
    }

    fn notes(&self) -> Vec<String> {
        self.workspaces.get().map(|workspaces| workspaces.notes.clone()).unwrap_or_default()
    }

    fn cursor(&self) -> String {
        serde_json::to_string(&self.mark).unwrap_or_default()
    }

    fn session<'a>(&'a self, place: &str, is_known: bool) -> Result<Found<'a>> {
        if place.contains('/') {
            let Some(old) = self.workspaces().sessions.get(place) else { return Ok(Found::Nothing) };
            // It moved into the large database.
            if self.database.rowid(&format!("{COMPOSER}{}", old.native_id))?.is_some() {
                return Ok(Found::Nothing);
            }
            let owner = Owner {
                native_id: old.native_id.clone(),
                stream: "main".to_owned(),
                format: Format::CursorRows,
                project: workspace::folder(&self.storage, &old.workspace),
            };
            return Ok(Found::Session(Box::new(OldRows { old, owner })));
        }
        self.database.begin()?;
        let found = self.composer(place, is_known);
        if !matches!(found, Ok(Found::Session(_))) {
            self.database.end();
        }
        found
    }
}

/// An entry in a list of composers.
struct Listed {
    rowid: i64,
    workspace: Option<String>,
    value: Value,
}

/// A session of the oldest versions: one row.
struct OldRows<'a> {
    old: &'a OldSession,
    owner: Owner,
}

impl Rows for OldRows<'_> {
    fn owner(&self) -> &Owner {
        &self.owner
    }

    fn read(&self, known: &dyn Fn(&str) -> Option<Version>, each: &mut OnPiece<'_>) -> Result<()> {
        let prefix = if self.old.is_chat { CHAT } else { COMPOSER };
        let key = format!("{prefix}{}", self.old.native_id);
        let content = Content::of(&key, &Value::Bytes(self.old.value.get().as_bytes().to_vec()));
        Archive { known, each }.row(key, 0, &content, false)
    }
}

/// A composer's rows, seen at one moment.
struct ComposerRows<'a> {
    look: &'a StateLook,
    id: String,
    rowid: i64,
    value: Value,
    header: Option<Listed>,
    /// The bubbles' ids and the numbers of their rows.
    bubbles: Vec<(String, i64)>,
    owner: Owner,
}

impl Drop for ComposerRows<'_> {
    fn drop(&mut self) {
        self.look.database.end();
    }
}

impl Rows for ComposerRows<'_> {
    fn owner(&self) -> &Owner {
        &self.owner
    }

    fn read(&self, known: &dyn Fn(&str) -> Option<Version>, each: &mut OnPiece<'_>) -> Result<()> {
        let composer = self.value.text().and_then(Composer::parse);
        let own_key = format!("{COMPOSER}{}", self.id);
        let root = composer.as_ref().and_then(|composer| Root::parse(&composer.state()?));
        let depth = if known(&own_key).is_some() { RECENT } else { usize::MAX };
        let calls = RefCell::new(GraphCalls::new(&self.look.database, root.as_ref(), depth));
        let mut archive = Archive { known, each };
        let rowids: HashMap<&str, i64> = self.bubbles.iter().map(|(id, rowid)| (id.as_str(), *rowid)).collect();
        let order = self.order(composer.as_ref(), &rowids)?;
        let named: HashSet<&str> = order.bubbles.iter().map(|(id, _)| id.as_str()).collect();
        for (id, _) in &order.bubbles {
            self.bubble(id, rowids[id.as_str()], false, &calls, &mut archive)?;
        }
        for (id, rowid) in self.bubbles.iter().filter(|(id, _)| !named.contains(id.as_str())) {
            self.bubble(id, *rowid, true, &calls, &mut archive)?;
        }
        let has_inline = composer.as_ref().is_some_and(|composer| !composer.inline().is_empty());
        if let Some(root) = root.filter(|_| order.missing > 0 || (order.bubbles.is_empty() && !has_inline)) {
            self.graph(&root, &order, &mut archive)?;
        }
        archive.row(own_key.clone(), self.rowid, &Content::of(&own_key, &self.value), false)?;
        if let Some(header) = &self.header {
            let key = format!("{HEADER}{}", self.id);
            archive.row(key.clone(), header.rowid, &Content::of(&key, &header.value), false)?;
        }
        Ok(())
    }
}

impl ComposerRows<'_> {
    fn key(&self, bubble: &str) -> String {
        format!("{BUBBLE}{}:{bubble}", self.id)
    }

    fn bubble_text(&self, bubble: &str) -> Result<Option<String>> {
        let value = self.look.database.value(&self.key(bubble))?;
        Ok(value.and_then(|(_, value)| value.text().map(str::to_owned)))
    }

    fn order(&self, composer: Option<&Composer<'_>>, rowids: &HashMap<&str, i64>) -> Result<Order> {
        let mut failed = None;
        let unnamed = |named: &HashSet<String>| {
            let mut found = Vec::new();
            for (id, _) in self.bubbles.iter().filter(|(id, _)| !named.contains(id)) {
                match self.bubble_text(id) {
                    Ok(text) => found.extend(text.and_then(|text| Some((id.clone(), header_of(id, &text)?)))),
                    Err(error) => failed = Some(error),
                }
            }
            found
        };
        let headers = composer.map(Composer::headers).unwrap_or_default();
        let order = order(headers, |id| rowids.contains_key(id), unnamed);
        failed.map_or(Ok(order), Err)
    }

    fn bubble(
        &self,
        id: &str,
        rowid: i64,
        orphan: bool,
        calls: &RefCell<GraphCalls<'_>>,
        archive: &mut Archive<'_, '_>,
    ) -> Result<()> {
        let key = self.key(id);
        if (archive.known)(&key).is_some_and(|known| known.rowid == rowid && (orphan || !known.open)) {
            return Ok(());
        }
        let Some((rowid, value)) = self.look.database.value(&key)? else { return Ok(()) };
        let mut content = Content::of(&key, &value);
        content.orphan = orphan;
        let mut open = orphan;
        if let Some(bubble) = value.text().and_then(Bubble::parse) {
            open |= complete(bubble.call().as_ref(), &mut content, &mut calls.borrow_mut())?;
            for picture in bubble.pictures() {
                open |= !self.picture(&picture, archive)?;
            }
        }
        archive.row(key, rowid, &content, open)
    }

    /// False where the picture's file is not there. Only the client's own folders of pictures are looked into, and only
    /// pictures are taken, whatever the row says.
    fn picture(&self, picture: &bubble::Picture, archive: &mut Archive<'_, '_>) -> Result<bool> {
        let parts: Vec<&str> = picture.file.rsplit(['/', '\\']).take(3).collect();
        let ([file, "images", workspace], Some(name)) = (parts.as_slice(), picture.stream()) else { return Ok(true) };
        if *workspace == ".." || workspace.is_empty() {
            return Ok(true);
        }
        let path = self.look.storage.join(workspace).join("images").join(file);
        match foreign::read_small(&path).filter(|bytes| bubble::media_type(bytes).is_some()) {
            Some(bytes) => (archive.each)(Piece::File { name, bytes }).map(|()| true),
            None => Ok(false),
        }
    }

    /// The model's messages, where bubbles are missing: those that no bubble tells are told by them.
    fn graph(&self, root: &Root, order: &Order, archive: &mut Archive<'_, '_>) -> Result<()> {
        let database = &self.look.database;
        let mut names = root.archived(|name| Some(database.blob(name).ok()??.1));
        names.extend(root.messages.iter().cloned());
        let mut told: Option<HashSet<String>> = None;
        for name in names {
            let key = format!("{BLOB}{name}");
            if (archive.known)(&key).is_some() {
                continue;
            }
            let Some((rowid, bytes)) = database.blob(&name)? else { continue };
            let message = std::str::from_utf8(&bytes).ok().and_then(|text| graph::message(text, &name));
            let Some(message) = message else { continue };
            let known = match &mut told {
                Some(told) => told,
                none => none.insert(self.told(order)?),
            };
            let orphan = says(&message).all(|said| known.contains(&said));
            let mut content = Content::of(&key, &Value::Bytes(bytes));
            content.orphan = orphan;
            archive.row(key, rowid, &content, false)?;
        }
        Ok(())
    }

    /// What the bubbles say.
    fn told(&self, order: &Order) -> Result<HashSet<String>> {
        let mut told = HashSet::new();
        for (id, kind) in &order.bubbles {
            let Some(text) = self.bubble_text(id)? else { continue };
            let beside = bubble::Beside { kind: kind.as_deref(), ..bubble::Beside::default() };
            let messages = Bubble::parse(&text).and_then(|bubble| bubble.messages(id, beside).ok());
            told.extend(messages.iter().flatten().flat_map(says));
        }
        Ok(told)
    }
}

/// Takes from the graph what the bubble lacks of its call. True where that is not there yet.
fn complete(call: Option<&Call<'_>>, content: &mut Content, calls: &mut GraphCalls<'_>) -> Result<bool> {
    let Some(call) = call.filter(|_| calls.has_any()) else { return Ok(false) };
    let (stub, lacks_args) = (call.has_stub(), call.lacks_args());
    let Some(id) = call.raw_id().filter(|_| stub || lacks_args) else { return Ok(false) };
    let found = calls.find(&id, lacks_args)?;
    content.args = found.args.filter(|_| lacks_args);
    content.output = found.output.filter(|_| stub);
    Ok(stub && content.output.is_none())
}

/// A bubble that the list does not name, as the list would.
pub(super) fn header_of(id: &str, text: &str) -> Option<Header> {
    let (kind, moment) = Bubble::parse(text)?.kind_and_moment();
    Some(Header { id: id.to_owned(), kind, moment })
}

/// What tells one message from another, whatever form it has: its texts, and the ids of its calls and results.
fn says(message: &Message) -> impl Iterator<Item = String> + '_ {
    message.content.iter().filter_map(|block| match block {
        Block::Text(text) => Some(text.trim().to_owned()),
        Block::ToolUse { id, .. } => Some(format!("call {id}")),
        Block::ToolResult { id, .. } => Some(format!("result {id}")),
        _ => None,
    })
}

/// Calls in the graph, looked for from its end on: what is wanted is mostly new.
struct GraphCalls<'a> {
    database: &'a StateDb,
    /// Names that were not looked at yet; the last one is the next.
    waiting: Vec<String>,
    found: HashMap<String, KnownCall>,
}

impl<'a> GraphCalls<'a> {
    fn new(database: &'a StateDb, root: Option<&Root>, depth: usize) -> GraphCalls<'a> {
        let names = root.map(|root| root.messages.as_slice()).unwrap_or_default();
        let waiting = names[names.len().saturating_sub(depth)..].to_vec();
        GraphCalls { database, waiting, found: HashMap::new() }
    }

    fn has_any(&self) -> bool {
        !self.waiting.is_empty() || !self.found.is_empty()
    }

    /// A call's input stands before its result, so it comes later.
    fn find(&mut self, id: &str, wants_args: bool) -> Result<KnownCall> {
        loop {
            let known = self.found.get(id);
            let is_there = known.is_some_and(|known| known.args.is_some() || (!wants_args && known.output.is_some()));
            let Some(name) = self.waiting.pop_if(|_| !is_there) else {
                return Ok(known.cloned().unwrap_or_default());
            };
            let Some((_, bytes)) = self.database.blob(&name)? else { continue };
            for (id, call) in std::str::from_utf8(&bytes).map(graph::calls).unwrap_or_default() {
                let known = self.found.entry(id).or_default();
                known.args = call.args.or(known.args.take());
                known.output = call.output.or(known.output.take());
            }
        }
    }
}

/// Where rows go that are not archived yet.
struct Archive<'k, 'e> {
    known: &'k dyn Fn(&str) -> Option<Version>,
    each: &'k mut OnPiece<'e>,
}

impl Archive<'_, '_> {
    fn row(&mut self, key: String, rowid: i64, content: &Content, open: bool) -> Result<()> {
        let known = (self.known)(&key);
        let fingerprint = content.fingerprint();
        let is_same = known.is_some_and(|known| known.content == fingerprint);
        if is_same && known.is_some_and(|known| (known.rowid, known.open) == (rowid, open)) {
            return Ok(());
        }
        let line = (!is_same).then(|| content.line(&key, rowid, known.map(|known| known.place)));
        (self.each)(Piece::Row { key, rowid, content: fingerprint, open, line })
    }
}
