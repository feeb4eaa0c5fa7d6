//! Which types can read each other's values, and what is said about those that cannot.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::shape::{Shape, compatible};

/// Compares what `Writer` writes with what `Reader` reads.
fn check<Writer: DeserializeOwned, Reader: DeserializeOwned>() -> Result<(), String> {
    compatible(&Shape::of::<Writer>(), &Shape::of::<Reader>())
        .map_err(|mismatch| mismatch.to_string())
}

mod old {
    use super::*;

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only traced")]
    pub(super) struct Track {
        pub(super) title: String,
        pub(super) length: u32,
        pub(super) genre: Genre,
        pub(super) next: Option<Box<Track>>,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only traced")]
    pub(super) enum Genre {
        Jazz,
        Rock(u8),
        Other { name: String },
    }
}

mod new {
    use super::*;

    #[derive(Deserialize)]
    #[serde(rename = "Song")]
    #[expect(dead_code, reason = "only traced")]
    pub(super) struct Track {
        pub(super) genre: Genre,
        pub(super) length: Option<u32>,
        pub(super) title: String,
        #[serde(default)]
        pub(super) plays: u64,
        pub(super) artist: Option<String>,
        pub(super) next: Option<Box<Track>>,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only traced")]
    pub(super) enum Genre {
        Folk,
        Jazz,
        Rock(u8),
        Other {
            name: String,
            #[serde(default)]
            rank: u8,
        },
    }
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only traced")]
struct Strict {
    title: String,
    length: u32,
    artist: String,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only traced")]
struct Retyped {
    title: u8,
    length: u32,
    genre: old::Genre,
    next: Option<Box<Retyped>>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only traced")]
enum OtherGenre {
    Jazz(u8),
}

#[derive(Deserialize)]
enum Foreign {
    Opera,
}

#[test]
fn what_grew_compatibly_is_compatible() {
    assert_eq!(check::<old::Track, new::Track>(), Ok(()));
    assert_eq!(check::<Vec<old::Track>, Vec<new::Track>>(), Ok(()));
    assert_eq!(check::<u8, Option<u8>>(), Ok(()));
    #[cfg(feature = "json")]
    assert_eq!(check::<old::Track, serde_json::Value>(), Ok(()));
}

#[test]
fn what_became_optional_cannot_be_read_by_the_old() {
    assert_eq!(
        check::<new::Track, old::Track>(),
        Err("field `length`: expected a u32, found a u32 or nothing".into())
    );
}

#[test]
fn a_mismatch_names_the_place() {
    for (result, message) in [
        (
            check::<old::Track, Strict>(),
            "field `artist`: expected a string, found no such field",
        ),
        (
            check::<Vec<old::Track>, Vec<Retyped>>(),
            "`[].title`: expected a u8, found a string",
        ),
        (
            check::<BTreeMap<u8, old::Track>, BTreeMap<u8, Retyped>>(),
            "`[].title`: expected a u8, found a string",
        ),
        (
            check::<(u8, old::Track), (u8, Retyped)>(),
            "`[1].title`: expected a u8, found a string",
        ),
        (check::<u8, u16>(), "expected a u16, found a u8"),
        (
            check::<(u8, u8), (u8, u8, u8)>(),
            "expected a tuple of 3, found a tuple of 2",
        ),
        (
            check::<old::Genre, OtherGenre>(),
            "field `Jazz`: expected a variant with a u8, found a variant without content",
        ),
        (
            check::<old::Genre, Foreign>(),
            "expected an enum Foreign, found an enum without a common variant",
        ),
        (
            check::<old::Track, Vec<u8>>(),
            "expected a sequence of u8, found a struct Track",
        ),
    ] {
        assert_eq!(result, Err(message.into()));
    }
}

#[test]
fn every_shape_is_compatible_with_itself() {
    fn same<T: DeserializeOwned>() {
        assert_eq!(check::<T, T>(), Ok(()), "{}", std::any::type_name::<T>());
    }
    same::<old::Track>();
    same::<new::Track>();
    same::<(Foreign, OtherGenre, Strict)>();
    same::<std::net::SocketAddr>();
    same::<BTreeMap<String, Result<Vec<Option<()>>, char>>>();
}

#[test]
fn a_shape_that_means_nothing_is_an_error_and_no_hang() {
    let dangling = Shape::Named("Nowhere".into());
    assert!(compatible(&dangling, &Shape::U8).is_err());
    assert!(compatible(&Shape::U8, &dangling).is_err());
    let endless = Shape::Newtype {
        name: "X".into(),
        shape: Box::new(Shape::Named("X".into())),
    };
    let _ = compatible(&endless, &endless);
    let _ = compatible(&endless, &Shape::U8);
    assert_ne!(endless.hash(), 0);
}
