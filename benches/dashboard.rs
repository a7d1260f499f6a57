//! The dashboard of the local archive, asked over loopback as a browser asks it: whole requests, from the first byte sent to the
//! last one read.

use crate::corpus::Tool;
use crate::measure::{Bench, Place, corpus};
use crate::process::run;
use crate::{Limit, Report};
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Each question is asked so often; the slowest but one in twenty counts.
const TIMES: usize = 40;

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> io::Result<()> {
    list(bench, report)?;
    conversation(bench, report)
}

fn list(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let place = bench.place(&[corpus(Tool::Claude, 10_000, 20)])?;
    run(&mut bench.command(&place, &["import"]))?;
    let web = Web::start(bench, &place)?;
    let one = web.json("/api/web/sessions?page_size=1")?;
    let project = one["sessions"][0]["project"].as_str().unwrap_or_default().to_owned();
    let model = one["sessions"][0]["model"].as_str().unwrap_or_default().to_owned();
    report.line(
        "dashboard: 10,000 sessions, the first page of 100",
        web.often("/api/web/sessions")?,
        "ms",
        Limit::Below(100.0),
    );
    for (what, query) in [
        ("  the last page", "page=100".to_owned()),
        ("  by cost", "sort=cost".to_owned()),
        ("  of a project", format!("project={project}")),
        ("  of a model, since a day", format!("model={model}&since=2026-02-01")),
        ("  with a word, excerpts of 50 sessions", "q=error&page_size=50".to_owned()),
        ("  with a word that stands nowhere", "q=parser&page_size=50".to_owned()),
        ("  with two words, excerpts of 50 sessions", "q=session%20store&page_size=50".to_owned()),
    ] {
        report.line(what, web.often(&format!("/api/web/sessions?{query}"))?, "ms", Limit::Below(100.0));
    }
    report.line("  what to filter by", web.often("/api/web/facets")?, "ms", Limit::Below(100.0));
    report.line("  a year of sums", web.often("/api/web/stats")?, "ms", Limit::Below(300.0));
    let change = web.json("/api/web/changes?since=0")?["change"].as_i64().unwrap_or_default();
    report.line("  nothing changed", web.often(&format!("/api/web/changes?since={change}"))?, "ms", Limit::Below(10.0));
    Ok(())
}

fn conversation(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let place = bench.place(&[crate::corpus::Corpus { exact: true, ..corpus(Tool::Claude, 1, 50 << 10) }])?;
    run(&mut bench.command(&place, &["import"]))?;
    let id = bench.first_id(&place)?;
    let path = format!("/api/web/sessions/{id}");
    // What a browser asks first, each of a process that knows nothing of the session yet.
    for (what, query) in [
        ("dashboard: a session of 50 MB, its first window", "/messages?limit=100"),
        ("  its last window", "/messages?at=end&limit=100"),
        ("  everything else about it", ""),
    ] {
        let web = Web::start(bench, &place)?;
        report.line(what, web.once(&format!("{path}{query}"))?, "ms", Limit::Below(500.0));
    }
    let web = Web::start(bench, &place)?;
    let end = web.json(&format!("{path}/messages?at=end&limit=1"))?;
    let last = end["messages"][0]["id"].as_str().unwrap_or_default().to_owned();
    let web = Web::start(bench, &place)?;
    let around = format!("{path}/messages?around={last}&limit=100");
    report.line("  around a message far behind", web.once(&around)?, "ms", Limit::Below(500.0));
    report.line(
        "  outline, for which all of it is read",
        web.once(&format!("{path}/outline"))?,
        "ms",
        Limit::Below(3000.0),
    );
    report.line("  outline again", web.often(&format!("{path}/outline"))?, "ms", Limit::Below(100.0));
    let middle = end["total"].as_u64().unwrap_or_default() / 2;
    report.line(
        "  a window in its middle",
        web.often(&format!("{path}/messages?from={middle}&limit=100"))?,
        "ms",
        Limit::Below(100.0),
    );
    report.line("  a text in it", web.once(&format!("{path}/find?q=parser"))?, "ms", Limit::Below(3000.0));
    Ok(())
}

/// A running `sfs web`, signed in to.
struct Web {
    process: Child,
    address: String,
    cookie: String,
}

impl Web {
    fn start(bench: &Bench, place: &Place) -> io::Result<Web> {
        let mut command = bench.command(place, &["web", "--json"]);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let output = process.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let (mut text, mut lines) = (String::new(), BufReader::new(output).lines());
        let told: Value = loop {
            text += &lines.next().ok_or_else(|| io::Error::other("`sfs web` ended"))??;
            if let Ok(told) = serde_json::from_str(&text) {
                break told;
            }
        };
        let word = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        let mut web = Web { process, address: word("address"), cookie: String::new() };
        let token = word("url").split_once('#').map(|(_, token)| token.to_owned()).unwrap_or_default();
        let (head, _) = web.ask("POST", "/api/web/sign-in", &format!("{{\"token\":\"{token}\"}}"))?;
        let cookie = head.lines().find_map(|line| line.strip_prefix("Set-Cookie: "));
        cookie.and_then(|line| line.split(';').next()).unwrap_or_default().clone_into(&mut web.cookie);
        Ok(web)
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> io::Result<(String, Vec<u8>)> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        stream.write_all(
            format!(
                "{method} {path} HTTP/1.1\r\nHost: {}\r\nX-Sessionfs: dashboard\r\nCookie: {}\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{body}",
                self.address,
                self.cookie,
                body.len()
            )
            .as_bytes(),
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(answer.len());
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        if !head.starts_with("HTTP/1.1 20") {
            return Err(io::Error::other(format!("{path}: {}", head.lines().next().unwrap_or_default())));
        }
        Ok((head, answer.split_off((end + 4).min(answer.len()))))
    }

    fn json(&self, path: &str) -> io::Result<Value> {
        Ok(serde_json::from_slice(&self.ask("GET", path, "")?.1)?)
    }

    /// Milliseconds of one request.
    fn once(&self, path: &str) -> io::Result<f64> {
        let begin = Instant::now();
        self.ask("GET", path, "")?;
        Ok(milliseconds(begin.elapsed()))
    }

    /// Milliseconds within which all but one in twenty are answered.
    fn often(&self, path: &str) -> io::Result<f64> {
        let mut times = Vec::new();
        for _ in 0..TIMES {
            times.push(self.once(path)?);
        }
        times.sort_by(f64::total_cmp);
        Ok(times[TIMES * 95 / 100 - 1])
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = (self.process.kill(), self.process.wait());
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
