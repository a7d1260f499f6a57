//! `sfs stats`.

use super::ui::{self, Style};
use super::{Context, arguments, list};
use crate::error::{Error, Result};
use crate::model::price;
use crate::model::stats::{Deed, Sum, Work};
use crate::store::{Filter, Store};
use argh::{ArgsInfo, FromArgs};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// So many projects and models in the overview.
const TOP: usize = 5;
const DAY_MS: i64 = 86_400_000;
/// Days begin on a quarter of an hour of UTC in every time zone.
const QUARTER_MS: i64 = 900_000;
/// What is not known.
const UNKNOWN: &str = "(unknown)";

/// Sum up sessions, turns, tokens and cost
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "stats")]
#[argh(example = "sfs stats
sfs stats --by day --since 2w
sfs stats --by model --project .
sfs stats --by month --json")]
pub(super) struct Stats {
    /// one row for each: day, week, month, tool, project, model
    #[argh(option, from_str_fn(by))]
    by: Option<By>,
    /// only what was done since: 30m, 24h, 7d, 2w, or a date such as 2026-11-22
    #[argh(option)]
    since: Option<String>,
    /// only what was done before: as --since
    #[argh(option)]
    until: Option<String>,
    /// only sessions of this tool
    #[argh(option)]
    tool: Option<String>,
    /// only sessions that worked in this folder or below it
    #[argh(option, from_str_fn(arguments::path))]
    project: Option<String>,
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

/// What makes a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Day,
    Week,
    Month,
    Tool,
    Project,
    Model,
}

impl By {
    const ALL: [(By, &'static str); 6] = [
        (By::Day, "day"),
        (By::Week, "week"),
        (By::Month, "month"),
        (By::Tool, "tool"),
        (By::Project, "project"),
        (By::Model, "model"),
    ];

    fn word(self) -> &'static str {
        By::ALL.iter().find(|(by, _)| *by == self).map_or("", |(_, word)| word)
    }

    fn is_time(self) -> bool {
        matches!(self, By::Day | By::Week | By::Month)
    }
}

fn by(word: &str) -> std::result::Result<By, String> {
    let words = || By::ALL.map(|(_, word)| word).join(", ");
    By::ALL
        .iter()
        .find(|(_, known)| *known == word)
        .map(|(by, _)| *by)
        .ok_or_else(|| format!("it is one of {}", words()))
}

/// Rows in the order in which they are shown.
type Rows = Vec<(String, Sum)>;

impl Stats {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let store = context.open()?;
        context.tell_if_rebuilding(&store)?;
        match self.by {
            Some(by) => self.table(context, &store, by),
            None => self.overview(context, &store),
        }
    }

    fn table(&self, context: &Context, store: &Store, by: By) -> Result<()> {
        let (mut groups, mut total) = (Groups::new(by), Sum::default());
        self.walk(store, &mut |deed| {
            total.add(deed);
            groups.add(deed);
        })?;
        let rows = groups.rows();
        if self.json {
            let rows: Vec<Value> = rows.iter().map(|(key, sum)| as_json(Some((by, key)), sum)).collect();
            let total = as_json(None, &total);
            return context
                .ui
                .json(&json!({"by": by.word(), "rows": rows, "total": total, "prices_as_of": price::AS_OF}));
        }
        if rows.is_empty() {
            return nothing(context, store);
        }
        let shown = rows.iter().map(|(key, sum)| cells(&name(context, by, key), sum, by != By::Model));
        let shown = shown.chain([cells("total", &total, true)]).collect();
        print(context, vec![(by.word().to_uppercase(), shown)])?;
        note_unpriced(context, &total);
        Ok(())
    }

    fn overview(&self, context: &Context, store: &Store) -> Result<()> {
        let now = Timestamp::now().as_millisecond();
        let mut spans =
            [(i64::MIN, Sum::default()), (now - 30 * DAY_MS, Sum::default()), (now - 7 * DAY_MS, Sum::default())];
        let (mut projects, mut models) = (Groups::new(By::Project), Groups::new(By::Model));
        self.walk(store, &mut |deed| {
            for (since, sum) in &mut spans {
                if deed.at.unwrap_or(i64::MIN) >= *since {
                    sum.add(deed);
                }
            }
            projects.add(deed);
            models.add(deed);
        })?;
        let [(_, total), (_, month), (_, week)] = spans;
        let (projects, models) = (projects.rows(), models.rows());
        if self.json {
            let array =
                |by: By, rows: &Rows| rows.iter().map(|(key, sum)| as_json(Some((by, key)), sum)).collect::<Value>();
            return context.ui.json(&json!({
                "total": as_json(None, &total),
                "last_30_days": as_json(None, &month),
                "last_7_days": as_json(None, &week),
                "projects": array(By::Project, &projects),
                "models": array(By::Model, &models),
                "prices_as_of": price::AS_OF,
            }));
        }
        if total.sessions() == 0 {
            return nothing(context, store);
        }
        let spans = [("all", &total), ("last 30 days", &month), ("last 7 days", &week)];
        let spans = spans.map(|(name, sum)| cells(name, sum, true)).to_vec();
        let top = |by: By, rows: &Rows| {
            let rows = rows.iter().take(TOP).map(|(key, sum)| cells(&name(context, by, key), sum, by != By::Model));
            (by.word().to_uppercase(), rows.collect::<Vec<_>>())
        };
        print(context, vec![("WHEN".into(), spans), top(By::Project, &projects), top(By::Model, &models)])?;
        note_unpriced(context, &total);
        Ok(())
    }

    /// Calls `each` with what was done, as far as it is asked for.
    fn walk(&self, store: &Store, each: &mut dyn FnMut(&Deed<'_>)) -> Result<()> {
        let filter = Filter {
            tool: self.tool.as_deref().map(|name| list::tool_id(store, name)).transpose()?,
            project: self.project.as_deref().map(list::absolute),
            ..Filter::default()
        };
        let since = self.since.as_deref().map(arguments::moment).transpose()?.unwrap_or(i64::MIN);
        let until = self.until.as_deref().map(arguments::moment).transpose()?.unwrap_or(i64::MAX);
        if since >= until {
            return Err(Error::usage("--since is not before --until").hint("sfs stats --help"));
        }
        store.for_each_deed(&filter, &mut |deed| {
            if (since..until).contains(&deed.at.unwrap_or(i64::MIN)) {
                each(deed);
            }
        })
    }
}

