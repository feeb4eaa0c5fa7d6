//! What a daemon tells of its sessions to those who may look.

use serde::{Deserialize, Serialize};

/// A daemon at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonStat {
    /// Its sessions, in the order in which they were opened.
    pub sessions: Vec<SessionStat>,
    /// The calls that wait for a serial object of the process, and those that they wait for.
    ///
    /// A call has the same chain in every process that it passes through. So a circle that runs through several
    /// processes, which none of them sees by itself, shows when their lists are put together.
    pub waits: Vec<WaitStat>,
}

/// A session at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStat {
    /// Its number, which no other session of the process has.
    pub number: u64,
    /// Where the peer is.
    pub peer: String,
    /// What the peer calls itself.
    pub name: String,
    /// Whether the peer proved who it is.
    pub authenticated: bool,
    /// How long ago the session began, in microseconds.
    pub age: u64,
    /// How many calls and oneways of the peer are being served.
    pub serving: u32,
    /// Those of them that did not end at once, oldest first; 256 at most.
    pub calls: Vec<CallStat>,
    /// How many calls were made to the peer and are not answered.
    pub calls_out: u32,
    /// How many objects the peer holds by references.
    pub exports: u32,
    /// How many objects the peer holds by their names.
    pub names: u32,
    /// How many of the peer's objects this process holds.
    pub imports: u32,
    /// Bytes that wait to be written.
    pub unsent: u64,
    /// Bytes that the peer has not acknowledged.
    pub unacknowledged: u64,
}

/// A call that is being served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallStat {
    /// The method, as `Interface.method`.
    pub method: String,
    /// The chain of calls that it belongs to, in hexadecimal; empty if it has none yet.
    pub chain: String,
    /// How many calls across processes lie between the first call of the chain and this one.
    pub depth: u16,
    /// Whether nobody waits for its answer.
    pub oneway: bool,
    /// How long ago it was handed to its task, in microseconds.
    pub age: u64,
}

/// A call that waits for a serial object which another call holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitStat {
    /// The method that waits.
    pub waiting: String,
    /// Its chain, in hexadecimal.
    pub chain: String,
    /// The method that holds the object.
    pub holder: String,
    /// The holder's chain, in hexadecimal.
    pub holder_chain: String,
}

/// An object that a daemon has given out, and to whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportStat {
    /// The number of the session that holds it.
    pub session: u64,
    /// Where its holder is.
    pub peer: String,
    /// The object's number; one object may be held by several sessions, and under several interfaces.
    pub object: u64,
    /// The wire name of the interface under which it is held; empty for an object of another process, to which calls
    /// are passed on.
    pub interface: String,
    /// How many references the peer was given and has not given back; 0 if it asked for the object by its name.
    pub grants: u32,
}
