//! What the application asks of a connection.

use bytes::BytesMut;

use super::{CallFlags, Connection, OnewayReceipt};
use crate::calls::Question;
use crate::error::SendError;
use crate::frame::Kind;
use crate::id::{CallId, ExportId, ImportId, InstanceId};
use crate::limits::Grants;
use crate::message::{
    BATCHED, Bind, ENTRY_LENGTH, EntryKind, Extensions, FaultMessage, MAX_OBJECT_NAME, ORDERED,
    OutgoingCall, OutgoingReply, ReplyStatus, SectionsView, TableEntry,
};
use crate::reason::DrainReason;
use crate::references::ExportKey;

impl Connection {
    /// Makes a call. Its reply comes as an event; until then the id is taken.
    ///
    /// Everything that the call refers to is copied or shared; attachments of 4 KiB and more are not copied.
    ///
    /// # Errors
    ///
    /// [`SendError::NoCredit`] if the other side has no room now: try again after
    /// [`Event::CreditAvailable`](super::Event::CreditAvailable) for this depth. Every other error is final, but for
    /// [`SendError::NotEstablished`]. The exports in the table are the caller's to take back.
    pub fn call(&mut self, call: &OutgoingCall<'_>) -> Result<CallId, SendError> {
        self.call_with(call, CallFlags::default())
    }

    /// Makes a call on the answer of another one, or one whose answer is kept.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), and [`SendError::TooManyKept`].
    pub fn call_with(
        &mut self,
        call: &OutgoingCall<'_>,
        flags: CallFlags,
    ) -> Result<CallId, SendError> {
        if flags.keep_answer {
            self.check_keeping(call.extensions.depth())?;
        }
        let (depth, frame_length) =
            self.write_call(call, Kind::Call, self.questions.next_id(), flags.bits())?;
        self.own_credit.spend_on_call(depth, charge(frame_length));
        let mut question =
            Question::new(depth, charge(frame_length), self.session.appended(), None);
        question.is_kept = flags.keep_answer;
        Ok(self.questions.ask(question))
    }

