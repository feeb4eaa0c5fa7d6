//! The call that is being served: who called, until when, on whose behalf.
//!
//! The runtime makes the call's [`Scope`] current whenever it polls the handler's future, so that a handler, and all
//! that it calls, finds it without a hidden argument. A task that a handler spawns is outside, unless it takes the
//! scope along with [`chain::scope`].

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use farref_proto::{ChainId, ExportId};
use tokio::time::Instant;

use crate::error::Result;
use crate::far::{Extras, OnewayMode};
use crate::measure::ServedMeter;
use crate::proxy::Proxy;
use crate::random;
use crate::session::Session;
use crate::spans::{EnteredSpan, ServedSpan};

use crate::peer::Peer;

/// How deep a call lies in its chain: first across processes, then within this one.
pub(crate) type Depth = (u16, u32);

/// Notes that travel beside the arguments of a call or beside its reply: a key and a byte string each.
pub(crate) type Annotations = Vec<(String, Bytes)>;

/// What is known of a call while it is being served.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// Made when first asked for: most calls need none.
    pub(crate) chain: OnceLock<ChainId>,
    pub(crate) depth: u16,
    /// Whether a call of another process is being served here, be it further out.
    pub(crate) is_served: bool,
    pub(crate) level: u32,
    pub(crate) deadline: Option<Instant>,
    pub(crate) session: Option<Arc<Session>>,
    /// What the peer called, if it was one that called.
    pub(crate) target: Option<ExportId>,
    pub(crate) interface: &'static str,
    pub(crate) method: &'static str,
    /// Made when there is something to note: most calls have nothing.
    pub(crate) notes: OnceLock<Box<Notes>>,
    /// Counts the call, if it is one of a peer.
    pub(crate) meter: ServedMeter,
    /// Where it is in its trace.
    pub(crate) span: ServedSpan,
}

/// The notes beside a call's arguments and beside its reply.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    given: Annotations,
    /// What interceptors made of them, if they changed them.
    replaced: OnceLock<Annotations>,
    reply: Mutex<Annotations>,
}

impl Notes {
    /// The place of these notes in a scope.
    pub(crate) fn given(given: Annotations) -> OnceLock<Box<Notes>> {
        if given.is_empty() {
            return OnceLock::new();
        }
        OnceLock::from(Box::new(Notes {
            given,
            ..Notes::default()
        }))
    }

    fn reply(&self) -> MutexGuard<'_, Annotations> {
        self.reply.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The interface and the method of a call, in wire names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallName(pub(crate) &'static str, pub(crate) &'static str);

impl fmt::Display for CallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallName("", _) => f.write_str("a call from outside"),
            CallName(interface, method) => write!(f, "{interface}.{method}"),
        }
    }
}

/// What a serial lock remembers of a call.
pub(crate) struct CallIdentity {
    pub(crate) chain: ChainId,
    pub(crate) depth: Depth,
    pub(crate) call: CallName,
}

impl CallIdentity {
    pub(crate) fn of(scope: &Scope) -> Self {
        CallIdentity {
            chain: scope.chain(),
            depth: (scope.depth, scope.level),
            call: scope.call_name(),
        }
    }

    /// The identity of the call that is being served; one of its own outside any call.
    pub(crate) fn current() -> Self {
        match Scope::current() {
            Some(scope) => CallIdentity::of(&scope),
            None => CallIdentity {
                chain: random::chain_id(),
                depth: (0, 0),
                call: CallName("", ""),
            },
        }
    }
}

/// How many unused scopes a thread keeps.
const SPARES: usize = 64;

thread_local! {
    static SPARE: RefCell<Vec<Arc<Scope>>> = const { RefCell::new(Vec::new()) };
}

crate::sync::thread_local! {
    static CURRENT: RefCell<Option<Arc<Scope>>> = const { RefCell::new(None) };
}

/// Makes the scope that was current before current again.
pub(crate) struct Entered {
    before: Option<Arc<Scope>>,
    _span: EnteredSpan,
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.with(|current| *current.borrow_mut() = self.before.take());
    }
}

impl Scope {
    pub(crate) fn current() -> Option<Arc<Scope>> {
        CURRENT.with(|current| current.borrow().clone())
    }

    /// When the call that is being served is of no more use.
    pub(crate) fn current_deadline() -> Option<Instant> {
        CURRENT.with(|current| current.borrow().as_ref()?.deadline)
    }

