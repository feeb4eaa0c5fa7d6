//! Calls that cannot even be looked at: why, and how they are answered.

use super::{Connection, OnewayReceipt};
use crate::id::CallId;
use crate::message::{FaultKind, FaultMessage, Outcome, Sections};

impl Connection {
    /// Returns why a call cannot even be looked at, if so.
    pub(super) fn refusal_of(&self, sections: &Sections, codec: u8) -> Option<FaultMessage> {
        let refuse =
            |kind, message: String| Some(FaultMessage::new(kind, Outcome::NotStarted, message));
        let depth = depth_of(sections);
        let max_depth = self.given_credit.grants().max_depth;
        if let Some(tag) = sections.unknown_extension {
            return refuse(
                FaultKind::Unsupported,
                format!("the extension {tag:#04x} is not known here"),
            );
        }
        if depth > max_depth {
            return refuse(
                FaultKind::DepthExceeded,
                format!("calls may nest {max_depth} deep, and this is {depth}"),
            );
        }
        if depth > 0 {
            return self.refusal_of_codec(codec);
        }
        self.refusal_of_new(codec)
    }

    /// Returns why a call that has nothing beside its arguments cannot even be looked at, if so.
    #[inline]
    pub(super) fn refusal_of_bare(&self, codec: u8) -> Option<FaultMessage> {
        // Making a refusal is costlier than finding that there is none.
        let is_refused = self.draining || !self.is_agreed_codec(codec);
        is_refused.then(|| self.refusal_of_new(codec)).flatten()
    }

    /// Returns why a call that waits for no other cannot even be looked at, if so.
    #[inline]
    fn refusal_of_new(&self, codec: u8) -> Option<FaultMessage> {
        match self.refusal_of_codec(codec) {
            None if self.draining => Some(FaultMessage::new(
                FaultKind::ShuttingDown,
                Outcome::NotStarted,
                "no new calls are taken here",
            )),
            refusal => refusal,
        }
    }

    #[inline]
    fn refusal_of_codec(&self, codec: u8) -> Option<FaultMessage> {
        if self.is_agreed_codec(codec) {
            return None;
        }
        let message = format!("the codec {codec} was not agreed on");
        Some(FaultMessage::new(
            FaultKind::UnsupportedCodec,
            Outcome::NotStarted,
            message,
        ))
    }

    /// Answers an open call with a fault of this crate's own making.
    pub(super) fn refuse_with(&mut self, id: CallId, fault: &FaultMessage) {
        self.blame_for(fault);
        let refused = self.reply_fault(id, fault);
        debug_assert!(
            refused.is_ok(),
            "a fault fits into the smallest message: {refused:?}"
        );
    }

    pub(super) fn drop_oneway(&mut self, receipt: OnewayReceipt, fault: &FaultMessage) {
        self.blame_for(fault);
        self.oneway_done(receipt);
    }

    /// Counts what is refused, unless the other side could not know that it would be.
    fn blame_for(&mut self, fault: &FaultMessage) {
        if fault.kind != FaultKind::ShuttingDown {
            self.blame();
        }
    }
}

pub(super) fn depth_of(sections: &Sections) -> u16 {
    sections
        .extensions
        .as_ref()
        .map_or(0, |extensions| extensions.depth())
}
