//! Calls of a batch that differ in their arguments alone: encoded one behind the other, and sent as one run.

use std::any::TypeId;
use std::ops::Range;
use std::sync::Arc;

use farref_proto::Seldom;
use tokio::time::Instant;

use crate::call::early::EarlyCalls;
use crate::call::member::Member;
use crate::codec::Codec;
use crate::context::{CallName, Scope, earlier};
use crate::error::Fault;
use crate::far::{Encoded, Extras, Found, MethodKey};
use crate::remote::{Bound, FarReference, Remote, is_gone};
use crate::session::ReadyRun;

/// What calls have in common that may be of one run, as far as that is seen without looking closely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunKey {
    /// Where the reference is in memory that is called.
    pub(crate) reference: usize,
    /// The type of the proxy. Where the interface's description is would not do: there may be several of it.
    pub(crate) proxy: TypeId,
    /// The method's place in its interface.
    pub(crate) method: usize,
}

/// Calls of a batch to one method of one object, one behind the other, which send nothing but their arguments.
pub(crate) struct Run {
    reference: Arc<FarReference>,
    pub(crate) key: MethodKey,
    pub(crate) codec: Codec,
    /// What is said beside the arguments of each.
    pub(crate) extras: Extras,
    /// The first of them among the calls of the batch.
    pub(super) first: usize,
    lengths: Vec<u32>,
    /// The arguments, and behind them what is left of those that could not be encoded.
    body: Vec<u8>,
    /// How long all arguments are together.
    length: usize,
    /// The calls, if they were encoded when they were added to the batch.
    calls: Option<Box<dyn EarlyCalls>>,
    /// Where they are sent, once that was looked for.
    bound: Option<Arc<Bound>>,
}

impl Run {
    /// Arguments that are longer when encoded, in bytes, are sent by themselves: they would gain nothing.
    pub(crate) const LONGEST: usize = 4 << 10;

    /// A run without calls.
    pub(crate) fn new(
        reference: &Arc<FarReference>,
        key: MethodKey,
        codec: Codec,
        first: usize,
    ) -> Self {
        Run {
            reference: Arc::clone(reference),
            key,
            codec,
            extras: Extras::default(),
            first,
            lengths: Vec::new(),
            body: Vec::new(),
            length: 0,
            calls: None,
            bound: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The first call behind them.
    pub(super) fn end(&self) -> usize {
        self.first + self.lengths.len()
    }

    /// Takes calls that are encoded when they are added to the batch.
    pub(crate) fn early(mut self, calls: Box<dyn EarlyCalls>) -> Self {
        self.calls = Some(calls);
        self
    }

    pub(super) fn calls(&self) -> Option<&dyn EarlyCalls> {
        self.calls.as_deref()
    }

    /// The name of each of the calls, if they were encoded early.
    pub(super) fn name(&self) -> Option<CallName> {
        self.calls().map(EarlyCalls::name)
    }

    /// Takes note of who makes the calls, and until when.
    pub(crate) fn begin(&mut self, deadline: Option<Instant>) {
        if self.extras.scope.is_none() {
            self.extras.scope = Scope::current();
        }
        let inherited = earlier(self.extras.deadline, Scope::current_deadline());
        self.extras.deadline = earlier(inherited, deadline);
    }

    /// What the arguments of the next call are appended to.
    pub(crate) fn body(&mut self) -> &mut Vec<u8> {
        self.body.truncate(self.length);
        &mut self.body
    }

    /// Takes what was appended as the arguments of a call, unless it is long.
    pub(crate) fn take(&mut self) -> bool {
        let length = self.body.len() - self.length;
        if length > Self::LONGEST {
            return false;
        }
        self.length += length;
        self.lengths.push(length as u32);
        true
    }

    /// Takes what was appended out again.
    pub(crate) fn split_off(&mut self) -> Vec<u8> {
        self.body.split_off(self.length)
    }

    /// One of its calls, which was encoded early, as one that is made by itself.
    pub(super) fn alone(&self, number: usize, oneway: bool) -> Option<Box<dyn Member>> {
        let call = number - self.first;
        let before = self.lengths[..call].iter();
        let start: usize = before.map(|length| *length as usize).sum();
        let end = start + self.lengths[call] as usize;
        let encoded = Encoded {
            key: self.key,
            codec: self.codec,
            body: self.body[start..end].to_vec(),
            attachments: Seldom::new(),
            transferred: Seldom::new(),
        };
        let remote = self.remote();
        let calls = self.calls()?;
        Some(calls.alone(call, &remote, encoded, &self.extras, oneway))
    }

    fn remote(&self) -> Remote {
        Remote::Far(Arc::clone(&self.reference))
    }

    /// Whether somebody wants to see each of its calls.
    pub(super) fn is_intercepted(&self) -> bool {
        self.remote().is_intercepted()
    }

    /// Takes note that the object takes the types of its calls.
    pub(super) fn has_agreed(&self) {
        if let Some(bound) = &self.bound {
            bound.has_agreed_on(self.key);
        }
    }

    /// Finds where the calls are sent; nowhere if that takes its time now.
    pub(super) fn find(&mut self) -> Option<Found> {
        let bound = self.reference.ready().ok()??;
        let found = Found::at(self.remote(), bound);
        self.bound = None;
        self.join(&found).then_some(found)
    }

    /// Whether the calls can be sent together with the one that was found there.
    pub(super) fn join(&mut self, first: &Found) -> bool {
        if let Some(bound) = &self.bound
            && Arc::ptr_eq(&bound.session, first.session())
            && !bound.session.is_closed()
        {
            return true;
        }
        self.bound = first
            .place_of(&self.reference)
            .filter(|bound| bound.session.takes_runs());
        self.bound.is_some()
    }

    /// Takes note of how one of the calls failed that was sent: what is gone is looked for anew.
    pub(super) fn failed(&mut self, fault: &Fault) {
        if let Some(bound) = &self.bound
            && is_gone(fault)
        {
            self.remote().leave(bound);
            self.bound = None;
        }
    }

    /// Those of the calls, by their places in the batch, as they are sent.
    pub(super) fn ready(&self, calls: Range<usize>) -> Option<ReadyRun<'_>> {
        let lengths = &self.lengths[calls.start - self.first..calls.end - self.first];
        let before = self.lengths[..calls.start - self.first].iter();
        let start: usize = before.map(|length| *length as usize).sum();
        Some(ReadyRun {
            target: self.bound.as_ref()?.target(),
            key: self.key,
            codec: self.codec,
            extras: &self.extras,
            lengths,
            body: &self.body[start..],
        })
    }
}
