//! `sfs list`.

use super::ui::{self, Style};
use super::{Context, arguments};
use crate::error::{Error, Result};
use crate::export;
use crate::store::{Filter, SessionRow, Sort, Store, Summary};
use crate::tools;
use crate::web::sessions::Session;
use argh::{ArgsInfo, FromArgs};
use serde_json::{Map, Value};
use std::path::Path;

/// So many rows where no limit is given and a person reads them.
const ROWS: u64 = 50;

/// List sessions, the most recently active first
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "list")]
#[argh(example = "sfs list --tool codex --since 7d
sfs list --project . --sort tokens -n5
sfs list --json")]
#[expect(clippy::struct_excessive_bools, reason = "they are switches")]
pub(super) struct List {
    /// only this tool: claude-code, codex, gemini or cursor
    #[argh(option)]
    tool: Option<String>,
    /// only sessions that worked in this folder or below it
    #[argh(option, from_str_fn(arguments::path))]
    project: Option<String>,
    /// only sessions active since: 30m, 24h, 7d, 2w, or a date such as 2026-11-22
    #[argh(option)]
    since: Option<String>,
    /// only sessions last active before: as --since
    #[argh(option)]
    until: Option<String>,
    /// only sessions with this tag
    #[argh(option)]
    tag: Option<String>,
    /// only sessions with at least so many messages (default 1)
    #[argh(option, default = "1", from_str_fn(arguments::count))]
    min_messages: u64,
    /// order: recent, oldest, messages, tokens, cost
    #[argh(option, default = "String::from(\"recent\")")]
    sort: String,
    /// at most so many (default 50; all with --json or -q)
    #[argh(option, short = 'n', from_str_fn(arguments::count))]
    limit: Option<u64>,
    /// everything: no limit, empty sessions too
    #[argh(switch, short = 'a')]
    all: bool,
    /// only deleted sessions, which are hidden otherwise; back with `sfs undelete`
    #[argh(switch)]
    deleted: bool,
    /// what is on the server, and whether it is here
    #[argh(switch)]
    remote: bool,
    /// only the ids, one a line
    #[argh(switch, short = 'q')]
    quiet: bool,
    /// print as a JSON array
    #[argh(switch)]
    json: bool,
}

impl List {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        if self.remote {
            return super::remote::list(context, self.json);
        }
        let store = context.open()?;
        context.tell_if_rebuilding(&store)?;
        let filter = self.filter(&store)?;
        let rows = store.list(&filter)?;
        if self.json {
            return context.ui.json(&Session::all(&store, &rows)?);
        }
        if self.quiet {
            return rows.iter().try_for_each(|(row, _)| context.ui.line(row.public_id.as_str()));
        }
        let total = store.count(&filter)?;
        if total == 0 {
            context.ui.note(if !self.deleted && store.count(&Filter::default())? == 0 {
                "No sessions yet. Capture what your tools have: sfs import"
            } else if self.deleted {
                "No deleted session matches."
            } else {
                "No session matches. See all of them: sfs list --all"
            });
            return Ok(());
        }
        if !rows.is_empty() {
            table(context, &rows)?;
        }
        if total > rows.len() as u64 {
            context.ui.note(&format!(
                "{} of {}; more with -n {total} or --all",
                rows.len(),
                ui::counted(total, "session")
            ));
        }
        Ok(())
    }

    fn filter(&self, store: &Store) -> Result<Filter> {
        let limit = if self.all || ((self.json || self.quiet) && self.limit.is_none()) {
            None
        } else {
            Some(self.limit.unwrap_or(ROWS))
        };
        Ok(Filter {
            tool: self.tool.as_deref().map(|name| tool_id(store, name)).transpose()?,
            project: self.project.as_deref().map(absolute),
            since: self.since.as_deref().map(arguments::moment).transpose()?,
            until: self.until.as_deref().map(arguments::moment).transpose()?,
            tag: self.tag.clone(),
            model: None,
            min_messages: if self.all || self.deleted { 0 } else { self.min_messages },
            deleted: self.deleted,
            sort: sort(&self.sort)?,
            limit,
            skip: 0,
        })
    }
}

/// A tool that we know, or one whose sessions came as .sfs folders.
pub(super) fn tool_id(store: &Store, name: &str) -> Result<String> {
    let imported = Filter { tool: Some(name.to_owned()), ..Filter::default() };
    match tools::find(name) {
        Ok(tool) => Ok(tool.id().to_owned()),
        Err(_) if store.count(&imported)? > 0 => Ok(name.to_owned()),
        Err(error) => Err(error),
    }
}

