//! Medians and percentiles.

/// The middle of some values, or the mean of the two in the middle; nothing of none.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// How far two values are apart, as a part of the larger.
pub(crate) fn spread(one: f64, other: f64) -> f64 {
    (one - other).abs() / one.max(other)
}

/// The value below which this part of the sorted values lies, in the values' unit.
pub(crate) fn percentile(sorted: &[u64], part: f64) -> Option<u64> {
    let last = sorted.len().checked_sub(1)?;
    let index = (last as f64 * part).round() as usize;
    sorted.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_odd_number_is_the_middle_one() {
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn percentiles_reach_both_ends() {
        let values: Vec<u64> = (0..=100).collect();
        assert_eq!(percentile(&values, 0.0), Some(0));
        assert_eq!(percentile(&values, 0.99), Some(99));
        assert_eq!(percentile(&values, 1.0), Some(100));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn a_spread_is_relative() {
        assert!((spread(90.0, 100.0) - 0.1).abs() < 1e-9);
        assert!((spread(100.0, 90.0) - 0.1).abs() < 1e-9);
    }
}
