//! Where words begin and end, the same for the full-text index, for queries and for what is marked in a hit.
//!
//! The index takes letters and digits of any script for words and knows no script that is written without spaces. So for
//! it, and here, each character of such a script is a word of its own: a name of three Chinese characters is found in the
//! middle of a sentence, and `cargo` between two of them.

use std::borrow::Cow;
use std::iter::once;
use std::ops::Range;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// True of letters, digits and the marks that belong to them.
pub fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || (!c.is_ascii() && (c.is_alphanumeric() || is_combining_mark(c)))
}

/// True of characters that are words by themselves. Korean has spaces, but glues particles to its words.
pub fn stands_alone(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{2e80}'..='\u{2fdf}'
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{1b000}'..='\u{1b16f}'
        | '\u{20000}'..='\u{3ffff}')
}

/// `text` as the index gets it: what stands alone is set apart. So are characters for private use, which its tokenizer
/// takes for letters: terminals draw arrows and branches with them.
pub fn for_index(text: &str) -> Cow<'_, str> {
    let apart = |c: char| stands_alone(c) || matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..);
    if text.is_ascii() || !text.contains(apart) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        if apart(c) {
            out.extend([' ', c, ' ']);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// A word as the index compares it: in lower case, without marks.
pub fn folded(word: &str) -> Cow<'_, str> {
    if word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return Cow::Borrowed(word);
    }
    if word.is_ascii() {
        return Cow::Owned(word.to_ascii_lowercase());
    }
    Cow::Owned(word.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect())
}

/// The places of the words in `text` from byte `from` on, which is a character's first.
pub fn words(text: &str, from: usize) -> impl Iterator<Item = Range<usize>> {
    let mut at = from;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(is_word)?;
        let mut chars = text[start..].chars();
        let first = chars.next()?;
        let alone = stands_alone(first);
        let rest = chars.take_while(|c| is_word(*c) && (is_combining_mark(*c) || !(alone || stands_alone(*c))));
        at = start + once(first).chain(rest).map(char::len_utf8).sum::<usize>();
        Some(start..at)
    })
}

/// True where no word of `text` goes on across byte `at`.
pub fn is_edge(text: &str, at: usize) -> bool {
    let goes_on = |c: Option<char>| c.is_some_and(|c| is_word(c) && !stands_alone(c));
    !goes_on(text[..at].chars().next_back()) || !goes_on(text[at..].chars().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<&str> {
        words(text, 0).map(|place| &text[place]).collect()
    }

    #[test]
    fn words_of_many_scripts() {
        assert_eq!(
            of("src/lib.rs:12 foo_bar.baz() --dry-run"),
            ["src", "lib", "rs", "12", "foo", "bar", "baz", "dry", "run"]
        );
        assert_eq!(of("使用cargo命令"), ["使", "用", "cargo", "命", "令"]);
        assert_eq!(of("naïve Großes Tor, cafe\u{301}"), ["naïve", "Großes", "Tor", "cafe\u{301}"]);
        assert_eq!(of("👩\u{200d}💻 \u{e0b0}main\u{e0b0}"), ["main"]);
        assert_eq!(of(""), [""; 0]);
    }

    #[test]
    fn case_and_accents_do_not_count() {
        assert_eq!(folded("Cafe\u{301}"), "cafe");
        assert_eq!(folded("CRÉER"), "creer");
        assert_eq!(folded("ЁЖ"), "еж");
    }

    #[test]
    fn the_index_gets_what_stands_alone_set_apart() {
        assert_eq!(for_index("使用cargo"), " 使  用 cargo");
        assert_eq!(for_index("\u{e0b0}main"), " \u{e0b0} main");
        assert!(matches!(for_index("naïve code"), Cow::Borrowed(_)));
    }

    #[test]
    fn edges_of_words() {
        let text = "the lookup_table 世界x";
        assert!(is_edge(text, 0) && is_edge(text, 3) && is_edge(text, 10) && is_edge(text, text.len()));
        assert!(!is_edge(text, 6));
        assert!(is_edge(text, text.len() - 1), "between what stands alone and a letter");
    }
}
