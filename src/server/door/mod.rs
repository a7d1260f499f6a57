//! The door: accepts connections and admits whole, bounded requests, one at a time for each connection.
//!
//! It takes a request whole before a worker hears of it, and an answer whole before the client does, so a slow client never
//! holds a worker: what it holds is a connection, of which its address has a bounded number ([`places`]), for a bounded time
//! ([`pace`]), and memory and disk that are bounded too ([`spool`]). `GET /health` is answered here.
//!
//! - [`head`]: what a request may look like, [`policy`]: what the operator allows,
//! - [`backend`]: the way to the workers, [`answer`]: the way back.
//!
//! All of it runs on one thread; files are read and written on others.

mod answer;
mod backend;
mod head;
mod pace;
mod places;
mod policy;
mod spool;

pub use pace::Pace;
pub(super) use places::LEAVING;

use super::exchange::{Opening, Service};
use super::folder::Folder;
use super::network::household;
use super::{Access, Entry, Log, Options};
use crate::error::Result;
use answer::Answer;
use backend::{Backend, refusal_of};
use head::{HEAD_TOO_LARGE, Head, Refusal};
use pace::by;
use places::{Admission, Places, Rank, Waiting};
use policy::Policy;
use rustix::net::{RecvFlags, recv};
use smol::channel::{Receiver, Sender};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::lock::Semaphore;
use smol::net::TcpStream;
use smol::stream::{Stream, StreamExt};
use smol::{Async, LocalExecutor, Timer, future};
use spool::{Room, Spool};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Shutdown, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many newcomers are looked at before everyone else has his turn. Few would let the system's queue run over while
/// somebody storms the door, and who is lost there tries again only after seconds.
const ACCEPT_AT_ONCE: usize = 1024;
/// How long to wait when the system can't give us another connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// What was on its way when the server was told to stop has that long to be read: who was let in is not turned away.
const ARRIVED: Duration = Duration::from_millis(100);
/// How long to wait, once every connection is closed, for workers whose answer nobody waited for.
const WORKERS_END: Duration = Duration::from_secs(1);
/// What a client may still send after its request was refused, so that it gets to read why.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;
/// Read at once from a client, while there may be many that send nothing, and while one sends a body.
const HEAD_BLOCK: usize = 4 * 1024;
const BODY_BLOCK: usize = 16 * 1024;
/// The service is asked before a longer body is taken. A shorter one costs less than the question.
const UNASKED: u64 = 64 * 1024;
/// So many of these questions are asked at one time: each takes a thread.
const QUESTIONS: usize = 4;

/// How a question for the server's health begins.
const HEALTH: &[u8; 12] = b"GET /health ";

const HEAD_TOO_SLOW: Refusal = Refusal::new(408, "Request Timeout", "the head of the request took too long");
const BODY_TOO_SLOW: Refusal = Refusal::new(408, "Request Timeout", "the body of the request came too slowly");
const BODY_TOO_LARGE: Refusal = Refusal::new(413, "Content Too Large", "the body of the request is too large");

/// Bounds on what clients may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at one time; fewer where the system allows fewer open files.
    pub connections: usize,
    /// An address has at most one n-th of all connections, unless it is a trusted proxy.
    pub share: usize,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// From the first byte of a head (on a new connection: from its beginning) to the last.
    pub head: Duration,
    /// A connection without a request is closed after that.
    pub idle: Duration,
    /// After that it is closed too if its address has all connections that it may have, and wants another.
    pub settled: Duration,
    /// How a body has to come and an answer to be taken.
    pub pace: Pace,
    /// All bodies and answers in temporary files together, in bytes.
    pub spool: u64,
    /// The longest wait for a worker's turn.
    pub queue: Duration,
    /// The longest that a worker may take for an answer.
    pub answer: Duration,
    /// When the server stops, requests have that long to end.
    pub finish: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        let seconds = Duration::from_secs;
        Limits {
            connections: 2000,
            share: 4,
            head_bytes: 32 * 1024,
            head: seconds(5),
            idle: seconds(15),
            settled: seconds(1),
            pace: Pace { grace: seconds(5), rate: 10_000, stall: seconds(20) },
            spool: 8 << 30,
            queue: seconds(20),
            answer: seconds(120),
            finish: seconds(10),
        }
    }
}

