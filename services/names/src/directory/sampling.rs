//! Drawing registrations at random among those that have all of some tags.

use std::collections::BTreeSet;

use farref::names::Entry;
use indexmap::IndexSet;

use super::Directory;

/// How often is drawn for each that is wanted before everything is looked through.
const DRAWS: usize = 16;

impl Directory {
    /// Up to so many that have all of these tags, each combination as likely as every other.
    ///
    /// Takes time in the number that is wanted where most of those who have the rarest tag have the others, too, and else
    /// in the number of those who have it.
    pub(crate) fn sample(&self, tags: &BTreeSet<String>, limit: usize) -> Vec<Entry> {
        let Some(sets) = self.tagged(tags) else {
            return Vec::new();
        };
        let Some((smallest, others)) = sets.split_first() else {
            return Vec::new();
        };
        let fits = |epoch: &u64| others.iter().all(|set| set.contains(epoch));
        let chosen = draw(smallest, limit, fits).unwrap_or_else(|| {
            let mut fitting: Vec<u64> = smallest.iter().copied().filter(fits).collect();
            // The first steps of a shuffle.
            for place in 0..limit.min(fitting.len()) {
                let other = fastrand::usize(place..fitting.len());
                fitting.swap(place, other);
            }
            fitting.truncate(limit);
            fitting
        });
        chosen
            .into_iter()
            .filter_map(|epoch| self.entry(epoch))
            .collect()
    }
}

/// Draws until there are enough; `None` if that is not likely to end soon.
fn draw(set: &IndexSet<u64>, limit: usize, fits: impl Fn(&u64) -> bool) -> Option<Vec<u64>> {
    let draws = limit.saturating_mul(DRAWS);
    if set.len() <= draws {
        return None;
    }
    let mut chosen: Vec<u64> = Vec::with_capacity(limit);
    for _ in 0..draws {
        let epoch = *set.get_index(fastrand::usize(..set.len()))?;
        if fits(&epoch) && !chosen.contains(&epoch) {
            chosen.push(epoch);
            if chosen.len() == limit {
                return Some(chosen);
            }
        }
    }
    None
}
