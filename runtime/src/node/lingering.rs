//! The sessions that their clients may take up again.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, Weak};

use farref_proto::{Connection, SessionId};

use super::Node;
use crate::session::Session;
use crate::sync::MutexGuard;

impl Node {
    fn resumable_sessions(&self) -> MutexGuard<'_, HashMap<SessionId, Weak<Session>>> {
        self.resumable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a session that was just established, if its client may take it up again. One that has the id of another is
    /// nobody's but its connection's.
    pub(crate) fn note_resumable(&self, session: &Arc<Session>, connection: &Connection) {
        if session.dials() || !connection.is_resumable() {
            return;
        }
        let Some(peer) = connection.peer() else {
            return;
        };
        let mut sessions = self.resumable_sessions();
        let known = sessions.get(&peer.session);
        if known.is_none_or(|known| known.strong_count() == 0) {
            sessions.insert(peer.session, Arc::downgrade(session));
        }
    }

    /// The session of this id that a client may take up again.
    pub(crate) fn resumable(&self, id: SessionId) -> Option<Arc<Session>> {
        self.resumable_sessions().get(&id)?.upgrade()
    }

    /// Forgets a session that has ended.
    pub(crate) fn forget_resumable(&self, session: &Session) {
        let Some(id) = session.id() else {
            return;
        };
        let mut sessions = self.resumable_sessions();
        let is_it = sessions
            .get(&id)
            .is_some_and(|known| std::ptr::eq(known.as_ptr(), session));
        if is_it {
            sessions.remove(&id);
        }
    }

    /// Those of the sessions without a connection that are too many, or keep too much, beside this one for the same peer.
    pub(crate) fn too_many_lingering(&self, session: &Arc<Session>) -> Vec<Arc<Session>> {
        let sessions: Vec<_> = self
            .resumable_sessions()
            .values()
            .filter_map(Weak::upgrade)
            .collect();
        let mut lingering: Vec<_> = sessions
            .into_iter()
            .filter(|other| session.is_of_same_peer(other))
            .filter_map(|other| Some((other.lingering()?, other)))
            .collect();
        lingering.sort_by_key(|(kept, other)| (!kept.is_empty, kept.since, other.number()));
        let mut count = lingering.len();
        let mut bytes: u64 = lingering.iter().map(|(kept, _)| kept.bytes).sum();
        let mut ended = Vec::new();
        for (kept, other) in lingering {
            let is_relief =
                count > self.max_lingering || bytes > self.max_lingering_bytes && kept.bytes > 0;
            if is_relief {
                count -= 1;
                bytes -= kept.bytes;
                ended.push(other);
            }
        }
        ended
    }
}
