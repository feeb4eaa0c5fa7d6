//! What can go wrong with a call, sorted by blame and by outcome.
//!
//! A method that returns a plain `T` fails with [`Fault`]; one that returns `Result<T, E>` fails with
//! [`CallError<E>`], which keeps the method's own error apart from everything else.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use farref_proto::FaultMessage;
pub use farref_proto::{FaultKind, Outcome};

/// The result of an operation of farref: by default it fails with a [`Fault`].
pub type Result<T, E = Fault> = std::result::Result<T, E>;

/// A failure that is not the method's own error: of the network, the peer, the framework or the call itself.
///
/// It says what went wrong ([`kind`](Fault::kind)), and whether the method may have run ([`outcome`](Fault::outcome)).
/// Its message names the culprit; the chain of causes is reached with [`source`](Error::source), and the processes
/// that it came through with [`hops`](Fault::hops).
#[derive(Clone)]
pub struct Fault(Arc<Detail>);

#[derive(Clone)]
struct Detail {
    kind: FaultKind,
    outcome: Outcome,
    message: String,
    cause: Option<Cause>,
    hops: Vec<String>,
    backtrace: Option<String>,
    /// The call should never have been made. Known only where that is found out.
    blames_caller: bool,
}

/// One link of the chain of causes, kept as text because it may come from another process.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    text: String,
    next: Option<Box<Cause>>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.next
            .as_deref()
            .map(|cause| cause as &(dyn Error + 'static))
    }
}

impl Cause {
    pub(crate) fn chain(texts: Vec<String>) -> Option<Cause> {
        let mut chain = None;
        for text in texts.into_iter().rev() {
            chain = Some(Cause {
                text,
                next: chain.map(Box::new),
            });
        }
        chain
    }

    fn of(error: &(dyn Error + 'static)) -> Cause {
        Cause {
            text: error.to_string(),
            next: error.source().map(|next| Box::new(Cause::of(next))),
        }
    }
}

impl Fault {
    /// Makes a fault of this kind and outcome, with a message that says what to do.
    pub fn new(kind: FaultKind, outcome: Outcome, message: impl Into<String>) -> Self {
        Fault(Arc::new(Detail {
            kind,
            outcome,
            message: message.into(),
            cause: None,
            hops: Vec::new(),
            backtrace: None,
            blames_caller: false,
        }))
    }

    /// A fault of a call that never started.
    pub(crate) fn not_started(kind: FaultKind, message: impl Into<String>) -> Self {
        Fault::new(kind, Outcome::NotStarted, message)
    }

