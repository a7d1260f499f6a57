//! Accounts, keys and invitations, in `server.db`: the server's own database, and no session in it.
//!
//! A key is 128 random bits. Only its SHA-256 is stored, which is enough: nobody guesses 128 bits, so there is nothing that a
//! slow hash would slow down.

use super::audit::{Entry, Event};
use crate::error::{Context, Error, Result};
use crate::id::Hash;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use std::fs::OpenOptions;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use subtle::ConstantTimeEq;
use uuid::Uuid;

const MIGRATIONS: [&str; 3] = [
    include_str!("schema/001_server.sql"),
    include_str!("schema/002_share.sql"),
    include_str!("schema/003_dashboard.sql"),
];
/// "SFSS" in ASCII.
const APPLICATION_ID: i32 = 0x5346_5353;
/// Before the random part of a key.
const KEY_PREFIX: &str = "sk_sfs_";
const INVITE_PREFIX: &str = "inv_";
/// `last_used_at` is right to so many milliseconds.
const COARSE: i64 = 10 * 60_000;
/// So many attempts to sign up from one address in an hour.
const SIGNUPS_PER_HOUR: u32 = 10;
const HOUR: i64 = 3_600_000;
/// An account has no more keys than this.
const MAX_KEYS: u32 = 100;

/// Who may sign up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signup {
    /// Everybody.
    Open,
    /// Who has a code.
    Invite,
    /// Nobody.
    Closed,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: Uuid,
    /// Normalised.
    pub email: String,
    /// In milliseconds.
    pub created_at: i64,
    /// Its keys are refused since, in milliseconds.
    pub disabled_at: Option<i64>,
    /// May look after the server.
    pub is_admin: bool,
}

/// Who makes a request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whose key it is.
    pub account: Account,
    /// The key's id.
    pub key: String,
}

/// Why a key is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It is none of ours, or was revoked.
    Unknown,
    /// Its account is disabled.
    Disabled,
}

/// A key that was just made: the only moment at which it is known.
#[derive(Debug)]
pub struct NewKey {
    /// Its id.
    pub id: String,
    /// The key itself.
    pub raw: String,
    /// What the person calls it.
    pub name: Option<String>,
    /// In milliseconds.
    pub created_at: i64,
}

/// A key, as it is listed.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns of schema/001_server.sql")]
pub struct KeyRow {
    pub id: String,
    pub name: Option<String>,
    pub created_at: i64,
    pub last_used_at: Option<i64>,
}

/// An invitation, as it is listed. The code itself is known only to who made it.
#[derive(Debug)]
pub struct InviteRow {
    /// Tells it from others; the beginning of the code's hash.
    pub id: String,
    /// The one address that it is for.
    pub email: Option<String>,
    /// In milliseconds.
    pub created_at: i64,
    /// In milliseconds.
    pub expires_at: i64,
    /// The address of who signed up with it.
    pub used_by: Option<String>,
}

/// What became of an attempt to sign up.
#[derive(Debug)]
pub enum SignedUp {
    /// The account, and its first key.
    Now(Account, NewKey),
    /// The address has an account. Only who may sign up at all is told.
    Taken,
    /// Nobody may, or the code is not right.
    Refused,
    /// Too often from this address.
    TooOften,
}

/// The server's database.
pub struct Accounts {
    connection: Mutex<Connection>,
}

impl Accounts {
    /// Opens the database at `path`, creating or migrating it.
    pub fn open(path: &Path) -> Result<Accounts> {
        let unusable = || format!("{} can't be opened", path.display());
        // Made by us, so that it is private from its first byte on.
        OpenOptions::new().create(true).append(true).mode(0o600).open(path).context(unusable)?;
        let mut connection = Connection::open(path).context(unusable)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        let (application, tables): (i32, u32) = connection
            .query_row(
                "SELECT a.application_id,
                    (SELECT count(*) FROM sqlite_schema WHERE name NOT GLOB '_litestream_*')
                 FROM pragma_application_id a",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .context(unusable)?;
        if application != APPLICATION_ID && tables > 0 {
            return Err(Error::failed(format!("{} belongs to another program", path.display()))
                .hint("choose another folder with --data DIR"));
        }
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA journal_size_limit = 16777216; PRAGMA trusted_schema = OFF;",
        )?;
        migrate(&mut connection, path)?;
        Ok(Accounts { connection: Mutex::new(connection) })
    }

