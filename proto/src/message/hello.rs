//! The messages of the handshake.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::reader::{Reader, cut, put_option};
use crate::error::DecodeError;
use crate::frame::{FrameWriter, HEADER_LENGTH, Header, Kind};
use crate::id::{InstanceId, Nonce, SessionId};
use crate::limits::Grants;
use crate::time::Time;

/// Bytes of the longest name that a side gives itself.
const MAX_NAME: usize = 255;

/// Options from this tag on must be understood.
pub(crate) const MANDATORY: u8 = 0x80;

const OPTION_INSTANCE: u8 = 1;
const OPTION_NAME: u8 = 2;
const OPTION_PROOF: u8 = 3;
const OPTION_LINGER: u8 = 4;

/// How a client begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientHello {
    /// The lowest version that it speaks.
    pub version_min: u16,
    /// The highest version that it speaks.
    pub version_max: u16,
    /// The codecs that it offers: bit n for the codec n.
    pub codecs: u32,
    /// Optional parts of the protocol that it knows.
    pub features: u64,
    /// The client process.
    pub instance: InstanceId,
    /// What it allows the server.
    pub grants: Grants,
    /// Its clock, when it said this.
    pub clock: Time,
    /// A fresh random number, for proofs.
    pub nonce: Nonce,
    /// The session, new or old.
    pub session: SessionRequest,
    /// The only process that it wants to talk to.
    pub expected_instance: Option<InstanceId>,
    /// How long it keeps the session when the connection is lost, to the millisecond; zero for not at all.
    pub linger: Duration,
    /// What it calls itself; cut to 255 bytes.
    pub name: String,
}

/// The session that a client asks for.
#[derive(Clone, PartialEq, Eq)]
pub enum SessionRequest {
    /// A new one.
    New {
        /// Its id, chosen at random.
        id: SessionId,
        /// The secret by which the client will prove that it is its own.
        secret: [u8; 32],
    },
    /// One that lost its connection.
    Resume {
        /// Its id.
        id: SessionId,
        /// How many times it was taken up, this one included, or any greater number.
        epoch: u64,
        /// The proof over that number.
        mac: [u8; 32],
        /// How many bytes of session frames the client received.
        received: u64,
    },
}

impl SessionRequest {
    /// Returns the session's id.
    pub fn id(&self) -> SessionId {
        match self {
            Self::New { id, .. } | Self::Resume { id, .. } => *id,
        }
    }
}

impl std::fmt::Debug for SessionRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::New { id, .. } => f
                .debug_struct("New")
                .field("id", id)
                .finish_non_exhaustive(),
            Self::Resume {
                id,
                epoch,
                received,
                ..
            } => f
                .debug_struct("Resume")
                .field("id", id)
                .field("epoch", epoch)
                .field("received", received)
                .finish_non_exhaustive(),
        }
    }
}

impl ClientHello {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let frame = FrameWriter::plain(out, Kind::ClientHello);
        out.put_u16_le(self.version_min);
        out.put_u16_le(self.version_max);
        out.put_u32_le(self.codecs);
        out.put_u64_le(self.features);
        out.put_slice(self.instance.as_bytes());
        encode_grants(&self.grants, out);
        out.put_u64_le(self.clock.as_micros());
        out.put_slice(self.nonce.as_bytes());
        match &self.session {
            SessionRequest::New { id, secret } => {
                out.put_u8(0);
                out.put_slice(id.as_bytes());
                out.put_slice(secret);
            }
            SessionRequest::Resume {
                id,
                epoch,
                mac,
                received,
            } => {
                out.put_u8(1);
                out.put_slice(id.as_bytes());
                out.put_u64_le(*epoch);
                out.put_slice(mac);
                out.put_u64_le(*received);
            }
        }
        if let Some(instance) = &self.expected_instance {
            put_option(out, OPTION_INSTANCE, instance.as_bytes());
        }
        encode_name(&self.name, out);
        encode_linger(self.linger, out);
        frame.end(out, 0);
    }

    pub(crate) fn decode(header: Header, frame: &Bytes) -> Result<Self, DecodeError> {
        header.require_plain()?;
        let mut reader = Reader::new(frame, HEADER_LENGTH);
        let version_min = reader.u16("the lowest version")?;
        let version_max = reader.u16("the highest version")?;
        if version_min > version_max {
            return Err(DecodeError::BadValue {
                field: "the lowest version",
                value: version_min.into(),
            });
        }
        let codecs = reader.u32("the codecs")?;
        let features = reader.u64("the features")?;
        let instance = InstanceId::from_bytes(reader.array("the instance")?);
        let grants = decode_grants(&mut reader)?;
        let clock = Time::from_micros(reader.u64("the clock")?);
        let nonce = Nonce::from_bytes(reader.array("the nonce")?);
        let session = match reader.u8("the session's mode")? {
            0 => SessionRequest::New {
                id: SessionId::from_bytes(reader.array("the session")?),
                secret: reader.array("the session's secret")?,
            },
            1 => SessionRequest::Resume {
                id: SessionId::from_bytes(reader.array("the session")?),
                epoch: reader.u64("the epoch")?,
                mac: reader.array("the session's proof")?,
                received: reader.u64("the received offset")?,
            },
            mode => {
                return Err(DecodeError::BadValue {
                    field: "the session's mode",
                    value: mode.into(),
                });
            }
        };
        let options = HelloOptions::decode(reader)?;
        Ok(Self {
            version_min,
            version_max,
            codecs,
            features,
            instance,
            grants,
            clock,
            nonce,
            session,
            expected_instance: options.instance,
            linger: options.linger,
            name: options.name,
        })
    }
}

