//! The kinds of load, and what each says about a peer.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of load. Each is measured by a client process of its own against a server process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Workload {
    /// One small call at a time.
    A,
    /// Small calls, one connection, 64 in flight; K, the processor time that they take, is measured with it.
    B,
    /// Small calls, one connection, 512 in flight.
    C,
    /// Small calls, 8 connections with 32 in flight each.
    D,
    /// An echo of bytes, large and middling, as `Bytes` and as `Vec<u8>`.
    E,
    /// An echo of a record, 64 in flight.
    F,
    /// Calls that are not answered.
    H,
    /// A thousand calls started at once, and as a batch.
    I,
    /// Memory of the server for each idle connection.
    J,
    /// Fast calls among slow ones.
    M,
    /// Calls within one process.
    N,
    /// A call on the result of a call on the result of a call.
    P,
    /// A stream of numbers.
    S,
}

impl Workload {
    /// All of them, in the order in which they are run and shown.
    pub(crate) const ALL: [Workload; 13] = [
        Workload::A,
        Workload::B,
        Workload::C,
        Workload::D,
        Workload::E,
        Workload::F,
        Workload::H,
        Workload::I,
        Workload::J,
        Workload::M,
        Workload::N,
        Workload::P,
        Workload::S,
    ];

    /// The workload of this letter. K is measured by B.
    pub(crate) fn from_letter(letter: &str) -> Option<Self> {
        let letter = if letter == "K" { "B" } else { letter };
        Self::ALL
            .into_iter()
            .find(|workload| workload.to_string() == letter)
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