    /// A transaction that a panic left open was rolled back when it was dropped.
    pub(super) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = work(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }

    /// Signs `email` up from `address`; the first account looks after the server.
    pub fn sign_up(&self, policy: Signup, email: &str, invite: Option<&str>, address: IpAddr) -> Result<SignedUp> {
        let now = now();
        self.write(|db| {
            if attempts(db, address, now - HOUR)? >= SIGNUPS_PER_HOUR {
                return Ok(SignedUp::TooOften);
            }
            let outcome = match policy {
                Signup::Closed => SignedUp::Refused,
                Signup::Invite if !has_invite(db, invite, email, now)? => SignedUp::Refused,
                _ if account_of(db, email)?.is_some() => SignedUp::Taken,
                _ => create(db, email, invite.filter(|_| policy == Signup::Invite), now)?,
            };
            let account = if let SignedUp::Now(account, _) = &outcome { Some(account.id) } else { None };
            let event = if account.is_some() { Event::Signup } else { Event::SignupRefused };
            Entry { account, address: Some(address), detail: email.to_owned(), ..Entry::of(event) }.record(db, now)?;
            Ok(outcome)
        })
    }

    /// Whose key `raw` is.
    pub fn authenticate(&self, raw: &str) -> Result<Result<Caller, Denied>> {
        if !is_token(raw, KEY_PREFIX) {
            return Ok(Err(Denied::Unknown));
        }
        let (hash, now) = (Hash::of(raw.as_bytes()).0, now());
        let db = self.lock();
        let sql = format!(
            "SELECT {ACCOUNT}, k.hash, k.id, k.last_used_at FROM api_key k JOIN account a ON a.id = k.account
             WHERE k.lookup = ?1 AND k.revoked_at IS NULL"
        );
        let mut statement = db.prepare_cached(&sql)?;
        let mut rows = statement.query([&hash[..8]])?;
        while let Some(row) = rows.next()? {
            let known: Vec<u8> = row.get(5)?;
            if !bool::from(known.ct_eq(&hash)) {
                continue;
            }
            let caller = Caller { account: account_from(row)?, key: row.get(6)? };
            if caller.account.disabled_at.is_some() {
                return Ok(Err(Denied::Disabled));
            }
            if row.get::<_, Option<i64>>(7)?.is_none_or(|last| now - last > COARSE) {
                db.prepare_cached("UPDATE api_key SET last_used_at = ?2 WHERE id = ?1")?
                    .execute(params![caller.key, now])?;
            }
            return Ok(Ok(caller));
        }
        Ok(Err(Denied::Unknown))
    }

    /// Makes a key; `None` where the account has too many.
    pub fn create_key(&self, account: Uuid, name: Option<&str>) -> Result<Option<NewKey>> {
        self.write(|db| {
            let sql = "SELECT count(*) FROM api_key WHERE account = ?1 AND revoked_at IS NULL";
            let count: u32 = db.query_row(sql, [account.to_string()], |row| row.get(0))?;
            if count < MAX_KEYS { new_key(db, account, name, now()).map(Some) } else { Ok(None) }
        })
    }

