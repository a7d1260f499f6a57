//! Every recorded session, resumed by the tool that wrote it: what our own sessions are measured against.

use super::{Client, Received, ready, receive, skip};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// A recorded session.
#[derive(Clone, Debug)]
pub struct Native {
    /// The home folder it lies in.
    pub home: PathBuf,
    /// Its id in its tool.
    pub id: String,
    /// The folder it was recorded in.
    pub cwd: PathBuf,
}

/// The recorded sessions of a tool, sorted by case and id.
pub fn natives(client: Client) -> Vec<Native> {
    let folder = match client {
        Client::ClaudeCode => "claude",
        Client::Codex => "codex",
        Client::Gemini => "gemini",
    };
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let files = walkdir::WalkDir::new(&cases).sort_by_file_name().into_iter().flatten();
    let found = |entry: walkdir::DirEntry| {
        let case = entry.path().strip_prefix(&cases).ok()?.components().next()?;
        let (id, cwd) = if client == Client::Gemini { gemini_native(entry.path())? } else { native(entry.path())? };
        Some(Native { home: cases.join(case), id, cwd })
    };
    files.filter_map(found).collect()
}

/// The id that ends the file's name, and the folder that its records name.
fn native(file: &Path) -> Option<(String, PathBuf)> {
    let stem = file.file_name()?.to_str()?.strip_suffix(".jsonl")?;
    let id = stem.get(stem.len().checked_sub(36)?..).filter(|id| uuid::Uuid::try_parse(id).is_ok())?;
    Some((id.to_owned(), cwd(file)?))
}

/// The id inside of the file, and the folder that the project's marker names; 0.24 has no markers.
fn gemini_native(file: &Path) -> Option<(String, PathBuf)> {
    file.file_name()?.to_str()?.strip_prefix("session-")?;
    let text = std::fs::read_to_string(file).ok()?;
    let head = serde_json::Deserializer::from_str(&text).into_iter::<Value>().next()?.ok()?;
    let marker = std::fs::read_to_string(file.parent()?.parent()?.join(".project_root"));
    Some((head["sessionId"].as_str()?.to_owned(), marker.unwrap_or_else(|_| UNKNOWN.into()).into()))
}

/// Where sessions run that do not say where they ran.
const UNKNOWN: &str = "/home/dev/work/unknown";

/// Whether there is something to resume and somebody to do it.
fn prepared(name: &str, client: Client) -> bool {
    if natives(client).is_empty() {
        skip(name, "no recorded sessions");
        return false;
    }
    ready(name, &[client])
}

/// The first working folder that a session's records name; bare old Codex sessions name none.
fn cwd(file: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(file).ok()?;
    let mut records = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let found = records.find_map(|r| r["cwd"].as_str().or(r["payload"]["cwd"].as_str()).map(PathBuf::from));
    Some(found.unwrap_or_else(|| UNKNOWN.into()))
}

