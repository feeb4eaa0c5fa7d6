//! Faults: why a call failed that did not end with its method's own result or error.

use bytes::{BufMut, Bytes, BytesMut};

use super::reader::{Reader, put_text};
use crate::error::DecodeError;

/// Bytes of the longest message.
const MAX_MESSAGE: usize = 4 << 10;
/// Causes of the longest chain.
const MAX_CAUSES: usize = 8;
/// Bytes of the longest cause.
const MAX_CAUSE: usize = 1 << 10;
/// Hops of the longest way.
const MAX_HOPS: usize = 64;
/// Bytes of the longest name of a hop.
const MAX_HOP: usize = 128;
/// Bytes of the longest backtrace. All together are below the smallest message that a side accepts, so that a fault can
/// always be told.
const MAX_BACKTRACE: usize = 32 << 10;

macro_rules! fault_kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// What went wrong with a call.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum FaultKind { $($(#[$doc])* $name = $code,)* }

        impl FaultKind {
            /// Every kind that this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Returns the number on the wire.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// Returns the kind that has this number on the wire; [`Internal`](Self::Internal) if none has.
            pub const fn from_code(code: u8) -> Self {
                match code {
                    $($code => Self::$name,)*
                    _ => Self::Internal,
                }
            }
        }
    };
}

fault_kinds! {
    /// Something failed inside the framework.
    Internal = 0,
    /// The method panicked.
    Panicked = 1,
    /// The caller gave the call up.
    Cancelled = 2,
    /// The call's deadline passed.
    DeadlineExceeded = 3,
    /// There is no such object, or it may not be seen.
    NoSuchObject = 4,
    /// The object has no such method.
    NoSuchMethod = 5,
    /// The object was there and is gone.
    StaleReference = 6,
    /// The arguments could not be decoded.
    BadArguments = 7,
    /// The result could not be decoded.
    BadReply = 8,
    /// The arguments or the result could not be encoded.
    Unencodable = 9,
    /// A message is larger than the other side accepts.
    TooLarge = 10,
    /// There is no room for another call.
    Overloaded = 11,
    /// The call would wait for what its own chain holds.
    WouldDeadlock = 12,
    /// Calls nest too deeply.
    DepthExceeded = 13,
    /// The codec was not agreed on.
    UnsupportedCodec = 14,
    /// The two sides' types differ.
    Incompatible = 15,
    /// The other side is about to end.
    ShuttingDown = 16,
    /// The session is lost.
    SessionLost = 17,
    /// No connection could be made.
    ConnectFailed = 18,
    /// The other side refused the connection.
    Refused = 19,
    /// The caller may not do this.
    Denied = 20,
    /// This part of the protocol is not there.
    Unsupported = 21,
    /// The address is wrong.
    InvalidUri = 22,
    /// The framework was used as it must not be.
    Misuse = 23,
    /// A call before it in its batch failed.
    Skipped = 24,
    /// The call was made on the result of another one, which did not come.
    BrokenPromise = 25,
}

/// Whether a call that failed may have run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// It did not run: it may be called again.
    NotStarted = 0,
    /// It ran, at least in part.
    Ran = 1,
    /// Nobody can tell.
    Unknown = 2,
}

impl Outcome {
    fn from_code(code: u8) -> Result<Self, DecodeError> {
        match code {
            0 => Ok(Self::NotStarted),
            1 => Ok(Self::Ran),
            2 => Ok(Self::Unknown),
            code => Err(DecodeError::BadValue {
                field: "the outcome",
                value: code.into(),
            }),
        }
    }
}

/// A fault as it travels: the body of a reply whose status is [`ReplyStatus::Fault`](super::ReplyStatus::Fault).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultMessage {
    /// What went wrong.
    pub kind: FaultKind,
    /// Whether the call may have run.
    pub outcome: Outcome,
    /// What a person should read; cut to 4 KiB.
    pub message: String,
    /// The errors behind it, the nearest first; at most 8 of 1 KiB.
    pub causes: Vec<String>,
    /// The processes that it came through, the nearest to its origin first; at most 64 of 128 bytes.
    pub hops: Vec<String>,
    /// Where it happened, if the origin tells; cut to 32 KiB.
    pub backtrace: Option<String>,
}

