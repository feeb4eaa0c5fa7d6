//! A stream that is fed from elsewhere.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use farref_proto::FaultKind;
use futures_core::Stream;
use tokio::sync::mpsc;

use super::StreamItem;
use super::produced::Produced;
use super::remote::RemoteStream;
use crate::Outcome;
use crate::error::{Fault, Result};

/// The way into a stream made with [`RemoteStream::channel`]. When the last one is dropped, the stream ends.
pub struct StreamSender<T>(mpsc::Sender<Result<T>>);

impl<T> Clone for StreamSender<T> {
    fn clone(&self) -> Self {
        StreamSender(self.0.clone())
    }
}

impl<T> StreamSender<T> {
    /// Waits until there is room, and puts an item in.
    ///
    /// # Errors
    ///
    /// `Cancelled`, if nobody consumes the stream any more; the item is dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future puts nothing in.
    pub async fn send(&self, item: T) -> Result<()> {
        self.0.send(Ok(item)).await.map_err(|_| gone())
    }

    /// Puts an item in, if there is room. Gives it back if there is none.
    ///
    /// # Errors
    ///
    /// The item itself: there is no room, or nobody consumes the stream any more; [`is_closed`](Self::is_closed) tells.
    pub fn try_send(&self, item: T) -> std::result::Result<(), T> {
        match self.0.try_reserve() {
            Ok(place) => {
                place.send(Ok(item));
                Ok(())
            }
            Err(_) => Err(item),
        }
    }

    /// Ends the stream with a fault, behind the items that are in.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends nothing.
    pub async fn fail(self, fault: Fault) {
        // Nobody is left to be told otherwise.
        let _ = self.0.send(Err(fault)).await;
    }

    /// Whether nobody consumes the stream any more.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Waits until nobody consumes the stream any more.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

impl<T: StreamItem> RemoteStream<T> {
    /// A stream, and the way into it, which holds up to `capacity` items (one at least).
    pub fn channel(capacity: usize) -> (StreamSender<T>, Self) {
        let (sender, items) = mpsc::channel(capacity.max(1));
        (
            StreamSender(sender),
            RemoteStream::of(Produced::fallible(Box::pin(Channel(items)))),
        )
    }
}

struct Channel<T>(mpsc::Receiver<Result<T>>);

impl<T> Stream for Channel<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.0.poll_recv(cx)
    }
}

fn gone() -> Fault {
    Fault::new(
        FaultKind::Cancelled,
        Outcome::Ran,
        "nobody consumes the stream any more",
    )
}

impl<T> fmt::Debug for StreamSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSender").finish_non_exhaustive()
    }
}
