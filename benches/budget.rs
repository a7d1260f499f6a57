//! The budget: what sessionfs may cost in time, memory and bytes.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

mod corpus;

use argh::FromArgs;

/// Measures whole processes against the budget, or writes a corpus to measure with.
#[derive(FromArgs)]
struct Arguments {
    #[argh(subcommand)]
    command: Option<Command>,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Corpus(corpus::Corpus),
}

fn main() {
    let words: Vec<String> = std::env::args().filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let arguments = Arguments::from_args(&["budget"], &words[1..]).unwrap_or_else(|exit| {
        println!("{}", exit.output);
        std::process::exit(if exit.status.is_ok() { 0 } else { 2 })
    });
    match arguments.command {
        Some(Command::Corpus(corpus)) => {
            let summary = corpus.write().unwrap();
            println!("{}", serde_json::to_string_pretty(&summary).unwrap());
        }
        None => {}
    }
}
