//! The JSON output.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::figures::FIGURES;
use crate::machine::Machine;
use crate::peers::PeerName;
use crate::results::Results;

/// By figure, then by peer.
type Table = BTreeMap<&'static str, BTreeMap<&'static str, f64>>;

#[derive(Debug, Serialize)]
struct Document<'a> {
    machine: &'a Machine,
    rounds: usize,
    /// The part of the processors' time that went to others meanwhile.
    disturbance: f64,
    /// How many times as good as each peer farref is.
    ratios: Table,
    /// The medians, each in the unit that `units` says.
    absolute: Table,
    /// How far the two medians of the same hand-written loop are apart, as a part of the larger.
    spread: BTreeMap<&'static str, f64>,
    units: BTreeMap<&'static str, &'static str>,
}

/// Writes everything to a file.
pub(crate) fn write(
    path: &Path,
    machine: &Machine,
    rounds: usize,
    disturbance: f64,
    results: &Results,
) -> Result<()> {
    let peers = results.peers();
    let table =
        |value: &dyn Fn(&'static crate::figures::Figure, PeerName) -> Option<f64>| -> Table {
            let row = |figure| {
                peers
                    .iter()
                    .filter_map(|peer| Some((peer.as_str(), value(figure, *peer)?)))
                    .collect::<BTreeMap<_, _>>()
            };
            FIGURES
                .iter()
                .map(|figure| (figure.key, row(figure)))
                .filter(|(_, row)| !row.is_empty())
                .collect()
        };
    let document = Document {
        machine,
        rounds,
        disturbance,
        ratios: table(&|figure, peer| match peer {
            PeerName::Farref => None,
            peer => results.ratio(figure, peer),
        }),
        absolute: table(&|figure, peer| results.median(peer, figure.key)),
        spread: FIGURES
            .iter()
            .filter_map(|figure| Some((figure.key, results.spread(figure)?)))
            .collect(),
        units: FIGURES
            .iter()
            .map(|figure| (figure.key, figure.unit))
            .collect(),
    };
    let text = serde_json::to_string_pretty(&document)?;
    fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}
