//! The rules that need more than one thing to be looked at: attributes beside each other and beside the signature,
//! and methods beside each other.

use std::collections::HashMap;

use quote::ToTokens;
use syn::ReturnType;

use crate::ctxt::Ctxt;
use crate::hash::fnv1a32;
use crate::model::{Interface, Item, Method};
use crate::types::{Output, Payload, StreamOutput};
use crate::{symbol, text};

/// Checks an interface. Methods with mistakes are left [`Broken`](Item::Broken).
pub(crate) fn interface(ctxt: &Ctxt, interface: &mut Interface) {
    check_bases(ctxt, interface);
    let mut seen = Seen::default();
    for (index, item) in interface.items.iter_mut().enumerate() {
        ctxt.at(index + 1);
        let Item::Method(method) = item else { continue };
        let errors = ctxt.count();
        check_names(ctxt, method);
        check_attributes(ctxt, method);
        if let Output::Stream(stream) = &method.output {
            check_stream(ctxt, method, stream);
        }
        if let Some(kind) = method.args.attribute.clone() {
            check_attribute_method(ctxt, method, &kind);
        }
        seen.check(ctxt, &interface.name, method);
        if ctxt.count() > errors {
            item.break_method();
        }
    }
}

/// Reports interfaces that cannot be extended, and leaves out those that are extended twice.
fn check_bases(ctxt: &Ctxt, interface: &mut Interface) {
    ctxt.at(0);
    let mut seen = Vec::new();
    interface.bases.retain(|base| {
        let written = text::of(&base.path);
        if seen.contains(&written) {
            ctxt.error(
                &base.path,
                format!("`{written}` is extended already: remove one"),
            );
            return false;
        }
        seen.push(written);
        true
    });
    if let Some(base) = interface.bases.first()
        && interface.local
    {
        let help = "`local` and extended interfaces are not supported together yet: remove `local`, \
                    or repeat the methods";
        ctxt.error(&base.path, help);
    }
}

fn check_names(ctxt: &Ctxt, method: &Method) {
    let ident = &method.source.sig.ident;
    let name = ident.to_string();
    if symbol::PROXY_NAMES.contains(&name.as_str()) {
        let help = format!(
            "every proxy has a `{name}` of its own: name the method otherwise, and write `#[name = \"{name}\"]` \
             if the wire name matters"
        );
        ctxt.error(ident, help);
    }
    if name.starts_with("__") {
        let plain = name.trim_start_matches('_');
        ctxt.error(
            ident,
            format!("names that begin with `__` belong to generated code: write `{plain}`"),
        );
    }
}

fn check_attributes(ctxt: &Ctxt, method: &Method) {
    let args = &method.args;
    let signature = &method.source.sig;
    if let Some(oneway) = &args.oneway {
        if let ReturnType::Type(_, ty) = &signature.output
            && text::of(ty) != "()"
        {
            ctxt.error(
                ty,
                "a oneway call has no answer: remove the return type, or `#[oneway]`",
            );
        }
        if args.attribute.is_some() {
            ctxt.error(oneway, "an attribute is read or written with an answer: remove `#[oneway]` or `#[attribute]`");
        }
        if args.idempotent.is_some() {
            let help = "a oneway call is never repeated, because nobody learns that it failed: remove `#[oneway]` \
                        or `#[idempotent]`";
            ctxt.error(&args.idempotent, help);
        }
    }
    if let Some(blocking) = &args.blocking {
        if let Some(asyncness) = &signature.asyncness {
            ctxt.error(
                asyncness,
                "a `#[blocking]` method has a thread and no use for `async`: write a plain `fn`",
            );
        }
        if args.spawn.is_some() {
            ctxt.error(
                blocking,
                "a blocking call has a thread, `spawn` gives a task: remove one of them",
            );
        }
        if args.attribute.is_some() {
            ctxt.error(
                blocking,
                "reading or writing an attribute is quick: remove `#[blocking]` or `#[attribute]`",
            );
        }
    }
    if args.ordered && args.spawn.is_some() {
        ctxt.error(
            &args.spawn,
            "spawned calls run side by side, ordered ones do not: remove one of them",
        );
    }
}

