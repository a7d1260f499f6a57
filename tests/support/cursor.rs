//! Cursor's databases, made from recorded installations (tests/fixtures/cursor), and written to as Cursor does it.

use super::home::fixture;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params, params_from_iter};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// An installation below a home folder.
pub struct Cursor {
    root: PathBuf,
    /// What a reader has to find in it.
    pub expected: Value,
}

impl Cursor {
    /// The recorded installation `case`, in `~/.config/Cursor` and `~/.cursor`.
    pub fn install(home: &Path, case: &str) -> Cursor {
        let text = std::fs::read_to_string(fixture(&format!("cursor/{case}.json"))).unwrap();
        let recorded: Value = serde_json::from_str(&text).unwrap();
        let root = home.join(".config/Cursor");
        for (path, content) in recorded["files"].as_object().unwrap() {
            write(&root.join(path), &bytes(content));
        }
        for (path, content) in recorded["dot_cursor"].as_object().into_iter().flatten() {
            write(&home.join(".cursor").join(path), &bytes(content));
        }
        for (path, database) in recorded["databases"].as_object().unwrap() {
            make(&root.join(path), database);
        }
        Cursor { root, expected: recorded["expected"].clone() }
    }

    /// An installation with nothing in it.
    pub fn empty(home: &Path) -> Cursor {
        let cursor = Cursor { root: home.join(".config/Cursor"), expected: Value::Null };
        let sql = |name: &str| format!("CREATE TABLE {name} (key TEXT UNIQUE ON CONFLICT REPLACE, value BLOB)");
        let tables = ["ItemTable", "cursorDiskKV"].map(|name| json!({"name": name, "sql": sql(name), "rows": []}));
        make(&cursor.path(), &json!({"tables": tables, "indexes": []}));
        cursor
    }

    /// The names of all recorded installations.
    pub fn cases() -> Vec<String> {
        let files = std::fs::read_dir(fixture("cursor")).unwrap();
        let mut cases: Vec<String> =
            files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        cases.sort();
        cases
    }

    /// The database.
    pub fn path(&self) -> PathBuf {
        self.root.join("User/globalStorage/state.vscdb")
    }

    /// A connection as a running Cursor has it: what it writes stays in the log.
    pub fn open(&self) -> Connection {
        let connection = Connection::open(self.path()).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0").unwrap();
        connection
    }
}

/// Writes a row as Cursor does: a row that is there is replaced.
pub fn put(connection: &Connection, key: &str, value: &Value) {
    let text = if value.is_null() { None } else { Some(value.to_string()) };
    connection.execute("INSERT INTO cursorDiskKV VALUES (?1, ?2)", params![key, text]).unwrap();
}

/// A session with these bubbles, each an id and what it says; prompts and replies take turns.
pub fn put_session(connection: &Connection, id: &str, bubbles: &[(&str, &str)]) {
    let kind = |n: usize| 1 + n % 2;
    for (n, (bubble, text)) in bubbles.iter().enumerate() {
        put_bubble(connection, id, bubble, kind(n), text);
    }
    put_composer(connection, id, &bubbles.iter().map(|(bubble, _)| *bubble).collect::<Vec<_>>());
}

/// One bubble; `kind` is 1 for a prompt, 2 for a reply.
pub fn put_bubble(connection: &Connection, id: &str, bubble: &str, kind: usize, text: &str) {
    let value =
        json!({"_v": 3, "type": kind, "bubbleId": bubble, "text": text, "createdAt": "2026-10-01T10:00:00.000Z"});
    put(connection, &format!("bubbleId:{id}:{bubble}"), &value);
}

/// The composer, which names its bubbles.
pub fn put_composer(connection: &Connection, id: &str, bubbles: &[&str]) {
    let headers: Vec<Value> =
        bubbles.iter().enumerate().map(|(n, bubble)| json!({"bubbleId": bubble, "type": 1 + n % 2})).collect();
    let value = json!({"_v": 17, "composerId": id, "name": "A session", "createdAt": 1_790_000_000_000_i64,
        "fullConversationHeadersOnly": headers, "text": "", "status": "completed",
        "workspaceIdentifier": {"id": "w", "uri": {"fsPath": "/w", "scheme": "file"}}});
    put(connection, &format!("composerData:{id}"), &value);
}

fn make(path: &Path, database: &Value) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("PRAGMA journal_mode = WAL; BEGIN").unwrap();
    for table in database["tables"].as_array().unwrap() {
        connection.execute(table["sql"].as_str().unwrap(), []).unwrap();
        for row in table["rows"].as_array().unwrap() {
            let values: Vec<Sql> = row.as_array().unwrap().iter().map(sql_value).collect();
            let places = vec!["?"; values.len()].join(", ");
            let sql = format!("INSERT INTO {} VALUES ({places})", table["name"].as_str().unwrap());
            connection.execute(&sql, params_from_iter(values)).unwrap();
        }
    }
    for index in database["indexes"].as_array().unwrap() {
        connection.execute(index.as_str().unwrap(), []).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
}

fn sql_value(value: &Value) -> Sql {
    match value {
        Value::Null => Sql::Null,
        Value::Number(number) => Sql::Integer(number.as_i64().unwrap()),
        Value::String(text) => Sql::Text(text.clone()),
        blob => Sql::Blob(bytes(blob)),
    }
}

/// A text, or `{"blob": base64}`.
fn bytes(value: &Value) -> Vec<u8> {
    use base64::Engine;
    match value {
        Value::String(text) => text.clone().into_bytes(),
        blob => base64::prelude::BASE64_STANDARD.decode(blob["blob"].as_str().unwrap()).unwrap(),
    }
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}
