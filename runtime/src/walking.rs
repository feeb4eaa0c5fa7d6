//! Following a path from one object to the next where the objects are: each step calls a method of what the one before
//! returned, and only the result of the last one travels.
//!
//! Any object serves a walk that begins at it, by a reserved method. A step that leads to an object of another process hands
//! the rest of the way to that process.

use std::future::poll_fn;
use std::sync::Arc;

use farref_proto::Seldom;
use serde::{Deserialize, Serialize};

use crate::codec::{self, Codec};
use crate::context::{CallName, Scope};
use crate::descriptor::{Method, MethodFlags, MethodKind};
use crate::dispatch::{self, HandlerFuture, Incoming, RawReply};
use crate::error::{Fault, FaultKind, Result};
use crate::far::{Encoded, FarCall, Label, MethodKey, OnewayMode};
use crate::object::{Export, ExportKind};
use crate::references::Reference;
use crate::remote::Remote;
use crate::session::Session;
use crate::{Outcome, task};

/// The reserved method by which any object begins a walk: FNV-1a of `farref.walk`.
pub(crate) const WALK: u32 = farref_proto::fnv1a32(b"farref.walk");

/// How a walk is handed on.
const KEY: MethodKey = MethodKey {
    index: u16::MAX,
    hash: WALK,
    shape: 0,
};

/// What a walk is called in messages.
pub(crate) const NAME: CallName = CallName("farref", "walk");

/// How a walk is served: by a task of its own, since its steps may take any time.
pub(crate) const FLAGS: MethodFlags = MethodFlags {
    callback: false,
    idempotent: false,
    no_cancel: false,
    blocking: false,
    spawn: true,
};

/// How many steps a path has at most.
pub(crate) const MAX_STEPS: usize = 32;

/// A method of an object that names others: a step that is no method of such an object is the name of a member.
const MEMBER: &str = "member";

/// One step of a path.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Step {
    /// The wire name of a method, or the name of a member.
    pub(crate) name: String,
    /// The arguments as JSON: an array, in order.
    pub(crate) arguments: String,
}

/// The call of a walk that begins at an object of another process.
pub(crate) fn encoded(steps: &[Step]) -> Result<Encoded> {
    Encoded::new(KEY, Codec::Json, 1, |out| out.value("steps", steps))
}

/// Serves a walk of a peer that begins at an object of this process.
pub(crate) fn serve(session: Arc<Session>, export: Arc<Export>, call: Incoming) -> HandlerFuture {
    Box::pin(async move {
        let mut arguments = call.arguments(1)?;
        let steps: Vec<Step> = arguments.value("steps")?;
        arguments.finish()?;
        if call.codec != Codec::Json {
            return Err(Fault::not_started(
                FaultKind::UnsupportedCodec,
                "a path is followed in JSON",
            ));
        }
        walk(Some((&session, &call.scope)), export, &steps)
            .await
            .map(RawReply::into_reply)
    })
}

/// Follows a path that begins at an object of this process. `caller` is the call of a peer that it is for.
pub(crate) async fn walk(
    caller: Option<(&Arc<Session>, &Arc<Scope>)>,
    export: Arc<Export>,
    steps: &[Step],
) -> Result<RawReply> {
    if steps.is_empty() || steps.len() > MAX_STEPS {
        return Err(Fault::not_started(
            FaultKind::BadArguments,
            format!("a path has between 1 and {MAX_STEPS} steps"),
        ));
    }
    let mut remote = Remote::Local(export);
    let mut steps = steps;
    let mut began = false;
    while let [step, rest @ ..] = steps {
        // What has run before a step is not undone when it fails.
        let outcome = |fault: Fault| match began && fault.outcome() == Outcome::NotStarted {
            true => fault.with_outcome(Outcome::Ran),
            false => fault,
        };
        let reply = match called(&remote).map_err(outcome)? {
            Remote::Local(export) => start(caller, &export, step).await,
            elsewhere => return onwards(elsewhere, steps).await.map_err(outcome),
        };
        let reply = reply.map_err(outcome)?;
        began = true;
        if rest.is_empty() || reply.is_error {
            return Ok(reply);
        }
        remote = next(step, reply)?;
        steps = rest;
    }
    // There was a step, and the last one has returned.
    Err(Fault::new(
        FaultKind::Internal,
        Outcome::Ran,
        "the path has no end",
    ))
}

