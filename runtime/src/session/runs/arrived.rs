//! A run that arrived: the calls of it that have not begun.

use std::sync::Arc;

use bytes::Bytes;
use farref_proto::{Body, Gathered, IncomingCall, IncomingCalls, OnewayReceipt, Seldom};

use crate::dispatch::Incoming;
use crate::error::Result;
use crate::object::Export;
use crate::session::IncomingCallId;
use crate::session::answering::AnswerKind;
use crate::session::inbox::Arrived;

/// A run that arrived, as far as its calls have not begun.
pub(crate) struct ArrivedRun {
    /// What its calls have in common.
    pub(super) call: IncomingCall,
    pub(super) target: Result<Arc<Export>>,
    pub(super) calls: Calls,
    /// How many of them have begun.
    begun: usize,
    /// Its calls are served as those that stand alone.
    pub(super) is_one_by_one: bool,
}

/// The calls of a run.
pub(super) enum Calls {
    /// They are of a batch: they have one id, and their arguments are the body of what they have in common.
    Batched {
        lengths: Vec<u32>,
        /// Where the arguments of the next call begin.
        start: usize,
    },
    /// They were gathered.
    Gathered { calls: Vec<Gathered>, oneway: bool },
}

impl ArrivedRun {
    /// A run of a batch.
    pub(in crate::session) fn batched(arrived: Arrived, lengths: Vec<u32>) -> Self {
        Self::new(
            arrived.call,
            arrived.target,
            Calls::Batched { lengths, start: 0 },
        )
    }

    /// Calls that were gathered.
    pub(in crate::session) fn gathered(
        gathered: IncomingCalls,
        target: Result<Arc<Export>>,
    ) -> Self {
        let call = IncomingCall {
            id: IncomingCallId::new(0),
            target: gathered.target,
            method_hash: gathered.method_hash,
            shape: gathered.shape,
            method_index: gathered.method_index,
            codec: gathered.codec,
            pipelined: false,
            keep_answer: false,
            ordered: false,
            extensions: None,
            table: Seldom::new(),
            body: Body::default(),
            attachments: Seldom::new(),
        };
        let (calls, oneway) = (gathered.calls, gathered.oneway);
        Self::new(call, target, Calls::Gathered { calls, oneway })
    }

    fn new(call: IncomingCall, target: Result<Arc<Export>>, calls: Calls) -> Self {
        ArrivedRun {
            call,
            target,
            calls,
            begun: 0,
            is_one_by_one: false,
        }
    }

    /// Keeps the memory of a run that is over.
    pub(super) fn recycle(self) {
        if let Calls::Gathered { calls, .. } = self.calls {
            Gathered::recycle(calls);
        }
    }

    /// How many calls have not begun.
    pub(in crate::session) fn len(&self) -> usize {
        let count = match &self.calls {
            Calls::Batched { lengths, .. } => lengths.len(),
            Calls::Gathered { calls, .. } => calls.len(),
        };
        count - self.begun
    }

    /// The id of all calls of a batch.
    pub(in crate::session) fn id(&self) -> IncomingCallId {
        self.call.id
    }

    /// The arguments of all calls of a batch, one behind the other.
    pub(super) fn common_body(&self) -> Body {
        self.call.body.clone()
    }

    /// Makes this the next call, if there is one. Its body is the common one, or that of a call before.
    #[inline]
    pub(super) fn next_into(&mut self, incoming: &mut Incoming) -> bool {
        match &mut self.calls {
            Calls::Batched { lengths, start } => {
                let Some(length) = lengths.get(self.begun) else {
                    return false;
                };
                let begin = *start;
                *start += *length as usize;
                incoming.range = begin..*start;
            }
            Calls::Gathered { calls, .. } => {
                let Some(call) = calls.get(self.begun) else {
                    return false;
                };
                incoming.range = 0..call.body.len();
                // A clone: the receipt of a oneway counts what the call has brought.
                incoming.body = call.body.clone();
            }
        }
        self.begun += 1;
        true
    }

    /// Takes the arguments of the next call.
    fn next_arguments(&mut self) -> Option<Body> {
        let arguments = match &mut self.calls {
            Calls::Batched { lengths, start } => {
                let length = *lengths.get(self.begun)? as usize;
                let begin = std::mem::replace(start, *start + length);
                self.call.body.slice(begin..*start)
            }
            Calls::Gathered { calls, .. } => calls.get(self.begun)?.body.clone(),
        };
        self.begun += 1;
        Some(arguments)
    }

    /// Takes the next call, to be served as one that stands alone, but for its answer.
    pub(in crate::session) fn next(&mut self) -> Option<(Arrived, AnswerKind)> {
        let arguments = self.next_arguments()?;
        let common = &self.call;
        let call = IncomingCall {
            id: self.last_id(),
            target: common.target,
            method_hash: common.method_hash,
            shape: common.shape,
            method_index: common.method_index,
            codec: common.codec,
            pipelined: false,
            keep_answer: false,
            ordered: false,
            extensions: common.extensions.clone(),
            table: Seldom::new(),
            body: arguments,
            attachments: Seldom::<Bytes>::new(),
        };
        let arrived = Arrived {
            call,
            target: self.target.clone(),
            transferred: Seldom::new(),
            receipt: self.last_receipt(),
        };
        Some((arrived, self.kind()))
    }

    /// The call that was taken last, of those that were gathered.
    #[inline]
    fn last(&self) -> Option<&Gathered> {
        match &self.calls {
            Calls::Batched { .. } => None,
            Calls::Gathered { calls, .. } => calls.get(self.begun.checked_sub(1)?),
        }
    }

    /// The id of the call that was taken last.
    #[inline]
    fn last_id(&self) -> IncomingCallId {
        self.last().map_or(self.call.id, |call| call.id)
    }

    /// What is to be given back for the call that was taken last, if it is a oneway.
    fn last_receipt(&self) -> Option<OnewayReceipt> {
        let is_oneway = matches!(self.calls, Calls::Gathered { oneway: true, .. });
        let last = self.last().filter(|_| is_oneway);
        last.map(OnewayReceipt::of_gathered)
    }

    /// The answer of the call that was taken last.
    #[inline]
    pub(super) fn kind(&self) -> AnswerKind {
        match (&self.calls, self.last_receipt()) {
            (Calls::Batched { .. }, _) => AnswerKind::OfRun {
                run: self.call.id,
                is_last: self.len() == 0,
            },
            (Calls::Gathered { .. }, Some(receipt)) => AnswerKind::Oneway(receipt),
            (Calls::Gathered { .. }, None) => AnswerKind::Call(self.last_id()),
        }
    }
}
