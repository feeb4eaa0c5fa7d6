//! Arguments, one by one.

use bytes::Bytes;
use farref_proto::Seldom;
use proptest::prelude::*;

use crate::codec::{ArgumentsDecoder, ArgumentsEncoder, Budget, Codec, CodecError};

/// Encodes a number, a text and an attachment.
fn three(codec: Codec, number: u32, text: &str, data: &[u8]) -> (Vec<u8>, Vec<Bytes>) {
    let (mut body, mut attachments) = (Vec::new(), Vec::new());
    let mut encoder =
        ArgumentsEncoder::new(codec, 3, &mut body, &mut attachments).expect("available");
    encoder.value(&number).expect("encodes");
    encoder
        .bytes(Bytes::copy_from_slice(data))
        .expect("attaches");
    encoder.value(text).expect("encodes");
    encoder.finish();
    (body, attachments)
}

fn decoder<'de>(
    codec: Codec,
    body: &'de [u8],
    attachments: &[Bytes],
    count: usize,
) -> ArgumentsDecoder<'de> {
    ArgumentsDecoder::new(
        codec,
        body,
        attachments.to_vec().into(),
        &Budget::default(),
        count,
    )
    .expect("begins")
}

proptest! {
    #[test]
    fn arguments_round_trip(number in any::<u32>(), text in any::<String>(), data in any::<Vec<u8>>()) {
        for codec in Codec::available().iter() {
            let (body, attachments) = three(codec, number, &text, &data);
            let mut decoder = decoder(codec, &body, &attachments, 3);
            prop_assert_eq!(decoder.next::<u32>()?, number);
            prop_assert_eq!(decoder.next_bytes()?, &data);
            prop_assert_eq!(decoder.next_str()?, text.as_str());
            decoder.finish()?;
        }
    }

    #[test]
    fn random_bodies_never_panic(body in prop::collection::vec(any::<u8>(), 0..40)) {
        for codec in Codec::available().iter() {
            if let Ok(mut decoder) = ArgumentsDecoder::new(codec, &body, Seldom::new(), &Budget::default(), 3) {
                let _ = decoder.next::<u32>();
                let _ = decoder.next_bytes();
                let _ = decoder.next_str();
                let _ = decoder.finish();
            }
        }
    }
}