impl FaultMessage {
    /// Makes a fault that has nothing but a message.
    pub fn new(kind: FaultKind, outcome: Outcome, message: impl Into<String>) -> Self {
        Self {
            kind,
            outcome,
            message: message.into(),
            causes: Vec::new(),
            hops: Vec::new(),
            backtrace: None,
        }
    }

    /// Appends the fault to `out`. What exceeds the limits of a field is cut, between characters.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.kind.code());
        out.put_u8(self.outcome as u8);
        out.put_u8(u8::from(self.backtrace.is_some()));
        out.put_u8(0);
        put_text(out, &self.message, MAX_MESSAGE);
        put_texts(out, &self.causes, MAX_CAUSES, MAX_CAUSE);
        put_texts(out, &self.hops, MAX_HOPS, MAX_HOP);
        if let Some(backtrace) = &self.backtrace {
            put_text(out, backtrace, MAX_BACKTRACE);
        }
    }

    /// Reads a fault from the body of a reply. Texts that are not UTF-8 are mended, since a message that is a little
    /// wrong is better than none.
    ///
    /// # Errors
    ///
    /// The body ends early, goes on too long, or exceeds the limits of a field.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::taking(Bytes::copy_from_slice(body), 0);
        let kind = FaultKind::from_code(reader.u8("the fault")?);
        let outcome = Outcome::from_code(reader.u8("the fault")?)?;
        let has_backtrace = match reader.u8("the fault")? {
            0 => false,
            1 => true,
            _ => return Err(DecodeError::Reserved("the fault")),
        };
        if reader.u8("the fault")? != 0 {
            return Err(DecodeError::Reserved("the fault"));
        }
        let message = take_text(&mut reader, MAX_MESSAGE)?;
        let causes = take_texts(&mut reader, MAX_CAUSES, MAX_CAUSE)?;
        let hops = take_texts(&mut reader, MAX_HOPS, MAX_HOP)?;
        let backtrace = if has_backtrace {
            Some(take_text(&mut reader, MAX_BACKTRACE)?)
        } else {
            None
        };
        reader.finish()?;
        Ok(Self {
            kind,
            outcome,
            message,
            causes,
            hops,
            backtrace,
        })
    }
}

fn put_texts(out: &mut BytesMut, texts: &[String], limit: usize, text_limit: usize) {
    let texts = &texts[..texts.len().min(limit)];
    out.put_u16_le(texts.len() as u16);
    texts
        .iter()
        .for_each(|text| put_text(out, text, text_limit));
}

fn take_text(reader: &mut Reader, limit: usize) -> Result<String, DecodeError> {
    let length = usize::from(reader.u16("the fault")?);
    if length > limit {
        return Err(DecodeError::TooMany {
            what: "bytes of a text",
            count: length,
            limit,
        });
    }
    Ok(String::from_utf8_lossy(reader.raw(length, "the fault")?).into_owned())
}

fn take_texts(
    reader: &mut Reader,
    limit: usize,
    text_limit: usize,
) -> Result<Vec<String>, DecodeError> {
    let count = usize::from(reader.u16("the fault")?);
    if count > limit {
        return Err(DecodeError::TooMany {
            what: "texts",
            count,
            limit,
        });
    }
    (0..count).map(|_| take_text(reader, text_limit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Grants;

    #[test]
    fn the_largest_fault_fits_into_the_smallest_message() {
        let long = "ü".repeat(40_000);
        let fault = FaultMessage {
            causes: vec![long.clone(); 100],
            hops: vec![long.clone(); 100],
            backtrace: Some(long.clone()),
            ..FaultMessage::new(FaultKind::Panicked, Outcome::Ran, long)
        };
        let mut out = BytesMut::new();
        fault.encode(&mut out);
        assert!(
            out.len() + 12 <= Grants::FLOOR.max_message as usize,
            "{}",
            out.len()
        );
        let decoded =
            FaultMessage::decode(&out.freeze()).expect("what was cut is within the limits");
        assert_eq!(decoded.causes.len(), MAX_CAUSES);
        assert_eq!(decoded.message.len(), MAX_MESSAGE);
    }

    #[test]
    fn codes_are_distinct_and_unknown_ones_internal() {
        for kind in FaultKind::ALL {
            assert_eq!(FaultKind::from_code(kind.code()), *kind);
        }
        assert_eq!(FaultKind::from_code(250), FaultKind::Internal);
    }
}
