//! `sfs search`.

use super::ui::{self, Style};
use super::{Context, arguments, list};
use crate::daemon;
use crate::error::{Error, Result};
use crate::model::query::{Case, Query};
use crate::model::voice::Voice;
use crate::search::{self, Excerpt, Found, Hit, Options, Way};
use crate::store::{Filter, SearchFilter, Store};
use argh::{ArgsInfo, FromArgs};
use serde_json::{Value, json};

/// Columns of an excerpt where nobody's terminal sets them.
const COLUMNS: usize = 240;
/// What stands before an excerpt on screen.
const INDENT: &str = "    ";

/// Search in everything that was said, thought, called and answered
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "search")]
#[argh(example = "All of the words; words side by side; words that begin so:
  sfs search parser error
  sfs search '\"off by one\"'
  sfs search 'token*'
Code as it stands, an option behind `--`; either; without:
  sfs search 'foo_bar.baz()' src/lib.rs:12
  sfs search -- --dry-run
  sfs search 'yaml OR toml NOT json'
Anything, also inside of words:
  sfs search -F ookup_tab
What did I ask, in this project, this week?
  sfs search --role user --project . --since 7d migration")]
pub(super) struct Search {
    /// what to look for; several words are one query
    #[argh(positional)]
    query: Vec<String>,
    /// only sessions of this tool
    #[argh(option)]
    tool: Option<String>,
    /// only sessions that worked in this folder or below it
    #[argh(option, from_str_fn(arguments::path))]
    project: Option<String>,
    /// only what was said since: 30m, 24h, 7d, 2w, or a date such as 2026-11-22
    #[argh(option)]
    since: Option<String>,
    /// only what was said before: as --since
    #[argh(option)]
    until: Option<String>,
    /// only sessions with this tag
    #[argh(option)]
    tag: Option<String>,
    /// only what this one said: user, assistant, thinking, tool (calls and outputs), system (instructions, summaries)
    #[argh(option)]
    role: Option<String>,
    /// only in this session: an id, a prefix of one, or `last`
    #[argh(option)]
    session: Option<String>,
    /// at most so many messages (default 10)
    #[argh(option, short = 'n', default = "10", from_str_fn(arguments::count))]
    limit: u64,
    /// the query is one text, looked for as it is and also inside of words; looks through everything
    #[argh(switch, short = 'F')]
    literal: bool,
    /// upper and lower case are not the same
    #[argh(switch)]
    case: bool,
    /// print as a JSON array
    #[argh(switch)]
    json: bool,
}