    /// Makes this scope current on this thread until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> Entered {
        Self::replace(Some(Arc::clone(self)), self.span.enter())
    }

    /// Leaves the current scope on this thread until the guard is dropped.
    pub(crate) fn leave() -> Entered {
        Self::replace(None, EnteredSpan::NONE)
    }

    pub(crate) fn is_current() -> bool {
        CURRENT.with(|current| current.borrow().is_some())
    }

    fn replace(scope: Option<Arc<Scope>>, span: EnteredSpan) -> Entered {
        CURRENT.with(|current| Entered {
            before: std::mem::replace(&mut *current.borrow_mut(), scope),
            _span: span,
        })
    }

    /// The place of the current call in its trace.
    #[cfg(feature = "tracing")]
    pub(crate) fn current_trace() -> Option<Arc<crate::trace::TraceContext>> {
        CURRENT.with(|current| current.borrow().as_ref()?.span.context())
    }

    /// The chain that this call belongs to; begins one if it has none.
    pub(crate) fn chain(&self) -> ChainId {
        *self.chain.get_or_init(random::chain_id)
    }

    pub(crate) fn call_name(&self) -> CallName {
        CallName(self.interface, self.method)
    }

    /// The scope of a near call made from the current scope.
    pub(crate) fn near(
        interface: &'static str,
        method: &'static str,
        deadline: Option<Instant>,
        annotations: Annotations,
    ) -> Arc<Scope> {
        let outer = Scope::current();
        Scope::place(Scope {
            span: ServedSpan::here(),
            ..Scope::within(outer.as_deref(), interface, method, deadline, annotations)
        })
    }

    /// The scope of a call that crosses no process but is encoded.
    pub(crate) fn loopback(
        interface: &'static str,
        method: &'static str,
        oneway: OnewayMode,
        extras: Extras,
        span: ServedSpan,
    ) -> Arc<Scope> {
        // A oneway starts a chain of its own.
        let outer = extras.scope.filter(|_| oneway == OnewayMode::Answered);
        Arc::new(Scope {
            span,
            ..Scope::within(
                outer.as_deref(),
                interface,
                method,
                extras.deadline,
                extras.annotations,
            )
        })
    }

    /// The scope of a stream that the current call makes: who called what, without the deadline, which is the call's, and
    /// in a chain of its own, since nobody waits for the call any more.
    pub(crate) fn of_stream() -> Option<Arc<Scope>> {
        let call = Scope::current()?;
        Some(Arc::new(Scope {
            chain: OnceLock::new(),
            depth: 0,
            is_served: false,
            level: 0,
            deadline: None,
            session: call.session.clone(),
            target: None,
            interface: call.interface,
            method: call.method,
            notes: Notes::given(call.annotations().to_vec()),
            meter: ServedMeter::default(),
            span: call.span.clone(),
        }))
    }

    fn within(
        outer: Option<&Scope>,
        interface: &'static str,
        method: &'static str,
        deadline: Option<Instant>,
        annotations: Annotations,
    ) -> Scope {
        let chain = OnceLock::new();
        if let Some(outer) = outer {
            let _ = chain.set(outer.chain());
        }
        Scope {
            chain,
            depth: outer.map_or(0, |outer| outer.depth),
            is_served: outer.is_some_and(|outer| outer.is_served),
            level: outer.map_or(0, |outer| outer.level.saturating_add(1)),
            deadline,
            session: None,
            target: None,
            interface,
            method,
            notes: Notes::given(annotations),
            meter: ServedMeter::default(),
            span: ServedSpan::default(),
        }
    }

    /// The scope of a call that arrived on a session, in memory that was used before where there is some. `add` says what
    /// else is known of the call.
    pub(crate) fn served(
        session: &Arc<Session>,
        CallName(interface, method): CallName,
        add: impl FnOnce(&mut Scope),
    ) -> Arc<Scope> {
        let mut place = Scope::spare();
        if let Some(scope) = Arc::get_mut(&mut place) {
            scope.is_served = true;
            scope.session = Some(Arc::clone(session));
            scope.interface = interface;
            scope.method = method;
            add(scope);
        }
        place
    }

    /// The same of a call of which no more is known, in the memory of the one before.
    #[inline]
    pub(crate) fn served_next(
        before: Option<Arc<Scope>>,
        session: &Arc<Session>,
        CallName(interface, method): CallName,
        add: impl FnOnce(&mut Scope),
    ) -> Arc<Scope> {
        if let Some(mut place) = before
            && let Some(scope) = Arc::get_mut(&mut place)
        {
            scope.interface = interface;
            scope.method = method;
            add(scope);
            return place;
        }
        Scope::served(session, CallName(interface, method), add)
    }

    /// Keeps the scope of a call that has ended for the next one of its session, unless somebody else holds it.
    #[inline]
    pub(crate) fn kept(mut scope: Arc<Scope>) -> Option<Arc<Scope>> {
        let place = Arc::get_mut(&mut scope)?;
        place.chain.take();
        place.notes.take();
        place.meter = ServedMeter::default();
        place.span = ServedSpan::default();
        Some(scope)
    }

    /// A scope with these contents, in memory that was used before where there is some.
    fn place(scope: Scope) -> Arc<Scope> {
        let mut place = Scope::spare();
        if let Some(empty) = Arc::get_mut(&mut place) {
            *empty = scope;
        }
        place
    }

    /// A scope of which nothing is known and that nobody else holds.
    #[inline]
    fn spare() -> Arc<Scope> {
        SPARE
            .try_with(|spare| spare.borrow_mut().pop())
            .ok()
            .flatten()
            .unwrap_or_default()
    }

    /// Keeps the memory of a scope that nobody else holds for the next one on this thread.
    pub(crate) fn recycle(mut scope: Arc<Scope>) {
        if let Some(old) = Arc::get_mut(&mut scope) {
            *old = Scope::default();
            // A thread that ends keeps nothing.
            let _ = SPARE.try_with(|spare| {
                let mut spare = spare.borrow_mut();
                if spare.len() < SPARES {
                    spare.push(scope);
                }
            });
        }
    }

    /// Says what interceptors made of the notes beside the arguments.
    pub(crate) fn replace_annotations(&self, annotations: &Annotations) {
        if *annotations != self.annotations() {
            let notes = self.notes.get_or_init(Box::default);
            let _ = notes.replaced.set(annotations.clone());
        }
    }

    /// The notes beside the arguments.
    pub(crate) fn annotations(&self) -> &[(String, Bytes)] {
        self.notes
            .get()
            .map_or(&[], |notes| notes.replaced.get().unwrap_or(&notes.given))
    }

    pub(crate) fn put_reply_annotations(&self, notes: Annotations) {
        if !notes.is_empty() {
            self.notes.get_or_init(Box::default).reply().extend(notes);
        }
    }

    #[inline]
    pub(crate) fn take_reply_annotations(&self) -> Annotations {
        match self.notes.get() {
            Some(notes) => std::mem::take(&mut *notes.reply()),
            None => Annotations::new(),
        }
    }
}

