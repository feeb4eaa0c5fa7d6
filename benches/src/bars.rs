//! The bars: how farref has to compare.

use std::fmt;

use crate::figures::Figure;
use crate::peers::PeerName;
use crate::results::Results;

/// What has to hold.
#[derive(Clone, Copy, Debug)]
enum Bar {
    /// farref is at least this many times as good as a peer.
    Beside(&'static str, PeerName, f64),
    /// farref's figure is below this.
    Below(&'static str, f64),
}

/// All bars.
const BARS: &[Bar] = {
    use Bar::{Below, Beside};
    use PeerName::{Raw, RawSpawn, Tarpc, Tonic};
    &[
        Beside("A", Raw, 0.95),
        Beside("A", Tarpc, 1.2),
        // Where A depends on the cores that the scheduler chooses, this does not.
        Beside("A.core", Raw, 0.95),
        Beside("A.core", Tarpc, 1.2),
        Beside("B", Raw, 0.9),
        Beside("B", Tarpc, 6.5),
        Beside("C", Raw, 0.9),
        Beside("C", Tarpc, 6.5),
        Beside("D", Raw, 0.9),
        Beside("D", Tarpc, 6.5),
        Beside("E.1MiB.bytes", Raw, 0.95),
        Beside("E.1MiB.bytes", Tarpc, 2.0),
        Beside("E.1MiB.vec", Raw, 0.95),
        Beside("E.1MiB.vec", Tarpc, 2.0),
        Beside("E.64KiB.bytes", Raw, 0.95),
        Beside("E.64KiB.bytes", Tarpc, 2.0),
        Beside("E.64KiB.vec", Raw, 0.95),
        Beside("E.64KiB.vec", Tarpc, 2.0),
        Beside("F", Raw, 0.85),
        Beside("F", Tarpc, 4.5),
        Beside("H", Raw, 0.7),
        Beside("I", Raw, 0.9),
        Beside("I", Tarpc, 6.0),
        Beside("I.batch", Raw, 3.0),
        Beside("J", Raw, 0.67),
        Beside("J", Tarpc, 2.0),
        Beside("K", Raw, 0.87),
        Beside("K", Tarpc, 6.0),
        Beside("M", RawSpawn, 1.0),
        Beside("M", Tarpc, 1.0),
        Below("N", 100.0),
        Beside("S", Raw, 0.5),
        Beside("S", Tonic, 1.5),
    ]
};

/// How a bar came out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    Met,
    /// Missed by no more than two measurements of the same thing are apart.
    MetWithinSpread(f64),
    /// Missed by this part of the bar.
    Missed(f64),
}

/// A bar, and how it came out.
#[derive(Debug)]
pub(crate) struct Judged {
    /// The bar in words.
    pub(crate) text: String,
    pub(crate) verdict: Verdict,
}

/// Judges the bars for which there are figures.
pub(crate) fn judge(results: &Results) -> Vec<Judged> {
    BARS.iter().filter_map(|bar| bar.judge(results)).collect()
}

impl Bar {
    fn judge(self, results: &Results) -> Option<Judged> {
        match self {
            Bar::Beside(key, peer, least) => {
                let figure = Figure::of(key)?;
                let ratio = results.ratio(figure, peer)?;
                let spread = results.spread(figure).unwrap_or(0.0);
                Some(Judged {
                    text: format!(
                        "{key:13} {} / {peer}: {ratio:.2}, at least {least}",
                        PeerName::Farref
                    ),
                    verdict: verdict(ratio / least, spread),
                })
            }
            Bar::Below(key, most) => {
                let value = results.median(PeerName::Farref, key)?;
                let unit = Figure::of(key)?.unit;
                Some(Judged {
                    text: format!("{key:13} {value:.1} {unit}, at most {most}"),
                    verdict: verdict(most / value, 0.0),
                })
            }
        }
    }
}

/// Judges by which part of a bar was reached.
fn verdict(reached: f64, spread: f64) -> Verdict {
    if reached >= 1.0 {
        Verdict::Met
    } else if 1.0 - reached <= spread {
        Verdict::MetWithinSpread(spread)
    } else {
        Verdict::Missed(1.0 - reached)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Met => f.write_str("met"),
            Verdict::MetWithinSpread(spread) => {
                write!(f, "met, within a spread of {:.0} %", spread * 100.0)
            }
            Verdict::Missed(part) => write!(f, "missed by {:.0} %", part * 100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_names_a_figure() {
        for bar in BARS {
            let (Bar::Beside(key, ..) | Bar::Below(key, _)) = bar;
            assert!(Figure::of(key).is_some(), "{key}");
        }
    }

    #[test]
    fn a_bar_is_met_if_missed_by_no_more_than_the_spread() {
        assert_eq!(verdict(1.0, 0.0), Verdict::Met);
        assert_eq!(verdict(0.96, 0.05), Verdict::MetWithinSpread(0.05));
        assert_eq!(verdict(0.75, 0.05), Verdict::Missed(0.25));
    }

    #[test]
    fn without_figures_nothing_is_judged() {
        assert!(judge(&Results::default()).is_empty());
    }
}
