//! Objects that stay on one thread: a GUI's, or any that are not `Send`.
//!
//! Calls reach them as frames through a channel, and run as local tasks on the thread that pinned them: those of the
//! `LocalSet` there, or, where there is no runtime, those that the thread runs while it waits (see [`blocking`](mod@crate::blocking)).

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use farref_proto::FaultKind;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::Outcome;
use crate::blocking;
use crate::context::{CallIdentity, Scope};
use crate::descriptor::Interface;
use crate::dispatch::{HandlerFuture, Incoming, Reply, refuse};
use crate::error::{Fault, Result};
use crate::methods::ServeMethods;
use crate::object::{Export, Meta};
use crate::panics;
use crate::proxy::Proxy;
use crate::remote::Remote;
use crate::serial::{Held, SerialGuard, SerialLock, Wait};

/// How many calls may wait for a pinned object's thread; one more is refused.
const MAX_WAITING: usize = 1024;

/// What serving a call of a pinned object comes to.
pub type LocalHandlerFuture = Pin<Box<dyn Future<Output = Result<Reply>>>>;

/// The function that serves one method of a pinned object.
pub type LocalHandler<T> = fn(Rc<LocalEntry<T>>, Incoming) -> LocalHandlerFuture;

/// A pinned object with the way in which calls enter it.
pub struct LocalEntry<T>(LocalAccess<T>);

enum LocalAccess<T> {
    Shared(T),
    Serial(SerialLock<T>),
}

/// What a call holds while it is inside a pinned object.
pub enum LocalGuard<'a, T> {
    /// Other calls may enter at each await.
    Shared(&'a T),
    /// No other call is inside.
    Serial(SerialGuard<'a, T>),
}

impl<T> Deref for LocalGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            LocalGuard::Shared(object) => object,
            LocalGuard::Serial(object) => object,
        }
    }
}

impl<T> LocalEntry<T> {
    /// Waits until the call that is being served may enter.
    pub async fn enter(&self) -> Result<LocalGuard<'_, T>> {
        match &self.0 {
            LocalAccess::Shared(object) => Ok(LocalGuard::Shared(object)),
            LocalAccess::Serial(lock) => Ok(LocalGuard::Serial(lock.lock().await?)),
        }
    }

    /// Waits until the call that is being served may enter, and lends the object mutably.
    pub async fn enter_mut(&self) -> Result<impl DerefMut<Target = T>> {
        match &self.0 {
            LocalAccess::Serial(lock) => lock.lock().await,
            LocalAccess::Shared(_) => Err(Fault::not_started(
                FaultKind::Internal,
                "a shared object cannot be lent mutably",
            )),
        }
    }
}

/// A call on its way to the object's thread.
struct Job {
    index: usize,
    call: Incoming,
    reply: oneshot::Sender<Result<Reply>>,
}

struct PinnedMethods {
    jobs: mpsc::UnboundedSender<Job>,
    /// Calls that wait for the object's thread.
    waiting: Arc<AtomicUsize>,
    /// Held while the object's thread waits and serves nobody.
    door: Option<Arc<Held>>,
    interface: &'static Interface,
}

impl ServeMethods for PinnedMethods {
    fn serve(&self, index: usize, call: Incoming) -> HandlerFuture {
        let wait = match self.door.as_ref().map(|door| wait_at(door, &call)) {
            Some(Err(fault)) => return refuse(fault),
            Some(Ok(wait)) => Some(wait),
            None => None,
        };
        let (reply, answered) = oneshot::channel();
        // A call that is given up stays in the channel until the thread looks at it, so credit alone is no bound.
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= MAX_WAITING {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            let interface = self.interface.name;
            return refuse(Fault::not_started(
                FaultKind::Overloaded,
                format!(
                    "{MAX_WAITING} calls wait for the thread that the `{interface}` is pinned to; call again later"
                ),
            ));
        }
        // Handed over at once, so that calls start in the order in which they came.
        let sent = self.jobs.send(Job { index, call, reply });
        let interface = self.interface.name;
        Box::pin(async move {
            let gone = || {
                Fault::new(
                    FaultKind::StaleReference,
                    Outcome::Unknown,
                    format!("the thread that the `{interface}` was pinned to has ended"),
                )
            };
            let _wait = wait;
            sent.map_err(|_| gone().with_outcome(Outcome::NotStarted))?;
            answered.await.map_err(|_| gone())?
        })
    }
}

/// Records that a call waits for the object's thread, unless the thread waits for this call and serves nobody.
fn wait_at(door: &Arc<Held>, call: &Incoming) -> Result<Wait> {
    let waiting = CallIdentity::of(&call.scope);
    Wait::begin(door, &waiting).map_err(|holder| {
        let refused = waiting.call;
        Fault::not_started(
            FaultKind::WouldDeadlock,
            format!(
                "`{refused}` would wait for ever: the thread of its object waits for `{holder}`, which waits for this \
                 call, and serves nobody meanwhile; wait for `{holder}` without `reentrant(false)`"
            ),
        )
    })
}

