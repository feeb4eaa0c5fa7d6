//! What frames reach: a reference to an object of another process, or to an object of this one.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use farref_proto::{CallId, FaultKind, ImportId};
use tokio::sync::Notify;

use crate::Outcome;
use crate::client::{Client, SessionSlot};
use crate::codec::Codec;
use crate::error::{Fault, Result};
use crate::handoff::Introduced;
use crate::interceptor::Interceptors;
use crate::object::{Export, ObjectIdentity};
use crate::peer::Peer;
use crate::promise::{KeptAnswer, Promised, Way};
use crate::search::Search;
use crate::session::{Session, SessionState};
use crate::uri::{Address, Uri};

/// What a proxy that is not near points at, and what a frame transfers.
#[derive(Clone)]
pub enum Remote {
    /// An object of another process.
    Far(Arc<FarReference>),
    /// An object of this process, as frames reach it.
    Local(Arc<Export>),
    /// Nothing any more, and why.
    Dead(Fault),
}

/// A reference to an object of another process.
pub struct FarReference(Kind);

enum Kind {
    /// A reference that arrived in a frame. It lives and dies with its session.
    Held(Arc<Bound>),
    /// An object known by its URI, which is found again whenever its session was lost.
    Named(Named),
    /// An object of a third process, which may be reached directly.
    Introduced(Introduced),
    /// What a call will return.
    Promised(Promised),
}

