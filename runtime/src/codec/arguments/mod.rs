//! A call's arguments, one by one, so that an error can name the argument.
//!
//! In postcard the arguments stand one after the other; in MessagePack and JSON they are the elements of an
//! array. A byte string travels outside, as an attachment of the frame: in postcard nothing stands in its
//! place, in the others a null, which keeps the positions.

mod decoder;
mod encoder;

pub(crate) use self::decoder::ArgumentsDecoder;
pub(crate) use self::encoder::ArgumentsEncoder;
