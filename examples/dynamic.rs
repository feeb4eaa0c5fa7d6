//! Calls an object without knowing its trait: it says itself what it is.
//!
//! ```console
//! $ cargo run --example dynamic                                         # looks at a jukebox of its own
//! $ cargo run --example dynamic far://127.0.0.1:9999/jukebox            # looks at that of `jukebox_server`
//! $ cargo run --example dynamic far://127.0.0.1:9999/jukebox load_playlist '{"name": "90s rock"}'
//! ```

use anyhow::Context;
use farref::prelude::*;
use farref::{DynProxy, MethodKind};
use farref_examples::jukebox::JukeboxProxy;
use farref_examples::jukebox::machine::Machine;
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => demonstrate().await,
        [uri] => describe(&DynProxy::connect(uri).await?).await,
        [uri, method] => call(uri, method, Value::Null).await,
        [uri, method, json] => {
            call(
                uri,
                method,
                serde_json::from_str(json).context("arguments are JSON")?,
            )
            .await
        }
        _ => anyhow::bail!("usage: dynamic [URI [METHOD [ARGUMENTS]]]"),
    }
}

async fn call(uri: &str, method: &str, arguments: Value) -> anyhow::Result<()> {
    println!(
        "{}",
        DynProxy::connect(uri)
            .await?
            .call(method, arguments)
            .await?
    );
    Ok(())
}

/// Prints what the object is, and what its attributes hold.
async fn describe(object: &DynProxy) -> anyhow::Result<()> {
    let interface = object.interface();
    println!("{}: {}", interface.name, interface.docs);
    for method in &interface.methods {
        let arguments: Vec<String> = method
            .arguments
            .iter()
            .map(|argument| format!("{}: {}", argument.name, argument.type_name))
            .collect();
        let error = method
            .error
            .as_ref()
            .map_or(String::new(), |error| format!(", or {}", error.type_name));
        println!(
            "  {}({}) -> {}{error}",
            method.name,
            arguments.join(", "),
            method.returns.type_name
        );
        if method.kind == MethodKind::AttributeRead {
            println!("    = {}", object.read(&method.name).await?);
        }
    }
    Ok(())
}

/// Starts a jukebox, and drives it as a stranger would.
async fn demonstrate() -> anyhow::Result<()> {
    let daemon = Daemon::bind("far://127.0.0.1:0").await?;
    let uri = daemon.register("jukebox", JukeboxProxy::new(Machine::new()))?;
    let jukebox = DynProxy::connect(&uri).await?;
    describe(&jukebox).await?;

    // Arguments by name, or in order.
    println!(
        "tracks: {}",
        jukebox
            .call("load_playlist", json!({"name": "90s rock"}))
            .await?
    );
    jukebox.write("volume", json!(0.25)).await?;
    println!("volume: {}", jukebox.read("volume").await?);

    // The method's own error arrives as a value, too.
    match jukebox.call("load_playlist", json!(["polka"])).await {
        Err(CallError::App(error)) => println!("refused: {error}"),
        other => println!("{other:?}"),
    }

    // What does not fit the interface is refused here, before anything is sent.
    for (method, arguments) in [
        ("load_playlist", json!({"name": 90})),
        ("eject", Value::Null),
    ] {
        if let Err(error) = jukebox.call(method, arguments).await {
            println!("mistake: {error}");
        }
    }
    daemon.shutdown(Shutdown::default()).await;
    Ok(())
}
