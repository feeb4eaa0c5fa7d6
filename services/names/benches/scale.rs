//! What a directory costs as it grows: lookups, lists and tag queries in the process and over TCP, memory, and what a
//! store in a file takes. `cargo bench -p farref-names` prints a table.
//!
//! Each size is measured in a process of its own, so that the memory of one is not lent to the next.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use farref::names::{IfTaken, Names, NamesProxy, Position, Query, Registration};
use farref::{Client, Uri};
use farref_names::{Limits, NameServer, Registry, Volatile};
use tokio::task::JoinSet;

type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// How many names there are.
const SIZES: [u32; 4] = [1_000, 10_000, 100_000, 400_000];

/// For how long each thing is repeated.
const MEASURE: Duration = Duration::from_millis(400);

/// What is measured, and in which unit.
const ROWS: [(&str, &str); 11] = [
    ("memory for each name, with two tags", "bytes"),
    ("lookup, in the process", "/s"),
    ("lookup over TCP, one at a time", "/s"),
    ("lookup over TCP, 64 at once", "/s"),
    ("16 of the names with one of 100 tags", "µs"),
    ("16 of the names with two tags, 1 % and 10 %", "µs"),
    ("list 10 names by prefix", "µs"),
    ("list a page of 1000", "µs"),
    ("list all that fit `*7`, in pages of 1000", "ms"),
    ("list all with one of 100 tags", "ms"),
    ("register in a file, 64 at once", "/s"),
];

fn main() -> Result {
    let mut arguments = std::env::args().skip(1);
    let size = arguments.find_map(|argument| argument.strip_prefix("--size=")?.parse().ok());
    match size {
        Some(size) => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?
            .block_on(measure(size)),
        None => compare(),
    }
}

/// Measures each size in a process of its own, and prints all of them beside each other.
fn compare() -> Result {
    let mut columns = Vec::new();
    for size in SIZES {
        let program = std::env::current_exe()?;
        let output = Command::new(program)
            .arg(format!("--size={size}"))
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        let text = String::from_utf8(output.stdout)?;
        columns.push(text.lines().map(str::to_owned).collect::<Vec<_>>());
    }
    let sizes: Vec<_> = SIZES
        .iter()
        .map(|size| format!(" {size} names |"))
        .collect();
    println!("| |{}", sizes.concat());
    println!("|---|{}", "---:|".repeat(SIZES.len()));
    for (row, (what, unit)) in ROWS.into_iter().enumerate() {
        let cells = columns.iter().map(|column| format!(" {} |", column[row]));
        println!("| {what}, {unit} |{}", cells.collect::<String>());
    }
    Ok(())
}

fn name(number: u32) -> String {
    format!("site-{:03}/machine-{number}", number % 1000)
}

fn registration(number: u32) -> Result<Registration> {
    let port = 1 + number % 60_000;
    let uri: Uri = format!(
        "far://10.0.{}.{}:{port}/object-{number}",
        number / 256 % 256,
        number % 256
    )
    .parse()?;
    Ok(Registration {
        tags: [
            format!("hundredth-{}", number % 100),
            format!("tenth-{}", number / 7 % 10),
        ]
        .into(),
        if_taken: IfTaken::Replace,
        ..Registration::new(name(number), uri)
    })
}

async fn measure(size: u32) -> Result {
    let before = resident()?;
    let registry = Registry::open(Volatile, Limits::default())?;
    for number in 0..size {
        registry.register(registration(number)?).await?;
    }
    let bytes = resident()?.saturating_sub(before) / u64::from(size);
    println!("{bytes}");

    let mut number = 0_u32;
    let mut next = move || {
        number = number.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        (number >> 8) % size
    };
    let (count, elapsed) = repeat(async || {
        black_box(registry.lookup(&name(next())).await?);
        Ok(())
    })
    .await?;
    println!("{}", rate(count, elapsed));
    over_tcp(&registry, size).await?;
    queries(&registry).await?;
    to_a_file().await
}

