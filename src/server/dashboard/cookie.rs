//! The cookie of a browser that is signed in, and how a request of the dashboard's own pages is told from one that another
//! site made a browser send.

use crate::server::exchange::Opening;
use crate::server::reply::Refusal;

/// Its name on a server.
pub(in crate::server) const NAME: &str = "sessionfs";

/// What the cookie of that name holds.
pub(in crate::server) fn value<'o>(opening: &'o Opening, name: &str) -> Option<&'o str> {
    let headers = opening.headers.iter().filter(|(header, _)| header == "cookie");
    let cookies = headers.flat_map(|(_, value)| value.split(';'));
    cookies.filter_map(|cookie| cookie.trim().split_once('=')).find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// The value of `Set-Cookie` that makes a browser keep `value` for so many seconds; zero: forget it.
pub(in crate::server) fn set(name: &str, value: &str, seconds: i64, is_secure: bool) -> String {
    let secure = if is_secure { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

/// Refuses what was not sent by the dashboard's own script: another site can make a browser send a request with the cookie
/// in it, but neither with this header nor from this origin.
pub(in crate::server) fn check_sender(opening: &Opening) -> Result<(), Refusal> {
    let foreign = || Refusal::new(403, "This request did not come from the dashboard").code("foreign_origin");
    if let Some(origin) = opening.header("origin") {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        if host.is_none() || host != opening.header("host") {
            return Err(foreign());
        }
    }
    if opening.header("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Err(foreign());
    }
    let changes_nothing = matches!(opening.method.as_str(), "GET" | "HEAD");
    if changes_nothing || opening.header("x-sessionfs") == Some("dashboard") { Ok(()) } else { Err(foreign()) }
}
