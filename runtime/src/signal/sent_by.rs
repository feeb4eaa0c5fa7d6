//! Who sent an event, as other processes are told.

use bytes::Bytes;
use farref_proto::InstanceId;
use serde::{Deserialize, Serialize};

use super::identity::Sender;
use crate::object::ObjectIdentity;

/// The note beside a call of a receiver that says who sent what it is told.
const NOTE: &str = "farref.sender";

/// A sender that is an object: its interface, the process that owns it, and its number there. Others mean nothing elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SentBy {
    interface: u32,
    owner: [u8; 16],
    object: u64,
}

impl SentBy {
    pub(super) fn of(sender: Option<&Sender>) -> Option<Self> {
        let (interface, ObjectIdentity { owner, object }) = sender?.as_object()?;
        Some(SentBy {
            interface,
            owner: *owner.as_bytes(),
            object,
        })
    }

    pub(super) fn sender(self) -> Sender {
        let object = ObjectIdentity {
            owner: InstanceId::from_bytes(self.owner),
            object: self.object,
        };
        Sender::elsewhere(self.interface, object)
    }

    pub(super) fn to_note(self) -> (String, Bytes) {
        let note = [
            &self.interface.to_le_bytes()[..],
            &self.owner,
            &self.object.to_le_bytes(),
        ];
        (NOTE.to_owned(), note.concat().into())
    }

    /// Finds it among the notes of a call.
    pub(super) fn noted(notes: &[(String, Bytes)]) -> Option<Self> {
        let (_, note) = notes.iter().find(|(key, _)| key == NOTE)?;
        let (interface, rest) = note.split_first_chunk()?;
        let (owner, object) = rest.split_first_chunk()?;
        Some(SentBy {
            interface: u32::from_le_bytes(*interface),
            owner: *owner,
            object: u64::from_le_bytes(object.try_into().ok()?),
        })
    }
}
