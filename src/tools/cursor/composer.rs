//! A composer, which is what the client calls a session: the row that says of which bubbles it consists, in which order.
//! Three generations of its form are read: bubbles inside of it (2025), names of bubbles (since), and the names together
//! with a graph ([`super::graph`], since 2026). What is there decides, not the number of the version.

use crate::model::observation::{Observation, TitleRank};
use crate::tools::lenient::{Raw, elements, fields, owned, string};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The newest version that was seen (Cursor 3.22).
pub(super) const NEWEST: u64 = 18;

/// The composer's own row, its row in the list of composers, or a tab of the oldest chats: they share their names.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Composer<'a> {
    #[serde(borrow, rename = "_v")]
    version: Raw<'a>,
    #[serde(borrow)]
    name: Raw<'a>,
    #[serde(borrow)]
    chat_title: Raw<'a>,
    #[serde(borrow)]
    created_at: Raw<'a>,
    #[serde(borrow)]
    last_updated_at: Raw<'a>,
    #[serde(borrow)]
    last_send_time: Raw<'a>,
    #[serde(borrow)]
    full_conversation_headers_only: Raw<'a>,
    #[serde(borrow)]
    conversation: Raw<'a>,
    #[serde(borrow)]
    capabilities: Raw<'a>,
    #[serde(borrow)]
    tabs: Raw<'a>,
    #[serde(borrow)]
    bubbles: Raw<'a>,
    #[serde(borrow)]
    conversation_state: Raw<'a>,
    #[serde(borrow)]
    model_config: Raw<'a>,
    #[serde(borrow)]
    subagent_info: Raw<'a>,
    #[serde(borrow)]
    tracked_git_repos: Raw<'a>,
    #[serde(borrow)]
    pub(super) workspace_identifier: Raw<'a>,
}

/// A bubble's place in the conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: String,
    /// Who speaks, as the client writes it.
    pub(super) kind: Option<String>,
    /// When it began, as the client writes it: finds the bubble where the id does not.
    pub(super) moment: Option<String>,
}

/// A bubble that stands inside of its composer.
pub(super) struct Inline<'a> {
    pub(super) id: Option<String>,
    pub(super) bubble: &'a RawValue,
    /// Its tool call, which the oldest versions kept beside it.
    pub(super) call: Option<Box<RawValue>>,
}