fn sort(word: &str) -> Result<Sort> {
    Ok(match word {
        "recent" => Sort::Recent,
        "oldest" => Sort::Oldest,
        "messages" => Sort::Messages,
        "tokens" => Sort::Tokens,
        "cost" => Sort::Cost,
        _ => {
            return Err(Error::usage(format!("{word:?} is not an order"))
                .hint("orders: recent, oldest, messages, tokens, cost"));
        }
    })
}

/// A folder that exists is resolved; any other is taken as it was recorded.
pub(super) fn absolute(path: &str) -> String {
    Path::new(path).canonicalize().map_or_else(|_| path.to_owned(), |path| path.to_string_lossy().into_owned())
}

/// One session as `sfs list --json` and `sfs show --json` give it.
pub(super) fn as_json(store: &Store, row: &SessionRow, summary: &Summary) -> Result<Map<String, Value>> {
    let session = Session::of(store, row.clone(), summary.clone())?;
    Ok(serde_json::to_value(session).ok().and_then(|value| value.as_object().cloned()).unwrap_or_default())
}

/// The session that this one continues: announced by us, or told by the tool.
pub(super) fn parent(store: &Store, row: &SessionRow, summary: &Summary) -> Result<Option<String>> {
    Ok(Session::of(store, row.clone(), summary.clone())?.parent_id)
}

/// A narrower title says nothing.
const SHORTEST_TITLE: usize = 18;

const HEADINGS: [&str; 8] = ["ID", "TOOL", "PROJECT", "MSGS", "TOKENS", "COST", "ACTIVE", "TITLE"];

fn table(context: &Context, rows: &[(SessionRow, Summary)]) -> Result<()> {
    let cells: Vec<[String; 8]> = rows.iter().map(|(row, summary)| cells(context, row, summary)).collect();
    let widths = widths(&cells, context.ui.width());
    context.ui.line(&context.ui.paint(Style::Dim, &line(&HEADINGS.map(str::to_owned), &widths)))?;
    cells.iter().try_for_each(|row| context.ui.line(&line(row, &widths)))
}

/// The columns' widths on a terminal so wide. Where a title would have no room, columns are left out: width 0.
fn widths(cells: &[[String; 8]], terminal: usize) -> [usize; 8] {
    const PROJECT: usize = 2;
    const MESSAGES: usize = 3;
    const TOKENS: usize = 4;
    const COST: usize = 5;
    const TITLE: usize = 7;
    let mut widths = HEADINGS.map(str::len);
    for row in cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(unicode_width::UnicodeWidthStr::width(cell.as_str()));
        }
    }
    widths[PROJECT] = widths[PROJECT].min((terminal / 5).clamp(12, 32));
    let room = |widths: &[usize; 8]| {
        let before: usize = widths[..TITLE].iter().filter(|width| **width > 0).map(|width| width + 2).sum();
        terminal.saturating_sub(before)
    };
    for column in [COST, TOKENS, PROJECT, MESSAGES] {
        if room(&widths) < SHORTEST_TITLE {
            widths[column] = 0;
        }
    }
    widths[TITLE] = room(&widths).max(1);
    widths
}

fn line(row: &[String; 8], widths: &[usize; 8]) -> String {
    let mut text = String::new();
    for (column, (cell, width)) in row.iter().zip(widths).enumerate().filter(|(_, (_, width))| **width > 0) {
        let cell = ui::fit(cell, *width);
        match column {
            3..=5 => text.push_str(&ui::pad_left(&cell, *width)),
            7 => text.push_str(&cell),
            _ => text.push_str(&ui::pad(&cell, *width)),
        }
        text.push_str("  ");
    }
    text.trim_end().to_owned()
}

fn cells(context: &Context, row: &SessionRow, summary: &Summary) -> [String; 8] {
    let tokens = summary.prompt_tokens() + summary.output_tokens;
    [
        row.public_id.as_str()[..12].to_owned(),
        row.tool.clone(),
        summary.project.as_deref().map(|path| context.home.short(Path::new(path))).unwrap_or_default(),
        summary.message_count.to_string(),
        ui::short_count(tokens),
        money(summary),
        summary.updated_at.map(ui::age).unwrap_or_default(),
        export::title(row, summary).unwrap_or_else(|| "(untitled)".to_owned()),
    ]
}

/// Dollars, `?` where a price is not known.
pub(super) fn money(summary: &Summary) -> String {
    match summary.cost() {
        Some(cost) if summary.prompt_tokens() + summary.output_tokens > 0 => format!("${cost:.2}"),
        Some(_) => "-".to_owned(),
        None => "?".to_owned(),
    }
}
