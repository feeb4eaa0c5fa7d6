//! `farref lookup`: where a name or tags lead, or what a daemon has.

use serde_json::{Value, json};

use crate::arguments::{Arguments, Lookup};
use crate::client;
use crate::commands::list;
use crate::failure::Failure;
use crate::output::{NAME, Output, Table};
use farref::names::MAX_PAGE;

pub(crate) async fn run(
    arguments: &Arguments,
    lookup: &Lookup,
    output: &Output,
) -> Result<(), Failure> {
    let client = client::client(arguments)?;
    let uri = &lookup.target.0;
    if uri.address().is_some() {
        return at_daemon(&client, uri, output).await;
    }
    let names = client::names(&client, Some(uri)).await?;
    let entries = match (uri.name(), uri.tags()) {
        (Some(name), _) => names.lookup(name).await?,
        (_, Some(tags)) => names.sample(tags.clone(), MAX_PAGE).await?,
        _ => Vec::new(),
    };
    if entries.is_empty() {
        return Err(client::nobody(uri));
    }
    match output.is_json() {
        true => output.value(&entries.iter().map(list::entry_json).collect()),
        false => list::table(&entries).print(output),
    }
}

/// Asks a daemon itself, without a name server.
async fn at_daemon(
    client: &farref::Client,
    uri: &farref::Uri,
    output: &Output,
) -> Result<(), Failure> {
    let (daemon, place) = client::daemon(client, uri).await?;
    let mut objects = daemon.registered().await?;
    if let Some(object) = uri.object() {
        objects.retain(|name, _| name == object);
        if objects.is_empty() {
            return Err(
                Failure::not_found(format!("{place} has no object named `{object}`"))
                    .with_hint(format!("`farref lookup {place}` lists those that it has")),
            );
        }
    }
    if output.is_json() {
        let objects = objects.iter().map(|(name, interface)| {
            json!({
                "name": name,
                "uri": place.with_object(name),
                "interface": interface,
            })
        });
        return output.value(&objects.collect::<Value>());
    }
    if objects.is_empty() {
        output.remark("the daemon has no named objects");
        return Ok(());
    }
    let mut table = Table::new(&["OBJECT", "INTERFACE", "URI"]).style(0, NAME);
    for (name, interface) in objects {
        let uri = place.with_object(&name).to_string();
        table.row([name, interface, uri]);
    }
    table.print(output)
}
