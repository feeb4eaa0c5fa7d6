//! Streams whose items are made in this process.

use std::any::Any;
use std::pin::Pin;
use std::sync::PoisonError;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::StreamItem;
use super::block::Yields;
use super::feed::{Feed, Items, Room};
use super::packing::{Fill, Packing};
use crate::codec::Codec;
use crate::error::{Fault, Result};
use crate::panics;
use crate::sync::Mutex;

/// What makes the items.
enum Source<T> {
    Infallible(Pin<Box<dyn Stream<Item = T> + Send>>),
    Fallible(Pin<Box<dyn Stream<Item = Result<T>> + Send>>),
    Block(Box<dyn Yields<T> + Send>),
}

impl<T> Source<T> {
    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        match self {
            Source::Infallible(stream) => stream.as_mut().poll_next(cx).map(|item| item.map(Ok)),
            Source::Fallible(stream) => stream.as_mut().poll_next(cx),
            Source::Block(block) => block.poll_item(cx),
        }
    }

    /// Puts items that are ready into the frame, as far as it takes them. Ready at the stream's end.
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        packing: &mut Packing,
        fill: Fill<T>,
    ) -> Poll<Result<()>> {
        match self {
            Source::Infallible(stream) => fill(packing, stream.as_mut(), cx),
            Source::Fallible(stream) => {
                let mut items = UntilFault {
                    stream: stream.as_mut(),
                    fault: None,
                };
                let polled = fill(packing, Pin::<&mut UntilFault<'_, T>>::new(&mut items), cx);
                match items.fault {
                    Some(fault) => Poll::Ready(Err(fault)),
                    None => polled,
                }
            }
            Source::Block(block) => block.poll_frame(cx, packing, fill),
        }
    }
}

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
    pub(super) fn new(stream: impl Stream<Item = T> + Send + 'static) -> Self {
        Self::of(Source::Infallible(Box::pin(stream)))
    }

    pub(super) fn fallible(stream: Pin<Box<dyn Stream<Item = Result<T>> + Send>>) -> Self {
        Self::of(Source::Fallible(stream))
    }

    pub(super) fn of_iter(items: impl Iterator<Item = T> + Send + 'static) -> Self {
        Self::new(OfIter(items))
    }

    pub(super) fn yielding(block: impl Yields<T> + Send + 'static) -> Self {
        Self::of(Source::Block(Box::new(block)))
    }

    fn of(source: Source<T>) -> Self {
        Produced(Mutex::new(State::Running(source)))
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
        let polled = panics::contain(|| source.poll_item(cx));
        let polled = polled.unwrap_or_else(|panic| Poll::Ready(Some(Err(panicked(&*panic)))));
        if !matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.put(State::Running(source));
        }
        polled
    }
}

/// A panic of what makes the items is a fault of their stream alone.
fn panicked(panic: &(dyn Any + Send)) -> Fault {
    panics::report(&"a stream", panic, false)
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
        let polled = panics::contain(|| source.poll_frame(cx, &mut packing, Packing::fill::<T>));
        let next = match polled {
            Ok(Poll::Pending) => State::Running(source),
            Ok(Poll::Ready(Ok(()))) => State::Over,
            Ok(Poll::Ready(Err(fault))) => State::Failed(fault),
            Err(panic) => State::Failed(panicked(&*panic)),
        };
        match (packing.is_empty(), next) {
            (true, State::Failed(fault)) => Poll::Ready(Some(Err(fault))),
            (true, State::Over) => Poll::Ready(None),
            (true, next) => {
                self.put(next);
                Poll::Pending
            }
            (false, next) => {
                self.put(next);
                Poll::Ready(Some(Ok(packing.items())))
            }
        }
    }
}

/// The items before a fault.
struct UntilFault<'a, T> {
    stream: Pin<&'a mut (dyn Stream<Item = Result<T>> + Send)>,
    fault: Option<Fault>,
}

impl<T> Unpin for UntilFault<'_, T> {}

impl<T> Stream for UntilFault<'_, T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        match ready!(self.stream.as_mut().poll_next(cx)) {
            Some(Ok(item)) => Poll::Ready(Some(item)),
            Some(Err(fault)) => {
                self.fault = Some(fault);
                Poll::Ready(None)
            }
            None => Poll::Ready(None),
        }
    }
}

struct OfIter<I>(I);

impl<I> Unpin for OfIter<I> {}

impl<I: Iterator> Stream for OfIter<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next())
    }
}
