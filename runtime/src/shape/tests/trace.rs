//! Shapes: what tracing learns of each kind of type.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU8, NonZeroU32};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::shape::{Content, Field, Shape, Variant};

fn seq(inner: Shape) -> Shape {
    Shape::Seq(Box::new(inner))
}

fn option(inner: Shape) -> Shape {
    Shape::Option(Box::new(inner))
}

/// Describes a shape in one line: `Track{title: string, length?: u32}`.
fn sketch(shape: &Shape) -> String {
    fn list<'s>(shapes: impl IntoIterator<Item = &'s Shape>) -> String {
        shapes
            .into_iter()
            .map(sketch)
            .collect::<Vec<_>>()
            .join(", ")
    }
    fn fields(fields: &[Field]) -> String {
        let field = |field: &Field| {
            format!(
                "{}{}: {}",
                field.name,
                if field.has_default { "?" } else { "" },
                sketch(&field.shape)
            )
        };
        fields.iter().map(field).collect::<Vec<_>>().join(", ")
    }
    match shape {
        Shape::Option(inner) => format!("Option({})", sketch(inner)),
        Shape::Seq(inner) => format!("[{}]", sketch(inner)),
        Shape::Map(key, value) => format!("{{{}: {}}}", sketch(key), sketch(value)),
        Shape::Tuple(parts) => format!("({})", list(parts)),
        Shape::Newtype { name, shape } => format!("{name}({})", sketch(shape)),
        Shape::TupleStruct { name, fields } => format!("{name}({})", list(fields)),
        Shape::Struct { name, fields: list } => format!("{name}{{{}}}", fields(list)),
        Shape::Enum { name, variants } => {
            let variant = |variant: &Variant| match &variant.content {
                Content::Unit => variant.name.clone(),
                Content::Newtype(inner) => format!("{}({})", variant.name, sketch(inner)),
                Content::Tuple(parts) => format!("{}({})", variant.name, list(parts)),
                Content::Struct(list) => format!("{}{{{}}}", variant.name, fields(list)),
            };
            format!(
                "{name}<{}>",
                variants.iter().map(variant).collect::<Vec<_>>().join(" | ")
            )
        }
        Shape::Reference { interface } => format!("&{interface}"),
        Shape::Readable { binary, text } => format!("{} / {}", sketch(binary), sketch(text)),
        Shape::Named(name) => format!("^{name}"),
        Shape::Opaque(name) => format!("opaque …{}", name.rsplit("::").next().unwrap_or(name)),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn sketch_of<T: DeserializeOwned>() -> String {
    sketch(&Shape::of::<T>())
}

#[test]
fn scalars_and_collections() {
    assert_eq!(Shape::of::<()>(), Shape::Unit);
    assert_eq!(
        sketch_of::<(bool, i8, i16, i32, i64, i128, u8, u16)>(),
        "(bool, i8, i16, i32, i64, i128, u8, u16)"
    );
    assert_eq!(
        sketch_of::<(u32, u64, u128, f32, f64, char, String)>(),
        "(u32, u64, u128, f32, f64, char, string)"
    );
    assert_eq!(Shape::of::<Vec<Option<u8>>>(), seq(option(Shape::U8)));
    assert_eq!(
        sketch_of::<HashMap<String, BTreeMap<u8, BTreeSet<char>>>>(),
        "{string: {u8: [char]}}"
    );
    assert_eq!(sketch_of::<[u16; 3]>(), "(u16, u16, u16)");
    assert_eq!(sketch_of::<Box<Option<Box<str>>>>(), "Option(string)");
    assert_eq!(Shape::of::<bytes::Bytes>(), Shape::Bytes);
    assert_eq!(sketch_of::<Option<Option<u8>>>(), "Option(Option(u8))");
    assert_eq!(sketch_of::<Mutex<u8>>(), "u8");
}

#[derive(Deserialize)]
struct Marker;

#[derive(Deserialize)]
struct Id(#[expect(dead_code, reason = "only traced")] u32);

#[derive(Deserialize)]
struct Pair(
    #[expect(dead_code, reason = "only traced")] u8,
    #[expect(dead_code, reason = "only traced")] Id,
);

#[derive(Deserialize)]
#[expect(dead_code, reason = "only traced")]
struct Track {
    title: String,
    #[serde(default)]
    length: u32,
    artist: Option<String>,
    #[serde(rename = "kind")]
    genre: Genre,
    ids: Vec<Id>,
    #[serde(skip)]
    cache: u64,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only traced")]
enum Genre {
    Jazz,
    #[serde(rename = "rock")]
    Rock(u8),
    Other {
        name: String,
        #[serde(default)]
        rank: u8,
    },
    Mixed(Box<Genre>, Vec<Genre>),
}

const TRACK: &str = "Track{title: string, length?: u32, artist?: Option(string), kind: Genre<Jazz | rock(u8) | \
                     Other{name: string, rank?: u8} | Mixed(^Genre, [^Genre])>, ids: [Id(u32)]}";

#[test]
fn structs_and_enums() {
    assert_eq!(Shape::of::<Marker>(), Shape::Unit);
    assert_eq!(sketch_of::<Pair>(), "Pair(u8, Id(u32))");
    assert_eq!(sketch_of::<Track>(), TRACK);
    assert_eq!(
        sketch_of::<Vec<(Track, Track)>>(),
        format!("[({TRACK}, {TRACK})]")
    );
    assert_eq!(
        sketch_of::<Result<u8, String>>(),
        "Result<Ok(u8) | Err(string)>"
    );
}

#[test]
fn what_std_has() {
    assert_eq!(sketch_of::<Duration>(), "Duration{secs: u64, nanos: u32}");
    assert_eq!(
        sketch_of::<SystemTime>(),
        "SystemTime{secs_since_epoch: u64, nanos_since_epoch: u32}"
    );
    assert_eq!(sketch_of::<NonZeroU8>(), "u8");
    assert_eq!(sketch_of::<Vec<Option<NonZeroU32>>>(), "[Option(u32)]");
    assert_eq!(
        sketch_of::<std::ops::Range<i8>>(),
        "Range{start: i8, end: i8}"
    );
    assert_eq!(sketch_of::<std::path::PathBuf>(), "string");
    let Shape::Readable { binary, text } = Shape::of::<IpAddr>() else {
        panic!("an IP address has two forms")
    };
    assert_eq!(*text, Shape::String);
    assert!(
        sketch(&binary).starts_with("IpAddr<V4((u8, u8, u8, u8)) | V6("),
        "{}",
        sketch(&binary)
    );
    assert!(
        sketch_of::<Vec<SocketAddr>>().ends_with("/ string]"),
        "{}",
        sketch_of::<Vec<SocketAddr>>()
    );
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only traced")]
struct Tree {
    value: u8,
    children: Vec<Tree>,
    parent: Option<Box<Tree>>,
    named: BTreeMap<String, Tree>,
    data: Data,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only traced")]
enum Data {
    A,
    B(Option<Box<Tree>>),
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only traced")]
enum Expression {
    Add(Box<Expression>, Box<Expression>),
    Negate(Box<Expression>),
    Call {
        name: String,
        arguments: Vec<Expression>,
        kind: Kind,
    },
    Number(f64),
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only traced")]
enum Kind {
    Plain,
    Lambda(Box<Expression>),
}

#[derive(Deserialize)]
struct Chain(#[expect(dead_code, reason = "only traced")] Option<Box<Chain>>);

#[derive(Deserialize)]
#[expect(dead_code, reason = "only traced")]
enum Endless {
    Again(Box<Endless>),
}

#[test]
fn recursive_types_end() {
    assert_eq!(
        sketch_of::<Tree>(),
        "Tree{value: u8, children: [^Tree], parent?: Option(^Tree), named: {string: ^Tree}, \
         data: Data<A | B(Option(^Tree))>}"
    );
    assert_eq!(
        sketch_of::<Vec<Expression>>(),
        "[Expression<Add(^Expression, ^Expression) | Negate(^Expression) | Call{name: string, \
         arguments: [^Expression], kind: Kind<Plain | Lambda(^Expression)>} | Number(f64)>]"
    );
    assert_eq!(sketch_of::<Chain>(), "Chain(Option(^Chain))");
    assert_eq!(sketch_of::<Endless>(), "Endless<Again(^Endless)>");
}

mod other {
    #[derive(serde::Deserialize)]
    #[expect(dead_code, reason = "only traced")]
    pub(super) struct Tree {
        outer: Option<Box<super::Forest>>,
        inner: Option<Box<Tree>>,
    }
}

#[derive(Deserialize)]
#[serde(rename = "Tree")]
#[expect(dead_code, reason = "only traced")]
struct Forest {
    tree: other::Tree,
}

#[test]
fn types_of_one_name_are_kept_apart() {
    assert_eq!(
        sketch_of::<Forest>(),
        "Tree{tree: Tree#2{outer?: Option(^Tree), inner?: Option(^Tree#2)}}"
    );
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only traced")]
struct Aliased {
    #[serde(alias = "a", alias = "zz")]
    name: String,
    #[serde(alias = "size", default)]
    length: u32,
    last: bool,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Lenient {
    a: u8,
    b: String,
}

#[test]
fn aliases_and_defaults_are_told_apart() {
    assert_eq!(
        sketch_of::<Aliased>(),
        "Aliased{name: string, length?: u32, last: bool}"
    );
    assert_eq!(sketch_of::<Lenient>(), "Lenient{a?: u8, b?: string}");
    assert_eq!(
        sketch_of::<Option<Aliased>>(),
        "Option(Aliased{name: string, length?: u32, last: bool})"
    );
}

/// Refuses everything but one text that no sample is.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Password;

impl TryFrom<String> for Password {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "correct horse battery staple" {
            Ok(Self)
        } else {
            Err("wrong password")
        }
    }
}

/// Accepts even numbers above zero only.
#[derive(Deserialize)]
#[serde(try_from = "RawEven")]
struct Even;

#[derive(Deserialize)]
#[serde(rename = "Even")]
struct RawEven {
    value: u32,
}

impl TryFrom<RawEven> for Even {
    type Error = &'static str;

    fn try_from(raw: RawEven) -> Result<Self, Self::Error> {
        if raw.value > 0 && raw.value.is_multiple_of(2) {
            Ok(Self)
        } else {
            Err("odd")
        }
    }
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only traced")]
struct Login {
    name: String,
    password: Password,
    genre: Genre,
    second: Option<Password>,
    old: Vec<Password>,
    by_name: BTreeMap<String, Password>,
    choice: Choice,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only traced")]
enum Choice {
    Secret(Password),
    Public,
    Both { a: Password, b: Genre },
}

#[test]
fn types_that_validate() {
    assert_eq!(sketch_of::<Even>(), "Even{value: u32}");
    assert_eq!(sketch_of::<Password>(), "opaque …Password");
    assert_eq!(sketch_of::<Vec<Password>>(), "[opaque …Password]");
    assert_eq!(sketch_of::<Option<Password>>(), "Option(opaque …Password)");
    let genre = sketch_of::<Genre>();
    assert_eq!(
        sketch_of::<Login>(),
        format!(
            "Login{{name: string, password: opaque …Password, genre: {genre}, \
             second?: Option(opaque …Password), old: [opaque …Password], \
             by_name: {{string: opaque …Password}}, choice: Choice<Secret(opaque …Password) | Public | \
             Both{{a: opaque …Password, b: {genre}}}>}}"
        )
    );
    // Around a struct that cannot be made, everything else is still traced.
    assert_eq!(
        sketch_of::<(Option<Login>, Genre)>(),
        format!("(Option({}), {genre})", sketch_of::<Login>())
    );
}

#[derive(Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "only traced")]
enum Untagged {
    Number(u8),
    Text(String),
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only traced")]
struct Flat {
    own: u8,
    #[serde(flatten)]
    rest: HashMap<String, u8>,
}

#[test]
fn types_that_take_what_comes() {
    assert_eq!(sketch_of::<Untagged>(), "any");
    assert_eq!(sketch_of::<(u8, serde::de::IgnoredAny)>(), "(u8, any)");
    #[cfg(feature = "json")]
    {
        assert_eq!(sketch_of::<Vec<serde_json::Value>>(), "[any]");
        assert_eq!(sketch_of::<Box<serde_json::value::RawValue>>(), "any");
    }
    // A flattened struct reads keys that are not known; postcard cannot carry it either.
    assert_eq!(sketch_of::<Flat>(), "opaque …Flat");
}

struct Far(#[expect(dead_code, reason = "only traced")] u32);

impl<'de> Deserialize<'de> for Far {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Far;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a reference")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Far, D::Error> {
                u32::deserialize(deserializer).map(Far)
            }
        }

        deserializer.deserialize_newtype_struct("$farref.proxy:Jukebox", Visitor)
    }
}

#[test]
fn references_are_recognised() {
    assert_eq!(
        Shape::of::<Far>(),
        Shape::Reference {
            interface: "Jukebox".into()
        }
    );
    assert_eq!(
        sketch_of::<(Option<Far>, Vec<Far>)>(),
        "(Option(&Jukebox), [&Jukebox])"
    );
}

#[test]
fn hashes_tell_what_postcard_tells() {
    #[derive(Deserialize)]
    #[serde(rename = "Other")]
    #[expect(dead_code, reason = "only traced")]
    struct SameAsAliased {
        name: String,
        length: u32,
        last: bool,
    }
    assert_eq!(
        Shape::of::<Aliased>().hash(),
        Shape::of::<SameAsAliased>().hash(),
        "names and defaults do not count"
    );
    assert_eq!(
        Shape::of::<Id>().hash(),
        Shape::of::<u32>().hash(),
        "a newtype is its field"
    );
    assert_eq!(
        Shape::of::<Pair>().hash(),
        Shape::of::<(u8, u32)>().hash(),
        "a tuple struct is a tuple"
    );

    let different = [
        Shape::of::<()>(),
        Shape::of::<u8>(),
        Shape::of::<u32>(),
        Shape::of::<i32>(),
        Shape::of::<String>(),
        Shape::of::<Vec<String>>(),
        Shape::of::<Option<String>>(),
        Shape::of::<(u8, u8)>(),
        Shape::of::<(u8, u8, u8)>(),
        Shape::of::<Track>(),
        Shape::of::<Lenient>(),
        Shape::of::<Tree>(),
        Shape::of::<Genre>(),
        Shape::of::<Password>(),
        Shape::of::<Far>(),
    ];
    let hashes: BTreeSet<u32> = different.iter().map(Shape::hash).collect();
    assert_eq!(hashes.len(), different.len());
    assert!(!hashes.contains(&0));
}

/// The hash is part of the wire: these never change.
#[test]
fn hashes_are_stable() {
    let golden = [
        (Shape::of::<()>().hash(), 0x040c_5b8c),
        (Shape::of::<u32>().hash(), 0x0f0c_6cdd),
        (Shape::of::<Track>().hash(), 0x0c81_02be),
        (Shape::of::<Tree>().hash(), 0x8398_520a),
    ];
    for (index, (hash, expected)) in golden.into_iter().enumerate() {
        assert_eq!(hash, expected, "{index}: {hash:#010x}");
    }
}

#[test]
fn a_shape_is_a_value_on_the_wire() {
    for shape in [
        Shape::of::<Track>(),
        Shape::of::<Tree>(),
        Shape::of::<Login>(),
        Shape::of::<IpAddr>(),
    ] {
        let bytes = postcard::to_stdvec(&shape).expect("encodes");
        assert_eq!(
            postcard::from_bytes::<Shape>(&bytes).expect("decodes"),
            shape
        );
    }
}

#[test]
fn a_shape_is_described_in_words() {
    assert_eq!(
        Shape::of::<Vec<Option<i32>>>().to_string(),
        "a sequence of optional i32"
    );
    assert_eq!(Shape::of::<Track>().to_string(), "a struct Track");
    assert_eq!(Shape::of::<Genre>().to_string(), "an enum Genre");
    assert_eq!(Shape::of::<Far>().to_string(), "a reference to a Jukebox");
    assert_eq!(Shape::of::<IpAddr>().to_string(), "a string");
}
