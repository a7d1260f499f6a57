//! Tells from raw bytes which lines can't be an answer, so that they need not be parsed.
//!
//! Text stands in a tool's file as JSON, some of it as JSON within JSON: quotes and line breaks are escaped, other
//! characters may be. What every writer leaves as it is are letters, digits and some punctuation of ASCII; the longest run
//! of them in each alternative of a query is looked for, or else the first other character, plain and escaped.

use crate::model::query::{Case, Query, Term};

/// Lets pass what may be an answer.
pub(super) struct Sieve(Vec<Needle>);

/// What has to stand in the raw bytes for one alternative.
enum Needle {
    /// Bytes of ASCII.
    Plain {
        bytes: Vec<u8>,
        /// The place of its rarest byte, with which the search begins.
        rare: usize,
        case: Case,
    },
    /// Any of these.
    Any(Vec<Vec<u8>>),
}

impl Sieve {
    /// `None` where every line has to be looked at.
    pub(super) fn of(query: &Query) -> Option<Sieve> {
        let needles = query.alternatives().iter().map(|alternative| {
            let texts = || alternative.wanted.iter().map(Term::text);
            let plain = texts().flat_map(|text| text.split(|c| !is_plain(c))).max_by_key(|run| run.len());
            match plain.filter(|run| !run.is_empty()) {
                Some(run) => Some(Needle::plain(run, query.case())),
                None => texts().flat_map(str::chars).find(|c| !c.is_ascii()).map(Needle::any),
            }
        });
        needles.collect::<Option<Vec<Needle>>>().map(Sieve)
    }

    /// So many bytes before a place may belong to what stands there.
    pub(super) fn reach(&self) -> usize {
        let length = |needle: &Needle| match needle {
            Needle::Plain { bytes, .. } => bytes.len(),
            Needle::Any(several) => several.iter().map(Vec::len).max().unwrap_or_default(),
        };
        self.0.iter().map(length).max().unwrap_or_default().saturating_sub(1)
    }

    /// The next place in `bytes` from `from` on that something of the query stands at.
    pub(super) fn next(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let rest = bytes.get(from..)?;
        self.0.iter().filter_map(|needle| needle.find(rest)).min().map(|at| from + at)
    }
}

impl Needle {
    fn plain(text: &str, case: Case) -> Needle {
        let bytes = text.as_bytes().to_vec();
        let rare = (0..bytes.len()).min_by_key(|at| commonness(bytes[*at])).unwrap_or_default();
        Needle::Plain { bytes, rare, case }
    }

    fn any(c: char) -> Needle {
        let forms = [c.to_string(), c.to_lowercase().collect(), c.to_uppercase().collect(), "\\u".to_owned()];
        Needle::Any(forms.into_iter().map(String::into_bytes).collect())
    }

    fn find(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Needle::Any(several) => several.iter().filter_map(|one| memchr::memmem::find(bytes, one)).min(),
            Needle::Plain { bytes: sought, case: Case::Kept, .. } => memchr::memmem::find(bytes, sought),
            Needle::Plain { bytes: sought, rare, case: Case::Ignored } => {
                let (low, high) = (sought[*rare].to_ascii_lowercase(), sought[*rare].to_ascii_uppercase());
                let places = memchr::memchr2_iter(low, high, bytes).filter_map(|at| at.checked_sub(*rare));
                let fits = |at: &usize| {
                    bytes.get(*at..at + sought.len()).is_some_and(|found| found.eq_ignore_ascii_case(sought))
                };
                places.into_iter().find(fits)
            }
        }
    }
}

/// True of what no writer of JSON escapes.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || " _.,:;()[]{}=+-*#@!?$%^|~".contains(c)
}

/// A guess how often a byte stands in a session's file.
fn commonness(byte: u8) -> usize {
    const FROM_RARE: &[u8] = b"~^@!#$%*?+zqxjkvwybgh;={}[]|97654382()10fpmu_-dclrison.,:tae ";
    let byte = byte.to_ascii_lowercase();
    FROM_RARE.iter().position(|other| *other == byte).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(query: &Query, text: &str) -> bool {
        let sieve = Sieve::of(query);
        let json = serde_json::to_string(text).unwrap();
        let nested = serde_json::to_string(&json).unwrap();
        let escaped: String = json.chars().map(|c| if c.is_ascii() { c.to_string() } else { escape(c) }).collect();
        [json, nested, escaped]
            .iter()
            .all(|raw| sieve.as_ref().is_none_or(|sieve| sieve.next(raw.as_bytes(), 0).is_some()))
    }

    fn escape(c: char) -> String {
        c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat()
    }

    #[test]
    fn what_is_there_passes_however_it_is_escaped() {
        let text = "say \"Hello\"\n\tto 世界 at C:\\new/ÉCOLE.rs -> 🙂";
        for sought in [
            "hello",
            "\"hello\"",
            "o\"\n\tt",
            "世",
            "to 世界 at",
            "c:\\NEW",
            "/école.rs",
            "école",
            "\\",
            "->",
            "🙂",
            "\n",
        ] {
            let query = Query::literal(sought, Case::Ignored).unwrap();
            assert!(query.matches(text) && passes(&query, text), "{sought}");
        }
    }

    #[test]
    fn what_is_not_there_mostly_does_not_pass() {
        for sought in ["parser", "hello you", "x\" hello you"] {
            assert!(!passes(&Query::literal(sought, Case::Ignored).unwrap(), "say \"Hello\""), "{sought}");
        }
        assert!(!passes(&Query::literal("hello", Case::Kept).unwrap(), "say \"Hello\""));
        assert!(Sieve::of(&Query::parse("parser OR \\", Case::Ignored).unwrap()).is_none());
    }
}
