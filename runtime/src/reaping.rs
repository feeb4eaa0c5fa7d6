//! Letting go of objects that were passed to peers and that nobody calls any more.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::builder::Builder;
use crate::node::Node;
use crate::object::{Export, ObjectIdentity};
use crate::peer::Peer;
use crate::proxy::{self, Proxy};
use crate::remote::Remote;
use crate::{panics, task};

/// How often objects are looked at while they grow old enough to be reaped.
const LOOKS: u32 = 4;

/// What becomes of an object that nobody has called for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// References to it end: its holders get `StaleReference`, and it is dropped unless this process holds it otherwise.
    Reap,
    /// It stays as if it had just been called, and is asked about again when it has not been for as long.
    Keep,
}

/// An object that was passed to peers, and that none of them has called for long.
pub struct Idle {
    export: Arc<Export>,
    since: Instant,
    peers: Vec<Peer>,
}

impl Idle {
    /// The wire name of the interface that it was passed as; empty, if it belongs to a third process.
    pub fn interface(&self) -> &'static str {
        self.export
            .descriptor()
            .map_or("", |interface| interface.name)
    }

    /// How long nobody has called it.
    pub fn duration(&self) -> Duration {
        self.since.elapsed()
    }

    /// Who holds references to it.
    pub fn peers(&self) -> &[Peer] {
        &self.peers
    }

    /// A proxy to it; `None`, if it does not serve that interface.
    pub fn proxy<P: Proxy>(&self) -> Option<P> {
        let remote = match &self.export.kind {
            crate::object::ExportKind::Forward(remote) => remote.clone(),
            _ => Remote::Local(Arc::clone(&self.export)),
        };
        proxy::from_remote(remote).ok()
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle")
            .field("interface", &self.interface())
            .field("duration", &self.duration())
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}

type Decide = Arc<dyn Fn(&Idle) -> Verdict + Send + Sync>;

/// What a node does about objects that nobody calls.
#[derive(Clone, Default)]
pub(crate) struct Reaping {
    /// `None` if they live for as long as they are held.
    after: Option<Duration>,
    decide: Option<Decide>,
}

impl<R> Builder<R> {
    /// Reaps objects that were passed to peers and that none of them has called for this long: references to them end. The
    /// default, and zero, is never: an object lives for as long as somebody holds a reference to it.
    ///
    /// A call refreshes its object when it comes and while it is served; so does passing another reference to the object.
    /// Objects that have a name, or are held by one, are exempt, and so are [callbacks](crate::callback), which wait to be
    /// called. Objects are looked at four times within `idle`, so one may live on for a quarter of it.
    pub fn reap(mut self, idle: Duration) -> Self {
        self.node.reaping.after = Some(idle).filter(|idle| !idle.is_zero());
        self
    }

    /// Asks `decide` about each object that is about to be [reaped](Builder::reap). It runs in a task; while it does,
    /// no other is asked about. A panic of it keeps the object.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use farref::{Daemon, Verdict};
    ///
    /// let builder = Daemon::builder()
    ///     .reap(Duration::from_secs(600))
    ///     .before_reaping(|idle| match idle.interface() {
    ///         "Cursor" => Verdict::Reap,
    ///         _ => Verdict::Keep,
    ///     });
    /// # let _ = builder;
    /// ```
    pub fn before_reaping(
        mut self,
        decide: impl Fn(&Idle) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        self.node.reaping.decide = Some(Arc::new(decide));
        self
    }
}

/// How an object stands with all that hold it.
#[derive(Default)]
struct Standing {
    /// When it was last seen in use; `None` while it is not known to be passed to anybody.
    used: Option<(Instant, Arc<Export>)>,
    peers: Vec<Peer>,
    /// Somebody holds it by a name.
    named: bool,
}

/// What a session says of an object that its peer holds.
pub(crate) enum Held {
    /// By reference, in use when it was last looked at.
    Passed(Arc<Export>, Instant),
    /// By a name.
    Named(ObjectIdentity),
}

/// Reaps what nobody uses.
pub(crate) struct Reaper {
    reaping: Reaping,
    is_at_work: AtomicBool,
}

impl Reaper {
    pub(crate) fn new(reaping: Reaping) -> Self {
        Reaper {
            reaping,
            is_at_work: AtomicBool::new(false),
        }
    }

    /// Sees to it that the node's objects are looked at from now on, while it has sessions.
    pub(crate) fn watch(&self, node: &Arc<Node>) {
        let Some(after) = self.reaping.after else {
            return;
        };
        if self.is_at_work.swap(true, Ordering::AcqRel) {
            return;
        }
        let node = Arc::downgrade(node);
        task::spawn(async move {
            loop {
                tokio::time::sleep(after / LOOKS).await;
                let Some(node) = node.upgrade() else { return };
                node.reaper.look(&node, after);
                if node.sessions().is_empty() {
                    node.reaper.is_at_work.store(false, Ordering::Release);
                    // A session that came in between was told that somebody is at work.
                    if node.sessions().is_empty()
                        || node.reaper.is_at_work.swap(true, Ordering::AcqRel)
                    {
                        return;
                    }
                }
            }
        });
    }

    /// Looks at all objects once.
    fn look(&self, node: &Arc<Node>, after: Duration) {
        let now = Instant::now();
        let mut standings: HashMap<ObjectIdentity, Standing> = HashMap::new();
        let sessions = node.sessions();
        for session in &sessions {
            for held in session.look_at_exports(now) {
                match held {
                    Held::Named(identity) => {
                        standings.entry(identity).or_default().named = true;
                    }
                    Held::Passed(export, used) => {
                        let standing = standings.entry(export.identity).or_default();
                        standing.peers.push(Peer::of(session));
                        match &mut standing.used {
                            Some((known, _)) => *known = used.max(*known),
                            place => *place = Some((used, export)),
                        }
                    }
                }
            }
        }
        for (identity, standing) in standings {
            let Some((since, export)) = standing.used else {
                continue;
            };
            // They wait to be called; what this library itself passes waits for its peers' needs.
            let is_exempt = export.descriptor().is_some_and(|interface| {
                interface.callback || interface.name.starts_with("farref.")
            });
            if now.saturating_duration_since(since) < after
                || standing.named
                || is_exempt
                || node.has_name(identity)
            {
                continue;
            }
            let idle = Idle {
                export,
                since,
                peers: standing.peers,
            };
            match self.verdict(&idle) {
                Verdict::Reap => {
                    // What was called meanwhile is not idle.
                    if !sessions.iter().any(|session| session.has_used(identity)) {
                        tracing::debug!(interface = idle.interface(), "an idle object is reaped");
                        for session in &sessions {
                            session.reap(identity, after);
                        }
                    }
                }
                Verdict::Keep => {
                    for session in &sessions {
                        session.use_export(identity);
                    }
                }
            }
        }
    }

    /// Asks the application.
    fn verdict(&self, idle: &Idle) -> Verdict {
        let Some(decide) = &self.reaping.decide else {
            return Verdict::Reap;
        };
        panics::contain(|| decide(idle)).unwrap_or_else(|panic| {
            panics::report(&"the hook before reaping", &*panic, false);
            Verdict::Keep
        })
    }
}

impl fmt::Debug for Reaping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reaping")
            .field("after", &self.after)
            .finish_non_exhaustive()
    }
}
