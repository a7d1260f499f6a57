//! The folders in which the client worked, and the sessions of its oldest versions, which lie in the databases of these
//! folders: `workspaceStorage/<id>/{workspace.json,state.vscdb}`.

use super::composer::Composer;
use super::row::Value;
use super::state_db::StateDb;
use crate::error::Result;
use crate::id::Hash;
use crate::tools::foreign;
use crate::tools::lenient::{Raw, elements, fields, owned, string};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The items that tell of sessions. No other is asked for.
const COMPOSERS: &str = "composer.composerData";
const CHATS: &str = "workbench.panel.aichat.view.aichat.chatdata";
const PANES: &str = "workbench.panel.composerChatViewPane";
/// In front of a composer's id in a pane.
const VIEW: &str = "workbench.panel.aichat.view.";

/// What the databases of the folders say.
#[derive(Default)]
pub(super) struct Workspaces {
    /// Composer → workspace.
    members: BTreeMap<String, String>,
    /// Composers and chats that lie there and nowhere else, by their place.
    pub(super) sessions: BTreeMap<String, OldSession>,
    /// What could not be read.
    pub(super) notes: Vec<String>,
}

/// A session of the oldest versions.
pub(super) struct OldSession {
    pub(super) native_id: String,
    pub(super) workspace: String,
    /// Its JSON.
    pub(super) value: Box<RawValue>,
    /// A tab of the chat panel; else a composer.
    pub(super) is_chat: bool,
}

/// A stamp of all the folders' databases: it changes with each of them.
pub(super) fn stamp(storage: &Path) -> i64 {
    let stamps: Vec<String> =
        folders(storage).iter().map(|folder| format!("{:?}", super::stamp(&folder.join("state.vscdb")))).collect();
    Hash::of(stamps.join("\n").as_bytes()).word()
}

fn folders(storage: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        storage.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    folders.sort();
    folders
}

impl Workspaces {
    /// Reads those in `storage`. One that can't be read does not stop the others.
    pub(super) fn read(storage: &Path) -> Workspaces {
        let mut all = Workspaces::default();
        for folder in folders(storage) {
            let Some(id) = folder.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
            if let Err(error) = all.one(&id, &folder) {
                all.notes.push(error.message());
            }
        }
        all
    }

    fn one(&mut self, id: &str, folder: &Path) -> Result<()> {
        let path = folder.join("state.vscdb");
        let Some(database) = StateDb::open(&path)? else { return Ok(()) };
        if let Some(composers) = database.item(COMPOSERS)? {
            self.composers(id, composers.text().unwrap_or_default());
        }
        for pane in database.items(PANES)? {
            let views = serde_json::from_str::<BTreeMap<String, &RawValue>>(&pane).unwrap_or_default();
            for composer in views.keys().filter_map(|view| view.strip_prefix(VIEW)) {
                self.members.entry(composer.to_owned()).or_insert_with(|| id.to_owned());
            }
        }
        if let Some(chats) = database.item(CHATS)?
            && !self.chats(id, &chats)
        {
            self.notes.push(format!("{}: the chats in it are damaged and were not read", path.display()));
        }
        Ok(())
    }

