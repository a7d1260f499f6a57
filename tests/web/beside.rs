//! What takes long goes on beside the requests of the owner, and not too much of it at once.

use super::Site;
use crate::server::{Ask, Reply};
use crate::support::home::TestHome;
use serde_json::json;
use sessionfs::error::Result;
use sessionfs::server::archives::Reader;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Whoever waits longer has hung.
const HUNG: Duration = Duration::from_secs(60);

/// A site with one session, its id, and the path of a link to it.
fn linked() -> (Site, String, String) {
    let site = Site::of(&TestHome::with(&["claude/readedit"]));
    let id = site.ids()[0].clone();
    let made = site.send("POST", &format!("/api/v1/sessions/{id}/shares"), &json!({"link": true})).json();
    let link = made["path"].as_str().unwrap().to_owned();
    assert_eq!(site.server.get(&link, "").status, 200);
    (site, id, link)
}

#[test]
fn links_and_files_are_made_while_the_owner_is_at_work() {
    let (site, id, link) = linked();
    let download = |format: &str| format!("/api/web/sessions/{id}/download?format={format}");
    let paths = [link, download("html"), download("markdown"), download("sfs")];
    let statuses = thread::scope(|scope| {
        let (site, paths) = (&site, &paths);
        let (enter, entered) = mpsc::channel();
        let (go_on, wait) = mpsc::channel::<()>();
        // In the middle of a write, with the archive to itself.
        scope.spawn(move || {
            site.server.api.archives().with(site.account, |store| -> Result<()> {
                store.write(|_| {
                    enter.send(()).unwrap();
                    let _ = wait.recv_timeout(HUNG);
                    Ok(())
                })
            })
        });
        entered.recv().unwrap();
        let (tell, told) = mpsc::channel();
        scope.spawn(move || paths.iter().try_for_each(|path| tell.send(site.get(path).status)));
        let statuses: Vec<_> = (0..4).map_while(|_| told.recv_timeout(HUNG / 4).ok()).collect();
        let _ = go_on.send(());
        statuses
    });
    assert_eq!(statuses, [200; 4]);
}

#[test]
fn the_owner_is_answered_while_others_read_and_too_many_of_them_come_again() {
    let (site, id, link) = linked();
    let visit = |site: &Site| site.server.ask(Ask::new("GET", &link, ""));
    let busy: Reply = thread::scope(|scope| {
        let site = &site;
        let (enter, entered) = mpsc::channel();
        let (go_on, wait) = mpsc::channel::<()>();
        scope.spawn(move || {
            site.server.api.archives().read(site.account, Reader::Guest, |_| -> Result<()> {
                enter.send(()).unwrap();
                let _ = wait.recv_timeout(HUNG);
                Ok(())
            })
        });
        entered.recv().unwrap();
        assert_eq!(site.get("/api/web/sessions").status, 200, "the owner");
        let busy = visit(site);
        let download = site.get(&format!("/api/web/sessions/{id}/download?format=html"));
        assert_eq!(download.status, 200, "what guests do takes no turn from the owner");
        go_on.send(()).unwrap();
        busy
    });
    assert_eq!((busy.status, busy.header("retry-after")), (503, Some("2")));
    assert_eq!(busy.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(busy.header("content-security-policy").unwrap().contains("sandbox"));
    assert_eq!(visit(&site).status, 200);
}
