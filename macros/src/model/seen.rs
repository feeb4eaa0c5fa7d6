//! One mention for each type.

use syn::Type;

use super::Method;
use crate::text;
use crate::types::{Output, Passing, Payload};

/// The types of an interface, each by its first mention.
///
/// Generated code names every type by its first mention in the trait. So what a type lacks is reported once, however
/// often the type is used: rustc does not repeat an error that is the same to the letter.
#[derive(Default)]
pub(super) struct SeenTypes(Vec<(String, Type)>);

impl SeenTypes {
    pub(super) fn unify(&mut self, method: &mut Method) {
        for argument in &mut method.arguments {
            match &mut argument.passing {
                Passing::OwnedBytes(ty) | Passing::Borrowed(ty) | Passing::Value(ty) => {
                    self.unify_type(ty)
                }
                Passing::Str | Passing::Bytes => {}
            }
        }
        match &mut method.output {
            Output::Plain(payload) => self.unify_payload(payload),
            Output::Fallible(payload, error) => {
                self.unify_payload(payload);
                self.unify_type(error);
            }
            Output::Alias(ty) => self.unify_type(ty),
            Output::Stream(stream) => self.unify_type(&mut stream.item),
        }
    }

    fn unify_payload(&mut self, payload: &mut Payload) {
        match payload {
            Payload::Bytes(ty) | Payload::Value(ty) => self.unify_type(ty),
        }
    }

    fn unify_type(&mut self, ty: &mut Type) {
        let written = text::of(ty);
        match self.0.iter().find(|(seen, _)| *seen == written) {
            Some((_, first)) => *ty = first.clone(),
            None => self.0.push((written, ty.clone())),
        }
    }
}
