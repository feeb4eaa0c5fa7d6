//! The directory in memory: who has which name, which tags, until when. No I/O, and no clock but what it is told.

mod listing;
mod sampling;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use farref::names::{Entry, Grant, IfTaken, NamesError, Registration, Renewal, Renewed};
use indexmap::IndexSet;
use tokio::time::Instant;

use crate::limits::Limits;
use crate::store::{Change, Loaded, Record};

/// All registrations, found by epoch, name and tag.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    registered: HashMap<u64, Registered>,
    /// The epochs of each name, the oldest first.
    names: BTreeMap<Arc<str>, Vec<u64>>,
    /// The epochs that have each tag, so that one can be drawn at random.
    tags: HashMap<Arc<str>, IndexSet<u64>>,
    /// When leases end, the next first.
    ends: BTreeSet<(Instant, u64)>,
    /// The greatest epoch that was granted.
    epoch: u64,
}

#[derive(Debug)]
struct Registered {
    record: Arc<Record>,
    load: u32,
    /// When its lease ends.
    end: Option<Instant>,
}

impl Directory {
    /// The directory that a store held. All leases begin now.
    pub(crate) fn of(loaded: Loaded, now: Instant) -> Self {
        let mut directory = Directory {
            epoch: loaded.epoch,
            ..Directory::default()
        };
        let mut records = loaded.records;
        records.sort_unstable_by_key(|record| record.epoch);
        for mut record in records {
            directory.epoch = directory.epoch.max(record.epoch);
            // Equal texts are kept once.
            record.name = directory.name_text(&record.name);
            record.tags = directory.tag_texts(record.tags.iter().map(|tag| &**tag));
            directory.insert(Arc::new(record), 0, now);
        }
        directory
    }

    pub(crate) fn len(&self) -> usize {
        self.registered.len()
    }

