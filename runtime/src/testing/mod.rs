//! A network in memory, for tests of what faults do to an application.
//!
//! Daemons and clients of a [`Network`] live in one process and on the test's own runtime, and whatever they say to each
//! other passes through the network, which a test cuts, delays, parts and heals as it likes. They run the same code as
//! over TCP. [`Pair`] is the smallest one: a daemon, a client and the [`Link`] between them.
//!
//! With tokio's time paused (`#[tokio::test(start_paused = true)]`, feature `test-util` of tokio), waits take no time: a
//! partition of a minute is over in a millisecond, and whatever has to happen within it has happened. On a runtime of one
//! thread with paused time, and with what is random [`seeded`](seed()), a test runs the same way each time.
//!
//! # Examples
//!
//! An application that books seats, and what must hold of it when the network fails: no seat is booked twice, and who
//! cannot know whether it was booked is told so.
//!
//! ```
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use std::time::Duration;
//!
//! use farref::prelude::*;
//! use farref::testing::Pair;
//! use farref::{FaultKind, Outcome};
//!
//! #[expose]
//! pub trait Seats {
//!     /// Books a seat, and returns its number.
//!     async fn book(&self) -> u32;
//! }
//!
//! #[derive(Default)]
//! struct Hall(AtomicU32);
//!
//! impl Seats for Hall {
//!     async fn book(&self) -> u32 {
//!         self.0.fetch_add(1, Ordering::Relaxed) + 1
//!     }
//! }
//!
//! # fn main() -> farref::Result<()> {
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
//! # runtime.expect("a runtime").block_on(async {
//! // In a `#[tokio::test(start_paused = true)]`:
//! let pair = Pair::new().await?;
//! let seats = pair.serve("hall", SeatsProxy::new(Hall::default())).await?;
//! assert_eq!(seats.book().await?, 1);
//!
//! // The connection is cut when 20 bytes of the next call have passed: the session goes on over another.
//! pair.link().cut_after(pair.client_host(), 20);
//! assert_eq!(seats.book().await?, 2);
//! assert_eq!(pair.link().connections(), 2);
//!
//! // The network is away for ten seconds, in both directions, which nobody is told. What is said arrives later.
//! pair.link().partition();
//! let healed = async {
//!     tokio::time::sleep(Duration::from_secs(10)).await;
//!     pair.link().heal();
//! };
//! let (booked, ()) = tokio::join!(seats.book(), healed);
//! assert_eq!(booked?, 3);
//!
//! // It is away for good: the call fails, and says that it may have run.
//! pair.link().partition();
//! let fault = seats.book().await.unwrap_err();
//! assert_eq!((fault.kind(), fault.outcome()), (FaultKind::SessionLost, Outcome::Unknown));
//!
//! // When it is back, the same proxy finds the hall again. The call that failed has not run: it never arrived.
//! pair.link().heal();
//! assert_eq!(seats.book().await?, 4);
//! # Ok(())
//! # })
//! # }
//! ```

mod pair;
mod pipe;
mod state;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;

pub use self::pair::Pair;
use self::pipe::transport;
use self::state::{Route, State};
use crate::peer::PeerAddress;
use crate::transport::{Transport, memory};
use crate::uri::{Address, Uri};
use crate::{ClientBuilder, DaemonBuilder, random};

/// A network of hosts in this process.
///
/// Clones are the same network. It has no faults until a test makes them.
#[derive(Clone)]
pub struct Network(Arc<Shared>);

struct Shared {
    number: u32,
    state: Mutex<State>,
    /// Told of partitions that end and hosts that crash, for those who wait to connect.
    changed: Notify,
}

impl Network {
    /// A network without hosts.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Network(Arc::new(Shared {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            state: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// The host of this name, which is made if there is none.
    pub fn host(&self, name: &str) -> Host {
        // Of one length, so that no test depends on how many networks there were.
        let address = format!("network-{:010}.{name}", self.0.number);
        Host {
            network: self.clone(),
            host: self.0.change(|state, _| state.host(&address)),
            address,
        }
    }

    /// The way between two hosts, in both directions.
    pub fn link(&self, one: &Host, other: &Host) -> Link {
        Link {
            network: self.clone(),
            ends: [one.host, other.host],
        }
    }

    /// Ends all partitions; delays stay.
    pub fn heal(&self) {
        self.0.change(State::heal);
        self.0.tell_of_change();
    }
}

impl Default for Network {
    fn default() -> Self {
        Network::new()
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Network").field(&self.0.number).finish()
    }
}

impl Shared {
    /// Looks at the network or changes it, and then wakes who has something to do.
    fn change<R>(&self, change: impl FnOnce(&mut State, &mut Vec<Waker>) -> R) -> R {
        let mut woken = Vec::new();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut state, &mut woken);
        drop(state);
        for waker in woken {
            waker.wake();
        }
        result
    }

    /// Has those who wait to connect look again.
    fn tell_of_change(&self) {
        self.changed.notify_waiters();
    }
}

/// A machine of a [`Network`], on which a daemon may listen and clients may run.
#[derive(Clone, Debug)]
pub struct Host {
    network: Network,
    host: usize,
    address: String,
}

impl Host {
    /// Begins to configure a daemon that listens here.
    pub fn daemon(&self) -> DaemonBuilder {
        DaemonBuilder::default().listen(self.at()).at(self.place())
    }

    /// Begins to configure a client whose connections begin here.
    pub fn client(&self) -> ClientBuilder {
        ClientBuilder::default().at(self.place())
    }

    /// The URI of an object that the daemon here has, or will have. Clients that are not of the network reach it as well,
    /// and no fault of the network concerns them.
    pub fn uri(&self, object: &str) -> Uri {
        self.at().with_object(object)
    }

