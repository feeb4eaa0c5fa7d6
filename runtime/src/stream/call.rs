//! A call of a method that returns a stream.

use std::fmt;
use std::future::{IntoFuture, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use farref_proto::FaultKind;
use futures_core::Stream;
use tokio::time::Instant;

use super::block::NearStream;
use super::remote::RemoteStream;
use super::{StreamItem, StreamWindow};
use crate::Outcome;
use crate::blocking;
use crate::call::{Call, EncodeFn, NearFuture};
use crate::dispatch::RawReply;
use crate::error::{Fault, Result};
use crate::panics;
use crate::proxy::Proxy;

/// The function that makes the stream of a near call.
pub(crate) type NearStreamFn<'a, N, A, T> = fn(&'a N, A) -> NearStream<'a, T>;

/// A call of a method with arguments `A`, which returns a stream of `T`.
///
/// It is a stream itself: the call is made when the first item is asked for, and the first error, of the call or of the
/// stream, is the last item. Awaited, it is a [`RemoteStream`] that borrows nothing and may be sent elsewhere.
///
/// A call of an object of this process is produced item by item, without being encoded.
///
/// # Cancel safety
///
/// Dropping it ends the call, or the stream. [`next`](StreamCall::next) loses no item when its future is dropped.
#[must_use = "a call does nothing until it is polled or awaited"]
pub struct StreamCall<'a, P: Proxy, A, T> {
    state: State<'a, P, A, T>,
    near: NearStreamFn<'a, P::Near, A, T>,
    window: StreamWindow,
}

enum State<'a, P: Proxy, A, T> {
    /// Not made yet, or not answered.
    Calling(Call<'a, P, A, RemoteStream<T>, Fault>),
    Near(NearStream<'a, T>),
    Far(RemoteStream<T>),
    Over,
}

impl<'a, P: Proxy, A, T: 'a> StreamCall<'a, P, A, T> {
    /// A call of the method of this index in the proxy's interface.
    pub fn new(
        proxy: &'a P,
        index: usize,
        arguments: A,
        near: NearStreamFn<'a, P::Near, A, T>,
        encode: EncodeFn<A>,
        decode: fn(&mut RawReply) -> Result<RemoteStream<T>>,
    ) -> Self {
        let call = Call::new(proxy, index, arguments, never_near, encode, decode);
        StreamCall {
            state: State::Calling(call),
            near,
            window: StreamWindow::default(),
        }
    }

    fn with_call(
        self,
        change: impl FnOnce(
            Call<'a, P, A, RemoteStream<T>, Fault>,
        ) -> Call<'a, P, A, RemoteStream<T>, Fault>,
    ) -> Self {
        match self.state {
            State::Calling(call) => StreamCall {
                state: State::Calling(change(call)),
                ..self
            },
            state => StreamCall { state, ..self },
        }
    }

    /// How far the producer may be ahead; see [`RemoteStream::window`].
    pub fn window(mut self, window: StreamWindow) -> Self {
        self.window = window;
        self
    }

    /// Gives up after this long if the call is not answered with a stream; see [`Call::timeout`]. It says nothing of the
    /// stream's items.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with_call(|call| call.timeout(timeout))
    }

    /// Gives up at this instant; see [`timeout`](StreamCall::timeout).
    pub fn deadline(self, deadline: Instant) -> Self {
        self.with_call(|call| call.deadline(deadline))
    }

    /// Sends a note beside the arguments; see [`Call::annotate`].
    pub fn annotate(self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.with_call(|call| call.annotate(key, value))
    }
}

