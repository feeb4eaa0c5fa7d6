//! The calls that this side made, and who waits for their answers.

use std::sync::Weak;
use std::task::{Context, Poll, Waker, ready};

use farref_proto::{
    Body, CallId, FaultKind, FaultMessage, Gathered, IncomingRef, IncomingReplies, IncomingReply,
    IncomingResults, ReplyStatus, Seldom,
};

use super::Session;
use super::groups::{Groups, Seat};
use super::inbox::Garbage;
use crate::Outcome;
use crate::codec::Codec;
use crate::context::Annotations;
use crate::dispatch::RawReply;
use crate::error::{Fault, Result};
use crate::object::ObjectIdentity;
use crate::remote::Bound;
use crate::transferred::Transferred;

/// A call that was sent, as its caller knows it. Unlike the number of the call on the wire, it stays the caller's until
/// the caller has taken the answer, or gives the call up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Question(usize);

/// What became of an attempt to send.
#[derive(Debug)]
pub(crate) enum SendState {
    /// There is no room; the caller is woken when it is its turn.
    Queued,
    /// Sent, and to be answered.
    Sent(Question),
    /// Sent, and not to be answered.
    Oneway,
}

#[derive(Default)]
pub(crate) struct Questions {
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// How many of the slots wait for an answer.
    asked: usize,
    /// Whose answer carries this number on the wire.
    pub(super) by_call: Vec<Asker>,
    pub(super) groups: Groups,
}

/// Who is to get an answer.
#[derive(Clone, Debug)]
pub(super) enum Asker {
    Nobody,
    Caller(usize),
    Group(Seat),
    Bind(Weak<Bound>),
    /// The answer is kept, as the place of what it returns.
    Promise(Weak<Bound>),
}

enum Slot {
    Free,
    Asked {
        call: CallId,
        waker: Waker,
    },
    /// The answer is nothing but a value, in this codec.
    Value(u8, Body),
    Answered(IncomingReply, Seldom<Transferred>),
    Failed(Fault),
}

impl Questions {
    /// Notes that a call was sent, and who is to be woken when it is answered.
    pub(crate) fn ask(&mut self, call: CallId, waker: &Waker) -> Question {
        let index = self.free.pop().unwrap_or(self.slots.len());
        if index == self.slots.len() {
            self.slots.push(Slot::Free);
        }
        self.slots[index] = Slot::Asked {
            call,
            waker: waker.clone(),
        };
        self.asked += 1;
        self.expect(call, Asker::Caller(index));
        Question(index)
    }

