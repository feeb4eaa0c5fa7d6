//! An attacker: a blocking socket, and bytes of its own making.
//!
//! It encodes with `farref_proto` what is to be valid, and writes everything else byte by byte. It runs on a thread of
//! its own, so its memory is not counted as the daemon's.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use farref_proto::frame::{HEADER_LENGTH, Header, PREAMBLE};
use farref_proto::message::{
    Bind, Call, ClientHello, FaultMessage, Message, Reply, ReplyStatus, Sections, ServerHello,
    SessionRequest,
};
use farref_proto::{
    ALIAS_BIT, CloseReason, EntryKind, Extensions, Grants, InstanceId, Limits, Nonce, Refusal,
    SessionId, TableEntry, Time, fnv1a32,
};

/// The name under which the attacked object is registered.
pub(crate) const NAME: &str = "bastion";
/// The number that every attacker gives to the attacked object.
pub(crate) const BASTION: u32 = ALIAS_BIT;

/// postcard, MessagePack and JSON, as the wire numbers them.
pub(crate) const POSTCARD: u8 = 1;
pub(crate) const MESSAGEPACK: u8 = 2;
pub(crate) const JSON: u8 = 3;

/// An answer that takes longer means that the daemon hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// One end of a raw connection.
pub(crate) struct Attacker {
    pub(crate) stream: TcpStream,
    input: BytesMut,
    /// The lowest call id that was never used.
    next_call: u32,
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With a goodbye.
    Goodbye(CloseReason),
    /// With a refusal of the handshake.
    Refused(Refusal),
    /// Without a word.
    Silent,
}

/// What came of a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The method returned; this is its result as the codec has it.
    Value(Bytes),
    /// The method failed with an error of its own.
    Error(Bytes),
    /// Anything else.
    Fault(FaultMessage),
}

impl Answer {
    /// The fault that the answer must be.
    pub(crate) fn fault(self) -> FaultMessage {
        match self {
            Answer::Fault(fault) => fault,
            other => panic!("a fault was expected, and {other:?} came"),
        }
    }
}

