//! Hand-off: what a connection does so that a third process gets a reference of its own.

use bytes::Bytes;

use super::outgoing::charge;
use super::{Connection, Event};
use crate::calls::Question;
use crate::error::{ConnectionError, SendError};
use crate::frame::Header;
use crate::id::{CallId, ExportId, ImportId, InstanceId};
use crate::message::{
    Claim, Claimed, EntryKind, FaultKind, FaultMessage, Outcome, Provide, TableEntry,
};

/// The optional parts of the protocol, as bits of [`PeerInfo::features`](crate::PeerInfo::features).
pub mod features {
    /// The sender takes part in hand-offs: it may be sent entries of kind Introduced, and answers Provide and Claim.
    pub const HAND_OFF: u64 = 1 << 0;
    /// The sender takes runs: calls of a batch to one method of one object, in one frame.
    pub const RUNS: u64 = 1 << 1;
    /// The sender takes gathered calls and replies: several calls of one method of one object in one frame.
    pub const GATHERED: u64 = 1 << 2;
}

/// The other side is about to pass one of this side's objects on to a third process, which will claim it. To be answered
/// with an empty reply or a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingProvide {
    /// The call to answer.
    pub call: CallId,
    /// The object: an export, or a name that was bound.
    pub target: ExportId,
    /// Whoever shows this and is the recipient gets the object, once.
    pub grant: [u8; 16],
    /// The process that will claim it.
    pub recipient: InstanceId,
    /// For how long it may be claimed, in milliseconds.
    pub lifetime_ms: u32,
}

/// The other side claims what a third process promised it. To be answered as a bind is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingClaim {
    /// The call to answer: with [`Connection::alias_entry`] as its whole table, or with a fault.
    pub call: CallId,
    /// The number by which calls will name the object.
    pub alias: ExportId,
    /// What was promised.
    pub grant: [u8; 16],
    /// The process that promised it.
    pub provider: InstanceId,
}

/// A reference to an object of a third process, with what is needed to get one from its holder. The import is an
/// ordinary one, through the sender: to be given back once there is a better one, or to be kept for want of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingIntroduction {
    /// How to name it in calls through the sender.
    pub import: ImportId,
    /// The owner's number for it.
    pub object: u64,
    /// The hash of its interface's wire name.
    pub interface: u32,
    /// The process that owns it.
    pub owner: InstanceId,
    /// The process to claim it from.
    pub holder: InstanceId,
    /// What to show there.
    pub grant: [u8; 16],
    /// Where the sender reaches the holder, as a URI; empty if it does not dial it.
    pub address: String,
}

impl Connection {
    /// Returns the entry that introduces the other side to what this export passes calls on to. An introduction must
    /// travel in the extensions of the same message.
    pub fn introduced_entry(exported: TableEntry) -> TableEntry {
        TableEntry {
            kind: EntryKind::Introduced,
            ..exported
        }
    }

    /// Announces to the owner of an import that a third process will claim it. The reply is empty, or a fault.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub fn provide(
        &mut self,
        import: ImportId,
        grant: [u8; 16],
        recipient: InstanceId,
        lifetime_ms: u32,
    ) -> Result<CallId, SendError> {
        self.check_call(0)?;
        let id = self.questions.next_id();
        let provide = Provide {
            id: id.index(),
            target: import.index(),
            grant,
            recipient,
            lifetime_ms,
        };
        let frame_length = self.write_frame(64, |out| provide.encode(out));
        self.own_credit.spend_on_call(0, charge(frame_length));
        let end = self.session.appended();
        Ok(self
            .questions
            .ask(Question::new(0, charge(frame_length), end, None)))
    }

    /// Claims what the process `provider` promised. As after a [`bind`](Self::bind), the number names the object from now
    /// on, and must be released whatever the reply is.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn claim(
        &mut self,
        grant: [u8; 16],
        provider: InstanceId,
        interface: u32,
    ) -> Result<(CallId, ImportId), SendError> {
        self.check_call(0)?;
        let limit = self.own_credit.grants().aliases;
        let Some(alias) = self.imports.bind(interface, limit) else {
            return Err(self.defer(0, SendError::TooManyAliases { limit }));
        };
        let id = self.questions.next_id();
        let claim = Claim {
            id: id.index(),
            alias: alias.index(),
            grant,
            provider,
        };
        let frame_length = self.write_frame(64, |out| claim.encode(out));
        self.own_credit.spend_on_call(0, charge(frame_length));
        let end = self.session.appended();
        let question = Question::new(0, charge(frame_length), end, Some(alias));
        Ok((self.questions.ask(question), alias))
    }

    /// Tells the process that promised an object that it was claimed.
    pub fn claimed(&mut self, grant: [u8; 16]) {
        if self.may_send_session_frames() {
            self.write_frame(32, |out| Claimed { grant }.encode(out));
        }
    }

    pub(super) fn handle_provide(
        &mut self,
        header: Header,
        frame: &Bytes,
    ) -> Result<(), ConnectionError> {
        let provide = Provide::decode(header, frame)?;
        let Some(call) = self.take_in(provide.id, header.length)? else {
            return Ok(());
        };
        self.events.push_back(Event::Provide(IncomingProvide {
            call,
            target: ExportId::new(provide.target),
            grant: provide.grant,
            recipient: provide.recipient,
            lifetime_ms: provide.lifetime_ms,
        }));
        Ok(())
    }

    pub(super) fn handle_claim(
        &mut self,
        header: Header,
        frame: &Bytes,
    ) -> Result<(), ConnectionError> {
        let claim = Claim::decode(header, frame)?;
        // Whatever the answer, the alias is taken.
        self.aliases
            .bind(claim.alias, self.given_credit.grants().aliases)?;
        let Some(call) = self.take_in(claim.id, header.length)? else {
            return Ok(());
        };
        self.events.push_back(Event::Claim(IncomingClaim {
            call,
            alias: ExportId::new(claim.alias),
            grant: claim.grant,
            provider: claim.provider,
        }));
        Ok(())
    }

    /// Takes a call of the protocol's own in, which needs no room of any depth. Returns nothing if it was refused, since no
    /// new calls are taken.
    fn take_in(&mut self, id: u32, length: u32) -> Result<Option<CallId>, ConnectionError> {
        let pool = self.charge(0, 1, length)?;
        let call = self.open(id, pool, length, 1, false)?;
        if self.draining {
            self.refuse_with(call, &draining());
            return Ok(None);
        }
        Ok(Some(call))
    }

    pub(super) fn handle_claimed(
        &mut self,
        header: Header,
        frame: &Bytes,
    ) -> Result<(), ConnectionError> {
        let Claimed { grant } = Claimed::decode(header, frame)?;
        self.events.push_back(Event::Claimed { grant });
        Ok(())
    }
}

fn draining() -> FaultMessage {
    FaultMessage::new(
        FaultKind::ShuttingDown,
        Outcome::NotStarted,
        "no new calls are taken here",
    )
}
