//! The server's audit log: who did what to which session, and who was refused.

use super::accounts::{Accounts, now};
use crate::error::Result;
use rusqlite::{Connection, params};
use serde::Serialize;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr};
use uuid::Uuid;

/// Refusals from so many addresses are recorded in a minute; more would let anybody fill the disk.
const REFUSALS: usize = 100;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Event {
    Signup,
    SignupRefused,
    AuthFailed,
    SignedIn,
    SignedOut,
    KeyCreated,
    KeyRenamed,
    KeyRevoked,
    Pushed,
    Pulled,
    Conflict,
    Edited,
    Deleted,
    Restored,
    Reindexed,
    Invited,
    InviteRevoked,
    AccountDisabled,
    AccountEnabled,
    AdminGranted,
    AdminTaken,
    Shared,
    Unshared,
    HandedOff,
    Accepted,
    Dismissed,
    Claimed,
    ClaimRefused,
    LinkOpened,
    WebhookFailed,
    Error,
}

impl Event {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Event::Signup => "signup",
            Event::SignupRefused => "signup_refused",
            Event::AuthFailed => "auth_failed",
            Event::SignedIn => "signed_in",
            Event::SignedOut => "signed_out",
            Event::KeyCreated => "key_created",
            Event::KeyRenamed => "key_renamed",
            Event::KeyRevoked => "key_revoked",
            Event::Pushed => "pushed",
            Event::Pulled => "pulled",
            Event::Conflict => "conflict",
            Event::Edited => "edited",
            Event::Deleted => "deleted",
            Event::Restored => "restored",
            Event::Reindexed => "reindexed",
            Event::Invited => "invited",
            Event::InviteRevoked => "invite_revoked",
            Event::AccountDisabled => "account_disabled",
            Event::AccountEnabled => "account_enabled",
            Event::AdminGranted => "admin_granted",
            Event::AdminTaken => "admin_taken",
            Event::Shared => "shared",
            Event::Unshared => "unshared",
            Event::HandedOff => "handed_off",
            Event::Accepted => "accepted",
            Event::Dismissed => "dismissed",
            Event::Claimed => "claimed",
            Event::ClaimRefused => "claim_refused",
            Event::LinkOpened => "link_opened",
            Event::WebhookFailed => "webhook_failed",
            Event::Error => "error",
        }
    }
}

/// An event that is to be recorded.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What happened.
    pub event: Event,
    /// To whose account.
    pub account: Option<Uuid>,
    /// To which session.
    pub session: Option<String>,
    /// From where.
    pub address: Option<IpAddr>,
    /// In words.
    pub detail: String,
}

impl Entry {
    /// An event of which nothing else is known.
    pub fn of(event: Event) -> Entry {
        Entry { event, account: None, session: None, address: None, detail: String::new() }
    }

    /// Records it within the caller's transaction.
    pub(super) fn record(&self, db: &Connection, at: i64) -> Result<()> {
        db.prepare_cached(
            "INSERT INTO audit (at, event, account, session, address, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            at,
            self.event.as_str(),
            self.account.map(|id| id.to_string()),
            self.session,
            self.address.map(network),
            self.detail
        ])?;
        Ok(())
    }
}

/// A recorded event.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the columns of schema/001_server.sql")]
pub struct Recorded {
    pub id: i64,
    pub at: jiff::Timestamp,
    pub event: String,
    /// The account's address.
    pub account: Option<String>,
    pub session: Option<String>,
    pub address: Option<String>,
    pub detail: String,
}

/// Which events to show.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Of this kind.
    pub event: Option<String>,
    /// Of the account with this address.
    pub account: Option<String>,
    /// Older than the one with this id.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

impl Accounts {
    /// Records an event.
    pub fn record(&self, entry: &Entry) -> Result<()> {
        entry.record(&self.lock(), now())
    }

    /// Events, the newest first.
    pub fn events(&self, query: &Query) -> Result<Vec<Recorded>> {
        let db = self.lock();
        let mut statement = db.prepare_cached(
            "SELECT e.id, e.at, e.event, a.email, e.session, e.address, e.detail
             FROM audit e LEFT JOIN account a ON a.id = e.account
             WHERE (?1 IS NULL OR e.event = ?1) AND (?2 IS NULL OR a.email = ?2) AND (?3 IS NULL OR e.id < ?3)
             ORDER BY e.id DESC LIMIT ?4",
        )?;
        let rows = statement.query_map(params![query.event, query.account, query.before, query.limit], |row| {
            Ok(Recorded {
                id: row.get(0)?,
                at: jiff::Timestamp::from_millisecond(row.get(1)?).unwrap_or_default(),
                event: row.get(2)?,
                account: row.get(3)?,
                session: row.get(4)?,
                address: row.get(5)?,
                detail: row.get(6)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Drops events older than so many days; says how many.
    pub fn forget_events(&self, days: u32) -> Result<u64> {
        let until = now() - i64::from(days) * 86_400_000;
        self.write(|db| Ok(db.execute("DELETE FROM audit WHERE at < ?1", [until])? as u64))
    }
}

/// The address as it is recorded and counted: of IPv6 the network, since everybody has a whole one.
pub(super) fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// Which refusals were recorded in the current minute: one from each address.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    minute: i64,
    from: HashSet<String>,
}

impl Refusals {
    /// True where a refusal of `address` at `now` (in milliseconds) is to be recorded.
    pub(super) fn is_first(&mut self, address: IpAddr, now: i64) -> bool {
        if self.minute != now / 60_000 {
            self.minute = now / 60_000;
            self.from.clear();
        }
        self.from.len() < REFUSALS && self.from.insert(network(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_can_not_fill_the_disk() {
        let mut refusals = Refusals::default();
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        let recorded = |refusals: &mut Refusals, at| {
            (0..1000u32).filter(|n| refusals.is_first(address(*n), at) || refusals.is_first(address(*n), at)).count()
        };
        assert_eq!(recorded(&mut refusals, 0), REFUSALS);
        assert_eq!(recorded(&mut refusals, 59_999), 0);
        assert_eq!(recorded(&mut refusals, 60_000), REFUSALS);
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
    }
}
