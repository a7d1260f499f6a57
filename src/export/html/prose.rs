//! Markdown of people and models as HTML: raw HTML is shown and not obeyed, links lead to the web or to a mailbox and
//! nowhere else, nothing is loaded.

use super::escape::{escape, escaped, without_ansi};
use crate::model::printable::printable;
use pulldown_cmark::{Alignment, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// Longer text is a pasted file: it is shown as it is.
const MAX_MARKDOWN: usize = 512 << 10;

/// `text` as HTML.
pub(super) fn prose(text: &str) -> String {
    if text.len() > MAX_MARKDOWN {
        return format!("<pre>{}</pre>\n", escaped(text));
    }
    let text = printable(&without_ansi(text));
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut out = String::with_capacity(text.len() * 3 / 2);
    html::push_html(&mut out, harmless(Parser::new_ext(&text, options)));
    out
}

/// The same events, but for what a browser would load, run or follow.
fn harmless<'t>(events: impl Iterator<Item = Event<'t>>) -> impl Iterator<Item = Event<'t>> {
    // Whether each open link is one that may be followed.
    let mut links: Vec<bool> = Vec::new();
    events.map(move |event| match event {
        // An entity in a text may stand for anything.
        Event::Html(text) | Event::InlineHtml(text) | Event::Text(text) => shown(&text),
        Event::Code(text) => Event::InlineHtml(format!("<code>{}</code>", escape(&printable(&text))).into()),
        Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            links.push(is_safe(&dest_url));
            let tag = format!("<a href=\"{}\" rel=\"noopener noreferrer nofollow\">", escape(&printable(&dest_url)));
            inline(if is_safe(&dest_url) { tag } else { "<span>".into() })
        }
        Event::End(TagEnd::Link | TagEnd::Image) => {
            inline(if links.pop() == Some(true) { "</a>".into() } else { "</span>".into() })
        }
        Event::Start(Tag::Heading { level, .. }) => {
            Event::Start(Tag::Heading { level: lower(level), id: None, classes: Vec::new(), attrs: Vec::new() })
        }
        Event::End(TagEnd::Heading(level)) => Event::End(TagEnd::Heading(lower(level))),
        // An alignment would be a style of its own, which the page's policy forbids.
        Event::Start(Tag::Table(columns)) => Event::Start(Tag::Table(vec![Alignment::None; columns.len()])),
        other => other,
    })
}

fn shown<'t>(text: &CowStr<'_>) -> Event<'t> {
    inline(escape(&printable(text)))
}

fn inline<'t>(html: String) -> Event<'t> {
    Event::InlineHtml(html.into())
}

/// Links to the web and to a mailbox. `javascript:`, `data:`, `file:` and relative ones lead nowhere good.
pub(super) fn is_safe(address: &str) -> bool {
    let lower = address.to_ascii_lowercase();
    ["http://", "https://", "mailto:"].iter().any(|scheme| lower.starts_with(scheme))
}

/// Two levels below the page's own headings.
fn lower(level: HeadingLevel) -> HeadingLevel {
    HeadingLevel::try_from((level as usize + 2).min(6)).unwrap_or(HeadingLevel::H6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_is_rendered_and_html_is_shown() {
        let table = [
            ("# A *b* `<c>`", "<h3>A <em>b</em> <code>&lt;c&gt;</code></h3>\n"),
            ("<script>x</script>", "<p>&lt;script&gt;x&lt;/script&gt;</p>\n"),
            ("a <img src=x onerror=y> b", "<p>a &lt;img src=x onerror=y&gt; b</p>\n"),
            ("[a](javascript:alert(1)) [b](JaVaScRiPt:x)", "<p><span>a</span> <span>b</span></p>\n"),
            ("[a](data:text/html,x) [b](/etc/passwd)", "<p><span>a</span> <span>b</span></p>\n"),
            ("&#x202e;a &#60;b&#62;", "<p>\\u{202e}a &lt;b&gt;</p>\n"),
            ("```\"><b>\n<i>\n```", "<pre><code class=\"language-&quot;&gt;&lt;b&gt;\">&lt;i&gt;\n</code></pre>\n"),
        ];
        for (text, expected) in table {
            assert_eq!(prose(text), expected, "{text:?}");
        }
        let rel = "rel=\"noopener noreferrer nofollow\"";
        assert_eq!(
            prose("[a](https://x.y/?a=1&b=\"2)"),
            format!("<p><a href=\"https://x.y/?a=1&amp;b=&quot;2\" {rel}>a</a></p>\n")
        );
        assert_eq!(
            prose("![p](https://x.y/p.png \"t\")"),
            format!("<p><a href=\"https://x.y/p.png\" {rel}>p</a></p>\n")
        );
    }
}
