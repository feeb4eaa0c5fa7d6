//! What this side gave out.

use std::collections::{HashMap, HashSet};

use crate::error::Violation;
use crate::id::{ALIAS_BIT, ExportId, InstanceId};

#[derive(Debug)]
enum Slot {
    Free {
        next: Option<u32>,
    },
    Exported {
        key: Key,
        grants: u32,
        revoked: bool,
    },
}

/// What is exported: an object, which has its number from its owner, under an interface.
///
/// The owner may be a third process whose references pass through this one, and numbers say nothing across owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) owner: InstanceId,
    pub(crate) object: u64,
    pub(crate) interface: u32,
}

/// Objects of this side that the other side holds.
///
/// The slot 0 is never used: as a target it is the daemon.
#[derive(Debug)]
pub(crate) struct Exports {
    slots: Vec<Slot>,
    free: Option<u32>,
    /// Where each object is that may be granted again.
    ids: HashMap<Key, u32>,
    held: usize,
    /// Ids whose objects were ended and the other side not yet told.
    revoked: Vec<u32>,
}

impl Default for Exports {
    fn default() -> Self {
        let daemon = Slot::Free { next: None };
        Self {
            slots: vec![daemon],
            free: None,
            ids: HashMap::new(),
            held: 0,
            revoked: Vec::new(),
        }
    }
}

impl Exports {
    /// Counts a grant of this object and interface, in the slot that they have or in a new one.
    ///
    /// Returns `None` if there are `limit` of them, or more grants of one than can be counted.
    pub(crate) fn grant(&mut self, key: Key, limit: u32) -> Option<ExportId> {
        if let Some(index) = self.ids.get(&key) {
            if let Some(Slot::Exported { grants, .. }) = self.slots.get_mut(*index as usize) {
                *grants = grants.checked_add(1)?;
            }
            return Some(ExportId::new(*index));
        }
        if self.held >= limit as usize {
            return None;
        }
        let slot = Slot::Exported {
            key,
            grants: 1,
            revoked: false,
        };
        let index = match self.free {
            Some(index) => {
                let free = std::mem::replace(&mut self.slots[index as usize], slot);
                self.free = match free {
                    Slot::Free { next } => next,
                    Slot::Exported { .. } => None,
                };
                index
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        };
        self.ids.insert(key, index);
        self.held += 1;
        Some(ExportId::new(index))
    }

    /// Takes `count` grants back. Returns whether none is left, and the slot free.
    pub(crate) fn release(&mut self, id: u32, count: u32) -> Result<bool, Violation> {
        let over_released = Violation::OverReleased(id);
        let Some(slot @ Slot::Exported { .. }) = self.slots.get_mut(id as usize) else {
            return Err(over_released);
        };
        if let Slot::Exported { grants, key, .. } = slot {
            *grants = grants.checked_sub(count).ok_or(over_released)?;
            if *grants > 0 {
                return Ok(false);
            }
            // A revoked object may have been granted anew, in another slot.
            if self.ids.get(key) == Some(&id) {
                self.ids.remove(key);
            }
            self.held -= 1;
        }
        *slot = Slot::Free { next: self.free };
        self.free = Some(id);
        Ok(true)
    }

    /// Returns how many grants of this export the other side holds.
    pub(crate) fn grants(&self, id: u32) -> u32 {
        match self.slots.get(id as usize) {
            Some(Slot::Exported { grants, .. }) => *grants,
            _ => 0,
        }
    }

    /// Tells whether the other side holds this export.
    pub(crate) fn contains(&self, id: u32) -> bool {
        matches!(self.slots.get(id as usize), Some(Slot::Exported { .. }))
    }

    /// Notes that the object was ended; the other side is to be told, once. A new grant of it gets a slot of its own.
    pub(crate) fn revoke(&mut self, id: u32) {
        if let Some(Slot::Exported { revoked, key, .. }) = self.slots.get_mut(id as usize)
            && !*revoked
        {
            *revoked = true;
            self.ids.remove(key);
            self.revoked.push(id);
        }
    }

    /// Notes that the object behind a name was ended.
    pub(crate) fn revoke_alias(&mut self, alias: u32) {
        if !self.revoked.contains(&alias) {
            self.revoked.push(alias);
        }
    }

    /// Tells whether the other side is to be told of ended objects.
    pub(crate) fn has_revoked(&self) -> bool {
        !self.revoked.is_empty()
    }

    /// Returns the ended objects of which the other side is told now. Those that it gave back meanwhile are left out.
    pub(crate) fn take_revoked(&mut self, aliases: &Aliases) -> Vec<u32> {
        let mut revoked = std::mem::take(&mut self.revoked);
        revoked.retain(|id| match id & ALIAS_BIT {
            0 => matches!(
                self.slots.get(*id as usize),
                Some(Slot::Exported { revoked: true, .. })
            ),
            _ => aliases.contains(*id),
        });
        revoked
    }

    /// Returns how many objects are exported.
    pub(crate) fn len(&self) -> usize {
        self.held
    }
}

/// Names that the other side chose for objects of this side.
///
/// A name lives from its bind to its release, whatever the bind's answer was.
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    bound: HashSet<u32>,
}

