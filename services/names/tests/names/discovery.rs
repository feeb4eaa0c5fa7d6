//! Finding the name server by its beacon.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use farref::names::{Registration, beacon};
use farref::prelude::*;
use farref_names::NameServer;

use crate::support::{NumberedProxy, object, there};

fn anywhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

#[tokio::test]
async fn a_name_server_is_found_by_its_beacon() {
    let server = NameServer::builder()
        .listen("far://127.0.0.1:0")
        .beacon(anywhere())
        .bind()
        .await
        .unwrap();
    let address = server.beacon().unwrap();
    let found = beacon::find(&[address]).await.unwrap();
    assert_eq!(found.as_ref(), Some(server.uri()));

    let client = Client::builder().name_server_beacon(address).build();
    let (_daemon, uri) = object(3).await;
    let names = client.names().await.unwrap();
    names.register(Registration::new("x", uri)).await.unwrap();
    let proxy: NumberedProxy = client.connect("farname:x").await.unwrap();
    assert_eq!(proxy.number().await.unwrap(), 3);

    // Another takes its place, elsewhere.
    drop(names);
    server.shutdown(Shutdown::Abort).await;
    let server = NameServer::builder()
        .listen("far://127.0.0.1:0")
        .beacon(address)
        .bind()
        .await
        .unwrap();
    let names = client.names().await.unwrap();
    names
        .register(Registration::new("y", there(1)))
        .await
        .unwrap();
    assert_eq!(names.info().await.unwrap().entries, 1);
    server.shutdown(Shutdown::Abort).await;
}

#[tokio::test]
async fn where_nobody_answers_nobody_is_found() {
    let silent = UdpSocket::bind(anywhere()).unwrap();
    let address = silent.local_addr().unwrap();
    assert_eq!(beacon::find(&[address]).await.unwrap(), None);
    let client = Client::builder().name_server_beacon(address).build();
    let error = client.names().await.unwrap_err();
    assert!(error.message().contains("farref ns"), "{error}");
}

#[tokio::test]
async fn a_beacon_answers_questions_and_nothing_else() {
    let server = NameServer::builder()
        .listen("far://127.0.0.1:0")
        .beacon(anywhere())
        .bind()
        .await
        .unwrap();
    let address = server.beacon().unwrap();
    let mut question = vec![0; beacon::SIZE];
    question[..8].copy_from_slice(beacon::QUESTION);
    question[8..16].copy_from_slice(b"12345678");

    let socket = tokio::net::UdpSocket::bind(anywhere()).await.unwrap();
    let mut answer = [0; 2048];
    // What is answered comes in order, so the answer to the last would follow one to what is before.
    for datagram in [
        &b"farref?1short"[..],
        &question[..beacon::SIZE - 1],
        &[0; beacon::SIZE],
        &question,
    ] {
        socket.send_to(datagram, address).await.unwrap();
    }
    let (length, _) = socket.recv_from(&mut answer).await.unwrap();
    let expected = format!("farref!112345678{}", server.uri());
    assert_eq!(
        std::str::from_utf8(&answer[..length]),
        Ok(expected.as_str())
    );
    assert!(length <= beacon::SIZE, "no flood can be made of it");
    let more = tokio::time::timeout(Duration::from_millis(50), socket.recv_from(&mut answer));
    assert!(more.await.is_err(), "one question is answered once");
}

#[tokio::test]
async fn answers_that_make_no_sense_are_passed_over() {
    let liar = tokio::net::UdpSocket::bind(anywhere()).await.unwrap();
    let address = liar.local_addr().unwrap();
    let finding = tokio::spawn(async move { beacon::find(&[address]).await.unwrap() });
    let mut question = [0; beacon::SIZE];
    let (_, asker) = liar.recv_from(&mut question).await.unwrap();
    let nonce = &question[8..16];
    for answer in [
        b"farref!1".to_vec(),
        [beacon::ANSWER, &[0; 8][..], b"far://127.0.0.1:1/a"].concat(),
        [beacon::ANSWER, nonce, b"nonsense"].concat(),
        [beacon::ANSWER, nonce, b"farname:x"].concat(),
        [beacon::ANSWER, nonce, b"\xff"].concat(),
        [beacon::ANSWER, nonce, b"far://0.0.0.0:9/dir"].concat(),
    ] {
        liar.send_to(&answer, asker).await.unwrap();
    }
    let found = finding.await.unwrap().unwrap();
    assert_eq!(
        found.to_string(),
        "far://127.0.0.1:9/dir",
        "one that listens everywhere is where its answer comes from"
    );
}
