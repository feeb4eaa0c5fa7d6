//! A call as one of a batch: it is begun, and its answer decoded, for whoever sends all of them.

use std::any::TypeId;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use farref_proto::Seldom;
use tokio::time::Instant;

use super::early::Alike;
use super::starting::DetachedCall;
use super::{Call, DecodeFn, State, decoded, polled_again};
use crate::Outcome;
use crate::batch::results::{Place, Tables};
use crate::batch::runs::{Run, RunKey};
use crate::codec::Codec;
use crate::context::{CallName, earlier};
use crate::descriptor::MethodKind;
use crate::dispatch::RawReply;
use crate::error::{Failure, Fault, Result};
use crate::far::{Encoded, FarCall, OnewayMode, ReadyCall};
use crate::proxy::{Proxy, TargetKind};
use crate::remote::{Bound, Remote};
use crate::session::Results;
use crate::transferred::Transferred;
use crate::{FaultKind, versions};

/// How a call of a batch ended: the error of a failed one is a fault, or the method's own.
pub(crate) type Ended = std::result::Result<(), Option<Fault>>;

/// Finds out how the types of both sides differ.
pub(crate) type Comparing = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// A call of a batch, whatever its method.
pub(crate) trait Member: Send {
    /// The call's name, for faults of others.
    fn name(&self) -> CallName;

    /// Begins the call, and encodes its arguments if it is not to be made near.
    fn begin(&mut self, oneway: bool, deadline: Option<Instant>) -> Result<()>;

    /// What calls have in common with this one that may be of one run with it. Nothing if it is to be sent by itself.
    fn run_key(&self) -> Option<RunKey>;

    /// A run that could begin with this call, which is the one of this number in its batch, unless it turns out that it is
    /// to be sent by itself.
    fn start_run(&self, number: usize) -> Option<Run>;

    /// The same, if nothing but their arguments' bytes need be kept of its calls: where they go, such a call was not refused
    /// for its types.
    fn start_early_run(&self, number: usize) -> Option<Run>;

    /// Encodes the arguments into a run, if they can be and go with it.
    fn encode_into(&self, run: &mut Run) -> bool;

    /// Adds the call to a run that it goes with. Returns whether it did: if not, it has begun, to be sent by itself.
    fn join_run(&mut self, run: &mut Run) -> Result<bool>;

    /// The call by frames, once it has begun and unless it is made near.
    fn far(&mut self) -> Option<&mut FarCall>;

    /// The call as it is sent, once it has been brought to where it can be.
    fn group_call(&self) -> Option<ReadyCall<'_>>;

    /// Makes the near call.
    fn poll_near(&mut self, cx: &mut Context<'_>, tables: &Tables) -> Poll<Ended>;

    /// Takes the answer of the call, which is over then.
    fn settle(&mut self, reply: Result<RawReply>, tables: &Tables) -> Ended;

    /// Takes what this call has returned and those behind it in its run, which are over then. Returns how those ended that
    /// have failed all the same, by how far they are behind this one.
    fn settle_run(&self, results: &Results, tables: &Tables) -> Vec<(usize, Ended)>;

    /// The call was sent and has no answer: it is over.
    fn sent(&mut self);

    /// Asks how the types differ, if the call was refused for that.
    fn compare(&self, fault: &Fault) -> Option<Comparing>;

    /// Begins again with arguments that say their names.
    fn encode_by_name(&mut self) -> Result<()>;

    /// The same call with its arguments encoded, so that it goes on when their borrow has ended.
    fn detach(self: Box<Self>, oneway: bool) -> Box<dyn Member>;
}

/// A call and the place of its result.
pub(crate) struct Placed<'a, P: Proxy, A, T, X: Failure<T>> {
    pub(crate) call: Call<'a, P, A, T, X>,
    pub(crate) place: Place<T, X>,
}

