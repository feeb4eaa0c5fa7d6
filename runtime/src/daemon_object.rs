//! The daemon itself as an object: what names it has, what they are, whether it is alive.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Weak;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use farref_macros::expose;
use serde::{Deserialize, Serialize};

use crate::descriptor::InterfaceInfo;
use crate::node::Node;

/// The daemon itself. Every daemon serves it at its URI without an object name.
#[expose(crate = crate, name = "farref.Daemon")]
pub trait DaemonObject {
    /// The names of the registered objects, and the wire names of their interfaces.
    #[idempotent]
    fn registered(&self) -> BTreeMap<String, String>;

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
    started: Instant,
}

impl Host {
    pub(crate) fn new(node: Weak<Node>) -> Self {
        Host {
            node,
            started: Instant::now(),
        }
    }
}

impl DaemonObject for Host {
    fn registered(&self) -> BTreeMap<String, String> {
        self.node
            .upgrade()
            .map(|node| node.names())
            .unwrap_or_default()
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
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
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
}
