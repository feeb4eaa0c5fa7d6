//! The output for people: Markdown, which is also readable as it is.

use crate::bars::Judged;
use crate::figures::FIGURES;
use crate::machine::Machine;
use crate::peers::PeerName;
use crate::results::Results;

/// The machine in a line.
pub(crate) fn machine(machine: &Machine) -> String {
    let mut text = format!(
        "{}, {} cores, Linux {}, load {} at the start",
        machine.processor, machine.cores, machine.kernel, machine.load
    );
    if !machine.optimised {
        text.push_str("\nbuilt without --release: these figures say nothing");
    }
    text
}

/// What others took of the machine meanwhile.
pub(crate) fn disturbance(part: f64) -> String {
    let percent = part * 100.0;
    let advice = if part > 0.05 {
        ": too much for figures that can be relied on"
    } else {
        ""
    };
    format!("{percent:.1} % of the processors' time went to others{advice}")
}

/// The medians.
pub(crate) fn absolute(results: &Results) -> String {
    table(results, "spread of raw", |row, peers| {
        let figure = &FIGURES[row];
        let cells = peers
            .iter()
            .map(|peer| results.median(*peer, figure.key).map(number));
        let spread = results
            .spread(figure)
            .map(|spread| format!("{:.0} %", spread * 100.0));
        cells.chain([spread]).collect()
    })
}

/// How many times as good as each peer farref is.
pub(crate) fn ratios(results: &Results) -> String {
    table(results, "", |row, peers| {
        let ratio = |peer: &PeerName| match peer {
            PeerName::Farref => None,
            peer => results.ratio(&FIGURES[row], *peer),
        };
        let cells = peers
            .iter()
            .map(|peer| ratio(peer).map(|ratio| format!("{ratio:.2}")));
        cells.chain([None]).collect()
    })
}

/// Which bars were met.
pub(crate) fn bars(judged: &[Judged]) -> String {
    judged
        .iter()
        .map(|bar| format!("{:60} {}\n", bar.text, bar.verdict))
        .collect()
}

/// A row for each figure that was measured, a column for each peer, and a last one.
fn table(
    results: &Results,
    last: &str,
    cells: impl Fn(usize, &[PeerName]) -> Vec<Option<String>>,
) -> String {
    let peers = results.peers();
    let has_last = !last.is_empty();
    let mut rows = vec![vec![String::new(), String::new()]];
    rows[0].extend(peers.iter().map(|peer| peer.to_string()));
    rows[0].extend(has_last.then(|| last.to_owned()));
    for (index, figure) in FIGURES.iter().enumerate() {
        let cells = cells(index, &peers);
        if cells.iter().all(Option::is_none) {
            continue;
        }
        let mut row = vec![
            figure.key.to_owned(),
            format!("{}, {}", figure.title, figure.unit),
        ];
        let shown = cells.len() - usize::from(!has_last);
        row.extend(
            cells
                .into_iter()
                .take(shown)
                .map(|cell| cell.unwrap_or_else(|| "–".to_owned())),
        );
        rows.push(row);
    }
    lay_out(&rows, 2)
}

/// Markdown with columns of equal width; the first `words` of them are words, the others numbers.
pub(crate) fn lay_out(rows: &[Vec<String>], words: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width - cell.chars().count());
            let (before, after) = if column < words {
                ("", &*padding)
            } else {
                (&*padding, "")
            };
            text.push_str(&format!("| {before}{cell}{after} "));
        }
        text.push_str("|\n");
        if index == 0 {
            for (column, width) in widths.iter().enumerate() {
                let end = if column < words { '-' } else { ':' };
                text.push_str(&format!("|{}{end}", "-".repeat(width + 1)));
            }
            text.push_str("|\n");
        }
    }
    text
}

/// A number with three digits that mean something.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        100.0..10_000.0 => format!("{value:.0}"),
        10_000.0..1_000_000.0 => format!("{:.0} k", value / 1e3),
        _ => format!("{:.2} M", value / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown: Vec<_> = [0.851, 23.46, 157.2, 5200.0, 132_400.0, 1_140_000.0]
            .into_iter()
            .map(number)
            .collect();
        assert_eq!(shown, ["0.85", "23.5", "157", "5200", "132 k", "1.14 M"]);
    }

    #[test]
    fn peers_without_a_figure_get_a_dash() {
        let mut results = Results::default();
        results.add(PeerName::Farref, [("H".to_owned(), 5e6)].into());
        results.add(PeerName::Tarpc, [("B".to_owned(), 1e5)].into());
        let text = absolute(&results);
        assert!(
            text.contains("|      – | 100 k |") && text.contains("| 5.00 M |     – |"),
            "{text}"
        );
    }

    #[test]
    fn columns_line_up() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let text = lay_out(&[row(["", "", "µs"]), row(["A", "one", "12.25"])], 2);
        assert_eq!(
            text,
            "|   |     |    µs |\n|---|-----|------:|\n| A | one | 12.25 |\n"
        );
    }
}
