//! Streams that a block of code yields: what generated code makes of a method that returns `impl Stream`.
//!
//! The block owns what the method borrows from (the hold on the object, the arguments) and the stream that it returned,
//! and hands item by item over.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::produced::Produced;
use super::remote::RemoteStream;
use crate::context::Scope;
use crate::error::Result;

/// The stream of a near call.
pub type NearStream<'a, T> = Pin<Box<dyn Stream<Item = Result<T>> + Send + 'a>>;

/// Where a block puts its items.
#[derive(Debug)]
pub struct Yielder<T>(Arc<Mutex<Option<T>>>);

impl<T> Yielder<T> {
    /// Hands all items of the stream over, each when it is wanted.
    pub async fn all(self, stream: impl Stream<Item = T>) -> Result<()> {
        let mut stream = pin!(stream);
        // Whoever polls took the last item, and wants the next.
        poll_fn(|cx| match ready!(stream.as_mut().poll_next(cx)) {
            Some(item) => {
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(item);
                Poll::Pending
            }
            None => Poll::Ready(Ok(())),
        })
        .await
    }
}

/// A block of code, and what it yields.
pub(super) struct Yielding<B, T> {
    /// None once it has ended.
    block: Option<B>,
    place: Arc<Mutex<Option<T>>>,
    /// The call that the stream was made by.
    scope: Option<Arc<Scope>>,
}

impl<B, T> Unpin for Yielding<B, T> {}

impl<B: Future<Output = Result<()>> + Unpin, T> Stream for Yielding<B, T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        let this = &mut *self;
        let Some(block) = &mut this.block else {
            return Poll::Ready(None);
        };
        let polled = {
            let _entered = this.scope.as_ref().map(Scope::enter);
            Pin::new(block).poll(cx)
        };
        let item = this
            .place
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match (item, polled) {
            (Some(item), _) => Poll::Ready(Some(Ok(item))),
            (None, Poll::Pending) => Poll::Pending,
            (None, Poll::Ready(ended)) => {
                this.block = None;
                Poll::Ready(ended.err().map(Err))
            }
        }
    }
}

impl<F: Future<Output = Result<()>>, T> Yielding<Pin<Box<F>>, T> {
    pub(super) fn new(make: impl FnOnce(Yielder<T>) -> F) -> Self {
        let place = Arc::default();
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
    RemoteStream::of(Produced::fallible(Box::pin(Yielding::new(make))))
}
