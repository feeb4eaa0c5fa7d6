//! The shapes of types: what a type looks like on the wire, learnt from its `Deserialize` alone.
//!
//! A shape is traced once, lazily: the type is asked to deserialise itself from a deserializer that has nothing but
//! sample values, and what it asks for is written down (the idea is serde-reflection's). So no derive and no bound
//! is needed beyond serde's own. Peers compare shapes to learn whether their types agree, and tools use them to
//! check JSON before it is sent and to talk to programs that know only postcard.

#[cfg(feature = "dynamic")]
mod check;
mod compatible;
mod describe;
mod hash;
mod mismatch;
mod scope;
#[cfg(test)]
mod tests;
mod trace;
#[cfg(feature = "dynamic")]
mod transcode;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[cfg(feature = "dynamic")]
pub use self::check::check_json;
pub use self::compatible::compatible;
pub use self::mismatch::Mismatch;
pub(crate) use self::trace::is_tracing;
#[cfg(feature = "dynamic")]
pub use self::transcode::{json_to_postcard, postcard_to_json};

/// What values of a type look like on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Shape {
    /// `()` or a struct without fields.
    Unit,
    /// `bool`.
    Bool,
    /// `i8`.
    I8,
    /// `i16`.
    I16,
    /// `i32`.
    I32,
    /// `i64`.
    I64,
    /// `i128`.
    I128,
    /// `u8`.
    U8,
    /// `u16`.
    U16,
    /// `u32`.
    U32,
    /// `u64`.
    U64,
    /// `u128`.
    U128,
    /// `f32`.
    F32,
    /// `f64`.
    F64,
    /// `char`.
    Char,
    /// Text.
    String,
    /// A byte string; `Vec<u8>` is a sequence of numbers instead, unless its field says otherwise.
    Bytes,
    /// A value that may be absent.
    Option(Box<Shape>),
    /// Any number of equal elements.
    Seq(Box<Shape>),
    /// Any number of keys with their values.
    Map(Box<Shape>, Box<Shape>),
    /// So many elements, each of its own shape.
    Tuple(Vec<Shape>),
    /// A struct around one nameless field; on the wire it is that field.
    Newtype {
        /// The struct's name.
        name: String,
        /// The field.
        shape: Box<Shape>,
    },
    /// A struct with several nameless fields.
    TupleStruct {
        /// The struct's name.
        name: String,
        /// The fields, in order.
        fields: Vec<Shape>,
    },
    /// A struct with named fields.
    Struct {
        /// The struct's name.
        name: String,
        /// The fields, in the order in which postcard writes them.
        fields: Vec<Field>,
    },
    /// An enum.
    Enum {
        /// The enum's name.
        name: String,
        /// The variants, in the order by which postcard numbers them.
        variants: Vec<Variant>,
    },
    /// A proxy or a callback: a reference to an object.
    Reference {
        /// The wire name of the object's interface.
        interface: String,
    },
    /// A type with two forms: one in postcard and MessagePack, and one for people in JSON, as IP addresses have.
    Readable {
        /// The form in binary codecs.
        binary: Box<Shape>,
        /// The form in JSON.
        text: Box<Shape>,
    },
    /// The enclosing struct or enum of this name, again: the type is recursive.
    Named(String),
    /// A type that resists tracing, since it refuses every sample value; known by its Rust name only.
    Opaque(String),
    /// A type that takes what comes, such as `serde_json::Value`; postcard cannot carry it.
    Any,
    /// A stream of items.
    Stream(Box<Shape>),
}

/// A named field of a struct or of an enum's variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Field {
    /// The field's name on the wire.
    pub name: String,
    /// What the field holds.
    pub shape: Shape,
    /// Whether a value without this field is accepted: `#[serde(default)]` or an `Option`.
    pub has_default: bool,
}

/// A variant of an enum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Variant {
    /// The variant's name on the wire.
    pub name: String,
    /// What the variant holds.
    pub content: Content,
}

/// What an enum's variant holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Content {
    /// Nothing.
    Unit,
    /// One nameless field.
    Newtype(Shape),
    /// Several nameless fields, in order.
    Tuple(Vec<Shape>),
    /// Named fields, in order.
    Struct(Vec<Field>),
}

impl Shape {
    /// Traces the shape of a type.
    ///
    /// It takes from microseconds to milliseconds and runs the type's `Deserialize` many times, on sample values, so
    /// callers keep the result. It never fails: parts that resist are [`Shape::Opaque`].
    #[must_use]
    pub fn of<T: DeserializeOwned>() -> Self {
        trace::trace::<T>()
    }

    /// Returns a number that two shapes share if their values look the same in postcard.
    ///
    /// It depends on the names of fields and variants, not on those of structs and enums, and is the same on every
    /// machine and in every build. It is never 0, which on the wire stands for "not checked".
    #[must_use]
    pub fn hash(&self) -> u32 {
        hash::hash(self)
    }
}
