//! URIs: each form, what is refused and why, and that text and value are one.

use std::net::SocketAddr;
use std::path::PathBuf;

use farref::{Address, Uri, UriError};
use proptest::prelude::*;

fn parse(text: &str) -> Result<Uri, UriError> {
    text.parse()
}

fn tcp(host: &str, port: u16) -> Address {
    Address::Tcp {
        host: host.to_owned(),
        port,
    }
}

#[test]
fn each_form_is_read_and_written() {
    for (text, address, object) in [
        (
            "far://127.0.0.1:9999/jukebox",
            tcp("127.0.0.1", 9999),
            Some("jukebox"),
        ),
        ("far://localhost:1", tcp("localhost", 1), None),
        ("far://[::1]:9/obj", tcp("::1", 9), Some("obj")),
        (
            "far://my-host.example.:65535/a/b:c@d",
            tcp("my-host.example.", 65535),
            Some("a/b:c@d"),
        ),
        (
            "far://h:1/a%20b%C3%A9%25%23%3F",
            tcp("h", 1),
            Some("a bé%#?"),
        ),
        (
            "far+unix:/run/jukebox.sock#jukebox",
            Address::Unix("/run/jukebox.sock".into()),
            Some("jukebox"),
        ),
        (
            "far+unix:/run/a%23b",
            Address::Unix("/run/a#b".into()),
            None,
        ),
        (
            "far+mem:test#jukebox",
            Address::Memory("test".into()),
            Some("jukebox"),
        ),
        ("far+mem:a%20b", Address::Memory("a b".into()), None),
    ] {
        let uri = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(
            (uri.address(), uri.object()),
            (Some(&address), object),
            "{text}"
        );
        assert_eq!(uri.to_string(), text);
    }
}

#[test]
fn names_and_tags_are_read_and_written() {
    for (text, name, tags, server) in [
        ("farname:jukebox", Some("jukebox"), None, None),
        (
            "farname:a/b:c,d%40e@127.0.0.1:9",
            Some("a/b:c,d@e"),
            None,
            Some("far://127.0.0.1:9/farref.names"),
        ),
        (
            "farname:x@[::1]:9",
            Some("x"),
            None,
            Some("far://[::1]:9/farref.names"),
        ),
        (
            "farname:x@far+unix:/run/n@s.sock",
            Some("x"),
            None,
            Some("far+unix:/run/n@s.sock#farref.names"),
        ),
        (
            "farname:x@far+mem:ns#other",
            Some("x"),
            None,
            Some("far+mem:ns#other"),
        ),
        ("farmeta:audio", None, Some("audio"), None),
        (
            "farmeta:a%2Cb,c%40d,e:f@ns.example:1",
            None,
            Some("a,b c@d e:f"),
            Some("far://ns.example:1/farref.names"),
        ),
    ] {
        let uri = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let known = uri
            .tags()
            .map(|tags| tags.iter().cloned().collect::<Vec<_>>().join(" "));
        assert_eq!((uri.name(), known.as_deref()), (name, tags), "{text}");
        assert_eq!(
            uri.name_server().map(Uri::to_string).as_deref(),
            server,
            "{text}"
        );
        assert_eq!((uri.address(), uri.object()), (None, None), "{text}");
        assert_eq!(uri.to_string(), text);
    }
}

#[test]
fn uris_of_names_are_made_and_changed() {
    let there = parse("far://h:1").expect("valid");
    let uri = Uri::named("a b").expect("valid");
    assert_eq!(uri.to_string(), "farname:a%20b");
    let uri = uri.at_name_server(&there).expect("valid");
    assert_eq!(uri.to_string(), "farname:a%20b@h:1");
    assert_eq!(uri.with_object("c").to_string(), "farname:c@h:1");
    assert_eq!(uri.without_object(), uri);
    assert_eq!(
        Uri::named("x").and_then(|name| uri.clone().at_name_server(name)),
        Err(UriError::NameServer("farname:x".into()))
    );
    assert_eq!(there.clone().at_name_server(&there), Ok(there));
    assert_eq!(Uri::named(""), Err(UriError::EmptyName));
    assert_eq!(
        Uri::tagged(["b", "a", "b"]).map(|uri| uri.to_string()),
        Ok("farmeta:a,b".to_owned())
    );
    assert_eq!(Uri::tagged([""; 0]), Err(UriError::EmptyTag));
    assert_eq!(
        Uri::tagged((0..33).map(|tag| tag.to_string())),
        Err(UriError::TooManyTags(32))
    );
}

