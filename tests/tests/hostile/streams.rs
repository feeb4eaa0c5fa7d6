//! Streams whose consumer gives all the credit there is, and reads nothing; or speaks of streams that are not there.

use std::time::Duration;

use farref::prelude::*;
use farref_proto::message::{Beat, Message, StreamCancel, StreamCredit, StreamEnd, StreamItems};
use farref_proto::{CloseCode, Time};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::arena::Arena;
use crate::attacker::{Attacker, NAME, POSTCARD, bind, call, first_bytes, hello};
use crate::target::{Bastion, TargetProxy};
use crate::unread::{PIPE, frame, read_reply};

/// In the number of a stream that the receiver of the message chose.
const THEIRS: u32 = 1 << 31;
const STREAMS: u32 = 20;

#[test]
fn a_consumer_that_gives_all_credit_and_reads_nothing_costs_little_and_is_left() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let daemon = runtime.block_on(async {
        let daemon = Daemon::builder().bind().await.expect("it listens nowhere");
        let proxy = TargetProxy::new(Bastion::default());
        daemon.register(NAME, proxy).expect("the name is free");
        daemon
    });
    let baseline = runtime.metrics().num_alive_tasks();
    let memory = allocation_counter::measure(|| {
        runtime.block_on(async {
            let (mut pipe, theirs) = tokio::io::duplex(PIPE);
            let serving = daemon.serve_io(theirs, "attacker");
            let attack = async {
                let write = first_bytes(hello());
                pipe.write_all(&write).await.expect("it reads");
                pipe.write_all(&frame(&bind(0))).await.expect("it reads");
                for _ in 0..STREAMS {
                    let size = [0x80, 0x80, 0x01];
                    let pages = Message::Call(call(1, "pages", POSTCARD, &size));
                    pipe.write_all(&frame(&pages)).await.expect("it reads");
                    read_reply(&mut pipe, 1).await;
                }
                for number in 0..STREAMS {
                    let credit = Message::StreamCredit(StreamCredit {
                        stream: number | THEIRS,
                        items: u32::MAX,
                        bytes: u64::MAX,
                    });
                    pipe.write_all(&frame(&credit)).await.expect("it reads");
                }
                let began = Instant::now();
                let beat = frame(&Message::Beat(Beat {
                    clock: Time::ZERO,
                    received: 0,
                }));
                while pipe.write_all(&beat).await.is_ok() {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    let took = began.elapsed();
                    assert!(took < Duration::from_secs(600), "it is never left");
                }
            };
            let (peer, ()) = tokio::join!(serving, attack);
            assert!(peer.expect("the handshake was good").is_closed());
        });
    });
    println!("peak: {} bytes", memory.bytes_max);
    assert!(memory.bytes_max < 3 << 20, "{} bytes", memory.bytes_max);
    runtime.block_on(crate::arena::settled(|| {
        runtime.metrics().num_alive_tasks() == baseline
    }));
    assert_eq!(runtime.metrics().num_alive_tasks(), baseline);
}

#[test]
fn who_speaks_of_a_stream_that_is_not_there_is_sent_away() {
    let mut arena = Arena::new();
    let messages = [
        Message::StreamCredit(StreamCredit {
            stream: THEIRS,
            items: 1,
            bytes: 1,
        }),
        Message::StreamCancel(StreamCancel { stream: THEIRS }),
        Message::StreamEnd(StreamEnd {
            stream: 0,
            items: 0,
        }),
        Message::StreamItems(StreamItems {
            stream: 0,
            codec: POSTCARD,
            lengths: vec![1],
            sections: farref_proto::message::Sections {
                body: vec![0].into(),
                ..farref_proto::message::Sections::default()
            },
        }),
    ];
    let endured = arena.endure(|address| {
        messages.clone().map(|message| {
            let mut attacker = Attacker::settle(address);
            attacker.send_message(&message);
            match attacker.receive() {
                Some(Message::Goodbye(reason)) => reason.code,
                other => panic!("a goodbye was expected, and {other:?} came"),
            }
        })
    });
    assert_eq!(endured.saw, [CloseCode::Violation; 4]);
}
