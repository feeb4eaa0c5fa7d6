//! What the tests share: programs that run, and what `farref` printed.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::Value;

/// How long anything may take: far longer than it does, so that a test that fails still ends.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A program that runs, killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
}

impl Program {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Program { child, lines }
    }

    /// The next line that it prints.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    /// The lines that it has printed since.
    pub(crate) fn waiting(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    /// Waits until it ends by itself, and returns whether it ended well.
    pub(crate) fn ends(mut self) -> bool {
        self.child.wait().unwrap().success()
    }

    /// Kills it so that it can do nothing about it.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and returns whether it ended well.
    pub(crate) fn stop(mut self) -> bool {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(asked.success());
        self.child.wait().unwrap().success()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A place of its own for a test: a folder, and the name server that its commands use.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) name_server: String,
}

impl Place {
    /// With a name server that is not running yet, at a Unix socket.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("names.sock");
        Place {
            name_server: format!("far+unix:{}", socket.display()),
            folder,
        }
    }

    /// With a name server that runs, in memory.
    pub(crate) fn with_names() -> (Self, Program) {
        let place = Place::new();
        let program = place.ns(&["--volatile"]);
        (place, program)
    }

    /// A name server at this place, which has said that it is there.
    pub(crate) fn ns(&self, arguments: &[&str]) -> Program {
        let mut command = self.command();
        command.args(["ns", "--json"]).args(arguments);
        let program = Program::start(command);
        let said: Value = serde_json::from_str(&program.line()).unwrap();
        assert_eq!(said["uris"][0], self.name_server);
        program
    }

    /// The command, with an environment of its own.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_farref"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("FARREF_NAME_SERVER", &self.name_server);
        command
    }

    /// Runs `farref` with these arguments.
    pub(crate) fn farref<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> assert_cmd::assert::Assert {
        let mut command = assert_cmd::Command::from_std(self.command());
        command.timeout(PATIENCE).args(arguments).assert()
    }

    /// What it prints when it works.
    pub(crate) fn prints<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> String {
        let assert = self.farref(arguments).success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    }

    /// What it prints as JSON when it works.
    pub(crate) fn json<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Value {
        let arguments = arguments
            .into_iter()
            .map(|argument| argument.as_ref().to_owned());
        let text = self.prints(std::iter::once("--json".into()).chain(arguments));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// What it says when it fails with this exit code: for people, and for programs.
    pub(crate) fn fails(&self, code: i32, arguments: &[&str]) -> (String, Value) {
        let said = |arguments: Vec<&str>| {
            let assert = self.farref(arguments).code(code);
            String::from_utf8(assert.get_output().stderr.clone()).unwrap()
        };
        let human = said(arguments.to_vec());
        let json = said([&["--json"], arguments].concat());
        let json: Value =
            serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
        assert_eq!(json["error"]["exit"], code);
        (human, json["error"].clone())
    }

    /// The server of `examples/demo.rs`, and the URI of its object.
    pub(crate) fn demo(&self, arguments: &[&str]) -> (Program, String) {
        self.demo_with(arguments, &[])
    }

    pub(crate) fn demo_with(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> (Program, String) {
        let mut command = Command::new(demo());
        command
            .env("FARREF_NAME_SERVER", &self.name_server)
            .envs(environment.iter().copied())
            .arg("far://127.0.0.1:0")
            .args(arguments);
        let program = Program::start(command);
        let uri = program.line();
        (program, uri)
    }
}

/// The program of `examples/demo.rs`, which cargo builds with these tests.
fn demo() -> PathBuf {
    let farref = PathBuf::from(env!("CARGO_BIN_EXE_farref"));
    let demo = farref.parent().unwrap().join("examples/demo");
    assert!(
        demo.exists(),
        "`cargo test -p farref-cli` builds it, `--test cli` alone does not"
    );
    demo
}

/// The cells of a line, by its columns.
pub(crate) fn cells(line: &str) -> Vec<&str> {
    line.split("  ")
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect()
}
