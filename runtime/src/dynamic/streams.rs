//! Streams of JSON values: those that a call is answered with, and lists that are sent as streams.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use farref_proto::Seldom;
use futures_core::Stream;
use serde_json::Value;

use super::values::{self, bad_argument, bytes_of};
use super::{DynProxy, DynReply, misuse};
use crate::codec::{self, Budget, Codec};
use crate::descriptor::{MethodInfo, ValueInfo};
use crate::dispatch::RawReply;
use crate::error::{CallError, Fault, Result};
use crate::shape::{self, Shape};
use crate::stream::{Feed, Items, Room, StreamWindow};
use crate::transferred::Transferred;
use crate::{FaultKind, Outcome};

/// A stream of JSON values; see [`DynProxy::stream`].
///
/// Dropping it ends the stream.
///
/// # Cancel safety
///
/// [`next`](DynStream::next) loses no item when its future is dropped.
pub struct DynStream {
    feed: Option<Arc<dyn Feed>>,
    current: Option<Items>,
    shape: Shape,
    window: StreamWindow,
}

impl DynStream {
    /// How far the producer may be ahead; see [`RemoteStream::window`](crate::RemoteStream::window).
    #[must_use]
    pub fn window(mut self, window: StreamWindow) -> Self {
        self.window = window;
        self
    }

    /// Waits for the next item; `None` at the end.
    ///
    /// # Errors
    ///
    /// Why the stream ended before its end; see [`RemoteStream`](crate::RemoteStream).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no item.
    pub async fn next(&mut self) -> Option<Result<Value>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The stream of items of this shape that a reply is.
    pub(super) fn answered(reply: RawReply, items: Shape) -> Result<Self> {
        let shape = Shape::Stream(Box::new(items));
        let value = values::read(&reply, &shape)?;
        let reply = DynReply {
            value,
            transferred: reply.transferred,
            shape,
        };
        reply.stream().ok_or_else(no_stream)
    }

    fn decode(
        &self,
        (body, attachment): (Bytes, Option<Bytes>),
        codec: Codec,
        budget: &Budget,
    ) -> Result<Value> {
        let decoded = match (attachment, codec) {
            (Some(bytes), _) if self.shape == Shape::Bytes => {
                return Ok(bytes.iter().copied().map(Value::from).collect());
            }
            (_, Codec::Json) => codec::decode(Codec::Json, &body, budget),
            _ => shape::postcard_to_json(&body, &self.shape, budget),
        };
        decoded.map_err(|error| {
            Fault::new(
                FaultKind::BadReply,
                Outcome::Ran,
                format!("an item of the stream cannot be decoded: {error}"),
            )
        })
    }
}

impl Stream for DynStream {
    type Item = Result<Value>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Value>>> {
        let this = &mut *self;
        loop {
            if let Some(items) = &mut this.current
                && let Some(item) = items.take()
            {
                let (codec, budget) = (items.codec, items.budget);
                let decoded = this.decode(item, codec, &budget);
                if decoded.is_err() {
                    this.feed = None;
                    this.current = None;
                }
                return Poll::Ready(Some(decoded));
            }
            let Some(feed) = &this.feed else {
                return Poll::Ready(None);
            };
            match ready!(feed.poll_items(cx, Codec::Json, this.window.room())) {
                Some(Ok(items)) => this.current = Some(items),
                Some(Err(fault)) => {
                    this.feed = None;
                    return Poll::Ready(Some(Err(fault)));
                }
                None => this.feed = None,
            }
        }
    }
}

impl fmt::Debug for DynStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynStream(of {})", self.shape)
    }
}

impl DynProxy {
    /// Calls a method that returns a stream, be it declared as `impl Stream` or as a `RemoteStream`.
    ///
    /// # Errors
    ///
    /// As [`call`](DynProxy::call); `Misuse` if the method returns something else.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call.
    pub async fn stream(
        &self,
        method: &str,
        arguments: Value,
    ) -> Result<DynStream, CallError<Value>> {
        let info = self.method(method)?;
        if !matches!(info.returns.shape, Shape::Stream(_)) {
            let message = format!(
                "`{}` returns {} and no stream",
                info.name, info.returns.shape
            );
            return Err(misuse(message).into());
        }
        let reply = self.call_full(method, arguments).await?;
        reply.stream().ok_or_else(|| no_stream().into())
    }
}

pub(super) fn no_stream() -> Fault {
    let message = "the method ran, but its reply transfers no stream";
    Fault::new(FaultKind::BadReply, Outcome::Ran, message)
}

impl DynReply {
    /// The stream that the reply is, if it is one.
    pub fn stream(self) -> Option<DynStream> {
        let Shape::Stream(items) = self.shape else {
            return None;
        };
        let number = usize::try_from(self.value.as_u64()?).ok()?;
        match self.transferred.get(number)? {
            Transferred::Stream(feed) => Some(DynStream {
                feed: Some(Arc::clone(feed)),
                current: None,
                shape: *items,
                window: StreamWindow::default(),
            }),
            Transferred::Reference(_) => None,
        }
    }
}

/// A list that is sent as a stream.
pub(super) fn of_list(
    method: &MethodInfo,
    argument: &ValueInfo,
    items: &Shape,
    value: &Value,
) -> Result<Transferred> {
    let Value::Array(values) = value else {
        let wrong = "expected an array of the items of a stream";
        return Err(bad_argument(method, argument, &wrong));
    };
    for value in values {
        let checked = match items {
            Shape::Bytes => bytes_of(value)
                .map(drop)
                .map_err(|text| bad_argument(method, argument, &text)),
            shape => shape::check_json(value, shape)
                .map_err(|mismatch| bad_argument(method, argument, &mismatch)),
        };
        checked?;
    }
    Ok(Transferred::Stream(Arc::new(List {
        values: Mutex::new(values.iter().cloned().collect()),
        shape: items.clone(),
    })))
}

struct List {
    values: Mutex<VecDeque<Value>>,
    shape: Shape,
}

impl Feed for List {
    fn poll_items(
        &self,
        _: &mut Context<'_>,
        codec: Codec,
        room: Room,
    ) -> Poll<Option<Result<Items>>> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if room.items == 0 {
            return Poll::Pending;
        }
        let Some(value) = values.pop_front() else {
            return Poll::Ready(None);
        };
        let mut body = Vec::new();
        let mut attachments = Vec::new();
        let encoded = match (&self.shape, codec) {
            (Shape::Bytes, _) => {
                attachments.extend(bytes_of(&value));
                Ok(())
            }
            (_, Codec::Json) => codec::encode(codec, &value, &mut body).map_err(|e| e.to_string()),
            (shape, _) => {
                shape::json_to_postcard(&value, shape, &mut body).map_err(|e| e.to_string())
            }
        };
        Poll::Ready(Some(match encoded {
            Ok(()) => Ok(Items::new(
                codec,
                Budget::default(),
                vec![u32::try_from(body.len()).unwrap_or(u32::MAX)],
                body.into(),
                attachments,
                Seldom::new(),
            )),
            Err(error) => Err(Fault::new(
                FaultKind::Unencodable,
                Outcome::Ran,
                format!("an item of the stream cannot be encoded: {error}"),
            )),
        }))
    }
}
