//! `farname:` and `farmeta:` wherever a URI goes, through a name server.

use std::collections::BTreeSet;

use farref::names::{self, IfTaken, Registration};
use farref::prelude::*;
use farref::{Choice, FaultKind, Identity};
use farref_names::NameServer;

use crate::support::{NumberedProxy, client_of, memory_uri, names, object, tags};

#[tokio::test]
async fn an_object_is_found_by_its_name_and_by_its_tags() {
    let (server, client, _) = names().await;
    let (_daemon, uri) = object(7).await;
    let announced = names::announce("seven", &uri)
        .tags(["odd", "prime"])
        .client(&client)
        .start()
        .await
        .unwrap();
    assert!(announced.epoch().is_some());
    let tagged = Uri::tagged(["prime", "odd"]).unwrap();
    for found in [
        client.connect("farname:seven").await,
        client.connect("farmeta:odd").await,
        client.connect(tagged).await,
        // A client that was told of no name server finds what the URI itself says where to ask for.
        Client::new()
            .connect(
                Uri::named("seven")
                    .unwrap()
                    .at_name_server(server.uri())
                    .unwrap(),
            )
            .await,
    ] {
        let proxy: NumberedProxy = found.unwrap();
        assert_eq!(proxy.number().await.unwrap(), 7);
    }
    for absent in ["farname:eight", "farmeta:even", "farmeta:even,odd"] {
        let error = client.connect::<NumberedProxy>(absent).await.unwrap_err();
        assert_eq!(error.kind(), FaultKind::NoSuchObject, "{absent}: {error}");
    }
}

#[tokio::test]
async fn of_three_objects_the_one_with_all_tags_is_found_and_one_tag_meets_both() {
    let (_server, client, names) = names().await;
    let objects = [object(1).await, object(2).await, object(3).await];
    for ((_, uri), (name, labels)) in
        objects
            .iter()
            .zip([("first", "a b"), ("second", "a"), ("third", "b")])
    {
        let registration = Registration {
            tags: tags(labels),
            ..Registration::new(name, uri)
        };
        names.register(registration).await.unwrap();
    }
    let mut met = BTreeSet::new();
    for _ in 0..200 {
        let both: NumberedProxy = client.connect("farmeta:a,b").await.unwrap();
        assert_eq!(both.number().await.unwrap(), 1);
        let any: NumberedProxy = client.connect("farmeta:a").await.unwrap();
        met.insert(any.number().await.unwrap());
    }
    assert_eq!(met, BTreeSet::from([1, 2]));
}

#[tokio::test]
async fn several_objects_of_one_name_share_its_callers() {
    let (server, client, names) = names().await;
    let objects = [object(1).await, object(2).await, object(3).await];
    for ((_, uri), load) in objects.iter().zip([5, 0, 9]) {
        let registration = Registration {
            if_taken: IfTaken::Join,
            load,
            ..Registration::new("shared", uri)
        };
        names.register(registration).await.unwrap();
    }
    let choosing = |choice| {
        Client::builder()
            .name_server(server.uri())
            .unwrap()
            .choice(choice)
            .build()
    };
    let mut counts = [0; 3];
    let client_of_turns = choosing(Choice::RoundRobin);
    for _ in 0..9 {
        let proxy: NumberedProxy = client_of_turns.connect("farname:shared").await.unwrap();
        counts[proxy.number().await.unwrap() as usize - 1] += 1;
    }
    assert_eq!(counts, [3, 3, 3]);
    let lazy: NumberedProxy = choosing(Choice::LeastLoaded)
        .connect("farname:shared")
        .await
        .unwrap();
    assert_eq!(lazy.number().await.unwrap(), 2);

    // One that is gone without a word gives way to another.
    let [(gone, _), ..] = objects;
    gone.shutdown(Shutdown::Abort).await;
    for _ in 0..20 {
        let proxy: NumberedProxy = client.connect("farname:shared").await.unwrap();
        assert_ne!(proxy.number().await.unwrap(), 1);
    }
}

#[tokio::test]
async fn the_name_server_is_a_daemon_like_another() {
    let address = memory_uri();
    let server = NameServer::builder()
        .listen(&address)
        .token("secret")
        .bind()
        .await
        .unwrap();
    let uri = server.uri();
    let error = client_of(uri).names().await.unwrap_err();
    assert_eq!(error.kind(), FaultKind::Refused, "{error}");
    let stranger = Client::builder()
        .name_server(uri)
        .unwrap()
        .token("wrong")
        .build();
    let error = stranger.connect::<NumberedProxy>("farname:x").await;
    assert_eq!(error.unwrap_err().kind(), FaultKind::Refused);

    for codec in farref::CodecSet::default().iter() {
        let client = Client::builder()
            .name_server(uri)
            .unwrap()
            .token("secret")
            .codec(codec)
            .build();
        let names = client.names().await.unwrap();
        let (_daemon, there) = object(1).await;
        let registration = Registration {
            if_taken: IfTaken::Replace,
            ..Registration::new("x", &there)
        };
        names.register(registration).await.unwrap();
        assert_eq!(names.lookup("x").await.unwrap()[0].uri, there, "{codec}");
    }
    let peers = server.daemon().peers();
    assert!(peers.iter().all(|peer| peer.identity() == Identity::Token));
}

#[tokio::test(start_paused = true)]
async fn a_name_server_that_does_not_answer_is_given_up_after_its_timeout() {
    // It takes connections, and never says anything.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = client_of(&Uri::from(address));
    let begun = tokio::time::Instant::now();
    let error = client
        .connect::<NumberedProxy>("farname:x")
        .await
        .unwrap_err();
    assert!(begun.elapsed() <= names::TIMEOUT, "{:?}", begun.elapsed());
    assert!(!error.may_have_run(), "{error}");
}
