//! Large byte strings, read to where they stay.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use farref_proto::Connection;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Byte strings from here on are read apart, unless they have come whole before it was known how large they are.
const LARGE: usize = 16 * 1024;
/// How much room is made for a byte string of which little has come.
const FIRST: usize = 64 * 1024;

/// A byte string that has begun to come, and is the end of its frame.
#[derive(Debug)]
pub(super) struct Apart {
    bytes: Vec<u8>,
    /// How many bytes it will have.
    length: usize,
}

impl Apart {
    /// Takes what there is of it out of a frame that has begun, if it ends with a large one.
    pub(super) fn begin(input: &mut BytesMut) -> Option<Self> {
        let place = Connection::attachment(input)?;
        if place.len() < LARGE || place.end <= input.len() {
            return None;
        }
        let mut apart = Apart {
            bytes: Vec::new(),
            length: place.len(),
        };
        let begun = &input[place.start..];
        apart.make_room(begun.len());
        apart.bytes.extend_from_slice(begun);
        input.truncate(place.start);
        Some(apart)
    }

    /// Reads on; returns how many bytes, 0 at the end of the transport's stream.
    pub(super) fn poll_read(
        &mut self,
        reader: &mut (dyn AsyncRead + Send + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.bytes.len() == self.bytes.capacity() {
            self.make_room(self.bytes.len());
        }
        let missing = self.length - self.bytes.len();
        let mut rest = (&mut self.bytes).limit(missing);
        pin!(reader.read_buf(&mut rest)).poll(cx)
    }

    /// Makes room for what is missing, but not much more than `come` bytes: the length is the peer's word, and a peer which
    /// only announces much costs nothing.
    fn make_room(&mut self, come: usize) {
        let missing = self.length - self.bytes.len();
        self.bytes.reserve_exact(missing.min(come.max(FIRST)));
    }

    pub(super) fn is_complete(&self) -> bool {
        self.bytes.len() == self.length
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.bytes.capacity()
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.bytes.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::input::Input;
    use farref_proto::ReplyStatus;
    use farref_proto::message::{Message, Reply, Sections};

    fn frame(content: Vec<u8>) -> BytesMut {
        let mut frame = BytesMut::new();
        Message::Reply(Reply {
            id: 7,
            status: ReplyStatus::Ok,
            codec: 1,
            sections: Sections {
                attachments: vec![content.into()],
                ..Sections::default()
            },
        })
        .encode(&mut frame);
        frame
    }

    fn content(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index / 7) as u8).collect()
    }

    /// Reads until a byte string is complete.
    async fn read_apart(input: &mut Input, mut bytes: &[u8]) -> Bytes {
        loop {
            input.read(&mut bytes).await.expect("it is memory");
            if let Some(complete) = input.take_apart() {
                assert!(bytes.is_empty(), "too early");
                return complete;
            }
        }
    }

    #[tokio::test]
    async fn the_application_gets_the_memory_that_was_read_to() {
        let mut input = Input::default();
        for length in [LARGE, FIRST, 100_000, 1 << 20, LARGE] {
            let content = content(length);
            let frame = frame(content.clone());
            let complete = read_apart(&mut input, &frame).await;
            assert_eq!(&input.bytes[..], &frame[..frame.len() - length]);
            input.bytes.clear();
            let memory = complete.as_ptr();
            let vector = Vec::from(complete);
            assert_eq!((vector.as_ptr(), vector.capacity()), (memory, length));
            assert_eq!(vector, content);
        }
    }

    #[tokio::test]
    async fn a_byte_string_that_is_only_announced_takes_no_room() {
        let frame = frame(content(1 << 20));
        for come in [100, 10_000, 200_000, 600_000] {
            let mut input = Input::default();
            let mut bytes = &frame[..come];
            while !bytes.is_empty() {
                input.read(&mut bytes).await.expect("it is memory");
                assert_eq!(input.take_apart(), None);
            }
            let room = input.room();
            assert!(room <= 2 * come + FIRST, "{room} bytes for {come}");
        }
    }

    #[tokio::test]
    async fn what_is_small_or_there_already_is_left_where_it_is() {
        let small = frame(content(LARGE - 1));
        assert!(Apart::begin(&mut BytesMut::from(&small[..1000])).is_none());
        let whole = frame(content(LARGE));
        assert!(Apart::begin(&mut BytesMut::from(&whole[..])).is_none());
        let mut begun = BytesMut::from(&whole[..whole.len() - 1]);
        assert!(Apart::begin(&mut begun).is_some());
    }

    #[tokio::test]
    async fn frames_that_follow_each_other_are_told_apart() {
        let mut input = Input::default();
        let contents = [LARGE, 1 << 20, 5, 3 * LARGE, 0].map(content);
        let all: Vec<u8> = contents
            .iter()
            .flat_map(|content| frame(content.clone()))
            .collect();
        let mut bytes = &all[..];
        let mut seen = Vec::new();
        let grants = farref_proto::Limits::default().grants();
        while !bytes.is_empty() {
            input.read(&mut bytes).await.expect("it is memory");
            if let Some(complete) = input.take_apart() {
                input.bytes.clear();
                seen.push(Vec::from(complete));
            }
            while Connection::missing(&input.bytes) == Some(0) {
                let length = u32::from_le_bytes(*input.bytes.first_chunk().expect("a length"));
                let frame = input.bytes.split_to(4 + length as usize).freeze();
                match Message::decode(&frame, &grants).expect("it is whole") {
                    Message::Reply(reply) => seen.push(reply.sections.attachments[0].to_vec()),
                    other => panic!("not a reply: {other:?}"),
                }
            }
        }
        assert_eq!(seen, contents);
    }
}
