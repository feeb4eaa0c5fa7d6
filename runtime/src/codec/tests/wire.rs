//! The bytes of bodies, as `PROTOCOL.md` has them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::codec::{ArgumentsEncoder, Codec};
use crate::shape::Shape;

#[derive(Serialize, Deserialize)]
struct Track {
    title: String,
    length: Option<u16>,
}

fn body(codec: Codec) -> (Vec<u8>, Vec<Bytes>) {
    let (mut out, mut attachments) = (Vec::new(), Vec::new());
    let track = Track {
        title: "a".to_owned(),
        length: Some(300),
    };
    let mut encoder =
        ArgumentsEncoder::new(codec, 3, &mut out, &mut attachments).expect("it is encoded");
    encoder.value(&track).expect("it is encoded");
    encoder
        .bytes(Bytes::from_static(&[7, 8]))
        .expect("it is encoded");
    encoder.value(&-1_i8).expect("it is encoded");
    encoder.finish();
    (out, attachments)
}

#[test]
fn arguments_in_postcard_are_concatenated_and_byte_strings_leave_nothing() {
    let (body, attachments) = body(Codec::Postcard);
    assert_eq!(body, [1, b'a', 1, 0xac, 0x02, 0xff]);
    assert_eq!(attachments, [Bytes::from_static(&[7, 8])]);
}

#[cfg(feature = "json")]
#[test]
fn arguments_in_json_are_an_array_with_null_for_a_byte_string() {
    let (body, attachments) = body(Codec::Json);
    assert_eq!(
        String::from_utf8(body).expect("it is encoded"),
        r#"[{"title":"a","length":300},null,-1]"#
    );
    assert_eq!(attachments, [Bytes::from_static(&[7, 8])]);
}

#[cfg(feature = "msgpack")]
#[test]
fn arguments_in_messagepack_are_an_array_with_nil_for_a_byte_string() {
    let (body, _) = body(Codec::MessagePack);
    let track = b"\x82\xa5title\xa1a\xa6length\xcd\x01\x2c";
    assert_eq!(body, [b"\x93", &track[..], b"\xc0\xff"].concat());
}

#[test]
fn the_hash_of_a_shape_is_over_its_canonical_form() {
    let mut form = vec![22, 2, 0, 0, 0, 5, 0, 0, 0];
    form.extend(b"title");
    form.extend([16, 6, 0, 0, 0]);
    form.extend(b"length");
    form.extend([18, 9]);
    assert_eq!(Shape::of::<Track>().hash(), farref_proto::fnv1a32(&form));
}
