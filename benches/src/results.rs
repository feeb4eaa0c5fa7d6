//! What was measured of whom, over all rounds.

use std::collections::BTreeMap;

use crate::figures::{Figure, Measured};
use crate::peers::PeerName;
use crate::statistics::{median, spread};

/// The values of every figure of every peer, one for each round.
#[derive(Debug, Default)]
pub(crate) struct Results(BTreeMap<(PeerName, String), Vec<f64>>);

impl Results {
    /// Adds what one run measured.
    pub(crate) fn add(&mut self, peer: PeerName, measured: Measured) {
        for (key, value) in measured {
            self.0.entry((peer, key)).or_default().push(value);
        }
    }

    /// The median of a figure, if it was measured.
    pub(crate) fn median(&self, peer: PeerName, key: &str) -> Option<f64> {
        median(self.0.get(&(peer, key.to_owned()))?)
    }

    /// How much better farref is than a peer.
    pub(crate) fn ratio(&self, figure: &Figure, peer: PeerName) -> Option<f64> {
        let own = self.median(PeerName::Farref, figure.key)?;
        let other = self.median(peer, figure.beside.unwrap_or(figure.key))?;
        Some(figure.ratio(own, other))
    }

    /// How far two measurements of the same thing are apart.
    pub(crate) fn spread(&self, figure: &Figure) -> Option<f64> {
        let key = figure.beside.unwrap_or(figure.key);
        let one = self.median(PeerName::Raw, key)?;
        let other = self.median(PeerName::Raw2, key)?;
        Some(spread(one, other))
    }

    /// The peers of which anything was measured.
    pub(crate) fn peers(&self) -> Vec<PeerName> {
        let mut peers: Vec<_> = self.0.keys().map(|(peer, _)| *peer).collect();
        peers.dedup();
        peers
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]
mod tests {
    use super::*;

    fn results(values: &[(PeerName, &str, &[f64])]) -> Results {
        let mut results = Results::default();
        for (peer, key, values) in values {
            for value in *values {
                results.add(*peer, [((*key).to_owned(), *value)].into());
            }
        }
        results
    }

    #[test]
    fn a_ratio_compares_medians() {
        let results = results(&[
            (PeerName::Farref, "B", &[90.0, 1.0, 100.0]),
            (PeerName::Raw, "B", &[100.0, 300.0, 10.0]),
            (PeerName::Raw2, "B", &[80.0]),
        ]);
        let figure = Figure::of("B").unwrap();
        assert_eq!(results.ratio(figure, PeerName::Raw), Some(0.9));
        assert_eq!(results.ratio(figure, PeerName::Tarpc), None);
        assert_eq!(results.spread(figure), Some(0.2));
    }

    #[test]
    fn what_only_farref_has_is_compared_with_what_others_have() {
        let results = results(&[
            (PeerName::Farref, "M.unmarked", &[50.0]),
            (PeerName::RawSpawn, "M", &[100.0]),
        ]);
        let figure = Figure::of("M.unmarked").unwrap();
        assert_eq!(results.ratio(figure, PeerName::RawSpawn), Some(2.0));
    }
}