impl<P: Proxy, A, T: StreamItem> StreamCall<'_, P, A, T> {
    /// Waits for the next item; `None` at the end.
    ///
    /// # Errors
    ///
    /// What the call failed with, or why the stream ended before its end; see [`RemoteStream`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no item.
    pub async fn next(&mut self) -> Option<Result<T>> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Waits for the next item on this thread; see [`RemoteStream::wait_next`].
    ///
    /// # Errors
    ///
    /// As [`next`](StreamCall::next); and `Misuse` on a thread that drives a runtime.
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
    /// As [`next`](StreamCall::next); the items before the error are lost.
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
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        match &mut self.state {
            State::Far(stream) => stream.poll(cx),
            _ => self.poll_call(cx),
        }
    }

    /// Makes the call, and asks for the next item of a stream that is near.
    fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        loop {
            match &mut self.state {
                State::Calling(call) => {
                    if let Some(stream) = call.start_near_stream(self.near) {
                        self.state = State::Near(stream);
                        continue;
                    }
                    match ready!(Pin::new(call).poll(cx)) {
                        Ok(stream) => self.state = State::Far(stream.window(self.window)),
                        Err(fault) => {
                            self.state = State::Over;
                            return Poll::Ready(Some(Err(fault)));
                        }
                    }
                }
                State::Near(stream) => {
                    let polled = panics::contain(|| stream.as_mut().poll_next(cx));
                    let polled = polled.unwrap_or_else(|panic| {
                        Poll::Ready(Some(Err(panics::report(&"a stream", &*panic, false))))
                    });
                    if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
                        self.state = State::Over;
                    }
                    return polled;
                }
                State::Far(stream) => return stream.poll(cx),
                State::Over => return Poll::Ready(None),
            }
        }
    }
}

/// A call that is answered with a stream is encoded, also within a process, so that the stream borrows nothing.
fn never_near<'a, N: ?Sized, A, T: 'a>(_: &'a N, _: A) -> NearFuture<'a, RemoteStream<T>> {
    Box::pin(std::future::ready(Err(Fault::new(
        FaultKind::Internal,
        Outcome::NotStarted,
        "a call that is answered with a stream is encoded",
    ))))
}

impl<P: Proxy, A, T> Unpin for StreamCall<'_, P, A, T> {}

impl<P: Proxy, A, T: StreamItem> Stream for StreamCall<'_, P, A, T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.get_mut().poll(cx)
    }
}

impl<'a, P: Proxy, A, T: StreamItem> IntoFuture for StreamCall<'a, P, A, T> {
    type Output = Result<RemoteStream<T>>;
    type IntoFuture = Opening<'a, P, A, T>;

    fn into_future(self) -> Self::IntoFuture {
        Opening(self)
    }
}

/// A call under way that is answered with a stream; what a [`StreamCall`] is awaited as.
#[must_use = "a call does nothing until it is awaited"]
pub struct Opening<'a, P: Proxy, A, T>(StreamCall<'a, P, A, T>);

impl<P: Proxy, A, T> Unpin for Opening<'_, P, A, T> {}

impl<P: Proxy, A, T: StreamItem> Future for Opening<'_, P, A, T> {
    type Output = Result<RemoteStream<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let call = &mut self.0;
        if let State::Calling(opening) = &mut call.state {
            let opened = ready!(Pin::new(opening).poll(cx));
            call.state = State::Over;
            return Poll::Ready(opened.map(|stream| stream.window(call.window)));
        }
        match std::mem::replace(&mut call.state, State::Over) {
            State::Far(stream) => Poll::Ready(Ok(stream)),
            _ => Poll::Ready(Err(Fault::new(
                FaultKind::Misuse,
                Outcome::Ran,
                "the items of the stream were asked for before; await the call first",
            ))),
        }
    }
}

impl<P: Proxy, A, T> fmt::Debug for StreamCall<'_, P, A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Calling(_) => "calling",
            State::Near(_) | State::Far(_) => "open",
            State::Over => "ended",
        };
        write!(f, "StreamCall({}, {state})", P::DESCRIPTOR.name)
    }
}

impl<P: Proxy, A, T> fmt::Debug for Opening<'_, P, A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Opening").field(&self.0).finish()
    }
}
