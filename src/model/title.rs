//! A session's title from what the person first asked.
