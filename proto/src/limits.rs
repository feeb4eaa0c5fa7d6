//! Every bound of a connection, with its reason beside it.

use std::time::Duration;

/// The bounds that one side keeps and, where they concern the other side, grants in its hello.
///
/// Each field has a constant of the same name with its default. Values that are out of range are brought into it when
/// the connection is made; see [`Grants::FLOOR`] for what every side grants at least.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes in one frame, after its length field.
    pub max_message: u32,
    /// Bytes in one frame before the handshake is done, and so before anybody is known.
    pub handshake_message: u32,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// How long one frame may take from its first byte to its last.
    pub frame_timeout: Duration,
    /// Calls of depth 0, with oneways, that the other side may have unfinished here.
    pub calls: u32,
    /// Bytes of such calls. One message may begin while any of them is left, and so exceed them once.
    pub call_bytes: u64,
    /// Calls that the other side may have unfinished here at each depth above 0.
    pub depth_calls: u32,
    /// Bytes of such calls at each depth above 0.
    pub depth_bytes: u64,
    /// The greatest depth at which the other side may call.
    pub max_depth: u16,
    /// Bytes of annotations, keys and values, in one message.
    pub max_annotations: u32,
    /// References and streams in the table of one message.
    pub max_references: u16,
    /// Attachments of one message.
    pub max_attachments: u16,
    /// Distinct objects of either side that the other side may hold at once: what this side exports, and what it
    /// accepts.
    pub exports: u32,
    /// Streams that this side produces at once; the other side may accept fewer. 0 switches them off.
    pub streams: u32,
    /// Names for objects of this side that the other side may hold at once through binds.
    pub aliases: u32,
    /// How often this side says that it lives, unless the other side is less patient.
    pub beat_interval: Duration,
    /// How long the other side may be silent before it is taken for dead.
    pub peer_timeout: Duration,
    /// Bytes received after which this side acknowledges without waiting for the next beat, or for anything else that is to
    /// be written: after a quarter of them that takes it along.
    pub ack_every: u64,
    /// How long this side keeps a session that has lost its connection; zero for not at all. The shorter of the two
    /// sides' times counts.
    pub linger: Duration,
    /// Bytes that this side keeps until the other side has acknowledged them. Who makes calls beyond that waits; replies
    /// do not, which the calls bound that ask for them.
    pub kept_bytes: u64,
    /// Errors of the other side's making that are borne at once, before the conversation ends: calls and binds that name
    /// what is not there, or that cannot be read. What a method itself says is none.
    pub errors: u32,
    /// How long it takes until one of these errors is forgotten.
    pub error_pardon: Duration,
    /// A fault to have, so that tests show that they would find it.
    #[cfg(feature = "sabotage")]
    pub sabotage: Option<Sabotage>,
}

/// A fault to have.
#[cfg(feature = "sabotage")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// An acknowledgement counts for one byte more.
    ForgetsTooMuch,
    /// What the old connection still brings counts.
    ReadsTheOldConnection,
    /// An epoch is good for any number of times.
    AcceptsEpochsAgain,
    /// What was received before is sent again.
    ReplaysTooMuch,
    /// Whoever resumes a session is told that one byte more has arrived than has.
    ClaimsTooMuch,
    /// What is given back goes before the calls that still use it.
    ReleasesBeforeCalls,
    /// An object is let go with the first reference to it that is given back.
    FreesTooEarly,
    /// What a oneway cost is never given back.
    LosesCredit,
    /// Credit for a stream is not counted once the session was resumed.
    LosesStreamCredit,
    /// Cancels that wait for a connection are forgotten.
    LosesCancels,
    /// What is to be given back when a connection is lost is not.
    LosesReleases,
    /// Whoever names a session gets it.
    AcceptsAnyProof,
    /// Whoever answers is taken for the server that has the session.
    TrustsAnyServer,
}

