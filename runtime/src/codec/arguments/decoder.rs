//! From a body and attachments to arguments.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use farref_proto::Seldom;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

#[cfg(feature = "json")]
use crate::codec::json;
#[cfg(feature = "msgpack")]
use crate::codec::messagepack;
use crate::codec::{self, Budget, Codec, CodecError, Meter};

/// Decodes a call's arguments in order, all on one budget.
pub(crate) struct ArgumentsDecoder<'de> {
    body: Body<'de>,
    meter: Meter,
    /// Those that no argument took, the next one last.
    attachments: Seldom<Bytes>,
    index: usize,
    expected: usize,
}

/// What is left of the body.
enum Body<'de> {
    Postcard {
        rest: &'de [u8],
    },
    #[cfg(feature = "msgpack")]
    MessagePack {
        count: usize,
        rest: &'de [u8],
    },
    #[cfg(feature = "json")]
    Json {
        rest: &'de [u8],
    },
}

impl<'de> ArgumentsDecoder<'de> {
    /// Begins to read the arguments of a method that takes `count` of them.
    #[inline]
    pub(crate) fn new(
        codec: Codec,
        body: &'de [u8],
        mut attachments: Seldom<Bytes>,
        budget: &Budget,
        count: usize,
    ) -> Result<Self, CodecError> {
        let meter = Meter::new(budget, body.len());
        attachments.reverse();
        let body = match codec {
            Codec::Postcard => Body::Postcard { rest: body },
            #[cfg(feature = "msgpack")]
            Codec::MessagePack => {
                let (count, rest) = messagepack::read_array_head(body)?;
                Body::MessagePack { count, rest }
            }
            #[cfg(feature = "json")]
            Codec::Json => match json::skip_space(body) {
                [b'[', rest @ ..] => Body::Json { rest },
                _ => return Err(json::syntax("arguments must be an array")),
            },
            #[cfg(not(all(feature = "msgpack", feature = "json")))]
            absent => return Err(CodecError::Unsupported(absent)),
        };
        Ok(Self {
            body,
            meter,
            attachments,
            index: 0,
            expected: count,
        })
    }

