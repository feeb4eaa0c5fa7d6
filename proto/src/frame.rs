//! Frames: a header of eight bytes, and what follows it.
//!
//! ```text
//!  0        4      5       6       7     8
//!  | length | kind | flags | codec | aux | content ...
//! ```
//!
//! The length is little-endian, as everything is, and counts the bytes that follow it.

use bytes::{BufMut, BytesMut};

use crate::error::DecodeError;

/// What each side sends before its first frame.
///
/// The first byte is not ASCII and the last is a line feed, so that no text protocol is mistaken for this one and a
/// transport that mangles line ends is found out.
pub const PREAMBLE: [u8; 8] = *b"\x89farref\n";

/// Bytes of the header.
pub const HEADER_LENGTH: usize = 8;

/// Bytes of the length field, which the length does not count.
pub(crate) const LENGTH_FIELD: usize = 4;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// What a frame is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Kind { $($(#[$doc])* $name = $code,)* }

        impl Kind {
            /// Every kind of this version.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// The client's first frame.
    ClientHello = 0x01,
    /// The server's answer: from here on the connection is established.
    ServerHello = 0x02,
    /// The server asks the client to prove that it holds the token.
    Challenge = 0x03,
    /// The client's proof.
    Proof = 0x04,
    /// The handshake fails; nothing has run.
    Refuse = 0x05,
    /// How many bytes of session frames were received.
    Ack = 0x06,
    /// A sign of life, with the sender's clock.
    Beat = 0x07,
    /// The sender ends the conversation.
    Goodbye = 0x08,
    /// A method is to be called and its reply is awaited.
    Call = 0x10,
    /// A method is to be called and nothing comes back.
    Oneway = 0x11,
    /// What came of a call.
    Reply = 0x12,
    /// The sender gives a number to an object that it knows by name.
    Bind = 0x13,
    /// Replies are not needed any more.
    Cancel = 0x14,
    /// Credit spent on oneways comes back.
    Credit = 0x15,
    /// References are given back.
    Release = 0x16,
    /// The sender takes no new calls.
    Drain = 0x17,
    /// The sender ended objects that the receiver holds.
    Revoked = 0x18,
    /// Items of a stream.
    StreamItems = 0x20,
    /// The consumer grants more items.
    StreamCredit = 0x21,
    /// The stream ends as it should.
    StreamEnd = 0x22,
    /// The stream ends with an error.
    StreamError = 0x23,
    /// The consumer wants no more.
    StreamCancel = 0x24,
    /// The calls that follow are one batch.
    BatchBegin = 0x28,
    /// The batch is complete.
    BatchEnd = 0x29,
    /// Methods of a batch are to be called that are the same, of the same object.
    CallRun = 0x2A,
    /// What came of calls of such a run.
    ReplyRun = 0x2B,
    /// One method of one object is to be called several times.
    GatheredCalls = 0x2C,
    /// What came of several calls.
    GatheredReplies = 0x2D,
    /// Kept answers may go.
    Finish = 0x30,
    /// The receiver is to give an object to a third side.
    Provide = 0x38,
    /// A third side asks for what it was promised.
    Claim = 0x39,
    /// It has it.
    Claimed = 0x3A,
}

impl Kind {
    /// Returns the code on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Tells whether the frame stands outside the session's stream: it has no offset and is never kept.
    pub const fn is_link(self) -> bool {
        self.code() < 0x10
    }
}

/// The flag of a call that is one of a batch.
pub(crate) const BATCHED: u8 = 1 << 5;

/// The first eight bytes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes that follow the length field.
    pub length: u32,
    /// What the frame is.
    pub kind: Kind,
    /// What parts it has; their meaning depends on the kind.
    pub flags: u8,
    /// The codec of its body, where it has one.
    pub codec: u8,
    /// A small number; its meaning depends on the kind.
    pub aux: u8,
}