impl Aliases {
    /// Takes the name of a bind that arrived.
    pub(crate) fn bind(&mut self, alias: u32, limit: u32) -> Result<(), Violation> {
        if alias & ALIAS_BIT == 0 || alias & !ALIAS_BIT >= limit || !self.bound.insert(alias) {
            return Err(Violation::BadAlias(alias));
        }
        Ok(())
    }

    /// Forgets the name.
    pub(crate) fn release(&mut self, alias: u32, count: u32) -> Result<(), Violation> {
        if count != 1 || !self.bound.remove(&alias) {
            return Err(Violation::OverReleased(alias));
        }
        Ok(())
    }

    /// Tells whether the name is bound.
    pub(crate) fn contains(&self, alias: u32) -> bool {
        self.bound.contains(&alias)
    }

    /// Returns how many names are bound.
    pub(crate) fn len(&self) -> usize {
        self.bound.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(object: u64, interface: u32) -> Key {
        Key {
            owner: InstanceId::from_bytes([1; 16]),
            object,
            interface,
        }
    }

    #[test]
    fn numbers_of_two_owners_are_two_objects() {
        let mut exports = Exports::default();
        let ours = exports.grant(key(7, 1), 9);
        let theirs = Key {
            owner: InstanceId::from_bytes([2; 16]),
            ..key(7, 1)
        };
        assert_ne!(exports.grant(theirs, 9), ours);
    }

    #[test]
    fn a_revoked_object_is_granted_anew_in_another_slot() {
        let mut exports = Exports::default();
        let old = exports.grant(key(7, 1), 2).expect("there is room");
        exports.revoke(old.index());
        let new = exports.grant(key(7, 1), 2).expect("there is room");
        assert_ne!(new, old);
        assert_eq!(exports.grant(key(8, 1), 2), None, "both slots count");
        assert_eq!(exports.release(old.index(), 1), Ok(true));
        assert_eq!(exports.grant(key(7, 1), 2), Some(new));
    }

    #[test]
    fn grants_of_one_object_share_a_slot() {
        let mut exports = Exports::default();
        let id = exports.grant(key(7, 1), 2).expect("there is room");
        assert_eq!(id.index(), 1, "slot 0 is the daemon");
        assert_eq!(exports.grant(key(7, 1), 2), Some(id));
        assert_ne!(
            exports.grant(key(7, 2), 2),
            Some(id),
            "another interface is another reference"
        );
        assert_eq!(
            exports.grant(key(8, 1), 2),
            None,
            "the limit counts references"
        );
        assert_eq!(
            exports.release(id.index(), 3),
            Err(Violation::OverReleased(1))
        );
        assert_eq!(exports.release(id.index(), 1), Ok(false));
        assert_eq!(exports.release(id.index(), 1), Ok(true));
        assert_eq!(
            exports.release(id.index(), 1),
            Err(Violation::OverReleased(1))
        );
        assert_eq!(
            exports.grant(key(8, 1), 2),
            Some(id),
            "the slot is used again"
        );
        assert_eq!(exports.release(0, 1), Err(Violation::OverReleased(0)));
    }

    #[test]
    fn revoking_is_told_once_and_only_while_held() {
        let mut exports = Exports::default();
        let aliases = Aliases::default();
        let id = exports.grant(key(7, 1), 9).expect("there is room").index();
        exports.revoke(id);
        exports.revoke(id);
        assert_eq!(exports.take_revoked(&aliases), [id]);
        let other = exports.grant(key(8, 1), 9).expect("there is room").index();
        exports.revoke(other);
        exports.release(other, 1).expect("it was granted");
        assert_eq!(
            exports.grant(key(9, 1), 9).map(ExportId::index),
            Some(other)
        );
        assert_eq!(exports.take_revoked(&aliases), [] as [u32; 0]);
    }
}