/// Sums by what makes a row.
struct Groups {
    by: By,
    zone: TimeZone,
    /// Quarters of an hour whose row is known.
    quarters: HashMap<i64, String>,
    sums: BTreeMap<String, Sum>,
}

impl Groups {
    fn new(by: By) -> Groups {
        Groups { by, zone: TimeZone::system(), quarters: HashMap::new(), sums: BTreeMap::new() }
    }

    fn add(&mut self, deed: &Deed<'_>) {
        let key = match (self.by, deed.work) {
            (By::Tool, _) => deed.tool,
            (By::Project, _) => deed.project.unwrap_or_default(),
            (By::Model, Work::Reply { model, .. }) => model.unwrap_or_default(),
            // Several models may answer one prompt.
            (By::Model, Work::Message { .. }) => return,
            (By::Day | By::Week | By::Month, _) => {
                let quarter = deed.at.map_or(i64::MIN, |at| at.div_euclid(QUARTER_MS));
                let (by, zone) = (self.by, &self.zone);
                self.quarters.entry(quarter).or_insert_with(|| span(by, quarter, zone))
            }
        };
        if !self.sums.contains_key(key) {
            self.sums.insert(key.to_owned(), Sum::default());
        }
        if let Some(sum) = self.sums.get_mut(key) {
            sum.add(deed);
        }
    }

    /// Times in their order, everything else by cost, then tokens.
    fn rows(self) -> Rows {
        let mut rows: Rows = self.sums.into_iter().collect();
        if !self.by.is_time() {
            let tokens = |sum: &Sum| prompt_tokens(sum) + sum.usage().output_tokens;
            rows.sort_by(|(_, a), (_, b)| b.cost().total_cmp(&a.cost()).then(tokens(b).cmp(&tokens(a))));
        }
        rows
    }
}

/// The day, ISO week or month, in local time, in which a quarter of an hour lies.
fn span(by: By, quarter: i64, zone: &TimeZone) -> String {
    let at = quarter.checked_mul(QUARTER_MS).and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let Some(date) = at.map(|at| Date::from(at.to_zoned(zone.clone()))) else { return String::new() };
    match by {
        By::Week => {
            let week = date.iso_week_date();
            format!("{:04}-W{:02}", week.year(), week.week())
        }
        By::Month => date.strftime("%Y-%m").to_string(),
        _ => date.to_string(),
    }
}

