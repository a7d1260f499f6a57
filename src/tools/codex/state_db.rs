//! The client's own index of threads, `state_<n>.sqlite`. Once it exists, a session that is not in it can be resumed by
//! its id but is not listed. We add one row and take only that one back; a database of a shape that we do not know is
//! left as it is. Titles stand in `session_index.jsonl` too.

use crate::error::{Context, Error, Result};
use crate::model::conversation::About;
use crate::tools::{Listing, Moved, Plan};
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params_from_iter};
use serde::Deserialize;
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a running client may keep the database busy.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes the session of `plan` visible in the listing; the answer says why it is not.
pub(super) fn register(root: &Path, plan: &Plan, about: &About, now: Timestamp) -> Option<String> {
    let database = newest(root)?;
    let row = row(plan, about, now);
    if insert(&database, &row).is_err() {
        return Some(format!("it will be listed after its first `codex resume {}`", plan.native_id));
    }
    let title = about.title.as_deref()?;
    let named = append_title(root, &plan.native_id, title, now);
    named.is_err().then(|| "its title could not be added to session_index.jsonl".to_owned())
}

/// Takes the row back.
pub(super) fn unregister(root: &Path, plan: &Plan) -> Result<()> {
    let Some(database) = newest(root) else { return Ok(()) };
    let delete = || -> rusqlite::Result<usize> {
        let path = plan.file.to_string_lossy();
        open(&database)?
            .execute("DELETE FROM threads WHERE id = ?1 AND rollout_path = ?2", (&plan.native_id, path.as_ref()))
    };
    delete().map(drop).map_err(|source| {
        Error::failed(format!("{} still lists session {}", database.display(), plan.native_id)).because(source)
    })
}

/// Lists the session in the folder that its project moved to; the answer says what could not be done. One column of its
/// row, and only where that names the old folder.
pub(super) fn move_thread(root: &Path, native_id: &str, moved: &Moved) -> Option<String> {
    let database = newest(root)?;
    let change = || -> rusqlite::Result<()> {
        let connection = open(&database)?;
        let cwd = "SELECT cwd FROM threads WHERE id = ?1";
        let cwd: Option<String> = connection.query_row(cwd, [native_id], |row| row.get(0)).optional()?;
        if let Some(new) = cwd.and_then(|cwd| moved.path(&cwd)) {
            connection.execute("UPDATE threads SET cwd = ?2 WHERE id = ?1", (native_id, new))?;
        }
        Ok(())
    };
    let note =
        || format!("{} still lists it in the old folder; `codex resume {native_id}` finds it", database.display());
    change().is_err().then(note)
}

/// Compares the index with the rollouts below `sessions`; archived ones and the files of sub-agents count as listed where
/// they have a row, and are not missed where they have none. `None`: the client has not made its index yet, and reads all
/// rollouts when it does.
pub(super) fn listing(root: &Path) -> Result<Option<Listing>> {
    let Some(path) = newest(root) else { return Ok(None) };
    let rows = rows(&path).context(|| format!("{} can't be read", path.display()))?;
    let mut listing = Listing { listed: rows.len() as u64, path, ..Listing::default() };
    let listed: HashSet<&str> = rows.iter().map(|(id, _)| id.as_str()).collect();
    let files = walkdir::WalkDir::new(root.join("sessions")).into_iter().flatten();
    let mut found = HashSet::new();
    for entry in files.filter(|entry| entry.file_type().is_file()) {
        found.extend(entry.path().file_name().map(ToOwned::to_owned));
        let main = unlisted(entry.path(), &listed).filter(|(_, stream)| stream == "main");
        listing.unlisted.extend(main.map(|(id, _)| id));
    }
    listing.unlisted.sort();
    // A home that was moved has the file in its own folder still.
    let is_gone = |file: &str| {
        let is_there = Path::new(file).exists() || Path::new(&format!("{file}.zst")).exists();
        !is_there && Path::new(file).file_name().is_none_or(|name| !found.contains(name))
    };
    listing.dangling = rows.iter().filter(|(_, file)| is_gone(file)).map(|(id, _)| id.clone()).collect();
    Ok(Some(listing))
}

/// Session and stream, as capture places them, of a rollout that is not `listed`. Mostly the name alone tells that it is.
fn unlisted(path: &Path, listed: &HashSet<&str>) -> Option<(String, String)> {
    let stem = path.file_name()?.to_str()?.strip_prefix("rollout-")?.strip_suffix(".jsonl")?;
    if super::uuid_at_end(stem).is_some_and(|(id, _)| listed.contains(id.as_str())) {
        return None;
    }
    let mut line = Vec::new();
    BufReader::new(crate::tools::foreign::open(path).ok()??).take(4 << 20).read_until(b'\n', &mut line).ok()?;
    super::thread_of(&line).filter(|(id, _)| !listed.contains(id.as_str()))
}

