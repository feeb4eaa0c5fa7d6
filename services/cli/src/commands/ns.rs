//! `farref ns`: runs a name server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use farref::names::{DEFAULT_PORT, Names};
use farref::{Address, Uri};
use farref_names::{Limits, NameServer};
use serde_json::json;

use crate::arguments::{Arguments, Ns};
use crate::client;
use crate::failure::{Exit, Failure};
use crate::output::{BOLD, NAME, Output, grouped, paint};

pub(crate) async fn run(arguments: &Arguments, ns: &Ns, output: &Output) -> Result<(), Failure> {
    let listen = places(arguments, ns)?;
    let mut builder = NameServer::builder()
        .limits(Limits {
            entries: ns.max_entries,
            ..Limits::default()
        })
        .max_connections(ns.max_connections)
        .insecure_public(ns.insecure_public);
    for uri in &listen {
        builder = builder.listen(uri);
    }
    if let Some(token) = &arguments.token {
        builder = builder.token(token);
    }
    if let Some(text) = &ns.advertise {
        let (host, port) = advertised(text)?;
        builder = builder.advertise(host, port);
    }
    if let Some(address) = beacon(ns, &listen) {
        builder = builder.beacon(address);
    }
    if let Some(period) = ns.cleanup {
        builder = builder.cleanup(period);
    }
    if !ns.volatile {
        let file = ns.file.clone().map_or_else(default_file, Ok)?;
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|error| {
                Failure::new(
                    Exit::Failed,
                    "io",
                    format!("cannot make the folder {}: {error}", folder.display()),
                )
            })?;
        }
        builder = builder.file(file);
    }
    let server = builder.bind().await.map_err(|fault| {
        let is_taken = fault.message().contains("in use");
        let failure = Failure::from(fault);
        match is_taken {
            true => failure.with_hint(
                "a name server may be running there already: use it, or say another place with --listen",
            ),
            false => failure,
        }
    })?;
    announce(&server, output).await?;
    server.run_until(farref::shutdown_signal()).await?;
    output.remark("stopped");
    Ok(())
}

async fn announce(server: &NameServer, output: &Output) -> Result<(), Failure> {
    let info = server.registry().info().await;
    let uris: Vec<_> = server.daemon().uris().iter().map(Uri::to_string).collect();
    if output.is_json() {
        return output.value(&json!({
            "uris": uris,
            "beacon": server.beacon().map(|address| address.to_string()),
            "store": info.store,
            "persistent": info.persistent,
            "entries": info.entries,
        }));
    }
    output.line(format!(
        "{} {}",
        paint(BOLD, "name server at"),
        paint(NAME, uris.join(", "))
    ))?;
    let names = match info.entries {
        1 => "1 name".to_owned(),
        count => format!("{} names", grouped(count)),
    };
    output.line(format!(
        "{names}, kept {}",
        match info.persistent {
            true => format!("in {}", info.store),
            false => info.store,
        }
    ))?;
    match server.beacon() {
        Some(address) => output.line(format!("answers who looks for it at UDP {address}")),
        None => Ok(()),
    }
}

/// Where to listen.
fn places(arguments: &Arguments, ns: &Ns) -> Result<Vec<Uri>, Failure> {
    if !ns.listen.is_empty() {
        return Ok(ns.listen.clone());
    }
    let said = arguments
        .name_server
        .clone()
        .or_else(|| std::env::var("FARREF_NAME_SERVER").ok());
    match said {
        Some(place) if !place.starts_with("beacon:") => {
            Ok(vec![client::name_server(&place)?.without_object()])
        }
        _ => Ok(vec![Uri::from(SocketAddr::from((
            [127, 0, 0, 1],
            DEFAULT_PORT,
        )))]),
    }
}

/// Where to answer those who look for a name server: where other machines reach it, unless something else is said.
fn beacon(ns: &Ns, listen: &[Uri]) -> Option<SocketAddr> {
    if ns.no_beacon || ns.beacon.is_some() {
        return ns.beacon;
    }
    listen.iter().find_map(|uri| match uri.address()? {
        Address::Tcp { host, port } if *port != 0 => {
            let address: std::net::IpAddr = host.parse().ok()?;
            (!address.is_loopback()).then(|| SocketAddr::from(([0, 0, 0, 0], *port)))
        }
        _ => None,
    })
}

fn advertised(text: &str) -> Result<(String, Option<u16>), Failure> {
    let uri = client::name_server(text)?;
    let Some(Address::Tcp { host, port }) = uri.address() else {
        return Err(Failure::usage(format!(
            "`{text}` is no host; write HOST or HOST:PORT"
        )));
    };
    let has_port = text.rsplit_once(':').is_some_and(|(_, port)| {
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    // The colons of an IPv6 address without a port are inside brackets.
    Ok((
        host.clone(),
        Some(*port).filter(|_| has_port && !text.ends_with(']')),
    ))
}

/// `farref/names.redb` in the folder where programs of this user keep their data.
fn default_file() -> Result<PathBuf, Failure> {
    let folder = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/share")))
        .ok_or_else(|| {
            Failure::usage("there is no folder for data: say a file with --file, or --volatile")
        })?;
    Ok(folder.join(Path::new("farref/names.redb")))
}
