//! The frameworks that are compared, each a file: a server, a client, and what of the workloads it has no means for.

#[cfg(has_capnp)]
mod capnp;
#[cfg(not(has_capnp))]
#[path = "absent.rs"]
mod capnp;
mod farref;
mod raw;
mod remoc;
mod runtime;
mod tarpc;
mod tonic;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub(crate) use self::farref::{MeterProxy, near as near_farref, ruler};
use self::runtime::Threads;
use crate::loads::{self, Task};
use crate::record::Record;
use crate::workload::Workload;

/// How often idle connections show that they live, where that can be chosen: often, so as not to wait long for it.
pub(crate) const BEAT: Duration = Duration::from_millis(250);
/// How long handlers that take their time take it.
const SLOW: Duration = Duration::from_millis(1);

/// A framework, in one configuration.
pub(crate) trait Peer: 'static {
    /// Its client.
    type Client: Client;
    /// What its clients and its servers run on.
    const THREADS: Threads = Threads::Two;

    /// Serves for ever, on a loopback port that the system chooses, after it told `announce` where.
    fn serve(announce: impl FnOnce(&str) + Send) -> impl Future<Output = Result<()>>;

    /// Opens a connection of its own to the server at this address.
    fn connect(address: &str) -> impl Future<Output = Result<Self::Client>>;

    /// Opens a connection that shows every [`BEAT`] that it lives, if that is a thing that connections do here.
    fn connect_idle(address: &str) -> impl Future<Output = Result<Self::Client>> {
        Self::connect(address)
    }
}

/// One connection to a server. Clones share the connection.
///
/// What some peers have no means for is a method here with a default that refuses, and a line in [`PeerName::offers`].
pub(crate) trait Client: Clone + Send + Sync + 'static {
    /// Adds two numbers: next to no work, next to no bytes.
    fn add(&self, a: u32, b: u32) -> impl Future<Output = Result<u32>> + Send;

    /// Gets bytes back.
    fn echo_bytes(&self, bytes: Bytes) -> impl Future<Output = Result<Bytes>> + Send;

    /// Gets bytes back, of which either side's application owns what it gets.
    fn echo_vec(&self, bytes: Vec<u8>) -> impl Future<Output = Result<Vec<u8>>> + Send;

    /// Gets a record back.
    fn echo_record(&self, record: Record) -> impl Future<Output = Result<Record>> + Send;

    /// Lets the handler take a millisecond of processor time. `marked` chooses the method that says so beforehand, where
    /// there is such a thing.
    fn spin(&self, marked: bool) -> impl Future<Output = Result<()>> + Send;

    /// Lets the handler wait for a millisecond.
    fn wait(&self) -> impl Future<Output = Result<()>> + Send;

    /// Calls without an answer; ends when the call is on its way.
    fn note(&self, _number: u32) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Err(anyhow::anyhow!(
            "this peer has only calls with answers"
        )))
    }

    /// Adds one to each of the numbers below this one, in a batch.
    fn add_in_batch(&self, _calls: u32) -> impl Future<Output = Result<Vec<u32>>> + Send {
        std::future::ready(Err(anyhow::anyhow!("this peer has no batches")))
    }

    /// Adds two numbers by an object that an object returns that the server returns, in one round trip.
    fn add_at_the_end_of_a_chain(
        &self,
        _a: u32,
        _b: u32,
    ) -> impl Future<Output = Result<u32>> + Send {
        std::future::ready(Err(anyhow::anyhow!("this peer does not pipeline calls")))
    }

    /// Has the server send the numbers below this one, each as an item of a stream, and adds them.
    fn count(&self, _items: u64) -> impl Future<Output = Result<u64>> + Send {
        std::future::ready(Err(anyhow::anyhow!("this peer has no streams")))
    }

    /// How many calls without an answer the server has seen.
    fn noted(&self) -> impl Future<Output = Result<u64>> + Send {
        std::future::ready(Err(anyhow::anyhow!(
            "this peer has only calls with answers"
        )))
    }
}

/// What a client process is started to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Errand {
    pub(crate) peer: PeerName,
    pub(crate) task: Task,
    /// Of the server, in the peer's notation.
    pub(crate) address: String,
    /// The server's process.
    pub(crate) server: u32,
    /// How long it runs before it measures.
    pub(crate) warm_up: Duration,
    /// How long it measures.
    pub(crate) measure: Duration,
}

