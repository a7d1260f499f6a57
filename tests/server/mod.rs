//! The server's front over real connections: what it admits, what it refuses, what it survives.

mod front;
mod hostile;
mod lifecycle;
mod stand;
