//! Hand-off over a session: introducing its peer to third processes, promising its objects, claiming those of others.

use std::sync::{Arc, PoisonError};

use farref_proto::{
    Extensions, ImportId, IncomingClaim, IncomingIntroduction, IncomingProvide, InstanceId,
    Introduction, MAX_INTRODUCTIONS, SendError, features,
};

use super::inbox::Garbage;
use super::{Session, Ticket};
use crate::dialling::Dialer;
use crate::error::{Fault, Result};
use crate::handoff::introduced;
use crate::handoff::provisions;
use crate::node::Node;
use crate::object::Export;
use crate::random;
use crate::remote::{Bound, FarReference};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::task;
use crate::uri::Address;

/// What a session has to do with hand-offs.
#[derive(Default)]
pub(crate) struct HandingOff {
    provided: Arc<AtomicUsize>,
    parked: Arc<AtomicUsize>,
    pending: Arc<AtomicUsize>,
    /// Introductions that have come and are to be followed.
    arrived: Mutex<Vec<Arrived>>,
}

/// An introduction that has come.
type Arrived = (Arc<FarReference>, Box<IncomingIntroduction>, Counted);

/// Counts for something until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Counted {
    /// Counts, unless there are as many as allowed.
    fn up_to(limit: usize, count: &Arc<AtomicUsize>) -> Option<Self> {
        let counted = count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
            (count < limit).then_some(count + 1)
        });
        counted.ok().map(|_| Counted(Arc::clone(count)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What is to be promised to a third process, once the session's lock is free.
pub(crate) struct Promised {
    bound: Arc<Bound>,
    import: ImportId,
    grant: [u8; 16],
    recipient: InstanceId,
}

/// What is said of third processes beside the table of a frame.
#[derive(Default)]
pub(super) struct Introducing {
    introductions: Vec<Introduction>,
    promises: Vec<Promised>,
}

impl Introducing {
    /// Introduces the peer to the holder of what this reference leads to, if that is possible. `index` is the place of
    /// its entry in the table.
    pub(super) fn introduce(&mut self, far: &FarReference, index: usize, to: &Session) -> bool {
        if self.introductions.len() >= MAX_INTRODUCTIONS {
            return false;
        }
        let introduced = far.with_place(|bound| to.introduction(index, bound));
        let Some((introduction, promise)) = introduced.flatten() else {
            return false;
        };
        self.introductions.push(introduction);
        self.promises.push(promise);
        true
    }

    /// What travels beside the table: these extensions, and the introductions if there are any.
    pub(super) fn extensions(&mut self, others: &Extensions) -> Option<Extensions> {
        let introductions = std::mem::take(&mut self.introductions);
        (!introductions.is_empty()).then(|| Extensions {
            introductions,
            ..others.clone()
        })
    }

    /// Has what was said kept, now that the frame is sent, or forgotten if it is not. Either is done when the garbage is
    /// dropped: the session's lock is held here.
    pub(super) fn end(&mut self, is_sent: bool, garbage: &mut Garbage) {
        match is_sent {
            true => garbage.provided.append(&mut self.promises),
            false => garbage.withdrawn.append(&mut self.promises),
        }
    }
}

impl Session {
    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// The process at the other end, once the handshake is done.
    pub(crate) fn peer_instance(&self) -> Option<InstanceId> {
        self.peer.get().map(|peer| peer.instance)
    }

    /// Whether both sides take part in hand-offs.
    pub(crate) fn takes_hand_offs(&self) -> bool {
        self.node.hand_off.is_on()
            && self
                .peer
                .get()
                .is_some_and(|peer| peer.knows(features::HAND_OFF))
    }

    pub(crate) fn count_provided(&self, limit: usize) -> Option<Counted> {
        Counted::up_to(limit, &self.handing_off.provided)
    }

    pub(crate) fn count_parked(&self, limit: usize) -> Option<Counted> {
        Counted::up_to(limit, &self.handing_off.parked)
    }

    /// Whether anything was promised over this session or is being claimed.
    pub(super) fn has_provisions(&self) -> bool {
        let handing_off = &self.handing_off;
        handing_off.provided.load(Ordering::Acquire) > 0
            || handing_off.parked.load(Ordering::Acquire) > 0
    }

    /// How the peer is introduced to the holder of an object, if both take part and it is a third process.
    fn introduction(&self, index: usize, bound: &Arc<Bound>) -> Option<(Introduction, Promised)> {
        let holding = &bound.session;
        if !self.takes_hand_offs() || !holding.takes_hand_offs() || holding.is_closed() {
            return None;
        }
        // What a call will return cannot be handed off before it is there.
        let import = bound.import()?;
        let (recipient, holder) = (self.peer_instance()?, holding.peer_instance()?);
        let own = random::instance_id();
        if recipient == holder || recipient == own || holder == own {
            return None;
        }
        let grant = random::bytes();
        let address = holding.dialer.as_ref().map(Dialer::address);
        let introduction = Introduction {
            index: u16::try_from(index).ok()?,
            grant,
            holder,
            address: address.map(Address::to_string).unwrap_or_default(),
        };
        let promise = Promised {
            bound: Arc::clone(bound),
            import,
            grant,
            recipient,
        };
        Some((introduction, promise))
    }

    /// What stands for an object to which the peer introduced this process.
    pub(super) fn introduced(
        &self,
        introduction: &IncomingIntroduction,
        through: Arc<Bound>,
        identity: crate::object::ObjectIdentity,
    ) -> Arc<FarReference> {
        let counted = match self.takes_hand_offs() {
            true => Counted::up_to(self.node.hand_off.max_pending, &self.handing_off.pending),
            false => None,
        };
        match counted {
            None => FarReference::held(through),
            Some(counted) => {
                let reference = FarReference::introduced_by(identity, through);
                let arrived = (
                    Arc::clone(&reference),
                    Box::new(introduction.clone()),
                    counted,
                );
                self.arrived_introductions().push(arrived);
                reference
            }
        }
    }

    fn arrived_introductions(&self) -> MutexGuard<'_, Vec<Arrived>> {
        let arrived = self.handing_off.arrived.lock();
        arrived.unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to follow the introductions that have come.
    pub(super) fn follow_introductions(&self) {
        if self.handing_off.pending.load(Ordering::Acquire) == 0 {
            return;
        }
        let arrived = std::mem::take(&mut *self.arrived_introductions());
        for (reference, introduction, counted) in arrived {
            introduced::follow(&reference, introduction, counted);
        }
    }

    /// Tells the peer that what it introduced this process to was claimed.
    pub(crate) fn tell_claimed(&self, grant: [u8; 16]) {
        let mut state = self.lock();
        if state.closed.is_none() {
            state.connection.claimed(grant);
        }
        Self::unlock_and_write(state);
    }

    /// Keeps an object of this process for whom the peer promised it to, and says so.
    pub(super) fn serve_provide(
        self: &Arc<Self>,
        provide: &IncomingProvide,
        target: Result<Arc<Export>>,
    ) {
        let promised = target.and_then(|export| {
            let promised = provisions::provide(self, provide, &export);
            // It may be the last hold on the object.
            drop(export);
            promised
        });
        let mut state = self.lock();
        if state.closed.is_some() {
            return;
        }
        match promised {
            Ok(()) => super::binding::answer_empty(&mut state, provide.call),
            Err(fault) => self.refuse(&mut state, provide.call, fault),
        }
        Self::unlock_and_write(state);
    }

    /// Says to a claimant what it gets. Its alias may have been given back meanwhile, and stand for something else.
    pub(crate) fn answer_claim(&self, claim: &IncomingClaim, found: Result<Arc<Export>>) {
        let mut state = self.lock();
        if state.closed.is_some() {
            drop(state);
            return;
        }
        let mut kept = None;
        match found {
            Ok(export) => {
                super::binding::answer_found(&mut state, claim.call, claim.alias, &export);
                kept = state.exports.name_claimed(claim.alias, claim.call, export);
            }
            Err(fault) => self.refuse(&mut state, claim.call, fault),
        }
        Self::unlock_and_write(state);
        // It may be the last hold on the object.
        drop(kept);
    }

    /// Claims what the process `provider` promised. Waits for room to ask, not for the answer.
    pub(crate) async fn claim(
        self: &Arc<Self>,
        grant: [u8; 16],
        provider: InstanceId,
        interface: u32,
    ) -> Result<Arc<Bound>> {
        self.ask_for(interface, |connection| {
            connection.claim(grant, provider, interface)
        })
        .await
    }

    /// Tells the holder of an object that a third process will claim it, if there is room.
    fn provide(&self, promise: &Promised, lifetime_ms: u32) -> Result<(), SendError> {
        let mut state = self.lock();
        if state.closed.is_some() {
            return Ok(());
        }
        if !state.queues.may_send(0, &Ticket::none()) {
            return Err(SendError::NoCredit);
        }
        let import = promise.import;
        let sent = state
            .connection
            .provide(import, promise.grant, promise.recipient, lifetime_ms);
        Self::unlock_and_write(state);
        sent.map(drop)
    }

    /// The same, waiting for room.
    async fn provide_later(&self, promise: &Promised, lifetime_ms: u32) -> Result<(), Fault> {
        let provided = self.with_room(|state| {
            let Promised {
                import,
                grant,
                recipient,
                ..
            } = *promise;
            state
                .connection
                .provide(import, grant, recipient, lifetime_ms)
        });
        provided.await.map(drop)
    }
}

/// Tells the holders of objects that others will claim them.
pub(super) fn promise(promises: Vec<Promised>) {
    for promise in promises {
        let session = Arc::clone(&promise.bound.session);
        let lifetime = session.node.hand_off.patience.as_millis();
        let lifetime_ms = u32::try_from(lifetime).unwrap_or(u32::MAX);
        match session.provide(&promise, lifetime_ms) {
            Ok(()) => {}
            // A claim that is not met in time leads its claimant back here.
            Err(SendError::NoCredit) if tokio::runtime::Handle::try_current().is_ok() => {
                task::spawn(async move {
                    if let Err(fault) = session.provide_later(&promise, lifetime_ms).await {
                        tracing::debug!(%fault, "an object could not be promised");
                    }
                });
            }
            Err(error) => tracing::debug!(%error, "an object could not be promised"),
        }
    }
}
