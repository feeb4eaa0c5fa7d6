//! What can be written on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use farref::Uri;

use crate::failure::EXIT_CODES;

const ABOUT: &str = "See and call objects of any farref program";

/// The heading of options that every command has.
const ANYWHERE: &str = "Options of every command";

const LONG_ABOUT: &str = "\
See and call objects of any farref program, found by address, by name or by tags. No trait is needed: \
objects say themselves what they are.

Wherever a TARGET is asked for, write one of
  NAME or farname:NAME           whatever has this name at the name server
  farmeta:TAG,TAG                any object that has all of these tags
  far://HOST:PORT/OBJECT         an object at a daemon; without OBJECT the daemon itself
  far+unix:/PATH/TO.SOCK#OBJECT  the same at a Unix socket";

/// See and call objects of any farref program.
#[derive(Debug, Parser)]
#[command(name = "farref", version, about = ABOUT, long_about = LONG_ABOUT, after_long_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Print JSON: one document, or one line for each thing that comes
    #[arg(long, global = true, help_heading = ANYWHERE)]
    pub(crate) json: bool,

    /// The name server: HOST, HOST:PORT, a URI, or beacon:ADDRESS:PORT; by default the one that
    /// FARREF_NAME_SERVER says, then the one on this machine, then the first on the network that answers
    #[arg(long = "ns", value_name = "WHERE", global = true, help_heading = ANYWHERE)]
    pub(crate) name_server: Option<String>,

    /// The secret that this command shares with those it talks to
    #[arg(long, env = "FARREF_TOKEN", hide_env_values = true, global = true, help_heading = ANYWHERE)]
    pub(crate) token: Option<String>,

    /// How long connecting and each call may take, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, global = true, help_heading = ANYWHERE)]
    pub(crate) timeout: Option<Duration>,

    /// When to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true, help_heading = ANYWHERE)]
    pub(crate) color: Color,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Color {
    /// Where a terminal shows them, and NO_COLOR is not set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    pub(crate) fn apply(self) {
        match self {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a name server
    Ns(Ns),
    /// List the names that the name server knows
    List(List),
    /// Show where a name or tags lead, or what a daemon has
    Lookup(Lookup),
    /// Give an object a name
    Register(Register),
    /// Take a name away
    Remove(Remove),
    /// Add tags to a name, or take them away
    Tag(Tag),
    /// Show the methods of an object, with their types and documentation
    Describe(Describe),
    /// Call a method, or read or write an attribute
    Call(Call),
    /// Print what a signal tells, as it comes
    Watch(Watch),
    /// Measure how long a daemon takes to answer, and how far its clock is
    Ping(Ping),
    /// Show a daemon's sessions, references and calls
    Stat(Stat),
    /// Call a method as often as possible and show how long that takes
    Bench(Bench),
    /// Print a script that completes this command in a shell
    Completions(Completions),
    /// Print the manual page, or write those of all commands to a folder
    Man(Man),
}

#[derive(Args, Debug)]
pub(crate) struct Ns {
    /// Where to listen, as a URI; may be repeated. The default is what FARREF_NAME_SERVER says, or
    /// far://127.0.0.1:13277
    #[arg(long, value_name = "URI")]
    pub(crate) listen: Vec<Uri>,
    /// The file that keeps the names; the default is farref/names.redb in the user's folder for data
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// Keep the names in memory only
    #[arg(long, conflicts_with = "file")]
    pub(crate) volatile: bool,
    /// The host, and maybe the port, by which others reach it, if they are not those where it listens
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) advertise: Option<String>,
    /// Where to answer those who look for a name server, by UDP; the default is the port of the name server, if other
    /// machines reach it
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) beacon: Option<SocketAddr>,
    /// Answer nobody who looks for a name server
    #[arg(long, conflicts_with = "beacon")]
    pub(crate) no_beacon: bool,
    /// Ask daemons that have names so often whether they are there, and take the names of the dead away
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) cleanup: Option<Duration>,
    /// How many names there may be
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
    pub(crate) max_entries: usize,
    /// How many connections may be open at once
    #[arg(long, value_name = "COUNT", default_value_t = 1024)]
    pub(crate) max_connections: usize,
    /// Listen where other machines reach it although there is no token
    #[arg(long)]
    pub(crate) insecure_public: bool,
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Names that look like this: `*` stands for any characters, `?` for one
    pub(crate) pattern: Option<String>,
    /// Names that begin like this
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    /// Names that have this tag; may be repeated, and all must be there
    #[arg(long, short, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// Names that have this tag; may be repeated, and one must be there
    #[arg(long, value_name = "TAG")]
    pub(crate) any: Vec<String>,
    /// Then print what changes, as it happens: with --json, a line each
    #[arg(long, short)]
    pub(crate) watch: bool,
    /// After how many changes to end
    #[arg(long, short = 'n', requires = "watch")]
    pub(crate) count: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct Lookup {
    /// A name, a URI, or the address of a daemon whose objects are to be listed
    pub(crate) target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct Register {
    /// The name
    pub(crate) name: String,
    /// Where the object is
    pub(crate) uri: Uri,
    /// A tag; may be repeated
    #[arg(long, short, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// Take the name away from whoever has it
    #[arg(long)]
    pub(crate) replace: bool,
    /// Share the name with whoever has it
    #[arg(long, conflicts_with = "replace")]
    pub(crate) join: bool,
    /// After how many seconds the name ends; the default is never
    #[arg(long, value_name = "SECONDS")]
    pub(crate) lease: Option<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct Remove {
    /// The name
    pub(crate) name: String,
    /// Only the registration of this epoch
    #[arg(long)]
    pub(crate) epoch: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct Tag {
    /// The name
    pub(crate) name: String,
    /// A tag to add; may be repeated
    #[arg(long, value_name = "TAG")]
    pub(crate) add: Vec<String>,
    /// A tag to take away; may be repeated
    #[arg(long, value_name = "TAG")]
    pub(crate) remove: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Describe {
    /// The object
    pub(crate) target: Target,
    /// One of its methods
    pub(crate) method: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Call {
    /// The object
    pub(crate) target: Target,
    /// The method; ATTRIBUTE reads an attribute, and ATTRIBUTE=VALUE writes it
    pub(crate) method: String,
    /// Its arguments: one JSON object or array of them all, or a JSON value for each in order, or NAME=VALUE for
    /// each. Where text is expected its quotes may be left out
    #[arg(allow_negative_numbers = true)]
    pub(crate) arguments: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Watch {
    /// The object
    pub(crate) target: Target,
    /// The signal
    pub(crate) signal: String,
    /// After how many to end
    #[arg(long, short = 'n')]
    pub(crate) count: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct Ping {
    /// The daemon, or one of its objects
    pub(crate) target: Target,
    /// How often to ask
    #[arg(long, short = 'n', default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: u32,
    /// How long to wait in between, in seconds
    #[arg(long, short, value_name = "SECONDS", default_value = "0.1", value_parser = seconds)]
    pub(crate) interval: Duration,
}

#[derive(Args, Debug)]
pub(crate) struct Stat {
    /// The daemon, or one of its objects
    pub(crate) target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// The object
    pub(crate) target: Target,
    /// The method
    pub(crate) method: String,
    /// Its arguments, as for `call`
    #[arg(allow_negative_numbers = true)]
    pub(crate) arguments: Vec<String>,
    /// How many calls are under way at once
    #[arg(long, short, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) concurrency: u32,
    /// How many connections they share
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) connections: u32,
    /// For how long to call, in seconds
    #[arg(long, short, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) duration: Duration,
    /// How many calls to make at most
    #[arg(long, short = 'n')]
    pub(crate) count: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: Shell,
}

#[derive(Args, Debug)]
pub(crate) struct Man {
    /// The folder to write all pages to
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
}

/// An object: by its URI, or by its name alone.
#[derive(Clone, Debug)]
pub(crate) struct Target(pub(crate) Uri);

impl std::str::FromStr for Target {
    type Err = farref::UriError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.contains(':') {
            true => text.parse().map(Target),
            false => Uri::named(text).map(Target),
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "write a number of seconds, such as 2.5".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