/// How a server accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerHello {
    /// The version that both speak from here on.
    pub version: u16,
    /// The codecs accepted, of those offered: bit n for the codec n.
    pub codecs: u32,
    /// Optional parts of the protocol that both know.
    pub features: u64,
    /// The server process.
    pub instance: InstanceId,
    /// What it allows the client.
    pub grants: Grants,
    /// Its clock, when it said this.
    pub clock: Time,
    /// The client's session.
    pub session: SessionId,
    /// How many bytes of session frames the server received in it.
    pub received: u64,
    /// The proof that the server holds the token, where one is used.
    pub proof: Option<[u8; 32]>,
    /// How long it keeps the session when the connection is lost, to the millisecond; zero for not at all.
    pub linger: Duration,
    /// What it calls itself; cut to 255 bytes.
    pub name: String,
}

impl ServerHello {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let frame = FrameWriter::plain(out, Kind::ServerHello);
        out.put_u16_le(self.version);
        out.put_u32_le(self.codecs);
        out.put_u64_le(self.features);
        out.put_slice(self.instance.as_bytes());
        encode_grants(&self.grants, out);
        out.put_u64_le(self.clock.as_micros());
        out.put_slice(self.session.as_bytes());
        out.put_u64_le(self.received);
        encode_name(&self.name, out);
        if let Some(proof) = &self.proof {
            put_option(out, OPTION_PROOF, proof);
        }
        encode_linger(self.linger, out);
        frame.end(out, 0);
    }

    pub(crate) fn decode(header: Header, frame: &Bytes) -> Result<Self, DecodeError> {
        header.require_plain()?;
        let mut reader = Reader::new(frame, HEADER_LENGTH);
        let version = reader.u16("the version")?;
        let codecs = reader.u32("the codecs")?;
        let features = reader.u64("the features")?;
        let instance = InstanceId::from_bytes(reader.array("the instance")?);
        let grants = decode_grants(&mut reader)?;
        let clock = Time::from_micros(reader.u64("the clock")?);
        let session = SessionId::from_bytes(reader.array("the session")?);
        let received = reader.u64("the received offset")?;
        let options = HelloOptions::decode(reader)?;
        Ok(Self {
            version,
            codecs,
            features,
            instance,
            grants,
            clock,
            session,
            received,
            proof: options.proof,
            linger: options.linger,
            name: options.name,
        })
    }
}

/// The options that stand at the end of either hello.
#[derive(Debug, Default)]
struct HelloOptions {
    instance: Option<InstanceId>,
    name: String,
    proof: Option<[u8; 32]>,
    linger: Duration,
}

