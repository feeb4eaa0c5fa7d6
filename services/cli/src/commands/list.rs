//! `farref list`: the names that a name server knows.

use farref::names::{Entry, MAX_PAGE, NamesProxy, Query};
use farref::signal::WhenSlow;
use serde_json::{Value, json};

use crate::arguments::{Arguments, List};
use crate::client;
use crate::commands::changes;
use crate::failure::Failure;
use crate::output::{DIM, NAME, Output, Table, grouped};

pub(crate) async fn run(
    arguments: &Arguments,
    list: &List,
    output: &Output,
) -> Result<(), Failure> {
    let client = client::client(arguments)?;
    let names = client.names().await?;
    let query = Query {
        prefix: list.prefix.clone().unwrap_or_default(),
        pattern: list.pattern.clone().unwrap_or_default(),
        all: list.tag.iter().cloned().collect(),
        any: list.any.iter().cloned().collect(),
    };
    // Subscribed before it is listed, so that nothing is missed in between.
    let changes = match list.watch {
        true => Some(
            names
                .changed()
                .subscribe_with(WhenSlow::Close, changes::MAX_WAITING)
                .await?,
        ),
        false => None,
    };
    let entries = all(&names, &query).await?;
    print(&entries, &query, output)?;
    match changes {
        Some(changes) => {
            let known = entries.iter().map(|entry| entry.epoch).collect();
            changes::print(changes, &query, known, list.count, output).await
        }
        None => Ok(()),
    }
}

/// All registrations that fit.
async fn all(names: &NamesProxy, query: &Query) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    let mut after = None;
    loop {
        let page = names.list(query.clone(), after, MAX_PAGE).await?;
        entries.extend(page.entries);
        after = page.next;
        if after.is_none() {
            return Ok(entries);
        }
    }
}

fn print(entries: &[Entry], query: &Query, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.value(&entries.iter().map(entry_json).collect());
    }
    if entries.is_empty() {
        output.remark(match *query == Query::default() {
            true => "no names yet; `farref register NAME URI` makes one",
            false => "no name fits",
        });
        return Ok(());
    }
    table(entries).print(output)?;
    if entries.len() > 20 {
        let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        output.remark(&format!("{} names", grouped(count)));
    }
    Ok(())
}

/// Entries as people read them.
pub(crate) fn table(entries: &[Entry]) -> Table {
    let mut table = Table::new(&["NAME", "URI", "TAGS", "LEASE", ">EPOCH", ">LOAD"])
        .style(0, NAME)
        .style(3, DIM)
        .style(4, DIM)
        .style(5, DIM);
    for entry in entries {
        let tags: Vec<_> = entry.tags.iter().map(String::as_str).collect();
        table.row([
            entry.name.clone(),
            entry.uri.to_string(),
            tags.join(","),
            entry
                .lease
                .map_or_else(String::new, |lease| format!("{lease} s")),
            entry.epoch.to_string(),
            entry.load.to_string(),
        ]);
    }
    table
}

/// An entry as programs read it.
pub(crate) fn entry_json(entry: &Entry) -> Value {
    json!(entry)
}
