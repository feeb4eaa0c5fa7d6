//! A bank: objects that are passed around by reference, and that live for as long as somebody holds them.
//!
//! ```console
//! $ cargo run --example bank                                       # a bank and its customers in one process
//! $ cargo run --example bank server far://127.0.0.1:9994           # a bank, until ctrl-c
//! $ cargo run --example bank client far://127.0.0.1:9994/teller    # its customers
//! ```
//!
//! - Each session has a [`Teller`] of its own, who knows which customer stands before it.
//! - An [`Account`] is reached by nobody who was not given a reference to it. Whoever shall pay into it, and do nothing
//!   else with it, gets a reference to the same object as a [`Payee`].
//! - An [`Escrow`] is an account that lives while it is held. When its holder lets go of it, or dies, its money goes back.
//! - What a caller can do wrong is a [`Refused`]; whatever else can go wrong is a `Fault`, which says whether the call may
//!   have run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farref::prelude::*;
use farref::same_object;
use serde::{Deserialize, Serialize};

/// Stands at the counter. Each session has one of its own.
#[expose]
pub trait Teller {
    /// Says who the customer is, for the rest of the session.
    fn sign_in(&self, name: &str, pin: u16) -> Result<(), Refused>;

    /// The customer's own account.
    fn account(&self) -> Result<AccountProxy, Refused>;

    /// Where to pay to another customer.
    #[idempotent]
    fn payee(&self, name: &str) -> Result<PayeeProxy, Refused>;
}

/// What anybody may do with an account. Money is counted in cents.
#[expose]
pub trait Payee {
    /// Pays in, and returns nothing that is none of the payer's business.
    fn deposit(&self, cents: u64);
}

/// What its owner may do with an account.
#[expose]
pub trait Account: Payee {
    /// How much is in it. Idempotent: farref may ask again by itself, if it was told how often (`max_retries`).
    #[idempotent]
    fn balance(&self) -> u64;

    /// Carries an order out: pays to somebody else. An order that has been carried out is not carried out again, so this
    /// is idempotent, too: whoever does not know what became of a call repeats it.
    #[idempotent]
    async fn transfer(&self, order: u64, to: PayeeProxy, cents: u64) -> Result<(), Refused>;

    /// Puts money aside.
    fn escrow(&self, cents: u64) -> Result<EscrowProxy, Refused>;
}

/// Money that was put aside, until its proxy is dropped.
#[expose]
pub trait Escrow {
    /// Pays it to somebody.
    async fn pay(&self, to: PayeeProxy) -> Result<(), Refused>;
}

/// Why the bank does not do what it was asked for.
#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum Refused {
    /// Nobody has that name and that number.
    #[error("the name or the number is wrong")]
    WrongPin,
    /// The teller does not know who is asking.
    #[error("sign in first")]
    NotSignedIn,
    /// There is no such customer.
    #[error("nobody here is called {0}")]
    NoSuchCustomer(String),
    /// There is too little money.
    #[error("there are only {balance} cents")]
    TooLittle {
        /// What there is.
        balance: u64,
    },
    /// The other account could not be reached.
    #[error("the money did not arrive: {0}")]
    NotDelivered(String),
}

/// What all tellers share: the accounts by customers' names.
struct Bank(BTreeMap<String, Customer>);

struct Customer {
    pin: u16,
    account: AccountProxy,
}

impl Bank {
    fn new() -> Self {
        let customer = |name: &str, pin, cents| {
            let account = AccountProxy::new(Ledger::with(cents));
            (name.to_owned(), Customer { pin, account })
        };
        Bank(BTreeMap::from([
            customer("ada", 1815, 10_000),
            customer("bob", 1986, 2_000),
        ]))
    }
}

/// A teller, and who stands before it.
struct Counter {
    bank: Arc<Bank>,
    customer: Mutex<Option<String>>,
}

impl Teller for Counter {
    fn sign_in(&self, name: &str, pin: u16) -> Result<(), Refused> {
        match self.bank.0.get(name) {
            Some(customer) if customer.pin == pin => {
                *lock(&self.customer) = Some(name.to_owned());
                Ok(())
            }
            _ => Err(Refused::WrongPin),
        }
    }

    fn account(&self) -> Result<AccountProxy, Refused> {
        let customer = lock(&self.customer);
        let name = customer.as_ref().ok_or(Refused::NotSignedIn)?;
        Ok(self.bank.0[name].account.clone())
    }

    fn payee(&self, name: &str) -> Result<PayeeProxy, Refused> {
        let customer = self.bank.0.get(name);
        let customer = customer.ok_or_else(|| Refused::NoSuchCustomer(name.to_owned()))?;
        Ok(customer.account.clone().into())
    }
}

/// The object behind an account. Clones are the same ledger.
#[derive(Clone)]
struct Ledger(Arc<Mutex<Entries>>);

struct Entries {
    balance: u64,
    /// The orders that have been carried out.
    orders: BTreeSet<u64>,
}

impl Ledger {
    fn with(balance: u64) -> Self {
        Ledger(Arc::new(Mutex::new(Entries {
            balance,
            orders: BTreeSet::new(),
        })))
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        lock(&self.0)
    }
}

impl Entries {
    fn take(&mut self, cents: u64) -> Result<(), Refused> {
        let balance = self.balance;
        self.balance = balance
            .checked_sub(cents)
            .ok_or(Refused::TooLittle { balance })?;
        Ok(())
    }
}

impl Payee for Ledger {
    fn deposit(&self, cents: u64) {
        self.entries().balance += cents;
    }
}

impl Account for Ledger {
    fn balance(&self) -> u64 {
        self.entries().balance
    }

