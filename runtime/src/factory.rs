//! Names whose object is made anew for each session.
//!
//! An [`Instance`] stands where its session's object will be, so that calls may follow a bind in one flight: those that
//! come before the object is made wait for it, and start in the order in which they came.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::Poll;

use crate::descriptor::{Interface, Method};
use crate::dispatch::{HandlerFuture, Incoming, refuse};
use crate::error::{Fault, Result};
use crate::far::{MethodKey, OnewayMode};
use crate::methods::ServeMethods;
use crate::object::{Export, ExportKind, Meta, ObjectIdentity};
use crate::peer::Peer;
use crate::proxy::{self, Proxy};
use crate::session::Session;
use crate::{FaultKind, Outcome, forward, panics};

type Making = Pin<Box<dyn Future<Output = Result<Arc<Export>>> + Send>>;

/// Makes the object of a name, for one session at a time.
pub(crate) struct Factory {
    pub(crate) interface: &'static Interface,
    make: Box<dyn Fn(Peer) -> Making + Send + Sync>,
}

impl Factory {
    pub(crate) fn new<P: Proxy, M>(make: impl Fn(Peer) -> M + Send + Sync + 'static) -> Arc<Self>
    where
        M: Future<Output = Result<P>> + Send + 'static,
    {
        Arc::new(Factory {
            interface: P::DESCRIPTOR,
            make: Box::new(move |peer| {
                let made = make(peer);
                Box::pin(async move { made.await.map(|proxy| proxy::to_export(&proxy)) })
            }),
        })
    }

    /// Runs the application's code. Whatever goes wrong there, no method has run.
    async fn run(&self, peer: Peer) -> Result<Arc<Export>> {
        let made = match panics::contain(|| (self.make)(peer)) {
            Ok(making) => panics::contain_future(making).await,
            Err(panic) => Err(panic),
        };
        made.unwrap_or_else(|panic| {
            let factory = format_args!("the factory of `{}`", self.interface.name);
            Err(panics::report(&factory.to_string(), &*panic, false))
        })
        .map_err(|fault| fault.with_outcome(Outcome::NotStarted))
    }
}

impl fmt::Debug for Factory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Factory")
            .field("interface", &self.interface.name)
            .finish_non_exhaustive()
    }
}

/// The object of one session, made when the session first asks for it.
pub(crate) struct Instance {
    factory: Arc<Factory>,
    session: Weak<Session>,
    made: OnceLock<Result<Arc<Export>>>,
    /// Held by whoever makes the object, and by each call that waited for it until it has started.
    turns: tokio::sync::Mutex<()>,
    /// How many calls have come and not started.
    waiting: AtomicUsize,
}

impl Instance {
    pub(crate) fn new(factory: &Arc<Factory>, session: &Arc<Session>) -> Arc<Self> {
        Arc::new(Instance {
            factory: Arc::clone(factory),
            session: Arc::downgrade(session),
            made: OnceLock::new(),
            turns: tokio::sync::Mutex::default(),
            waiting: AtomicUsize::new(0),
        })
    }

    pub(crate) fn is_of(&self, factory: &Arc<Factory>) -> bool {
        Arc::ptr_eq(&self.factory, factory)
    }

    /// Waits until the object is there, and makes it if nobody else does.
    pub(crate) async fn make(&self) -> Result<Arc<Export>> {
        let _turn = self.turns.lock().await;
        self.made_in_turn().await
    }

    /// The caller has the turn.
    async fn made_in_turn(&self) -> Result<Arc<Export>> {
        if let Some(made) = self.made.get() {
            return made.clone();
        }
        let session = self.session.upgrade().ok_or_else(|| {
            Fault::not_started(FaultKind::SessionLost, "the session of this object ended")
        })?;
        let made = self.factory.run(Peer::of(&session)).await;
        self.made.get_or_init(|| made).clone()
    }

    /// What stands for the object in the books of its session.
    pub(crate) fn export(self: &Arc<Self>) -> Arc<Export> {
        self.export_as(self.factory.interface)
    }

    fn export_as(self: &Arc<Self>, interface: &'static Interface) -> Arc<Export> {
        let bases = interface.bases.iter().map(|base| self.export_as(base));
        let methods = Methods {
            instance: Arc::clone(self),
            interface,
        };
        Export::of_object(
            Arc::new(Meta::new()),
            Box::new(methods),
            // It is not the object: a reference that comes home is looked up with `made`.
            Box::new(()),
            interface,
            bases.collect(),
        )
    }

    pub(crate) fn identity(&self) -> Option<ObjectIdentity> {
        Some(self.made.get()?.as_ref().ok()?.identity)
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("factory", &self.factory)
            .field("made", &self.made)
            .finish_non_exhaustive()
    }
}

/// A call that has come and not started, until it is dropped.
struct Waiting(Arc<Instance>);

impl Waiting {
    fn new(instance: &Arc<Instance>) -> Self {
        instance.waiting.fetch_add(1, Ordering::AcqRel);
        Waiting(Arc::clone(instance))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The methods of one interface of an object that may have to be made first.
struct Methods {
    instance: Arc<Instance>,
    interface: &'static Interface,
}

impl ServeMethods for Methods {
    fn serve(&self, index: usize, call: Incoming) -> HandlerFuture {
        let Some(method) = self.interface.methods.get(index) else {
            return refuse(no_such_method(self.interface));
        };
        let instance = &self.instance;
        // All calls of a session come from the task that reads it, so none can come before those that wait.
        if instance.waiting.load(Ordering::Acquire) == 0
            && let Some(made) = instance.made.get()
        {
            return match made {
                Ok(export) => start(export, index, method, call),
                Err(fault) => refuse(fault.clone()),
            };
        }
        let waiting = Waiting::new(instance);
        Box::pin(async move {
            let (started, mut handler) = {
                let _turn = waiting.0.turns.lock().await;
                let export = waiting.0.made_in_turn().await?;
                let mut handler = start(&export, index, method, call);
                // A handler starts when it is first polled, and the next call is to start after that.
                let started = poll_fn(|cx| Poll::Ready(handler.as_mut().poll(cx))).await;
                (started, handler)
            };
            drop(waiting);
            match started {
                Poll::Ready(reply) => reply,
                Poll::Pending => handler.as_mut().await,
            }
        })
    }

    fn made(&self) -> Option<Arc<Export>> {
        self.instance.made.get()?.as_ref().ok().cloned()
    }
}

fn start(export: &Arc<Export>, index: usize, method: &Method, call: Incoming) -> HandlerFuture {
    let export = match Arc::clone(export).called() {
        Ok(export) => export,
        Err(fault) => return refuse(fault),
    };
    match &export.kind {
        // What is called is not lent any more.
        ExportKind::Lent(_) => refuse(Fault::not_started(
            FaultKind::StaleReference,
            "the loan has ended",
        )),
        ExportKind::Object(exported) => match exported.find(index, method.hash) {
            Some((found, index, _)) => found.serve(index, call),
            None => refuse(no_such_method(exported.interface)),
        },
        ExportKind::Forward(remote) => {
            let key = MethodKey {
                index: u16::try_from(index).unwrap_or(u16::MAX),
                hash: method.hash,
                shape: method.shape_hash(),
            };
            forward::call(remote.clone(), key, call, OnewayMode::Answered)
        }
    }
}

fn no_such_method(interface: &Interface) -> Fault {
    Fault::not_started(
        FaultKind::NoSuchMethod,
        format!(
            "the object made for `{}` has no such method",
            interface.name
        ),
    )
}
