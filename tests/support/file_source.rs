//! A session read straight from recorded native files, without an archive: the second implementation of [`Source`].

use sessionfs::error::{Error, Result};
use sessionfs::home::Home;
use sessionfs::tools::{Format, Head, Line, OnLine, Place, Source, StreamInfo, Tool};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// One session's files in memory.
pub struct FileSource {
    native_id: String,
    streams: Vec<StreamInfo>,
    bytes: BTreeMap<String, Vec<u8>>,
    home: PathBuf,
    tool: &'static dyn Tool,
}

impl FileSource {
    /// Every session of `tool` below the home folder `home`, by native id.
    pub fn all(tool: &'static dyn Tool, home: &Path) -> Vec<FileSource> {
        let root = tool.root(&Home::at(home, &home.join(".sessionfs")));
        let mut sessions = BTreeMap::<String, FileSource>::new();
        for folder in tool.folders() {
            for entry in walkdir::WalkDir::new(root.join(folder)).sort_by_file_name().into_iter().flatten() {
                if !entry.file_type().is_file() {
                    continue;
                }
                let bytes = std::fs::read(entry.path()).unwrap();
                let relative = entry.path().strip_prefix(&root).unwrap();
                let mut first = || match tool.head(relative) {
                    Head::FirstLine => bytes.split(|b| *b == b'\n').next().map(<[u8]>::to_vec),
                    Head::Bytes(length) => Some(bytes[..bytes.len().min(length as usize)].to_vec()),
                };
                let Place::Session { native_id, stream, format } = tool.place(relative, &mut first) else { continue };
                let session = sessions.entry(native_id.clone()).or_insert_with(|| FileSource {
                    native_id,
                    streams: Vec::new(),
                    bytes: BTreeMap::new(),
                    home: home.to_owned(),
                    tool,
                });
                let length = bytes.len() as u64;
                session.streams.push(StreamInfo { name: stream.clone(), generation: 0, format, length, shared: 0 });
                session.bytes.insert(stream, bytes);
            }
        }
        sessions.into_values().collect()
    }

    /// A session with one stream.
    pub fn of(tool: &'static dyn Tool, native_id: &str, stream: &str, format: Format, bytes: &[u8]) -> FileSource {
        FileSource {
            native_id: native_id.into(),
            streams: vec![StreamInfo {
                name: stream.into(),
                generation: 0,
                format,
                length: bytes.len() as u64,
                shared: 0,
            }],
            bytes: BTreeMap::from([(stream.into(), bytes.to_vec())]),
            home: PathBuf::from("/nonexistent"),
            tool,
        }
    }
}

impl Source for FileSource {
    fn native_id(&self) -> &str {
        &self.native_id
    }

    fn streams(&self) -> &[StreamInfo] {
        &self.streams
    }

    fn for_each_line(&self, stream: &StreamInfo, from: u64, each: &mut OnLine<'_>) -> Result<()> {
        if stream.format.is_one_line() {
            let bytes = &self.bytes[&stream.name];
            let _ = each(Line { stream: &stream.name, number: 0, offset: from, bytes })?;
            return Ok(());
        }
        let mut offset = from;
        for (number, line) in self.bytes[&stream.name][from as usize..].split_inclusive(|b| *b == b'\n').enumerate() {
            let bytes = line.strip_suffix(b"\n").unwrap_or(line);
            if each(Line { stream: &stream.name, number: number as u64, offset, bytes })? == ControlFlow::Break(()) {
                break;
            }
            offset += line.len() as u64;
        }
        Ok(())
    }

    fn bytes(&self, stream: &StreamInfo, offset: u64, length: u64) -> Result<Vec<u8>> {
        self.bytes[&stream.name]
            .get(offset as usize..(offset + length) as usize)
            .map(<[u8]>::to_vec)
            .ok_or_else(|| Error::failed("range outside of the stream"))
    }

    fn sibling(&self, native_id: &str) -> Result<Option<Box<dyn Source + '_>>> {
        let found = FileSource::all(self.tool, &self.home).into_iter().find(|s| s.native_id == native_id);
        Ok(found.map(|s| Box::new(s) as Box<dyn Source>))
    }
}
