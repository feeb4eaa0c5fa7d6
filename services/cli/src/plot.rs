//! Distributions of latencies, as numbers and as a picture for the terminal.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::output::{DIM, GOOD, grouped, micros, paint};

/// The quantiles that are shown.
const QUANTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("max", 1.0),
];

/// How many rows a picture has at most.
const ROWS: usize = 12;

/// How wide its longest bar is, in characters.
const WIDTH: usize = 48;

/// How many latencies there were, by their length in nanoseconds with three digits.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Self {
        // Three digits are within what the crate allows; `new` would only fail for more than five.
        Latencies(Histogram::new(3).unwrap_or_else(|_| unreachable_digits()))
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        // It grows as it needs to. `saturating_record` would not, and count all as nothing.
        let _ = self.0.record(nanos);
    }

    pub(crate) fn add(&mut self, other: &Latencies) {
        // It grows as it needs to.
        let _ = self.0.add(&other.0);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn json(&self) -> Value {
        let mut all = json!({
            "min": micros_of(self.0.min()),
            "mean": self.0.mean() / 1000.0,
        });
        for (name, quantile) in QUANTILES {
            all[name] = micros_of(self.0.value_at_quantile(quantile)).into();
        }
        all
    }

    /// `p50 31.2 µs  p90 …` in one line.
    pub(crate) fn summary(&self) -> String {
        let least = micros(micros_of(self.0.min()));
        let mut parts = vec![format!("{} {least}", paint(DIM, "min"))];
        for (name, quantile) in QUANTILES {
            let value = micros_of(self.0.value_at_quantile(quantile));
            parts.push(format!("{} {}", paint(DIM, name), micros(value)));
        }
        parts.join("   ")
    }

    /// A bar for each span of latencies, each span as many times longer than the one before.
    pub(crate) fn picture(&self) -> Vec<String> {
        let (first, last) = (self.0.min().max(1), self.0.max().max(1));
        let ratio = last as f64 / first as f64;
        // Spans shorter than a twentieth say nothing.
        let rows = ((ratio.ln() / 1.05_f64.ln()).ceil() as usize).clamp(1, ROWS);
        let step = ratio.powf(1.0 / rows as f64).max(1.0);
        let mut spans = Vec::with_capacity(rows);
        let mut low = first;
        for row in 0..rows {
            let high = match row + 1 == rows {
                true => last,
                false => (first as f64 * step.powf(row as f64 + 1.0)) as u64,
            };
            let count = self.0.count_between(low, high);
            spans.push((high, count));
            low = high.saturating_add(1);
        }
        let most = spans.iter().map(|(_, count)| *count).max().unwrap_or(0);
        let digits = grouped(most).chars().count();
        spans
            .into_iter()
            .map(|(high, count)| {
                format!(
                    "{:>10}  {:>digits$}  {}",
                    format!("≤ {}", micros(micros_of(high))),
                    grouped(count),
                    paint(GOOD, bar(count, most, WIDTH))
                )
            })
            .collect()
    }
}

#[cold]
fn unreachable_digits() -> Histogram<u64> {
    Histogram::new_with_bounds(1, u64::MAX / 2, 1).unwrap_or_else(|_| std::process::abort())
}

fn micros_of(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

/// A bar of eighths of blocks. Whatever is not zero is seen.
fn bar(count: u64, most: u64, width: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if count == 0 || most == 0 {
        return String::new();
    }
    let eighths = ((count as f64 / most as f64) * (width * 8) as f64).round() as usize;
    let eighths = eighths.max(1);
    "█".repeat(eighths / 8) + PARTS[eighths % 8]
}

/// A line of blocks, each as high as its value.
pub(crate) fn sparkline(values: &[u64]) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.iter().copied().max().unwrap_or(0).max(1);
    values
        .iter()
        .map(|value| BLOCKS[(value * 7 / most) as usize])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_counts_every_latency_once() {
        let mut latencies = Latencies::new();
        for nanos in [1_000, 1_000, 50_000, 7_000_000] {
            latencies.record(Duration::from_nanos(nanos));
        }
        let said = latencies.json();
        for (name, micros) in [("min", 1.0), ("p50", 1.0), ("p90", 7000.0), ("max", 7000.0)] {
            let found = said[name].as_f64().unwrap_or_default();
            assert!((found / micros - 1.0).abs() < 0.01, "{name}: {said}");
        }
        let rows = latencies.picture();
        assert_eq!(rows.len(), ROWS);
        let count = |row: &String| -> u64 {
            let bars = ['█', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
            let text = row.split("s ").nth(1).unwrap_or_default();
            let digits = text.split(bars).next().unwrap_or_default();
            let digits: String = digits
                .chars()
                .take_while(|c| c.is_ascii_digit() || *c == ' ')
                .collect();
            digits.trim().parse().unwrap_or(0)
        };
        assert_eq!(rows.iter().map(count).sum::<u64>(), 4, "{rows:#?}");
    }

    #[test]
    fn equal_latencies_are_one_row() {
        let mut latencies = Latencies::new();
        for _ in 0..10 {
            latencies.record(Duration::from_micros(30));
        }
        assert_eq!(latencies.picture().len(), 1);
        assert_eq!(latencies.count(), 10);
    }

    #[test]
    fn bars_grow_with_what_they_show() {
        assert_eq!(bar(0, 10, 4), "");
        assert_eq!(bar(1, 1_000_000, 4), "▏");
        assert_eq!(bar(5, 10, 4), "██");
        assert_eq!(bar(10, 10, 4), "████");
        assert_eq!(sparkline(&[0, 4, 7]), "▁▅█");
    }
}
