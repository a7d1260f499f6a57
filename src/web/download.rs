//! Sessions as files to keep or to hand on: without their secrets, unless they are wanted.

use crate::error::{Context, Error, Result};
use crate::export::{self, ArchivedSession, Redaction};
use crate::store::{SessionRow, Store};
use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::Path;

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The portable form, packed.
    Sfs,
    /// For people and models.
    Markdown,
    /// A page.
    Html,
}

impl Form {
    /// Takes the word in a request.
    pub fn parse(word: &str) -> Result<Form> {
        match word {
            "sfs" => Ok(Form::Sfs),
            "markdown" => Ok(Form::Markdown),
            "html" => Ok(Form::Html),
            _ => Err(Error::usage(format!("{word:?} is not a format")).hint("formats: sfs, markdown, html")),
        }
    }

    /// The end of a file's name.
    pub fn extension(self) -> &'static str {
        match self {
            Form::Sfs => "sfs.tar.gz",
            Form::Markdown => "md",
            Form::Html => "html",
        }
    }

    /// The media type of the file.
    pub fn media_type(self) -> &'static str {
        match self {
            Form::Sfs => "application/gzip",
            Form::Markdown => "text/markdown; charset=utf-8",
            Form::Html => "text/html; charset=utf-8",
        }
    }
}

/// Writes a session into a file that goes with its handle; `scratch` is where it lies.
pub fn file(store: &mut Store, row: SessionRow, form: Form, is_redacted: bool, scratch: &Path) -> Result<File> {
    let redaction = if is_redacted { Redaction::of(store)? } else { Redaction::none() };
    let unwritable = || "the file can't be written";
    if form == Form::Sfs {
        let folder = tempfile::tempdir_in(scratch).context(unwritable)?;
        let path = folder.path().join("session.sfs.tar.gz");
        export::export_archive(store, &ArchivedSession::open(store, row)?, &path, &redaction)?;
        return File::open(path).context(unwritable);
    }
    let mut out = BufWriter::new(tempfile::tempfile_in(scratch).context(unwritable)?);
    let summary = store.summary(row.id)?;
    let session = ArchivedSession::open(store, row)?;
    match form {
        Form::Markdown => export::markdown(&session, session.about(&summary), &redaction, &mut out)?,
        _ => export::html(store, &session, &summary, &redaction, &mut out)?,
    }
    out.flush().context(unwritable)?;
    let mut file = out.into_inner().map_err(|error| Error::failed(unwritable()).because(error.into_error()))?;
    file.rewind().context(unwritable)?;
    Ok(file)
}

/// Packs several of them into one `.tar`, which stays below `most` bytes.
pub fn pack(
    store: &mut Store,
    rows: Vec<SessionRow>,
    form: Form,
    is_redacted: bool,
    scratch: &Path,
    most: u64,
) -> Result<File> {
    let unwritable = || "the file can't be written";
    let mut tar = tar::Builder::new(BufWriter::new(tempfile::tempfile_in(scratch).context(unwritable)?));
    let mut bytes = 0;
    for row in rows {
        let name = format!("{}.{}", row.public_id, form.extension());
        let file = file(store, row, form, is_redacted, scratch)?;
        let length = file.metadata().context(unwritable)?.len();
        bytes += length;
        if bytes > most {
            return Err(Error::usage("the sessions are too large for one file").hint("choose fewer of them"));
        }
        let mut header = tar::Header::new_ustar();
        header.set_size(length);
        header.set_mode(0o600);
        header.set_mtime(jiff::Timestamp::now().as_second().unsigned_abs());
        tar.append_data(&mut header, name, file).context(unwritable)?;
    }
    let mut out = tar.into_inner().context(unwritable)?;
    out.flush().context(unwritable)?;
    let mut file = out.into_inner().map_err(|error| Error::failed(unwritable()).because(error.into_error()))?;
    file.rewind().context(unwritable)?;
    Ok(file)
}
