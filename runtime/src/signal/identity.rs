//! Who receives and who sends: identities that are compared without running code of the application.

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use crate::object::ObjectIdentity;
use crate::proxy::{self, Proxy};
use crate::remote::Remote;
use crate::uri::Uri;

/// Who a signal is sent by: compared by identity, never by value.
///
/// ```
/// use farref::signal::{Sender, Signal};
///
/// static CLOSED: Signal<()> = Signal::new();
/// let (window, dialog) = (Sender::unique(), Sender::unique());
///
/// CLOSED.from_sender(&window).connect(|_| println!("the window is closed"));
/// assert_eq!(CLOSED.send_now_from(&window, ())?.len(), 1);
/// assert_eq!(CLOSED.send_now_from(&dialog, ())?.len(), 0);
/// assert_eq!(CLOSED.send_now(())?.len(), 0);
/// # Ok::<(), farref::signal::SignalError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sender(Identity);

impl Sender {
    /// A sender that is equal to its clones and to nothing else.
    pub fn unique() -> Self {
        Sender(Identity::Number(number()))
    }

    /// The sender that is this object, however many hold it. It is not kept alive, and no later object is mistaken for
    /// it.
    pub fn shared<O: Send + Sync + 'static>(object: &Arc<O>) -> Self {
        Sender(Identity::Shared(Pinned::new(object)))
    }

    /// The sender that is the object behind this proxy.
    pub fn object<P: Proxy>(proxy: &P) -> Self {
        Sender(Identity::of_object(proxy))
    }

    /// Whether it is the object behind this proxy. Unlike senders, which compare as proxies do, this knows an object also
    /// behind a proxy that was made from a URI, once that has connected.
    pub fn is<P: Proxy>(&self, proxy: &P) -> bool {
        match self.as_object() {
            Some((_, object)) => proxy::to_remote(proxy).identity() == Some(object),
            None => *self == Sender::object(proxy),
        }
    }

    /// Its interface and its identity, if it is an object whose identity is known.
    pub(super) fn as_object(&self) -> Option<(u32, ObjectIdentity)> {
        match &self.0 {
            Identity::Object(referred) => Some((referred.interface, referred.object?)),
            Identity::Number(_) | Identity::Shared(_) => None,
        }
    }

    /// The sender that is this object of another process.
    pub(super) fn elsewhere(interface: u32, object: ObjectIdentity) -> Self {
        Sender(Identity::Object(Arc::new(Referred {
            interface,
            uri: None,
            object: Some(object),
            name: Cow::Borrowed("an object"),
        })))
    }

    /// The sender that is the object of this process, or of another, which a frame refers to.
    pub(super) fn of_reference(interface: u32, remote: &Remote) -> Self {
        let name = "an object".to_owned();
        Sender(Identity::of_reference(interface, remote, name))
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sender {}", self.0)
    }
}

/// Who a receiver is. It tells receivers apart and names them in errors.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ReceiverId(Receiver);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Receiver {
    /// As the application says.
    Named(Arc<str>),
    /// A function, or a closure that captures nothing: its type is all there is to it.
    Function(Function),
    /// The same, called on an object.
    Method(Identity, Function),
    /// An object.
    Object(Identity),
    /// A closure that captures something.
    Closure(Identity, &'static str),
}

impl ReceiverId {
    /// The identity of a function, or of a closure that captures nothing: with it, one that was connected is
    /// disconnected.
    ///
    /// What captures something has no identity, and does not compile here: disconnect it by its
    /// [`Connection`](super::Connection), or by an id.
    ///
    /// ```
    /// use farref::signal::{Event, ReceiverId, Signal};
    ///
    /// fn ring(_: &Event<()>) {}
    ///
    /// let alarm = Signal::<()>::new();
    /// alarm.connect(ring);
    /// alarm.connect(ring);
    /// assert_eq!(alarm.receivers(), [ReceiverId::function(&ring)]);
    /// assert!(alarm.disconnect(ReceiverId::function(&ring)));
    /// assert!(!alarm.disconnect(ReceiverId::function(&ring)));
    /// ```
    pub fn function<F: 'static>(function: &F) -> Self {
        ReceiverId(Receiver::Function(Function::the(function)))
    }

    /// The identity of a method that is called on an object, as [`connect_weak`](super::Signal::connect_weak) connects
    /// it.
    pub fn method<O: Send + Sync + 'static, F: 'static>(object: &Arc<O>, method: &F) -> Self {
        let object = Identity::Shared(Pinned::new(object));
        ReceiverId(Receiver::Method(object, Function::the(method)))
    }

    /// The identity of the object behind a proxy, under the interface of the proxy.
    ///
    /// ```
    /// # use farref::prelude::*;
    /// # use farref::signal::{ReceiverId, Signal};
    /// #[callback]
    /// pub trait Listener {
    ///     async fn song_changed(&self, title: &str);
    /// }
    ///
    /// /// However often a listener comes, it is told once.
    /// fn watch(song_changed: &Signal<String>, listener: ListenerProxy) {
    ///     let id = ReceiverId::object(&listener);
    ///     song_changed.with_id(id).connect_async(move |title| {
    ///         let listener = listener.clone();
    ///         async move { listener.song_changed(&title).await }
    ///     });
    /// }
    /// # struct Quiet;
    /// # impl Listener for Quiet { async fn song_changed(&self, _: &str) {} }
    /// # let (signal, listener) = (Signal::new(), ListenerProxy::new(Quiet));
    /// # watch(&signal, listener.clone());
    /// # watch(&signal, listener);
    /// # assert_eq!(signal.receivers().len(), 1);
    /// ```
    pub fn object<P: Proxy>(proxy: &P) -> Self {
        ReceiverId(Receiver::Object(Identity::of_object(proxy)))
    }

    /// The identity of a receiver in another process, which calls it `name`.
    pub(super) fn of_reference(remote: &Remote, name: String) -> Self {
        ReceiverId(Receiver::Object(Identity::of_reference(0, remote, name)))
    }

    /// The identity of what is connected: a function's own, a new one for each closure that captures something.
    pub(super) fn of<F: 'static>() -> Self {
        ReceiverId(match Function::of::<F>() {
            Some(function) => Receiver::Function(function),
            None => closure::<F>(),
        })
    }

    /// The same, for what is called on an object.
    pub(super) fn of_method<O: Send + Sync + 'static, F: 'static>(object: &Arc<O>) -> Self {
        ReceiverId(match Function::of::<F>() {
            Some(function) => Receiver::Method(Identity::Shared(Pinned::new(object)), function),
            None => closure::<F>(),
        })
    }
}