    async fn transfer(&self, order: u64, to: PayeeProxy, cents: u64) -> Result<(), Refused> {
        {
            let mut entries = self.entries();
            if entries.orders.contains(&order) {
                return Ok(());
            }
            entries.take(cents)?;
            entries.orders.insert(order);
        }
        // An account of this bank is near by, and one of another bank is called over the network: this code cannot tell.
        let Err(fault) = to.deposit(cents).await else {
            return Ok(());
        };
        if !fault.may_have_run() {
            let mut entries = self.entries();
            entries.balance += cents;
            entries.orders.remove(&order);
        }
        Err(Refused::NotDelivered(fault.to_string()))
    }

    fn escrow(&self, cents: u64) -> Result<EscrowProxy, Refused> {
        self.entries().take(cents)?;
        Ok(EscrowProxy::new(PutAside {
            owner: self.clone(),
            cents: Mutex::new(cents),
        }))
    }
}

/// The object behind an escrow: dropped when nobody holds a proxy to it any more, here or anywhere else.
struct PutAside {
    owner: Ledger,
    cents: Mutex<u64>,
}

impl Escrow for PutAside {
    async fn pay(&self, to: PayeeProxy) -> Result<(), Refused> {
        let cents = std::mem::take(&mut *lock(&self.cents));
        let Err(fault) = to.deposit(cents).await else {
            return Ok(());
        };
        if !fault.may_have_run() {
            *lock(&self.cents) += cents;
        }
        Err(Refused::NotDelivered(fault.to_string()))
    }
}

impl Drop for PutAside {
    fn drop(&mut self) {
        let cents = *lock(&self.cents);
        self.owner.deposit(cents);
        println!("bank: an escrow is closed, {cents} cents go back");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn open(listen: &str) -> farref::Result<(Daemon, Uri)> {
    let daemon = Daemon::bind(listen).await?;
    let bank = Arc::new(Bank::new());
    // Called once for each session, when it first asks for its teller, who goes when the session ends.
    let uri = daemon.register_factory("teller", move |_| {
        Ok(TellerProxy::new(Counter {
            bank: Arc::clone(&bank),
            customer: Mutex::default(),
        }))
    })?;
    Ok((daemon, uri))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            let (daemon, uri) = open("far://127.0.0.1:0").await?;
            visit(&uri.to_string()).await?;
            daemon.shutdown(Shutdown::default()).await;
        }
        ["server"] => serve("far://127.0.0.1:0").await?,
        ["server", listen] => serve(listen).await?,
        ["client", uri] => visit(uri).await?,
        _ => anyhow::bail!("usage: bank [server [URI] | client URI]"),
    }
    Ok(())
}

async fn serve(listen: &str) -> anyhow::Result<()> {
    let (daemon, uri) = open(listen).await?;
    println!("{uri}");
    daemon.run_until(farref::shutdown_signal()).await?;
    Ok(())
}

/// Two customers go to the bank, each with a session of its own, as if they were two processes.
async fn visit(uri: &str) -> anyhow::Result<()> {
    let (ada, bob) = (Client::new(), Client::new());

    // Objects for each session: bob's teller does not know what ada has said to hers.
    let teller: TellerProxy = ada.connect(uri).await?;
    teller.sign_in("ada", 1815).await?;
    let account = teller.account().await?;
    println!("ada has {} cents", account.balance().await?);
    let other_teller: TellerProxy = bob.connect(uri).await?;
    match other_teller.account().await {
        Err(CallError::App(Refused::NotSignedIn)) => println!("bob is not known yet"),
        other => println!("{other:?}"),
    }
    other_teller.sign_in("bob", 1986).await?;
    let bobs_account = other_teller.account().await?;
    println!("bob has {} cents", bobs_account.balance().await?);

    // References as arguments; and a call that may be repeated.
    let payee = teller.payee("bob").await?;
    for _ in 0..2 {
        account.transfer(1, payee.clone(), 3_000).await?;
    }
    println!(
        "one order, sent twice: ada has {}, bob has {}",
        account.balance().await?,
        bobs_account.balance().await?
    );

    // The method's own error, with its fields.
    match account.transfer(2, payee.clone(), 100_000).await {
        Ok(()) => println!("transferred"),
        Err(CallError::App(Refused::TooLittle { balance })) => {
            println!("that is too much: there are {balance} cents")
        }
        Err(error) => println!("{error}; may have run: {}", error.may_have_run()),
    }

    // Two references are equal if they lead to one object, however they were come by and whatever they let their holder do.
    println!(
        "the same account again: {}, another: {}, the same as a payee: {}",
        teller.account().await? == account,
        teller.payee("bob").await? == teller.payee("ada").await?,
        same_object(&teller.payee("ada").await?, &account)
    );

    // An object that lives while it is held. `release` is dropping the proxy, and waiting until the object is dropped.
    let escrow = account.escrow(5_000).await?;
    println!("put aside: ada has {}", account.balance().await?);
    escrow.release().await?;
    println!("let go of: ada has {}", account.balance().await?);
    let escrow = account.escrow(5_000).await?;
    escrow.pay(payee).await?;
    escrow.release().await?;
    println!(
        "paid from what was put aside: ada has {}, bob has {}",
        account.balance().await?,
        bobs_account.balance().await?
    );

    // Bob puts money aside and dies. The bank notices.
    let _escrow = bobs_account.escrow(1_000).await?;
    for session in bob.peers() {
        session.abort();
    }
    let teller: TellerProxy = Client::new().connect(uri).await?;
    teller.sign_in("bob", 1986).await?;
    let bobs_account = teller.account().await?;
    while bobs_account.balance().await? < 10_000 {}
    println!("bob has everything back: {}", bobs_account.balance().await?);
    Ok(())
}