    /// An account's keys that are not revoked.
    pub fn keys(&self, account: Uuid) -> Result<Vec<KeyRow>> {
        let db = self.lock();
        let mut statement = db.prepare_cached(
            "SELECT id, name, created_at, last_used_at FROM api_key
             WHERE account = ?1 AND revoked_at IS NULL ORDER BY created_at, rowid",
        )?;
        let rows = statement.query_map([account.to_string()], |row| {
            Ok(KeyRow { id: row.get(0)?, name: row.get(1)?, created_at: row.get(2)?, last_used_at: row.get(3)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Calls a key of this account otherwise; as it is then, where there is one.
    pub fn rename_key(&self, account: Uuid, key: &str, name: &str) -> Result<Option<KeyRow>> {
        let sql = "UPDATE api_key SET name = ?3 WHERE id = ?2 AND account = ?1 AND revoked_at IS NULL";
        self.write(|db| Ok(db.execute(sql, params![account.to_string(), key, name])?))?;
        Ok(self.keys(account)?.into_iter().find(|known| known.id == key))
    }

    /// Revokes a key of this account; says whether there was one.
    pub fn revoke_key(&self, account: Uuid, key: &str) -> Result<bool> {
        let sql = "UPDATE api_key SET revoked_at = ?3 WHERE id = ?2 AND account = ?1 AND revoked_at IS NULL";
        self.write(|db| Ok(db.execute(sql, params![account.to_string(), key, now()])? > 0))
    }

    /// All accounts, the oldest first, with the number of their keys.
    pub fn list(&self) -> Result<Vec<(Account, u64)>> {
        let db = self.lock();
        let sql = format!(
            "SELECT {ACCOUNT}, (SELECT count(*) FROM api_key k WHERE k.account = a.id AND k.revoked_at IS NULL)
             FROM account a ORDER BY a.created_at, a.rowid"
        );
        let mut statement = db.prepare(&sql)?;
        let rows = statement.query_map([], |row| Ok((account_from(row)?, row.get(5)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Changes the account of `email`: whether it is an admin's, whether it is disabled.
    pub fn change(&self, email: &str, is_admin: Option<bool>, is_disabled: Option<bool>) -> Result<Account> {
        let unknown =
            || Error::not_found(format!("no account has the address {email:?}")).hint("sessionfs serve users");
        let address = normal_email(email).ok_or_else(unknown)?;
        self.write(|db| {
            let account = account_of(db, &address)?.ok_or_else(unknown)?;
            let note = |event| Entry { account: Some(account.id), ..Entry::of(event) }.record(db, now());
            if let Some(is_admin) = is_admin.filter(|wanted| *wanted != account.is_admin) {
                db.execute("UPDATE account SET is_admin = ?2 WHERE email = ?1", params![address, is_admin])?;
                note(if is_admin { Event::AdminGranted } else { Event::AdminTaken })?;
            }
            if let Some(is_disabled) = is_disabled.filter(|wanted| *wanted != account.disabled_at.is_some()) {
                let at = is_disabled.then(now);
                db.execute("UPDATE account SET disabled_at = ?2 WHERE email = ?1", params![address, at])?;
                note(if is_disabled { Event::AccountDisabled } else { Event::AccountEnabled })?;
            }
            account_of(db, &address)?.ok_or_else(unknown)
        })
    }

    /// A code with which one person can sign up; only `email` if it is given. Valid for so many days.
    pub fn invite(&self, email: Option<&str>, days: u32) -> Result<String> {
        let email = email
            .map(|text| normal_email(text).ok_or_else(|| Error::usage(format!("{text:?} is not an email address"))))
            .transpose()?;
        let code = token(INVITE_PREFIX)?;
        let now = now();
        self.write(|db| {
            db.execute(
                "INSERT INTO invite (hash, email, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
                params![Hash::of(code.as_bytes()).0, email, now, now + i64::from(days) * 24 * HOUR],
            )?;
            Entry { detail: email.unwrap_or_default(), ..Entry::of(Event::Invited) }.record(db, now)
        })?;
        Ok(code)
    }

    /// Invitations that were not dropped yet, the newest first.
    pub fn invites(&self) -> Result<Vec<InviteRow>> {
        let db = self.lock();
        let mut statement = db.prepare_cached(
            "SELECT lower(hex(substr(i.hash, 1, 8))), i.email, i.created_at, i.expires_at, a.email
             FROM invite i LEFT JOIN account a ON a.id = i.used_by ORDER BY i.created_at DESC, i.hash LIMIT 1000",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(InviteRow {
                id: row.get(0)?,
                email: row.get(1)?,
                created_at: row.get(2)?,
                expires_at: row.get(3)?,
                used_by: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Takes back an invitation that nobody used; says whether there was one.
    pub fn revoke_invite(&self, id: &str) -> Result<bool> {
        let sql = "DELETE FROM invite WHERE lower(hex(substr(hash, 1, 8))) = ?1 AND used_by IS NULL";
        self.write(|db| {
            let was_there = db.execute(sql, [id])? > 0;
            if was_there {
                Entry { detail: id.to_owned(), ..Entry::of(Event::InviteRevoked) }.record(db, now())?;
            }
            Ok(was_there)
        })
    }

    /// Drops invitations that can't be used any more; says how many.
    pub fn forget_invites(&self) -> Result<u64> {
        let sql = "DELETE FROM invite WHERE expires_at < ?1 OR used_by IS NOT NULL";
        self.write(|db| Ok(db.execute(sql, [now()])? as u64))
    }

    /// What is damaged; empty in a sound database.
    pub fn check(&self) -> Result<Vec<String>> {
        let db = self.lock();
        let mut statement = db.prepare("PRAGMA integrity_check(20)")?;
        let mut lines: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        lines.retain(|line| line != "ok");
        let mut statement = db.prepare("SELECT \"table\", parent FROM pragma_foreign_key_check LIMIT 20")?;
        let dangling = statement.query_map([], |row| {
            let (table, parent): (String, String) = (row.get(0)?, row.get(1)?);
            Ok(format!("a row of {table} belongs to a {parent} that does not exist"))
        })?;
        lines.extend(dangling.collect::<rusqlite::Result<Vec<_>>>()?);
        Ok(lines)
    }

    /// Writes a copy of the database as it is at one moment to `path`, which is empty or not there.
    pub fn copy_to(&self, path: &Path) -> Result<()> {
        let target = path.to_string_lossy();
        self.lock().execute("VACUUM INTO ?1", [&*target]).context(|| format!("{} can't be written", path.display()))?;
        Ok(())
    }
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: usize = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > MIGRATIONS.len() {
        return Err(Error::failed(format!("{} was written by a newer sessionfs", path.display()))
            .hint("install the newer version again"));
    }
    for sql in MIGRATIONS.iter().skip(version) {
        transaction.execute_batch(sql).context(|| format!("{} can't be migrated", path.display()))?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", MIGRATIONS.len())?;
    Ok(transaction.commit()?)
}

pub(super) const ACCOUNT: &str = "a.id, a.email, a.created_at, a.disabled_at, a.is_admin";

pub(super) fn account_from(row: &Row<'_>) -> rusqlite::Result<Account> {
    let id: String = row.get(0)?;
    Ok(Account {
        id: Uuid::parse_str(&id)
            .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e)))?,
        email: row.get(1)?,
        created_at: row.get(2)?,
        disabled_at: row.get(3)?,
        is_admin: row.get(4)?,
    })
}

pub(super) fn account_of(db: &Connection, email: &str) -> Result<Option<Account>> {
    let sql = format!("SELECT {ACCOUNT} FROM account a WHERE a.email = ?1");
    Ok(db.prepare_cached(&sql)?.query_row([email], account_from).optional()?)
}

fn attempts(db: &Connection, address: IpAddr, since: i64) -> Result<u32> {
    let sql = "SELECT count(*) FROM audit WHERE event IN ('signup', 'signup_refused') AND address = ?1 AND at >= ?2";
    Ok(db.query_row(sql, params![super::audit::network(address), since], |row| row.get(0))?)
}

fn has_invite(db: &Connection, code: Option<&str>, email: &str, now: i64) -> Result<bool> {
    let Some(code) = code.filter(|code| is_token(code, INVITE_PREFIX)) else { return Ok(false) };
    let sql = "SELECT 1 FROM invite WHERE hash = ?1 AND used_by IS NULL AND expires_at >= ?3
               AND (email IS NULL OR email = ?2)";
    Ok(db.prepare_cached(sql)?.exists(params![Hash::of(code.as_bytes()).0, email, now])?)
}

fn create(db: &Connection, email: &str, invite: Option<&str>, now: i64) -> Result<SignedUp> {
    let id = Uuid::new_v4();
    db.execute(
        "INSERT INTO account (id, email, created_at, is_admin)
         VALUES (?1, ?2, ?3, NOT EXISTS (SELECT 1 FROM account))",
        params![id.to_string(), email, now],
    )?;
    if let Some(code) = invite {
        let hash = Hash::of(code.as_bytes()).0;
        db.execute("UPDATE invite SET used_by = ?2 WHERE hash = ?1", params![hash, id.to_string()])?;
    }
    let key = new_key(db, id, Some("default"), now)?;
    let account = account_of(db, email)?.ok_or_else(|| Error::failed("the account was not stored"))?;
    Ok(SignedUp::Now(account, key))
}

fn new_key(db: &Connection, account: Uuid, name: Option<&str>, now: i64) -> Result<NewKey> {
    let raw = token(KEY_PREFIX)?;
    let hash = Hash::of(raw.as_bytes()).0;
    let id = Uuid::new_v4().to_string();
    db.execute(
        "INSERT INTO api_key (id, account, lookup, hash, name, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![id, account.to_string(), &hash[..8], hash, name, now],
    )?;
    Ok(NewKey { id, raw, name: name.map(str::to_owned), created_at: now })
}

/// `prefix` and 128 random bits in hexadecimal.
pub(super) fn token(prefix: &str) -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::failed(format!("no random bytes: {error}")))?;
    Ok(format!("{prefix}{}", Uuid::from_bytes(bytes).simple()))
}

pub(super) fn is_token(text: &str, prefix: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix(prefix).is_some_and(|rest| rest.len() == 32 && rest.bytes().all(is_hex))
}

/// The form in which an address is stored: lower case, no blanks around it. `None` for what is none.
pub fn normal_email(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let (local, domain) = text.split_once('@')?;
    let is_label = |label: &str| {
        let is_inside = |c: char| c.is_alphanumeric() || c == '-';
        (1..=63).contains(&label.len())
            && label.chars().all(is_inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_local = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let is_email = text.len() <= 254
        && (1..=64).contains(&local.len())
        && local.chars().all(is_local)
        && domain.split('.').all(is_label);
    is_email.then_some(text)
}

/// Milliseconds since 1970.
pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn accounts() -> (tempfile::TempDir, Accounts) {
        let folder = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(&folder.path().join("server.db")).unwrap();
        (folder, accounts)
    }

    fn signed_up(accounts: &Accounts, email: &str) -> (Account, NewKey) {
        match accounts.sign_up(Signup::Open, email, None, HERE).unwrap() {
            SignedUp::Now(account, key) => (account, key),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn addresses_have_one_spelling() {
        assert_eq!(normal_email("  Alice@Example.COM ").as_deref(), Some("alice@example.com"));
        assert_eq!(normal_email("a.b+c@localhost").as_deref(), Some("a.b+c@localhost"));
        let long = format!("{}@{}.com", "a".repeat(64), "b.".repeat(100));
        for wrong in ["", "alice", "a@", "@b", "a@b@c", "a b@c", "a@b..c", "a@-b", "a\0@b", "a<b@c", &long] {
            assert_eq!(normal_email(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_key_is_known_by_its_hash_until_it_is_revoked() {
        let (folder, accounts) = accounts();
        let (account, key) = signed_up(&accounts, "a@example.com");
        assert!(is_token(&key.raw, "sk_sfs_"), "{}", key.raw);
        assert_eq!(accounts.authenticate(&key.raw).unwrap().unwrap().account, account);
        let flipped = format!("{}{}", &key.raw[..38], if key.raw.ends_with('0') { '1' } else { '0' });
        for wrong in ["", "sk_sfs_", &flipped, &key.raw.to_uppercase(), &format!("{} ", key.raw)] {
            assert_eq!(accounts.authenticate(wrong).unwrap().unwrap_err(), Denied::Unknown, "{wrong:?}");
        }
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(memchr::memmem::find(&bytes, key.raw.as_bytes()).is_none(), "a key is stored");
        }
        let (other, _) = signed_up(&accounts, "b@example.com");
        assert!(!accounts.revoke_key(other.id, &key.id).unwrap(), "another account's key");
        assert!(accounts.revoke_key(account.id, &key.id).unwrap());
        assert!(!accounts.revoke_key(account.id, &key.id).unwrap());
        assert_eq!(accounts.authenticate(&key.raw).unwrap().unwrap_err(), Denied::Unknown);
    }

    #[test]
    fn using_a_key_is_rarely_a_write() {
        let (_folder, accounts) = accounts();
        let (account, key) = signed_up(&accounts, "a@example.com");
        let changes = |accounts: &Accounts| accounts.lock().total_changes();
        accounts.authenticate(&key.raw).unwrap().unwrap();
        let before = changes(&accounts);
        (0..10).for_each(|_| drop(accounts.authenticate(&key.raw).unwrap().unwrap()));
        assert_eq!(changes(&accounts), before);
        assert!(accounts.keys(account.id).unwrap()[0].last_used_at.is_some());
    }

    #[test]
    fn the_first_account_is_the_admins_and_others_can_be_made_so() {
        let (_folder, accounts) = accounts();
        assert!(signed_up(&accounts, "a@example.com").0.is_admin);
        assert!(!signed_up(&accounts, "b@example.com").0.is_admin);
        assert!(accounts.change("B@example.com", Some(true), None).unwrap().is_admin);
        assert!(accounts.change("nobody@example.com", Some(true), None).is_err());
    }

    #[test]
    fn signing_up_follows_the_policy() {
        let (_folder, accounts) = accounts();
        signed_up(&accounts, "a@example.com");
        let outcome = |policy, email: &str, code: Option<&str>| {
            let mut address = [0; 4];
            getrandom::fill(&mut address).unwrap();
            match accounts.sign_up(policy, email, code, IpAddr::from(address)).unwrap() {
                SignedUp::Now(..) => "now",
                SignedUp::Taken => "taken",
                SignedUp::Refused => "refused",
                SignedUp::TooOften => "too often",
            }
        };
        assert_eq!(outcome(Signup::Open, "a@example.com", None), "taken");
        // Whether an address has an account is not told to those who may not sign up.
        assert_eq!(outcome(Signup::Closed, "a@example.com", None), "refused");
        assert_eq!(outcome(Signup::Closed, "x@example.com", None), "refused");
        let anyone = accounts.invite(None, 7).unwrap();
        assert_eq!(outcome(Signup::Closed, "x@example.com", Some(&anyone)), "refused");
        assert_eq!(outcome(Signup::Invite, "a@example.com", None), "refused");
        assert_eq!(outcome(Signup::Invite, "a@example.com", Some("inv_00000000000000000000000000000000")), "refused");
        assert_eq!(outcome(Signup::Invite, "a@example.com", Some(&anyone)), "taken");
        assert_eq!(outcome(Signup::Invite, "x@example.com", Some(&anyone)), "now");
        assert_eq!(outcome(Signup::Invite, "y@example.com", Some(&anyone)), "refused");
        let named = accounts.invite(Some("Z@example.com"), 7).unwrap();
        assert_eq!(outcome(Signup::Invite, "y@example.com", Some(&named)), "refused");
        assert_eq!(outcome(Signup::Invite, "z@example.com", Some(&named)), "now");
        let late = accounts.invite(None, 0).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert_eq!(outcome(Signup::Invite, "y@example.com", Some(&late)), "refused");
        assert_eq!(accounts.forget_invites().unwrap(), 3);
    }

    #[test]
    fn an_address_signs_up_ten_times_an_hour() {
        let (_folder, accounts) = accounts();
        (0..10).for_each(|n| drop(signed_up(&accounts, &format!("u{n}@example.com"))));
        let again = |address| accounts.sign_up(Signup::Open, "more@example.com", None, address).unwrap();
        assert!(matches!(again(HERE), SignedUp::TooOften));
        assert!(matches!(again("192.0.2.1".parse().unwrap()), SignedUp::Now(..)));
        // One IPv6 network is one neighbour.
        for n in 0..10 {
            let address = format!("2001:db8::{n}").parse().unwrap();
            accounts.sign_up(Signup::Open, &format!("v{n}@example.com"), None, address).unwrap();
        }
        assert!(matches!(again("2001:db8::ffff".parse().unwrap()), SignedUp::TooOften));
    }
}
