//! The `farref` command: finds objects by name and by tag, shows what they are, and calls them, without their traits.
//!
//! `arguments` says what can be written, `commands` has one file for each command, `failure` turns what went wrong into a
//! message, a hint and an exit code, and `output` prints for people or as JSON.

mod arguments;
mod client;
mod commands;
mod failure;
mod output;
mod plot;
mod types;
mod values;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::output::Output;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    arguments.color.apply();
    let output = Output::new(arguments.json);
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| {
            let ended = runtime.block_on(async {
                let ended = commands::run(&arguments, &output).await;
                client::close().await;
                ended
            });
            // What is still being written may end, and nothing waits for a peer that does not answer.
            runtime.shutdown_timeout(std::time::Duration::from_millis(500));
            ended
        });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&output),
    }
}