/// The instant after this time; none if it is beyond what the clock can tell.
pub(crate) fn after(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

/// The earlier of two instants, either of which may be missing.
pub(crate) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The call that is being served, as its handler sees it.
///
/// # Examples
///
/// ```
/// use farref::CallContext;
///
/// fn who_calls() -> String {
///     match CallContext::current().and_then(|context| context.peer()) {
///         Some(peer) => peer.address().to_string(),
///         None => "this process".to_owned(),
///     }
/// }
/// assert_eq!(who_calls(), "this process");
/// ```
#[derive(Clone)]
pub struct CallContext(Arc<Scope>);

impl CallContext {
    /// The call that this code runs on behalf of; `None` outside any call, also in a task that a handler spawned.
    pub fn current() -> Option<Self> {
        let scope = Scope::current()?;
        // What stands for the calls of a thread that waits is no call.
        (!scope.interface.is_empty()).then_some(CallContext(scope))
    }

    /// The wire name of the interface that was called.
    pub fn interface(&self) -> &str {
        self.0.interface
    }

    /// The wire name of the method that was called.
    pub fn method(&self) -> &str {
        self.0.method
    }

    /// The process that called; `None` for a near call.
    pub fn peer(&self) -> Option<Peer> {
        self.0.session.as_ref().map(Peer::of)
    }

    pub(crate) fn session(&self) -> Option<Arc<Session>> {
        self.0.session.clone()
    }

    /// The place of this call in its trace; `None` if it belongs to none.
    #[cfg(feature = "tracing")]
    pub fn trace(&self) -> Option<crate::trace::TraceContext> {
        self.0.span.context().map(Arc::unwrap_or_clone)
    }

    /// When the caller stops waiting; every call made from here ends by then, too.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline
    }

    /// How many calls across processes lie between the first call of the chain and this one.
    pub fn depth(&self) -> u16 {
        self.0.depth
    }

    /// The notes that the caller sent beside the arguments.
    pub fn annotations(&self) -> &[(String, Bytes)] {
        self.0.annotations()
    }

    /// The caller's note of this key.
    pub fn annotation(&self, key: &str) -> Option<&Bytes> {
        self.annotations()
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value)
    }

    /// Sends a note beside the reply, in place of an earlier one of the same key. A oneway has no reply.
    pub fn set_reply_annotation(&self, key: impl Into<String>, value: impl Into<Bytes>) {
        let key = key.into();
        let mut notes = self.0.notes.get_or_init(Box::default).reply();
        notes.retain(|(known, _)| *known != key);
        notes.push((key, value.into()));
    }

    /// The caller's storage: values that live as long as its session. `None` for a near call.
    pub fn storage(&self) -> Option<&Storage> {
        self.0.session.as_deref().map(Session::storage)
    }

    /// A proxy to the object that the calling process published as `name`, on the session of this call.
    ///
    /// # Errors
    ///
    /// `NoSuchObject`, if it published none of that name; `Misuse` in a near call, which has no peer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the request.
    pub async fn caller<P: Proxy>(&self, name: &str) -> Result<P> {
        let peer = self.peer().ok_or_else(|| {
            crate::Fault::new(
                crate::FaultKind::Misuse,
                crate::Outcome::NotStarted,
                "a near call has no calling process; pass the proxy as an argument instead",
            )
        })?;
        peer.object(name).await
    }

    /// Ends the session of this call's caller. The call itself is not answered; a near call has no session to end.
    pub fn close_caller(&self) {
        if let Some(session) = &self.0.session {
            session.close("closed by the object that was called");
        }
    }
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext")
            .field("call", &format_args!("{}", self.0.call_name()))
            .field("depth", &self.0.depth)
            .field("deadline", &self.0.deadline)
            .finish_non_exhaustive()
    }
}

