//! Streams: named logs of exact bytes that only grow.
//!
//! A stream is cut into chunks where its content says so (`FastCDC`, about 64 KiB), so the same bytes give the same
//! chunks whenever they were captured and in whatever session they stand. A chunk is stored once, by its SHA-256; chunks
//! lie in packs of about 1 MiB, one zstd frame each, so that what repeats between chunks costs next to nothing. The bytes
//! behind the last cut are the tail: small rows, one an append, folded together now and then.

use super::Store;
use super::unpack::Begun;
use crate::error::{Context, Error, Result};
use crate::id::Hash;
use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};

/// Chunk sizes in bytes: never shorter (but for a stream's end), on average, never longer.
const CHUNK: (usize, usize, usize) = (16 << 10, 64 << 10, 256 << 10);
/// A pack takes chunks until it holds this many raw bytes.
const PACK: usize = 1 << 20;
/// zstd's level for packs: higher ones cost more time than they save room on session text.
const LEVEL: i32 = 3;
/// A tail row longer than this is compressed.
const COMPRESS_TAIL: usize = 1 << 10;
/// So many tail rows are folded into one.
const TAIL_ROWS: usize = 16;
/// No pack and no tail row holds more raw bytes: a larger length is damage, and nothing is allocated for it.
pub(super) const FRAME_LIMIT: usize = PACK + CHUNK.2;

/// The row of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its row.
    pub id: i64,
    /// The session's row.
    pub session: i64,
    /// As it is shown: `main`, `subagents/…`, `facts`; `main@<device>` where another device's stream is the view.
    pub name: String,
    /// As it was made, whoever's is shown: `main`.
    pub own_name: String,
    /// The device that writes it.
    pub origin: i64,
    /// Counts rewrites of the native file.
    pub generation: u32,
    /// So many of its first bytes stand in a stream of another device, which is shown before this one. [`UNSETTLED`] as
    /// long as that is not known.
    pub shared: u64,
    /// Such as `claude-code/jsonl`.
    pub format: String,
    /// Where the native file is, relative to the tool's folder.
    pub native_path: Option<String>,
    /// Bytes.
    pub length: u64,
    /// Bytes in chunks.
    cut: u64,
    chain: Vec<u8>,
    tail_hash: Vec<u8>,
}

/// Names a stream that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct StreamKey<'a> {
    /// The session's row.
    pub session: i64,
    /// Its name in the session.
    pub name: &'a str,
    /// 0 for the first.
    pub generation: u32,
    /// How its bytes are to be read.
    pub format: &'a str,
    /// Where the native file is, relative to the tool's folder.
    pub native_path: Option<&'a str>,
}

/// What a stream shares with those of other devices is not known yet: nothing of it is derived.
pub const UNSETTLED: u64 = i64::MAX as u64;

impl Stream {
    /// True where another device's stream is shown under this one's own name.
    pub fn is_branch(&self) -> bool {
        self.name != self.own_name
    }

    /// Hash over chunk hashes and tail: two streams with the same bytes have the same one.
    pub fn hash(&self) -> Hash {
        hash_of(&self.chain, &self.tail_hash)
    }

    /// True where the tail begins at byte `end`.
    pub(super) fn is_cut_at(&self, end: u64) -> bool {
        self.cut == end
    }

    /// True where chunks with this chain and this tail are what was appended.
    pub(super) fn has_hashes(&self, chain: &[u8], tail: &[u8]) -> bool {
        self.chain == chain && (self.length == 0 || self.tail_hash == Hash::of(tail).0)
    }
}

/// The pack that still takes chunks, and the compressor.
#[derive(Default)]
pub(super) struct Packer {
    open: Option<OpenPack>,
    compressor: Option<zstd::bulk::Compressor<'static>>,
    /// The tail of the stream that was appended to last: saves reading it back during an import.
    tail: Option<(i64, Vec<u8>)>,
    /// The database's change counter when this was true.
    data_version: i64,
}

struct OpenPack {
    id: i64,
    raw: Vec<u8>,
    /// It already has a row.
    stored: bool,
    dirty: bool,
}

impl Packer {
    /// Drops everything that a rollback or another process may have made untrue.
    pub(super) fn forget(&mut self) {
        self.open = None;
        self.tail = None;
        self.compressor = None;
    }