#[test]
fn other_spellings_become_the_canonical_one() {
    for (text, canonical) in [
        ("farname:x@h", "farname:x@h:13277"),
        ("farname:x@far", "farname:x@far:13277"),
        ("farname:x@far:99", "farname:x@far:99"),
        ("farname:x@far://h:1", "farname:x@h:1"),
        ("farname:x@far://h:1/farref.names", "farname:x@h:1"),
        ("farmeta:b,a,b", "farmeta:a,b"),
        ("farname:%61", "farname:a"),
        ("far://LocalHost:0080/x", "far://localhost:80/x"),
        ("far://h:1/", "far://h:1"),
        ("far://h:1/%61%2f", "far://h:1/a/"),
        ("far://[0:0::0:1]:1", "far://[::1]:1"),
        ("far+mem:x#", "far+mem:x"),
    ] {
        assert_eq!(
            parse(text).map(|uri| uri.to_string()).as_deref(),
            Ok(canonical),
            "{text}"
        );
    }
}

#[test]
fn what_is_wrong_is_said_with_the_right_form() {
    for (text, expected) in [
        ("", UriError::UnknownScheme("".into())),
        (
            "http://h:1/x",
            UriError::UnknownScheme("http://h:1/x".into()),
        ),
        ("FAR://h:1/x", UriError::UnknownScheme("FAR://h:1/x".into())),
        (
            "farnames:jukebox",
            UriError::UnknownScheme("farnames:jukebox".into()),
        ),
        ("farname:", UriError::EmptyName),
        ("farname:@h:1", UriError::EmptyName),
        ("farname:x@", UriError::MissingHost),
        ("farname:x@h:y", UriError::InvalidPort("y".into())),
        (
            "farname:x@farname:y",
            UriError::NameServer("farname:y".into()),
        ),
        ("farmeta:", UriError::EmptyTag),
        ("farmeta:a,,b", UriError::EmptyTag),
        ("farmeta:a,", UriError::EmptyTag),
        (
            "farname:a b",
            UriError::InvalidCharacter {
                character: ' ',
                text: "a b".into(),
            },
        ),
        ("far://", UriError::MissingHost),
        ("far://:9/x", UriError::MissingHost),
        ("far://host/x", UriError::MissingPort("host".into())),
        ("far://host:/x", UriError::MissingPort("host".into())),
        ("far://host:+9/x", UriError::InvalidPort("+9".into())),
        ("far://host:65536", UriError::InvalidPort("65536".into())),
        ("far://host:9?x", UriError::InvalidPort("9?x".into())),
        ("far://::1:9/x", UriError::InvalidHost("::1:9".into())),
        ("far://[::1/x", UriError::InvalidHost("[::1".into())),
        ("far://[::1]9/x", UriError::InvalidHost("[::1]9".into())),
        ("far://[h]:9/x", UriError::InvalidHost("[h]:9".into())),
        ("far://me@host:9/x", UriError::InvalidHost("me@host".into())),
        (
            "far://h:1/a b",
            UriError::InvalidCharacter {
                character: ' ',
                text: "a b".into(),
            },
        ),
        (
            "far://h:1/é",
            UriError::InvalidCharacter {
                character: 'é',
                text: "é".into(),
            },
        ),
        (
            "far://h:1/a?b",
            UriError::InvalidCharacter {
                character: '?',
                text: "a?b".into(),
            },
        ),
        ("far://h:1/%4", UriError::InvalidEscape("%4".into())),
        ("far://h:1/%+1", UriError::InvalidEscape("%+1".into())),
        ("far://h:1/%ff", UriError::NotUtf8("%ff".into())),
        (
            "far+unix:run/x.sock",
            UriError::RelativePath("run/x.sock".into()),
        ),
        ("far+unix:#x", UriError::RelativePath("".into())),
        ("far+unix:/a%00", UriError::InvalidPath("/a\0".into())),
        ("far+mem:#x", UriError::MissingName),
    ] {
        assert_eq!(parse(text), Err(expected), "{text}");
    }
    assert_eq!(
        parse("host:9").expect_err("invalid").to_string(),
        "`host:9` does not begin with a known scheme; write far://host:port/object, \
         far+unix:/path/to.sock#object, far+mem:name#object, farname:NAME or farmeta:TAG,TAG"
    );
    assert!(
        parse(&"x".repeat(10_000))
            .expect_err("invalid")
            .to_string()
            .len()
            < 300,
        "a stranger's text is shortened"
    );
}

