//! `RemoteStream`: a stream as a value.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::feed::{Feed, downcast};
use super::packing::is_byte_string;
use super::produced::Produced;
use super::reader::Reader;
use super::{StreamItem, StreamWindow};
use crate::blocking;
use crate::error::Result;
use crate::references;
use crate::shape;
use crate::transferred::Transferred;

/// The newtype as which streams stand in values, around the index of their entry.
pub(crate) const STREAM: &str = "$farref.stream";

/// A stream of items that are produced in this process or in another.
///
/// It may stand wherever a value can: in an argument, a result, a struct, an item of another stream. Sent to another
/// process it is consumed there, within the credit that its consumer gives: nothing is produced before the first item
/// is asked for, and never more ahead than its [`window`](RemoteStream::window) says.
///
/// It is a [`Stream`] of `Result<T, Fault>`. After a fault nothing more comes; its kind says why the stream ended:
///
/// | kind | |
/// |---|---|
/// | the producer's own, [`Panicked`](crate::FaultKind::Panicked), [`Unencodable`](crate::FaultKind::Unencodable) | producing failed |
/// | [`SessionLost`](crate::FaultKind::SessionLost) | the producer's process or the connection to it is gone |
/// | [`Cancelled`](crate::FaultKind::Cancelled) | the producer's runtime shut down |
/// | [`DeadlineExceeded`](crate::FaultKind::DeadlineExceeded) | the lifetime that the producer's process gives to streams has passed |
/// | [`BadReply`](crate::FaultKind::BadReply) | an item cannot be decoded |
///
/// Dropping it ends the stream: its producer is dropped at its next await.
///
/// # Cancel safety
///
/// [`next`](RemoteStream::next) loses no item when its future is dropped.
///
/// # Examples
///
/// ```
/// use farref::RemoteStream;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> farref::Result<()> {
/// let mut squares = RemoteStream::from_iter((1..=3).map(|n| n * n));
/// let mut seen = Vec::new();
/// while let Some(square) = squares.next().await {
///     seen.push(square?);
/// }
/// assert_eq!(seen, [1, 4, 9]);
/// # Ok(())
/// # }
/// ```
pub struct RemoteStream<T>(Inner<T>);

enum Inner<T> {
    /// Its items are made in this process.
    Near(Arc<Produced<T>>),
    /// Its items arrive encoded.
    Encoded {
        reader: Reader,
        window: StreamWindow,
        items: PhantomData<fn() -> T>,
    },
}

impl<T: StreamItem> RemoteStream<T> {
    /// A stream of the items of `stream`, which is polled when an item is wanted.
    pub fn new(stream: impl Stream<Item = T> + Send + 'static) -> Self {
        Self::of(Produced::new(stream))
    }

    /// A stream of the items of `stream`, which ends with the first fault.
    pub fn fallible(stream: impl Stream<Item = Result<T>> + Send + 'static) -> Self {
        Self::of(Produced::fallible(Box::pin(stream)))
    }

    /// A stream of the items that the iterator gives, each when it is wanted. The iterator may be endless.
    #[expect(
        clippy::should_implement_trait,
        reason = "`FromIterator` would need every item's iterator to be `Send + 'static`, which it cannot say"
    )]
    pub fn from_iter<I>(items: I) -> Self
    where
        I: IntoIterator<Item = T>,
        I::IntoIter: Send + 'static,
    {
        Self::of(Produced::of_iter(items.into_iter()))
    }

    pub(super) fn encoded(feed: Arc<dyn Feed>) -> Self {
        RemoteStream(Inner::Encoded {
            reader: Reader::new(feed),
            window: StreamWindow::default(),
            items: PhantomData,
        })
    }

    /// How far the producer may be ahead of this consumer; [`StreamWindow::default`] unless it is said. Nothing of it
    /// holds for a stream of this process, which is produced item by item.
    ///
    /// Say it before the first item is asked for.
    #[must_use]
    pub fn window(mut self, window: StreamWindow) -> Self {
        if let Inner::Encoded {
            window: current, ..
        } = &mut self.0
        {
            *current = window;
        }
        self
    }

    /// Waits for the next item; `None` at the end.
    ///
    /// # Errors
    ///
    /// Why the stream ended before its end; see [`RemoteStream`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no item.
    pub async fn next(&mut self) -> Option<Result<T>> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Waits for the next item on this thread, and serves the objects that are pinned to it meanwhile; see
    /// [`blocking`](mod@crate::blocking).
    ///
    /// # Errors
    ///
    /// As [`next`](RemoteStream::next); and `Misuse` on a thread that drives a runtime.
    pub fn wait_next(&mut self) -> Option<Result<T>> {
        match blocking::wait(self.next()) {
            Ok(item) => item,
            Err(fault) => Some(Err(fault)),
        }
    }

    /// Waits for all items.
    ///
    /// # Errors
    ///
    /// The fault that ended the stream; the items before it are lost.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the stream.
    pub async fn collect_all(mut self) -> Result<Vec<T>> {
        let mut items = Vec::new();
        while let Some(item) = self.next().await {
            items.push(item?);
        }
        Ok(items)
    }

    #[inline]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        match &mut self.0 {
            Inner::Near(produced) => produced.poll_item(cx),
            Inner::Encoded { reader, window, .. } => reader.poll_item(cx, window),
        }
    }

    fn feed(&self) -> Arc<dyn Feed> {
        match &self.0 {
            Inner::Near(produced) => Arc::clone(produced) as Arc<dyn Feed>,
            Inner::Encoded { reader, .. } => reader.feed(),
        }
    }
}

