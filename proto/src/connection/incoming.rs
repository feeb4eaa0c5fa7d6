//! What frames do to an open connection.

use bytes::{Bytes, BytesMut};

use super::referring::import_of;
use super::refusing::depth_of;
use super::{
    BatchedCall, Connection, Event, IncomingBind, IncomingCall, IncomingRef, IncomingReply,
    OnewayReceipt, State,
};
use crate::body::Body;
use crate::calls::Question;
use crate::error::{ConnectionError, Violation};
use crate::frame::{Header, Kind};
use crate::id::{CallId, ExportId, ImportId};
use crate::message::{
    Ack, BATCHED, BatchBegin, BatchEnd, Beat, Bind, Call, CallRun, Cancel, Credit, EntryKind,
    Extensions, FaultKind, FaultMessage, Finish, GatheredCalls, GatheredReplies, Outcome, Release,
    Reply, ReplyRun, ReplyStatus, Revoked, Sections, StreamCancel, StreamCredit, StreamEnd,
    StreamError, StreamItems, TableEntry,
};
use crate::reason::{CloseReason, DrainReason};
use crate::seldom::Seldom;
use crate::time::Time;

impl Connection {
    pub(super) fn handle_frame(
        &mut self,
        now: Time,
        header: Header,
        frame: Bytes,
    ) -> Result<(), ConnectionError> {
        if !header.kind.is_link() {
            self.session.receive(frame.len());
        }
        self.check_turn(header.kind)?;
        let grants = self.given_credit.grants();
        match header.kind {
            Kind::Call => {
                self.handle_call(Call::decode(header, frame, None, grants)?, header.length)
            }
            Kind::Oneway => {
                self.handle_oneway(Call::decode(header, frame, None, grants)?, header.length)
            }
            Kind::Reply => self.handle_reply(Reply::decode(header, frame, None, grants)?),
            Kind::Bind => self.handle_bind(Bind::decode(header, &frame, grants)?, header.length),
            Kind::Cancel => self.handle_cancel(&Cancel::decode(header, &frame)?),
            Kind::Credit => self.handle_credit(&Credit::decode(header, &frame)?),
            Kind::Release => self.handle_release(&Release::decode(header, &frame)?),
            Kind::Drain => self.handle_drain(DrainReason::decode(header, &frame)?),
            Kind::Revoked => self.handle_revoked(&Revoked::decode(header, &frame)?),
            Kind::Finish => self.handle_finish(&Finish::decode(header, &frame)?),
            Kind::BatchBegin => self.handle_batch_begin(BatchBegin::decode(header, &frame)?),
            Kind::BatchEnd => self.handle_batch_end(BatchEnd::decode(header, &frame)?),
            Kind::CallRun => {
                self.handle_call_run(CallRun::decode(header, frame, grants)?, header.length)
            }
            Kind::ReplyRun => self.handle_reply_run(ReplyRun::decode(header, frame)?),
            Kind::GatheredCalls => {
                self.handle_gathered_calls(GatheredCalls::decode(header, &frame)?)
            }
            Kind::GatheredReplies => {
                self.handle_gathered_replies(GatheredReplies::decode(header, &frame)?)
            }
            Kind::Ack => self.handle_ack(Ack::decode(header, &frame)?),
            Kind::Beat => self.handle_beat(now, Beat::decode(header, &frame)?),
            Kind::Goodbye => self.handle_goodbye(CloseReason::decode(header, &frame)?),
            Kind::Provide => self.handle_provide(header, &frame),
            Kind::Claim => self.handle_claim(header, &frame),
            Kind::Claimed => self.handle_claimed(header, &frame),
            Kind::StreamItems => self.handle_items(StreamItems::decode(header, &frame, grants)?),
            Kind::StreamCredit => self.handle_stream_credit(StreamCredit::decode(header, &frame)?),
            Kind::StreamEnd => self.handle_stream_end(StreamEnd::decode(header, &frame)?),
            Kind::StreamError => {
                self.handle_stream_error(StreamError::decode(header, &frame, grants)?)
            }
            Kind::StreamCancel => self.handle_stream_cancel(StreamCancel::decode(header, &frame)?),
            kind @ (Kind::ClientHello
            | Kind::ServerHello
            | Kind::Challenge
            | Kind::Proof
            | Kind::Refuse) => Err(Violation::OutOfTurn(kind.code()).into()),
        }
    }

