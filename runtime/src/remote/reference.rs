//! A reference to an object of another process: how it was come by, and where it leads.

use std::fmt;
use std::sync::{Arc, PoisonError};

use farref_proto::ImportId;

use super::{Bound, Turn, Turns, stale};
use crate::client::{Client, SessionSlot};
use crate::error::Result;
use crate::handoff::Introduced;
use crate::object::ObjectIdentity;
use crate::promise::{Promised, Way};
use crate::search::Search;
use crate::session::Session;
use crate::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::uri::{Address, Uri};

/// A reference to an object of another process.
///
/// What it consists of is behind a `dyn`: sessions, nodes and references hold each other in many ways, and a compiler that
/// asks whether a proxy is `Send` would follow them all. With an error in the application's code, where it remembers
/// nothing of what it found, it would not come to an end.
pub struct FarReference(Box<dyn IsKind>);

trait IsKind: Send + Sync {
    fn kind(&self) -> &Kind;
}

impl IsKind for Kind {
    #[inline]
    fn kind(&self) -> &Kind {
        self
    }
}

pub(super) enum Kind {
    /// A reference that arrived in a frame. It lives and dies with its session.
    Held(Arc<Bound>),
    /// An object known by its URI, which is found again whenever its session was lost.
    Named(Named),
    /// An object of a third process, which may be reached directly.
    Introduced(Introduced),
    /// What a call will return.
    Promised(Promised),
}

pub(super) struct Named {
    pub(super) client: Client,
    pub(super) uri: Uri,
    pub(super) interface: u32,
    pub(super) finding: Finding,
    bound: RwLock<Option<Arc<Bound>>>,
    /// Calls that find the object do so one after the other, and are sent in that order.
    turns: Turns,
}

/// How the daemon of a named object is found.
pub(crate) enum Finding {
    /// Its URI says where it is. The session is shared by all proxies to this address, or is the proxy's own.
    At(Address, Arc<SessionSlot>),
    /// A name server knows, or another resolver.
    Search(Box<Search>),
}

impl FarReference {
    fn new(kind: Kind) -> Arc<Self> {
        Arc::new(FarReference(Box::new(kind)))
    }

    #[inline]
    pub(super) fn kind(&self) -> &Kind {
        self.0.kind()
    }

    /// A reference that arrived in a frame.
    pub(crate) fn held(bound: Arc<Bound>) -> Arc<Self> {
        FarReference::new(Kind::Held(bound))
    }

    /// A reference to an object of a third process, until it is known how it is reached best.
    pub(crate) fn introduced_by(identity: ObjectIdentity, through: Arc<Bound>) -> Arc<Self> {
        let introduced = Introduced::new(identity, through);
        FarReference::new(Kind::Introduced(introduced))
    }

    /// What is known of an object to which this process was introduced.
    pub(crate) fn introduced(&self) -> Option<&Introduced> {
        match self.kind() {
            Kind::Introduced(introduced) => Some(introduced),
            Kind::Held(_) | Kind::Named(_) | Kind::Promised(_) => None,
        }
    }

    /// An object known by its URI. Does no I/O.
    pub(crate) fn named(client: Client, uri: Uri, interface: u32, finding: Finding) -> Arc<Self> {
        FarReference::new(Kind::Named(Named {
            client,
            uri,
            interface,
            finding,
            bound: RwLock::new(None),
            turns: Turns::default(),
        }))
    }

    /// The place in a live session, if there is one already and nobody is about to use it first.
    pub(crate) fn ready(&self) -> Result<Option<Arc<Bound>>> {
        match self.kind() {
            Kind::Held(bound) if bound.session.is_closed() => Err(stale()),
            Kind::Held(bound) => Ok(Some(Arc::clone(bound))),
            Kind::Named(named) if named.turns.are_taken() => Ok(None),
            Kind::Named(named) => Ok(named.usable()),
            Kind::Introduced(introduced) if introduced.turns.are_taken() => Ok(None),
            Kind::Introduced(introduced) => match introduced.chosen() {
                Some(bound) if bound.session.is_closed() => Err(stale()),
                chosen => Ok(chosen.cloned()),
            },
            Kind::Promised(promised) => match promised.way(false)? {
                Way::Answer(bound) => Ok(Some(bound)),
                Way::Wait | Way::Direct(_) => Ok(None),
            },
        }
    }

