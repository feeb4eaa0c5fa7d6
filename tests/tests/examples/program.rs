//! Programs that run, and the lines that they print.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// How long a line may take: far longer than any does, so that a test that fails still ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// The examples' programs by name, built once with what the tests themselves are built with.
fn examples() -> &'static HashMap<String, PathBuf> {
    static EXAMPLES: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    EXAMPLES.get_or_init(|| {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut build = Command::new(env!("CARGO"));
        build
            .current_dir(workspace)
            .args(["build", "--examples", "--message-format=json"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let built = build.stderr(Stdio::inherit()).output().expect("cargo runs");
        assert!(built.status.success(), "the examples do not build");
        let messages = built.stdout.split(|byte| *byte == b'\n');
        let messages = messages.filter_map(|line| serde_json::from_slice(line).ok());
        messages
            .filter_map(|message| executable(&message))
            .collect()
    })
}

/// The name and the path of the program that a message of cargo speaks of.
fn executable(message: &serde_json::Value) -> Option<(String, PathBuf)> {
    let name = message.pointer("/target/name")?.as_str()?;
    let path = message.get("executable")?.as_str()?;
    Some((name.to_owned(), path.into()))
}

/// A program that runs, killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Program {
    pub(crate) fn start(example: &str, arguments: &[&str]) -> Self {
        let program = examples().get(example).expect("there is such an example");
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let output = BufReader::new(child.stdout.take().expect("its output is piped"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Program {
            input: child.stdin.take(),
            child,
            lines,
        }
    }

    /// Runs an example to its end, and returns what it printed.
    pub(crate) fn run(example: &str, arguments: &[&str]) -> Vec<String> {
        let program = Program::start(example, arguments);
        let mut lines = Vec::new();
        while let Some(line) = program.next_line() {
            lines.push(line);
        }
        let status = program.wait();
        assert!(
            status.success(),
            "{example} {arguments:?} ended with {status} after {lines:#?}"
        );
        lines
    }

    /// Runs an example that ends with an error.
    pub(crate) fn fail(example: &str, arguments: &[&str]) {
        let status = Program::start(example, arguments).wait();
        assert!(!status.success(), "{example} {arguments:?} did not fail");
    }

    /// The next line that it prints; `None` at the end of its output.
    pub(crate) fn next_line(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the program prints nothing"),
        }
    }

    /// Waits until it prints this line.
    #[track_caller]
    pub(crate) fn expect(&self, expected: &str) {
        let mut seen = Vec::new();
        while let Some(line) = self.next_line() {
            if line == expected {
                return;
            }
            seen.push(line);
        }
        panic!("the program ended without printing `{expected}`; it printed {seen:#?}");
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input is open");
        writeln!(input, "{line}").expect("it reads its input");
    }

    /// Asks it to stop, as ctrl-c does.
    pub(crate) fn interrupt(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-INT", &id])
            .status()
            .expect("`kill` is there");
        assert!(sent.success());
    }

    /// Ends it without a chance to say goodbye.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ended");
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