    /// Takes a call or a oneway that has no other parts than a body off the input. Does what [`handle_call`] and
    /// [`handle_oneway`] do; nothing comes of it if it is refused.
    ///
    /// [`handle_call`]: Self::handle_call
    /// [`handle_oneway`]: Self::handle_oneway
    pub(super) fn handle_bare_call(
        &mut self,
        header: Header,
        input: &mut BytesMut,
    ) -> Result<Option<Event>, ConnectionError> {
        let batched = header.flags & BATCHED != 0;
        self.check_batched(batched)?;
        let frame_length = header.frame_length();
        let [id, target, method_hash, shape, method_index] =
            Call::bare(header, &input[..frame_length])?;
        self.session.receive(frame_length);
        let bytes = header.length;
        self.given_credit.charge(0, 1, bytes)?;
        let is_oneway = header.kind == Kind::Oneway;
        let id = match is_oneway {
            true => CallId::new(0),
            false => self.open(id, 0, bytes, 1, false)?,
        };
        let call = IncomingCall {
            id,
            target: ExportId::new(target),
            method_hash,
            shape,
            method_index: method_index as u16,
            codec: header.codec,
            pipelined: false,
            keep_answer: false,
            ordered: false,
            extensions: None,
            table: Seldom::new(),
            body: Body::take(input, Call::BARE, frame_length),
            attachments: Seldom::new(),
        };
        let receipt = OnewayReceipt::of_one(0, bytes);
        match self.refusal_of_bare(header.codec) {
            refusal if batched => {
                let receipt = is_oneway.then_some(receipt);
                self.take_batched(call, receipt, refusal);
            }
            None if is_oneway => return Ok(Some(Event::Oneway(call, receipt))),
            None => return Ok(Some(Event::Call(call))),
            Some(fault) if is_oneway => self.drop_oneway(receipt, &fault),
            Some(fault) => self.refuse_with(id, &fault),
        }
        Ok(None)
    }

    /// Takes a reply that has no other parts than a body off the input. Does what [`handle_reply`] does.
    ///
    /// [`handle_reply`]: Self::handle_reply
    pub(super) fn handle_bare_reply(
        &mut self,
        header: Header,
        input: &mut BytesMut,
    ) -> Result<Option<Event>, ConnectionError> {
        self.check_turn(header.kind)?;
        let frame_length = header.frame_length();
        let (id, status) = Reply::bare(header, &input[..frame_length])?;
        self.session.receive(frame_length);
        let question = self.questions.answered(id)?;
        self.take_answer(&question);
        if question.alias.is_some() && status == ReplyStatus::Ok {
            return Err(Violation::BadBindReply(id).into());
        }
        self.tell_of_answer(&question);
        Ok(Some(Event::Reply(IncomingReply {
            call: CallId::new(id),
            more: question.left > 0,
            status,
            codec: header.codec,
            extensions: None,
            table: Seldom::new(),
            body: Body::take(input, Reply::BARE, frame_length),
            attachments: Seldom::new(),
        })))
    }

    /// Charges a call, or so many calls of a run, to their pool. What is nested too deeply, and will be refused, is charged
    /// as if it were not nested. Returns the pool.
    pub(super) fn charge(&mut self, depth: u16, calls: u32, bytes: u32) -> Result<u16, Violation> {
        let is_too_deep = depth > self.given_credit.grants().max_depth;
        let pool = if is_too_deep { 0 } else { depth };
        self.given_credit.charge(pool, calls, bytes)?;
        Ok(pool)
    }

    /// Opens a call, so many calls of a run, or a bind that arrived.
    pub(super) fn open(
        &mut self,
        id: u32,
        pool: u16,
        bytes: u32,
        calls: u32,
        is_kept: bool,
    ) -> Result<CallId, Violation> {
        if is_kept {
            self.check_kept()?;
        }
        let (id, acknowledged) = self.answers.open(id, pool, bytes, calls, is_kept)?;
        self.session.imply(acknowledged);
        self.tell_of_kept_bytes();
        Ok(id)
    }

