//! What refusals of the protocol mean to callers, handlers and producers.

use farref_proto::{FaultKind, SendError};

use crate::codec::Codec;
use crate::error::Fault;

/// The kind of fault that a refusal is.
pub(super) fn kind_of(error: &SendError) -> FaultKind {
    match error {
        SendError::TooLarge { .. } | SendError::TooMany { .. } => FaultKind::TooLarge,
        SendError::UnsupportedCodec(_) => FaultKind::UnsupportedCodec,
        SendError::Draining => FaultKind::ShuttingDown,
        SendError::Closed => FaultKind::SessionLost,
        SendError::Revoked => FaultKind::StaleReference,
        SendError::DepthExceeded { .. } => FaultKind::DepthExceeded,
        SendError::TooManyKept { .. }
        | SendError::TooManyExports { .. }
        | SendError::TooManyStreams { .. }
        | SendError::TooManyAliases { .. } => FaultKind::Overloaded,
        // Of the others, some are waited for and not told, and the rest are mistakes of this side.
        _ => FaultKind::Internal,
    }
}

/// The fault of a call that is not sent.
pub(super) fn send_fault(error: &SendError) -> Fault {
    let message = match error {
        SendError::UnsupportedCodec(codec) => {
            let name = Codec::from_id(*codec).map_or("this codec", Codec::name);
            format!("the peer does not accept {name}; choose another with `with_codec`")
        }
        error => error.to_string(),
    };
    Fault::not_started(kind_of(error), message)
}