/// Makes a proxy of an object that stays on this thread, where calls enter it together.
///
/// Its calls run while the thread waits (see [`blocking`](mod@crate::blocking)), or on its [`LocalSet`](tokio::task::LocalSet).
///
/// # Panics
///
/// Panics within a runtime of tokio but outside a `LocalSet`.
pub fn pinned<P: Proxy, T: 'static>(object: T, handlers: &'static [LocalHandler<T>]) -> P {
    pin(LocalAccess::Shared(object), handlers)
}

/// Makes a proxy of an object that stays on this thread, where calls enter it one at a time.
///
/// Its calls run while the thread waits (see [`blocking`](mod@crate::blocking)), or on its [`LocalSet`](tokio::task::LocalSet).
///
/// # Panics
///
/// Panics within a runtime of tokio but outside a `LocalSet`.
pub fn pinned_serial<P: Proxy, T: 'static>(object: T, handlers: &'static [LocalHandler<T>]) -> P {
    pin(LocalAccess::Serial(SerialLock::new(object)), handlers)
}

fn pin<P: Proxy, T: 'static>(access: LocalAccess<T>, handlers: &'static [LocalHandler<T>]) -> P {
    let (jobs, mut queue) = mpsc::unbounded_channel::<Job>();
    let interface = P::DESCRIPTOR;
    let waiting = Arc::new(AtomicUsize::new(0));
    let taken = Arc::clone(&waiting);
    let tasks = Tasks::current();
    tasks.spawn(async move {
        let entry = Rc::new(LocalEntry(access));
        while let Some(Job { index, call, reply }) = queue.recv().await {
            taken.fetch_sub(1, Ordering::AcqRel);
            let scope = Arc::clone(&call.scope);
            let no_cancel = interface
                .methods
                .get(index)
                .is_some_and(|method| method.flags.no_cancel);
            let future = match handlers.get(index) {
                Some(handler) => handler(Rc::clone(&entry), call),
                None => continue,
            };
            tasks.spawn(Serving::new(future, scope, no_cancel, reply));
        }
    });
    let methods = Box::new(PinnedMethods {
        jobs,
        waiting,
        door: tasks.door(),
        interface,
    });
    let meta = Arc::new(Meta::new());
    P::from_remote(Remote::Local(Export::of_object(
        meta,
        methods,
        Box::new(()),
        interface,
        Vec::new(),
    )))
}

/// Who runs the tasks of a pinned object on its thread.
#[derive(Clone, Copy)]
enum Tasks {
    LocalSet,
    /// The thread itself, while it waits.
    Thread,
}

impl Tasks {
    fn current() -> Self {
        if blocking::is_running() || Handle::try_current().is_err() {
            Tasks::Thread
        } else {
            Tasks::LocalSet
        }
    }

    /// What a thread holds while it serves nobody; a `LocalSet` always serves.
    fn door(self) -> Option<Arc<Held>> {
        match self {
            Tasks::LocalSet => None,
            Tasks::Thread => blocking::door(),
        }
    }

    fn spawn(self, task: impl Future<Output = ()> + 'static) {
        match self {
            Tasks::LocalSet => drop(tokio::task::spawn_local(task)),
            Tasks::Thread => blocking::spawn(task),
        }
    }
}

/// Runs a task on this thread, beside the calls of the objects that are pinned to it.
pub(crate) fn spawn(task: impl Future<Output = ()> + 'static) {
    Tasks::current().spawn(task);
}

/// A handler that runs on a certain thread. It ends when nobody waits for it any more.
pub(crate) struct Serving<F> {
    future: F,
    scope: Arc<Scope>,
    no_cancel: bool,
    reply: Option<oneshot::Sender<Result<Reply>>>,
}

impl<F> Serving<F> {
    pub(crate) fn new(
        future: F,
        scope: Arc<Scope>,
        no_cancel: bool,
        reply: oneshot::Sender<Result<Reply>>,
    ) -> Self {
        Serving {
            future,
            scope,
            no_cancel,
            reply: Some(reply),
        }
    }
}

impl<F: Future<Output = Result<Reply>> + Unpin> Future for Serving<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if !this.no_cancel
            && this
                .reply
                .as_mut()
                .is_some_and(|reply| reply.poll_closed(cx).is_ready())
        {
            return Poll::Ready(());
        }
        let polled = {
            let _entered = this.scope.enter();
            panics::contain(|| Pin::new(&mut this.future).poll(cx))
        };
        let result = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => result,
            Err(panic) => Err(panics::report(&this.scope.call_name(), &*panic, false)),
        };
        if let Some(reply) = this.reply.take() {
            let _ = reply.send(result);
        }
        Poll::Ready(())
    }
}

impl<T> fmt::Debug for LocalEntry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEntry").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for LocalGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalGuard").finish_non_exhaustive()
    }
}
