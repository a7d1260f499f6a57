//! Sums for the overview: by day, tool, project and model.

use super::dollars;
use crate::error::Result;
use crate::model::stats::{Deed, Sum, Work};
use crate::store::{Filter, Store};
use crate::tools;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// A quarter of an hour lies in one day, in whatever zone.
const QUARTER_MS: i64 = 15 * 60_000;
/// Projects and models beyond so many are not told.
const MOST: usize = 100;

/// Sums over a span of time.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of the dashboard's contract")]
pub struct Stats {
    pub days: Vec<Day>,
    pub tools: Vec<Named>,
    pub projects: Vec<Named>,
    pub models: Vec<Named>,
    pub total: Sums,
}

/// What was done on a day.
#[derive(Debug, Serialize)]
pub struct Day {
    /// Such as `2026-11-22`.
    pub date: String,
    /// What was done.
    #[serde(flatten)]
    pub sums: Sums,
}

/// What was done with a tool, in a project, by a model.
#[derive(Debug, Serialize)]
pub struct Named {
    /// Null where it is not known.
    pub name: Option<String>,
    /// What was done.
    #[serde(flatten)]
    pub sums: Sums,
}

/// What was done.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of the dashboard's contract")]
pub struct Sums {
    pub sessions: u64,
    pub replies: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cost_usd: f64,
}

impl Sums {
    fn of(sum: &Sum) -> Sums {
        let usage = sum.usage();
        Sums {
            sessions: sum.sessions(),
            replies: sum.replies(),
            input_tokens: usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens,
            output_tokens: usage.output_tokens,
            cost_usd: dollars(sum.cost()),
        }
    }
}

/// What models did from `since` until before `until`, in milliseconds, in days of this machine's zone.
pub fn stats(store: &Store, since: i64, until: i64) -> Result<Stats> {
    let zone = TimeZone::system();
    let mut days: BTreeMap<i64, Sum> = BTreeMap::new();
    let (mut tools, mut projects, mut models) = (HashMap::new(), HashMap::new(), HashMap::new());
    let mut total = Sum::default();
    store.for_each_reply(&Filter::default(), since..until, &mut |deed| {
        let Work::Reply { model, .. } = deed.work else { return };
        total.add(deed);
        let at = deed.at.unwrap_or_default();
        days.entry(at.div_euclid(QUARTER_MS)).or_default().add(deed);
        add(&mut tools, deed.tool, deed);
        add(&mut projects, deed.project.unwrap_or_default(), deed);
        add(&mut models, model.unwrap_or_default(), deed);
    })?;
    let mut by_date: BTreeMap<Date, Sum> = BTreeMap::new();
    for (quarter, sum) in days {
        let at = Timestamp::from_millisecond(quarter.saturating_mul(QUARTER_MS)).unwrap_or_default();
        by_date.entry(at.to_zoned(zone.clone()).date()).or_default().merge(sum);
    }
    let tool = |name: &str| tools::name_of(name).to_owned();
    Ok(Stats {
        days: by_date.iter().map(|(date, sum)| Day { date: date.to_string(), sums: Sums::of(sum) }).collect(),
        tools: named(&tools, tool),
        projects: named(&projects, str::to_owned),
        models: named(&models, str::to_owned),
        total: Sums::of(&total),
    })
}

fn add(sums: &mut HashMap<String, Sum>, name: &str, deed: &Deed<'_>) {
    match sums.get_mut(name) {
        Some(sum) => sum.add(deed),
        None => sums.entry(name.to_owned()).or_default().add(deed),
    }
}

/// The most expensive first.
fn named(sums: &HashMap<String, Sum>, name_of: impl Fn(&str) -> String) -> Vec<Named> {
    let mut rows: Vec<Named> = sums
        .iter()
        .map(|(name, sum)| Named { name: (!name.is_empty()).then(|| name_of(name)), sums: Sums::of(sum) })
        .collect();
    let tokens = |row: &Named| row.sums.input_tokens + row.sums.output_tokens;
    rows.sort_by(|a, b| {
        b.sums.cost_usd.total_cmp(&a.sums.cost_usd).then(tokens(b).cmp(&tokens(a))).then(a.name.cmp(&b.name))
    });
    rows.truncate(MOST);
    rows
}
