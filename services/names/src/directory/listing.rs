//! Lists, a page at a time, in the order of names and epochs.

use std::ops::Bound;
use std::sync::Arc;

use farref::names::{NamesError, Page, Position, Query, pattern};

use super::{Directory, Registered, share, union};

/// How many registrations are looked at for one page, so that a query that fits few does not hold others up.
const MAX_LOOKED_AT: usize = 20_000;

impl Directory {
    /// A page of the registrations that fit a query.
    ///
    /// Takes time in the number of those who have the rarest of the tags, if they are few; else in the number of names that
    /// begin as asked.
    pub(crate) fn list(
        &self,
        query: &Query,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Page, NamesError> {
        match self.few(query) {
            Some(epochs) => Ok(self.page_of(epochs, query, after, limit)),
            None => Ok(self.page_of_names(query, after, limit)),
        }
    }

    /// Those that the tags of a query leave, if they are so few that looking at them is quicker than looking at names.
    fn few(&self, query: &Query) -> Option<Vec<u64>> {
        let few = (self.registered.len() / 16).clamp(64, MAX_LOOKED_AT);
        if !query.all.is_empty() {
            let Some(sets) = self.tagged(&query.all) else {
                return Some(Vec::new());
            };
            let smallest = sets.first()?;
            return (smallest.len() <= few).then(|| smallest.iter().copied().collect());
        }
        if !query.any.is_empty() {
            let sets = query
                .any
                .iter()
                .filter_map(|tag| self.tags.get(tag.as_str()));
            let sets: Vec<_> = sets.collect();
            let total: usize = sets.iter().map(|set| set.len()).sum();
            return (total <= few).then(|| union(sets).into_iter().collect());
        }
        None
    }

    fn page_of(
        &self,
        epochs: Vec<u64>,
        query: &Query,
        after: Option<&Position>,
        limit: usize,
    ) -> Page {
        let mut fitting: Vec<(&Arc<str>, u64)> = epochs
            .into_iter()
            .filter_map(|epoch| {
                let known = self.registered.get(&epoch)?;
                let name = &known.record.name;
                let is_after =
                    after.is_none_or(|after| (&**name, epoch) > (&*after.name, after.epoch));
                (is_after && fits(known, query)).then_some((name, epoch))
            })
            .collect();
        let more = fitting.len() > limit;
        if more {
            // Only the page is put in order, so that a list does not take the square of its length.
            fitting.select_nth_unstable(limit);
            fitting.truncate(limit);
        }
        fitting.sort_unstable();
        let next = fitting
            .last()
            .filter(|_| more)
            .map(|(name, epoch)| Position {
                name: (***name).to_owned(),
                epoch: *epoch,
            });
        let entries = fitting.iter().filter_map(|(_, epoch)| self.entry(*epoch));
        Page {
            entries: entries.collect(),
            next,
        }
    }

    fn page_of_names(&self, query: &Query, after: Option<&Position>, limit: usize) -> Page {
        let prefixes = [query.prefix.as_str(), pattern::prefix(&query.pattern)];
        // What fits begins with both, so the longer one decides where to begin.
        let prefix = prefixes.into_iter().max_by_key(|prefix| prefix.len());
        let prefix = prefix.unwrap_or_default();
        let start = match after {
            Some(after) if *after.name > *prefix => &after.name,
            _ => prefix,
        };
        let mut page = Page {
            entries: Vec::new(),
            next: None,
        };
        let mut looked_at = 0;
        let mut last = None;
        let from = (Bound::Included(start), Bound::Unbounded);
        for (name, epochs) in self.names.range::<str, _>(from) {
            if !name.starts_with(prefix) {
                return page;
            }
            for &epoch in epochs {
                if after.is_some_and(|after| (&**name, epoch) <= (&*after.name, after.epoch)) {
                    continue;
                }
                let is_full = page.entries.len() == limit || looked_at == MAX_LOOKED_AT;
                if let (true, Some((name, epoch))) = (is_full, last) {
                    page.next = Some(Position {
                        name: String::from(name),
                        epoch,
                    });
                    return page;
                }
                looked_at += 1;
                last = Some((&**name, epoch));
                let known = self.registered.get(&epoch);
                if known.is_some_and(|known| fits(known, query)) {
                    page.entries.extend(self.entry(epoch));
                }
            }
        }
        page
    }
}

fn fits(known: &Registered, query: &Query) -> bool {
    let record = &known.record;
    record.name.starts_with(&query.prefix)
        && (query.pattern.is_empty() || pattern::fits(&query.pattern, &record.name))
        && query
            .all
            .iter()
            .all(|tag| record.tags.contains(tag.as_str()))
        && (query.any.is_empty() || share(&record.tags, &query.any))
}
