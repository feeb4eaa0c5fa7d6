//! Batches of a number of calls that is known when they are written.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::{Batch, Join, Sending, Slot};
use crate::blocking;
use crate::call::{Call, polled_again};
use crate::error::{Failure, Fault, Result};
use crate::proxy::Proxy;
use crate::started::{self, Started};

/// Makes the calls of a tuple together: one group of frames, one round trip, typed results.
///
/// The calls run in order. The first that fails stops those behind it; see [`Batch`].
///
/// # Errors
///
/// The first failure: a [`Fault`], or a [`CallError`](crate::CallError) if a method returns an error of its own.
/// [`Together::each`] gives the result of each call instead.
///
/// # Panics
///
/// If the future is polled again after it has ended.
///
/// # Cancel safety
///
/// Dropping the future gives all calls up that have not ended.
///
/// # Examples
///
/// ```
/// # use farref::prelude::*;
/// # #[expose]
/// # trait Jukebox {
/// #     fn volume(&self) -> f32;
/// #     fn current_song(&self) -> Option<String>;
/// # }
/// # struct Machine;
/// # impl Jukebox for Machine {
/// #     fn volume(&self) -> f32 { 0.5 }
/// #     fn current_song(&self) -> Option<String> { None }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> farref::Result<()> {
/// # let daemon = Daemon::bind("far://127.0.0.1:0").await?;
/// # let uri = daemon.register("jukebox", JukeboxProxy::new(Machine))?;
/// # let jukebox: JukeboxProxy = farref::connect(&uri).await?;
/// let (volume, song) = farref::batch((jukebox.volume(), jukebox.current_song())).await?;
/// # assert_eq!((volume, song), (0.5, None));
/// # Ok(())
/// # }
/// ```
pub fn batch<'a, C: Calls<'a>>(calls: C) -> Together<'a, C> {
    let mut batch = Batch::new();
    let slots = calls.add_to(&mut batch);
    Together {
        batch,
        sending: None,
        slots: Some(slots),
    }
}

/// The calls of a tuple, to be made together; see [`batch`].
#[must_use = "a batch does nothing until it is awaited"]
pub struct Together<'a, C: Calls<'a>> {
    batch: Batch<'a>,
    sending: Option<Sending<'a>>,
    slots: Option<C::Slots>,
}

/// A tuple of calls. Implemented for tuples of up to 12.
pub trait Calls<'a>: Sized {
    /// Where their results will be.
    #[doc(hidden)]
    type Slots: Unpin + Send + 'static;
    /// The result of each.
    type Results;

    #[doc(hidden)]
    fn add_to(self, batch: &mut Batch<'a>) -> Self::Slots;

    #[doc(hidden)]
    fn results(slots: Self::Slots) -> Self::Results;
}

/// The results of several calls, as one: a tuple of all values, or the first failure.
pub trait AllOrFirst {
    /// All values, or the first failure.
    type Output;

    #[doc(hidden)]
    fn all_or_first(self) -> Self::Output;
}

/// A call that can be one of a tuple.
pub trait CallValue<'a>: Sized {
    /// What it returns.
    type Value: Send + 'static;
    /// What it fails with.
    type Failure: From<Fault> + Send + 'static;

    #[doc(hidden)]
    fn add_to(self, batch: &mut Batch<'a>) -> Slot<Self::Value, Self::Failure>;
}

impl<'a, P, A, T, X> CallValue<'a> for Call<'a, P, A, T, X>
where
    P: Proxy,
    A: Send + 'a,
    T: Send + 'static,
    X: Failure<T> + Send + 'static,
{
    type Value = T;
    type Failure = X;

    fn add_to(self, batch: &mut Batch<'a>) -> Slot<T, X> {
        batch.add(self)
    }
}

