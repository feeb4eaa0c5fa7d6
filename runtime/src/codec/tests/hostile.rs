//! Messages made to exhaust their receiver.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{decoded, encoded};
use crate::codec::{Budget, Codec, CodecError, decode};

const TOO_MANY: CodecError = CodecError::Budget {
    what: "elements",
    limit: 1_000_000,
};
const TOO_DEEP: CodecError = CodecError::Budget {
    what: "levels of nesting",
    limit: 64,
};

#[derive(Debug, Default, Serialize, Deserialize)]
struct Chain {
    next: Option<Box<Chain>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Thin(Option<Box<Thin>>);

#[derive(Debug, Serialize, Deserialize)]
enum Tree {
    Node(Vec<Tree>),
    Pair(Box<Tree>, Box<Tree>),
    Named { inner: Box<Tree> },
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
    out
}

#[test]
fn elements_without_bytes_are_counted() {
    let began = Instant::now();
    assert_eq!(
        decoded::<Vec<()>>(Codec::Postcard, &varint(u64::MAX)),
        Err(TOO_MANY)
    );
    assert_eq!(
        decoded::<std::collections::HashMap<(), ()>>(Codec::Postcard, &varint(u64::MAX)),
        Err(TOO_MANY)
    );
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "took {:?}",
        began.elapsed()
    );
}

#[test]
fn elements_are_counted_over_all_collections() {
    let budget = Budget::new().with_elements(10);
    let fits = encoded(Codec::Postcard, &(vec![1_u32; 4], vec![vec![2_u32; 2]; 2]));
    assert!(decode::<(Vec<u32>, Vec<Vec<u32>>)>(Codec::Postcard, &fits, &budget).is_ok());
    for codec in Codec::available().iter() {
        let bytes = encoded(codec, &(vec![1_u32; 5], vec![vec![2_u32; 2]; 2]));
        let error =
            decode::<(Vec<u32>, Vec<Vec<u32>>)>(codec, &bytes, &budget).expect_err("eleven");
        assert_eq!(
            error,
            CodecError::Budget {
                what: "elements",
                limit: 10
            },
            "{codec}"
        );
    }
}

#[test]
fn one_byte_elements_are_bounded_by_the_message() {
    let bytes = encoded(Codec::Postcard, &vec![0_u8; 4 << 20]);
    assert_eq!(
        decoded::<Vec<u8>>(Codec::Postcard, &bytes).map(|list| list.len()),
        Ok(4 << 20)
    );
}

#[test]
fn two_million_levels_are_an_error_and_no_crash() {
    let levels = 2_000_000;
    assert_eq!(
        decoded::<Thin>(Codec::Postcard, &vec![1; levels]).err(),
        Some(TOO_DEEP)
    );
    assert_eq!(
        decoded::<Chain>(Codec::Postcard, &vec![1; levels]).err(),
        Some(TOO_DEEP)
    );
    assert_eq!(
        decoded::<Tree>(Codec::Postcard, &vec![1; levels]).err(),
        Some(TOO_DEEP)
    );
    assert_eq!(
        decoded::<Tree>(Codec::Postcard, &vec![2; levels]).err(),
        Some(TOO_DEEP)
    );
    assert_eq!(
        decoded::<Tree>(Codec::Postcard, &[0, 1].repeat(levels)).err(),
        Some(TOO_DEEP)
    );
    #[cfg(feature = "msgpack")]
    {
        let mut bytes = vec![0x91; levels];
        bytes.push(0xc0);
        assert_eq!(
            decoded::<Deep>(Codec::MessagePack, &bytes).err(),
            Some(TOO_DEEP)
        );
        let error = decoded::<serde::de::IgnoredAny>(Codec::MessagePack, &bytes);
        assert_eq!(
            error.err(),
            Some(TOO_DEEP),
            "what is skipped is charged too"
        );
    }
    #[cfg(feature = "json")]
    {
        let bytes = b"[".repeat(levels);
        assert_eq!(decoded::<Deep>(Codec::Json, &bytes).err(), Some(TOO_DEEP));
        assert!(decoded::<serde::de::IgnoredAny>(Codec::Json, &bytes).is_err());
        assert!(decoded::<serde_json::Value>(Codec::Json, &bytes).is_err());
    }
}

/// Sequences in sequences, by a newtype.
#[cfg(any(feature = "msgpack", feature = "json"))]
#[derive(Debug, Deserialize)]
struct Deep(#[expect(dead_code, reason = "only decoding is tested")] Vec<Deep>);

#[test]
fn depth_up_to_the_budget_decodes() {
    let mut chain = Chain::default();
    for _ in 0..31 {
        chain = Chain {
            next: Some(Box::new(chain)),
        };
    }
    for codec in Codec::available().iter() {
        let bytes = encoded(codec, &chain);
        assert!(
            decoded::<Chain>(codec, &bytes).is_ok(),
            "{codec}: 63 levels"
        );
        let bytes = encoded(
            codec,
            &Chain {
                next: Some(Box::new(Chain { next: None })),
            },
        );
        assert!(
            decode::<Chain>(codec, &bytes, &Budget::new().with_depth(3)).is_ok(),
            "{codec}"
        );
        assert!(
            decode::<Chain>(codec, &bytes, &Budget::new().with_depth(2)).is_err(),
            "{codec}"
        );
    }
}

#[test]
fn trailing_bytes_are_refused() {
    for codec in Codec::available().iter() {
        let mut bytes = encoded(codec, &(1_u8, "x"));
        bytes.extend_from_slice(b"123");
        assert_eq!(
            decoded::<(u8, &str)>(codec, &bytes),
            Err(CodecError::TrailingBytes(3)),
            "{codec}"
        );
    }
}

#[test]
fn a_lying_length_fails_at_once() {
    assert!(decoded::<String>(Codec::Postcard, &varint(u64::MAX)).is_err());
    assert!(decoded::<Vec<u64>>(Codec::Postcard, &varint(u64::MAX)).is_err());
    #[cfg(feature = "msgpack")]
    for marker in [0xc6, 0xc9, 0xdb, 0xdd, 0xdf] {
        let bytes = [marker, 0xff, 0xff, 0xff, 0xff, 0];
        assert!(decoded::<Vec<String>>(Codec::MessagePack, &bytes).is_err());
        assert!(decoded::<serde::de::IgnoredAny>(Codec::MessagePack, &bytes).is_err());
    }
}
