//! The daemon itself as an object: what names it has, what they are, whether it is alive.

mod stat;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;

use farref_macros::expose;
use serde::{Deserialize, Serialize};

use crate::any_proxy::AnyProxy;
use crate::clock::wall_clock;
use crate::context::CallContext;
use crate::daemon::WeakDaemon;
use crate::descriptor::InterfaceInfo;
use crate::node::{Node, Published};
use crate::permission::{Denied, Permission, Policy};
use crate::publishing::PublishError;
use crate::serial;
use crate::session::{Session, hexadecimal};

pub use self::stat::{CallStat, DaemonStat, ExportStat, SessionStat, WaitStat};
pub use crate::clock::{ClockOffset, clock_offset};

/// How many waits are listed.
const MAX_WAITS: usize = 1024;
/// How many calls of all sessions together are listed.
const MAX_CALLS: usize = 8192;
/// How many exports are listed at once.
const MAX_EXPORTS: usize = 1024;

/// The daemon itself. Every daemon serves it at its URI without an object name.
#[expose(crate = crate, name = "farref.Daemon")]
pub trait DaemonObject {
    /// The names of the registered objects, and the wire names of their interfaces.
    #[idempotent]
    fn registered(&self) -> BTreeMap<String, String>;

    /// The registered object of this name.
    #[idempotent]
    fn member(&self, name: &str) -> Option<AnyProxy>;

    /// Describes the interface of the object of this name; of the daemon itself for the empty name.
    #[idempotent]
    fn describe(&self, name: &str) -> Result<InterfaceInfo, NotRegistered>;

    /// Answers, and does nothing else.
    #[idempotent]
    fn ping(&self);

    /// The daemon's wall clock, in microseconds since 1970.
    #[idempotent]
    fn clock(&self) -> u64;

    /// What the daemon says of itself.
    #[idempotent]
    fn info(&self) -> DaemonInfo;

    /// How the daemon's sessions stand, which calls are under way and who waits for whom.
    ///
    /// Needs [`Permission::Inspect`].
    #[idempotent]
    fn stat(&self) -> Result<DaemonStat, Denied>;

    /// What the session of this number holds of the daemon's objects: at most 1024 of them, after the first `skip`. A
    /// session that is not there holds nothing.
    ///
    /// Needs [`Permission::Inspect`].
    #[idempotent]
    fn exports(&self, session: u64, skip: u32) -> Result<Vec<ExportStat>, Denied>;

    /// Gives an object of the caller's, or one that it knows, a name here, for as long as the caller's session lives.
    ///
    /// Needs [`Permission::Publish`].
    fn publish(&self, name: &str, object: AnyProxy) -> Result<(), PublishError>;

    /// Takes a name back that the caller's session gave. References to the object live on. Returns whether the name was
    /// there, and the caller's.
    fn withdraw(&self, name: &str) -> bool;

    /// Begins to shut the daemon down: it takes no more calls, lets those under way end for as long as its drain
    /// timeout says, and says goodbye to everybody. Returns when that has begun; doing it twice is doing it once.
    ///
    /// Needs [`Permission::ShutDown`].
    #[idempotent]
    async fn shut_down(&self) -> Result<(), Denied>;
}

/// There is no object of this name, or it lives elsewhere and only its own daemon can describe it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotRegistered(pub String);

impl fmt::Display for NotRegistered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no object named `{}` is registered here", self.0)
    }
}

impl std::error::Error for NotRegistered {}

/// What a daemon says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonInfo {
    /// Its name.
    pub name: String,
    /// The version of farref that it was built with.
    pub version: String,
    /// The names of the codecs that it accepts.
    pub codecs: Vec<String>,
    /// How long it has been running, in seconds.
    pub uptime: u64,
    /// How many sessions it has.
    pub sessions: u32,
    /// How many oneway calls failed there.
    pub failed_oneways: u64,
}

/// The implementation.
pub(crate) struct Host {
    node: Weak<Node>,
    daemon: WeakDaemon,
    policy: Policy,
    /// How many names one session may give.
    max_published: u32,
    started: Instant,
}

