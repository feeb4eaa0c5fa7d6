//! `farref completions` and `farref man`: what a shell and `man` want to know.

use clap::CommandFactory as _;
use serde_json::{Map, json};

use crate::arguments::{Arguments, Completions, Man};
use crate::failure::{Exit, Failure};
use crate::output::{NAME, Output, paint};

pub(crate) fn completions(completions: &Completions, output: &Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    let mut command = Arguments::command();
    clap_complete::generate(completions.shell, &mut command, "farref", &mut script);
    let script = String::from_utf8_lossy(&script);
    match output.is_json() {
        true => output.value(&json!({
            "shell": completions.shell.to_string(),
            "script": script,
        })),
        false => output.line(script.trim_end()),
    }
}

pub(crate) fn pages(man: &Man, output: &Output) -> Result<(), Failure> {
    let mut command = Arguments::command();
    command.build();
    let Some(folder) = &man.dir else {
        let page = page(&command)?;
        return match output.is_json() {
            true => output.value(&json!({ "farref.1": page })),
            false => output.line(page.trim_end()),
        };
    };
    std::fs::create_dir_all(folder)
        .map_err(|error| unwritable(&folder.display().to_string(), &error))?;
    let mut written = Map::new();
    let commands = command
        .get_subcommands()
        .filter(|command| command.get_name() != "help");
    for command in std::iter::once(&command).chain(commands) {
        let name = match command.get_name() {
            "farref" => "farref.1".to_owned(),
            name => format!("farref-{name}.1"),
        };
        let path = folder.join(&name);
        let page = page(command)?;
        std::fs::write(&path, page)
            .map_err(|error| unwritable(&path.display().to_string(), &error))?;
        if !output.is_json() {
            output.line(paint(NAME, path.display().to_string()))?;
        }
        written.insert(name, path.display().to_string().into());
    }
    match output.is_json() {
        true => output.value(&written.into()),
        false => Ok(()),
    }
}

fn page(command: &clap::Command) -> Result<String, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

fn unwritable(path: &str, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, "io", format!("cannot write {path}: {error}"))
}
