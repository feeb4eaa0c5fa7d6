//! What is asked of a signal from another process, and what its owner does about it.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::connecting::{connect, find};
use super::far_receiver::{Connected, DecodeFn, FarReceiver, PutFn};
use super::identity::{ReceiverId, Sender};
use super::near_receiver::{NearReceiver, TakeFn};
use super::receiver::Receiver;
use super::subscribers::{Told, WhenSlow};
use super::subscription::Subscription;
use super::{ON_THEIR_WAY, Signal};
use crate::dispatch::{self, Incoming, RawReply, Reply};
use crate::error::Result;
use crate::object::Export;
use crate::references::Reference;
use crate::remote::Remote;
use crate::shape::Shape;
use crate::stream::{RemoteStream, StreamWindow};

/// What a signal of an interface can tell: all its receivers share it, in this process and in others.
///
/// For the same reason as that of [`Wire`](crate::wire::Wire), generated code names a type that a signal tells only as
/// `<T as Tellable>::function`.
#[diagnostic::on_unimplemented(
    message = "a signal cannot tell `{Self}`",
    label = "this type, or one inside it, lacks serde's `Serialize` or `Deserialize`, `Send` or `Sync`, or is not `'static`",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to your types in it"
)]
pub trait Tellable: Sized {
    /// Traces the shape of the type.
    fn shape() -> Shape;
    /// How it is read.
    fn teller() -> Teller<Self>;
    /// Does what another process asks of a signal.
    fn serve<R: Send + 'static>(
        request: SignalRequest,
        call: &Incoming,
        signal: &Signal<Self, R>,
        decode: DecodeFn<R>,
    ) -> Result<Reply>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Tellable for T {
    fn shape() -> Shape {
        Shape::of::<T>()
    }

    fn teller() -> Teller<T> {
        Teller {
            take: |arguments, name| arguments.value(name),
            subscribed: |reply| {
                let stream = dispatch::decode_value::<RemoteStream<Told<T>>>(reply)?;
                let window = StreamWindow::items(ON_THEIR_WAY);
                Ok(Subscription::of(Box::pin(stream.window(window))))
            },
        }
    }

    fn serve<R: Send + 'static>(
        request: SignalRequest,
        call: &Incoming,
        signal: &Signal<T, R>,
        decode: DecodeFn<R>,
    ) -> Result<Reply> {
        match request.0 {
            Request::Subscribe {
                sender,
                when_slow,
                capacity,
            } => {
                let sender = sender.map(Listened::sender);
                let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
                let taking = signal.take(sender, when_slow, capacity);
                call.answer(false, &RemoteStream::new(taking))
            }
            request => SignalRequest(request).serve(
                call,
                signal,
                |out, name, value| out.value(name, value),
                decode,
            ),
        }
    }
}

/// How what a signal tells is read.
pub struct Teller<T> {
    pub(super) take: TakeFn<T>,
    pub(super) subscribed: fn(&mut RawReply) -> Result<Subscription<T>>,
}

/// What is asked of a signal, as the only argument of a call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Calls the receiver from now on. Answered by whether it was not connected yet.
    Connect {
        place: Place,
        /// What the receiver is called in messages.
        name: String,
    },
    /// Ends that. Answered by whether it was connected.
    Disconnect(Place),
    /// Answered by whether it is connected.
    IsConnected(Place),
    /// Answered by a stream of what is told from now on.
    Subscribe {
        sender: Option<Listened>,
        when_slow: WhenSlow,
        capacity: u32,
    },
}

impl Listened {
    fn sender(self) -> Sender {
        Sender::of_reference(self.interface, &self.object.0)
    }
}

/// Which receiver, and to whom it listens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) receiver: Reference,
    pub(super) sender: Option<Listened>,
}

/// A sender that a receiver listens to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Listened {
    /// FNV-1a of the wire name of the interface of its proxy.
    pub(super) interface: u32,
    pub(super) object: Reference,
}

