//! The references that this side gave out, and the tables of frames that transfer references.

mod idle;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use farref_proto::{
    CallId, Connection, DAEMON_TARGET, ExportId, IncomingRef, SendError, TableEntry,
};
use tokio::time::Instant;

use super::Session;
use super::aliases::Aliases;
use super::handing_off::Introducing;
use super::inbox::Garbage;
use crate::FaultKind;
use crate::error::{Fault, Result};
use crate::factory::{Factory, Instance};
use crate::object::{Export, ExportKind, ObjectIdentity};
use crate::remote::{Bound, FarReference, Remote};

/// Characters of a missing object's name that errors show. The peer may ask for many names, each up to 1 KiB long.
const SHOWN_NAME: usize = 64;

/// The objects that the peer may call, by the targets that it calls them by.
pub(crate) struct Exports {
    /// The daemon itself, where this side has one.
    daemon: Option<Arc<Export>>,
    /// By the index that a reference carries; the protocol counts how often it was given out.
    transferred: Vec<Passed>,
    /// By the alias that the peer chose when it asked for a name.
    named: Aliases<Place>,
    /// What factories made for this session, with what stands for it in these tables.
    instances: Vec<(Arc<Instance>, Arc<Export>)>,
}

/// A place for an object that was passed to the peer.
#[derive(Clone, Default)]
struct Passed {
    place: Place,
    /// Whether it was called, or passed again, since that was last asked.
    is_used: Cell<bool>,
    /// When it was last found to be in use.
    used: Option<Instant>,
}

#[derive(Clone, Default)]
enum Place {
    #[default]
    Empty,
    Object(Arc<Export>),
    /// The object was there and is not any more.
    Stale,
    /// Nobody had called it for this long.
    Reaped(Duration),
    /// No object has the name, of which so much is kept as an error shows.
    Missing(Box<str>),
    /// The object of this name does not serve the interface that was asked for.
    OtherInterface(Box<str>),
    /// What this call claims has not come yet.
    Awaited(CallId),
}

impl Exports {
    pub(crate) fn new(daemon: Option<Arc<Export>>) -> Self {
        Exports {
            daemon,
            transferred: Vec::new(),
            named: Aliases::default(),
            instances: Vec::new(),
        }
    }

    /// Finds what a call is for.
    pub(crate) fn target(&self, target: ExportId) -> Result<Arc<Export>> {
        if target.index() == DAEMON_TARGET
            && let Some(daemon) = &self.daemon
        {
            return Ok(Arc::clone(daemon));
        }
        let place = if target.is_alias() {
            self.named.get(target)
        } else {
            let passed = self.transferred.get(target.index() as usize);
            passed.map(|passed| {
                passed.is_used.set(true);
                &passed.place
            })
        };
        match place {
            Some(Place::Object(export)) => Ok(Arc::clone(export)),
            Some(Place::Missing(name)) => Err(crate::remote::no_such_object(name).blaming_caller()),
            Some(Place::OtherInterface(name)) => {
                Err(crate::remote::other_interface(name).blaming_caller())
            }
            Some(Place::Stale) => Err(stale()),
            Some(Place::Reaped(after)) => Err(reaped(*after)),
            Some(Place::Empty | Place::Awaited(_)) | None => Err(Fault::not_started(
                FaultKind::StaleReference,
                "there is no object at this reference",
            )
            .blaming_caller()),
        }
    }

