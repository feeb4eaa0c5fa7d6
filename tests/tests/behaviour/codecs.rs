//! How values are encoded: per proxy, as the daemon allows, the reply in the codec of its call.

use farref::prelude::*;
use farref::{Codec, CodecSet, FaultKind, Outcome};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::support::{Pair, assert_fault};

/// Knows whether it was written for people.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Written {
    readable: bool,
}

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.is_human_readable().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bool::deserialize(deserializer).map(|readable| Written { readable })
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Track {
    title: String,
    seconds: u32,
    tags: Vec<String>,
}

#[expose]
trait Writing {
    /// How the argument was written, and how the result is.
    async fn written(&self, argument: Written) -> (bool, Written);
    async fn echo(&self, track: Track) -> Result<Track, Track>;
    async fn call_back(&self, other: WritingProxy) -> Result<(bool, bool), String>;
}

struct Object;

impl Writing for Object {
    async fn written(&self, argument: Written) -> (bool, Written) {
        (argument.readable, Written { readable: false })
    }
    async fn echo(&self, track: Track) -> Result<Track, Track> {
        if track.seconds == 0 {
            Err(track)
        } else {
            Ok(track)
        }
    }
    async fn call_back(&self, other: WritingProxy) -> Result<(bool, bool), String> {
        match other.written(Written { readable: false }).await {
            Ok((argument, result)) => Ok((argument, result.readable)),
            Err(fault) => Err(format!("{:?}", fault.kind())),
        }
    }
}

/// How the argument and the result of a call of this proxy are written.
async fn written(proxy: &WritingProxy) -> (bool, bool) {
    let (argument, result) = proxy.written(Written { readable: false }).await.unwrap();
    (argument, result.readable)
}

#[tokio::test]
async fn each_proxy_may_have_its_codec_and_the_reply_is_in_that_of_its_call() {
    let pair = Pair::tcp().await;
    let proxy = pair.serve("writing", WritingProxy::new(Object)).await;
    assert_eq!(written(&proxy).await, (false, false), "postcard");
    let json = proxy.clone().with_codec(Codec::Json);
    assert_eq!(written(&json).await, (true, true));
    assert_eq!(
        written(&proxy.clone().with_codec(Codec::MessagePack)).await,
        (false, false)
    );
    assert_eq!(
        written(&proxy).await,
        (false, false),
        "a clone is a proxy of its own"
    );
    assert_eq!(json.options().codec, Some(Codec::Json));
    let track = Track {
        title: "Ä\u{1F3B5}\"\\".into(),
        seconds: 1,
        tags: vec![String::new()],
    };
    for codec in Codec::ALL {
        let proxy = proxy.clone().with_codec(codec);
        assert_eq!(proxy.echo(track.clone()).await.unwrap(), track);
        let silent = Track {
            seconds: 0,
            ..track.clone()
        };
        assert_eq!(
            proxy.echo(silent.clone()).await.unwrap_err().app(),
            Some(&silent)
        );
    }
}

#[tokio::test]
async fn a_client_may_have_its_codec() {
    let pair = Pair::of(Daemon::builder(), Client::builder().codec(Codec::Json)).await;
    let proxy = pair.serve("writing", WritingProxy::new(Object)).await;
    assert_eq!(written(&proxy).await, (true, true));
    assert_eq!(
        written(&proxy.with_codec(Codec::Postcard)).await,
        (false, false)
    );
}

#[tokio::test]
async fn a_codec_that_is_not_accepted_is_an_error_that_names_it() {
    let accepted: CodecSet = "postcard,msgpack".parse().unwrap();
    let pair = Pair::of(Daemon::builder().accept_codecs(accepted), Client::builder()).await;
    let proxy = pair.serve("writing", WritingProxy::new(Object)).await;
    let fault = proxy
        .clone()
        .with_codec(Codec::Json)
        .written(Written { readable: false })
        .await
        .unwrap_err();
    assert_fault(&fault, FaultKind::UnsupportedCodec, Outcome::NotStarted);
    assert!(fault.message().contains("json"), "{fault}");
    assert_eq!(
        written(&proxy.clone().with_codec(Codec::MessagePack)).await,
        (false, false)
    );
    // Also in the first flight, before the daemon has said what it accepts.
    let first: WritingProxy = Client::builder()
        .codec(Codec::Json)
        .build()
        .lazy(proxy.uri().unwrap())
        .unwrap();
    let fault = first
        .written(Written { readable: false })
        .await
        .unwrap_err();
    assert_fault(&fault, FaultKind::UnsupportedCodec, Outcome::NotStarted);
    drop(proxy);
}

#[tokio::test]
async fn both_directions_are_configured_independently() {
    let pair = Pair::of(
        Daemon::builder()
            .codec(Codec::MessagePack)
            .accept_codecs(Codec::Json.into()),
        Client::builder()
            .codec(Codec::Json)
            .accept_codecs(Codec::MessagePack.into()),
    )
    .await;
    let proxy = pair.serve("writing", WritingProxy::new(Object)).await;
    assert_eq!(written(&proxy).await, (true, true));
    assert_eq!(
        proxy.call_back(WritingProxy::new(Object)).await.unwrap(),
        (false, false)
    );

    let pair = Pair::of(
        Daemon::builder().codec(Codec::Json),
        Client::builder().accept_codecs(Codec::Postcard.into()),
    )
    .await;
    let proxy = pair.serve("writing", WritingProxy::new(Object)).await;
    let error = proxy
        .call_back(WritingProxy::new(Object))
        .await
        .unwrap_err();
    assert_eq!(error.app().unwrap(), "UnsupportedCodec");
}

#[test]
fn codecs_are_named_as_text_and_unknown_names_are_errors() {
    let set: CodecSet = " json, postcard".parse().unwrap();
    assert_eq!(set.to_string(), "postcard,json");
    assert!(
        "pickle"
            .parse::<CodecSet>()
            .unwrap_err()
            .to_string()
            .contains("pickle")
    );
    assert_eq!("msgpack".parse::<Codec>().unwrap(), Codec::MessagePack);
}
