//! What this side was given.

use std::collections::HashMap;

use crate::error::Violation;
use crate::id::{ALIAS_BIT, ImportId, InstanceId};
use crate::message::{EntryKind, ReleaseEntry, TableEntry};

#[derive(Debug)]
struct Import {
    object: u64,
    interface: u32,
    owner: InstanceId,
    /// Grants received and not given back.
    held: u32,
    /// Grants given back that the other side was not told of.
    release_due: u32,
    /// The owner ended the object, and this side was told.
    revoked: bool,
}

/// Objects of the other side that this side holds.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    imports: HashMap<u32, Import>,
    /// Imports of which some are to be given back. May name one twice, or one that is gone.
    releases: Vec<u32>,
    /// How many of the objects their owner has ended.
    revoked: usize,
    /// Names that were used and may be used again, and the lowest that never was.
    free_aliases: Vec<u32>,
    next_alias: u32,
}

impl Imports {
    /// Counts a grant that arrived.
    pub(crate) fn receive(
        &mut self,
        entry: &TableEntry,
        limit: u32,
    ) -> Result<ImportId, Violation> {
        let full = self.exports_held() >= limit as usize;
        match self.imports.get_mut(&entry.id) {
            Some(import) => {
                if (import.object, import.interface, import.owner)
                    != (entry.object, entry.interface, entry.owner)
                {
                    return Err(Violation::ReferenceChanged(entry.id));
                }
                let all = import
                    .held
                    .checked_add(import.release_due)
                    .and_then(|all| all.checked_add(1));
                all.ok_or(Violation::TooManyReferences(limit))?;
                import.held += 1;
            }
            None if full => return Err(Violation::TooManyReferences(limit)),
            None => {
                let TableEntry {
                    object,
                    interface,
                    owner,
                    ..
                } = *entry;
                let import = Import {
                    object,
                    interface,
                    owner,
                    held: 1,
                    release_due: 0,
                    revoked: false,
                };
                self.imports.insert(entry.id, import);
            }
        }
        Ok(ImportId::new(entry.id))
    }

    /// Returns how many imports the other side numbered.
    fn exports_held(&self) -> usize {
        self.imports.len() - self.aliases()
    }

    /// Returns how many names this side holds.
    pub(crate) fn aliases(&self) -> usize {
        self.next_alias as usize - self.free_aliases.len()
    }

    /// Chooses a name for an object of the other side, unless there are `limit` of them.
    pub(crate) fn bind(&mut self, interface: u32, limit: u32) -> Option<ImportId> {
        let index = match self.free_aliases.pop() {
            Some(index) => index,
            None if self.next_alias >= limit => return None,
            None => {
                self.next_alias += 1;
                self.next_alias - 1
            }
        };
        let id = ALIAS_BIT | index;
        let owner = InstanceId::from_bytes([0; 16]);
        let import = Import {
            object: 0,
            interface,
            owner,
            held: 1,
            release_due: 0,
            revoked: false,
        };
        self.imports.insert(id, import);
        Some(ImportId::new(id))
    }

    /// Takes the description of the object that a name was bound to. The name may have been given back meanwhile.
    pub(crate) fn bound(&mut self, alias: ImportId, entry: &TableEntry) {
        if let Some(import) = self.imports.get_mut(&alias.index()) {
            import.object = entry.object;
            import.interface = entry.interface;
            import.owner = entry.owner;
        }
    }

    /// Gives `count` grants back, or as many as there are. Returns how many.
    pub(crate) fn release(&mut self, id: ImportId, count: u32) -> u32 {
        let Some(import) = self.imports.get_mut(&id.index()) else {
            return 0;
        };
        let count = count.min(import.held);
        if count > 0 {
            if import.release_due == 0 {
                self.releases.push(id.index());
            }
            import.held -= count;
            import.release_due += count;
        }
        count
    }

    /// Tells whether grants are to be given back.
    pub(crate) fn has_releases(&self) -> bool {
        !self.releases.is_empty()
    }

