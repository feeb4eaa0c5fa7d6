//! Types of the standard library and of other crates, which travel by value wherever they have serde's traits: nothing of
//! farref knows of them.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeZone, Utc};
use farref::Codec;
use farref::prelude::*;
use ndarray::{Array1, Array2, array};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_json::json;
use time::OffsetDateTime;

use crate::support::Pair;

/// What a measuring device sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Recording {
    begun: DateTime<Utc>,
    day: NaiveDate,
    ended: OffsetDateTime,
    every: Duration,
    samples: Array2<f64>,
    raw: ByteBuf,
    nothing: (),
    note: Option<String>,
}

#[expose(name = "test.Device")]
trait Device {
    async fn echo(&self, recording: Recording) -> Recording;
    async fn sum(&self, columns: Array2<f64>) -> Array1<f64>;
    async fn next_day(&self, day: NaiveDate) -> Option<NaiveDate>;
    async fn length(&self, bytes: ByteBuf) -> usize;
}

struct Simulator;

impl Device for Simulator {
    async fn echo(&self, recording: Recording) -> Recording {
        recording
    }
    async fn sum(&self, columns: Array2<f64>) -> Array1<f64> {
        columns.rows().into_iter().map(|row| row.sum()).collect()
    }
    async fn next_day(&self, day: NaiveDate) -> Option<NaiveDate> {
        day.succ_opt()
    }
    async fn length(&self, bytes: ByteBuf) -> usize {
        bytes.len()
    }
}

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 2, day).unwrap()
}

fn recording() -> Recording {
    Recording {
        begun: Utc.with_ymd_and_hms(2026, 2, 28, 23, 59, 59).unwrap() + Duration::from_nanos(1),
        day: day(28),
        ended: OffsetDateTime::UNIX_EPOCH + Duration::new(1_800_000_000, 5),
        every: Duration::new(0, 1_500_000),
        samples: array![[1.0, 2.5, -3.0], [f64::MAX, 0.0, 1e-300]],
        raw: ByteBuf::from(vec![0, 255, 7]),
        nothing: (),
        note: None,
    }
}

#[tokio::test]
async fn dates_times_arrays_bytes_and_nothing_travel_by_value_in_every_codec() {
    let pair = Pair::tcp().await;
    let proxy = pair.serve("device", DeviceProxy::new(Simulator)).await;
    for codec in Codec::ALL {
        let proxy = proxy.clone().with_codec(codec);
        assert_eq!(
            proxy.echo(recording()).await.unwrap(),
            recording(),
            "{codec}"
        );
        let sums = proxy.sum(array![[1.0, 2.0], [3.0, 4.0]]).await.unwrap();
        assert_eq!(sums, array![3.0, 7.0]);
        assert_eq!(proxy.next_day(day(27)).await.unwrap(), Some(day(28)));
        assert_eq!(proxy.next_day(NaiveDate::MAX).await.unwrap(), None);
        let bytes = ByteBuf::from(vec![1; 100_000]);
        assert_eq!(proxy.length(bytes).await.unwrap(), 100_000);
    }
}

#[tokio::test]
async fn who_calls_without_the_trait_writes_them_as_json() {
    let pair = Pair::tcp().await;
    let object = DeviceProxy::new(Simulator);
    let uri = pair.daemon.register("device", object).unwrap();
    let device = pair.client.dynamic(&uri).await.unwrap();
    let next = device
        .call("next_day", json!(["2026-02-27"]))
        .await
        .unwrap();
    assert_eq!(next, json!("2026-02-28"));
    let columns = serde_json::to_value(array![[1.0, 2.0], [3.0, 4.0]]).unwrap();
    let sums = device.call("sum", json!([columns])).await.unwrap();
    assert_eq!(sums, serde_json::to_value(array![3.0, 7.0]).unwrap());
}