impl Attacker {
    /// Opens a connection and says nothing.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).expect("the daemon listens")
    }

    /// Opens a connection, unless the system has no room for it.
    pub(crate) fn try_connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Attacker {
            stream,
            input: BytesMut::new(),
            next_call: 0,
        })
    }

    /// Opens a connection and completes the handshake.
    pub(crate) fn greet(address: SocketAddr) -> (Self, ServerHello) {
        let mut attacker = Self::connect(address);
        attacker.say_hello(hello());
        match attacker.receive() {
            Some(Message::ServerHello(hello)) => (attacker, *hello),
            other => panic!("a hello was expected, and {other:?} came"),
        }
    }

    /// Opens a connection and makes one good call, so that what follows is not refused at the door.
    pub(crate) fn settle(address: SocketAddr) -> Self {
        let (mut attacker, _) = Self::greet(address);
        attacker.make_good_call();
        attacker
    }

    /// Binds the object and calls it, as anybody may.
    pub(crate) fn make_good_call(&mut self) {
        let id = self.new_call();
        self.send_message(&bind(id));
        assert_eq!(self.reply().status, ReplyStatus::Ok, "the bind");
        self.next_call = 0;
        assert_eq!(
            self.ask("add", POSTCARD, &[2, 3]),
            Answer::Value(Bytes::from_static(&[5]))
        );
    }

    /// Calls the object again.
    pub(crate) fn make_another_good_call(&mut self) {
        assert_eq!(
            self.ask("add", POSTCARD, &[20, 22]),
            Answer::Value(Bytes::from_static(&[42]))
        );
    }

    /// Waits until the daemon closes the connection in whatever way, and returns how many bytes it sent before.
    pub(crate) fn outlast(&mut self) -> usize {
        let mut sent = 0;
        loop {
            match self.stream.read(&mut [0; 4096]) {
                Ok(0) => return sent,
                Ok(read) => sent += read,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return sent,
                Err(error) => panic!("the daemon did not hang up: {error}"),
            }
        }
    }

    /// Sends the preamble and a hello.
    pub(crate) fn say_hello(&mut self, hello: ClientHello) {
        self.send(&first_bytes(hello));
    }

    /// Sends bytes of any kind.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the daemon reads");
    }

    /// Sends bytes to a daemon that may have hung up already.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends a well-formed message.
    pub(crate) fn send_message(&mut self, message: &Message) {
        let mut bytes = BytesMut::new();
        message.encode(&mut bytes);
        self.send(&bytes);
    }

    /// Takes a call id that was never used.
    pub(crate) fn new_call(&mut self) -> u32 {
        self.next_call += 1;
        self.next_call - 1
    }

    /// Calls a method of the attacked object and waits for the answer, whose id is free then.
    pub(crate) fn ask(&mut self, method: &str, codec: u8, body: &[u8]) -> Answer {
        let id = self.new_call();
        self.ask_for(call(id, method, codec, body))
    }

    /// Makes a call and waits for the answer.
    pub(crate) fn ask_for(&mut self, call: Call) -> Answer {
        let id = call.id;
        self.send_message(&Message::Call(call));
        let reply = self.reply();
        assert_eq!(reply.id, id, "the answer to another call");
        self.next_call = id;
        answer(reply)
    }

    /// The next message that matters here: acknowledgements and their like are passed over. `None` if the daemon closed
    /// the connection.
    pub(crate) fn receive(&mut self) -> Option<Message> {
        loop {
            match self.receive_any()? {
                Message::Ack(_) | Message::Beat(_) | Message::Credit(_) | Message::Release(_) => {}
                message => return Some(message),
            }
        }
    }

    fn receive_any(&mut self) -> Option<Message> {
        if self.input.starts_with(&PREAMBLE) {
            self.input.advance(PREAMBLE.len());
        }
        loop {
            if let Some(header) = self.header().filter(|_| !PREAMBLE.starts_with(&self.input)) {
                let length = header.frame_length();
                if self.input.len() >= length {
                    let frame = self.input.split_to(length).freeze();
                    return Some(Message::decode(&frame, &grants()).expect("the daemon is honest"));
                }
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => {
                    assert!(self.input.is_empty(), "the daemon's last frame is torn");
                    return None;
                }
                Ok(read) => self.input.extend_from_slice(&bytes[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("nothing came from the daemon: {error}"),
            }
            if self.input.starts_with(&PREAMBLE) {
                self.input.advance(PREAMBLE.len());
            }
        }
    }

    fn header(&self) -> Option<Header> {
        if self.input.len() < HEADER_LENGTH {
            return None;
        }
        Header::peek(&self.input, u32::MAX).expect("the daemon is honest")
    }

    /// The next reply. That the daemon gives up calls of its own meanwhile is passed over.
    pub(crate) fn reply(&mut self) -> Reply {
        loop {
            match self.receive() {
                Some(Message::Reply(reply)) => return reply,
                Some(Message::Cancel(_)) => {}
                other => panic!("a reply was expected, and {other:?} came"),
            }
        }
    }

    /// The next call from the daemon.
    pub(crate) fn callback(&mut self) -> Call {
        match self.receive() {
            Some(Message::Call(call)) => call,
            other => panic!("a callback was expected, and {other:?} came"),
        }
    }

    /// Reads until the daemon closes the connection, and says how it did.
    pub(crate) fn ending(&mut self) -> Ending {
        let mut ending = Ending::Silent;
        while let Some(message) = self.receive() {
            ending = match message {
                Message::Goodbye(reason) => Ending::Goodbye(reason),
                Message::Refuse(refusal) => Ending::Refused(refusal),
                _ => Ending::Silent,
            };
        }
        ending
    }

    /// The goodbye that the daemon must end with.
    pub(crate) fn goodbye(&mut self) -> CloseReason {
        match self.ending() {
            Ending::Goodbye(reason) => reason,
            other => panic!("a goodbye was expected, and {other:?} came"),
        }
    }

    /// The refusal that the daemon must end with.
    pub(crate) fn refusal(&mut self) -> Refusal {
        match self.ending() {
            Ending::Refused(refusal) => refusal,
            other => panic!("a refusal was expected, and {other:?} came"),
        }
    }

    /// Closes the connection so that the other side sees a reset instead of an end.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .expect("a socket can be reset");
    }
}

