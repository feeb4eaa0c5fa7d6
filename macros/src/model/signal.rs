//! Reading a method that returns a signal.

use syn::ext::IdentExt;
use syn::{Attribute, FnArg, Ident, ReceiverKind, TraitItemFn};

use super::{Argument, Item, Method};
use crate::args::MethodArgs;
use crate::ctxt::Ctxt;
use crate::text;
use crate::types::{self, Output, Passing, Payload};

/// Reads a signal, reporting what it cannot be. `errors` is how many there were before the method.
pub(super) fn read(
    ctxt: &Ctxt,
    errors: usize,
    source: TraitItemFn,
    args: MethodArgs,
    deprecated: Option<Attribute>,
) -> Item {
    check_signature(ctxt, &source);
    check_attributes(ctxt, &args);
    let types = types::signal(&source.sig.ident, &source.sig.output);
    let types = types.map_err(|error| ctxt.syn_error(error));
    let (Ok((tells, answers)), true) = (types, ctxt.count() == errors) else {
        return Item::Broken(source);
    };
    let response = |answers| Argument {
        ident: Ident::new("response", source.sig.ident.span()),
        name: "response".to_owned(),
        type_name: text::of(&answers),
        passing: Passing::Value(answers),
    };
    Item::Method(Method {
        name: args
            .name
            .as_ref()
            .map_or_else(|| source.sig.ident.unraw().to_string(), syn::LitStr::value),
        args,
        exclusive: false,
        arguments: answers.map(response).into_iter().collect(),
        output: Output::Plain(Payload::Value(tells)),
        source,
        deprecated,
    })
}

fn check_signature(ctxt: &Ctxt, source: &TraitItemFn) {
    let signature = &source.sig;
    let name = &signature.ident;
    if let Some(asyncness) = &signature.asyncness {
        ctxt.error(
            asyncness,
            "a signal is there before anything happens: write a plain `fn`",
        );
    }
    if let Some(receiver) = signature.receiver()
        && matches!(receiver.kind, ReceiverKind::Reference(_, _, Some(_)))
    {
        let help =
            format!("connecting to a signal leaves the object as it is: write `fn {name}(&self)`");
        ctxt.error(receiver, help);
    }
    let mut arguments = signature
        .inputs
        .iter()
        .filter_map(|argument| match argument {
            FnArg::Receiver(_) => None,
            FnArg::Typed(argument) => Some(argument),
        });
    if let Some(argument) = arguments.next() {
        ctxt.error(
            argument,
            "a signal takes no arguments, one serves all who connect: remove this, and say it in what the signal tells",
        );
    }
}

fn check_attributes(ctxt: &Ctxt, args: &MethodArgs) {
    let others = [
        &args.oneway,
        &args.callback,
        &args.attribute,
        &args.idempotent,
        &args.no_cancel,
        &args.blocking,
        &args.spawn,
    ];
    for other in others.into_iter().flatten() {
        let help = format!(
            "a signal is connected to, not called: remove `{}`, or `#[signal]`",
            text::of(other)
        );
        ctxt.error(other, help);
    }
}
