//! What a message may make its receiver reserve: four times its length plus 1 MiB, whatever it claims.
//!
//! The bound is on memory ahead of data. Data itself may well be larger in memory than on the wire (a small
//! `u64` is one byte there); that is bounded by the element budget.

use std::collections::{BTreeMap, HashMap, VecDeque};

use proptest::prelude::*;
use serde::Deserialize;

use super::{decoded, encoded};
use crate::codec::Codec;

/// Returns the most memory that decoding held at once, in bytes.
fn peak<'de, T: Deserialize<'de>>(codec: Codec, bytes: &'de [u8]) -> u64 {
    allocation_counter::measure(|| drop(decoded::<T>(codec, bytes))).bytes_max
}

fn assert_bounded<'de, T: Deserialize<'de>>(codec: Codec, bytes: &'de [u8]) {
    let bound = 4 * bytes.len() as u64 + (1 << 20);
    let peak = peak::<T>(codec, bytes);
    assert!(
        peak < bound,
        "{} {codec} bytes of {} made {peak} bytes of memory, more than {bound}",
        bytes.len(),
        std::any::type_name::<T>()
    );
}

/// A recursive type with a large body, so that each reservation costs much.
#[derive(Deserialize)]
struct Node {
    #[expect(dead_code, reason = "only decoding is tested")]
    children: Vec<Node>,
    #[expect(dead_code, reason = "only decoding is tested")]
    body: [u64; 32],
}

#[derive(Deserialize)]
struct Lists(#[expect(dead_code, reason = "only decoding is tested")] Vec<Lists>);

#[derive(Deserialize)]
struct Maps(#[expect(dead_code, reason = "only decoding is tested")] HashMap<u64, Maps>);

/// Claims, at each level, as many elements as there are bytes left.
fn nested_claims(size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size);
    while bytes.len() < size {
        let mut left = (size - bytes.len()).saturating_sub(4);
        while left >= 0x80 {
            bytes.push((left & 0x7f) as u8 | 0x80);
            left >>= 7;
        }
        bytes.push(left as u8);
    }
    bytes
}

#[test]
fn nested_collections_that_each_claim_much_reserve_little() {
    for size in [16, 1 << 10, 64 << 10, 1 << 20, 4 << 20] {
        let bytes = nested_claims(size);
        assert_bounded::<Vec<Vec<Vec<Vec<Vec<u8>>>>>>(Codec::Postcard, &bytes);
        assert_bounded::<VecDeque<HashMap<u8, Vec<[u8; 32]>>>>(Codec::Postcard, &bytes);
        assert_bounded::<Lists>(Codec::Postcard, &bytes);
        assert_bounded::<Maps>(Codec::Postcard, &bytes);
        assert_bounded::<Node>(Codec::Postcard, &bytes);
    }
}

#[cfg(feature = "msgpack")]
#[test]
fn nested_messagepack_arrays_reserve_little() {
    // Each array claims 32 767 elements, which the nulls at the end supply as far as the scan can tell.
    let mut bytes = [0xdc, 0x7f, 0xff].repeat(60);
    bytes.resize(2 << 20, 0xc0);
    assert_bounded::<Lists>(Codec::MessagePack, &bytes);
    assert_bounded::<Vec<Vec<Vec<Vec<String>>>>>(Codec::MessagePack, &bytes);
}

#[cfg(feature = "json")]
#[test]
fn nested_json_arrays_reserve_little() {
    let bytes = b"[".repeat(4 << 20);
    assert_bounded::<Lists>(Codec::Json, &bytes);
    assert_bounded::<serde_json::Value>(Codec::Json, &bytes);
}

#[test]
fn strings_are_not_reserved_ahead_of_their_bytes() {
    for codec in Codec::available().iter() {
        let bytes = [0xff, 0xff, 0xff, 0xff, 0x0f, b'x'];
        assert_bounded::<String>(codec, &bytes);
        assert_bounded::<bytes::Bytes>(codec, &bytes);
    }
}

#[test]
fn honest_collections_are_reserved_at_once() {
    let bytes = encoded(Codec::Postcard, &vec![7_u16; 1000]);
    let info = allocation_counter::measure(|| drop(decoded::<Vec<u16>>(Codec::Postcard, &bytes)));
    assert_eq!((info.count_total, info.bytes_total), (1, 2000));
}

#[test]
fn decoding_borrowed_values_allocates_nothing() {
    for codec in Codec::available().iter() {
        let bytes = encoded(codec, &("text", 7_u32, [1.5_f64; 3]));
        let info =
            allocation_counter::measure(|| drop(decoded::<(&str, u32, [f64; 3])>(codec, &bytes)));
        assert_eq!(info.count_total, 0, "{codec}");
    }
}

proptest! {
    #[test]
    fn random_bytes_stay_under_the_bound(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for codec in Codec::available().iter() {
            assert_bounded::<Node>(codec, &bytes);
            assert_bounded::<Maps>(codec, &bytes);
            assert_bounded::<BTreeMap<String, Vec<HashMap<u16, Option<[u32; 8]>>>>>(codec, &bytes);
        }
    }
}