#[test]
fn the_layout_of_each_codec_is_fixed() {
    let (body, attachments) = three(Codec::Postcard, 300, "hi", b"data");
    assert_eq!(body, [0xac, 0x02, 2, b'h', b'i']);
    assert_eq!(attachments, [Bytes::from_static(b"data")]);
    #[cfg(feature = "msgpack")]
    {
        let (body, attachments) = three(Codec::MessagePack, 300, "hi", b"data");
        assert_eq!(body, [0x93, 0xcd, 0x01, 0x2c, 0xc0, 0xa2, b'h', b'i']);
        assert_eq!(attachments.len(), 1);
    }
    #[cfg(feature = "json")]
    {
        let (body, attachments) = three(Codec::Json, 300, "hi", b"data");
        assert_eq!(body, br#"[300,null,"hi"]"#);
        assert_eq!(attachments.len(), 1);
    }
}

#[test]
fn no_arguments_is_an_empty_body_or_array() {
    for codec in Codec::available().iter() {
        let (mut body, mut attachments) = (Vec::new(), Vec::new());
        ArgumentsEncoder::new(codec, 0, &mut body, &mut attachments)
            .expect("available")
            .finish();
        assert_eq!(
            decoder(codec, &body, &attachments, 0).finish(),
            Ok(()),
            "{codec}"
        );
        assert_eq!(
            decoder(codec, &body, &attachments, 0).next::<u8>(),
            Err(CodecError::MissingArgument { index: 0 }),
            "{codec}"
        );
    }
}

#[test]
fn missing_and_superfluous_arguments_are_named() {
    for codec in Codec::available().iter() {
        let (body, attachments) = three(codec, 1, "x", b"");

        let mut few = decoder(codec, &body, &attachments, 2);
        few.next::<u32>().expect("first");
        few.next_bytes().expect("second");
        let expected = match codec {
            Codec::Postcard => CodecError::TrailingBytes(2),
            _ => CodecError::TooManyArguments { expected: 2 },
        };
        assert_eq!(few.finish(), Err(expected), "{codec}");

        let mut many = decoder(codec, &body, &attachments, 4);
        many.next::<u32>().expect("first");
        many.next_bytes().expect("second");
        many.next_str().expect("third");
        let error = many.next::<u32>().expect_err("a fourth");
        if codec == Codec::Postcard {
            assert!(error.to_string().contains("end in the middle"), "{error}");
        } else {
            assert_eq!(error, CodecError::MissingArgument { index: 3 }, "{codec}");
            assert_eq!(
                error.to_string(),
                "argument 4 is missing; do both sides declare the same parameters?"
            );
        }
    }
}

#[test]
fn attachments_must_match() {
    for codec in Codec::available().iter() {
        let (body, mut attachments) = three(codec, 1, "x", b"d");

        let mut without = decoder(codec, &body, &[], 3);
        without.next::<u32>().expect("first");
        assert_eq!(
            without.next_bytes(),
            Err(CodecError::MissingAttachment { index: 1 }),
            "{codec}"
        );

        attachments.push(Bytes::new());
        let mut superfluous = decoder(codec, &body, &attachments, 3);
        superfluous.next::<u32>().expect("first");
        superfluous.next_bytes().expect("second");
        superfluous.next_str().expect("third");
        assert_eq!(
            superfluous.finish(),
            Err(CodecError::UnusedAttachments(1)),
            "{codec}"
        );
    }
}

#[test]
fn all_arguments_share_one_budget() {
    for codec in Codec::available().iter() {
        let (mut body, mut attachments) = (Vec::new(), Vec::new());
        let mut encoder =
            ArgumentsEncoder::new(codec, 2, &mut body, &mut attachments).expect("available");
        encoder.value(&[1_u32; 3][..]).expect("encodes");
        encoder.value(&[1_u32; 3][..]).expect("encodes");
        encoder.finish();
        let budget = Budget::new().with_elements(5);
        let mut decoder =
            ArgumentsDecoder::new(codec, &body, attachments.into(), &budget, 2).expect("begins");
        decoder.next::<Vec<u32>>().expect("three of five");
        let error = decoder.next::<Vec<u32>>().expect_err("six of five");
        assert_eq!(
            error,
            CodecError::Budget {
                what: "elements",
                limit: 5
            },
            "{codec}"
        );
    }
}

#[cfg(feature = "json")]
#[test]
fn json_from_people_is_read_leniently_and_checked_strictly() {
    let spaced = b" [ 1 ,\n [1, 2] , \"\\u0041\" ] ";
    let mut lenient = decoder(Codec::Json, spaced, &[], 3);
    assert_eq!(lenient.next::<u32>(), Ok(1));
    assert_eq!(
        lenient.next_bytes(),
        Ok(Bytes::from_static(&[1, 2])),
        "bytes may stand in the body"
    );
    assert_eq!(lenient.next_str().expect("third"), "A");
    assert_eq!(lenient.finish(), Ok(()));

    for (body, wrong) in [
        (&b"{}"[..], "must be an array"),
        (b"", "must be an array"),
        (b"[1 2]", "expected `,` or `]`"),
        (b"[1,]", "expected a value"),
        (b"[1", "expected `,` or `]`"),
    ] {
        let error = ArgumentsDecoder::new(Codec::Json, body, Seldom::new(), &Budget::default(), 2)
            .and_then(|mut decoder| {
                decoder.next::<u8>()?;
                decoder.next::<u8>()?;
                decoder.finish()
            })
            .expect_err("malformed");
        assert!(
            error.to_string().contains(wrong),
            "{}: {error}",
            String::from_utf8_lossy(body)
        );
    }
    let mut trailing = decoder(Codec::Json, b"[1] 2", &[], 1);
    trailing.next::<u8>().expect("first");
    assert_eq!(trailing.finish(), Err(CodecError::TrailingBytes(1)));
}

#[cfg(not(feature = "json"))]
#[test]
fn an_absent_codec_is_named() {
    let error = ArgumentsDecoder::new(Codec::Json, b"[]", Seldom::new(), &Budget::default(), 0)
        .expect_err("absent");
    assert_eq!(error, CodecError::Unsupported(Codec::Json));
    assert!(error.to_string().contains("feature `json`"));
}
