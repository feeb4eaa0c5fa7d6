//! What calls of a run have returned, until it is sent.

use farref_proto::{Connection, OnewayReceipt, OutgoingReplies, OutgoingResults, SendError};

use super::arrived::{ArrivedRun, Calls};
use crate::codec::Codec;
use crate::dispatch::Reply;
use crate::session::IncomingCallId;
use crate::session::answering::AnswerKind;

/// A frame of results has about so many bytes at most.
const FULL: usize = 32 << 10;

/// What calls of a run have returned that were not answered yet.
#[derive(Default)]
pub(in crate::session) struct Results {
    /// The calls, and how long the result of each is. Those of a batch have one id.
    calls: Vec<(IncomingCallId, u32)>,
    /// What they returned, one behind the other, and behind that what the next call writes.
    written: Reply,
    /// How long it is without the next call's.
    length: usize,
    /// What is to be given back for those that are oneways, and how many they are.
    receipt: Option<OnewayReceipt>,
    oneways: usize,
}

impl Results {
    /// A result that is longer, in bytes, is sent by itself.
    pub(super) const LONGEST: usize = 4 << 10;

    pub(super) fn is_full(&self) -> bool {
        self.length + 8 * self.calls.len() >= FULL
    }

    /// How many calls have returned.
    pub(super) fn count(&self) -> usize {
        self.calls.len() + self.oneways
    }

    /// Where the next call writes what it returns. Whatever another has left there is gone.
    #[inline]
    pub(super) fn next(&mut self) -> &mut Reply {
        self.written.body.truncate(self.length);
        if !self.written.is_plain() {
            drop(self.split_next());
        }
        &mut self.written
    }

    /// Whether the next call has returned nothing but a short value.
    #[inline]
    pub(super) fn is_next_plain(&self) -> bool {
        self.written.is_plain() && self.written.body.len() - self.length <= Self::LONGEST
    }

    /// Takes what the next call has returned, which is plain.
    #[inline]
    pub(super) fn take_next(&mut self, kind: AnswerKind) {
        match kind {
            AnswerKind::Call(id) | AnswerKind::OfRun { run: id, .. } => {
                let end = self.written.body.len();
                self.calls.push((id, (end - self.length) as u32));
                self.length = end;
            }
            AnswerKind::Oneway(receipt) => {
                self.oneways += 1;
                match &mut self.receipt {
                    Some(all) => all.join(receipt),
                    none => *none = Some(receipt),
                }
            }
            AnswerKind::Answered => {}
        }
    }

    /// Takes what a call has returned, which is plain.
    pub(super) fn take(&mut self, kind: AnswerKind, reply: Reply) {
        self.next().body.extend_from_slice(&reply.body);
        reply.recycle();
        self.take_next(kind);
    }

    /// What the next call has returned, which is not taken.
    pub(super) fn split_next(&mut self) -> Reply {
        let mut split = std::mem::replace(&mut self.written, Reply::new());
        if self.length > 0 {
            // The others stay where they are, without the room that a large one may have taken.
            std::mem::swap(&mut self.written.body, &mut split.body);
            split
                .body
                .extend_from_slice(&self.written.body[self.length..]);
            self.written.body.truncate(self.length);
            self.written.body.shrink_to(2 * FULL);
        }
        split
    }

    pub(super) fn clear(&mut self) {
        self.calls.clear();
        self.written.body.clear();
        self.length = 0;
        self.receipt = None;
        self.oneways = 0;
    }

    /// Answers the calls.
    pub(super) fn answer(
        &mut self,
        run: &ArrivedRun,
        codec: Codec,
        connection: &mut Connection,
    ) -> std::result::Result<(), SendError> {
        if let Some(receipt) = self.receipt.take() {
            connection.oneway_done(receipt);
        }
        if self.calls.is_empty() {
            return Ok(());
        }
        match &run.calls {
            Calls::Gathered { .. } => connection.reply_gathered(&OutgoingReplies {
                codec: codec.id(),
                calls: &self.calls,
                body: &self.written.body[..self.length],
            }),
            Calls::Batched { .. } => {
                let lengths: Vec<u32> = self.calls.iter().map(|(_, length)| *length).collect();
                connection.reply_run(
                    run.id(),
                    &OutgoingResults {
                        codec: codec.id(),
                        lengths: &lengths,
                        body: &self.written.body[..self.length],
                    },
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(run: u32) -> AnswerKind {
        AnswerKind::Call(IncomingCallId::new(run))
    }

    #[test]
    fn what_does_not_go_with_others_leaves_them_as_they_are() {
        let large = vec![7; 1 << 20];
        let mut results = Results::default();
        for number in 0..3 {
            // Something that a call left which failed.
            results.next().body.extend_from_slice(b"half");
            results.next().body.push(number);
            assert!(results.is_next_plain());
            results.take_next(kind(number.into()));
            results.next().body.extend_from_slice(&large);
            assert!(!results.is_next_plain());
            assert_eq!(results.split_next().body, large);
            let next = results.next();
            next.body.push(9);
            next.is_error = true;
            assert!(!results.is_next_plain());
            let split = results.split_next();
            assert!(split.is_error);
            assert_eq!(split.body, [9]);
            results.next().is_error = true;
            assert!(results.next().is_plain());
        }
        results.take(kind(3), Reply::written(|_| Ok(())).expect("it is empty"));
        assert_eq!(results.count(), 4);
        assert_eq!(results.written.body, [0, 1, 2]);
        assert!(results.written.body.capacity() <= 2 * FULL);
        let lengths: Vec<_> = results.calls.iter().map(|(_, length)| *length).collect();
        assert_eq!(lengths, [1, 1, 1, 0]);
    }

    #[test]
    fn what_comes_first_is_not_copied() {
        let mut results = Results::default();
        results.next().body = vec![7; 1 << 20];
        let place = results.written.body.as_ptr();
        assert_eq!(results.split_next().body.as_ptr(), place);
        assert!(results.next().body.is_empty());
    }
}