impl Limits {
    /// 4 MiB: room for a picture; what is larger belongs in a stream.
    pub const MAX_MESSAGE: u32 = 4 << 20;
    /// 16 KiB: a hello with every option takes a tenth of it.
    pub const HANDSHAKE_MESSAGE: u32 = 16 << 10;
    /// 10 seconds: many round trips, also by satellite.
    pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
    /// 30 seconds: a full frame at a megabit a second, and an end to bytes that drip.
    pub const FRAME_TIMEOUT: Duration = Duration::from_secs(30);
    /// 1024 calls: no caller in earnest waits for room, no slot table outgrows a few pages.
    pub const CALLS: u32 = 1024;
    /// 8 MiB: two of the largest messages.
    pub const CALL_BYTES: u64 = 8 << 20;
    /// 64 calls: a reserve, which exists so that nested calls never wait for outer ones.
    pub const DEPTH_CALLS: u32 = 64;
    /// 256 KiB at each depth.
    pub const DEPTH_BYTES: u64 = 256 << 10;
    /// 32 calls deep: callbacks nest a few levels; a hundred is a mistake.
    pub const MAX_DEPTH: u16 = 32;
    /// 16 KiB: headers, not cargo.
    pub const MAX_ANNOTATIONS: u32 = 16 << 10;
    /// 4096 references: a page of objects.
    pub const MAX_REFERENCES: u16 = 4096;
    /// 1024 attachments.
    pub const MAX_ATTACHMENTS: u16 = 1024;
    /// 65 536 references: some megabytes of tables.
    pub const EXPORTS: u32 = 65_536;
    /// 65 536 streams: some megabytes of tables.
    pub const STREAMS: u32 = 65_536;
    /// 65 536 names.
    pub const ALIASES: u32 = 65_536;
    /// 10 seconds: two beats fit into [`PEER_TIMEOUT`](Self::PEER_TIMEOUT).
    pub const BEAT_INTERVAL: Duration = Duration::from_secs(10);
    /// 20 seconds: longer than a lost packet takes, shorter than a person's patience.
    pub const PEER_TIMEOUT: Duration = Duration::from_secs(20);
    /// 256 KiB: an acknowledgement costs its reader nothing at this rate, and keeps the kept bytes few. From a quarter of it on
    /// whatever is written takes one along.
    pub const ACK_EVERY: u64 = 256 << 10;
    /// 30 seconds: a network that is changed, a cable that is put back, a machine that wakes up.
    pub const LINGER: Duration = Duration::from_secs(30);
    /// 16 MiB: twice what calls may be unfinished in, so that it is reached by who loses its connection, and else never.
    pub const KEPT_BYTES: u64 = 16 << 20;
    /// 4096 errors: several times what one side can have under way, so that a program whose peer is of another version may
    /// find that out for all that it does at once.
    pub const ERRORS: u32 = 4096;
    /// 10 milliseconds: a hundred errors a second may go on for ever, and cost nothing that would be noticed.
    pub const ERROR_PARDON: Duration = Duration::from_millis(10);

    /// Returns what these limits allow the other side, never less than [`Grants::FLOOR`].
    pub fn grants(&self) -> Grants {
        let floor = Grants::FLOOR;
        Grants {
            max_message: self
                .max_message
                .clamp(floor.max_message, Grants::MAX_MESSAGE),
            calls: self.calls.clamp(floor.calls, Grants::MAX_CALLS),
            call_bytes: self.call_bytes.clamp(floor.call_bytes, Grants::MAX_BYTES),
            depth_calls: self.depth_calls.clamp(floor.depth_calls, Grants::MAX_CALLS),
            depth_bytes: self.depth_bytes.clamp(floor.depth_bytes, Grants::MAX_BYTES),
            max_depth: self.max_depth,
            max_references: self.max_references.max(floor.max_references),
            max_attachments: self.max_attachments.max(floor.max_attachments),
            max_annotations: self
                .max_annotations
                .clamp(floor.max_annotations, Grants::MAX_ANNOTATIONS),
            references: self.exports.clamp(floor.references, Grants::MAX_REFERENCES),
            aliases: self.aliases.clamp(floor.aliases, Grants::MAX_REFERENCES),
            peer_timeout_ms: u32::try_from(self.peer_timeout.as_millis())
                .unwrap_or(u32::MAX)
                .max(floor.peer_timeout_ms),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: Self::MAX_MESSAGE,
            handshake_message: Self::HANDSHAKE_MESSAGE,
            handshake_timeout: Self::HANDSHAKE_TIMEOUT,
            frame_timeout: Self::FRAME_TIMEOUT,
            calls: Self::CALLS,
            call_bytes: Self::CALL_BYTES,
            depth_calls: Self::DEPTH_CALLS,
            depth_bytes: Self::DEPTH_BYTES,
            max_depth: Self::MAX_DEPTH,
            max_annotations: Self::MAX_ANNOTATIONS,
            max_references: Self::MAX_REFERENCES,
            max_attachments: Self::MAX_ATTACHMENTS,
            exports: Self::EXPORTS,
            streams: Self::STREAMS,
            aliases: Self::ALIASES,
            beat_interval: Self::BEAT_INTERVAL,
            peer_timeout: Self::PEER_TIMEOUT,
            ack_every: Self::ACK_EVERY,
            linger: Self::LINGER,
            kept_bytes: Self::KEPT_BYTES,
            errors: Self::ERRORS,
            error_pardon: Self::ERROR_PARDON,
            #[cfg(feature = "sabotage")]
            sabotage: None,
        }
    }
}

