//! Bytes there and back.

use anyhow::Result;
use bytes::Bytes;

use super::acts::{EchoBytes, EchoVec};
use super::callers::Callers;
use crate::figures::Measured;
use crate::peers::{Errand, Peer};

const MEBIBYTE: usize = 1 << 20;

/// The four figures of the echo, in mebibytes per second that came back.
pub(super) async fn run<P: Peer>(errand: &Errand) -> Result<Measured> {
    let mut measured = Measured::new();
    for (size, callers, name) in [(MEBIBYTE, 1, "1MiB"), (MEBIBYTE / 16, 16, "64KiB")] {
        let callers = Callers {
            connections: 1,
            each: callers,
        };
        let rate = |calls_per_second: f64| calls_per_second * size as f64 / MEBIBYTE as f64;
        let data = vec![7; size];
        let act = EchoBytes(Bytes::from(data.clone()));
        let sum = callers.run::<P, _>(errand, act).await?;
        measured.insert(format!("E.{name}.bytes"), rate(sum.rate()));
        let sum = callers.run::<P, _>(errand, EchoVec(data)).await?;
        measured.insert(format!("E.{name}.vec"), rate(sum.rate()));
    }
    Ok(measured)
}
