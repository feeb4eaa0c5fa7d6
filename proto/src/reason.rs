//! Why a handshake is refused, a side takes no new calls, or a conversation ends: a code for programs and a text for
//! people.

use std::fmt;

/// Bytes of the longest text that goes with a code.
pub(crate) const MAX_TEXT: usize = 1024;

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal => $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// A code that this version does not know.
            Other(u16),
        }

        impl $name {
            /// Returns the number on the wire.
            pub const fn code(self) -> u16 {
                match self {
                    $(Self::$variant => $code,)*
                    Self::Other(code) => code,
                }
            }

            /// Returns the reason that has this number on the wire.
            pub const fn from_code(code: u16) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    code => Self::Other(code),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant => f.write_str($text),)*
                    Self::Other(code) => write!(f, "code {code}"),
                }
            }
        }
    };
}

codes! {
    /// Why a handshake is refused. In each case nothing that was sent has run.
    RefusalCode {
        /// No version is spoken by both sides.
        Version = 1 => "no common version",
        /// No codec is known to both sides.
        Codec = 2 => "no common codec",
        /// A token is asked for and none was shown.
        TokenRequired = 3 => "a token is required",
        /// The token is not the right one.
        BadToken = 4 => "the token is wrong",
        /// Another process than the one asked for lives here.
        WrongInstance = 5 => "another process lives here",
        /// The session to resume is gone.
        SessionLost = 6 => "the session is lost",
        /// There are too many connections already.
        Busy = 7 => "too busy",
        /// The process is about to end.
        ShuttingDown = 8 => "shutting down",
        /// The hello could not be understood.
        Malformed = 9 => "malformed",
        /// The hello asks for what is not supported.
        Unsupported = 10 => "unsupported",
        /// The handshake took too long.
        Timeout = 11 => "too slow",
    }
}

codes! {
    /// Why a conversation ends.
    CloseCode {
        /// It is no longer needed.
        Done = 0 => "done",
        /// The process is about to end.
        ShuttingDown = 1 => "shutting down",
        /// A frame could not be decoded.
        Malformed = 2 => "malformed frame",
        /// A frame broke a rule.
        Violation = 3 => "protocol violation",
        /// A frame asks for what is not supported.
        Unsupported = 4 => "unsupported",
        /// The other side was silent, or too slow.
        Timeout = 5 => "too slow",
        /// The other side used more than its share, for instance by errors without end.
        Excess = 6 => "excessive use",
        /// Something went wrong that is not the other side's fault.
        Internal = 7 => "internal error",
    }
}

codes! {
    /// Why a side takes no new calls.
    DrainCode {
        /// The process is about to end.
        ShuttingDown = 0 => "shutting down",
        /// The process is about to be replaced by another at the same address.
        Restarting = 1 => "restarting",
        /// There is too much to do.
        Overloaded = 2 => "overloaded",
    }
}

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident, $code:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            /// The reason that a program can act on.
            pub code: $code,
            /// The same for a person. It is cut to 1024 bytes when it is sent.
            pub text: String,
        }

        impl $name {
            /// Makes a reason of its two parts.
            pub fn new(code: $code, text: impl Into<String>) -> Self {
                Self { code, text: text.into() }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.text.as_str() {
                    "" => self.code.fmt(f),
                    text => write!(f, "{}: {text}", self.code),
                }
            }
        }
    };
}

reasons! {
    /// Why a conversation ends, in a goodbye.
    CloseReason, CloseCode
}

reasons! {
    /// Why a side takes no new calls.
    DrainReason, DrainCode
}

reasons! {
    /// Why a handshake is refused.
    Refusal, RefusalCode
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_codes_are_kept() {
        assert_eq!(CloseCode::from_code(999), CloseCode::Other(999));
        assert_eq!(CloseCode::Other(999).code(), 999);
        assert_eq!(RefusalCode::from_code(4), RefusalCode::BadToken);
        assert_eq!(CloseReason::new(CloseCode::Done, "").to_string(), "done");
    }
}