impl<'a, C: Calls<'a>> Together<'a, C> {
    /// Runs all calls, also those behind one that failed. Awaited as a whole it still fails with the first failure;
    /// [`each`](Together::each) tells of all.
    pub fn continue_on_error(mut self) -> Self {
        self.batch = self.batch.continue_on_error();
        self
    }

    /// Gives up after this long; see [`Batch::timeout`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.batch = self.batch.timeout(timeout);
        self
    }

    /// Gives the result of each call, instead of those of all or the first failure.
    pub fn each(self) -> Each<'a, C> {
        Each(self)
    }

    /// Sends the calls now, and returns what their results are collected from later; see [`Batch::start`].
    pub fn start<V, X>(mut self) -> Started<V, X>
    where
        C::Results: AllOrFirst<Output = Result<V, X>> + 'static,
        V: Send + 'static,
        X: Failure<V> + Send + 'static,
    {
        let sending = self.batch.detach();
        let slots = self.slots.take();
        let results: fn(C::Slots) -> C::Results = C::results;
        started::start(async move {
            // What failed is told by each of the results.
            let _ = sending.await;
            match slots.map(results) {
                Some(results) => results.all_or_first(),
                None => Err(polled_again().into()),
            }
        })
    }

    /// Sends the calls without waiting for answers; see [`Batch::send_oneway`].
    pub fn oneway(mut self) -> Sending<'a> {
        self.batch.send_oneway()
    }

    /// Waits on this thread; see [`Call::wait`].
    ///
    /// # Errors
    ///
    /// As awaiting it; and `Misuse`, `NotStarted`, on a thread that drives a runtime.
    pub fn wait<V, X>(self) -> Result<V, X>
    where
        Self: Future<Output = Result<V, X>>,
        X: From<Fault>,
    {
        blocking::wait(self)?
    }

    fn poll_results(&mut self, cx: &mut Context<'_>) -> Poll<C::Results> {
        let batch = &mut self.batch;
        let sending = self.sending.get_or_insert_with(|| batch.send());
        // What failed is told by each of the results.
        let _ = ready!(Pin::new(sending).poll(cx));
        match self.slots.take() {
            Some(slots) => Poll::Ready(C::results(slots)),
            None => panic!("a batch was polled again after it had ended"),
        }
    }
}

impl<'a, C> Future for Together<'a, C>
where
    C: Calls<'a, Results: AllOrFirst>,
{
    type Output = <C::Results as AllOrFirst>::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut()
            .poll_results(cx)
            .map(AllOrFirst::all_or_first)
    }
}

impl<'a, C: Calls<'a>> fmt::Debug for Together<'a, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Together").field(&self.batch).finish()
    }
}

impl<'a, C: Calls<'a>> Each<'a, C> {
    /// Waits on this thread; see [`Call::wait`].
    ///
    /// # Errors
    ///
    /// `Misuse`, `NotStarted`, on a thread that drives a runtime.
    pub fn wait(self) -> Result<C::Results> {
        blocking::wait(self)
    }
}

/// Calls made together, each with a result of its own; see [`Together::each`].
#[must_use = "a batch does nothing until it is awaited"]
pub struct Each<'a, C: Calls<'a>>(Together<'a, C>);

impl<'a, C: Calls<'a>> Future for Each<'a, C> {
    type Output = C::Results;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Results> {
        self.get_mut().0.poll_results(cx)
    }
}

impl<'a, C: Calls<'a>> fmt::Debug for Each<'a, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Each").field(&self.0).finish()
    }
}

macro_rules! tuples {
    ($({$($call:ident $value:ident $failure:ident $result:ident)+} {$($left:ident $right:ident $joint:ident)*} $last:ident;)+) => {$(
        impl<'a, $($call: CallValue<'a>),+> Calls<'a> for ($($call,)+) {
            type Slots = ($(Slot<$call::Value, $call::Failure>,)+);
            type Results = ($(Result<$call::Value, $call::Failure>,)+);

            fn add_to(self, batch: &mut Batch<'a>) -> Self::Slots {
                let ($($result,)+) = self;
                ($($result.add_to(batch),)+)
            }

            fn results(slots: Self::Slots) -> Self::Results {
                let ($($result,)+) = slots;
                ($($result.take(),)+)
            }
        }

        impl<$($value, $failure,)+ $($joint,)*> AllOrFirst for ($(Result<$value, $failure>,)+)
        where
            $($left: Join<$right, Joint = $joint>,)*
            $last: Sized $(+ From<$failure>)+,
        {
            type Output = Result<($($value,)+), $last>;

            fn all_or_first(self) -> Self::Output {
                let ($($result,)+) = self;
                Ok(($($result?,)+))
            }
        }
    )+};
}

