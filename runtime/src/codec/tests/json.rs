//! Our JSON beside serde_json's.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{decoded, encode, encoded};
use crate::codec::{Budget, Codec, CodecError, decode};

fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, CodecError> {
    decoded(Codec::Json, text)
}

fn refusal<T: DeserializeOwned>(text: &str) -> String {
    match read::<T>(text.as_bytes()) {
        Ok(_) => panic!("{text} was read"),
        Err(error) => error.to_string(),
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// Text that is JSON now and then.
fn almost() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("null"),
        Just("true"),
        Just("false"),
        Just("nul"),
        Just("\"a\""),
        Just("\""),
        Just("\\"),
        Just("\\n"),
        Just("\\u0041"),
        Just("\\ud834\\udd1e"),
        Just("\\ud834"),
        Just("\\udd1e"),
        Just("\\u00"),
        Just("\u{1}"),
        Just("0"),
        Just("1"),
        Just("-"),
        Just("+"),
        Just("."),
        Just("e"),
        Just("E9"),
        Just("-0"),
        Just("1e400"),
        Just("1.50"),
        Just("18446744073709551616"),
        Just("-9223372036854775809"),
        Just("["),
        Just("]"),
        Just("{"),
        Just("}"),
        Just(","),
        Just(":"),
        Just(" "),
        Just("\n"),
        Just("é"),
        Just("\"k\":1"),
        Just("[1,2]"),
    ];
    prop::collection::vec(word, 0..8).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_serde_json_writes_is_read(value in value()) {
        for text in [serde_json::to_vec(&value), serde_json::to_vec_pretty(&value)] {
            let text = text.expect("encodes");
            prop_assert_eq!(read::<Value>(&text)?, value.clone());
            prop_assert!(read::<IgnoredAny>(&text).is_ok());
        }
    }

    #[test]
    fn what_is_written_is_read_by_serde_json(value in value()) {
        let text = encoded(Codec::Json, &value);
        prop_assert_eq!(serde_json::from_slice::<Value>(&text).expect("is JSON"), value);
    }

    #[test]
    fn what_serde_json_refuses_is_refused(text in almost()) {
        let theirs = serde_json::from_str::<Value>(&text).ok();
        prop_assert_eq!(read::<Value>(text.as_bytes()).ok(), theirs, "{}", text);
        let theirs = serde_json::from_str::<f32>(&text).ok();
        prop_assert_eq!(read::<f32>(text.as_bytes()).ok(), theirs, "{}", text);
        let theirs = serde_json::from_str::<i128>(&text).ok();
        prop_assert_eq!(read::<i128>(text.as_bytes()).ok(), theirs, "{}", text);
    }

    #[test]
    fn single_floats_are_rounded_once(number in any::<f64>()) {
        prop_assume!(number.is_finite());
        let text = format!("{number:e}");
        let expected: f32 = text.parse().expect("is a number");
        prop_assume!(expected.is_finite());
        prop_assert_eq!(read::<f32>(text.as_bytes()), Ok(expected));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Suit {
    Hearts,
    Spades,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Id(i16);

/// Compares one map's text with serde_json's, and reads it again.
fn assert_keys<K>(keys: impl IntoIterator<Item = K>)
where
    K: Ord + std::fmt::Debug + Clone + Serialize + DeserializeOwned,
{
    let map: BTreeMap<K, u8> = keys.into_iter().zip(0..).collect();
    let text = encoded(Codec::Json, &map);
    assert_eq!(text, serde_json::to_vec(&map).expect("encodes"));
    assert_eq!(read(&text), Ok(map));
}

#[test]
fn keys_of_many_types_stand_in_quotes() {
    assert_keys(["", "a\"b\n"].map(str::to_owned));
    assert_keys([true, false]);
    assert_keys(['a', '"']);
    assert_keys([0_u8, 255]);
    assert_keys([u64::MAX, 0]);
    assert_keys([i64::MIN, -1]);
    assert_keys([u128::MAX]);
    assert_keys([i128::MIN]);
    assert_keys([Id(-3), Id(4)]);
    assert_keys([Some(3_u16)]);
    assert_keys([Suit::Hearts, Suit::Spades]);
}

#[test]
fn what_cannot_be_a_key_is_refused() {
    for error in [
        encode(Codec::Json, &BTreeMap::from([((), 1)]), &mut Vec::new()),
        encode(Codec::Json, &BTreeMap::from([([1_u8], 1)]), &mut Vec::new()),
        encode(
            Codec::Json,
            &BTreeMap::from([(None::<u8>, 1)]),
            &mut Vec::new(),
        ),
    ] {
        let error = error.expect_err("is no key").to_string();
        assert!(error.contains("key of a map"), "{error}");
    }
    assert!(refusal::<BTreeMap<u8, u8>>("{\"300\":1}").contains("expected u8"));
    assert!(refusal::<BTreeMap<u8, u8>>("{1:1}").contains("expected a string"));
    assert!(refusal::<BTreeMap<Suit, u8>>("{{\"Spades\":null}:1}").contains("invalid type: map"));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Track {
    title: String,
    #[serde(default)]
    length: u16,
}

#[test]
fn a_struct_is_read_by_name_or_in_order_and_what_it_does_not_know_is_skipped() {
    let track = || Track {
        title: "x".into(),
        length: 3,
    };
    for text in [
        r#"{"title":"x","length":3}"#,
        r#" { "length" : 3 , "new" : [{"a":[1,null,"\u00e9"]},-1.5e3] , "title" : "x" } "#,
        r#"["x",3]"#,
    ] {
        assert_eq!(read(text.as_bytes()), Ok(track()), "{text}");
    }
    let too_long = refusal::<Track>(r#"["x",3,4]"#);
    assert!(
        too_long.contains("expected `]`, found \",4]\""),
        "{too_long}"
    );
}

#[test]
fn errors_say_what_stands_there_instead() {
    for (text, expected) in [
        (
            r#"{"title":7}"#,
            "invalid type: integer `7`, expected a string",
        ),
        (r#"{"title":null}"#, "invalid type: null, expected a string"),
        (
            r#"{"title":"x" "length":1}"#,
            "expected `,` or `}`, found \"\\\"length\\\":1}\"",
        ),
        (r#"{"title" "x"}"#, "expected `:`, found"),
        (r#"{"length":1}"#, "missing field `title`"),
        (
            r#"{"title":"x","length":70000}"#,
            "invalid value: integer `70000`, expected u16",
        ),
        (
            "true",
            "invalid type: boolean `true`, expected struct Track",
        ),
        (r#"{"title":"x""#, "the text ends in the middle of a value"),
        (
            r#"{"title":"\ud800xxxxx"}"#,
            "expected `u` and four hexadecimal digits",
        ),
        (r#"{"title":"\ud800\u0041"}"#, "half of a surrogate pair"),
        ("{\"title\":\"\u{1}\"}", "no control character"),
        ("", "the text ends in the middle of a value"),
    ] {
        let error = refusal::<Track>(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert_eq!(
        read::<String>(b"\"\xff\""),
        Err(CodecError::NotUtf8(Codec::Json))
    );
}

#[test]
fn what_is_skipped_counts_as_deep() {
    let budget = Budget::new().with_depth(4);
    let skip = |text: &[u8]| decode::<IgnoredAny>(Codec::Json, text, &budget).map(drop);
    assert_eq!(skip(b"[[{\"a\":[1]}]]"), Ok(()));
    let too_deep = CodecError::Budget {
        what: "levels of nesting",
        limit: 4,
    };
    assert_eq!(skip(b"[[{\"a\":[[]]}]]"), Err(too_deep));
}

#[test]
fn numbers_that_are_no_json_become_null() {
    assert_eq!(
        encoded(Codec::Json, &(f64::NAN, f32::INFINITY, -0.0_f64, 1e300_f64)),
        b"[null,null,-0.0,1e300]"
    );
}
