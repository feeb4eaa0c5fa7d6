//! Getting a reference from its holder: finds or dials it, makes sure that it is the one, and shows the grant.

use std::sync::Arc;

use farref_proto::{IncomingIntroduction, InstanceId};

use crate::FaultKind;
use crate::dialling;
use crate::error::{Fault, Result};
use crate::node::Node;
use crate::object::ObjectIdentity;
use crate::peer::Peer;
use crate::remote::Bound;
use crate::session::{Hold, Session};
use crate::uri::Uri;

/// Claims what the peer of the session `by` introduced this process to.
pub(super) async fn claim(
    by: &Arc<Session>,
    introduction: &IncomingIntroduction,
) -> Result<Arc<Bound>> {
    let provider = by.peer_instance().ok_or_else(too_late)?;
    let hold = match known(by.node(), introduction.holder) {
        Some(hold) => hold,
        None => dial(by, introduction).await?,
    };
    let session = hold.session();
    let bound = session
        .claim(introduction.grant, provider, introduction.interface)
        .await?;
    let expected = ObjectIdentity {
        owner: introduction.owner,
        object: introduction.object,
    };
    if bound.found().await? != expected {
        return Err(Fault::not_started(
            FaultKind::Refused,
            "the holder gave another object than the introduction named",
        ));
    }
    Ok(bound)
}

/// A session with this process, whoever dialled.
fn known(node: &Node, holder: InstanceId) -> Option<Hold> {
    node.sessions()
        .iter()
        .filter(|session| session.peer_instance() == Some(holder) && session.takes_hand_offs())
        .find_map(Session::hold)
}

async fn dial(by: &Arc<Session>, introduction: &IncomingIntroduction) -> Result<Hold> {
    let node = by.node();
    let uri: Uri = introduction.address.parse()?;
    let Some(address) = uri.address() else {
        return Err(Fault::not_started(
            FaultKind::InvalidUri,
            format!("{uri} says nothing of where the object is"),
        ));
    };
    if !node.hand_off.allows(&Peer::of(by), &uri) {
        return Err(Fault::not_started(
            FaultKind::Denied,
            format!("{uri} may not be dialled because a peer named it"),
        ));
    }
    // Those who are introduced to the same process at once dial it once.
    let place = node.dialling(introduction.holder);
    let _dialling = place.lock().await;
    if let Some(hold) = known(node, introduction.holder) {
        return Ok(hold);
    }
    let hold = dialling::dial(node, address, introduction.holder).await?;
    match hold.session().takes_hand_offs() {
        true => Ok(hold),
        false => Err(Fault::not_started(
            FaultKind::Unsupported,
            format!("the process at {uri} takes no part in hand-offs"),
        )),
    }
}

pub(super) fn too_late() -> Fault {
    Fault::not_started(
        FaultKind::DeadlineExceeded,
        "there was no answer to the claim in time",
    )
}
