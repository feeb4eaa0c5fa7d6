//! URIs: which object is meant, and where it is or who knows where it is.
//!
//! ```text
//! far://host:port/object           TCP; the host is a name, an IPv4 address or an [IPv6 address]
//! far+unix:/path/to.sock#object    a Unix socket, by its absolute path
//! far+mem:name#object              a daemon in the same process, by the name it was given
//!
//! farname:NAME                     whatever has this name at the name server
//! farmeta:TAG,TAG                  any object that has all of these tags at the name server
//! farname:NAME@host:port           the same at this name server; far+unix:.. and far+mem:.. may stand there, too
//! ```
//!
//! The object may be absent in the first three; what is meant then is the daemon itself. Letters, digits and
//! ``-._~!$&'()*+,;=:@/`` stand for themselves in paths and names; every other byte is written `%XX`, as are `@` in names
//! and `@` and `,` in tags. The parser accepts nothing else, and what it accepted is written back in one canonical form.

mod address;
mod error;
mod text;

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

pub use self::address::Address;
use self::address::{parse_authority, parse_path};
pub use self::error::UriError;
use self::text::{excerpt, unescaped_text, write_escaped, write_escaped_but};
use crate::shape;

/// The forms that a URI may have, as error messages show them.
const FORMS: &str = "far://host:port/object, far+unix:/path/to.sock#object, far+mem:name#object, farname:NAME or \
                     farmeta:TAG,TAG";

/// The port of a name server where none is said.
pub(crate) const NAME_SERVER_PORT: u16 = 13277;

/// The name under which a name server serves its directory.
pub(crate) const DIRECTORY: &str = "farref.names";

/// The most tags that one URI can ask for.
const MAX_TAGS: usize = 32;

/// Names an object: by the daemon that has it, or by what a name server knows of it.
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
///
/// let uri: Uri = "farname:jukebox@names.example:13277".parse()?;
/// assert_eq!(uri.name(), Some("jukebox"));
/// assert_eq!(Uri::tagged(["live", "audio"])?.to_string(), "farmeta:audio,live");
/// # Ok::<(), farref::UriError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct Uri(Form);

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Form {
    /// At a daemon.
    Direct {
        address: Address,
        object: Option<String>,
    },
    /// By a name that a name server knows.
    Name {
        name: String,
        server: Option<Box<Uri>>,
    },
    /// By tags that a name server knows.
    Tags {
        tags: BTreeSet<String>,
        server: Option<Box<Uri>>,
    },
}

impl Uri {
    /// Makes the URI of the daemon at this address.
    ///
    /// # Errors
    ///
    /// A [`UriError`] says what no URI can express: an empty or impossible host, a relative path, an empty name.
    pub fn new(address: Address) -> Result<Self, UriError> {
        Ok(Uri::direct(address.checked()?, None))
    }

    /// Makes the URI of whatever has this name at the name server: `farname:NAME`.
    ///
    /// # Errors
    ///
    /// [`UriError::EmptyName`].
    pub fn named(name: impl Into<String>) -> Result<Self, UriError> {
        let name = name.into();
        if name.is_empty() {
            return Err(UriError::EmptyName);
        }
        Ok(Uri(Form::Name { name, server: None }))
    }

    /// Makes the URI of any object that has all of these tags at the name server: `farmeta:TAG,TAG`.
    ///
    /// # Errors
    ///
    /// [`UriError::EmptyTag`], also if there is no tag; [`UriError::TooManyTags`] for more than 32.
    pub fn tagged<T: Into<String>>(tags: impl IntoIterator<Item = T>) -> Result<Self, UriError> {
        let tags: BTreeSet<String> = tags.into_iter().map(Into::into).collect();
        if tags.is_empty() || tags.contains("") {
            return Err(UriError::EmptyTag);
        }
        if tags.len() > MAX_TAGS {
            return Err(UriError::TooManyTags(MAX_TAGS));
        }
        Ok(Uri(Form::Tags { tags, server: None }))
    }

    pub(crate) const fn direct(address: Address, object: Option<String>) -> Self {
        Uri(Form::Direct { address, object })
    }

    /// The same name or tags at this name server. A URI that says where the object is needs none and stays as it is.
    ///
    /// # Errors
    ///
    /// [`UriError::NameServer`], if `server` does not say where it is but is to be found by a name itself.
    pub fn at_name_server(mut self, server: impl Into<Uri>) -> Result<Self, UriError> {
        let found = Some(Box::new(server.into().as_directory()?));
        match &mut self.0 {
            Form::Direct { .. } => {}
            Form::Name { server, .. } | Form::Tags { server, .. } => *server = found,
        }
        Ok(self)
    }

    /// The directory of the name server at this URI: its usual object, unless the URI names another.
    pub(crate) fn as_directory(&self) -> Result<Uri, UriError> {
        match &self.0 {
            Form::Direct { object: None, .. } => Ok(self.with_object(DIRECTORY)),
            Form::Direct { .. } => Ok(self.clone()),
            Form::Name { .. } | Form::Tags { .. } => Err(UriError::NameServer(self.to_string())),
        }
    }

    /// Returns where the daemon listens that has the object; `None` if a name server knows.
    #[must_use]
    pub const fn address(&self) -> Option<&Address> {
        match &self.0 {
            Form::Direct { address, .. } => Some(address),
            Form::Name { .. } | Form::Tags { .. } => None,
        }
    }