/// What is behind a reference: itself, what is lent, or an object elsewhere.
fn called(remote: &Remote) -> Result<Remote> {
    match remote {
        Remote::Local(export) => {
            let export = Arc::clone(export).called()?;
            match &export.kind {
                ExportKind::Forward(remote) => Ok(remote.clone()),
                ExportKind::Object(_) | ExportKind::Lent(_) => Ok(Remote::Local(export)),
            }
        }
        Remote::Far(_) | Remote::Dead(_) => Ok(remote.clone()),
    }
}

/// Leaves the rest of the way to the process where the object is.
async fn onwards(remote: Remote, steps: &[Step]) -> Result<RawReply> {
    let label = Label::Static {
        interface: NAME.0,
        method: NAME.1,
    };
    let call = FarCall::new(
        remote,
        label,
        encoded(steps)?,
        OnewayMode::Answered,
        Scope::current_deadline(),
        Some(0),
        None,
    );
    call.finish().await.0
}

/// Takes one step from an object of this process.
async fn start(
    caller: Option<(&Arc<Session>, &Arc<Scope>)>,
    export: &Arc<Export>,
    step: &Step,
) -> Result<RawReply> {
    let ExportKind::Object(exported) = &export.kind else {
        return Err(Fault::not_started(
            FaultKind::StaleReference,
            "the loan has ended",
        ));
    };
    let (index, method, body) = match exported.find_named(&step.name) {
        Some((index, method)) => {
            callable(method)?;
            (index, method, step.arguments.clone().into_bytes())
        }
        None => match exported.find_named(MEMBER) {
            Some((index, method)) if method.argument_count() == 1 => {
                let mut name = Vec::new();
                codec::encode(Codec::Json, &[&step.name], &mut name).map_err(|error| {
                    Fault::not_started(FaultKind::BadArguments, error.to_string())
                })?;
                (index, method, name)
            }
            _ => {
                return Err(Fault::not_started(
                    FaultKind::NoSuchMethod,
                    format!("`{}` has no `{}`", exported.interface.name, step.name),
                ));
            }
        },
    };
    if let Some((session, scope)) = caller {
        let mut handler = session.step(export, (index, method), body, scope);
        if !method.flags.runs_to_its_end() {
            return poll_fn(|cx| handler.poll(cx)).await.map(RawReply::of);
        }
        let (sender, ended) = tokio::sync::oneshot::channel();
        task::spawn(async move {
            let _ = sender.send(poll_fn(|cx| handler.poll(cx)).await);
        });
        return match ended.await {
            Ok(result) => result.map(RawReply::of),
            Err(_) => Err(Fault::new(
                FaultKind::Cancelled,
                Outcome::Unknown,
                "the runtime that served the call is gone",
            )),
        };
    }
    let encoded = Encoded {
        key: MethodKey {
            index,
            hash: method.hash,
            shape: 0,
        },
        codec: Codec::Json,
        body,
        attachments: Seldom::new(),
        transferred: Seldom::new(),
    };
    let label = Label::Static {
        interface: exported.interface.name,
        method: method.name,
    };
    let call = FarCall::new(
        Remote::Local(Arc::clone(export)),
        label,
        encoded,
        OnewayMode::Answered,
        Scope::current_deadline(),
        Some(0),
        None,
    );
    call.finish().await.0
}

/// A signal is connected to and not called.
fn callable(method: &Method) -> Result<()> {
    match method.kind {
        MethodKind::Signal => Err(Fault::not_started(
            FaultKind::Misuse,
            format!(
                "`{}` is a signal, which is connected to and not called",
                method.name
            ),
        )),
        _ => Ok(()),
    }
}

/// The object that a step has led to.
fn next(step: &Step, mut reply: RawReply) -> Result<Remote> {
    let found = dispatch::decode_value::<Option<Reference>>(&mut reply);
    let nowhere = |text: &str| {
        Fault::new(
            FaultKind::NoSuchObject,
            Outcome::Ran,
            format!("the path ends at `{}`, which {text}", step.name),
        )
    };
    match found {
        Ok(Some(Reference(remote))) => Ok(remote),
        Ok(None) => Err(nowhere("is not there")),
        Err(_) => Err(nowhere("is a value and no object")),
    }
}
