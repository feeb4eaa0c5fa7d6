//! What is asked of a signal from another process, and what its owner does about it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Signal;
use super::connecting::{connect, find};
use super::far_receiver::{Connected, DecodeFn, FarReceiver, PutFn};
use super::identity::{ReceiverId, Sender};
use super::near_receiver::NearReceiver;
use super::receiver::Receiver;
use crate::dispatch::{Incoming, Reply};
use crate::error::Result;
use crate::object::Export;
use crate::references::Reference;
use crate::remote::Remote;

/// What a signal can tell: all its receivers share it.
#[diagnostic::on_unimplemented(
    message = "a signal cannot tell `{Self}`",
    label = "all receivers share it, so it must be `Send`, `Sync` and `'static`"
)]
pub trait Tellable: Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> Tellable for T {}

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
    pub fn serve<T: Tellable, R: Send + 'static>(
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
        };
        call.encode(false, &answer)
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

impl<T: Tellable, R: Send + 'static> Placed<T, R> {
    fn find(place: Place, name: String) -> Self {
        let sender = place
            .sender
            .map(|listened| Sender::of_reference(listened.interface, &listened.object.0));
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
fn connected<T: Tellable, R: Send + 'static>(
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
