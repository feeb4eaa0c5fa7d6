//! Streams that a block of code yields: what generated code makes of a method that returns `impl Stream`.
//!
//! The block owns what the method borrows from (the hold on the object, the arguments) and the stream that it returned.
//! It gives an item when one is asked for, or fills the frame that is lent to it: then the loop over the items is inside
//! the block, and nothing is handed over for each.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::packing::{Fill, Packing};
use super::produced::Produced;
use super::remote::RemoteStream;
use crate::context::Scope;
use crate::error::Result;
use crate::sync::Mutex;

/// The stream of a near call.
pub type NearStream<'a, T> = Pin<Box<dyn Stream<Item = Result<T>> + Send + 'a>>;

/// What is asked of a block, and what it gives.
#[derive(Debug)]
enum Exchange<T> {
    /// An item is asked for.
    Item,
    /// The item that was.
    Made(T),
    /// A frame is to be filled, or was filled.
    Frame(Packing, Fill<T>),
}

#[derive(Debug)]
struct Place<T>(Mutex<Exchange<T>>);

impl<T> Place<T> {
    fn put(&self, exchange: Exchange<T>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = exchange;
    }

    fn take(&self) -> Exchange<T> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *place, Exchange::Item)
    }
}

/// Where a block puts its items.
#[derive(Debug)]
pub struct Yielder<T>(Arc<Place<T>>);

impl<T> Yielder<T> {
    /// Hands all items of the stream over, each when it is wanted.
    pub async fn all(self, stream: impl Stream<Item = T>) -> Result<()> {
        let mut stream = pin!(stream);
        poll_fn(|cx| match self.0.take() {
            Exchange::Frame(packing, fill) => {
                let mut lent = Lent {
                    place: &self.0,
                    packing,
                    fill,
                };
                fill(&mut lent.packing, stream.as_mut(), cx)
            }
            // Whoever polls took the last item, and wants the next.
            Exchange::Item | Exchange::Made(_) => match ready!(stream.as_mut().poll_next(cx)) {
                Some(item) => {
                    self.0.put(Exchange::Made(item));
                    Poll::Pending
                }
                None => Poll::Ready(Ok(())),
            },
        })
        .await
    }
}

/// A frame that goes back with what is in it, also when the stream panics.
struct Lent<'a, T> {
    place: &'a Place<T>,
    packing: Packing,
    fill: Fill<T>,
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        let packing = std::mem::take(&mut self.packing);
        self.place.put(Exchange::Frame(packing, self.fill));
    }
}

/// A frame that was put where the block finds it, and comes back when this is dropped.
struct Borrowed<'a, T> {
    place: &'a Place<T>,
    packing: &'a mut Packing,
}

impl<T> Drop for Borrowed<'_, T> {
    fn drop(&mut self) {
        if let Exchange::Frame(packing, _) = self.place.take() {
            *self.packing = packing;
        }
    }
}

/// A block of code, and what it yields.
pub(super) struct Yielding<B, T> {
    /// None once it has ended.
    block: Option<B>,
    place: Arc<Place<T>>,
    /// The call that the stream was made by.
    scope: Option<Arc<Scope>>,
}

impl<B, T> Unpin for Yielding<B, T> {}

impl<B: Future<Output = Result<()>> + Unpin, T> Yielding<B, T> {
    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(block) = &mut self.block else {
            return Poll::Ready(Ok(()));
        };
        let polled = {
            let _entered = self.scope.as_ref().map(Scope::enter);
            Pin::new(block).poll(cx)
        };
        if polled.is_ready() {
            self.block = None;
        }
        polled
    }
}

/// A source of items, one by one or a frame at a time.
pub(super) trait Yields<T> {
    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T>>>;

    /// Puts items that are ready into the frame, as far as it takes them. Ready at the stream's end.
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        packing: &mut Packing,
        fill: Fill<T>,
    ) -> Poll<Result<()>>;
}

impl<B: Future<Output = Result<()>> + Unpin, T> Yields<T> for Yielding<B, T> {
    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        let polled = self.poll_block(cx);
        match (self.place.take(), polled) {
            (Exchange::Made(item), _) => Poll::Ready(Some(Ok(item))),
            (_, Poll::Pending) => Poll::Pending,
            (_, Poll::Ready(ended)) => Poll::Ready(ended.err().map(Err)),
        }
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        packing: &mut Packing,
        fill: Fill<T>,
    ) -> Poll<Result<()>> {
        let place = Arc::clone(&self.place);
        place.put(Exchange::Frame(std::mem::take(packing), fill));
        let _borrowed = Borrowed {
            place: &place,
            packing,
        };
        self.poll_block(cx)
    }
}

impl<B: Future<Output = Result<()>> + Unpin, T> Stream for Yielding<B, T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.poll_item(cx)
    }
}

impl<F: Future<Output = Result<()>>, T> Yielding<Pin<Box<F>>, T> {
    pub(super) fn new(make: impl FnOnce(Yielder<T>) -> F) -> Self {
        let place = Arc::new(Place(Mutex::new(Exchange::Item)));
        let block = make(Yielder(Arc::clone(&place)));
        Yielding {
            block: Some(Box::pin(block)),
            place,
            scope: Scope::of_stream(),
        }
    }
}

/// The stream that a block yields, which borrows from its caller.
pub fn near_stream<'a, T, F>(make: impl FnOnce(Yielder<T>) -> F) -> NearStream<'a, T>
where
    T: Send + 'a,
    F: Future<Output = Result<()>> + Send + 'a,
{
    Box::pin(Yielding::new(make))
}

/// The stream that a block yields.
pub fn stream<T, F>(make: impl FnOnce(Yielder<T>) -> F) -> RemoteStream<T>
where
    T: Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    RemoteStream::of(Produced::yielding(Yielding::new(make)))
}
