//! Reading a method: its attributes and its signature.

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::{FnArg, Pat, PatType, Receiver, ReceiverKind, Signature, TraitItemFn};

use super::{Argument, Item, Method, signal, take_deprecated};
use crate::args::MethodArgs;
use crate::ctxt::Ctxt;
use crate::{text, types};

/// The most arguments that a method can have.
const MOST_ARGUMENTS: usize = 12;

/// Reads a method, reporting what cannot be called from elsewhere.
pub(super) fn read(ctxt: &Ctxt, mut source: TraitItemFn) -> Item {
    let errors = ctxt.count();
    let args = MethodArgs::take(ctxt, &mut source.attrs);
    if args.local.is_some() {
        check_local(ctxt, &args);
        return Item::Local(source);
    }
    let deprecated = take_deprecated(&mut source.attrs);
    check_qualifiers(ctxt, &mut source);
    let exclusive = read_receiver(ctxt, &source.sig);
    if args.signal.is_some() {
        return signal::read(ctxt, errors, source, args, deprecated);
    }
    let arguments = read_arguments(ctxt, &source.sig);
    let output = types::output(&source.sig.output).map_err(|error| ctxt.syn_error(error));
    let (Ok(output), true) = (output, ctxt.count() == errors) else {
        return Item::Broken(source);
    };
    Item::Method(Method {
        name: args
            .name
            .as_ref()
            .map_or_else(|| source.sig.ident.unraw().to_string(), syn::LitStr::value),
        source,
        args,
        exclusive,
        arguments,
        output,
        deprecated,
    })
}

fn check_local(ctxt: &Ctxt, args: &MethodArgs) {
    let others = [
        &args.oneway,
        &args.callback,
        &args.attribute,
        &args.signal,
        &args.idempotent,
        &args.no_cancel,
        &args.blocking,
        &args.spawn,
    ];
    for other in others.into_iter().flatten() {
        ctxt.error(
            other,
            format!(
                "a `#[local]` method is never called from elsewhere: remove `{}`",
                text::of(other)
            ),
        );
    }
    if let Some(name) = &args.name {
        ctxt.error(
            name,
            "a `#[local]` method is never called from elsewhere: remove its wire name",
        );
    }
}

/// Reports and removes what a method cannot be.
fn check_qualifiers(ctxt: &Ctxt, source: &mut TraitItemFn) {
    if let Some(default) = source.modifiers.defaultness.take() {
        ctxt.error(
            default,
            "a method with a body is a default already: remove `default`",
        );
    }
    let signature = &mut source.sig;
    if let Some(constness) = signature.constness.take() {
        ctxt.error(
            constness,
            "a call runs where its object is, not in the compiler: remove `const`",
        );
    }
    if !matches!(signature.safety, syn::Safety::Default) {
        ctxt.error(
            &signature.safety,
            "a caller elsewhere cannot vouch for safety: remove `unsafe`",
        );
    }
    if let Some(abi) = &signature.abi {
        ctxt.error(
            abi,
            "calls cross processes by messages, not by a C ABI: remove `extern`",
        );
    }
    if let Some(variadic) = signature.variadic.take() {
        ctxt.error(
            variadic,
            "the wire needs a fixed number of arguments: take a `Vec<..>`",
        );
    }
    for param in &signature.generics.params {
        if !matches!(param, syn::GenericParam::Lifetime(_)) {
            ctxt.error(
                param,
                "calls cannot be generic, the wire needs one type: use a concrete type or an enum",
            );
        }
    }
    if let Some(clause) = &signature.generics.where_clause {
        ctxt.error(clause, "methods of an interface have no `where` clause: write types that need none, or mark it `#[local]`");
    }
    for argument in &mut signature.inputs {
        let attrs = match argument {
            FnArg::Receiver(receiver) => &mut receiver.attrs,
            FnArg::Typed(argument) => &mut argument.attrs,
        };
        if let Some(attr) = attrs.first() {
            ctxt.error(attr, "arguments have no attributes, every caller sends the same ones: put it on the method");
        }
        attrs.clear();
    }
}

/// Reports a wrong `self`, and says whether it is `&mut self`.
fn read_receiver(ctxt: &Ctxt, signature: &Signature) -> bool {
    let Some(receiver) = signature.receiver() else {
        let name = &signature.ident;
        let help = format!(
            "a call goes to an object: write `{name}(&self, ..)`, or mark `{name}` `#[local]`"
        );
        ctxt.error(name, help);
        return false;
    };
    match &receiver.kind {
        ReceiverKind::Reference(_, lifetime, mutability) => {
            if let Some(lifetime) = lifetime
                .as_ref()
                .filter(|lifetime| lifetime.ident == "static")
            {
                ctxt.error(
                    lifetime,
                    "a call borrows its object for a while only: write `&self`",
                );
            }
            mutability.is_some()
        }
        _ => {
            ctxt.error(receiver, wrong_receiver(receiver));
            false
        }
    }
}

fn wrong_receiver(receiver: &Receiver) -> String {
    let written = text::of(receiver);
    format!(
        "a call cannot take the object away, others may hold it: write `&self` instead of `{written}`"
    )
}

fn read_arguments(ctxt: &Ctxt, signature: &Signature) -> Vec<Argument> {
    let typed = signature
        .inputs
        .iter()
        .filter_map(|argument| match argument {
            FnArg::Receiver(_) => None,
            FnArg::Typed(argument) => Some(argument),
        });
    let mut arguments: Vec<Argument> = Vec::new();
    for (index, argument) in typed.enumerate() {
        if index == MOST_ARGUMENTS {
            ctxt.error(
                argument,
                format!("a call takes at most {MOST_ARGUMENTS} arguments: group them in a struct"),
            );
        }
        let Some(ident) = argument_ident(ctxt, argument) else {
            continue;
        };
        if arguments.iter().any(|other| other.ident == ident) {
            ctxt.error(
                &ident,
                format!("there is an argument `{ident}` already: rename one"),
            );
        }
        match types::passing(&argument.ty) {
            Ok(passing) => arguments.push(Argument {
                name: ident.unraw().to_string(),
                ident,
                type_name: text::of(&argument.ty),
                passing,
            }),
            Err(error) => ctxt.syn_error(error),
        }
    }
    arguments
}

fn argument_ident(ctxt: &Ctxt, argument: &PatType) -> Option<Ident> {
    match &*argument.pat {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => Some(pat.ident.clone()),
        Pat::Wild(_) => {
            let help = format!(
                "argument names go on the wire, write a name: `name: {}`",
                text::of(&argument.ty)
            );
            ctxt.error(&argument.pat, help);
            None
        }
        pat => {
            let name = if matches!(pat, Pat::Tuple(tuple) if tuple.elems.len() == 2) {
                "pair"
            } else {
                "value"
            };
            let ty = text::of(&argument.ty);
            ctxt.error(pat, format!("argument names go on the wire, write `{name}: {ty}` and destructure in the body"));
            None
        }
    }
}