async fn over_tcp(registry: &Registry, size: u32) -> Result {
    let daemon = farref::Daemon::bind("far://127.0.0.1:0").await?;
    let uri = daemon.register("names", NamesProxy::new(registry.clone()))?;
    let names: NamesProxy = Client::new().connect(&uri).await?;
    let mut number = 0;
    let (count, elapsed) = repeat(async || {
        number = (number + 7919) % size;
        black_box(names.lookup(&name(number)).await?);
        Ok(())
    })
    .await?;
    println!("{}", rate(count, elapsed));

    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..64 {
        let names = names.clone();
        callers.spawn(async move {
            let mut count = 0_u64;
            while begun.elapsed() < MEASURE {
                let number = u32::try_from(count)? * 7919 + caller;
                black_box(names.lookup(&name(number % size)).await?);
                count += 1;
            }
            Result::<u64>::Ok(count)
        });
    }
    let mut count = 0;
    while let Some(caller) = callers.join_next().await {
        count += caller??;
    }
    println!("{}", rate(count, begun.elapsed()));
    Ok(())
}

async fn queries(registry: &Registry) -> Result {
    let one = BTreeSet::from(["hundredth-7".to_owned()]);
    let two = BTreeSet::from(["hundredth-7".to_owned(), "tenth-1".to_owned()]);
    for tags in [&one, &two] {
        let (count, elapsed) = repeat(async || {
            black_box(registry.sample(tags.clone(), 16).await?);
            Ok(())
        })
        .await?;
        println!("{}", micros(count, elapsed));
    }
    let prefix = Query {
        prefix: "site-007/".to_owned(),
        ..Query::default()
    };
    for (query, limit) in [(prefix, 10), (Query::default(), 1000)] {
        let (count, elapsed) = repeat(async || {
            black_box(registry.list(query.clone(), None, limit).await?);
            Ok(())
        })
        .await?;
        println!("{}", micros(count, elapsed));
    }
    let pattern = Query {
        pattern: "*7".to_owned(),
        ..Query::default()
    };
    let tagged = Query {
        all: one,
        ..Query::default()
    };
    for query in [pattern, tagged] {
        let (count, elapsed) = repeat(async || all(registry, &query).await).await?;
        println!("{:.2}", elapsed.as_secs_f64() * 1e3 / count as f64);
    }
    Ok(())
}

async fn all(registry: &Registry, query: &Query) -> Result {
    let mut after: Option<Position> = None;
    loop {
        let page = registry.list(query.clone(), after, 1000).await?;
        after = black_box(page).next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// What a store in a file takes does not depend on how many names there are in memory, but on the disk.
async fn to_a_file() -> Result {
    let folder = tempfile::tempdir()?;
    let server = NameServer::builder()
        .listen("far+mem:scale")
        .file(folder.path().join("names.redb"))
        .bind()
        .await?;
    let registry = server.registry();
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..64_u32 {
        let registry = registry.clone();
        callers.spawn(async move {
            let mut count = 0;
            while begun.elapsed() < MEASURE {
                registry
                    .register(registration(caller + 64 * count)?)
                    .await?;
                count += 1;
            }
            Result::<u64>::Ok(count.into())
        });
    }
    let mut count = 0;
    while let Some(caller) = callers.join_next().await {
        count += caller??;
    }
    println!("{}", rate(count, begun.elapsed()));
    Ok(())
}

/// Repeats something, after a warm-up of a tenth of the time.
async fn repeat(mut once: impl AsyncFnMut() -> Result) -> Result<(u64, Duration)> {
    let begun = Instant::now();
    while begun.elapsed() < MEASURE / 10 {
        once().await?;
    }
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < MEASURE {
        once().await?;
        count += 1;
    }
    Ok((count, begun.elapsed()))
}

fn rate(count: u64, elapsed: Duration) -> String {
    format!("{:.0}", count as f64 / elapsed.as_secs_f64())
}

fn micros(count: u64, elapsed: Duration) -> String {
    format!("{:.1}", elapsed.as_secs_f64() * 1e6 / count as f64)
}

/// The memory of this process that is in use, in bytes.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes
        .ok_or("the memory in use is not known here")?
        .parse::<u64>()?
        * 1024)
}
