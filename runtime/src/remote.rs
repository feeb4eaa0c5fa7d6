//! What frames reach: a reference to an object of another process, or to an object of this one.

mod bound;
mod connecting;
mod reference;
mod turns;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use farref_proto::FaultKind;

pub(crate) use self::bound::{Bound, CallTarget};
pub use self::reference::FarReference;
pub(crate) use self::reference::Finding;
use self::reference::Kind;
pub(crate) use self::turns::{Turn, Turns};
use crate::Outcome;
use crate::client::Client;
use crate::codec::Codec;
use crate::error::Fault;
use crate::interceptor::Interceptors;
use crate::object::{Export, ObjectIdentity};
use crate::peer::Peer;
use crate::promise::Promised;
use crate::search::Search;
use crate::uri::Uri;

/// What a proxy that is not near points at, and what a frame transfers.
#[derive(Clone)]
pub enum Remote {
    /// An object of another process.
    Far(Arc<FarReference>),
    /// An object of this process, as frames reach it.
    Local(Arc<Export>),
    /// Nothing any more, and why.
    Dead(Fault),
}

impl Remote {
    /// Where the object was found, if it is known by a URI.
    pub(crate) fn uri(&self) -> Option<&Uri> {
        match self {
            Remote::Far(reference) => match reference.kind() {
                Kind::Named(named) => Some(&named.uri),
                Kind::Held(_) | Kind::Introduced(_) | Kind::Promised(_) => None,
            },
            Remote::Local(_) | Remote::Dead(_) => None,
        }
    }

    /// FNV-1a of the wire name of the interface that is expected of the object; 0 if that is not known.
    pub(crate) fn interface(&self) -> u32 {
        match self {
            Remote::Far(reference) => match reference.kind() {
                Kind::Named(named) => named.interface,
                Kind::Held(bound) => bound.interface,
                Kind::Introduced(introduced) => introduced.interface,
                Kind::Promised(promised) => promised.defaults.interface,
            },
            Remote::Local(export) => export.interface,
            Remote::Dead(_) => 0,
        }
    }

    /// The same reference; what was promised and has come stands for itself.
    pub(crate) fn kept(self) -> Remote {
        match &self {
            Remote::Far(reference) => match reference.promise().and_then(Promised::seen_as) {
                Some(Ok(remote)) => remote,
                Some(Err(fault)) => Remote::Dead(fault),
                None => self,
            },
            Remote::Local(_) | Remote::Dead(_) => self,
        }
    }

    pub(crate) fn is_named(&self) -> bool {
        self.uri().is_some()
    }

    /// Takes note of how a call failed that was sent to this place: what is gone is looked for anew at the next use, if it is
    /// known by a name.
    #[cold]
    pub(crate) fn failed(&self, place: &Arc<Bound>, fault: &Fault) {
        if is_gone(fault) {
            self.leave(place);
        }
    }

    /// Has a named object found anew at the next use, unless it was meanwhile.
    pub(crate) fn leave(&self, place: &Arc<Bound>) {
        if let Remote::Far(reference) = self {
            reference.leave(place);
        }
    }

    /// What the object is, as far as that is known without a round trip.
    pub(crate) fn identity(&self) -> Option<ObjectIdentity> {
        match self {
            Remote::Far(reference) => match reference.kind() {
                Kind::Introduced(introduced) => Some(introduced.identity),
                _ => reference.with_place(|bound| bound.found.get()?.as_ref().ok().copied())?,
            },
            Remote::Local(export) => Some(export.identity),
            Remote::Dead(_) => None,
        }
    }

    /// The process that is called, if there is a session to it.
    pub(crate) fn peer(&self) -> Option<Peer> {
        match self {
            Remote::Far(reference) => reference.place().map(|bound| Peer::of(&bound.session)),
            Remote::Local(_) | Remote::Dead(_) => None,
        }
    }

    fn client(&self) -> Option<&Client> {
        match self {
            Remote::Far(reference) => match reference.kind() {
                Kind::Named(named) => Some(&named.client),
                Kind::Held(_) | Kind::Introduced(_) | Kind::Promised(_) => None,
            },
            Remote::Local(_) | Remote::Dead(_) => None,
        }
    }

