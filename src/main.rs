//! One binary, three names: `sfs` (command line), `sfsd` (daemon), `sessionfs` (both, by its first word).
fn main() {}
