//! The README's tour, run exactly as it is printed.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Place, Program};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The commands of the tour.
fn commands() -> Vec<String> {
    let readme = std::fs::read_to_string(workspace().join("README.md")).unwrap();
    let blocks = readme.split("```console\n").skip(1);
    let mut blocks = blocks.filter_map(|rest| Some(rest.split_once("```")?.0));
    let tour = blocks.find(|block| block.contains("-- ns")).unwrap();
    let commands = tour.lines().map(|line| line.strip_prefix("$ ").unwrap());
    commands.map(str::to_owned).collect()
}

/// A command of the tour in a shell, with a name server and a folder for data of its own.
fn shell(place: &Place, command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell
        .current_dir(workspace())
        // So that what is started is what is stopped.
        .args(["-c", &format!("exec {command}")])
        .env("FARREF_NAME_SERVER", &place.name_server)
        .env("XDG_DATA_HOME", place.folder.path());
    shell
}

#[test]
fn the_tour_of_the_readme_works_as_printed() {
    let place = Place::new();
    let commands = commands();
    let [ns, server, client, call] = commands.as_slice() else {
        panic!("the tour has four commands: {commands:?}");
    };
    // What is built on the way may take longer than a line of a program that runs.
    for build in [
        &["build", "-p", "farref-cli"][..],
        &[
            "build",
            "--example",
            "jukebox_server",
            "--example",
            "jukebox_client",
        ],
    ] {
        let mut cargo = Command::new(env!("CARGO"));
        assert!(
            cargo
                .current_dir(workspace())
                .args(build)
                .status()
                .unwrap()
                .success()
        );
    }
    let ns = Program::start(shell(&place, ns));
    assert_eq!(ns.line(), format!("name server at {}", place.name_server));
    let server = Program::start(shell(&place, server));
    assert!(server.line().starts_with("far://127.0.0.1:"));

    let output = shell(&place, client).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("loudness:"),
        "{said}"
    );
    let output = shell(&place, call).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(
        said.trim().parse::<u32>().is_ok_and(|tracks| tracks > 0),
        "{said}"
    );
    assert!(server.stop());
    assert!(ns.stop());
}
