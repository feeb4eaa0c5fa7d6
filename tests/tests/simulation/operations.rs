//! What the processes do, and what may come of it.

use std::sync::Arc;
use std::time::Duration;

use farref::prelude::*;
use farref::signal::{Ended, WhenSlow};
use farref::{Batch, FaultKind, StreamWindow};
use tokio::time::Instant;

use crate::model::{Model, REPEATABLE};
use crate::random::Random;
use crate::shop::{AnswerProxy, Clerk, ShopProxy};

/// The kinds of operations.
pub(crate) const KINDS: [&str; 13] = [
    "unary",
    "oneway, in order",
    "idempotent",
    "callback",
    "reference",
    "passed on",
    "stream down",
    "stream up",
    "batch",
    "pipelined",
    "signal",
    "deadline",
    "given up",
];

/// Who does it: the shops of the other processes, and what is known about what happens.
pub(crate) struct Worker {
    pub(crate) model: Arc<Model>,
    pub(crate) shops: [ShopProxy; 2],
    pub(crate) random: Random,
}

impl Worker {
    /// Does something, and returns when it has come to something.
    pub(crate) async fn work(&mut self) {
        let kind = self.random.below(KINDS.len());
        let chosen = self.random.below(2);
        let shop = self.shops[chosen].clone();
        let other = self.shops[1 - chosen].clone();
        let operation = self.model.begin(kind);
        self.model
            .note(|| format!("begin {operation} {}", KINDS[kind]));
        match kind {
            0 => self.unary(operation, &shop).await,
            1 => self.oneway(operation, &shop).await,
            2 => self.idempotent(operation, &shop).await,
            3 => self.callback(operation, &shop).await,
            4 => self.reference(operation, &shop).await,
            5 => self.passed_on(operation, &shop, &other).await,
            6 => self.stream_down(operation, &shop).await,
            7 => self.stream_up(operation, &shop).await,
            8 => self.batch(operation, &shop).await,
            9 => self.pipelined(operation, &shop).await,
            10 => self.signal(operation, &shop).await,
            11 => self.deadline(operation, &shop).await,
            _ => self.given_up(operation, &shop).await,
        }
        self.model
            .note(|| format!("end {operation} {}", KINDS[kind]));
        self.model.end(operation);
    }

    fn expect<T: PartialEq + std::fmt::Debug>(&self, operation: u64, value: &T, expected: &T) {
        if value != expected {
            self.model.violated(format!(
                "operation {operation} returned {value:?}, not {expected:?}"
            ));
        }
    }

    /// What a method of its own errors came to.
    fn own<T>(
        &self,
        operation: u64,
        part: &'static str,
        result: Result<T, CallError<String>>,
    ) -> Option<T> {
        let result = match result {
            Ok(value) => Ok(Some(value)),
            Err(CallError::App(text)) if self.model.may_lose() => {
                self.model.note(|| format!("own {operation} {text}"));
                Ok(None)
            }
            Err(CallError::App(text)) => {
                self.model
                    .violated(format!("operation {operation} failed: {text}"));
                Ok(None)
            }
            Err(CallError::Fault(fault)) => Err(fault),
        };
        self.model.call(operation, (part, 0), result, &[]).flatten()
    }

    async fn unary(&mut self, operation: u64, shop: &ShopProxy) {
        let result = shop.add(operation, 0).await;
        if let Some(value) = self.model.call(operation, ("add", 0), result, &[]) {
            self.expect(operation, &value, &(operation * 1000));
        }
    }

    async fn oneway(&mut self, operation: u64, shop: &ShopProxy) {
        for index in 0..5 {
            match shop.note(operation, index).await {
                Ok(()) => self.model.sent(operation, ("note", index)),
                Err(fault) => {
                    self.model
                        .call(operation, ("note", index), Err::<(), _>(fault), &[]);
                    return;
                }
            }
            if index == 2 {
                tokio::time::sleep(self.random.millis(0, 200)).await;
            }
        }
    }

    async fn idempotent(&mut self, operation: u64, shop: &ShopProxy) {
        let value = u32::try_from(self.random.below(1000)).unwrap();
        let result = shop.put(operation, value).await;
        if let Some(put) = self.model.call(operation, (REPEATABLE, 0), result, &[]) {
            self.expect(operation, &put, &value);
        }
    }

    async fn callback(&mut self, operation: u64, shop: &ShopProxy) {
        let clerk = AnswerProxy::new(Clerk(Arc::clone(&self.model)));
        let result = shop.ask(operation, clerk).await;
        if let Some(answer) = self.own(operation, "ask", result) {
            self.expect(operation, &answer, &(operation + 1));
        }
    }

    async fn reference(&mut self, operation: u64, shop: &ShopProxy) {
        let result = shop.open(operation).await;
        let Some(tally) = self.model.call(operation, ("open", 0), result, &[]) else {
            return;
        };
        for index in 0..3 {
            let result = tally.up().await;
            let Some(count) = self.model.call(operation, ("up", index), result, &[]) else {
                return;
            };
            self.expect(operation, &count, &(index + 1));
            tokio::time::sleep(self.random.millis(0, 50)).await;
        }
    }