    pub(super) fn compress(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        let compressor = match &mut self.compressor {
            Some(compressor) => compressor,
            none => none.insert(zstd::bulk::Compressor::new(LEVEL).map_err(zstd_failed)?),
        };
        compressor.compress(raw).map_err(zstd_failed)
    }
}

/// The chain of a stream's chunks with one chunk more.
pub(super) fn link(chain: &[u8], chunk: &[u8]) -> Vec<u8> {
    Sha256::new().chain_update(chain).chain_update(chunk).finalize().to_vec()
}

/// The hash of a stream with these chunks and this hash of its tail.
pub(super) fn hash_of(chain: &[u8], tail: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update(chain).chain_update(tail).finalize().into())
}

/// No chunk is longer.
pub(super) const CHUNK_LIMIT: u64 = CHUNK.2 as u64;

/// The finished chunks at the start of `tail`: start and end. The last piece is none where it ends because the bytes end
/// and not because the content says so.
pub fn whole_chunks(tail: &[u8]) -> impl Iterator<Item = (usize, usize)> + '_ {
    fastcdc::v2020::FastCDC::new(tail, CHUNK.0, CHUNK.1, CHUNK.2)
        .map(|chunk| (chunk.offset, chunk.offset + chunk.length))
        .take_while(|(start, end)| *end < tail.len() || end - start == CHUNK.2)
}

fn zstd_failed(source: std::io::Error) -> Error {
    Error::failed("bytes could not be compressed").because(source)
}

pub(super) fn decompress(data: &[u8], raw_length: i64, what: impl FnOnce() -> String) -> Result<Vec<u8>> {
    let length = usize::try_from(raw_length).unwrap_or(usize::MAX);
    if data.len() == length {
        return Ok(data.to_vec());
    }
    let raw = if length > FRAME_LIMIT {
        Err(std::io::Error::other("its length is impossible"))
    } else {
        zstd::bulk::decompress(data, length)
    };
    match raw {
        Ok(raw) if raw.len() == length => Ok(raw),
        Ok(_) => Err(Error::failed(format!("{} is damaged: its length is wrong", what())).hint("sfs admin check")),
        Err(cause) => Err(Error::failed(format!("{} is damaged", what())).because(cause).hint("sfs admin check")),
    }
}

/// What [`Store::for_each_line`] calls.
pub type OnLine<'f> = dyn FnMut(u64, u64, &[u8]) -> Result<ControlFlow<()>> + 'f;

/// Keeps the packs that were read last: a session's chunks mostly lie in few packs.
#[derive(Default)]
pub struct ChunkCache {
    packs: VecDeque<(i64, Vec<u8>)>,
    /// Only the last one is kept, and decompressed only as far as it is asked for.
    is_sparse: bool,
    begun: Option<Begun>,
}

impl ChunkCache {
    /// For reading here a line and there a line, in the order of the archive: half of the work, on average.
    pub fn sparse() -> ChunkCache {
        ChunkCache { is_sparse: true, ..ChunkCache::default() }
    }
}

const CACHED_PACKS: usize = 4;

const COLUMNS: &str =
    "id, session, coalesce(shown, name), generation, format, native_path, length, cut, chain, tail_hash,
    name, origin, shared";

fn stream_from(row: &rusqlite::Row<'_>) -> rusqlite::Result<Stream> {
    Ok(Stream {
        id: row.get(0)?,
        session: row.get(1)?,
        name: row.get(2)?,
        generation: row.get(3)?,
        format: row.get(4)?,
        native_path: row.get(5)?,
        length: row.get(6)?,
        cut: row.get(7)?,
        chain: row.get(8)?,
        tail_hash: row.get(9)?,
        own_name: row.get(10)?,
        origin: row.get(11)?,
        shared: row.get(12)?,
    })
}

/// The device whose stream the one of `origin` is, or is a redacted copy of: `<device>` or `<device>-r<rules>`.
pub fn exact_device(origin: &str) -> &str {
    origin.split_once("-r").map_or(origin, |(device, _)| device)
}

impl Store {
    /// Makes an empty stream of this device.
    pub fn create_stream(&mut self, key: StreamKey<'_>) -> Result<Stream> {
        let origin = self.origin()?;
        self.create_stream_of(origin, key)
    }