impl Header {
    /// Reads the header at the start of `bytes`; `None` if it is not complete yet.
    ///
    /// # Errors
    ///
    /// A length below 4, or above `limit`, as soon as its four bytes are there; a kind that is unknown.
    #[inline]
    pub fn peek(bytes: &[u8], limit: u32) -> Result<Option<Self>, DecodeError> {
        let Some(length) = bytes.first_chunk::<LENGTH_FIELD>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length);
        if length > limit {
            return Err(DecodeError::TooLong { length, limit });
        }
        if (length as usize) < HEADER_LENGTH - LENGTH_FIELD {
            return Err(DecodeError::TooShort(length));
        }
        let Some(&[_, _, _, _, kind, flags, codec, aux]) = bytes.first_chunk::<HEADER_LENGTH>()
        else {
            return Ok(None);
        };
        let kind = Kind::from_code(kind).ok_or(DecodeError::UnknownKind(kind))?;
        Ok(Some(Self {
            length,
            kind,
            flags,
            codec,
            aux,
        }))
    }

    /// Returns how many bytes the whole frame takes.
    pub const fn frame_length(&self) -> usize {
        LENGTH_FIELD + self.length as usize
    }

    /// Tells whether this is a call or a oneway, maybe of a batch, that is nothing but numbers and a body, as most are.
    #[inline]
    pub(crate) fn is_bare_call(&self) -> bool {
        self.flags & !BATCHED == 0 && matches!(self.kind, Kind::Call | Kind::Oneway)
    }

    /// Tells whether this is a reply that is nothing but a number and a body, as most are.
    #[inline]
    pub(crate) fn is_bare_reply(&self) -> bool {
        self.flags == 0 && self.kind == Kind::Reply
    }

    /// Checks that a frame of a kind without flags, codec and aux has none.
    pub(crate) fn require_plain(&self) -> Result<(), DecodeError> {
        if self.flags != 0 || self.codec != 0 || self.aux != 0 {
            return Err(DecodeError::Reserved("the header"));
        }
        Ok(())
    }

    /// Checks that no flag outside `known` is set.
    pub(crate) fn require_flags(&self, known: u8) -> Result<(), DecodeError> {
        if self.flags & !known != 0 {
            return Err(DecodeError::Reserved("the flags"));
        }
        Ok(())
    }
}

/// A frame that is being written to the end of a buffer.
#[derive(Debug)]
pub(crate) struct FrameWriter {
    start: usize,
}

impl FrameWriter {
    /// Begins a frame; its length is filled in at the end.
    pub(crate) fn begin(out: &mut BytesMut, kind: Kind, flags: u8, codec: u8, aux: u8) -> Self {
        let start = out.len();
        out.put_slice(&[0, 0, 0, 0, kind.code(), flags, codec, aux]);
        Self { start }
    }

    /// Begins a frame with a run of numbers of 32 bits, written at once: two of the header, the first of which is the
    /// length and filled in at the end, and then those that the content begins with.
    #[inline]
    pub(crate) fn with_words<const N: usize>(out: &mut BytesMut, words: [u32; N]) -> Self {
        let start = out.len();
        out.put_slice(words.map(u32::to_le_bytes).as_flattened());
        Self { start }
    }

    /// Begins a frame that has neither flags nor codec nor aux.
    pub(crate) fn plain(out: &mut BytesMut, kind: Kind) -> Self {
        Self::begin(out, kind, 0, 0, 0)
    }

    /// Returns how long the whole frame is if `more` bytes follow what is written.
    pub(crate) fn length_with(&self, out: &BytesMut, more: usize) -> usize {
        out.len() - self.start + more
    }

    /// Ends the frame, after which `more` bytes follow that are not written to this buffer. Returns its whole length.
    ///
    /// The caller has made sure that the length fits; one that does not saturates, and the receiver refuses it.
    #[inline]
    pub(crate) fn end(self, out: &mut BytesMut, more: usize) -> usize {
        let whole = self.length_with(out, more);
        let length = u32::try_from(whole - LENGTH_FIELD).unwrap_or(u32::MAX);
        out[self.start..self.start + LENGTH_FIELD].copy_from_slice(&length.to_le_bytes());
        whole
    }

    /// Takes back what was written of the frame.
    pub(crate) fn abandon(self, out: &mut BytesMut) {
        out.truncate(self.start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oversized_lengths_are_refused_with_four_bytes() {
        assert_eq!(
            Header::peek(&[0xff; 4], 100),
            Err(DecodeError::TooLong {
                length: u32::MAX,
                limit: 100
            })
        );
        assert_eq!(Header::peek(&[0xff; 3], 100), Ok(None));
        assert_eq!(
            Header::peek(&[3, 0, 0, 0], 100),
            Err(DecodeError::TooShort(3))
        );
    }

    #[test]
    fn every_kind_has_its_code() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_code(kind.code()), Some(*kind));
        }
        assert_eq!(Kind::from_code(0), None);
        assert_eq!(Kind::from_code(0xff), None);
    }
}
