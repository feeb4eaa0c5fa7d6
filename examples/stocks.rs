//! A stock exchange: signals that tell whoever wants to know, and what becomes of those who do not keep up.
//!
//! ```console
//! $ cargo run --example stocks                                                # an exchange and its traders in one process
//! $ cargo run --example stocks server far://127.0.0.1:9993                    # an exchange, until ctrl-c
//! $ cargo run --example stocks watch far://127.0.0.1:9993/exchange            # prints trades as they come
//! $ cargo run --example stocks trade far://127.0.0.1:9993/exchange FERRIS 42  # makes one
//! ```
//!
//! There are two ways to listen to a signal. A *receiver* is a function that the exchange calls and waits for. A
//! *subscriber* takes what was told out of a queue, and says what is to happen when the queue is full, so that the
//! exchange need not wait for anybody.

use std::fmt;
use std::future::ready;
use std::time::Duration;

use farref::prelude::*;
use farref::signal::{Ended, WhenSlow};
use farref::{Attribute, Signal};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};

/// Where shares are traded.
#[expose]
pub trait Exchange {
    /// Makes a trade.
    async fn trade(&self, trade: Trade);

    /// Fires for each trade.
    #[signal]
    fn traded(&self) -> &Signal<Trade>;

    /// The highest price so far.
    #[attribute]
    fn record(&self) -> u64;

    /// Fires when there is a new highest price.
    #[signal]
    fn record_changed(&self) -> &Signal<u64>;
}

/// Somebody has bought a share from somebody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trade {
    /// What was traded.
    pub share: String,
    /// What was paid.
    pub price: u64,
}

impl fmt::Display for Trade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.share, self.price)
    }
}

/// How long the exchange waits for one receiver of a signal, before it goes on without it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The object behind an exchange.
#[derive(Default)]
struct Floor {
    traded: Signal<Trade>,
    /// A value, and a signal that fires when it has changed.
    record: Attribute<u64>,
}

impl Exchange for Floor {
    async fn trade(&self, trade: Trade) {
        let price = trade.price;
        self.traded.send_within(PATIENCE, trade).await;
        if price > self.record.get() {
            self.record.set(price).await;
        }
    }

    fn traded(&self) -> &Signal<Trade> {
        &self.traded
    }

    fn record(&self) -> u64 {
        self.record.get()
    }

    fn record_changed(&self) -> &Signal<u64> {
        self.record.changed()
    }
}

fn trade(share: &str, price: u64) -> Trade {
    Trade {
        share: share.to_owned(),
        price,
    }
}

async fn open(listen: &str) -> farref::Result<(Daemon, Uri)> {
    let daemon = Daemon::bind(listen).await?;
    // One call at a time, so that all hear of trades in the order in which they were made.
    let uri = daemon.register("exchange", ExchangeProxy::serial(Floor::default()))?;
    Ok((daemon, uri))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            let (daemon, uri) = open("far://127.0.0.1:0").await?;
            demonstrate(&daemon, farref::connect(&uri).await?).await
        }
        ["server"] => serve("far://127.0.0.1:0").await,
        ["server", listen] => serve(listen).await,
        ["watch", uri] => watch(&farref::connect(uri).await?).await,
        ["trade", uri, share, price] => {
            let exchange: ExchangeProxy = farref::connect(uri).await?;
            Ok(exchange.trade(trade(share, price.parse()?)).await?)
        }
        _ => anyhow::bail!("usage: stocks [server [URI] | watch URI | trade URI SHARE PRICE]"),
    }
}

async fn serve(listen: &str) -> anyhow::Result<()> {
    let (daemon, uri) = open(listen).await?;
    println!("{uri}");
    daemon.run_until(farref::shutdown_signal()).await?;
    Ok(())
}

/// Prints trades until the exchange closes.
async fn watch(exchange: &ExchangeProxy) -> anyhow::Result<()> {
    // A subscriber that does not say what it wants is closed when it is too slow.
    let mut trades = exchange.traded().subscribe().await?;
    println!("watching; the record is {}", exchange.record().await?);
    loop {
        match trades.next().await {
            Ok(trade) => println!("{}", *trade),
            Err(Ended::TooSlow) => anyhow::bail!("too slow to be told of every trade"),
            Err(why) => {
                println!("no more trades: {why}");
                return Ok(());
            }
        }
    }
}

async fn demonstrate(daemon: &Daemon, exchange: ExchangeProxy) -> anyhow::Result<()> {
    // A receiver: called in this process for each trade, before `trade` returns to whoever made it.
    let receiver = exchange
        .traded()
        .connect(|trade| println!("receiver: {}", **trade))
        .await?;
    exchange.trade(trade("FERRIS", 42)).await?;
    exchange.trade(trade("GOPHER", 7)).await?;
    receiver.disconnect().await?;

    // An attribute tells of a new value, and only of a new one.
    let mut records = exchange.record_changed().subscribe().await?;
    for price in [40, 43, 43, 41, 44] {
        exchange.trade(trade("FERRIS", price)).await?;
    }
    println!("new record: {}", *records.next().await?);
    println!("new record: {}", *records.next().await?);
    println!("the record is {}", exchange.record().await?);

    // Three subscribers with room for three trades each. None of them looks while ten trades are made.
    let traded = exchange.traded();
    let mut latest = traded.subscribe_with(WhenSlow::DropOldest, 3).await?;
    let mut first = traded.subscribe_with(WhenSlow::DropNewest, 3).await?;
    let mut all = traded.subscribe_with(WhenSlow::Close, 3).await?;
    for price in 1..=10 {
        exchange.trade(trade("GOPHER", price)).await?;
    }
    for _ in 0..3 {
        let trade = latest.next().await?;
        println!("latest: {}, {} missed", *trade, latest.missed());
    }
    println!("first: {}", *first.next().await?);
    loop {
        match all.next().await {
            Ok(trade) => println!("all or nothing: {}", *trade),
            Err(Ended::TooSlow) => break println!("all or nothing: closed, it was too slow"),
            Err(other) => return Err(other.into()),
        }
    }

    // A subscription is a stream, with all that can be done to streams.
    let trades = traded.subscribe().await?;
    let mut bargains = trades.try_filter(|trade| ready(trade.price < 10));
    for price in [8, 12, 9] {
        exchange.trade(trade("CAMEL", price)).await?;
    }
    for _ in 0..2 {
        if let Some(trade) = bargains.try_next().await? {
            println!("bargain: {}", *trade);
        }
    }

    // Subscribers learn why there is nothing more to hear.
    daemon.shutdown(Shutdown::default()).await;
    if let Err(why) = bargains.try_next().await {
        println!("no more trades: {why}");
    }
    Ok(())
}
