//! A database as Cursor's is on a busy machine: more than 800 MB, of which sessions are not even half.

use crate::corpus::random::{Pools, Random};
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::path::Path;

/// Sessions.
const COMPOSERS: usize = 400;
/// Messages in each; one has about 5 kB.
const BUBBLES: usize = 160;
/// Blobs and checkpoints of each: bytes that are not to be read.
const ASIDE: usize = 1_050_000;

/// The database below `home`, written by a Cursor that runs.
pub(crate) struct Database {
    connection: Connection,
    random: Random,
    pools: Pools,
    composers: Vec<(String, Vec<Value>)>,
}

impl Database {
    /// Writes it.
    pub(crate) fn create(home: &Path) -> io::Result<Database> {
        let folder = home.join(".config/Cursor/User/globalStorage");
        fs::create_dir_all(&folder)?;
        let connection = Connection::open(folder.join("state.vscdb")).map_err(io::Error::other)?;
        let table = |name: &str| format!("CREATE TABLE {name} (key TEXT UNIQUE ON CONFLICT REPLACE, value BLOB);");
        let begin = "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;";
        connection
            .execute_batch(&[begin, &table("ItemTable"), &table("cursorDiskKV"), "BEGIN;"].join(" "))
            .map_err(io::Error::other)?;
        let mut random = Random::new(11);
        let pools = Pools::new(&mut random);
        let mut database = Database { connection, random, pools, composers: Vec::new() };
        for _ in 0..COMPOSERS {
            let id = database.random.uuid4();
            database.composers.push((id, Vec::new()));
            for _ in 0..BUBBLES {
                database.bubble()?;
            }
            database.composer()?;
            database.aside()?;
        }
        database.connection.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").map_err(io::Error::other)?;
        Ok(database)
    }

    /// One message more in the newest session.
    pub(crate) fn append(&mut self) -> io::Result<()> {
        self.bubble()?;
        self.composer()
    }

    fn put(&self, key: &str, value: &[u8]) -> io::Result<()> {
        let mut insert =
            self.connection.prepare_cached("INSERT INTO cursorDiskKV VALUES (?1, ?2)").map_err(io::Error::other)?;
        let text = std::str::from_utf8(value);
        let outcome = match text {
            Ok(text) => insert.execute(params![key, text]),
            Err(_) => insert.execute(params![key, value]),
        };
        outcome.map(drop).map_err(io::Error::other)
    }

    /// Prompts, thinking, tool calls with results, and texts.
    fn bubble(&mut self) -> io::Result<()> {
        let bubble = self.random.uuid4();
        let prose = self.random.pick(&self.pools.prose).clone();
        let code = self.random.pick(&self.pools.code).clone();
        let Some((composer, headers)) = self.composers.last_mut() else { return Ok(()) };
        let number = headers.len();
        let kind = if number % 8 == 0 { 1 } else { 2 };
        let created = format!("2026-10-01T{:02}:{:02}:00.000Z", number / 60 % 24, number % 60);
        headers
            .push(json!({"bubbleId": bubble, "type": kind, "createdAt": created, "grouping": {"isRenderable": true}}));
        let mut value = json!({"_v": 3, "type": kind, "bubbleId": bubble, "createdAt": created, "text": ""});
        match number % 8 {
            1 => value["thinking"] = json!({"text": prose, "signature": ""}),
            2..=5 => {
                let result = json!({"contents": code, "totalLinesInFile": 80}).to_string();
                value["toolFormerData"] = json!({"name": "read_file", "status": "completed",
                    "toolCallId": format!("toolu_{bubble}"), "rawArgs": "{\"target_file\":\"src/main.rs\"}",
                    "result": result});
            }
            _ => value["text"] = json!(format!("{prose}\n\n{code}")),
        }
        for name in 0..60 {
            value[format!("emptyListNumber{name}")] = json!([]);
        }
        let key = format!("bubbleId:{composer}:{bubble}");
        self.put(&key, value.to_string().as_bytes())
    }

    fn composer(&self) -> io::Result<()> {
        let Some((id, headers)) = self.composers.last() else { return Ok(()) };
        let value = json!({"_v": 17, "composerId": id, "name": "A session", "status": "completed",
            "createdAt": 1_790_000_000_000_i64, "fullConversationHeadersOnly": headers, "conversationState": "~",
            "workspaceIdentifier": {"id": "w", "uri": {"fsPath": "/home/dev/work", "scheme": "file"}}});
        self.put(&format!("composerData:{id}"), value.to_string().as_bytes())
    }

    fn aside(&mut self) -> io::Result<()> {
        let mut left = ASIDE;
        while left > 0 {
            let length = left.min(self.random.between(2000, 60_000) as usize);
            let key = format!("agentKv:blob:{}", self.random.hex(64));
            let mut blob = vec![0xff];
            blob.extend(self.random.base64(length - 1).into_bytes());
            self.put(&key, &blob)?;
            left -= length;
        }
        Ok(())
    }
}
