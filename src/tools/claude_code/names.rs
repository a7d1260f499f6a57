//! Names as the client and its API take them: a project's folder, calls' ids, tools' names.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

/// The name of a project's folder: every UTF-16 unit that is no ASCII letter or digit becomes a dash; a name over 200
/// characters is cut there and gets a hash of the whole path.
pub fn folder_of(cwd: &Path) -> String {
    let path = cwd.to_string_lossy();
    let dashed = |unit: u16| u8::try_from(unit).ok().filter(u8::is_ascii_alphanumeric).map_or('-', char::from);
    let name: String = path.encode_utf16().map(dashed).collect();
    if name.len() <= 200 {
        return name;
    }
    let hash = path.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    format!("{}-{}", &name[..200], base36(hash.unsigned_abs()))
}

fn base36(mut number: u32) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize]);
        number /= 36;
        if number == 0 {
            return digits.iter().rev().map(|digit| char::from(*digit)).collect();
        }
    }
}

/// `name` in the characters that ids and names of tools may have.
pub(super) fn acceptable(name: &str, longest: usize) -> Cow<'_, str> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.len() <= longest && name.chars().all(is_fine) {
        return Cow::Borrowed(name);
    }
    let name: String = name.chars().take(longest).map(|c| if is_fine(c) { c } else { '_' }).collect();
    if name.is_empty() { "unnamed".into() } else { name.into() }
}

/// The ids of the calls written so far. The client takes `a_2` for a copy of `a` where both are in a session and loses
/// its result, so these two count as the same.
#[derive(Default)]
pub(super) struct CallIds {
    used: HashSet<String>,
    /// What stands before `_2` in those that end so.
    stems: HashSet<String>,
}

impl CallIds {
    pub(super) fn unique(&mut self, id: &str) -> String {
        let mut unique = id.to_owned();
        let mut number = 1;
        while self.is_taken(&unique) {
            number += 1;
            unique = format!("{id}-{number}");
        }
        self.stems.extend(stem(&unique).map(str::to_owned));
        self.used.insert(unique.clone());
        unique
    }

    fn is_taken(&self, id: &str) -> bool {
        self.used.contains(id) || self.stems.contains(id) || stem(id).is_some_and(|stem| self.used.contains(stem))
    }
}

/// `a` of `a_2`.
fn stem(id: &str) -> Option<&str> {
    let (stem, number) = id.rsplit_once('_')?;
    (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(stem)
}