impl<P, A, T, X> Member for Placed<'_, P, A, T, X>
where
    P: Proxy,
    A: Send,
    T: Send + 'static,
    X: Failure<T> + Send + 'static,
{
    fn name(&self) -> CallName {
        CallName(P::DESCRIPTOR.name, self.call.method().name)
    }

    fn begin(&mut self, oneway: bool, deadline: Option<Instant>) -> Result<()> {
        let call = &mut self.call;
        if oneway || deadline.is_some() {
            let options = call.options();
            options.oneway |= oneway;
            options.deadline = earlier(options.deadline, deadline);
        }
        call.begin(None).map(drop)
    }

    fn run_key(&self) -> Option<RunKey> {
        self.call.run_key()
    }

    fn start_run(&self, number: usize) -> Option<Run> {
        let run = plain_run(&self.call, number);
        run.map(|(run, _)| run)
    }

    fn start_early_run(&self, number: usize) -> Option<Run> {
        let (run, bound) = plain_run(&self.call, number)?;
        bound.agrees_on(run.key).then(|| {
            run.early(Box::new(Alike {
                interface: P::DESCRIPTOR.name,
                method: self.call.method(),
                decode: self.call.decode,
                first: self.place.behind(0),
            }))
        })
    }

    fn encode_into(&self, run: &mut Run) -> bool {
        let arguments = self.call.arguments.as_ref();
        arguments.is_some_and(|arguments| self.call.encode_into(arguments, run))
    }

    fn join_run(&mut self, run: &mut Run) -> Result<bool> {
        let arguments = self.call.arguments.as_ref().ok_or_else(polled_again)?;
        let (attachments, transferred) = append(&self.call, arguments, run)?;
        if attachments.is_empty() && transferred.is_empty() && run.take() {
            return Ok(true);
        }
        let call = &mut self.call;
        let encoded = Encoded {
            key: run.key,
            codec: run.codec,
            body: run.split_off(),
            attachments,
            transferred,
        };
        let TargetKind::Remote(remote) = &call.proxy.target().kind else {
            return Err(polled_again());
        };
        let plan = call.plan(remote, OnewayMode::Answered, run.extras.deadline);
        call.state = State::Far(plan.far_call(encoded, None));
        Ok(false)
    }

    fn far(&mut self) -> Option<&mut FarCall> {
        match &mut self.call.state {
            State::Far(far) => Some(far),
            _ => None,
        }
    }

    fn group_call(&self) -> Option<ReadyCall<'_>> {
        match &self.call.state {
            State::Far(far) => far.group_call(),
            _ => None,
        }
    }

    fn poll_near(&mut self, cx: &mut Context<'_>, tables: &Tables) -> Poll<Ended> {
        let result = std::task::ready!(self.call.poll_raw(cx));
        Poll::Ready(put(&self.place, tables, result))
    }

    fn settle(&mut self, reply: Result<RawReply>, tables: &Tables) -> Ended {
        self.sent();
        put(&self.place, tables, decoded(reply, self.call.decode))
    }

    fn settle_run(&self, results: &Results, tables: &Tables) -> Vec<(usize, Ended)> {
        // Calls to one method of one interface return one type, so their places follow each other, too.
        put_run(self.call.decode, &self.place, results, tables)
    }

    fn sent(&mut self) {
        self.call.state = State::Done;
        self.call.arguments = None;
    }

    fn compare(&self, fault: &Fault) -> Option<Comparing> {
        let State::Far(far) = &self.call.state else {
            return None;
        };
        Some(versions::compare(
            far.refused_types(fault)?,
            P::DESCRIPTOR.name,
            self.call.method(),
            far.deadline(),
        ))
    }

    fn encode_by_name(&mut self) -> Result<()> {
        let arguments = self.call.arguments.as_ref().ok_or_else(polled_again)?;
        let encoded = self.call.encoded(arguments, Codec::MessagePack)?;
        match &mut self.call.state {
            State::Far(far) => {
                far.encode_by_name(encoded);
                Ok(())
            }
            _ => Err(polled_again()),
        }
    }

    fn detach(mut self: Box<Self>, oneway: bool) -> Box<dyn Member> {
        if oneway {
            self.call.options().oneway = true;
        }
        let decode = self.call.decode;
        Box::new(Detached {
            call: self.call.detach(),
            decode,
            place: self.place,
        })
    }
}

impl<P: Proxy, A, T, X: Failure<T>> Call<'_, P, A, T, X> {
    /// See [`Member::run_key`].
    #[inline]
    pub(crate) fn run_key(&self) -> Option<RunKey> {
        let target = self.proxy.target();
        match (&self.state, &self.options, &target.options, &target.kind) {
            (State::Idle, None, None, TargetKind::Remote(Remote::Far(reference))) => Some(RunKey {
                reference: Arc::as_ptr(reference).addr(),
                proxy: TypeId::of::<P>(),
                method: self.index,
            }),
            _ => None,
        }
    }

    /// See [`Member::encode_into`]. A call that gave its arguments is over.
    #[inline]
    pub(crate) fn give_arguments(&mut self, run: &mut Run) -> bool {
        let Some(arguments) = self.arguments.take() else {
            return false;
        };
        let is_taken = self.encode_into(&arguments, run);
        if !is_taken {
            self.arguments = Some(arguments);
        }
        is_taken
    }

    #[inline]
    fn encode_into(&self, arguments: &A, run: &mut Run) -> bool {
        let beside = append(self, arguments, run);
        beside.is_ok_and(|(attachments, transferred)| {
            attachments.is_empty() && transferred.is_empty() && run.take()
        })
    }
}

/// A run that could begin with the call, and where it goes.
fn plain_run<P: Proxy, A, T, X: Failure<T>>(
    call: &Call<'_, P, A, T, X>,
    number: usize,
) -> Option<(Run, Arc<Bound>)> {
    let TargetKind::Remote(remote) = &call.proxy.target().kind else {
        return None;
    };
    let Remote::Far(reference) = remote else {
        return None;
    };
    let method = call.method();
    let is_answered = matches!(
        method.kind,
        MethodKind::Call | MethodKind::AttributeRead | MethodKind::AttributeWrite
    );
    // A call that is counted or traced is seen by itself, and one that may be made again is kept by itself.
    let is_plain = is_answered
        && !method.flags.idempotent
        && !cfg!(any(feature = "metrics", feature = "tracing"))
        && reference.promise().is_none()
        && !remote.is_intercepted();
    if !is_plain {
        return None;
    }
    let bound = reference.ready().ok()??;
    let codec = remote.codec();
    let run = Run::new(reference, call.key(codec), codec, number);
    bound.session.takes_runs().then_some((run, bound))
}

