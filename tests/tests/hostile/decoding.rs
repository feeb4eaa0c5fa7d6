//! Arguments that cost their sender little and their receiver much.

use bytes::Bytes;
use farref_proto::{FaultKind, FaultMessage, Outcome};

use crate::arena::{Arena, Endured};
use crate::attacker::{Answer, Attacker, JSON, MESSAGEPACK, POSTCARD, call};

/// Calls `method` with one body in each codec, and then makes a good call on the same connection.
fn refused(
    arena: &mut Arena,
    method: &str,
    bodies: &[(u8, Vec<u8>)],
) -> Endured<Vec<FaultMessage>> {
    arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let ask = |(codec, body): &(u8, Vec<u8>)| attacker.ask(method, *codec, body).fault();
        let faults = bodies.iter().map(ask).collect();
        let five = Answer::Value(Bytes::from_static(&[5]));
        assert_eq!(
            attacker.ask("add", POSTCARD, &[2, 3]),
            five,
            "the connection goes on"
        );
        faults
    })
}

/// Asserts that the call was refused before it ran, in words that contain `because`.
#[track_caller]
fn assert_refused(fault: &FaultMessage, because: &str) {
    assert_eq!(
        (fault.kind, fault.outcome),
        (FaultKind::BadArguments, Outcome::NotStarted),
        "{fault:?}"
    );
    assert!(fault.message.contains(because), "{}", fault.message);
}

/// What a body may make its receiver hold, all together.
fn bound(bodies: &[(u8, Vec<u8>)]) -> u64 {
    let largest = bodies.iter().map(|(_, body)| body.len()).max().unwrap_or(0);
    4 * largest as u64 + (1 << 20)
}

#[test]
fn elements_of_no_size_are_counted() {
    let all = [&[0xff; 9][..], &[1]].concat();
    let bodies = [
        (POSTCARD, all),
        (MESSAGEPACK, vec![0x91, 0xdd, 0xff, 0xff, 0xff, 0xff]),
    ];
    let mut arena = Arena::new();
    let endured = refused(&mut arena, "units", &bodies);
    assert_refused(&endured.saw[0], "elements");
    assert_eq!(endured.saw[1].kind, FaultKind::BadArguments);
    assert!(endured.peak < 256 << 10, "{} bytes", endured.peak);
}

#[test]
fn elements_that_are_there_are_counted_too() {
    // A million and one of them, in bytes that are really sent.
    let count = 1_000_001_u32;
    let nulls = |null: u8| vec![null; count as usize];
    let mut messagepack = vec![0x91, 0xdd];
    messagepack.extend(count.to_be_bytes());
    messagepack.extend(nulls(0xc0));
    let mut postcard = vec![0x01; count as usize + 3];
    postcard[..3].copy_from_slice(&[0xc1, 0x84, 0x3d]);
    let mut arena = Arena::new();
    let endured = refused(&mut arena, "units", &[(MESSAGEPACK, messagepack)]);
    assert_refused(&endured.saw[0], "elements");
    let json = format!("[[{}]]", vec!["[]"; count as usize].join(","));
    let endured = refused(
        &mut arena,
        "nested",
        &[(POSTCARD, postcard), (JSON, json.into_bytes())],
    );
    assert_eq!(endured.saw[0].kind, FaultKind::BadArguments);
    assert_refused(&endured.saw[1], "elements");
    // A million empty vectors of 24 bytes, while their vector doubles.
    assert!(endured.peak < 64 << 20, "{} bytes", endured.peak);
}

#[test]
fn two_million_levels_are_not_climbed_down() {
    let bodies = [
        (POSTCARD, [vec![1; 2_000_000], vec![0]].concat()),
        (
            MESSAGEPACK,
            [&[0x91][..], &b"\x81\xa4Next".repeat(600_000), b"\xa3End"].concat(),
        ),
        (JSON, [&b"["[..], &b"{\"Next\":".repeat(500_000)].concat()),
        // Brackets alone, which some type may skip.
        (JSON, b"[".repeat(2_000_000)),
        (MESSAGEPACK, vec![0x91; 2_000_000]),
    ];
    let mut arena = Arena::new();
    let endured = refused(&mut arena, "links", &bodies);
    for fault in &endured.saw[..2] {
        assert_refused(fault, "64 levels");
    }
    for fault in &endured.saw[2..] {
        assert_refused(fault, "");
    }
    assert!(endured.peak < 2 * bound(&bodies), "{} bytes", endured.peak);
}