tuples! {
    {C1 T1 X1 r1} {} X1;
    {C1 T1 X1 r1 C2 T2 X2 r2} {X1 X2 J2} J2;
    {C1 T1 X1 r1 C2 T2 X2 r2 C3 T3 X3 r3} {X1 X2 J2  J2 X3 J3} J3;
    {C1 T1 X1 r1 C2 T2 X2 r2 C3 T3 X3 r3 C4 T4 X4 r4} {X1 X2 J2  J2 X3 J3  J3 X4 J4} J4;
    {C1 T1 X1 r1 C2 T2 X2 r2 C3 T3 X3 r3 C4 T4 X4 r4 C5 T5 X5 r5} {X1 X2 J2  J2 X3 J3  J3 X4 J4  J4 X5 J5} J5;
    {C1 T1 X1 r1 C2 T2 X2 r2 C3 T3 X3 r3 C4 T4 X4 r4 C5 T5 X5 r5 C6 T6 X6 r6} {X1 X2 J2  J2 X3 J3  J3 X4 J4  J4 X5 J5  J5 X6 J6} J6;
    {C1 T1 X1 r1 C2 T2 X2 r2 C3 T3 X3 r3 C4 T4 X4 r4 C5 T5 X5 r5 C6 T6 X6 r6 C7 T7 X7 r7} {X1 X2 J2  J2 X3 J3  J3 X4 J4  J4 X5 J5  J5 X6 J6  J6 X7 J7} J7;
    {C1 T1 X1 r1 C2 T2 X2 r2 C3 T3 X3 r3 C4 T4 X4 r4 C5 T5 X5 r5 C6 T6 X6 r6 C7 T7 X7 r7 C8 T8 X8 r8} {X1 X2 J2  J2 X3 J3  J3 X4 J4  J4 X5 J5  J5 X6 J6  J6 X7 J7  J7 X8 J8} J8;
    {C1 T1 X1 r1 C2 T2 X2 r2 C3 T3 X3 r3 C4 T4 X4 r4 C5 T5 X5 r5 C6 T6 X6 r6 C7 T7 X7 r7 C8 T8 X8 r8 C9 T9 X9 r9} {X1 X2 J2  J2 X3 J3  J3 X4 J4  J4 X5 J5  J5 X6 J6  J6 X7 J7  J7 X8 J8  J8 X9 J9} J9;
    {C1 T1 X1 r1 C2 T2 X2 r2 C3 T3 X3 r3 C4 T4 X4 r4 C5 T5 X5 r5 C6 T6 X6 r6 C7 T7 X7 r7 C8 T8 X8 r8 C9 T9 X9 r9 C10 T10 X10 r10} {X1 X2 J2  J2 X3 J3  J3 X4 J4  J4 X5 J5  J5 X6 J6  J6 X7 J7  J7 X8 J8  J8 X9 J9  J9 X10 J10} J10;
    {C1 T1 X1 r1 C2 T2 X2 r2 C3 T3 X3 r3 C4 T4 X4 r4 C5 T5 X5 r5 C6 T6 X6 r6 C7 T7 X7 r7 C8 T8 X8 r8 C9 T9 X9 r9 C10 T10 X10 r10 C11 T11 X11 r11} {X1 X2 J2  J2 X3 J3  J3 X4 J4  J4 X5 J5  J5 X6 J6  J6 X7 J7  J7 X8 J8  J8 X9 J9  J9 X10 J10  J10 X11 J11} J11;
    {C1 T1 X1 r1 C2 T2 X2 r2 C3 T3 X3 r3 C4 T4 X4 r4 C5 T5 X5 r5 C6 T6 X6 r6 C7 T7 X7 r7 C8 T8 X8 r8 C9 T9 X9 r9 C10 T10 X10 r10 C11 T11 X11 r11 C12 T12 X12 r12} {X1 X2 J2  J2 X3 J3  J3 X4 J4  J4 X5 J5  J5 X6 J6  J6 X7 J7  J7 X8 J8  J8 X9 J9  J9 X10 J10  J10 X11 J11  J11 X12 J12} J12;
}