/// See the module's description.
pub(super) struct Door {
    service: Arc<dyn Service>,
    health: String,
    log: Log,
    limits: Limits,
    policy: Policy,
    backend: Backend,
    room: Rc<Room>,
    places: Rc<RefCell<Places<Sender<Infallible>>>>,
    /// Connections that one address may have.
    cap: usize,
    /// Somebody has left.
    left: (Sender<()>, Receiver<()>),
    questions: Semaphore,
    is_stopping: Cell<bool>,
}

/// A connection.
struct Client {
    stream: TcpStream,
    peer: IpAddr,
    /// What was read and not used yet.
    buffer: Vec<u8>,
}

/// Why there is no answer from a worker.
enum Stop {
    /// The client is not there any more.
    Gone,
    Refused(Refusal),
    /// By the service, before the body came.
    Denied(Box<Answer>),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refused(refusal)
    }
}

/// Looks at the first bytes of a request, where they are here.
fn asks_for_health(stream: &std::net::TcpStream) -> bool {
    let mut start = [0; HEALTH.len()];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    recv(stream, &mut start[..], flags).is_ok_and(|_| start == *HEALTH)
}

impl Door {
    /// A door for so many connections, with its workers behind it.
    pub(super) fn open(
        options: Options,
        connections: usize,
        folder: &Folder,
        service: Arc<dyn Service>,
    ) -> Result<Door> {
        let Options { workers, health, trusted_proxies, cors_origins, limits, log, .. } = options;
        let patience = (limits.queue, limits.answer);
        let backend = Backend::start(folder.socket.clone(), workers, Arc::clone(&service), Arc::clone(&log), patience)?;
        Ok(Door {
            service,
            health,
            log,
            policy: Policy { trusted_proxies, cors_origins },
            backend,
            room: Rc::new(Room::new(folder.path.clone(), limits.spool)),
            places: Rc::new(RefCell::new(Places::new(connections, limits.settled))),
            cap: (connections / limits.share.max(1)).max(1),
            left: smol::channel::bounded(1),
            questions: Semaphore::new(QUESTIONS),
            is_stopping: Cell::new(false),
            limits,
        })
    }

    /// Serves until `stops` yields; then finishes requests, until they are done, `finish` has passed or `stops` yields again.
    pub(super) fn run(self, listener: Async<TcpListener>, mut stops: impl Stream<Item = ()> + Unpin, finish: Duration) {
        let door = Rc::new(self);
        let executor = LocalExecutor::new();
        smol::block_on(executor.run(async {
            future::or(door.accept(&listener, &executor), next(&mut stops)).await;
            future::or(door.accept(&listener, &executor), after(ARRIVED)).await;
            drop(listener);
            door.is_stopping.set(true);
            for head in door.places.borrow_mut().give_up_heads() {
                head.close();
            }
            let done = door.until(|places| places.open() == 0);
            future::or(done, future::or(next(&mut stops), after(finish))).await;
        }));
        let is_done = door.places.borrow().open() == 0;
        // With the tasks the last other owners are gone.
        drop(executor);
        if let Some(door) = Rc::into_inner(door) {
            door.backend.stop(if is_done { WORKERS_END } else { Duration::ZERO });
        }
    }

    /// Waits until enough have left.
    async fn until(&self, is_so: impl Fn(&Places<Sender<Infallible>>) -> bool) {
        while !is_so(&self.places.borrow()) {
            let _ = self.left.1.recv().await;
        }
    }

