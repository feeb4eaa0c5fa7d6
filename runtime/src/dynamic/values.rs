//! JSON values on their way to methods and back, by the methods' descriptions.

use std::fmt;

use bytes::Bytes;
use serde_json::Value;

use super::{DynReply, misuse, streams};
use crate::codec::{self, ArgumentsEncoder, Codec};
use crate::descriptor::{MethodInfo, ValueInfo};
use crate::dispatch::{RawReply, buffer};
use crate::error::{CallError, Fault, Result};
use crate::far::{Encoded, MethodKey};
use crate::shape::{self, Shape};
use crate::{FaultKind, Outcome};

/// Encodes the arguments of a method, once they are what it says.
pub(super) fn encode(method: &MethodInfo, arguments: Value, codec: Codec) -> Result<Encoded> {
    let mut arguments = in_order(method, arguments)?;
    let mut transferred = Vec::new();
    for (argument, value) in method.arguments.iter().zip(&mut arguments) {
        if let Shape::Stream(items) = &argument.shape {
            let stream = streams::of_list(method, argument, items, value)?;
            *value = Value::from(transferred.len());
            transferred.push(stream);
        }
        if !is_bytes(argument) {
            shape::check_json(value, &argument.shape)
                .map_err(|mismatch| bad_argument(method, argument, &mismatch))?;
        }
    }
    let key = MethodKey {
        index: method.index,
        hash: method.hash,
        shape: 0,
    };
    let mut body = buffer::take();
    let mut attachments = Vec::new();
    if codec == Codec::Json {
        let mut encoder =
            ArgumentsEncoder::new(codec, arguments.len(), &mut body, &mut attachments)
                .map_err(|error| misuse(error.to_string()))?;
        for (argument, value) in method.arguments.iter().zip(&arguments) {
            let written = match is_bytes(argument) {
                true => encoder
                    .bytes(bytes_of(value).map_err(|text| bad_argument(method, argument, &text))?),
                false => encoder.value(value),
            };
            written.map_err(|error| bad_argument(method, argument, &error))?;
        }
        encoder.finish();
    } else {
        for (argument, value) in method.arguments.iter().zip(&arguments) {
            if is_bytes(argument) {
                attachments
                    .push(bytes_of(value).map_err(|text| bad_argument(method, argument, &text))?);
            } else {
                shape::json_to_postcard(value, &argument.shape, &mut body)
                    .map_err(|error| bad_argument(method, argument, &error))?;
            }
        }
    }
    Ok(Encoded {
        key,
        codec,
        body,
        attachments: attachments.into(),
        transferred: transferred.into(),
    })
}

/// The arguments in the order of the method, none missing and none too many.
fn in_order(method: &MethodInfo, arguments: Value) -> Result<Vec<Value>> {
    let expected = || {
        let names: Vec<_> = method
            .arguments
            .iter()
            .map(|argument| argument.name.as_str())
            .collect();
        match names.is_empty() {
            true => format!("`{}` takes no arguments", method.name),
            false => format!("`{}` takes {}", method.name, names.join(", ")),
        }
    };
    match arguments {
        Value::Null => in_order(method, Value::Array(Vec::new())),
        Value::Array(values) if values.len() == method.arguments.len() => Ok(values),
        Value::Array(values) => Err(bad_arguments(format!(
            "{}, and was given {} {}",
            expected(),
            values.len(),
            if values.len() == 1 { "value" } else { "values" }
        ))),
        Value::Object(mut values) => {
            let mut ordered = Vec::with_capacity(method.arguments.len());
            for argument in &method.arguments {
                match (values.remove(&argument.name), &argument.shape) {
                    (Some(value), _) => ordered.push(value),
                    (None, Shape::Option(_)) => ordered.push(Value::Null),
                    (None, _) => {
                        return Err(bad_arguments(format!(
                            "argument `{}` is missing: {}",
                            argument.name,
                            expected()
                        )));
                    }
                }
            }
            match values.keys().next() {
                None => Ok(ordered),
                Some(unknown) => Err(bad_arguments(format!(
                    "there is no argument `{unknown}`: {}",
                    expected()
                ))),
            }
        }
        _ => Err(bad_arguments(format!(
            "write arguments as an object or as an array: {}",
            expected()
        ))),
    }
}

fn is_bytes(value: &ValueInfo) -> bool {
    value.shape == Shape::Bytes
}

/// A byte string in JSON: an array of numbers from 0 to 255, or a string for its UTF-8.
pub(super) fn bytes_of(value: &Value) -> Result<Bytes, &'static str> {
    let wrong = "expected an array of numbers from 0 to 255, or a string";
    match value {
        Value::String(text) => Ok(Bytes::copy_from_slice(text.as_bytes())),
        Value::Array(numbers) => {
            let bytes = numbers
                .iter()
                .map(|number| number.as_u64().and_then(|byte| u8::try_from(byte).ok()));
            bytes
                .collect::<Option<Vec<u8>>>()
                .map(Bytes::from)
                .ok_or(wrong)
        }
        _ => Err(wrong),
    }
}

pub(super) fn decode(
    method: &MethodInfo,
    mut reply: RawReply,
) -> Result<DynReply, CallError<Value>> {
    let info = match (&method.error, reply.is_error) {
        (Some(error), true) => error,
        _ => &method.returns,
    };
    let value = match reply.attachments.pop() {
        Some(bytes) if is_bytes(info) => bytes.iter().copied().map(Value::from).collect(),
        _ => read(&reply, &info.shape)?,
    };
    match reply.is_error {
        true => Err(CallError::App(value)),
        false => Ok(DynReply {
            value,
            transferred: reply.transferred,
            shape: info.shape.clone(),
        }),
    }
}

/// Reads a result of which nothing is known.
pub(super) fn decode_any(mut reply: RawReply) -> Result<DynReply, CallError<Value>> {
    let value = match reply.attachments.pop() {
        Some(bytes) => bytes.iter().copied().map(Value::from).collect(),
        // The answer of a oneway.
        None if reply.encoded().is_empty() => Value::Null,
        None => read(&reply, &Shape::Any)?,
    };
    match reply.is_error {
        true => Err(CallError::App(value)),
        false => Ok(DynReply {
            value,
            transferred: reply.transferred,
            shape: Shape::Any,
        }),
    }
}

/// Reads a value of this shape.
pub(super) fn read(reply: &RawReply, shape: &Shape) -> Result<Value> {
    match reply.codec {
        Codec::Json => codec::decode(Codec::Json, reply.encoded(), &reply.budget)
            .map_err(|error| bad_reply(&error)),
        _ => shape::postcard_to_json(reply.encoded(), shape, &reply.budget)
            .map_err(|error| bad_reply(&error)),
    }
}

fn bad_reply(error: &dyn fmt::Display) -> Fault {
    Fault::new(
        FaultKind::BadReply,
        Outcome::Ran,
        format!("the method ran, but its result cannot be decoded: {error}"),
    )
}

pub(super) fn bad_argument(
    method: &MethodInfo,
    argument: &ValueInfo,
    error: &dyn fmt::Display,
) -> Fault {
    bad_arguments(format!(
        "argument `{}` of `{}`: {error}",
        argument.name, method.name
    ))
}

fn bad_arguments(message: String) -> Fault {
    Fault::not_started(FaultKind::BadArguments, message)
}
