//! Settings and this device's origin.

use super::Store;
use crate::error::{Context, Result};
use crate::id::Hash;
use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::OnceLock;

const REDACTION_KEY: &str = "redaction_key";

impl Store {
    /// A setting's value.
    pub fn setting<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let text: Option<String> = self
            .connection
            .prepare_cached("SELECT value FROM setting WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()?;
        text.map(|text| serde_json::from_str(&text).context(|| format!("the setting {key} is damaged"))).transpose()
    }

    /// Stores a setting.
    pub fn set_setting(&mut self, key: &str, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(value).context(|| format!("the setting {key} can't be written"))?;
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO setting (key, value) VALUES (?1, ?2)")?
            .execute(params![key, text])?;
        Ok(())
    }

    /// Forgets a setting; says whether it was set.
    pub fn unset_setting(&mut self, key: &str) -> Result<bool> {
        Ok(self.connection.execute("DELETE FROM setting WHERE key = ?1", [key])? > 0)
    }

    /// The key with which this archive marks redacted secrets, minted at first use; never shown and never sent. Inside
    /// [`Store::write`]: two processes must not mint two.
    pub fn redaction_key(&mut self) -> Result<String> {
        if let Some(key) = self.known_redaction_key()? {
            return Ok(key);
        }
        let key = [(); 2].map(|()| uuid::Uuid::new_v4().simple().to_string()).concat();
        self.set_setting(REDACTION_KEY, &key)?;
        Ok(key)
    }

    /// The same, where it was minted already.
    pub fn known_redaction_key(&self) -> Result<Option<String>> {
        self.setting(REDACTION_KEY)
    }

    /// This device's origin, minted at first use. A database that was copied to another machine mints a new one there,
    /// so that two machines never write to the same stream.
    pub(super) fn origin(&mut self) -> Result<i64> {
        Ok(self.origin_row()?.0)
    }

    /// The name under which other devices know this one.
    pub fn origin_name(&mut self) -> Result<String> {
        Ok(self.origin_row()?.1)
    }

    fn origin_row(&mut self) -> Result<(i64, String)> {
        if let Some(row) = self.known_origin()? {
            return Ok(row);
        }
        let name = uuid::Uuid::new_v4().simple().to_string();
        self.connection.execute("INSERT INTO origin (name, machine) VALUES (?1, ?2)", params![name, machine()])?;
        Ok((self.connection.last_insert_rowid(), name))
    }

    /// The same, where it was minted.
    pub fn own_device(&self) -> Result<Option<String>> {
        Ok(self.known_origin()?.map(|(_, name)| name))
    }

    /// This device's origin, row and name, if it was minted.
    pub(super) fn known_origin(&self) -> Result<Option<(i64, String)>> {
        Ok(self
            .connection
            .prepare_cached("SELECT id, name FROM origin WHERE machine = ?1 ORDER BY id LIMIT 1")?
            .query_row([machine()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?)
    }

    /// The origin of that name: this device's or another one's, which is made if it is new.
    pub(super) fn origin_called(&mut self, name: &str) -> Result<i64> {
        let known = self
            .connection
            .prepare_cached("SELECT id FROM origin WHERE name = ?1")?
            .query_row([name], |row| row.get(0))
            .optional()?;
        if let Some(id) = known {
            return Ok(id);
        }
        self.connection.execute("INSERT INTO origin (name, machine) VALUES (?1, '')", [name])?;
        Ok(self.connection.last_insert_rowid())
    }
}

/// A hash of what the system says this machine is; `unknown` where it says nothing (macOS without the file: the host name).
fn machine() -> &'static str {
    static MACHINE: OnceLock<String> = OnceLock::new();
    MACHINE.get_or_init(read_machine)
}

fn read_machine() -> String {
    let text = ["/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/hostname"]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok().filter(|text| !text.trim().is_empty()));
    let text = text.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    Hash::of(format!("sessionfs origin {}", text.trim()).as_bytes()).hex()[..16].to_owned()
}
