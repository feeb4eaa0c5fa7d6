//! `decode(encode(value)) == value`, for many kinds of types in each codec.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use proptest::collection::{btree_map, btree_set, hash_map, vec};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::{decoded, encode, encoded};
use crate::codec::{Codec, CodecError};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Scalars {
    flag: bool,
    letter: char,
    small: (i8, u8, i16, u16),
    large: (i32, u32, i64, u64),
    huge: (i128, u128),
    nothing: (),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Id(u32);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Marker;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Event {
    Stopped,
    Volume(u8),
    Moved(i32, Option<i32>),
    Loaded { title: String, tags: Vec<String> },
    Nested(Box<Event>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Collections {
    list: Vec<Event>,
    sorted: BTreeSet<i64>,
    table: HashMap<String, Option<Id>>,
    #[serde(default)]
    by_id: BTreeMap<u16, Vec<Vec<u8>>>,
    array: [i16; 3],
    marker: Marker,
    address: IpAddr,
    pause: Duration,
    port: NonZeroU16,
    outcome: Result<u8, String>,
}

fn scalars() -> impl Strategy<Value = Scalars> {
    (
        any::<(bool, char)>(),
        any::<(i8, u8, i16, u16)>(),
        any::<(i32, u32, i64, u64)>(),
        any::<(i128, u128)>(),
    )
        .prop_map(|((flag, letter), small, large, huge)| Scalars {
            flag,
            letter,
            small,
            large,
            huge,
            nothing: (),
        })
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,8}"
}

fn event() -> impl Strategy<Value = Event> {
    let leaf = prop_oneof![
        Just(Event::Stopped),
        any::<u8>().prop_map(Event::Volume),
        any::<(i32, Option<i32>)>().prop_map(|(x, y)| Event::Moved(x, y)),
        (text(), vec(text(), 0..4)).prop_map(|(title, tags)| Event::Loaded { title, tags }),
    ];
    leaf.prop_recursive(8, 8, 1, |inner| {
        inner.prop_map(|event| Event::Nested(Box::new(event)))
    })
}

fn collections() -> impl Strategy<Value = Collections> {
    (
        vec(event(), 0..5),
        btree_set(any::<i64>(), 0..5),
        hash_map(text(), any::<Option<u32>>(), 0..5),
        btree_map(any::<u16>(), vec(vec(any::<u8>(), 0..5), 0..3), 0..5),
        any::<[i16; 3]>(),
        any::<IpAddr>(),
        any::<(u64, u16)>(),
        any::<Result<u8, u8>>(),
    )
        .prop_map(
            |(list, sorted, table, by_id, array, address, (pause, port), outcome)| Collections {
                list,
                sorted,
                table: table
                    .into_iter()
                    .map(|(name, id)| (name, id.map(Id)))
                    .collect(),
                by_id,
                array,
                marker: Marker,
                address,
                pause: Duration::from_micros(pause),
                port: NonZeroU16::new(port).unwrap_or(NonZeroU16::MIN),
                outcome: outcome.map_err(|number| number.to_string()),
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn scalars_round_trip(value in scalars()) {
        for codec in Codec::available().iter() {
            prop_assert_eq!(decoded::<Scalars>(codec, &encoded(codec, &value))?, value.clone(), "{}", codec);
        }
    }

    #[test]
    fn floats_round_trip(value in any::<(f64, f32)>()) {
        prop_assume!(value.0.is_finite() && value.1.is_finite());
        for codec in Codec::available().iter() {
            let back = decoded::<(f64, f32)>(codec, &encoded(codec, &value))?;
            prop_assert_eq!(back, value, "{}", codec);
        }
    }

    #[test]
    fn collections_round_trip(value in collections()) {
        for codec in Codec::available().iter() {
            prop_assert_eq!(decoded::<Collections>(codec, &encoded(codec, &value))?, value.clone(), "{}", codec);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..64)) {
        for codec in Codec::available().iter() {
            let _ = decoded::<Scalars>(codec, &bytes);
            let _ = decoded::<Collections>(codec, &bytes);
            let _ = decoded::<&str>(codec, &bytes);
            let _ = decoded::<Event>(codec, &bytes);
        }
    }

    #[test]
    fn damaged_bytes_never_panic(value in collections(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        for codec in Codec::available().iter() {
            let mut bytes = encoded(codec, &value);
            let at = at.index(bytes.len());
            bytes[at] = to;
            let _ = decoded::<Collections>(codec, &bytes);
            prop_assert!(decoded::<Collections>(codec, &bytes[..at]).is_err(), "{}: a prefix decodes", codec);
        }
    }
}

proptest! {
    #[test]
    fn our_postcard_is_postcard(scalars in scalars(), collections in collections(), floats in any::<(f32, f64)>()) {
        let text = std::net::Ipv4Addr::LOCALHOST;
        let value = (scalars, collections, floats, Shown(text), "é");
        prop_assert_eq!(encoded(Codec::Postcard, &value), ::postcard::to_stdvec(&value).expect("encodes"));
    }
}

#[cfg(feature = "json")]
proptest! {
    #[test]
    fn our_json_is_serde_jsons(scalars in scalars(), collections in collections()) {
        let value = (scalars, collections, Shown("\"\u{1}\\é\n"), "\u{8}\u{c}\r\t/\u{7f}");
        let text = serde_json::to_string(&value).expect("encodes");
        prop_assert_eq!(String::from_utf8(encoded(Codec::Json, &value)), Ok(text));
    }
}

/// Is written by `collect_str`.
struct Shown<T>(T);

impl<T: std::fmt::Display> Serialize for Shown<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[test]
fn a_refusal_to_be_written_keeps_its_words() {
    struct Refuses;

    impl Serialize for Refuses {
        fn serialize<S: serde::Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not outside a call"))
        }
    }
    for codec in Codec::available().iter() {
        let error = encode(codec, &vec![Some(Refuses)], &mut Vec::new()).expect_err("refuses");
        assert!(
            error.to_string().contains("not outside a call"),
            "{codec}: {error}"
        );
    }
}

#[test]
fn a_skipped_field_is_an_error_in_postcard_instead_of_a_wrong_value() {
    #[derive(Serialize)]
    struct Skips {
        #[serde(skip_serializing_if = "Option::is_none")]
        first: Option<u8>,
        #[serde(skip)]
        _never: u8,
        second: u8,
    }
    let whole = Skips {
        first: Some(1),
        _never: 9,
        second: 2,
    };
    assert_eq!(encoded(Codec::Postcard, &whole), [1, 1, 2]);
    let skipped = Skips {
        first: None,
        ..whole
    };
    let error = encode(Codec::Postcard, &skipped, &mut Vec::new()).expect_err("skips");
    assert!(error.to_string().contains("`first`"), "{error}");
}

#[test]
fn strings_and_bytes_are_borrowed_from_the_message() {
    for codec in Codec::available().iter() {
        let bytes = encoded(codec, "plain");
        let text: &str = decoded(codec, &bytes).expect("borrows");
        assert!(bytes.as_ptr_range().contains(&text.as_ptr()), "{codec}");

        let bytes = encoded(codec, &("a\nb", 1_u8));
        let (text, _): (Cow<'_, str>, u8) = decoded(codec, &bytes).expect("decodes");
        assert_eq!(text, "a\nb", "{codec}");
    }
}

#[test]
fn encoding_appends() {
    for codec in Codec::available().iter() {
        let mut out = b"kept".to_vec();
        crate::codec::encode(codec, &7_u8, &mut out).expect("encodes");
        assert_eq!(&out[..4], b"kept", "{codec}");
        assert_eq!(decoded::<u8>(codec, &out[4..]), Ok(7), "{codec}");
    }
}

#[test]
fn a_types_own_words_reach_the_error_in_every_codec() {
    for codec in Codec::available().iter() {
        let error = decoded::<NonZeroU16>(codec, &encoded(codec, &0_u16)).expect_err("zero");
        assert!(error.to_string().contains("nonzero"), "{codec}: {error}");

        let nested = vec![Some((1_u8, 0_u16))];
        let error = decoded::<Vec<Option<(u8, NonZeroU16)>>>(codec, &encoded(codec, &nested))
            .expect_err("zero");
        assert!(error.to_string().contains("nonzero"), "{codec}: {error}");
    }
}

#[test]
fn a_type_that_postcard_cannot_carry_is_told_to_use_another_codec() {
    #[derive(Debug, Deserialize, Serialize)]
    #[serde(untagged)]
    enum Either {
        Number(u8),
    }
    let error = decoded::<Either>(Codec::Postcard, &[1]).expect_err("not self-describing");
    assert!(error.to_string().contains("use msgpack or json"), "{error}");
}

#[test]
fn invalid_utf8_is_named() {
    assert_eq!(
        decoded::<String>(Codec::Postcard, &[2, 0xff, 0xff]),
        Err(CodecError::NotUtf8(Codec::Postcard))
    );
    #[cfg(feature = "msgpack")]
    assert_eq!(
        decoded::<String>(Codec::MessagePack, &[0xa2, 0xff, 0xff]),
        Err(CodecError::NotUtf8(Codec::MessagePack))
    );
}

#[cfg(feature = "json")]
#[test]
fn raw_and_any_values_pass() {
    use serde_json::value::RawValue;

    let text = br#"{"raw": [1,  {"a": null}], "any": {"deep": [1, 2.5, "x", true]}}"#;
    #[derive(Deserialize)]
    struct Mixed<'a> {
        #[serde(borrow)]
        raw: &'a RawValue,
        any: serde_json::Value,
    }
    let mixed: Mixed<'_> = decoded(Codec::Json, text).expect("decodes");
    assert_eq!(mixed.raw.get(), r#"[1,  {"a": null}]"#);
    assert_eq!(mixed.any["deep"][1], 2.5);

    let raw: Box<RawValue> = decoded(Codec::Json, b" [1, 2 ] ").expect("decodes");
    assert_eq!(raw.get(), "[1, 2 ]");
    assert_eq!(encoded(Codec::Json, &(1, raw)), b"[1,[1, 2 ]]");
    assert!(decoded::<Box<RawValue>>(Codec::Json, b"[1,").is_err());
}

#[cfg(feature = "msgpack")]
#[test]
fn messagepack_bridges_types_that_differ_compatibly() {
    #[derive(Serialize)]
    struct New {
        added: u8,
        title: &'static str,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct Old {
        title: String,
        #[serde(default)]
        length: u32,
    }
    let bytes = encoded(
        Codec::MessagePack,
        &New {
            added: 1,
            title: "x",
        },
    );
    assert_eq!(
        decoded(Codec::MessagePack, &bytes),
        Ok(Old {
            title: "x".into(),
            length: 0
        })
    );
}
