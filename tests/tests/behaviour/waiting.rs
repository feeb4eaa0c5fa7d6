//! How sessions wait for their peers: however long they ask before they sleep, calls are answered and ends are seen.

use std::time::Duration;

use farref::Shutdown;
use farref::prelude::*;

use crate::support::{Directory, memory_uri};

#[expose]
trait Echo {
    fn echo(&self, n: u32) -> u32;
}

struct Wall;

impl Echo for Wall {
    fn echo(&self, n: u32) -> u32 {
        n
    }
}

async fn calls_and_ends(busy_poll: Duration) {
    let directory = Directory::new();
    let daemon = Daemon::builder()
        .busy_poll(busy_poll)
        .listen("far://127.0.0.1:0")
        .listen(format!("far+unix:{}", directory.path("socket").display()))
        .listen(memory_uri())
        .bind()
        .await
        .unwrap();
    daemon.register("wall", EchoProxy::new(Wall)).unwrap();
    let client = Client::builder().busy_poll(busy_poll).build();
    let mut walls: Vec<EchoProxy> = Vec::new();
    for uri in daemon.uris() {
        walls.push(client.connect(&uri.with_object("wall")).await.unwrap());
    }
    for n in 0..50 {
        for wall in &walls {
            assert_eq!(wall.echo(n).await.unwrap(), n);
        }
    }
    daemon.shutdown(Shutdown::default()).await;
    for wall in &walls {
        wall.echo(0).await.expect_err("nobody is there");
    }
}

#[tokio::test]
async fn sessions_that_sleep_at_once() {
    calls_and_ends(Duration::ZERO).await;
}

#[tokio::test]
async fn sessions_that_ask_for_a_moment() {
    calls_and_ends(Duration::from_micros(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_ask_for_ever() {
    calls_and_ends(Duration::MAX).await;
}
