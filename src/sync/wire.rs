//! What the two sides say to each other: JSON, and for bytes a zstd frame that holds a JSON header and the bytes behind it.
//! Everything that comes from the other side is checked here, before anything is done with it.

use crate::error::{Context, Error, Result};
use crate::id::{Hash, SessionId, is_native_id};
use crate::store::{CHECKPOINT, ChangedSession, Register, Relation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::{Component, Path};

/// The version of this exchange, as `GET /health` names it.
pub const VERSION: u32 = 1;
/// The header that names the share through which a session is read.
pub const SHARE_HEADER: &str = "x-sessionfs-share";
/// A Lamport counter that comes through a share may be so much ahead of all that are known: one that is near its end could
/// never be overruled.
pub const AHEAD: u64 = 1000;
/// Raw bytes of one frame's header, and of its bytes: what a client may make a server unpack.
const MAX_HEADER: u64 = 8 << 20;
const MAX_BYTES: u64 = 16 << 20;
/// zstd's level on the wire.
const LEVEL: i32 = 6;
/// Characters of what is said of a session: a title. And of a checkpoint, which names every stream.
const MAX_SAID: usize = 4096;
const MAX_CHECKPOINT: usize = 256 << 10;

/// What changed on a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Everything up to this number is in it.
    pub number: i64,
    /// More changed; ask again from `number`.
    pub more: bool,
    /// The sessions, with those of their streams that changed.
    pub sessions: Vec<SessionState>,
}

/// A session as one side has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionState {
    /// `ses_…` there. Tool and native id tell which session it is.
    pub id: String,
    /// Such as `codex`.
    pub tool: String,
    /// Its id in the tool.
    pub native_id: String,
    /// The session it continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// What was said of it.
    #[serde(default)]
    pub registers: Vec<SaidOf>,
    /// Its streams.
    #[serde(default)]
    pub streams: Vec<StreamState>,
    /// The one of the contract's archive of it, where a server says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// The session that another one continues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// `ses_…`
    pub id: String,
    /// `resume` or `fork`.
    pub relation: String,
    /// So many first bytes of `main` were written by sessionfs.
    pub inherited: u64,
}

/// A register, see [`Register`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "see Register")]
pub struct SaidOf {
    pub field: String,
    pub value: Option<String>,
    pub counter: u64,
    pub device: String,
}

/// A stream as one side has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamState {
    /// `main`, `subagents/…`.
    pub name: String,
    /// The device that writes it.
    pub origin: String,
    /// Counts rewrites of the native file.
    pub generation: u32,
    /// Such as `claude-code/jsonl`.
    pub format: String,
    /// Where the native file lay below the tool's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native_path: Option<String>,
    /// Bytes.
    pub length: u64,
    /// Over them.
    pub hash: Hash,
}

/// Names a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "see SessionState and StreamState")]
pub struct StreamPlace {
    pub tool: String,
    pub native_id: String,
    pub name: String,
    pub origin: String,
    pub generation: u32,
}

/// What a client sends: sessions with what is new of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// The sessions; the streams' length and hash are what the client believes the server has.
    pub sessions: Vec<SessionState>,
    /// What follows, for each stream of each session in order.
    pub parts: Vec<Vec<Part>>,
}

/// A piece of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// So many bytes, in the frame.
    Bytes(u64),
    /// A chunk that the server said it has.
    Chunk(Hash),
}

/// How far a server is after a push.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushAnswer {
    /// One for each session of the push, in order.
    pub sessions: Vec<Accepted>,
    /// The `ETag` of each session that was taken.
    #[serde(default)]
    pub etags: Vec<Option<String>>,
}

/// What became of one session of a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accepted {
    /// Length and hash of each stream now. One that is not as the client believed was left as it is.
    Streams(Vec<(u64, Hash)>),
    /// It does not want it, ever, because.
    Refused(String),
}

/// A piece of a stream that a client wants, or gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// Of this stream.
    pub stream: StreamPlace,
    /// From this byte.
    pub from: u64,
    /// So many bytes.
    pub length: u64,
    /// What the asker has before them, if anything: it can't go on from other bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Hash>,
}

/// A header with the bytes that it speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<T> {
    /// What the bytes are.
    pub header: T,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Packs a header and bytes into one zstd frame: the header's length (4 bytes, little-endian), the header, the bytes.
pub fn pack(header: &impl Serialize, bytes: &[u8]) -> Result<Vec<u8>> {
    let header = serde_json::to_vec(header).context(|| "a message can't be written")?;
    let mut raw = Vec::with_capacity(4 + header.len() + bytes.len());
    raw.extend_from_slice(&(header.len() as u32).to_le_bytes());
    raw.extend_from_slice(&header);
    raw.extend_from_slice(bytes);
    zstd::bulk::compress(&raw, LEVEL).context(|| "a message can't be compressed")
}

