//! What is emitted beside errors, so that one mistake is one error: the trait that objects implement, and stubs of the
//! methods that callers call.

use std::cell::Cell;

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{FnArg, Pat, ReturnType, TraitItemFn, Type};

use crate::expand::proxy::carried_attributes;
use crate::model::{Interface, Item};
use crate::text;
use crate::{symbol, types};

/// A method with a mistake, in a form that the trait can have: what the compiler would reject as well is gone.
pub(crate) fn definable(source: &TraitItemFn) -> TraitItemFn {
    let mut source = source.clone();
    let mut mentions_self = false;
    for (index, argument) in source.sig.inputs.iter_mut().enumerate() {
        let FnArg::Typed(argument) = argument else {
            continue;
        };
        if source.default.is_none() && !matches!(*argument.pat, Pat::Ident(_)) {
            let name = format_ident!("__argument{index}", span = Span::mixed_site());
            *argument.pat = syn::parse_quote!(#name);
        }
        mentions_self |= mentions(&argument.ty, "Self");
        *argument.ty = without_placeholders(&argument.ty);
    }
    if let ReturnType::Type(_, ty) = &mut source.sig.output {
        **ty = without_placeholders(ty);
    }
    if mentions_self {
        let clause = source.sig.generics.make_where_clause();
        clause
            .predicates
            .push(syn::parse_quote!(Self: ::core::marker::Sized));
    }
    source
}

/// The type with `()` for each `_` and for `!`.
fn without_placeholders(ty: &Type) -> Type {
    if matches!(ty, Type::Never(_)) {
        return syn::parse_quote!(());
    }
    let placeholder = |word: &Ident| (word == "_").then(|| quote!(()));
    syn::parse2(replace(ty.to_token_stream(), &placeholder)).unwrap_or_else(|_| ty.clone())
}

/// Replaces words; lifetimes are none.
fn replace(tokens: TokenStream, by: &dyn Fn(&Ident) -> Option<TokenStream>) -> TokenStream {
    let mut after_tick = false;
    let replaced = |token: TokenTree| {
        let is_lifetime = std::mem::replace(
            &mut after_tick,
            matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '\''),
        );
        match token {
            TokenTree::Ident(word) if !is_lifetime => {
                by(&word).unwrap_or_else(|| word.to_token_stream())
            }
            TokenTree::Group(group) => {
                let stream = replace(group.stream(), by);
                TokenTree::from(Group::new(group.delimiter(), stream)).into()
            }
            token => token.into(),
        }
    };
    tokens.into_iter().map(replaced).collect()
}

/// Whether a type mentions a word.
fn mentions(ty: &Type, word: &str) -> bool {
    let found = Cell::new(false);
    replace(ty.to_token_stream(), &|found_word| {
        found.set(found.get() || found_word == word);
        None
    });
    found.get()
}

