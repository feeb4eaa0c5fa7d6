//! JSON against a shape: checked, turned into postcard, and back.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::net::IpAddr;

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::codec::{Budget, CodecError};
use crate::shape::{Shape, check_json, json_to_postcard, postcard_to_json};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Track {
    title: String,
    length: u32,
    artist: Option<String>,
    genre: Genre,
    ids: Vec<Id>,
    scores: BTreeMap<i16, f64>,
    next: Option<Box<Track>>,
    big: (u128, i128),
    letter: char,
    unit: (),
    data: bytes::Bytes,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Id(u64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Genre {
    Jazz,
    Rock(u8),
    Mixed(Box<Genre>, i8),
    Other { name: String, rank: Option<bool> },
}

fn track() -> Track {
    Track {
        title: "So What".into(),
        length: 562,
        artist: Some("Miles Davis".into()),
        genre: Genre::Mixed(
            Box::new(Genre::Other {
                name: "modal".into(),
                rank: Some(true),
            }),
            -3,
        ),
        ids: vec![Id(7), Id(u64::MAX)],
        scores: BTreeMap::from([(-1, 0.5), (3, 1e9)]),
        next: Some(Box::new(Track {
            next: None,
            genre: Genre::Rock(1),
            ..simple()
        })),
        big: (5, -6),
        letter: 'é',
        unit: (),
        data: bytes::Bytes::from_static(&[1, 2, 255]),
    }
}

fn simple() -> Track {
    Track {
        title: String::new(),
        length: 0,
        artist: None,
        genre: Genre::Jazz,
        ids: vec![],
        scores: BTreeMap::new(),
        next: None,
        big: (0, 0),
        letter: 'a',
        unit: (),
        data: bytes::Bytes::new(),
    }
}

fn to_postcard<T: DeserializeOwned>(value: &Value) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    json_to_postcard(value, &Shape::of::<T>(), &mut out)
        .map_err(|mismatch| mismatch.to_string())?;
    Ok(out)
}

fn check<T: DeserializeOwned>(value: &Value) -> Result<(), String> {
    check_json(value, &Shape::of::<T>()).map_err(|mismatch| mismatch.to_string())
}

/// What serde_json writes fits the shape, and through postcard by shape it is the same value.
fn assert_transcodes<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let shape = Shape::of::<T>();
    let json = serde_json::to_value(value).expect("is JSON");
    assert_eq!(check_json(&json, &shape), Ok(()));
    let mut bytes = Vec::new();
    json_to_postcard(&json, &shape, &mut bytes).expect("transcodes");
    // Not the bytes: an object of JSON does not keep the order of a map.
    assert_eq!(&postcard::from_bytes::<T>(&bytes).expect("decodes"), value);
    assert_eq!(
        postcard_to_json(&bytes, &shape, &Budget::default()).expect("reads"),
        json
    );
}

#[test]
fn values_pass_through_json_and_postcard() {
    assert_transcodes(&track());
    assert_transcodes(&simple());
    assert_transcodes(&HashMap::from([(true, 'x')]));
    assert_transcodes(&(1_u8, "x".to_owned(), [1_i64, 2], Some(())).0);
    assert_transcodes(&vec![Some(1.5_f32), None]);
}