    pub(crate) fn tag_count(&self) -> usize {
        self.tags.len()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// When the next lease ends.
    pub(crate) fn next_end(&self) -> Option<Instant> {
        self.ends.first().map(|(end, _)| *end)
    }

    pub(crate) fn register(
        &mut self,
        registration: &Registration,
        limits: &Limits,
        now: Instant,
        changes: &mut Vec<Change>,
    ) -> Result<Grant, NamesError> {
        limits.check(registration)?;
        let name = registration.name.as_str();
        let known = self.names.get(name).map_or(&[][..], Vec::as_slice);
        let is_own = |epoch: &u64| {
            registration.owner != 0
                && self
                    .registered
                    .get(epoch)
                    .is_some_and(|known| known.record.owner == registration.owner)
        };
        let leaving: Vec<u64> = match registration.if_taken {
            IfTaken::Replace => known.to_vec(),
            IfTaken::Refuse | IfTaken::Join => known.iter().copied().filter(is_own).collect(),
        };
        let others = known.len() - leaving.len();
        if others > 0 && registration.if_taken == IfTaken::Refuse {
            let other = known.iter().rev().find(|epoch| !leaving.contains(epoch));
            let uri = other
                .and_then(|epoch| self.registered.get(epoch))
                .map_or_else(
                    || registration.uri.clone(),
                    |other| other.record.uri.clone(),
                );
            return Err(NamesError::Taken {
                name: name.to_owned(),
                uri,
            });
        }
        if others >= limits.per_name {
            return Err(NamesError::Full(format!(
                "the name `{name}` has {others} registrations already, and may have {}",
                limits.per_name
            )));
        }
        if self.len() - leaving.len() >= limits.entries {
            return Err(NamesError::Full(format!(
                "the directory is full: it holds {} registrations",
                self.len()
            )));
        }
        for epoch in leaving {
            changes.extend(self.take(epoch));
        }
        self.epoch += 1;
        let record = Arc::new(Record {
            epoch: self.epoch,
            name: self.name_text(name),
            uri: registration.uri.clone(),
            tags: self.tag_texts(registration.tags.iter().map(String::as_str)),
            lease: registration.lease,
            owner: registration.owner,
        });
        self.insert(Arc::clone(&record), registration.load, now);
        changes.push(Change {
            before: None,
            after: Some(record),
        });
        Ok(Grant { epoch: self.epoch })
    }

    pub(crate) fn remove(
        &mut self,
        name: &str,
        epoch: Option<u64>,
        changes: &mut Vec<Change>,
    ) -> Result<u32, NamesError> {
        let known = self.names.get(name).cloned().unwrap_or_default();
        let leaving = match epoch {
            None => known,
            Some(epoch) if known.contains(&epoch) => vec![epoch],
            Some(_) => {
                return match known.last() {
                    Some(&epoch) => Err(NamesError::Fenced {
                        name: name.to_owned(),
                        epoch,
                    }),
                    None => Ok(0),
                };
            }
        };
        let count = u32::try_from(leaving.len()).unwrap_or(u32::MAX);
        for epoch in leaving {
            changes.extend(self.take(epoch));
        }
        Ok(count)
    }

    pub(crate) fn tag(
        &mut self,
        name: &str,
        add: &BTreeSet<String>,
        remove: &BTreeSet<String>,
        limits: &Limits,
        changes: &mut Vec<Change>,
    ) -> Result<u32, NamesError> {
        limits.check_tags(add)?;
        let epochs = self
            .names
            .get(name)
            .cloned()
            .ok_or_else(|| NamesError::Unknown(name.to_owned()))?;
        let add = self.tag_texts(add.iter().map(String::as_str));
        let mut retagged = Vec::new();
        for epoch in &epochs {
            let Some(known) = self.registered.get(epoch) else {
                continue;
            };
            let mut tags = known.record.tags.clone();
            tags.extend(add.iter().cloned());
            tags.retain(|tag| !remove.contains(&**tag));
            if tags.len() > limits.tags {
                return Err(NamesError::Invalid(format!(
                    "a registration has at most {} tags, and `{name}` would have {}",
                    limits.tags,
                    tags.len()
                )));
            }
            if tags != known.record.tags {
                let record = Record {
                    tags,
                    ..(*known.record).clone()
                };
                retagged.push((Arc::clone(&known.record), Arc::new(record)));
            }
        }
        for (before, after) in retagged {
            self.retag(&before, &after);
            changes.push(Change {
                before: Some(before),
                after: Some(after),
            });
        }
        Ok(u32::try_from(epochs.len()).unwrap_or(u32::MAX))
    }

    /// Lets leases begin anew. Changes nothing that is kept in a store.
    pub(crate) fn renew(&mut self, renewal: &Renewal, now: Instant) -> Renewed {
        match self.registered.get_mut(&renewal.epoch) {
            Some(known) if *known.record.name == *renewal.name => {
                known.load = renewal.load;
                let end = end_of(&known.record, now);
                if let Some(old) = std::mem::replace(&mut known.end, end) {
                    self.ends.remove(&(old, renewal.epoch));
                }
                if let Some(end) = end {
                    self.ends.insert((end, renewal.epoch));
                }
                Renewed::Kept
            }
            _ => match self
                .names
                .get(&*renewal.name)
                .and_then(|known| known.last())
            {
                Some(&epoch) => Renewed::Fenced(epoch),
                None => Renewed::Gone,
            },
        }
    }

    /// Takes away what has not been renewed in time.
    pub(crate) fn expire(&mut self, now: Instant, changes: &mut Vec<Change>) {
        while let Some(&(end, epoch)) = self.ends.first()
            && end <= now
        {
            changes.extend(self.take(epoch));
        }
    }

    pub(crate) fn lookup(&self, name: &str) -> Vec<Entry> {
        let known = self.names.get(name).map_or(&[][..], Vec::as_slice);
        known
            .iter()
            .rev()
            .filter_map(|epoch| self.entry(*epoch))
            .collect()
    }

    /// Undoes changes that could not be kept, the last one first.
    pub(crate) fn undo(&mut self, changes: Vec<Change>, now: Instant) {
        for change in changes.into_iter().rev() {
            match (change.before, change.after) {
                (Some(before), Some(after)) => self.retag(&after, &before),
                (Some(before), None) => self.insert(before, 0, now),
                (None, Some(after)) => {
                    self.take(after.epoch);
                }
                (None, None) => {}
            }
        }
    }

    /// The epoch of who owns a name.
    pub(crate) fn owner(&self, name: &str) -> Option<u64> {
        self.names.get(name)?.last().copied()
    }

    /// How much a registration has to do; nothing if it is not there.
    pub(crate) fn load(&self, epoch: u64) -> u32 {
        self.registered.get(&epoch).map_or(0, |known| known.load)
    }

    fn entry(&self, epoch: u64) -> Option<Entry> {
        let known = self.registered.get(&epoch)?;
        Some(known.record.entry(known.load))
    }

    fn insert(&mut self, record: Arc<Record>, load: u32, now: Instant) {
        let epoch = record.epoch;
        let epochs = self.names.entry(Arc::clone(&record.name)).or_default();
        // What comes back after an undo may be older than what is there.
        let place = epochs.partition_point(|known| *known < epoch);
        epochs.insert(place, epoch);
        for tag in &record.tags {
            self.tags.entry(Arc::clone(tag)).or_default().insert(epoch);
        }
        let end = end_of(&record, now);
        if let Some(end) = end {
            self.ends.insert((end, epoch));
        }
        self.registered
            .insert(epoch, Registered { record, load, end });
    }

    fn take(&mut self, epoch: u64) -> Option<Change> {
        let known = self.registered.remove(&epoch)?;
        if let Some(end) = known.end {
            self.ends.remove(&(end, epoch));
        }
        if let Some(epochs) = self.names.get_mut(&known.record.name) {
            epochs.retain(|known| *known != epoch);
            if epochs.is_empty() {
                self.names.remove(&known.record.name);
            }
        }
        for tag in &known.record.tags {
            self.untag(tag, epoch);
        }
        Some(Change {
            before: Some(known.record),
            after: None,
        })
    }

    fn retag(&mut self, before: &Arc<Record>, after: &Arc<Record>) {
        for tag in before.tags.difference(&after.tags) {
            self.untag(tag, before.epoch);
        }
        for tag in after.tags.difference(&before.tags) {
            let epochs = self.tags.entry(Arc::clone(tag)).or_default();
            epochs.insert(after.epoch);
        }
        if let Some(known) = self.registered.get_mut(&after.epoch) {
            known.record = Arc::clone(after);
        }
    }

    fn untag(&mut self, tag: &Arc<str>, epoch: u64) {
        if let Some(epochs) = self.tags.get_mut(tag) {
            epochs.swap_remove(&epoch);
            if epochs.is_empty() {
                self.tags.remove(tag);
            }
        }
    }

    /// The name, sharing its text with registrations that have it already.
    fn name_text(&self, name: &str) -> Arc<str> {
        let known = self.names.get_key_value(name);
        known.map_or_else(|| Arc::from(name), |(known, _)| Arc::clone(known))
    }

    fn tag_texts<'t>(&self, tags: impl IntoIterator<Item = &'t str>) -> BTreeSet<Arc<str>> {
        let text = |tag: &str| {
            let known = self.tags.get_key_value(tag);
            known.map_or_else(|| Arc::from(tag), |(known, _)| Arc::clone(known))
        };
        tags.into_iter().map(text).collect()
    }

