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
/// How many calls are made in each run that is timed: some tenths of a second's.
const TIMED_CALLS: u64 = 128_000;
/// How many runs of each kind are timed.
const ROUNDS: usize = 7;

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
        let together = per_call(kind, Stage::Shared, true, Counted::All)?;
        let client = per_call(kind, Stage::InTurns, true, Counted::Within("client_turn"))?;
        let server = per_call(kind, Stage::InTurns, true, Counted::Within("server_turn"))?;
        let mut row = vec![title.to_owned()];
        row.extend([together, client, server].map(|count| count.to_string()));
        rows.push(row);
    }
    let rows = table::lay_out(&rows, 1);
    let resuming = table::lay_out(&resuming()?, 1);
    let text = format!("{HEAD}\n{rows}\n{RESUMING}\n{resuming}");
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

const RESUMING: &str = "\
## What it costs that a session outlives its connection

The first column of above, and the same with a `linger` of zero on both sides, so that neither keeps what it has sent. Calls
a second are those of the same runtime without valgrind, the best of seven runs that took turns; they hold for the machine
that this was written on.
";

/// What it costs to keep what was sent: with it and without.
fn resuming() -> Result<Vec<Vec<String>>> {
    let head = [
        "",
        "instructions",
        "without",
        "more",
        "calls a second",
        "without",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (kind, title) in [
        (Kind::Single, "two-way, one at a time"),
        (Kind::Many, "two-way, 64 in flight"),
        (Kind::Oneway, "oneway"),
    ] {
        eprintln!("{title}, with and without resuming");
        let with = per_call(kind, Stage::Shared, true, Counted::All)?;
        let without = per_call(kind, Stage::Shared, false, Counted::All)?;
        let more = 100.0 * (with as f64 / without as f64 - 1.0);
        let mut best = [0.0_f64; 2];
        for _ in 0..ROUNDS {
            for (best, resumes) in best.iter_mut().zip([true, false]) {
                let conversation = Conversation {
                    kind,
                    stage: Stage::Shared,
                    calls: TIMED_CALLS,
                    resumes,
                };
                *best = best.max(conversation.rate()?);
            }
        }
        let [with_rate, without_rate] = best;
        rows.push(vec![
            title.to_owned(),
            with.to_string(),
            without.to_string(),
            format!("{more:.1} %"),
            format!("{with_rate:.0}"),
            format!("{without_rate:.0}"),
        ]);
    }
    Ok(rows)
}

/// The instructions of one call.
fn per_call(kind: Kind, stage: Stage, resumes: bool, counted: Counted) -> Result<u64> {
    let count = |kind, calls| {
        let conversation = Conversation {
            kind,
            stage,
            calls,
            resumes,
        };
        count(conversation, counted)
    };
    let short = count(kind, CALLS)?;
    let long = count(kind, 2 * CALLS)?;
    let mut difference = long.instructions.saturating_sub(short.instructions);
    if stage == Stage::InTurns {
        // As many turns with nothing to do, counted in the same way.
        let turns = long.turns.saturating_sub(short.turns);
        let few = count(Kind::Nothing, turns)?;
        let many = count(Kind::Nothing, 2 * turns)?;
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
fn count(conversation: Conversation, counted: Counted) -> Result<Count> {
    let output = std::env::temp_dir().join(format!("farref-callgrind-{}", std::process::id()));
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
