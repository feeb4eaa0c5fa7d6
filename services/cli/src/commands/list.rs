//! `farref list`: the names that a name server knows.

use farref::names::{Entry, MAX_PAGE, Query};
use serde_json::{Value, json};

use crate::arguments::{Arguments, List};
use crate::client;
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
    let is_everything = query == Query::default();
    let mut entries = Vec::new();
    let mut after = None;
    loop {
        let page = names.list(query.clone(), after, MAX_PAGE).await?;
        entries.extend(page.entries);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if output.is_json() {
        return output.value(&entries.iter().map(entry_json).collect());
    }
    if entries.is_empty() {
        output.remark(match is_everything {
            true => "no names yet; `farref register NAME URI` makes one",
            false => "no name fits",
        });
        return Ok(());
    }
    table(&entries).print(output)?;
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