impl<T> RemoteStream<T> {
    pub(super) fn of(produced: Produced<T>) -> Self {
        RemoteStream(Inner::Near(Arc::new(produced)))
    }
}

impl<T> Unpin for RemoteStream<T> {}

impl<T: StreamItem> Stream for RemoteStream<T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.get_mut().poll(cx)
    }
}

impl<T: StreamItem + Sync> From<Vec<T>> for RemoteStream<T> {
    /// A stream of these items.
    fn from(items: Vec<T>) -> Self {
        Self::from_iter(items)
    }
}

impl<T> fmt::Debug for RemoteStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Inner::Near(_) => "RemoteStream(near)",
            Inner::Encoded { .. } => "RemoteStream(encoded)",
        })
    }
}

impl<T: StreamItem> Serialize for RemoteStream<T> {
    /// Writes the stream as a part of a call's arguments or result. What it still has goes to whoever receives it.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let entry = Transferred::Stream(self.feed());
        let instead = "consume it here, and keep its items";
        let index = references::write::<S::Error>("a stream", instead, entry)?;
        serializer.serialize_newtype_struct(STREAM, &index)
    }
}

impl<'de, T: StreamItem> Deserialize<'de> for RemoteStream<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(STREAM, StreamVisitor(PhantomData))
    }
}

struct StreamVisitor<T>(PhantomData<T>);

impl<T: StreamItem> StreamVisitor<T> {
    fn take<E: de::Error>(index: u32) -> std::result::Result<RemoteStream<T>, E> {
        match references::read::<E>("stream", index)? {
            Transferred::Stream(feed) => Ok(match downcast::<Produced<T>>(feed) {
                // It never left this process.
                Ok(produced) => RemoteStream(Inner::Near(produced)),
                Err(feed) => RemoteStream::encoded(feed),
            }),
            Transferred::Reference(_) => Err(E::custom(format!(
                "number {index} of what the message transfers is a reference and no stream"
            ))),
        }
    }
}

impl<'de, T: StreamItem> Visitor<'de> for StreamVisitor<T> {
    type Value = RemoteStream<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stream")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Self::Value, D::Error> {
        if shape::is_tracing() {
            // The items are what is to be known of a stream.
            if is_byte_string::<T>() {
                deserializer.deserialize_byte_buf(de::IgnoredAny)?;
            } else {
                T::deserialize(deserializer)?;
            }
            return Ok(RemoteStream::from_iter([]));
        }
        Self::take(u32::deserialize(deserializer)?)
    }

    fn visit_unit<E: de::Error>(self) -> std::result::Result<Self::Value, E> {
        match shape::is_tracing() {
            true => Ok(RemoteStream::from_iter([])),
            false => Err(E::invalid_type(de::Unexpected::Unit, &self)),
        }
    }

    fn visit_u64<E: de::Error>(self, index: u64) -> std::result::Result<Self::Value, E> {
        Self::take(references::index_of("stream", index)?)
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut sequence: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let index = sequence.next_element()?;
        Self::take(index.ok_or_else(|| de::Error::invalid_length(0, &self))?)
    }
}