fn genre() -> impl Strategy<Value = Genre> {
    let leaf = prop_oneof![
        Just(Genre::Jazz),
        any::<u8>().prop_map(Genre::Rock),
        any::<(String, Option<bool>)>().prop_map(|(name, rank)| Genre::Other { name, rank }),
    ];
    leaf.prop_recursive(6, 6, 1, |inner| {
        (inner, any::<i8>()).prop_map(|(genre, number)| Genre::Mixed(Box::new(genre), number))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_value_passes_through(
        genre in genre(),
        title in any::<String>(),
        ids in prop::collection::vec(any::<u64>(), 0..5),
        keys in prop::collection::vec(any::<i16>(), 0..5),
        artist in any::<Option<String>>(),
    ) {
        let scores = keys.into_iter().map(|key| (key, f64::from(key) / 8.0)).collect();
        let ids = ids.into_iter().map(Id).collect();
        assert_transcodes(&Track { title, genre, ids, artist, scores, ..track() });
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let shape = Shape::of::<Track>();
        if let Ok(value) = postcard_to_json(&bytes, &shape, &Budget::default()) {
            prop_assert_eq!(check_json(&value, &shape), Ok(()));
        }
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let with = |path: &[&str], value: Value| {
        let mut json = serde_json::to_value(track()).expect("is JSON");
        let mut place = &mut json;
        for name in path {
            place = match name.parse::<usize>() {
                Ok(index) => &mut place[index],
                Err(_) => &mut place[*name],
            };
        }
        *place = value;
        check::<Track>(&json)
    };
    for (path, value, message) in [
        (
            &["title"][..],
            json!(3),
            "field `title`: expected a string, found 3",
        ),
        (
            &["length"],
            json!(-1),
            "field `length`: expected a u32, found -1",
        ),
        (
            &["length"],
            json!(1.5),
            "field `length`: expected a u32, found 1.5",
        ),
        (
            &["length"],
            json!(4_294_967_296_u64),
            "field `length`: expected a u32, found 4294967296",
        ),
        (
            &["artist"],
            json!([]),
            "field `artist`: expected a string, found []",
        ),
        (
            &["ids", "1"],
            json!("7"),
            "field `ids[1]`: expected a u64, found \"7\"",
        ),
        (
            &["next", "title"],
            json!(null),
            "field `next.title`: expected a string, found null",
        ),
        (
            &["next", "titel"],
            json!(""),
            "field `next`: expected one of the fields `title`, `length`, `artist`, `genre`, \
            `ids`, `scores`, `next`, `big`, `letter`, `unit`, `data`, found the field `titel`",
        ),
        (
            &["letter"],
            json!("ab"),
            "field `letter`: expected a char, found \"ab\"",
        ),
        (
            &["unit"],
            json!(0),
            "field `unit`: expected nothing, found 0",
        ),
        (
            &["data", "0"],
            json!(256),
            "field `data`: expected a byte string, found [256,2,255]",
        ),
        (
            &["genre"],
            json!("Jaz"),
            "field `genre`: expected one of the variants `Jazz`, `Rock`, `Mixed`, `Other`, \
            found \"Jaz\"",
        ),
        (
            &["genre"],
            json!("Rock"),
            "field `genre`: expected a variant with a u8, found \"Rock\"",
        ),
        (
            &["genre"],
            json!({"Rock": 300}),
            "field `genre.Rock`: expected a u8, found 300",
        ),
        (
            &["genre"],
            json!({"Mixed": ["Jazz"]}),
            "field `genre.Mixed`: expected an array of 2, found [\"Jazz\"]",
        ),
        (
            &["scores"],
            json!({"x": 1.0}),
            "field `scores`: expected an i16 as a key, found \"x\"",
        ),
    ] {
        assert_eq!(with(path, value), Err(message.into()), "{path:?}");
    }
    assert_eq!(
        check::<Track>(&json!({})),
        Err("field `title`: expected a string, found no such field".into())
    );
    let long = check::<u8>(&json!("x".repeat(1000))).expect_err("too long");
    assert!(long.len() < 200, "{long}");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Lenient {
    name: String,
    #[serde(default)]
    rank: u8,
    note: Option<String>,
}

#[test]
fn defaults_may_be_left_out_where_the_type_itself_reads() {
    let json = json!({"name": "x"});
    assert_eq!(check::<Lenient>(&json), Ok(()));
    assert_eq!(
        to_postcard::<Lenient>(&json),
        Err("field `rank`: expected a u8, found no such field".into())
    );
    let bytes = to_postcard::<Lenient>(&json!({"name": "x", "rank": 2})).expect("transcodes");
    assert_eq!(
        postcard::from_bytes(&bytes),
        Ok(Lenient {
            name: "x".into(),
            rank: 2,
            note: None
        })
    );
}

#[test]
fn addresses_have_their_readable_form_in_json_only() {
    assert_eq!(check::<IpAddr>(&json!("127.0.0.1")), Ok(()));
    assert!(check::<IpAddr>(&json!({"V4": [127, 0, 0, 1]})).is_err());
    let bytes = to_postcard::<IpAddr>(&json!({"V4": [127, 0, 0, 1]})).expect("transcodes");
    assert_eq!(
        postcard::from_bytes::<IpAddr>(&bytes).expect("decodes"),
        IpAddr::from([127, 0, 0, 1])
    );
}

#[test]
fn numbers_of_128_bits_may_be_digits() {
    let bytes =
        to_postcard::<u128>(&json!("340282366920938463463374607431768211455")).expect("transcodes");
    assert_eq!(postcard::from_bytes(&bytes), Ok(u128::MAX));
    let value = postcard_to_json(&bytes, &Shape::U128, &Budget::default()).expect("reads");
    assert_eq!(value, json!("340282366920938463463374607431768211455"));
}

#[test]
fn what_postcard_cannot_carry_is_said() {
    let error = to_postcard::<Vec<Value>>(&json!([1])).expect_err("any");
    assert!(error.contains("json codec"), "{error}");
    assert_eq!(check::<Vec<Value>>(&json!([1])), Ok(()));
    let error =
        postcard_to_json(&[1, 0], &Shape::of::<Vec<Value>>(), &Budget::default()).expect_err("any");
    assert!(error.to_string().contains("json codec"), "{error}");
}

#[test]
fn hostile_bytes_and_shapes_are_bounded() {
    let many = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let error =
        postcard_to_json(&many, &Shape::of::<Vec<()>>(), &Budget::default()).expect_err("many");
    assert_eq!(
        error,
        CodecError::Budget {
            what: "elements",
            limit: 1_000_000
        }
    );

    #[derive(Deserialize)]
    struct Chain(#[expect(dead_code, reason = "only traced")] Option<Box<Chain>>);
    let deep = vec![1; 100_000];
    let error =
        postcard_to_json(&deep, &Shape::of::<Chain>(), &Budget::default()).expect_err("deep");
    assert_eq!(
        error,
        CodecError::Budget {
            what: "levels of nesting",
            limit: 64
        }
    );

    let endless = Shape::Newtype {
        name: "X".into(),
        shape: Box::new(Shape::Named("X".into())),
    };
    assert!(check_json(&json!(1), &endless).is_err());
    assert!(json_to_postcard(&json!(1), &endless, &mut Vec::new()).is_err());
    assert!(postcard_to_json(&[1], &endless, &Budget::default()).is_err());

    let mut out = vec![9];
    assert!(json_to_postcard(&json!(["x", 1]), &Shape::of::<Vec<String>>(), &mut out).is_err());
    assert_eq!(out, [9], "nothing is written on an error");
    assert!(matches!(
        postcard_to_json(&[1, 2], &Shape::U8, &Budget::default()),
        Err(CodecError::TrailingBytes(1))
    ));
}
