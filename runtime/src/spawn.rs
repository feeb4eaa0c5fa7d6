//! Processes that this one starts and calls.
//!
//! The way between the two is there before the child runs, and nobody else can take it: no port, no file, nothing to wait
//! for and nothing to find. It is a socket whose other end is the child's standard input, so the child's output stays its
//! own, or, where only those are at hand, as through `ssh`, the child's standard input and output ([`Spawner::pipes`]).
//!
//! The child serves by [`DaemonHandle::serve_parent`](crate::DaemonHandle::serve_parent):
//!
//! ```no_run
//! # use farref::prelude::*;
//! # #[expose]
//! # pub trait Counter {
//! #     fn count(&self) -> u32;
//! # }
//! # struct Zero;
//! # impl Counter for Zero {
//! #     fn count(&self) -> u32 {
//! #         0
//! #     }
//! # }
//! # async fn child() -> farref::Result<()> {
//! let daemon = Daemon::builder().bind().await?;
//! daemon.register("counter", CounterProxy::new(Zero))?;
//! let parent = daemon.serve_parent().await?;
//! parent.closed().await;
//! # Ok(())
//! # }
//! ```
//!
//! and the parent has a [`Spawned`], through which it finds what the child registered:
//!
//! ```no_run
//! # use farref::prelude::*;
//! # use std::process::Command;
//! # #[expose]
//! # pub trait Counter {
//! #     fn count(&self) -> u32;
//! # }
//! # async fn parent() -> farref::Result<()> {
//! let worker = Client::new().spawn(Command::new("worker")).await?;
//! let counter: CounterProxy = worker.object("counter").await?;
//! counter.count().await?;
//! worker.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Both sides call: what the parent's client [publishes](crate::Client::publish) is found by the child, through the peer
//! that `serve_parent` returns. When the child dies, the parent's calls fail with `SessionLost`, and the client's
//! `on_session_lost` is told, as of any session that is lost.

mod logging;
mod parent;
mod supervision;

use std::fmt;
use std::os::fd::OwnedFd;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::process::Child as Process;
use tokio::sync::watch;

use self::logging::Log;
use self::supervision::{Exit, Order, supervise};
use crate::client::Client;
use crate::error::{Fault, FaultKind, Result};
use crate::peer::Peer;
use crate::proxy::Proxy;
use crate::task;

/// How long a child that is told to stop may take, unless a [`Spawner`] says otherwise.
const GRACE: Duration = Duration::from_secs(5);

/// Says how a child process is started and ended.
#[must_use = "nothing is started until `spawn` is called"]
pub struct Spawner {
    command: Command,
    name: Option<String>,
    pipes: bool,
    grace: Duration,
    log: Option<Log>,
}

impl Spawner {
    /// Starts what `command` says. Its standard input is farref's, whatever the command says of it; so is its standard
    /// output with [`pipes`](Spawner::pipes), and its standard error with [`log`](Spawner::log).
    pub fn new(command: Command) -> Self {
        Spawner {
            command,
            name: None,
            pipes: false,
            grace: GRACE,
            log: None,
        }
    }

    /// What the child is called in messages; the default is its program and its number.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Speaks over the child's standard input and output instead of a socket: for programs that pass those on, such as
    /// `ssh`. Nothing else may be printed there.
    pub fn pipes(mut self) -> Self {
        self.pipes = true;
        self
    }

    /// How long the child may go on after its session has ended, before it is killed; the default is 5 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Gets each line that the child prints to its standard error, without its end; one of more than 8 KiB comes in parts.
    /// The default is that the child prints where this process does.
    ///
    /// The child waits while `log` runs, if it prints more than a pipe holds. A panic of `log` is reported and loses the line.
    pub fn log(mut self, log: impl FnMut(&str) + Send + 'static) -> Self {
        self.log = Some(Box::new(log));
        self
    }

    /// Starts the process, and returns when it serves.
    ///
    /// # Errors
    ///
    /// `ConnectFailed`, if it cannot be started, or ended before it served; the message has its exit status. `Refused`, if
    /// it does not let this client in. A process that does not serve within the client's `handshake_timeout` is killed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future kills the process.
    pub async fn spawn(self, client: &Client) -> Result<Spawned> {
        let program = self.command.get_program().to_string_lossy().into_owned();
        let failed = |error: &std::io::Error| {
            Fault::not_started(
                FaultKind::ConnectFailed,
                format!("cannot start `{program}`: {error}"),
            )
            .with_cause(error)
        };
        let Started {
            mut process,
            socket,
        } = start(self.command, self.pipes, self.log.is_some()).map_err(|error| failed(&error))?;
        let id = process.id().unwrap_or_default();
        let name = self
            .name
            .unwrap_or_else(|| format!("{program} (process {id})"));
        if let (Some(log), Some(output)) = (self.log, process.stderr.take()) {
            task::spawn(logging::forward(output, log, name.clone()));
        }
        let opened = match (socket, process.stdin.take(), process.stdout.take()) {
            (Some(socket), ..) => client.from_io(socket, &*name).await,
            (None, Some(input), Some(output)) => {
                client.from_io(tokio::io::join(output, input), &*name).await
            }
            (None, ..) => Err(Fault::not_started(
                FaultKind::ConnectFailed,
                format!("`{program}` has no pipes"),
            )),
        };
        let peer = match opened {
            Ok(peer) => peer,
            Err(fault) => return Err(never_served(&mut process, &name, fault).await),
        };
        let orders = watch::Sender::new(Order::Run);
        let exit = watch::Sender::new(None);
        let spawned = Spawned {
            exit: exit.subscribe(),
            peer: peer.clone(),
            id,
            orders,
        };
        let ordered = spawned.orders.subscribe();
        let supervised = supervise(process, peer, ordered, self.grace);
        task::spawn(async move {
            exit.send_replace(Some(supervised.await));
        });
        Ok(spawned)
    }
}

