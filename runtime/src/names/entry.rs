//! What a directory holds, is asked and answers.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::pattern;
use crate::error::{CallError, Fault};
use crate::uri::Uri;
use crate::{FaultKind, Outcome};

/// What an owner registers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The name, of 1 to 256 bytes.
    pub name: String,
    /// Where the object is.
    pub uri: Uri,
    /// What it can be found by besides; up to 32, each of 1 to 128 bytes.
    pub tags: BTreeSet<String>,
    /// What happens if somebody else has the name.
    pub if_taken: IfTaken,
    /// After how many seconds without renewal the registration ends, from 1 to 86 400; `None` means that it stays until it
    /// is removed.
    pub lease: Option<u32>,
    /// A number that the owner chose at random, by which the directory knows it again; 0 stands for nobody in particular.
    pub owner: u64,
    /// How much the object has to do, by its owner's own measure.
    pub load: u32,
}

impl Registration {
    /// A registration that stays until it is removed, has no tags, and is refused if the name is taken.
    pub fn new(name: impl Into<String>, uri: impl Into<Uri>) -> Self {
        Registration {
            name: name.into(),
            uri: uri.into(),
            tags: BTreeSet::new(),
            if_taken: IfTaken::Refuse,
            lease: None,
            owner: 0,
            load: 0,
        }
    }
}

/// What happens to a registration whose name somebody else has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IfTaken {
    /// It is refused.
    #[default]
    Refuse,
    /// It takes the name away from all others, whose epochs are fenced from then on.
    Replace,
    /// Both have the name.
    Join,
}

/// What a directory grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// The number of this registration, greater than that of any before.
    pub epoch: u64,
}

/// One object that has a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub uri: Uri,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// The number of its registration.
    pub epoch: u64,
    /// After how many seconds without renewal the registration ends; `None` if it has no lease.
    pub lease: Option<u32>,
    /// How much it has to do, by its owner's own measure.
    pub load: u32,
}

/// A lease that is to begin anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// The name.
    pub name: String,
    /// The number of the registration.
    pub epoch: u64,
    /// How much the object has to do now.
    pub load: u32,
}

/// What became of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Renewed {
    /// The lease has begun anew.
    Kept,
    /// The registration is gone, and nobody has the name.
    Gone,
    /// The registration is gone, and the name belongs to another, whose epoch this is.
    Fenced(u64),
}

/// Which registrations are meant: those for which everything holds that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Query {
    /// The name begins like this.
    pub prefix: String,
    /// The whole name looks like this: `*` stands for any characters, `?` for one. Empty means any name.
    pub pattern: String,
    /// It has all of these tags.
    pub all: BTreeSet<String>,
    /// It has at least one of these tags, unless there are none here.
    pub any: BTreeSet<String>,
}

impl Query {
    /// Whether a registration is meant.
    pub fn fits(&self, entry: &Entry) -> bool {
        entry.name.starts_with(&self.prefix)
            && (self.pattern.is_empty() || pattern::fits(&self.pattern, &entry.name))
            && self.all.is_subset(&entry.tags)
            && (self.any.is_empty() || !self.any.is_disjoint(&entry.tags))
    }
}

/// A place in a list: after this registration, whether it is still there or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Its name.
    pub name: String,
    /// Its epoch.
    pub epoch: u64,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The entries; there may be none although more follow.
    pub entries: Vec<Entry>,
    /// Where the next part begins, if there may be one.
    pub next: Option<Position>,
}

/// Something that changed in a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// How many changes there have been since the directory was opened, this one included. Who misses a number has missed a
    /// change, and lists anew.
    pub number: u64,
    /// What happened.
    pub what: Happened,
    /// The registration: as it is now, or as it was when it went. One that went has no load.
    pub entry: Entry,
    /// The epoch of who owns the name from now on, which fences all that are older; `None` if nobody has it any more.
    pub owner: Option<u64>,
}

/// What happened to a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Happened {
    /// It is new.
    Registered,
    /// It has other tags now.
    Tagged,
    /// Another registration has taken its place, and is told of next.
    Replaced,
    /// It was removed.
    Removed,
    /// It was not renewed in time.
    Expired,
}

/// What a directory says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesInfo {
    /// Where the entries are kept, in words.
    pub store: String,
    /// Whether the entries are there again after a restart.
    pub persistent: bool,
    /// How many registrations there are.
    pub entries: u64,
    /// How many there may be.
    pub max_entries: u64,
    /// How many different tags there are.
    pub tags: u64,
    /// The greatest epoch that was granted.
    pub epoch: u64,
}

/// Why a directory refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamesError {
    /// Somebody else has the name.
    Taken {
        /// The name.
        name: String,
        /// Where the object is that has it.
        uri: Uri,
    },
    /// The name belongs to another registration by now.
    Fenced {
        /// The name.
        name: String,
        /// The epoch of the newest registration of the name.
        epoch: u64,
    },
    /// Nobody has the name.
    Unknown(String),
    /// What was said cannot be; the text says what can.
    Invalid(String),
    /// The directory is full.
    Full(String),
    /// The directory cannot keep what it was told.
    Store(String),
}

impl fmt::Display for NamesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NamesError::Taken { name, uri } => write!(
                f,
                "the name `{name}` belongs to {uri} already; replace it, join it, or choose another name"
            ),
            NamesError::Fenced { name, epoch } => write!(
                f,
                "the name `{name}` belongs to a newer registration, of epoch {epoch}"
            ),
            NamesError::Unknown(name) => write!(f, "nobody has registered the name `{name}`"),
            NamesError::Invalid(text) | NamesError::Full(text) => f.write_str(text),
            NamesError::Store(text) => {
                write!(f, "the name server cannot write to its store: {text}")
            }
        }
    }
}

impl std::error::Error for NamesError {}

impl From<NamesError> for Fault {
    fn from(error: NamesError) -> Self {
        let kind = match &error {
            NamesError::Unknown(_) => FaultKind::NoSuchObject,
            NamesError::Full(_) | NamesError::Store(_) => FaultKind::Overloaded,
            NamesError::Taken { .. } | NamesError::Fenced { .. } | NamesError::Invalid(_) => {
                FaultKind::Misuse
            }
        };
        Fault::new(kind, Outcome::Ran, error.to_string())
    }
}

impl From<CallError<NamesError>> for Fault {
    fn from(error: CallError<NamesError>) -> Self {
        match error {
            CallError::App(error) => error.into(),
            CallError::Fault(fault) => fault,
        }
    }
}
