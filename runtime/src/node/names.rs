//! The names that peers may ask for.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::Node;
use crate::descriptor::Interface;
use crate::error::{Fault, Result};
use crate::factory::Factory;
use crate::object::{Export, ObjectIdentity};
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
}

/// What names stand for.
#[derive(Default)]
pub(super) struct Names(RwLock<HashMap<String, Published>>);

impl Names {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<String, Published>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<String, Published>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    /// What has this name; the daemon itself for the empty name.
    pub(crate) fn find(&self, name: &str) -> Option<Published> {
        if name.is_empty() {
            return self.daemon().map(Published::Object);
        }
        self.names.read().get(name).cloned()
    }

    /// Gives an object, or a factory, a name that no other has.
    pub(crate) fn publish(&self, name: &str, published: Published) -> Result<()> {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(Fault::new(
                FaultKind::Misuse,
                Outcome::NotStarted,
                format!("an object's name has between 1 and {} bytes", MAX_NAME),
            ));
        }
        let mut names = self.names.write();
        match names.entry(name.to_owned()) {
            Entry::Vacant(place) => {
                place.insert(published);
                Ok(())
            }
            Entry::Occupied(_) => Err(Fault::new(
                FaultKind::Misuse,
                Outcome::NotStarted,
                format!(
                    "an object named `{name}` is registered already; unregister it first or take another name"
                ),
            )),
        }
    }

    /// Takes a name away. References to the object live on.
    pub(crate) fn unpublish(&self, name: &str) -> Option<Published> {
        self.names.write().remove(name)
    }

    /// Takes all names of an object away.
    pub(crate) fn unpublish_object(&self, object: ObjectIdentity) {
        let mut names = self.names.write();
        let gone: Vec<_> = names
            .extract_if(|_, published| published.is(object))
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
        for (name, published) in &*names {
            let interface = published
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
                .any(|published| published.is(object))
    }
}
