//! The trait itself, as objects implement it.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Lit, Meta, MetaNameValue, ReceiverKind, ReturnType, Token, TraitItemFn};

use crate::model::{Interface, Item};
use crate::{fallback, types};

/// Which of the two traits of an interface is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    /// The trait that the user wrote; its objects cross threads.
    Sendable,
    /// The trait for objects that stay on one thread.
    Local,
}

/// The trait that the user wrote, with futures that can be spawned.
pub(super) fn definition(interface: &Interface) -> TokenStream {
    let mixed = Span::mixed_site();
    let Interface {
        attrs,
        vis,
        unsafety,
        ident,
        generics,
        supertraits,
        ..
    } = interface;
    let deprecation = deprecation_doc(interface.deprecated.as_ref());
    let sync = needs_sync(interface).then(|| quote_spanned!(mixed=> ::core::marker::Sync +));
    let items = items(interface, Flavour::Sendable);
    let where_clause = &generics.where_clause;
    quote_spanned! {mixed=>
        #(#attrs)*
        #deprecation
        #vis #unsafety trait #ident #generics: #(#supertraits +)* ::core::marker::Send + #sync 'static #where_clause {
            #items
        }
    }
}

/// Whether objects must be `Sync`: always, unless calls enter them one at a time anyhow. A default body borrows the
/// object in a future that must be `Send`, and so needs it all the same.
fn needs_sync(interface: &Interface) -> bool {
    let borrows_in_default = |source: &TraitItemFn| {
        source.default.is_some() && source.sig.asyncness.is_some() && borrows_self(source)
    };
    !interface.exclusive()
        || interface.items.iter().any(|item| match item {
            Item::Method(method) => borrows_in_default(&method.source),
            Item::Local(source) | Item::Broken(source) => borrows_in_default(source),
            Item::Other(_) => false,
        })
}

/// What stands in the trait.
pub(super) fn items(interface: &Interface, flavour: Flavour) -> TokenStream {
    let trait_ = Trait {
        flavour,
        sync: needs_sync(interface),
    };
    let item = |item: &Item| match item {
        Item::Method(method) => trait_.function(
            &method.source,
            deprecation_doc(method.deprecated.as_ref()).as_ref(),
        ),
        Item::Local(source) => trait_.function(source, None),
        Item::Broken(source) if fallback::is_repeated(interface, source) => TokenStream::new(),
        Item::Broken(source) => trait_.function(&fallback::definable(source), None),
        Item::Other(item) => item.to_token_stream(),
    };
    interface.items.iter().map(item).collect()
}

/// What the functions of a trait have in common.
struct Trait {
    flavour: Flavour,
    /// Whether its objects are `Sync`.
    sync: bool,
}

impl Trait {
    /// A method as written, but `async fn` becomes a function that returns a future.
    fn function(&self, source: &TraitItemFn, more_docs: Option<&TokenStream>) -> TokenStream {
        let TraitItemFn {
            attrs,
            sig,
            default,
            semi_token,
            ..
        } = source;
        let syn::Signature {
            safety,
            abi,
            fn_token,
            ident,
            generics,
            inputs,
            output,
            ..
        } = sig;
        let mut predicates = where_predicates(source);
        let mut output = output.to_token_stream();
        let mut body = default.to_token_stream();
        if let Some(asyncness) = &sig.asyncness {
            let at = asyncness.span.resolved_at(Span::mixed_site());
            output = self.future(at, &sig.output);
            body = default
                .as_ref()
                .map(|block| quote_spanned!(at=> { async move #block }))
                .to_token_stream();
            if self.flavour == Flavour::Sendable && self.sync && borrows_self(source) {
                // An object that is not `Sync` is then one error at its `impl`, and not one more for each future.
                predicates.push(quote_spanned!(at=> Self: ::core::marker::Sync));
            }
        }
        if self.flavour == Flavour::Sendable
            && let ReturnType::Type(arrow, ty) = &sig.output
            && types::is_stream(ty)
        {
            let at = arrow.spans[0].resolved_at(Span::mixed_site());
            output.extend(quote_spanned!(at=> + ::core::marker::Send));
        }
        let where_clause = (!predicates.is_empty()).then(|| quote!(where #(#predicates),*));
        quote!(#(#attrs)* #more_docs #safety #abi #fn_token #ident #generics (#inputs) #output #where_clause #body #semi_token)
    }

    /// The future that an `async fn` returns.
    fn future(&self, at: Span, output: &ReturnType) -> TokenStream {
        let output = match output {
            ReturnType::Default => quote_spanned!(at=> ()),
            ReturnType::Type(_, ty) => ty.to_token_stream(),
        };
        let send = (self.flavour == Flavour::Sendable)
            .then(|| quote_spanned!(at=> + ::core::marker::Send));
        quote_spanned!(at=> -> impl ::core::future::Future<Output = #output> #send)
    }
}

fn borrows_self(source: &TraitItemFn) -> bool {
    source
        .sig
        .receiver()
        .is_some_and(|receiver| matches!(receiver.kind, ReceiverKind::Reference(_, _, None)))
}

/// The predicates of a method; one that is generic is kept out of `dyn`, which other methods may well be called through.
fn where_predicates(source: &TraitItemFn) -> Vec<TokenStream> {
    let generics = &source.sig.generics;
    let clause = generics
        .where_clause
        .iter()
        .flat_map(|clause| &clause.predicates);
    let mut predicates: Vec<_> = clause.map(ToTokens::to_token_stream).collect();
    if generics
        .params
        .iter()
        .any(|param| !matches!(param, syn::GenericParam::Lifetime(_)))
    {
        let mixed = Span::mixed_site();
        predicates.push(quote_spanned!(mixed=> Self: ::core::marker::Sized));
    }
    predicates
}

/// A line of documentation in place of `#[deprecated]`.
///
/// The lint speaks up in generated code too, which calls every method of the trait, and generated code must not silence
/// lints that the user may have forbidden. So the proxy carries the attribute, and the trait says it in words.
fn deprecation_doc(deprecated: Option<&syn::Attribute>) -> Option<TokenStream> {
    let note = match &deprecated?.meta {
        Meta::Path(_) => None,
        Meta::NameValue(pair) => string(&pair.value),
        Meta::List(list) => list.parse_args_with(note).ok().flatten(),
    };
    let line = match note {
        Some(note) => format!(" **Deprecated**: {note}"),
        None => " **Deprecated.**".to_owned(),
    };
    let mixed = Span::mixed_site();
    Some(quote_spanned!(mixed=> #[doc = ""] #[doc = #line]))
}

fn note(input: syn::parse::ParseStream<'_>) -> syn::Result<Option<String>> {
    let pairs = Punctuated::<MetaNameValue, Token![,]>::parse_terminated(input)?;
    Ok(pairs
        .iter()
        .find(|pair| pair.path.is_ident("note"))
        .and_then(|pair| string(&pair.value)))
}

fn string(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.value()),
        _ => None,
    }
}
