//! What to do when caller and object were built from different versions of an interface.
//!
//! Each call carries a hash of the shapes of its types. Where the object's differ, it refuses the call before anything
//! runs. The caller then asks for the object's description and compares: types that differ compatibly are sent by name,
//! in MessagePack; of others the error names method, argument and field.

use std::fmt::Display;
use std::pin::Pin;

use tokio::time::Instant;

use crate::codec::Codec;
use crate::descriptor::{InterfaceInfo, Method};
use crate::error::{Fault, Result};
use crate::far::{Encoded, FarCall, Label, MethodKey, OnewayMode};
use crate::remote::Remote;
use crate::session::DESCRIBE;
use crate::shape::{Shape, compatible};
use crate::{FaultKind, Outcome};

/// Asks an object what it is.
pub(crate) async fn describe(remote: Remote, deadline: Option<Instant>) -> Result<InterfaceInfo> {
    let key = MethodKey {
        index: u16::MAX,
        hash: DESCRIBE,
        shape: 0,
    };
    let encoded = Encoded::new(key, Codec::Postcard, 0, |_| Ok(()))?;
    let label = Label::Static {
        interface: "farref",
        method: "describe",
    };
    let call = FarCall::new(
        remote,
        label,
        encoded,
        OnewayMode::Answered,
        deadline,
        Some(0),
        None,
    );
    let (reply, _) = call.finish().await;
    crate::dispatch::decode_value::<InterfaceInfo>(&mut reply?)
}

/// Finds out whether a refused call can be made by name; see [`compare_types`]. In a box, so that it is compiled here and
/// not in each application.
pub(crate) fn compare(
    remote: Remote,
    interface: &'static str,
    method: &'static Method,
    deadline: Option<Instant>,
) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
    Box::pin(compare_types(remote, interface, method, deadline))
}

/// Finds out whether a refused call can be made by name. Fails with the first thing that stands in the way.
async fn compare_types(
    remote: Remote,
    interface: &'static str,
    method: &'static Method,
    deadline: Option<Instant>,
) -> Result<()> {
    let by_name = remote.accepts(Codec::MessagePack);
    let theirs = describe(remote, deadline).await?;
    let Some(other) = theirs
        .methods
        .iter()
        .find(|other| other.hash == method.hash)
    else {
        return Err(incompatible(format!(
            "`{interface}.{}` is not in the object's version of the interface",
            method.name
        )));
    };
    let call = format!("`{interface}.{}`", method.name);
    for (index, argument) in method.arguments.iter().enumerate() {
        let Some(expected) = other.arguments.get(index) else {
            return Err(incompatible(format!(
                "argument `{}` of {call} is not in the object's version",
                argument.name
            )));
        };
        if expected.name != argument.name {
            return Err(incompatible(format!(
                "argument {} of {call} is called `{}` here and `{}` in the object's version",
                index + 1,
                argument.name,
                expected.name
            )));
        }
        check(
            &(argument.shape)(),
            &expected.shape,
            format_args!("argument `{}` of {call}", argument.name),
        )?;
    }
    if let Some(missing) = other.arguments.get(method.arguments.len()) {
        return Err(incompatible(format!(
            "{call} takes an argument `{}` in the object's version",
            missing.name
        )));
    }
    check(
        &other.returns.shape,
        &(method.returns.shape)(),
        format_args!("the result of {call}"),
    )?;
    match (&other.error, &method.error) {
        (Some(theirs), Some(ours)) => check(
            &theirs.shape,
            &(ours.shape)(),
            format_args!("the error of {call}"),
        )?,
        (None, None) => {}
        _ => {
            return Err(incompatible(format!(
                "{call} can fail with an error of its own on one side only"
            )));
        }
    }
    if by_name {
        return Ok(());
    }
    Err(incompatible(format!(
        "the types of {call} differ between the two sides, though compatibly: enable the feature `msgpack` on both, or \
         build both from one version"
    )))
}

fn check(writer: &Shape, reader: &Shape, what: impl Display) -> Result<()> {
    compatible(writer, reader).map_err(|mismatch| {
        incompatible(format!("{what} differs between the two sides: {mismatch}"))
    })
}

fn incompatible(message: String) -> Fault {
    Fault::new(FaultKind::Incompatible, Outcome::NotStarted, message)
}