impl HelloOptions {
    fn decode(mut reader: Reader) -> Result<Self, DecodeError> {
        let mut options = Self::default();
        while reader.left() > 0 {
            let tag = reader.u8("an option's tag")?;
            let length = usize::from(reader.u16("an option's length")?);
            let bytes = reader.raw(length, "an option")?;
            let bad_length = DecodeError::BadValue {
                field: "an option's length",
                value: length as u64,
            };
            match tag {
                OPTION_INSTANCE => {
                    let bytes = bytes.try_into().map_err(|_| bad_length)?;
                    options.instance = Some(InstanceId::from_bytes(bytes));
                }
                OPTION_NAME if length > MAX_NAME => return Err(bad_length),
                OPTION_NAME => {
                    let name =
                        std::str::from_utf8(bytes).map_err(|_| DecodeError::NotUtf8("the name"))?;
                    options.name = name.to_owned();
                }
                OPTION_PROOF => options.proof = Some(bytes.try_into().map_err(|_| bad_length)?),
                OPTION_LINGER => {
                    let millis = u32::from_le_bytes(bytes.try_into().map_err(|_| bad_length)?);
                    options.linger = Duration::from_millis(millis.into());
                }
                tag if tag >= MANDATORY => return Err(DecodeError::UnknownOption(tag)),
                _ => {}
            }
        }
        Ok(options)
    }
}

fn encode_name(name: &str, out: &mut BytesMut) {
    if !name.is_empty() {
        put_option(out, OPTION_NAME, cut(name, MAX_NAME).as_bytes());
    }
}

fn encode_linger(linger: Duration, out: &mut BytesMut) {
    if !linger.is_zero() {
        let millis = u32::try_from(linger.as_millis()).unwrap_or(u32::MAX);
        put_option(out, OPTION_LINGER, &millis.to_le_bytes());
    }
}

fn encode_grants(grants: &Grants, out: &mut BytesMut) {
    out.put_u32_le(grants.max_message);
    out.put_u32_le(grants.calls);
    out.put_u64_le(grants.call_bytes);
    out.put_u32_le(grants.depth_calls);
    out.put_u64_le(grants.depth_bytes);
    out.put_u16_le(grants.max_depth);
    out.put_u16_le(grants.max_references);
    out.put_u16_le(grants.max_attachments);
    out.put_u16_le(0);
    out.put_u32_le(grants.max_annotations);
    out.put_u32_le(grants.references);
    out.put_u32_le(grants.aliases);
    out.put_u32_le(grants.peer_timeout_ms);
}

fn decode_grants(reader: &mut Reader) -> Result<Grants, DecodeError> {
    let max_message = reader.u32("the grants")?;
    let calls = reader.u32("the grants")?;
    let call_bytes = reader.u64("the grants")?;
    let depth_calls = reader.u32("the grants")?;
    let depth_bytes = reader.u64("the grants")?;
    let max_depth = reader.u16("the grants")?;
    let max_references = reader.u16("the grants")?;
    let max_attachments = reader.u16("the grants")?;
    reader.reserved_u16("the grants")?;
    let grants = Grants {
        max_message,
        calls,
        call_bytes,
        depth_calls,
        depth_bytes,
        max_depth,
        max_references,
        max_attachments,
        max_annotations: reader.u32("the grants")?,
        references: reader.u32("the grants")?,
        aliases: reader.u32("the grants")?,
        peer_timeout_ms: reader.u32("the grants")?,
    };
    if !grants.is_sane() {
        return Err(DecodeError::BadValue {
            field: "the grants",
            value: max_message.into(),
        });
    }
    Ok(grants)
}

/// Asks the client for a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// A fresh random number.
    pub nonce: Nonce,
}

impl Challenge {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let frame = FrameWriter::plain(out, Kind::Challenge);
        out.put_slice(self.nonce.as_bytes());
        frame.end(out, 0);
    }

    pub(crate) fn decode(header: Header, frame: &Bytes) -> Result<Self, DecodeError> {
        header.require_plain()?;
        let mut reader = Reader::new(frame, HEADER_LENGTH);
        let nonce = Nonce::from_bytes(reader.array("the nonce")?);
        reader.finish()?;
        Ok(Self { nonce })
    }
}

/// The client's proof that it holds the token.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    /// An HMAC-SHA256 under the token.
    pub mac: [u8; 32],
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proof").finish_non_exhaustive()
    }
}

impl Proof {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let frame = FrameWriter::plain(out, Kind::Proof);
        out.put_slice(&self.mac);
        frame.end(out, 0);
    }

    pub(crate) fn decode(header: Header, frame: &Bytes) -> Result<Self, DecodeError> {
        header.require_plain()?;
        let mut reader = Reader::new(frame, HEADER_LENGTH);
        let mac = reader.array("the proof")?;
        reader.finish()?;
        Ok(Self { mac })
    }
}