    /// Returns the object's name at its daemon, unescaped; `None` stands for the daemon itself, and for an object that is
    /// found by a name server.
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        match &self.0 {
            Form::Direct { object, .. } => object.as_deref(),
            Form::Name { .. } | Form::Tags { .. } => None,
        }
    }

    /// Returns the name by which a name server knows the object.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            Form::Name { name, .. } => Some(name),
            Form::Direct { .. } | Form::Tags { .. } => None,
        }
    }

    /// Returns the tags by which a name server finds the object.
    #[must_use]
    pub const fn tags(&self) -> Option<&BTreeSet<String>> {
        match &self.0 {
            Form::Tags { tags, .. } => Some(tags),
            Form::Direct { .. } | Form::Name { .. } => None,
        }
    }

    /// Returns the name server's directory, if the URI says which one to ask.
    #[must_use]
    pub fn name_server(&self) -> Option<&Uri> {
        match &self.0 {
            Form::Name { server, .. } | Form::Tags { server, .. } => server.as_deref(),
            Form::Direct { .. } => None,
        }
    }

    /// Returns the URI of another object in the same place: of the same daemon, where an empty name stands for the daemon
    /// itself, or of the same name server, where an empty name changes nothing.
    #[must_use]
    pub fn with_object(&self, name: impl Into<String>) -> Self {
        let name = name.into();
        match &self.0 {
            Form::Direct { address, .. } => {
                Uri::direct(address.clone(), Some(name).filter(|name| !name.is_empty()))
            }
            Form::Name { .. } | Form::Tags { .. } if name.is_empty() => self.clone(),
            Form::Name { server, .. } | Form::Tags { server, .. } => Uri(Form::Name {
                name,
                server: server.clone(),
            }),
        }
    }

    /// Returns the URI of the daemon itself. One that a name server has to resolve stays as it is.
    #[must_use]
    pub fn without_object(&self) -> Self {
        self.with_object("")
    }
}

impl From<SocketAddr> for Uri {
    fn from(address: SocketAddr) -> Self {
        Uri::direct(address.into(), None)
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

impl<'de> Deserialize<'de> for Uri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if shape::is_tracing() {
            // Whatever the sample says: the shape of a URI is that of its text.
            return Ok(Uri::direct(Address::Memory(text), None));
        }
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let found = if let Some(rest) = text.strip_prefix("farname:") {
            let (name, server) = split_server(rest)?;
            Some((Uri::named(unescaped_text(name)?)?, server))
        } else if let Some(rest) = text.strip_prefix("farmeta:") {
            let (tags, server) = split_server(rest)?;
            let tags: Result<Vec<_>, _> = tags.split(',').map(unescaped_text).collect();
            Some((Uri::tagged(tags?)?, server))
        } else {
            None
        };
        match found {
            Some((uri, Some(server))) => return uri.at_name_server(server),
            Some((uri, None)) => return Ok(uri),
            None => {}
        }
        let (address, object) = if let Some(rest) = text.strip_prefix("far://") {
            let (authority, object) = rest.split_once('/').unwrap_or((rest, ""));
            (parse_authority(authority, None)?, object)
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

/// Splits the name server off a name or a list of tags.
fn split_server(text: &str) -> Result<(&str, Option<Uri>), UriError> {
    match text.split_once('@') {
        Some((found, server)) => Ok((found, Some(parse_server(server)?))),
        None => Ok((text, None)),
    }
}

/// Parses where a name server is: `host`, `host:port`, or the URI of its daemon or of its directory.
pub(crate) fn parse_server(text: &str) -> Result<Uri, UriError> {
    let uri = match text.starts_with("far") && text.contains(':') {
        // A host may be called `far`, but what follows its colon is a port.
        true if !is_authority(text) => text.parse()?,
        _ => Uri::new(parse_authority(text, Some(NAME_SERVER_PORT))?)?,
    };
    uri.as_directory()
}

fn is_authority(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = match &self.0 {
            Form::Direct { address, object } => {
                address.fmt(f)?;
                if let Some(object) = object {
                    f.write_char(match address {
                        Address::Tcp { .. } => '/',
                        Address::Unix(_) | Address::Memory(_) => '#',
                    })?;
                    write_escaped(f, object.as_bytes())?;
                }
                return Ok(());
            }
            Form::Name { name, server } => {
                f.write_str("farname:")?;
                write_escaped_but(f, name.as_bytes(), b"@")?;
                server
            }
            Form::Tags { tags, server } => {
                f.write_str("farmeta:")?;
                for (index, tag) in tags.iter().enumerate() {
                    if index > 0 {
                        f.write_char(',')?;
                    }
                    write_escaped_but(f, tag.as_bytes(), b"@,")?;
                }
                server
            }
        };
        match server {
            Some(server) => write!(f, "@{}", ServerText(server)),
            None => Ok(()),
        }
    }
}

/// Displays where a name server is in as few words as are needed.
struct ServerText<'u>(&'u Uri);

impl fmt::Display for ServerText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.object() != Some(DIRECTORY) {
            return self.0.fmt(f);
        }
        match self.0.address() {
            Some(address @ Address::Tcp { .. }) => {
                f.write_str(address.to_string().trim_start_matches("far://"))
            }
            Some(address) => address.fmt(f),
            None => self.0.fmt(f),
        }
    }
}
