//! Searches in files and for files.

use super::arguments::{Arguments, NotThat};
use super::{Action, Search, Shows};

/// Where to search.
const FOLDER: [&str; 4] = ["path", "dir_path", "target_directory", "targetDirectory"];

/// Claude Code minds case and gives files unless told otherwise, Gemini CLI ignores it and gives lines; Cursor's `grep`
/// minds it and gives lines. Each has switches of its own.
pub(super) fn parse(input: &mut Arguments) -> Result<Action, NotThat> {
    input.asides(&["explanation", "-n", "head_limit", "max_matches_per_file", "total_max_matches"]);
    for switch in ["multiline", "-o", "fixed_strings", "no_ignore"] {
        input.only(switch, false)?;
    }
    let has_switches = input.name.eq_ignore_ascii_case("grep");
    let minds_case = input.take(&["case_sensitive"])?;
    let shows = match input.take::<String>(&["output_mode", "outputMode"])?.as_deref() {
        Some("files_with_matches") => Shows::Files,
        Some("count") => Shows::Counts,
        None if input.name == "Grep" || input.take(&["names_only"])? == Some(true) => Shows::Files,
        Some("content") | None => Shows::Lines,
        Some(_) => return Err(NotThat),
    };
    let around: Option<u64> = input.take(&["-C", "context"])?;
    let before = input.take(&["-B", "before"])?.or(around).unwrap_or_default();
    let after = input.take(&["-A", "after"])?.or(around).unwrap_or_default();
    Ok(Action::Search(Search {
        pattern: input.need(&["pattern", "query"])?,
        path: input.take(&FOLDER)?,
        glob: input.take(&["glob", "include_pattern", "include"])?,
        ignores_case: input.take(&["-i"])?.unwrap_or(!has_switches && minds_case != Some(true)),
        shows,
        around: (before, after),
    }))
}

pub(super) fn find(input: &mut Arguments) -> Result<Action, NotThat> {
    input.asides(&["explanation"]);
    input.only("respect_git_ignore", true)?;
    input.only("respect_gemini_ignore", true)?;
    let minds_case = input.take(&["case_sensitive"])?;
    Ok(Action::Find {
        pattern: input.need(&["pattern", "glob_pattern", "globPattern"])?,
        path: input.take(&FOLDER)?,
        // Only Gemini CLI ignores it.
        ignores_case: input.name == "glob" && minds_case != Some(true),
    })
}
