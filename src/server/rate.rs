//! How often a key or an address may ask: a token bucket each, in bounded memory.
//!
//! A bucket is kept as the one moment at which it will be full again (the generic cell rate algorithm), so there is nothing to
//! refill and nothing to round. A full bucket is the same as none. Where memory is at its bound, the bucket that is nearest to
//! full is forgotten: a flood of fresh keys displaces itself, never somebody who has used up his share.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many requests at once, then one each `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    burst: u32,
    interval: Duration,
}

impl Rate {
    /// `requests` in each `period`, all at once if need be. Nothing of it may be zero; zero requests count as one.
    pub fn new(requests: u32, period: Duration) -> Rate {
        let burst = requests.max(1);
        Rate { burst, interval: (period / burst).max(Duration::from_nanos(1)) }
    }

    /// The longest that a bucket can take to be full again.
    fn debt_limit(&self) -> Duration {
        self.interval.saturating_mul(self.burst)
    }
}

/// A refusal: whole seconds until one more request will be let through, at least one; the value of `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter(pub u64);

/// Buckets by key, shared by all workers. Use one for API keys and one for [households](super::network::household).
#[derive(Debug)]
pub struct Limiter<K> {
    rate: Rate,
    capacity: usize,
    buckets: Mutex<Buckets<K>>,
}

/// Who is in debt until when, found by key and in the order in which they are forgotten.
#[derive(Debug)]
struct Buckets<K> {
    full_at: HashMap<K, Instant>,
    by_time: BTreeSet<(Instant, K)>,
}

impl<K: Clone + Eq + Hash + Ord> Limiter<K> {
    /// Remembers at most `capacity` keys.
    pub fn new(rate: Rate, capacity: usize) -> Limiter<K> {
        let buckets = Buckets { full_at: HashMap::new(), by_time: BTreeSet::new() };
        Limiter { rate, capacity: capacity.max(1), buckets: Mutex::new(buckets) }
    }

    /// Takes one request of `key`'s share at `now`. A refused one costs nothing.
    pub fn take(&self, key: &K, now: Instant) -> Result<(), RetryAfter> {
        // Whoever panicked with the lock held left no half-done change that matters: at worst a key is forgotten.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = buckets.full_at.get(key).copied().unwrap_or(now).max(now) + self.rate.interval;
        let debt = full_at.duration_since(now);
        if let Some(wait) = debt.checked_sub(self.rate.debt_limit()).filter(|wait| !wait.is_zero()) {
            return Err(RetryAfter(wait.as_nanos().div_ceil(1_000_000_000).try_into().unwrap_or(u64::MAX)));
        }
        buckets.put(key, full_at);
        buckets.forget_the_fullest(self.capacity);
        Ok(())
    }
}

impl<K: Clone + Eq + Hash + Ord> Buckets<K> {
    fn put(&mut self, key: &K, full_at: Instant) {
        if let Some(before) = self.full_at.insert(key.clone(), full_at) {
            self.by_time.remove(&(before, key.clone()));
        }
        self.by_time.insert((full_at, key.clone()));
    }

    fn forget_the_fullest(&mut self, capacity: usize) {
        while self.full_at.len() > capacity
            && let Some((_, key)) = self.by_time.pop_first()
        {
            self.full_at.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_passes_then_one_each_interval() {
        let limiter = Limiter::new(Rate::new(3, 30 * SECOND), 10);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(limiter.take(&"a", start), Ok(()));
        }
        assert_eq!(limiter.take(&"a", start), Err(RetryAfter(10)));
        assert_eq!(limiter.take(&"b", start), Ok(()), "another key has its own bucket");
        assert_eq!(limiter.take(&"a", start + 4 * SECOND), Err(RetryAfter(6)), "a refusal costs nothing");
        assert_eq!(limiter.take(&"a", start + 10 * SECOND), Ok(()));
        assert_eq!(limiter.take(&"a", start + 10 * SECOND), Err(RetryAfter(10)));
    }

    #[test]
    fn who_waits_as_long_as_told_is_let_through() {
        let limiter = Limiter::new(Rate::new(7, 60 * SECOND), 10);
        let mut now = Instant::now();
        for _ in 0..50 {
            while limiter.take(&"a", now).is_ok() {}
            let RetryAfter(seconds) = limiter.take(&"a", now).unwrap_err();
            assert!(seconds >= 1);
            now += seconds as u32 * SECOND;
            assert_eq!(limiter.take(&"a", now), Ok(()));
        }
    }

    #[test]
    fn in_the_long_run_nobody_gets_more_than_the_rate() {
        let limiter = Limiter::new(Rate::new(10, 10 * SECOND), 10);
        let start = Instant::now();
        let tries = (0..1000).map(|n| start + n * SECOND / 10);
        let passed = tries.filter(|now| limiter.take(&"a", *now).is_ok()).count();
        assert_eq!(passed, 10 + 99, "the burst, and one a second for 99.9 s");
    }

    #[test]
    fn memory_is_bounded_and_a_flood_of_keys_frees_nobody() {
        let limiter = Limiter::new(Rate::new(5, 60 * SECOND), 100);
        let start = Instant::now();
        for _ in 0..5 {
            assert_eq!(limiter.take(&0, start), Ok(()));
        }
        for key in 1..10_000 {
            assert_eq!(limiter.take(&key, start), Ok(()));
        }
        assert!(limiter.take(&0, start).is_err(), "the one in debt is remembered");
        let buckets = limiter.buckets.lock().unwrap();
        assert_eq!((buckets.full_at.len(), buckets.by_time.len()), (100, 100));
    }
}
