//! Pictures inside sessions, as the models' APIs take them.

/// What base64 text is a picture of, by its first bytes: a wrong type is as bad as no picture.
pub(super) fn media_type(data: &str) -> Option<&'static str> {
    let is_base64 = data.len().is_multiple_of(4)
        && data.trim_end_matches('=').bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
    let known =
        [("iVBORw0KGgo", "image/png"), ("/9j/", "image/jpeg"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp")];
    known.iter().find(|(start, _)| is_base64 && data.starts_with(start)).map(|(_, media_type)| *media_type)
}
