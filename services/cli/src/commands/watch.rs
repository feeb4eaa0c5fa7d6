//! `farref watch`: prints what a signal tells, as it comes.

use std::time::Duration;

use farref::MethodKind;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::arguments::{Arguments, Watch};
use crate::client;
use crate::commands::describe;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// How much may wait to be printed. Whoever sends a signal does not wait for a slow reader: what is more is left out.
const MAX_WAITING: usize = 4096;

/// How often it is looked whether the object still knows of this receiver.
const LOOK: Duration = Duration::from_secs(5);

pub(crate) async fn run(
    arguments: &Arguments,
    watch: &Watch,
    output: &Output,
) -> Result<(), Failure> {
    let client = client::client(arguments)?;
    let object = client.dynamic(&watch.target.0).await?;
    let signal = describe::method(&object, &watch.signal)?;
    if signal.kind != MethodKind::Signal {
        return Err(Failure::usage(format!("`{}` is not a signal", signal.name))
            .with_hint("`farref describe TARGET` shows the signals"));
    }
    if !signal.arguments.is_empty() {
        return Err(Failure::usage(format!(
            "receivers of `{}` answer what they hear, and this command has no answer",
            signal.name
        )));
    }
    let (sender, mut told) = mpsc::channel(MAX_WAITING);
    let connection = object
        .connect_to(&watch.signal, move |event| {
            let _ = sender.try_send(Value::clone(event));
            Value::Null
        })
        .await?;
    output.remark(&format!("watching `{}`; ctrl-c ends it", watch.signal));
    let mut left = watch.count.unwrap_or(u64::MAX);
    let mut look = tokio::time::interval(LOOK);
    while left > 0 {
        tokio::select! {
            value = told.recv() => match value {
                Some(Value::String(text)) if !output.is_json() => output.line(text)?,
                Some(value) => output.value(&value)?,
                None => return Err(ended(&watch.signal)),
            },
            _ = look.tick() => match connection.is_connected().await? {
                true => continue,
                false => return Err(ended(&watch.signal)),
            },
        }
        left -= 1;
    }
    connection.disconnect().await?;
    Ok(())
}

fn ended(signal: &str) -> Failure {
    Failure::new(
        Exit::Unreachable,
        "disconnected",
        format!("the object does not send `{signal}` here any more"),
    )
}
