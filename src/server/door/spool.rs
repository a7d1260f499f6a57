//! Bytes in transit between a client and a worker: in memory while they are few, then in a temporary file without a name.
//!
//! Every body and every answer is taken whole from the one side before the other side sees it, so no worker ever waits for a
//! client. What all of them keep on disk is bounded.

use smol::lock::Semaphore;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;
use std::rc::Rc;

/// So much of each is kept in memory; also the size of what is written and read at once.
const BLOCK: usize = 32 * 1024;
/// Threads that read and write temporary files at one time.
const DISK_THREADS: usize = 4;

/// Where spools keep what does not fit into memory.
pub(super) struct Room {
    folder: PathBuf,
    limit: u64,
    used: Cell<u64>,
    disk: Semaphore,
}

impl Room {
    /// At most `limit` bytes below `folder`.
    pub(super) fn new(folder: PathBuf, limit: u64) -> Room {
        Room { folder, limit, used: Cell::new(0), disk: Semaphore::new(DISK_THREADS) }
    }

    /// Does something to a file away from the door's only thread.
    async fn apart<T: Send + 'static>(&self, work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
        let _permit = self.disk.acquire().await;
        smol::unblock(work).await
    }
}

/// Bytes that are first all written, then all read.
pub(super) struct Spool {
    room: Rc<Room>,
    /// The beginning; empty where all is in memory.
    file: Option<File>,
    in_file: u64,
    /// What follows the file.
    memory: Vec<u8>,
}

impl Spool {
    pub(super) fn new(room: &Rc<Room>) -> Spool {
        Spool { room: Rc::clone(room), file: None, in_file: 0, memory: Vec::new() }
    }

    /// Bytes in it.
    pub(super) fn length(&self) -> u64 {
        self.in_file + self.memory.len() as u64
    }

    /// Adds bytes at the end. `StorageFull` where the disk or the room is full.
    pub(super) async fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.memory.extend_from_slice(bytes);
        if self.memory.len() < BLOCK {
            return Ok(());
        }
        let (block, folder) = (std::mem::take(&mut self.memory), self.room.folder.clone());
        let length = block.len() as u64;
        if self.room.used.get() + length > self.room.limit {
            return Err(io::ErrorKind::StorageFull.into());
        }
        // Counted before it is written: what a cancelled write leaves behind is gone with the spool.
        self.room.used.set(self.room.used.get() + length);
        self.in_file += length;
        let file = self.file.take();
        let write = move || {
            let mut file = file.map_or_else(|| tempfile::tempfile_in(folder), Ok)?;
            file.write_all(&block)?;
            Ok((file, block))
        };
        let (file, block) = self.room.apart(write).await?;
        self.file = Some(file);
        self.memory = block;
        self.memory.clear();
        Ok(())
    }

    /// Everything is written: from here on it is read, from the beginning.
    pub(super) async fn into_reader(mut self) -> io::Result<Reader> {
        let file = match self.file.take() {
            Some(mut file) => Some(self.room.apart(move || file.rewind().map(|()| file)).await?),
            None => None,
        };
        Ok(Reader { file, left_in_file: self.in_file, spool: self })
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.room.used.set(self.room.used.get() - self.in_file);
    }
}

/// A spool that is read, once.
pub(super) struct Reader {
    file: Option<File>,
    left_in_file: u64,
    spool: Spool,
}

impl Reader {
    /// The next bytes; none at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.left_in_file > 0
            && let Some(mut file) = self.file.take()
        {
            let length = self.left_in_file.min(BLOCK as u64);
            let read = move || {
                let mut block = vec![0; length as usize];
                file.read_exact(&mut block).map(|()| (file, block))
            };
            let (file, block) = self.spool.room.apart(read).await?;
            self.file = Some(file);
            self.left_in_file -= length;
            return Ok(Some(block));
        }
        let rest = std::mem::take(&mut self.spool.memory);
        Ok(Some(rest).filter(|rest| !rest.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(spool: Spool) -> Vec<u8> {
        let mut reader = spool.into_reader().await.unwrap();
        let mut bytes = Vec::new();
        while let Some(block) = reader.next().await.unwrap() {
            bytes.extend(block);
        }
        bytes
    }

    #[test]
    fn what_was_pushed_is_read_from_memory_and_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let room = Rc::new(Room::new(folder.path().to_owned(), 1 << 20));
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 77] {
            let bytes: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            smol::block_on(async {
                let mut spool = Spool::new(&room);
                for piece in bytes.chunks(1000) {
                    spool.push(piece).await.unwrap();
                }
                assert_eq!(spool.length(), length as u64);
                assert_eq!(room.used.get() > 0, length >= BLOCK);
                assert!(read_all(spool).await == bytes, "{length}");
            });
            assert_eq!(room.used.get(), 0, "the room is free again");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "temporary files have no names");
    }

    #[test]
    fn a_full_room_takes_no_more_until_somebody_leaves() {
        let folder = tempfile::tempdir().unwrap();
        let room = Rc::new(Room::new(folder.path().to_owned(), 3 * BLOCK as u64));
        smol::block_on(async {
            let (mut first, mut second) = (Spool::new(&room), Spool::new(&room));
            first.push(&vec![1; 2 * BLOCK]).await.unwrap();
            let error = second.push(&vec![2; 2 * BLOCK]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            drop(first);
            Spool::new(&room).push(&vec![2; 2 * BLOCK]).await.unwrap();
        });
    }
}
