//! The bytes of every message, pinned.
//!
//! `vectors.txt` holds one frame for each name: the header on the first line, field by field, and the content below it.
//! After a deliberate change of the wire, run the tests with `FARREF_WRITE_VECTORS=1` and review the difference.

mod messages;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use farref_proto::frame::{HEADER_LENGTH, Kind, PREAMBLE};
use farref_proto::message::Message;
use farref_proto::{Limits, Token};

use self::messages::messages;
use crate::pair::{Pair, SERVER, call, client_config, describe, frame, reply, server_config};

const VECTORS: &str = include_str!("vectors.txt");

const HEAD: &str = "\
# The bytes of farref's wire, version 1: one frame for each name.
#
# The first line of a frame is its header: length, kind, flags, codec, aux. Then comes its content.
# The last entries are whole conversations: everything that one side sends. Of that which is resumed, only the second
# connection is here.
";

/// A bind and a call in the first flight, a reply with a reference, and its release.
fn conversation() -> Pair {
    let mut client = client_config();
    client.codecs = 0b1110;
    let mut server = server_config();
    server.codecs = 0b0010;
    let mut pair = Pair::new(client, server);
    let (_, jukebox) = pair.client.connection.bind("jukebox", 0xfedc_ba98).unwrap();
    let load = farref_proto::OutgoingCall {
        target: jukebox.index(),
        ..call(b"\x04jazz")
    };
    pair.client.connection.call(&load).unwrap();
    pair.carry_to_server();
    let server = &mut pair.server.connection;
    while let Some(event) = server.poll_event() {
        match event {
            farref_proto::Event::Bind(bind) => {
                let entry =
                    farref_proto::Connection::alias_entry(bind.alias, 40, 0xfedc_ba98, SERVER);
                server.reply(bind.call, &describe(&[entry])).unwrap();
            }
            farref_proto::Event::Call(call) => {
                let (_, entry) = server.export(41, 0x0123_4567, SERVER).unwrap();
                let result = farref_proto::OutgoingReply {
                    table: &[entry],
                    ..reply(b"\x00")
                };
                server.reply(call.id, &result).unwrap();
            }
            _ => {}
        }
    }
    pair.carry_to_client();
    for event in pair.client.events() {
        if let farref_proto::Event::Reply(reply) = event
            && let [farref_proto::IncomingRef::Import { import, .. }] = reply.table[..]
        {
            pair.client.connection.release(import, 1);
        }
    }
    pair.carry_to_server();
    pair.assert_error_free();
    pair
}

/// A call whose reply is lost with its connection, and comes over the next one.
fn resumed_conversation() -> Pair {
    let mut pair = Pair::established();
    pair.client.connection.call(&call(b"\x04jazz")).unwrap();
    pair.carry_to_server();
    assert_eq!(pair.server.echo(), 1);
    pair.server.transmit(pair.now);
    pair.cut();
    pair.client.sent.clear();
    pair.server.sent.clear();
    pair.resume(0x0d);
    pair.assert_error_free();
    pair
}

impl Pair {
    fn assert_error_free(&self) {
        assert_eq!((&self.client.error, &self.server.error), (&None, &None));
    }
}

/// Puts the frames of `bytes` into the readable form.
fn render(bytes: &[u8], out: &mut String) {
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    };
    let mut rest = bytes;
    if let Some(frames) = rest.strip_prefix(&PREAMBLE) {
        writeln!(out, "  {}", hex(&PREAMBLE)).unwrap();
        rest = frames;
    }
    while !rest.is_empty() {
        let length = 4 + u32::from_le_bytes(*rest.first_chunk().unwrap()) as usize;
        let (frame, behind) = rest.split_at(length);
        let fields = [
            &frame[..4],
            &frame[4..5],
            &frame[5..6],
            &frame[6..7],
            &frame[7..8],
        ];
        writeln!(out, "  {}", fields.map(hex).join(" ")).unwrap();
        for line in frame[HEADER_LENGTH..].chunks(32) {
            let words: Vec<_> = line.chunks(4).map(hex).collect();
            writeln!(out, "    {}", words.join(" ")).unwrap();
        }
        rest = behind;
    }
}

/// Reads the readable form.
fn parse(text: &str) -> BTreeMap<String, Vec<u8>> {
    let mut vectors = BTreeMap::new();
    let mut name = String::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        if !line.starts_with(' ') {
            name = line.to_owned();
            assert!(
                vectors.insert(name.clone(), Vec::new()).is_none(),
                "{name} comes twice"
            );
            continue;
        }
        let digits: String = line.split_whitespace().collect();
        let bytes = (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16));
        vectors
            .get_mut(&name)
            .unwrap()
            .extend(bytes.map(Result::unwrap));
    }
    vectors
}

#[test]
fn every_message_has_its_bytes() {
    let mut expected = String::from(HEAD);
    let mut add = |name: &str, bytes: &[u8]| {
        write!(expected, "\n{name}\n").unwrap();
        render(bytes, &mut expected);
    };
    for (name, message) in messages() {
        add(name, &frame(&message));
    }
    let pair = conversation();
    add("conversation-client", &pair.client.sent);
    add("conversation-server", &pair.server.sent);
    let (mut client, mut server) = (client_config(), server_config());
    client.token = Some(Token::new("sesame"));
    server.token = Some(Token::new("sesame"));
    let pair = Pair::established_with(client, server);
    add("conversation-with-token-client", &pair.client.sent);
    add("conversation-with-token-server", &pair.server.sent);
    let pair = resumed_conversation();
    add("conversation-resumed-client", &pair.client.sent);
    add("conversation-resumed-server", &pair.server.sent);
    if std::env::var_os("FARREF_WRITE_VECTORS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/protocol/vectors.txt");
        std::fs::write(path, &expected).unwrap();
    } else {
        assert_eq!(expected, VECTORS, "the wire has changed");
    }
}

#[test]
fn every_byte_has_its_message() {
    let vectors = parse(VECTORS);
    let grants = Limits::default().grants();
    for (name, message) in messages() {
        let bytes = Bytes::from(vectors[name].clone());
        assert_eq!(Message::decode(&bytes, &grants), Ok(message), "{name}");
        for length in 0..bytes.len() {
            let cut = Message::decode(&bytes.slice(..length), &grants);
            assert!(cut.is_err(), "{name} cut to {length} bytes is {cut:?}");
        }
    }
}

#[test]
fn every_kind_of_frame_is_pinned() {
    let pinned: Vec<Kind> = messages()
        .iter()
        .map(|(_, message)| message.kind())
        .collect();
    for kind in Kind::ALL {
        assert!(pinned.contains(kind), "{kind:?} has no vector");
    }
}
