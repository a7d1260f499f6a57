//! Sessions that we write into the archive and not into a tool: forks, and what moved to another project. Their bytes are
//! what the tool's own file would hold, so that putting it into the tool later is a restore.

use super::derive::{self, Derivation};
use super::facts;
use crate::error::{Context, Error, Result};
use crate::model::observation::Observation;
use crate::store::{NativeFile, NewSession, SessionRow, Store, Stream, StreamKey};
use crate::tools::{Format, Head, Place, Tool};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// So much is read at a time.
const PIECE: u64 = 1 << 20;
const UNREADABLE: fn() -> &'static str = || "the written session can't be read";

/// A session that exists in the archive only.
#[derive(Clone, Debug)]
pub struct Unborn<'a> {
    /// Whose child it is; all of its bytes are inherited.
    pub new: NewSession<'a>,
    /// A person's title for it.
    pub title: Option<&'a str>,
    /// The folder it works in.
    pub project: &'a Path,
    /// Where its file will lie below the tool's folder.
    pub native_path: &'a str,
}

/// Archives the session in `file`, which `tool`'s writer has written: all of it or nothing.
pub fn archive_session(store: &mut Store, tool: &dyn Tool, unborn: &Unborn<'_>, file: &mut File) -> Result<SessionRow> {
    let format = format_of(tool, unborn.native_path, file)?;
    store.write(|store| {
        let mut row = store.announce(&unborn.new)?;
        if unborn.title.is_some() {
            store.set_title(row.id, unborn.title)?;
            row.title = unborn.title.map(str::to_owned);
        }
        let key = StreamKey {
            session: row.id,
            name: "main",
            generation: 0,
            format: format.as_str(),
            native_path: Some(unborn.native_path),
        };
        archive(store, &row, key, format, file)?;
        let told = [
            Observation::Project(unborn.project.to_string_lossy().into_owned()),
            Observation::Activity(jiff::Timestamp::now()),
        ];
        told.into_iter().try_for_each(|told| facts::observe(store, &row.tool, &row.native_id, told))?;
        Ok(row)
    })
}

/// A stream whose native file moved with the session's project.
pub struct MovedStream {
    /// The stream.
    pub stream: Stream,
    /// Where its file lies now, below the tool's folder.
    pub native_path: String,
    /// Its content where that changed, and how long the inherited part of it is now.
    pub content: Option<(File, u64)>,
}

/// The session's project is `project` now, and its files lie elsewhere. Changed content begins a new generation; files at
/// the old places are copies from now on. All of it or nothing.
pub fn archive_move(store: &mut Store, row: &SessionRow, project: &Path, streams: &mut [MovedStream]) -> Result<()> {
    store.write(|store| {
        let mut is_rewritten = false;
        for MovedStream { stream, native_path, content } in streams {
            for file in store.native_files_of(stream.id)? {
                store.save_native_file(&NativeFile { stream: None, ..file })?;
            }
            match content {
                None => store.move_stream(stream.id, native_path)?,
                Some((file, inherited)) => {
                    *stream = next_generation(store, stream, native_path, file)?;
                    if stream.name == "main" && row.inherited > 0 {
                        store.set_inherited(row.id, *inherited)?;
                    }
                    is_rewritten = true;
                }
            }
        }
        facts::observe(store, &row.tool, &row.native_id, Observation::Moved(project.to_string_lossy().into_owned()))?;
        if is_rewritten { derive::rebuild_session(store, row.id) } else { Ok(()) }
    })
}

fn next_generation(store: &mut Store, old: &Stream, native_path: &str, file: &mut File) -> Result<Stream> {
    let mut stream = store.create_stream(StreamKey {
        session: old.session,
        name: &old.name,
        generation: old.generation + 1,
        format: &old.format,
        native_path: Some(native_path),
    })?;
    file.seek(SeekFrom::Start(0)).context(UNREADABLE)?;
    loop {
        let mut bytes = Vec::new();
        file.take(PIECE).read_to_end(&mut bytes).context(UNREADABLE)?;
        if bytes.is_empty() {
            return Ok(stream);
        }
        store.append(&mut stream, &bytes)?;
    }
}

/// How the tool will read the file that will lie at `native_path`.
fn format_of(tool: &dyn Tool, native_path: &str, file: &mut File) -> Result<Format> {
    let path = Path::new(native_path);
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(0)).context(UNREADABLE)?;
    let read = match tool.head(path) {
        Head::FirstLine => BufReader::new(&*file).read_until(b'\n', &mut head),
        Head::Bytes(length) => (&*file).take(length).read_to_end(&mut head),
    };
    read.context(UNREADABLE)?;
    match tool.place(path, &mut || Some(head.trim_ascii_end().to_vec())) {
        Place::Session { format, .. } => Ok(format),
        Place::Other | Place::NotYet => Err(Error::failed(format!("{} would not know {native_path}", tool.name()))),
    }
}

/// A new stream with the bytes of `file`, and what is derived from them.
pub(super) fn archive(
    store: &mut Store,
    row: &SessionRow,
    key: StreamKey<'_>,
    format: Format,
    file: &mut File,
) -> Result<()> {
    let mut stream = store.create_stream(key)?;
    file.seek(SeekFrom::Start(0)).context(UNREADABLE)?;
    loop {
        let mut bytes = Vec::new();
        file.take(PIECE).read_to_end(&mut bytes).context(UNREADABLE)?;
        let (old_length, is_end) = (stream.length, (bytes.len() as u64) < PIECE);
        store.append(&mut stream, &bytes)?;
        if let Some(mut derivation) = Derivation::load(store, format, row, &stream)? {
            derivation.read(store, &stream, old_length, &bytes, is_end)?;
            derivation.save(store)?;
        } else {
            derive::touch(store, row.id, jiff::Timestamp::now().as_millisecond())?;
        }
        if is_end {
            return Ok(());
        }
    }
}
