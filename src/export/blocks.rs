//! A stream's bytes in pieces in which a secret can be found and replaced: line by line where lines are a format's units,
//! else as many whole lines as are handy. All of them together are the stream.

use crate::error::{Error, Result};
use crate::store::{ChunkCache, Store, Stream};
use crate::tools::{Format, MAX_LINE};
use memchr::{memchr, memchr_iter, memmem, memrchr};

/// A file that is not read line by line comes in pieces of about this size.
const FILE_PIECE: usize = 1 << 20;

/// Calls `each` with every piece (its line breaks included) and the number of its first line, from 0. What stands in one
/// line and is longer than [`MAX_LINE`] comes in pieces of that size.
pub(super) fn for_each_block(
    store: &Store,
    stream: &Stream,
    each: &mut dyn FnMut(u64, &[u8]) -> Result<()>,
) -> Result<()> {
    let format = Format::parse(&stream.format).unwrap_or(Format::File);
    let mut cache = ChunkCache::default();
    let (mut held, mut read_to, mut line) = (Vec::new(), 0, 0);
    loop {
        let is_last = read_to >= stream.length;
        let mut done = 0;
        while let Some(length) = cut(&held[done..], format, is_last) {
            let block = &held[done..done + length];
            each(line, block)?;
            line += memchr_iter(b'\n', block).count() as u64;
            done += length;
        }
        held.drain(..done);
        if is_last {
            return Ok(());
        }
        let piece = store.read_piece(stream, read_to, &mut cache)?;
        if piece.is_empty() {
            return Err(Error::failed(format!("stream {} ends early", stream.name)).hint("sfs admin check"));
        }
        read_to += piece.len() as u64;
        held.extend_from_slice(&piece);
    }
}

/// The length of the piece with which `held` begins; `None`: not decided before more of it is read.
fn cut(held: &[u8], format: Format, is_last: bool) -> Option<usize> {
    let by_line = format.has_lines() && !format.is_one_line();
    let end = if by_line { memchr(b'\n', held).map(|at| at + 1) } else { end_of_lines(held, format) };
    let rest = is_last.then_some(held.len()).filter(|length| *length > 0);
    end.or(rest).or((!format.is_one_line() && held.len() >= MAX_LINE).then_some(MAX_LINE))
}

/// Behind the last line break of enough lines, but not within a private key.
fn end_of_lines(held: &[u8], format: Format) -> Option<usize> {
    if format.is_one_line() || held.len() < FILE_PIECE {
        return None;
    }
    let open = memmem::rfind(held, b"-----BEGIN ").filter(|at| memmem::find(&held[*at..], b"-----END").is_none());
    let before = open.filter(|at| held.len() - at < FILE_PIECE / 2).unwrap_or(held.len());
    memrchr(b'\n', &held[..before]).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_ends_with_a_line_and_not_within_a_key() {
        assert_eq!(cut(b"a\nb\n", Format::CodexRollout, false), Some(2));
        assert_eq!(cut(b"a", Format::CodexRollout, false), None);
        assert_eq!(cut(b"a", Format::CodexRollout, true), Some(1));
        assert_eq!(cut(b"", Format::File, true), None);
        assert_eq!(cut(b"{\n}\n", Format::GeminiJson, false), None);
        let mut file = b"x\n".repeat(FILE_PIECE / 2);
        assert_eq!(cut(&file, Format::File, false), Some(FILE_PIECE));
        file.extend_from_slice(b"-----BEGIN PRIVATE KEY-----\nabc\nabc\n");
        assert_eq!(cut(&file, Format::File, false), Some(FILE_PIECE));
        file.extend_from_slice(b"-----END PRIVATE KEY-----\nrest");
        assert_eq!(cut(&file, Format::File, false), Some(file.len() - 4));
    }
}
