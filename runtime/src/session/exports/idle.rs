//! Which of the objects that the peer holds are in use.

use std::time::Duration;

use farref_proto::{Connection, ExportId};
use tokio::time::Instant;

use super::{Exports, Place};
use crate::object::ObjectIdentity;
use crate::reaping::Held;
use crate::session::inbox::Garbage;
use crate::session::{Session, State};

impl Exports {
    /// What the peer holds, and when each object was last seen in use: those that `serves` says are being called are now.
    fn look(&mut self, now: Instant, serves: impl Fn(usize) -> bool) -> Vec<Held> {
        let mut held = Vec::new();
        for (index, passed) in self.transferred.iter_mut().enumerate() {
            if let Place::Object(export) = &passed.place {
                let is_used = passed.is_used.replace(false) || serves(index);
                let since = match passed.used {
                    Some(used) if !is_used => used,
                    _ => *passed.used.insert(now),
                };
                held.push(Held::Passed(export.clone(), since));
            }
        }
        let named = self.named.iter().filter_map(|place| match place {
            Place::Object(export) => Some(Held::Named(export.identity)),
            _ => None,
        });
        held.extend(named);
        held
    }

    /// Where references to this object stand.
    fn passed(
        &mut self,
        object: ObjectIdentity,
    ) -> impl Iterator<Item = (usize, &mut super::Passed)> {
        let places = self.transferred.iter_mut().enumerate();
        places.filter(move |(_, passed)| {
            matches!(&passed.place, Place::Object(export) if export.identity == object)
        })
    }

    fn reap(
        &mut self,
        connection: &mut Connection,
        object: ObjectIdentity,
        after: Duration,
        garbage: &mut Garbage,
    ) {
        for (index, passed) in self.passed(object) {
            garbage.add(std::mem::replace(&mut passed.place, Place::Reaped(after)));
            connection.revoke(ExportId::new(u32::try_from(index).unwrap_or(u32::MAX)));
        }
    }
}

impl Session {
    /// What the peer holds, and when each object was last seen in use.
    pub(crate) fn look_at_exports(&self, now: Instant) -> Vec<Held> {
        let calls = self.under_way.all();
        let mut called: Vec<_> = calls
            .iter()
            .filter_map(|call| call.scope.target)
            .filter(|target| !target.is_alias())
            .map(|target| target.index() as usize)
            .collect();
        called.sort_unstable();
        let is_called = |index: usize| called.binary_search(&index).is_ok();
        self.lock().exports.look(now, is_called)
    }

    /// Whether this object was called since it was looked at.
    pub(crate) fn has_used(&self, object: ObjectIdentity) -> bool {
        let mut state = self.lock();
        let mut places = state.exports.passed(object);
        places.any(|(_, passed)| passed.is_used.get())
    }

    /// Takes this object for one that was just called.
    pub(crate) fn use_export(&self, object: ObjectIdentity) {
        for (_, passed) in self.lock().exports.passed(object) {
            passed.is_used.set(true);
        }
    }

    /// Ends the peer's references to an object that nobody has called for this long.
    pub(crate) fn reap(&self, object: ObjectIdentity, after: Duration) {
        let mut garbage = Garbage::default();
        let mut guard = self.lock();
        let State {
            exports,
            connection,
            ..
        } = &mut *guard;
        exports.reap(connection, object, after, &mut garbage);
        Self::unlock_and_write(guard);
        drop(garbage);
    }
}