#[test]
fn addresses_that_no_uri_can_express_are_refused() {
    assert_eq!(Uri::new(tcp("", 1)), Err(UriError::MissingHost));
    assert_eq!(
        Uri::new(tcp("a b", 1)),
        Err(UriError::InvalidHost("a b".into()))
    );
    assert_eq!(
        Uri::new(tcp(&"a".repeat(254), 1)),
        Err(UriError::InvalidHost(format!("{}…", "a".repeat(80))))
    );
    assert_eq!(
        Uri::new(Address::Unix("x".into())),
        Err(UriError::RelativePath("x".into()))
    );
    assert_eq!(
        Uri::new(Address::Memory(String::new())),
        Err(UriError::MissingName)
    );
}

#[test]
fn whatever_names_an_object_converts() {
    fn take<U>(uri: U) -> Result<Uri, UriError>
    where
        U: TryInto<Uri>,
        UriError: From<U::Error>,
    {
        Ok(uri.try_into()?)
    }
    let text = String::from("far://h:1/x");
    let uri = take("far://h:1/x").expect("valid");
    assert_eq!(take(&text), Ok(uri.clone()));
    assert_eq!(take(text), Ok(uri.clone()));
    assert_eq!(take(&uri), Ok(uri.clone()));
    assert_eq!(take(uri.clone()), Ok(uri));
    assert_eq!(take(tcp("h", 1)), parse("far://h:1"));
    assert_eq!(
        take(SocketAddr::from(([1, 2, 3, 4], 5))),
        parse("far://1.2.3.4:5")
    );
}

#[test]
fn objects_of_one_daemon() {
    let daemon = parse("far+mem:d").expect("valid");
    assert_eq!(daemon.with_object("a b").to_string(), "far+mem:d#a%20b");
    assert_eq!(daemon.with_object(""), daemon);
    assert_eq!(daemon.with_object("x").without_object(), daemon);
}

#[cfg(feature = "json")]
#[test]
fn a_uri_is_serialised_as_its_text() {
    let uri = parse("far://h:1/x").expect("valid");
    assert_eq!(
        serde_json::to_string(&uri).expect("valid"),
        "\"far://h:1/x\""
    );
    assert_eq!(
        serde_json::from_str::<Uri>("\"far://h:1/x\"").expect("valid"),
        uri
    );
    assert!(serde_json::from_str::<Uri>("\"h:1\"").is_err());
}

#[test]
fn the_shape_of_a_uri_is_that_of_a_text() {
    assert_eq!(farref::Shape::of::<Uri>(), farref::Shape::String);
}

#[cfg(unix)]
#[test]
fn a_path_need_not_be_unicode() {
    let uri = parse("far+unix:/%ff").expect("valid");
    assert_eq!(uri.to_string(), "far+unix:/%FF");
}

fn address() -> impl Strategy<Value = Address> {
    prop_oneof![
        ("[a-z0-9._-]{1,20}", any::<u16>()).prop_map(|(host, port)| Address::Tcp { host, port }),
        any::<SocketAddr>().prop_map(Address::from),
        "/[^\0]{0,20}".prop_map(|path| Address::Unix(PathBuf::from(path))),
        ".{1,20}".prop_map(Address::Memory),
    ]
}

proptest! {
    #[test]
    fn text_and_value_of_names_and_tags_are_one(
        name in any::<String>(),
        tags in proptest::collection::btree_set(".{1,8}", 1..4),
        address in address(),
        has_server in any::<bool>(),
    ) {
        for uri in [Uri::named(name), Uri::tagged(tags)].into_iter().flatten() {
            let uri = match has_server {
                true => uri.at_name_server(Uri::new(address.clone())?)?,
                false => uri,
            };
            let text = uri.to_string();
            prop_assert!(text.is_ascii() && !text.contains(' '), "{}", text);
            prop_assert_eq!(parse(&text)?, uri);
        }
    }

    #[test]
    fn text_and_value_are_one(address in address(), object in any::<Option<String>>()) {
        let uri = Uri::new(address)?;
        let uri = object.map_or_else(|| uri.clone(), |name| uri.with_object(name));
        let text = uri.to_string();
        prop_assert!(text.is_ascii() && !text.contains(' '), "{}", text);
        prop_assert_eq!(parse(&text)?, uri);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(far://|far\\+unix:|far\\+mem:|farname:|farmeta:)?\\PC{0,30}") {
        if let Ok(uri) = parse(&text) {
            prop_assert_eq!(parse(&uri.to_string())?, uri);
        }
    }

    #[test]
    fn texts_of_suspicious_characters_are_read_or_refused(text in "far://[a-z0-9:/%#?@\\[\\].]{0,20}") {
        if let Ok(uri) = parse(&text) {
            prop_assert_eq!(parse(&uri.to_string())?, uri);
        }
    }
}