impl Search {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let text = self.query.join(" ");
        let case = if self.case { Case::Kept } else { Case::Ignored };
        let query = if self.literal { Query::literal(&text, case)? } else { Query::parse(&text, case)? };
        let mut store = context.open()?;
        // What is read is read once: memory that is touched anew would cost more than it saves.
        store.keep_small(512)?;
        let options = self.options(context, &store)?;
        let progress = &mut |bytes| context.ui.progress(Some(&format!("looked through {}", ui::bytes(bytes))));
        let search = if self.literal { search::by_scan } else { search::by_words };
        let found = search(&store, &query, &options, progress);
        context.ui.progress(None);
        let found = found?;
        if self.json {
            context.ui.json(&found.hits.iter().map(as_json).collect::<Vec<_>>())?;
        } else {
            found.hits.iter().try_for_each(|hit| print(context, hit))?;
        }
        self.say_how(context, &store, &found)
    }

    fn options(&self, context: &Context, store: &Store) -> Result<Options> {
        let moment = |text: &Option<String>| text.as_deref().map(arguments::moment).transpose();
        let session = self.session.as_deref().map(|id| store.resolve(id)).transpose()?;
        let filter = SearchFilter {
            sessions: Filter {
                tool: self.tool.as_deref().map(|name| list::tool_id(store, name)).transpose()?,
                project: self.project.as_deref().map(list::absolute),
                tag: self.tag.clone(),
                ..Filter::default()
            },
            session: session.map(|row| row.id),
            since: moment(&self.since)?,
            until: moment(&self.until)?,
            voice: self.role.as_deref().map(voice).transpose()?,
        };
        let columns = match context.ui.width() {
            usize::MAX => COLUMNS,
            width => width.saturating_sub(INDENT.len()).max(20),
        };
        let columns = if self.json { COLUMNS } else { columns };
        Ok(Options { filter, limit: usize::try_from(self.limit).unwrap_or(usize::MAX), offset: 0, columns })
    }

    /// Which way was used, whether there is more, and what may be missing.
    fn say_how(&self, context: &Context, store: &Store, found: &Found) -> Result<()> {
        if found.hits.is_empty() && store.count(&Filter::default())? == 0 {
            context.ui.note("No sessions yet. Capture what your tools have: sfs import");
            return Ok(());
        }
        let count = ui::counted(found.hits.len() as u64, "message");
        let more =
            if found.more { format!("; more with -n {}", self.limit.saturating_mul(5).max(10)) } else { String::new() };
        let how = match found.way {
            Way::Index => "by the index of whole words; -F looks inside of words too".to_owned(),
            Way::Fallback(scan) => format!("no such words; looked inside of words, through {}", ui::bytes(scan.bytes)),
            Way::Scan(scan) => format!("looked through {}", ui::bytes(scan.bytes)),
        };
        context.ui.note(&format!("{count} ({how}){more}"));
        if let Way::Fallback(scan) | Way::Scan(scan) = found.way
            && !scan.is_whole
        {
            context
                .ui
                .note("Older sessions were not looked through; -F goes to the end, --since and --tool narrow it.");
        }
        context.tell_if_rebuilding(store)?;
        if !daemon::is_running(&context.home) {
            context
                .ui
                .note("The daemon is not running: what your tools wrote since the last capture is missing. sfs import");
        }
        Ok(())
    }
}

fn voice(word: &str) -> Result<Voice> {
    Voice::ALL.into_iter().find(|voice| voice.as_str() == word).ok_or_else(|| {
        Error::usage(format!("{word:?} is not a role"))
            .hint(format!("roles: {}", Voice::ALL.map(Voice::as_str).join(", ")))
    })
}

fn as_json(hit: &Hit) -> Value {
    json!({
        "id": hit.session.public_id.as_str(),
        "title": hit.title(),
        "tool": hit.session.tool,
        "project": hit.summary.project,
        "message_id": hit.message_id,
        "role": hit.role.as_str(),
        "timestamp": hit.timestamp.map(|at| at.to_string()),
        "snippet": hit.excerpt.text(),
    })
}

/// The session in one line, the excerpt below it.
fn print(context: &Context, hit: &Hit) -> Result<()> {
    let ui = &context.ui;
    let at = hit.timestamp.map(jiff::Timestamp::as_millisecond).or(hit.summary.updated_at);
    let age = at.map(ui::age).unwrap_or_default();
    let id = &hit.session.public_id.as_str()[..12];
    let role = if hit.is_meta { "harness" } else { hit.role.as_str() };
    let head = format!("{:<11}  {age:<7}  {role:<9}", ui::printable(&hit.session.tool));
    let title = hit.title().unwrap_or_else(|| "(untitled)".to_owned());
    let room = ui.width().saturating_sub(id.len() + head.len() + 4).max(1);
    ui.line(&format!("{}  {head}  {}", ui.paint(Style::Bold, id), ui::fit(&title, room)))?;
    ui.line(&format!("{INDENT}{}", painted(context, &hit.excerpt)))
}

fn painted(context: &Context, excerpt: &Excerpt) -> String {
    let pieces = excerpt.pieces.iter().map(|(text, is_found)| {
        let style = if *is_found { Style::Red } else { Style::Plain };
        context.ui.paint(style, &ui::printable(text))
    });
    pieces.collect()
}