fn closure<F>() -> Receiver {
    Receiver::Closure(Identity::Number(number()), std::any::type_name::<F>())
}

impl From<&str> for ReceiverId {
    fn from(name: &str) -> Self {
        ReceiverId(Receiver::Named(name.into()))
    }
}

impl From<String> for ReceiverId {
    fn from(name: String) -> Self {
        ReceiverId(Receiver::Named(name.into()))
    }
}

impl From<&ReceiverId> for ReceiverId {
    fn from(id: &ReceiverId) -> Self {
        id.clone()
    }
}

impl fmt::Display for ReceiverId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Receiver::Named(name) => f.write_str(name),
            Receiver::Function(function) => f.write_str(function.name),
            Receiver::Method(object, function) => write!(f, "{} of {object}", function.name),
            Receiver::Object(object) => object.fmt(f),
            Receiver::Closure(number, name) => write!(f, "{name} {number}"),
        }
    }
}

impl fmt::Debug for ReceiverId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "receiver {self}")
    }
}

/// A function that its type alone identifies.
#[derive(Clone, Copy)]
struct Function {
    of_type: TypeId,
    name: &'static str,
}

impl Function {
    fn of<F: 'static>() -> Option<Self> {
        (size_of::<F>() == 0).then(|| Function {
            of_type: TypeId::of::<F>(),
            name: std::any::type_name::<F>(),
        })
    }

    fn the<F: 'static>(_: &F) -> Self {
        const {
            assert!(
                size_of::<F>() == 0,
                "a closure that captures something has no identity; say one with `with_id`"
            );
        }
        Function {
            of_type: TypeId::of::<F>(),
            name: std::any::type_name::<F>(),
        }
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.of_type == other.of_type
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.of_type.hash(state);
    }
}

/// What tells one thing from all others.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Identity {
    Number(u64),
    Shared(Pinned),
    Object(Arc<Referred>),
}

/// An object, as proxies of one interface compare: by its URI if it is known by one, else by itself.
struct Referred {
    /// FNV-1a of the interface's wire name.
    interface: u32,
    uri: Option<Uri>,
    object: Option<ObjectIdentity>,
    /// What it is called in messages.
    name: Cow<'static, str>,
}

impl Referred {
    fn key(&self) -> (u32, Option<&Uri>, Option<ObjectIdentity>) {
        (self.interface, self.uri.as_ref(), self.object)
    }
}

impl PartialEq for Referred {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Referred {}

impl Hash for Referred {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl Identity {
    fn of_object<P: Proxy>(proxy: &P) -> Self {
        let uri = proxy.uri().cloned();
        let object = match uri {
            Some(_) => None,
            None => proxy::to_remote(proxy).identity(),
        };
        Identity::Object(Arc::new(Referred {
            interface: P::DESCRIPTOR.hash,
            uri,
            object,
            name: Cow::Borrowed(P::DESCRIPTOR.name),
        }))
    }

    fn of_reference(interface: u32, remote: &Remote, name: String) -> Self {
        Identity::Object(Arc::new(Referred {
            interface,
            uri: None,
            object: remote.identity(),
            name: Cow::Owned(name),
        }))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identity::Number(number) => write!(f, "#{number}"),
            Identity::Shared(object) => write!(f, "the object at {:p}", object.address()),
            Identity::Object(object) => object.fmt(f),
        }
    }
}

impl fmt::Display for Referred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match (&self.uri, self.object) {
            (Some(uri), _) => write!(f, " at {uri}"),
            (None, Some(identity)) => write!(f, " #{}", identity.object),
            (None, None) => f.write_str(", gone"),
        }
    }
}

/// The place of an object in memory. The weak reference keeps the place, so that no other object gets it.
#[derive(Clone)]
struct Pinned(Weak<dyn Any + Send + Sync>);

impl Pinned {
    fn new<O: Send + Sync + 'static>(object: &Arc<O>) -> Self {
        let weak = Arc::downgrade(object);
        Pinned(weak)
    }

    fn address(&self) -> *const () {
        self.0.as_ptr().cast()
    }
}

impl PartialEq for Pinned {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl Eq for Pinned {}

impl Hash for Pinned {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address().hash(state);
    }
}

/// A number that nothing else of this process has.
pub(super) fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
