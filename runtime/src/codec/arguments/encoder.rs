//! From arguments to a body and attachments.

use bytes::Bytes;
use serde::Serialize;

use crate::codec::{self, Codec, CodecError};

/// Encodes a call's arguments in order.
///
/// On an error the body and the attachments hold a part; the caller truncates both.
#[derive(Debug)]
pub(crate) struct ArgumentsEncoder<'a> {
    codec: Codec,
    out: &'a mut Vec<u8>,
    attachments: &'a mut Vec<Bytes>,
    #[cfg(feature = "json")]
    first: bool,
}

impl<'a> ArgumentsEncoder<'a> {
    /// Begins the body of a call with `count` arguments, appending to `out`.
    #[inline]
    #[cfg_attr(
        not(feature = "msgpack"),
        expect(unused_variables, reason = "only MessagePack writes the count ahead")
    )]
    pub(crate) fn new(
        codec: Codec,
        count: usize,
        out: &'a mut Vec<u8>,
        attachments: &'a mut Vec<Bytes>,
    ) -> Result<Self, CodecError> {
        match codec {
            Codec::Postcard => {}
            #[cfg(feature = "msgpack")]
            Codec::MessagePack => codec::messagepack::write_array_head(count, out),
            #[cfg(feature = "json")]
            Codec::Json => out.push(b'['),
            #[cfg(not(all(feature = "msgpack", feature = "json")))]
            absent => return Err(CodecError::Unsupported(absent)),
        }
        Ok(Self {
            codec,
            out,
            attachments,
            #[cfg(feature = "json")]
            first: true,
        })
    }

    /// Encodes the next argument into the body.
    #[inline]
    pub(crate) fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        self.separate();
        codec::encode(self.codec, value, self.out)
    }

    /// Attaches the next argument, a byte string, without copying it.
    #[inline]
    pub(crate) fn bytes(&mut self, bytes: Bytes) -> Result<(), CodecError> {
        self.separate();
        self.attachments.push(bytes);
        if self.codec == Codec::Postcard {
            Ok(())
        } else {
            codec::encode(self.codec, &(), self.out)
        }
    }

    /// Ends the body.
    #[inline]
    pub(crate) fn finish(self) {
        #[cfg(feature = "json")]
        if self.codec == Codec::Json {
            self.out.push(b']');
        }
    }

    #[inline]
    fn separate(&mut self) {
        #[cfg(feature = "json")]
        if self.codec == Codec::Json && !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
    }
}
