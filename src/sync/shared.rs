//! Sessions that others share with this account: which of them this device follows, and how the server speaks of shares.

use super::client::{Account, Client};
use crate::error::Result;
use crate::store::Store;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The setting that holds what this device follows.
const FOLLOWED: &str = "shared";

/// A session that was accepted here: a sync brings what is new of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// The share's id on the server.
    pub share: String,
    /// Whose session it is: an address.
    pub from: String,
    /// `ses_…` there.
    pub session: String,
    /// What is said here may go there.
    pub write: bool,
    /// The account, see [`Account::remote_name`].
    pub account: String,
    /// The session was here before it was shared; `None` until it was pulled once.
    #[serde(default)]
    pub is_own: Option<bool>,
}

/// What lies in the inbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the API's words")]
pub struct Item {
    pub item_id: String,
    pub kind: String,
    pub session_id: String,
    pub title: Option<String>,
    pub tool: String,
    pub from: String,
    pub message: Option<String>,
    pub write: bool,
    pub git_remote: Option<String>,
    pub created_at: String,
    #[serde(default)]
    pub expires_at: Option<String>,
    pub accepted_at: Option<String>,
}

/// A share of the account's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the API's words")]
pub struct Shared {
    pub share_id: String,
    pub session_id: String,
    pub title: Option<String>,
    pub kind: String,
    pub with: Option<String>,
    pub write: bool,
    pub state: String,
    pub created_at: String,
    pub expires_at: Option<String>,
    pub last_opened_at: Option<String>,
}

impl Followed {
    /// Under which name the archive remembers how far the owner's session on the server is.
    pub fn remote_name(&self) -> String {
        format!("{} share {}", self.account, self.share)
    }
}

impl Item {
    /// As this device follows it, once it was accepted.
    pub fn followed(&self, account: &Account) -> Followed {
        Followed {
            share: self.item_id.clone(),
            from: self.from.clone(),
            session: self.session_id.clone(),
            write: self.write,
            account: account.remote_name(),
            is_own: None,
        }
    }
}

/// What this device follows for `account`.
pub fn followed(store: &Store, account: &Account) -> Result<Vec<Followed>> {
    let name = account.remote_name();
    Ok(all(store)?.into_iter().filter(|one| one.account == name).collect())
}

/// Follows a session from now on.
pub fn follow(store: &mut Store, new: &Followed) -> Result<()> {
    change(store, &new.share, Some(new.clone()))
}

/// Follows it no longer; what came stays.
pub fn unfollow(store: &mut Store, share: &str) -> Result<()> {
    change(store, share, None)
}

fn all(store: &Store) -> Result<Vec<Followed>> {
    Ok(store.setting(FOLLOWED)?.unwrap_or_default())
}

fn change(store: &mut Store, share: &str, new: Option<Followed>) -> Result<()> {
    store.write(|store| {
        let mut list = all(store)?;
        list.retain(|one| one.share != share);
        list.extend(new);
        store.set_setting(FOLLOWED, &list)
    })
}

/// What lies in the account's inbox.
pub fn inbox(client: &mut Client) -> Result<Vec<Item>> {
    #[derive(Deserialize)]
    struct Answer {
        items: Vec<Item>,
    }
    Ok(client.json::<Answer>("GET", "/api/v1/inbox", None)?.items)
}

/// Whether an accepted share lasts, though its session can't be read now: it is deleted, or its owner is disabled.
pub fn lasts(client: &mut Client, share: &str) -> Result<bool> {
    #[derive(Deserialize)]
    struct Answer {
        items: Vec<Item>,
        #[serde(default)]
        away: Vec<String>,
    }
    let answer: Answer = client.json("GET", "/api/v1/inbox", None)?;
    let is_accepted = |item: &Item| item.item_id == share && item.accepted_at.is_some();
    Ok(answer.away.iter().any(|away| away == share) || answer.items.iter().any(is_accepted))
}

/// Takes an item.
pub fn accept(client: &mut Client, item: &str) -> Result<Item> {
    client.json("POST", &format!("/api/v1/inbox/{}/accept", super::client::in_path(item)?), Some(&json!({})))
}

/// What the account shares.
pub fn shares(client: &mut Client) -> Result<Vec<Shared>> {
    #[derive(Deserialize)]
    struct Answer {
        shares: Vec<Shared>,
    }
    Ok(client.json::<Answer>("GET", "/api/v1/shares", None)?.shares)
}
