//! A signal of an object behind a proxy, near or far.

use std::fmt;
use std::sync::Arc;

use super::connecting;
use super::event::Event;
use super::far_connection::{FarConnection, SignalConnection};
use super::identity::{ReceiverId, Sender};
use super::near_receiver::{Key, Lent, NearReceiver, ReplyFn};
use super::receiver::{Receiver, Respond};
use super::request::{Listened, Request, Teller};
use super::subscribers::WhenSlow;
use super::subscription::Subscription;
use super::{CAPACITY, Signal};
use crate::call::{Call, NearFuture};
use crate::dispatch;
use crate::error::{Fault, Result};
use crate::far::{Label, MethodKey};
use crate::object::Export;
use crate::proxy::{self, Proxy};
use crate::references::Reference;
use crate::remote::Remote;
use crate::{FaultKind, Outcome};

/// Gives the signal of an object of this process.
type NearFn<'a, N, T, R> = fn(&'a N) -> NearFuture<'a, Signal<T, R>>;

/// A signal of the object behind a proxy, which the signal's method on the proxy returns.
///
/// Receivers connect to it as they do to the [`Signal`] itself, and are told in the same way, wherever the object lives:
/// one after the other, in the order in which they connected, each awaited before the next one is called. Their responses
/// and their errors go back to whoever sends. Connecting one twice is connecting it once.
///
/// What another process is to be told of crosses the session of the proxy. A receiver is connected until it is
/// disconnected, until the object drops its signal, or until the session ends. One whose process died, or whose
/// connection broke, while it is being told is an error like another, and disconnected. A receiver learns which
/// [`Sender`] an event came from where that is an object, and may listen to [one alone](SignalRef::from_sender).
///
/// ```
/// use farref::prelude::*;
/// use farref::{Signal, signal};
///
/// #[expose]
/// pub trait Jukebox {
///     /// Fires after each change of song.
///     #[signal]
///     fn song_changed(&self) -> &Signal<String>;
///
///     async fn play(&self, title: String) -> Result<(), String>;
/// }
///
/// #[derive(Default)]
/// struct Machine {
///     song_changed: Signal<String>,
/// }
///
/// impl Jukebox for Machine {
///     fn song_changed(&self) -> &Signal<String> {
///         &self.song_changed
///     }
///
///     async fn play(&self, title: String) -> Result<(), String> {
///         match self.song_changed.send(title).await {
///             Ok(_) => Ok(()),
///             Err(error) => Err(format!("{error}: {}", error.error)),
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = Daemon::bind("far://127.0.0.1:0").await?;
/// # let uri = daemon.register("jukebox", JukeboxProxy::new(Machine::default()))?;
/// let jukebox: JukeboxProxy = farref::connect(&uri).await?;
/// let connection = jukebox
///     .song_changed()
///     .connect(|title| match title.is_empty() {
///         false => Ok(println!("now playing {}", title.as_str())),
///         true => Err("a song without a title"),
///     })
///     .await?;
///
/// jukebox.play("Creep".to_owned()).await?;
/// let error = jukebox.play(String::new()).await.unwrap_err();
/// assert!(error.to_string().contains("a song without a title"), "{error}");
///
/// assert!(connection.disconnect().await?);
/// jukebox.play(String::new()).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nobody is connected before `connect`"]
pub struct SignalRef<'a, P: Proxy, T, R = ()> {
    proxy: &'a P,
    index: usize,
    near: NearFn<'a, P::Near, T, R>,
    teller: fn() -> Teller<T>,
    reply: ReplyFn<R>,
    id: Option<ReceiverId>,
    sender: Option<Heard>,
}

/// The only sender that a receiver listens to.
#[derive(Clone)]
struct Heard {
    sender: Sender,
    interface: u32,
    remote: Remote,
}

/// What the object's process answered.
enum Reached<T, R> {
    Near(Signal<T, R>),
    Far,
}

/// What a call that subscribes is made of.
struct Subscribing<'a, N: ?Sized, T, R> {
    near: NearFn<'a, N, T, R>,
    sender: Option<Sender>,
    request: Request,
    when_slow: WhenSlow,
    capacity: usize,
}

/// What a call of a signal's method is made of.
struct Asked<'a, N: ?Sized, T, R> {
    near: NearFn<'a, N, T, R>,
    request: Option<Request>,
}

impl<'a, P: Proxy, T, R> SignalRef<'a, P, T, R> {
    /// The signal of this index in the proxy's interface.
    #[doc(hidden)]
    pub fn new(
        proxy: &'a P,
        index: usize,
        near: NearFn<'a, P::Near, T, R>,
        teller: fn() -> Teller<T>,
        reply: ReplyFn<R>,
    ) -> Self {
        SignalRef {
            proxy,
            index,
            near,
            teller,
            reply,
            id: None,
            sender: None,
        }
    }
}

