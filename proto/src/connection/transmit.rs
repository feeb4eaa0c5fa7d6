//! What a connection gives to its transport.

use bytes::Bytes;

use super::streaming::CHOSEN_BY_RECEIVER;
use super::{Connection, State};
use crate::message::{
    Cancel, Credit, Finish, LIST_LENGTH, Release, Revoked, StreamCancel, StreamCredit,
};
use crate::time::Time;

impl Connection {
    /// Tells whether [`poll_transmit`](Self::poll_transmit) would return any bytes, or might.
    pub fn has_transmit(&self) -> bool {
        self.session.unsent() > 0
            || self.is_open() && self.session.has_signs_of_life()
            || self.session.is_linked()
                && self.may_send_session_frames()
                && (self.questions.has_cancels()
                    || self.questions.has_finishes()
                    || self.given_credit.is_owed()
                    || self.imports.has_releases()
                    || self.exports.has_revoked()
                    || self.consumed.has_due()
                    || self.drain_due.is_some())
    }

    /// Writes now what was only counted until now: cancels, releases and credit. So frames that are made afterwards come
    /// behind it.
    pub fn flush(&mut self) {
        if self.may_send_session_frames() {
            self.write_counted();
        }
    }

    /// Appends everything that is to be sent to `out`, in order. Returns how many bytes.
    ///
    /// What was only counted until now is written here: cancels, releases and credit. So do not poll before the
    /// transport has taken what was polled last, and what waits stays bounded by the tables.
    pub fn poll_transmit(&mut self, now: Time, out: &mut Vec<Bytes>) -> usize {
        if !self.session.is_linked() {
            // Only the handshake of the next connection.
            return self.session.transmit(out);
        }
        if self.may_send_session_frames() {
            self.write_counted();
        }
        if self.is_open() {
            self.session.write_signs_of_life(now);
        }
        let given_credit = &mut self.given_credit;
        self.answers.free_answered(|answer| {
            given_credit.calls_answered(answer.depth, answer.calls, answer.bytes)
        });
        self.session.transmit(out)
    }

    /// Tells whether session frames may be written: after the handshake, or early by a client without a token.
    pub(super) fn may_send_session_frames(&self) -> bool {
        match &self.state {
            State::Preamble(handshake) | State::Handshake(handshake) => {
                self.peer.is_some() || handshake.allows_early_frames()
            }
            State::Open | State::Suspended => true,
            State::Closed => false,
        }
    }

    /// Writes what was counted: behind every frame that may use what is given back here.
    pub(super) fn write_counted(&mut self) {
        if let Some(reason) = self.drain_due.take() {
            self.write_frame(32 + reason.text.len(), |out| reason.encode(out));
        }
        if self.questions.has_cancels() {
            for calls in self.questions.take_cancels().chunks(LIST_LENGTH) {
                let cancel = Cancel {
                    calls: calls.to_vec(),
                };
                self.write_frame(8 + 4 * calls.len(), |out| cancel.encode(out));
            }
        }
        if self.questions.has_finishes() {
            for calls in self.questions.take_finishes().chunks(LIST_LENGTH) {
                let finish = Finish {
                    calls: calls.to_vec(),
                };
                self.write_frame(8 + 4 * calls.len(), |out| finish.encode(out));
            }
        }
        #[cfg(feature = "sabotage")]
        let queued = self
            .has(crate::Sabotage::ReleasesBeforeCalls)
            .then(|| self.session.buffer(0).split());
        if self.imports.has_releases() {
            for entries in self.imports.take_releases().chunks(LIST_LENGTH) {
                let release = Release {
                    entries: entries.to_vec(),
                };
                self.write_frame(8 + 8 * entries.len(), |out| release.encode(out));
            }
        }
        #[cfg(feature = "sabotage")]
        if let Some(queued) = queued {
            let out = self.session.buffer(queued.len());
            out.extend_from_slice(&queued);
        }
        if self.exports.has_revoked() {
            for exports in self.exports.take_revoked(&self.aliases).chunks(LIST_LENGTH) {
                let revoked = Revoked {
                    exports: exports.to_vec(),
                };
                self.write_frame(8 + 4 * exports.len(), |out| revoked.encode(out));
            }
        }
        if self.consumed.has_due() {
            for due in self.consumed.take_due() {
                let stream = due.number | CHOSEN_BY_RECEIVER;
                match due.credit {
                    Some((items, bytes)) => {
                        let credit = StreamCredit {
                            stream,
                            items,
                            bytes,
                        };
                        self.write_frame(24, |out| credit.encode(out));
                    }
                    None => {
                        self.write_frame(12, |out| StreamCancel { stream }.encode(out));
                    }
                }
            }
        }
        if self.given_credit.is_owed() {
            // There is one entry for each depth at most.
            let credit = Credit {
                entries: self.given_credit.take_owed(),
            };
            self.write_frame(8 + 13 * credit.entries.len(), |out| credit.encode(out));
        }
    }

    /// Writes a session frame. Returns its length.
    pub(super) fn write_frame(
        &mut self,
        estimate: usize,
        encode: impl FnOnce(&mut bytes::BytesMut),
    ) -> usize {
        let out = self.session.buffer(estimate);
        let before = out.len();
        encode(out);
        let frame_length = out.len() - before;
        self.session.append(frame_length, &[]);
        frame_length
    }
}
