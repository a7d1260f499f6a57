//! One binary, three names. `sfs` is the command line, `sfsd` the daemon, `sessionfs` either, by its first word.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    let name = std::path::Path::new(&name).file_name().unwrap_or_default().to_string_lossy().into_owned();
    sessionfs::cli::main(&name, args.collect())
}
