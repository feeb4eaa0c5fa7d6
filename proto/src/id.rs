//! The numbers by which the two ends name calls, references, processes and sessions.

use std::fmt;

/// The target of the daemon itself: an object that every side has, that is never counted and never released.
pub const DAEMON_TARGET: u32 = 0;

/// Marks a number that its holder chose, when it named an object of the other side with a bind.
///
/// Numbers without this bit were chosen by the side that owns the object.
pub const ALIAS_BIT: u32 = 1 << 31;

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            /// Names the entry with this index.
            pub const fn new(index: u32) -> Self {
                Self(index)
            }

            /// Returns the index, as it is on the wire.
            pub const fn index(self) -> u32 {
                self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }
    };
}

index! {
    /// A slot of the caller's table of questions. It is used again once its reply has come.
    CallId
}

index! {
    /// An object of this side that the other side may call: a slot of this side's table of exports, or, with
    /// [`ALIAS_BIT`], the name that the other side chose in a bind.
    ExportId
}

index! {
    /// An object of the other side, as put into the target of a call: a slot of its table of exports, or, with
    /// [`ALIAS_BIT`], the name that this side chose in a bind.
    ImportId
}

index! {
    /// A stream, by the number that its producer chose. Streams of the two sides have numbers of their own; which side
    /// produces a stream is told by where its number stands. It is used again once both sides have ended the stream.
    StreamNumber
}

impl ExportId {
    /// Tells whether the other side chose this number, in a bind.
    pub const fn is_alias(self) -> bool {
        self.0 & ALIAS_BIT != 0
    }
}

impl ImportId {
    /// Tells whether this side chose this number, in a bind.
    pub const fn is_alias(self) -> bool {
        self.0 & ALIAS_BIT != 0
    }
}

macro_rules! random_bytes {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// How many bytes it takes.
            pub const LENGTH: usize = $length;

            /// Wraps the bytes, which whoever chooses them draws at random.
            pub const fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// Returns the bytes, as they are on the wire.
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

random_bytes! {
    /// One run of one process: a program that starts anew is another instance.
    InstanceId, 16
}

random_bytes! {
    /// A conversation, chosen by the client.
    SessionId, 16
}

random_bytes! {
    /// A chain of nested calls. Its bits are random, so that no peer can step onto a chain that it was not shown.
    ChainId, 16
}

random_bytes! {
    /// A number used once, against which a proof is made.
    Nonce, 32
}

/// Returns the 32-bit FNV-1a hash of `bytes` (Fowler, Noll and Vo), by which the wire names interfaces and methods.
pub const fn fnv1a32(bytes: &[u8]) -> u32 {
    let mut hash: u32 = 0x811c_9dc5;
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u32).wrapping_mul(0x0100_0193);
        index += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv1a32_matches_the_published_vectors() {
        assert_eq!(fnv1a32(b""), 0x811c_9dc5);
        assert_eq!(fnv1a32(b"a"), 0xe40c_292c);
        assert_eq!(fnv1a32(b"foobar"), 0xbf9c_f968);
    }

    #[test]
    fn ids_print_as_hexadecimal() {
        assert_eq!(
            InstanceId::from_bytes([0xab; 16]).to_string(),
            "ab".repeat(16)
        );
        assert_eq!(
            format!("{:?}", ImportId::new(ALIAS_BIT)),
            "ImportId(0x80000000)"
        );
    }
}
