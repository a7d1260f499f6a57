//! A search as a person types it, and where a text answers it.
//!
//! Words: all of them, in any order, in one message. `"a phrase"`: its words side by side. `word*`: words that begin so.
//! Whatever has other characters in it (`foo_bar.baz()`, `src/lib.rs:12`, `--flag`) stands in the text exactly so, with
//! no word going on before or behind it. `a OR b`: either side; AND binds tighter. `NOT a`: without it.
//!
//! A query knows nothing of any index: [`Query::matches`] says what is true, an index may only guess better.

use super::words::{folded, is_edge, is_word, stands_alone, words};
use crate::error::{Error, Result};
use std::ops::Range;

/// A longer query is no question.
const LONGEST: usize = 4 << 10;
/// So are more terms.
const MOST_TERMS: usize = 64;

/// What is looked for: at least one alternative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    alternatives: Vec<Alternative>,
    case: Case,
}

/// What one message has to hold: at least one term, and none of `unwanted`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub struct Alternative {
    pub wanted: Vec<Term>,
    pub unwanted: Vec<Term>,
}

/// One piece of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    text: String,
    kind: Kind,
}

/// How a term stands in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Its words side by side, whatever separates them; accents do not count.
    Words,
    /// At the beginning of a word.
    Prefix,
    /// As it is, with no word going on around it.
    Token,
    /// As it is, anywhere.
    Anywhere,
}

/// Whether upper and lower case are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Case {
    Ignored,
    Kept,
}

impl Query {
    /// Understands what a person typed.
    pub fn parse(text: &str, case: Case) -> Result<Query> {
        check_length(text)?;
        let mut alternatives = vec![Alternative::default()];
        let (mut negated, mut count) = (false, 0);
        for token in tokens(text) {
            count += 1;
            let Some(now) = alternatives.last_mut().filter(|_| count <= MOST_TERMS) else {
                return Err(Error::usage(format!("the query has more than {MOST_TERMS} terms"))
                    .hint("search for one text as it is with --literal"));
            };
            match token {
                Token::Bare("OR") => alternatives.push(Alternative::default()),
                Token::Bare("AND") => {}
                Token::Bare("NOT") => negated = true,
                Token::Bare(_) | Token::Quoted(_) => {
                    let terms = if std::mem::take(&mut negated) { &mut now.unwanted } else { &mut now.wanted };
                    terms.push(Term::of(token));
                }
            }
        }
        // `OR` at either end says nothing.
        alternatives.retain(|alternative| *alternative != Alternative::default());
        if alternatives.is_empty() {
            return Err(nothing());
        }
        if alternatives.iter().any(|alternative| alternative.wanted.is_empty()) {
            return Err(Error::usage("NOT needs something beside it that is looked for")
                .hint("such as: sfs search 'parser NOT yaml'"));
        }
        Ok(Query { alternatives, case })
    }

    /// One text as it is, anywhere.
    pub fn literal(text: &str, case: Case) -> Result<Query> {
        check_length(text)?;
        if text.is_empty() {
            return Err(nothing());
        }
        let wanted = vec![Term { text: text.to_owned(), kind: Kind::Anywhere }];
        Ok(Query { alternatives: vec![Alternative { wanted, unwanted: Vec::new() }], case })
    }

    /// The same, where what is looked for may stand inside words too.
    #[must_use]
    pub fn anywhere(mut self) -> Query {
        for alternative in &mut self.alternatives {
            alternative.wanted.iter_mut().for_each(|term| term.kind = Kind::Anywhere);
        }
        self
    }

    /// One of them has to be true.
    pub fn alternatives(&self) -> &[Alternative] {
        &self.alternatives
    }

    /// Whether case counts.
    pub fn case(&self) -> Case {
        self.case
    }

    /// True where words alone decide, so that an index of words need not be checked.
    pub fn is_words_only(&self) -> bool {
        let mut terms = self.alternatives.iter().flat_map(|a| a.wanted.iter().chain(&a.unwanted));
        self.case == Case::Ignored && terms.all(Term::is_words_only)
    }

    /// True where `text` is an answer.
    pub fn matches(&self, text: &str) -> bool {
        let has = |term: &Term| term.find(text, 0, self.case).is_some();
        self.alternatives.iter().any(|a| a.wanted.iter().all(has) && !a.unwanted.iter().any(has))
    }

    /// The first place in `text` from byte `from` on that answers a part of the query; of two at one place the longer.
    pub fn find(&self, text: &str, from: usize) -> Option<Range<usize>> {
        let terms = self.alternatives.iter().flat_map(|a| &a.wanted);
        terms
            .filter_map(|term| term.find(text, from, self.case))
            .min_by_key(|place| (place.start, usize::MAX - place.end))
    }
}

fn check_length(text: &str) -> Result<()> {
    if text.len() <= LONGEST {
        return Ok(());
    }
    Err(Error::usage(format!("the query is longer than {LONGEST} bytes")).hint("search for a part of it"))
}

