//! Promises: references to what a call will return that is not answered yet.
//!
//! Calls on a promise travel at once, with the answer to come as their target, and the peer starts them when it is there.
//! They keep that way as long as any of them is outstanding: a call that went to the object itself could overtake them.
//! Each of them holds the answer's place, so the call that was promised is cancelled only when nobody waits for it.

use std::sync::{Arc, OnceLock, PoisonError, Weak};
use std::time::Duration;

use farref_proto::{CallId, FaultKind};
use tokio::sync::Notify;

use crate::Outcome;
use crate::codec::Codec;
use crate::dispatch::RawReply;
use crate::error::{Fault, Result};
use crate::far::FarCall;
use crate::interceptor::{self, CallInfo, Interceptors};
use crate::observed::Observed;
use crate::remote::{Bound, FarReference, Remote, Turns, is_gone, stale};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::task;
use crate::transferred::Transferred;

/// A reference to what a call will return.
pub(crate) struct Promised {
    path: Mutex<Path>,
    /// Told when the path is known.
    known: Notify,
    pub(crate) turns: Turns,
    pub(crate) defaults: Defaults,
    /// Told when nobody wants the result.
    gone: Arc<Notify>,
}

/// What holds for calls on a promise while nothing else is known of the object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults {
    pub(crate) interface: u32,
    pub(crate) codec: Codec,
    pub(crate) timeout: Option<Duration>,
}

/// Where calls on a promise go.
enum Path {
    /// The call that was promised has not been sent, or has no result yet in this process.
    Unknown,
    /// To the answer that the peer keeps.
    Answer(Arc<Bound>),
    /// Where the result says.
    Direct(Result<Remote>),
}

/// Where the next call on a promise goes.
pub(crate) enum Way {
    /// That is not known, or others come first.
    Wait,
    Answer(Arc<Bound>),
    Direct(Remote),
}

/// The answer of a call that the peer keeps, as the place of a reference.
pub(crate) struct KeptAnswer {
    pub(crate) call: CallId,
    result: OnceLock<Result<Remote>>,
    /// Whether oneways went here: nobody learns when they have started.
    has_oneways: AtomicBool,
    /// Whether what was called is there no more.
    object_is_gone: AtomicBool,
    /// What sees the end of the call.
    seen: Mutex<Option<Seeing>>,
}

/// What sees the end of a call.
pub(crate) struct Seeing {
    pub(crate) intercepted: Option<(Interceptors, Box<CallInfo>)>,
    pub(crate) observed: Observed,
    /// What was called, and where, if it is known by a name.
    pub(crate) named: Option<(Remote, Weak<Bound>)>,
}

impl Seeing {
    fn ended(mut self, result: &Result<Remote>) {
        if let Some((interceptors, info)) = self.intercepted {
            interceptor::after(&interceptors, &info, result.as_ref().map(drop));
        }
        self.observed.ended(result.as_ref().map(|_| false));
    }
}

impl KeptAnswer {
    pub(crate) fn new(call: CallId) -> Self {
        KeptAnswer {
            call,
            result: OnceLock::new(),
            has_oneways: AtomicBool::new(false),
            object_is_gone: AtomicBool::new(false),
            seen: Mutex::default(),
        }
    }

    pub(crate) fn result(&self) -> Option<&Result<Remote>> {
        self.result.get()
    }

    /// Notes that a call was sent here of which nobody learns when it has started.
    pub(crate) fn note_oneway(&self) {
        self.has_oneways.store(true, Ordering::Release);
    }

    /// Takes the result of the call. Returns whether it is the first one.
    pub(crate) fn settle(&self, result: Result<Remote>) -> bool {
        let is_first = self.result.set(result).is_ok();
        self.tell();
        is_first
    }

    /// Takes note of how the call failed, before its result is taken.
    pub(crate) fn failed(&self, fault: &Fault) {
        if is_gone(fault) {
            self.object_is_gone.store(true, Ordering::Relaxed);
        }
    }

    /// Has this see the end of the call, which may have come.
    fn watch(&self, seeing: Seeing) {
        *self.lock_seen() = Some(seeing);
        self.tell();
    }

    fn tell(&self) {
        if let Some(result) = self.result.get() {
            let seen = self.lock_seen().take();
            if let Some(seen) = seen {
                if self.object_is_gone.load(Ordering::Relaxed)
                    && let Some((remote, place)) = &seen.named
                    && let Some(place) = place.upgrade()
                {
                    remote.leave(&place);
                }
                seen.ended(result);
            }
        }
    }

