//! Calls of a batch that were encoded when they were added to it: nothing is kept of them but the bytes of their arguments,
//! and what all calls of their run have in common.

use super::member::{Detached, Ended, Member, put, put_run};
use super::starting::DetachedCall;
use super::{DecodeFn, deadline_of, decoded};
use crate::batch::results::{Place, Tables};
use crate::context::{CallName, earlier};
use crate::descriptor::Method;
use crate::dispatch::RawReply;
use crate::error::{Failure, Result};
use crate::far::{Encoded, Extras, OnewayMode, Plan};
use crate::remote::Remote;
use crate::session::Results;

/// What the calls of a run have in common, each of which is told by its place in the run.
pub(crate) trait EarlyCalls: Send {
    /// The name of each.
    fn name(&self) -> CallName;

    /// Takes the answer of a call, which is over then.
    fn settle(&self, call: usize, reply: Result<RawReply>, tables: &Tables) -> Ended;

    /// Takes what a call has returned and those behind it; see [`Member::settle_run`].
    fn settle_run(&self, call: usize, results: &Results, tables: &Tables) -> Vec<(usize, Ended)>;

    /// One of the calls, to be made by itself.
    fn alone(
        &self,
        call: usize,
        remote: &Remote,
        encoded: Encoded,
        extras: &Extras,
        oneway: bool,
    ) -> Box<dyn Member>;
}

/// Calls to one method, whose results have places that follow each other.
pub(super) struct Alike<T, X> {
    pub(super) interface: &'static str,
    pub(super) method: &'static Method,
    pub(super) decode: DecodeFn<T, X>,
    pub(super) first: Place<T, X>,
}

impl<T, X> EarlyCalls for Alike<T, X>
where
    T: Send + 'static,
    X: Failure<T> + Send + 'static,
{
    fn name(&self) -> CallName {
        CallName(self.interface, self.method.name)
    }

    fn settle(&self, call: usize, reply: Result<RawReply>, tables: &Tables) -> Ended {
        put(
            &self.first.behind(call),
            tables,
            decoded(reply, self.decode),
        )
    }

    fn settle_run(&self, call: usize, results: &Results, tables: &Tables) -> Vec<(usize, Ended)> {
        put_run(self.decode, &self.first.behind(call), results, tables)
    }

    fn alone(
        &self,
        call: usize,
        remote: &Remote,
        encoded: Encoded,
        extras: &Extras,
        oneway: bool,
    ) -> Box<dyn Member> {
        let oneway = match oneway {
            true => OnewayMode::Plain,
            false => OnewayMode::Answered,
        };
        let plan = Plan {
            remote,
            interface: self.interface,
            method: self.method,
            proxy_options: None,
            oneway,
            deadline: earlier(extras.deadline, deadline_of(None, None, oneway)),
        };
        let mut far = plan.far_call(encoded, None);
        far.keep_arguments(true);
        far.belongs_to(extras.scope.clone());
        Box::new(Detached {
            call: DetachedCall::encoded(self.interface, self.method, *far),
            decode: self.decode,
            place: self.first.behind(call),
        })
    }
}