    fn composers(&mut self, workspace: &str, text: &str) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Index<'a> {
            #[serde(borrow)]
            all_composers: Raw<'a>,
        }
        let Some(index) = serde_json::from_str::<Index<'_>>(text).ok() else { return };
        for value in elements(index.all_composers) {
            let Some(id) = composer_id(value) else { continue };
            self.members.insert(id.clone(), workspace.to_owned());
            if Composer::parse(value.get()).is_some_and(|composer| !composer.inline().is_empty()) {
                let place = format!("{workspace}/composer/{id}");
                let session = OldSession {
                    native_id: id,
                    workspace: workspace.to_owned(),
                    value: value.to_owned(),
                    is_chat: false,
                };
                self.sessions.insert(place, session);
            }
        }
    }

    /// False where it is no JSON.
    fn chats(&mut self, workspace: &str, chats: &Value) -> bool {
        #[derive(Deserialize)]
        struct Chats<'a> {
            #[serde(borrow)]
            tabs: Raw<'a>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Tab<'a> {
            #[serde(borrow)]
            tab_id: Raw<'a>,
        }
        let Some(chats) = chats.text().and_then(|text| serde_json::from_str::<Chats<'_>>(text).ok()) else {
            return false;
        };
        for value in elements(chats.tabs) {
            let Some(id) = fields::<Tab<'_>>(value).and_then(|tab| owned(tab.tab_id)) else { continue };
            if Composer::parse(value.get()).is_some_and(|tab| !tab.inline().is_empty()) {
                let place = format!("{workspace}/chat/{id}");
                let session = OldSession {
                    native_id: id,
                    workspace: workspace.to_owned(),
                    value: value.to_owned(),
                    is_chat: true,
                };
                self.sessions.insert(place, session);
            }
        }
        true
    }

    /// The workspace in whose database the composer is listed.
    pub(super) fn of(&self, composer: &str) -> Option<&str> {
        self.members.get(composer).map(String::as_str)
    }
}

/// The id in a composer's JSON.
pub(super) fn composer_id(value: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Id<'a> {
        #[serde(borrow)]
        composer_id: Raw<'a>,
    }
    owned(fields::<Id<'_>>(value)?.composer_id)
}

/// The folder of the workspace with that id. None for a window without a folder, and for several folders in one window.
pub(super) fn folder(storage: &Path, id: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Workspace<'a> {
        #[serde(borrow)]
        folder: Raw<'a>,
    }
    let is_name = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let bytes = is_name.then(|| foreign::read_small(&storage.join(id).join("workspace.json"))).flatten()?;
    let workspace: Workspace<'_> = serde_json::from_slice(&bytes).ok()?;
    path_of(&string(workspace.folder)?)
}

/// The folder that a composer itself names.
pub(super) fn named(identifier: Raw<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct Identifier<'a> {
        #[serde(borrow)]
        uri: Raw<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Uri<'a> {
        #[serde(borrow)]
        scheme: Raw<'a>,
        #[serde(borrow)]
        fs_path: Raw<'a>,
        #[serde(borrow)]
        path: Raw<'a>,
    }
    let uri = fields::<Identifier<'_>>(identifier?)?.uri?;
    if let Some(text) = string(Some(uri)) {
        return path_of(&text);
    }
    let uri = fields::<Uri<'_>>(uri)?;
    let is_local = matches!(string(uri.scheme).as_deref(), None | Some("file"));
    owned(uri.fs_path).filter(|_| is_local).or_else(|| owned(uri.path))
}

/// The path in a URI: `file:///c%3A/x` is `c:\x`.
fn path_of(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once("://")?;
    let path = decoded(&rest[rest.find('/')?..]);
    let is_windows =
        scheme == "file" && path.as_bytes().get(2) == Some(&b':') && path.as_bytes()[1].is_ascii_alphabetic();
    Some(if is_windows { path[1..2].to_lowercase() + &path[2..].replace('/', "\\") } else { path })
}

/// Without percent escapes.
fn decoded(text: &str) -> String {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let escaped = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = escaped.filter(|_| *byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(escaped.unwrap_or(*byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::path_of;

    #[test]
    fn a_uri_names_a_path() {
        let path = |uri: &str| path_of(uri).unwrap_or_default();
        assert_eq!(path("file:///home/dev/proj%20alpha"), "/home/dev/proj alpha");
        assert_eq!(path("file:///c%3A/Users/dev"), r"c:\Users\dev");
        assert_eq!(path("vscode-remote://ssh-remote%2Bprod/home/u/app"), "/home/u/app");
        assert_eq!(path("file:///100%/%e2%82%ac%zz"), "/100%/€%zz");
        assert_eq!(path("nonsense"), "");
    }
}
