//! A peer that makes calls, shows that it lives, and never reads an answer.
//!
//! A pipe in memory stands for the network, so that a minute passes in no time.

use std::time::Duration;

use bytes::BytesMut;
use farref::prelude::*;
use farref_proto::Time;
use farref_proto::frame::{Header, PREAMBLE};
use farref_proto::message::{Beat, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

use crate::attacker::{NAME, POSTCARD, bind, call, first_bytes, hello};
use crate::target::{Bastion, TargetProxy};

/// What the pipe holds, as the system's buffers would.
pub(crate) const PIPE: usize = 64 << 10;
/// The calls that are never read the answers of, and what each answer takes.
const CALLS: u32 = 100;
const PAGE: u32 = 20_000;

/// Reads until the answer to this call has come.
pub(crate) async fn read_reply(pipe: &mut DuplexStream, id: u32) {
    let mut input = BytesMut::new();
    loop {
        pipe.read_buf(&mut input).await.expect("the daemon answers");
        if input.starts_with(&PREAMBLE) {
            let _ = input.split_to(PREAMBLE.len());
        }
        while let Some(header) = Header::peek(&input, u32::MAX).expect("the daemon is honest") {
            if input.len() < header.frame_length() {
                break;
            }
            let frame = input.split_to(header.frame_length()).freeze();
            let message = Message::decode(&frame, &hello().grants).expect("the daemon is honest");
            if matches!(message, Message::Reply(reply) if reply.id == id) {
                return;
            }
        }
    }
}

pub(crate) fn frame(message: &Message) -> BytesMut {
    let mut bytes = BytesMut::new();
    message.encode(&mut bytes);
    bytes
}

#[test]
fn a_peer_that_never_reads_is_left_after_a_minute() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let bastion = Bastion::default();
    let daemon = runtime.block_on(async {
        let daemon = Daemon::builder().bind().await.expect("it listens nowhere");
        let proxy = TargetProxy::new(bastion.clone());
        daemon.register(NAME, proxy).expect("the name is free");
        daemon
    });
    let baseline = runtime.metrics().num_alive_tasks();
    let mut left_after = Duration::ZERO;
    let memory = allocation_counter::measure(|| {
        left_after = runtime.block_on(async {
            let (mut pipe, theirs) = tokio::io::duplex(PIPE);
            let serving = daemon.serve_io(theirs, "attacker");
            let attack = async {
                pipe.write_all(&first_bytes(hello()))
                    .await
                    .expect("it reads");
                pipe.write_all(&frame(&bind(0))).await.expect("it reads");
                let good = Message::Call(call(1, "add", POSTCARD, &[2, 3]));
                pipe.write_all(&frame(&good)).await.expect("it reads");
                read_reply(&mut pipe, 1).await;
                for id in 0..CALLS {
                    let size = [0xa0, 0x9c, 0x01];
                    let page = Message::Call(call(id, "page", POSTCARD, &size));
                    pipe.write_all(&frame(&page)).await.expect("it reads");
                }
                let began = Instant::now();
                let beat = frame(&Message::Beat(Beat {
                    clock: Time::ZERO,
                    received: 0,
                }));
                while pipe.write_all(&beat).await.is_ok() {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    assert!(
                        began.elapsed() < Duration::from_secs(600),
                        "it is never left"
                    );
                }
                began.elapsed()
            };
            let (peer, left_after) = tokio::join!(serving, attack);
            assert!(peer.expect("the handshake was good").is_closed());
            left_after
        });
    });
    println!("peak: {} bytes, after {left_after:?}", memory.bytes_max);
    let minute = Duration::from_secs(60)..Duration::from_secs(70);
    assert!(minute.contains(&left_after), "{left_after:?}");
    // All answers wait, once as bytes of the session and once as chunks being written.
    let bound = 2 * u64::from(CALLS * PAGE) + (1 << 20);
    assert!(memory.bytes_max < bound, "{} bytes", memory.bytes_max);
    runtime.block_on(crate::arena::settled(|| {
        runtime.metrics().num_alive_tasks() == baseline
    }));
    assert_eq!(runtime.metrics().num_alive_tasks(), baseline);
    assert!(daemon.peers().is_empty());
}