    async fn accept(self: &Rc<Self>, listener: &Async<TcpListener>, executor: &LocalExecutor<'_>) {
        let mut is_failing = false;
        loop {
            for _ in 0..ACCEPT_AT_ONCE {
                // Not made fit for waiting before it is admitted: who is not costs as little as can be.
                match listener.read_with(TcpListener::accept).await {
                    Ok((stream, peer)) => {
                        is_failing = false;
                        self.admit(stream, peer.ip().to_canonical(), executor).await;
                    }
                    // The client gave up before we came to it.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(error) => {
                        if !std::mem::replace(&mut is_failing, true) {
                            (self.log)(&Entry::Event(format!("connections can't be accepted: {error}")));
                        }
                        Timer::after(ACCEPT_AGAIN).await;
                    }
                }
                // Files are never more than were counted.
                self.until(|places| !places.is_over_full()).await;
            }
            future::yield_now().await;
        }
    }

    /// Begins to converse with a newcomer, or closes. Who asks for the server's health has his answer before the next one is
    /// let in: while somebody storms the door, a turn of its own would come late.
    async fn admit(self: &Rc<Self>, stream: std::net::TcpStream, peer: IpAddr, executor: &LocalExecutor<'_>) {
        let address = household(peer);
        let cap = if self.policy.trusts(peer) { usize::MAX } else { self.cap };
        let admission = self.places.borrow_mut().admit(address, cap, Instant::now());
        match admission {
            Admission::Free => {}
            Admission::After(victim) => {
                victim.close();
            }
            Admission::Full => return,
        }
        // Small answers must not wait for each other.
        let _ = stream.set_nodelay(true);
        let is_brief = asks_for_health(&stream);
        let Ok(stream) = TcpStream::try_from(stream) else { return };
        self.places.borrow_mut().enter(address);
        let (end, ended) = smol::channel::bounded(1);
        let place = Place { places: Rc::clone(&self.places), left: self.left.0.clone(), address, end, rank: None };
        let client = Client { stream, peer, buffer: Vec::new() };
        let conversation = Rc::clone(self).converse(client, place);
        let mut conversation = Box::pin(future::or(conversation, async move {
            let _ = ended.recv().await;
        }));
        if !is_brief || future::poll_once(conversation.as_mut()).await.is_none() {
            executor.spawn(conversation).detach();
        }
    }

    /// One request after the other.
    async fn converse(self: Rc<Self>, mut client: Client, mut place: Place) {
        let mut is_first = true;
        while !self.is_stopping.get() && self.turn(&mut client, &mut place, is_first).await {
            is_first = false;
            // Who always has another request ready must not keep the others waiting.
            future::yield_now().await;
        }
    }

    /// One request and its answer; true where another may follow.
    async fn turn(&self, client: &mut Client, place: &mut Place, is_first: bool) -> bool {
        if place.waits_for(Waiting::Head).is_err() {
            return false;
        }
        let head = match self.head(client, is_first).await {
            Ok(Some(head)) => head,
            Ok(None) => return false,
            Err(stop) => {
                self.finish(client, None, Err(stop), Instant::now()).await;
                return false;
            }
        };
        let begin = Instant::now();
        let answer = self.answer(client, place, &head).await;
        place.waits_for(Waiting::Transfer).is_ok() && self.finish(client, Some(&head), answer, begin).await
    }

    /// Reads a whole head; none where the client has no further request.
    async fn head(&self, client: &mut Client, is_first: bool) -> Result<Option<Head>, Stop> {
        let is_idle = !is_first && client.buffer.is_empty();
        let mut deadline = Instant::now() + if is_idle { self.limits.idle } else { self.limits.head };
        let mut seen = 0;
        loop {
            if let Some(end) = head::end(&client.buffer, seen)?.filter(|end| *end <= self.limits.head_bytes) {
                let head = Head::parse(&client.buffer[..end])?;
                client.buffer.drain(..end);
                return Ok(Some(head));
            }
            seen = client.buffer.len();
            if seen >= self.limits.head_bytes {
                return Err(HEAD_TOO_LARGE.into());
            }
            match by(deadline, client.fill()).await {
                Ok(0) => return Ok(None),
                Ok(_) if seen == 0 && is_idle => deadline = Instant::now() + self.limits.head,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut && seen > 0 => return Err(HEAD_TOO_SLOW.into()),
                Err(_) => return Ok(None),
            }
        }
    }

    async fn answer(&self, client: &mut Client, place: &mut Place, head: &Head) -> Result<Answer, Stop> {
        if let Some((status, reason, json)) = self.own_answer(head) {
            return Answer::json(&self.room, status, reason, json).await.map_err(|error| refusal_of(&error).into());
        }
        if head.length > self.service.body_limit(head.method, head.path()) {
            return Err(BODY_TOO_LARGE.into());
        }
        place.waits_for(Waiting::Transfer)?;
        let (address, secure) = self.policy.client(client.peer, head);
        if head.length > UNASKED {
            self.ask_first(head, address).await?;
        }
        let body = self.body(client, head).await?;
        place.waits_for(Waiting::Turn)?;
        let turn = self.backend.turn().await?;
        place.is_needed()?;
        Ok(turn.exchange(head.for_worker(address, secure), body, head.method == "HEAD", &self.room).await?)
    }

    /// Whether the service would refuse this request whatever its body is.
    async fn ask_first(&self, head: &Head, client: IpAddr) -> Result<(), Stop> {
        let opening = Opening {
            method: head.method.to_owned(),
            path: head.path().to_owned(),
            headers: head.headers.clone(),
            client,
        };
        let service = Arc::clone(&self.service);
        let question = async {
            let _one_of_few = self.questions.acquire().await;
            smol::unblock(move || {
                let said = catch_unwind(AssertUnwindSafe(|| service.deny(&opening)));
                let Some(said) = said.map_err(|_| io::ErrorKind::Other)? else { return Ok(None) };
                Ok(Some((said.status, said.headers, said.body.into_bytes()?)))
            })
            .await
        };
        let denied = by(Instant::now() + self.limits.queue, question).await.map_err(|error| refusal_of(&error))?;
        let Some((status, headers, body)) = denied else { return Ok(()) };
        let answer = Answer::of(&self.room, status, headers, body).await.map_err(|error| refusal_of(&error))?;
        Err(Stop::Denied(Box::new(answer)))
    }

    /// What no worker is needed for.
    fn own_answer(&self, head: &Head) -> Option<(u16, &'static str, &str)> {
        if head.path() == "/health" && matches!(head.method, "GET" | "HEAD") && head.length == 0 {
            return Some((200, "OK", &self.health));
        }
        self.policy.is_preflight(head).then_some((204, "No Content", ""))
    }

    /// Reads the whole body.
    async fn body(&self, client: &mut Client, head: &Head) -> Result<Spool, Stop> {
        let mut body = Spool::new(&self.room);
        let early = client.buffer.len().min(usize::try_from(head.length).unwrap_or(usize::MAX));
        body.push(&client.buffer[..early]).await.map_err(|error| refusal_of(&error))?;
        client.buffer.drain(..early);
        if head.expects_continue && early == 0 && head.length > 0 {
            let go_on = client.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
            by(Instant::now() + self.limits.pace.stall, go_on).await.map_err(|_| Stop::Gone)?;
        }
        let begin = Instant::now();
        let mut block = if body.length() < head.length { vec![0; BODY_BLOCK] } else { Vec::new() };
        while body.length() < head.length {
            let deadline = self.limits.pace.deadline(begin, Instant::now(), body.length());
            let most = (block.len() as u64).min(head.length - body.length()) as usize;
            match by(deadline, client.stream.read(&mut block[..most])).await {
                Ok(0) => return Err(Stop::Gone),
                Ok(length) => body.push(&block[..length]).await.map_err(|error| refusal_of(&error))?,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(BODY_TOO_SLOW.into()),
                Err(_) => return Err(Stop::Gone),
            }
        }
        Ok(body)
    }

    /// Sends what there is to say and logs it; true where another request may follow.
    async fn finish(
        &self,
        client: &mut Client,
        head: Option<&Head>,
        answer: Result<Answer, Stop>,
        begin: Instant,
    ) -> bool {
        // What follows a refused request may be its body.
        let keep_alive = answer.is_ok() && head.is_some_and(|head| head.keep_alive) && !self.is_stopping.get();
        let is_refused = answer.is_err();
        let answer = match answer {
            Ok(answer) => Ok(answer),
            Err(Stop::Denied(answer)) => Ok(*answer),
            Err(Stop::Refused(refusal)) => Answer::refusal(&self.room, refusal).await,
            Err(Stop::Gone) => return false,
        };
        let Ok(mut answer) = answer else { return false };
        self.policy.dress(head, &mut answer);
        let status = answer.status;
        let is_head = head.is_some_and(|head| head.method == "HEAD");
        let mut sent = 0;
        let done = client.send(answer, keep_alive, is_head, &self.limits.pace, &mut sent).await;
        (self.log)(&Entry::Access(Access {
            client: head.map_or(client.peer, |head| self.policy.client(client.peer, head).0),
            method: head.map_or("-", |head| head.method),
            path: head.map_or("-", |head| self.service.path_in_log(head.path())),
            status,
            received: head.map_or(0, |head| head.length),
            sent,
            took: begin.elapsed(),
        }));
        if done.is_ok() && is_refused {
            client.linger().await;
        }
        keep_alive && done.is_ok()
    }
}