    fn lock_seen(&self) -> MutexGuard<'_, Option<Seeing>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Promised {
    fn new(defaults: Defaults) -> Self {
        Promised {
            path: Mutex::new(Path::Unknown),
            known: Notify::new(),
            turns: Turns::default(),
            defaults,
            gone: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Path> {
        self.path.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, path: Path) {
        let old = std::mem::replace(&mut *self.lock(), path);
        drop(old);
        self.known.notify_waiters();
    }

    /// Where the next call goes, for whoever has its turn if anybody waits for one.
    pub(crate) fn way(&self, has_turn: bool) -> Result<Way> {
        if !has_turn && self.turns.are_taken() {
            return Ok(Way::Wait);
        }
        let mut path = self.lock();
        let bound = match &*path {
            Path::Unknown => return Ok(Way::Wait),
            Path::Direct(result) => return result.clone().map(Way::Direct),
            Path::Answer(bound) => bound,
        };
        let Some(answer) = bound.kept_answer() else {
            return Ok(Way::Wait);
        };
        match answer.result() {
            Some(Err(fault)) => Err(fault.clone()),
            // Nobody's call is outstanding there.
            Some(Ok(remote))
                if Arc::strong_count(bound) == 1 && !answer.has_oneways.load(Ordering::Acquire) =>
            {
                let remote = remote.clone();
                let old = std::mem::replace(&mut *path, Path::Direct(Ok(remote.clone())));
                drop(path);
                drop(old);
                Ok(Way::Direct(remote))
            }
            _ if bound.session.is_closed() => Err(stale()),
            _ => Ok(Way::Answer(Arc::clone(bound))),
        }
    }

    /// What is looked at instead of the promise, as far as it is known.
    pub(crate) fn seen_as(&self) -> Option<Result<Remote>> {
        match &*self.lock() {
            Path::Unknown => None,
            Path::Direct(result) => Some(result.clone()),
            Path::Answer(bound) => bound.kept_answer()?.result().cloned(),
        }
    }

    pub(crate) fn place(&self) -> Option<Arc<Bound>> {
        match &*self.lock() {
            Path::Answer(bound) => Some(Arc::clone(bound)),
            Path::Unknown | Path::Direct(_) => None,
        }
    }

    /// Waits until it is known where calls go.
    pub(crate) async fn known(&self) {
        loop {
            let mut known = std::pin::pin!(self.known.notified());
            known.as_mut().enable();
            if !matches!(*self.lock(), Path::Unknown) {
                return;
            }
            known.await;
        }
    }

    /// Waits for the result.
    pub(crate) async fn result(&self) -> Result<Remote> {
        self.known().await;
        let bound = match &*self.lock() {
            Path::Direct(result) => return result.clone(),
            Path::Answer(bound) => Arc::clone(bound),
            Path::Unknown => return Err(stale()),
        };
        bound.kept().await
    }
}

impl Drop for Promised {
    fn drop(&mut self) {
        self.gone.notify_one();
    }
}

/// Makes a call, and a reference to what it will return. The call is sent now if it can be, else as soon as it can.
pub(crate) fn make(call: FarCall, defaults: Defaults) -> Remote {
    let promised = Promised::new(defaults);
    let gone = Arc::clone(&promised.gone);
    let reference = FarReference::promised(promised);
    // What can be sent at once is in order with the calls that follow.
    match task::start_now(drive(call, Arc::downgrade(&reference), gone)) {
        Ok(_) => Remote::Far(reference),
        Err(fault) => Remote::Dead(fault),
    }
}

/// Sends the call, and says where its result will be.
async fn drive(mut call: FarCall, reference: Weak<FarReference>, gone: Arc<Notify>) {
    let path = tokio::select! {
        biased;
        () = gone.notified() => return,
        path = send(&mut call) => path,
    };
    if let Some(reference) = reference.upgrade()
        && let Some(promised) = reference.promise()
    {
        promised.set(path);
    }
}

async fn send(call: &mut FarCall) -> Path {
    let sent = async {
        call.prepare().await?;
        if call.stays_here() {
            return Ok(None);
        }
        call.send_keeping().await
    };
    match sent.await {
        Ok(Some((bound, seeing))) => {
            if let Some(answer) = bound.kept_answer() {
                answer.watch(seeing);
            }
            Path::Answer(bound)
        }
        Ok(None) => {
            let reply = std::future::poll_fn(|cx| call.poll(cx)).await;
            Path::Direct(returned(reply))
        }
        Err(fault) => Path::Direct(Err(broken(&fault))),
    }
}

/// The reference that a call returned, if it did.
pub(crate) fn returned(reply: Result<RawReply>) -> Result<Remote> {
    match reply {
        Ok(reply) if reply.is_error => Err(broken_by_error()),
        Ok(mut reply) => match reply.transferred.take().into_iter().next() {
            Some(Transferred::Reference(Remote::Dead(fault))) => Err(broken(&fault)),
            Some(Transferred::Reference(remote)) => Ok(remote),
            Some(Transferred::Stream(_)) | None => Err(broken(&Fault::new(
                FaultKind::BadReply,
                Outcome::Ran,
                "it returned no reference",
            ))),
        },
        Err(fault) => Err(broken(&fault)),
    }
}

/// The fault of calls on the result of a call that failed.
pub(crate) fn broken(fault: &Fault) -> Fault {
    // However long a chain of calls is, one of them is to blame.
    if fault.kind() == FaultKind::BrokenPromise {
        return fault.clone();
    }
    let message = format!("the call that was to return the object failed: {fault}");
    Fault::new(FaultKind::BrokenPromise, Outcome::NotStarted, message).with_cause(fault)
}

/// The fault of calls on the result of a call that returned its method's own error.
pub(crate) fn broken_by_error() -> Fault {
    Fault::new(
        FaultKind::BrokenPromise,
        Outcome::NotStarted,
        "the call that was to return the object returned an error of its own; await that call instead of pipelining to see which",
    )
}
