//! What tokens cost at the makers' public prices, by a dated table. A model that the table does not know costs an unknown
//! amount, never nothing. Batch, priority and long-context surcharges are not known from a session and not counted, nor
//! is the dearer one-hour cache: the figure is what the same tokens cost at the standard rate.

use super::message::Usage;

/// The month in which the table was last compared with the makers' prices.
pub const AS_OF: &str = "2026-08";

/// USD per million tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// Fresh prompt tokens.
    pub input: f64,
    /// Everything the model wrote.
    pub output: f64,
    /// Prompt tokens served from the cache.
    pub cache_read: f64,
    /// Prompt tokens stored into the cache.
    pub cache_write: f64,
}

/// A model's name, up to its date, and its price. The longest name that fits wins, so order does not matter.
type Row = (&'static str, Price);

const TABLE: [Row; 52] = [
    claude("claude-opus-4.8", 5.0, 25.0),
    claude("claude-opus-4.7", 5.0, 25.0),
    claude("claude-opus-4.6", 5.0, 25.0),
    claude("claude-opus-4.5", 5.0, 25.0),
    claude("claude-opus-4.1", 15.0, 75.0),
    claude("claude-opus-4.0", 15.0, 75.0),
    claude("claude-opus-4", 15.0, 75.0),
    claude("claude-sonnet-4.6", 3.0, 15.0),
    claude("claude-sonnet-4.5", 3.0, 15.0),
    claude("claude-sonnet-4.0", 3.0, 15.0),
    claude("claude-sonnet-4", 3.0, 15.0),
    claude("claude-haiku-4.5", 1.0, 5.0),
    claude("claude-3.7-sonnet", 3.0, 15.0),
    claude("claude-3.5-sonnet", 3.0, 15.0),
    claude("claude-3.5-haiku", 0.8, 4.0),
    claude("claude-3-opus", 15.0, 75.0),
    claude("claude-3-sonnet", 3.0, 15.0),
    ("claude-3-haiku", Price { input: 0.25, output: 1.25, cache_read: 0.03, cache_write: 0.3 }),
    plain("gpt-5.4", 2.5, 0.25, 15.0),
    plain("gpt-5.4-mini", 0.75, 0.075, 4.5),
    plain("gpt-5.4-nano", 0.2, 0.02, 1.25),
    plain("gpt-5.3-codex", 1.75, 0.175, 14.0),
    plain("gpt-5.2", 1.75, 0.175, 14.0),
    plain("gpt-5.2-pro", 21.0, 21.0, 168.0),
    plain("gpt-5.1", 1.25, 0.125, 10.0),
    plain("gpt-5.1-codex-mini", 0.25, 0.025, 2.0),
    plain("gpt-5", 1.25, 0.125, 10.0),
    plain("gpt-5-codex-mini", 0.25, 0.025, 2.0),
    plain("gpt-5-mini", 0.25, 0.025, 2.0),
    plain("gpt-5-nano", 0.05, 0.005, 0.4),
    plain("gpt-5-pro", 15.0, 15.0, 120.0),
    plain("codex-mini", 1.5, 0.375, 6.0),
    plain("gpt-4.1", 2.0, 0.5, 8.0),
    plain("gpt-4.1-mini", 0.4, 0.1, 1.6),
    plain("gpt-4.1-nano", 0.1, 0.025, 0.4),
    plain("gpt-4o", 2.5, 1.25, 10.0),
    plain("gpt-4o-2024-05-13", 5.0, 5.0, 15.0),
    plain("gpt-4o-mini", 0.15, 0.075, 0.6),
    plain("o1", 15.0, 7.5, 60.0),
    plain("o1-mini", 1.1, 0.55, 4.4),
    plain("o3", 2.0, 0.5, 8.0),
    plain("o3-mini", 1.1, 0.55, 4.4),
    plain("o3-pro", 20.0, 20.0, 80.0),
    plain("o4-mini", 1.1, 0.275, 4.4),
    plain("gemini-3.1-pro", 2.0, 0.2, 12.0),
    plain("gemini-3-pro", 2.0, 0.2, 12.0),
    plain("gemini-3-flash", 0.5, 0.05, 3.0),
    plain("gemini-2.5-pro", 1.25, 0.125, 10.0),
    plain("gemini-2.5-flash", 0.3, 0.03, 2.5),
    plain("gemini-2.5-flash-lite", 0.1, 0.01, 0.4),
    plain("gemini-2.0-flash", 0.1, 0.025, 0.4),
    plain("gemini-2.0-flash-lite", 0.075, 0.075, 0.3),
];

/// Words that make another model, with another price, of a name in the table.
const OTHER_MODEL: [&str; 17] = [
    "mini",
    "nano",
    "lite",
    "pro",
    "flash",
    "turbo",
    "fast",
    "spark",
    "deep",
    "search",
    "audio",
    "realtime",
    "image",
    "tts",
    "transcribe",
    "live",
    "native",
];

/// Reading the cache costs a tenth of the input, writing it for five minutes a quarter more.
const fn claude(name: &'static str, input: f64, output: f64) -> Row {
    (name, Price { input, output, cache_read: input / 10.0, cache_write: input * 1.25 })
}

/// Writing the cache costs what the input costs.
const fn plain(name: &'static str, input: f64, cache_read: f64, output: f64) -> Row {
    (name, Price { input, output, cache_read, cache_write: input })
}

/// What `usage` of `model` cost in USD; None where the model's price is not known.
pub fn cost(model: &str, usage: &Usage) -> Option<f64> {
    let price = price(model)?;
    let millionths = usage.input_tokens as f64 * price.input
        + usage.output_tokens as f64 * price.output
        + usage.cache_read_tokens as f64 * price.cache_read
        + usage.cache_write_tokens as f64 * price.cache_write;
    Some(millionths / 1e6)
}

/// The price of `model`, whatever reseller's prefix and date its name carries.
pub fn price(model: &str) -> Option<Price> {
    let model = without_provider(model);
    let fits = |row: &&Row| after(row.0, model).is_some();
    let (name, price) = TABLE.iter().filter(fits).max_by_key(|(name, _)| name.len())?;
    after(name, model).is_some_and(is_same_model).then_some(*price)
}

/// `model` behind `anthropic/`, `us.anthropic.` and the like.
fn without_provider(model: &str) -> &str {
    let mut model = model.trim().rsplit('/').next().unwrap_or_default();
    while let Some((word, rest)) = model.split_once('.') {
        if word.is_empty() || !word.bytes().all(|b| b.is_ascii_alphabetic()) {
            break;
        }
        model = rest;
    }
    model
}

/// What follows `name` in `model`, if `model` is that name to a word's end; case and the kind of separator do not count.
fn after<'m>(name: &str, model: &'m str) -> Option<&'m str> {
    let (head, rest) = model.split_at_checked(name.len())?;
    let separates = |b: u8| matches!(b, b'-' | b'.' | b'_');
    let same = |(a, b): (u8, u8)| a.eq_ignore_ascii_case(&b) || (separates(a) && separates(b));
    let fits = name.bytes().zip(head.bytes()).all(same) && !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
    fits.then_some(rest)
}