/// A method of the proxy that has the signature that was meant, and no body.
pub(crate) fn stub(interface: &Interface, source: &TraitItemFn) -> TokenStream {
    let private = interface.private();
    let mixed = Span::mixed_site();
    stand_in_method(interface, source, |output| {
        let signal = match output {
            ReturnType::Type(_, ty) => signal(&private, ty),
            ReturnType::Default => None,
        };
        signal.unwrap_or_else(|| {
            let result = result(&private, output);
            quote_spanned!(mixed=> #private::Call<'_, Self, (), #result>)
        })
    })
}

/// The same, of the proxy whose calls are waited for.
pub(crate) fn blocking_stub(interface: &Interface, source: &TraitItemFn) -> TokenStream {
    let private = interface.private();
    let mixed = Span::mixed_site();
    stand_in_method(interface, source, |output| {
        let result = result(&private, output);
        quote_spanned!(mixed=> #private::Result<#result>)
    })
}

fn stand_in_method(
    interface: &Interface,
    source: &TraitItemFn,
    returned: impl FnOnce(&ReturnType) -> TokenStream,
) -> TokenStream {
    let mixed = Span::mixed_site();
    let ident = &source.sig.ident;
    let name = ident.to_string();
    if symbol::PROXY_NAMES.contains(&name.as_str())
        || name.starts_with("__")
        || is_repeated(interface, source)
    {
        return TokenStream::new();
    }
    let vis = &interface.vis;
    let attrs = carried_attributes(&source.attrs, &name);
    // What belongs to a generic trait belongs to each method here.
    let own = source.sig.generics.params.iter();
    let generics = interface
        .generics
        .params
        .iter()
        .chain(own)
        .map(without_default);
    let typed = source
        .sig
        .inputs
        .iter()
        .filter_map(|argument| match argument {
            FnArg::Receiver(_) => None,
            FnArg::Typed(argument) => Some(&*argument.ty),
        });
    let parameters = typed.enumerate().map(|(index, ty)| {
        let name = format_ident!("__argument{index}", span = mixed);
        let ty = stand_in(ty, &quote_spanned!(mixed=> impl ::core::marker::Sized));
        quote_spanned!(mixed=> #name: #ty)
    });
    let call = returned(&source.sig.output);
    let ident = Ident::new(&name.replace("r#", ""), ident.span().resolved_at(mixed));
    quote_spanned! {mixed=>
        #attrs
        #vis fn #ident<#(#generics),*>(&self, #(#parameters),*) -> #call {
            ::core::unreachable!("the interface has errors")
        }
    }
}

/// Whether an earlier method has the same name, which is the mistake.
pub(crate) fn is_repeated(interface: &Interface, source: &TraitItemFn) -> bool {
    let mut same = interface.items.iter().filter(|item| match item {
        Item::Method(method) => method.source.sig.ident == source.sig.ident,
        Item::Local(other) | Item::Broken(other) => other.sig.ident == source.sig.ident,
        Item::Other(_) => false,
    });
    !matches!(same.next(), Some(Item::Broken(first)) if std::ptr::eq(first, source))
}

fn without_default(param: &syn::GenericParam) -> syn::GenericParam {
    let mut param = param.clone();
    match &mut param {
        syn::GenericParam::Type(ty) => {
            ty.default = None;
        }
        syn::GenericParam::Const(constant) => {
            constant.default = None;
        }
        syn::GenericParam::Lifetime(_) => {}
    }
    param
}

/// The type of a stub that was meant to be a signal.
fn signal(private: &TokenStream, ty: &Type) -> Option<TokenStream> {
    let mixed = Span::mixed_site();
    let (tells, answers) = types::signal_types(ty)?;
    let unit = quote_spanned!(mixed=> ());
    let tells = stand_in(&tells, &unit);
    let answers = answers.map_or_else(|| unit.clone(), |answers| stand_in(&answers, &unit));
    Some(quote_spanned!(mixed=> #private::SignalRef<'_, Self, #tells, #answers>))
}

/// The type and the failure of a stub's call.
fn result(private: &TokenStream, output: &ReturnType) -> TokenStream {
    let mixed = Span::mixed_site();
    let unit = quote_spanned!(mixed=> ());
    let ReturnType::Type(_, ty) = output else {
        return quote_spanned!(mixed=> (), #private::Fault);
    };
    if let Type::Path(path) = &**ty
        && let Some(last) = path.path.segments.last()
        && last.ident == "Result"
    {
        let instead = quote_spanned!(mixed=> ::core::result::Result<(), ()>);
        let ty = match mentions(ty, "impl") {
            true => instead,
            false => stand_in(ty, &instead),
        };
        return quote_spanned! {mixed=>
            <#ty as #private::ResultParts>::Ok, #private::CallError<<#ty as #private::ResultParts>::Err>
        };
    }
    let ty = if mentions(ty, "impl") {
        unit
    } else {
        stand_in(ty, &unit)
    };
    quote_spanned!(mixed=> #ty, #private::Fault)
}

/// The type, or something else where a function outside the trait could not have it.
fn stand_in(ty: &Type, instead: &TokenStream) -> TokenStream {
    let unsized_or_never = matches!(ty, Type::TraitObject(_) | Type::Slice(_) | Type::Never(_))
        || text::of(ty) == "str";
    if unsized_or_never || mentions(ty, "Self") || mentions(ty, "_") {
        instead.clone()
    } else {
        ty.to_token_stream()
    }
}

/// Constructors for an interface that no object can be served through.
pub(crate) fn constructors(interface: &Interface) -> TokenStream {
    let mixed = Span::mixed_site();
    let vis = &interface.vis;
    let mut names = vec!["new", "shared", "serial"];
    names.extend(interface.local.then_some("pinned"));
    let constructors = names.into_iter().map(|name| {
        let name = Ident::new(name, mixed);
        quote_spanned! {mixed=>
            /// Stands in for a constructor, beside an error.
            #vis fn #name<T>(_: T) -> Self {
                ::core::unreachable!("the interface has errors")
            }
        }
    });
    constructors.collect()
}
