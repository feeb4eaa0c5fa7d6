//! Streams of objects that stay on one thread.
//!
//! Their code runs there, as a task of its own that is asked for each item; the items cross threads.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use farref_proto::FaultKind;
use futures_core::Stream;
use tokio::sync::mpsc;

use super::block::{Yielder, Yielding};
use super::produced::Produced;
use super::remote::RemoteStream;
use crate::Outcome;
use crate::error::{Fault, Result};
use crate::local;
use crate::panics;

/// The stream that a block yields, which runs on this thread.
pub fn local_stream<T, F>(make: impl FnOnce(Yielder<T>) -> F) -> RemoteStream<T>
where
    T: Send + 'static,
    F: Future<Output = Result<()>> + 'static,
{
    let (demand, mut demanded) = mpsc::channel(1);
    let (items, made) = mpsc::channel(1);
    let mut yielding = Yielding::new(make);
    local::spawn(async move {
        let mut gone = pin!(items.closed());
        while demanded.recv().await.is_some() {
            let next = poll_fn(|cx| {
                if gone.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(None);
                }
                match panics::contain(|| Pin::new(&mut yielding).poll_next(cx)) {
                    Ok(polled) => polled,
                    Err(panic) => {
                        let fault = panics::report(&"a stream", &*panic, false);
                        Poll::Ready(Some(Err(fault)))
                    }
                }
            });
            let item = next.await;
            let is_last = !matches!(item, Some(Ok(_)));
            if items.send(item).await.is_err() || is_last {
                break;
            }
        }
    });
    RemoteStream::of(Produced::fallible(Box::pin(Asking {
        demand,
        made,
        has_asked: false,
    })))
}

/// Asks the thread for each item.
struct Asking<T> {
    demand: mpsc::Sender<()>,
    /// Each item, and `None` at the end.
    made: mpsc::Receiver<Option<Result<T>>>,
    has_asked: bool,
}

impl<T> Stream for Asking<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        if !self.has_asked {
            // There is room for one, and a thread that is gone says so below.
            let _ = self.demand.try_send(());
            self.has_asked = true;
        }
        let item = ready!(self.made.poll_recv(cx));
        self.has_asked = false;
        Poll::Ready(item.unwrap_or_else(|| {
            Some(Err(Fault::new(
                FaultKind::StaleReference,
                Outcome::Ran,
                "the thread that made the stream's items has ended",
            )))
        }))
    }
}
