//! What a person may call a session: titles and tags.

use crate::error::{Error, Result};

/// Characters in a title.
pub const MAX_TITLE: usize = 500;
/// Characters in a tag.
pub const MAX_TAG: usize = 50;
/// Tags of one session.
pub const MAX_TAGS: usize = 20;
/// The rule in words.
pub const TAG_RULE: &str = "at most 20 tags of 1 to 50 characters, on one line";

/// A title as it is stored; `None` for an empty one, which gives the tool's own title back.
pub fn title(text: &str) -> Result<Option<String>> {
    let text = text.trim();
    let length = text.chars().count();
    let refuse =
        |what: String| Error::usage(what).hint(format!("a title is one line of at most {MAX_TITLE} characters"));
    if text.contains(char::is_control) {
        return Err(refuse("the title has line breaks or other control characters in it".to_owned()));
    }
    if length > MAX_TITLE {
        return Err(refuse(format!("the title has {length} characters")));
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

/// A title from elsewhere, made to fit; `None` where nothing is left of it.
pub fn fitting_title(text: &str) -> Option<String> {
    let line = text.replace(char::is_control, " ");
    let line: String = line.trim().chars().take(MAX_TITLE).collect();
    Some(line).filter(|line| !line.is_empty())
}

/// A tag as it is stored.
pub fn tag(text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_TAG || text.contains(char::is_control) {
        return Err(Error::usage(format!("{text:?} is not a tag")).hint(format!("a session has {TAG_RULE}")));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_and_tags_have_their_limits() {
        let long = |n: usize| "ж".repeat(n);
        assert_eq!(title(&long(500)).unwrap(), Some(long(500)));
        assert!(title(&long(501)).is_err() && title("a\0b").is_err() && title("a\nb").is_err());
        assert_eq!((title("  ").unwrap(), title(" a ").unwrap()), (None, Some("a".to_owned())));
        assert_eq!(fitting_title(&format!("\u{1b}{}", long(600))), Some(long(499)).map(|t| t + "ж"));
        assert_eq!(fitting_title("\n"), None);
        assert_eq!(tag(&long(50)).unwrap(), long(50));
        assert!(tag(&long(51)).is_err() && tag(" ").is_err() && tag("a\tb").is_err());
    }
}