    /// Returns the grants to give back, which is done at once.
    pub(crate) fn take_releases(&mut self) -> Vec<ReleaseEntry> {
        let releases = std::mem::take(&mut self.releases);
        releases
            .into_iter()
            .filter_map(|id| self.take_release(id))
            .collect()
    }

    fn take_release(&mut self, id: u32) -> Option<ReleaseEntry> {
        let import = self.imports.get_mut(&id)?;
        let count = std::mem::take(&mut import.release_due);
        if import.held == 0 {
            self.revoked -= usize::from(import.revoked);
            self.imports.remove(&id);
            if id & ALIAS_BIT != 0 {
                self.free_aliases.push(id & !ALIAS_BIT);
            }
        }
        (count > 0).then_some(ReleaseEntry { id, count })
    }

    /// Notes that the owner ended the object. Returns whether that is news about an import that is held.
    pub(crate) fn revoke(&mut self, id: u32) -> Option<ImportId> {
        let import = self.imports.get_mut(&id)?;
        if std::mem::replace(&mut import.revoked, true) {
            return None;
        }
        self.revoked += 1;
        Some(ImportId::new(id))
    }

    /// Whether the owner ended the object, as far as this side was told.
    #[inline]
    pub(crate) fn is_revoked(&self, id: u32) -> bool {
        self.revoked > 0 && self.imports.get(&id).is_some_and(|import| import.revoked)
    }

    /// Returns the entry that sends the import home to its owner.
    pub(crate) fn home_entry(&self, id: ImportId) -> Option<TableEntry> {
        let import = self.imports.get(&id.index())?;
        Some(TableEntry {
            kind: EntryKind::Home,
            id: id.index(),
            object: import.object,
            interface: import.interface,
            owner: import.owner,
        })
    }

    /// Returns how many objects are held, by number or by name.
    pub(crate) fn len(&self) -> usize {
        self.imports.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u32, object: u64) -> TableEntry {
        TableEntry {
            kind: EntryKind::Export,
            id,
            object,
            ..TableEntry::DEAD
        }
    }

    #[test]
    fn a_grant_that_crosses_a_release_is_counted() {
        let mut imports = Imports::default();
        let id = imports.receive(&entry(4, 40), 9).expect("there is room");
        assert_eq!(imports.release(id, 5), 1, "no more than is held");
        assert_eq!(imports.receive(&entry(4, 40), 9), Ok(id));
        assert_eq!(imports.take_releases(), [ReleaseEntry { id: 4, count: 1 }]);
        assert_eq!(imports.len(), 1);
        assert_eq!(
            imports.receive(&entry(4, 41), 9),
            Err(Violation::ReferenceChanged(4))
        );
        imports.release(id, 1);
        assert_eq!(imports.take_releases(), [ReleaseEntry { id: 4, count: 1 }]);
        assert_eq!(imports.len(), 0);
        assert_eq!(
            imports.receive(&entry(4, 41), 9),
            Ok(id),
            "the slot may hold another object now"
        );
    }

    #[test]
    fn names_are_used_again_after_their_release_is_written() {
        let mut imports = Imports::default();
        let first = imports.bind(1, 1).expect("there is room");
        assert_eq!(first, ImportId::new(ALIAS_BIT));
        assert_eq!(imports.bind(1, 1), None);
        imports.release(first, 1);
        assert_eq!(imports.bind(1, 1), None, "the other side does not know yet");
        assert_eq!(imports.take_releases().len(), 1);
        assert_eq!(imports.bind(1, 1), Some(first));
    }

    #[test]
    fn limits_hold() {
        let mut imports = Imports::default();
        imports.receive(&entry(1, 1), 1).expect("there is room");
        imports.bind(1, 9).expect("names are counted by themselves");
        assert_eq!(
            imports.receive(&entry(2, 2), 1),
            Err(Violation::TooManyReferences(1))
        );
        assert_eq!(imports.receive(&entry(1, 1), 1), Ok(ImportId::new(1)));
    }
}
