//! URIs: where a daemon listens, and which of its objects is meant.
//!
//! ```text
//! far://host:port/object           TCP; the host is a name, an IPv4 address or an [IPv6 address]
//! far+unix:/path/to.sock#object    a Unix socket, by its absolute path
//! far+mem:name#object              a daemon in the same process, by the name it was given
//! ```
//!
//! The object may be absent everywhere; what is meant then is the daemon itself. Letters, digits and
//! ``-._~!$&'()*+,;=:@/`` stand for themselves in paths and names; every other byte is written `%XX`. The parser
//! accepts nothing else, and what it accepted is written back in one canonical form.

mod error;

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::error::UriError;

/// The forms that a URI may have, as error messages show them.
const FORMS: &str = "far://host:port/object, far+unix:/path/to.sock#object or far+mem:name#object";

/// The longest host name that the domain name system can carry, in bytes.
const MAX_HOST: usize = 253;

/// Names a daemon and, mostly, one of its objects.
///
/// Parsing is strict and displaying is canonical, so that `uri.to_string().parse()` gives the same URI, and equal
/// URIs have equal texts. It is serialised as its text.
///
/// # Examples
///
/// ```
/// use farref::Uri;
///
/// let uri: Uri = "far://127.0.0.1:9999/jukebox".parse()?;
/// assert_eq!(uri.object(), Some("jukebox"));
/// assert_eq!(uri.with_object("the other one").to_string(), "far://127.0.0.1:9999/the%20other%20one");
/// # Ok::<(), farref::UriError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uri {
    address: Address,
    object: Option<String>,
}

/// Where a daemon listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Address {
    /// A TCP port.
    Tcp {
        /// A host name in lower case, or an IP address without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket, by its absolute path.
    Unix(PathBuf),
    /// A daemon in the same process, by the name it was given.
    Memory(String),
}

impl Uri {
    /// Makes the URI of the daemon at this address.
    ///
    /// # Errors
    ///
    /// A [`UriError`] says what no URI can express: an empty or impossible host, a relative path, an empty name.
    pub fn new(address: Address) -> Result<Self, UriError> {
        Ok(Self {
            address: address.checked()?,
            object: None,
        })
    }

    /// Returns where the daemon listens.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Returns the object's name, unescaped; `None` stands for the daemon itself.
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        self.object.as_deref()
    }

    /// Returns the URI of another object of the same daemon; an empty name stands for the daemon itself.
    #[must_use]
    pub fn with_object(&self, name: impl Into<String>) -> Self {
        Self {
            address: self.address.clone(),
            object: Some(name.into()).filter(|name| !name.is_empty()),
        }
    }

    /// Returns the URI of the daemon itself.
    #[must_use]
    pub fn without_object(&self) -> Self {
        Self {
            address: self.address.clone(),
            object: None,
        }
    }
}

impl Address {
    /// Brings the address into its canonical form.
    fn checked(self) -> Result<Self, UriError> {
        match self {
            Self::Tcp { host, port } => Ok(Self::Tcp {
                host: canonical_host(&host)?,
                port,
            }),
            Self::Unix(path) if !path.has_root() => Err(UriError::RelativePath(path)),
            Self::Unix(path) if path_bytes(&path).is_none_or(|bytes| bytes.contains(&0)) => {
                Err(UriError::InvalidPath(path.display().to_string()))
            }
            Self::Memory(name) if name.is_empty() => Err(UriError::MissingName),
            valid => Ok(valid),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}

impl From<SocketAddr> for Uri {
    fn from(address: SocketAddr) -> Self {
        Self {
            address: address.into(),
            object: None,
        }
    }
}

impl From<&Uri> for Uri {
    fn from(uri: &Uri) -> Self {
        uri.clone()
    }
}

impl From<Uri> for String {
    fn from(uri: Uri) -> Self {
        uri.to_string()
    }
}

impl TryFrom<Address> for Uri {
    type Error = UriError;

    fn try_from(address: Address) -> Result<Self, UriError> {
        Self::new(address)
    }
}

impl TryFrom<&str> for Uri {
    type Error = UriError;

    fn try_from(text: &str) -> Result<Self, UriError> {
        text.parse()
    }
}

impl TryFrom<String> for Uri {
    type Error = UriError;

    fn try_from(text: String) -> Result<Self, UriError> {
        text.parse()
    }
}

impl TryFrom<&String> for Uri {
    type Error = UriError;

    fn try_from(text: &String) -> Result<Self, UriError> {
        text.parse()
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let (address, object) = if let Some(rest) = text.strip_prefix("far://") {
            let (authority, object) = rest.split_once('/').unwrap_or((rest, ""));
            (parse_authority(authority)?, object)
        } else if let Some(rest) = text.strip_prefix("far+unix:") {
            let (path, object) = rest.split_once('#').unwrap_or((rest, ""));
            (Address::Unix(parse_path(path)?), object)
        } else if let Some(rest) = text.strip_prefix("far+mem:") {
            let (name, object) = rest.split_once('#').unwrap_or((rest, ""));
            (Address::Memory(unescaped_text(name)?), object)
        } else {
            return Err(UriError::UnknownScheme(excerpt(text)));
        };
        Ok(Self::new(address)?.with_object(unescaped_text(object)?))
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)?;
        let Some(object) = &self.object else {
            return Ok(());
        };
        f.write_char(if matches!(self.address, Address::Tcp { .. }) {
            '/'
        } else {
            '#'
        })?;
        write_escaped(f, object.as_bytes())
    }
}

/// Displays the URI of the daemon at this address.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "far://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "far://{host}:{port}"),
            Self::Unix(path) => {
                f.write_str("far+unix:")?;
                match path_bytes(path) {
                    Some(bytes) => write_escaped(f, bytes),
                    None => path.display().fmt(f),
                }
            }
            Self::Memory(name) => {
                f.write_str("far+mem:")?;
                write_escaped(f, name.as_bytes())
            }
        }
    }
}