/// Reads what [`pack`] wrote; never unpacks more than a message may have.
pub fn unpack<T: DeserializeOwned>(packed: impl Read) -> Result<Frame<T>> {
    let damaged = || "the message is damaged";
    let mut reader = zstd::stream::read::Decoder::new(packed).context(damaged)?;
    reader.window_log_max(27).context(damaged)?;
    let mut length = [0; 4];
    reader.read_exact(&mut length).context(damaged)?;
    let length = u64::from(u32::from_le_bytes(length));
    if length > MAX_HEADER {
        return Err(Error::usage("the message's header is too long"));
    }
    let mut header = Vec::new();
    (&mut reader).take(length).read_to_end(&mut header).context(damaged)?;
    let header = serde_json::from_slice(&header).context(damaged)?;
    let mut bytes = Vec::new();
    reader.take(MAX_BYTES + 1).read_to_end(&mut bytes).context(damaged)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::usage("the message holds more than 16 MiB"));
    }
    Ok(Frame { header, bytes })
}

impl From<&Register> for SaidOf {
    fn from(register: &Register) -> SaidOf {
        let Register { field, value, counter, device } = register.clone();
        SaidOf { field, value, counter, device }
    }
}

impl SaidOf {
    /// Says that the session is deleted.
    pub fn is_deletion(&self) -> bool {
        self.field == "deleted_at" && self.value.is_some()
    }

    /// False for one that can't be taken in: it is left out, and the session comes all the same.
    pub fn is_sound(&self) -> bool {
        let is_text = |text: &str, most: usize| text.chars().count() <= most && !text.contains(char::is_control);
        let most = if self.field.starts_with(CHECKPOINT) { MAX_CHECKPOINT } else { MAX_SAID };
        !self.field.is_empty()
            && is_text(&self.field, 200)
            && self.value.as_deref().is_none_or(|value| is_text(value, most))
            && self.counter < 1 << 62
            && is_word(&self.device, 64)
    }

    /// Bytes that it takes in a message, about.
    pub fn size(&self) -> usize {
        100 + self.field.len() + self.value.as_ref().map_or(0, String::len)
    }
}

impl SessionState {
    /// As it stands in an archive.
    pub fn of(changed: &ChangedSession) -> SessionState {
        let session = &changed.session;
        let parent = session.parent.as_ref().map(|(parent, relation)| Parent {
            id: parent.clone(),
            relation: relation.as_str().to_owned(),
            inherited: session.inherited,
        });
        let streams = changed.streams.iter().map(|(stream, origin)| StreamState {
            name: stream.own_name.clone(),
            origin: origin.clone(),
            generation: stream.generation,
            format: stream.format.clone(),
            native_path: stream.native_path.clone(),
            length: stream.length,
            hash: stream.hash(),
        });
        SessionState {
            id: session.public_id.to_string(),
            tool: session.tool.clone(),
            native_id: session.native_id.clone(),
            parent,
            registers: changed.registers.iter().map(SaidOf::from).collect(),
            streams: streams.collect(),
            etag: None,
        }
    }

    /// Why it can't be taken in; the caller has seen nothing but what stands here.
    pub fn problem(&self) -> Option<String> {
        if SessionId::parse(&self.id).is_err() {
            return Some(format!("{:?} is not a session id", self.id));
        }
        if !is_word(&self.tool, 50) || !is_native_id(&self.native_id) {
            return Some("tool or native id is not one".to_owned());
        }
        if let Some(parent) = &self.parent
            && (SessionId::parse(&parent.id).is_err() || Relation::parse(&parent.relation).as_str() != parent.relation)
        {
            return Some("its parent is not a session".to_owned());
        }
        if self.registers.len() > 1000 {
            return Some("more is said of it than of any session".to_owned());
        }
        self.streams.iter().find_map(StreamState::problem)
    }
}

impl StreamState {
    fn problem(&self) -> Option<String> {
        let named = |what: &str| Some(format!("stream {:?}: {what}", self.name));
        let is_format = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-/".contains(&b);
        if !is_safe_path(&self.name) || crate::tools::branch(&self.name).is_some() {
            return named("its name is not one");
        }
        if !(8..=64).contains(&self.origin.len())
            || !self.origin.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        {
            return named("its device is not one");
        }
        if self.format.is_empty() || self.format.len() > 64 || !self.format.bytes().all(is_format) {
            return named("its format is not one");
        }
        if self.native_path.as_deref().is_some_and(|path| !is_safe_path(path)) {
            return named("its native path leaves the tool's folder");
        }
        if self.generation > 1_000_000 || self.length > 1 << 50 {
            return named("its size is impossible");
        }
        None
    }
}

fn is_word(text: &str, most: usize) -> bool {
    !text.is_empty() && text.len() <= most && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// The device behind an origin: a redacted copy is its device's as well.
pub fn device_of(origin: &str) -> &str {
    origin.split_once("-r").map_or(origin, |(device, _)| device)
}

/// Relative, below where it starts, and nothing that a file system or a terminal takes for something else.
fn is_safe_path(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= 1024
        && !path.contains(char::is_control)
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

impl StreamPlace {
    /// The place of a stream of `session`.
    pub fn of(session: &SessionState, stream: &StreamState) -> StreamPlace {
        StreamPlace {
            tool: session.tool.clone(),
            native_id: session.native_id.clone(),
            name: stream.name.clone(),
            origin: stream.origin.clone(),
            generation: stream.generation,
        }
    }
}
