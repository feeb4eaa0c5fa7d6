//! Objects of this process: how they are kept, identified and exported.

use std::any::Any;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

use farref_proto::{FaultKind, InstanceId};

use crate::access::{Access, Serial, Shared, SharedArc};
use crate::descriptor::{Interface, Method};
use crate::dispatch::{HandlerFuture, Incoming, Reply};
use crate::error::{Fault, Result};
use crate::lend::Lent;
use crate::loopback::Sender;
use crate::methods::{Handler, Handlers, ServeMethods};
use crate::panics::Contained;
use crate::proxy::Serve;
use crate::random;
use crate::remote::Remote;
use crate::serial::SerialLock;
use crate::start_queue::StartQueue;

/// What two references to one object have in common: the process that owns it, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ObjectIdentity {
    pub(crate) owner: InstanceId,
    pub(crate) object: u64,
}

/// What is known of an object besides its value.
#[derive(Debug)]
pub struct Meta {
    pub(crate) identity: ObjectIdentity,
    /// How many calls may be inside at once; the next one is refused.
    limit: usize,
    running: AtomicUsize,
    /// Calls of this process that are handed over; made when the first is.
    starts: OnceLock<Arc<StartQueue<Sender>>>,
}

impl ObjectIdentity {
    /// An identity that no other object has.
    pub(crate) fn unique() -> Self {
        // Number 0 is the daemon object's.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        ObjectIdentity {
            owner: random::instance_id(),
            object: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// The identity of an object that the application shares, the same however often it is served. It is that of where the
    /// object lives, which nothing else does while anybody refers to it; peers learn nothing of the address.
    fn shared<T>(object: &Arc<T>) -> Self {
        static SECRET: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        /// Apart from the numbers that are counted.
        const SHARED: u64 = 1 << 63;
        let place = Arc::as_ptr(object).addr();
        ObjectIdentity {
            owner: random::instance_id(),
            object: SECRET.hash_one(place) | SHARED,
        }
    }
}

impl Meta {
    pub(crate) fn new() -> Self {
        Meta::identified(ObjectIdentity::unique(), usize::MAX)
    }

    fn identified(identity: ObjectIdentity, limit: usize) -> Self {
        Meta {
            identity,
            limit,
            running: AtomicUsize::new(0),
            starts: OnceLock::new(),
        }
    }

    /// The calls of this process that are handed over to the object.
    pub(crate) fn starts(&self) -> &Arc<StartQueue<Sender>> {
        self.starts.get_or_init(Arc::default)
    }

    /// Waits until calls that were handed over before have started.
    async fn in_turn(&self) {
        if let Some(starts) = self.starts.get() {
            starts.passed().await;
        }
    }

    /// Whether a call may enter without being counted, and without waiting for those before it.
    #[inline]
    fn is_free(&self) -> bool {
        self.limit == usize::MAX && self.starts.get().is_none()
    }

    /// Counts a call in, unless the object has as many as it takes.
    pub(crate) fn begin_call(self: &Arc<Self>) -> Result<Option<Running>> {
        if self.limit == usize::MAX {
            return Ok(None);
        }
        let entered = self
            .running
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |running| {
                (running < self.limit).then_some(running + 1)
            });
        match entered {
            Ok(_) => Ok(Some(Running(Arc::clone(self)))),
            Err(_) => Err(Fault::not_started(
                FaultKind::Overloaded,
                format!(
                    "the object serves {} calls at once and has as many; call again later",
                    self.limit
                ),
            )),
        }
    }
}