    /// Decodes the next argument.
    #[inline(always)]
    pub(crate) fn next<T: Deserialize<'de>>(&mut self) -> Result<T, CodecError> {
        self.advance()?;
        self.value()
    }

    /// Decodes the next argument, a string, borrowing it where the codec has it in one piece.
    #[inline]
    pub(crate) fn next_str(&mut self) -> Result<Cow<'de, str>, CodecError> {
        self.next::<Text<'de>>().map(|text| text.0)
    }

    /// Takes the next argument, a byte string, from the attachments.
    ///
    /// In MessagePack and JSON the bytes may also stand in the body, for callers that know no attachments.
    #[inline]
    pub(crate) fn next_bytes(&mut self) -> Result<Bytes, CodecError> {
        let index = self.advance()?;
        if self.take_placeholder() {
            return self
                .attachments
                .pop()
                .ok_or(CodecError::MissingAttachment { index });
        }
        self.value()
    }

    /// Refuses whatever no argument took.
    #[inline]
    pub(crate) fn finish(self) -> Result<(), CodecError> {
        match &self.body {
            Body::Postcard { rest } => codec::refuse_rest(rest)?,
            #[cfg(any(feature = "msgpack", feature = "json"))]
            _ => self.end()?,
        }
        match self.attachments.len() {
            0 => Ok(()),
            unused => Err(CodecError::UnusedAttachments(unused)),
        }
    }

    /// Reads what stands behind the last argument, and nothing else may.
    #[cfg(any(feature = "msgpack", feature = "json"))]
    fn end(&self) -> Result<(), CodecError> {
        let too_many = || CodecError::TooManyArguments {
            expected: self.expected,
        };
        match &self.body {
            Body::Postcard { rest } => codec::refuse_rest(rest),
            #[cfg(feature = "msgpack")]
            Body::MessagePack { count, rest } => {
                if *count > self.index {
                    return Err(too_many());
                }
                codec::refuse_rest(rest)
            }
            #[cfg(feature = "json")]
            Body::Json { rest } => match json::skip_space(rest) {
                [b']', rest @ ..] => codec::refuse_rest(json::skip_space(rest)),
                [b',', ..] => Err(too_many()),
                _ if self.index == 0 => Err(too_many()),
                _ => Err(json::syntax("expected `,` or `]` after an argument")),
            },
        }
    }

    /// Steps to the next argument and returns its position.
    #[inline]
    fn advance(&mut self) -> Result<usize, CodecError> {
        let index = self.index;
        if index >= self.expected {
            return Err(CodecError::MissingArgument { index });
        }
        match &self.body {
            Body::Postcard { .. } => {}
            #[cfg(any(feature = "msgpack", feature = "json"))]
            _ => self.separate(index)?,
        }
        self.index += 1;
        Ok(index)
    }

    /// Reads what stands before the argument at this position, which must be there.
    #[cfg(any(feature = "msgpack", feature = "json"))]
    fn separate(&mut self, index: usize) -> Result<(), CodecError> {
        match &mut self.body {
            Body::Postcard { .. } => {}
            #[cfg(feature = "msgpack")]
            Body::MessagePack { count, .. } => {
                if index >= *count {
                    return Err(CodecError::MissingArgument { index });
                }
            }
            #[cfg(feature = "json")]
            Body::Json { rest } => match (index, json::skip_space(rest)) {
                (_, [b']', ..]) => return Err(CodecError::MissingArgument { index }),
                (0, after) | (1.., [b',', after @ ..]) => *rest = after,
                _ => return Err(json::syntax("expected `,` or `]` after an argument")),
            },
        }
        Ok(())
    }

    /// Decodes the value at the current position.
    #[inline(always)]
    fn value<T: Deserialize<'de>>(&mut self) -> Result<T, CodecError> {
        match &mut self.body {
            Body::Postcard { rest } => {
                let (value, after) = codec::postcard::next(rest, &self.meter)?;
                *rest = after;
                Ok(value)
            }
            #[cfg(any(feature = "msgpack", feature = "json"))]
            _ => self.value_otherwise(),
        }
    }

    /// The same of what is no postcard, apart from the code that is made for each call.
    #[cfg(any(feature = "msgpack", feature = "json"))]
    #[inline(never)]
    fn value_otherwise<T: Deserialize<'de>>(&mut self) -> Result<T, CodecError> {
        match &mut self.body {
            Body::Postcard { rest } => {
                let (value, after) = codec::postcard::next(rest, &self.meter)?;
                *rest = after;
                Ok(value)
            }
            #[cfg(feature = "msgpack")]
            Body::MessagePack { rest, .. } => {
                let (value, after) = messagepack::next(rest, &self.meter)?;
                *rest = after;
                Ok(value)
            }
            #[cfg(feature = "json")]
            Body::Json { rest } => {
                let (value, after) = json::next(rest, &self.meter)?;
                *rest = after;
                Ok(value)
            }
        }
    }

    /// Takes the null that stands for an attachment, and tells whether there was one; postcard writes none.
    #[inline]
    fn take_placeholder(&mut self) -> bool {
        match &mut self.body {
            Body::Postcard { .. } => true,
            #[cfg(feature = "msgpack")]
            Body::MessagePack { rest, .. } => match rest {
                [0xc0, after @ ..] => {
                    *rest = after;
                    true
                }
                _ => false,
            },
            #[cfg(feature = "json")]
            Body::Json { rest } => match json::skip_space(rest).strip_prefix(b"null") {
                Some(after) => {
                    *rest = after;
                    true
                }
                None => false,
            },
        }
    }
}

impl fmt::Debug for ArgumentsDecoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArgumentsDecoder")
            .field("index", &self.index)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

/// A string, borrowed where the codec can lend it; JSON cannot where there are escapes.
struct Text<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            #[inline]
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}
