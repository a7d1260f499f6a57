//! `sfs web`: the dashboard of the local archive, for whoever has the link that was told on this machine.

use super::{Archive, Dashboard, Route, Visit, assets, cookie};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::id::Hash;
use crate::server::exchange::{Opening, Request, Response, Service};
use crate::server::query::{MAX_JSON, object, text};
use crate::server::rate::{Limiter, Rate, RetryAfter};
use crate::server::reply::{Answer, Refusal};
use crate::store::Store;
use std::fs::File;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// How the folders for temporary files are called.
const SCRATCH: &str = "web-";
/// So many browsers stay signed in.
const BROWSERS: usize = 20;
/// So many connections to the archive are kept.
const STORES: usize = 4;

/// The local archive, and who is signed in.
pub struct Local {
    home: Home,
    scratch: tempfile::TempDir,
    dashboard: Dashboard,
    stores: Mutex<Vec<Store>>,
    /// The hash of the link's token, until it is used.
    link: Mutex<Option<[u8; 32]>>,
    /// Hashes of what the cookies hold.
    browsers: Mutex<Vec<[u8; 32]>>,
    attempts: Limiter<()>,
}

impl Local {
    /// The archive of `home`, and the token of the one link with which a browser can sign in.
    pub fn open(home: &Home) -> Result<(Local, String)> {
        let store = Store::open(home)?;
        let token = token()?;
        sweep(&home.data);
        let scratch = tempfile::Builder::new().prefix(SCRATCH).tempdir_in(&home.data);
        let scratch = scratch.map_err(|error| Error::failed("no folder for temporary files").because(error))?;
        let local = Local {
            home: home.clone(),
            scratch,
            dashboard: Dashboard::default(),
            stores: Mutex::new(vec![store]),
            link: Mutex::new(Some(Hash::of(token.as_bytes()).0)),
            browsers: Mutex::default(),
            attempts: Limiter::new(Rate::new(20, Duration::from_secs(60)), 1),
        };
        Ok((local, token))
    }

    /// For temporary files, and for the server in front.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Works on the archive; each request has a connection of its own.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Store) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let kept = self.stores.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut store = match kept {
            Some(store) => store,
            None => Store::open(&self.home)?,
        };
        let outcome = work(&mut store);
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if stores.len() < STORES {
            stores.push(store);
        }
        outcome
    }

    fn dispatch(&self, request: &mut Request) -> Answer {
        let opening = request.opening();
        if !opening.header("host").is_some_and(is_loopback) {
            return Err(Refusal::new(421, "This dashboard is for this machine only").code("wrong_host"));
        }
        if let Some(response) = assets::answer(request) {
            return Ok(response);
        }
        let path = request.path.clone();
        let route = Route::of(&path).filter(|route| *route != Route::SignInLinks);
        let route = route.ok_or_else(|| Refusal::new(404, "Not Found"))?;
        if !route.methods().contains(&request.method.as_str()) {
            return Err(Refusal::new(405, "Method Not Allowed").header("Allow", route.methods().join(", ")));
        }
        cookie::check_sender(&opening)?;
        match route {
            Route::SignIn => self.sign_in(request),
            _ if !self.knows(&opening) => Err(Refusal::new(401, "Not signed in: run sfs web again").code("local")),
            Route::SignOut => Ok(self.sign_out(&opening)),
            route => Visit { dashboard: &self.dashboard, archive: Archive::Local(self), request }.answer(&route),
        }
    }

    fn sign_in(&self, request: &mut Request) -> Answer {
        self.attempts.take(&(), Instant::now()).map_err(|RetryAfter(seconds)| {
            Refusal::new(429, "Too many attempts").header("Retry-After", seconds.to_string())
        })?;
        let body = object(request)?;
        let given = text(&body, "token")?.ok_or_else(|| Refusal::missing(&["body", "token"]))?;
        let given = Hash::of(given.trim().as_bytes()).0;
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        if !link.is_some_and(|known| bool::from(known.ct_eq(&given))) {
            return Err(Refusal::new(401, "This link was used already: run sfs web again"));
        }
        let token = token()?;
        *link = None;
        let mut browsers = self.browsers.lock().unwrap_or_else(PoisonError::into_inner);
        browsers.push(Hash::of(token.as_bytes()).0);
        let too_many = browsers.len().saturating_sub(BROWSERS);
        browsers.drain(..too_many);
        let name = cookie_name(&request.opening());
        // It ends with the browser, and with this process.
        let cookie = format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict");
        Ok(Response::empty(204).with("Set-Cookie", cookie))
    }

    fn knows(&self, opening: &Opening) -> bool {
        let Some(token) = cookie::value(opening, &cookie_name(opening)) else { return false };
        let given = Hash::of(token.as_bytes()).0;
        let browsers = self.browsers.lock().unwrap_or_else(PoisonError::into_inner);
        browsers.iter().any(|known| bool::from(known.ct_eq(&given)))
    }

    fn sign_out(&self, opening: &Opening) -> Response {
        let name = cookie_name(opening);
        if let Some(token) = cookie::value(opening, &name) {
            let given = Hash::of(token.as_bytes()).0;
            self.browsers.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| *known != given);
        }
        Response::empty(204).with("Set-Cookie", cookie::set(&name, "", 0, false))
    }
}

impl Service for Local {
    fn body_limit(&self, _method: &str, _path: &str) -> u64 {
        MAX_JSON
    }

    fn answer(&self, request: &mut Request) -> Response {
        self.dispatch(request).unwrap_or_else(|refusal| refusal.response())
    }
}

/// Takes away what killed ones left: nobody holds the lock of their front.
fn sweep(data: &Path) {
    for entry in data.read_dir().into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(SCRATCH));
        let front = File::open(entry.path().join("front"));
        if is_ours && front.is_ok_and(|front| front.try_lock().is_ok()) {
            // At worst it lies there until the next time.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Browsers keep cookies for a host whatever its port is: another process of this machine may have one of its own.
fn cookie_name(opening: &Opening) -> String {
    let port = opening.header("host").and_then(|host| host.rsplit_once(':')).map_or("80", |(_, port)| port);
    format!("{}-{port}", cookie::NAME)
}

/// True of a name that can only mean this machine: any other may be somebody's who lets it point here.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// 128 random bits.
fn token() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::failed(format!("no random bytes: {error}")))?;
    Ok(Uuid::from_bytes(bytes).simple().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_taken() {
        for host in ["localhost", "localhost:80", "LOCALHOST:1", "127.0.0.1:8810", "127.8.9.1", "[::1]:9", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["", "example.org", "localhost.example.org", "127.0.0.1.example.org", "192.168.0.1", "[::2]:1", "0.0.0.0"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
