//! What bounds a directory.

use std::collections::BTreeSet;

use farref::names::{NamesError, Query, Registration};

/// The longest name, in bytes.
const MAX_NAME: usize = 256;
/// The longest tag, in bytes.
const MAX_TAG: usize = 128;
/// The longest URI, in bytes.
const MAX_URI: usize = 2048;
/// The longest lease, in seconds.
const MAX_LEASE: u32 = 86_400;

/// What bounds a directory. Whoever asks for more is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many registrations there may be; the default is a million.
    pub entries: usize,
    /// How many registrations may have one name; the default is 256.
    pub per_name: usize,
    /// How many tags one registration may have; the default is 32.
    pub tags: usize,
    /// How many renewals one call may hold; the default is 1000.
    pub renewals: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            entries: 1_000_000,
            per_name: 256,
            tags: 32,
            renewals: 1000,
        }
    }
}

impl Limits {
    pub(crate) fn check(&self, registration: &Registration) -> Result<(), NamesError> {
        check_name(&registration.name)?;
        self.check_tags(&registration.tags)?;
        if registration.uri.address().is_none() {
            return Err(NamesError::Invalid(format!(
                "{} does not say where the object is; register an address such as far://host:port/object",
                registration.uri
            )));
        }
        if registration.uri.to_string().len() > MAX_URI {
            return Err(NamesError::Invalid(format!(
                "a URI has at most {MAX_URI} bytes"
            )));
        }
        match registration.lease {
            Some(lease) if lease == 0 || lease > MAX_LEASE => Err(NamesError::Invalid(format!(
                "a lease has between 1 and {MAX_LEASE} seconds, and not {lease}"
            ))),
            _ => Ok(()),
        }
    }

    pub(crate) fn check_tags(&self, tags: &BTreeSet<String>) -> Result<(), NamesError> {
        if tags.len() > self.tags {
            return Err(NamesError::Invalid(format!(
                "a registration has at most {} tags, and not {}",
                self.tags,
                tags.len()
            )));
        }
        let unfit = tags
            .iter()
            .find(|tag| tag.is_empty() || tag.len() > MAX_TAG);
        match unfit {
            Some(tag) => Err(NamesError::Invalid(format!(
                "a tag has between 1 and {MAX_TAG} bytes, and not {}",
                tag.len()
            ))),
            None => Ok(()),
        }
    }

    pub(crate) fn check_query(&self, query: &Query) -> Result<(), NamesError> {
        for text in [&query.prefix, &query.pattern] {
            if text.len() > MAX_NAME {
                return Err(NamesError::Invalid(format!(
                    "a name has at most {MAX_NAME} bytes, and so have its prefixes and patterns"
                )));
            }
        }
        self.check_tags(&query.all)?;
        self.check_tags(&query.any)
    }
}

fn check_name(name: &str) -> Result<(), NamesError> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(NamesError::Invalid(format!(
            "a name has between 1 and {MAX_NAME} bytes, and not {}",
            name.len()
        )));
    }
    match name.chars().find(|character| character.is_control()) {
        Some(character) => Err(NamesError::Invalid(format!(
            "a name has no control characters, such as {character:?}"
        ))),
        None => Ok(()),
    }
}