    /// Adds the error that caused this fault, with all that caused it in turn.
    #[must_use]
    pub fn with_cause(self, cause: &(dyn Error + 'static)) -> Self {
        self.change(|detail| detail.cause = Some(Cause::of(cause)))
    }

    /// Replaces the outcome, where more is known than at the place where the fault was made.
    #[must_use]
    pub(crate) fn with_outcome(self, outcome: Outcome) -> Self {
        self.change(|detail| detail.outcome = outcome)
    }

    /// Says that the peer should never have made the call, which counts against its budget of errors.
    #[must_use]
    pub(crate) fn blaming_caller(self) -> Self {
        self.change(|detail| detail.blames_caller = true)
    }

    /// Whether the peer that made the call should never have made it.
    pub(crate) fn blames_caller(&self) -> bool {
        self.0.blames_caller
    }

    /// Adds a backtrace; it is sent to a peer only where the daemon's configuration says so.
    #[must_use]
    pub(crate) fn with_backtrace(self, backtrace: String) -> Self {
        self.change(|detail| detail.backtrace = Some(backtrace))
    }

    /// Replaces the kind, where more is known than at the place where the fault was made.
    #[must_use]
    pub(crate) fn with_kind(self, kind: FaultKind) -> Self {
        self.change(|detail| detail.kind = kind)
    }

    /// Adds the name of a process that this fault passed through, nearest to its origin first.
    #[must_use]
    pub(crate) fn with_hop(self, hop: impl Into<String>) -> Self {
        let hop = hop.into();
        self.change(|detail| detail.hops.push(hop))
    }

    fn change(self, change: impl FnOnce(&mut Detail)) -> Self {
        let mut detail = Arc::unwrap_or_clone(self.0);
        change(&mut detail);
        Fault(Arc::new(detail))
    }

    /// What went wrong.
    pub fn kind(&self) -> FaultKind {
        self.0.kind
    }

    /// Whether the method ran.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// Whether the method may have run: `false` means that calling again is safe.
    pub fn may_have_run(&self) -> bool {
        self.0.outcome != Outcome::NotStarted
    }

    /// The message alone, as [`Display`](fmt::Display) prints it.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The names of the processes that this fault came through, its origin first; empty if it arose here.
    pub fn hops(&self) -> &[String] {
        &self.0.hops
    }

    /// What a handler said when it panicked, if the configuration of its process lets it say so.
    pub fn backtrace(&self) -> Option<&str> {
        self.0.backtrace.as_deref()
    }

    pub(crate) fn from_message(message: FaultMessage) -> Self {
        Fault(Arc::new(Detail {
            kind: message.kind,
            outcome: message.outcome,
            message: message.message,
            cause: Cause::chain(message.causes),
            hops: message.hops,
            backtrace: message.backtrace,
            blames_caller: false,
        }))
    }

    pub(crate) fn to_message(&self, backtraces: bool) -> FaultMessage {
        let mut causes = Vec::new();
        let mut next = self.0.cause.as_ref();
        while let Some(cause) = next {
            causes.push(cause.text.clone());
            next = cause.next.as_deref();
        }
        FaultMessage {
            kind: self.0.kind,
            outcome: self.0.outcome,
            message: self.0.message.clone(),
            causes,
            hops: self.0.hops.clone(),
            backtrace: self.0.backtrace.clone().filter(|_| backtraces),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Fault");
        debug
            .field("kind", &self.0.kind)
            .field("outcome", &self.0.outcome)
            .field("message", &self.0.message);
        if let Some(cause) = &self.0.cause {
            debug.field("cause", cause);
        }
        if !self.0.hops.is_empty() {
            debug.field("hops", &self.0.hops);
        }
        debug.finish_non_exhaustive()
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0
            .cause
            .as_ref()
            .map(|cause| cause as &(dyn Error + 'static))
    }
}

impl From<crate::uri::UriError> for Fault {
    fn from(error: crate::uri::UriError) -> Self {
        Fault::not_started(FaultKind::InvalidUri, error.to_string())
    }
}

impl From<std::convert::Infallible> for Fault {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// The failure of a call whose method returns `Result<T, E>`.
#[derive(Clone, Debug)]
pub enum CallError<E> {
    /// The method ran and returned this error.
    App(E),
    /// Anything else; see [`Fault`].
    Fault(Fault),
}

impl<E> CallError<E> {
    /// Whether the method may have run: `false` means that calling again is safe.
    pub fn may_have_run(&self) -> bool {
        self.outcome() != Outcome::NotStarted
    }

    /// Whether the method ran. An [`App`](CallError::App) error says that it did.
    pub fn outcome(&self) -> Outcome {
        match self {
            CallError::App(_) => Outcome::Ran,
            CallError::Fault(fault) => fault.outcome(),
        }
    }

    /// The method's own error, if it is one.
    pub fn app(&self) -> Option<&E> {
        match self {
            CallError::App(error) => Some(error),
            CallError::Fault(_) => None,
        }
    }

    /// The fault, if it is one.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            CallError::App(_) => None,
            CallError::Fault(fault) => Some(fault),
        }
    }
}

impl<E> From<Fault> for CallError<E> {
    fn from(fault: Fault) -> Self {
        CallError::Fault(fault)
    }
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::App(error) => error.fmt(f),
            CallError::Fault(fault) => fault.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> Error for CallError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            CallError::App(_) => None,
            CallError::Fault(fault) => fault.source(),
        }
    }
}

/// How a method's raw return value becomes the result of its call: `T` fails with [`Fault`], `Result<T, E>` with
/// [`CallError<E>`].
pub trait Failure<T>: From<Fault> {
    /// What the method itself returns.
    type Raw;

    /// Joins the method's own result with the faults of the call.
    fn from_raw(raw: Result<Self::Raw>) -> std::result::Result<T, Self>;

    /// The fault, unless it is the method's own error.
    fn as_fault(&self) -> Option<&Fault>;
}

impl<T> Failure<T> for Fault {
    type Raw = T;

    fn from_raw(raw: Result<T>) -> std::result::Result<T, Fault> {
        raw
    }

    fn as_fault(&self) -> Option<&Fault> {
        Some(self)
    }
}

impl<T, E> Failure<T> for CallError<E> {
    type Raw = std::result::Result<T, E>;

    fn from_raw(raw: Result<Self::Raw>) -> std::result::Result<T, Self> {
        match raw {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(CallError::App(error)),
            Err(fault) => Err(CallError::Fault(fault)),
        }
    }

    fn as_fault(&self) -> Option<&Fault> {
        self.fault()
    }
}
