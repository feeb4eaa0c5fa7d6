//! An object's place in the books of a session.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, OnceLock, PoisonError};

use farref_proto::{CallId, ImportId};
use tokio::sync::Notify;

use super::{Remote, stale};
use crate::error::Result;
use crate::far::MethodKey;
use crate::object::ObjectIdentity;
use crate::promise::KeptAnswer;
use crate::session::Session;
use crate::sync::Mutex;

/// An object's place in the books of a session, given back when it is dropped.
pub(crate) struct Bound {
    pub(crate) session: Arc<Session>,
    place: Place,
    pub(super) interface: u32,
    /// Known from the start for references, and from the answer to the bind for names.
    pub(super) found: OnceLock<Result<ObjectIdentity>>,
    answered: Notify,
    /// Methods that were called there with types that both sides agree on: their hashes and those of the shapes.
    agreed: Mutex<Vec<(u32, u32)>>,
}

/// How the session names an object.
enum Place {
    /// By its own number, or by the name that it was asked for.
    Import(ImportId),
    /// As the answer of a call.
    Answer(KeptAnswer),
}

/// What calls are addressed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallTarget {
    pub(crate) id: u32,
    /// Whether it is the answer of a call.
    pub(crate) pipelined: bool,
}

impl Bound {
    /// The place of what a call will return.
    pub(crate) fn promised(session: Arc<Session>, call: CallId) -> Arc<Self> {
        let place = Place::Answer(KeptAnswer::new(call));
        Bound::new(session, place, 0, OnceLock::new())
    }

    /// The place of a reference that arrived. It counts as one grant.
    pub(crate) fn held(
        session: Arc<Session>,
        import: ImportId,
        interface: u32,
        identity: ObjectIdentity,
    ) -> Arc<Self> {
        Bound::new(
            session,
            Place::Import(import),
            interface,
            OnceLock::from(Ok(identity)),
        )
    }

    /// The place of a name that the peer was asked for.
    pub(crate) fn asked(session: Arc<Session>, import: ImportId, interface: u32) -> Arc<Self> {
        Bound::new(session, Place::Import(import), interface, OnceLock::new())
    }

    /// Called under the session's lock, or by somebody who holds the session.
    fn new(
        session: Arc<Session>,
        place: Place,
        interface: u32,
        found: OnceLock<Result<ObjectIdentity>>,
    ) -> Arc<Self> {
        session.count_holder();
        Arc::new(Bound {
            session,
            place,
            interface,
            found,
            answered: Notify::new(),
            agreed: Mutex::default(),
        })
    }

    /// Whether a call of this method cannot be refused for its types: such a call was made before, or the types are known by
    /// their names.
    pub(crate) fn agrees_on(&self, key: MethodKey) -> bool {
        let agreed = || self.agreed.lock().unwrap_or_else(PoisonError::into_inner);
        key.shape == 0 || agreed().contains(&(key.hash, key.shape))
    }

    /// Takes note that a call of this method was not refused for its types.
    pub(crate) fn has_agreed_on(&self, key: MethodKey) {
        let mut agreed = self.agreed.lock().unwrap_or_else(PoisonError::into_inner);
        if !agreed.contains(&(key.hash, key.shape)) {
            agreed.push((key.hash, key.shape));
        }
    }

    pub(crate) fn interface(&self) -> u32 {
        self.interface
    }

    pub(crate) fn target(&self) -> CallTarget {
        match &self.place {
            Place::Import(import) => CallTarget {
                id: import.index(),
                pipelined: false,
            },
            Place::Answer(answer) => CallTarget {
                id: answer.call.index(),
                pipelined: true,
            },
        }
    }

    pub(crate) fn import(&self) -> Option<ImportId> {
        match &self.place {
            Place::Import(import) => Some(*import),
            Place::Answer(_) => None,
        }
    }

    pub(crate) fn kept_answer(&self) -> Option<&KeptAnswer> {
        match &self.place {
            Place::Import(_) => None,
            Place::Answer(answer) => Some(answer),
        }
    }

    /// Takes the result of the call whose answer this is the place of.
    pub(crate) fn settle(&self, result: Result<Remote>) {
        if let Place::Answer(answer) = &self.place
            && answer.settle(result)
        {
            self.answered.notify_waiters();
        }
    }

    /// Waits for the result of the call whose answer this is the place of.
    pub(crate) async fn kept(&self) -> Result<Remote> {
        loop {
            let mut answered = pin!(self.answered.notified());
            answered.as_mut().enable();
            match self.kept_answer() {
                None => return Err(stale()),
                Some(answer) => {
                    if let Some(result) = answer.result() {
                        return result.clone();
                    }
                }
            }
            answered.await;
        }
    }

    /// Says what the peer answered.
    pub(crate) fn answer(&self, found: Result<ObjectIdentity>) {
        if self.found.set(found).is_ok() {
            self.answered.notify_waiters();
        }
    }

    /// Waits until the peer said whether it has the object.
    pub(crate) async fn found(&self) -> Result<ObjectIdentity> {
        loop {
            let mut answered = pin!(self.answered.notified());
            answered.as_mut().enable();
            if let Some(found) = self.found.get() {
                return found.clone();
            }
            answered.await;
        }
    }

    pub(super) fn is_usable(&self) -> bool {
        !self.session.is_closed() && !matches!(self.found.get(), Some(Err(_)))
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        match &self.place {
            Place::Import(import) => self.session.release(*import),
            Place::Answer(answer) => self.session.release_answer(answer.call),
        }
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound")
            .field("target", &self.target())
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}
