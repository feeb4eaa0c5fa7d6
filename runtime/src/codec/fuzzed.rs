//! What the fuzz target of the codecs does with its input.
//!
//! It is compiled for the fuzzer, and for the tests, which replay the corpus.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use bytes::Bytes;
use farref_proto::Seldom;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::{ArgumentsDecoder, ArgumentsEncoder, Budget, Codec, CodecError, decode, encode};
use crate::references::{self, Reference};
use crate::remote::Remote;
use crate::stream::RemoteStream;
use crate::transferred::Transferred;
use crate::{Fault, FaultKind, Outcome};

/// Runs what it is given, and returns the most bytes of memory that were held at once meanwhile.
pub type Peak = fn(&mut dyn FnMut()) -> u64;

/// What no element of a collection takes in memory, with the room in which the collection grows.
const ELEMENT: u64 = 4096;

/// Decodes the input as one of many types: the first three bytes say in which codec, as which type and on which budget.
///
/// It must not panic, whatever it is given, and must not take more memory than four times the input, 1 MiB, and what
/// the elements take that the budget allows. What was decoded must survive being encoded, in every codec.
pub fn codecs(data: &[u8], peak: Peak) {
    let [codec, kind, budget, bytes @ ..] = data else {
        return;
    };
    let codec = Codec::ALL[usize::from(codec % 3)];
    let (depth, elements) = [(64, 1000), (64, 100), (8, 20), (1, 1)][usize::from(budget % 4)];
    let input = Input {
        codec,
        bytes,
        budget: Budget::new().with_depth(depth).with_elements(elements),
        peak,
    };
    match kind % 14 {
        0 => input.survives::<Scalars>(true),
        1 => input.survives::<(f32, f64, [f64; 2])>(false),
        2 => input.survives::<Collections>(true),
        3 => input.survives::<Tree>(true),
        4 => input.survives::<Vec<Vec<Vec<Vec<u8>>>>>(true),
        5 => input.survives::<BTreeMap<Key, BTreeMap<i8, BTreeMap<char, u64>>>>(true),
        6 => input.survives::<Vec<()>>(true),
        7 => input.survives::<Vec<Skipping>>(true),
        8 => input.survives::<HashMap<u64, Vec<HashMap<u16, Option<[u32; 8]>>>>>(true),
        9 => input.survives::<(String, Bytes, Option<char>)>(true),
        10 => {
            input.decoded::<IgnoredAny>();
        }
        11 => input.borrows(),
        12 => input.is_arguments(),
        _ => input.survives::<Lists>(true),
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Scalars {
    flag: bool,
    letter: char,
    small: (i8, u8, i16, u16),
    large: (i32, u32, i64, u64),
    huge: (i128, u128),
    nothing: (),
    port: NonZeroU16,
    address: IpAddr,
    pause: Duration,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Collections {
    list: Vec<Option<String>>,
    sorted: BTreeSet<i64>,
    table: BTreeMap<String, Vec<Tree>>,
    #[serde(default)]
    numbered: HashMap<u16, (u8, [i16; 3])>,
    bytes: Bytes,
    outcome: Result<u8, String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Number(i64),
    Pair(Box<Tree>, Box<Tree>),
    Named {
        name: String,
        #[serde(default)]
        note: Option<char>,
        #[serde(default)]
        children: Vec<Tree>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Key {
    First,
    Second,
}

/// Takes more memory than bytes: none of what it has is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Skipping {
    #[serde(skip)]
    body: [u64; 32],
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Lists(Vec<Lists>);

struct Input<'a> {
    codec: Codec,
    bytes: &'a [u8],
    budget: Budget,
    peak: Peak,
}

impl<'a> Input<'a> {
    /// Decodes it, and checks what memory that takes.
    fn decoded<T: Deserialize<'a>>(&self) -> Option<T> {
        self.bounded(|| decode(self.codec, self.bytes, &self.budget))
    }

    fn bounded<T>(&self, read: impl Fn() -> Result<T, CodecError>) -> Option<T> {
        let mut result = None;
        let held = (self.peak)(&mut || result = read().ok());
        let bound = 4 * self.bytes.len() as u64 + (1 << 20) + ELEMENT * self.budget.elements;
        assert!(
            held <= bound,
            "{} bytes made {held} of memory, more than {bound}",
            self.bytes.len()
        );
        result
    }

    /// Checks that what is decoded can be encoded and is the same again, in the same codec and, where each can say all
    /// that the type can hold, in the others.
    fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(&self, everywhere: bool) {
        let Some(value) = self.decoded::<T>() else {
            return;
        };
        for codec in Codec::available().iter() {
            if everywhere || codec == self.codec {
                again(codec, &value, everywhere);
            }
        }
    }

    /// Decodes what may lie in the input itself.
    fn borrows(&self) {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Borrowed<'a> {
            #[serde(borrow)]
            text: Cow<'a, str>,
            #[serde(borrow)]
            more: Vec<Cow<'a, str>>,
        }
        let _ = self.decoded::<(&str, &[u8])>();
        if let Some(value) = self.decoded::<Borrowed<'_>>() {
            let encoded = encoded(self.codec, &value);
            assert_eq!(decode(self.codec, &encoded, &LARGE).as_ref(), Ok(&value));
        }
    }

    /// Decodes it as arguments: attachments, references and streams are among them.
    fn is_arguments(&self) {
        let read = || {
            let attachments = vec![Bytes::from_static(b"attached")].into();
            let mut table = transferred();
            references::resolve(&mut table, || {
                let mut arguments =
                    ArgumentsDecoder::new(self.codec, self.bytes, attachments, &self.budget, 5)?;
                let text = arguments.next_str()?.into_owned();
                let reference = arguments.next::<Option<Reference>>()?;
                let bytes = arguments.next_bytes()?;
                let stream = arguments.next::<RemoteStream<u32>>()?;
                let more = arguments.next::<Vec<Reference>>()?;
                arguments.finish()?;
                Ok((text, reference, bytes, stream, more))
            })
        };
        let Some((text, reference, bytes, stream, more)) = self.bounded(read) else {
            return;
        };
        let count = more.len() + usize::from(reference.is_some()) + 1;
        let (mut body, mut attached) = (Vec::new(), Vec::new());
        let (written, mut table) = references::collect(|| {
            let mut arguments = ArgumentsEncoder::new(self.codec, 5, &mut body, &mut attached)?;
            arguments.value(&text)?;
            arguments.value(&reference)?;
            arguments.bytes(bytes.clone())?;
            arguments.value(&stream)?;
            arguments.value(&more)?;
            arguments.finish();
            Ok::<_, CodecError>(())
        });
        assert_eq!((written, table.len()), (Ok(()), count));
        references::resolve(&mut table, || {
            let attached = attached.into();
            let arguments = ArgumentsDecoder::new(self.codec, &body, attached, &LARGE, 5);
            let mut arguments = arguments.expect("it was just encoded");
            assert_eq!(arguments.next_str().as_deref(), Ok(text.as_str()));
            assert!(
                arguments
                    .next::<Option<Reference>>()
                    .is_ok_and(|again| again.is_some() == reference.is_some())
            );
            assert_eq!(arguments.next_bytes(), Ok(bytes));
            assert!(arguments.next::<RemoteStream<u32>>().is_ok());
            assert!(
                arguments
                    .next::<Vec<Reference>>()
                    .is_ok_and(|again| again.len() == more.len())
            );
            assert_eq!(arguments.finish(), Ok(()));
        });
    }
}

/// What there is for whatever an honest value of a fuzzed type needs: fields that were left out are written, and deeper.
const LARGE: Budget = Budget::new().with_depth(200);

fn encoded<T: Serialize>(codec: Codec, value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    if let Err(error) = encode(codec, value, &mut out) {
        panic!("{codec} cannot say what was decoded: {error}");
    }
    out
}

/// Encodes the value and decodes it again.
fn again<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    codec: Codec,
    value: &T,
    is_comparable: bool,
) {
    let first = encoded(codec, value);
    let decoded: T = match decode(codec, &first, &LARGE) {
        Ok(decoded) => decoded,
        Err(error) => panic!("{value:?} does not survive {codec}: {error}"),
    };
    if is_comparable {
        assert_eq!(decoded, *value, "{codec}");
    } else {
        // Not every number equals itself.
        assert_eq!(encoded(codec, &decoded), first, "{codec}");
    }
}

/// A table of a stream and a reference to what is gone.
fn transferred() -> Seldom<Transferred> {
    let gone = Fault::new(FaultKind::StaleReference, Outcome::NotStarted, "gone");
    let stream = RemoteStream::<u32>::from_iter(0..3);
    let what = (stream, Reference(Remote::Dead(gone)));
    references::collect(|| encode(Codec::Postcard, &what, &mut Vec::new())).1
}