impl Client {
    /// Reads some bytes; none at the end.
    async fn fill(&mut self) -> io::Result<usize> {
        let before = self.buffer.len();
        self.buffer.resize(before + HEAD_BLOCK, 0);
        let read = self.stream.read(&mut self.buffer[before..]).await;
        self.buffer.truncate(before + read.as_ref().map_or(0, |length| *length));
        read
    }

    /// Sends an answer; `sent` counts also what was sent of one that failed.
    async fn send(
        &mut self,
        answer: Answer,
        keep_alive: bool,
        is_head: bool,
        pace: &Pace,
        sent: &mut u64,
    ) -> io::Result<()> {
        let begin = Instant::now();
        let mut block = answer.head(keep_alive);
        let mut body = answer.body.into_reader().await?;
        if !is_head {
            // A small answer is one packet.
            block.extend(body.next().await?.unwrap_or_default());
        }
        loop {
            let mut rest = block.as_slice();
            while !rest.is_empty() {
                let deadline = pace.deadline(begin, Instant::now(), *sent);
                let length = by(deadline, self.stream.write(rest)).await?;
                *sent += length as u64;
                rest = &rest[length..];
            }
            match body.next().await? {
                Some(next) if !is_head => block = next,
                _ => return Ok(()),
            }
        }
    }

