//! What went wrong, in a message that says what to do, and an exit code.

use std::fmt;
use std::io;
use std::process::ExitCode;

use farref::names::NamesError;
use farref::{CallError, Fault, FaultKind, Outcome, UriError};
use serde_json::{Value, json};

use crate::output::Output;

/// How a command can end; `--help` documents the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The method ran and returned its own error.
    App = 1,
    /// What was written makes no sense.
    Usage = 2,
    /// Nobody answered.
    Unreachable = 3,
    /// There is no such object or name.
    NotFound = 4,
    /// Who answered does not let this caller in.
    Refused = 5,
    /// The name belongs to somebody else.
    Taken = 6,
    /// It took too long.
    TimedOut = 7,
    /// Anything else.
    Failed = 8,
}

/// The exit codes as `--help` shows them.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  it worked
  1  the method ran and returned its own error
  2  what was written makes no sense: options, a URI, a method, its arguments
  3  nobody could be reached, or the session was lost
  4  there is no such object, name or method's owner
  5  refused: a token or a permission is missing
  6  the name belongs to somebody else
  7  it took too long
  8  anything else";

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    /// One word for programs.
    kind: String,
    message: String,
    hint: Option<String>,
    outcome: Option<Outcome>,
    /// The method's own error.
    value: Option<Box<Value>>,
    /// Whoever reads the output has gone, and nobody is to be told.
    is_silent: bool,
}

impl Failure {
    pub(crate) fn new(exit: Exit, kind: &str, message: impl Into<String>) -> Self {
        Failure {
            exit,
            kind: kind.to_owned(),
            message: message.into(),
            hint: None,
            outcome: None,
            value: None,
            is_silent: false,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure::new(Exit::Usage, "usage", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Failure::new(Exit::NotFound, "not-found", message)
    }

    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Tells the user, and returns the exit code.
    pub(crate) fn report(&self, output: &Output) -> ExitCode {
        if self.is_silent {
            return ExitCode::SUCCESS;
        }
        if output.is_json() {
            let mut error = json!({
                "kind": self.kind,
                "message": self.message,
                "exit": self.exit as u8,
            });
            if let Some(hint) = &self.hint {
                error["hint"] = hint.as_str().into();
            }
            if let Some(outcome) = self.outcome {
                error["outcome"] = format!("{outcome:?}").into();
            }
            if let Some(value) = &self.value {
                error["value"] = (**value).clone();
            }
            output.error(&json!({ "error": error }).to_string());
        } else {
            output.error(&output.styled_error(&self.message));
            if let Some(hint) = &self.hint {
                output.error(&output.styled_hint(hint));
            }
        }
        ExitCode::from(self.exit as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let (exit, hint) = match fault.kind() {
            FaultKind::ConnectFailed => (
                Exit::Unreachable,
                Some(
                    "is the program running, and is this its address? `farref list` shows what has a name",
                ),
            ),
            FaultKind::SessionLost | FaultKind::ShuttingDown | FaultKind::StaleReference => {
                (Exit::Unreachable, None)
            }
            FaultKind::NoSuchObject => (
                Exit::NotFound,
                Some("`farref lookup far://HOST:PORT` lists the objects of a daemon"),
            ),
            FaultKind::NoSuchMethod => (
                Exit::Usage,
                Some("`farref describe TARGET` shows the methods"),
            ),
            FaultKind::BadArguments => (
                Exit::Usage,
                Some("`farref describe TARGET METHOD` shows what it takes"),
            ),
            FaultKind::InvalidUri | FaultKind::Misuse => (Exit::Usage, None),
            FaultKind::Refused => (
                Exit::Refused,
                Some("give the shared secret with --token or in FARREF_TOKEN"),
            ),
            FaultKind::DeadlineExceeded => (
                Exit::TimedOut,
                Some("--timeout SECONDS lets it take longer"),
            ),
            _ => (Exit::Failed, None),
        };
        // The message may give the advice itself.
        let hint = hint.filter(|_| !fault.message().contains("`farref "));
        Failure {
            hint: hint.map(str::to_owned),
            outcome: Some(fault.outcome()),
            ..Failure::new(
                exit,
                &kebab(&format!("{:?}", fault.kind())),
                fault.message(),
            )
        }
    }
}

impl From<CallError<Value>> for Failure {
    fn from(error: CallError<Value>) -> Self {
        match error {
            CallError::App(value) => Failure {
                outcome: Some(Outcome::Ran),
                value: Some(Box::new(value.clone())),
                ..Failure::new(
                    Exit::App,
                    "app",
                    format!("the method returned an error: {value}"),
                )
            },
            CallError::Fault(fault) => fault.into(),
        }
    }
}

impl From<CallError<NamesError>> for Failure {
    fn from(error: CallError<NamesError>) -> Self {
        let error = match error {
            CallError::App(error) => error,
            CallError::Fault(fault) => return fault.into(),
        };
        let (exit, kind, hint) = match &error {
            NamesError::Taken { .. } => (
                Exit::Taken,
                "taken",
                Some("--replace takes it away from there, --join shares it"),
            ),
            NamesError::Fenced { .. } => (Exit::Taken, "fenced", None),
            NamesError::Unknown(_) => (
                Exit::NotFound,
                "not-found",
                Some("`farref list` shows what there is"),
            ),
            NamesError::Invalid(_) => (Exit::Usage, "invalid", None),
            NamesError::Full(_) => (Exit::Failed, "full", None),
            NamesError::Store(_) => (Exit::Failed, "store", None),
        };
        Failure {
            hint: hint.map(str::to_owned),
            ..Failure::new(exit, kind, error.to_string())
        }
    }
}

impl From<UriError> for Failure {
    fn from(error: UriError) -> Self {
        Failure::usage(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure {
            is_silent: error.kind() == io::ErrorKind::BrokenPipe,
            ..Failure::new(Exit::Failed, "io", error.to_string())
        }
    }
}

/// `NoSuchObject` as `no-such-object`.
fn kebab(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for (place, character) in name.char_indices() {
        if character.is_ascii_uppercase() && place > 0 {
            text.push('-');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}
