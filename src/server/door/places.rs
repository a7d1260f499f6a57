//! Who may be connected: a cap on all connections and one for each household, kept by turning out whoever can best be spared.
//!
//! Where the house is full, the household with the most connections gives one up: an idle or unfinished head first, a request
//! in the queue last, the oldest of each first. A request that a worker has in hand is never given up, and nobody is turned out
//! for a newcomer whose household already has more. A household at its cap gives up only what has been idle for a while: who
//! storms the door is sent away at once, which costs next to nothing.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Those who were given up and have not left yet may be so many, so that not everyone waits for each of them.
pub(in crate::server) const LEAVING: usize = 64;

/// What a connection waits for, in the order in which it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Waiting {
    /// For its client to send a whole head.
    Head,
    /// For its client to send a body or to take an answer.
    Transfer,
    /// For a worker.
    Turn,
}

/// Where a connection stands among those of its household: what it waits for, since when, and a number.
pub(super) type Rank = (Waiting, Instant, u64);

/// All connections; `C` is what it takes to end one.
#[derive(Debug)]
pub(super) struct Places<C> {
    households: HashMap<IpAddr, Household<C>>,
    open: usize,
    limit: usize,
    /// How long an idle connection is safe from newcomers of its own household.
    settled: Duration,
    number: u64,
}

#[derive(Debug)]
struct Household<C> {
    open: usize,
    spare: BTreeMap<Rank, C>,
}

/// What becomes of a newcomer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission<C> {
    /// There is room.
    Free,
    /// There is, once this one is gone.
    After(C),
    /// There is none.
    Full,
}

