//! Text that strangers wrote, made safe to look at: a session may hold anything, and neither a terminal nor a Markdown
//! viewer may obey it. What hides or reorders text is shown as its code point, so that nothing disappears either.

/// True of what is obeyed or hidden instead of shown: control characters (but line breaks and tabs), marks that turn the
/// direction of text, zero-width fillers. Joiners and variation selectors are none: scripts and emoji need them.
pub fn is_hidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t')) || is_invisible(c)
}

/// The format characters among [`is_hidden`].
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` with its hidden characters as `\u{1b}`. Carriage returns go: they end lines in half of the world's files.
pub fn printable(text: &str) -> String {
    escaped(&text.replace('\r', ""), |c| format!("\\u{{{:x}}}", c as u32))
}

/// `text` with its hidden characters written as `escape` says.
pub fn escaped(text: &str, escape: impl Fn(char) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            out.push_str(&escape(c));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_or_reorders_text_is_shown() {
        for c in "\u{0}\u{8}\u{1b}\u{7f}\u{9b}\u{61c}\u{200b}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}\u{e0041}".chars() {
            assert_eq!(printable(&format!("a{c}b")), format!("a\\u{{{:x}}}b", c as u32));
        }
        for text in ["a\n\tb", "👩\u{200d}💻 ❤\u{fe0f}", "می\u{200c}خواهم", "שלום", "e\u{301}"] {
            assert_eq!(printable(text), text);
        }
        assert_eq!(printable("a\r\nb"), "a\nb");
    }
}
