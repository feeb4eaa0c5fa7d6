//! `farref call`: calls a method, or reads or writes an attribute.

use farref::MethodKind;
use serde_json::Value;

use crate::arguments::{Arguments, Call};
use crate::client;
use crate::commands::describe;
use crate::failure::Failure;
use crate::output::Output;
use crate::values;

pub(crate) async fn run(
    arguments: &Arguments,
    call: &Call,
    output: &Output,
) -> Result<(), Failure> {
    let client = client::client(arguments)?;
    let object = client.dynamic(&call.target.0).await?;
    if let Some((attribute, text)) = call.method.split_once('=') {
        let method = describe::method(&object, &format!("set_{attribute}"))?;
        let shape = method.arguments.first().map(|argument| &argument.shape);
        let value = values::value(attribute, text, shape)?;
        object.write(attribute, value).await?;
        close(&client).await;
        return output.pretty_or_done(&Value::Null, "written");
    }
    let method = describe::method(&object, &call.method)?;
    let given = values::arguments(method, &call.arguments)?;
    if method.kind == MethodKind::Stream {
        let mut items = object.stream(&call.method, given).await?;
        while let Some(item) = items.next().await {
            // One line for each, when it comes.
            match item? {
                Value::String(text) if !output.is_json() => output.line(text)?,
                item => output.value(&item)?,
            }
        }
        return Ok(());
    }
    let reply = object.call_full(&call.method, given).await?;
    if method.kind.is_oneway() {
        // A oneway is in the session's buffer only: what is queued is written before this process ends.
        close(&client).await;
        return output.pretty_or_done(&Value::Null, "sent");
    }
    match (method.kind, &reply.value) {
        (MethodKind::AttributeRead, value) => output.pretty(value)?,
        (_, Value::Null) if is_nothing(&method.returns.type_name) => {
            output.pretty_or_done(&Value::Null, "done")?;
        }
        (_, value) => output.pretty(value)?,
    }
    match reply.references() {
        0 => {}
        1 => output.remark("the result refers to 1 object, given back as this command ends"),
        count => output.remark(&format!(
            "the result refers to {count} objects, given back as this command ends"
        )),
    }
    Ok(())
}

async fn close(client: &farref::Client) {
    client.close().await;
}

fn is_nothing(type_name: &str) -> bool {
    type_name == "()"
}