/// Declares the peers' names, and how each is found by its own.
macro_rules! peers {
    ($($(#[$about:meta])* $name:ident = $text:literal: $peer:ty,)*) => {
        /// The peers that there are.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub(crate) enum PeerName {
            $($(#[$about])* $name,)*
        }

        impl PeerName {
            /// All of them, in the order of the table.
            pub(crate) const ALL: &[PeerName] = &[$(PeerName::$name),*];

            /// As it is written on the command line and in the table.
            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $(PeerName::$name => $text,)*
                }
            }
        }

        /// Is a server of this peer, for as long as the process lives.
        pub(crate) fn serve(name: PeerName) -> Result<()> {
            match name {
                $(PeerName::$name => runtime::serve::<$peer>(),)*
            }
        }

        /// Does an errand, and prints what it measured.
        pub(crate) fn call(errand: &Errand) -> Result<()> {
            let measured = match errand.peer {
                $(PeerName::$name => {
                    runtime::run(<$peer as Peer>::THREADS, loads::run::<$peer>(errand))?
                })*
            };
            println!("{}", serde_json::to_string(&measured)?);
            Ok(())
        }
    };
}

peers! {
    /// farref on two worker threads at each end.
    Farref = "farref": farref::Farref<{ Threads::Two as u8 }>,
    /// farref on one thread at each end.
    FarrefCurrent = "farref-current": farref::Farref<{ Threads::One as u8 }>,
    /// farref on two worker threads at each end, which sleep as soon as there is nothing to do, as those of the others.
    FarrefSleep = "farref-sleep": farref::Farref<{ Threads::Two as u8 }, false>,
    /// The hand-written loop.
    Raw = "raw": raw::Raw,
    /// The same again, to see how far figures of the same thing are apart.
    Raw2 = "raw2": raw::Raw,
    /// The hand-written loop on one thread, where a caller that is alone writes by itself.
    RawBest = "raw-best": raw::RawBest,
    /// The hand-written loop with a task for each request.
    RawSpawn = "raw-spawn": raw::RawSpawn,
    /// tarpc over TCP with bincode.
    Tarpc = "tarpc": tarpc::Tarpc,
    /// tonic, gRPC over HTTP/2.
    Tonic = "tonic": tonic::Tonic,
    /// Cap'n Proto.
    Capnp = "capnp-rpc": capnp::Capnp,
    /// remoc over TCP.
    Remoc = "remoc": remoc::Remoc,
}

impl PeerName {
    /// The peer that is written like this.
    pub(crate) fn from_text(text: &str) -> Result<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|peer| peer.as_str() == text)
            .with_context(|| {
                let known: Vec<_> = Self::ALL.iter().map(|peer| peer.as_str()).collect();
                format!("`{text}` is no peer; there are {}", known.join(", "))
            })
    }

    /// Why this build has no such peer, if it has none.
    pub(crate) fn missing(self) -> Option<&'static str> {
        (self == PeerName::Capnp && !cfg!(has_capnp)).then_some(
            "its compiler `capnp` was not there when this was built (Debian has it in `capnproto`)",
        )
    }

    /// Whether this peer has the means for a workload, and whether it would tell anything.
    pub(crate) fn offers(self, workload: Workload) -> bool {
        use Workload::{A, B, C, D, F, H, M, N, P, S};
        match self {
            PeerName::Farref => true,
            PeerName::FarrefCurrent => matches!(workload, A | B | C | D),
            PeerName::FarrefSleep => matches!(workload, A | B | C | D | F),
            // A millisecond of work stops everything else on one thread, of whatever make.
            PeerName::RawBest => !matches!(workload, M | N | P),
            PeerName::Raw | PeerName::Raw2 => !matches!(workload, N | P),
            PeerName::RawSpawn => !matches!(workload, N | P | S),
            PeerName::Tonic | PeerName::Remoc => !matches!(workload, H | N | P),
            PeerName::Tarpc | PeerName::Capnp => !matches!(workload, H | N | P | S),
        }
    }

    /// Whether its calls can be put into batches.
    pub(crate) fn batches(self) -> bool {
        self == PeerName::Farref
    }

    /// Whether its mixed load is also measured with the slow method unmarked.
    pub(crate) fn marks(self) -> bool {
        self == PeerName::Farref
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Takes a millisecond of processor time.
fn spin() {
    let used = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::from_secs(time.tv_sec.unsigned_abs())
            + Duration::from_nanos(time.tv_nsec.unsigned_abs())
    };
    let end = used() + SLOW;
    while used() < end {}
}

/// Waits a millisecond.
async fn pause() {
    tokio::time::sleep(SLOW).await;
}

/// Fails if an echo is not as long as what was sent.
pub(crate) fn expect_length(length: usize, expected: usize) -> Result<()> {
    if length != expected {
        bail!("{length} bytes came back instead of {expected}");
    }
    Ok(())
}
