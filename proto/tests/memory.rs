//! No frame makes its reader reserve memory ahead of its bytes: at most four times the frame and a mebibyte.
//!
//! This file is a program of its own, since it counts what the whole program allocates.

use bytes::{BufMut, Bytes, BytesMut};
use farref_proto::frame::Kind;
use farref_proto::message::Message;
use farref_proto::{
    ClientConfig, Connection, InstanceId, Limits, Nonce, ServerConfig, SessionId, SessionSecret,
    Time,
};

const NOW: Time = Time::from_micros(1_000_000);

/// A server whose handshake is done.
fn server() -> Connection {
    let nonce = Nonce::from_bytes([1; 32]);
    let id = InstanceId::from_bytes([2; 16]);
    let session = SessionId::from_bytes([3; 16]);
    let secret = SessionSecret::from_bytes([4; 32]);
    let mut client = Connection::client(ClientConfig::new(id, session, secret, nonce), NOW);
    let mut server = Connection::server(ServerConfig::new(id, nonce), NOW);
    let mut pieces = Vec::new();
    client.poll_transmit(NOW, &mut pieces);
    let mut hello = BytesMut::from(&pieces.concat()[..]);
    server
        .handle_bytes(NOW, &mut hello)
        .expect("the client is honest");
    server
}

fn frame(kind: Kind, flags: u8, content: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.put_u32_le(content.len() as u32 + 4);
    frame.put_slice(&[kind.code(), flags, 1, 0]);
    frame.put_slice(content);
    frame
}

/// Gives the bytes to a server, and returns how much memory was taken at once.
fn memory_taken(bytes: &[u8]) -> u64 {
    let mut server = server();
    let mut input = BytesMut::from(bytes);
    let taken = allocation_counter::measure(|| {
        let _ = server.handle_bytes(NOW, &mut input);
    });
    taken.bytes_max
}

#[test]
fn counts_are_not_believed() {
    // A call whose content is all ones behind its fixed fields: every count and every length is as large as can be.
    let mut call = vec![0; 20];
    call.extend_from_slice(&[0xff; 64]);
    for flags in 0..=0x7f {
        let taken = memory_taken(&frame(Kind::Call, flags, &call));
        assert!(taken < 20_000, "flags {flags:#x} took {taken} bytes");
    }
    for kind in Kind::ALL {
        let taken = memory_taken(&frame(*kind, 0, &[0xff; 200]));
        assert!(taken < 20_000, "{kind:?} took {taken} bytes");
    }
    let taken = memory_taken(&[0xff; 8]);
    assert!(taken < 20_000, "a length of 0xffffffff took {taken} bytes");
}

#[test]
fn frames_of_many_small_things_take_little_more_than_themselves() {
    let limits = Limits::default();
    let largest = limits.max_message as usize - 4;
    let mut annotations = BytesMut::new();
    annotations.put_slice(&[0; 20]);
    let bytes = limits.max_annotations as usize / 64 * 4;
    annotations.put_u16_le(bytes as u16 + 5);
    annotations.put_slice(&[4]);
    annotations.put_u16_le(bytes as u16 + 2);
    annotations.put_u16_le((bytes / 4) as u16);
    annotations.put_bytes(0, bytes);
    let mut attachments = BytesMut::new();
    attachments.put_slice(&[0; 20]);
    attachments.put_u16_le(limits.max_attachments);
    attachments.put_bytes(0, usize::from(limits.max_attachments) * 4);
    let mut stream = BytesMut::new();
    stream.put_u32_le(1);
    stream.put_u32_le((largest / 4 - 2) as u32);
    stream.put_bytes(0, largest / 4 * 4 - 8);
    let frames = [
        frame(Kind::Cancel, 0, &vec![0; largest / 4 * 4]),
        frame(Kind::Credit, 0, &vec![0; largest / 14 * 14]),
        frame(Kind::Release, 0, &vec![0; largest / 8 * 8]),
        frame(Kind::Revoked, 0, &vec![0; largest / 4 * 4]),
        frame(Kind::Call, 1, &annotations),
        frame(Kind::Call, 4, &attachments),
        frame(Kind::StreamItems, 0, &stream),
    ];
    for mut bytes in frames {
        let kind = bytes[4];
        if kind != Kind::Call.code() && kind != Kind::StreamItems.code() {
            bytes[6] = 0;
        }
        let bound = 4 * bytes.len() as u64 + (1 << 20);
        let taken = memory_taken(&bytes);
        assert!(
            taken < bound,
            "kind {kind:#x}: {taken} bytes for {}",
            bytes.len()
        );
        let grants = limits.grants();
        let bytes = Bytes::from(bytes);
        let taken = allocation_counter::measure(|| {
            Message::decode(&bytes, &grants).expect("the frame is well formed");
        });
        assert!(
            taken.bytes_max < bound,
            "kind {kind:#x}: {} bytes decoded",
            taken.bytes_max
        );
    }
}

#[test]
fn a_plain_call_allocates_nothing_of_its_own() {
    let mut server = server();
    server.poll_transmit(NOW, &mut Vec::new());
    while server.poll_event().is_some() {}
    let call = frame(Kind::Call, 0, &[0; 36]);
    let mut input = BytesMut::with_capacity(1 << 16);
    let mut pieces = Vec::with_capacity(8);
    let mut turn = |input: &mut BytesMut| {
        input.extend_from_slice(&call);
        server
            .handle_bytes(NOW, input)
            .expect("the call is well formed");
        let Some(farref_proto::Event::Call(arrived)) = server.poll_event() else {
            panic!("no call arrived")
        };
        let reply = farref_proto::OutgoingReply {
            status: farref_proto::ReplyStatus::Ok,
            codec: 1,
            extensions: farref_proto::Extensions::NONE,
            table: &[],
            body: &arrived.body,
            attachments: &[],
        };
        server.reply(arrived.id, &reply).expect("the call is open");
        server.poll_transmit(NOW, &mut pieces);
        pieces.clear();
    };
    for _ in 0..100 {
        turn(&mut input);
    }
    let taken = allocation_counter::measure(|| (0..1000).for_each(|_| turn(&mut input)));
    assert!(
        taken.count_total < 20,
        "{} allocations for 1000 calls",
        taken.count_total
    );
}
