//! Calls back on the same connection, to any depth.

use std::sync::Mutex;

use farref::prelude::*;
use farref::{FaultKind, Limits};

use crate::support::{assert_baseline, barrier, tcp_daemon};

#[expose]
pub trait Ping {
    async fn ping(&self, depth: u32, other: PingProxy) -> Result<u32, farref_tests_error::E>;
    async fn keep(&self, other: PingProxy);
    async fn forget(&self);
}

mod farref_tests_error {
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    pub struct E(pub String);
}
use farref_tests_error::E;

#[derive(Default)]
struct Player(Mutex<Option<PingProxy>>);

impl Ping for Player {
    async fn ping(&self, depth: u32, other: PingProxy) -> Result<u32, E> {
        if depth == 0 {
            return Ok(0);
        }
        let me = PingProxy::new(Player::default());
        match other.ping(depth - 1, me).await {
            Ok(n) => Ok(n + 1),
            Err(CallError::App(error)) => Err(error),
            Err(CallError::Fault(fault)) => Err(E(format!("{:?}", fault.kind()))),
        }
    }
    async fn keep(&self, other: PingProxy) {
        *self.0.lock().unwrap() = Some(other);
    }
    async fn forget(&self) {
        self.0.lock().unwrap().take();
    }
}

#[tokio::test]
async fn mutual_recursion_ends_at_the_limit() {
    let daemon = tcp_daemon().await;
    let uri = daemon.register("ping", PingProxy::new(Player::default())).unwrap();
    let client = Client::new();
    let ping: PingProxy = client.connect(&uri).await.unwrap();
    assert_eq!(ping.ping(20, PingProxy::new(Player::default())).await.unwrap(), 20);
    let error = ping.ping(100, PingProxy::new(Player::default())).await.unwrap_err();
    assert!(format!("{error:?}").contains("DepthExceeded"), "{error:?}");
    barrier(&client, &daemon).await.unwrap();
    barrier(&client, &daemon).await.unwrap();
    assert_baseline(&client.peers(), "client");
    assert_baseline(&daemon.peers(), "daemon");
    let _ = (FaultKind::DepthExceeded, Limits::default());
}

#[tokio::test]
async fn a_kept_callback_lives_until_it_is_dropped() {
    let daemon = tcp_daemon().await;
    let uri = daemon.register("ping", PingProxy::new(Player::default())).unwrap();
    let client = Client::new();
    let ping: PingProxy = client.connect(&uri).await.unwrap();
    ping.keep(PingProxy::new(Player::default())).await.unwrap();
    assert_eq!(client.peers()[0].tables().exports, 1);
    ping.forget().await.unwrap();
    barrier(&client, &daemon).await.unwrap();
    assert_baseline(&client.peers(), "client");
}
