//! What subscribing to a signal returns.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::event::Event;
use super::subscribers::{Reason, Taking, Told};
use crate::blocking;
use crate::error::{Fault, Result};

/// Why a subscription ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Ended {
    /// The signal is gone, and all that it told before was taken.
    Complete,
    /// More events waited than there was room for, and the subscription was to [close](super::WhenSlow::Close) then.
    TooSlow,
    /// The session was lost, or the owner of the signal shut down.
    Lost(Fault),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Complete => f.write_str("the signal is gone"),
            Ended::TooSlow => f.write_str("the subscriber was too slow"),
            Ended::Lost(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for Ended {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Ended::Complete | Ended::TooSlow => None,
            Ended::Lost(fault) => fault.source(),
        }
    }
}

/// What a signal tells from the moment of subscribing, one event after the other; dropping it ends that.
///
/// It is a [`Stream`] of events as well, whose last item is why it ended, unless all was told.
pub struct Subscription<T> {
    events: Pin<Box<dyn Stream<Item = Result<Told<T>>> + Send>>,
    missed: u64,
    ended: Option<Ended>,
    /// Whether the stream has said why it ended.
    is_over: bool,
}

impl<T: Send + Sync + 'static> Subscription<T> {
    pub(super) fn near(taking: Taking<T>) -> Self {
        Subscription::of(Box::pin(Near(taking)))
    }

    pub(super) fn of(events: Pin<Box<dyn Stream<Item = Result<Told<T>>> + Send>>) -> Self {
        Subscription {
            events,
            missed: 0,
            ended: None,
            is_over: false,
        }
    }

    /// Waits for the next event.
    ///
    /// # Errors
    ///
    /// Why the subscription ended; the same again if asked again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Result<Event<T>, Ended> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Waits for the next event on this thread; see [`blocking`](mod@crate::blocking).
    ///
    /// # Errors
    ///
    /// As [`next`](Subscription::next); and `Lost` with `Misuse` on a thread that drives a runtime.
    pub fn wait_next(&mut self) -> Result<Event<T>, Ended> {
        blocking::wait(self.next()).unwrap_or_else(|fault| Err(Ended::Lost(fault)))
    }

    /// How many events were missed before the last one that was taken, because there was no room for them.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event<T>, Ended>> {
        if let Some(ended) = &self.ended {
            return Poll::Ready(Err(ended.clone()));
        }
        let ended = match ready!(self.events.as_mut().poll_next(cx)) {
            Some(Ok(Told::Event {
                missed,
                sender,
                value,
            })) => {
                self.missed = missed;
                return Poll::Ready(Ok(value.sent_by(sender)));
            }
            Some(Ok(Told::Ended(Reason::TooSlow))) => Ended::TooSlow,
            Some(Ok(Told::Ended(Reason::Complete))) | None => Ended::Complete,
            Some(Err(fault)) => Ended::Lost(fault),
        };
        self.ended = Some(ended.clone());
        Poll::Ready(Err(ended))
    }
}

impl<T: Send + Sync + 'static> Stream for Subscription<T> {
    type Item = Result<Event<T>, Ended>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Event<T>, Ended>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let event = ready!(self.poll(cx));
        self.is_over = event.is_err();
        Poll::Ready(match event {
            Err(Ended::Complete) => None,
            event => Some(event),
        })
    }
}

/// A queue of this process.
struct Near<T>(Taking<T>);

impl<T> Stream for Near<T> {
    type Item = Result<Told<T>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Told<T>>>> {
        let told = ready!(Pin::new(&mut self.0).poll_next(cx));
        Poll::Ready(told.map(Ok))
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("missed", &self.missed)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