    async fn passed_on(&mut self, operation: u64, shop: &ShopProxy, other: &ShopProxy) {
        let result = shop.open(operation).await;
        let Some(tally) = self.model.call(operation, ("open", 0), result, &[]) else {
            return;
        };
        let result = other.use_up(operation, tally).await;
        if let Some(count) = self.own(operation, "use", result) {
            self.expect(operation, &count, &1);
        }
    }

    async fn stream_down(&mut self, operation: u64, shop: &ShopProxy) {
        let count = u32::try_from(self.random.below(120)).unwrap();
        let window = u32::try_from(1 + self.random.below(32)).unwrap();
        let mut items = shop
            .items(operation, count)
            .window(StreamWindow::items(window));
        let mut expected = 0;
        self.model.perhaps(operation, ("items", 0));
        while let Some(item) = items.next().await {
            match item {
                Ok(item) => {
                    self.expect(operation, &item, &expected);
                    expected += 1;
                }
                Err(fault) => return self.model.fault(operation, &fault, &[]),
            }
            if expected % 16 == 0 {
                tokio::time::sleep(self.random.millis(0, 100)).await;
            }
        }
        self.expect(operation, &expected, &count);
    }

    async fn stream_up(&mut self, operation: u64, shop: &ShopProxy) {
        let count = u32::try_from(self.random.below(120)).unwrap();
        let numbers = RemoteStream::from_iter(0..count);
        let result = shop.total(operation, numbers).await;
        if let Some(total) = self.own(operation, "total", result) {
            self.expect(operation, &total, &count);
        }
    }

    async fn batch(&mut self, operation: u64, shop: &ShopProxy) {
        let mut batch = Batch::new();
        let slots: Vec<_> = (0..6)
            .map(|index| batch.add(shop.add(operation, index)))
            .collect();
        let sent = batch.send().await;
        let mut succeeded = 0;
        for (index, slot) in (0..).zip(slots) {
            let result = slot.take();
            let value = self
                .model
                .call(operation, ("add", index), result, &[FaultKind::Skipped]);
            if let Some(value) = value {
                self.expect(operation, &value, &(operation * 1000 + u64::from(index)));
                self.expect(operation, &succeeded, &index);
                succeeded += 1;
            }
        }
        self.expect(operation, &sent.is_ok(), &(succeeded == 6));
    }

    async fn pipelined(&mut self, operation: u64, shop: &ShopProxy) {
        let tally = shop.open(operation).pipeline();
        self.model.perhaps(operation, ("open", 0));
        // Sent in this order, so they run in it; neither waits for the object.
        let (one, two) = tokio::join!(tally.up(), tally.up());
        for (index, result) in (0..).zip([one, two]) {
            if let Some(count) = self.model.call(operation, ("up", index), result, &[]) {
                self.expect(operation, &count, &(index + 1));
            }
        }
    }

    async fn signal(&mut self, operation: u64, shop: &ShopProxy) {
        let told = shop.told();
        let mut subscription = match told.subscribe_with(WhenSlow::Close, 4096).await {
            Ok(subscription) => subscription,
            Err(fault) => return self.model.fault(operation, &fault, &[]),
        };
        let result = shop.tell(operation, 10).await;
        if self
            .model
            .call(operation, ("tell", 0), result, &[])
            .is_none()
        {
            return;
        }
        let mut expected = 0;
        while expected < 10 {
            match subscription.next().await {
                Ok(event) if event.0 == operation => {
                    self.expect(operation, &event.1, &expected);
                    expected += 1;
                }
                Ok(_) => {}
                Err(Ended::Lost(fault)) => return self.model.fault(operation, &fault, &[]),
                Err(ended) => {
                    if !self.model.may_lose() {
                        self.model
                            .violated(format!("operation {operation} ended with {ended:?}"));
                    }
                    return;
                }
            }
        }
    }

    async fn deadline(&mut self, operation: u64, shop: &ShopProxy) {
        let takes = self.random.millis(0, 1000);
        let timeout = self.random.millis(1, 2000);
        let begun = Instant::now();
        let result = shop.slow(operation, takes).timeout(timeout).await;
        let waited = begun.elapsed();
        // Tokio's timers are exact to the millisecond.
        if waited > timeout + Duration::from_millis(2) {
            self.model.violated(format!(
                "operation {operation} took {waited:?} of {timeout:?}"
            ));
        }
        let allowed = [FaultKind::DeadlineExceeded];
        let value = self.model.call(operation, ("slow", 0), result, &allowed);
        if let Some(value) = value {
            self.expect(operation, &value, &operation);
        }
    }

    async fn given_up(&mut self, operation: u64, shop: &ShopProxy) {
        let takes = self.random.millis(0, 3000);
        let patience = self.random.millis(0, 1500);
        let call = async { shop.slow(operation, takes).await };
        match tokio::time::timeout(patience, call).await {
            Ok(result) => {
                self.model.call(operation, ("slow", 0), result, &[]);
            }
            Err(_) => self.model.perhaps(operation, ("slow", 0)),
        }
    }
}