    /// Does to the others what they see of a process that is killed: all connections with this host break, without a
    /// goodbye, and nobody connects to it until a daemon is bound here again.
    ///
    /// The daemon and the clients that were made before are cut off for good. They still run, so a test should drop them
    /// and what they hold; handlers that were running are cancelled when the daemon is dropped.
    pub fn crash(&self) {
        memory::forget(&self.address);
        let host = self.host;
        self.network
            .0
            .change(|state, woken| state.crash(host, woken));
        self.network.0.tell_of_change();
    }

    fn at(&self) -> Uri {
        Uri::direct(Address::Memory(self.address.clone()), None)
    }

    fn place(&self) -> Place {
        let host = self.host;
        Place {
            network: self.network.clone(),
            host,
            life: self.network.0.change(|state, _| state.life(host)),
        }
    }
}

/// Where in a network a daemon or a client is.
#[derive(Clone)]
pub(crate) struct Place {
    network: Network,
    host: usize,
    /// How often the host had crashed when this was made.
    life: u64,
}

impl Place {
    /// Connects to what listens at this address.
    pub(crate) async fn connect(&self, address: &str) -> io::Result<Transport> {
        let shared = &self.network.0;
        let mut has_waited = false;
        let connection = loop {
            let mut changed = std::pin::pin!(shared.changed.notified());
            changed.as_mut().enable();
            let route = shared.change(|state, _| {
                let route = state.route((self.host, self.life), address);
                match route {
                    Route::Open(to, delay) if has_waited || delay.is_zero() => {
                        Ok(state.open([self.host, to]))
                    }
                    other => Err(other),
                }
            });
            match route {
                Ok(connection) => break connection,
                // There and back, as TCP's own handshake.
                Err(Route::Open(_, delay)) => {
                    tokio::time::sleep(delay).await;
                    has_waited = true;
                }
                Err(Route::Blocked) => changed.await,
                Err(Route::Dead) => return Err(io::ErrorKind::NetworkUnreachable.into()),
                Err(Route::Elsewhere) => return memory::connect(address).await,
            }
        };
        let peer = PeerAddress::Memory(address.to_owned());
        let [near, far] = [0, 1].map(|side| transport(&self.network, connection, side, &peer));
        memory::offer(address, far).await?;
        Ok(near)
    }
}

/// The way between two hosts of a [`Network`], and what can go wrong with it.
#[derive(Clone, Debug)]
pub struct Link {
    network: Network,
    ends: [usize; 2],
}

impl Link {
    /// Breaks the connections that there are; both ends notice, and what was under way is lost. New ones can be made.
    pub fn cut(&self) {
        self.change(|state, ends, woken| state.cut(ends, woken));
    }

    /// Breaks a connection as soon as so many more bytes have been sent from `from`: they still arrive, and nothing else
    /// does. Only the first that comes so far breaks.
    pub fn cut_after(&self, from: &Host, bytes: usize) {
        let to = self.opposite(from);
        self.change(|state, _, _| state.way([from.host, to]).cut_after = Some(bytes));
    }

    /// Breaks the connections that there are at the end of `at` alone. The other end hears nothing of it: what was on its
    /// way there arrives, and then there is silence.
    pub fn cut_at(&self, at: &Host) {
        self.opposite(at);
        self.change(|state, ends, woken| state.cut_at(ends, at.host, woken));
    }

    /// Has the connections that there are carry nothing any more, for good, which nobody is told. New ones can be made.
    pub fn silence(&self) {
        self.change(|state, ends, _| state.silence(ends));
    }

    /// Lets nothing pass in either direction, which nobody is told, until it is [healed](Link::heal): what is said
    /// meanwhile arrives then, if its connection was not given up.
    pub fn partition(&self) {
        self.change(|state, [one, other], _| {
            state.way([one, other]).is_blocked = true;
            state.way([other, one]).is_blocked = true;
        });
    }

    /// The same as [`partition`](Link::partition), in one direction: what `from` says does not arrive. No connection is
    /// made in either direction.
    pub fn block(&self, from: &Host) {
        let to = self.opposite(from);
        self.change(|state, _, _| state.way([from.host, to]).is_blocked = true);
    }

    /// Ends a partition.
    pub fn heal(&self) {
        self.change(|state, ends, woken| state.heal_link(ends, woken));
        self.network.0.tell_of_change();
    }

    /// How long everything that is said from now on takes, in each direction. Connecting takes it twice.
    pub fn set_delay(&self, delay: Duration) {
        self.change(|state, [one, other], _| {
            state.way([one, other]).delay = delay;
            state.way([other, one]).delay = delay;
        });
    }

    /// How many connections have been made.
    pub fn connections(&self) -> usize {
        self.change(|state, [one, other], _| {
            state.way([one, other]).connections + state.way([other, one]).connections
        })
    }

    /// How many bytes have been sent from `from`.
    pub fn sent(&self, from: &Host) -> u64 {
        let to = self.opposite(from);
        self.change(|state, _, _| state.way([from.host, to]).sent)
    }

    fn change<R>(&self, change: impl FnOnce(&mut State, [usize; 2], &mut Vec<Waker>) -> R) -> R {
        self.network
            .0
            .change(|state, woken| change(state, self.ends, woken))
    }

    /// The end that is not this one.
    #[track_caller]
    fn opposite(&self, end: &Host) -> usize {
        let [one, other] = self.ends;
        match end.host {
            host if host == one => other,
            host if host == other => one,
            _ => panic!("{} is no end of this link", end.address),
        }
    }
}

/// Makes what farref draws on this thread from now on, such as ids, secrets and the jitter of waits, the same whenever
/// it begins with this seed. Nothing that is drawn like this is secret any more.
pub fn seed(seed: u64) {
    random::seed(seed);
}
