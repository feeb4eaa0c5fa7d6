//! A guessing game without async: the server asks the player questions, on the player's own thread.
//!
//! ```console
//! $ cargo run --example blocking                                        # a game in one process
//! $ cargo run --example blocking server far://127.0.0.1:9997            # a host for games, until it is killed
//! $ cargo run --example blocking client far://127.0.0.1:9997/game 42    # plays with this number in mind
//! ```
//!
//! There is no `async`, no `.await` and no runtime to set up. A call has a method `wait`. While `main` waits for its game
//! to end, it answers the questions that the game brings about, so the player needs no lock and no thread of its own.

use std::cell::Cell;

use anyhow::Context;
use farref::blocking;
use farref::prelude::*;

/// Finds out numbers.
#[expose]
pub trait Game {
    /// Asks `player` until its number is known, and returns it.
    #[blocking]
    fn play(&self, player: PlayerProxy) -> Result<u32, Cheated>;
}

/// Implemented by clients, asked by the game. `local`, so that an object may stay on the thread that makes it.
#[expose(local)]
pub trait Player {
    /// Whether its number is greater than this one.
    fn is_more_than(&self, guess: u32) -> bool;
}

/// The player did not answer, or is gone.
#[derive(Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("the player does not play fair: {0}")]
pub struct Cheated(String);

/// Numbers are below this one.
const LIMIT: u32 = 128;

struct Host;

impl Game for Host {
    // `#[blocking]` in the trait: this runs on a thread of its own and may wait.
    fn play(&self, player: PlayerProxy) -> Result<u32, Cheated> {
        let (mut from, mut to) = (0, LIMIT);
        while to - from > 1 {
            let guess = from + (to - from) / 2 - 1;
            let answer = player.is_more_than(guess).wait();
            match answer.map_err(|fault| Cheated(fault.to_string()))? {
                true => from = guess + 1,
                false => to = guess + 1,
            }
        }
        Ok(from)
    }
}

/// A player that stays on its thread: a `Cell` is all that it takes to count.
struct Thinker {
    number: u32,
    asked: Cell<u32>,
}

impl LocalPlayer for Thinker {
    fn is_more_than(&self, guess: u32) -> bool {
        self.asked.set(self.asked.get() + 1);
        let answer = self.number > guess;
        let said = if answer { "yes" } else { "no" };
        println!("{}. more than {guess}? {said}", self.asked.get());
        answer
    }
}

fn serve(uri: &str) -> anyhow::Result<(Daemon, Uri)> {
    let daemon = blocking::bind(uri)?;
    let uri = daemon.register("game", GameProxy::new(Host))?;
    Ok((daemon, uri))
}

fn play(uri: &str, number: u32) -> anyhow::Result<()> {
    anyhow::ensure!(number < LIMIT, "think of a number below {LIMIT}");
    let game: GameProxy = blocking::connect(uri)?;
    let thinker = Thinker {
        number,
        asked: Cell::new(0),
    };
    // The questions are answered here, while this waits.
    let found = game.play(PlayerProxy::pinned(thinker)).wait()?;
    println!("it is {found}");
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => {
            let (daemon, uri) = serve("far://127.0.0.1:0")?;
            play(&uri.to_string(), 42)?;
            blocking::wait(daemon.shutdown(Shutdown::default()))?;
        }
        ["server"] => run("far://127.0.0.1:0")?,
        ["server", uri] => run(uri)?,
        ["client", uri, number] => play(uri, number.parse().context("the number")?)?,
        _ => anyhow::bail!("say `server [URI]`, or `client URI NUMBER`, or nothing"),
    }
    Ok(())
}

/// Serves until the process is killed.
fn run(uri: &str) -> anyhow::Result<()> {
    let (daemon, uri) = serve(uri)?;
    println!("{uri}");
    blocking::wait(daemon.stopped())?;
    Ok(())
}
