//! Batches: many calls, one group of frames, typed results.
//!
//! A call is a value until it is polled, so calls can be put together first. Those to objects of one session travel as
//! one group, are run there one after the other, and their results come back together: one round trip, one lock and one
//! wake-up for all of them.
//!
//! [`batch`] takes a tuple of calls; [`Batch`] takes a number of them that is known only at run time.

mod driver;
mod early;
mod grouping;
mod join;
pub(crate) mod results;
pub(crate) mod runs;
mod tuple;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use self::driver::Options;
use self::early::Early;
pub use self::join::Join;
use self::results::{Tables, Wanted};
use self::runs::Run;
pub use self::tuple::{AllOrFirst, CallValue, Calls, Each, Together, batch};
use crate::blocking;
use crate::call::Call;
use crate::call::member::{Member, Placed};
use crate::error::{Failure, Fault, Result};
use crate::proxy::Proxy;
use crate::started::{self, Started};
use crate::{FaultKind, Outcome};

/// Calls that are made together, one after the other.
///
/// The calls run in the order in which they were added, each when the one before has ended. The first that fails stops
/// the batch, and those behind it fail with [`Skipped`](FaultKind::Skipped), `NotStarted`; with
/// [`continue_on_error`](Batch::continue_on_error) they run all the same.
///
/// Calls to objects of one session travel as one group. A batch may mix objects of several sessions, and of this
/// process: where the session changes, it waits for the answers so far. A group has no more calls than the peer has room
/// for ([`Limits::calls`](crate::Limits)); what is left is sent when those have been answered.
///
/// # Examples
///
/// ```
/// use farref::prelude::*;
///
/// #[expose]
/// trait Squares {
///     fn square(&self, n: u32) -> u32;
/// }
///
/// struct Table;
/// impl Squares for Table {
///     fn square(&self, n: u32) -> u32 {
///         n * n
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> farref::Result<()> {
/// let daemon = Daemon::bind("far://127.0.0.1:0").await?;
/// let uri = daemon.register("squares", SquaresProxy::new(Table))?;
/// let squares: SquaresProxy = farref::connect(&uri).await?;
///
/// let mut batch = farref::Batch::new();
/// let slots: Vec<_> = (0..100).map(|n| batch.add(squares.square(n))).collect();
/// batch.send().await?; // one round trip
/// for (n, slot) in (0..100).zip(slots) {
///     assert_eq!(slot.take()?, n * n);
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a batch does nothing until it is sent"]
#[derive(Default)]
pub struct Batch<'a> {
    /// None for those that were encoded early, of which the last are not in this list.
    members: Vec<Option<Box<dyn Member + 'a>>>,
    /// How many calls there are.
    count: usize,
    early: Early,
    results: Tables,
    options: Options,
}

/// Where the result of a call of a [`Batch`] will be.
#[must_use = "this is where the result of the call will be"]
pub struct Slot<T, X>(Wanted<T, X>);

impl<T, X: From<Fault>> Slot<T, X> {
    /// Takes the result of the call, once the batch was sent.
    ///
    /// # Errors
    ///
    /// What the call failed with. `Misuse` if there is no result: the batch was not sent, or was given up.
    pub fn take(self) -> Result<T, X> {
        let fault = || {
            Fault::new(
                FaultKind::Misuse,
                Outcome::Unknown,
                "the batch of this call was not sent, or was given up before it had ended",
            )
        };
        self.0.take().unwrap_or_else(|| Err(fault().into()))
    }

    /// Whether the call has ended.
    pub fn is_ready(&self) -> bool {
        self.0.is_ready()
    }
}

impl<T, X> fmt::Debug for Slot<T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.0.is_ready() { "ready" } else { "empty" };
        write!(f, "Slot({state})")
    }
}

impl<'a> Batch<'a> {
    /// An empty batch, which stops at the first error.
    pub fn new() -> Self {
        Batch::default()
    }