/// All prompt tokens, cached or not.
fn prompt_tokens(sum: &Sum) -> u64 {
    let usage = sum.usage();
    usage.input_tokens.saturating_add(usage.cache_read_tokens).saturating_add(usage.cache_write_tokens)
}

/// As in `sfs list --json`, `input_tokens` are all prompt tokens; the cache's are among them.
fn as_json(row: Option<(By, &String)>, sum: &Sum) -> Value {
    let usage = sum.usage();
    let is_model = row.is_some_and(|(by, _)| by == By::Model);
    let talk = |count: u64| (!is_model).then_some(count);
    let mut value = json!({
        "sessions": sum.sessions(),
        "turns": talk(sum.turns),
        "messages": talk(sum.messages),
        "replies": sum.replies(),
        "input_tokens": prompt_tokens(sum),
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cost_usd": (sum.cost() * 1e6).round() / 1e6,
        "unpriced_replies": sum.unpriced_replies(),
    });
    if let (Some((by, key)), Some(fields)) = (row, value.as_object_mut()) {
        fields.insert(by.word().into(), if key.is_empty() { Value::Null } else { json!(key) });
    }
    value
}

/// A row's name on screen.
fn name(context: &Context, by: By, key: &str) -> String {
    match by {
        _ if key.is_empty() => UNKNOWN.to_owned(),
        By::Project => context.home.short(Path::new(key)),
        _ => key.to_owned(),
    }
}

const HEADINGS: [&str; 9] = ["", "SESSIONS", "TURNS", "MSGS", "INPUT", "CACHED", "WRITTEN", "OUTPUT", "COST"];

fn cells(name: &str, sum: &Sum, has_talk: bool) -> [String; 9] {
    let usage = sum.usage();
    let talk = |count: u64| if has_talk { ui::short_count(count) } else { String::new() };
    [
        name.to_owned(),
        ui::short_count(sum.sessions()),
        talk(sum.turns),
        talk(sum.messages),
        ui::short_count(prompt_tokens(sum)),
        ui::short_count(usage.cache_read_tokens),
        ui::short_count(usage.cache_write_tokens),
        ui::short_count(usage.output_tokens),
        money(sum),
    ]
}

/// Dollars, with a `?` for what has no price.
fn money(sum: &Sum) -> String {
    match (sum.unpriced_replies(), sum.replies()) {
        (_, 0) => "-".to_owned(),
        (0, _) => format!("${:.2}", sum.cost()),
        (unpriced, all) if unpriced == all => "?".to_owned(),
        _ => format!("${:.2}+?", sum.cost()),
    }
}

/// Prints blocks of rows below each other, with the same columns.
fn print(context: &Context, blocks: Vec<(String, Vec<[String; 9]>)>) -> Result<()> {
    let mut widths = HEADINGS.map(str::len);
    for (heading, rows) in &blocks {
        widths[0] = widths[0].max(heading.len());
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(unicode_width::UnicodeWidthStr::width(ui::printable(cell).as_str()));
            }
        }
    }
    let others: usize = widths[1..].iter().map(|width| width + 2).sum();
    widths[0] = widths[0].min(context.ui.width().saturating_sub(others).max(12));
    let line = |cells: &[String; 9]| {
        let rest = cells[1..].iter().zip(&widths[1..]).map(|(cell, width)| format!("  {}", ui::pad_left(cell, *width)));
        format!("{}{}", ui::pad(&ui::fit(&cells[0], widths[0]), widths[0]), rest.collect::<String>())
    };
    for (number, (heading, rows)) in blocks.into_iter().filter(|(_, rows)| !rows.is_empty()).enumerate() {
        if number > 0 {
            context.ui.line("")?;
        }
        let mut headings = HEADINGS.map(str::to_owned);
        headings[0] = heading;
        context.ui.line(&context.ui.paint(Style::Dim, &line(&headings)))?;
        rows.iter().try_for_each(|row| context.ui.line(&line(row)))?;
    }
    Ok(())
}

fn note_unpriced(context: &Context, total: &Sum) {
    let unpriced = total.unpriced_replies();
    if unpriced > 0 {
        let replies = ui::counted(unpriced, "reply");
        context.ui.note(&format!("?: {replies} of models without a known price (prices of {})", price::AS_OF));
    }
}

fn nothing(context: &Context, store: &Store) -> Result<()> {
    context.ui.note(if store.count(&Filter::default())? == 0 {
        "No sessions yet. Capture what your tools have: sfs import"
    } else {
        "Nothing was done there. See everything: sfs stats"
    });
    Ok(())
}
