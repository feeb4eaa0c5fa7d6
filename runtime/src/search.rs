//! Binding to an object that is known by its name or by tags: ask who it is, try one after the other, remember.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farref_proto::FaultKind;

use crate::client::{Client, SessionSlot};
use crate::error::{Fault, Result};
use crate::remote::Bound;
use crate::uri::Uri;

/// What a proxy remembers of what it was told.
#[derive(Default)]
pub(crate) struct Search {
    known: Mutex<Known>,
    /// Whether its sessions are its own.
    is_dedicated: bool,
}

#[derive(Default)]
struct Known {
    /// What the URI stood for when it was last resolved, the best first.
    candidates: Vec<Uri>,
    /// Which of them the proxy is bound to, and where its session comes from.
    bound: Option<(Uri, Arc<SessionSlot>)>,
}

impl Search {
    pub(crate) fn dedicated() -> Self {
        Search {
            is_dedicated: true,
            ..Search::default()
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the object was found.
    pub(crate) fn found(&self) -> Option<Uri> {
        self.known().bound.as_ref().map(|(uri, _)| uri.clone())
    }

    /// Resolves `uri` and binds to the first that answers. Unlike a URI that says where its object is, this waits until
    /// the object is found, so that another can take its place.
    pub(crate) async fn bind(
        &self,
        client: &Client,
        uri: &Uri,
        interface: u32,
    ) -> Result<Arc<Bound>> {
        let mut attempt = 1;
        loop {
            match self.attempt(client, uri, interface).await {
                Err(fault)
                    if attempt < client.connect_attempts()
                        && fault.kind() == FaultKind::ConnectFailed =>
                {
                    tracing::debug!(%uri, attempt, %fault, "connecting failed and is tried again");
                    attempt += 1;
                    client.wait_to_connect().await;
                }
                ended => return ended,
            }
        }
    }

    async fn attempt(&self, client: &Client, uri: &Uri, interface: u32) -> Result<Arc<Bound>> {
        let lost = self.found();
        let mut candidates = match client.resolution().candidates(client, uri).await {
            Ok(candidates) => candidates,
            // The name server may be away for a while. What it said before is the best guess that there is.
            Err(fault) => {
                let known = self.known().candidates.clone();
                if known.is_empty() {
                    return Err(fault);
                }
                tracing::debug!(%uri, %fault, "not resolved again, since nobody can be asked");
                known
            }
        };
        if candidates.is_empty() {
            *self.known() = Known::default();
            return Err(nobody(uri));
        }
        self.known().candidates.clone_from(&candidates);
        // The one that was lost comes last: another is likelier to answer.
        candidates.sort_by_key(|candidate| lost.as_ref() == Some(candidate));
        let mut last = None;
        for candidate in candidates {
            match self.try_one(client, &candidate, interface).await {
                Ok((bound, slot)) => {
                    self.known().bound = Some((candidate, slot));
                    return Ok(bound);
                }
                Err(fault) => {
                    tracing::debug!(%uri, %candidate, %fault, "a candidate did not answer");
                    last = Some(fault);
                }
            }
        }
        Err(last.unwrap_or_else(|| nobody(uri)))
    }

    async fn try_one(
        &self,
        client: &Client,
        candidate: &Uri,
        interface: u32,
    ) -> Result<(Arc<Bound>, Arc<SessionSlot>)> {
        let Some(address) = candidate.address() else {
            return Err(nobody(candidate));
        };
        let slot = match self.is_dedicated {
            true => Arc::default(),
            false => client.slot(address),
        };
        let hold = client.session(address, &slot, 1).await?;
        let name = candidate.object().unwrap_or_default();
        let bound = hold.session().bind(name, interface).await?;
        bound.found().await?;
        Ok((bound, slot))
    }
}

fn nobody(uri: &Uri) -> Fault {
    let what = match (uri.name(), uri.tags()) {
        (Some(name), _) => format!("nobody has registered the name `{name}`"),
        (_, Some(tags)) => {
            let tags: Vec<_> = tags.iter().map(String::as_str).collect();
            format!(
                "nobody has registered the tags `{}` together",
                tags.join("`, `")
            )
        }
        _ => format!("{uri} leads nowhere"),
    };
    Fault::not_started(
        FaultKind::NoSuchObject,
        format!("{what}; see what there is with `farref list`"),
    )
}