    /// Notes that a reply has come: what it shows, and with the last of a run, what comes back.
    #[inline]
    pub(super) fn take_answer(&mut self, question: &Question) {
        self.session.imply(question.end);
        self.tell_of_kept_bytes();
        if question.left == 0 {
            let Question {
                depth,
                calls,
                bytes,
                ..
            } = *question;
            self.own_credit.calls_answered(depth, calls, bytes);
        }
    }

    /// Tells of the credit that came back with a reply.
    #[inline]
    pub(super) fn tell_of_answer(&mut self, question: &Question) {
        if question.left == 0 {
            self.tell_of_credit(question.depth);
        }
    }

    pub(super) fn handle_call(&mut self, call: Call, bytes: u32) -> Result<(), ConnectionError> {
        let pool = self.charge(depth_of(&call.sections), 1, bytes)?;
        let id = self.open(call.id, pool, bytes, 1, call.keep_answer)?;
        let refusal = self.refusal_of(&call.sections, call.codec);
        self.check_batched(call.batched)?;
        let batched = call.batched;
        let call = self.accept_call(id, call)?;
        match refusal {
            refusal if batched => self.take_batched(call, None, refusal),
            None => self.events.push_back(Event::Call(call)),
            Some(fault) => {
                self.give_back(&call.table);
                self.refuse_with(id, &fault);
            }
        }
        Ok(())
    }

    pub(super) fn handle_oneway(&mut self, call: Call, bytes: u32) -> Result<(), ConnectionError> {
        let pool = self.charge(depth_of(&call.sections), 1, bytes)?;
        let receipt = OnewayReceipt::of_one(pool, bytes);
        let refusal = self.refusal_of(&call.sections, call.codec);
        self.check_batched(call.batched)?;
        let batched = call.batched;
        let call = self.accept_call(CallId::new(0), call)?;
        match refusal {
            refusal if batched => self.take_batched(call, Some(receipt), refusal),
            None => self.events.push_back(Event::Oneway(call, receipt)),
            Some(fault) => {
                self.give_back(&call.table);
                self.drop_oneway(receipt, &fault);
            }
        }
        Ok(())
    }

    /// Takes a call of the open batch.
    fn take_batched(
        &mut self,
        mut call: IncomingCall,
        receipt: Option<OnewayReceipt>,
        refusal: Option<FaultMessage>,
    ) {
        if refusal.is_some() {
            self.give_back(&std::mem::take(&mut call.table));
        }
        self.keep_batched(BatchedCall {
            call,
            receipt,
            run: None,
            refusal: refusal.map(Box::new),
        });
    }

    pub(super) fn accept_call(
        &mut self,
        id: CallId,
        call: Call,
    ) -> Result<IncomingCall, Violation> {
        let Sections {
            mut extensions,
            table,
            body,
            attachments,
            ..
        } = call.sections;
        if let Some(extensions) = &mut extensions {
            self.localise(extensions);
        }
        let table = self.take_table(&table, &mut extensions)?;
        Ok(IncomingCall {
            id,
            target: ExportId::new(call.target),
            method_hash: call.method_hash,
            shape: call.shape,
            method_index: call.method_index,
            codec: call.codec,
            pipelined: call.pipelined,
            keep_answer: call.keep_answer,
            ordered: call.ordered,
            extensions,
            table,
            body: body.into(),
            attachments: attachments.into(),
        })
    }

    /// Converts what was said in the other side's clock.
    fn localise(&self, extensions: &mut Extensions) {
        extensions.deadline = extensions
            .deadline
            .map(|deadline| self.session.to_local(deadline));
    }

    fn handle_bind(&mut self, bind: Bind, bytes: u32) -> Result<(), ConnectionError> {
        let pool = self.charge(0, 1, bytes)?;
        let id = self.open(bind.id, pool, bytes, 1, false)?;
        self.aliases
            .bind(bind.alias, self.given_credit.grants().aliases)?;
        let refuse = |kind, message: &str| FaultMessage::new(kind, Outcome::NotStarted, message);
        if bind.unknown_extension.is_some() {
            self.refuse_with(
                id,
                &refuse(
                    FaultKind::Unsupported,
                    "an extension of the bind is not known here",
                ),
            );
        } else if self.draining {
            self.refuse_with(
                id,
                &refuse(FaultKind::ShuttingDown, "no new calls are taken here"),
            );
        } else {
            let alias = ExportId::new(bind.alias);
            let bind = IncomingBind {
                call: id,
                alias,
                name: bind.name,
                interface: bind.interface,
            };
            self.events.push_back(Event::Bind(bind));
        }
        Ok(())
    }