impl Host {
    pub(crate) fn new(
        node: Weak<Node>,
        daemon: WeakDaemon,
        policy: Policy,
        max_published: u32,
    ) -> Self {
        Host {
            node,
            daemon,
            policy,
            max_published,
            started: Instant::now(),
        }
    }

    fn sessions(&self) -> Vec<Arc<Session>> {
        self.node
            .upgrade()
            .map(|node| node.sessions())
            .unwrap_or_default()
    }
}

/// The session of who called the method that is being served.
fn caller() -> Option<Arc<Session>> {
    CallContext::current()?.session()
}

/// How these sessions stand.
pub(crate) fn stat(sessions: &[Arc<Session>]) -> DaemonStat {
    let mut left = MAX_CALLS;
    let sessions = sessions.iter().map(|session| {
        let mut stat = session.stat();
        stat.calls.truncate(left);
        left -= stat.calls.len();
        stat
    });
    let waits = serial::waits(MAX_WAITS).into_iter().map(|wait| WaitStat {
        waiting: wait.call.to_string(),
        chain: hexadecimal(&wait.chain),
        holder: wait.holder.to_string(),
        holder_chain: hexadecimal(&wait.holder_chain),
    });
    DaemonStat {
        sessions: sessions.collect(),
        waits: waits.collect(),
    }
}

impl DaemonObject for Host {
    fn registered(&self) -> BTreeMap<String, String> {
        self.node
            .upgrade()
            .map(|node| node.names())
            .unwrap_or_default()
    }

    fn member(&self, name: &str) -> Option<AnyProxy> {
        let export = match self.node.upgrade()?.find(name)? {
            Published::Object(export) => export,
            Published::Factory(factory) => caller()?.instance_of(&factory),
        };
        Some(AnyProxy::of_export(export))
    }

    fn describe(&self, name: &str) -> Result<InterfaceInfo, NotRegistered> {
        let found = self.node.upgrade().and_then(|node| node.find(name));
        let interface = found.and_then(|published| published.descriptor());
        interface
            .map(InterfaceInfo::of)
            .ok_or_else(|| NotRegistered(name.to_owned()))
    }

    fn ping(&self) {}

    fn clock(&self) -> u64 {
        wall_clock()
    }

    fn info(&self) -> DaemonInfo {
        let node = self.node.upgrade();
        DaemonInfo {
            name: node
                .as_ref()
                .map(|node| node.name.clone())
                .unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            codecs: node
                .iter()
                .flat_map(|node| node.codecs.iter())
                .map(|codec| codec.to_string())
                .collect(),
            uptime: self.started.elapsed().as_secs(),
            sessions: node.as_ref().map_or(0, |node| {
                u32::try_from(node.sessions().len()).unwrap_or(u32::MAX)
            }),
            failed_oneways: node.map_or(0, |node| node.failed_oneways()),
        }
    }

    fn stat(&self) -> Result<DaemonStat, Denied> {
        self.policy.check(Permission::Inspect)?;
        Ok(stat(&self.sessions()))
    }

    fn exports(&self, session: u64, skip: u32) -> Result<Vec<ExportStat>, Denied> {
        self.policy.check(Permission::Inspect)?;
        let sessions = self.sessions();
        let found = sessions.iter().find(|known| known.number() == session);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        Ok(found.map_or_else(Vec::new, |session| session.export_stats(skip, MAX_EXPORTS)))
    }

    fn publish(&self, name: &str, object: AnyProxy) -> Result<(), PublishError> {
        self.policy
            .check(Permission::Publish)
            .map_err(PublishError::Denied)?;
        let (Some(node), Some(session)) = (self.node.upgrade(), caller()) else {
            // The daemon is gone, or the caller is it.
            return Err(PublishError::Denied(Denied(Permission::Publish)));
        };
        node.publish_for(&session, name, object.to_export(), self.max_published)
    }

    fn withdraw(&self, name: &str) -> bool {
        let (Some(node), Some(session)) = (self.node.upgrade(), caller()) else {
            return false;
        };
        node.withdraw(&session, name).is_some()
    }

    async fn shut_down(&self) -> Result<(), Denied> {
        self.policy.check(Permission::ShutDown)?;
        self.daemon.begin_shutdown();
        Ok(())
    }
}