impl<P: Proxy, T: Send + Sync + 'static, R: Send + 'static> SignalRef<'_, P, T, R> {
    /// Says the identity of the receiver that is about to be connected, instead of its own.
    pub fn with_id(mut self, id: impl Into<ReceiverId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Says whom the receiver that is about to be connected, or disconnected, listens to: others it does not hear. The
    /// object sends as [`Sender::object`] of a proxy of the same interface.
    pub fn from_sender<Q: Proxy>(mut self, sender: &Q) -> Self {
        self.sender = Some(Heard {
            sender: Sender::object(sender),
            interface: Q::DESCRIPTOR.hash,
            remote: proxy::to_remote(sender),
        });
        self
    }

    /// Calls `receiver` in this process whenever the signal is sent, until it is disconnected; see [`Signal::connect`].
    ///
    /// # Errors
    ///
    /// As any call. `Overloaded`, if this session has as many receivers connected as it may hold references.
    ///
    /// # Cancel safety
    ///
    /// A connection whose future was dropped may have been made.
    pub async fn connect<F, X>(&self, receiver: F) -> Result<SignalConnection>
    where
        F: Fn(&Event<T>) -> X + Send + Sync + 'static,
        X: Respond<R>,
    {
        self.add(ReceiverId::of::<F>(), Receiver::plain(receiver))
            .await
    }

    /// The same, of a receiver whose future is awaited before the next receiver is called; see
    /// [`Signal::connect_async`].
    ///
    /// # Errors
    ///
    /// As [`connect`](SignalRef::connect).
    ///
    /// # Cancel safety
    ///
    /// As [`connect`](SignalRef::connect).
    pub async fn connect_async<F, X>(&self, receiver: F) -> Result<SignalConnection>
    where
        F: Fn(Event<T>) -> X + Send + Sync + 'static,
        X: Future<Output: Respond<R>> + Send + 'static,
    {
        self.add(ReceiverId::of::<F>(), Receiver::asynchronous(receiver))
            .await
    }

    /// Disconnects the receiver of this identity that this process has connected; `false` if there is none.
    ///
    /// # Errors
    ///
    /// As any call.
    ///
    /// # Cancel safety
    ///
    /// The receiver of a future that was dropped may have been disconnected.
    pub async fn disconnect(&self, receiver: impl Into<ReceiverId>) -> Result<bool> {
        let id = receiver.into();
        if self.proxy.is_near() {
            let signal = self.near_signal().await?;
            let connection = connecting::find(&signal, &id, self.heard());
            return Ok(connection.is_some_and(|connection| connection.disconnect()));
        }
        let remote = self.reached().await?;
        let key = self.key(&remote, &id);
        let export = match remote.peer() {
            Some(peer) => Lent::of(peer.storage()).find(&key),
            None => Some(self.export(id, None)),
        };
        let Some(export) = export else {
            return Ok(false);
        };
        let connection = self.connection(remote, key, &export);
        connection.disconnect().await
    }

    /// Queues what is told from now on, and takes it out as a stream: at most 128 events at the signal, beside those that
    /// are on their way. The subscription of one who does not keep up [closes](WhenSlow::Close).
    ///
    /// # Errors
    ///
    /// As any call.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future subscribes to nothing.
    pub async fn subscribe(&self) -> Result<Subscription<T>> {
        self.subscribe_with(WhenSlow::Close, CAPACITY).await
    }

    /// The same with at most `capacity` events at the signal, between 1 and 4096. `when_slow` says what happens when as
    /// many wait there and one more is sent. Beside them, up to 256 events of another process are on
    /// their way.
    ///
    /// # Errors
    ///
    /// As any call.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future subscribes to nothing.
    pub async fn subscribe_with(
        &self,
        when_slow: WhenSlow,
        capacity: usize,
    ) -> Result<Subscription<T>> {
        if !self.proxy.is_near() {
            self.reached().await?;
        }
        let asked = Subscribing {
            near: self.near,
            sender: self.heard().cloned(),
            request: Request::Subscribe {
                sender: self.listened(),
                when_slow,
                capacity: u32::try_from(capacity).unwrap_or(u32::MAX),
            },
            when_slow,
            capacity,
        };
        let call = Call::new(
            self.proxy,
            self.index,
            asked,
            |near, asked| {
                let signal = (asked.near)(near);
                Box::pin(async move {
                    let signal = signal.await?;
                    let taking = signal.take(asked.sender, asked.when_slow, asked.capacity);
                    Ok(Subscription::near(taking))
                })
            },
            |asked: &Subscribing<'_, P::Near, T, R>, out| out.value("request", &asked.request),
            (self.teller)().subscribed,
        );
        call.await
    }

    /// The only sender that is listened to, as the object's process finds it.
    fn listened(&self) -> Option<Listened> {
        self.sender.as_ref().map(|heard| Listened {
            interface: heard.interface,
            object: Reference(heard.remote.clone()),
        })
    }

    async fn add(&self, id: ReceiverId, receiver: Receiver<T, R>) -> Result<SignalConnection> {
        let id = self.id.clone().unwrap_or(id);
        if self.proxy.is_near() {
            let signal = self.near_signal().await?;
            let connection = connecting::connect(&signal, id, self.heard().cloned(), receiver);
            return Ok(SignalConnection::near(connection));
        }
        let remote = self.reached().await?;
        let key = self.key(&remote, &id);
        let name = id.to_string();
        let export = self.export(id, Some(receiver));
        let export = match remote.peer() {
            Some(peer) => Lent::of(peer.storage()).find_or_add(key.clone(), export),
            None => export,
        };
        let connection = self.connection(remote, key, &export);
        let request = Request::Connect {
            place: connection.place(export),
            name,
        };
        match self.ask(Some(request)).await? {
            Reached::Far => Ok(SignalConnection::far(connection)),
            Reached::Near(_) => Err(misplaced()),
        }
    }

    /// The only sender that is listened to.
    fn heard(&self) -> Option<&Sender> {
        self.sender.as_ref().map(|heard| &heard.sender)
    }

    /// Makes sure that the object is found, and the sender that is listened to.
    async fn reached(&self) -> Result<Remote> {
        let remote = proxy::to_remote(self.proxy);
        remote.clone().ensure_connected().await?;
        if let Some(heard) = &self.sender {
            heard.remote.clone().ensure_connected().await?;
        }
        Ok(remote)
    }

    fn key(&self, remote: &Remote, id: &ReceiverId) -> Key {
        Key {
            object: remote.identity(),
            signal: P::DESCRIPTOR.methods[self.index].hash,
            receiver: id.clone(),
            sender: self.heard().cloned(),
        }
    }

    fn export(&self, id: ReceiverId, receiver: Option<Receiver<T, R>>) -> Arc<Export> {
        let receiver = NearReceiver {
            id,
            sender: self.heard().cloned(),
            receiver,
        };
        receiver.export((self.teller)().take, self.reply)
    }

    fn connection(&self, remote: Remote, key: Key, export: &Arc<Export>) -> FarConnection {
        let method = &P::DESCRIPTOR.methods[self.index];
        FarConnection {
            remote,
            label: Label::Static {
                interface: P::DESCRIPTOR.name,
                method: method.name,
            },
            codec: self.proxy.options().codec,
            timeout: self.proxy.options().timeout,
            method: MethodKey {
                index: u16::try_from(self.index).unwrap_or(u16::MAX),
                hash: method.hash,
                shape: 0,
            },
            key,
            listened: self.listened(),
            export: Arc::downgrade(export),
        }
    }

    async fn near_signal(&self) -> Result<Signal<T, R>> {
        match self.ask(None).await? {
            Reached::Near(signal) => Ok(signal),
            Reached::Far => Err(misplaced()),
        }
    }

    /// Calls the signal's method.
    async fn ask(&self, request: Option<Request>) -> Result<Reached<T, R>> {
        let near = self.near;
        let call = Call::new(
            self.proxy,
            self.index,
            Asked { near, request },
            |near, asked| {
                let signal = (asked.near)(near);
                Box::pin(async move { signal.await.map(Reached::Near) })
            },
            |asked, out| match &asked.request {
                Some(request) => out.value("request", request),
                None => Err(misplaced()),
            },
            |reply| dispatch::decode_value::<bool>(reply).map(|_| Reached::Far),
        );
        call.await
    }
}

/// Near and far do not change within a call.
fn misplaced() -> Fault {
    Fault::new(
        FaultKind::Internal,
        Outcome::NotStarted,
        "a signal of this process was asked for by frames",
    )
}

impl<P: Proxy, T, R> Clone for SignalRef<'_, P, T, R> {
    fn clone(&self) -> Self {
        SignalRef {
            id: self.id.clone(),
            sender: self.sender.clone(),
            ..*self
        }
    }
}

impl<P: Proxy, T, R> fmt::Debug for SignalRef<'_, P, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = &P::DESCRIPTOR.methods[self.index];
        write!(f, "SignalRef({}.{})", P::DESCRIPTOR.name, method.name)
    }
}
