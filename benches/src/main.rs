//! What calls cost, beside hand-written tokio and other frameworks: client and server are two processes that talk over
//! loopback TCP, and every peer takes its turn in every round. `README.md` beside this says how to run and read it.

mod bars;
mod figures;
mod instructions;
mod json;
mod loads;
mod machine;
mod options;
mod peers;
mod process;
mod record;
mod results;
mod rounds;
mod scale;
mod statistics;
mod table;
mod workload;

use crate::options::Command;

fn main() -> anyhow::Result<()> {
    match options::parse(std::env::args().skip(1))? {
        Command::Compare(options) => rounds::compare(&options),
        Command::Help => {
            print!("{}", options::HELP);
            Ok(())
        }
        Command::Serve(peer) => peers::serve(peer),
        Command::Call(errand) => peers::call(&errand),
        Command::Scale(options) => scale::run(&options),
        Command::Instructions => instructions::run(),
        Command::Converse(conversation) => conversation.hold(),
    }
}