impl<C> Places<C> {
    pub(super) fn new(limit: usize, settled: Duration) -> Places<C> {
        Places { households: HashMap::new(), open: 0, limit, settled, number: 0 }
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// True while too many that were given up have not left yet.
    pub(super) fn is_over_full(&self) -> bool {
        self.open >= self.limit + LEAVING
    }

    /// Decides on one more connection of `address`, whose household may have `cap`.
    pub(super) fn admit(&mut self, address: IpAddr, cap: usize, now: Instant) -> Admission<C> {
        let own = self.households.get(&address).map_or(0, |household| household.open);
        if own >= cap {
            return self.give_up_own(address, now);
        }
        if self.open < self.limit {
            return Admission::Free;
        }
        let heaviest = self.households.iter().filter(|(_, household)| !household.spare.is_empty());
        match heaviest
            .max_by_key(|(_, household)| household.open)
            .map(|(address, household)| (*address, household.open))
        {
            Some((heavy, _)) if heavy == address => self.give_up_own(address, now),
            Some((heavy, open)) if open >= own => self.give_up(heavy, |_| true),
            _ => Admission::Full,
        }
    }

    fn give_up_own(&mut self, address: IpAddr, now: Instant) -> Admission<C> {
        let settled = self.settled;
        self.give_up(address, |(waiting, since, _)| *waiting == Waiting::Head && *since + settled <= now)
    }

    /// Takes the first of a household, if it may be.
    fn give_up(&mut self, address: IpAddr, may_be: impl Fn(&Rank) -> bool) -> Admission<C> {
        let household = self.households.get_mut(&address);
        let first = household.and_then(|household| household.spare.first_entry()).filter(|entry| may_be(entry.key()));
        first.map_or(Admission::Full, |entry| Admission::After(entry.remove()))
    }

    pub(super) fn enter(&mut self, address: IpAddr) {
        self.open += 1;
        self.households.entry(address).or_insert_with(|| Household { open: 0, spare: BTreeMap::new() }).open += 1;
    }

    pub(super) fn leave(&mut self, address: IpAddr) {
        self.open -= 1;
        if let Some(household) = self.households.get_mut(&address) {
            household.open -= 1;
            if household.open == 0 {
                self.households.remove(&address);
            }
        }
    }

    /// From now on the connection can be spared; see [`Places::need`].
    pub(super) fn spare(&mut self, address: IpAddr, waiting: Waiting, now: Instant, connection: C) -> Rank {
        self.number += 1;
        let rank = (waiting, now, self.number);
        if let Some(household) = self.households.get_mut(&address) {
            household.spare.insert(rank, connection);
        }
        rank
    }

    /// Takes back [`Places::spare`]; false where it is too late, because the connection was given up.
    pub(super) fn need(&mut self, address: IpAddr, rank: Rank) -> bool {
        self.households.get_mut(&address).is_some_and(|household| household.spare.remove(&rank).is_some())
    }

    /// Everyone who has not sent a whole head.
    pub(super) fn give_up_heads(&mut self) -> Vec<C> {
        let mut heads = Vec::new();
        for household in self.households.values_mut() {
            while let Some(first) = household.spare.first_entry().filter(|entry| entry.key().0 == Waiting::Head) {
                heads.push(first.remove());
            }
        }
        heads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLED: Duration = Duration::from_secs(1);

    fn address(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    /// Long after everybody has settled.
    fn admit(places: &mut Places<&'static str>, address: IpAddr, cap: usize) -> Admission<&'static str> {
        places.admit(address, cap, Instant::now() + 60 * SETTLED)
    }

    /// A house for six in which 127.0.0.2 has three connections and 127.0.0.3 two.
    fn nearly_full() -> Places<&'static str> {
        let mut places = Places::new(6, SETTLED);
        for (last, waiting, name) in [
            (2, Waiting::Transfer, "2 body"),
            (2, Waiting::Head, "2 old head"),
            (3, Waiting::Head, "3 head"),
            (2, Waiting::Head, "2 new head"),
            (3, Waiting::Transfer, "3 body"),
        ] {
            places.enter(address(last));
            places.spare(address(last), waiting, Instant::now(), name);
        }
        places
    }

    #[test]
    fn a_full_house_gives_up_the_oldest_head_of_the_heaviest_household() {
        let mut places = nearly_full();
        assert_eq!(admit(&mut places, address(4), 10), Admission::Free);
        places.enter(address(4));
        for name in ["2 old head", "2 new head", "2 body"] {
            assert_eq!(admit(&mut places, address(5), 10), Admission::After(name));
        }
        // What was given up has not left; the next heaviest that has something to spare comes next.
        for name in ["3 head", "3 body"] {
            assert_eq!(admit(&mut places, address(5), 10), Admission::After(name));
        }
        assert_eq!(admit(&mut places, address(5), 10), Admission::Full, "what a worker has in hand is never given up");
    }

    #[test]
    fn a_household_at_its_cap_gives_up_its_own_idle_connection_or_gets_no_more() {
        let mut places = nearly_full();
        assert_eq!(admit(&mut places, address(3), 2), Admission::After("3 head"));
        assert_eq!(
            admit(&mut places, address(3), 2),
            Admission::Full,
            "a transfer is not given up for one's own newcomer"
        );
        assert_eq!(admit(&mut places, address(3), 3), Admission::Free);
    }

    #[test]
    fn who_storms_the_door_turns_out_nobody() {
        let mut places = nearly_full();
        let now = Instant::now();
        assert_eq!(places.admit(address(3), 2, now), Admission::Full);
        places.enter(address(4));
        assert_eq!(places.admit(address(2), 10, now), Admission::Full, "its household is the heaviest");
        assert_eq!(places.admit(address(5), 10, now), Admission::After("2 old head"));
    }

    #[test]
    fn nobody_is_turned_out_for_a_heavier_household() {
        let mut places = Places::new(3, SETTLED);
        for last in [2, 2, 3] {
            places.enter(address(last));
        }
        places.spare(address(3), Waiting::Head, Instant::now(), "3 head");
        assert_eq!(admit(&mut places, address(2), 10), Admission::Full);
        assert_eq!(admit(&mut places, address(4), 10), Admission::After("3 head"));
    }

    #[test]
    fn who_is_needed_again_is_not_given_up_and_who_left_makes_room() {
        let mut places = Places::new(1, SETTLED);
        places.enter(address(2));
        let rank = places.spare(address(2), Waiting::Head, Instant::now(), "2 head");
        assert!(places.need(address(2), rank));
        assert_eq!(admit(&mut places, address(3), 10), Admission::Full);
        let rank = places.spare(address(2), Waiting::Transfer, Instant::now(), "2 body");
        assert_eq!(admit(&mut places, address(3), 10), Admission::After("2 body"));
        assert!(!places.need(address(2), rank), "who was given up must not go on");
        places.leave(address(2));
        assert_eq!((admit(&mut places, address(3), 10), places.open()), (Admission::Free, 0));
        assert!(places.households.is_empty());
    }

    #[test]
    fn at_the_end_only_heads_are_given_up() {
        let mut heads = nearly_full().give_up_heads();
        heads.sort_unstable();
        assert_eq!(heads, ["2 new head", "2 old head", "3 head"]);
    }
}
