//! What `farref list --watch` prints after the list: what changes, as it happens.

use std::collections::HashSet;

use anstyle::{AnsiColor, Style};
use farref::names::{Changed, Happened, Query};
use farref::signal::{Ended, Subscription};
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::output::{DIM, GOOD, NAME, Output, WRONG, paint};

/// How much may wait to be printed. Who reads more slowly than names change is told so, and may list again.
pub(crate) const MAX_WAITING: usize = 4096;

/// Prints what happens to those that fit a query, or that did when they were last heard of: their epochs are `known`.
pub(crate) async fn print(
    mut changes: Subscription<Changed>,
    query: &Query,
    mut known: HashSet<u64>,
    count: Option<u64>,
    output: &Output,
) -> Result<(), Failure> {
    output.remark("watching; ctrl-c ends it");
    let mut left = count.unwrap_or(u64::MAX);
    let mut last = None;
    while left > 0 {
        let change = changes.next().await.map_err(ended)?;
        if last.is_some_and(|last| last + 1 != change.number) {
            return Err(missed());
        }
        last = Some(change.number);
        let (fits, epoch) = (query.fits(&change.entry), change.entry.epoch);
        let (stays, was_known) = match change.what {
            Happened::Registered | Happened::Tagged if fits => (true, !known.insert(epoch)),
            _ => (false, known.remove(&epoch)),
        };
        let is_listed = was_known && change.what == Happened::Registered;
        if is_listed || !(stays || was_known) {
            continue;
        }
        match output.is_json() {
            true => output.value(&json!(*change))?,
            false => output.line(line(&change))?,
        }
        left -= 1;
    }
    Ok(())
}

/// A change as people read it.
fn line(change: &Changed) -> String {
    const CAUTION: Style = AnsiColor::Yellow.on_default();
    let (word, style) = match change.what {
        Happened::Registered => ("registered", GOOD),
        Happened::Tagged => ("tagged", CAUTION),
        Happened::Replaced => ("replaced", CAUTION),
        Happened::Removed => ("removed", WRONG),
        Happened::Expired => ("expired", WRONG),
    };
    let entry = &change.entry;
    let tags: Vec<_> = entry.tags.iter().map(String::as_str).collect();
    let mut line = format!(
        "{}  {}  {}",
        paint(style, format!("{word:<10}")),
        paint(NAME, &entry.name),
        entry.uri,
    );
    if !tags.is_empty() {
        line += &format!("  {}", tags.join(","));
    }
    let owner = match change.owner {
        Some(owner) if owner != entry.epoch => format!("epoch {}, of {owner} now", entry.epoch),
        _ => format!("epoch {}", entry.epoch),
    };
    line + &format!("  {}", paint(DIM, owner))
}

fn ended(ended: Ended) -> Failure {
    match ended {
        Ended::Lost(fault) => fault.into(),
        Ended::TooSlow => missed(),
        ended => Failure::new(Exit::Unreachable, "disconnected", ended.to_string()),
    }
}

fn missed() -> Failure {
    Failure::new(
        Exit::Failed,
        "missed",
        "names changed faster than this command was told of it",
    )
    .with_hint("begin again to see what there is now")
}