/// Parses `host:port`, where an IPv6 address stands in brackets.
fn parse_authority(authority: &str) -> Result<Address, UriError> {
    let invalid = || UriError::InvalidHost(excerpt(authority));
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or_else(invalid)?;
            host.parse::<Ipv6Addr>().map_err(|_| invalid())?;
            match after {
                "" => (host, None),
                after => (host, Some(after.strip_prefix(':').ok_or_else(invalid)?)),
            }
        }
        // Without brackets a host holds no colon, so an IPv6 address does not lose its end to the port.
        None => match authority.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err(invalid()),
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err(UriError::MissingHost);
    }
    let port = match port {
        None | Some("") => return Err(UriError::MissingPort(excerpt(host))),
        Some(port) => parse_port(port)?,
    };
    Ok(Address::Tcp {
        host: host.to_owned(),
        port,
    })
}

/// Parses a port: digits alone, since `u16`'s own parser takes a plus sign.
fn parse_port(port: &str) -> Result<u16, UriError> {
    let invalid = || UriError::InvalidPort(excerpt(port));
    if port.bytes().all(|byte| byte.is_ascii_digit()) {
        port.parse().map_err(|_| invalid())
    } else {
        Err(invalid())
    }
}

/// Checks a host, and writes names in lower case and addresses in their shortest form.
fn canonical_host(host: &str) -> Result<String, UriError> {
    if host.is_empty() {
        return Err(UriError::MissingHost);
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if host.len() > MAX_HOST || !host.bytes().all(valid) {
        return Err(UriError::InvalidHost(excerpt(host)));
    }
    Ok(host.to_ascii_lowercase())
}

/// Parses the escaped path of a socket.
fn parse_path(text: &str) -> Result<PathBuf, UriError> {
    let bytes = unescaped(text)?;
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt;
        Ok(std::ffi::OsString::from_vec(bytes).into())
    }
    #[cfg(not(unix))]
    String::from_utf8(bytes)
        .map(PathBuf::from)
        .map_err(|_| UriError::NotUtf8(excerpt(text)))
}

/// Returns the bytes of a path; outside Unix, of a path that is Unicode.
fn path_bytes(path: &Path) -> Option<&[u8]> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        Some(path.as_os_str().as_bytes())
    }
    #[cfg(not(unix))]
    path.to_str().map(str::as_bytes)
}

/// Tells whether a byte stands for itself in a path or a name.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
                | b'/'
        )
}

fn write_escaped(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for &byte in bytes {
        if is_plain(byte) {
            f.write_char(char::from(byte))?
        } else {
            write!(f, "%{byte:02X}")?
        }
    }
    Ok(())
}

fn unescaped_text(text: &str) -> Result<String, UriError> {
    String::from_utf8(unescaped(text)?).map_err(|_| UriError::NotUtf8(excerpt(text)))
}

fn unescaped(text: &str) -> Result<Vec<u8>, UriError> {
    let mut out = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match u8::try_from(character) {
            Ok(b'%') => {
                let mut digit = || characters.next().and_then(|digit| digit.to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else {
                    return Err(UriError::InvalidEscape(excerpt(text)));
                };
                out.extend(u8::try_from(high << 4 | low));
            }
            Ok(byte) if is_plain(byte) => out.push(byte),
            _ => {
                return Err(UriError::InvalidCharacter {
                    character,
                    text: excerpt(text),
                });
            }
        }
    }
    Ok(out)
}

/// Shortens a text for an error message, since a stranger may have written it.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