    /// What the peer holds, and how many references to each it was given; 0 for what it holds by a name.
    pub(crate) fn held<'a>(
        &'a self,
        connection: &'a Connection,
    ) -> impl Iterator<Item = (&'a Arc<Export>, u32)> {
        let transferred = self.transferred.iter().enumerate();
        let transferred = transferred.filter_map(|(index, passed)| match &passed.place {
            Place::Object(export) => {
                let id = ExportId::new(u32::try_from(index).unwrap_or(u32::MAX));
                Some((export, connection.grants_of(id)))
            }
            _ => None,
        });
        let named = self.named.iter().filter_map(|place| match place {
            Place::Object(export) => Some((export, 0)),
            _ => None,
        });
        transferred.chain(named)
    }

    /// Puts an object where the peer's alias finds it.
    pub(crate) fn name(&mut self, alias: ExportId, export: Arc<Export>) {
        self.named.insert(alias, Place::Object(export));
    }

    /// Notes that the peer claims something under this alias.
    pub(crate) fn await_claim(&mut self, alias: ExportId, call: CallId) {
        self.named.insert(alias, Place::Awaited(call));
    }

    /// Puts what was claimed where the peer's alias finds it; gives it back if the peer has given the alias back.
    pub(crate) fn name_claimed(
        &mut self,
        alias: ExportId,
        call: CallId,
        export: Arc<Export>,
    ) -> Option<Arc<Export>> {
        match self.named.get(alias) {
            Some(Place::Awaited(claim)) if *claim == call => {
                self.name(alias, export);
                None
            }
            _ => Some(export),
        }
    }

    /// The object that this factory makes for the session, and what stands for it.
    pub(crate) fn instance(
        &mut self,
        factory: &Arc<Factory>,
        session: &Arc<Session>,
    ) -> (Arc<Instance>, Arc<Export>) {
        let known = self
            .instances
            .iter()
            .find(|(instance, _)| instance.is_of(factory));
        if let Some(known) = known {
            return known.clone();
        }
        let instance = Instance::new(factory, session);
        let export = instance.export();
        let made = (instance, export);
        self.instances.push(made.clone());
        made
    }

    /// Forgets what could not be made, so that it is tried again when the peer asks again.
    pub(crate) fn forget(&mut self, failed: &Arc<Instance>, garbage: &mut Garbage) {
        let place = self
            .instances
            .iter()
            .position(|(instance, _)| Arc::ptr_eq(instance, failed));
        if let Some(place) = place {
            garbage.exports.push(self.instances.swap_remove(place).1);
        }
    }

    /// Notes that there is no object of the name that the peer asked for, or none of the interface.
    pub(crate) fn name_refused(&mut self, alias: ExportId, name: String, is_there: bool) {
        let name = match name.char_indices().nth(SHOWN_NAME) {
            Some((end, _)) => format!("{}...", &name[..end]),
            None => name,
        };
        let place = match is_there {
            true => Place::OtherInterface(name.into()),
            false => Place::Missing(name.into()),
        };
        self.named.insert(alias, place);
    }

    /// The peer gave its last reference back.
    pub(crate) fn released(&mut self, id: ExportId, garbage: &mut Garbage) {
        if let Some(passed) = self.transferred.get_mut(id.index() as usize) {
            garbage.add(std::mem::take(passed).place);
        }
    }

    /// The peer gave a name back.
    pub(crate) fn name_released(&mut self, alias: ExportId, garbage: &mut Garbage) {
        if let Some(place) = self.named.remove(alias) {
            garbage.add(place);
        }
    }

    /// Makes the entry that transfers this reference, and takes it into the books.
    pub(crate) fn transfer(
        &mut self,
        connection: &mut Connection,
        reference: &Remote,
        session: &Session,
        (introducing, index): (&mut Introducing, usize),
    ) -> Result<TableEntry, SendError> {
        match reference {
            Remote::Dead(_) => Ok(TableEntry::DEAD),
            Remote::Local(export) => self.export(connection, export),
            Remote::Far(far) => match far.import_in(session) {
                // It goes home.
                Some(import) => Ok(connection.home_entry(import)),
                None => {
                    let entry = self.export(connection, &forward(reference))?;
                    let is_introduced = reference.identity().is_some()
                        && introducing.introduce(far, index, session);
                    Ok(match is_introduced {
                        true => Connection::introduced_entry(entry),
                        false => entry,
                    })
                }
            },
        }
    }

    fn export(
        &mut self,
        connection: &mut Connection,
        export: &Arc<Export>,
    ) -> Result<TableEntry, SendError> {
        let ObjectIdentity { owner, object } = export.identity;
        let (id, entry) = connection.export(object, export.interface, owner)?;
        let index = id.index() as usize;
        if self.transferred.len() <= index {
            self.transferred.resize(index + 1, Passed::default());
        }
        let passed = &mut self.transferred[index];
        passed.is_used.set(true);
        if matches!(passed.place, Place::Empty) {
            passed.place = Place::Object(Arc::clone(export));
        }
        Ok(entry)
    }

    /// Takes a reference back whose frame was not sent.
    pub(crate) fn take_back(
        &mut self,
        connection: &mut Connection,
        id: ExportId,
        garbage: &mut Garbage,
    ) {
        if connection.unexport(id) {
            self.released(id, garbage);
        }
    }

    /// Makes all references to this object stale.
    pub(crate) fn revoke(
        &mut self,
        connection: &mut Connection,
        object: ObjectIdentity,
        garbage: &mut Garbage,
    ) {
        let is_it =
            |place: &Place| matches!(place, Place::Object(export) if export.reaches(object));
        for (index, passed) in self.transferred.iter_mut().enumerate() {
            if is_it(&passed.place) {
                garbage.add(std::mem::replace(&mut passed.place, Place::Stale));
                connection.revoke(ExportId::new(u32::try_from(index).unwrap_or(u32::MAX)));
            }
        }
        for (alias, place) in self.named.iter_mut() {
            if is_it(place) {
                garbage.add(std::mem::replace(place, Place::Stale));
                connection.revoke(alias);
            }
        }
        let is_it = |(instance, _): &mut (Arc<Instance>, _)| instance.identity() == Some(object);
        for (_, export) in self.instances.extract_if(.., is_it) {
            garbage.exports.push(export);
        }
    }

    /// Ends all references with the session.
    pub(crate) fn clear(&mut self, garbage: &mut Garbage) {
        let passed = self.transferred.drain(..).map(|passed| passed.place);
        for place in passed.chain(self.named.take()) {
            garbage.add(place);
        }
        for (_, export) in self.instances.drain(..) {
            garbage.exports.push(export);
        }
    }

    /// What an entry of the table of a frame that arrived refers to. It is given back when it is dropped.
    pub(crate) fn receive(&self, session: &Arc<Session>, reference: &IncomingRef) -> Remote {
        match reference {
            IncomingRef::Import {
                import,
                object,
                interface,
                owner,
            } => {
                let identity = ObjectIdentity {
                    owner: *owner,
                    object: *object,
                };
                Remote::Far(FarReference::held(Bound::held(
                    Arc::clone(session),
                    *import,
                    *interface,
                    identity,
                )))
            }
            IncomingRef::Introduced(introduction) => {
                let identity = ObjectIdentity {
                    owner: introduction.owner,
                    object: introduction.object,
                };
                let through = Bound::held(
                    Arc::clone(session),
                    introduction.import,
                    introduction.interface,
                    identity,
                );
                Remote::Far(session.introduced(introduction, through, identity))
            }
            IncomingRef::Home(target) => match self.target(*target) {
                Ok(export) => match &export.kind {
                    ExportKind::Object(_) => Remote::Local(export.made().unwrap_or(export)),
                    ExportKind::Forward(remote) => remote.clone(),
                    // Whoever it passes through here got it no more than lent.
                    ExportKind::Lent(_) => Remote::Local(export),
                },
                Err(fault) => Remote::Dead(fault),
            },
            IncomingRef::Dead => Remote::Dead(stale()),
            _ => Remote::Dead(Fault::not_started(
                FaultKind::Unsupported,
                "the peer passed a reference of a kind that is not supported yet",
            )),
        }
    }
}

impl Garbage {
    fn add(&mut self, place: Place) {
        if let Place::Object(export) = place {
            self.exports.push(export);
        }
    }
}

/// An export of an object that a third process owns: calls pass through here.
pub(super) fn forward(reference: &Remote) -> Arc<Export> {
    let identity = reference.identity().unwrap_or_else(ObjectIdentity::unique);
    Arc::new(Export {
        identity,
        interface: reference.interface(),
        kind: ExportKind::Forward(reference.clone()),
    })
}

fn stale() -> Fault {
    Fault::not_started(
        FaultKind::StaleReference,
        "the object was there and is not any more; get a reference anew",
    )
}

fn reaped(after: Duration) -> Fault {
    Fault::not_started(
        FaultKind::StaleReference,
        format!(
            "the object was reaped, since nobody had called it for {after:?}; get a reference anew"
        ),
    )
}
