//! Whole programs under faults, by the thousand: three processes in one, connected through memory, in paused time, on one
//! thread each. What goes wrong, when, and who does what meanwhile follows from a seed, and nothing else.
//!
//! `FARREF_SEED=17 cargo test -p farref-tests --test simulation -- --nocapture` runs one seed and prints what happened;
//! `FARREF_SEEDS=10000` runs so many instead of the default; `.ci/run` has 2000 run.

#![expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]

mod faults;
mod model;
mod operations;
mod random;
mod shop;
mod world;

use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use faults::FAULTS;
use operations::KINDS;

/// How many seeds are run unless the environment says otherwise: a few seconds' worth.
const SEEDS: u64 = 300;
/// What each seed has at least.
const OPERATIONS: usize = 200;
const STRIKES: usize = 3;

/// Seeds that have failed, and must not again.
const FAILED: [u64; 0] = [];

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap())
}

/// Runs one seed for everybody to see.
fn show(seed: u64) {
    let report = world::run(seed, true);
    for line in &report.log {
        println!("{line}");
    }
    assert!(
        report.violations.is_empty(),
        "seed {seed}: {:#?}",
        report.violations
    );
}

#[derive(Default)]
struct Sum {
    table: [[u32; FAULTS.len()]; KINDS.len()],
    operations: usize,
    faults: usize,
    failures: Vec<String>,
}

fn table(sum: &Sum) -> String {
    let mut text = format!("{:>18}", "");
    for fault in FAULTS {
        write!(text, "{fault:>12}").unwrap();
    }
    for (kind, row) in KINDS.iter().zip(sum.table) {
        write!(text, "\n{kind:>18}").unwrap();
        for count in row {
            write!(text, "{count:>12}").unwrap();
        }
    }
    text
}

#[test]
fn programs_under_faults_do_what_is_promised() {
    if let Some(seed) = variable("FARREF_SEED") {
        return show(seed);
    }
    let count = variable("FARREF_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let sum = Mutex::new(Sum::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= count {
                return;
            }
            let run = std::panic::catch_unwind(|| world::run(seed, false));
            let mut sum = sum.lock().unwrap();
            let Ok(report) = run else {
                sum.failures.push(format!("seed {seed} panicked"));
                continue;
            };
            for violation in report.violations {
                sum.failures.push(format!("seed {seed}: {violation}"));
            }
            if report.operations < OPERATIONS || report.faults < STRIKES {
                let (operations, faults) = (report.operations, report.faults);
                let text = format!("seed {seed} has {operations} operations, {faults} faults");
                sum.failures.push(text);
            }
            sum.operations += report.operations;
            sum.faults += report.faults;
            for (sums, counts) in sum.table.iter_mut().zip(report.table) {
                for (sum, count) in sums.iter_mut().zip(counts) {
                    *sum += count;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let sum = sum.into_inner().unwrap();
    println!(
        "{count} seeds, {} operations, {} faults; operations of each kind under way when a fault struck:\n{}",
        sum.operations,
        sum.faults,
        table(&sum)
    );
    assert!(
        sum.failures.is_empty(),
        "{} failures: {:#?}",
        sum.failures.len(),
        &sum.failures[..sum.failures.len().min(40)]
    );
    // A few seeds need not come across everything.
    if count >= 1000 {
        assert!(sum.table.iter().flatten().all(|count| *count > 0));
    }
}

#[test]
fn seeds_that_have_failed_do_so_no_more() {
    for seed in FAILED {
        let report = world::run(seed, false);
        assert!(
            report.violations.is_empty(),
            "seed {seed}: {:#?}",
            report.violations
        );
    }
}

#[test]
fn a_seed_is_the_same_program_each_time() {
    for seed in [3, 1000, 123_456] {
        let [one, other] = [0, 1].map(|_| world::run(seed, true));
        for (one, other) in one.log.iter().zip(&other.log) {
            assert_eq!(one, other, "seed {seed}");
        }
        assert_eq!(one.trace, other.trace, "seed {seed}");
    }
}
