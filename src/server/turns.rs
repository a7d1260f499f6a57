//! Turns at what takes long, such as writing a session into a file: few at one time, so that workers are left to everybody
//! else, and fewer of one account's. Those who read by a link have turns of their own: however many they are, the owner
//! has his. Who comes beyond waits for a moment, where few wait already.

use crate::error::{Error, Kind, Result};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(2);

/// Who has a turn, and how many wait for one.
pub(super) struct Turns {
    limits: Limits,
    taken: Mutex<Taken>,
    given_back: Condvar,
}

/// Of the eight workers that a server has, all turns together, and all who wait for one, leave some to others.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// At one time.
    all: usize,
    /// And at the archive of one account.
    of_one: usize,
    /// So many wait, each with a worker.
    waiting: usize,
}

/// Of accounts, at their own archives.
pub(super) const OWNERS: Limits = Limits { all: 3, of_one: 2, waiting: 1 };
/// Of whoever has a link.
pub(super) const GUESTS: Limits = Limits { all: 2, of_one: 1, waiting: 1 };

#[derive(Default)]
struct Taken {
    accounts: Vec<Uuid>,
    waiting: usize,
}

impl Taken {
    fn is_free_for(&self, account: Uuid, limits: Limits) -> bool {
        let own = self.accounts.iter().filter(|other| **other == account).count();
        self.accounts.len() < limits.all && own < limits.of_one
    }
}

/// A turn, until it is dropped.
pub(super) struct Turn<'t> {
    turns: &'t Turns,
    account: Uuid,
}

impl Turns {
    pub(super) fn new(limits: Limits) -> Turns {
        Turns { limits, taken: Mutex::default(), given_back: Condvar::default() }
    }

    /// A turn at something of this account's.
    pub(super) fn take(&self, account: Uuid) -> Result<Turn<'_>> {
        let limits = self.limits;
        let mut taken = self.lock();
        if !taken.is_free_for(account, limits) {
            if taken.waiting >= limits.waiting {
                return Err(busy());
            }
            taken.waiting += 1;
            let is_full = |taken: &mut Taken| !taken.is_free_for(account, limits);
            let waited = self.given_back.wait_timeout_while(taken, PATIENCE, is_full);
            (taken, _) = waited.unwrap_or_else(PoisonError::into_inner);
            taken.waiting -= 1;
            if !taken.is_free_for(account, limits) {
                return Err(busy());
            }
        }
        taken.accounts.push(account);
        Ok(Turn { turns: self, account })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = self.turns.lock();
        if let Some(at) = taken.accounts.iter().position(|account| *account == self.account) {
            taken.accounts.swap_remove(at);
        }
        self.turns.given_back.notify_all();
    }
}

fn busy() -> Error {
    Error::new(Kind::Busy, "too many sessions are being written into files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_have_a_turn_fewer_of_one_account_and_the_rest_is_told_to_come_again() {
        let turns = Turns::new(OWNERS);
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let kind = |outcome: Result<Turn<'_>>| outcome.map(drop).map_err(|error| error.kind());
        let (first, second) = (turns.take(one).unwrap(), turns.take(one).unwrap());
        // As many wait as may.
        turns.lock().waiting = OWNERS.waiting;
        assert_eq!(kind(turns.take(one)), Err(Kind::Busy), "two of its own");
        let third = turns.take(other).unwrap();
        assert_eq!(kind(turns.take(other)), Err(Kind::Busy), "three in all");
        drop(first);
        assert_eq!(kind(turns.take(one)), Ok(()));
        drop((second, third));
        assert!(turns.lock().accounts.is_empty());
    }

    #[test]
    fn who_waits_gets_the_turn_that_is_given_back_and_few_wait() {
        let turns = Turns::new(GUESTS);
        let one = Uuid::from_u128(1);
        let held = turns.take(one).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..GUESTS.waiting {
                let (turns, tell) = (&turns, tell.clone());
                scope.spawn(move || tell.send(turns.take(one).is_ok()));
            }
            while turns.lock().waiting < GUESTS.waiting {
                std::thread::yield_now();
            }
            assert!(turns.take(one).is_err(), "it does not wait as well");
            drop(held);
        });
        assert_eq!(told.iter().take(GUESTS.waiting).collect::<Vec<_>>(), [true; GUESTS.waiting]);
    }
}
