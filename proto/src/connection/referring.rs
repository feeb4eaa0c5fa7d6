//! References in messages that arrive: taken into the books before anything of the message is looked at, and given back.

use super::{Connection, Event, IncomingIntroduction, IncomingRef};
use crate::error::{ConnectionError, Violation};
use crate::id::{ALIAS_BIT, ExportId, ImportId, StreamNumber};
use crate::message::{EntryKind, Extensions, Introduction, Release, Revoked, TableEntry};
use crate::seldom::Seldom;

impl Connection {
    /// Takes all references of a message into the books, before anything of it is looked at.
    pub(super) fn take_table(
        &mut self,
        table: &[TableEntry],
        extensions: &mut Option<Box<Extensions>>,
    ) -> Result<Seldom<IncomingRef>, Violation> {
        if table.is_empty() {
            return Ok(Seldom::new());
        }
        let taken: Result<Vec<_>, _> = table.iter().map(|entry| self.take_entry(entry)).collect();
        let mut taken = taken?;
        let introductions = extensions
            .as_mut()
            .map(|extensions| std::mem::take(&mut extensions.introductions));
        for introduction in introductions.unwrap_or_default() {
            let index = usize::from(introduction.index);
            if let (Some(entry), Some(place)) = (table.get(index), taken.get_mut(index)) {
                introduce(entry, introduction, place);
            }
        }
        Ok(taken.into())
    }

    fn take_entry(&mut self, entry: &TableEntry) -> Result<IncomingRef, Violation> {
        Ok(match entry.kind {
            EntryKind::Export | EntryKind::Introduced
                if entry.id == 0 || entry.id & ALIAS_BIT != 0 =>
            {
                return Err(Violation::BadAlias(entry.id));
            }
            // One whose introduction is missing is as good as an export.
            EntryKind::Export | EntryKind::Introduced => {
                let import = self
                    .imports
                    .receive(entry, self.given_credit.grants().references)?;
                import_of(import, entry)
            }
            EntryKind::Home
                if self.exports.contains(entry.id) || self.aliases.contains(entry.id) =>
            {
                IncomingRef::Home(ExportId::new(entry.id))
            }
            // A number that names nothing gets the same answer as one whose object is gone.
            EntryKind::Home | EntryKind::Dead => IncomingRef::Dead,
            EntryKind::StreamOut => {
                self.consumed
                    .open(entry.id, self.given_credit.grants().references)?;
                IncomingRef::Stream(StreamNumber::new(entry.id))
            }
            EntryKind::StreamIn | EntryKind::Promise => IncomingRef::Unsupported,
        })
    }

    /// Gives back the references of a message that nobody will look at.
    pub(super) fn give_back(&mut self, table: &[IncomingRef]) {
        for reference in table {
            match reference {
                IncomingRef::Import { import, .. } => {
                    self.imports.release(*import, 1);
                }
                IncomingRef::Stream(number) => self.consumed.cancel(number.index()),
                IncomingRef::Introduced(introduced) => {
                    self.imports.release(introduced.import, 1);
                }
                _ => {}
            }
        }
    }

    pub(super) fn handle_release(&mut self, release: &Release) -> Result<(), ConnectionError> {
        for entry in &release.entries {
            let id = ExportId::new(entry.id);
            if id.is_alias() {
                self.aliases.release(entry.id, entry.count)?;
                self.events.push_back(Event::AliasReleased(id));
                continue;
            }
            #[cfg(feature = "sabotage")]
            let entry = &crate::message::ReleaseEntry {
                id: entry.id,
                count: match self.has(crate::Sabotage::FreesTooEarly) {
                    true => self.exports.grants(entry.id),
                    false => entry.count,
                },
            };
            if self.exports.release(entry.id, entry.count)? {
                self.events.push_back(Event::Released(id));
            }
        }
        Ok(())
    }

    pub(super) fn handle_revoked(&mut self, revoked: &Revoked) -> Result<(), ConnectionError> {
        // An import that is not here was given back while the notice was on its way.
        let news = revoked
            .exports
            .iter()
            .filter_map(|id| self.imports.revoke(*id));
        self.events.extend(news.map(Event::Revoked));
        Ok(())
    }
}

pub(super) fn import_of(import: ImportId, entry: &TableEntry) -> IncomingRef {
    IncomingRef::Import {
        import,
        object: entry.object,
        interface: entry.interface,
        owner: entry.owner,
    }
}

/// Adds what a message says of an entry of kind Introduced, the first time that it does.
fn introduce(entry: &TableEntry, introduction: Introduction, place: &mut IncomingRef) {
    if let (EntryKind::Introduced, &mut IncomingRef::Import { import, .. }) =
        (entry.kind, &mut *place)
    {
        *place = IncomingRef::Introduced(Box::new(IncomingIntroduction {
            import,
            object: entry.object,
            interface: entry.interface,
            owner: entry.owner,
            holder: introduction.holder,
            grant: introduction.grant,
            address: introduction.address,
        }));
    }
}