    /// Closes our side and lets the client come to an end: a connection with unread bytes in it would be reset, and the
    /// answer lost.
    async fn linger(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        let deadline = Instant::now() + LINGER;
        let mut block = vec![0; BODY_BLOCK];
        let mut left = LINGER_BYTES;
        while let Ok(length @ 1..) = by(deadline, self.stream.read(&mut block)).await
            && left >= length
        {
            left -= length;
        }
    }
}

async fn after(time: Duration) {
    Timer::after(time).await;
}

async fn next(stops: &mut (impl Stream<Item = ()> + Unpin)) {
    let _ = stops.next().await;
}

/// A connection's place among all; it is free again when this is dropped.
struct Place {
    places: Rc<RefCell<Places<Sender<Infallible>>>>,
    left: Sender<()>,
    address: IpAddr,
    /// Ends the conversation when it is closed.
    end: Sender<Infallible>,
    rank: Option<Rank>,
}

impl Place {
    /// From now on the connection can be given up.
    fn waits_for(&mut self, what: Waiting) -> Result<(), Stop> {
        self.is_needed()?;
        self.rank = Some(self.places.borrow_mut().spare(self.address, what, Instant::now(), self.end.clone()));
        Ok(())
    }

    /// From now on it can't; `Gone` where it was: the conversation may get one step further before it ends.
    fn is_needed(&mut self) -> Result<(), Stop> {
        let is_still_here = self.rank.take().is_none_or(|rank| self.places.borrow_mut().need(self.address, rank));
        is_still_here.then_some(()).ok_or(Stop::Gone)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.is_needed();
        self.places.borrow_mut().leave(self.address);
        // Full means that it is known already.
        let _ = self.left.try_send(());
    }
}