/// True where the rest of a name is a date, a revision or a setting. A short number is a later version, of unknown price.
fn is_same_model(rest: &str) -> bool {
    let rest = rest.to_ascii_lowercase();
    let mut words = rest.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let is_version = |word: &str| word.len() <= 2 && word.bytes().all(|b| b.is_ascii_digit());
    !words.clone().next().is_some_and(is_version) && !words.any(|word| OTHER_MODEL.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_found_under_all_their_names() {
        let table = [
            ("claude-opus-4-20250514", 15.0),
            ("claude-opus-4-1-20250805", 15.0),
            ("claude-opus-4-5-20251101", 5.0),
            ("claude-opus-4-6", 5.0),
            ("claude-opus-4-6[1m]", 5.0),
            ("Claude-Sonnet-4.5", 3.0),
            ("anthropic/claude-sonnet-4.6:beta", 3.0),
            ("us.anthropic.claude-sonnet-4-20250514-v1:0", 3.0),
            ("claude-haiku-4-5@20251001", 1.0),
            ("claude-3-5-haiku-latest", 0.8),
            ("claude-3-haiku-20240307", 0.25),
            ("openrouter/openai/gpt-5", 1.25),
            ("gpt-5-codex", 1.25),
            ("gpt-5-2025-08-07", 1.25),
            ("gpt-5-mini", 0.25),
            ("gpt-5.1-codex-max", 1.25),
            ("gpt-5.1-codex-mini", 0.25),
            ("gpt-5.2-codex", 1.75),
            ("gpt-4.1", 2.0),
            ("gpt-4.1-mini-2025-04-14", 0.4),
            ("gpt-4.1-nano", 0.1),
            ("gpt-4o-2024-08-06", 2.5),
            ("gpt-4o-2024-05-13", 5.0),
            ("o3", 2.0),
            ("o3-mini", 1.1),
            ("models/gemini-2.5-pro-preview-03-25", 1.25),
            ("gemini-2.5-flash-lite", 0.1),
            ("gemini-3-pro-preview", 2.0),
            ("gemini-2.0-flash-001", 0.1),
        ];
        for (model, input) in table {
            assert_eq!(price(model).map(|p| p.input), Some(input), "{model}");
        }
    }

    #[test]
    fn what_is_not_known_has_no_price() {
        for model in [
            "",
            "<synthetic>",
            "llama-4",
            "claude-opus-4-9",
            "claude-sonnet-5",
            "gpt-5.9",
            "gpt-5.9-mini",
            "gpt-5.4-pro",
            "gpt-4-1106-preview",
            "gpt-4o-audio-preview",
            "o3-deep-research",
            "gemini-2.5-flash-image",
            "claude-opus-4-6-fast",
            "日本",
        ] {
            assert_eq!(price(model), None, "{model}");
        }
    }

    #[test]
    fn each_kind_of_token_has_its_price() {
        let usage = Usage {
            input_tokens: 1_000_000,
            output_tokens: 100_000,
            cache_read_tokens: 10_000_000,
            cache_write_tokens: 200_000,
            reasoning_tokens: 50_000,
        };
        let cost = cost("claude-sonnet-4-6", &usage).unwrap();
        assert!((cost - (3.0 + 1.5 + 3.0 + 0.75)).abs() < 1e-9, "{cost}");
        assert_eq!(super::cost("nobody", &usage), None);
    }

    #[test]
    fn prices_are_plausible() {
        for (name, price) in TABLE {
            assert!(price.cache_read > 0.0 && price.cache_read <= price.input, "{name}");
            assert!(price.input <= price.cache_write && price.input < price.output, "{name}");
            assert_eq!(super::price(name), Some(price), "{name} stands twice");
        }
    }
}
