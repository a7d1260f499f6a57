//! The dashboard's files.

use crate::server::{Ask, Server};

#[test]
fn every_page_is_the_same_file_with_a_strict_policy() {
    let server = Server::new();
    let index = server.get("/", "");
    assert_eq!((index.status, index.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = index.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(index.header("cache-control"), Some("no-cache"));
    assert_eq!(index.header("x-content-type-options"), Some("nosniff"));
    for path in ["/sessions", "/sessions/ses_abcdefgh", "/overview", "/keys", "/inbox", "/shares", "/admin", "/sign-in"]
    {
        assert_eq!(server.get(path, "").body, index.body, "{path}");
    }
    for path in ["/nothing", "/api/web/nothing", "/api/web", "/assets"] {
        assert_eq!(server.get(path, "").status, 404, "{path}");
    }
    let text = String::from_utf8(index.body).unwrap();
    assert!(!text.contains("<style") && !text.contains(" style="), "{text}");
    assert!(
        !text.replace("<script src=", "").replace("<script type=\"module\" src=", "").contains("<script"),
        "{text}"
    );
}

#[test]
fn a_browser_keeps_files_and_asks_whether_they_changed() {
    let server = Server::new();
    let tag = server.get("/", "").header("etag").unwrap().to_owned();
    let again = |tag: &str| server.ask(Ask::new("GET", "/sessions", "").header("if-none-match", tag));
    let same = again(&tag);
    assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, Some(tag.as_str())));
    assert_eq!(again(&format!("\"other\", W/{tag}")).status, 304);
    assert_eq!(again("\"other\"").status, 200);
    assert_eq!(server.ask(Ask::new("HEAD", "/", "")).status, 200);
    let post = server.ask(Ask::new("POST", "/sessions", ""));
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")));
}

#[test]
fn nothing_outside_of_the_folder_is_served() {
    let server = Server::new();
    for path in [
        "/assets/../Cargo.toml",
        "/assets/..%2FCargo.toml",
        "/assets//etc/passwd",
        "/assets/./index.html",
        "/assets/.git",
        "/assets/nothing.js",
        "/assets/",
    ] {
        assert_eq!(server.get(path, "").status, 404, "{path}");
    }
}
