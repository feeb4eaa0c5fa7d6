//! The loads, run in the client's process: what is called, how often at once, and what is measured of it.

mod acts;
mod callers;
mod echo;
mod memory;
mod mixed;
mod near;
mod oneway;
mod single;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use self::callers::Callers;
use crate::figures::Measured;
use crate::peers::{Errand, Peer};
use crate::workload::Workload;

/// What a client process does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    /// One of the workloads.
    Workload(Workload),
    /// Small calls in so many connections, with so many in flight on each.
    Scale { connections: usize, each: usize },
}

/// Does an errand, and returns the figures.
pub(crate) async fn run<P: Peer>(errand: &Errand) -> Result<Measured> {
    let workload = match errand.task {
        Task::Workload(workload) => workload,
        Task::Scale { connections, each } => return scale::<P>(errand, connections, each).await,
    };
    let callers = |connections, each| Callers { connections, each };
    let mut measured = Measured::new();
    match workload {
        Workload::A => {
            let [p50, p99] = single::run::<P, _>(errand, acts::Add).await?;
            measured.insert("A".into(), p50);
            measured.insert("A.p99".into(), p99);
        }
        Workload::B => {
            let sum = callers(1, 64).run::<P, _>(errand, acts::Add).await?;
            measured.insert("B".into(), sum.rate());
            measured.insert("K".into(), sum.processor_time_per_call());
        }
        Workload::C => {
            let sum = callers(1, 512).run::<P, _>(errand, acts::Add).await?;
            measured.insert("C".into(), sum.rate());
        }
        Workload::D => {
            let sum = callers(8, 32).run::<P, _>(errand, acts::Add).await?;
            measured.insert("D".into(), sum.rate());
        }
        Workload::E => measured = echo::run::<P>(errand).await?,
        Workload::F => {
            let record = acts::EchoRecord::default();
            let sum = callers(1, 64).run::<P, _>(errand, record).await?;
            measured.insert("F".into(), sum.rate());
        }
        Workload::H => {
            measured.insert("H".into(), oneway::run::<P>(errand).await?);
        }
        Workload::I => {
            let sum = callers(1, 1).run::<P, _>(errand, acts::AddAll).await?;
            let calls = f64::from(acts::AT_ONCE);
            measured.insert("I".into(), sum.rate() * calls);
            if errand.peer.batches() {
                let sum = callers(1, 1).run::<P, _>(errand, acts::AddBatch).await?;
                measured.insert("I.batch".into(), sum.rate() * calls);
            }
        }
        Workload::J => {
            measured.insert("J".into(), memory::run::<P>(errand).await?);
        }
        Workload::M => measured = mixed::run::<P>(errand).await?,
        Workload::N => {
            measured.insert("N".into(), near::run(errand).await?);
        }
        Workload::P => {
            let [p50, _] = single::run::<P, _>(errand, acts::Chain).await?;
            measured.insert("P".into(), p50);
        }
        Workload::S => {
            let sum = callers(1, 1).run::<P, _>(errand, acts::Count).await?;
            measured.insert("S".into(), sum.rate() * acts::ITEMS as f64);
        }
    }
    Ok(measured)
}

/// Calls per second, and the server's memory with all connections open.
async fn scale<P: Peer>(errand: &Errand, connections: usize, each: usize) -> Result<Measured> {
    let callers = Callers { connections, each };
    let sum = callers.run::<P, _>(errand, acts::Add).await?;
    Ok(Measured::from([
        ("rate".to_owned(), sum.rate()),
        ("memory".to_owned(), sum.server_memory() as f64),
    ]))
}
