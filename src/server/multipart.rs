//! `multipart/form-data`, read strictly: the part called `file` goes to a file, the others nowhere. A body is read once, and
//! never held in memory.

use crate::error::{Context, Error};
use memchr::memmem;
use std::fs::File;
use std::io::{Read, Write};

/// The headers of a part are not longer.
const MAX_HEADERS: usize = 8 << 10;
/// No form has more parts.
const MAX_PARTS: usize = 16;
const PIECE: usize = 64 << 10;

/// Why there is no file.
#[derive(Debug)]
pub(super) enum Fault {
    /// The request has none.
    Missing,
    /// It is longer than allowed.
    TooLarge,
    /// The body is not what its header says.
    Malformed(&'static str),
    /// The disk could not take it.
    Disk(Error),
}

/// Copies the file in `body` to `out`, at most `limit` bytes; says how many it had.
pub(super) fn file(body: &mut dyn Read, content_type: Option<&str>, limit: u64, out: &mut File) -> Result<u64, Fault> {
    let content_type = content_type.filter(|text| is_form(text)).ok_or(Fault::Missing)?;
    let boundary = parameter(content_type, "boundary").filter(|text| (1..=70).contains(&text.len()));
    let delimiter = format!("\r\n--{}", boundary.ok_or(Fault::Malformed("no boundary"))?);
    // The first delimiter may stand at the very beginning.
    let mut form = Form { body, buffer: b"\r\n".to_vec() };
    form.until(delimiter.as_bytes(), &mut |_| Ok(()))?;
    let mut length = None;
    for _ in 0..MAX_PARTS {
        match form.take(2)?[..] {
            [b'-', b'-'] => return length.ok_or(Fault::Missing),
            [b'\r', b'\n'] => {}
            _ => return Err(Fault::Malformed("something stands behind the boundary")),
        }
        let name = form.part_name()?;
        if name.as_deref() != Some("file") {
            form.until(delimiter.as_bytes(), &mut |_| Ok(()))?;
            continue;
        }
        if length.is_some() {
            return Err(Fault::Malformed("two files"));
        }
        let mut written = 0;
        form.until(delimiter.as_bytes(), &mut |bytes| {
            written += bytes.len() as u64;
            if written > limit {
                return Err(Fault::TooLarge);
            }
            out.write_all(bytes).context(|| "the upload can't be stored").map_err(Fault::Disk)
        })?;
        length = Some(written);
    }
    Err(Fault::Malformed("too many parts"))
}

struct Form<'b> {
    body: &'b mut dyn Read,
    buffer: Vec<u8>,
}

impl Form<'_> {
    /// Says whether more came.
    fn fill(&mut self) -> Result<bool, Fault> {
        let before = self.buffer.len();
        let taken = (&mut *self.body).take(PIECE as u64).read_to_end(&mut self.buffer);
        taken.map_err(|_| Fault::Malformed("the body could not be read"))?;
        Ok(self.buffer.len() > before)
    }

    /// Gives everything before `needle` to `each`, and goes behind it.
    fn until(&mut self, needle: &[u8], each: &mut dyn FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        let finder = memmem::Finder::new(needle);
        loop {
            if let Some(at) = finder.find(&self.buffer) {
                each(&self.buffer[..at])?;
                self.buffer.drain(..at + needle.len());
                return Ok(());
            }
            // A needle may have begun.
            let sure = self.buffer.len().saturating_sub(needle.len() - 1);
            each(&self.buffer[..sure])?;
            self.buffer.drain(..sure);
            if !self.fill()? {
                return Err(Fault::Malformed("the body ends early"));
            }
        }
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, Fault> {
        while self.buffer.len() < length {
            if !self.fill()? {
                return Err(Fault::Malformed("the body ends early"));
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Goes behind the headers of a part; gives the part's name.
    fn part_name(&mut self) -> Result<Option<String>, Fault> {
        let mut headers = Vec::new();
        self.until(b"\r\n\r\n", &mut |bytes| {
            headers.extend_from_slice(bytes);
            if headers.len() > MAX_HEADERS { Err(Fault::Malformed("headers too long")) } else { Ok(()) }
        })?;
        let headers = String::from_utf8(headers).map_err(|_| Fault::Malformed("headers that are not UTF-8"))?;
        let disposition = headers.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-disposition").then(|| value.trim())
        });
        let disposition = disposition.filter(|text| text.to_ascii_lowercase().starts_with("form-data"));
        Ok(parameter(disposition.ok_or(Fault::Malformed("a part without a name"))?, "name"))
    }
}

fn is_form(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("multipart/form-data")
}

/// The value of a parameter such as `; name="file"`. What stands in quotes is no parameter.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    let mut rest = header.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim().to_owned();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => after.split_once(';').map_or((after.trim().to_owned(), ""), |(v, r)| (v.trim().to_owned(), r)),
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after.trim_start().trim_start_matches(';');
    }
}

