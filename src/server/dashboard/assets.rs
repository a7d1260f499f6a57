//! The dashboard's files: embedded in the binary, read from the folder in a debug build. Every page is the same file; which
//! one it is, the script in it finds out.

use crate::id::Hash;
use crate::server::exchange::{Request, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Assets;

/// The first steps of the pages' paths.
const PAGES: [&str; 8] = ["", "sessions", "overview", "keys", "inbox", "shares", "admin", "sign-in"];

/// Nothing runs and nothing is loaded that is not one of these files.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types sessionfs";

/// The answer to a request for a page or a file; `None` where it is for something else.
pub(in crate::server) fn answer(request: &Request) -> Option<Response> {
    let name = name(&request.path)?;
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return Some(plain(405, "Method Not Allowed").with("Allow", "GET, HEAD"));
    }
    let Some(file) = Assets::get(&name) else { return Some(plain(404, "Not Found")) };
    let tag = format!("\"{}\"", Hash(file.metadata.sha256_hash()).hex());
    let is_known = request.header("if-none-match").is_some_and(|tags| {
        tags.split(',').any(|known| matches!(known.trim(), "*") || known.trim().trim_start_matches("W/") == tag)
    });
    let media_type = match file.metadata.mimetype() {
        text if text.starts_with("text/") => format!("{text}; charset=utf-8"),
        other => other.to_owned(),
    };
    let response =
        if is_known { Response::empty(304) } else { Response::bytes(200, &media_type, file.data.into_owned()) };
    // The names stay when the content changes: a browser keeps them, and asks.
    Some(response.with("Cache-Control", "no-cache").with("ETag", tag).with("Content-Security-Policy", POLICY))
}

/// The file that is shown at this path.
fn name(path: &str) -> Option<String> {
    if path == "/favicon.ico" {
        return Some("favicon.ico".to_owned());
    }
    if let Some(file) = path.strip_prefix("/assets/") {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
        let is_name = file.chars().all(is_plain) && file.split('/').all(|step| !step.starts_with('.'));
        return Some(if is_name { file.to_owned() } else { String::new() });
    }
    let first = path.strip_prefix('/')?.split('/').next().unwrap_or_default();
    let is_page = PAGES.contains(&first) && (path == "/" || !first.is_empty());
    is_page.then(|| "index.html".to_owned())
}

fn plain(status: u16, text: &str) -> Response {
    Response::bytes(status, "text/plain; charset=utf-8", text.as_bytes().to_vec())
        .with("Content-Security-Policy", POLICY)
}
