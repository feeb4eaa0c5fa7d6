//! The way of a trait through this crate: read, check, expand.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Item, ItemTrait};

use crate::args::TraitArgs;
use crate::ctxt::Ctxt;
use crate::model::Interface;
use crate::{check, expand, misplaced};

/// Expands `#[expose(..)]`.
pub(crate) fn expose(args: TokenStream, item: &TokenStream) -> TokenStream {
    let ctxt = Ctxt::new();
    let mut options = TraitArgs::default();
    options.parse(&ctxt, args);
    interface(ctxt, "expose", options, item)
}

/// Expands `#[callback]` on a trait, which is short for `#[expose(callback)]`.
pub(crate) fn callback(args: TokenStream, item: &TokenStream) -> TokenStream {
    if syn::parse2::<syn::TraitItemFn>(item.clone()).is_ok()
        || syn::parse2::<syn::ImplItemFn>(item.clone()).is_ok()
    {
        return misplaced::helper("callback", item);
    }
    let ctxt = Ctxt::new();
    let mut options = TraitArgs {
        callback: Some(syn::parse_quote!(callback)),
        ..TraitArgs::default()
    };
    options.parse(&ctxt, args);
    interface(ctxt, "callback", options, item)
}

fn interface(ctxt: Ctxt, attribute: &str, args: TraitArgs, item: &TokenStream) -> TokenStream {
    let source = match syn::parse2::<ItemTrait>(item.clone()) {
        Ok(source) => source,
        Err(error) => {
            ctxt.syn_error(
                syn::parse2::<Item>(item.clone())
                    .map_or(error, |item| misplaced::not_a_trait(attribute, &item)),
            );
            let mut tokens = ctxt.finish();
            item.to_tokens(&mut tokens);
            return tokens;
        }
    };
    let mut interface = Interface::read(&ctxt, args, source);
    check::interface(&ctxt, &mut interface);
    let mut tokens = ctxt.finish();
    tokens.extend(expand::interface(&interface));
    tokens
}
