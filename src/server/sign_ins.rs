//! Who is signed in with a browser, in `server.db`. Each sign-in is made from a key and lives no longer than it: a revoked key
//! or a disabled account ends it at once. Only hashes of tokens are stored.

use super::accounts::{ACCOUNT, Accounts, Caller, Denied, account_from, is_token, now, token};
use crate::error::Result;
use crate::id::Hash;
use rusqlite::params;
use subtle::ConstantTimeEq;

/// Before the random part of what a cookie holds.
const COOKIE_PREFIX: &str = "web_";
/// And of a link.
const LINK_PREFIX: &str = "link_";
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// A browser stays signed in for so long.
pub(super) const SESSION_DAYS: i64 = 30;
/// A link can be used for so long.
const LINK_LIFE: i64 = 5 * MINUTE;
/// So many browsers are signed in with one key; the one that came first goes.
const MOST: u32 = 50;

impl Accounts {
    /// Signs a browser in with the key of this id; gives what its cookie holds, which is known at this moment only.
    pub fn sign_in(&self, key: &str) -> Result<String> {
        let (raw, now) = (token(COOKIE_PREFIX)?, now());
        let hash = Hash::of(raw.as_bytes()).0;
        self.write(|db| {
            db.execute("DELETE FROM web_session WHERE expires_at < ?1", [now])?;
            db.execute(
                "DELETE FROM web_session WHERE id IN
                   (SELECT id FROM web_session WHERE key = ?1 ORDER BY id DESC LIMIT -1 OFFSET ?2)",
                params![key, MOST - 1],
            )?;
            db.execute(
                "INSERT INTO web_session (key, lookup, hash, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![key, &hash[..8], hash, now, now + SESSION_DAYS * DAY],
            )?;
            Ok(())
        })?;
        Ok(raw)
    }

    /// Whose browser has the cookie with `raw` in it.
    pub fn signed_in(&self, raw: &str) -> Result<Result<Caller, Denied>> {
        if !is_token(raw, COOKIE_PREFIX) {
            return Ok(Err(Denied::Unknown));
        }
        let hash = Hash::of(raw.as_bytes()).0;
        let db = self.lock();
        let sql = format!(
            "SELECT {ACCOUNT}, w.hash, k.id FROM web_session w JOIN api_key k ON k.id = w.key
               JOIN account a ON a.id = k.account
             WHERE w.lookup = ?1 AND w.expires_at > ?2 AND k.revoked_at IS NULL"
        );
        let mut statement = db.prepare_cached(&sql)?;
        let mut rows = statement.query(params![&hash[..8], now()])?;
        while let Some(row) = rows.next()? {
            let known: Vec<u8> = row.get(5)?;
            if bool::from(known.ct_eq(&hash)) {
                let caller = Caller { account: account_from(row)?, key: row.get(6)? };
                return Ok(if caller.account.disabled_at.is_some() { Err(Denied::Disabled) } else { Ok(caller) });
            }
        }
        Ok(Err(Denied::Unknown))
    }

    /// Signs the browser out whose cookie holds `raw`.
    pub fn sign_out(&self, raw: &str) -> Result<()> {
        let hash = Hash::of(raw.as_bytes()).0;
        self.write(|db| Ok(db.execute("DELETE FROM web_session WHERE hash = ?1", [hash]).map(drop)?))
    }

    /// Drops sign-ins that are of no use any more: late ones, and those of revoked keys. Says how many.
    pub fn forget_sign_ins(&self) -> Result<u64> {
        self.write(|db| {
            let of_use = "expires_at > ?1 AND key IN (SELECT id FROM api_key WHERE revoked_at IS NULL)";
            let links = db.execute(&format!("DELETE FROM sign_in_link WHERE NOT ({of_use})"), [now()])?;
            let sessions = db.execute(&format!("DELETE FROM web_session WHERE NOT ({of_use})"), [now()])?;
            Ok((links + sessions) as u64)
        })
    }

    /// The token of a link with which a browser can sign in once with the key of this id, and until when, in milliseconds.
    pub fn sign_in_link(&self, key: &str) -> Result<(String, i64)> {
        let (raw, now) = (token(LINK_PREFIX)?, now());
        let expires_at = now + LINK_LIFE;
        self.write(|db| {
            db.execute("DELETE FROM sign_in_link WHERE expires_at < ?1", [now])?;
            db.execute(
                "INSERT INTO sign_in_link (hash, key, expires_at) VALUES (?1, ?2, ?3)",
                params![Hash::of(raw.as_bytes()).0, key, expires_at],
            )?;
            Ok(())
        })?;
        Ok((raw, expires_at))
    }

    /// Uses a link up: who is signed in by it.
    pub fn use_link(&self, raw: &str) -> Result<Result<Caller, Denied>> {
        if !is_token(raw, LINK_PREFIX) {
            return Ok(Err(Denied::Unknown));
        }
        let hash = Hash::of(raw.as_bytes()).0;
        self.write(|db| {
            let sql = format!(
                "SELECT {ACCOUNT}, k.id FROM sign_in_link l JOIN api_key k ON k.id = l.key
                   JOIN account a ON a.id = k.account
                 WHERE l.hash = ?1 AND l.expires_at > ?2 AND k.revoked_at IS NULL"
            );
            let mut statement = db.prepare_cached(&sql)?;
            let mut rows = statement.query(params![hash, now()])?;
            let Some(row) = rows.next()? else { return Ok(Err(Denied::Unknown)) };
            let caller = Caller { account: account_from(row)?, key: row.get(5)? };
            db.execute("DELETE FROM sign_in_link WHERE hash = ?1", [hash])?;
            Ok(if caller.account.disabled_at.is_some() { Err(Denied::Disabled) } else { Ok(caller) })
        })
    }
}