    /// How calls are encoded unless their proxy says otherwise.
    pub(crate) fn codec(&self) -> Codec {
        match (self, self.client()) {
            (_, Some(client)) => client.codec(),
            (Remote::Far(reference), None) => match reference.promise() {
                Some(promised) => promised.defaults.codec,
                None => reference
                    .place()
                    .map_or(Codec::Postcard, |bound| bound.session.codec()),
            },
            _ => Codec::Postcard,
        }
    }

    /// How long calls may take unless their proxy says otherwise.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        match (self, self.client()) {
            (_, Some(client)) => client.timeout(),
            (Remote::Far(reference), None) => match reference.promise() {
                Some(promised) => promised.defaults.timeout,
                None => reference.place()?.session.timeout(),
            },
            _ => None,
        }
    }

    /// How often an idempotent call is made again unless its proxy says otherwise.
    pub(crate) fn max_retries(&self) -> u32 {
        self.client().map_or(0, Client::max_retries)
    }

    /// How long one attempt of a call that may be made again may take unless its proxy says otherwise.
    pub(crate) fn attempt_timeout(&self) -> Option<Duration> {
        self.client().and_then(Client::attempt_timeout)
    }

    /// Whether the peer is known to accept this codec.
    pub(crate) fn accepts(&self, codec: Codec) -> bool {
        match self {
            Remote::Far(reference) => reference
                .place()
                .is_some_and(|bound| bound.session.accepts(codec)),
            Remote::Local(_) => codec.is_available(),
            Remote::Dead(_) => false,
        }
    }

    /// Whether anything sees the calls that go out here.
    pub(crate) fn is_intercepted(&self) -> bool {
        match (self, self.client()) {
            (_, Some(client)) => client.is_intercepting(),
            (Remote::Far(reference), None) => reference
                .with_place(|bound| bound.session.is_intercepting())
                .unwrap_or_default(),
            (Remote::Local(_) | Remote::Dead(_), None) => false,
        }
    }

    /// What sees the calls that go out here.
    pub(crate) fn interceptors(&self) -> Interceptors {
        let seen_by = match (self, self.client()) {
            (_, Some(client)) => Some(client.interceptors()),
            (Remote::Far(reference), None) => {
                reference.with_place(|bound| bound.session.outgoing_interceptors())
            }
            (Remote::Local(_) | Remote::Dead(_), None) => None,
        };
        seen_by.unwrap_or_else(|| Interceptors::from([]))
    }

    /// The same object, with a session of its own.
    pub(crate) fn dedicated(&self) -> Option<Remote> {
        let Remote::Far(reference) = self else {
            return None;
        };
        let Kind::Named(named) = reference.kind() else {
            return None;
        };
        let finding = match &named.finding {
            Finding::At(address, _) => Finding::At(address.clone(), Arc::default()),
            Finding::Search(_) => Finding::Search(Box::new(Search::dedicated())),
        };
        Some(Remote::Far(FarReference::named(
            named.client.clone(),
            named.uri.clone(),
            named.interface,
            finding,
        )))
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remote::Far(reference) => reference.fmt(f),
            Remote::Local(export) => export.fmt(f),
            Remote::Dead(fault) => write!(f, "dead ({fault})"),
        }
    }
}

/// Whether a call came to nobody since its object is there no more.
pub(crate) fn is_gone(fault: &Fault) -> bool {
    fault.kind() == FaultKind::StaleReference && !fault.may_have_run()
}

/// The fault of a reference whose session is gone.
pub(crate) fn stale() -> Fault {
    Fault::not_started(
        FaultKind::StaleReference,
        "the session that this reference belongs to is gone, and the object with it; get the reference anew",
    )
}

/// The fault of a name that the peer does not have.
pub(crate) fn no_such_object(name: &str) -> Fault {
    Fault::new(
        FaultKind::NoSuchObject,
        Outcome::NotStarted,
        format!("no object named `{name}` is registered there; ask the daemon which names it has"),
    )
}

/// The fault of a name whose object does not serve the interface that was asked for.
pub(crate) fn other_interface(name: &str) -> Fault {
    Fault::not_started(
        FaultKind::Incompatible,
        format!(
            "the object named `{name}` does not serve this interface; ask the daemon which one it serves"
        ),
    )
}
