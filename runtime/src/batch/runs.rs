//! Calls of a batch that differ in their arguments alone: encoded one behind the other, and sent as one run.

use std::ops::Range;
use std::sync::Arc;

use crate::codec::Codec;
use crate::error::Fault;
use crate::far::{Extras, Found, MethodKey};
use crate::remote::{Bound, FarReference, Remote, is_gone};
use crate::session::ReadyRun;

/// What calls have in common that may be of one run, as far as that is seen without looking closely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunKey {
    /// Where the reference is in memory that is called.
    pub(crate) reference: usize,
    /// Where the interface's description is.
    pub(crate) interface: usize,
    /// The method's place in it.
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
    first: usize,
    lengths: Vec<u32>,
    body: Vec<u8>,
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
        extras: Extras,
        first: usize,
    ) -> Self {
        Run {
            reference: Arc::clone(reference),
            key,
            codec,
            extras,
            first,
            lengths: Vec::new(),
            body: Vec::new(),
            bound: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// What the arguments of the next call are appended to.
    pub(crate) fn body(&mut self) -> &mut Vec<u8> {
        &mut self.body
    }

    /// Takes what was appended as the arguments of a call.
    pub(crate) fn add(&mut self, length: usize) {
        self.lengths.push(length as u32);
    }

    /// Finds where the calls are sent; nowhere if that takes its time now.
    pub(super) fn find(&mut self) -> Option<Found> {
        let bound = self.reference.ready().ok()??;
        let found = Found::at(Remote::Far(Arc::clone(&self.reference)), bound);
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
            Remote::Far(Arc::clone(&self.reference)).leave(bound);
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
