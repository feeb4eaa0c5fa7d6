//! One file for each command, or for those that belong together.

mod bench;
mod call;
mod changes;
mod describe;
mod directory;
mod list;
mod lookup;
mod manual;
mod ns;
mod ping;
mod stat;
mod watch;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;
use crate::output::Output;

pub(crate) async fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    match &arguments.command {
        Command::Ns(ns) => ns::run(arguments, ns, output).await,
        Command::List(list) => list::run(arguments, list, output).await,
        Command::Lookup(lookup) => lookup::run(arguments, lookup, output).await,
        Command::Register(register) => directory::register(arguments, register, output).await,
        Command::Remove(remove) => directory::remove(arguments, remove, output).await,
        Command::Tag(tag) => directory::tag(arguments, tag, output).await,
        Command::Describe(describe) => describe::run(arguments, describe, output).await,
        Command::Call(call) => call::run(arguments, call, output).await,
        Command::Watch(watch) => watch::run(arguments, watch, output).await,
        Command::Ping(ping) => ping::run(arguments, ping, output).await,
        Command::Stat(stat) => stat::run(arguments, stat, output).await,
        Command::Bench(bench) => bench::run(arguments, bench, output).await,
        Command::Completions(completions) => manual::completions(completions, output),
        Command::Man(man) => manual::pages(man, output),
    }
}
