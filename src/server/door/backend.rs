//! The way from the door to the workers: one connection for each request, so many at a time.

use super::answer::Answer;
use super::head::Refusal;
use super::pace::by;
use super::spool::{Reader, Room, Spool};
use crate::error::Result;
use crate::server::exchange::Service;
use crate::server::http::Workers;
use crate::server::{Entry, Log, permits};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::lock::{Semaphore, SemaphoreGuard};
use smol::net::unix::UnixStream;
use std::cell::{Cell, RefCell};
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LONGEST_HEAD: usize = 64 * 1024;
const BLOCK: usize = 16 * 1024;

const BUSY: Refusal = Refusal::new(503, "Service Unavailable", "the server is busy; try again in a moment");
const TOO_LATE: Refusal = Refusal::new(504, "Gateway Timeout", "the server did not answer in time");
const DISK_FULL: Refusal = Refusal::new(507, "Insufficient Storage", "the server has no space for this now");
const BROKEN: Refusal = Refusal::new(502, "Bad Gateway", "the server failed to answer");

/// What to tell a client when its request could not be stored or carried.
pub(super) fn refusal_of(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::TimedOut => TOO_LATE,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DISK_FULL,
        _ => BROKEN,
    }
}

/// The workers, as the door sees them.
pub(super) struct Backend {
    /// Of the first workers; see [`Backend::socket`].
    socket: PathBuf,
    /// How many times the workers were replaced.
    replaced: Cell<u32>,
    count: usize,
    service: Arc<dyn Service>,
    log: Log,
    workers: RefCell<Workers>,
    permits: Semaphore,
    /// The longest wait for a turn, and for an answer.
    queue: Duration,
    answer: Duration,
}

impl Backend {
    pub(super) fn start(
        socket: PathBuf,
        count: usize,
        service: Arc<dyn Service>,
        log: Log,
        (queue, answer): (Duration, Duration),
    ) -> Result<Backend> {
        let workers = RefCell::new(Workers::start(&socket, count, &service, &log)?);
        let permits = Semaphore::new(permits(count));
        Ok(Backend { socket, replaced: Cell::new(0), count, service, log, workers, permits, queue, answer })
    }

    /// Lets the workers finish what they do, but waits no longer than `patience`.
    pub(super) fn stop(self, patience: Duration) {
        self.workers.into_inner().stop(patience);
    }

    /// Waits for a worker.
    pub(super) async fn turn(&self) -> std::result::Result<Turn<'_>, Refusal> {
        let permit = by(Instant::now() + self.queue, async { Ok(self.permits.acquire().await) });
        Ok(Turn { backend: self, _permit: permit.await.map_err(|_| BUSY)? })
    }

    /// Where the workers of now listen. New ones never take the name of those before: what these leave is removed by its name
    /// when the last of them has answered.
    fn socket(&self) -> PathBuf {
        match self.replaced.get() {
            0 => self.socket.clone(),
            times => self.socket.with_file_name(format!("http{times}.sock")),
        }
    }

    /// Where nobody listens any more (somebody removed the socket, or the listening thread ended), new workers are started.
    async fn connect(&self) -> io::Result<UnixStream> {
        let replaced = self.replaced.get();
        match UnixStream::connect(self.socket()).await {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                // Whoever waited beside us may have done it already.
                if self.replaced.get() == replaced {
                    self.replace(&error)?;
                }
                UnixStream::connect(self.socket()).await
            }
            connected => connected,
        }
    }

    fn replace(&self, why: &io::Error) -> io::Result<()> {
        (self.log)(&Entry::Event(format!("the workers can't be reached ({why}): starting new ones")));
        self.replaced.set(self.replaced.get() + 1);
        let started = Workers::start(&self.socket(), self.count, &self.service, &self.log);
        *self.workers.borrow_mut() = started.map_err(|error| io::Error::other(error.message()))?;
        Ok(())
    }
}

/// The right to ask a worker, once.
pub(super) struct Turn<'a> {
    backend: &'a Backend,
    _permit: SemaphoreGuard<'a>,
}

impl Turn<'_> {
    /// Gives a whole request to a worker and takes its whole answer.
    pub(super) async fn exchange(
        self,
        head: Vec<u8>,
        body: Spool,
        is_head: bool,
        room: &Rc<Room>,
    ) -> std::result::Result<Answer, Refusal> {
        let work = async {
            let mut stream = self.backend.connect().await?;
            send(&mut stream, head, body.into_reader().await?).await?;
            receive(&mut stream, room).await
        };
        match by(Instant::now() + self.backend.answer, work).await {
            Ok(answer) if answer.is_whole(is_head) => Ok(answer),
            Ok(_) => Err(BROKEN),
            Err(error) => {
                (self.backend.log)(&Entry::Event(format!("a request got no answer from a worker: {error}")));
                Err(refusal_of(&error))
            }
        }
    }
}

async fn send(stream: &mut UnixStream, mut head: Vec<u8>, mut body: Reader) -> io::Result<()> {
    // A small request is one write.
    head.extend(body.next().await?.unwrap_or_default());
    stream.write_all(&head).await?;
    while let Some(block) = body.next().await? {
        stream.write_all(&block).await?;
    }
    Ok(())
}

async fn receive(stream: &mut UnixStream, room: &Rc<Room>) -> io::Result<Answer> {
    let mut buffer = vec![0; BLOCK];
    let mut start = Vec::new();
    let end = loop {
        if let Some(at) = memchr::memmem::find(&start, b"\r\n\r\n") {
            break at + 4;
        }
        let length = stream.read(&mut buffer).await?;
        if length == 0 || start.len() > LONGEST_HEAD {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        start.extend_from_slice(&buffer[..length]);
    };
    let mut answer = Answer::from_head(room, &start[..end]).ok_or(io::ErrorKind::InvalidData)?;
    answer.body.push(&start[end..]).await?;
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(answer),
            length => answer.body.push(&buffer[..length]).await?,
        }
    }
}