    /// Makes a call that has no reply. An `ordered` one keeps its order with the other calls to its object.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub fn oneway(&mut self, call: &OutgoingCall<'_>, ordered: bool) -> Result<(), SendError> {
        self.oneway_with(call, ordered, CallFlags::default())
    }

    /// Makes a call that has no reply on the answer of another one.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), and [`Revoked`](SendError::Revoked).
    pub fn oneway_with(
        &mut self,
        call: &OutgoingCall<'_>,
        ordered: bool,
        flags: CallFlags,
    ) -> Result<(), SendError> {
        if !flags.pipelined && self.imports.is_revoked(call.target) {
            return Err(SendError::Revoked);
        }
        let pipelined = CallFlags {
            keep_answer: false,
            ..flags
        };
        let flags = pipelined.bits() | if ordered { ORDERED } else { 0 };
        let (depth, frame_length) = self.write_call(call, Kind::Oneway, CallId::new(0), flags)?;
        self.own_credit.spend_on_oneway(depth, charge(frame_length));
        Ok(())
    }

    /// Writes a call for which there is room. Returns its depth and how long its frame is.
    fn write_call(
        &mut self,
        call: &OutgoingCall<'_>,
        kind: Kind,
        id: CallId,
        flags: u8,
    ) -> Result<(u16, usize), SendError> {
        let depth = self.check_call(call.extensions.depth())?;
        let flags = if self.is_batching()? {
            flags | BATCHED
        } else {
            flags
        };
        if self.is_established() && !self.is_agreed_codec(call.codec) {
            return Err(SendError::UnsupportedCodec(call.codec));
        }
        let grants = self.own_credit.grants();
        if let Some(frame_length) = fitting(call.bare_length(), grants) {
            if flags == 0 && self.gather(call, kind, id) {
                return Ok((depth, frame_length));
            }
            let out = self.session.buffer(frame_length);
            let start = out.len();
            call.encode_bare(kind, id.index(), flags, out);
            self.session.append(frame_length, &[]);
            if flags == 0 {
                self.session.may_gather(start);
            }
            self.count_batched();
            return Ok((depth, frame_length));
        }
        let sections = call.sections();
        let written = check_sections(grants, &sections).and_then(|()| {
            let out = self.session.buffer(estimate(&sections));
            let frame = call.encode(kind, id.index(), flags, out);
            end_frame(frame, out, &sections, grants)
        });
        match written {
            Ok(frame_length) => {
                self.session.append(frame_length, call.attachments);
                self.count_batched();
                Ok((depth, frame_length))
            }
            Err(error) => Err(self.defer(depth, error)),
        }
    }

    /// Checks that a call of this depth may be made now.
    pub(super) fn check_call(&mut self, depth: u16) -> Result<u16, SendError> {
        if self.is_closed() {
            return Err(SendError::Closed);
        }
        if !self.may_send_session_frames() {
            return Err(SendError::NotEstablished);
        }
        if self.peer_draining && depth == 0 {
            return Err(SendError::Draining);
        }
        let limit = self.own_credit.grants().max_depth;
        if depth > limit {
            return Err(self.defer(depth, SendError::DepthExceeded { limit }));
        }
        if self.keeps_too_much() {
            self.keeps_waiting = true;
            self.own_credit.await_room(depth);
            return Err(SendError::NoCredit);
        }
        if self.own_credit.has_room(depth) {
            Ok(depth)
        } else {
            Err(SendError::NoCredit)
        }
    }

    /// Turns an error that the other side's hello may cure into a wait for it.
    pub(super) fn defer(&mut self, depth: u16, error: SendError) -> SendError {
        if self.is_established() {
            return error;
        }
        self.own_credit.await_room(depth);
        SendError::NoCredit
    }

    /// Tells whether the two sides agreed on this codec.
    pub(super) fn is_agreed_codec(&self, codec: u8) -> bool {
        let agreed = self.peer.as_ref().map_or(0, |peer| peer.codecs);
        agreed
            .checked_shr(codec.into())
            .is_some_and(|bits| bits & 1 == 1)
    }

    /// Gives a number to the object that the other side knows by `name`. Calls to the number may be made at once.
    ///
    /// The reply describes the object in its table, or is a fault. Whatever it is, the number must be released like
    /// an import that was granted once.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), and [`SendError::TooManyAliases`].
    pub fn bind(&mut self, name: &str, interface: u32) -> Result<(CallId, ImportId), SendError> {
        self.check_call(0)?;
        if name.len() > MAX_OBJECT_NAME {
            return Err(SendError::TooLarge {
                size: name.len(),
                limit: MAX_OBJECT_NAME,
            });
        }
        let limit = self.own_credit.grants().aliases;
        let Some(alias) = self.imports.bind(interface, limit) else {
            return Err(self.defer(0, SendError::TooManyAliases { limit }));
        };
        let id = self.questions.next_id();
        let bind = Bind {
            id: id.index(),
            alias: alias.index(),
            interface,
            name: name.to_owned(),
            extensions: None,
            unknown_extension: None,
        };
        let out = self.session.buffer(32 + name.len());
        let before = out.len();
        bind.encode(out);
        let frame_length = out.len() - before;
        self.session.append(frame_length, &[]);
        self.own_credit.spend_on_call(0, charge(frame_length));
        let question = Question::new(
            0,
            charge(frame_length),
            self.session.appended(),
            Some(alias),
        );
        Ok((self.questions.ask(question), alias))
    }

    /// Answers a call or a bind, whose handler has ended.
    ///
    /// # Errors
    ///
    /// [`SendError::TooLarge`] and [`SendError::TooMany`] leave the call open, and [`reply_fault`](Self::reply_fault)
    /// should answer it. [`SendError::Unknown`] if no such call is open.
    pub fn reply(&mut self, call: CallId, reply: &OutgoingReply<'_>) -> Result<(), SendError> {
        if self.is_closed() {
            return Err(SendError::Closed);
        }
        if !self.answers.is_open(call) {
            return Err(SendError::Unknown("call"));
        }
        let grants = self.own_credit.grants();
        if let Some(frame_length) = fitting(reply.bare_length(), grants) {
            reply.encode_bare(call.index(), self.session.buffer(frame_length));
            self.session.append(frame_length, &[]);
            self.answers.answer(call, self.session.appended());
            return Ok(());
        }
        let sections = reply.sections();
        check_sections(grants, &sections)?;
        let out = self.session.buffer(estimate(&sections));
        let frame = reply.encode(call.index(), out);
        let frame_length = end_frame(frame, out, &sections, grants)?;
        self.session.append(frame_length, reply.attachments);
        self.answers.answer(call, self.session.appended());
        Ok(())
    }

    /// Answers a call or a bind with a fault, which always fits.
    ///
    /// # Errors
    ///
    /// [`SendError::Unknown`] if no such call is open, [`SendError::Closed`] if the connection is closed.
    pub fn reply_fault(&mut self, call: CallId, fault: &FaultMessage) -> Result<(), SendError> {
        let mut body = BytesMut::new();
        fault.encode(&mut body);
        let reply = OutgoingReply {
            status: ReplyStatus::Fault,
            codec: 0,
            extensions: Extensions::NONE,
            table: &[],
            body: &body,
            attachments: &[],
        };
        self.reply(call, &reply)
    }

    /// Says that the handler of a oneway has ended, or those of several, which gives their credit back.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a receipt is good for one time"
    )]
    pub fn oneway_done(&mut self, receipt: OnewayReceipt) {
        #[cfg(feature = "sabotage")]
        if self.has(crate::Sabotage::LosesCredit) {
            return;
        }
        self.given_credit
            .oneways_ended(receipt.depth, receipt.calls, receipt.bytes);
    }

    /// Says that the reply of a call is not needed any more. It comes all the same, once the handler has ended. Does
    /// nothing if it has come.
    pub fn cancel(&mut self, call: CallId) {
        self.questions.cancel(call);
    }

    /// Counts a grant of an object of this side, and returns the entry that gives it to the other side. One object
    /// seen through one interface has one id, however often it is granted.
    ///
    /// `object` is this side's number for the object and `owner` this process.
    ///
    /// # Errors
    ///
    /// [`SendError::TooManyExports`], or [`SendError::NotEstablished`] if there may be room for it after the handshake.
    pub fn export(
        &mut self,
        object: u64,
        interface: u32,
        owner: InstanceId,
    ) -> Result<(ExportId, TableEntry), SendError> {
        let limit = self.limits.exports.min(self.own_credit.grants().references);
        let key = ExportKey {
            owner,
            object,
            interface,
        };
        match self.exports.grant(key, limit) {
            Some(id) => Ok((
                id,
                TableEntry {
                    kind: EntryKind::Export,
                    id: id.index(),
                    object,
                    interface,
                    owner,
                },
            )),
            None if self.is_established() => Err(SendError::TooManyExports { limit }),
            None => Err(SendError::NotEstablished),
        }
    }

    /// Takes one grant back whose entry was not sent, for instance since the message could not be encoded. Returns
    /// whether the other side holds none any more: the id may name another object then.
    pub fn unexport(&mut self, id: ExportId) -> bool {
        self.exports.release(id.index(), 1).unwrap_or(false)
    }

    /// Returns the entry that sends an import home to its owner; one of a dead object if it is not held.
    pub fn home_entry(&self, import: ImportId) -> TableEntry {
        self.imports.home_entry(import).unwrap_or(TableEntry::DEAD)
    }

    /// Returns the entry that answers a bind: what the object is that has this name now.
    pub fn alias_entry(
        alias: ExportId,
        object: u64,
        interface: u32,
        owner: InstanceId,
    ) -> TableEntry {
        TableEntry {
            kind: EntryKind::Export,
            id: alias.index(),
            object,
            interface,
            owner,
        }
    }

    /// Tells the other side that an object was ended which it holds, by number or by name. The id stays taken until it
    /// is released.
    pub fn revoke(&mut self, id: ExportId) {
        if !id.is_alias() {
            self.exports.revoke(id.index());
        } else if self.aliases.contains(id.index()) {
            self.exports.revoke_alias(id.index());
        }
    }

    /// Gives back `count` grants of an import, or as many as are held.
    pub fn release(&mut self, import: ImportId, count: u32) {
        self.imports.release(import, count);
    }

    /// Takes no new calls from now on, and tells the other side. Calls that wait for calls of this side are still
    /// taken, so that those can finish.
    pub fn drain(&mut self, reason: DrainReason) {
        if !std::mem::replace(&mut self.draining, true) {
            self.drain_due = Some(reason);
        }
    }
}

