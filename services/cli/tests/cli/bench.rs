//! `bench`: load on a method.

use crate::support::Place;

#[test]
fn a_method_is_called_as_often_as_was_said_and_its_latencies_are_shown() {
    let place = Place::new();
    let (_demo, uri) = place.demo(&[]);
    let arguments = [
        "bench",
        &uri,
        "sum",
        "a=1",
        "b=2",
        "-n",
        "500",
        "-c",
        "4",
        "--connections",
        "2",
    ];
    let said = place.json(arguments);
    assert_eq!((&said["calls"], &said["failed"]), (&500.into(), &0.into()));
    assert!(said["calls_per_second"].as_f64().unwrap() > 0.0);
    let latency = |name: &str| said["latency_micros"][name].as_f64().unwrap();
    assert!(1.0 < latency("p50") && latency("p50") <= latency("p99"));

    let said = place.prints(arguments);
    assert!(said.starts_with("500 calls in "), "{said}");
    assert!(said.contains("p99") && said.contains('█'), "{said}");
}

#[test]
fn load_ends_when_its_time_is_over() {
    let place = Place::new();
    let (_demo, uri) = place.demo(&[]);
    let said = place.json(["bench", &uri, "plays", "-d", "0.2"]);
    assert!(said["calls"].as_u64().unwrap() > 0);
    assert!(said["seconds"].as_f64().unwrap() >= 0.2, "{said}");
}

#[test]
fn calls_that_fail_are_counted_and_named() {
    let place = Place::new();
    let (_demo, uri) = place.demo(&[]);
    let assert = place.farref(["--json", "bench", &uri, "load_playlist", "nope", "-n", "20"]);
    let output = assert.code(8).get_output().clone();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["calls"], &said["failed"]), (&0.into(), &20.into()));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("20 calls failed") && said.contains("NotFound"),
        "{said}"
    );
    place.fails(2, &["bench", &uri, "nonsense"]);
}
