//! How long one may wait for a client: it has to move bytes at a least rate, and never stand still for long.

use std::io;
use std::time::{Duration, Instant};

/// The least that is asked of a client that sends a body or takes an answer.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Nothing is asked before.
    pub grace: Duration,
    /// Bytes a second on average, from the grace on.
    pub rate: u64,
    /// The longest time without any byte.
    pub stall: Duration,
}

impl Pace {
    /// By when the next byte has to move, in a transfer that began at `begin` and has moved `bytes`.
    pub(super) fn deadline(&self, begin: Instant, now: Instant, bytes: u64) -> Instant {
        let earned = Duration::from_millis(bytes.saturating_mul(1000) / self.rate.max(1));
        (begin + self.grace + earned).min(now + self.stall)
    }
}

/// What `work` gives, or `TimedOut` once `deadline` has passed.
pub(super) async fn by<T>(deadline: Instant, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    smol::future::or(work, async {
        smol::Timer::at(deadline).await;
        Err(io::ErrorKind::TimedOut.into())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_earn_time_but_no_long_rest() {
        let second = Duration::from_secs(1);
        let pace = Pace { grace: 5 * second, rate: 10_000, stall: 20 * second };
        let begin = Instant::now();
        assert_eq!(pace.deadline(begin, begin, 0), begin + 5 * second);
        assert_eq!(pace.deadline(begin, begin + 4 * second, 50_000), begin + 10 * second);
        assert_eq!(pace.deadline(begin, begin + 4 * second, u64::MAX / 1000), begin + 24 * second);
    }
}
