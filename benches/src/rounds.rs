//! The comparison: in every round, every workload is run by every peer in turn, so that what the machine does meanwhile
//! meets all of them.

use std::io::Write;

use anyhow::Result;

use crate::bars;
use crate::figures::{self, Measured};
use crate::json;
use crate::loads::Task;
use crate::machine::{Machine, Ticks};
use crate::options::Options;
use crate::peers::{Errand, PeerName};
use crate::process::{self, Server};
use crate::results::Results;
use crate::table;
use crate::workload::Workload;

/// Measures and reports.
pub(crate) fn compare(options: &Options) -> Result<()> {
    process::raise_open_files();
    let machine = Machine::here();
    println!("{}\n", table::machine(&machine));
    let peers = present(&options.peers);
    let mut results = Results::default();
    let begun = Ticks::now()?;
    for round in 0..options.rounds {
        let round_begun = Ticks::now()?;
        eprint!("round {} of {}:", round + 1, options.rounds);
        for workload in &options.workloads {
            if *workload == Workload::J && round >= options.memory_rounds {
                continue;
            }
            eprint!(" {workload}");
            let _ = std::io::stderr().flush();
            // Nobody is always first, or always behind the same one.
            for place in 0..peers.len() {
                let peer = peers[(place + round) % peers.len()];
                if !peer.offers(*workload) {
                    continue;
                }
                results.add(peer, measure(peer, *workload, options)?);
                if matches!(workload, Workload::A | Workload::B) {
                    let measured = process::on_one_core(|| measure(peer, *workload, options))?;
                    let keyed = |(key, value): (String, f64)| {
                        Some((figures::on_one_core(&key)?.to_owned(), value))
                    };
                    results.add(peer, measured.into_iter().filter_map(keyed).collect());
                }
            }
        }
        let disturbance = Ticks::now()?.disturbance_since(&round_begun);
        eprintln!(" ({:.0} % to others)", disturbance * 100.0);
    }
    let disturbance = Ticks::now()?.disturbance_since(&begun);
    println!("{}", table::disturbance(disturbance));
    print!("\n{}", table::absolute(&results));
    if peers.len() > 1 && peers.contains(&PeerName::Farref) {
        println!("\nfarref's ratio to each; more than 1 means that farref is better\n");
        print!("{}", table::ratios(&results));
    }
    let judged = bars::judge(&results);
    if !judged.is_empty() {
        println!("\nbars\n");
        print!("{}", table::bars(&judged));
    }
    if let Some(path) = &options.json {
        json::write(path, &machine, options.rounds, disturbance, &results)?;
    }
    Ok(())
}

/// Those of the peers that this build has; says why others are missing.
fn present(peers: &[PeerName]) -> Vec<PeerName> {
    let mut present = Vec::new();
    for peer in peers {
        match peer.missing() {
            Some(reason) => println!("skipped: {peer}, since {reason}"),
            None => present.push(*peer),
        }
    }
    present
}

/// Runs one workload of one peer, in two processes of its own.
fn measure(peer: PeerName, workload: Workload, options: &Options) -> Result<Measured> {
    let server = Server::start(peer)?;
    process::run_client(&Errand {
        peer,
        task: Task::Workload(workload),
        address: server.address.clone(),
        server: server.process(),
        warm_up: options.warm_up,
        measure: options.measure,
    })
}
