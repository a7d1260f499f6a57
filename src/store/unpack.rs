//! Decompresses packs no further than is read, in few pieces of memory, and several at one time.

use super::streams::FRAME_LIMIT;
use std::collections::HashMap;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// The head of a zstd frame is no longer.
const FRAME_HEADER: usize = 18;
/// So many decompress at one time, at most.
const MOST_THREADS: usize = 4;

/// One pack that is decompressed as far as is asked for, and from there on when more is. The memory serves one after the
/// other: touching new memory for each takes about as long as decompressing.
pub(super) struct Begun {
    pub(super) pack: Option<i64>,
    data: Vec<u8>,
    /// So many bytes of `data` are behind the decoder, and so many it wants next.
    read: usize,
    next: usize,
    decoder: Decoder<'static>,
    /// What was decompressed so far. The decoder looks back into it, so it stays where it is.
    pub(super) raw: Vec<u8>,
}

impl Begun {
    pub(super) fn new() -> std::io::Result<Begun> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::StableOutBuffer(true))?;
        Ok(Begun { pack: None, data: Vec::new(), read: 0, next: 0, decoder, raw: Vec::new() })
    }

    /// Begins with another pack, if it is a frame.
    pub(super) fn begin(&mut self, data: &[u8], raw_length: i64) -> std::io::Result<()> {
        if raw_length > FRAME_LIMIT as i64 || raw_length == data.len() as i64 {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        self.data.clear();
        self.data.extend_from_slice(data);
        self.raw.clear();
        self.raw.reserve(FRAME_LIMIT);
        (self.read, self.next) = (0, FRAME_HEADER);
        self.decoder.reinit()
    }

    /// Goes on until the first `end` bytes are there.
    pub(super) fn extend(&mut self, end: usize) -> std::io::Result<()> {
        while self.raw.len() < end {
            let rest = &self.data[self.read..];
            let mut input = InBuffer::around(&rest[..self.next.min(rest.len())]);
            if input.src.is_empty() {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let made = self.raw.len();
            self.next = self.decoder.run(&mut input, &mut OutBuffer::around_pos(&mut self.raw, made))?;
            self.read += input.pos();
        }
        Ok(())
    }
}

/// A pack, and the pieces of it that are wanted.
pub(super) struct Wanted {
    pub(super) pack: i64,
    pub(super) data: Vec<u8>,
    pub(super) raw_length: i64,
    pub(super) pieces: Vec<Range<usize>>,
}

/// Cuts pieces out of packs, as many threads as there are packs and processors. A pack that can't be decompressed is left to
/// whoever reads it, who says why.
pub(super) fn cut(packs: &[Wanted]) -> HashMap<(i64, usize), Vec<u8>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut cut = Vec::new();
        let Ok(mut begun) = Begun::new() else { return cut };
        while let Some(wanted) = packs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let end = wanted.pieces.iter().map(|piece| piece.end).max().unwrap_or_default();
            if begun.begin(&wanted.data, wanted.raw_length).and_then(|()| begun.extend(end)).is_ok() {
                let pieces = wanted.pieces.iter().cloned();
                cut.extend(pieces.map(|piece| ((wanted.pack, piece.start), begun.raw[piece].to_vec())));
            }
        }
        cut
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(packs.len()).min(MOST_THREADS);
    thread::scope(|scope| {
        let start = |_| thread::Builder::new().spawn_scoped(scope, work).ok();
        let others: Vec<_> = (1..threads).filter_map(start).collect();
        let mut cut = work();
        cut.extend(others.into_iter().filter_map(|other| other.join().ok()).flatten());
        cut.into_iter().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(id: i64, raw: &[u8], pieces: Vec<Range<usize>>) -> Wanted {
        Wanted { pack: id, data: zstd::bulk::compress(raw, 3).unwrap(), raw_length: raw.len() as i64, pieces }
    }

    fn text(seed: u32) -> Vec<u8> {
        (seed..seed + 150_000).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 8).to_le_bytes()).collect()
    }

    #[test]
    fn a_pack_is_decompressed_further_and_its_memory_serves_the_next() {
        let mut begun = Begun::new().unwrap();
        for seed in [1, 7] {
            let raw = text(seed);
            let pack = pack(1, &raw, Vec::new());
            begun.begin(&pack.data, pack.raw_length).unwrap();
            for end in [10, 200_000, 200_001, raw.len()] {
                begun.extend(end).unwrap();
                assert_eq!(begun.raw, raw[..begun.raw.len()]);
                assert!(begun.raw.len() >= end && begun.raw.len() < end + (256 << 10), "{end}");
            }
            assert!(begun.extend(raw.len() + 1).is_err());
        }
    }

    #[test]
    fn pieces_of_many_packs_are_cut_out_and_a_damaged_one_is_left_out() {
        let raws: Vec<Vec<u8>> = (0..9).map(text).collect();
        let mut packs: Vec<Wanted> =
            (0..).zip(&raws).map(|(id, raw)| pack(id, raw, vec![5..9, 300_000..300_100])).collect();
        let half = packs[4].data.len() / 4;
        packs[4].data.truncate(half);
        packs[5].raw_length = FRAME_LIMIT as i64 + 1;
        let cut = cut(&packs);
        for (id, raw) in (0..).zip(&raws) {
            let expected = (id != 4 && id != 5).then_some(&raw[300_000..300_100]);
            assert_eq!(cut.get(&(id, 300_000)).map(Vec::as_slice), expected, "{id}");
            assert_eq!(cut.get(&(id, 5)).is_some(), expected.is_some(), "{id}");
        }
    }
}