/// A call that counts against its object's limit until it is dropped.
#[derive(Debug)]
pub(crate) struct Running(Arc<Meta>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

/// An object with the way in which calls enter it.
pub struct Entry<A> {
    access: Contained<A>,
    pub(crate) meta: Arc<Meta>,
}

impl<A: Access> Entry<A> {
    fn new(access: A) -> Arc<Self> {
        Entry::identified(access, ObjectIdentity::unique(), usize::MAX)
    }

    fn identified(access: A, identity: ObjectIdentity, limit: usize) -> Arc<Self> {
        Arc::new(Entry {
            access: Contained::new(access),
            meta: Arc::new(Meta::identified(identity, limit)),
        })
    }

    /// Enters, if there is nothing to wait for and nothing to be given back.
    #[inline]
    pub(crate) fn enter_at_once(&self) -> Option<&A::Target> {
        self.access.enter_at_once().filter(|_| self.meta.is_free())
    }

    /// Waits until the call that is being served may enter.
    pub async fn enter(&self) -> Result<Inside<A::Guard<'_>>> {
        self.meta.in_turn().await;
        let running = self.meta.begin_call()?;
        Ok(Inside {
            guard: self.access.enter().await?,
            _running: running,
        })
    }
}

impl<A: crate::access::AccessMut> Entry<A> {
    /// Waits until the call that is being served may enter, and lends the object mutably.
    pub async fn enter_mut(&self) -> Result<Inside<A::GuardMut<'_>>> {
        self.meta.in_turn().await;
        let running = self.meta.begin_call()?;
        Ok(Inside {
            guard: self.access.enter_mut().await?,
            _running: running,
        })
    }
}

/// What a call holds while it is inside an object.
#[derive(Debug)]
pub struct Inside<G> {
    guard: G,
    _running: Option<Running>,
}

impl<G: Deref> Deref for Inside<G> {
    type Target = G::Target;

    fn deref(&self) -> &G::Target {
        &self.guard
    }
}

impl<G: DerefMut> DerefMut for Inside<G> {
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.guard
    }
}

impl<T: Send + Sync + 'static> Entry<Shared<T>> {
    /// An object that any number of calls enter at once.
    pub fn shared(object: T) -> Arc<Self> {
        Entry::new(Shared(object))
    }
}

impl<T: Send + Sync + 'static> Entry<SharedArc<T>> {
    /// The same, of an object that the application shares.
    pub fn shared_arc(object: Arc<T>) -> Arc<Self> {
        let identity = ObjectIdentity::shared(&object);
        Entry::identified(SharedArc(object), identity, usize::MAX)
    }
}

impl<T: Send + 'static> Entry<Serial<T>> {
    /// An object that calls enter one at a time.
    pub fn serial(object: T) -> Arc<Self> {
        Entry::new(Serial(SerialLock::new(object)))
    }
}

impl<A> fmt::Debug for Entry<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("meta", &self.meta)
            .finish_non_exhaustive()
    }
}

/// One object that serves several interfaces, or that says more about how it is served.
///
/// # Examples
///
/// ```
/// use farref::prelude::*;
///
/// #[expose]
/// pub trait Reader {
///     fn read(&self) -> u32;
/// }
///
/// #[expose]
/// pub trait Named {
///     fn name(&self) -> String;
/// }
///
/// struct Meter;
/// impl Reader for Meter {
///     fn read(&self) -> u32 {
///         7
///     }
/// }
/// impl Named for Meter {
///     fn name(&self) -> String {
///         "meter".to_owned()
///     }
/// }
///
/// let meter = Object::new(Meter);
/// let reader: ReaderProxy = meter.proxy();
/// let named = meter.proxy::<NamedProxy>();
/// assert!(farref::same_object(&reader, &named));
/// ```
pub struct Object<A> {
    entry: Arc<Entry<A>>,
}

impl<T: Send + Sync + 'static> Object<Shared<T>> {
    /// An object that any number of calls enter at once.
    pub fn new(object: T) -> Self {
        Object {
            entry: Entry::shared(object),
        }
    }
}

impl<T: Send + Sync + 'static> Object<SharedArc<T>> {
    /// The same, of an object that the application shares. All proxies of what one `Arc` holds are equal, however often it is
    /// shared anew.
    pub fn shared(object: Arc<T>) -> Self {
        Object {
            entry: Entry::shared_arc(object),
        }
    }
}