impl<'a> Composer<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Composer<'a>> {
        serde_json::from_str(text).ok().filter(|_| text.trim_start().starts_with('{'))
    }

    pub(super) fn version(&self) -> Option<u64> {
        self.version?.get().parse().ok()
    }

    /// In the order of the conversation, each bubble once.
    pub(super) fn headers(&self) -> Vec<Header> {
        let mut headers: Vec<Header> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for header in elements(self.full_conversation_headers_only).into_iter().filter_map(Header::of) {
            if seen.insert(header.id.clone()) {
                headers.push(header);
            }
        }
        headers
    }

    /// The bubbles inside, in order. A list of names, where there is one, is what counts.
    pub(super) fn inline(&self) -> Vec<Inline<'a>> {
        let conversation = elements(self.conversation);
        if conversation.is_empty() {
            let tabs = elements(self.tabs).into_iter().filter_map(fields::<Composer<'_>>);
            let bubbles = tabs.flat_map(|tab| elements(tab.bubbles)).chain(elements(self.bubbles));
            // Their numbers start again in every tab.
            return bubbles.map(|bubble| Inline { id: None, bubble, call: None }).collect();
        }
        let mut calls = self.inline_calls();
        let inline = conversation.into_iter().map(|bubble| {
            let id = fields::<Id<'_>>(bubble).and_then(|id| owned(id.bubble_id));
            let call = id.as_ref().and_then(|id| calls.remove(id));
            Inline { id, bubble, call }
        });
        inline.collect()
    }

    /// By bubble. The map stands there as a text.
    fn inline_calls(&self) -> BTreeMap<String, Box<RawValue>> {
        #[derive(Deserialize)]
        struct Capability<'a> {
            #[serde(borrow)]
            data: Raw<'a>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Data<'a> {
            #[serde(borrow)]
            bubble_data_map: Raw<'a>,
        }
        let capabilities = elements(self.capabilities).into_iter().filter_map(fields::<Capability<'_>>);
        let maps = capabilities.filter_map(|capability| fields::<Data<'_>>(capability.data?)?.bubble_data_map);
        let maps = maps.filter_map(|map| {
            let text = string(Some(map)).unwrap_or(Cow::Borrowed(map.get()));
            serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(&text).ok()
        });
        maps.flatten().collect()
    }

    /// The graph's root, where there is one.
    pub(super) fn state(&self) -> Option<Cow<'a, str>> {
        string(self.conversation_state).filter(|state| state.len() > 1)
    }

    /// The composer that sent this one.
    pub(super) fn parent(&self) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Info<'a> {
            #[serde(borrow)]
            parent_composer_id: Raw<'a>,
        }
        owned(fields::<Info<'_>>(self.subagent_info?)?.parent_composer_id)
    }

    /// The first repository's folder, and its branch.
    pub(super) fn repository(&self) -> (Option<String>, Option<String>) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Repository<'a> {
            #[serde(borrow)]
            repo_path: Raw<'a>,
            #[serde(borrow)]
            branches: Raw<'a>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Branch<'a> {
            #[serde(borrow)]
            branch_name: Raw<'a>,
        }
        let Some(repository) = elements(self.tracked_git_repos).into_iter().find_map(fields::<Repository<'_>>) else {
            return (None, None);
        };
        let branch = elements(repository.branches).into_iter().find_map(fields::<Branch<'_>>);
        (owned(repository.repo_path), branch.and_then(|branch| owned(branch.branch_name)))
    }

    fn model(&self) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Config<'a> {
            #[serde(borrow)]
            model_name: Raw<'a>,
        }
        known_model(fields::<Config<'_>>(self.model_config?)?.model_name)
    }

    /// What the row says of the session. `rank` tells how fresh its title is.
    pub(super) fn observations(&self, rank: TitleRank) -> Vec<Observation> {
        let title = owned(self.name).or_else(|| owned(self.chat_title)).map(|name| Observation::Title(rank, name));
        let times = [self.created_at, self.last_updated_at, self.last_send_time]
            .map(|raw| time(raw).map(Observation::Activity));
        let branch = self.repository().1.map(Observation::GitBranch);
        let all = [title, self.model().map(Observation::Model), branch].into_iter().chain(times);
        all.flatten().collect()
    }
}

impl Header {
    fn of(raw: &RawValue) -> Option<Header> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Fields<'a> {
            #[serde(borrow)]
            bubble_id: Raw<'a>,
            #[serde(borrow, rename = "type")]
            kind: Raw<'a>,
            #[serde(borrow)]
            started_at_ms: Raw<'a>,
            #[serde(borrow)]
            created_at: Raw<'a>,
        }
        let header = fields::<Fields<'_>>(raw)?;
        Some(Header {
            id: owned(header.bubble_id)?,
            kind: header.kind.map(|kind| kind.get().to_owned()),
            moment: header.started_at_ms.or(header.created_at).map(|raw| raw.get().to_owned()),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Id<'a> {
    #[serde(borrow)]
    bubble_id: Raw<'a>,
}

/// A model's name; `default` means that the client chose, and does not say what.
pub(super) fn known_model(raw: Raw<'_>) -> Option<String> {
    owned(raw).filter(|model| model != "default")
}

/// Milliseconds since 1970, or a date.
pub(super) fn time(raw: Raw<'_>) -> Option<Timestamp> {
    if let Some(text) = string(raw) {
        return text.parse().ok();
    }
    let ms = raw?.get().parse::<f64>().ok().filter(|ms| *ms > 0.0)?;
    Timestamp::from_millisecond(ms as i64).ok()
}