    /// How many calls are under way, from being sent until their answers are taken.
    fn under_way(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether no more than one call is under way, from being sent until its answer is taken.
    pub(crate) fn at_most_one(&self) -> bool {
        self.under_way() <= 1
    }

    /// How many calls were answered whose callers have been woken and have not come for the answer yet. Likely they will
    /// call again.
    pub(super) fn untaken(&self) -> usize {
        self.under_way() - self.asked
    }

    /// Whether nobody else has a call under way than the one who has just sent.
    pub(super) fn is_alone(&self) -> bool {
        self.under_way() + self.groups.len() <= 1
    }

    /// Forgets a call whose answer is kept. Returns whether it is not answered yet.
    pub(super) fn forget_promise(&mut self, call: CallId) -> bool {
        match self.by_call.get_mut(call.index() as usize) {
            Some(asker @ Asker::Promise(_)) => {
                *asker = Asker::Nobody;
                true
            }
            _ => false,
        }
    }

    /// Notes that a call of a group was sent.
    pub(super) fn expect_in_group(&mut self, call: CallId, seat: Seat) {
        self.expect(call, Asker::Group(seat));
    }

    /// Notes that a name was asked for.
    pub(crate) fn ask_for(&mut self, call: CallId, bound: Weak<Bound>) {
        self.expect(call, Asker::Bind(bound));
    }

    pub(super) fn expect(&mut self, call: CallId, asker: Asker) {
        let index = call.index() as usize;
        if self.by_call.len() <= index {
            self.by_call.resize(index + 1, Asker::Nobody);
        }
        self.by_call[index] = asker;
    }

    /// Takes an answer. `receive` takes its references into the books at once, in the order of the frames: a release
    /// that follows must not overtake them. References in an answer that nobody waits for are given back.
    pub(crate) fn answer(
        &mut self,
        reply: IncomingReply,
        receive: impl FnOnce(&[IncomingRef]) -> Seldom<Transferred>,
        garbage: &mut Garbage,
    ) {
        let asker = match self.by_call.get_mut(reply.call.index() as usize) {
            // Others of its run will come.
            Some(asker) if reply.more => asker.clone(),
            Some(asker) => std::mem::replace(asker, Asker::Nobody),
            None => Asker::Nobody,
        };
        match asker {
            Asker::Nobody => garbage.transferred.extend(receive(&reply.table)),
            Asker::Caller(index) => {
                let transferred = receive(&reply.table);
                let answered = Slot::Answered(reply, transferred);
                if let Slot::Asked { waker, .. } =
                    std::mem::replace(&mut self.slots[index], answered)
                {
                    self.asked -= 1;
                    garbage.wakers.push(waker);
                }
            }
            Asker::Group(seat) => {
                let transferred = receive(&reply.table);
                self.groups.answer(seat, reply, transferred, garbage);
            }
            Asker::Promise(bound) => {
                let transferred = receive(&reply.table);
                match bound.upgrade() {
                    Some(bound) => garbage.promised.push((bound, reply, transferred)),
                    None => garbage.transferred.extend(transferred),
                }
            }
            Asker::Bind(bound) => {
                if let Some(bound) = bound.upgrade() {
                    garbage.found.push((bound, found(&reply)));
                }
            }
        }
    }

    /// Takes the answers of several calls, which are nothing but values.
    pub(super) fn answer_gathered(&mut self, mut gathered: IncomingReplies, garbage: &mut Garbage) {
        let codec = gathered.codec;
        for Gathered { id, body } in gathered.replies.drain(..) {
            let asker = self.by_call.get_mut(id.index() as usize);
            if let Some(asker @ Asker::Caller(_)) = asker
                && let Asker::Caller(index) = std::mem::replace(asker, Asker::Nobody)
            {
                let slot = &mut self.slots[index];
                if let Slot::Asked { waker, .. } = std::mem::replace(slot, Slot::Value(codec, body))
                {
                    self.asked -= 1;
                    garbage.wakers.push(waker);
                }
                continue;
            }
            let reply = IncomingReply {
                call: id,
                more: false,
                status: ReplyStatus::Ok,
                codec,
                extensions: None,
                table: Seldom::new(),
                body,
                attachments: Seldom::new(),
            };
            self.answer(reply, |_| Seldom::new(), garbage);
        }
        Gathered::recycle(gathered.replies);
    }

    /// Takes results of a run.
    pub(super) fn results(&mut self, results: IncomingResults, garbage: &mut Garbage) {
        if let Some(asker) = self.by_call.get_mut(results.call.index() as usize)
            && let Asker::Group(seat) = *asker
        {
            if !results.more {
                *asker = Asker::Nobody;
            }
            self.groups.results(seat, results, garbage);
        }
    }

    /// Gives a question up. Returns the call to cancel, if it was not answered yet; the references in an answer that
    /// nobody took are given back.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "who gives a question up must not use it again"
    )]
    pub(crate) fn abandon(&mut self, question: Question, garbage: &mut Garbage) -> Option<CallId> {
        let Question(index) = question;
        let slot = std::mem::replace(&mut self.slots[index], Slot::Free);
        self.free.push(index);
        match slot {
            Slot::Asked { call, .. } => {
                self.asked -= 1;
                self.expect(call, Asker::Nobody);
                Some(call)
            }
            Slot::Answered(_, transferred) => {
                garbage.transferred.extend(transferred);
                None
            }
            Slot::Free | Slot::Value(..) | Slot::Failed(_) => None,
        }
    }

    /// Ends all questions with the session; `outcome` says of each whether it may have run.
    pub(crate) fn fail(
        &mut self,
        fault: &Fault,
        garbage: &mut Garbage,
        outcome: impl Fn(CallId) -> Outcome,
    ) {
        let fault_of = |call| {
            let outcome = outcome(call);
            let fault = fault.clone().with_outcome(outcome);
            // What was sent with the first flight reached a session, though its handshake was never seen to end.
            let was_sent = outcome != Outcome::NotStarted;
            match fault.kind() {
                FaultKind::ConnectFailed if was_sent => fault.with_kind(FaultKind::SessionLost),
                _ => fault,
            }
        };
        self.groups.fail(garbage, fault_of);
        for slot in &mut self.slots {
            if let Slot::Asked { call, .. } = slot {
                let failed = Slot::Failed(fault_of(*call));
                if let Slot::Asked { waker, .. } = std::mem::replace(slot, failed) {
                    self.asked -= 1;
                    garbage.wakers.push(waker);
                }
            }
        }
        for asker in self.by_call.drain(..) {
            let fault = || fault.clone().with_outcome(Outcome::NotStarted);
            match asker {
                Asker::Bind(bound) => {
                    let bound = bound.upgrade();
                    let found = bound.map(|bound| (bound, Err(fault())));
                    garbage.found.extend(found);
                }
                Asker::Promise(bound) => {
                    let broken = bound.upgrade().map(|bound| (bound, fault()));
                    garbage.broken.extend(broken);
                }
                Asker::Nobody | Asker::Caller(_) | Asker::Group(_) => {}
            }
        }
    }
}