fn nothing() -> Error {
    Error::usage("there is nothing to search for").hint("such as: sfs search 'parser \"off by one\"'")
}

/// A piece of what was typed.
#[derive(Clone, Copy)]
enum Token<'a> {
    Bare(&'a str),
    Quoted(&'a str),
}

/// Quotes begin and end a phrase only where a term could begin and end: those inside of code are code.
fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(is_space);
        let quoted = rest.strip_prefix('"').and_then(|inner| {
            let ends = inner.match_indices('"').map(|(at, _)| at);
            let mut ends = ends.filter(|at| inner[at + 1..].chars().next().is_none_or(is_space));
            ends.next().map(|end| (&inner[..end], &inner[end + 1..]))
        });
        if let Some((phrase, behind)) = quoted.filter(|(phrase, _)| !phrase.trim_matches(is_space).is_empty()) {
            rest = behind;
            return Some(Token::Quoted(phrase.trim_matches(is_space)));
        }
        let end = rest.find(is_space).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        rest = behind;
        (!word.is_empty()).then_some(Token::Bare(word))
    })
}

/// No text that is searched has control characters worth looking for between words.
fn is_space(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

impl Term {
    fn of(token: Token<'_>) -> Term {
        let (text, kind) = match token {
            Token::Quoted(text) if text.chars().all(|c| is_plain(c) || is_space(c)) => (text, Kind::Words),
            Token::Quoted(text) => (text, Kind::Token),
            Token::Bare(text) if text.chars().all(is_plain) => (text, Kind::Words),
            Token::Bare(text) => match text.strip_suffix('*') {
                Some(stem) if stem.ends_with(is_word) => (stem, Kind::Prefix),
                _ => (text, Kind::Token),
            },
        };
        Term { text: text.to_owned(), kind }
    }

    /// What was typed, without quotes and stars.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True where the last word may go on.
    pub fn is_prefix(&self) -> bool {
        self.kind == Kind::Prefix
    }

    /// True where an index of words can look for it.
    pub fn has_words(&self) -> bool {
        self.text.contains(is_word)
    }

    /// True where an index of words has the answer, not only a guess.
    pub fn is_words_only(&self) -> bool {
        match self.kind {
            Kind::Words => true,
            Kind::Prefix => self.text.chars().all(is_plain),
            Kind::Token | Kind::Anywhere => false,
        }
    }

    fn find(&self, text: &str, from: usize, case: Case) -> Option<Range<usize>> {
        let mut from = from;
        if self.kind == Kind::Words {
            return self.find_words(text, from, case);
        }
        loop {
            let place = find(text, &self.text, from, case)?;
            let fits = match self.kind {
                Kind::Prefix => is_edge(text, place.start),
                Kind::Token => is_edge(text, place.start) && is_edge(text, place.end),
                Kind::Anywhere | Kind::Words => true,
            };
            if fits {
                return Some(place);
            }
            from = place.start + text[place.start..].chars().next().map_or(1, char::len_utf8);
        }
    }

    fn find_words(&self, text: &str, from: usize, case: Case) -> Option<Range<usize>> {
        let same = |word: &str, sought: &str| match case {
            Case::Kept => word == sought,
            Case::Ignored if word.is_ascii() && sought.is_ascii() => word.eq_ignore_ascii_case(sought),
            Case::Ignored => folded(word) == folded(sought),
        };
        let first = &self.text[words(&self.text, 0).next()?];
        words(text, from).filter(|place| same(&text[place.clone()], first)).find_map(|place| {
            let mut here = words(text, place.start);
            let mut end = place.end;
            for sought in words(&self.text, 0) {
                let word = here.next().filter(|word| same(&text[word.clone()], &self.text[sought]))?;
                end = word.end;
            }
            Some(place.start..end)
        })
    }
}

/// True of what makes up words that can be told by their letters alone.
fn is_plain(c: char) -> bool {
    is_word(c) && !stands_alone(c)
}

/// The first place of `sought` in `text` from byte `from` on.
fn find(text: &str, sought: &str, from: usize, case: Case) -> Option<Range<usize>> {
    let (bytes, length) = (text.as_bytes(), sought.len());
    if case == Case::Kept {
        let at = from + memchr::memmem::find(&bytes[from..], sought.as_bytes())?;
        return Some(at..at + length);
    }
    let first = sought.chars().next()?;
    if sought.is_ascii() {
        let (low, high) = (first.to_ascii_lowercase() as u8, first.to_ascii_uppercase() as u8);
        let mut places = memchr::memchr2_iter(low, high, &bytes[from..]).map(|at| from + at);
        let at =
            places.find(|at| bytes.get(*at..at + length).is_some_and(|b| b.eq_ignore_ascii_case(sought.as_bytes())))?;
        return Some(at..at + length);
    }
    text[from..].char_indices().find_map(|(at, _)| {
        let mut sought = sought.chars().flat_map(char::to_lowercase).peekable();
        let mut end = from + at;
        for c in text[end..].chars() {
            if sought.peek().is_none() {
                break;
            }
            if !c.to_lowercase().all(|c| sought.next() == Some(c)) {
                return None;
            }
            end += c.len_utf8();
        }
        sought.peek().is_none().then_some(from + at..end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn query(text: &str) -> Query {
        Query::parse(text, Case::Ignored).unwrap()
    }

    fn places<'t>(text: &str, within: &'t str) -> Vec<&'t str> {
        let query = query(text);
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(place) = query.find(within, from) {
            from = place.end;
            found.push(&within[place]);
        }
        found
    }

    #[test]
    fn words_phrases_and_prefixes() {
        assert!(query("table lookup").matches("the Lookup_TABLE"));
        assert!(!query("table look").matches("the lookup_table"));
        assert!(query("look*").matches("the lookup_table") && !query("ook*").matches("the lookup_table"));
        assert!(query("\"off by one\"").matches("an off-by-one error") && !query("\"off one\"").matches("off by one"));
        assert!(query("creer").matches("CRÉER") && query("créer").matches("creer"));
        assert!(query("世界").matches("你好世界！") && !query("世界").matches("世 界"));
    }

    #[test]
    fn code_stands_exactly_so() {
        let text = r#"call foo_bar.baz() in src/lib.rs:12 with --dry-run and "a": -> x"#;
        for token in [
            "foo_bar.baz()",
            "FOO_BAR",
            "src/lib.rs:12",
            "lib.rs",
            "--dry-run",
            "\"a\":",
            "->",
            "foo_b*",
            "\"rs:12 with\"",
        ] {
            assert!(query(token).matches(text), "{token}");
        }
        for token in ["oo_bar", "foo_ba", "lib.rs:1", "foo.bar", "\"rs:12  with\""] {
            assert!(!query(token).matches(text), "{token}");
        }
        let exact = Query::parse("FOO_BAR", Case::Kept).unwrap();
        assert!(!exact.matches(text) && exact.matches("a FOO_BAR b"));
    }

    #[test]
    fn either_and_without() {
        let either = query("yaml parser OR toml");
        assert!(either.matches("a toml file") && either.matches("a parser of yaml") && !either.matches("a parser"));
        let without = query("parser NOT yaml");
        assert!(without.matches("a parser") && !without.matches("a yaml parser"));
        assert_eq!(query("OR a OR"), query("a"));
    }

    #[test]
    fn what_is_no_question_is_said() {
        for (text, kind) in
            [("", "nothing"), ("  \n", "nothing"), ("OR", "nothing"), ("NOT a", "NOT"), ("a OR NOT b", "NOT")]
        {
            let error = Query::parse(text, Case::Ignored).unwrap_err();
            assert!(error.message().contains(kind), "{text}: {}", error.message());
        }
        assert!(Query::parse(&"a".repeat(1 << 20), Case::Ignored).unwrap_err().message().contains("longer"));
        assert!(Query::parse(&"a ".repeat(100), Case::Ignored).unwrap_err().message().contains("terms"));
        assert!(Query::literal(" ", Case::Ignored).unwrap().matches("a b"));
    }

    #[test]
    fn places_are_marked_one_by_one() {
        assert_eq!(places("lookup table", "a Lookup in the lookup-table"), ["Lookup", "lookup", "table"]);
        assert_eq!(places("\"off by one\" one", "off by one"), ["off by one"]);
        assert_eq!(places("É", "é É e"), ["é", "É", "e"]);
        assert_eq!(places("->É", "->é"), ["->é"]);
    }

    #[test]
    fn anywhere_is_inside_words_too() {
        assert!(query("ookup_tab").anywhere().matches("the lookup_table"));
        assert!(!query("the NOT lookup").anywhere().matches("the lookup"));
    }

    proptest! {
        /// Whatever is typed and whatever is searched: no panic, and a place is where it is said to be.
        #[test]
        fn nothing_panics(typed in "\\PC{0,24}", text in "\\PC{0,60}", literal: bool) {
            let query = if literal { Query::literal(&typed, Case::Ignored) } else { Query::parse(&typed, Case::Ignored) };
            if let Ok(query) = query {
                let place = query.find(&text, 0);
                prop_assert!(!query.matches(&text) || place.is_some());
                prop_assert!(place.is_none_or(|place| text.get(place).is_some_and(|found| !found.is_empty())));
            }
        }

        /// What stands in a text, cut at spaces, is found in it.
        #[test]
        fn every_token_is_found(text in "[a-zA-Z_.:/(){}\"'*0-9é世界🙂 -]{1,60}") {
            for token in text.split_whitespace() {
                if let Ok(query) = Query::parse(token, Case::Kept) {
                    prop_assert!(query.matches(&text), "{token:?} in {text:?}");
                }
                prop_assert!(Query::literal(token, Case::Ignored).unwrap().matches(&text));
            }
        }
    }
}
