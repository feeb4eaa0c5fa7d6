//! `farref register`, `remove` and `tag`: what changes a name server's directory.

use farref::names::{IfTaken, Registration};
use serde_json::json;

use crate::arguments::{Arguments, Register, Remove, Tag};
use crate::client;
use crate::failure::Failure;
use crate::output::{NAME, Output, paint};

pub(crate) async fn register(
    arguments: &Arguments,
    register: &Register,
    output: &Output,
) -> Result<(), Failure> {
    let names = client::client(arguments)?.names().await?;
    let if_taken = match (register.replace, register.join) {
        (true, _) => IfTaken::Replace,
        (_, true) => IfTaken::Join,
        _ => IfTaken::Refuse,
    };
    let registration = Registration {
        tags: register.tag.iter().cloned().collect(),
        if_taken,
        lease: register.lease,
        ..Registration::new(&register.name, &register.uri)
    };
    let grant = names.register(registration).await?;
    match output.is_json() {
        true => output.value(&json!({
            "name": register.name,
            "uri": register.uri,
            "epoch": grant.epoch,
        })),
        false => output.line(format!(
            "{} is {} (epoch {})",
            paint(NAME, &register.name),
            register.uri,
            grant.epoch
        )),
    }
}

pub(crate) async fn remove(
    arguments: &Arguments,
    remove: &Remove,
    output: &Output,
) -> Result<(), Failure> {
    let names = client::client(arguments)?.names().await?;
    let count = names.remove(&remove.name, remove.epoch).await?;
    if count == 0 {
        return Err(Failure::not_found(format!(
            "nobody has registered the name `{}`",
            remove.name
        ))
        .with_hint("`farref list` shows what there is"));
    }
    match (output.is_json(), count) {
        (true, _) => output.value(&json!({ "name": remove.name, "removed": count })),
        (false, 1) => output.line(format!("{} is removed", paint(NAME, &remove.name))),
        (false, count) => output.line(format!(
            "{} is removed from {count} objects",
            paint(NAME, &remove.name)
        )),
    }
}

pub(crate) async fn tag(arguments: &Arguments, tag: &Tag, output: &Output) -> Result<(), Failure> {
    if tag.add.is_empty() && tag.remove.is_empty() {
        return Err(Failure::usage(
            "nothing to do: say --add TAG or --remove TAG",
        ));
    }
    let names = client::client(arguments)?.names().await?;
    let (add, remove) = (tag.add.iter().cloned(), tag.remove.iter().cloned());
    names
        .tag(&tag.name, add.collect(), remove.collect())
        .await?;
    let entries = names.lookup(&tag.name).await?;
    let tags: Vec<_> = entries.iter().map(|entry| &entry.tags).collect();
    if output.is_json() {
        return output.value(&json!({ "name": tag.name, "tags": tags }));
    }
    for tags in tags {
        let tags: Vec<_> = tags.iter().map(String::as_str).collect();
        let tags = match tags.is_empty() {
            true => "no tags".to_owned(),
            false => tags.join(", "),
        };
        output.line(format!("{} has {tags}", paint(NAME, &tag.name)))?;
    }
    Ok(())
}
