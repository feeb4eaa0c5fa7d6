//! The results of a batch's calls: one table for all of a type, of which each slot has a place.

use crate::sync::{Mutex, MutexGuard};
use std::any::Any;
use std::marker::PhantomData;
use std::sync::{Arc, PoisonError};

/// How many tables are looked through for one of a type. A batch whose calls return more types has more tables.
const LOOKED_THROUGH: usize = 4;

/// The tables of the calls that are added to a batch.
#[derive(Default)]
pub(crate) struct Tables {
    tables: Vec<Table>,
    /// The one with the place that was taken last.
    last: usize,
}

struct Table {
    results: Arc<dyn Any + Send + Sync>,
    /// How many places of it are taken.
    taken: usize,
}

/// The results of calls that return one type, in the order of the calls; shorter as long as the last are missing.
struct Results<T, X>(Mutex<Vec<Entry<T, X>>>);

enum Entry<T, X> {
    Missing,
    Ready(Result<T, X>),
    /// It was taken, or nobody wants it.
    Gone,
}

/// The place of a call's result in the tables of its batch.
pub(crate) struct Place<T, X> {
    table: usize,
    index: usize,
    result: PhantomData<fn() -> Result<T, X>>,
}

/// The place of a result that is wanted. Dropped, it drops the result, now or when it comes.
pub(crate) struct Wanted<T, X> {
    /// None once it was taken.
    results: Option<Arc<Results<T, X>>>,
    index: usize,
}

impl Tables {
    /// The next place for the result of a call. It is the next one still until it is [wanted](Tables::want).
    pub(crate) fn next_place<T, X>(&mut self) -> Place<T, X>
    where
        T: Send + 'static,
        X: Send + 'static,
    {
        let is_known = |table: &Table| table.results.is::<Results<T, X>>();
        let mut tables = self.tables.iter().enumerate().rev().take(LOOKED_THROUGH);
        let table = match tables.find(|(_, table)| is_known(table)) {
            Some((number, _)) => number,
            None => {
                self.tables.push(Table {
                    results: Arc::new(Results::<T, X>(Mutex::new(Vec::new()))),
                    taken: 0,
                });
                self.tables.len() - 1
            }
        };
        Place {
            table,
            index: self.tables[table].taken,
            result: PhantomData,
        }
    }

    /// Takes the next place for good. Returns who wants its result.
    pub(crate) fn want<T, X>(&mut self, place: &Place<T, X>) -> Wanted<T, X>
    where
        T: Send + 'static,
        X: Send + 'static,
    {
        self.last = place.table;
        self.want_another().unwrap_or(Wanted {
            results: None,
            index: place.index,
        })
    }

    /// Takes the place behind the one that was taken last, if it is for a result of the same type.
    #[inline]
    pub(crate) fn want_another<T, X>(&mut self) -> Option<Wanted<T, X>>
    where
        T: Send + 'static,
        X: Send + 'static,
    {
        let table = self.tables.get_mut(self.last)?;
        let results = Arc::clone(&table.results).downcast().ok()?;
        let index = table.taken;
        table.taken += 1;
        Some(Wanted {
            results: Some(results),
            index,
        })
    }
}

impl<T, X> Results<T, X> {
    fn lock(&self) -> MutexGuard<'_, Vec<Entry<T, X>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts results into their places, from this one on. Returns those that nobody wants, to be dropped without the lock as
    /// whatever else the application made.
    fn put(&self, first: usize, results: Vec<Entry<T, X>>) -> Vec<Entry<T, X>> {
        let mut entries = self.lock();
        if entries.len() < first {
            entries.resize_with(first, || Entry::Missing);
        }
        if entries.is_empty() {
            return std::mem::replace(&mut entries, results);
        }
        let mut unwanted = Vec::new();
        for (index, result) in (first..).zip(results) {
            match entries.get_mut(index) {
                Some(entry @ Entry::Missing) => *entry = result,
                Some(_) => unwanted.push(result),
                None => entries.push(result),
            }
        }
        unwanted
    }

    /// Takes what is in a place, which takes nothing any more.
    fn take(&self, index: usize) -> Option<Result<T, X>> {
        let mut entries = self.lock();
        if entries.len() <= index {
            entries.resize_with(index + 1, || Entry::Missing);
        }
        match std::mem::replace(&mut entries[index], Entry::Gone) {
            Entry::Ready(result) => Some(result),
            Entry::Missing | Entry::Gone => None,
        }
    }
}

impl<T: Send + 'static, X: Send + 'static> Place<T, X> {
    /// The place that is so far behind this one in the same table.
    pub(crate) fn behind(&self, count: usize) -> Self {
        Place {
            index: self.index + count,
            ..*self
        }
    }

    /// Puts the result into its place, unless nobody wants it.
    pub(crate) fn put(&self, tables: &Tables, result: Result<T, X>) {
        self.put_all(tables, [result]);
    }

    /// Puts results into this place and those behind it. They are made without the lock.
    pub(crate) fn put_all(&self, tables: &Tables, results: impl IntoIterator<Item = Result<T, X>>) {
        let results = results.into_iter().map(Entry::Ready).collect();
        let table = tables.tables.get(self.table);
        let table = table.and_then(|table| table.results.downcast_ref::<Results<T, X>>());
        let unwanted = table.map(|table| table.put(self.index, results));
        drop(unwanted);
    }
}

impl<T, X> Wanted<T, X> {
    /// The result, if it is there.
    pub(crate) fn take(mut self) -> Option<Result<T, X>> {
        self.results.take()?.take(self.index)
    }

    /// Whether the result is there.
    pub(crate) fn is_ready(&self) -> bool {
        self.results.as_ref().is_some_and(|results| {
            let entries = results.lock();
            matches!(entries.get(self.index), Some(Entry::Ready(_)))
        })
    }
}

impl<T, X> Drop for Wanted<T, X> {
    fn drop(&mut self) {
        if let Some(results) = self.results.take() {
            drop(results.take(self.index));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place<T, X>(tables: &mut Tables) -> (Place<T, X>, Wanted<T, X>)
    where
        T: Send + 'static,
        X: Send + 'static,
    {
        let place = tables.next_place();
        let wanted = tables.want(&place);
        (place, wanted)
    }

    #[test]
    fn places_of_one_type_share_a_table_and_results_are_dropped_with_who_wants_them() {
        let mut tables = Tables::default();
        let held = Arc::new(());
        let mut places = Vec::new();
        for round in 0..10_u32 {
            let text = place::<String, ()>(&mut tables);
            let shared = place::<Arc<()>, u32>(&mut tables);
            places.push((round, text, shared));
        }
        assert_eq!(tables.tables.len(), 2);
        // In whatever order they come, and are taken.
        for (round, (text, _), (shared, _)) in places.iter().rev() {
            text.put(&tables, Ok(round.to_string()));
            shared.put(&tables, Ok(Arc::clone(&held)));
        }
        assert_eq!(Arc::strong_count(&held), 11);
        for (round, (_, text), (shared, wanted)) in places {
            assert!(text.is_ready() && wanted.is_ready());
            assert_eq!(text.take(), Some(Ok(round.to_string())));
            drop(wanted);
            assert_eq!(Arc::strong_count(&held), 10 - round as usize);
            shared.put(&tables, Ok(Arc::clone(&held)));
        }
        assert_eq!(Arc::strong_count(&held), 1);
        let (place, wanted) = place::<u8, ()>(&mut tables);
        assert!(!wanted.is_ready());
        assert_eq!(wanted.take(), None);
        place.put(&tables, Ok(1));
    }
}