    pub(super) fn handle_reply(&mut self, reply: Reply) -> Result<(), ConnectionError> {
        let question = self.questions.answered(reply.id)?;
        self.take_answer(&question);
        let Sections {
            mut extensions,
            unknown_extension,
            table,
            body,
            attachments,
        } = reply.sections;
        let table = match question.alias {
            Some(alias) if reply.status == ReplyStatus::Ok => {
                self.take_bound(reply.id, alias, &table)?
            }
            _ => self.take_table(&table, &mut extensions)?,
        };
        if let Some(extensions) = &mut extensions {
            self.localise(extensions);
        }
        let call = CallId::new(reply.id);
        let more = question.left > 0;
        let reply = match unknown_extension {
            None => {
                let Reply { status, codec, .. } = reply;
                IncomingReply {
                    call,
                    more,
                    status,
                    codec,
                    extensions,
                    table,
                    body: body.into(),
                    attachments: attachments.into(),
                }
            }
            Some(tag) => {
                self.give_back(&table);
                unreadable_reply(call, more, tag)
            }
        };
        self.events.push_back(Event::Reply(reply));
        self.tell_of_answer(&question);
        Ok(())
    }

    /// Takes the description of an object that was bound to a name of this side's choice. It is no new grant.
    fn take_bound(
        &mut self,
        id: u32,
        alias: ImportId,
        table: &[TableEntry],
    ) -> Result<Seldom<IncomingRef>, Violation> {
        match table {
            [entry] if entry.kind == EntryKind::Export && entry.id == alias.index() => {
                self.imports.bound(alias, entry);
                Ok(vec![import_of(alias, entry)].into())
            }
            _ => Err(Violation::BadBindReply(id)),
        }
    }

    fn handle_cancel(&mut self, cancel: &Cancel) -> Result<(), ConnectionError> {
        for id in &cancel.calls {
            if self.answers.cancel(*id) {
                self.events.push_back(Event::Cancel(CallId::new(*id)));
            }
        }
        Ok(())
    }

    fn handle_credit(&mut self, credit: &Credit) -> Result<(), ConnectionError> {
        for entry in &credit.entries {
            self.own_credit.returned(*entry)?;
            self.tell_of_credit(entry.depth);
        }
        Ok(())
    }

    fn handle_drain(&mut self, reason: DrainReason) -> Result<(), ConnectionError> {
        if !std::mem::replace(&mut self.peer_draining, true) {
            self.events.push_back(Event::Draining(reason));
        }
        Ok(())
    }

    fn handle_beat(&mut self, now: Time, beat: Beat) -> Result<(), ConnectionError> {
        self.session.sample_clock(now, beat.clock);
        self.handle_ack(Ack {
            received: beat.received,
        })
    }

    fn handle_ack(&mut self, ack: Ack) -> Result<(), ConnectionError> {
        self.session.acknowledge(ack.received)?;
        self.tell_of_kept_bytes();
        Ok(())
    }

    fn handle_goodbye(&mut self, reason: CloseReason) -> Result<(), ConnectionError> {
        self.state = State::Closed;
        self.events.push_back(Event::Closed(reason));
        Ok(())
    }
}

/// Puts a fault into the place of a reply that cannot be understood.
fn unreadable_reply(call: CallId, more: bool, tag: u8) -> IncomingReply {
    let message = format!("the reply has the extension {tag:#04x}, which is not known here");
    let mut body = BytesMut::new();
    FaultMessage::new(FaultKind::BadReply, Outcome::Ran, message).encode(&mut body);
    IncomingReply {
        call,
        more,
        status: ReplyStatus::Fault,
        codec: 0,
        extensions: None,
        table: Seldom::new(),
        body: body.freeze().into(),
        attachments: Seldom::new(),
    }
}