#[cold]
fn forgotten() -> Fault {
    Fault::new(
        FaultKind::Internal,
        Outcome::Unknown,
        "the call is forgotten",
    )
}

/// What the answer to a bind says.
fn found(reply: &IncomingReply) -> Result<ObjectIdentity> {
    if reply.status == ReplyStatus::Fault {
        return Err(fault_in(&reply.body));
    }
    match reply.table.first() {
        Some(IncomingRef::Import { object, owner, .. }) => Ok(ObjectIdentity {
            owner: *owner,
            object: *object,
        }),
        _ => Err(Fault::not_started(
            FaultKind::Internal,
            "the peer answered a bind without naming the object",
        )),
    }
}

/// The fault that the body of a message holds.
pub(super) fn fault_in(body: &[u8]) -> Fault {
    match FaultMessage::decode(body) {
        Ok(message) => Fault::from_message(message),
        Err(error) => Fault::new(
            FaultKind::BadReply,
            Outcome::Unknown,
            format!("the peer sent a broken fault: {error}"),
        ),
    }
}

impl Session {
    /// The answer to a question, once it has come. The question is over then.
    pub(crate) fn poll_reply(
        &self,
        question: &Question,
        cx: &Context<'_>,
    ) -> Poll<Result<RawReply>> {
        Poll::Ready(match ready!(self.poll_answer(question, cx)) {
            Slot::Value(codec, body) => self.value(codec, body),
            Slot::Answered(reply, transferred) => self.raw_reply(reply, transferred),
            Slot::Failed(fault) => Err(fault),
            Slot::Free | Slot::Asked { .. } => Err(forgotten()),
        })
    }

    /// The same, with the notes beside it.
    pub(crate) fn poll_annotated_reply(
        &self,
        question: &Question,
        cx: &Context<'_>,
    ) -> Poll<(Result<RawReply>, Annotations)> {
        Poll::Ready(match ready!(self.poll_answer(question, cx)) {
            Slot::Value(codec, body) => (self.value(codec, body), Annotations::new()),
            Slot::Answered(mut reply, transferred) => {
                let annotations = reply
                    .extensions
                    .take()
                    .map(|extensions| extensions.annotations)
                    .unwrap_or_default();
                (self.raw_reply(reply, transferred), annotations)
            }
            Slot::Failed(fault) => (Err(fault), Annotations::new()),
            Slot::Free | Slot::Asked { .. } => (Err(forgotten()), Annotations::new()),
        })
    }

    /// Takes what became of a call from its slot, once it is answered or has failed.
    #[inline]
    fn poll_answer(&self, question: &Question, cx: &Context<'_>) -> Poll<Slot> {
        let Question(index) = *question;
        let mut guard = self.lock();
        let slot = &mut guard.questions.slots[index];
        if let Slot::Asked { waker, .. } = slot {
            waker.clone_from(cx.waker());
            return Poll::Pending;
        }
        let slot = std::mem::replace(slot, Slot::Free);
        guard.questions.free.push(index);
        drop(guard);
        Poll::Ready(slot)
    }

    /// A reply that is nothing but a value.
    #[inline]
    fn value(&self, codec: u8, body: Body) -> Result<RawReply> {
        let codec = self.reply_codec(codec)?;
        Ok(RawReply::value(codec, self.node.budget, body))
    }

    /// The codec of an answer.
    #[inline]
    pub(super) fn reply_codec(&self, codec: u8) -> Result<Codec> {
        let known = Codec::from_id(codec).filter(|codec| codec.is_available());
        known.ok_or_else(|| {
            Fault::new(
                FaultKind::UnsupportedCodec,
                Outcome::Ran,
                format!("the reply came in codec {codec}, which is not known here"),
            )
        })
    }

    pub(super) fn raw_reply(
        &self,
        reply: IncomingReply,
        transferred: Seldom<Transferred>,
    ) -> Result<RawReply> {
        if reply.status == ReplyStatus::Fault {
            return Err(fault_in(&reply.body));
        }
        let mut raw = self.value(reply.codec, reply.body)?;
        raw.is_error = reply.status == ReplyStatus::Error;
        raw.attachments = reply.attachments;
        raw.transferred = transferred;
        Ok(raw)
    }
}