/// What another process asks of a signal of this one.
pub struct SignalRequest(Request);

impl SignalRequest {
    /// Reads it out of a call.
    pub fn decode(call: &Incoming) -> Result<Self> {
        let mut arguments = call.arguments(1)?;
        let request = arguments.value("request")?;
        arguments.finish()?;
        Ok(SignalRequest(request))
    }

    /// Does it, and answers the call.
    fn serve<T: Send + Sync + 'static, R: Send + 'static>(
        self,
        call: &Incoming,
        signal: &Signal<T, R>,
        put: PutFn<T>,
        decode: DecodeFn<R>,
    ) -> Result<Reply> {
        let answer = match self.0 {
            Request::Connect { place, name } => {
                let place = Placed::<T, R>::find(place, name);
                self::connected(call, signal, place, put, decode)?
            }
            Request::Disconnect(place) => {
                let place = Placed::<T, R>::find(place, String::new());
                match find(signal, &place.id, place.sender.as_ref()) {
                    Some(connection) => {
                        let was_connected = connection.disconnect();
                        if let Some(session) = &call.scope.session {
                            Connected::of(session).forget(&connection);
                        }
                        was_connected
                    }
                    None => false,
                }
            }
            Request::IsConnected(place) => {
                let place = Placed::<T, R>::find(place, String::new());
                find(signal, &place.id, place.sender.as_ref()).is_some()
            }
            // Done by who knows how the type travels.
            Request::Subscribe { .. } => false,
        };
        call.answer(false, &answer)
    }
}

/// A receiver that was found, and to whom it listens.
struct Placed<T, R> {
    id: ReceiverId,
    sender: Option<Sender>,
    receiver: Found<T, R>,
}

enum Found<T, R> {
    /// It turned out to live here, and is called as if it had never been elsewhere.
    Near(Arc<Export>, Arc<NearReceiver<T, R>>),
    Far(Remote),
}

impl<T: Send + Sync + 'static, R: Send + 'static> Placed<T, R> {
    fn find(place: Place, name: String) -> Self {
        let sender = place.sender.map(Listened::sender);
        let Reference(remote) = place.receiver;
        if let Remote::Local(export) = &remote
            && let Some(near) = export.near::<NearReceiver<T, R>>()
        {
            return Placed {
                id: near.id.clone(),
                sender: near.sender.clone().or(sender),
                receiver: Found::Near(Arc::clone(export), near),
            };
        }
        Placed {
            id: ReceiverId::of_reference(&remote, name),
            sender,
            receiver: Found::Far(remote),
        }
    }
}

/// Connects a receiver; `false` if it was connected.
fn connected<T: Send + Sync + 'static, R: Send + 'static>(
    call: &Incoming,
    signal: &Signal<T, R>,
    place: Placed<T, R>,
    put: PutFn<T>,
    decode: DecodeFn<R>,
) -> Result<bool> {
    let is_new = find(signal, &place.id, place.sender.as_ref()).is_none();
    let remote = match place.receiver {
        Found::Near(export, near) => {
            connect(signal, place.id, place.sender, Receiver::lent(export, near));
            return Ok(is_new);
        }
        Found::Far(remote) => remote,
    };
    let session = call.scope.session.as_deref();
    if let Some(session) = session {
        Connected::of(session).make_room(session)?;
    }
    let far = FarReceiver::new(remote, call.codec);
    let told = Arc::clone(&far);
    let receiver = Receiver::asynchronous(move |event| Arc::clone(&told).tell(event, put, decode));
    let connection = connect(signal, place.id, place.sender, receiver);
    far.is_at(&connection);
    if let Some(session) = session {
        Connected::of(session).keep(connection);
    }
    Ok(is_new)
}

impl fmt::Debug for SignalRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T> fmt::Debug for Teller<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller").finish_non_exhaustive()
    }
}