impl<T: Send + 'static> Object<Serial<T>> {
    /// An object that calls enter one at a time, in the order in which they came.
    pub fn serial(object: T) -> Self {
        Object {
            entry: Entry::serial(object),
        }
    }
}

impl<A: Access> Object<A> {
    /// Lets at most `calls` calls be inside at once, those that wait for a serial object among them: one more fails with
    /// `Overloaded`, `NotStarted`.
    ///
    /// Applies to proxies made afterwards. The default is no limit.
    #[must_use]
    pub fn limit(self, calls: usize) -> Self {
        match Arc::try_unwrap(self.entry) {
            Ok(entry) => {
                let identity = entry.meta.identity;
                Object {
                    entry: Entry::identified(entry.access.into_inner(), identity, calls),
                }
            }
            Err(entry) => Object { entry },
        }
    }

    /// A near proxy to this object.
    pub fn proxy<P: Serve<A>>(&self) -> P {
        P::serve(Arc::clone(&self.entry))
    }
}

impl<A> Clone for Object<A> {
    fn clone(&self) -> Self {
        Object {
            entry: Arc::clone(&self.entry),
        }
    }
}

impl<A> fmt::Debug for Object<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object")
            .field("meta", &self.entry.meta)
            .finish_non_exhaustive()
    }
}

/// An object as a session sees it: its identity, and the methods of the interface under which it was exported, with
/// those of the interfaces that it extends. Nothing else of the object can be reached through it.
pub struct Export {
    pub(crate) identity: ObjectIdentity,
    /// FNV-1a of the interface's wire name.
    pub(crate) interface: u32,
    pub(crate) kind: ExportKind,
}

pub(crate) enum ExportKind {
    /// An object of this process.
    Object(Exported),
    /// An object that another process owns: calls are passed on as they are.
    Forward(Remote),
    /// An object of any process that is lent.
    Lent(Arc<Lent>),
}

pub(crate) struct Exported {
    pub(crate) meta: Arc<Meta>,
    pub(crate) interface: &'static Interface,
    serve: Box<dyn ServeMethods>,
    /// An `Arc<dyn Near>` of the interface's object-safe twin, from which a proxy is made again.
    near: Box<dyn Any + Send + Sync>,
    bases: Vec<Arc<Export>>,
}