#[test]
fn as_deep_as_allowed_is_taken() {
    let mut arena = Arena::new();
    arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let answer = attacker.ask("links", POSTCARD, &[vec![1; 20], vec![0]].concat());
        assert_eq!(answer, Answer::Value(Bytes::from_static(&[20])));
    });
}

/// Claims, at each level, as many elements as there are bytes left.
fn claims(size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size);
    while bytes.len() < size {
        let mut left = (size - bytes.len()).saturating_sub(4);
        while left >= 0x80 {
            bytes.push((left & 0x7f) as u8 | 0x80);
            left >>= 7;
        }
        bytes.push(left as u8);
    }
    bytes
}

#[test]
fn collections_in_collections_reserve_little() {
    for size in [1 << 10, 64 << 10, 1 << 20, (4 << 20) - 64] {
        let bodies = [(POSTCARD, claims(size))];
        let mut arena = Arena::new();
        let endured = refused(&mut arena, "nested", &bodies);
        assert_refused(&endured.saw[0], "");
        assert!(
            endured.peak < bound(&bodies),
            "{size} bytes made {} bytes of memory",
            endured.peak
        );
    }
}

#[test]
fn nested_arrays_of_messagepack_reserve_little() {
    let mut body = vec![0x91];
    body.extend([0xdc, 0x7f, 0xff].repeat(3));
    body.resize(2 << 20, 0xc0);
    let bodies = [(MESSAGEPACK, body)];
    let mut arena = Arena::new();
    let endured = refused(&mut arena, "nested", &bodies);
    assert_refused(&endured.saw[0], "");
    assert!(endured.peak < bound(&bodies), "{} bytes", endured.peak);
}

#[test]
fn bytes_after_the_arguments_are_refused() {
    let bodies = [
        (POSTCARD, vec![2, 3, 0]),
        (MESSAGEPACK, vec![0x92, 2, 3, 0]),
        (MESSAGEPACK, vec![0x93, 2, 3, 0]),
        (JSON, b"[2,3]0".to_vec()),
        (JSON, b"[2,3,0]".to_vec()),
    ];
    let mut arena = Arena::new();
    let endured = refused(&mut arena, "add", &bodies);
    for (fault, because) in
        endured
            .saw
            .iter()
            .zip(["1 byte", "1 byte", "more than 2", "1 byte", "more than 2"])
    {
        assert_refused(fault, because);
    }
}

#[test]
fn arguments_that_end_early_are_refused() {
    let bodies = [
        (POSTCARD, vec![2]),
        (POSTCARD, vec![]),
        (POSTCARD, vec![2, 0xff]),
        (MESSAGEPACK, vec![]),
        (MESSAGEPACK, vec![0x91, 2]),
        (JSON, vec![]),
        (JSON, b"[2".to_vec()),
        (JSON, b"[2,]".to_vec()),
        (JSON, b"\xff\xfe".to_vec()),
    ];
    let mut arena = Arena::new();
    let endured = refused(&mut arena, "add", &bodies);
    for fault in &endured.saw {
        assert_refused(fault, "");
    }
}

#[test]
fn byte_strings_that_nobody_asked_for_are_refused() {
    let mut arena = Arena::new();
    let endured = arena.endure(|address| {
        let mut attacker = Attacker::settle(address);
        let mut stuffed = call(0, "add", POSTCARD, &[2, 3]);
        stuffed.sections.attachments = vec![Bytes::from(vec![0; 1000]); 1024];
        attacker.ask_for(stuffed).fault()
    });
    assert_refused(&endured.saw, "1024 attachments");
    assert!(endured.peak < 5 << 20, "{} bytes", endured.peak);
}
