//! Shares, in `server.db`: who may see which session beside its owner, and on which terms.
//!
//! A share is for an address or for whoever has its link. One for an address that has an account is that account's; otherwise
//! it waits for its claim code, since signing up proves nothing about an address. The owner is told the same either way: a
//! code in the answer, and a share that waits until it is accepted.

use super::accounts::{Accounts, account_of, now};
use crate::error::{Error, Result};
use crate::id::{Hash, SessionId};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use std::collections::HashMap;
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// An owner has no more shares than this at one time; those whose time is over are counted apart, and the oldest go.
const MAX_SHARES: u32 = 1000;
/// So many of an owner's shares wait for one address at one time.
const MAX_WAITING: u32 = 100;
const CLAIM_PREFIX: &str = "claim_";

/// A session that somebody beside its owner may see.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns of schema/002_share.sql")]
pub struct Share {
    pub id: String,
    pub owner: Uuid,
    /// The owner's address.
    pub from: String,
    pub session: SessionId,
    pub audience: Audience,
    pub is_handoff: bool,
    pub message: Option<String>,
    pub git_remote: Option<String>,
    pub created_at: i64,
    pub expires_at: Option<i64>,
    pub accepted_at: Option<i64>,
    pub last_opened_at: Option<i64>,
}

/// Whom a share is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The person with this address.
    Account {
        /// Normalised.
        email: String,
        /// May add to the session.
        can_write: bool,
    },
    /// Whoever has the link.
    Link,
}

/// How far a share is, as its owner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It can be used.
    Active,
    /// It was not accepted yet.
    Waiting,
    /// Its time is over.
    Expired,
}

impl State {
    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Active => "active",
            State::Waiting => "waiting",
            State::Expired => "expired",
        }
    }
}

/// A share that is to be.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "see Share")]
pub struct NewShare {
    pub owner: Uuid,
    pub session: SessionId,
    pub audience: Audience,
    pub git_remote: Option<String>,
    pub expires_at: Option<i64>,
    pub handoff: Option<Handoff>,
}

/// A session that is handed to somebody to go on with.
#[derive(Clone, Debug, Default)]
pub struct Handoff {
    /// What the owner says to it.
    pub message: Option<String>,
}

impl Share {
    /// How far it is at `now`.
    pub fn state(&self, now: i64) -> State {
        match &self.audience {
            _ if self.expires_at.is_some_and(|at| at <= now) => State::Expired,
            Audience::Account { .. } if self.accepted_at.is_none() => State::Waiting,
            _ => State::Active,
        }
    }

    /// True where who it is for may add to the session.
    pub fn can_write(&self) -> bool {
        matches!(self.audience, Audience::Account { can_write: true, .. })
    }
}

const SHARE: &str = "h.id, h.owner, o.email, h.session, h.email, h.can_write, h.is_handoff, h.message, h.created_at,
    h.expires_at, h.accepted_at, h.last_opened_at, h.git_remote FROM share h JOIN account o ON o.id = h.owner";
/// What makes a share of use to anybody but its owner; `?1` is the time.
const LIVE: &str = "o.disabled_at IS NULL AND (h.expires_at IS NULL OR h.expires_at > ?1)";

fn share_from(row: &Row<'_>) -> rusqlite::Result<Share> {
    let wrong = |column, error| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error);
    let (owner, session): (String, String) = (row.get(1)?, row.get(3)?);
    let email: Option<String> = row.get(4)?;
    let can_write = row.get(5)?;
    Ok(Share {
        id: row.get(0)?,
        owner: Uuid::parse_str(&owner).map_err(|error| wrong(1, error.into()))?,
        from: row.get(2)?,
        session: SessionId::parse(&session).map_err(|error| wrong(3, error.into()))?,
        audience: email.map_or(Audience::Link, |email| Audience::Account { email, can_write }),
        is_handoff: row.get(6)?,
        message: row.get(7)?,
        created_at: row.get(8)?,
        expires_at: row.get(9)?,
        accepted_at: row.get(10)?,
        last_opened_at: row.get(11)?,
        git_remote: row.get(12)?,
    })
}