impl Export {
    /// Exports an object under one interface.
    pub fn new<A: Access, N: ?Sized + Send + Sync + 'static>(
        entry: Arc<Entry<A>>,
        near: Arc<N>,
        interface: &'static Interface,
        handlers: &'static [Handler<A>],
        bases: Vec<Arc<Export>>,
    ) -> Arc<Self> {
        let meta = Arc::clone(&entry.meta);
        let serve = Box::new(Handlers::new(entry, handlers));
        Export::of_object(meta, serve, Box::new(near), interface, bases)
    }

    pub(crate) fn of_object(
        meta: Arc<Meta>,
        serve: Box<dyn ServeMethods>,
        near: Box<dyn Any + Send + Sync>,
        interface: &'static Interface,
        bases: Vec<Arc<Export>>,
    ) -> Arc<Self> {
        Arc::new(Export {
            identity: meta.identity,
            interface: interface.hash,
            kind: ExportKind::Object(Exported {
                meta,
                interface,
                serve,
                near,
                bases,
            }),
        })
    }

    /// The object-safe twin behind this export, if it was exported under this interface or one that extends it.
    pub fn near<N: ?Sized + Send + Sync + 'static>(&self) -> Option<Arc<N>> {
        let ExportKind::Object(exported) = &self.kind else {
            return None;
        };
        match exported.near.downcast_ref::<Arc<N>>() {
            Some(near) => Some(Arc::clone(near)),
            None => exported.bases.iter().find_map(|base| base.near::<N>()),
        }
    }

    /// The object itself, where this only stands for one that a factory made.
    pub(crate) fn made(&self) -> Option<Arc<Export>> {
        match &self.kind {
            ExportKind::Object(exported) => exported.serve.made(),
            ExportKind::Forward(_) | ExportKind::Lent(_) => None,
        }
    }

    /// Whether a call to this export reaches that object.
    pub(crate) fn reaches(&self, object: ObjectIdentity) -> bool {
        self.identity == object
            || match &self.kind {
                ExportKind::Object(_) => self.made().is_some_and(|made| made.identity == object),
                ExportKind::Forward(_) => false,
                ExportKind::Lent(lent) => lent
                    .remote()
                    .is_ok_and(|remote| remote.identity() == Some(object)),
            }
    }

    /// What serves the calls to this export: what is lent, if it is a loan that has not ended.
    pub(crate) fn called(self: Arc<Self>) -> Result<Arc<Export>> {
        match &self.kind {
            ExportKind::Object(_) | ExportKind::Forward(_) => Ok(self),
            ExportKind::Lent(lent) => match lent.remote()? {
                Remote::Local(export) => export.called(),
                remote => Ok(Arc::new(Export {
                    identity: self.identity,
                    interface: self.interface,
                    kind: ExportKind::Forward(remote),
                })),
            },
        }
    }

    /// The static descriptor, for an object of this process.
    pub(crate) fn descriptor(&self) -> Option<&'static Interface> {
        match &self.kind {
            ExportKind::Object(exported) => Some(exported.interface),
            ExportKind::Forward(_) | ExportKind::Lent(_) => None,
        }
    }

    /// Whether a proxy of this interface may be made of this export.
    pub(crate) fn serves(&self, interface: u32) -> bool {
        match &self.kind {
            ExportKind::Object(exported) => exported.interface.extends(interface),
            // Its owner will say.
            ExportKind::Forward(_) | ExportKind::Lent(_) => true,
        }
    }
}

impl Exported {
    /// Finds a method by index and hash, here or in an extended interface.
    pub(crate) fn find(
        &self,
        index: usize,
        hash: u32,
    ) -> Option<(&Exported, usize, &'static Method)> {
        if let Some(method) = self.interface.methods.get(index)
            && method.hash == hash
        {
            return Some((self, index, method));
        }
        if let Some(index) = self
            .interface
            .methods
            .iter()
            .position(|method| method.hash == hash)
        {
            return Some((self, index, &self.interface.methods[index]));
        }
        self.bases.iter().find_map(|base| match &base.kind {
            ExportKind::Object(exported) => exported.find(index, hash),
            ExportKind::Forward(_) | ExportKind::Lent(_) => None,
        })
    }

    /// Finds a method by its wire name, here or in an extended interface: its index there, and what it is.
    pub(crate) fn find_named(&self, name: &str) -> Option<(u16, &'static Method)> {
        find_named(self.interface, name)
    }

    pub(crate) fn serve(&self, index: usize, call: Incoming) -> HandlerFuture {
        self.serve.serve(index, call)
    }

    /// Serves a call in the current scope, if that can be done without waiting for anything. What fails, or panics, which
    /// the caller contains, leaves a part of a reply.
    #[inline]
    pub(crate) fn serve_at_once(
        &self,
        index: usize,
        call: &Incoming,
        reply: &mut Reply,
    ) -> Option<Result<()>> {
        self.serve.serve_at_once(index, call, reply)
    }
}

fn find_named(interface: &'static Interface, name: &str) -> Option<(u16, &'static Method)> {
    let mut methods = interface.methods.iter().zip(0..);
    if let Some((method, index)) = methods.find(|(method, _)| method.name == name) {
        return Some((index, method));
    }
    let mut bases = interface.bases.iter();
    bases.find_map(|base| find_named(base, name))
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export")
            .field("identity", &self.identity)
            .field(
                "interface",
                &self
                    .descriptor()
                    .map_or("forwarded", |interface| interface.name),
            )
            .finish_non_exhaustive()
    }
}
