//! Sums of what was done: sessions, turns, messages, tokens and what they cost.

use super::message::Usage;
use super::price;
use std::collections::{BTreeMap, HashSet};

/// One thing that was done in a session.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the words say it")]
pub struct Deed<'a> {
    pub session: i64,
    pub tool: &'a str,
    pub project: Option<&'a str>,
    /// In milliseconds; where it was not noted, when its session was last active.
    pub at: Option<i64>,
    pub work: Work<'a>,
}

/// What was done.
#[derive(Clone, Copy, Debug)]
pub enum Work<'a> {
    /// Somebody said something in the conversation.
    Message {
        /// A person began a turn with it.
        is_prompt: bool,
    },
    /// A model replied, and this is what it took.
    Reply {
        /// Its name.
        model: Option<&'a str>,
        /// Its tokens.
        usage: Usage,
    },
}

/// A sum of deeds.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    sessions: HashSet<i64>,
    /// What persons asked.
    pub turns: u64,
    /// What was said, by whomever.
    pub messages: u64,
    /// Replies and tokens by model: prices are a model's.
    models: BTreeMap<String, (u64, Usage)>,
}

impl Sum {
    /// Adds one deed.
    pub fn add(&mut self, deed: &Deed<'_>) {
        self.sessions.insert(deed.session);
        match deed.work {
            Work::Message { is_prompt } => {
                self.messages += 1;
                self.turns += u64::from(is_prompt);
            }
            Work::Reply { model, usage } => {
                let name = model.unwrap_or_default();
                if !self.models.contains_key(name) {
                    self.models.insert(name.to_owned(), (0, Usage::default()));
                }
                if let Some((replies, sum)) = self.models.get_mut(name) {
                    *replies += 1;
                    add(sum, &usage);
                }
            }
        }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: Sum) {
        self.sessions.extend(other.sessions);
        self.messages += other.messages;
        self.turns += other.turns;
        for (model, (replies, usage)) in other.models {
            let (count, sum) = self.models.entry(model).or_default();
            *count += replies;
            add(sum, &usage);
        }
    }

    /// In how many sessions something was done.
    pub fn sessions(&self) -> u64 {
        self.sessions.len() as u64
    }

    /// How often a model replied.
    pub fn replies(&self) -> u64 {
        self.models.values().map(|(replies, _)| replies).sum()
    }

    /// All tokens.
    pub fn usage(&self) -> Usage {
        let mut sum = Usage::default();
        self.models.values().for_each(|(_, usage)| add(&mut sum, usage));
        sum
    }

    /// Dollars, for the models whose price is known.
    pub fn cost(&self) -> f64 {
        self.models.iter().filter_map(|(model, (_, usage))| price::cost(model, usage)).fold(0.0, |sum, cost| sum + cost)
    }

    /// Replies of models without a known price.
    pub fn unpriced_replies(&self) -> u64 {
        let unpriced = self.models.iter().filter(|(model, _)| price::price(model).is_none());
        unpriced.map(|(_, (replies, _))| replies).sum()
    }
}

fn add(sum: &mut Usage, usage: &Usage) {
    sum.input_tokens = sum.input_tokens.saturating_add(usage.input_tokens);
    sum.output_tokens = sum.output_tokens.saturating_add(usage.output_tokens);
    sum.cache_read_tokens = sum.cache_read_tokens.saturating_add(usage.cache_read_tokens);
    sum.cache_write_tokens = sum.cache_write_tokens.saturating_add(usage.cache_write_tokens);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_price_is_counted_apart() {
        let mut sum = Sum::default();
        let usage = Usage { input_tokens: 1_000_000, ..Usage::default() };
        for (session, model) in [(1, Some("claude-sonnet-4-6")), (1, Some("nobody")), (2, None)] {
            let work = Work::Reply { model, usage };
            sum.add(&Deed { session, tool: "t", project: None, at: None, work });
        }
        assert_eq!((sum.sessions(), sum.replies(), sum.unpriced_replies()), (2, 3, 2));
        assert_eq!(sum.usage().input_tokens, 3_000_000);
        assert!((sum.cost() - 3.0).abs() < 1e-9);
    }
}
