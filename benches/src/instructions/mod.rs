//! Instructions per call, counted by valgrind's callgrind: the same on every machine with the same build, so that a
//! change of a few per cent is seen where times only show noise.

mod conversation;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

pub(crate) use self::conversation::Conversation;
use self::conversation::{Kind, Stage};
use crate::table;

/// How many calls the shorter of two runs makes; the other makes twice as many, and start and end cancel out.
const CALLS: u64 = 6400;

/// Which instructions are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    All,
    /// Those of the functions whose names contain this.
    Within(&'static str),
}

/// Counts, prints the table, and writes it to `instructions.md`.
pub(crate) fn run() -> Result<()> {
    if !Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        bail!("counting instructions needs valgrind, which is not there");
    }
    let mut rows = vec![
        ["", "client and server", "client", "server"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (kind, title) in [
        (Kind::Single, "two-way, one at a time"),
        (Kind::Many, "two-way, 64 in flight"),
        (Kind::Oneway, "oneway"),
        (Kind::Stream, "item of a stream"),
        (Kind::Batch, "call of a batch of 800"),
    ] {
        eprintln!("{title}");
        let together = per_call(kind, Stage::Shared, Counted::All)?;
        let client = per_call(kind, Stage::InTurns, Counted::Within("client_turn"))?;
        let server = per_call(kind, Stage::InTurns, Counted::Within("server_turn"))?;
        let mut row = vec![title.to_owned()];
        row.extend([together, client, server].map(|count| count.to_string()));
        rows.push(row);
    }
    let text = format!("{HEAD}\n{}", table::lay_out(&rows, 1));
    print!("{text}");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("instructions.md");
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

const HEAD: &str = "\
# Instructions per call

Written by `cargo run --release -p farref-bench -- instructions`, which needs valgrind. A conversation in memory, of
`add(u32, u32) -> u32` or an empty handler of one number; the difference of two runs of which one is twice as long.

The first column has both sides in one single-threaded runtime. The others have a runtime for each side, which take turns
on one thread; what a turn costs in which nothing is to be done is subtracted. The two do not add up to the first: the
second runtime has to be woken by the first.
";

/// The instructions of one call.
fn per_call(kind: Kind, stage: Stage, counted: Counted) -> Result<u64> {
    let short = count(kind, stage, CALLS, counted)?;
    let long = count(kind, stage, 2 * CALLS, counted)?;
    let mut difference = long.instructions.saturating_sub(short.instructions);
    if stage == Stage::InTurns {
        // As many turns with nothing to do, counted in the same way.
        let turns = long.turns.saturating_sub(short.turns);
        let few = count(Kind::Nothing, stage, turns, counted)?;
        let many = count(Kind::Nothing, stage, 2 * turns, counted)?;
        difference = difference.saturating_sub(many.instructions.saturating_sub(few.instructions));
    }
    Ok(difference.div_ceil(CALLS))
}

/// What a conversation took.
#[derive(Debug)]
struct Count {
    instructions: u64,
    turns: u64,
}

/// Holds a conversation under callgrind.
fn count(kind: Kind, stage: Stage, calls: u64, counted: Counted) -> Result<Count> {
    let output = std::env::temp_dir().join(format!("farref-callgrind-{}", std::process::id()));
    let conversation = Conversation { kind, stage, calls };
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", output.display()));
    if let Counted::Within(function) = counted {
        command.arg(format!("--toggle-collect=*{function}*"));
    }
    let ended = command
        .arg(std::env::current_exe()?)
        .arg("converse")
        .arg(serde_json::to_string(&conversation)?)
        .stderr(Stdio::inherit())
        .output()?;
    let text = fs::read_to_string(&output);
    let _ = fs::remove_file(&output);
    if !ended.status.success() {
        bail!("the conversation failed under valgrind");
    }
    let turns = String::from_utf8(ended.stdout)?.trim().parse()?;
    Ok(Count {
        instructions: total(&text?).context("callgrind's output has no total")?,
        turns,
    })
}

/// The total in callgrind's output.
fn total(text: &str) -> Option<u64> {
    let of = |line: &str| {
        let total = line.strip_prefix("summary:")?;
        total.trim().parse().ok()
    };
    text.lines().find_map(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_found() {
        assert_eq!(total("events: Ir\nsummary: 12345\n"), Some(12345));
        assert_eq!(total("events: Ir\n"), None);
    }
}
