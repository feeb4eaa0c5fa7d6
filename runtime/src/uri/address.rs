//! Where daemons listen.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::error::UriError;
use super::text::{excerpt, unescaped, write_escaped};

/// The longest host name that the domain name system can carry, in bytes.
const MAX_HOST: usize = 253;

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

impl Address {
    /// Brings the address into its canonical form.
    pub(super) fn checked(self) -> Result<Self, UriError> {
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

/// Parses `host:port`, where an IPv6 address stands in brackets. Without a port it is `default`, if there is one.
pub(super) fn parse_authority(authority: &str, default: Option<u16>) -> Result<Address, UriError> {
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
        None | Some("") => default.ok_or_else(|| UriError::MissingPort(excerpt(host)))?,
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
pub(super) fn parse_path(text: &str) -> Result<PathBuf, UriError> {
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
