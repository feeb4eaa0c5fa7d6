//! `farref watch`: prints what a signal tells, as it comes.

use farref::MethodKind;
use farref::signal::{Ended, WhenSlow};
use serde_json::Value;

use crate::arguments::{Arguments, Watch};
use crate::client;
use crate::commands::describe;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// How much may wait to be printed. Whoever sends a signal does not wait for a slow reader: what is more is left out.
const MAX_WAITING: usize = 4096;

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
    let mut told = object
        .subscribe_with(&watch.signal, WhenSlow::DropNewest, MAX_WAITING)
        .await?;
    output.remark(&format!("watching `{}`; ctrl-c ends it", watch.signal));
    for _ in 0..watch.count.unwrap_or(u64::MAX) {
        match told.next().await {
            Ok(event) => match &*event {
                Value::String(text) if !output.is_json() => output.line(text)?,
                value => output.value(value)?,
            },
            Err(Ended::Lost(fault)) => return Err(fault.into()),
            Err(_) => return Err(ended(&watch.signal)),
        }
    }
    Ok(())
}

fn ended(signal: &str) -> Failure {
    Failure::new(
        Exit::Unreachable,
        "disconnected",
        format!("the object does not send `{signal}` here any more"),
    )
}
