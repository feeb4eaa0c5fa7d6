//! The figures that workloads yield: their names, units, and which way is better.

use std::collections::BTreeMap;

/// What one run of one workload measured, by the key of the figure.
pub(crate) type Measured = BTreeMap<String, f64>;

/// The key of a figure that was measured with both processes on one core, if there is such a figure.
pub(crate) fn on_one_core(key: &str) -> Option<&'static str> {
    FIGURES
        .iter()
        .map(|figure| figure.key)
        .find(|other| other.strip_suffix(".core") == Some(key))
}

/// Which values of a figure are the good ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Figure {
    /// Its name in the JSON output.
    pub(crate) key: &'static str,
    /// Its name in the table.
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    /// The figure of the peers that stands beside this one of farref, if it is not the same.
    pub(crate) beside: Option<&'static str>,
}

const fn more(key: &'static str, title: &'static str, unit: &'static str) -> Figure {
    Figure {
        key,
        title,
        unit,
        better: Better::More,
        beside: None,
    }
}

const fn less(key: &'static str, title: &'static str, unit: &'static str) -> Figure {
    Figure {
        better: Better::Less,
        ..more(key, title, unit)
    }
}

/// All figures, in the order of the table.
pub(crate) const FIGURES: &[Figure] = &[
    less("A", "one at a time, p50", "µs"),
    less("A.p99", "one at a time, p99", "µs"),
    less("A.core", "the same on one core, p50", "µs"),
    more("B", "1 connection x 64", "calls/s"),
    more("B.core", "the same on one core", "calls/s"),
    more("C", "1 connection x 512", "calls/s"),
    more("D", "8 connections x 32", "calls/s"),
    more("E.1MiB.bytes", "echo 1 MiB, Bytes", "MiB/s"),
    more("E.1MiB.vec", "echo 1 MiB, Vec<u8>", "MiB/s"),
    more("E.64KiB.bytes", "echo 64 KiB x 16, Bytes", "MiB/s"),
    more("E.64KiB.vec", "echo 64 KiB x 16, Vec<u8>", "MiB/s"),
    more("F", "record of 300 B x 64", "calls/s"),
    more("H", "oneway", "calls/s"),
    more("I", "1000 calls at once", "calls/s"),
    Figure {
        beside: Some("I"),
        ..more("I.batch", "1000 calls in a batch", "calls/s")
    },
    less("J", "memory per idle connection", "B"),
    less("K", "processor time per call", "µs"),
    less("M", "mixed load, p99 of fast calls", "µs"),
    less("M.p50", "mixed load, p50 of fast calls", "µs"),
    Figure {
        beside: Some("M"),
        ..less("M.unmarked", "the same unmarked, p99", "µs")
    },
    Figure {
        beside: Some("M.p50"),
        ..less("M.unmarked.p50", "the same unmarked, p50", "µs")
    },
    less("N", "near call", "ns"),
    Figure {
        beside: Some("A"),
        ..less("P", "chain of three, pipelined, p50", "µs")
    },
    more("S", "stream of numbers", "items/s"),
];

impl Figure {
    /// The figure of this key.
    pub(crate) fn of(key: &str) -> Option<&'static Figure> {
        FIGURES.iter().find(|figure| figure.key == key)
    }

    /// How much better `own` is than `other`: 2 is twice as good.
    pub(crate) fn ratio(&self, own: f64, other: f64) -> f64 {
        match self.better {
            Better::More => own / other,
            Better::Less => other / own,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]
mod tests {
    use super::*;

    #[test]
    fn more_than_one_is_better_whichever_way_the_figure_counts() {
        let rate = Figure::of("B").unwrap();
        let latency = Figure::of("A").unwrap();
        assert!(rate.ratio(200.0, 100.0) > 1.0);
        assert!(latency.ratio(10.0, 20.0) > 1.0);
    }

    #[test]
    fn what_stands_beside_is_a_figure() {
        for figure in FIGURES {
            assert!(figure.beside.is_none_or(|key| Figure::of(key).is_some()));
        }
    }
}