/// Checks a method that returns a stream.
fn check_stream(ctxt: &Ctxt, method: &Method, stream: &StreamOutput) {
    let args = &method.args;
    if let Some(asyncness) = &method.source.sig.asyncness {
        let help = format!(
            "a stream is returned at once and waited for item by item: write `fn` without `async`, or return a \
             `RemoteStream<{}>`",
            text::of(&stream.item)
        );
        ctxt.error(asyncness, help);
    }
    if let Some(blocking) = &args.blocking {
        ctxt.error(
            blocking,
            "a stream is not made on one thread: remove `#[blocking]`, or return a `RemoteStream<..>`",
        );
    }
    if let Some(attribute) = &args.attribute {
        ctxt.error(
            attribute,
            "an attribute is one value and no stream: remove `#[attribute]`",
        );
    }
    if let Some(no_cancel) = &args.no_cancel {
        ctxt.error(
            no_cancel,
            "a stream ends when nobody consumes it: remove `#[no_cancel]`",
        );
    }
}

/// Checks that an attribute is read or written as attributes are: `fn volume(&self) -> f32`, `fn set_volume(&self, f32)`.
fn check_attribute_method(ctxt: &Ctxt, method: &Method, attribute: &impl ToTokens) {
    let signature = &method.source.sig;
    let name = signature.ident.to_string();
    let answers = match &method.output {
        Output::Plain(payload) | Output::Fallible(payload, _) => !is_unit(payload),
        Output::Alias(_) | Output::Stream(_) => true,
    };
    if let Some(attribute_name) = name.strip_prefix("set_") {
        match method.arguments.as_slice() {
            [value] => {
                if answers && !matches!(method.output, Output::Alias(_)) {
                    let ty = &value.type_name;
                    let help = format!("writing an attribute returns nothing: write `fn {name}(&self, {}: {ty})`", value.name);
                    ctxt.error(&signature.output, help);
                }
            }
            [] => ctxt.error(
                &signature.ident,
                format!("writing `{attribute_name}` takes its value: write `fn {name}(&self, {attribute_name}: ..)`"),
            ),
            [_, second, ..] => ctxt.error(&second.ident, "writing an attribute takes one value: remove this argument"),
        }
        return;
    }
    match method.arguments.as_slice() {
        [] if answers && method.exclusive => {
            ctxt.error(signature.receiver(), format!("reading an attribute changes nothing: write `fn {name}(&self)`"));
        }
        [] if answers => {}
        [] => ctxt.error(
            attribute,
            format!("an attribute is read, `fn {name}(&self) -> ..`, or written, `fn set_{name}(&self, value: ..)`"),
        ),
        [first, ..] if answers => ctxt.error(
            &first.ident,
            format!("reading an attribute takes no arguments: write `fn {name}(&self) -> ..`, or remove `#[attribute]`"),
        ),
        [first, ..] => ctxt.error(
            &signature.ident,
            format!("a method that writes an attribute is named `set_..`: write `fn set_{name}(&self, {}: ..)`", first.name),
        ),
    }
}

fn is_unit(payload: &Payload) -> bool {
    matches!(payload, Payload::Value(ty) if text::of(ty) == "()")
}

/// The names of the methods checked so far.
#[derive(Default)]
struct Seen {
    /// By Rust name: whether the method is conditional.
    rust: HashMap<String, bool>,
    /// By wire name: the Rust name, and whether the method is conditional.
    wire: HashMap<String, (String, bool)>,
    /// By hash: the wire name.
    hashes: HashMap<u32, String>,
}

impl Seen {
    /// Reports names that are taken. Two methods of one name are fine where conditions keep them apart.
    fn check(&mut self, ctxt: &Ctxt, interface: &str, method: &Method) {
        let ident = &method.source.sig.ident;
        let conditional = method.conditions().next().is_some();
        if let Some(other) = self.rust.insert(ident.to_string(), conditional)
            && !(other && conditional)
        {
            ctxt.error(
                ident,
                format!("there is a method `{ident}` already: rename one"),
            );
            return;
        }
        let culprit = match &method.args.name {
            Some(name) => name.to_token_stream(),
            None => ident.to_token_stream(),
        };
        let name = &method.name;
        if let Some((other, other_conditional)) = self
            .wire
            .insert(name.clone(), (ident.to_string(), conditional))
        {
            if !(other_conditional && conditional) {
                ctxt.error(
                    culprit,
                    format!("wire name \"{name}\" is already used by `{other}`, rename one"),
                );
            }
            return;
        }
        let hash = fnv1a32(&format!("{interface}.{name}"));
        if let Some(other) = self.hashes.insert(hash, name.clone()) {
            ctxt.error(
                culprit,
                format!("wire names \"{name}\" and \"{other}\" have the same hash, rename one"),
            );
        }
    }
}