    /// The stream of the device called `origin`, made if it is new. Only what that device wrote may be appended to it.
    pub fn ensure_stream_of(&mut self, origin: &str, key: StreamKey<'_>) -> Result<Stream> {
        let origin = self.origin_called(origin)?;
        let known = self.find_stream(key.session, key.name, origin, Some(key.generation))?;
        known.map_or_else(|| self.create_stream_of(origin, key), Ok)
    }

    /// Where other devices have a stream of that name, this one stays out of sight until it is compared with theirs.
    fn create_stream_of(&mut self, origin: i64, key: StreamKey<'_>) -> Result<Stream> {
        let others = "SELECT EXISTS (SELECT 1 FROM stream WHERE session = ?1 AND name = ?2 AND origin <> ?3)";
        let is_alone = !self
            .connection
            .prepare_cached(others)?
            .query_row(params![key.session, key.name, origin], |row| row.get::<_, bool>(0))?;
        let (shown, shared) = if is_alone {
            (None, 0)
        } else {
            let older = self.find_stream(key.session, key.name, origin, None)?;
            let shown = older.is_none_or(|older| older.is_branch()).then(|| self.branch_name(key.name, origin));
            (shown.transpose()?, UNSETTLED)
        };
        self.connection
            .prepare_cached(
                "INSERT INTO stream (session, origin, name, generation, format, native_path, shown, shared)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                key.session,
                origin,
                key.name,
                key.generation,
                key.format,
                key.native_path,
                shown,
                shared
            ])?;
        self.stream(self.connection.last_insert_rowid())
    }

    /// Under which name a stream of a device is shown beside another one's.
    pub fn branch_name(&self, name: &str, origin: i64) -> Result<String> {
        let device = self.origin_named(origin)?;
        Ok(format!("{name}@{}", device.get(..8).unwrap_or(&device)))
    }

    /// Shows a stream under its own name (`None`) or another, from byte `shared` on.
    pub fn show_stream(&mut self, stream: i64, shown: Option<&str>, shared: u64) -> Result<()> {
        self.connection
            .prepare_cached("UPDATE stream SET shown = ?2, shared = ?3 WHERE id = ?1")?
            .execute(params![stream, shown, shared])?;
        Ok(())
    }

    /// Keeps a stream out of sight until it is compared with the others of its name.
    pub fn unsettle(&mut self, stream: &mut Stream) -> Result<()> {
        stream.shared = UNSETTLED;
        self.connection
            .prepare_cached("UPDATE stream SET shared = ?2 WHERE id = ?1")?
            .execute(params![stream.id, UNSETTLED])?;
        Ok(())
    }

    /// How many bytes the first chunks of two streams have in common, without reading one.
    pub fn shared_chunks(&self, one: &Stream, other: &Stream) -> Result<u64> {
        let first_different: Option<u64> = self
            .connection
            .prepare_cached(
                "SELECT min(a.start) FROM stream_chunk a
                 LEFT JOIN stream_chunk b ON b.stream = ?2 AND b.start = a.start AND b.chunk = a.chunk
                 WHERE a.stream = ?1 AND b.chunk IS NULL",
            )?
            .query_row([one.id, other.id], |row| row.get(0))?;
        Ok(first_different.unwrap_or(one.cut))
    }

    /// The stream in row `id`.
    pub fn stream(&self, id: i64) -> Result<Stream> {
        let sql = format!("SELECT {COLUMNS} FROM stream WHERE id = ?1");
        Ok(self.connection.prepare_cached(&sql)?.query_row([id], stream_from)?)
    }

    /// True where `stream` is still there.
    pub fn has_stream(&self, stream: &Stream) -> Result<bool> {
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM stream WHERE id = ?1 AND session = ?2")?;
        Ok(statement.exists([stream.id, stream.session])?)
    }

    /// All streams of a session: by name as shown, then generation.
    pub fn streams(&self, session: i64) -> Result<Vec<Stream>> {
        let sql = format!("SELECT {COLUMNS} FROM stream WHERE session = ?1 ORDER BY 3, generation, id");
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_map([session], stream_from)?.collect::<rusqlite::Result<_>>()?)
    }

    /// The newest generation of a session's stream of this device, by the stream's own name.
    pub fn newest_stream(&self, session: i64, name: &str) -> Result<Option<Stream>> {
        match self.known_origin()? {
            Some((origin, _)) => self.find_stream(session, name, origin, None),
            None => Ok(None),
        }
    }

    /// The stream of the device called `origin`, if it is here.
    pub fn stream_of(&self, session: i64, name: &str, origin: &str, generation: u32) -> Result<Option<Stream>> {
        let origin: Option<i64> = self
            .connection
            .prepare_cached("SELECT id FROM origin WHERE name = ?1")?
            .query_row([origin], |row| row.get(0))
            .optional()?;
        origin.map_or(Ok(None), |origin| self.find_stream(session, name, origin, Some(generation)))
    }

    /// A device's stream: that generation, or the newest.
    fn find_stream(&self, session: i64, name: &str, origin: i64, generation: Option<u32>) -> Result<Option<Stream>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM stream WHERE session = ?1 AND name = ?2 AND origin = ?3
               AND (?4 IS NULL OR generation = ?4) ORDER BY generation DESC LIMIT 1"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_row(params![session, name, origin, generation], stream_from).optional()?)
    }

    /// The name of the device that writes a stream.
    pub fn device_of(&self, stream: &Stream) -> Result<String> {
        self.origin_named(stream.origin)
    }

    /// How many lines a stream has, the last one whole or not.
    pub fn count_lines(&self, stream: &Stream) -> Result<u64> {
        let (mut lines, mut is_whole) = (0, true);
        let (mut at, mut cache) = (0, ChunkCache::default());
        while at < stream.length {
            let piece = self.read_piece(stream, at, &mut cache)?;
            let Some(last) = piece.last() else { break };
            lines += memchr::memchr_iter(b'\n', &piece).count() as u64;
            is_whole = *last == b'\n';
            at += piece.len() as u64;
        }
        Ok(lines + u64::from(!is_whole))
    }

    /// Where the first `lines` lines of a stream end; `None` where it does not have so many.
    pub fn end_of_lines(&self, stream: &Stream, lines: u64) -> Result<Option<u64>> {
        let (mut left, mut is_whole) = (lines, true);
        let (mut at, mut cache) = (0, ChunkCache::default());
        while left > 0 && at < stream.length {
            let piece = self.read_piece(stream, at, &mut cache)?;
            let Some(last) = piece.last() else { break };
            if let Some(end) = memchr::memchr_iter(b'\n', &piece).nth(left as usize - 1) {
                return Ok(Some(at + end as u64 + 1));
            }
            left -= memchr::memchr_iter(b'\n', &piece).count() as u64;
            is_whole = *last == b'\n';
            at += piece.len() as u64;
        }
        Ok((left == 0 || (left == 1 && !is_whole)).then_some(at))
    }

    /// The native file now lies at another place below the tool's folder.
    pub fn move_stream(&mut self, stream: i64, native_path: &str) -> Result<()> {
        self.connection.execute("UPDATE stream SET native_path = ?2 WHERE id = ?1", params![stream, native_path])?;
        Ok(())
    }

    /// Appends `bytes`. The stream's row is changed in the database and in `stream`.
    pub fn append(&mut self, stream: &mut Stream, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut tail = match self.packer.tail.take() {
            Some((id, tail)) if id == stream.id => tail,
            _ => self.read_tail(stream)?,
        };
        let (old_cut, old_length) = (stream.cut, stream.length);
        // In parts, so that no second copy of all the bytes is made.
        for part in bytes.chunks(PACK) {
            tail.extend_from_slice(part);
            let cut = self.cut_chunks(stream, &tail)?;
            tail.drain(..cut);
        }
        if stream.cut > old_cut {
            self.connection.prepare_cached("DELETE FROM tail WHERE stream = ?1")?.execute([stream.id])?;
            self.insert_tail(stream, stream.cut, &tail)?;
        } else {
            self.insert_tail(stream, stream.length, bytes)?;
            self.fold_tail(stream, &tail)?;
        }
        stream.length += bytes.len() as u64;
        stream.tail_hash = Hash::of(&tail).0.to_vec();
        let number = self.next_change()?;
        let changed = self
            .connection
            .prepare_cached(
                "UPDATE stream SET length = ?2, cut = ?3, chain = ?4, tail_hash = ?5, changed = ?8
                  WHERE id = ?1 AND session = ?6 AND length = ?7",
            )?
            .execute(params![
                stream.id,
                stream.length,
                stream.cut,
                stream.chain,
                stream.tail_hash,
                stream.session,
                old_length,
                number
            ])?;
        // Between two transactions of one large file another process may have purged the session.
        if changed == 0 {
            return Err(Error::conflict(format!("stream {} is not what it was any more", stream.name)));
        }
        self.packer.tail = Some((stream.id, tail));
        Ok(())
    }

    /// Moves every finished chunk at the start of `tail` into a pack; says how many bytes that were.
    fn cut_chunks(&mut self, stream: &mut Stream, tail: &[u8]) -> Result<usize> {
        let mut cut = 0;
        for (start, end) in whole_chunks(tail) {
            let bytes = &tail[start..end];
            let hash = Hash::of(bytes);
            let id = self.add_chunk(hash, bytes)?;
            self.connection
                .prepare_cached("INSERT INTO stream_chunk (stream, start, chunk) VALUES (?1, ?2, ?3)")?
                .execute(params![stream.id, stream.cut, id])?;
            stream.chain = link(&stream.chain, &hash.0);
            stream.cut += bytes.len() as u64;
            cut = end;
        }
        Ok(cut)
    }

    fn add_chunk(&mut self, hash: Hash, bytes: &[u8]) -> Result<i64> {
        let known = self
            .connection
            .prepare_cached("SELECT id FROM chunk WHERE hash = ?1")?
            .query_row([&hash.0[..]], |row| row.get(0))
            .optional()?;
        if let Some(id) = known {
            return Ok(id);
        }
        let (pack, start) = {
            let open = self.open_pack()?;
            let start = open.raw.len();
            open.raw.extend_from_slice(bytes);
            open.dirty = true;
            (open.id, start)
        };
        self.connection
            .prepare_cached("INSERT INTO chunk (hash, length, pack, start) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![&hash.0[..], bytes.len(), pack, start])?;
        let id = self.connection.last_insert_rowid();
        if start + bytes.len() >= PACK {
            self.flush_pack()?;
            self.packer.open = None;
        }
        Ok(id)
    }

    /// The pack that takes the next chunk: the newest if it has room, else a new one.
    fn open_pack(&mut self) -> Result<&mut OpenPack> {
        if self.packer.open.is_none() {
            let newest = self
                .connection
                .prepare_cached("SELECT id, raw_length, data FROM pack ORDER BY id DESC LIMIT 1")?
                .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Vec<u8>>(2)?)))
                .optional()?;
            let next = newest.as_ref().map_or(1, |(id, ..)| id + 1);
            // A damaged pack is left alone: it must not keep new bytes out.
            let with_room = newest.filter(|(_, length, _)| (*length as usize) < PACK).and_then(|(id, length, data)| {
                let raw = decompress(&data, length, || format!("pack {id}")).ok()?;
                Some(OpenPack { id, raw, stored: true, dirty: false })
            });
            self.packer.open = Some(with_room.unwrap_or_else(|| OpenPack {
                id: next,
                raw: Vec::with_capacity(PACK + CHUNK.1),
                stored: false,
                dirty: false,
            }));
        }
        self.packer.open.as_mut().ok_or_else(|| Error::failed("no pack is open"))
    }

    /// Writes the open pack's row if chunks were added.
    pub(super) fn flush_pack(&mut self) -> Result<()> {
        let Some(mut open) = self.packer.open.take() else { return Ok(()) };
        if open.dirty {
            let data = self.packer.compress(&open.raw)?;
            let sql = if open.stored {
                "UPDATE pack SET raw_length = ?2, data = ?3 WHERE id = ?1"
            } else {
                "INSERT INTO pack (id, raw_length, data) VALUES (?1, ?2, ?3)"
            };
            self.connection.prepare_cached(sql)?.execute(params![open.id, open.raw.len(), data])?;
            open.stored = true;
            open.dirty = false;
        }
        self.packer.open = Some(open);
        Ok(())
    }

    /// Another process may have appended to the pack that we hold open.
    pub(super) fn packer_is_current(&mut self) -> Result<()> {
        let version = self.connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if version != self.packer.data_version {
            self.packer.open = None;
            self.packer.tail = None;
            self.packer.data_version = version;
        }
        Ok(())
    }

    fn insert_tail(&mut self, stream: &Stream, start: u64, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let compressed = if bytes.len() > COMPRESS_TAIL { Some(self.packer.compress(bytes)?) } else { None };
        let data = compressed.as_deref().filter(|c| c.len() < bytes.len()).unwrap_or(bytes);
        self.connection
            .prepare_cached("INSERT INTO tail (stream, start, raw_length, data) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![stream.id, start, bytes.len(), data])?;
        Ok(())
    }

    fn fold_tail(&mut self, stream: &Stream, tail: &[u8]) -> Result<()> {
        let rows: usize = self
            .connection
            .prepare_cached("SELECT count(*) FROM tail WHERE stream = ?1")?
            .query_row([stream.id], |row| row.get(0))?;
        if rows >= TAIL_ROWS {
            self.connection.prepare_cached("DELETE FROM tail WHERE stream = ?1")?.execute([stream.id])?;
            self.insert_tail(stream, stream.cut, tail)?;
        }
        Ok(())
    }

    /// The bytes behind the last cut.
    pub(super) fn read_tail(&self, stream: &Stream) -> Result<Vec<u8>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT start, raw_length, data FROM tail WHERE stream = ?1 ORDER BY start")?;
        let mut rows = statement.query([stream.id])?;
        let mut tail = Vec::new();
        while let Some(row) = rows.next()? {
            let what = || format!("the tail of stream {} ({})", stream.id, stream.name);
            if row.get::<_, u64>(0)? != stream.cut + tail.len() as u64 {
                return Err(Error::failed(format!("{} has a gap", what())).hint("sfs admin check"));
            }
            let raw_length = row.get(1)?;
            tail.extend(decompress(row.get_ref(2)?.as_blob().unwrap_or_default(), raw_length, what)?);
        }
        Ok(tail)
    }

    /// The bytes of a stream from `start`, at most up to the end of the piece (chunk or tail) in which `start` lies.
    /// Empty at the stream's end. Reading a whole stream is calling this until it gives nothing.
    pub fn read_piece(&self, stream: &Stream, start: u64, cache: &mut ChunkCache) -> Result<Vec<u8>> {
        if start >= stream.cut {
            let tail = self.read_tail(stream)?;
            return Ok(tail.get((start - stream.cut) as usize..).unwrap_or_default().to_vec());
        }
        let (at, pack, in_pack, length): (u64, i64, usize, usize) = self
            .connection
            .prepare_cached(
                "SELECT sc.start, c.pack, c.start, c.length FROM stream_chunk sc JOIN chunk c ON c.id = sc.chunk
                 WHERE sc.stream = ?1 AND sc.start <= ?2 ORDER BY sc.start DESC LIMIT 1",
            )?
            .query_row(params![stream.id, start], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?;
        let skip = (start - at) as usize;
        let missing = || {
            Error::failed(format!("stream {} ({}) has no chunk for byte {start}", stream.id, stream.name))
                .hint("sfs admin check")
        };
        if skip >= length {
            return Err(missing());
        }
        self.chunk_bytes(pack, in_pack + skip, length - skip, cache)
    }

    pub(super) fn chunk_bytes(
        &self,
        pack: i64,
        start: usize,
        length: usize,
        cache: &mut ChunkCache,
    ) -> Result<Vec<u8>> {
        let raw = self.pack(pack, start + length, cache)?;
        raw.get(start..start + length)
            .map(<[u8]>::to_vec)
            .ok_or_else(|| Error::failed(format!("pack {pack} is shorter than its chunks")).hint("sfs admin check"))
    }

    /// A pack's raw bytes, at least those before `end`.
    fn pack<'c>(&self, id: i64, end: usize, cache: &'c mut ChunkCache) -> Result<&'c [u8]> {
        if cache.is_sparse {
            return self.beginning_of_pack(id, end, &mut cache.begun);
        }
        if let Some(place) = cache.packs.iter().position(|(cached, _)| *cached == id) {
            return Ok(&cache.packs[place].1);
        }
        let raw = match &self.packer.open {
            Some(open) if open.id == id && open.dirty => open.raw.clone(),
            _ => self.stored_pack(id, |data, length| decompress(data, length, || format!("pack {id}")))?,
        };
        if cache.packs.len() >= CACHED_PACKS {
            cache.packs.pop_back();
        }
        cache.packs.push_front((id, raw));
        Ok(&cache.packs[0].1)
    }

    fn beginning_of_pack<'c>(&self, id: i64, end: usize, begun: &'c mut Option<Begun>) -> Result<&'c [u8]> {
        let begun = match begun {
            Some(begun) => begun,
            none => none.insert(Begun::new().context(|| "packs can't be decompressed")?),
        };
        if begun.pack == Some(id) && begun.extend(end).is_ok() {
            return Ok(&begun.raw);
        }
        begun.pack = None;
        match &self.packer.open {
            Some(open) if open.id == id && open.dirty => begun.raw.clone_from(&open.raw),
            _ => self.stored_pack(id, |data, length| {
                if begun.begin(data, length).and_then(|()| begun.extend(end)).is_err() {
                    // It has all of it, or can say what is wrong.
                    begun.raw = decompress(data, length, || format!("pack {id}"))?;
                }
                Ok(())
            })?,
        }
        begun.pack = Some(id);
        Ok(&begun.raw)
    }

    /// Gives `read` a pack as it is stored, and its raw length.
    fn stored_pack<T>(&self, id: i64, read: impl FnOnce(&[u8], i64) -> Result<T>) -> Result<T> {
        let mut statement = self.connection.prepare_cached("SELECT data, raw_length FROM pack WHERE id = ?1")?;
        let mut rows = statement.query([id])?;
        let missing = || Error::failed(format!("pack {id} is missing")).hint("sfs admin check");
        let row = rows.next()?.ok_or_else(missing)?;
        read(row.get_ref(0)?.as_blob().unwrap_or_default(), row.get(1)?)
    }

    /// Calls `each` with number (from 0), place and bytes of every line in `range`, which begins at a line's start; an
    /// unterminated last line included, one longer than `limit` left out. `Break` ends the walk.
    pub fn for_each_line(&self, stream: &Stream, range: Range<u64>, limit: u64, each: &mut OnLine<'_>) -> Result<()> {
        let mut cache = ChunkCache::default();
        let (mut offset, mut number) = (range.start, 0);
        // The beginning of a line whose end is in the next piece; empty where the line is too long.
        let mut begun: Vec<u8> = Vec::new();
        let mut read_to = range.start;
        loop {
            let mut piece = self.read_piece(stream, read_to, &mut cache)?;
            piece.truncate(range.end.saturating_sub(read_to) as usize);
            if piece.is_empty() {
                break;
            }
            let mut rest = &piece[..];
            while let Some(end) = memchr::memchr(b'\n', rest) {
                let next = read_to + end as u64 + 1;
                let line = if begun.is_empty() {
                    &rest[..end]
                } else {
                    begun.extend_from_slice(&rest[..end]);
                    &begun
                };
                if next - 1 - offset <= limit && each(number, offset, line)? == ControlFlow::Break(()) {
                    return Ok(());
                }
                begun.clear();
                number += 1;
                (offset, read_to, rest) = (next, next, &rest[end + 1..]);
            }
            read_to += rest.len() as u64;
            if read_to - offset <= limit {
                begun.extend_from_slice(rest);
            } else {
                begun = Vec::new();
            }
        }
        if !begun.is_empty() {
            let _ = each(number, offset, &begun)?;
        }
        Ok(())
    }

    /// Exactly `length` bytes from `start`.
    pub fn read_range(&self, stream: &Stream, start: u64, length: u64, cache: &mut ChunkCache) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length as usize);
        while (bytes.len() as u64) < length {
            let mut piece = self.read_piece(stream, start + bytes.len() as u64, cache)?;
            if piece.is_empty() {
                return Err(Error::failed(format!(
                    "stream {} ({}) ends before byte {}",
                    stream.id,
                    stream.name,
                    start + length
                )));
            }
            piece.truncate((length - bytes.len() as u64) as usize);
            bytes.append(&mut piece);
        }
        Ok(bytes)
    }
}
