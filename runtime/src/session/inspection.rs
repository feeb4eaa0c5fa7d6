//! What a session tells of itself to those who may look.

use super::Session;
use crate::daemon_object::{CallStat, ExportStat, SessionStat};
use crate::peer::Identity;
use farref_proto::ChainId;

/// How many calls of one session are listed.
const MAX_CALLS: usize = 256;

impl Session {
    /// How the session stands.
    pub(crate) fn stat(&self) -> SessionStat {
        let tables = self.tables();
        let now = tokio::time::Instant::now();
        let age = |since: tokio::time::Instant| {
            u64::try_from(now.saturating_duration_since(since).as_micros()).unwrap_or(u64::MAX)
        };
        let calls = self.under_way.all().into_iter().take(MAX_CALLS);
        let calls = calls.map(|call| CallStat {
            method: call.scope.call_name().to_string(),
            chain: call.scope.chain.get().map(hexadecimal).unwrap_or_default(),
            depth: call.scope.depth,
            oneway: call.oneway,
            age: age(call.since),
        });
        SessionStat {
            number: self.number,
            peer: self.address.to_string(),
            name: self.peer_name(),
            authenticated: self.identity() != Identity::Anonymous,
            age: age(self.started),
            serving: count(self.serving.load(std::sync::atomic::Ordering::Acquire)),
            calls: calls.collect(),
            calls_out: count(tables.calls_out),
            exports: count(tables.exports),
            names: count(tables.aliases),
            imports: count(tables.imports),
            unsent: tables.unsent as u64,
            unacknowledged: tables.unacknowledged,
        }
    }

    /// What the peer holds: at most `limit` objects after the first `skip`.
    pub(crate) fn export_stats(&self, skip: usize, limit: usize) -> Vec<ExportStat> {
        let state = self.lock();
        let held = state.exports.held(&state.connection).skip(skip).take(limit);
        held.map(|(export, grants)| ExportStat {
            session: self.number,
            peer: self.address.to_string(),
            object: export.identity.object,
            interface: export
                .descriptor()
                .map_or_else(String::new, |interface| interface.name.to_owned()),
            grants,
        })
        .collect()
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A chain as people read it.
pub(crate) fn hexadecimal(chain: &ChainId) -> String {
    use std::fmt::Write as _;
    chain
        .as_bytes()
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
