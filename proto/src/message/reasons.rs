//! The messages that are a reason, as a code and a text: refusals, goodbyes, and the notice of a drain.

use bytes::{BufMut, Bytes, BytesMut};

use super::reader::{Reader, put_text};
use crate::error::DecodeError;
use crate::frame::{FrameWriter, HEADER_LENGTH, Header, Kind};
use crate::reason::{
    CloseCode, CloseReason, DrainCode, DrainReason, MAX_TEXT, Refusal, RefusalCode,
};

fn encode(kind: Kind, code: u16, text: &str, out: &mut BytesMut) {
    let frame = FrameWriter::plain(out, kind);
    out.put_u16_le(code);
    put_text(out, text, MAX_TEXT);
    frame.end(out, 0);
}

fn decode(header: Header, frame: &Bytes) -> Result<(u16, String), DecodeError> {
    header.require_plain()?;
    let mut reader = Reader::new(frame, HEADER_LENGTH);
    let code = reader.u16("the code")?;
    let text = reader.text(MAX_TEXT, "the text")?.to_owned();
    reader.finish()?;
    Ok((code, text))
}

macro_rules! reasons {
    ($($reason:ident of $code:ident in $kind:ident;)*) => {$(
        impl $reason {
            pub(crate) fn encode(&self, out: &mut BytesMut) {
                encode(Kind::$kind, self.code.code(), &self.text, out);
            }

            pub(crate) fn decode(header: Header, frame: &Bytes) -> Result<Self, DecodeError> {
                let (code, text) = decode(header, frame)?;
                let code = $code::from_code(code);
                Ok(Self { code, text })
            }
        }
    )*};
}

reasons! {
    Refusal of RefusalCode in Refuse;
    CloseReason of CloseCode in Goodbye;
    DrainReason of DrainCode in Drain;
}
