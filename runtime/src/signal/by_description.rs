//! Connecting to a signal that is known only by its description.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use serde::Serialize;
use serde_json::Value;

use super::event::Event;
use super::far_connection::{FarConnection, SignalConnection};
use super::identity::ReceiverId;
use super::near_receiver::{Key, Lent, NearReceiver, ReplyBy, TakeBy};
use super::receiver::{Receiver, Respond};
use super::request::Request;
use super::subscribers::{Told, WhenSlow};
use super::subscription::Subscription;
use crate::dynamic::{DynStream, SignalOf};
use crate::error::{Fault, Result};
use crate::shape::{Content, Shape};
use crate::{FaultKind, Outcome};

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

/// What is asked of a signal by whoever subscribes to it.
pub(crate) fn subscribe_request(when_slow: WhenSlow, capacity: usize) -> impl Serialize {
    Request::Subscribe {
        sender: None,
        when_slow,
        capacity: u32::try_from(capacity).unwrap_or(u32::MAX),
    }
}

/// What a subscriber is told, of a signal that tells values of this shape.
pub(crate) fn told_shape(value: &Shape) -> Shape {
    let mut told = Shape::of::<Told<bool>>();
    if let Shape::Enum { variants, .. } = &mut told {
        let contents = variants.iter_mut().map(|variant| &mut variant.content);
        let fields = contents.filter_map(|content| match content {
            Content::Struct(fields) => Some(fields),
            _ => None,
        });
        for field in fields.flatten() {
            if field.name == "value" {
                field.shape = value.clone();
            }
        }
    }
    told
}

/// A subscription, made of what the signal's process sends.
pub(crate) fn subscription(events: DynStream) -> Subscription<Value> {
    Subscription::of(Box::pin(Events(events)))
}

struct Events(DynStream);

impl Stream for Events {
    type Item = Result<Told<Value>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let told = ready!(Pin::new(&mut self.0).poll_next(cx));
        Poll::Ready(told.map(|told| {
            serde_json::from_value(told?).map_err(|error| {
                Fault::new(
                    FaultKind::BadReply,
                    Outcome::Ran,
                    format!("what the signal tells cannot be decoded: {error}"),
                )
            })
        }))
    }
}