    /// All registrations, for whoever looks whether they are alive: where they are, by what they are known.
    pub(crate) fn places(&self) -> HashMap<farref::Uri, Vec<(Arc<str>, u64)>> {
        let mut places: HashMap<_, Vec<_>> = HashMap::new();
        for known in self.registered.values() {
            let record = &known.record;
            places
                .entry(record.uri.without_object())
                .or_default()
                .push((Arc::clone(&record.name), record.epoch));
        }
        places
    }

    /// The sets of those that have each of these tags, the smallest first; `None` if nobody has one of them.
    fn tagged<'d>(&'d self, tags: &BTreeSet<String>) -> Option<Vec<&'d IndexSet<u64>>> {
        let sets = tags.iter().map(|tag| self.tags.get(tag.as_str()));
        let mut sets = sets.collect::<Option<Vec<_>>>()?;
        sets.sort_by_key(|set| set.len());
        Some(sets)
    }
}

/// When a lease ends that begins now.
fn end_of(record: &Record, now: Instant) -> Option<Instant> {
    let lease = Duration::from_secs(record.lease?.into());
    now.checked_add(lease)
}

/// Whether two collections have an element in common.
fn share<'t>(tags: &BTreeSet<Arc<str>>, any: impl IntoIterator<Item = &'t String>) -> bool {
    any.into_iter().any(|tag| tags.contains(tag.as_str()))
}

/// The members of several sets, each once.
fn union<'s>(sets: impl IntoIterator<Item = &'s IndexSet<u64>>) -> HashSet<u64> {
    sets.into_iter().flatten().copied().collect()
}
