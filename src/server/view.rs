//! A session as the contract shows it.

use super::reply::{Refusal, time};
use crate::error::{Error, Result};
use crate::export;
use crate::id::{Hash, SessionId};
use crate::store::{Receipt, SessionRow, Store, Stream, Summary};
use crate::tools;
use serde_json::{Value, json};

/// One session of an account, at one moment.
pub(super) struct View<'s> {
    pub(super) store: &'s Store,
    pub(super) row: SessionRow,
    pub(super) summary: Summary,
    pub(super) receipt: Option<Receipt>,
    tags: Vec<String>,
    heads: Hash,
}

impl<'s> View<'s> {
    /// The session that is called so. One that is deleted is as one that never was.
    pub(super) fn open(store: &'s Store, id: &SessionId) -> Result<View<'s>, Refusal> {
        let row = store.find_public(id)?.filter(|row| row.deleted_at.is_none()).ok_or_else(Refusal::not_found)?;
        let summary = store.summary(row.id)?;
        Ok(View::of(store, row, summary)?)
    }

    pub(super) fn of(store: &'s Store, row: SessionRow, summary: Summary) -> Result<View<'s>> {
        let (receipt, tags, heads) = (store.receipt(row.id)?, store.tags(row.id)?, store.heads(row.id)?);
        Ok(View { store, row, summary, receipt, tags, heads })
    }

    /// Opaque; the same until a byte or what a person says of the session changes.
    pub(super) fn etag(&self) -> Result<String> {
        Ok(self.store.etag(&self.row)?.hex())
    }

    /// The streams that hold the files of the archive that a client sent last, by the files' names: so long as nothing else
    /// came to the session, that archive is the session. Otherwise, it is made up from its streams.
    pub(super) fn members(&self) -> Result<Option<Vec<(String, Stream)>>> {
        let Some(receipt) = self.receipt.as_ref().filter(|r| !r.members.is_empty() && r.heads == self.heads) else {
            return Ok(None);
        };
        let streams = self.store.streams(self.row.id)?;
        let members = receipt.members.iter().map(|part| {
            let stream = streams.iter().find(|s| s.name == part.stream && s.generation == part.generation);
            let stream = stream.cloned().ok_or_else(|| {
                Error::failed(format!("session {} has no stream {}", self.row.public_id, part.stream))
            })?;
            Ok((part.name.clone(), stream))
        });
        members.collect::<Result<_>>().map(Some)
    }

    /// What a person said of the session, as a manifest has it.
    pub(super) fn title_and_tags(&self) -> (Option<&str>, &[String]) {
        (self.row.title.as_deref(), &self.tags)
    }

    pub(super) fn short(&self) -> Result<Value> {
        let summary = &self.summary;
        let (created_at, updated_at) = self.times();
        Ok(json!({
            "id": self.row.public_id.as_str(),
            "title": export::title(&self.row, summary),
            "tags": self.tags,
            "source_tool": self.row.tool,
            "model_id": summary.model,
            "message_count": summary.message_count,
            "turn_count": summary.turn_count,
            "tool_use_count": summary.tool_call_count,
            "total_input_tokens": summary.prompt_tokens(),
            "total_output_tokens": summary.output_tokens,
            "blob_size_bytes": self.bytes()?,
            "etag": self.etag()?,
            "created_at": created_at,
            "updated_at": updated_at,
        }))
    }

    pub(super) fn detail(&self) -> Result<Value> {
        let mut detail = self.short()?;
        let (row, summary) = (&self.row, &self.summary);
        let provider = summary.model.as_ref().and_then(|_| tools::find(&row.tool).ok()).map(tools::Tool::provider);
        // A client that names no native id has none.
        let native_id = Some(&row.native_id).filter(|id| id.as_str() != row.public_id.as_str());
        detail["original_session_id"] = json!(native_id);
        detail["source_tool_version"] = json!(summary.tool_version);
        detail["model_provider"] = json!(provider);
        detail["duration_ms"] = json!(summary.updated_at.zip(summary.created_at).map(|(last, first)| last - first));
        detail["parent_session_id"] = json!(row.parent.as_ref().map(|(parent, _)| parent));
        detail["uploaded_at"] = detail["created_at"].clone();
        Ok(detail)
    }

    /// Of the archive that arrived last, else of the streams.
    fn bytes(&self) -> Result<u64> {
        match &self.receipt {
            Some(receipt) => Ok(receipt.bytes),
            None => Ok(self.store.streams(self.row.id)?.iter().map(|stream| stream.length).sum()),
        }
    }

    /// When it arrived here, and when it changed here last.
    fn times(&self) -> (String, String) {
        let summary = &self.summary;
        let here = self.receipt.as_ref().map(|receipt| (receipt.created_at, receipt.updated_at));
        let (first, last) =
            here.unwrap_or((summary.created_at.unwrap_or_default(), summary.updated_at.unwrap_or_default()));
        (time(first), time(last))
    }
}
