//! What the processes of the simulation say to each other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use farref::Signal;
use farref::prelude::*;

use crate::model::Model;

#[expose]
pub trait Shop {
    async fn add(&self, operation: u64, index: u32) -> u64;
    #[oneway(ordered)]
    async fn note(&self, operation: u64, index: u32);
    #[idempotent]
    async fn put(&self, operation: u64, value: u32) -> u32;
    async fn ask(&self, operation: u64, answer: AnswerProxy) -> Result<u64, String>;
    async fn open(&self, operation: u64) -> TallyProxy;
    async fn use_up(&self, operation: u64, tally: TallyProxy) -> Result<u32, String>;
    fn items(&self, operation: u64, count: u32) -> impl Stream<Item = u32>;
    async fn total(&self, operation: u64, numbers: RemoteStream<u32>) -> Result<u32, String>;
    async fn slow(&self, operation: u64, takes: Duration) -> u64;
    async fn tell(&self, operation: u64, count: u32) -> u32;
    #[signal]
    fn told(&self) -> &Signal<(u64, u32)>;
}

#[callback]
pub trait Answer {
    async fn answer(&self, operation: u64) -> u64;
}

#[expose]
pub trait Tally {
    async fn up(&self) -> u32;
}

pub(crate) struct Counter {
    model: Arc<Model>,
    shop: String,
    told: Signal<(u64, u32)>,
    /// The last of the ordered calls of each operation.
    last: Mutex<BTreeMap<u64, u32>>,
}

impl Counter {
    pub(crate) fn new(model: &Arc<Model>, shop: String) -> Self {
        Counter {
            model: Arc::clone(model),
            shop,
            told: Signal::new(),
            last: Mutex::default(),
        }
    }
}

impl Shop for Counter {
    async fn add(&self, operation: u64, index: u32) -> u64 {
        self.model.effect(operation, ("add", index));
        operation * 1000 + u64::from(index)
    }

    async fn note(&self, operation: u64, index: u32) {
        self.model.effect(operation, ("note", index));
        let before = self.last.lock().unwrap().insert(operation, index);
        // The calls of one session; another one may begin when its predecessor is lost.
        let is_next = before.map_or(0, |before| before + 1) == index;
        if !is_next && !self.model.may_lose() {
            let shop = &self.shop;
            let text = format!("{shop} got note {index} of {operation} after {before:?}");
            self.model.violated(text);
        }
    }

    async fn put(&self, operation: u64, value: u32) -> u32 {
        self.model.effect(operation, (crate::model::REPEATABLE, 0));
        value
    }

    async fn ask(&self, operation: u64, answer: AnswerProxy) -> Result<u64, String> {
        self.model.effect(operation, ("ask", 0));
        let answered = answer.answer(operation).await;
        if let Ok(answered) = &answered
            && *answered != operation + 1
        {
            self.model
                .violated(format!("{operation} was answered {answered}"));
        }
        let answered = self.model.call(operation, ("answer", 0), answered, &[]);
        answered.ok_or_else(|| "no answer".to_owned())
    }

    async fn open(&self, operation: u64) -> TallyProxy {
        self.model.effect(operation, ("open", 0));
        self.model.count_objects(1);
        TallyProxy::new(Sheet {
            model: Arc::clone(&self.model),
            operation,
            count: Mutex::default(),
        })
    }

    async fn use_up(&self, operation: u64, tally: TallyProxy) -> Result<u32, String> {
        self.model.effect(operation, ("use", 0));
        let up = tally.up().await;
        let up = self.model.call(operation, ("up", 0), up, &[]);
        up.ok_or_else(|| "it is gone".to_owned())
    }

    fn items(&self, operation: u64, count: u32) -> impl Stream<Item = u32> {
        self.model.effect(operation, ("items", 0));
        Items(0..count)
    }

    async fn total(&self, operation: u64, mut numbers: RemoteStream<u32>) -> Result<u32, String> {
        self.model.effect(operation, ("total", 0));
        let mut expected = 0;
        while let Some(number) = numbers.next().await {
            match number {
                Ok(number) if number == expected => expected += 1,
                Ok(number) => {
                    let text = format!("{operation} sent {number} instead of {expected}");
                    self.model.violated(text);
                    return Err("a gap".to_owned());
                }
                Err(fault) => {
                    self.model.fault(operation, &fault, &[]);
                    return Err("it broke off".to_owned());
                }
            }
        }
        Ok(expected)
    }

    async fn slow(&self, operation: u64, takes: Duration) -> u64 {
        self.model.effect(operation, ("begin", 0));
        let _running = Running::new(&self.model);
        tokio::time::sleep(takes).await;
        self.model.effect(operation, ("slow", 0));
        operation
    }

    async fn tell(&self, operation: u64, count: u32) -> u32 {
        self.model.effect(operation, ("tell", 0));
        for index in 0..count {
            // Nobody but subscribers listens.
            let told = self.told.send((operation, index)).await;
            assert!(told.is_ok());
        }
        count
    }

    fn told(&self) -> &Signal<(u64, u32)> {
        &self.told
    }
}

/// Answers its caller's question.
pub(crate) struct Clerk(pub(crate) Arc<Model>);

impl Answer for Clerk {
    async fn answer(&self, operation: u64) -> u64 {
        self.0.effect(operation, ("answer", 0));
        operation + 1
    }
}

struct Sheet {
    model: Arc<Model>,
    operation: u64,
    count: Mutex<u32>,
}

impl Tally for Sheet {
    async fn up(&self) -> u32 {
        let mut count = self.count.lock().unwrap();
        self.model.effect(self.operation, ("up", *count));
        *count += 1;
        *count
    }
}

impl Drop for Sheet {
    fn drop(&mut self) {
        self.model.count_objects(-1);
    }
}

struct Running(Arc<Model>);

impl Running {
    fn new(model: &Arc<Model>) -> Self {
        model.count_running(1);
        Running(Arc::clone(model))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.count_running(-1);
    }
}

struct Items(std::ops::Range<u32>);

impl Stream for Items {
    type Item = u32;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<u32>> {
        std::task::Poll::Ready(self.0.next())
    }
}
