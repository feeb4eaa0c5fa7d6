//! The tables of frames: what a frame that is sent transfers is taken into the books, and what one that arrived
//! transfers is taken out of them.

use std::sync::Arc;

use farref_proto::{
    Connection, EntryKind, ExportId, Extensions, IncomingRef, Seldom, SendError, StreamNumber,
    TableEntry,
};

use super::exports::Exports;
use super::handing_off::Introducing;
use super::inbox::Garbage;
use super::streams::Streams;
use super::{Session, State};
use crate::codec::Codec;
use crate::transferred::Transferred;

impl State {
    /// Makes the table of a frame that transfers this, and takes it into the books. Items of streams in it will be
    /// encoded as the frame is. Its receiver is introduced to third processes where that is possible.
    pub(super) fn transfer(
        &mut self,
        transferred: &[Transferred],
        codec: Codec,
        session: &Session,
        introducing: &mut Introducing,
        garbage: &mut Garbage,
    ) -> Result<Vec<TableEntry>, SendError> {
        if transferred.is_empty() {
            return Ok(Vec::new());
        }
        let mut table = Vec::with_capacity(transferred.len());
        for entry in transferred {
            let connection = &mut self.connection;
            let entry = match entry {
                Transferred::Reference(remote) => {
                    let introducing = (&mut *introducing, table.len());
                    self.exports
                        .transfer(connection, remote, session, introducing)
                }
                Transferred::Stream(feed) => self.streams.open(connection, feed, codec),
            };
            match entry {
                Ok(entry) => table.push(entry),
                Err(error) => {
                    self.take_back(&table, garbage);
                    return Err(error);
                }
            }
        }
        Ok(table)
    }

    /// Sends a frame that transfers this, beside these extensions. If it is not sent, nothing is transferred.
    #[inline]
    pub(super) fn send_with_table<'g, R>(
        &mut self,
        (transferred, codec): (&[Transferred], Codec),
        extensions: &Extensions,
        session: &Session,
        garbage: impl FnOnce() -> &'g mut Garbage,
        send: impl FnOnce(&mut Connection, &Extensions, &[TableEntry]) -> Result<R, SendError>,
    ) -> Result<R, SendError> {
        // Few frames transfer anything.
        if transferred.is_empty() {
            return send(&mut self.connection, extensions, &[]);
        }
        let garbage = garbage();
        let mut introducing = Introducing::default();
        let table = self.transfer(transferred, codec, session, &mut introducing, garbage);
        let introduced = introducing.extensions(extensions);
        let sent = table.and_then(|table| {
            let extensions = introduced.as_ref().unwrap_or(extensions);
            let sent = send(&mut self.connection, extensions, &table);
            if sent.is_err() {
                self.take_back(&table, garbage);
            }
            sent
        });
        introducing.end(sent.is_ok(), garbage);
        sent
    }

    /// Takes back what a frame would have transferred that was not sent.
    pub(super) fn take_back(&mut self, table: &[TableEntry], garbage: &mut Garbage) {
        for entry in table {
            let connection = &mut self.connection;
            match entry.kind {
                EntryKind::Export | EntryKind::Introduced => {
                    let id = ExportId::new(entry.id);
                    self.exports.take_back(connection, id, garbage);
                }
                EntryKind::StreamOut => {
                    let number = StreamNumber::new(entry.id);
                    self.streams.unopen(connection, number, garbage);
                }
                _ => {}
            }
        }
    }
}

/// What the table of a frame that arrived refers to. Each entry is given back when it is dropped.
pub(super) fn receive(
    exports: &Exports,
    streams: &mut Streams,
    session: &Arc<Session>,
    table: &[IncomingRef],
) -> Seldom<Transferred> {
    if table.is_empty() {
        return Seldom::new();
    }
    table
        .iter()
        .map(|entry| match entry {
            IncomingRef::Stream(number) => streams.consume(session, *number),
            reference => Transferred::Reference(exports.receive(session, reference)),
        })
        .collect::<Vec<_>>()
        .into()
}