/// Resumes all of them, two at a time, and draws a table.
fn table(client: Client) -> String {
    let sessions = natives(client);
    let rows = Mutex::new(vec![String::new(); sessions.len()]);
    let next = Mutex::new(0..sessions.len());
    let work = || {
        while let Some(index) = { next.lock().unwrap().next() } {
            let native = &sessions[index];
            let received = receive(client, &native.home, &native.cwd, &native.id).unwrap();
            let row = row(native, &received);
            if std::env::var_os("SESSIONFS_TESTS_VERBOSE").is_some() {
                eprintln!("{row}\n{received:#?}");
            }
            rows.lock().unwrap()[index] = row;
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    rows.into_inner().unwrap().join("\n")
}

/// `case id: user texts, assistant texts, calls, images, order`, and what is wrong.
fn row(native: &Native, received: &Received) -> String {
    let case = native.home.file_name().unwrap_or_default().to_string_lossy();
    let (users, assistants) = (received.user_texts.len(), received.assistant_texts.len());
    let images = received.images.len() + received.calls.iter().map(|call| call.images).sum::<usize>();
    let calls = received.calls.len();
    let row = format!("{case} {}: {users} {assistants} {calls} {images} {}", &native.id[..8], received.shape);
    let wrong = received.rejections.iter().chain(&received.orphans).map(|problem| format!("!{problem}"));
    let failed = (received.exit != Some(0)).then(|| format!("exit {:?}", received.exit));
    std::iter::once(row).chain(wrong).chain(failed).collect::<Vec<_>>().join(" ")
}

#[test]
fn claude_resumes_its_own_sessions() {
    if prepared("claude_resumes_its_own_sessions", Client::ClaudeCode) {
        insta::assert_snapshot!(table(Client::ClaudeCode), @r"
        agent 46eac41d: 1 2 1 0 uaca
        bashfail 28e5721a: 1 1 1 0 uca
        bashok c749db94: 1 2 1 0 uaca
        chat f612d130: 1 1 0 0 ua
        git 94f6290b: 1 2 1 0 uaca
        i_compact 5d314876: 2 2 0 0 uaua
        i_rewind 9e29f7f3: 2 2 0 0 uaua
        i_title 37443c89: 2 3 1 0 uauaca
        long 27df0cd0: 1 1 1 0 uca
        multi e296635e: 1 2 3 0 uaccca
        readedit 721714ce: 1 1 2 0 ucca
        readpng 1a2b0fd7: 1 1 1 1 uca
        resume 081e5c1c: 1 1 0 0 ua
        resume 11111111: 1 1 0 0 ua
        resume 986e4051: 3 4 1 0 uacauaua
        resume e2797bac: 4 5 1 0 uacauauaua
        sub 52e7bd38: 1 2 1 0 uaca
        think a9e0cc93: 1 1 0 0 ua
        thinktool 4b3f6ddd: 1 2 1 0 uaca
        todo 3af89189: 1 1 1 0 uca
        unicode 889e5377: 1 2 1 0 uaca
        v1.0.128-multi 59baaeb0: 1 2 3 0 uaccca
        v1.0.128-sub da4f0230: 1 2 1 0 uaca
        v2.0.77-sub 20e6b11f: 1 2 1 0 uaca
        v2.0.77-thinktool 3275d9c3: 1 2 1 0 uaca
        v2.1.197-multi f071c2b7: 1 2 3 0 uaccca
        v2.1.5-sub 7093c2f0: 1 2 1 0 uaca
        write 44dd9e22: 1 1 1 0 uca
        ");
    }
}

#[test]
fn codex_resumes_its_own_sessions() {
    if prepared("codex_resumes_its_own_sessions", Client::Codex) {
        insta::assert_snapshot!(table(Client::Codex), @r"
        agent 01a20276: 1 1 1 0 uca
        agent 01a20276: 1 1 0 0 ua
        chat 01a20275: 2 2 0 0 uaua
        codemode_openai 01a20278: 1 2 4 0 uacccca
        fail 01a20276: 1 0 0 0 u
        fork 01a20277: 1 1 0 0 ua
        fork 01a20277: 2 3 11 0 uauaccccccccccca
        git 01a20276: 1 1 0 0 ua
        image 01a20276: 1 1 1 2 uca
        interrupted 01a20276: 2 3 1 0 uacaua
        patch 01a20275: 1 1 5 0 uccccca
        reasoning 01a20276: 1 1 1 0 uca
        shell 01a20275: 1 2 11 0 uaccccccccccca
        unicode 01a20276: 1 1 0 0 ua
        v020 875b14a7: 0 0 0 0  exit Some(1)
        v050 01a20293: 2 3 4 0 uaccccaua
        v110 01a20297: 1 2 4 0 uacccca
        ");
    }
}

#[test]
fn gemini_resumes_its_own_sessions() {
    if prepared("gemini_resumes_its_own_sessions", Client::Gemini) {
        let doubled = "Please ensure that the number of function response parts is equal to the number of function call \
                       parts of the function call turn.";
        // It doubles the results of the calls it made.
        insta::assert_snapshot!(table(Client::Gemini).replace(doubled, "doubled"), @"
        atfile 4550a7ed: 1 1 0 0 ua
        git_unicode e56a8b02: 1 2 1 0 uaca !doubled (1 calls, 2 responses) exit Some(1)
        image 6b5f2d2c: 2 2 0 1 uaua
        interactive_compress 65346500: 2 2 0 0 uaua
        interactive_rewind 9778f174: 2 2 0 0 uaua
        resumed 9f734301: 1 2 1 0 uaca !doubled (1 calls, 2 responses) exit Some(1)
        simple cd69bdf6: 1 1 0 0 ua
        subagent 83d21bec: 1 1 1 0 uca !doubled (1 calls, 2 responses) exit Some(1)
        tools c88a3300: 1 2 8 0 uacccccccca !doubled (1 calls, 2 responses) !doubled (1 calls, 2 responses) !doubled (2 calls, 4 responses) !doubled (1 calls, 2 responses) !doubled (1 calls, 2 responses) !doubled (1 calls, 2 responses) !doubled (1 calls, 2 responses) exit Some(1)
        v0.24_tools c272f28c: 0 0 0 0  exit Some(42)
        ");
    }
}
