//! Decompresses packs no further than is read, one after the other in the same memory.

use super::streams::FRAME_LIMIT;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// The head of a zstd frame is no longer.
const FRAME_HEADER: usize = 18;

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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(seed: u32) -> Vec<u8> {
        (seed..seed + 150_000).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 8).to_le_bytes()).collect()
    }

    #[test]
    fn a_pack_is_decompressed_further_and_its_memory_serves_the_next() {
        let mut begun = Begun::new().unwrap();
        for seed in [1, 7] {
            let raw = text(seed);
            let data = zstd::bulk::compress(&raw, 3).unwrap();
            begun.begin(&data, raw.len() as i64).unwrap();
            for end in [10, 200_000, 200_001, raw.len()] {
                begun.extend(end).unwrap();
                assert_eq!(begun.raw, raw[..begun.raw.len()]);
                assert!(begun.raw.len() >= end && begun.raw.len() < end + (256 << 10), "{end}");
            }
            assert!(begun.extend(raw.len() + 1).is_err());
            begun.begin(&data[..data.len() / 2], raw.len() as i64).unwrap();
            assert!(begun.extend(raw.len()).is_err());
            assert!(begun.begin(&data, FRAME_LIMIT as i64 + 1).is_err());
        }
    }
}
