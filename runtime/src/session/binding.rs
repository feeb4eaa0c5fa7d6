//! Answering a peer that asks for an object by its name.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use farref_proto::{
    CallId, Connection, ExportId, Extensions, IncomingBind, OutgoingReply, ReplyStatus, TableEntry,
};

use super::inbox::{Garbage, Work};
use super::{Phase, Session, State};
use crate::error::{Fault, Result};
use crate::factory::{Factory, Instance};
use crate::node::Published;
use crate::object::Export;
use crate::remote::{no_such_object, other_interface};
use crate::{FaultKind, task};

impl Session {
    /// Answers a bind. Done under the lock, since calls to the name may follow in the same read; only what a factory has
    /// yet to make is left as work.
    pub(super) fn serve_bind(
        self: &Arc<Self>,
        state: &mut State,
        bind: IncomingBind,
        garbage: &mut Garbage,
        work: &mut Vec<Work>,
    ) {
        let fault = match self.node.find(&bind.name) {
            Some(Published::Object(export)) => {
                if bind.interface == 0 || export.serves(bind.interface) {
                    state.exports.name(bind.alias, Arc::clone(&export));
                    found(state, &bind, &export);
                    // Its table holds it, so it is not dropped under the lock.
                    return;
                }
                // It may be the last hold on the object, whose drop is the application's code.
                garbage.exports.push(export);
                other_interface(&bind.name)
            }
            Some(Published::Factory(factory)) => {
                if bind.interface == 0 || factory.interface.extends(bind.interface) {
                    let (instance, export) = state.exports.instance(&factory, self);
                    state.exports.name(bind.alias, export);
                    work.push(Work::Make(instance, bind));
                    return;
                }
                other_interface(&bind.name)
            }
            None => no_such_object(&bind.name),
        };
        self.refused(state, &bind, fault.clone());
        state.connection.blame();
        let is_there = fault.kind() == FaultKind::Incompatible;
        state.exports.name_refused(bind.alias, bind.name, is_there);
    }

    /// What stands for the object that this factory makes for the session; it is made when it is first called.
    pub(crate) fn instance_of(self: &Arc<Self>, factory: &Arc<Factory>) -> Arc<Export> {
        self.lock().exports.instance(factory, self).1
    }

    fn refused(&self, state: &mut State, bind: &IncomingBind, fault: Fault) {
        self.refuse(state, bind.call, fault);
    }

    /// Answers a call of the protocol's own with a fault.
    pub(super) fn refuse(&self, state: &mut State, call: CallId, fault: Fault) {
        let message = fault
            .with_hop(&self.node.name)
            .to_message(self.node.backtraces);
        let _ = state.connection.reply_fault(call, &message);
    }

    /// Makes an object and answers the bind that asked for it.
    ///
    /// A factory that does not wait has done its work when this returns, before the calls of the same read are served.
    pub(super) fn make(self: &Arc<Self>, instance: Arc<Instance>, bind: IncomingBind) {
        let session = Arc::clone(self);
        let mut making: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            let made = instance.make().await;
            session.made(&instance, &bind, &made);
        });
        let first = tokio::task::unconstrained(making.as_mut());
        if pin!(first)
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
        {
            return;
        }
        let mut phase = self.phase.subscribe();
        task::spawn(async move {
            // The peer may give the bind up, but its calls have been sent along and may not be.
            let mut closed = pin!(phase.wait_for(|phase| matches!(phase, Phase::Closed(_))));
            poll_fn(|cx| match making.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => closed.as_mut().poll(cx).map(drop),
            })
            .await;
        });
    }

    fn made(&self, instance: &Arc<Instance>, bind: &IncomingBind, made: &Result<Arc<Export>>) {
        let mut garbage = Garbage::default();
        let mut state = self.lock();
        if state.closed.is_some() {
            return;
        }
        match made {
            Ok(export) => found(&mut state, bind, export),
            Err(fault) => {
                state.exports.forget(instance, &mut garbage);
                self.refused(&mut state, bind, fault.clone());
            }
        }
        Self::unlock_and_write(state);
        drop(garbage);
    }
}

/// Tells the peer which object has the name.
fn found(state: &mut State, bind: &IncomingBind, export: &Export) {
    answer_found(state, bind.call, bind.alias, export);
}

/// Tells the peer which object its alias stands for.
pub(super) fn answer_found(state: &mut State, call: CallId, alias: ExportId, export: &Export) {
    let identity = export.identity;
    let entry = Connection::alias_entry(alias, identity.object, export.interface, identity.owner);
    answer(state, call, &[entry]);
}

/// Answers a call that has no result.
pub(super) fn answer_empty(state: &mut State, call: CallId) {
    answer(state, call, &[]);
}

fn answer(state: &mut State, call: CallId, table: &[TableEntry]) {
    let reply = OutgoingReply {
        status: ReplyStatus::Ok,
        codec: 0,
        extensions: Extensions::NONE,
        table,
        body: &[],
        attachments: &[],
    };
    let _ = state.connection.reply(call, &reply);
}
