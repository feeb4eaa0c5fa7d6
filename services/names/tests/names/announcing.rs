//! Keeping a name: as long as it is wanted, while the name server is away, and not after somebody else has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use farref::CallError;
use farref::names::{self, IfTaken, NamesError};
use farref::prelude::*;
use farref_names::NameServer;

use crate::support::{NumberedProxy, client_of, memory_uri, names, object};

#[tokio::test(start_paused = true)]
async fn an_announced_name_is_kept_for_as_long_as_it_is_wanted() {
    let (_server, client, names) = names().await;
    let (_daemon, uri) = object(1).await;
    let load = Arc::new(AtomicU32::new(3));
    let measured = Arc::clone(&load);
    let announced = names::announce("x", &uri)
        .lease(Duration::from_secs(6))
        .load(move || measured.load(Ordering::SeqCst))
        .client(&client)
        .start()
        .await
        .unwrap();
    let epoch = announced.epoch();
    assert_eq!(names.lookup("x").await.unwrap()[0].load, 3);
    load.store(8, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let found = names.lookup("x").await.unwrap();
    assert_eq!(found[0].load, 8, "said anew with each renewal");
    assert_eq!((Some(found[0].epoch), found.len()), (epoch, 1));

    announced.withdraw().await;
    assert_eq!(names.lookup("x").await.unwrap(), []);
}

#[tokio::test]
async fn a_name_that_is_taken_is_not_announced() {
    let (_server, client, _) = names().await;
    let (_daemon, uri) = object(1).await;
    let announce = || names::announce("x", &uri).client(&client);
    let _announced = announce().start().await.unwrap();
    let error = announce().start().await.unwrap_err();
    assert!(
        matches!(&error, CallError::App(NamesError::Taken { name, .. }) if name == "x"),
        "{error}"
    );
    let fault = Fault::from(error);
    assert!(fault.message().contains("replace it"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn a_name_is_registered_again_after_the_name_server_forgot_it() {
    let address = memory_uri();
    let start = || NameServer::builder().listen(&address).bind();
    let server = start().await.unwrap();
    let client = client_of(server.uri());
    let (_daemon, uri) = object(5).await;
    let _announced = names::announce("x", &uri)
        .client(&client)
        .start()
        .await
        .unwrap();
    let proxy: NumberedProxy = client.connect("farname:x").await.unwrap();

    server.shutdown(Shutdown::Abort).await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(proxy.number().await.unwrap(), 5, "proxies do not need it");
    let _server = start().await.unwrap();
    tokio::time::sleep(Duration::from_secs(15)).await;
    let stranger: NumberedProxy = client_of(&address).connect("farname:x").await.unwrap();
    assert_eq!(stranger.number().await.unwrap(), 5);
}

#[tokio::test(start_paused = true)]
async fn who_was_replaced_is_told_and_does_not_come_back() {
    let (_server, client, names) = names().await;
    let (_first, first_uri) = object(1).await;
    let (_second, second_uri) = object(2).await;
    let old = names::announce("x", &first_uri)
        .if_taken(IfTaken::Replace)
        .client(&client)
        .start()
        .await
        .unwrap();
    let new = names::announce("x", &second_uri)
        .if_taken(IfTaken::Replace)
        .client(&client)
        .start()
        .await
        .unwrap();
    assert!(new.epoch() > old.epoch());
    let error = old.lost().await;
    assert!(matches!(error, NamesError::Fenced { .. }), "{error}");
    assert_eq!(old.epoch(), None);
    tokio::time::sleep(Duration::from_secs(100)).await;
    drop(old);
    tokio::time::sleep(Duration::from_secs(100)).await;
    let found = names.lookup("x").await.unwrap();
    assert_eq!((found.len(), &found[0].uri), (1, &second_uri));
    assert!(new.epoch().is_some());
}

#[tokio::test(start_paused = true)]
async fn those_who_share_a_name_come_back_beside_each_other() {
    let address = memory_uri();
    let start = || NameServer::builder().listen(&address).bind();
    let server = start().await.unwrap();
    let client = client_of(server.uri());
    let (_first, first_uri) = object(1).await;
    let (_second, second_uri) = object(2).await;
    let announce = |uri: &Uri| {
        names::announce("x", uri)
            .if_taken(IfTaken::Join)
            .client(&client)
            .start()
    };
    let _announced = (
        announce(&first_uri).await.unwrap(),
        announce(&second_uri).await.unwrap(),
    );
    server.shutdown(Shutdown::Abort).await;
    let _server = start().await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let names = client.names().await.unwrap();
    assert_eq!(names.lookup("x").await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_moved_is_found_where_it_is_now() {
    let (_server, client, _) = names().await;
    let (old, old_uri) = object(1).await;
    let announced = names::announce("x", &old_uri)
        .client(&client)
        .start()
        .await
        .unwrap();
    let proxy: NumberedProxy = client.connect("farname:x").await.unwrap();
    let proxy = proxy.with_max_retries(1);
    assert_eq!(proxy.number().await.unwrap(), 1);

    announced.withdraw().await;
    old.shutdown(Shutdown::Abort).await;
    let (_new, new_uri) = object(2).await;
    let _announced = names::announce("x", &new_uri)
        .client(&client)
        .start()
        .await
        .unwrap();
    assert_eq!(proxy.number().await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn names_of_daemons_that_are_gone_are_cleaned_up() {
    let address = memory_uri();
    let _server = NameServer::builder()
        .listen(&address)
        .cleanup(Duration::from_secs(60))
        .bind()
        .await
        .unwrap();
    let names = client_of(&address).names().await.unwrap();
    let (_alive, alive_uri) = object(1).await;
    let (dead, dead_uri) = object(2).await;
    for (name, uri) in [("alive", &alive_uri), ("dead", &dead_uri)] {
        let registration = farref::names::Registration::new(name, uri);
        names.register(registration).await.unwrap();
    }
    dead.shutdown(Shutdown::Abort).await;
    tokio::time::sleep(Duration::from_secs(150)).await;
    assert_eq!(
        names.lookup("dead").await.unwrap().len(),
        1,
        "it may come back"
    );
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(names.lookup("dead").await.unwrap(), []);
    assert_eq!(names.lookup("alive").await.unwrap().len(), 1);
}