/// Encodes the arguments behind those of a run. Returns what is beside them.
#[inline]
fn append<P: Proxy, A, T, X: Failure<T>>(
    call: &Call<'_, P, A, T, X>,
    arguments: &A,
    run: &mut Run,
) -> Result<(Seldom<Bytes>, Seldom<Transferred>)> {
    let count = call.method().argument_count();
    let encode = call.encode;
    Encoded::append(run.codec, count, run.body(), |out| encode(arguments, out))
}

/// A call whose arguments are encoded, and the place of its result.
pub(super) struct Detached<T, X> {
    pub(super) call: DetachedCall,
    pub(super) decode: DecodeFn<T, X>,
    pub(super) place: Place<T, X>,
}

impl<T, X> Detached<T, X>
where
    X: Failure<T>,
{
    fn far(&self) -> Option<&FarCall> {
        self.call.far.as_ref().ok()
    }
}

impl<T, X> Member for Detached<T, X>
where
    T: Send + 'static,
    X: Failure<T> + Send + 'static,
{
    fn name(&self) -> CallName {
        CallName(self.call.interface, self.call.method.name)
    }

    fn begin(&mut self, _: bool, deadline: Option<Instant>) -> Result<()> {
        match &mut self.call.far {
            Ok(far) => {
                far.not_after(deadline);
                Ok(())
            }
            Err(fault) => Err(fault.clone()),
        }
    }

    fn run_key(&self) -> Option<RunKey> {
        None
    }

    fn start_run(&self, _: usize) -> Option<Run> {
        None
    }

    fn start_early_run(&self, _: usize) -> Option<Run> {
        None
    }

    fn encode_into(&self, _: &mut Run) -> bool {
        false
    }

    fn join_run(&mut self, _: &mut Run) -> Result<bool> {
        Err(polled_again())
    }

    fn far(&mut self) -> Option<&mut FarCall> {
        self.call.far.as_mut().ok()
    }

    fn group_call(&self) -> Option<ReadyCall<'_>> {
        Detached::far(self)?.group_call()
    }

    fn poll_near(&mut self, _: &mut Context<'_>, tables: &Tables) -> Poll<Ended> {
        Poll::Ready(self.settle(Err(polled_again()), tables))
    }

    fn settle(&mut self, reply: Result<RawReply>, tables: &Tables) -> Ended {
        self.sent();
        put(&self.place, tables, decoded(reply, self.decode))
    }

    fn settle_run(&self, results: &Results, tables: &Tables) -> Vec<(usize, Ended)> {
        put_run(self.decode, &self.place, results, tables)
    }

    fn sent(&mut self) {
        self.call.far = Err(polled_again());
    }

    fn compare(&self, fault: &Fault) -> Option<Comparing> {
        self.call.compare(fault)
    }

    fn encode_by_name(&mut self) -> Result<()> {
        self.call.encode_by_name()
    }

    fn detach(self: Box<Self>, _: bool) -> Box<dyn Member> {
        self
    }
}

/// How a call ended whose result is this.
fn ended<T, X: Failure<T>>(result: &std::result::Result<T, X>) -> Ended {
    match result {
        Ok(_) => Ok(()),
        Err(failure) => Err(failure.as_fault().cloned()),
    }
}

/// Puts a result into its place, and says how the call ended.
pub(super) fn put<T, X>(
    place: &Place<T, X>,
    tables: &Tables,
    result: std::result::Result<T, X>,
) -> Ended
where
    T: Send + 'static,
    X: Failure<T> + Send + 'static,
{
    let ended = ended(&result);
    place.put(tables, result);
    ended
}

/// Decodes results and puts them into their places, of which this is the first. See [`Member::settle_run`].
pub(super) fn put_run<T, X>(
    decode: DecodeFn<T, X>,
    place: &Place<T, X>,
    results: &Results,
    tables: &Tables,
) -> Vec<(usize, Ended)>
where
    T: Send + 'static,
    X: Failure<T> + Send + 'static,
{
    let mut failed = Vec::new();
    let mut reply = results.reply();
    let mut start = 0;
    let decoded = results.lengths.iter().enumerate().map(|(behind, length)| {
        let end = start + *length as usize;
        reply.turn_to(start..end);
        start = end;
        let result = decode(&mut reply);
        if result.is_err() {
            failed.push((behind, ended(&result)));
        }
        result
    });
    place.put_all(tables, decoded);
    failed
}

/// The fault of a call that was not started since one before it failed.
pub(crate) fn skipped(call: CallName, failed: CallName) -> Fault {
    Fault::new(
        FaultKind::Skipped,
        Outcome::NotStarted,
        format!("`{call}` was not started: `{failed}` before it in its batch failed"),
    )
}