/// What stands before the closing quote, and what behind it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, SeekFrom};

    /// Gives few bytes at a time, as a network does.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = self.0.len().min(self.1).min(buffer.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    const FORM: &str = "multipart/form-data; boundary=xyz";

    fn part(head: &str, content: &str) -> String {
        format!("--xyz\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
    }

    fn read(content_type: &str, body: &[u8], limit: u64) -> Result<Vec<u8>, String> {
        let mut outcomes = [1, 3, 1 << 20].into_iter().map(|step| {
            let mut out = tempfile::tempfile().unwrap();
            let outcome = file(&mut Slow(body, step), Some(content_type), limit, &mut out);
            let length = outcome.map_err(|fault| format!("{fault:?}"))?;
            let mut bytes = Vec::new();
            out.seek(SeekFrom::Start(0)).unwrap();
            out.read_to_end(&mut bytes).unwrap();
            assert_eq!(length, bytes.len() as u64);
            Ok(bytes)
        });
        let first = outcomes.next().unwrap();
        outcomes.for_each(|outcome| assert_eq!(outcome, first, "it depends on how the bytes arrive"));
        first
    }

    #[test]
    fn the_file_of_a_form_is_found() {
        let tricky = "\r\n--xy\r\n--xyy \r\n\0--xyz";
        for head in
            ["name=\"file\"; filename=\"s.tar.gz\"", "NAME=file", "filename=\"a;name=\\\"x\\\"\"; name=\"file\""]
        {
            let body = part("name=\"other\"", "a") + &part(head, tricky) + "--xyz--\r\nepilogue";
            assert_eq!(read(FORM, body.as_bytes(), 100).unwrap(), tricky.as_bytes(), "{head}");
        }
        let quoted = "Multipart/Form-Data; charset=utf-8; boundary=\"xyz\"";
        let body = format!("preamble\r\n{}--xyz--", part("name=\"file\"", ""));
        assert_eq!(read(quoted, body.as_bytes(), 0).unwrap(), b"");
    }

    #[test]
    fn what_is_no_such_form_is_refused() {
        let whole = part("name=\"file\"", "content") + "--xyz--";
        let refused = |content_type: &str, body: &str, limit| read(content_type, body.as_bytes(), limit).unwrap_err();
        assert_eq!(refused("application/gzip", &whole, 100), "Missing");
        assert_eq!(refused("multipart/form-data", &whole, 100), "Malformed(\"no boundary\")");
        assert_eq!(refused(FORM, &(part("name=\"other\"", "x") + "--xyz--"), 100), "Missing");
        assert_eq!(refused(FORM, &whole, 6), "TooLarge");
        assert!(read(FORM, whole.as_bytes(), 7).is_ok());
        assert_eq!(refused(FORM, "", 100), "Malformed(\"the body ends early\")");
        for cut in [3, 20, 50, whole.len() - 3] {
            assert_eq!(refused(FORM, &whole[..cut], 100), "Malformed(\"the body ends early\")", "{cut}");
        }
        assert_eq!(
            refused(FORM, &whole.replace("--xyz--", "--xyzzz"), 100),
            "Malformed(\"something stands behind the boundary\")"
        );
        assert_eq!(refused(FORM, &(part("name=\"file\"", "a") + &whole), 100), "Malformed(\"two files\")");
        assert_eq!(refused(FORM, &(part("name=\"x\"", "").repeat(17) + &whole), 100), "Malformed(\"too many parts\")");
        assert_eq!(refused(FORM, &part(&"x".repeat(9000), ""), 100), "Malformed(\"headers too long\")");
        assert_eq!(refused(FORM, "--xyz\r\nX: y\r\n\r\nbody\r\n--xyz--", 100), "Malformed(\"a part without a name\")");
    }
}
