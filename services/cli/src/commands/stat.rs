//! `farref stat`: a daemon's sessions, references and calls.

use farref::CallError;
use farref::daemon_object::{DaemonInfo, DaemonStat};
use serde_json::{Value, json};

use crate::arguments::{Arguments, Stat};
use crate::client;
use crate::failure::{Exit, Failure};
use crate::output::{BOLD, DIM, NAME, Output, Table, age, micros, paint};

pub(crate) async fn run(
    arguments: &Arguments,
    stat: &Stat,
    output: &Output,
) -> Result<(), Failure> {
    let client = client::client(arguments)?;
    let (daemon, place) = client::daemon(&client, &stat.target.0).await?;
    let info = daemon.info().await?;
    let objects = daemon.registered().await?;
    let found = match daemon.stat().await {
        Ok(found) => Ok(found),
        Err(CallError::App(denied)) => {
            Err(Failure::new(Exit::Refused, "denied", denied.to_string()))
        }
        Err(CallError::Fault(fault)) => return Err(fault.into()),
    };
    if output.is_json() {
        output.value(&json!({
            "uri": place,
            "info": info,
            "objects": objects,
            "stat": found.as_ref().map_or(Value::Null, |found| json!(found)),
        }))?;
        return found.map(drop);
    }
    print_info(&info, &place.to_string(), output)?;
    if !objects.is_empty() {
        output.line("")?;
        let mut table = Table::new(&["OBJECT", "INTERFACE"]).style(0, NAME);
        for (name, interface) in objects {
            table.row([name, interface]);
        }
        table.print(output)?;
    }
    let found = found?;
    output.line("")?;
    print_sessions(&found, output)?;
    print_calls(&found, output)
}

fn print_info(info: &DaemonInfo, place: &str, output: &Output) -> Result<(), Failure> {
    output.line(format!(
        "{} {} {}",
        paint(BOLD, &info.name),
        paint(DIM, format!("farref {} at", info.version)),
        paint(NAME, place)
    ))?;
    let sessions = match info.sessions {
        1 => "1 session".to_owned(),
        count => format!("{count} sessions"),
    };
    output.line(format!(
        "up {}, {sessions}, {} failed oneways, speaks {}",
        age(info.uptime),
        info.failed_oneways,
        info.codecs.join(", ")
    ))
}

fn print_sessions(stat: &DaemonStat, output: &Output) -> Result<(), Failure> {
    let headings = [
        ">SESSION", "PEER", "NAME", ">AGE", ">SERVING", ">CALLING", ">EXPORTS", ">NAMES",
        ">IMPORTS", ">UNSENT",
    ];
    let mut table = Table::new(&headings).style(1, NAME);
    for session in &stat.sessions {
        table.row([
            session.number.to_string(),
            session.peer.clone(),
            session.name.clone(),
            age(session.age / 1_000_000),
            session.serving.to_string(),
            session.calls_out.to_string(),
            session.exports.to_string(),
            session.names.to_string(),
            session.imports.to_string(),
            session.unsent.to_string(),
        ]);
    }
    table.print(output)
}

fn print_calls(stat: &DaemonStat, output: &Output) -> Result<(), Failure> {
    let calls = stat
        .sessions
        .iter()
        .flat_map(|session| session.calls.iter().map(move |call| (session.number, call)));
    let mut table = Table::new(&[">SESSION", "CALL UNDER WAY", ">FOR", ">DEPTH"]).style(1, NAME);
    let mut is_empty = true;
    for (session, call) in calls {
        is_empty = false;
        table.row([
            session.to_string(),
            call.method.clone(),
            micros(call.age as f64),
            call.depth.to_string(),
        ]);
    }
    if !is_empty {
        output.line("")?;
        table.print(output)?;
    }
    if stat.waits.is_empty() {
        return Ok(());
    }
    output.line("")?;
    let mut table = Table::new(&["WAITS", "FOR"]).style(0, NAME).style(1, NAME);
    for wait in &stat.waits {
        table.row([wait.waiting.clone(), wait.holder.clone()]);
    }
    table.print(output)
}
