//! A receiver in another process, as a signal of this one calls it.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use farref_proto::FaultKind;

use super::connection::{Connection, ScopedConnection};
use super::event::Event;
use super::near_receiver::{INTERFACE, RECEIVE};
use super::receiver::BoxError;
use super::sent_by::SentBy;
use crate::any_error::AnyError;
use crate::codec::Codec;
use crate::context::Scope;
use crate::dispatch::{self, ArgumentsOut, RawReply};
use crate::error::{CallError, Fault, Result};
use crate::far::{CallOptions, Encoded, FarCall, Label, OnewayMode};
use crate::remote::Remote;
use crate::session::Session;

/// Writes what a signal tells into a frame.
pub(super) type PutFn<T> = fn(&mut ArgumentsOut<'_>, &str, &T) -> Result<()>;
/// Reads what a receiver responds.
pub(super) type DecodeFn<R> = fn(&mut RawReply) -> Result<R>;

/// A receiver in another process.
pub(super) struct FarReceiver {
    remote: Remote,
    /// The codec in which it was connected.
    codec: Codec,
    /// Its place in the signal, once it has one.
    place: OnceLock<Connection>,
}

impl FarReceiver {
    pub(super) fn new(remote: Remote, codec: Codec) -> Arc<Self> {
        Arc::new(FarReceiver {
            remote,
            codec,
            place: OnceLock::new(),
        })
    }

    /// Says which place in the signal it has.
    pub(super) fn is_at(&self, place: &Connection) {
        let _ = self.place.set(place.clone());
    }

    /// Tells it, and waits for its response.
    pub(super) async fn tell<T, R>(
        self: Arc<Self>,
        event: Event<T>,
        put: PutFn<T>,
        decode: DecodeFn<R>,
    ) -> Result<R, BoxError> {
        let encoded = Encoded::new(RECEIVE, self.codec, 1, |out| put(out, "value", &event));
        let sender = SentBy::of(event.sender());
        drop(event);
        let mut reply = self.call(encoded, sender).await?;
        Ok(decode(&mut reply)?)
    }

    /// Calls it. In a box, so that it is compiled here and not in each application.
    fn call(
        self: Arc<Self>,
        encoded: Result<Encoded>,
        sender: Option<SentBy>,
    ) -> Pin<Box<dyn Future<Output = Result<RawReply, CallError<AnyError>>> + Send>> {
        Box::pin(async move {
            let label = Label::Static {
                interface: INTERFACE.name,
                method: INTERFACE.methods[0].name,
            };
            let mut options = sender.map(|sender| CallOptions {
                annotations: vec![sender.to_note()],
                ..CallOptions::default()
            });
            let call = FarCall::new(
                self.remote.clone(),
                label,
                encoded?,
                OnewayMode::Answered,
                Scope::current_deadline(),
                Some(0),
                options.as_mut(),
            );
            match call.finish().await.0 {
                Ok(mut reply) if reply.is_error => {
                    let error = dispatch::decode_error::<AnyError>(&mut reply)?;
                    Err(CallError::App(error))
                }
                Ok(reply) => Ok(reply),
                Err(fault) => {
                    self.forget_if_gone(&fault);
                    Err(fault.into())
                }
            }
        })
    }

    /// Gives the place in the signal up when nobody will ever be reached by this reference again.
    fn forget_if_gone(&self, fault: &Fault) {
        let is_gone = matches!(
            fault.kind(),
            FaultKind::SessionLost | FaultKind::StaleReference
        );
        if is_gone && let Some(place) = self.place.get() {
            tracing::debug!(receiver = %place.receiver(), %fault, "a receiver in another process is gone");
            place.disconnect();
        }
    }
}

impl fmt::Debug for FarReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.remote.fmt(f)
    }
}

/// The receivers of the process at the other end of a session that are connected to signals of this one. They are
/// disconnected with the session.
#[derive(Default)]
pub(super) struct Connected(Mutex<Connections>);

#[derive(Default)]
struct Connections {
    by_number: HashMap<u64, ScopedConnection>,
    /// With how many it is time to look for those that were disconnected in another way.
    crowd: usize,
}

impl Connected {
    /// The fewest connections that are worth looking through.
    const FEW: usize = 16;

    /// What the process at the other end of this session has connected.
    pub(super) fn of(session: &Session) -> Arc<Self> {
        session.storage().get_or_insert_with(Connected::default)
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that there is room for one more.
    ///
    /// # Errors
    ///
    /// `Overloaded`, `NotStarted`, if as many receivers are connected as the session may hold references.
    pub(super) fn make_room(&self, session: &Session) -> Result<()> {
        let most = session.most_references();
        let numbers: Vec<u64> = {
            let connections = self.lock();
            let count = connections.by_number.len();
            if count < connections.crowd.max(Self::FEW).min(most) {
                return Ok(());
            }
            connections.by_number.keys().copied().collect()
        };
        // Asking whether one is connected, and dropping it, happens outside the lock.
        for number in numbers {
            let taken = self.lock().by_number.remove(&number);
            if let Some(connection) = taken.filter(|connection| connection.is_connected()) {
                let replaced = self.lock().by_number.insert(number, connection);
                drop(replaced);
            }
        }
        let mut connections = self.lock();
        let left = connections.by_number.len();
        connections.crowd = left.saturating_mul(2);
        if left < most {
            return Ok(());
        }
        Err(Fault::not_started(
            FaultKind::Overloaded,
            format!("this session has connected {most} receivers and may connect no more"),
        ))
    }

    /// Ties a receiver to the session, unless it is tied to it.
    pub(super) fn keep(&self, connection: Connection) {
        let mut connections = self.lock();
        connections
            .by_number
            .entry(connection.number)
            .or_insert_with(|| connection.scoped());
    }

    /// Unties a receiver that was disconnected.
    pub(super) fn forget(&self, connection: &Connection) {
        let forgotten = self.lock().by_number.remove(&connection.number);
        drop(forgotten);
    }
}
