//! What calls of a run have returned, until it is sent.

use farref_proto::{Connection, OnewayReceipt, OutgoingReplies, OutgoingResults, SendError};

use super::arrived::{ArrivedRun, Calls};
use crate::codec::Codec;
use crate::dispatch::{Reply, buffer};
use crate::session::IncomingCallId;
use crate::session::answering::AnswerKind;

/// A frame of results has about so many bytes at most.
const FULL: usize = 32 << 10;

/// What calls of a run have returned that were not answered yet.
#[derive(Default)]
pub(in crate::session) struct Results {
    /// The calls, and how long the result of each is. Those of a batch have one id.
    calls: Vec<(IncomingCallId, u32)>,
    body: Vec<u8>,
    /// What is to be given back for those that are oneways, and how many they are.
    receipt: Option<OnewayReceipt>,
    oneways: usize,
}

impl Results {
    pub(super) fn is_full(&self) -> bool {
        self.body.len() + 8 * self.calls.len() >= FULL
    }

    /// How many calls have returned.
    pub(super) fn count(&self) -> usize {
        self.calls.len() + self.oneways
    }

    /// Takes what a call has returned.
    #[inline]
    pub(super) fn take(&mut self, kind: AnswerKind, reply: Reply) {
        match kind {
            AnswerKind::Call(id) | AnswerKind::OfRun { run: id, .. } => {
                self.calls.push((id, reply.body.len() as u32));
                self.body.extend_from_slice(&reply.body);
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
        buffer::give(reply.body);
    }

    pub(super) fn clear(&mut self) {
        self.calls.clear();
        self.body.clear();
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
                body: &self.body,
            }),
            Calls::Batched { .. } => {
                let lengths: Vec<u32> = self.calls.iter().map(|(_, length)| *length).collect();
                connection.reply_run(
                    run.id(),
                    &OutgoingResults {
                        codec: codec.id(),
                        lengths: &lengths,
                        body: &self.body,
                    },
                )
            }
        }
    }
}