/// Id and file of every row, in a database that is only read.
fn rows(database: &Path) -> rusqlite::Result<Vec<(String, String)>> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(PATIENCE)?;
    let mut statement = connection.prepare("SELECT id, rollout_path FROM threads ORDER BY id")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// `state_<n>.sqlite` with the highest number; the number counts the client's schema generations.
fn newest(root: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(root).ok()?.flatten().map(|entry| entry.path());
    let numbered = files.filter_map(|path| {
        let number =
            path.file_name()?.to_str()?.strip_prefix("state_")?.strip_suffix(".sqlite")?.parse::<u32>().ok()?;
        Some((number, path))
    });
    numbered.max().map(|(_, path)| path)
}

fn open(database: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}

/// The columns by name; what a table lacks is left out.
fn row(plan: &Plan, about: &About, now: Timestamp) -> Vec<(&'static str, Value)> {
    let text = |text: &str| Value::Text(text.to_owned());
    let first = first_prompt(&plan.file).unwrap_or_default();
    let preview: String = first.chars().take(2000).collect();
    let title = about.title.as_deref().unwrap_or(&preview);
    let mut row = vec![
        ("id", text(&plan.native_id)),
        ("rollout_path", text(&plan.file.to_string_lossy())),
        ("created_at", Value::Integer(now.as_second())),
        ("updated_at", Value::Integer(now.as_second())),
        ("created_at_ms", Value::Integer(now.as_millisecond())),
        ("updated_at_ms", Value::Integer(now.as_millisecond())),
        ("source", text("cli")),
        ("thread_source", text("user")),
        ("model_provider", text("openai")),
        ("cwd", text(&plan.cwd.to_string_lossy())),
        ("title", text(title)),
        ("preview", text(&preview)),
        ("first_user_message", text(&preview)),
        ("sandbox_policy", text(SANDBOX)),
        ("approval_mode", text("on-request")),
        ("cli_version", text(super::writer::CLIENT_VERSION)),
        ("originator", text("sessionfs")),
        ("history_mode", text("paginated")),
    ];
    row.extend(about.title.as_deref().map(|title| ("name", text(title))));
    row.extend(about.git_branch.as_deref().map(|branch| ("git_branch", text(branch))));
    row
}

/// What the client (0.169.0) writes itself for a thread without a turn context: reading only, without network.
const SANDBOX: &str = r#"{"type":"managed","file_system":{"type":"restricted","entries":[{"path":{"type":"special","value":{"kind":"root"}},"access":"read"}]},"network":"restricted"}"#;

fn insert(database: &Path, row: &[(&'static str, Value)]) -> rusqlite::Result<()> {
    let mut connection = open(database)?;
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let known: HashSet<String> = transaction
        .prepare("SELECT name FROM pragma_table_info('threads')")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let row: Vec<_> = row.iter().filter(|(column, _)| known.contains(*column)).collect();
    let columns: Vec<&str> = row.iter().map(|(column, _)| *column).collect();
    let places = vec!["?"; row.len()].join(", ");
    let sql = format!("INSERT INTO threads ({}) VALUES ({places})", columns.join(", "));
    transaction.execute(&sql, params_from_iter(row.iter().map(|(_, value)| value)))?;
    transaction.commit()
}

/// The first thing that the person said, from the file that was just written.
fn first_prompt(file: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        payload: Event,
    }
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "type")]
        kind: String,
        message: String,
    }
    let lines = BufReader::new(File::open(file).ok()?).lines().map_while(std::result::Result::ok);
    let mut events = lines.filter_map(|line| serde_json::from_str::<Line>(&line).ok());
    events.find(|line| line.payload.kind == "user_message").map(|line| line.payload.message)
}

/// One line in one write, as the client does it. Where the last line is not ended (a client that was killed), it is ended
/// first: two lines in one would both be lost.
fn append_title(root: &Path, native_id: &str, title: &str, now: Timestamp) -> Result<()> {
    let path = root.join("session_index.jsonl");
    let entry = serde_json::json!({ "id": native_id, "thread_name": title, "updated_at": now.to_string() });
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .context(|| format!("{} can't be opened", path.display()))?;
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(-1)).is_ok() {
        file.read_exact(&mut last).context(|| format!("{} can't be read", path.display()))?;
    }
    let end = if last == [b'\n'] { "" } else { "\n" };
    file.write_all(format!("{end}{entry}\n").as_bytes()).context(|| format!("{} can't be written", path.display()))
}