    /// Connects if need be, and asks for the object. Does not wait for the answer: calls may follow at once.
    ///
    /// The caller keeps the turn that comes with the place until its call is sent: those that asked later come later.
    pub(crate) async fn bind(self: Arc<Self>) -> Result<(Arc<Bound>, Option<Turn>)> {
        let named = match self.kind() {
            Kind::Held(_) => return Ok((self.ready()?.ok_or_else(stale)?, None)),
            Kind::Introduced(introduced) => {
                let turn = introduced.turns.take().await;
                let bound = introduced.choice().await;
                return Ok((bound, Some(turn)));
            }
            // Calls on what is promised have a way of their own.
            Kind::Promised(_) => return Ok((self.ready()?.ok_or_else(stale)?, None)),
            Kind::Named(named) => named,
        };
        let turn = named.turns.take().await;
        if let Some(bound) = named.usable() {
            return Ok((bound, Some(turn)));
        }
        let bound = match &named.finding {
            Finding::At(address, slot) => {
                let attempts = named.client.connect_attempts();
                let hold = named.client.session(address, slot, attempts).await?;
                let name = named.uri.object().unwrap_or_default();
                hold.session().bind(name, named.interface).await?
            }
            Finding::Search(search) => {
                let (client, uri) = (&named.client, &named.uri);
                search.bind(client, uri, named.interface).await?
            }
        };
        let old = named.bound_mut().replace(Arc::clone(&bound));
        drop(old);
        Ok((bound, Some(turn)))
    }

    /// Has a named object found anew at the next use, unless it is at another place than this one already.
    pub(super) fn leave(&self, place: &Arc<Bound>) {
        if let Kind::Named(named) = self.kind() {
            let old = named.bound_mut().take_if(|bound| Arc::ptr_eq(bound, place));
            drop(old);
        }
    }

    /// Looks at the place in a session, if there is one. Nothing that is looked at is kept: the last hold on a place
    /// must not be dropped by somebody who has the session's lock.
    pub(crate) fn with_place<R>(&self, look: impl FnOnce(&Arc<Bound>) -> R) -> Option<R> {
        match self.kind() {
            Kind::Held(bound) => Some(look(bound)),
            Kind::Named(named) => named.bound().as_ref().map(look),
            Kind::Introduced(introduced) => introduced.with_place(look),
            Kind::Promised(promised) => promised.place().as_ref().map(look),
        }
    }

    pub(super) fn place(&self) -> Option<Arc<Bound>> {
        self.with_place(Arc::clone)
    }

    /// The import in the books of this session, if it is there: such a reference goes home.
    pub(crate) fn import_in(&self, session: &Session) -> Option<ImportId> {
        self.with_place(|bound| {
            let is_here = std::ptr::eq(&*bound.session, session) && !bound.session.is_closed();
            is_here.then(|| bound.import()).flatten()
        })?
    }

    /// What a call will return.
    pub(crate) fn promised(promised: Promised) -> Arc<Self> {
        FarReference::new(Kind::Promised(promised))
    }

    pub(crate) fn promise(&self) -> Option<&Promised> {
        match self.kind() {
            Kind::Promised(promised) => Some(promised),
            Kind::Held(_) | Kind::Named(_) | Kind::Introduced(_) => None,
        }
    }

    /// Waits for a turn to call what was promised, and until it is known where calls go.
    pub(crate) async fn promised_turn(self: Arc<Self>) -> Option<Turn> {
        let promised = self.promise()?;
        let turn = promised.turns.take().await;
        promised.known().await;
        Some(turn)
    }
}

impl Named {
    fn usable(&self) -> Option<Arc<Bound>> {
        self.bound()
            .as_ref()
            .filter(|bound| bound.is_usable())
            .cloned()
    }

    fn bound(&self) -> RwLockReadGuard<'_, Option<Arc<Bound>>> {
        self.bound.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn bound_mut(&self) -> RwLockWriteGuard<'_, Option<Arc<Bound>>> {
        self.bound.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FarReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            Kind::Held(bound) => write!(
                f,
                "far (import {} of {})",
                bound.target().id,
                bound.session.peer_address()
            ),
            Kind::Named(named) => write!(f, "far ({})", named.uri),
            Kind::Introduced(introduced) => introduced.fmt(f),
            Kind::Promised(_) => f.write_str("far (promised)"),
        }
    }
}
