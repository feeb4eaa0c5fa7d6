//! What connecting a receiver to a signal behind a proxy returns.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::connection::Connection;
use super::identity::ReceiverId;
use super::near_receiver::{Key, Lent};
use super::request::{Listened, Place, Request};
use crate::codec::Codec;
use crate::context::{Scope, after, earlier};
use crate::dispatch;
use crate::error::Result;
use crate::far::{Encoded, FarCall, Label, MethodKey, OnewayMode};
use crate::object::Export;
use crate::references::Reference;
use crate::remote::Remote;

/// A receiver's place in the signal of an object behind a proxy. Dropping it disconnects nothing.
///
/// It refers to the object as the proxy did by which it was made.
#[derive(Clone)]
pub struct SignalConnection(Kind);

#[derive(Clone)]
enum Kind {
    Near(Connection),
    Far(Arc<FarConnection>),
}

/// A receiver of this process that is connected to a signal of another.
pub(crate) struct FarConnection {
    pub(crate) remote: Remote,
    pub(crate) label: Label,
    /// The signal's method.
    pub(crate) method: MethodKey,
    pub(crate) codec: Option<Codec>,
    pub(crate) timeout: Option<Duration>,
    pub(super) key: Key,
    pub(super) listened: Option<Listened>,
    /// The receiver, for as long as the other process holds it.
    pub(super) export: Weak<Export>,
}

impl SignalConnection {
    pub(super) fn near(connection: Connection) -> Self {
        SignalConnection(Kind::Near(connection))
    }

    pub(super) fn far(connection: FarConnection) -> Self {
        SignalConnection(Kind::Far(Arc::new(connection)))
    }

    /// Who was connected.
    pub fn receiver(&self) -> &ReceiverId {
        match &self.0 {
            Kind::Near(connection) => connection.receiver(),
            Kind::Far(connection) => &connection.key.receiver,
        }
    }

    /// Whether the receiver is called when the signal is sent. Asks the object's process, unless that has given the
    /// receiver back.
    ///
    /// # Errors
    ///
    /// As any call.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn is_connected(&self) -> Result<bool> {
        match &self.0 {
            Kind::Near(connection) => Ok(connection.is_connected()),
            Kind::Far(connection) => match connection.export.upgrade() {
                Some(export) => connection.ask(export, Request::IsConnected).await,
                None => Ok(false),
            },
        }
    }

    /// Disconnects the receiver; `false` if it is not connected any more. A sending that has begun still calls it.
    ///
    /// # Errors
    ///
    /// As any call.
    ///
    /// # Cancel safety
    ///
    /// The receiver of a future that was dropped may have been disconnected.
    pub async fn disconnect(&self) -> Result<bool> {
        match &self.0 {
            Kind::Near(connection) => Ok(connection.disconnect()),
            Kind::Far(connection) => connection.disconnect().await,
        }
    }
}

impl FarConnection {
    /// Disconnects the receiver; `false` if it is not connected any more.
    pub(super) async fn disconnect(&self) -> Result<bool> {
        let Some(export) = self.export.upgrade() else {
            return Ok(false);
        };
        let was_connected = self.ask(export, Request::Disconnect).await?;
        if let Some(peer) = self.remote.peer() {
            Lent::of(peer.storage()).forget(&self.key);
        }
        Ok(was_connected)
    }

    /// How the receiver is named in a request.
    pub(super) fn place(&self, export: Arc<Export>) -> Place {
        Place {
            receiver: Reference(Remote::Local(export)),
            sender: self.listened.clone(),
        }
    }

    /// Asks the object's process. In a box, so that it is compiled here and not in each application.
    pub(super) fn ask(
        &self,
        export: Arc<Export>,
        request: impl FnOnce(Place) -> Request,
    ) -> Pin<Box<dyn Future<Output = Result<bool>> + Send + '_>> {
        let request = request(self.place(export));
        Box::pin(async move {
            let codec = self.codec.unwrap_or_else(|| self.remote.codec());
            let encoded =
                Encoded::new(self.method, codec, 1, |out| out.value("request", &request))?;
            drop(request);
            let deadline = earlier(self.timeout.and_then(after), Scope::current_deadline());
            let (remote, label) = (self.remote.clone(), self.label.clone());
            let call = FarCall::new(
                remote,
                label,
                encoded,
                OnewayMode::Answered,
                deadline,
                None,
                None,
            );
            dispatch::decode_value(&mut call.finish().await.0?)
        })
    }
}

impl fmt::Debug for SignalConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Near(connection) => connection.fmt(f),
            Kind::Far(connection) => f
                .debug_struct("SignalConnection")
                .field("receiver", &connection.key.receiver)
                .field("object", &connection.remote)
                .finish_non_exhaustive(),
        }
    }
}
