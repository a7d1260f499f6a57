//! Stub until merged.
/// x
pub fn from_prompt(t: &str) -> Option<String> {
    t.lines().next().map(str::to_owned)
}
/// x
pub fn clean(t: &str) -> Option<String> {
    Some(t.to_owned())
}
