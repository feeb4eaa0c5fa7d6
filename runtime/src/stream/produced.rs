//! Streams whose items are made in this process.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;

use super::StreamItem;
use super::feed::{Feed, Items, Room};
use super::packing::Packing;
use crate::codec::Codec;
use crate::error::{Fault, Result};
use crate::panics;

/// What makes the items.
pub(super) type Source<T> = Pin<Box<dyn Stream<Item = Result<T>> + Send>>;

/// A stream of this process.
///
/// What makes its items is taken out while it is polled, so that no code of the application runs under the lock.
pub(super) struct Produced<T>(Mutex<State<T>>);

enum State<T> {
    Running(Source<T>),
    /// It failed after items that went out first.
    Failed(Fault),
    Over,
}

impl<T> Produced<T> {
    pub(super) fn new(stream: impl Stream<Item = T> + Send + 'static) -> Self
    where
        T: 'static,
    {
        Self::fallible(Box::pin(Infallible(Box::pin(stream))))
    }

    pub(super) fn fallible(source: Source<T>) -> Self {
        Produced(Mutex::new(State::Running(source)))
    }

    pub(super) fn of_iter(items: impl Iterator<Item = T> + Send + 'static) -> Self
    where
        T: 'static,
    {
        Self::fallible(Box::pin(OfIter(items)))
    }

    fn put(&self, state: State<T>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// What is left; `Over` until it is put back.
    fn take(&self) -> State<T> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *state, State::Over)
    }

    pub(super) fn poll_item(&self, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        let mut source = match self.take() {
            State::Running(source) => source,
            State::Failed(fault) => return Poll::Ready(Some(Err(fault))),
            State::Over => return Poll::Ready(None),
        };
        let polled = poll_source(&mut source, cx);
        if !matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.put(State::Running(source));
        }
        polled
    }
}

/// Polls what makes the items; its panic is a fault of this stream alone.
fn poll_source<T>(source: &mut Source<T>, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
    match panics::contain(|| source.as_mut().poll_next(cx)) {
        Ok(polled) => polled,
        Err(panic) => Poll::Ready(Some(Err(panics::report(&"a stream", &*panic, false)))),
    }
}

impl<T: StreamItem> Feed for Produced<T> {
    fn poll_items(
        &self,
        cx: &mut Context<'_>,
        codec: Codec,
        room: Room,
    ) -> Poll<Option<Result<Items>>> {
        let mut source = match self.take() {
            State::Running(source) => source,
            State::Failed(fault) => return Poll::Ready(Some(Err(fault))),
            State::Over => return Poll::Ready(None),
        };
        let mut packing = Packing::new(codec, room);
        let next = loop {
            if packing.is_full() {
                break State::Running(source);
            }
            match poll_source(&mut source, cx) {
                Poll::Pending if packing.is_empty() => {
                    self.put(State::Running(source));
                    return Poll::Pending;
                }
                Poll::Pending => break State::Running(source),
                Poll::Ready(None) => break State::Over,
                Poll::Ready(Some(Err(fault))) => break State::Failed(fault),
                Poll::Ready(Some(Ok(item))) => {
                    if let Err(fault) = packing.push(item) {
                        break State::Failed(fault);
                    }
                }
            }
        };
        match (packing.is_empty(), next) {
            (true, State::Failed(fault)) => Poll::Ready(Some(Err(fault))),
            (true, _) => Poll::Ready(None),
            (false, next) => {
                self.put(next);
                Poll::Ready(Some(Ok(packing.items())))
            }
        }
    }
}

/// A stream that cannot fail.
struct Infallible<T>(Pin<Box<dyn Stream<Item = T> + Send>>);

impl<T> Stream for Infallible<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.0.as_mut().poll_next(cx).map(|item| item.map(Ok))
    }
}

struct OfIter<I>(I);

impl<I> Unpin for OfIter<I> {}

impl<I: Iterator> Stream for OfIter<I> {
    type Item = Result<I::Item>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next().map(Ok))
    }
}
