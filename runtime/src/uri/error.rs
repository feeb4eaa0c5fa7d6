//! Why a text is no URI.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;

use super::FORMS;

/// Why a text is no URI, or an address cannot be part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UriError {
    /// The text does not begin with a scheme that farref knows.
    UnknownScheme(String),
    /// The host is missing.
    MissingHost,
    /// The host is neither a name nor an IP address; an IPv6 address needs brackets.
    InvalidHost(String),
    /// The port is missing; there is no default.
    MissingPort(String),
    /// The port is not a number from 0 to 65535.
    InvalidPort(String),
    /// The path of a Unix socket does not begin with a slash.
    RelativePath(PathBuf),
    /// The path holds a byte that no path of this system can hold.
    InvalidPath(String),
    /// The name of a daemon in memory is empty.
    MissingName,
    /// A character that must be escaped stands for itself.
    InvalidCharacter {
        /// The character.
        character: char,
        /// The part of the URI that holds it.
        text: String,
    },
    /// A percent sign is not followed by two hexadecimal digits.
    InvalidEscape(String),
    /// The escapes of a name do not make UTF-8.
    NotUtf8(String),
    /// The name that a name server is to look up is empty.
    EmptyName,
    /// A tag is empty, or there is none.
    EmptyTag,
    /// There are more tags than this.
    TooManyTags(usize),
    /// A name server can only be found by its address.
    NameServer(String),
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownScheme(text) => write!(
                f,
                "`{text}` does not begin with a known scheme; write {FORMS}"
            ),
            Self::MissingHost => f.write_str("the host is missing; write far://host:port/object"),
            Self::InvalidHost(host) => write!(
                f,
                "`{host}` is no host; write far://host:port/object, and far://[::1]:port/object for an IPv6 address"
            ),
            Self::MissingPort(host) => write!(
                f,
                "the port is missing after the host `{host}`; write far://host:port/object"
            ),
            Self::InvalidPort(port) => write!(
                f,
                "`{port}` is no port; write a number up to 65535, as in far://host:9999/object"
            ),
            Self::RelativePath(path) => write!(
                f,
                "the socket's path `{}` is not absolute; write far+unix:/path/to.sock#object",
                path.display()
            ),
            Self::InvalidPath(path) => write!(
                f,
                "`{path}` is no path on this system; write far+unix:/path/to.sock#object"
            ),
            Self::MissingName => f.write_str("the name is missing; write far+mem:name#object"),
            Self::InvalidCharacter { character, text } => write!(
                f,
                "the character {character:?} in `{text}` must be written as %XX of its UTF-8 bytes"
            ),
            Self::InvalidEscape(text) => write!(
                f,
                "a `%` in `{text}` is not followed by two hexadecimal digits; write %25 for the sign itself"
            ),
            Self::NotUtf8(text) => write!(f, "the escapes in `{text}` do not make valid UTF-8"),
            Self::EmptyName => {
                f.write_str("the name is empty; write farname:NAME or farname:NAME@host:port")
            }
            Self::EmptyTag => {
                f.write_str("a tag is empty; write farmeta:TAG,TAG or farmeta:TAG,TAG@host:port")
            }
            Self::TooManyTags(most) => write!(f, "a URI asks for at most {most} tags"),
            Self::NameServer(uri) => write!(
                f,
                "a name server must be given by its address, such as far://host:port, and not as `{uri}`"
            ),
        }
    }
}

impl std::error::Error for UriError {}

/// Never happens; it lets `TryInto<Uri>` take a [`Uri`](crate::Uri) beside texts.
impl From<Infallible> for UriError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
