//! Calls that are encoded as they are added to a batch: those behind another one to the same method of an object that has
//! taken such calls before. Nothing else is kept of them, so that most calls of a large batch cost no more than their bytes.

use super::runs::{Run, RunKey};
use crate::call::Call;
use crate::call::member::Member;
use crate::error::Failure;
use crate::proxy::Proxy;

/// The runs of such calls.
#[derive(Default)]
pub(super) struct Early {
    runs: Vec<Run>,
    /// What the call that was added last could share with others.
    last: Option<RunKey>,
    /// Calls of this kind are not encoded early: one of them could not be.
    unfit: Option<RunKey>,
    /// Whether the call that was added last is one of these.
    is_open: bool,
}

impl Early {
    /// Takes a call that is added behind one of these, and is alike.
    #[inline]
    pub(super) fn takes_another<P, A, T, X>(&mut self, call: &mut Call<'_, P, A, T, X>) -> bool
    where
        P: Proxy,
        X: Failure<T>,
    {
        if !self.is_open || call.run_key() != self.last {
            return false;
        }
        let run = self.runs.last_mut();
        let is_taken = run.is_some_and(|run| call.give_arguments(run));
        if !is_taken {
            self.is_open = false;
            self.unfit = self.last;
        }
        is_taken
    }

    /// Takes a call that is added behind these, if it is one of those. With the first the one before it is taken, too.
    pub(super) fn takes(
        &mut self,
        call: &dyn Member,
        before: &mut [Option<Box<dyn Member + '_>>],
    ) -> bool {
        let key = call.run_key();
        let last = std::mem::replace(&mut self.last, key);
        let continues = key.is_some() && key == last && key != self.unfit;
        self.is_open = continues && self.run(before).is_some_and(|run| call.encode_into(run));
        if continues && !self.is_open {
            self.unfit = key;
        }
        self.is_open
    }

    /// The run behind the calls so far, or a new one that begins with the last of them.
    fn run(&mut self, before: &mut [Option<Box<dyn Member + '_>>]) -> Option<&mut Run> {
        let number = before.len().checked_sub(1)?;
        let last = &mut before[number];
        if let Some(member) = last {
            let mut run = member.start_early_run(number)?;
            if !member.encode_into(&mut run) {
                return None;
            }
            *last = None;
            self.runs.push(run);
        }
        self.runs.last_mut()
    }

    /// The run of this call, which was taken.
    pub(super) fn run_of(&self, call: usize) -> Option<&Run> {
        run_of(&self.runs, call).map(|run| &self.runs[run])
    }

    pub(super) fn into_runs(self) -> Vec<Run> {
        self.runs
    }

    /// Takes note of who makes the calls.
    pub(super) fn begin(&mut self) {
        self.runs.iter_mut().for_each(|run| run.begin(None));
    }
}

/// Which of these runs, in their order, has this call.
pub(super) fn run_of(runs: &[Run], call: usize) -> Option<usize> {
    let behind = runs.partition_point(|run| run.first <= call);
    behind.checked_sub(1).filter(|run| call < runs[*run].end())
}
