//! What Gemini CLI deletes by itself, at every start: `general.sessionRetention` in its settings. Seen with 0.61: on by
//! default, 30 days after the last activity; `maxAge` is a number with h, d, w or m (30 days), `maxCount` counts in each
//! project's folder. A setting that the client refuses turns its clean-up off.

use crate::tools::{Clock, Retention, in_words, settings_file};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn of(root: &Path) -> Retention {
    let (source, settings) = settings_file(root.join("settings.json"));
    let said = &settings["general"]["sessionRetention"];
    let source = source.filter(|_| said.is_object());
    let Some((after, most)) = limits(said) else {
        return Retention {
            source,
            ..Retention::keeps("keeps its sessions (general.sessionRetention in settings.json)")
        };
    };
    let beyond = most.map(|most| format!(" and all but the newest {most} of a project")).unwrap_or_default();
    let words = format!(
        "deletes sessions untouched for {}{beyond} at start-up (general.sessionRetention in settings.json); versions up to \
         0.61 also delete a session at the start after its first resume",
        in_words(after)
    );
    Retention { after: Some(after), most, clock: Clock::LastActivity, source, words }
}

/// Age and count; `None` where nothing is deleted.
fn limits(said: &Value) -> Option<(Duration, Option<u64>)> {
    if said["enabled"] == false {
        return None;
    }
    let after = match &said["maxAge"] {
        Value::Null => 30 * DAY,
        age => period(age.as_str()?)?,
    };
    let least = said["minRetention"].as_str().and_then(period).unwrap_or(DAY);
    let most = match &said["maxCount"] {
        Value::Null => None,
        count => Some(count.as_u64().filter(|count| *count > 0)?),
    };
    (after >= least).then_some((after, most))
}

/// Such as `30d`.
fn period(text: &str) -> Option<Duration> {
    let unit = match text.bytes().last()? {
        b'h' => DAY / 24,
        b'd' => DAY,
        b'w' => 7 * DAY,
        b'm' => 30 * DAY,
        _ => return None,
    };
    let count = text[..text.len() - 1].parse::<u32>().ok().filter(|count| *count > 0)?;
    unit.checked_mul(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_read_as_the_client_reads_them() {
        let days = |said: Value| limits(&said).map(|(after, most)| (after.as_secs() / 86_400, most));
        assert_eq!(days(Value::Null), Some((30, None)));
        assert_eq!(days(json!({"maxAge": "2w", "maxCount": 5})), Some((14, Some(5))));
        assert_eq!(days(json!({"maxAge": "3m"})), Some((90, None)));
        assert_eq!(days(json!({"enabled": true, "maxAge": "48h"})), Some((2, None)));
        for off in [
            json!({"enabled": false}),
            json!({"maxAge": "soon"}),
            json!({"maxAge": "0d"}),
            json!({"maxAge": "1h"}),
            json!({"maxAge": "2d", "minRetention": "1w"}),
            json!({"maxCount": 0}),
        ] {
            assert_eq!(days(off.clone()), None, "{off}");
        }
    }
}
