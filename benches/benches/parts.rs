//! The small parts of a call, each by itself: `cargo bench -p farref-bench --bench parts`.
//!
//! Everything goes through what applications use, in one process and on one thread; far calls go through memory. What a
//! value costs to encode and decode is the difference between a call that carries it and one that carries nothing.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use farref::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

/// A record of a few hundred bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    number: u64,
    title: String,
    comment: Option<String>,
    ratings: Vec<u32>,
    tags: BTreeMap<String, String>,
}

impl Record {
    fn sample() -> Self {
        let tag = |index: u32| (format!("key {index}"), format!("value of the tag {index}"));
        Record {
            number: 7_340_032_118,
            title: "The Unanswered Question".to_owned(),
            comment: Some("recorded live".to_owned()),
            ratings: (0..16).collect(),
            tags: (0..6).map(tag).collect(),
        }
    }
}

#[expose]
trait Meter {
    fn nothing(&self);
    fn add(&self, a: u32, b: u32) -> u32;
    fn take_text(&self, text: &str);
    fn take_record(&self, record: &Record);
    fn take_bytes(&self, bytes: &[u8]);
    fn give_record(&self) -> Record;
    #[oneway]
    fn note(&self, number: u32);
}

struct Ruler(Record);

impl Meter for Ruler {
    fn nothing(&self) {}

    fn add(&self, a: u32, b: u32) -> u32 {
        a.wrapping_add(b)
    }

    fn take_text(&self, text: &str) {
        black_box(text);
    }

    fn take_record(&self, record: &Record) {
        black_box(record);
    }

    fn take_bytes(&self, bytes: &[u8]) {
        black_box(bytes);
    }

    fn give_record(&self) -> Record {
        self.0.clone()
    }

    fn note(&self, number: u32) {
        black_box(number);
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn new_meter() -> MeterProxy {
    MeterProxy::new(Ruler(Record::sample()))
}

fn near(criterion: &mut Criterion) {
    let runtime = runtime();
    let meter = new_meter();
    let record = Record::sample();
    let mut group = criterion.benchmark_group("near");
    group.bench_function("nothing", |bencher| {
        bencher.to_async(&runtime).iter(|| meter.nothing());
    });
    group.bench_function("add", |bencher| {
        bencher
            .to_async(&runtime)
            .iter(|| meter.add(black_box(40_000), black_box(2)));
    });
    group.bench_function("take_record", |bencher| {
        bencher
            .to_async(&runtime)
            .iter(|| meter.take_record(black_box(&record)));
    });
    group.finish();
}

fn far(criterion: &mut Criterion) {
    let runtime = runtime();
    let (_daemon, meter) = runtime.block_on(connect("far+mem:parts"));
    let record = Record::sample();
    let (text, bytes) = ("x".repeat(1024), vec![7; 64 * 1024]);
    let mut group = criterion.benchmark_group("far, in memory");
    group.bench_function("nothing", |bencher| {
        bencher.to_async(&runtime).iter(|| meter.nothing());
    });
    group.bench_function("add", |bencher| {
        bencher
            .to_async(&runtime)
            .iter(|| meter.add(black_box(40_000), black_box(2)));
    });
    group.bench_function("take_text, 1 KiB", |bencher| {
        bencher.to_async(&runtime).iter(|| meter.take_text(&text));
    });
    group.bench_function("take_bytes, 64 KiB", |bencher| {
        bencher.to_async(&runtime).iter(|| meter.take_bytes(&bytes));
    });
    group.bench_function("take_record", |bencher| {
        bencher
            .to_async(&runtime)
            .iter(|| meter.take_record(&record));
    });
    group.bench_function("give_record", |bencher| {
        bencher.to_async(&runtime).iter(|| meter.give_record());
    });
    group.bench_function("note, oneway, and nothing", |bencher| {
        bencher.to_async(&runtime).iter(async || {
            let noted = meter.note(1).await;
            noted.and(meter.nothing().await)
        });
    });
    group.throughput(Throughput::Elements(64));
    group.bench_function("add, 64 at once", |bencher| {
        bencher.to_async(&runtime).iter(|| {
            futures_util::future::try_join_all((0..64).map(|number| meter.add(number, 1)))
        });
    });
    group.finish();
}

fn opening(criterion: &mut Criterion) {
    let runtime = runtime();
    let (_daemon, _meter) = runtime.block_on(connect("far+mem:opening"));
    criterion.bench_function(
        "open a connection in memory, call, and close it",
        |bencher| {
            bencher.to_async(&runtime).iter(open_and_close);
        },
    );
}

async fn open_and_close() -> farref::Result<()> {
    let client = Client::new();
    let meter: MeterProxy = client.connect("far+mem:opening#meter").await?;
    meter.nothing().await?;
    client.close().await;
    Ok(())
}

async fn connect(address: &str) -> (Daemon, MeterProxy) {
    let daemon = Daemon::bind(address).await.expect("a free name");
    let uri = daemon.register("meter", new_meter()).expect("a free name");
    let meter = farref::connect(&uri).await.expect("a daemon that listens");
    (daemon, meter)
}

criterion_group!(parts, near, far, opening);
criterion_main!(parts);