fn all(db: &Connection, rest: &str, values: &[&dyn ToSql]) -> Result<Vec<Share>> {
    let mut statement = db.prepare_cached(&format!("SELECT {SHARE} {rest}"))?;
    let rows = statement.query_map(values, share_from)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn one(db: &Connection, rest: &str, values: &[&dyn ToSql]) -> Result<Option<Share>> {
    let mut statement = db.prepare_cached(&format!("SELECT {SHARE} {rest}"))?;
    Ok(statement.query_row(values, share_from).optional()?)
}

/// The live share with that secret, which may be known to anybody; whose it is, is still to be looked at.
fn by_secret(db: &Connection, secret: &str, now: i64) -> Result<Option<(Share, Option<String>)>> {
    let hash = Hash::of(secret.as_bytes()).0;
    let sql = format!(
        "SELECT h.id, h.hash, h.grantee FROM share h JOIN account o ON o.id = h.owner WHERE {LIVE} AND h.lookup = ?2"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params![now, &hash[..8]])?;
    while let Some(row) = rows.next()? {
        let known: Vec<u8> = row.get(1)?;
        if bool::from(known.ct_eq(&hash)) {
            let (id, grantee): (String, Option<String>) = (row.get(0)?, row.get(2)?);
            return Ok(one(db, "WHERE h.id = ?1", &[&id])?.map(|share| (share, grantee)));
        }
    }
    Ok(None)
}

impl Accounts {
    /// How many others can see each of an owner's sessions now; a link counts as one.
    pub fn seen_by_others(&self, owner: Uuid) -> Result<HashMap<String, u64>> {
        let db = self.lock();
        let mut statement = db.prepare_cached(
            "SELECT session, count(*) FROM share
             WHERE owner = ?1 AND (expires_at IS NULL OR expires_at > ?2)
               AND (email IS NULL OR accepted_at IS NOT NULL)
             GROUP BY session",
        )?;
        let rows = statement.query_map(params![owner.to_string(), now()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Makes a share, and the secret that opens it: a claim code, or a link's token. A session is shared with an address
    /// once: again, it is the same share on new terms. `None` where the owner has too many.
    pub fn share(&self, new: &NewShare) -> Result<Option<(Share, String)>> {
        let secret = match new.audience {
            Audience::Account { .. } => format!("{CLAIM_PREFIX}{}", &random_hex()?[..32]),
            Audience::Link => random_hex()?,
        };
        let owner = new.owner.to_string();
        let share = self.write(|db| {
            if !has_room(db, new, &owner)? {
                return Ok(None);
            }
            let id = match &new.audience {
                Audience::Account { email, can_write } => share_with(db, new, email, *can_write, &secret)?,
                Audience::Link => insert(db, new, None, false, &secret)?,
            };
            one(db, "WHERE h.id = ?1", &[&id])
        })?;
        Ok(share.map(|share| (share, secret)))
    }

    /// An owner's shares, of one session or of all; the newest first.
    pub fn shares(&self, owner: Uuid, session: Option<&SessionId>) -> Result<Vec<Share>> {
        let (owner, session) = (owner.to_string(), session.map(SessionId::as_str));
        let rest = "WHERE h.owner = ?1 AND (?2 IS NULL OR h.session = ?2)
                    ORDER BY h.created_at DESC, h.rowid DESC";
        all(&self.lock(), rest, &[&owner, &session])
    }

    /// Ends a share of this owner; what it was.
    pub fn revoke_share(&self, owner: Uuid, id: &str) -> Result<Option<Share>> {
        let owner = owner.to_string();
        self.write(|db| {
            let share = one(db, "WHERE h.id = ?1 AND h.owner = ?2", &[&id, &owner])?;
            db.execute("DELETE FROM share WHERE id = ?1 AND owner = ?2", params![id, owner])?;
            Ok(share)
        })
    }

    /// What others share with this account and it did not dismiss, a page of it: first the newest of every owner, then the
    /// second of each, and so on, so that nobody's many come before another's few.
    pub fn inbox(&self, account: Uuid, skip: usize, limit: usize) -> Result<Vec<Share>> {
        let rest = format!(
            "WHERE {LIVE} AND h.grantee = ?2 AND h.dismissed_at IS NULL
             ORDER BY row_number() OVER (PARTITION BY h.owner ORDER BY h.created_at DESC, h.rowid DESC),
               h.created_at DESC, h.rowid DESC LIMIT ?3 OFFSET ?4"
        );
        let (limit, skip) = (limit as i64, skip as i64);
        all(&self.lock(), &rest, &[&now(), &account.to_string(), &limit, &skip])
    }

    /// What the account accepted and can't read while the owner is disabled.
    pub fn suspended(&self, account: Uuid) -> Result<Vec<Share>> {
        let rest = "WHERE o.disabled_at IS NOT NULL AND (h.expires_at IS NULL OR h.expires_at > ?1) AND h.grantee = ?2
                    AND h.dismissed_at IS NULL AND h.accepted_at IS NOT NULL";
        all(&self.lock(), rest, &[&now(), &account.to_string()])
    }

    /// Takes what was shared; from now on it can be read. Taking it twice is taking it once.
    pub fn accept_share(&self, account: Uuid, id: &str) -> Result<Option<Share>> {
        let account = account.to_string();
        let rest = format!("WHERE {LIVE} AND h.grantee = ?2 AND h.dismissed_at IS NULL AND h.id = ?3");
        self.write(|db| {
            let now = now();
            if one(db, &rest, &[&now, &account, &id])?.is_none() {
                return Ok(None);
            }
            db.execute("UPDATE share SET accepted_at = coalesce(accepted_at, ?2) WHERE id = ?1", params![id, now])?;
            one(db, "WHERE h.id = ?1", &[&id])
        })
    }

    /// Takes it out of the inbox, and gives it back if it was accepted; what it was.
    pub fn dismiss_share(&self, account: Uuid, id: &str) -> Result<Option<Share>> {
        let account = account.to_string();
        self.write(|db| {
            let share = one(db, "WHERE h.id = ?1 AND h.grantee = ?2 AND h.dismissed_at IS NULL", &[&id, &account])?;
            db.execute(
                "UPDATE share SET dismissed_at = ?3, accepted_at = NULL WHERE id = ?1 AND grantee = ?2",
                params![id, account, now()],
            )?;
            Ok(share)
        })
    }

    /// Makes a waiting share the one of this account. A code is good for one account, and not for the owner's own.
    pub fn claim_share(&self, account: Uuid, code: &str) -> Result<Option<Share>> {
        let account = account.to_string();
        self.write(|db| {
            let Some((share, grantee)) = by_secret(db, code, now())? else { return Ok(None) };
            let is_free = grantee.as_ref().is_none_or(|grantee| *grantee == account);
            if share.audience == Audience::Link || !is_free || share.owner.to_string() == account {
                return Ok(None);
            }
            db.execute("UPDATE share SET grantee = ?2, dismissed_at = NULL WHERE id = ?1", params![share.id, account])?;
            Ok(Some(share))
        })
    }

    /// The share `id`, where this account may read through it.
    pub fn grant(&self, account: Uuid, id: &str) -> Result<Option<Share>> {
        let rest = format!("WHERE {LIVE} AND h.grantee = ?2 AND h.accepted_at IS NOT NULL AND h.id = ?3");
        one(&self.lock(), &rest, &[&now(), &account.to_string(), &id])
    }

    /// The share whose link has that token.
    pub fn link(&self, token: &str) -> Result<Option<Share>> {
        let share = by_secret(&self.lock(), token, now())?.map(|(share, _)| share);
        Ok(share.filter(|share| share.audience == Audience::Link))
    }

    /// Remembers that a share was used just now.
    pub fn share_was_opened(&self, id: &str) -> Result<()> {
        self.write(|db| {
            db.execute("UPDATE share SET last_opened_at = ?2 WHERE id = ?1", params![id, now()])?;
            Ok(())
        })
    }

    /// Whether `grantee` brought the device `origin` into the archive of `owner`.
    pub fn is_lent(&self, owner: Uuid, grantee: Uuid, origin: &str) -> Result<bool> {
        let sql = "SELECT 1 FROM share_origin WHERE owner = ?1 AND origin = ?2 AND grantee = ?3";
        let db = self.lock();
        let mut statement = db.prepare_cached(sql)?;
        Ok(statement.exists(params![owner.to_string(), origin, grantee.to_string()])?)
    }

    /// Lets `grantee` write as the device `origin` in the archive of `owner`; false where it is another one's there.
    /// `is_known`: the archive knows it already.
    pub fn lend_origin(&self, owner: Uuid, grantee: Uuid, origin: &str, is_known: bool) -> Result<bool> {
        Ok(self.brought_by(owner, grantee, origin, is_known)? == Some(grantee.to_string()))
    }

    /// Whether the device `origin` is in the archive of `account` because somebody shared what it wrote, as `other` does now;
    /// false where it is a device of the account itself. `is_known`: the archive knows it already.
    pub fn is_foreign(&self, account: Uuid, other: Uuid, origin: &str, is_known: bool) -> Result<bool> {
        Ok(self.brought_by(account, other, origin, is_known)?.is_some())
    }

    /// Who brought the device `origin` into the archive of `owner`: `grantee` now, where it was not known there.
    fn brought_by(&self, owner: Uuid, grantee: Uuid, origin: &str, is_known: bool) -> Result<Option<String>> {
        let (owner, grantee) = (owner.to_string(), grantee.to_string());
        self.write(|db| {
            let sql = "SELECT grantee FROM share_origin WHERE owner = ?1 AND origin = ?2";
            let whose: Option<String> = db.query_row(sql, [&owner, origin], |row| row.get(0)).optional()?;
            if whose.is_some() || is_known {
                return Ok(whose);
            }
            let sql = "INSERT INTO share_origin (owner, origin, grantee) VALUES (?1, ?2, ?3)";
            db.execute(sql, params![owner, origin, grantee])?;
            Ok(Some(grantee))
        })
    }
}

/// Whether an owner may make this share. It is counted by address: whether that has an account makes no difference.
fn has_room(db: &Connection, new: &NewShare, owner: &str) -> Result<bool> {
    let now = now();
    db.execute(
        "DELETE FROM share WHERE rowid IN (SELECT rowid FROM share WHERE owner = ?1 AND expires_at <= ?2
           ORDER BY expires_at DESC LIMIT -1 OFFSET ?3)",
        params![owner, now, MAX_SHARES],
    )?;
    let email = match &new.audience {
        Audience::Account { email, .. } => Some(email),
        Audience::Link => None,
    };
    // The same share on new terms is not one more.
    let (shares, waiting): (u32, u32) = db.query_row(
        "SELECT count(*), count(*) FILTER (WHERE email = ?3 AND accepted_at IS NULL) FROM share
         WHERE owner = ?1 AND (expires_at IS NULL OR expires_at > ?2)
           AND NOT coalesce(session = ?4 AND email = ?3, 0)",
        params![owner, now, email, new.session.as_str()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(shares < MAX_SHARES && waiting < MAX_WAITING)
}

/// The share's id. Whether `email` has an account makes no difference that the owner could see.
fn share_with(db: &Connection, new: &NewShare, email: &str, can_write: bool, secret: &str) -> Result<String> {
    let known = "SELECT id FROM share WHERE owner = ?1 AND session = ?2 AND email = ?3";
    let known: Option<String> = db
        .query_row(known, params![new.owner.to_string(), new.session.as_str(), email], |row| row.get(0))
        .optional()?;
    let grantee = account_of(db, email)?.map(|account| account.id.to_string());
    let Some(id) = known else { return insert(db, new, Some((email, grantee)), can_write, secret) };
    let hash = Hash::of(secret.as_bytes()).0;
    db.execute(
        "UPDATE share SET grantee = coalesce(grantee, ?2), lookup = ?3, hash = ?4, expires_at = ?5, created_at = ?6,
           can_write = CASE WHEN ?7 THEN can_write ELSE ?8 END, is_handoff = ?7, message = ?9, git_remote = ?10, dismissed_at = NULL
         WHERE id = ?1",
        params![
            id,
            grantee,
            &hash[..8],
            hash,
            new.expires_at,
            now(),
            new.handoff.is_some(),
            can_write,
            new.handoff.as_ref().and_then(|handoff| handoff.message.as_deref()),
            new.git_remote
        ],
    )?;
    Ok(id)
}

fn insert(
    db: &Connection,
    new: &NewShare,
    with: Option<(&str, Option<String>)>,
    can_write: bool,
    secret: &str,
) -> Result<String> {
    let (id, hash) = (Uuid::new_v4().to_string(), Hash::of(secret.as_bytes()).0);
    let (email, grantee) = with.unzip();
    db.execute(
        "INSERT INTO share (id, owner, session, email, grantee, lookup, hash, can_write, is_handoff, message, created_at,
           expires_at, git_remote) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        params![
            id,
            new.owner.to_string(),
            new.session.as_str(),
            email,
            grantee.flatten(),
            &hash[..8],
            hash,
            can_write,
            new.handoff.is_some(),
            new.handoff.as_ref().and_then(|handoff| handoff.message.as_deref()),
            now(),
            new.expires_at,
            new.git_remote
        ],
    )?;
    Ok(id)
}

/// 256 random bits in hexadecimal.
fn random_hex() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::failed(format!("no random bytes: {error}")))?;
    Ok(Hash(bytes).hex())
}