    /// Adds a call. Nothing of it happens before the batch is sent, except that its arguments may be encoded.
    #[inline]
    pub fn add<P, A, T, X>(&mut self, mut call: Call<'a, P, A, T, X>) -> Slot<T, X>
    where
        P: Proxy,
        A: Send + 'a,
        T: Send + 'static,
        X: Failure<T> + Send + 'static,
    {
        if self.early.takes_another(&mut call)
            // Calls to one method return one type.
            && let Some(wanted) = self.results.want_another()
        {
            self.count += 1;
            // Nothing is left in it that would have to be dropped, which the compiler does not see.
            std::mem::forget(call);
            return Slot(wanted);
        }
        self.add_apart(call)
    }

    /// Adds a call that is not alike the one before, or that does not go with it.
    fn add_apart<P, A, T, X>(&mut self, call: Call<'a, P, A, T, X>) -> Slot<T, X>
    where
        P: Proxy,
        A: Send + 'a,
        T: Send + 'static,
        X: Failure<T> + Send + 'static,
    {
        let place = self.results.next_place();
        let placed = Placed { call, place };
        self.members.resize_with(self.count, || None);
        let is_early = self.early.takes(&placed, &mut self.members);
        let wanted = self.results.want(&placed.place);
        let member = (!is_early).then(|| Box::new(placed) as Box<dyn Member + 'a>);
        self.members.push(member);
        self.count += 1;
        Slot(wanted)
    }

    /// Runs all calls, also those behind one that failed.
    pub fn continue_on_error(mut self) -> Self {
        self.options.go_on();
        self
    }

    /// Gives up after this long, counted from sending; calls with a deadline of their own may give up earlier. See
    /// [`Call::timeout`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// How many calls have been added since the batch was last sent.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no call has been added since the batch was last sent.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Sends the calls, and waits until all have ended. The batch is empty afterwards and may be used again.
    ///
    /// # Errors
    ///
    /// The first fault among the calls, if there is one; each call's own result, and so the error of its method, is in
    /// its slot.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives all calls up that have not ended: the one that runs is cancelled, those behind it are
    /// not started.
    pub fn send(&mut self) -> Sending<'a> {
        let calls = self.take();
        Sending(driver::send(calls, self.options))
    }

    /// Sends the calls now, and returns what is told of their end later. The results are in the slots then.
    ///
    /// The calls go on by themselves, without their proxies and arguments. Dropping what this returns does not cancel them.
    pub fn start(&mut self) -> Started<(), Fault> {
        started::start(self.detach())
    }

    fn detach(&mut self) -> Sending<'static> {
        let Added {
            members,
            mut early,
            results,
        } = self.take();
        early.begin();
        let detach = |member: Box<dyn Member + 'a>| member.detach(false);
        let members = members.into_iter().map(|member| member.map(detach));
        let calls = Added {
            members: members.collect(),
            early,
            results,
        };
        Sending(driver::send(calls, self.options))
    }

    /// Sends the calls without waiting for answers: returns when they are in the session's buffer. Their failures are
    /// logged where they are served, and so is what the first one stopped. Their slots stay empty.
    ///
    /// # Errors
    ///
    /// Why they could not be sent.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future sends no more calls. Those that were sent run.
    pub fn send_oneway(&mut self) -> Sending<'a> {
        let options = self.options.oneway();
        Sending(driver::send(self.take(), options))
    }

    fn take(&mut self) -> Added<'a> {
        self.members.resize_with(self.count, || None);
        self.count = 0;
        Added {
            members: std::mem::take(&mut self.members),
            early: std::mem::take(&mut self.early),
            results: std::mem::take(&mut self.results),
        }
    }
}

/// The calls that were added to a batch.
struct Added<'a> {
    members: Vec<Option<Box<dyn Member + 'a>>>,
    early: Early,
    results: Tables,
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = (0..self.count).map(|number| {
            let name = match self.members.get(number) {
                Some(Some(member)) => Some(member.name()),
                _ => self.early.run_of(number).and_then(Run::name),
            };
            name.map(|name| name.to_string()).unwrap_or_default()
        });
        f.debug_list().entries(names).finish()
    }
}

/// A [`Batch`] on its way.
#[must_use = "a batch is not sent until this is awaited"]
pub struct Sending<'a>(Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>);

impl Sending<'_> {
    /// Waits on this thread; see [`Call::wait`].
    ///
    /// # Errors
    ///
    /// As awaiting it; and `Misuse`, `NotStarted`, on a thread that drives a runtime.
    pub fn wait(self) -> Result<()> {
        blocking::wait(self)?
    }
}

impl Future for Sending<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Sending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").finish_non_exhaustive()
    }
}
