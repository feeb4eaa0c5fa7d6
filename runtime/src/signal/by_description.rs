//! Connecting to a signal that is known only by its description.

use std::sync::Arc;

use serde_json::Value;

use super::event::Event;
use super::far_connection::{FarConnection, SignalConnection};
use super::identity::ReceiverId;
use super::near_receiver::{Key, Lent, NearReceiver, ReplyBy, TakeBy};
use super::receiver::{Receiver, Respond};
use super::request::Request;
use crate::dynamic::SignalOf;
use crate::error::Result;

/// A receiver of JSON, before it is connected.
pub(crate) struct DynReceiver {
    id: ReceiverId,
    receiver: Receiver<Value, Value>,
}

impl DynReceiver {
    pub(crate) fn new<F, X>(receiver: F) -> Self
    where
        F: Fn(&Event<Value>) -> X + Send + Sync + 'static,
        X: Respond<Value>,
    {
        DynReceiver {
            id: ReceiverId::of::<F>(),
            receiver: Receiver::plain(receiver),
        }
    }

    pub(crate) fn new_async<F, X>(receiver: F) -> Self
    where
        F: Fn(Event<Value>) -> X + Send + Sync + 'static,
        X: Future<Output: Respond<Value>> + Send + 'static,
    {
        DynReceiver {
            id: ReceiverId::of::<F>(),
            receiver: Receiver::asynchronous(receiver),
        }
    }

    /// Connects it.
    pub(crate) async fn connect(
        self,
        signal: SignalOf,
        take: TakeBy<Value>,
        reply: ReplyBy<Value>,
    ) -> Result<SignalConnection> {
        let name = self.id.to_string();
        let key = Key {
            object: signal.remote.identity(),
            signal: signal.method.hash,
            receiver: self.id.clone(),
            sender: None,
        };
        let near = NearReceiver {
            id: self.id,
            sender: None,
            receiver: Some(self.receiver),
        };
        let export = near.export_by(take, reply);
        let export = match signal.remote.peer() {
            Some(peer) => Lent::of(peer.storage()).find_or_add(key.clone(), export),
            None => export,
        };
        let connection = FarConnection {
            remote: signal.remote,
            label: signal.label,
            method: signal.method,
            codec: Some(signal.codec),
            timeout: signal.timeout,
            key,
            listened: None,
            export: Arc::downgrade(&export),
        };
        connection
            .ask(export, |place| Request::Connect { place, name })
            .await?;
        Ok(SignalConnection::far(connection))
    }
}
