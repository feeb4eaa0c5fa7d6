//! The names that peers may ask for.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};

use super::Node;
use crate::descriptor::Interface;
use crate::error::{Fault, Result};
use crate::factory::Factory;
use crate::object::{Export, ObjectIdentity};
use crate::publishing::PublishError;
use crate::session::Session;
use crate::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::{FaultKind, Outcome};

/// The longest name of an object, in bytes, as the protocol has it.
const MAX_NAME: usize = 1024;

/// What a name stands for.
#[derive(Clone)]
pub(crate) enum Published {
    Object(Arc<Export>),
    /// An object of each session's own.
    Factory(Arc<Factory>),
}

impl Published {
    pub(crate) fn descriptor(&self) -> Option<&'static Interface> {
        match self {
            Published::Object(export) => export.descriptor(),
            Published::Factory(factory) => Some(factory.interface),
        }
    }

    fn is(&self, object: ObjectIdentity) -> bool {
        matches!(self, Published::Object(export) if export.identity == object)
    }

    /// Whether calls to what has the name reach this object, be it lent.
    fn reaches(&self, object: ObjectIdentity) -> bool {
        matches!(self, Published::Object(export) if export.reaches(object))
    }
}

/// What names stand for.
#[derive(Default)]
pub(super) struct Names(RwLock<HashMap<String, Named>>);

struct Named {
    published: Published,
    /// The number of the session whose peer gave the name.
    publisher: Option<u64>,
}

impl Names {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<String, Named>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<String, Named>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an object can have this name.
fn is_fit(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
}

impl Node {
    /// What has this name; the daemon itself for the empty name.
    pub(crate) fn find(&self, name: &str) -> Option<Published> {
        if name.is_empty() {
            return self.daemon().map(Published::Object);
        }
        Some(self.names.read().get(name)?.published.clone())
    }

    /// Gives an object, or a factory, a name that no other has.
    pub(crate) fn publish(&self, name: &str, published: Published) -> Result<()> {
        let misuse = |text| Fault::new(FaultKind::Misuse, Outcome::NotStarted, text);
        if !is_fit(name) {
            return Err(misuse(format!(
                "an object's name has between 1 and {MAX_NAME} bytes"
            )));
        }
        match self.names.write().entry(name.to_owned()) {
            Entry::Vacant(place) => {
                place.insert(Named {
                    published,
                    publisher: None,
                });
                Ok(())
            }
            Entry::Occupied(_) => Err(misuse(format!(
                "an object named `{name}` is registered already; unregister it first or take another name"
            ))),
        }
    }

    /// Gives an object a name on behalf of the peer of this session, which gets no more names than `limit`.
    pub(crate) fn publish_for(
        &self,
        session: &Session,
        name: &str,
        export: Arc<Export>,
        limit: u32,
    ) -> Result<(), PublishError> {
        if !is_fit(name) {
            return Err(PublishError::UnfitName);
        }
        let publisher = Some(session.number());
        let mut names = self.names.write();
        if names.contains_key(name) {
            return Err(PublishError::NameTaken(name.to_owned()));
        }
        let published = names.values().filter(|named| named.publisher == publisher);
        if published.count() >= usize::try_from(limit).unwrap_or(usize::MAX) {
            return Err(PublishError::TooMany(limit));
        }
        let named = Named {
            published: Published::Object(export),
            publisher,
        };
        names.insert(name.to_owned(), named);
        drop(names);
        // Its end may have come before the name.
        if session.is_closed() {
            self.withdraw_all(session);
        }
        Ok(())
    }

    /// Takes a name away that the peer of this session gave. References to the object live on.
    pub(crate) fn withdraw(&self, session: &Session, name: &str) -> Option<Published> {
        let mut names = self.names.write();
        let named = names.get(name)?;
        match named.publisher == Some(session.number()) {
            true => names.remove(name).map(|named| named.published),
            false => None,
        }
    }

    /// Takes all names away that the peer of this session gave.
    pub(crate) fn withdraw_all(&self, session: &Session) {
        let is_its = |named: &Named| named.publisher == Some(session.number());
        // Nearly no session gives names.
        if !self.names.read().values().any(is_its) {
            return;
        }
        let mut names = self.names.write();
        let gone: Vec<_> = names.extract_if(|_, named| is_its(named)).collect();
        drop(names);
        // Dropping the last holder of an object runs the application's code: not under the lock.
        drop(gone);
    }

    /// Takes a name away. References to the object live on.
    pub(crate) fn unpublish(&self, name: &str) -> Option<Published> {
        let named = self.names.write().remove(name)?;
        Some(named.published)
    }

    /// Takes all names of an object away, those of its loans included.
    pub(crate) fn unpublish_object(&self, object: ObjectIdentity) {
        let mut names = self.names.write();
        let gone: Vec<_> = names
            .extract_if(|_, named| named.published.reaches(object))
            .collect();
        drop(names);
        // Dropping the last holder of an object runs the application's code: not under the lock.
        drop(gone);
    }

    /// Takes all names away. An object that knows its daemon would otherwise hold it, and itself, for ever.
    pub(crate) fn unpublish_all(&self) {
        let mut names = self.names.write();
        let gone = std::mem::take(&mut *names);
        drop(names);
        // As above.
        drop(gone);
    }

    /// The names, and the wire names of the interfaces under which their objects are served.
    pub(crate) fn names(&self) -> BTreeMap<String, String> {
        let names = self.names.read();
        let mut listed = BTreeMap::new();
        for (name, named) in &*names {
            let interface = named
                .published
                .descriptor()
                .map_or("", |interface| interface.name);
            listed.insert(name.clone(), interface.to_owned());
        }
        listed
    }

    /// Whether this object has a name, or is the daemon itself.
    pub(crate) fn has_name(&self, object: ObjectIdentity) -> bool {
        let is_daemon = self
            .daemon()
            .is_some_and(|daemon| daemon.identity == object);
        is_daemon
            || self
                .names
                .read()
                .values()
                .any(|named| named.published.is(object))
    }
}
