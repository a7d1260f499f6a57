//! The accounts' archives: one database each, the same as a person's own. What one account holds, no query of another can
//! reach.

use super::turns::{GUESTS, OWNERS, Turns};
use crate::error::{Error, Kind, Result};
use crate::home::Home;
use crate::store::Store;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// So many archives stay open, and of those so many keep what they hold in memory.
const OPEN: usize = 32;
const AWAKE: usize = 8;
/// So many requests are with one archive or wait for it as long as it takes, each with a worker. Further ones give up soon: one
/// account's slow requests must leave workers to the others.
const PATIENT: usize = 4;
const PATIENCE: Duration = Duration::from_secs(2);
const ASK_AGAIN: Duration = Duration::from_millis(5);
/// KiB of pages that each open archive keeps.
const PAGES: i64 = 2048;

/// Below the server's folder, one folder an account.
pub struct Archives {
    folder: PathBuf,
    open: Mutex<VecDeque<(Uuid, Arc<Mutex<Store>>)>>,
    owners: Turns,
    guests: Turns,
}

/// Who reads an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Its account.
    Owner,
    /// Whoever has a link into it.
    Guest,
}

impl Archives {
    /// Those below `folder`.
    pub fn new(folder: &Path) -> Archives {
        let (owners, guests) = (Turns::new(OWNERS), Turns::new(GUESTS));
        Archives { folder: folder.to_owned(), open: Mutex::default(), owners, guests }
    }

    /// Where an account's archive is.
    pub fn home(&self, account: Uuid) -> Home {
        let folder = self.folder.join(account.to_string());
        Home::at(&folder, &folder)
    }

    /// True where the account has one: it is made when it is asked for first.
    pub fn exists(&self, account: Uuid) -> bool {
        self.home(account).database().is_file()
    }

    /// Works on an account's archive; one request at a time.
    pub fn with<T, E: From<Error>>(
        &self,
        account: Uuid,
        work: impl FnOnce(&mut Store) -> Result<T, E>,
    ) -> Result<T, E> {
        let archive = self.get(account)?;
        if let Some(mut store) = enter(&archive)? {
            return work(&mut store);
        }
        // A request that panicked may have left it in the middle of something: the next one opens it anew.
        self.list().retain(|(id, _)| *id != account);
        Err(Error::failed(format!("the archive of account {account} was left in disorder")).into())
    }

    /// Reads an account's archive beside whoever works on it: with a connection of its own, and a turn, since this is for what
    /// takes long. Nobody waits for it, and it waits for nobody who writes.
    pub fn read<T, E: From<Error>>(
        &self,
        account: Uuid,
        reader: Reader,
        work: impl FnOnce(&mut Store) -> Result<T, E>,
    ) -> Result<T, E> {
        let turns = if reader == Reader::Owner { &self.owners } else { &self.guests };
        let _turn = turns.take(account)?;
        work(&mut self.open_store(account)?)
    }

    /// Bytes in use by an account's archive; none where it has none yet.
    pub fn size(&self, account: Uuid) -> Result<u64> {
        if self.exists(account) { Store::size_of(&self.home(account)) } else { Ok(0) }
    }

    fn list(&self) -> MutexGuard<'_, VecDeque<(Uuid, Arc<Mutex<Store>>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, account: Uuid) -> Result<Arc<Mutex<Store>>> {
        let mut open = self.list();
        let entry = match open.iter().position(|(id, _)| *id == account).and_then(|at| open.remove(at)) {
            Some(entry) => entry,
            None => (account, Arc::new(Mutex::new(self.open_store(account)?))),
        };
        let archive = entry.1.clone();
        open.push_front(entry);
        // A request more, an archive less: what it has in memory is read again when it is wanted.
        if let Some((_, idle)) = open.get(AWAKE).filter(|(_, archive)| Arc::strong_count(archive) == 1)
            && let Ok(mut idle) = idle.try_lock()
        {
            idle.doze();
        }
        // One that is at work stays: a second connection to it would wait for the first.
        while open.len() > OPEN
            && let Some(idle) = open.iter().rposition(|(_, archive)| Arc::strong_count(archive) == 1)
        {
            open.remove(idle);
        }
        Ok(archive)
    }

    fn open_store(&self, account: Uuid) -> Result<Store> {
        let mut store = Store::open(&self.home(account))?;
        store.make_durable()?;
        store.keep_small(PAGES)?;
        Ok(store)
    }
}

/// Waits for an archive; `None` where it was left in disorder.
fn enter(archive: &Arc<Mutex<Store>>) -> Result<Option<MutexGuard<'_, Store>>> {
    // The list has it too.
    if Arc::strong_count(archive) <= PATIENT + 1 {
        return Ok(archive.lock().ok());
    }
    let end = Instant::now() + PATIENCE;
    loop {
        match archive.try_lock() {
            Ok(store) => return Ok(Some(store)),
            Err(TryLockError::Poisoned(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) if Instant::now() < end => thread::sleep(ASK_AGAIN),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(Kind::Busy, "other requests of this account are at work"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_requests_of_one_account_leave_workers_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let archives = Archives::new(folder.path());
        let (slow, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (tell, told) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            let archives = &archives;
            let (go_on, wait) = std::sync::mpsc::channel::<()>();
            let (enter, entered) = std::sync::mpsc::channel();
            scope.spawn(move || archives.with(slow, |_| Ok::<_, Error>((enter.send(()), wait.recv()))).map(drop));
            entered.recv().unwrap();
            for _ in 0..7 {
                let tell = tell.clone();
                scope.spawn(move || tell.send(archives.with(slow, |_| Ok(())).map_err(|error: Error| error.kind())));
            }
            // While one is slow, four of its account wait for it at most.
            for _ in 0..3 {
                assert_eq!(told.recv().unwrap(), Err(Kind::Busy));
            }
            archives.with(other, |_| Ok::<_, Error>(())).unwrap();
            go_on.send(()).unwrap();
        });
        drop(tell);
        assert!(told.iter().all(|outcome| outcome.is_ok() || outcome == Err(Kind::Busy)));
    }

    #[test]
    fn few_archives_stay_open_and_one_in_disorder_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let archives = Archives::new(folder.path());
        let accounts: Vec<Uuid> = (0..OPEN as u128 + 8).map(Uuid::from_u128).collect();
        for account in &accounts {
            archives
                .with(*account, |store| store.write(|store| store.set_setting("whose", &account.to_string())))
                .unwrap();
        }
        assert_eq!(archives.list().len(), OPEN);
        for account in &accounts {
            let whose: Option<String> = archives.with(*account, |store| store.setting("whose")).unwrap();
            assert_eq!(whose, Some(account.to_string()));
        }
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            archives.with(accounts[0], |store| store.write(|_| -> Result<()> { panic!("on purpose") }))
        }));
        assert!(panicked.is_err());
        assert!(archives.with(accounts[0], |store| store.session_rows()).is_err());
        assert!(archives.with(accounts[0], |store| store.write(|store| store.session_rows())).is_ok());
    }
}