/// Returns the length of a frame if it has one that the other side takes.
#[inline]
fn fitting(frame_length: Option<usize>, grants: &Grants) -> Option<usize> {
    frame_length.filter(|length| length - crate::frame::LENGTH_FIELD <= grants.max_message as usize)
}

/// Ends a frame that is not too long; one that is leaves no trace.
pub(super) fn end_frame(
    frame: crate::frame::FrameWriter,
    out: &mut BytesMut,
    sections: &SectionsView<'_>,
    grants: &Grants,
) -> Result<usize, SendError> {
    let attachments = sections.attachment_bytes();
    let frame_length = frame.length_with(out, attachments);
    if let Err(error) = check_size(frame_length - crate::frame::LENGTH_FIELD, grants) {
        frame.abandon(out);
        return Err(error);
    }
    Ok(frame.end(out, attachments))
}

/// Checks that a message of so many bytes is not too long.
pub(super) fn check_size(size: usize, grants: &Grants) -> Result<(), SendError> {
    let limit = grants.max_message as usize;
    match size > limit {
        true => Err(SendError::TooLarge { size, limit }),
        false => Ok(()),
    }
}

/// Checks what can be checked before anything is written.
pub(super) fn check_sections(
    grants: &Grants,
    sections: &SectionsView<'_>,
) -> Result<(), SendError> {
    let within = |what, count, limit: usize| {
        if count > limit {
            Err(SendError::TooMany { what, count, limit })
        } else {
            Ok(())
        }
    };
    within(
        "references",
        sections.table.len(),
        grants.max_references.into(),
    )?;
    within(
        "attachments",
        sections.attachments.len(),
        grants.max_attachments.into(),
    )?;
    let annotations = sections.extensions.annotation_bytes();
    within(
        "bytes of annotations",
        annotations,
        grants.max_annotations as usize,
    )?;
    check_size(sections.least_bytes(), grants)
}

/// Returns a number of bytes that the frame will hardly exceed, attachments not counted.
pub(super) fn estimate(sections: &SectionsView<'_>) -> usize {
    let extensions = if sections.extensions.is_empty() {
        0
    } else {
        let introductions = 100 * sections.extensions.introductions.len();
        600 + sections.extensions.annotation_bytes() + introductions
    };
    let attachments = sections.attachments.len() * 4;
    40 + extensions + sections.table.len() * ENTRY_LENGTH + attachments + sections.body.len()
}

/// Returns what a frame costs: the bytes that its length field counts.
pub(super) fn charge(frame_length: usize) -> u32 {
    u32::try_from(frame_length - crate::frame::LENGTH_FIELD).unwrap_or(u32::MAX)
}