/// What an attacker grants: as much as anybody does, and depth without end.
fn grants() -> Grants {
    let mut limits = Limits::default();
    limits.max_depth = 255;
    limits.grants()
}

/// A hello that is accepted.
pub(crate) fn hello() -> ClientHello {
    ClientHello {
        version_min: 1,
        version_max: 1,
        codecs: 1 << POSTCARD | 1 << MESSAGEPACK | 1 << JSON,
        features: 0,
        instance: InstanceId::from_bytes([0xa7; 16]),
        grants: grants(),
        clock: Time::ZERO,
        nonce: Nonce::from_bytes([0xa7; 32]),
        session: SessionRequest::New {
            id: SessionId::from_bytes([0xa7; 16]),
            secret: [0xa7; 32],
        },
        expected_instance: None,
        linger: std::time::Duration::ZERO,
        name: "attacker".to_owned(),
    }
}

/// The preamble and a hello.
pub(crate) fn first_bytes(hello: ClientHello) -> BytesMut {
    let mut bytes = BytesMut::from(&PREAMBLE[..]);
    Message::ClientHello(Box::new(hello)).encode(&mut bytes);
    bytes
}

/// Gives the attacked object its number.
pub(crate) fn bind(id: u32) -> Message {
    Message::Bind(Bind {
        id,
        alias: BASTION,
        interface: fnv1a32(b"Target"),
        name: NAME.to_owned(),
        extensions: None,
        unknown_extension: None,
    })
}

/// A call of a method of the attacked object.
pub(crate) fn call(id: u32, method: &str, codec: u8, body: &[u8]) -> Call {
    Call {
        id,
        target: BASTION,
        method_hash: fnv1a32(format!("Target.{method}").as_bytes()),
        shape: 0,
        method_index: 0,
        codec,
        pipelined: false,
        keep_answer: false,
        batched: false,
        ordered: false,
        sections: Sections {
            body: Bytes::copy_from_slice(body),
            ..Sections::default()
        },
    }
}

/// The same call with something beside its arguments.
pub(crate) fn with_extensions(mut call: Call, extensions: Extensions) -> Call {
    call.sections.extensions = Some(Box::new(extensions));
    call
}

/// The same call with a table of references.
pub(crate) fn with_table(mut call: Call, table: Vec<TableEntry>) -> Call {
    call.sections.table = table;
    call
}

/// An object of the attacker's that answers to this interface.
pub(crate) fn export(id: u32, interface: &str) -> TableEntry {
    TableEntry {
        kind: EntryKind::Export,
        id,
        object: id.into(),
        interface: fnv1a32(interface.as_bytes()),
        owner: InstanceId::from_bytes([0xa7; 16]),
    }
}

/// What a reply means.
pub(crate) fn answer(reply: Reply) -> Answer {
    let body = reply.sections.body;
    match reply.status {
        ReplyStatus::Ok => Answer::Value(body),
        ReplyStatus::Error => Answer::Error(body),
        ReplyStatus::Fault => {
            Answer::Fault(FaultMessage::decode(&body).expect("the daemon is honest"))
        }
    }
}

/// The header of a frame, with whatever one likes in it.
pub(crate) fn header(length: u32, kind: u8) -> [u8; HEADER_LENGTH] {
    let [a, b, c, d] = length.to_le_bytes();
    [a, b, c, d, kind, 0, 0, 0]
}