struct Named {
    client: Client,
    uri: Uri,
    interface: u32,
    finding: Finding,
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

/// An object's place in the books of a session, given back when it is dropped.
pub(crate) struct Bound {
    pub(crate) session: Arc<Session>,
    place: Place,
    interface: u32,
    /// Known from the start for references, and from the answer to the bind for names.
    found: OnceLock<Result<ObjectIdentity>>,
    answered: Notify,
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
        })
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

    fn is_usable(&self) -> bool {
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

impl FarReference {
    /// A reference that arrived in a frame.
    pub(crate) fn held(bound: Arc<Bound>) -> Arc<Self> {
        Arc::new(FarReference(Kind::Held(bound)))
    }

    /// A reference to an object of a third process, until it is known how it is reached best.
    pub(crate) fn introduced_by(identity: ObjectIdentity, through: Arc<Bound>) -> Arc<Self> {
        let introduced = Introduced::new(identity, through);
        Arc::new(FarReference(Kind::Introduced(introduced)))
    }

    /// What is known of an object to which this process was introduced.
    pub(crate) fn introduced(&self) -> Option<&Introduced> {
        match &self.0 {
            Kind::Introduced(introduced) => Some(introduced),
            Kind::Held(_) | Kind::Named(_) | Kind::Promised(_) => None,
        }
    }

    /// An object known by its URI. Does no I/O.
    pub(crate) fn named(client: Client, uri: Uri, interface: u32, finding: Finding) -> Arc<Self> {
        Arc::new(FarReference(Kind::Named(Named {
            client,
            uri,
            interface,
            finding,
            bound: RwLock::new(None),
            turns: Turns::default(),
        })))
    }

    /// The place in a live session, if there is one already and nobody is about to use it first.
    pub(crate) fn ready(&self) -> Result<Option<Arc<Bound>>> {
        match &self.0 {
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
        let named = match &self.0 {
            Kind::Held(_) => return Ok((self.ready()?.ok_or_else(stale)?, None)),
            Kind::Introduced(introduced) => {
                let turn = self.turn().await;
                let bound = introduced.choice().await;
                return Ok((bound, Some(turn)));
            }
            // Calls on what is promised have a way of their own.
            Kind::Promised(_) => return Ok((self.ready()?.ok_or_else(stale)?, None)),
            Kind::Named(named) => named,
        };
        let turn = self.turn().await;
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

    /// Looks at the place in a session, if there is one. Nothing that is looked at is kept: the last hold on a place
    /// must not be dropped by somebody who has the session's lock.
    pub(crate) fn with_place<R>(&self, look: impl FnOnce(&Arc<Bound>) -> R) -> Option<R> {
        match &self.0 {
            Kind::Held(bound) => Some(look(bound)),
            Kind::Named(named) => named.bound().as_ref().map(look),
            Kind::Introduced(introduced) => introduced.with_place(look),
            Kind::Promised(promised) => promised.place().as_ref().map(look),
        }
    }

    fn place(&self) -> Option<Arc<Bound>> {
        self.with_place(Arc::clone)
    }

    /// The import in the books of this session, if it is there: such a reference goes home.
    pub(crate) fn import_in(&self, session: &Session) -> Option<ImportId> {
        self.with_place(|bound| {
            let is_here = std::ptr::eq(&*bound.session, session) && !bound.session.is_closed();
            is_here.then(|| bound.import()).flatten()
        })?
    }
}

/// The turns of calls to an object that is not found yet: those that asked for it first are sent first.
#[derive(Default)]
pub(crate) struct Turns {
    lock: Arc<tokio::sync::Mutex<()>>,
    /// How many have or want a turn.
    taken: AtomicUsize,
}

impl Turns {
    /// Whether anybody has or wants a turn.
    pub(crate) fn are_taken(&self) -> bool {
        self.taken.load(Ordering::Acquire) > 0
    }
}

/// Somebody who is finding an object and has not sent its call yet.
struct Binder(Arc<FarReference>);

impl Binder {
    fn new(reference: &Arc<FarReference>) -> Self {
        if let Some(turns) = reference.turns() {
            turns.taken.fetch_add(1, Ordering::AcqRel);
        }
        Binder(Arc::clone(reference))
    }
}

impl Drop for Binder {
    fn drop(&mut self) {
        if let Some(turns) = self.0.turns() {
            turns.taken.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// The turn to send the next call to an object that was just found.
pub(crate) struct Turn {
    _guard: Option<tokio::sync::OwnedMutexGuard<()>>,
    _binder: Binder,
}

impl FarReference {
    /// What a call will return.
    pub(crate) fn promised(promised: Promised) -> Arc<Self> {
        Arc::new(FarReference(Kind::Promised(promised)))
    }

    pub(crate) fn promise(&self) -> Option<&Promised> {
        match &self.0 {
            Kind::Promised(promised) => Some(promised),
            Kind::Held(_) | Kind::Named(_) | Kind::Introduced(_) => None,
        }
    }

    fn turns(&self) -> Option<&Turns> {
        match &self.0 {
            Kind::Held(_) => None,
            Kind::Named(named) => Some(&named.turns),
            Kind::Introduced(introduced) => Some(&introduced.turns),
            Kind::Promised(promised) => Some(&promised.turns),
        }
    }

    /// Waits for a turn.
    async fn turn(self: &Arc<Self>) -> Turn {
        let binder = Binder::new(self);
        let guard = match self.turns() {
            Some(turns) => Some(Arc::clone(&turns.lock).lock_owned().await),
            None => None,
        };
        Turn {
            _guard: guard,
            _binder: binder,
        }
    }

    /// Waits for a turn to call what was promised, and until it is known where calls go.
    pub(crate) async fn promised_turn(self: Arc<Self>) -> Turn {
        let turn = self.turn().await;
        if let Some(promised) = self.promise() {
            promised.known().await;
        }
        turn
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

    fn bound_mut(&self) -> RwLockWriteGuard<'_, Option<Arc<Bound>>> {
        self.bound.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stale() -> Fault {
    Fault::not_started(
        FaultKind::StaleReference,
        "the session that this reference belongs to is gone, and the object with it; get the reference anew",
    )
}

impl Remote {
    /// Where the object was found, if it is known by a URI.
    pub(crate) fn uri(&self) -> Option<&Uri> {
        match self {
            Remote::Far(reference) => match &reference.0 {
                Kind::Named(named) => Some(&named.uri),
                Kind::Held(_) | Kind::Introduced(_) | Kind::Promised(_) => None,
            },
            Remote::Local(_) | Remote::Dead(_) => None,
        }
    }

    /// FNV-1a of the wire name of the interface that is expected of the object; 0 if that is not known.
    pub(crate) fn interface(&self) -> u32 {
        match self {
            Remote::Far(reference) => match &reference.0 {
                Kind::Named(named) => named.interface,
                Kind::Held(bound) => bound.interface,
                Kind::Introduced(introduced) => introduced.interface,
                Kind::Promised(promised) => promised.defaults.interface,
            },
            Remote::Local(export) => export.interface,
            Remote::Dead(_) => 0,
        }
    }

    /// The same reference; what was promised and has come stands for itself.
    pub(crate) fn kept(self) -> Remote {
        match &self {
            Remote::Far(reference) => match reference.promise().and_then(Promised::seen_as) {
                Some(Ok(remote)) => remote,
                Some(Err(fault)) => Remote::Dead(fault),
                None => self,
            },
            Remote::Local(_) | Remote::Dead(_) => self,
        }
    }

    pub(crate) fn is_named(&self) -> bool {
        self.uri().is_some()
    }

    /// What the object is, as far as that is known without a round trip.
    pub(crate) fn identity(&self) -> Option<ObjectIdentity> {
        match self {
            Remote::Far(reference) => match &reference.0 {
                Kind::Introduced(introduced) => Some(introduced.identity),
                _ => reference.with_place(|bound| bound.found.get()?.as_ref().ok().copied())?,
            },
            Remote::Local(export) => Some(export.identity),
            Remote::Dead(_) => None,
        }
    }

    /// The process that is called, if there is a session to it.
    pub(crate) fn peer(&self) -> Option<Peer> {
        match self {
            Remote::Far(reference) => reference.place().map(|bound| Peer::of(&bound.session)),
            Remote::Local(_) | Remote::Dead(_) => None,
        }
    }

    fn client(&self) -> Option<&Client> {
        match self {
            Remote::Far(reference) => match &reference.0 {
                Kind::Named(named) => Some(&named.client),
                Kind::Held(_) | Kind::Introduced(_) | Kind::Promised(_) => None,
            },
            Remote::Local(_) | Remote::Dead(_) => None,
        }
    }

    /// How calls are encoded unless their proxy says otherwise.
    pub(crate) fn codec(&self) -> Codec {
        match (self, self.client()) {
            (_, Some(client)) => client.codec(),
            (Remote::Far(reference), None) => match reference.promise() {
                Some(promised) => promised.defaults.codec,
                None => reference
                    .place()
                    .map_or(Codec::Postcard, |bound| bound.session.codec()),
            },
            _ => Codec::Postcard,
        }
    }

    /// How long calls may take unless their proxy says otherwise.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        match (self, self.client()) {
            (_, Some(client)) => client.timeout(),
            (Remote::Far(reference), None) => match reference.promise() {
                Some(promised) => promised.defaults.timeout,
                None => reference.place()?.session.timeout(),
            },
            _ => None,
        }
    }

    /// How often an idempotent call is made again unless its proxy says otherwise.
    pub(crate) fn max_retries(&self) -> u32 {
        self.client().map_or(0, Client::max_retries)
    }

    /// Whether the peer is known to accept this codec.
    pub(crate) fn accepts(&self, codec: Codec) -> bool {
        match self {
            Remote::Far(reference) => reference
                .place()
                .is_some_and(|bound| bound.session.accepts(codec)),
            Remote::Local(_) => codec.is_available(),
            Remote::Dead(_) => false,
        }
    }

    /// Whether anything sees the calls that go out here.
    pub(crate) fn is_intercepted(&self) -> bool {
        match self {
            Remote::Far(reference) => match &reference.0 {
                Kind::Named(named) => named.client.is_intercepting(),
                Kind::Held(bound) => bound.session.is_intercepting(),
                Kind::Introduced(_) => reference
                    .with_place(|bound| bound.session.is_intercepting())
                    .unwrap_or_default(),
                Kind::Promised(promised) => promised
                    .place()
                    .is_some_and(|bound| bound.session.is_intercepting()),
            },
            Remote::Local(_) | Remote::Dead(_) => false,
        }
    }

    /// What sees the calls that go out here.
    pub(crate) fn interceptors(&self) -> Interceptors {
        match self {
            Remote::Far(reference) => match &reference.0 {
                Kind::Named(named) => named.client.interceptors(),
                Kind::Held(bound) => bound.session.outgoing_interceptors(),
                Kind::Introduced(_) => reference
                    .with_place(|bound| bound.session.outgoing_interceptors())
                    .unwrap_or_else(|| Interceptors::from([])),
                Kind::Promised(promised) => match promised.place() {
                    Some(bound) => bound.session.outgoing_interceptors(),
                    None => Interceptors::from([]),
                },
            },
            Remote::Local(_) | Remote::Dead(_) => Interceptors::from([]),
        }
    }

    /// Connects if need be, and waits until the object is found. In a box, so that it is compiled here and not in each
    /// application.
    pub(crate) fn ensure_connected(self) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(self.connected())
    }

    /// Connects anew, in so many attempts, and waits until the object is found.
    pub(crate) fn reconnect(
        self,
        tries: u32,
        wait: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(async move {
            for _ in 1..tries {
                match self.clone().connected_anew().await {
                    Err(fault)
                        if matches!(
                            fault.kind(),
                            FaultKind::ConnectFailed | FaultKind::SessionLost
                        ) =>
                    {
                        tracing::debug!(%fault, "connecting failed and is tried again");
                        tokio::time::sleep(wait).await;
                    }
                    connected => return connected,
                }
            }
            self.connected_anew().await
        })
    }

    async fn connected_anew(self) -> Result<()> {
        let place = match &self {
            Remote::Far(reference) => reference.place(),
            Remote::Local(_) | Remote::Dead(_) => None,
        };
        if let Some(bound) = place
            && bound.session.standing() == SessionState::Reconnecting
        {
            // What a session that is lost says is said by the next attempt.
            let _ = bound.session.connected().await;
        }
        self.connected().await
    }

    async fn connected(self) -> Result<()> {
        match self {
            Remote::Far(reference) if reference.promise().is_some() => match reference.promise() {
                Some(promised) => promised.result().await.map(drop),
                None => Ok(()),
            },
            Remote::Far(reference) => {
                let (bound, turn) = reference.bind().await?;
                drop(turn);
                bound.found().await.map(drop)
            }
            Remote::Local(_) => Ok(()),
            Remote::Dead(fault) => Err(fault),
        }
    }

    /// Gives the place in the session back; a named object is found again at the next call.
    pub(crate) fn disconnect(&self) {
        if let Remote::Far(reference) = self
            && let Kind::Named(named) = &reference.0
        {
            let old = named.bound_mut().take();
            drop(old);
        }
    }

    /// Gives the place in the session back now, if nobody else holds it, and waits until the peer has seen that.
    pub(crate) fn release(self) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        let held = match &self {
            Remote::Far(reference) => reference.place().and_then(|bound| bound.session.hold()),
            Remote::Local(_) | Remote::Dead(_) => None,
        };
        self.disconnect();
        drop(self);
        Box::pin(async move {
            match held {
                Some(held) => held.session().flush().await,
                None => Ok(()),
            }
        })
    }

    /// The same object, with a session of its own.
    pub(crate) fn dedicated(&self) -> Option<Remote> {
        let Remote::Far(reference) = self else {
            return None;
        };
        let Kind::Named(named) = &reference.0 else {
            return None;
        };
        let finding = match &named.finding {
            Finding::At(address, _) => Finding::At(address.clone(), Arc::default()),
            Finding::Search(_) => Finding::Search(Box::new(Search::dedicated())),
        };
        Some(Remote::Far(FarReference::named(
            named.client.clone(),
            named.uri.clone(),
            named.interface,
            finding,
        )))
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remote::Far(reference) => reference.fmt(f),
            Remote::Local(export) => export.fmt(f),
            Remote::Dead(fault) => write!(f, "dead ({fault})"),
        }
    }
}

impl fmt::Debug for FarReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
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

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound")
            .field("target", &self.target())
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}

/// The fault of a name that the peer does not have.
pub(crate) fn no_such_object(name: &str) -> Fault {
    Fault::new(
        FaultKind::NoSuchObject,
        Outcome::NotStarted,
        format!("no object named `{name}` is registered there; ask the daemon which names it has"),
    )
}

/// The fault of a name whose object does not serve the interface that was asked for.
pub(crate) fn other_interface(name: &str) -> Fault {
    Fault::not_started(
        FaultKind::Incompatible,
        format!(
            "the object named `{name}` does not serve this interface; ask the daemon which one it serves"
        ),
    )
}
