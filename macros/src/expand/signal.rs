//! What a method becomes that returns a signal.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, ReturnType, Type};

use super::descriptor::hash_literal;
use super::proxy::Made;
use super::signature;
use crate::hash::fnv1a32;
use crate::model::{Interface, Method};

/// What the proxy's method gives, the signal to connect to; nothing if the method is no signal.
pub(super) fn made(interface: &Interface, method: &Method) -> Option<Made> {
    let (tells, answers) = method.signal()?;
    let mixed = Span::mixed_site();
    let private = interface.private();
    let mangled = method.mangled();
    let hash = hash_literal(fnv1a32(&format!("{}.{}", interface.name, method.name)));
    let teller = tellable(&private, &tells, "teller");
    let reply = signature::wire(&private, &answers.to_token_stream(), "reply");
    Some(Made {
        output: quote_spanned!(mixed=> #private::SignalRef<'call, Self, #tells, #answers>),
        body: quote_spanned! {mixed=>
            #private::SignalRef::new(
                self,
                const { #private::method_index(Self::DESCRIPTOR, #hash) },
                |near| near.#mangled(),
                #teller,
                #reply,
            )
        },
    })
}

/// The handler of what is asked of the signal that `returned` evaluates to.
pub(super) fn handler(
    private: &TokenStream,
    method: &Method,
    returned: &TokenStream,
) -> TokenStream {
    let mixed = Span::mixed_site();
    let Some((tells, answers)) = method.signal() else {
        return TokenStream::new();
    };
    let signal = signal(private, method, returned);
    let serve = tellable(private, &tells, "serve");
    let decode = signature::wire(private, &answers.to_token_stream(), "decode");
    quote_spanned! {mixed=>
        |entry, call| #private::Box::pin(async move {
            let request = #private::SignalRequest::decode(&call)?;
            let object = entry.enter().await?;
            #serve(request, &call, #signal, #decode)
        })
    }
}

/// The signal that `returned` evaluates to, for somebody who does not borrow the object.
pub(super) fn shared(
    private: &TokenStream,
    method: &Method,
    returned: &TokenStream,
) -> TokenStream {
    let mixed = Span::mixed_site();
    let signal = signal(private, method, returned);
    quote_spanned!(mixed=> #signal.share())
}

/// A function of the trait `Tellable` for what a signal tells. The whole path has the type's span, so that what the type
/// lacks is reported at the type.
pub(super) fn tellable(private: &TokenStream, tells: &Type, function: &str) -> TokenStream {
    let at = tells.span().resolved_at(Span::mixed_site());
    let function = Ident::new(function, at);
    quote_spanned!(at=> <#tells as #private::Tellable>::#function)
}

/// The signal that `returned` evaluates to. What is no signal is reported at the type that the method returns.
fn signal(private: &TokenStream, method: &Method, returned: &TokenStream) -> TokenStream {
    let mixed = Span::mixed_site();
    let Some((tells, answers)) = method.signal() else {
        return TokenStream::new();
    };
    let written = match &method.source.sig.output {
        ReturnType::Type(_, ty) => match &**ty {
            Type::Reference(reference) => reference.elem.span(),
            ty => ty.span(),
        },
        ReturnType::Default => method.ident().span(),
    };
    let at = written.resolved_at(mixed);
    let returned: TokenStream = returned
        .clone()
        .into_iter()
        .map(|mut token| {
            token.set_span(token.span().located_at(at));
            token
        })
        .collect();
    quote_spanned!(at=> #private::signal::<#tells, #answers>(#returned))
}
