//! What a call allocates once it has been made often: nothing where it is made, and where it is served nothing or one
//! small future.

use allocation_counter::AllocationInfo;
use farref::prelude::*;

#[expose]
trait Adder {
    fn add(&self, a: u32, b: u32) -> u32;
    async fn add_later(&self, a: u32, b: u32) -> u32;
    #[oneway]
    fn note(&self, a: u32);
}

struct Calculator;

impl Adder for Calculator {
    fn add(&self, a: u32, b: u32) -> u32 {
        a + b
    }

    async fn add_later(&self, a: u32, b: u32) -> u32 {
        a + b
    }

    fn note(&self, _a: u32) {}
}

/// Calls that are made before any are counted: tables and buffers have their sizes then.
const WARM_UP: u32 = 2_000;
/// Calls that are counted.
const CALLS: u32 = 10_000;
/// Buffers are allocated anew now and then, for many calls at once; what is not acknowledged yet keeps the old ones.
const SLACK: u64 = CALLS as u64 / 10;

/// Counts what these calls allocate, on a runtime with one thread, so that both ends are seen.
fn count(
    adder: impl AsyncFn() -> AdderProxy,
    calls: &impl AsyncFn(&AdderProxy, u32),
) -> AllocationInfo {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let adder = runtime.block_on(async {
        let adder = adder().await;
        calls(&adder, WARM_UP).await;
        adder
    });
    allocation_counter::measure(|| runtime.block_on(calls(&adder, CALLS)))
}

/// A proxy to an object behind a connection in memory, whose daemon lives as long as the runtime.
async fn far(name: &str) -> AdderProxy {
    let uri = format!("far+mem:{name}");
    let daemon = Daemon::bind(uri.as_str()).await.unwrap();
    let uri = daemon
        .register("adder", AdderProxy::new(Calculator))
        .unwrap();
    tokio::spawn(async move {
        let _daemon = daemon;
        std::future::pending::<()>().await;
    });
    farref::connect(&uri).await.unwrap()
}

fn assert_each_allocates(at_most: u64, counted: &AllocationInfo) {
    let bound = at_most * u64::from(CALLS) + SLACK;
    assert!(
        counted.count_total <= bound,
        "{} allocations for {CALLS} calls",
        counted.count_total
    );
    // Small even where nothing is optimised.
    let bytes = 512 * bound;
    assert!(
        counted.bytes_total <= bytes,
        "{} bytes",
        counted.bytes_total
    );
}

#[test]
fn a_far_call_of_a_method_without_async_allocates_nothing() {
    let counted = count(
        async || far("allocations-of-plain-calls").await,
        &async |adder: &AdderProxy, calls| {
            for a in 0..calls {
                assert_eq!(adder.add(a, 1).await.unwrap(), a + 1);
            }
        },
    );
    assert_each_allocates(0, &counted);
}

#[test]
fn a_far_call_allocates_its_handlers_future_and_nothing_else() {
    let counted = count(
        async || far("allocations-of-calls").await,
        &async |adder: &AdderProxy, calls| {
            for a in 0..calls {
                assert_eq!(adder.add_later(a, 1).await.unwrap(), a + 1);
            }
        },
    );
    assert_each_allocates(1, &counted);
}

#[test]
fn far_calls_at_once_allocate_no_more() {
    let counted = count(
        async || far("allocations-of-many").await,
        &async |adder: &AdderProxy, calls| {
            for a in 0..calls / 4 {
                let sums = tokio::join!(
                    adder.add_later(a, 1),
                    adder.add_later(a, 2),
                    adder.add_later(a, 3),
                    adder.add_later(a, 4),
                );
                assert_eq!(sums.3.unwrap(), a + 4);
            }
        },
    );
    assert_each_allocates(1, &counted);
}

#[test]
fn a_far_oneway_of_a_method_without_async_allocates_nothing() {
    let counted = count(
        async || far("allocations-of-oneways").await,
        &async |adder: &AdderProxy, calls| {
            for a in 0..calls {
                adder.note(a).await.unwrap();
            }
            adder.add(0, 0).await.unwrap();
        },
    );
    assert_each_allocates(0, &counted);
}

#[test]
fn a_near_call_allocates_its_future_and_nothing_else() {
    let counted = count(
        async || AdderProxy::new(Calculator),
        &async |adder: &AdderProxy, calls| {
            for a in 0..calls {
                assert_eq!(adder.add(a, 1).await.unwrap(), a + 1);
            }
        },
    );
    assert_each_allocates(1, &counted);
}
