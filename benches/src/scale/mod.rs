//! How rates and memory grow with calls in flight and with connections.

mod plot;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::plot::{Panel, Series};
use crate::loads::Task;
use crate::machine::{Machine, Ticks};
use crate::options::Options;
use crate::peers::{Errand, PeerName};
use crate::process::{Server, raise_open_files, run_client};
use crate::statistics::median;
use crate::table;

/// Calls in flight on one connection.
const IN_FLIGHT: &[usize] = &[1, 4, 16, 64, 256, 1000, 4000, 10_000];
/// Connections with one call in flight on each.
const CONNECTIONS: &[usize] = &[1, 8, 64, 256, 1000, 2000, 5000];
/// Open files that a process has besides its connections.
const OTHER_FILES: u64 = 64;
/// At most so many rounds: there are many points.
const ROUNDS: usize = 3;

/// What was measured at a point, by name; in every round once.
type Point = BTreeMap<String, Vec<f64>>;

/// One of the two ways to grow.
struct Growth {
    title: &'static str,
    points: Vec<usize>,
    task: fn(usize) -> Task,
}

/// Measures, prints the tables, and writes them and a plot to the results.
pub(crate) fn run(options: &Options) -> Result<()> {
    let peers = match options.peers.as_slice() {
        all if all == PeerName::ALL => vec![PeerName::Farref, PeerName::Raw],
        chosen => chosen.to_vec(),
    };
    let machine = table::machine(&Machine::here());
    let begun = Ticks::now()?;
    let mut text = String::new();
    let mut panels = Vec::new();
    for growth in growths() {
        let measured = measure(&growth, &peers, options)?;
        text.push_str(&format!("\n## {}\n\n", growth.title));
        text.push_str(&report(&growth, &peers, &measured));
        for (key, unit) in [("rate", "calls/s"), ("memory", "B, server")] {
            panels.push(panel(&growth, &peers, &measured, key, unit));
        }
    }
    let disturbance = table::disturbance(Ticks::now()?.disturbance_since(&begun));
    let text = format!("# Scale\n\n{machine}; {disturbance}\n{text}");
    print!("{text}");
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("results");
    write(&folder.join("scale.md"), &text)?;
    write(&folder.join("scale.svg"), &plot::draw(&panels))
}

fn growths() -> [Growth; 2] {
    let files = raise_open_files();
    let (possible, impossible): (Vec<usize>, Vec<usize>) = CONNECTIONS
        .iter()
        .partition(|connections| **connections as u64 + OTHER_FILES <= files);
    if !impossible.is_empty() {
        println!(
            "left out: {impossible:?} connections, since a process may have {files} open files"
        );
    }
    [
        Growth {
            title: "Calls in flight on one connection",
            points: IN_FLIGHT.to_vec(),
            task: |each| Task::Scale {
                connections: 1,
                each,
            },
        },
        Growth {
            title: "Connections with one call in flight on each",
            points: possible,
            task: |connections| Task::Scale {
                connections,
                each: 1,
            },
        },
    ]
}

fn measure(
    growth: &Growth,
    peers: &[PeerName],
    options: &Options,
) -> Result<BTreeMap<(PeerName, usize), Point>> {
    let mut measured: BTreeMap<(PeerName, usize), Point> = BTreeMap::new();
    for round in 0..options.rounds.min(ROUNDS) {
        eprintln!("{}, round {}", growth.title, round + 1);
        for point in &growth.points {
            for peer in peers {
                let server = Server::start(*peer)?;
                let figures = run_client(&Errand {
                    peer: *peer,
                    task: (growth.task)(*point),
                    address: server.address.clone(),
                    server: server.process(),
                    warm_up: options.warm_up,
                    measure: options.measure,
                })?;
                let entry = measured.entry((*peer, *point)).or_default();
                for (key, value) in figures {
                    entry.entry(key).or_default().push(value);
                }
            }
        }
    }
    Ok(measured)
}

fn value(
    measured: &BTreeMap<(PeerName, usize), Point>,
    peer: PeerName,
    point: usize,
    key: &str,
) -> Option<f64> {
    median(measured.get(&(peer, point))?.get(key)?)
}

fn report(
    growth: &Growth,
    peers: &[PeerName],
    measured: &BTreeMap<(PeerName, usize), Point>,
) -> String {
    let mut rows = vec![vec![String::new()]];
    for unit in ["calls/s", "server, B"] {
        rows[0].extend(peers.iter().map(|peer| format!("{peer}, {unit}")));
    }
    for point in &growth.points {
        let mut row = vec![point.to_string()];
        for key in ["rate", "memory"] {
            row.extend(peers.iter().map(|peer| {
                value(measured, *peer, *point, key).map_or_else(|| "–".to_owned(), table::number)
            }));
        }
        rows.push(row);
    }
    table::lay_out(&rows, 0)
}

fn panel(
    growth: &Growth,
    peers: &[PeerName],
    measured: &BTreeMap<(PeerName, usize), Point>,
    key: &str,
    unit: &str,
) -> Panel {
    let series = |peer: &PeerName| Series {
        name: peer.to_string(),
        points: growth
            .points
            .iter()
            .filter_map(|point| Some((*point as f64, value(measured, *peer, *point, key)?)))
            .collect(),
    };
    Panel {
        title: format!("{}: {unit}", growth.title),
        series: peers.iter().map(series).collect(),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("written: {}", path.display());
    Ok(())
}
