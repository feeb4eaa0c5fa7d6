//! What was promised to third processes and not claimed yet, and the claims that came before what they claim.
//!
//! The table is the process's, as the identity is that a grant names: whoever holds a grant may show it on any session
//! with this process. What is in it is bounded for each session, and by the time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use farref_proto::{IncomingClaim, IncomingProvide, InstanceId};

use crate::FaultKind;
use crate::error::{Fault, Result};
use crate::node::Node;
use crate::object::{Export, ObjectIdentity};
use crate::session::{Counted, Session};
use crate::task::{self, AbortHandle};

type Grant = [u8; 16];

#[derive(Default)]
struct Table {
    provided: HashMap<Grant, Provided>,
    parked: HashMap<Grant, Parked>,
}

struct Provided {
    export: Kept,
    provider: InstanceId,
    recipient: InstanceId,
    /// The session over which it was promised.
    session: u64,
    node: Weak<Node>,
    _counted: Counted,
    _expiry: Expiry,
}

/// An object that somebody may claim.
enum Kept {
    /// Its provider holds it, and only as long as it may be claimed.
    ByProvider(Weak<Export>),
    /// Its provider is gone.
    Here(Arc<Export>),
}

struct Parked {
    claim: IncomingClaim,
    claimant: Weak<Session>,
    recipient: InstanceId,
    /// The session that claims.
    session: u64,
    _counted: Counted,
    _expiry: Expiry,
}

/// The task that ends something when its time is over; it goes with it.
struct Expiry(AbortHandle);

impl Expiry {
    fn after(lifetime: Duration, end: impl FnOnce() + Send + 'static) -> Self {
        let task = task::spawn(async move {
            tokio::time::sleep(lifetime).await;
            end();
        });
        Expiry(task.abort_handle())
    }
}

impl Drop for Expiry {
    fn drop(&mut self) {
        self.0.abort();
    }
}

static TABLE: LazyLock<Mutex<Table>> = LazyLock::new(Mutex::default);

fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps an object for whom it was promised to, or answers who claimed it already.
pub(crate) fn provide(
    session: &Arc<Session>,
    provide: &IncomingProvide,
    export: &Arc<Export>,
) -> Result<()> {
    let hand_off = &session.node().hand_off;
    let provider = session.peer_instance().ok_or_else(unknown)?;
    let counted = session
        .count_provided(hand_off.max_provided)
        .ok_or_else(|| {
            overloaded(
                "as many objects are provided for others as are allowed and were not claimed",
            )
        })?;
    let lifetime = Duration::from_millis(provide.lifetime_ms.into()).min(hand_off.patience);
    let grant = provide.grant;
    let mut table = table();
    if let Some(parked) = table.parked.remove(&grant) {
        let is_meant = parked.claim.provider == provider && parked.recipient == provide.recipient;
        drop(table);
        let found = match is_meant {
            true => Ok(Arc::clone(export)),
            false => Err(unknown()),
        };
        answer(&parked, found);
        return Ok(());
    }
    match table.provided.entry(grant) {
        Entry::Occupied(_) => {
            return Err(Fault::not_started(
                FaultKind::Misuse,
                "the grant is in use already",
            ));
        }
        Entry::Vacant(place) => place.insert(Provided {
            export: Kept::ByProvider(Arc::downgrade(export)),
            provider,
            recipient: provide.recipient,
            session: session.number(),
            node: Arc::downgrade(session.node()),
            _counted: counted,
            _expiry: Expiry::after(lifetime, move || {
                let late = self::table().provided.remove(&grant);
                // Dropping it may be the application's code.
                drop(late);
            }),
        }),
    };
    Ok(())
}

/// Answers a claim, now or when what it claims comes.
pub(crate) fn claim(session: &Arc<Session>, claim: IncomingClaim) {
    let hand_off = &session.node().hand_off;
    let Some(recipient) = session.peer_instance() else {
        return session.answer_claim(&claim, Err(unknown()));
    };
    let mut table = table();
    if let Entry::Occupied(provided) = table.provided.entry(claim.grant) {
        let is_meant =
            provided.get().provider == claim.provider && provided.get().recipient == recipient;
        // A grant that somebody else shows stays good for whom it was meant for.
        let taken = is_meant.then(|| provided.remove());
        drop(table);
        let export = taken.as_ref().and_then(|taken| match &taken.export {
            Kept::ByProvider(export) => export.upgrade(),
            Kept::Here(export) => Some(Arc::clone(export)),
        });
        return session.answer_claim(&claim, export.ok_or_else(unknown));
    }
    let Some(counted) = session.count_parked(hand_off.max_parked) else {
        drop(table);
        let fault = overloaded("as many claims wait for what they claim as are allowed");
        return session.answer_claim(&claim, Err(fault));
    };
    let grant = claim.grant;
    match table.parked.entry(grant) {
        Entry::Occupied(_) => {
            drop(table);
            session.answer_claim(&claim, Err(unknown()));
        }
        Entry::Vacant(place) => {
            place.insert(Parked {
                claim,
                claimant: Arc::downgrade(session),
                recipient,
                session: session.number(),
                _counted: counted,
                _expiry: Expiry::after(hand_off.patience, move || {
                    let late = self::table().parked.remove(&grant);
                    if let Some(late) = late {
                        answer(&late, Err(unknown()));
                    }
                }),
            });
        }
    }
}

fn answer(parked: &Parked, found: Result<Arc<Export>>) {
    if let Some(session) = parked.claimant.upgrade() {
        session.answer_claim(&parked.claim, found);
    }
}

/// Keeps what a session promised now that it ends and holds it no more, and forgets what it claimed. Called before its
/// exports are dropped; what is kept is dropped when its time is over.
pub(crate) fn outlive(session: u64) {
    let mut table = table();
    table.parked.retain(|_, parked| parked.session != session);
    for provided in table.provided.values_mut() {
        if provided.session == session
            && let Kept::ByProvider(export) = &provided.export
            && let Some(export) = export.upgrade()
        {
            provided.export = Kept::Here(export);
        }
    }
}

/// Takes back what was promised of an object.
pub(crate) fn revoke(object: ObjectIdentity) {
    drop(take(|provided| match &provided.export {
        Kept::ByProvider(export) => export
            .upgrade()
            .is_some_and(|export| export.reaches(object)),
        Kept::Here(export) => export.reaches(object),
    }));
}

/// Takes back what was promised over the sessions of a node, which has ended.
pub(crate) fn forget(node: &Arc<Node>) {
    let node = Arc::downgrade(node);
    drop(take(|provided| provided.node.ptr_eq(&node)));
}

/// Takes those out that are to go. They are to be dropped by the caller: that may be the application's code.
fn take(goes: impl Fn(&Provided) -> bool) -> Vec<(Grant, Provided)> {
    let mut looked_at = Vec::new();
    let mut table = table();
    let taken = table.provided.extract_if(|_, provided| {
        // Whatever is upgraded to be looked at must not be dropped under the lock.
        if let Kept::ByProvider(export) = &provided.export {
            looked_at.extend(export.upgrade());
        }
        goes(provided)
    });
    let taken = taken.collect();
    drop(table);
    drop(looked_at);
    taken
}

fn unknown() -> Fault {
    Fault::not_started(
        FaultKind::NoSuchObject,
        "nobody has promised this, or not to you, or it is too late",
    )
}

fn overloaded(message: &str) -> Fault {
    Fault::not_started(FaultKind::Overloaded, message)
}
