//! Child processes that work for their parent: no port, no file, and nothing to clean up when one of them dies.
//!
//! ```console
//! $ cargo run --example workers              # two workers, one of which dies
//! $ cargo run --example workers -- pipes     # the same over their standard input and output, as through ssh
//! ```
//!
//! The program starts itself again, in another role. What a worker prints to its standard error comes to the parent line
//! by line.

#[cfg(unix)]
mod workers {
    use std::process::Command;

    use anyhow::Context;
    use farref::prelude::*;
    use farref::spawn::{Spawned, Spawner};

    /// What a worker does.
    #[expose]
    pub trait Worker {
        /// Counts the primes below `bound`.
        #[blocking]
        fn primes(&self, bound: u32) -> u32;

        /// Never returns.
        async fn crash(&self);
    }

    struct Machine;

    impl Worker for Machine {
        fn primes(&self, bound: u32) -> u32 {
            eprintln!("counting to {bound}");
            let is_prime = |n: &u32| {
                (2..*n)
                    .take_while(|d| d * d <= *n)
                    .all(|d| !n.is_multiple_of(d))
            };
            let count = (2..bound).filter(is_prime).count();
            u32::try_from(count).unwrap_or(u32::MAX)
        }

        async fn crash(&self) {
            std::process::exit(7);
        }
    }

    /// What a worker's process does: it serves its parent until that is gone.
    async fn work() -> anyhow::Result<()> {
        let daemon = Daemon::builder().bind().await?;
        daemon.register("worker", WorkerProxy::new(Machine))?;
        let parent = daemon.serve_parent().await?;
        parent.closed().await;
        Ok(())
    }

    async fn start(client: &Client, name: &'static str, pipes: bool) -> anyhow::Result<Spawned> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("worker");
        let spawner = Spawner::new(command)
            .name(name)
            .log(move |line| println!("{name}: {line}"));
        let spawner = if pipes { spawner.pipes() } else { spawner };
        spawner.spawn(client).await.context("starting a worker")
    }

    async fn lead(pipes: bool) -> anyhow::Result<()> {
        let client = Client::new();
        let (ada, ben) = (
            start(&client, "ada", pipes).await?,
            start(&client, "ben", pipes).await?,
        );
        let (first, second): (WorkerProxy, WorkerProxy) =
            (ada.object("worker").await?, ben.object("worker").await?);

        println!("primes below 1000: {}", first.primes(1000).await?);
        println!("primes below 2000: {}", second.primes(2000).await?);

        if let Err(fault) = first.crash().await {
            println!("lost: {:?}, {:?}", fault.kind(), fault.outcome());
        }
        println!("ada ended with {}", ada.wait().await?);
        println!("ben ended with {}", ben.stop().await?);
        Ok(())
    }

    #[tokio::main(flavor = "current_thread")]
    pub(super) async fn main() -> anyhow::Result<()> {
        match std::env::args().nth(1).as_deref() {
            Some("worker") => work().await,
            Some("pipes") => lead(true).await,
            None => lead(false).await,
            Some(other) => anyhow::bail!("`{other}` is neither `worker` nor `pipes`"),
        }
    }
}

#[cfg(unix)]
fn main() -> anyhow::Result<()> {
    workers::main()
}

#[cfg(not(unix))]
fn main() {
    println!("child processes are started on Unix only");
}