struct Started {
    process: Process,
    /// This process's end of the socket, if it is one.
    socket: Option<UnixStream>,
}

/// Starts the process with its way to this one.
fn start(mut command: Command, pipes: bool, logs: bool) -> std::io::Result<Started> {
    let mut socket = None;
    if pipes {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
    } else {
        let (mine, its) = std::os::unix::net::UnixStream::pair()?;
        mine.set_nonblocking(true)?;
        socket = Some(UnixStream::from_std(mine)?);
        command.stdin(Stdio::from(OwnedFd::from(its)));
    }
    if logs {
        command.stderr(Stdio::piped());
    }
    // The command has the child's end, so it must be gone when the child is to be the only one that has it.
    let process = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .spawn()?;
    Ok(Started { process, socket })
}

/// Ends a process that did not come to serve, and says why it did not.
async fn never_served(process: &mut Process, name: &str, fault: Fault) -> Fault {
    if fault.kind() == FaultKind::Refused {
        return fault;
    }
    // Who closes its end is about to exit; who said nothing is killed.
    let ended = tokio::time::timeout(supervision::LAST_WORDS, process.wait()).await;
    let text = match ended {
        Ok(Ok(status)) => format!("{name} ended before it served, with {status}"),
        _ => format!("{name} does not serve: {}", fault.message()),
    };
    Fault::not_started(FaultKind::ConnectFailed, text).with_cause(&fault)
}

/// A process that this one started, and serves it.
///
/// Dropping it ends the session, which tells the child to end; a child that goes on for longer than its
/// [`grace`](Spawner::grace) is killed. So is one whose session ended for another reason, and one that still runs when the
/// runtime ends. A child that is killed with its parent, or whose parent is killed, sees the session end.
#[derive(Debug)]
#[must_use = "dropping it tells the child to end"]
pub struct Spawned {
    peer: Peer,
    id: u32,
    orders: watch::Sender<Order>,
    exit: watch::Receiver<Option<Exit>>,
}

impl Spawned {
    /// The session with the child.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// A proxy to the object that the child registered under this name.
    ///
    /// # Errors
    ///
    /// As [`Peer::object`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the request.
    pub async fn object<P: Proxy>(&self, name: &str) -> Result<P> {
        self.peer.object(name).await
    }

    /// Waits until the process and the session with it have ended, and returns how the process did.
    ///
    /// # Errors
    ///
    /// `Internal`, if the system does not tell; `SessionLost`, if the runtime that the process was started on has ended.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn wait(&self) -> Result<ExitStatus> {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await {
            Ok(exit) => match &*exit {
                Some(exit) => exit.clone(),
                None => Err(unwatched()),
            },
            Err(_) => Err(unwatched()),
        }
    }

    /// Ends the session, and waits until the process has ended; kills it if it goes on for longer than its
    /// [`grace`](Spawner::grace).
    ///
    /// # Errors
    ///
    /// As [`wait`](Spawned::wait).
    ///
    /// # Cancel safety
    ///
    /// The process is ended also if the future is dropped.
    pub fn stop(&self) -> impl Future<Output = Result<ExitStatus>> + Send {
        self.order(Order::Stop);
        self.wait()
    }

    /// Kills the process, and waits until it has ended.
    ///
    /// # Errors
    ///
    /// As [`wait`](Spawned::wait).
    ///
    /// # Cancel safety
    ///
    /// The process is killed also if the future is dropped.
    pub fn kill(&self) -> impl Future<Output = Result<ExitStatus>> + Send {
        self.order(Order::Kill);
        self.wait()
    }

    fn order(&self, order: Order) {
        self.orders.send_modify(|given| *given = order.max(*given));
    }
}

fn unwatched() -> Fault {
    Fault::not_started(
        FaultKind::SessionLost,
        "the runtime that watched the process has ended",
    )
}

impl Client {
    /// Starts a process that serves this client alone, and returns when it does; see [`spawn`](mod@crate::spawn).
    ///
    /// # Errors
    ///
    /// As [`Spawner::spawn`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future kills the process.
    pub async fn spawn(&self, command: Command) -> Result<Spawned> {
        Spawner::new(command).spawn(self).await
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner")
            .field("command", &self.command)
            .field("pipes", &self.pipes)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}