/// What one side allows the other, as its hello says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grants {
    /// Bytes in one frame, after its length field.
    pub max_message: u32,
    /// Calls of depth 0, with oneways, unfinished at once.
    pub calls: u32,
    /// Bytes of such calls.
    pub call_bytes: u64,
    /// Calls unfinished at once at each depth above 0.
    pub depth_calls: u32,
    /// Bytes of such calls.
    pub depth_bytes: u64,
    /// The greatest depth.
    pub max_depth: u16,
    /// Entries in the table of one message.
    pub max_references: u16,
    /// Attachments of one message.
    pub max_attachments: u16,
    /// Bytes of annotations in one message.
    pub max_annotations: u32,
    /// Distinct objects that the grantee may have exported to the granter.
    pub references: u32,
    /// Names that the grantee may hold at once through binds.
    pub aliases: u32,
    /// Milliseconds of silence after which the granter takes the grantee for dead.
    pub peer_timeout_ms: u32,
}

impl Grants {
    /// What every side grants at least, so that a client may speak before the server's hello has come.
    ///
    /// There is nothing here for nested calls: those wait for the hello.
    pub const FLOOR: Self = Self {
        max_message: 64 << 10,
        calls: 16,
        call_bytes: 64 << 10,
        depth_calls: 0,
        depth_bytes: 0,
        max_depth: 0,
        max_references: 64,
        max_attachments: 64,
        max_annotations: 1 << 10,
        references: 64,
        aliases: 16,
        peer_timeout_ms: 100,
    };

    /// 1 GiB: the greatest [`max_message`](Self::max_message) that makes sense in memory.
    pub const MAX_MESSAGE: u32 = 1 << 30;
    /// A million calls; a call id takes some bytes of both sides' tables.
    pub const MAX_CALLS: u32 = 1 << 20;
    /// A tebibyte: beyond any memory, and far from the end of the counters.
    pub const MAX_BYTES: u64 = 1 << 40;
    /// 32 KiB: what fits into one extension block beside the others.
    pub const MAX_ANNOTATIONS: u32 = 32 << 10;
    /// 16 million references.
    pub const MAX_REFERENCES: u32 = 1 << 24;

    /// Returns these grants with nothing in flight that is more than `own` allows the other side.
    pub(crate) fn within(self, own: &Self) -> Self {
        Self {
            calls: self.calls.min(own.calls),
            call_bytes: self.call_bytes.min(own.call_bytes),
            depth_calls: self.depth_calls.min(own.depth_calls),
            depth_bytes: self.depth_bytes.min(own.depth_bytes),
            max_depth: self.max_depth.min(own.max_depth),
            references: self.references.min(own.references),
            aliases: self.aliases.min(own.aliases),
            ..self
        }
    }

    /// Tells whether each value lies between the floor and its maximum.
    pub(crate) fn is_sane(&self) -> bool {
        let floor = Self::FLOOR;
        (floor.max_message..=Self::MAX_MESSAGE).contains(&self.max_message)
            && (floor.calls..=Self::MAX_CALLS).contains(&self.calls)
            && (floor.call_bytes..=Self::MAX_BYTES).contains(&self.call_bytes)
            && (floor.depth_calls..=Self::MAX_CALLS).contains(&self.depth_calls)
            && (floor.depth_bytes..=Self::MAX_BYTES).contains(&self.depth_bytes)
            && self.max_references >= floor.max_references
            && self.max_attachments >= floor.max_attachments
            && (floor.max_annotations..=Self::MAX_ANNOTATIONS).contains(&self.max_annotations)
            && (floor.references..=Self::MAX_REFERENCES).contains(&self.references)
            && (floor.aliases..=Self::MAX_REFERENCES).contains(&self.aliases)
            && self.peer_timeout_ms >= floor.peer_timeout_ms
    }

    /// Returns how many calls there may be in one batch: it must fit into one of the pools.
    pub(crate) fn batch_calls(&self) -> u32 {
        self.calls.max(self.depth_calls)
    }

    /// Returns the count and the bytes of the pool of calls at this depth.
    pub(crate) fn pool(&self, depth: u16) -> (u32, u64) {
        match depth {
            0 => (self.calls, self.call_bytes),
            _ => (self.depth_calls, self.depth_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_grants_something_sane() {
        assert!(Limits::default().grants().is_sane());
        assert!(Grants::FLOOR.is_sane());
        let none = Limits {
            max_message: 0,
            calls: 0,
            call_bytes: 0,
            max_annotations: u32::MAX,
            exports: u32::MAX,
            peer_timeout: Duration::MAX,
            ..Limits::default()
        };
        assert!(none.grants().is_sane());
    }
}
