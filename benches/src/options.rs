//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::instructions::Conversation;
use crate::peers::{Errand, PeerName};
use crate::workload::Workload;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
What calls cost, beside hand-written tokio and other frameworks.

    cargo run --release -p farref-bench -- [COMMAND] [OPTIONS]

Without a command, workloads are compared. The commands are

    scale               many calls in flight and many connections, to benches/results
    instructions        instructions per call under valgrind, to benches/instructions.md

and the options

    --quick             fewer and shorter rounds: under three minutes once built
    --peers a,b         only these peers
    --workloads A,B     only these workloads: letters of A B C D E F H I J K M N
    --rounds N          how many rounds there are
    --json FILE         writes ratios and absolute figures there, too
    --help              prints this
";

/// How a comparison is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) peers: Vec<PeerName>,
    pub(crate) workloads: Vec<Workload>,
    pub(crate) rounds: usize,
    /// In how many rounds memory is measured: it is the same every time, and takes long.
    pub(crate) memory_rounds: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measure: Duration,
    pub(crate) json: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            peers: PeerName::ALL.to_vec(),
            workloads: Workload::ALL.to_vec(),
            rounds: 7,
            memory_rounds: 3,
            warm_up: Duration::from_millis(150),
            measure: Duration::from_millis(400),
            json: None,
        }
    }
}

impl Options {
    fn make_quick(&mut self) {
        self.rounds = 5;
        self.memory_rounds = 1;
        self.warm_up = Duration::from_millis(40);
        self.measure = Duration::from_millis(110);
    }
}

/// What this process is started for.
#[derive(Debug)]
pub(crate) enum Command {
    Compare(Options),
    Scale(Options),
    Instructions,
    Help,
    /// To be a server of this peer; for this program's own use.
    Serve(PeerName),
    /// To talk to itself while its instructions are counted; for this program's own use.
    Converse(Conversation),
    /// To do an errand; for this program's own use.
    Call(Box<Errand>),
}

/// Reads the arguments that follow the program's name.
pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Command> {
    let mut options = Options::default();
    let mut rounds = None;
    let mut scales = false;
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let next = arguments.next();
            next.with_context(|| format!("`{argument}` needs a value"))
        };
        match argument.as_str() {
            "serve" => return Ok(Command::Serve(PeerName::from_text(&value()?)?)),
            "call" => return Ok(Command::Call(serde_json::from_str(&value()?)?)),
            "converse" => return Ok(Command::Converse(serde_json::from_str(&value()?)?)),
            "instructions" => return Ok(Command::Instructions),
            "scale" => scales = true,
            "--help" | "-h" => return Ok(Command::Help),
            "--quick" => options.make_quick(),
            "--rounds" => rounds = Some(value()?.parse().context("`--rounds` needs a number")?),
            "--json" => options.json = Some(value()?.into()),
            "--peers" => options.peers = listed(&value()?, PeerName::from_text)?,
            "--workloads" => {
                options.workloads = listed(&value()?, |letter| {
                    Workload::from_letter(letter)
                        .with_context(|| format!("there is no workload `{letter}`"))
                })?;
            }
            other => bail!("`{other}` means nothing here; `--help` says what does"),
        }
    }
    if let Some(rounds) = rounds {
        ensure!(rounds > 0, "there has to be a round at least");
        options.rounds = rounds;
        options.memory_rounds = options.memory_rounds.min(rounds);
    }
    Ok(if scales {
        Command::Scale(options)
    } else {
        Command::Compare(options)
    })
}

/// A list with commas, in order and without repetitions.
fn listed<T: Ord>(text: &str, parse: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
    let mut list: Vec<T> = text
        .split(',')
        .map(|item| parse(item.trim()))
        .collect::<Result<_>>()?;
    list.sort_unstable();
    list.dedup();
    Ok(list)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]
mod tests {
    use super::*;

    fn options(text: &str) -> Result<Options> {
        match parse(text.split_whitespace().map(str::to_owned))? {
            Command::Compare(options) => Ok(options),
            other => bail!("{other:?}"),
        }
    }

    #[test]
    fn without_arguments_everything_is_measured() {
        assert_eq!(options("").unwrap(), Options::default());
    }

    #[test]
    fn lists_are_put_in_order() {
        let options = options("--workloads D,B,K,A --peers tarpc,farref").unwrap();
        assert_eq!(options.workloads, [Workload::A, Workload::B, Workload::D]);
        assert_eq!(options.peers, [PeerName::Farref, PeerName::Tarpc]);
    }

    #[test]
    fn rounds_hold_wherever_they_stand() {
        assert_eq!(options("--rounds 9 --quick").unwrap().rounds, 9);
        assert_eq!(options("--quick --rounds 1").unwrap().memory_rounds, 1);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "--rounds 0",
            "--rounds",
            "--workloads Q",
            "--peers x",
            "fast",
        ] {
            assert!(options(text).is_err(), "{text}");
        }
    }
}
