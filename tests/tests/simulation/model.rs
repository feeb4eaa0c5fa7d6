//! What happened, against what may happen: effects, results, order, and what is left at the end.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use farref::{Fault, FaultKind, Outcome};
use tokio::time::Instant;

use crate::faults::FAULTS;
use crate::operations::KINDS;

/// One thing that an operation does to somebody: which, and the how manieth.
pub(crate) type Part = (&'static str, u32);

/// A part whose doing again is harmless, and allowed.
pub(crate) const REPEATABLE: &str = "put";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Never,
    Once,
    AtMostOnce,
}

pub(crate) struct Model {
    state: Mutex<State>,
    begun: Instant,
}

#[derive(Default)]
struct State {
    effects: BTreeMap<(u64, Part), u32>,
    expected: BTreeMap<(u64, Part), Expected>,
    violations: Vec<String>,
    /// Operations under way, and their kinds.
    under_way: BTreeMap<u64, usize>,
    next: u64,
    ended: usize,
    /// A fault has struck after which sessions may be lost.
    may_lose: bool,
    struck: Vec<usize>,
    /// How many operations of each kind were under way when a fault of each kind struck.
    table: [[u32; FAULTS.len()]; KINDS.len()],
    /// What happened and when, in short.
    trace: u64,
    objects: i64,
    running: i64,
    log: Option<Vec<String>>,
}

/// What a run came to.
pub(crate) struct Report {
    pub(crate) violations: Vec<String>,
    pub(crate) table: [[u32; FAULTS.len()]; KINDS.len()],
    pub(crate) trace: u64,
    pub(crate) operations: usize,
    pub(crate) faults: usize,
    pub(crate) log: Vec<String>,
}

impl Model {
    pub(crate) fn new(is_logged: bool) -> Self {
        Model {
            state: Mutex::new(State {
                log: is_logged.then(Vec::new),
                ..State::default()
            }),
            begun: Instant::now(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Notes something for the trace, which is the same whenever the seed is.
    pub(crate) fn note(&self, text: impl FnOnce() -> String) {
        let at = self.begun.elapsed();
        let mut state = self.lock();
        let text = format!("{:>12.6} {}", at.as_secs_f64(), text());
        for byte in text.bytes() {
            state.trace = (state.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(log) = &mut state.log {
            log.push(text);
        }
    }

    pub(crate) fn violated(&self, text: String) {
        self.note(|| format!("VIOLATED {text}"));
        self.lock().violations.push(text);
    }

    /// An operation of this kind begins.
    pub(crate) fn begin(&self, kind: usize) -> u64 {
        let mut state = self.lock();
        state.next += 1;
        let operation = state.next;
        state.under_way.insert(operation, kind);
        operation
    }

    pub(crate) fn end(&self, operation: u64) {
        let mut state = self.lock();
        state.ended += 1;
        state.under_way.remove(&operation);
    }

    /// A fault strikes.
    pub(crate) fn strike(&self, fault: usize, loses: bool) {
        let mut state = self.lock();
        state.may_lose |= loses;
        state.struck.push(fault);
        let kinds: Vec<_> = state.under_way.values().copied().collect();
        for kind in kinds {
            state.table[kind][fault] += 1;
        }
    }

    /// Whether sessions may have been lost.
    pub(crate) fn may_lose(&self) -> bool {
        self.lock().may_lose
    }

    /// Something was done. Returns how often.
    pub(crate) fn effect(&self, operation: u64, part: Part) -> u32 {
        self.note(|| format!("effect {operation} {part:?}"));
        let mut state = self.lock();
        let count = state.effects.entry((operation, part)).or_default();
        *count += 1;
        *count
    }

    /// Objects that other processes hold.
    pub(crate) fn count_objects(&self, change: i64) {
        self.lock().objects += change;
    }

    /// Handlers that take their time.
    pub(crate) fn count_running(&self, change: i64) {
        self.lock().running += change;
    }

    pub(crate) fn held(&self) -> (i64, i64) {
        let state = self.lock();
        (state.objects, state.running)
    }

    /// What a call came to, and so how often its part may have been done.
    pub(crate) fn call<T>(
        &self,
        operation: u64,
        part: Part,
        result: Result<T, Fault>,
        allowed: &[FaultKind],
    ) -> Option<T> {
        let (expected, value) = match result {
            Ok(value) => (Expected::Once, Some(value)),
            Err(fault) => {
                self.fault(operation, &fault, allowed);
                let expected = match fault.outcome() {
                    Outcome::NotStarted => Expected::Never,
                    Outcome::Ran => Expected::Once,
                    _ => Expected::AtMostOnce,
                };
                (expected, None)
            }
        };
        self.note(|| format!("call {operation} {part:?} {expected:?}"));
        if part.0 != REPEATABLE {
            self.lock().expected.insert((operation, part), expected);
        }
        value
    }

    /// A fault that a caller saw: is it one that may be seen?
    pub(crate) fn fault(&self, operation: u64, fault: &Fault, allowed: &[FaultKind]) {
        let kind = fault.kind();
        self.note(|| format!("fault {operation} {kind:?} {:?}", fault.outcome()));
        let by_loss = matches!(
            kind,
            FaultKind::SessionLost
                | FaultKind::ConnectFailed
                | FaultKind::StaleReference
                | FaultKind::NoSuchObject
                | FaultKind::BrokenPromise
        );
        if allowed.contains(&kind) || by_loss && self.may_lose() {
            return;
        }
        self.violated(format!("operation {operation} failed with {fault:?}"));
    }

    /// What came of a call that was sent and not waited for: it is done once if no session was lost by the end, and else
    /// at most once.
    pub(crate) fn sent(&self, operation: u64, part: Part) {
        self.lock()
            .expected
            .insert((operation, part), Expected::Once);
    }

    /// A part that may have been done.
    pub(crate) fn perhaps(&self, operation: u64, part: Part) {
        self.lock()
            .expected
            .insert((operation, part), Expected::AtMostOnce);
    }

    /// Compares what was done with what was to be done.
    pub(crate) fn conclude(self, oneways: &str) -> Report {
        let State {
            effects,
            expected,
            mut violations,
            table,
            trace,
            may_lose,
            struck,
            ended,
            log,
            ..
        } = self.state.into_inner().unwrap();
        for (&(operation, part), &count) in &effects {
            if count > 1 && part.0 != REPEATABLE {
                violations.push(format!("operation {operation} did {part:?} {count} times"));
            }
        }
        for (&(operation, part), &expected) in &expected {
            let count = effects.get(&(operation, part)).copied().unwrap_or(0);
            let is_right = match expected {
                Expected::Never => count == 0,
                Expected::Once if part.0 == oneways && may_lose => count <= 1,
                Expected::Once => count == 1,
                Expected::AtMostOnce => count <= 1,
            };
            if !is_right {
                violations.push(format!(
                    "operation {operation} did {part:?} {count} times: {expected:?}"
                ));
            }
        }
        Report {
            violations,
            table,
            trace,
            operations: ended,
            faults: struck.len(),
            log: log.unwrap_or_default(),
        }
    }
}
