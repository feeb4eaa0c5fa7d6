//! The results of a batch's calls: one table for all of a type, of which each slot has a place.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many tables are looked through for one of a type. A batch whose calls return more types has more tables.
const LOOKED_THROUGH: usize = 4;

/// The tables of the calls that are added to a batch.
#[derive(Default)]
pub(crate) struct Tables(Vec<Table>);

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

/// The place of a call's result.
pub(crate) struct Place<T, X> {
    results: Arc<Results<T, X>>,
    index: usize,
}

/// The place of a result that is wanted. Dropped, it drops the result, now or when it comes.
pub(crate) struct Wanted<T, X>(Option<Place<T, X>>);

impl Tables {
    /// A place for the result of another call, and who wants that.
    pub(crate) fn place<T, X>(&mut self) -> (Place<T, X>, Wanted<T, X>)
    where
        T: Send + 'static,
        X: Send + 'static,
    {
        let mut tables = self.0.iter_mut().rev().take(LOOKED_THROUGH);
        let known = tables.find_map(|table| {
            if !table.results.is::<Results<T, X>>() {
                return None;
            }
            let results = Arc::clone(&table.results).downcast().ok()?;
            let index = table.taken;
            table.taken += 1;
            Some((results, index))
        });
        let (results, index) = known.unwrap_or_else(|| (self.add(), 0));
        let wanted = Wanted(Some(Place {
            results: Arc::clone(&results),
            index,
        }));
        (Place { results, index }, wanted)
    }

    fn add<T, X>(&mut self) -> Arc<Results<T, X>>
    where
        T: Send + 'static,
        X: Send + 'static,
    {
        let results = Arc::new(Results(Mutex::new(Vec::new())));
        let table = Arc::clone(&results);
        self.0.push(Table {
            results: table,
            taken: 1,
        });
        results
    }
}

impl<T, X> Results<T, X> {
    fn lock(&self) -> MutexGuard<'_, Vec<Entry<T, X>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an entry into its place, and returns the one that was there.
    fn replace(&self, index: usize, entry: Entry<T, X>) -> Entry<T, X> {
        let mut entries = self.lock();
        if entries.len() == index {
            entries.push(entry);
            return Entry::Missing;
        }
        if entries.len() < index {
            entries.resize_with(index + 1, || Entry::Missing);
        }
        std::mem::replace(&mut entries[index], entry)
    }
}

impl<T, X> Place<T, X> {
    /// Puts the result into its place, unless nobody wants it.
    pub(crate) fn put(&self, result: Result<T, X>) {
        let old = self.results.replace(self.index, Entry::Ready(result));
        if matches!(old, Entry::Gone) {
            // What nobody wants is dropped without the lock, as whatever else the application made.
            let unwanted = self.results.replace(self.index, Entry::Gone);
            drop(unwanted);
        }
    }

    fn take(&self) -> Option<Result<T, X>> {
        match self.results.replace(self.index, Entry::Gone) {
            Entry::Ready(result) => Some(result),
            Entry::Missing | Entry::Gone => None,
        }
    }
}

impl<T, X> Wanted<T, X> {
    /// The result, if it is there.
    pub(crate) fn take(mut self) -> Option<Result<T, X>> {
        self.0.take()?.take()
    }

    /// Whether the result is there.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.as_ref().is_some_and(|place| {
            let entries = place.results.lock();
            matches!(entries.get(place.index), Some(Entry::Ready(_)))
        })
    }
}

impl<T, X> Drop for Wanted<T, X> {
    fn drop(&mut self) {
        if let Some(place) = self.0.take() {
            drop(place.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_one_type_share_a_table_and_results_are_dropped_with_who_wants_them() {
        let mut tables = Tables::default();
        let held = Arc::new(());
        let mut places = Vec::new();
        for round in 0..10_u32 {
            let text = tables.place::<String, ()>();
            let shared = tables.place::<Arc<()>, u32>();
            places.push((round, text, shared));
        }
        assert_eq!(tables.0.len(), 2);
        // In whatever order they come, and are taken.
        for (round, (text, _), (shared, _)) in places.iter().rev() {
            text.put(Ok(round.to_string()));
            shared.put(Ok(Arc::clone(&held)));
        }
        assert_eq!(Arc::strong_count(&held), 11);
        for (round, (_, text), (shared, wanted)) in places {
            assert!(text.is_ready() && wanted.is_ready());
            assert_eq!(text.take(), Some(Ok(round.to_string())));
            drop(wanted);
            assert_eq!(Arc::strong_count(&held), 10 - round as usize);
            shared.put(Ok(Arc::clone(&held)));
        }
        assert_eq!(Arc::strong_count(&held), 1);
        let (place, wanted) = tables.place::<u8, ()>();
        assert!(!wanted.is_ready());
        assert_eq!(wanted.take(), None);
        place.put(Ok(1));
    }
}