/// Values of any type, one of each, that live as long as a session.
#[derive(Default)]
pub struct Storage(Mutex<Values>);

#[derive(Default)]
struct Values {
    by_type: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
    /// Whether the session has ended: nothing is kept any more.
    is_closed: bool,
}

impl Storage {
    fn lock(&self) -> MutexGuard<'_, Values> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of this type, if one was put here.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let value = self.lock().by_type.get(&TypeId::of::<T>()).cloned();
        value?.downcast().ok()
    }

    /// Puts a value here and returns the one of its type that it replaces. Once the session has ended nothing is kept.
    pub fn insert<T: Send + Sync + 'static>(&self, value: T) -> Option<Arc<T>> {
        let value: Arc<dyn Any + Send + Sync> = Arc::new(value);
        let mut values = self.lock();
        if values.is_closed {
            drop(values);
            return None;
        }
        let replaced = values.by_type.insert(TypeId::of::<T>(), value);
        drop(values);
        replaced?.downcast().ok()
    }

    /// The value of this type, put here by `make` if it is missing.
    pub fn get_or_insert_with<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        if let Some(value) = self.get() {
            return value;
        }
        // `make` is the application's code and runs outside the lock, so two calls may race: the first one's value stays.
        let value = Arc::new(make());
        let mut values = self.lock();
        if values.is_closed {
            return value;
        }
        let kept = values
            .by_type
            .entry(TypeId::of::<T>())
            .or_insert_with(|| Arc::clone(&value) as Arc<dyn Any + Send + Sync>);
        let kept = Arc::clone(kept);
        drop(values);
        kept.downcast().unwrap_or(value)
    }

    /// Takes the value of this type out.
    pub fn remove<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let value = self.lock().by_type.remove(&TypeId::of::<T>());
        value?.downcast().ok()
    }

    /// Drops all values, now that the session has ended.
    pub(crate) fn close(&self) {
        let mut values = self.lock();
        values.is_closed = true;
        let all = std::mem::take(&mut values.by_type);
        drop(values);
        // Dropping them is the application's code.
        drop(all);
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage")
            .field("values", &self.lock().by_type.len())
            .finish()
    }
}
